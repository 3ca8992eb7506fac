"""Every limit of the protocol, in one place: unit in the name, reason (and precedent) beside it.

Two implementations that disagree on a number here will refuse each other's traffic, so each change is a
change of the protocol. Each limit has a test: at it, one below, one above.
"""

from __future__ import annotations

KIB = 1024
MIB = 1024 * KIB

# --- envelopes -------------------------------------------------------------------------------------
ENVELOPE_BYTES_MAX = 16 * MIB  # one envelope on the wire; a body must fit in memory a few times over
CORE_BYTES_MAX = 4 * KIB  # the signed header is a dozen small fields; 300 bytes in practice
SLOTS_MAX = 1024  # wrapped keys in one envelope: 1.2 MB and 100 ms of HPKE at the limit
RECIPIENTS_MAX = SLOTS_MAX - 1  # partners that one envelope may be for: its author has a row of its own
OWN_ROWS_MAX = 4  # rows marked for one recipient: one in practice; 1,024 such rows cost 0.3 s to try
INFLATED_BYTES_MAX = 64 * MIB  # all frames of one envelope, decompressed: bounds memory at intake
ZSTD_WINDOW_BYTES_MAX = 8 * MIB  # RFC 8878 section 3.1.1.1.2 recommends decoders support 8 MB
FRAME_OBJECTS_MAX = 1024  # objects in one frame: bounds what one transaction step holds in memory
FRAME_BYTES_MAX = 8 * MIB  # one frame, decompressed: what one step of intake holds in memory
FRAME_PLACES_MAX = (
    64 * KIB
)  # looked at for words that look like a marking: a frame of nothing else would cost seconds
FRAME_CLAIMS_MAX = 64 * KIB  # 64 an object; without it 5 MiB of patterns become a million claims in memory
ENVELOPE_CLAIMS_MAX = 400_000  # forty an object of what an author puts into one: bounds its time at intake
FRAME_COMMAS_MAX = (
    1_000_000  # in a frame that is read object by object: bounds the list of its parts to 64 MiB
)
OBJECTS_PER_BUNDLE_MAX = 200_000  # objects in one input bundle; a larger input is split by its author
ENVELOPE_OBJECTS_TARGET = 10_000  # a publication is split into envelopes of this many objects
ENVELOPE_PAYLOAD_BYTES_TARGET = 8 * MIB  # ... or this many compressed bytes, whichever comes first
PAYLOAD_FRAMES_MAX = 4096  # frames in one payload; ten in practice, each holds up to 1,024 objects
FORWARDED_ENVELOPES_MAX = (
    256  # of others in one payload that hands them on: their signatures are checked in 0.1 s
)
PUBLICATION_PARTS_MAX = 65_535  # envelopes of one publication: 655 million objects; a bit for each is 8 KiB
PADDING_FLOOR_BYTES = 256  # below this every payload looks the same (Padme grows from here)
TTL_SECONDS_BY_CLASS = {  # ttl class -> seconds it is carried; a closed set so that shards stay few
    1: 86_400,
    2: 7 * 86_400,
    3: 30 * 86_400,
    4: 90 * 86_400,
    5: 365 * 86_400,
    6: 730 * 86_400,
}
TTL_CLASS_BY_NAME = {"1d": 1, "7d": 2, "30d": 3, "90d": 4, "1y": 5, "2y": 6}
NOTICE_CLASS = 7  # the shard of a circle's cards and vouch pages; no envelope has it
NOTICE_CARRIED_SECONDS = (
    1_130 * 86_400
)  # from `created` on: a card's 400 days before its revocation, and the 730 of an envelope after it
SHARD_SECONDS_BY_CLASS = {**TTL_SECONDS_BY_CLASS, NOTICE_CLASS: NOTICE_CARRIED_SECONDS}

# --- time ------------------------------------------------------------------------------------------
FUTURE_DEFER_SECONDS = 600  # created further ahead than this: kept aside until its time comes
FUTURE_REFUSE_SECONDS = 86_400  # created further ahead than this: refused
INCARNATION_REFUSE_SECONDS = 2 * 86_400  # an incarnation further beyond `created` than this: refused
INCARNATION_COUNT_SECONDS = 86_400  # our next one is above those used up to so far beyond our clock: with one
# ... limit for both, a thief of our key who goes just below it would leave us no number that is accepted
# Where the clock is behind what we used, ours is drawn: up to so far beyond the clock, half of what counts, so that it
# still counts where the clock is then set back by half a day; from this part of what is left of that, so that fifty starts
# in a row leave some to draw from.
INCARNATION_DRAW_SECONDS = 43_200
INCARNATION_DRAW_SHARE = 8
CLOCK_DOUBT_SECONDS = (
    3_600  # after the clock jumped nothing expires by it: by then NTP, or who saw the alarm, has set it right
)
CLOCK_NEAR_SECONDS = (
    60  # clocks that are closer agree: nothing here is as exact as that, and a hello takes a while
)
EXPIRED_KEY_KEEP_SECONDS = 3_600  # an id outlives its expiry so that both sides compare the same set

