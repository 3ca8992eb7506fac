"""Which of our models an advisory's product may be, by name: pairs that a person confirms or rejects once.

CISA's medical advisories carry neither purl nor CPE, and a hospital writes `Alaris PC Unit 8015` where they write
`Alaris 8015 PC unit`. The matcher proposes; nothing that it says counts before a person has confirmed it.

1. **Makers** must be one (vendors.py), unless our list names none.
2. **Words** weigh by how rare they are among all products and models (IDF), words for kinds of devices little. Two
   coverages are asked for: how much of their name ours has, and how much of ours theirs has. A word may be written in
   one piece or several (Wi-Fi), as initials (PIC), in the plural, or with one wrong letter.
3. **Numbers decide.** Where their name has model numbers (FM20/FM30, MX400-550, 5x0), ours must have one of them, and none
   of the same shape that they do not name. What they exclude ("not including EchoPAC") is no proposal. An order number
   that both name decides alone, and of two different ones no name makes a match: families such as SIMATIC differ in
   nothing else.
4. **The advisory's title** and its other products speak for our words that its product leaves out (CARESCAPE B650 of "GE
   CARESCAPE ...").
5. **Of one advisory's products** only those stay that have most of our words, and of these those of whose words we
   have most: a sibling is no match.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from p2pshare.risk.name_words import (
    NAME_WORDS_MAX,
    SIBLING_WORDS,
    Name,
    bits_of,
    codes_of,
    forms_of,
    glued,
    initials,
    is_family_word,
    is_kind,
    is_tesla,
    is_version_word,
    lettered,
    narrowing,
    numbers_in,
    open_number,
    read_name,
    shape,
)
from p2pshare.risk.vendors import group_words, one_letter_apart, vendor_keys
from p2pshare.risk.version_statements import name_version_differs

PRODUCTS_COMPARED_MAX = (
    5_000  # of one advisory: CISA's largest has 300; a file of more costs a minute at worst, and no more
)
PROPOSALS_PER_MODEL_MAX = (
    24  # of one model and one advisory; a family's name that fits more is no help to anybody
)
ALIAS_DIGITS = 12  # hexadecimal: among a million pairs two are called the same with a chance of 1 in 600

# Weights and thresholds: found with one half of CISA's medical advisories, judged with the other and with a second hospital
# (docs/risk-matching.md).
THEIRS_COVERED_MIN = 0.6  # the part of their words' weight that our name has
FAMILY_COVERED_MIN = (
    0.85  # the same, where ours has a number and theirs none: CARESCAPE B40 is no CARESCAPE Central Station
)
RARE_NUMBER_COVERED_MIN = 0.45  # the same, where a number of letters and digits is on both sides: MX40
NAMELESS_COVERED_MIN = 0.85  # the same, where one side names no maker
OURS_COVERED_MIN = 0.6  # the part of our words' weight that theirs has, with the title
OURS_NUMBERED_MIN = 0.5  # the same, where a model number has matched
OURS_OF_WHOLE_MIN = 0.42  # the same, where ours has all words of theirs
OURS_OF_FAMILY_MIN = (
    0.25  # the same, where theirs says that it is a family's: Vivid products; LOGIQ, not including ...
)
OURS_OF_ONE_WORD_MIN = 0.5  # the same, where theirs is a single word: Essential, Current
WHOLE_OURS_MIN = 0.75  # from here on, where ours has all words of theirs, none of them need be rare
SCORE_MIN = 0.64  # the root of both coverages multiplied
DISTINCT_WEIGHT_MIN = (
    2.5  # what must have matched beside words for kinds: a word that one product in twelve has
)
PRIOR_PRODUCTS = 1_000  # counted as if so many had been seen, so that a small corpus weighs like a large one
PRIOR_OF_KIND_WORDS = 150  # in how many of these a word for a kind of device stands
KIND_WEIGHT = 0.3  # of such words, and of a maker's own name
SINGLE_SIGN_WEIGHT = 0.5  # of one letter or digit, and of a magnet's strength
UNKNOWN_WEIGHT = 0.7  # of a word of ours that no advisory has ever had: as often a description as a name
CODE_WEIGHT = 0.1  # of our order number, where theirs has none like it: nobody expects it there
NOTE_WEIGHT = 0.35  # of what stands behind "with" in a name, and in parentheses in ours
NUMBERED_REST_FACTOR = 0.5  # of our other words once a model number has matched
SIBLING_FACTOR = (
    0.5  # of a word of ours that another product of the same advisory has: the same family, or that sibling
)
INITIALS_FACTOR = 0.95
MISSPELT_FACTOR = 0.85
FAMILY_FACTOR = 0.8  # CX of CX50
BARE_NUMBER_FACTOR = 0.8  # 660 for CT660
SAME_TEXT_WEIGHT = 1e6  # of a name that is ours to the letter: more than any words
SPARE_WEIGHT = 0.1  # of what need not be in ours: it only orders siblings
RARE_NUMBER_SIGNS_MIN = 4
FAMILY_PRODUCTS_MIN = 3  # of one advisory, that have a word: then it is a family's
BARE_DIGITS_MAX = 4  # of a number that many makers and families have
PREFIX_LETTERS_MAX = 4  # of letters that belong to a number: CT, MMT
MISSPELT_LETTERS_MIN = 6
DERIVED_LETTERS_MIN = 4
LONG_CODE_SIGNS = (
    12  # of order numbers of one maker's scheme, whatever its families begin with: 6GK..., 6AG...
)
READ_FORMS_MAX = 10_000  # forms of names kept read, some 2 KB each; then they are read anew


class OwnModel(NamedTuple):
    """A model of ours, as our list writes it. `versions`: what our devices of that model show."""

    id: int
    vendor: str
    product: str
    model: str = ""
    versions: tuple[str, ...] = ()


class TheirModel(NamedTuple):
    """A product as an advisory writes it. `variant`: what stands in place of a version and names a model; `models`: order
    and model numbers beside the name."""

    id: int
    vendor: str
    product: str
    variant: str = ""
    models: tuple[str, ...] = ()


class NameProposal(NamedTuple):
    """A pair for a person to look at: ids of both sides, a score up to 1, and sentences that say what speaks for it."""

    own: int
    theirs: int
    score: float
    evidence: tuple[str, ...]


def alias_id(own: OwnModel, theirs: TheirModel) -> str:
    """Returns the name of a pair: twelve hexadecimal digits of the texts of both sides, to the letter (compactplus and compactPlus of one
    maker are two rows of theirs, and must not share a name)."""
    texts = (own.vendor, own.product, own.model, theirs.vendor, theirs.product, theirs.variant)
    return hashlib.sha256("\x1f".join(texts).encode("utf-8", "surrogatepass")).hexdigest()[:ALIAS_DIGITS]


@dataclass(slots=True)
class _Own:
    """A model of ours with what the matcher asks of it: `spoken`: its words in every way to write them, with their bits;
    `numbers`: bits of model numbers, `named_numbers`: of those in its name; `code_bits`: of an order number's words."""

    model: OwnModel
    keys: frozenset[str]
    maker_words: frozenset[str]
    words: tuple[str, ...]
    spoken: dict[str, int]
    initials: dict[str, int]
    codes: frozenset[str]
    numbers: int
    named_numbers: int
    code_bits: int
    asides: int


