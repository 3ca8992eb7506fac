"""The six words that two people compare: 66 bits of a digest, each 11 of them a word of one list (docs/invitations.md, "Six words").

2,048 words of 3 to 8 letters in ascending order, so a word's place is its number. No two have the same first four letters, and none becomes
another by one letter changed, added, left out, or by two that change places: what is misheard or mistyped is seen. They were picked from the
long word list of the Electronic Frontier Foundation (Joseph Bonneau, 2016; CC BY 3.0 US), the commoner and the shorter ones first, without
names of brands and what nobody reads aloud at work.
"""

from __future__ import annotations

WORD_BITS = 11
WORDS_SHOWN = 6


def six_words(digest: bytes) -> str:
    """Returns the words of the first 66 bits of `digest` (9 bytes or more), with blanks between."""
    bits = int.from_bytes(digest[:9], "big") >> (9 * 8 - WORD_BITS * WORDS_SHOWN)
    numbers = (bits >> WORD_BITS * place & (1 << WORD_BITS) - 1 for place in reversed(range(WORDS_SHOWN)))
    return " ".join(WORDS[number] for number in numbers)


def same_words(typed: str, words: str) -> bool:
    """Returns whether a person typed these six words: case, and what stands between them, do not matter."""
    return "".join(letter if letter.isalpha() else " " for letter in typed.lower()).split() == words.split()