# --- cards -----------------------------------------------------------------------------------------
CARD_BYTES_MAX = 128 * KIB  # eight hybrid root keys and their signatures take 58 KiB
ROOT_KEYS_MAX = 8  # TUF roots in practice have 3 to 5
CARD_LIFE_SECONDS_MAX = 400 * 86_400  # a year and a month to renew
OPERATIONAL_LIFE_SECONDS = 30 * 86_400
OPERATIONAL_OVERLAP_SECONDS = 60 * 86_400
CARD_NAME_BYTES_MAX = 256
CARD_URLS_MAX = 8
CARD_URL_BYTES_MAX = 512
CARD_REVOCATIONS_MAX = 64
CARD_TLS_CERTIFICATES_MAX = 2  # two only while rotating
TLS_CERTIFICATE_BYTES_MAX = 4 * KIB
CARD_CHAIN_LENGTH_MAX = 256  # versions replayed at first contact
CARD_CHAIN_BYTES_MAX = 4 * MIB  # a file of all versions: what one response may carry
CARD_SIGN_KEYS_MAX = 8  # at one a month the oldest outlives every envelope of the default class
CARD_KEM_KEYS_MAX = 2  # two only while rotating
CARD_HINT_KEYS_MAX = 8  # as many as sign keys: a hint is found with the key of its time
VOUCH_PAGE_IDS_MAX = 2_000  # in one page: 64 KB, small enough to be asked for again
VOUCH_SHELF_PAGES_MAX = 512  # of one circle or partner: a million envelopes
VOUCH_SHELVES_MAX = 2_048  # circles and partners together
VOUCH_SHELVES_STEP = 64  # filled up to a multiple: their number would say with how many partners one speaks
VOUCH_PAGE_BYTES_MAX = 144 * KIB  # those three lists full are 142.5 KiB
NOTICE_BYTES_MAX = VOUCH_PAGE_BYTES_MAX + 64  # a page or a card, and the circle
MEMBERS_MAX = 1_024  # on one member list: as many as one envelope may be for
MEMBER_LIST_SECONDS_MAX = 90 * 86_400  # a list that nobody renews says nothing after a quarter
MEMBER_LIST_BYTES_MAX = 96 * KIB  # 1,024 members of 77 bytes, and the signature, are 82 KiB
INTRODUCTION_BYTES_MAX = 16 * MIB  # a list and card files: 1,200 cards of one version

# --- spaces ----------------------------------------------------------------------------------------
ENTRY_HEADER_BYTES_MAX = 12 * KIB  # 256 partner ids and 16 parents are 9.3 KiB
ENTRY_BODY_BYTES_MAX = 256 * KIB  # a part of 192 KiB with room to spare; larger things travel in parts
ENTRY_BYTES_MAX = 280_000  # both, the signatures and their framing are 279,144
ENTRY_PARENTS_MAX = 16  # more heads are joined first: bounds what one entry costs a graph
ENTRY_AUDIENCE_MAX = 256  # as many as a space may have members
ENTRY_NUMBER_MAX = 10_000  # of one author in one space: five of them fill it
SPACE_MEMBERS_MAX = 256  # ever named, as an invitation knows of them: bounds the electorate a fold counts
SPACE_ENTRIES_MAX = 50_000  # in the past of an entry: folded in 5 s
SPACE_BODIES_BYTES_MAX = 256 * MIB  # of those together
AUTHORITY_ENTRIES_MAX = 64  # of one author, written not as lead: a join, votes, a few offers
AUTHORITY_ENTRIES_AS_LEAD_MAX = 4_096  # of one author, written as lead: invitations and removals
TAKEOVERS_PER_EPOCH_MAX = 16  # of one author: a new round every 10 minutes lasts over two hours
SPACE_WAITING_MAX = 1_024  # entries of one space that wait for parents: 280 MB at the very most
SPACE_UNCITED_MAX = 100  # content entries of an author that is not believed, which nobody else has cited
SPACE_WAITING_FOR_CARD_MAX = 256  # entries of one space that nobody has verified: one of each member
SPACE_WAITING_BYTES_MAX = (
    64 * MIB
)  # that one partner handed over, over all spaces: 230 of the largest entries
SPACES_PER_OPENER_MAX = 64  # opened by one partner: a new one each week for more than a year
SPACE_INVITATIONS_MAX = 64  # of one partner, into spaces whose opening is not here
INTRODUCED_CARD_BYTES_MAX = 256 * KIB  # twenty versions of a card of one root key
EXERCISES_HELD_MAX = 16  # at once: one each month, and those of a year that nobody removed
EXERCISES_PER_PARTNER_MAX = 4  # of those that one partner invited us into
EXERCISE_BYTES_MAX = (
    512 * MIB
)  # of one's file on the disk: twice a full space, for packs and what is played in them
REKEY_KEYS_MAX = 8  # named in one: as many as a card lists