@dataclass(slots=True)
class _Met:
    """What of a name and a model of ours has met: factors of their words, and of ours, by place."""

    theirs: dict[int, float] = field(default_factory=dict)
    ours: dict[int, float] = field(default_factory=dict)
    misspelt: list[str] = field(default_factory=list)


class _Key(NamedTuple):
    """One way in which words of theirs may stand in ours."""

    spoken: str
    bits: int
    factor: float
    is_initials: bool = False


class _Asked(NamedTuple):
    """A form of their name, ready to be held against models of ours."""

    name: Name
    keys: tuple[_Key, ...]
    excluded: tuple[frozenset[str], ...]


class _Here(NamedTuple):
    """An advisory's title, its words, and in how many of its product names each word stands."""

    title: str
    title_words: frozenset[str]
    products: Counter[str]


class _Side(NamedTuple):
    """How much of one side's words the other has; `lacking`: weight of what should be there and is not."""

    covered: float
    met: float
    lacking: float
    distinct: float = 0.0
    spare: float = 0.0


class _Candidate(NamedTuple):
    own: int
    theirs: TheirModel
    ours_weight: float
    theirs_covered: float
    score: float
    evidence: tuple[str, ...]
    is_unnumbered: bool = False


class NameMatcher:
    """All our models, ready to be asked of one advisory after the other."""

    def __init__(self, models: Iterable[OwnModel]) -> None:
        self._owns: list[_Own] = []
        self._with_word: dict[str, list[int]] = defaultdict(list)
        self._with_initials: dict[str, list[int]] = defaultdict(list)
        self._with_text: dict[str, list[int]] = defaultdict(list)
        self._with_code: dict[str, list[int]] = defaultdict(list)
        self._with_letters: dict[str, set[str]] = defaultdict(set)
        self._with_bare_number: dict[str, set[str]] = defaultdict(set)
        self._with_less: dict[str, set[str]] = defaultdict(set)
        self._counts: Counter[str] = Counter()
        self._known: set[str] = set()
        self.products = 0  # how many were learnt
        self._weights: dict[str, float] = {}
        self._resolved: dict[str, list[tuple[str, float]]] = {}
        self._asked: dict[str, tuple[Name, tuple[_Key, ...]]] = {}
        for model in models:
            self._take(model)

    def learn(self, products: Iterable[TheirModel]) -> None:
        """Counts in how many products each word stands, so that rare words weigh more; the same products again count again."""
        for product in products:
            words = set(read_name(product.product).words) | set(read_name(product.variant).words)
            self._counts.update(words)
            self._known.update(words)
            self.products += 1
        self._weights.clear()

    def proposals(
        self, title: str, products: Sequence[TheirModel], versions: Mapping[int, Sequence[str]] | None = None
    ) -> list[NameProposal]:
        """Returns the pairs of one advisory, best first; of more than PRODUCTS_COMPARED_MAX products the first. `versions`: the statements of each product (they do not change what is
        proposed: a device of another version is still that device)."""
        products = list(dict.fromkeys(products))[:PRODUCTS_COMPARED_MAX]
        titled = read_name(title).words
        in_names = Counter(
            word for name in {product.product for product in products} for word in set(read_name(name).words)
        )
        here = _Here(title, frozenset(titled) | {joined for joined, _ in glued(titled)}, in_names)
        by_own: dict[int, list[_Candidate]] = defaultdict(list)
        for product in products:
            for candidate in self._candidates(product, here):
                by_own[candidate.own].append(candidate)
        found = [
            NameProposal(
                self._owns[index].model.id, one.theirs.id, round(min(one.score, 1.0), 3), one.evidence
            )
            for index, candidates in by_own.items()
            for one in _without_siblings(candidates)
        ]
        return sorted(found, key=lambda proposal: (-proposal.score, proposal.own, proposal.theirs))

    def _take(self, model: OwnModel) -> None:
        keys = vendor_keys(model.vendor)
        if not keys:  # a list without that column may name the maker before the product
            keys = frozenset(key for key in vendor_keys(model.product) if key.startswith("="))
        name, beside = read_name(model.product), read_name(model.model)
        shift = len(name.words)
        words = (*name.words, *beside.words)[:NAME_WORDS_MAX]
        everything = (1 << len(words)) - 1
        # Lists have an order number in that column, or the model's whole name: then it counts as the product's does.
        is_code = len(model.model.split()) == 1 and any(sign.isdigit() for sign in model.model)
        asides = name.notes | name.withs | (0 if is_code else beside.notes | beside.withs) << shift
        in_code = everything & ~((1 << shift) - 1) if is_code else 0
        numbers = (name.numbers | beside.numbers << shift) & everything
        spoken: dict[str, int] = {}
        for word in read_name(model.vendor).words:  # may be a word of theirs: McKesson Cardiology
            spoken[word] = 0
        for letters_at, letters in enumerate(
            words
        ):  # apart or in another order: CT Optima 660 is Optima CT660
            if len(letters) <= PREFIX_LETTERS_MAX and letters.isalpha():
                for number_at, number in enumerate(words):
                    if number[0].isdigit():
                        spoken[letters + number] = 1 << letters_at | 1 << number_at
        for part, by in ((name.words, 0), (beside.words, shift)):
            for joined, bits in glued(part):
                spoken[joined] = spoken.get(joined, 0) | (bits << by & everything)
        for place, word in enumerate(words):
            spoken[word] = spoken.get(word, 0) | 1 << place
        own = _Own(
            model,
            keys,
            group_words(keys),
            words,
            spoken,
            dict(initials(name.words)),
            name.codes | beside.codes,
            numbers,
            numbers & ~asides & ~in_code,
            in_code,
            asides & everything,
        )
        index = len(self._owns)
        self._owns.append(own)
        for word in spoken:
            self._with_word[word].append(index)
            if found := re.fullmatch(r"[a-z]{1,3}(\d{3,}[a-z]*)", word):
                self._with_bare_number[found[1]].add(word)
            if len(word) >= MISSPELT_LETTERS_MIN and word.isalpha():
                for place in range(len(word)):
                    self._with_less[word[:place] + word[place + 1 :]].add(word)
        for word in words:
            if found := re.fullmatch(r"([a-z]{1,4})\d+[a-z]*", word):
                self._with_letters[found[1]].add(word)
        for letters in own.initials:
            self._with_initials[letters].append(index)
        for code in own.codes:
            self._with_code[code].append(index)
        if _spoken(model.product):
            self._with_text[_spoken(model.product)].append(index)
        self._counts.update(set(words))

    def _weight(self, word: str) -> float:
        """Returns how much a word tells, before its maker is known."""
        weight = self._weights.get(word)
        if weight is None:
            kind = is_kind(word)
            count = self._counts[word] + (PRIOR_OF_KIND_WORDS if kind or word in SIBLING_WORDS else 0)
            weight = math.log((PRIOR_PRODUCTS + self.products + len(self._owns) + 1) / (count + 1))
            if kind:
                weight *= KIND_WEIGHT
            elif len(word) == 1 or is_tesla(word):
                weight *= SINGLE_SIGN_WEIGHT
            self._weights[word] = weight
        return weight

    def _resolve(self, word: str) -> list[tuple[str, float]]:
        """Returns the words of our lists that a word of theirs may be, with how sure that is."""
        known = self._resolved.get(word)
        if known is not None:
            return known
        known = [(word, 1.0)] if word in self._with_word else []
        if not known and len(word) >= MISSPELT_LETTERS_MIN and word.isalpha():
            near = set(self._with_less.get(word, ()))
            for place in range(len(word)):
                less = word[:place] + word[place + 1 :]
                near.update(self._with_less.get(less, ()))
                if less in self._with_word:
                    near.add(less)
            known.extend((other, MISSPELT_FACTOR) for other in sorted(near) if one_letter_apart(word, other))
        if 2 <= len(word) <= PREFIX_LETTERS_MAX and word.isalpha() and not is_kind(word):
            known.extend((other, FAMILY_FACTOR) for other in sorted(self._with_letters.get(word, ())))
        if (found := re.fullmatch(r"[a-z]{1,3}(\d{3,}[a-z]*)", word)) and found[1] in self._with_word:
            known.append((found[1], BARE_NUMBER_FACTOR))
        known.extend((other, BARE_NUMBER_FACTOR) for other in sorted(self._with_bare_number.get(word, ())))
        if pattern := open_number(word):
            known.extend((other, 1.0) for other in sorted(self._with_word) if pattern.fullmatch(other))
        self._resolved[word] = known
        return known

    def _read(self, form: str) -> tuple[Name, tuple[_Key, ...]]:
        """Returns a form of their name, and the ways in which its words may stand in ours."""
        known = self._asked.get(form)
        if known is None:
            if len(self._asked) >= READ_FORMS_MAX:
                self._asked.clear()
                self._resolved.clear()
            name = read_name(form)
            keys: list[_Key] = []
            for place, word in enumerate(name.words):
                keys.extend(_Key(other, 1 << place, factor) for other, factor in self._resolve(word))
                if 3 <= len(word) <= 4 and word.isalpha() and word in self._with_initials:
                    keys.append(_Key(word, 1 << place, INITIALS_FACTOR, is_initials=True))
            keys.extend(
                _Key(joined, bits, 1.0) for joined, bits in glued(name.words) if joined in self._with_word
            )
            keys.extend(
                _Key(letters, bits, INITIALS_FACTOR)
                for letters, bits in initials(name.words)
                if letters in self._with_word
            )
            first_number = name.numbers & -name.numbers
            keys.extend(
                _Key(number, first_number, 1.0)
                for number in sorted(name.allowed)
                if number in self._with_word
            )
            known = self._asked[form] = (name, tuple(keys))
        return known

    def _candidates(self, product: TheirModel, here: _Here) -> Iterable[_Candidate]:
        keys = vendor_keys(product.vendor)
        makers = group_words(keys)
        codes = frozenset(
            code for text in (product.product, product.variant, *product.models) for code in codes_of(text)
        )
        forms, excluded = forms_of(product.product, product.variant)
        best: dict[int, _Candidate] = {}
        for form in forms:
            name, ways = self._read(form)
            for index in self._near(name, ways, makers):
                own = self._owns[index]
                if own.keys and keys and not own.keys & keys:
                    continue
                both = makers | own.maker_words
                # Sante FFT of Santesoft: a name made of the maker's.
                both |= {
                    word
                    for word in name.words
                    if len(word) >= DERIVED_LETTERS_MIN and any(maker.startswith(word) for maker in both)
                }
                candidate = self._judge(index, product, keys, codes, _Asked(name, ways, excluded), both, here)
                if candidate is not None and (index not in best or _rank(candidate) > _rank(best[index])):
                    best[index] = candidate
        for index in self._with_text.get(_spoken(product.product), ()) if not product.variant else ():
            own = self._owns[index]
            makers_fit = not own.keys or not keys or own.keys & keys
            if index not in best and makers_fit and not (codes and own.codes and not codes & own.codes):
                best[index] = _Candidate(
                    index, product, SAME_TEXT_WEIGHT, 1.0, 1.0, ("the same name on both sides",)
                )
        for code in codes:
            for index in self._with_code.get(code, ()):
                own = self._owns[index]
                if not own.keys or not keys or own.keys & keys:
                    best[index] = _Candidate(
                        index, product, math.inf, 1.0, 1.0, (f"order number on both sides: {code.upper()}",)
                    )
        return best.values()

    def _near(self, name: Name, ways: Sequence[_Key], makers: frozenset[str]) -> Iterable[int]:
        """Returns the models of ours that may have enough of a name's words: each must have one of the rarest, or what is left of
        the words is too little."""
        needed: list[tuple[float, int]] = []
        grouped = optional_bits = 0
        optional = 0.0
        for group in (*name.groups, *name.number_groups):
            grouped |= group
            if group & (name.notes | name.withs):
                optional_bits |= group
                optional += max(self._weight(name.words[place]) for place in bits_of(group))
            else:
                needed.append((max(self._weight(name.words[place]) for place in bits_of(group)), group))
        for place, word in enumerate(name.words):
            if grouped >> place & 1 or is_version_word(word):
                continue
            weight = self._weight(word) * (KIND_WEIGHT if word in makers else 1.0)
            if (name.notes | name.withs) >> place & 1 or is_family_word(word) or is_kind(word):
                optional_bits |= 1 << place
                optional += weight
            else:
                needed.append((weight, 1 << place))
        whole = left = sum(weight for weight, _ in needed)
        enough = THEIRS_COVERED_MIN * MISSPELT_FACTOR * whole - (1 - THEIRS_COVERED_MIN) * optional
        wanted = 0
        for weight, bits in sorted(needed, reverse=True):
            if left < enough:
                break
            wanted |= bits
            left -= weight
        else:
            wanted |= optional_bits
        found: set[int] = set()
        for way in ways:
            if way.bits & wanted:
                found.update(
                    (self._with_initials if way.is_initials else self._with_word).get(way.spoken, ())
                )
        return sorted(found)

    def _judge(
        self,
        index: int,
        product: TheirModel,
        keys: frozenset[str],
        codes: frozenset[str],
        asked: _Asked,
        makers: frozenset[str],
        here: _Here,
    ) -> _Candidate | None:
        """Returns a model of ours as what a product may be, None where it is not."""
        own, name = self._owns[index], asked.name
        met = _meet(own, asked.keys)
        if not met.theirs or _is_contradicted(own, product, codes, asked, met, makers, here):
            return None
        theirs = self._theirs_covered(name, met, makers, here)
        if not theirs.met:
            return None
        numbered = any(
            place in met.theirs and len(name.words[place]) >= 3 and not is_tesla(name.words[place])
            for place in bits_of(name.numbers)
        )
        ours, titled, missing = self._ours_covered(own, name, met, makers, numbered, here)
        score = math.sqrt(theirs.covered * ours.covered)
        has_all = theirs.lacking <= 0.001 * theirs.met
        if not (has_all and theirs.covered > 0.999 and ours.covered >= WHOLE_OURS_MIN):
            theirs_least, ours_least, score_least = _least(own, asked, met, has_all, numbered)
            if theirs.distinct < DISTINCT_WEIGHT_MIN or score < score_least:
                return None
            if theirs.covered < theirs_least or ours.covered < ours_least:
                return None
            if not numbered and _is_family_alone(name, met, makers, missing, here):
                return None
        if (not own.keys or not keys) and theirs.covered < NAMELESS_COVERED_MIN:
            return None
        return _Candidate(
            index,
            product,
            round(ours.met, 6),
            round(theirs.covered - theirs.spare / (theirs.met + theirs.lacking + theirs.spare), 6),
            score,
            _evidence(own, product, keys, name, met, titled, missing, theirs.covered, ours.covered),
            is_unnumbered=bool(name.numbers)
            and not any(place in met.theirs for place in bits_of(name.numbers)),
        )

    def _theirs_covered(self, name: Name, met: _Met, makers: frozenset[str], here: _Here) -> _Side:
        weights = [self._weight(word) * (KIND_WEIGHT if word in makers else 1.0) for word in name.words]
        whole = share_met = lacking = distinct = spare = 0.0
        grouped = 0
        for group in (*name.groups, *name.number_groups):
            grouped |= group
            members = list(bits_of(group))
            have = [place for place in members if place in met.theirs]
            spare += (
                sum(weights[place] for place in members if place not in met.theirs)
                * SPARE_WEIGHT
                * SPARE_WEIGHT
            )
            if not have and group & name.notes:
                continue
            of = max(weights[place] for place in (have or members))
            if not have and group & name.withs:
                of *= NOTE_WEIGHT
            share = max((weights[place] * met.theirs[place] for place in have), default=0.0)
            whole += of
            share_met += share
            lacking += 0.0 if have else of
            if any(name.words[place] not in makers and not is_kind(name.words[place]) for place in have):
                distinct += share
        for place, word in enumerate(name.words):
            if grouped >> place & 1 or is_version_word(word):
                continue
            share = weights[place] * met.theirs.get(place, 0.0)
            of = weights[place]
            if not share:
                if (
                    name.notes >> place & 1
                    or is_family_word(word)
                    or (is_kind(word) and word in here.title_words)
                ):
                    spare += of * SPARE_WEIGHT
                    continue
                if name.withs >> place & 1:
                    of *= NOTE_WEIGHT
                lacking += of
            whole += of
            share_met += share
            if word not in makers and not is_kind(word):
                distinct += share
        return _Side(share_met / whole if whole else 0.0, share_met, lacking, distinct, spare)

    def _ours_covered(
        self, own: _Own, name: Name, met: _Met, makers: frozenset[str], numbered: bool, here: _Here
    ) -> tuple[_Side, list[str], list[str]]:
        """Returns how much of our words theirs has, our words that only the title or a sibling has, and those that nothing has."""
        grouped = 0
        for group in (*name.groups, *name.number_groups):
            grouped |= group
        is_other_family = any(
            place not in met.theirs and not is_kind(word) and word not in makers and not is_version_word(word)
            for place, word in enumerate(name.words)
            if not (grouped | name.notes | name.withs) >> place & 1
        )
        whole = share_met = product_met = 0.0
        titled: list[str] = []
        missing: list[str] = []
        for place, word in enumerate(own.words):
            weight = self._weight(word) * (KIND_WEIGHT if word in makers else 1.0)
            factor = met.ours.get(place)
            if factor is not None:
                whole += weight
                share_met += weight
                product_met += weight * factor
                continue
            if is_version_word(word):
                continue
            is_sibling = here.products[word] > 0
            is_said_nearby = not is_other_family if is_sibling else word in here.title_words
            if is_said_nearby and word not in makers:
                whole += weight
                share_met += weight * (SIBLING_FACTOR if is_sibling else 1.0)
                titled.append(word)
                continue
            if own.code_bits >> place & 1:
                whole += weight * CODE_WEIGHT
                continue
            if own.asides >> place & 1:
                weight *= NOTE_WEIGHT
            elif self.products and word not in self._known:
                weight *= UNKNOWN_WEIGHT
            whole += weight * (NUMBERED_REST_FACTOR if numbered else 1.0)
            missing.append(word)
        return _Side(share_met / whole if whole else 0.0, product_met, whole - share_met), titled, missing