WORDS: tuple[str, ...] = tuple(
    """
abacus abdomen abide ability ablaze able abreast abridge abroad absence absolve abstract absurd accent acclaim
account acetone aching acid acorn acquire acre acrobat action actress acts acutely aerosol afar affair affix
afford affront afoot afraid aged ageless agent aghast agile aging agony agreed ahead ahoy aim alarm album
alfalfa algebra alias alibi aliens alike almanac almost aloft aloha alone aloof alright alto alumni always amaze
amber ambush amends amiable amigo amiss ammonia amnesty among amount amply amuck amulet amused anagram anatomy
anchor ancient android anemia anew anger angled angrily angular animal ankle annex annuity another antacid
anthem antics antler antonym antsy anvil anybody anyhow anymore anyone anytime anyway aorta apache apostle
appear apple approve april apron aptly aqua area argue arise armband armed armful armhole arming armless armory
army aroma around arrange arrest arrive arson art ascend ashamed ashen ashy askew aspect aspire astound astride
astute atlas atom atrium attach attest attitude audio august author autism avatar avenge average aviator avoid
await awaken aware awhile awkward awning awoke awry axis babied baboon backer bacon badge badly baffle bagel
bagful baggy bagpipe baked baking balance balcony balmy bamboo banana banjo banner banshee barbed barcode
barista barley barman barn barrel basil basket batboy batch bats battle bauble bazooka blabber blade blah
blaming blank blast blazer bleak blemish bless blimp bling blitz bloated blob blooper blouse bluff blurb blush
boaster boat bobbed bobcat bobsled bobtail body bogged boil bonanza bonded bonfire bonnet bonsai bonus book
boots borax boring borough boss botany both bottom bounce bovine boxcar boxer boxlike breach breeze brewery
briar bribe brick bridged bright brim brisket brittle broaden broiler broken bronze broom brought browse brunch
brute bubble bucked buddy budget buffalo bulb bulge bully bundle bungee bunkbed bunny bunt busboy busily busload
buzz cabana cabbage caboose cache cactus caddie cadet cadmium cage cahoots calcium caliber calm caloric calzone
camera camper canal cancel candy canine cannon canola canteen capable capital capped capsize captive carat
carbon carded caress cargo caring carload carnage carol carpool carry cartel carwash cascade cash casino catalog
catchy caterer catfish catlike catnap catsup catty catwalk caucus cause caution cavalry caviar cedar celery
celtic cement census certify chair chalice champion change chaos chapter charm chase cheddar cheese chef chemo
cherub chest chevron chewy chili chimp chirpy chive choice choking choosy chosen chowder chrome chubby chug
chummy chunk churn chute cider cinch cinema cinnamon circle citable citizen citric city civil claim clammy clang
clapper clarify clasp clatter claw clean clench clerk clever clicker client climate clinic clip clique clobber
clock cloning closure clothes cloud clubbed clump clunky clutch coach coastal cobalt cobbler cobweb coconut cod
coexist coffee cola collar colony come comfort comic common company comrade concert condone confirm congress
conical conjure consent control convene copied copper copy coral cork corny coroner correct corset cortex cosmos
cost cotton cough could country courier cover cozily cradle crafty crane craving crayon crazy crease credit
creed creole crepe crested crevice crewman crib cricket crier crimson crinkle crispy critter croak croon crop
cross crouch crowd crumb crust crux crying crystal cube cuddle culture cupid curfew curly cursor curtain curve
cushy cusp cussed cut cycle cymbal dad dagger daily dainty dance dander dangle dares data dating daughter dawn
daybed deacon dealt dean debate debit debtor debug decade december deck decline decoy decrease deduct deem
deepen deface defense define defog deftly defy degree deity delay delete delta deluge demise demote denial dense
dentist depict deploy deport depth deputy derby despair detail detest deuce device diagram dial diaper diary
dice dig dilute dimly dimmed dimple dingo dining dinner dipped disagree discover dish dismiss disorder display
distance ditch ditto dizzy doable docile document dodge doing dolly dolphin domain donor donut doodle dorsal
dosage dose dotted dowry drank drastic draw dreamt drench dress dried drift drippy driven drone drool drudge
drum dry dubbed ducky dude duffel dugout duller duplex during dust duty duvet dwarf dweeb dynamic each eagle
earful early earthy earwig easel easily easter eaten ebony echo eclair ecology economy edge edging editor eel
effort eggnog either eject elated elbow eldest elephant elevator elf elite elixir elope elude elves email embark
emblem embody emcee emotion empower empty emu enable enamel encode ended ending endless endorse energy engine
engulf enhance enrage enrich enroll ensure entail entire entomb entrap envelope envy enzyme epic episode equal
equity erased errand error erupt essay essence estate eternal ethics evade even evict evidence evil evoke evolve
exact example excess exchange exclude excuse exert exes exhaust exhume exile exit exodus expand expel expire
explain expose express extent extras fabric facial factor faculty fade fading falcon fall false family fancy
fang fantasy faucet favorite fax feast federal fedora feeble feed feisty feline femur fence fender ferry fervor
festival fetch fever fiber fiction fiddle fifth figure filing filled film filter finale finite fit five flail
flaky flame flap flask flatly fleshy flick flier flight flint float floral floss foam fog folic folk follow
fondly food fossil foster foyer fragile frays freely frenzy frequent fresh friday friend frill fringe from front
frosty froth frown frozen fruit gaffe gains gala gallery galore game gaming gamma gangly gap garage garden
gargle garlic garment garnet garter gauze gawk gear gecko geek geiger gem genre gents gerbil gesture giant
giblet giddy gift giggle gills girdle given giving gizmo gladly glance glare glass glider glimpse glitch gloomy
glory glove glue gluten gnarly gnat goal goes gone gooey gopher gorged gossip gothic gotten gout gown grab
graded grain granny grape grasp gravity green grew grid grief grime grinch groggy groove growl grunt guide gulf
gummy guru gush gusto guts guy hacked haiku half halved hamlet hamster handed hangup hanky happy harbor hardy
harsh harvest hassle hasty hatbox haunt hazard hazily headed heap heave hefty helium helmet helper henna herald
herbs hermit hertz hubcap huff hula human humble humid hummus humped hungry hunter hurdle hurled hurry hurt
husband husked hybrid hyphen icing icon icy identify idiom idly igloo ignore iguana image imitate impale impish
impose improve impulse iodine irate irk issue item ivory jacket jailer jam jargon java jawed jaws jazz jelly
jersey jester jet jiffy jigsaw jingle jinx job jockey jogger jolt jovial joyous judge judo juggle juice july
jumbo jump june junior junkie jurist juror justly kabob kangaroo karate karma kebab keenly keep keg kennel kept
kick kiln kimono kindly kitchen kite kitten kiwi knee knelt knoll koala kooky kosher kudos ladder ladies ladle
lagged lagoon lair lake language lapdog lapel laptop large lark lasso lather laundry laurel lavish lazy left
legal legend legume lemon lend length lesser letter level liberty library lid life lifter likely liking lilac
lily limb limes limit linked lion liquid list litmus little lived lizard lucid lumber lunar lung lurch lure
lushly lusty luxury lying lyrics macaw machine maggot maimed maker mama mammal mandate mango manila manned manor
mantis manual many march mardi margin marine maroon marshy mascot mashed masses material math matrix matter
mauve maximum maybe mayday mobile mocha mocker modify module mom monday monitor moody mooing mooned morale
mosaic mossy motive motor motto mountain mouse mouth move much mud mule mulled multiply mumps murky museum
mushroom music musket muster mutate mutiny mutt mutual myself nacho nail nanny nape napkin narrow native nature
navy nearby neatly nebula nectar negative neon nephew nerd nervy nest neuron neuter nibble niece nifty nimbly
ninja ninth nuclear nugget nutmeg nutty nylon oak oasis object oblong oboe obscure obtain obtuse obvious occupy
ocean ocelot octane october ogle oink okay old olive omega omit onion online only onset onto onward onyx oops
ooze open opium oppose opt other ought outage outbid outer outfit outing outlet output oval ovary owl oxford
oxygen oyster ozone paced pacify paddle pagan palace paltry panama panda panic panther papaya paper parade
parcel pardon parish parka parlor parole parrot party pasta patient patrol paving payee payment pebble pecan
pectin pelican pellet pelt penalty pencil penny penpal pep perch perm pesky peso petal petite petri petted
phobia phony photo phrase plant plastic player plaza pleat pledge plenty plod pluck plug plural poem pogo pointy
poise poking polar police polka poncho pond pope popular porous portion posh possible postal pouch power powwow
prance precut predict prefix prelaw prepay preset pretty prevent prewar primary print prior prison private prize
problem process produce program prong proofs property proton proud proved proxy prozac prune public pucker
pueblo pull pulse puma pumice pummel punch punk pupil puppy purchase purely purge purity purple purr pushup
puzzle pyramid python quack quail quake quality quantum quarry quench query quill quirk quit quiver quote rabid
race racing racoon radar radio raft raider raisin rally ramble ramp ramrod ranch random ranged rants rarity
rascal ravage raven ravine ream reason rebel reboot rebuild recall recede recite record refill reflex refold
refuse regain reggae region regular rehab reheat rehire rejoin relax release relic reload rely remake remember
remix rename rental reopen repair repent replace repose reps require rerun resale resemble resize resource
result retool retreat return retype reunion reveal revise revolt reward rewind rework rewrap rhyme ribbon riches
ridden ride riding rigid rigor rind rinse riot ripple risk ritzy rival roamer roast robe robin robust rocket
rogue roman roping rosy royal rubber ruby ruckus rudder rug ruined rumor runner runway rural ruse sacred sadness
safari safely saga said saint salad saline salon salsa salt salute sample sandal santa sassy satisfy saucy sauna
saved savor say scale scam scant scarf scenic scheme science scion scoff scone scoop scorpion scotch scouts
scrap screen script scroll scuba scurvy second secret sector security sedan segment seldom seminar senate senior
sepia septum sequel series sermon service sesame settle setup shabby shadow shaft shaky shallow shank share
shawl sheath shed sheet shell sherry shield shifty shimmy shine ship shock shorts shout shove shown shrimp shrug
shuffle shun shush sibling sierra siesta silent silica silk silly silver simply singer siren sister sitcom sixth
size sizing sizzle skater sketch skewed skied skiing skinny skirt slab slacks slain slate sleep slept sliced
slimy slinky slogan sloped slot sludge slurp small smile smirk smith smog smoky smooth smudgy smugly snack snap
snarl snazzy sneer snide sniff snooze snore snowy snub speak specks speed spent spew sphere sphinx spider spiffy
spill spiny spiral spleen splice spoils spoken sponsor spoon sporty spouse spray spree spring sprout spruce spud
squad squeeze squint stable stadium staff stage stamp stand stark stash static stays steam stench step stereo
stick stifle stingy stir stoic stoke stony stood storm strategy street strike strobe struggle stucco student
stuffy stumble stung stupor sturdy stylus suave subject sublet subpar subtly suburb subway sudden sudoku suds
suffix sugar suggest suing suitor sulfur sullen supply supreme surface surprise surround survey sushi suspect
swan swarm swear swerve swipe swirl switch swivel swoosh sworn symptom syrup system tabby tables tackle taco tag
talcum tamale tamer tank taps target tarmac tarot tartar tassel taste tattoo tavern that theft theme thesis
thigh thing thirty thorn those thread thrive throat thud thumb tiara tibia tidal tidbit tiger tilt timid tingly
tinker tinsel tiny tipoff tipper tiptop tiring track trade traffic transfer trash travel tray treat treble tree
tremor trend trial tricky trifle trio tripod trophy trouble trowel truce trump trunks truth tuition tulip turf
turkey turret turtle tusk tutor tutu tux tweak tweed twelve twenty twerp twice twig twins twisty tycoon tyke
ultra umbrella umpire unaware unbend uncle uncover uncut undead undone unease uneven unfair unfold unglue
unhappy unholy unify unison unit universe unkind unknown unless unmade unpack unplug unreal unripe unruly unsafe
unseen unsnap until untrue unusual unwary unwed unworn unzip upbeat update upgrade uphill uphold upload upon
upper uproar upside uptake uptown upward upwind urban urchin urgent urging usable usage used usher usual utility
utmost utopia utter vacant valid valley value vanish various vastly veal vegan veggie velvet vendor venture
venue verify version very vessel veteran veto viable vibes victory video viewer village vintage violin viper
viral virtual virus visa vision visor voice voter voting vowed voyage wages waggle wagon walk walnut walrus
waltz wand wanted wasabi washer wasp water whacky wham wharf wheat whiff whiny whole whoops why widen widget
widow width wilder willow wimp wince wing winter wired wiry wisdom wise wispy wobble wok wolf wool woozy word
worry worst wound woven wrath wrist yard yeah yelp yen yield yippee yodel yoga yogurt yonder yoyo zebra zero
zesty zippy zips zodiac zombie zoning zoom
""".split()  # noqa: SIM905  2,048 lines otherwise
)