# --- input -----------------------------------------------------------------------------------------
INPUT_BYTES_MAX = 64 * MIB  # one STIX input file; JSON needs to be held whole to be checked
INPUT_COMMAS_MAX = (
    4_000_000  # of one STIX file: bounds the list of its parts to 300 MiB; real files have a fifth
)
OBJECT_BYTES_MAX = 1 * MIB  # one STIX object
RULE_BYTES_MAX = 256 * KIB  # one Sigma or YARA rule; the longest of the public collections have 60 KiB
PRODUCTS_PER_STATUS_MAX = (
    256  # named in one vulnerability of an advisory; without it a document of 64 MiB says a
)
PRODUCT_CHARACTERS_MAX = 256  # ... long name a million times
RULE_NEEDS_MAX = 64  # other rules that one YARA rule names, and those they name: real ones need three
RULE_DEPTH_MAX = 32  # of a Sigma rule's YAML; real ones have 8
RULE_NODES_MAX = 20_000  # of a Sigma rule's YAML: lists of a few thousand values are real
OBJECT_BRACKETS_MAX = (
    32_768  # lists and objects inside one STIX object: 100 bytes of memory each, where the text has two
)
JSON_DEPTH_MAX = 64  # checked before parsing: no parser of ours meets a deeper text
LIST_LINE_BYTES_MAX = 64 * KIB  # one line of a value list; longer lines are refused, the rest is read
TABLE_ROW_LINES_MAX = 32  # lines of one table row: a quote that is not closed by then costs its row only
VALUE_BYTES_MAX = 8 * KIB  # one canonical value; the longest URL that browsers agree on is 2 KiB
PATTERN_OBSERVABLES_MAX = 1_000  # alternatives read from one pattern: bounds the claims of one object
REPORT_REFS_MAX = 16_384  # objects that one report names: 800 KiB of ids, below what one object may be
PROPOSALS_LISTED_MAX = 1_000  # newest first: more is not read by a person
ASSESSMENT_TEXT_CHARACTERS_MAX = 4_000  # of a note or an explanation: a screen of text
CHAIN_NUMBER_MAX = 2**63 - 1  # an author's incarnation or sequence, as envelopes carry them; SQLite's integer
SIGHTING_COUNT_MAX = 999_999_999  # of one sighting: STIX 2.1 section 5.2
LABELS_MAX = 64  # kept of one object: they are copied to each of its claims
LABEL_CHARACTERS_MAX = 256  # of one label
REFUSAL_EXAMPLES_MAX = 5  # shown for each reason: enough to find the mistake, too few to flood a screen
REJECT_CHARACTERS_MAX = 1_024  # of what was refused, in a line of --rejects: enough to find and mend it
EXAMPLE_CHARACTERS_MAX = 120  # of one example: fits a line of a terminal

# --- warning lists ---------------------------------------------------------------------------------
WARNING_LIST_BYTES_MAX = 48 * MIB  # one list.json: a million hosts take 25 MB; fits one control message
WARNING_LIST_ENTRIES_MAX = 2_000_000  # of one list; the longest in use are the million most visited sites
WARNING_LIST_NAME_CHARACTERS_MAX = 120  # it is shown beside each value it quarantines
WARNING_PATTERNS_PER_LIST_MAX = 1_000  # regexes and substrings; real lists have a few dozen
WARNING_PATTERN_CHARACTERS_MAX = 1_024  # of one; the longest in use (telephone numbers) have 900
WARNING_PATTERN_BYTES_MAX = 1 * MIB  # RE2's memory for one: `\pL{1000}` is refused, not compiled
GUARD_STEP_OBSERVABLES = 10_000  # evaluated again in one step: a tenth of a second of the daemon's writer
ALLOW_ENTRIES_MAX = 100_000  # the own allow list: written by people
ALLOW_REASON_CHARACTERS_MAX = 256