def _spoken(text: str) -> str:
    return " ".join(text.casefold().split())


def _meet(own: _Own, keys: Sequence[_Key]) -> _Met:
    met = _Met()
    for key in keys:
        bits = (own.initials if key.is_initials else own.spoken).get(key.spoken)
        if bits is None:
            continue
        for place in bits_of(key.bits):
            if key.factor > met.theirs.get(place, 0.0):
                met.theirs[place] = key.factor
        for place in bits_of(bits):
            if key.factor > met.ours.get(place, 0.0):
                met.ours[place] = key.factor
        if key.factor == MISSPELT_FACTOR:
            met.misspelt.append(key.spoken)
    return met


def _is_contradicted(
    own: _Own,
    product: TheirModel,
    codes: frozenset[str],
    asked: _Asked,
    met: _Met,
    makers: frozenset[str],
    here: _Here,
) -> bool:
    """Returns whether something says that a model of ours is not this product, whatever the words (rule 3)."""
    name = asked.name
    if any(all(word in own.spoken for word in words) for words in asked.excluded):
        return True
    theirs, ours = lettered(product.product), lettered(own.model.product)
    if any(not letters & theirs[word] for word, letters in ours.items() if word in theirs):
        return True  # X-Scribe and R-Scribe
    if (
        codes
        and own.codes
        and not codes & own.codes
        and any(_alike(one, other) for one in codes for other in own.codes)
    ):
        return True
    if own.model.versions and all(
        name_version_differs(product.product, version) for version in own.model.versions
    ):
        return True
    unmet_shapes = {shape(own.words[place]) for place in bits_of(own.numbers) if place not in met.ours}
    unmet_groups = [
        group for group in name.number_groups if not any(place in met.theirs for place in bits_of(group))
    ]
    if name.number_groups and len(unmet_groups) == len(name.number_groups) and own.named_numbers:
        return True
    if any(shape(name.words[place]) in unmet_shapes for group in unmet_groups for place in bits_of(group)):
        return True
    variants = numbers_in(product.variant)
    if (
        variants
        and not any(number in own.spoken for number in variants)
        and unmet_shapes & {shape(number) for number in variants}
    ):
        return True
    narrowed = narrowing(name.words, here.title)
    if narrowed and not any(number in own.spoken for number in narrowed):
        return True
    return _only_a_bare_number(name, met, makers, own)