# --- transport -------------------------------------------------------------------------------------
TLS_HANDSHAKE_SECONDS = 5  # a handshake takes 2 ms; five seconds is a bad satellite link
TLS_HANDSHAKES_MAX = 64  # of strangers at once, and as many of known addresses: 300 KiB each
TLS_HANDSHAKES_PER_ADDRESS_MAX = 8  # two partners behind one address, CONNECTIONS_PER_PARTNER_MAX each
TLS_STRANGERS_PER_SECOND_MAX = 50  # that may begin a handshake: 2 to 4 ms of CPU each
TLS_KNOWN_PER_SECOND_MAX = 20  # the same for each known address: five partners behind it that all dial anew
CONNECTIONS_PER_PARTNER_MAX = 4
KEEPALIVE_SECONDS = 75  # above the usual 60 s of middleboxes' idle timers
REQUEST_BYTES_MAX = 64 * KIB  # every route but the one that carries envelopes
ENVELOPE_REQUEST_BYTES_MAX = 17 * MIB  # an envelope and its framing
RESPONSE_BYTES_MAX = 4 * MIB  # a batch of bodies; a single larger envelope travels alone
REQUEST_SECONDS_MAX = 60  # deadline of a handler
BODY_RATE_BYTES_PER_SECOND_MIN = 8 * KIB  # a body that trickles slower than this is cut off
SEND_PIECE_BYTES = 256 * KIB  # larger writes stall the loop under TLS
TLS_SHUTDOWN_SECONDS = 2  # for the peer's goodbye; after it the connection is cut
HEADER_SECONDS_MAX = 10  # from the first byte of a request's head to its last: one packet in practice
HEADER_LINE_BYTES_MAX = 2 * KIB  # our longest line is the 81 characters of an envelope's path
HEADER_FIELDS_MAX = 32  # our requests have 5, a browser's 15
BODY_GRACE_SECONDS = 10  # before the slowest permitted rate begins to count
LINGER_SECONDS = 2  # a refused body is read on for this long, so that its sender can read the refusal
BUFFERED_BODIES_BYTES_MAX = 64 * MIB  # all request bodies over 64 KiB in memory at once, of all partners
LARGE_BODIES_PER_PARTNER_MAX = 1  # of those at once: three other partners always find room
STOP_SECONDS_MAX = 5  # requests in progress may end; then connections are cut
CLIENT_IDLE_SECONDS = 60  # we close idle connections before the other side does at KEEPALIVE_SECONDS
RETRY_AFTER_SECONDS_MAX = 300  # a partner who asks for a longer pause is asked again anyway
REASON_BYTES_MAX = 64  # a reason code on the wire

# --- gossip ----------------------------------------------------------------------------------------
ANNOUNCE_ITEMS_MAX = 512
QUOTA_RESERVE_PARTS = 16  # one of so many parts of an author's quota is kept for small envelopes ...
QUOTA_SMALL_BYTES_MAX = 64 * KIB  # ... of this size: a withdrawal gets in when lists have filled the rest
QUOTA_RETRY_SECONDS = 3_600  # at least between two times that refused envelopes are asked for again
QUOTA_ALARM_PERCENT = 80  # of the quota: time to ask the author, or for room, before anything is refused
GET_IDS_MAX = 64
SHARDS_PER_LINK_MAX = 256  # circles times ttl classes in one hello: 42 circles are more than a person can run
WANT_ENTRIES_MAX = 50_000
WANT_ENTRIES_PER_PEER_MAX = 10_000
UNAVAILABLE_PER_LINK_MAX = 10_000
FAULT_REASONS_PER_LINK_MAX = 64  # some are a peer's own words: a new one each time must not fill memory
EAGER_PEERS_MAX = 8
EAGER_BYTES_MAX = 64 * KIB
BACKOFF_SECONDS_MIN = 1.0
BACKOFF_SECONDS_MAX = 300.0
HELLO_INTERVAL_SECONDS = 300.0
CLOCK_SKEW_SECONDS_MAX = 3_600  # beyond it a clock is noted for the operator, of both sides
CLOCK_AHEAD_SECONDS_MAX = (
    86_400  # a peer whose clock is further ahead is not believed when stores are compared
)
SYNC_FRAME_BYTES_MAX = 256 * KIB  # one reconciliation message; mandatory: 5 bytes can ask for everything
SYNC_FRAME_BYTES_MIN = 4 * KIB  # the reference's floor: 31 ids and their bounds must fit with room to spare
SYNC_ROUNDS_MAX = 200  # of one session: 1.6 million ids at 8,000 a frame; a peer that never ends is cut here
SYNC_PARTS_MAX = 16  # shards in one sync message: a frame of 16 KiB each at least
SYNC_BYTES_MAX = (
    SYNC_FRAME_BYTES_MAX + KIB
)  # all parts of a sync share one frame; a part's head takes 27 bytes
SYNC_SESSIONS_MAX = 8  # comparisons at once as the one who asks: 2 MB each with 10,000 differences found
SYNC_SESSION_SECONDS_MAX = 600  # 33 rounds on a link of 64 KiB/s take five minutes
SYNC_ANSWERS_MAX = 16  # of all peers at once, one a peer: 256 KiB each, and they take turns
SYNC_ANSWER_WORK_MAX = 8_192  # fingerprints or as much other work: 250 ms; the rest is covered by one range
SYNC_SESSION_STEPS_MAX = (
    30_000  # of half a millisecond that a session of ours may cost: 10,000 scattered of a million take 12,000
)
SYNC_STEPS_PER_MINUTE_MAX = 12_000  # of half a millisecond that one peer's questions may cost, then 429
SYNC_QUIET_SECONDS = 30  # roots may differ for this long, while what is new is under way
SYNC_QUIET_WAIT_SECONDS_MAX = 120  # a comparison that is due waits no longer for a link without traffic
AUDIT_SECONDS = 86_400  # between two keyed comparisons on a link
AUDIT_ANSWER_SECONDS_MIN = (
    3_600  # a new key from the same peer sooner is refused: a million keys cost a second
)
AUDITS_ANSWERED_MAX = 2  # of all peers at once: tags are 16 MB a million keys
AUDIT_KEPT_SECONDS = 600  # tags of an audit that does not go on are dropped: as long as a session may take
SYNC_DIFFERENCES_MAX = 50_000  # ids one session gathers (2 x 6 MB): as many as the want table holds
REQUESTS_IN_FLIGHT_PER_PEER_MAX = 4  # one for each connection a partner may have
POLL_WAIT_SECONDS_MAX = 30  # an answer without news comes after this: half of what a handler may take
POLL_PAUSE_SECONDS = 1.0  # before asking again after an answer that brought nothing
DIRECT_HELD_MAX = 10_000  # direct envelopes fetched from one peer that it was not told of yet
ARRIVALS_KEPT_MAX = 8_192  # newest arrivals kept for announcing; who is further behind compares instead
PUSHES_WAITING_PER_PEER_MAX = 512  # bodies promised to one linked peer: what one announcement can ask for
EAGER_WAITING_PER_PEER_MAX = 16  # a longer burst is announced: 64 bodies then share one request and commit
RECONCILE_SECONDS_MAX = 900  # pause between comparisons of two stores that find nothing
LINK_UP_JITTER_SECONDS_MAX = 5.0  # comparisons after a restart of many nodes do not fall on one moment
COALESCE_SECONDS_MIN = 0.050  # arrivals of this long share one announcement
ROUND_TRIP_SECONDS_MAX = 1.0  # what is believed of a peer's round trip: a satellite link has 0.7 s
FETCH_SECONDS_MIN = 0.250  # before another announcer is asked, at least
FETCH_BYTES_PER_SECOND_MIN = 64 * KIB  # slower than this another announcer is asked
DISK_FULL_PAUSE_SECONDS = 60.0  # before a partner whose disk was full is asked again
SWEEP_SECONDS = 60.0  # how often deferred envelopes and expiry are looked at
EXCHANGES_NOTED_SECONDS = 5.0  # how often the times of exchanges are written down
NO_ROOM_PAUSE_SECONDS = 60.0  # after a full disk, before bodies are asked for again
FIRST_HOPS_MAX = 100_000  # own envelopes without a first acknowledgement that the engine looks for
ASIDE_MAX = 10_000  # deferred ids that are not asked for again
OUTBOX_READ_MAX = 1_000  # direct envelopes waiting for one peer that the engine knows of at once
POLL_DIRECT_MAX = 64  # direct envelopes named in one answer to a poll: as many as one `get` may ask for