def _only_a_bare_number(name: Name, met: _Met, makers: frozenset[str], own: _Own) -> bool:
    """Returns whether nothing but a short number without letters has met, though their name has words: 540 of Innova is not
    540 of Optima, and 650 not B650."""
    have = [place for place in bits_of(name.numbers) if place in met.theirs]
    if not have or any(
        met.theirs[place] == 1.0
        and (not name.words[place].isdigit() or len(name.words[place]) > BARE_DIGITS_MAX)
        for place in have
    ):
        return False
    names = [
        place
        for place, word in enumerate(name.words)
        if not name.numbers >> place & 1 and word not in makers and not is_kind(word)
    ]
    if names:
        return not any(place in met.theirs for place in names)
    return any(
        place not in met.ours and word.isalpha() and word not in makers and not is_kind(word)
        for place, word in enumerate(own.words)
    )


def _least(own: _Own, asked: _Asked, met: _Met, has_all: bool, numbered: bool) -> tuple[float, float, float]:
    """Returns how much of theirs, how much of ours, and which score is enough."""
    name = asked.name
    if has_all:
        if asked.excluded or any(is_family_word(word) for word in name.words):
            return THEIRS_COVERED_MIN, OURS_OF_FAMILY_MIN, 0.0
        ours = OURS_OF_WHOLE_MIN if len(name.words) > 1 else OURS_OF_ONE_WORD_MIN
        return THEIRS_COVERED_MIN, ours, SCORE_MIN
    unmet = own.named_numbers and not any(place in met.ours for place in bits_of(own.named_numbers))
    if unmet and not name.numbers:
        return FAMILY_COVERED_MIN, OURS_COVERED_MIN, SCORE_MIN
    has_rare_number = any(
        met.theirs.get(place) == 1.0
        and not name.words[place].isdigit()
        and len(name.words[place]) >= RARE_NUMBER_SIGNS_MIN
        for place in bits_of(name.numbers)
    )
    theirs = RARE_NUMBER_COVERED_MIN if has_rare_number else THEIRS_COVERED_MIN
    return theirs, OURS_NUMBERED_MIN if numbered else OURS_COVERED_MIN, SCORE_MIN


def _is_family_alone(
    name: Name, met: _Met, makers: frozenset[str], missing: Sequence[str], here: _Here
) -> bool:
    """Returns whether what has met is no more than the name of a family of which the advisory has several products, and ours has
    another name beside it: Revolution Apex, where they have Revolution CT, EVO and HD."""
    words = [
        word
        for place, word in enumerate(name.words)
        if place in met.theirs and word not in makers and not is_kind(word)
    ]
    return (
        len(words) == 1
        and here.products[words[0]] >= FAMILY_PRODUCTS_MIN
        and any(len(word) > 1 and not is_kind(word) and word not in makers for word in missing)
    )


def _alike(one: str, other: str) -> bool:
    """Returns whether two order numbers are of one kind, so that different ones are different things."""
    if abs(len(one) - len(other)) > 2:
        return False
    return one[:2] == other[:2] or (min(len(one), len(other)) >= LONG_CODE_SIGNS and one[0] == other[0])


def _rank(candidate: _Candidate) -> tuple[float, float, float]:
    return candidate.ours_weight, candidate.theirs_covered, candidate.score


def _without_siblings(candidates: Sequence[_Candidate]) -> list[_Candidate]:
    """Returns the products of one advisory that stay for one model of ours (rule 5)."""
    most = max(one.ours_weight for one in candidates)
    left = [one for one in candidates if one.ours_weight >= most - 1e-6]
    closest = max(one.theirs_covered for one in left)
    left = [one for one in left if one.theirs_covered >= closest - 1e-6]
    if len(left) > 2 and all(one.is_unnumbered for one in left):
        return []  # they differ in numbers, and ours names none: any of them would be a guess
    return left if len(left) <= PROPOSALS_PER_MODEL_MAX else []