# --- alarms ----------------------------------------------------------------------------------------
GAP_ALARM_SECONDS = 900  # before a missing number is an alarm: two stores compare every 15 minutes at least
PAGES_ALARM_SECONDS = 900  # before a list that did not come is an alarm: as long as for a missing number
GAPS_SHOWN_MAX = 5  # ranges or objects named in one alarm; the store has them all
NO_EXCHANGE_ALARM_SECONDS = 3_600  # a link that works is heard every 5 minutes; an hour is no restart
NOT_LET_IN_ALARM_SECONDS = 900  # a knock opens in seconds a door that a changed certificate closed
RHYTHM_ENVELOPES_MIN = 8  # before an author has a usual pause
RHYTHM_ENVELOPES_MAX = 32  # the newest that it is taken from
RHYTHM_FACTOR = (
    3  # times its longest pause lately: a week's end is no alarm for who has paused over one before
)
RHYTHM_SECONDS_MIN = 86_400  # nobody is called silent within a day
USED_TWICE_ALARM_SECONDS = 30 * 86_400  # after both branches were last in use: the copy was stopped
KEYS_ALARM_SECONDS = 30 * 86_400  # before our keys end: they were due for renewal for as long
EXPIRED_UNREAD_ALARM_SECONDS = 30 * 86_400  # after the last one: nothing else tells of it any more

# --- topology doctor -------------------------------------------------------------------------------
ECLIPSE_PEERS_MIN = 3  # two peers who conspire, or fail together, cannot hide what the third brings
ECLIPSE_ORGANISATIONS_MIN = 2  # ... and one organisation with three nodes is still one
PARTNER_LIST_BYTES_MAX = 4 * MIB  # ten thousand partners at 250 bytes, and names of any length
PARTNER_LIST_ENTRIES_MAX = 10_000  # partners in one list: more than any federation of hospitals or banks
PARTNER_LISTS_MAX = 10_000  # in one examination; memory follows the links they tell of
TOPOLOGY_LINKS_MAX = 1_000_000  # told by all lists of one examination, both ends counted: 200 MB
TOPOLOGY_EXACT_PARTNERS_MAX = 1_000  # a walk from each for the diameter: 2 s; larger circles get a bound
TOPOLOGY_MENDS_MAX = 32  # links proposed at once for one circle: as many as people can arrange in a month

# --- store -----------------------------------------------------------------------------------------
FREE_SPACE_BYTES_MIN = 64 * MIB  # below this nothing new is acknowledged: WAL and checkpoint need room
READING_SPACE_BYTES_MIN = (
    256 * MIB  # free above that floor, or content waits to be read: what we carry for others goes first
)

STORE_BUSY_MILLISECONDS = 5_000  # a reader that recovers the log, or a checkpoint, ends well within this
STORE_LOG_BYTES = (
    32 * MIB
)  # from this size on the write-ahead log is moved into the file: by a daemon beside its writer ...
STORE_LOG_BYTES_MAX = (
    64 * MIB
)  # ... and by the writer itself where that does not keep up: what the floor leaves room for
STORE_CACHE_BYTES = 64 * MIB  # page cache of the writing connection unless configured
REEVALUATE_OBSERVABLES = (
    2_000  # evaluated in one transaction of the sweep: some 50 ms that other writers wait
)
STORE_CHUNK_OBJECTS = 8_192  # objects, or claims where they are more, stored at once: bounds memory
DEFERRED_ENTRIES_PER_PARTNER_MAX = 64  # envelopes of the near future: a wrong clock, not a way of life
DEFERRED_BYTES_MAX = 64 * MIB  # all of them together
DEFERRED_BYTES_PER_PARTNER_MAX = 16 * MIB  # one partner leaves room for three others
FORK_EVIDENCE_PER_AUTHOR_MAX = 16  # forked pairs of one author that outlive their expiry: one is proof

# --- control socket ----------------------------------------------------------------------------------
CONTROL_FRAME_BYTES_MAX = 64 * MIB  # a publication already read and compressed; local, permitted users only
CONTROL_CONNECTIONS_MAX = 16  # commands at once
CONTROL_REQUEST_SECONDS_MAX = 60  # from connecting to the end of the request
CONTROL_STOP_SECONDS_MAX = 20  # for operations that began when the daemon is told to stop; systemd waits 30
CONTROL_LIFE_SIGN_SECONDS = 5  # how often a long operation shows that it lives
CONTROL_SILENCE_SECONDS_MAX = 20  # four missed signs: the daemon hangs
HOME_WAIT_SECONDS = 10  # how long a command waits for another one that holds the home folder