def _evidence(
    own: _Own,
    product: TheirModel,
    keys: frozenset[str],
    name: Name,
    met: _Met,
    titled: Sequence[str],
    missing: Sequence[str],
    theirs_covered: float,
    ours_covered: float,
) -> tuple[str, ...]:
    """Returns sentences for the person who confirms."""
    said: list[str] = []
    if not own.keys or not keys:
        said.append("no maker is named on one side")
    elif own.model.vendor.casefold().strip() != product.vendor.casefold().strip():
        shared = ", ".join(key.lstrip("=") for key in sorted(own.keys & keys))
        said.append(f"maker: {own.model.vendor} and {product.vendor} are both {shared}")
    numbers = [name.words[place] for place in bits_of(name.numbers) if place in met.theirs]
    if numbers:
        said.append(f"number: {', '.join(word.upper() for word in numbers)}")
    words = [name.words[place] for place in sorted(met.theirs) if not name.numbers >> place & 1]
    if words:
        said.append(f"words: {', '.join(words)}")
    if met.misspelt:
        said.append(f"one letter apart: {', '.join(dict.fromkeys(met.misspelt))}")
    if titled:
        said.append(f"in the advisory's title or another product of it: {', '.join(titled)}")
    rest = [
        word for place, word in enumerate(name.words) if place not in met.theirs and not is_version_word(word)
    ]
    if rest:
        said.append(f"only in theirs: {', '.join(rest[:EVIDENCE_WORDS_MAX])}")
    if missing:
        said.append(f"only in ours: {', '.join(missing[:EVIDENCE_WORDS_MAX])}")
    said.append(f"covered: {theirs_covered:.0%} of theirs, {ours_covered:.0%} of ours")
    return tuple(said)


EVIDENCE_WORDS_MAX = 12  # of one kind; more help nobody to decide
