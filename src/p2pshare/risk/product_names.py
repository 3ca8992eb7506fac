"""Which of our models an advisory's product may be, by name: pairs that a person confirms or rejects once.

CISA's medical advisories carry neither purl nor CPE, and a hospital writes `Alaris PC Unit 8015` where they write
`Alaris 8015 PC unit`. The matcher proposes; nothing that it says counts before a person has confirmed it.

1. **Makers** must be one (vendors.py), unless our list names none.
2. **Words** weigh by how rare they are among all products and models (IDF), words for kinds of devices little. Two
   coverages are asked for: how much of their name ours has, and how much of ours theirs has. A word may be written in
   one piece or several (Wi-Fi), as initials (PIC), in the plural, or with one wrong letter.
3. **Numbers decide.** Where their name has model numbers (FM20/FM30, MX400-550, 5x0), ours must have one of them. What
   they exclude ("not including EchoPAC") is no proposal. An order number that both name decides alone, and of two
   different ones no name makes a match: families such as SIMATIC differ in nothing else.
4. **The advisory's title** speaks for our words that its product leaves out (CARESCAPE B650 of "GE CARESCAPE ...").
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
from functools import lru_cache
from typing import NamedTuple

from p2pshare.risk.vendors import folded, group_words, one_letter_apart, vendor_keys
from p2pshare.risk.version_statements import name_version_differs, name_versions

NAME_CHARACTERS_MAX = 400  # CISA's longest product name has 230; of a longer one the beginning is read
NAME_WORDS_MAX = 60  # bits of the masks below; of more words the first are read
PROPOSALS_PER_MODEL_MAX = 24  # of one model and one advisory; a family's name that fits more is no help to anybody
ALIAS_DIGITS = 12  # hexadecimal: 10 million pairs collide with a chance of 1 in 5 million

# Weights: found with one half of CISA's medical advisories and judged with the other (docs/risk-matching.md).
THEIRS_COVERED_MIN = 0.6  # the part of their words' weight that our name has
FAMILY_COVERED_MIN = 0.85  # the same, where ours has a number and theirs none: CARESCAPE B40 is no CARESCAPE Central Station
OURS_COVERED_MIN = 0.6  # the part of our words' weight that theirs has, with the title
OURS_NUMBERED_MIN = 0.5  # the same, where a model number has matched
OURS_OF_WHOLE_MIN = 0.42  # the same, where ours has all words of theirs
OURS_OF_ONE_WORD_MIN = 0.5  # the same, where theirs is a single word: Essential, Current
WHOLE_OURS_MIN = 0.75  # of ours, where ours has all words of theirs: then none of them need be rare
SCORE_MIN = 0.64  # the root of both multiplied
NAMELESS_COVERED_MIN = 0.85  # of theirs, where our list names no maker
PRIOR_PRODUCTS = 1_000  # counted as if so many had been seen, so that a small corpus weighs like a large one
PRIOR_OF_KIND_WORDS = 150  # in how many of these a word for a kind of device stands
KIND_WEIGHT = 0.3  # of such words, and of a maker's own name
SINGLE_SIGN_WEIGHT = 0.5  # of one letter or digit, and of a magnet's strength
UNKNOWN_WEIGHT = 0.7  # of a word of ours that no advisory has ever had: as often a description as a name
CODE_WEIGHT = 0.1  # of our order number, where theirs has none like it: nobody expects it there
NOTE_WEIGHT = 0.35  # of what stands behind "with" in a name, and in parentheses in ours
MISSPELT_FACTOR = 0.85
FAMILY_FACTOR = 0.8  # CX of CX50
BARE_NUMBER_FACTOR = 0.8  # 660 for CT660
BARE_DIGITS_MAX = 4  # of a number that many makers and families have
PREFIX_LETTERS_MAX = 4  # of letters that belong to a number: CT, MMT
INITIALS_FACTOR = 0.95
SIBLING_FACTOR = 0.5  # of a word of ours that another product of the same advisory has: the same family, or that sibling
NUMBERED_REST_FACTOR = 0.5  # of our other words once a model number has matched
DISTINCT_WEIGHT_MIN = 2.5  # what must have matched beside words for kinds: a word that one product in twelve has
MISSPELT_LETTERS_MIN = 6

# Words for kinds of devices and for software, English and German: in a list's product column they describe.
_KIND_WORDS = frozenset(
    """system systeme software application app android ios device devices series family families product products unit units station
    monitor monitore monitors monitoring patientenmonitor patient patients bedside central zentrale pump pumpe pumpen infusion infusionspumpe
    spritzenpumpe syringe perfusor workstation workstations workplace workplaces platform server client module modul modular version models model
    ultrasound ultraschall ultraschallgerat imaging bildgebung scanner ct mr mri mrt pet spect xray x-ray ray rontgen rontgengerat digital mobile
    portable handheld machine gerat gerate medical medizinisch hospital health care healthcare clinical point of the and or for with by in to de
    der die das fur mit und only all new neu old line tool tools kit hub box adapter control controller panel remote access web viewer
    management manager connect connected wireless wlan wired network data base database interface generator energy programmer
    clinician transmitter recorder build analyzer analyser meter reader ecg ekg electrocardiograph resting cardiograph cardiographs cardiology
    defibrillator defi icd crt telemetry telemetrie telemetrieserver anesthesia anaesthesia narkose narkosegerat narkosegeraet dialysis dialyse
    hemodialysis delivery ventilator beatmung beatmungsgerat compounder maintenance pharmacy diabetes insulin glucose blood fetal maternal neonatal vital signs spot check
    icu ccu iot sensor service pc laptop computer workplace windows based professional premium pro plus light basic advanced standard edition
    suite package option installed integrated part number including capability inductive rf removable card firmware display mammo mammography
    mammographie angio interventional processing review center centre""".split()
)
# They say that a name is a family's, and need not be in ours.
_FAMILY_WORDS = frozenset("product products serie series family families line device devices system systems".split())
# Joining them to a model's number makes a sibling of it, so they weigh as names do: 3100-IQ, XR656 Plus, MedStation ES Server.
_SIBLING_WORDS = frozenset("plus pro light server select viewer".split())

_SMALL_WORDS = frozenset("and or the of for with by in to de der die das fur fuer mit und w".split())
# A kind of device in German, as its English word (without the s of a plural).
_SAME_KIND = {
    "ultraschall": "ultrasound", "ultraschallgerat": "ultrasound", "zentrale": "central", "monitore": "monitor", "pumpe": "pump",
    "pumpen": "pump", "telemetrie": "telemetry", "gerat": "device", "gerate": "device", "narkose": "anesthesia",
    "narkosegerat": "anesthesia", "anaesthesia": "anesthesia", "dialyse": "dialysis", "beatmungsgerat": "ventilator",
    "rontgen": "xray", "ekg": "ecg", "modul": "module", "systeme": "system", "analyser": "analyzer", "zentralmonitor": "central",
    "patientenmonitor": "monitor", "spritzenpumpe": "syringe", "infusionspumpe": "infusion", "drahtlos": "wireless", "defi": "defibrillator",
}  # fmt: skip

_EXCLUDING = re.compile(r"\b(?:not including|excluding|exclud(?:es|ed)|except(?:ing)?(?: for)?|other than|with the exception of)\b")
_WITH = re.compile(r"\b(?:with|w/|for use with|using|mit)(?=\s)")
_WORD = re.compile(r"\d+(?:\.\d+)+[a-z]*|\d+(?:\.x)+|[a-z0-9]+")
_RANGE = re.compile(r"\b([a-z]{0,4})(\d{2,5})\s?-\s?[a-z]{0,4}(\d{2,5})\b(?!-)")
_LISTED = re.compile(r"([a-z]{1,4})(\d{1,4})((?:/\d{1,4})+)(?![a-z\d])")  # MX700/800
_TESLA = re.compile(r"\d(?:\.\d)?t")  # how strong a magnet is: 1.5T, 3T
_GENERATIONS = {"ii": "2", "iii": "3"}  # Inform II; IV and X are words as often
_OPEN_NUMBER = re.compile(r"\d+x\d*|x\d{2,}")
_VERSION_WORD = re.compile(r"v?\d+(?:\.(?:\d+|x))+|v\d{1,2}")
_CODE = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)+|[a-z0-9]{6,}")
_CODE_DIGITS_MIN = 4
_CODE_SIGNS_MIN = 6
_RANGE_WORDS_MAX = 2_000  # MX400-550 are 151 numbers; a range of more is none


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
    """Returns the name of a pair: twelve hexadecimal digits of the texts of both sides, in any case of letters and any blanks."""
    texts = (own.vendor, own.product, own.model, theirs.vendor, theirs.product, theirs.variant)
    spoken = "\x1f".join(" ".join(text.casefold().split()) for text in texts)
    return hashlib.sha256(spoken.encode("utf-8", "surrogatepass")).hexdigest()[:ALIAS_DIGITS]


class _Name(NamedTuple):
    """A name in words. `notes`: bits of the words in parentheses, `withs`: of those behind "with"; `groups`: bits of words of
    which one is enough; `numbers`: bits of model numbers; `codes`: order numbers, without hyphens."""

    words: tuple[str, ...]
    notes: int = 0
    withs: int = 0
    groups: tuple[int, ...] = ()
    numbers: int = 0
    codes: frozenset[str] = frozenset()


def _stem(word: str) -> str:
    """Returns a word without the s of its plural."""
    return word[:-1] if len(word) > 3 and word[-1] == "s" and word[-2] != "s" and word.isalpha() else word


def _has_digit(word: str) -> bool:
    return any(sign.isdigit() for sign in word)


def codes_of(text: str) -> frozenset[str]:
    """Returns the order numbers in a text, in small letters and without what divides them: 6GK7543-6WX00-0XE0."""
    return frozenset(
        bare
        for found in _CODE.findall(folded(text[:NAME_CHARACTERS_MAX]))
        if len(bare := found.replace("-", "")) >= _CODE_SIGNS_MIN and sum(sign.isdigit() for sign in bare) >= _CODE_DIGITS_MIN
    )


@lru_cache(maxsize=32768)
def _read_name(text: str) -> _Name:
    text = folded(text[:NAME_CHARACTERS_MAX]).replace("w/", " with ")
    text = re.sub(r"(?<=[a-z0-9])\+(?=\W|$)", " plus ", text)
    text = re.sub(r"(?<=\d)\.0(?=[a-z])", "", text)  # 3.0T is 3T
    text = re.sub(r"\b(including)(?=[a-z]+\d)", r"\1 ", text)
    words: list[str] = []
    notes = withs = numbers = 0
    groups: list[int] = []
    depth, behind_with, last_end = 0, False, -1
    with_at = next((found.start() for found in _WITH.finditer(text)), None)
    open_group = 0
    for found in _WORD.finditer(text):
        between = text[max(last_end, 0) : found.start()]
        depth = max(0, depth + between.count("(") - between.count(")"))
        if depth == 0 and with_at is not None and found.start() >= with_at:
            behind_with = True
        if len(words) == NAME_WORDS_MAX:
            break
        bit = 1 << len(words)
        word = found.group()
        if word in _SMALL_WORDS:
            continue
        word = _GENERATIONS.get(word, word)
        words.append(_SAME_KIND.get(word) or _stem(word))
        if depth:
            notes |= bit
        elif behind_with:
            withs |= bit
        if _has_digit(word) and not _VERSION_WORD.fullmatch(word):
            numbers |= bit
        if between == "/" and last_end >= 0:
            open_group |= bit | (bit >> 1)
        else:
            if open_group:
                groups.append(open_group)
            open_group = 0
        last_end = found.end()
    if open_group:
        groups.append(open_group)
    for place, word in enumerate(words[1:], 1):  # MP Series (MP30/X2): whose number is in the list need not have its letters
        if word in {"serie", "family"} and words[place - 1].isalpha() and len(words[place - 1]) <= 3 and numbers & notes:
            notes |= 1 << (place - 1)
    return _Name(tuple(words), notes, withs, tuple(groups), numbers, codes_of(text))


def _glued(words: Sequence[str]) -> Iterable[tuple[str, int]]:
    """Yields neighbours written as one word, with their bits: wi fi, nm 530c, mmt 503 k."""
    for start in range(len(words)):
        joined = words[start]
        for length in (2, 3):
            if start + length > len(words):
                break
            joined += words[start + length - 1]
            if len(joined) >= 3:
                yield joined, ((1 << length) - 1) << start


def _initials(words: Sequence[str]) -> Iterable[tuple[str, int]]:
    """Yields the initials of three or four neighbours, with their bits."""
    for start in range(len(words)):
        for length in (3, 4):
            run = words[start : start + length]
            if len(run) == length and all(word.isalpha() for word in run):
                yield "".join(word[0] for word in run), ((1 << length) - 1) << start


def _bits(mask: int) -> Iterable[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


@dataclass(slots=True)
class _Own:
    """A model of ours with what the matcher asks of it."""

    model: OwnModel
    keys: frozenset[str]
    words: tuple[str, ...]
    codes: frozenset[str]
    numbers: int
    field_bits: int
    asides: int
    maker_words: frozenset[str]


@dataclass(slots=True)
class _Found:
    """What of one product and one model has met: factors of their words and ours by place."""

    theirs: dict[int, float] = field(default_factory=dict)
    ours: dict[int, float] = field(default_factory=dict)
    misspelt: list[str] = field(default_factory=list)

    def add(self, their_bits: int, own_bits: int, factor: float) -> None:
        for place in _bits(their_bits):
            self.theirs[place] = max(factor, self.theirs.get(place, 0.0))
        for place in _bits(own_bits):
            self.ours[place] = max(factor, self.ours.get(place, 0.0))


class _Words(NamedTuple):
    """An advisory's title, and in how many of its product names each word stands."""

    title: str
    title_words: frozenset[str]
    products: Counter[str]


class _Candidate(NamedTuple):
    own: int
    theirs: TheirModel
    ours_weight: float
    theirs_covered: float
    score: float
    evidence: tuple[str, ...]
    numbers_named: bool


class NameMatcher:
    """All our models, ready to be asked of one advisory after the other."""

    def __init__(self, models: Iterable[OwnModel]) -> None:
        self._owns: list[_Own] = []
        self._postings: dict[str, list[tuple[int, int]]] = defaultdict(list)
        self._initials: dict[str, list[tuple[int, int]]] = defaultdict(list)
        self._by_letters: dict[str, set[str]] = defaultdict(set)
        self._by_bare_number: dict[str, set[str]] = defaultdict(set)
        self._by_less: dict[str, set[str]] = defaultdict(set)
        self._by_code: dict[str, set[int]] = defaultdict(set)
        self._documents: Counter[str] = Counter()
        self._known: set[str] = set()
        self._products = 0
        self._resolved: dict[str, list[tuple[str, float]]] = {}
        for model in models:
            self._take(model)

    def _take(self, model: OwnModel) -> None:
        keys = vendor_keys(model.vendor)
        name = _read_name(model.product)
        in_field = _read_name(model.model)
        words = (*name.words, *in_field.words)[:NAME_WORDS_MAX]
        field_bits = ((1 << len(words)) - 1) & ~((1 << len(name.words)) - 1)
        numbers = name.numbers | ((in_field.numbers << len(name.words)) & ((1 << NAME_WORDS_MAX) - 1))
        maker_words = group_words(keys)
        own = _Own(model, keys, words, name.codes | in_field.codes, numbers, field_bits, name.notes | name.withs, maker_words)
        index = len(self._owns)
        self._owns.append(own)
        seen: set[tuple[str, int]] = set()
        for place, word in enumerate(words):
            seen.add((word, 1 << place))
        # Apart or in another order: CT Optima 660 is Optima CT660.
        for letters_at, letters in enumerate(words):
            if len(letters) <= PREFIX_LETTERS_MAX and letters.isalpha():
                seen.update(
                    (letters + number, 1 << letters_at | 1 << number_at) for number_at, number in enumerate(words) if number[0].isdigit()
                )
        # The maker's name in our list's other column may be a word of theirs: McKesson Cardiology.
        seen.update((word, 0) for word in _read_name(model.vendor).words)
        for part, shift in ((name.words, 0), (in_field.words, len(name.words))):
            seen.update((joined, bits << shift) for joined, bits in _glued(part) if bits << shift < 1 << NAME_WORDS_MAX)
        for word, bits in seen:
            self._postings[word].append((index, bits))
            if word in words and (found := re.fullmatch(r"([a-z]{1,4})\d+[a-z]*", word)):
                self._by_letters[found[1]].add(word)
            if found := re.fullmatch(r"[a-z]{1,3}(\d{3,}[a-z]*)", word):
                self._by_bare_number[found[1]].add(word)
            if len(word) >= MISSPELT_LETTERS_MIN and word.isalpha():
                for place in range(len(word)):
                    self._by_less[word[:place] + word[place + 1 :]].add(word)
        for initials, bits in _initials(name.words):
            self._initials[initials].append((index, bits))
        for code in own.codes:
            self._by_code[code].add(index)
        self._documents.update(set(words))

    def learn(self, products: Iterable[TheirModel]) -> None:
        """Counts in how many products each word stands, so that rare words weigh more; the same products again count again."""
        for product in products:
            words = set(_read_name(product.product).words) | set(_read_name(product.variant).words)
            self._documents.update(words)
            self._known.update(words)
            self._products += 1

    def _weight(self, word: str, maker_words: frozenset[str]) -> float:
        count = self._documents[word] + (PRIOR_OF_KIND_WORDS if word in _STEMMED_KINDS else 0)
        weight = math.log((PRIOR_PRODUCTS + self._products + len(self._owns) + 1) / (count + 1))
        if word in maker_words or (word in _STEMMED_KINDS and word not in _SIBLING_WORDS):
            return weight * KIND_WEIGHT
        return weight * SINGLE_SIGN_WEIGHT if len(word) == 1 or _TESLA.fullmatch(word) else weight

    def _resolve(self, word: str) -> list[tuple[str, float]]:
        """Returns the words of our lists that a word of theirs may be, with how sure that is."""
        known = self._resolved.get(word)
        if known is None:
            known = []
            if word in self._postings:
                known.append((word, 1.0))
            elif len(word) >= MISSPELT_LETTERS_MIN and word.isalpha():
                near = set(self._by_less.get(word, ()))
                for place in range(len(word)):
                    less = word[:place] + word[place + 1 :]
                    near.update(self._by_less.get(less, ()))
                    if less in self._postings:
                        near.add(less)
                known.extend((other, MISSPELT_FACTOR) for other in sorted(near) if one_letter_apart(word, other))
            if 2 <= len(word) <= 4 and word.isalpha() and word not in _STEMMED_KINDS:
                known.extend((other, FAMILY_FACTOR) for other in sorted(self._by_letters.get(word, ())))
            if (found := re.fullmatch(r"[a-z]{1,3}(\d{3,}[a-z]*)", word)) and found[1] in self._postings:
                known.append((found[1], BARE_NUMBER_FACTOR))
            known.extend((other, BARE_NUMBER_FACTOR) for other in sorted(self._by_bare_number.get(word, ())))
            if _OPEN_NUMBER.fullmatch(word):
                pattern = re.compile(word.replace("x", r"\d"))
                known.extend((other, 1.0) for other in sorted(self._postings) if pattern.fullmatch(other))
            self._resolved[word] = known
        return known

    def proposals(
        self, title: str, products: Sequence[TheirModel], versions: Mapping[int, Sequence[str]] | None = None
    ) -> list[NameProposal]:
        """Returns the pairs of one advisory, best first. `versions`: the statements of each product (they do not change what is
        proposed: a device of another version is still that device)."""
        title_words = set(_read_name(title).words)
        title_words.update(joined for joined, _ in _glued(_read_name(title).words))
        names_here = {product.product for product in products}
        word_products = Counter(word for name in names_here for word in set(_read_name(name).words))
        words_here = _Words(title, frozenset(title_words), word_products)
        by_own: dict[int, list[_Candidate]] = defaultdict(list)
        for product in dict.fromkeys(products):
            for candidate in self._candidates(product, words_here):
                by_own[candidate.own].append(candidate)
        found: list[NameProposal] = []
        for index, candidates in by_own.items():
            model = self._owns[index].model
            found.extend(
                NameProposal(model.id, one.theirs.id, round(min(one.score, 1.0), 3), one.evidence) for one in _without_siblings(candidates)
            )
        return sorted(found, key=lambda proposal: (-proposal.score, proposal.own, proposal.theirs))

    def _candidates(self, product: TheirModel, here: _Words) -> Iterable[_Candidate]:
        keys = vendor_keys(product.vendor)
        codes = codes_of(product.product) | frozenset(
            code for text in (*product.models, product.variant) for code in codes_of(text)
        )
        in_variant = _numbers_in(product.variant)
        best: dict[int, _Candidate] = {}
        for form, excluded in _forms(product):
            name = _read_name(form)
            numbers = _numbers_allowed(form)
            for index, found in self._meet(name, numbers, keys).items():
                candidate = self._judge(index, product, keys, name, found, excluded, codes, numbers, in_variant, here)
                if candidate is not None and (index not in best or _rank(candidate) > _rank(best[index])):
                    best[index] = candidate
        for code in codes:
            for index in self._by_code.get(code, ()):
                if self._makers_fit(self._owns[index], keys):
                    best[index] = _Candidate(index, product, math.inf, 1.0, 1.0, (f"order number {code.upper()} on both sides",), True)
        return best.values()

    def _makers_fit(self, own: _Own, keys: frozenset[str]) -> bool:
        return not own.keys or not keys or bool(own.keys & keys)

    def _meet(self, name: _Name, numbers: frozenset[str], keys: frozenset[str]) -> dict[int, _Found]:
        """Returns what each model of a fitting maker has in common with a name."""
        met: dict[int, _Found] = {}
        fits: dict[int, bool] = {}

        def note(words: str, their_bits: int, factor: float, postings: Mapping[str, list[tuple[int, int]]]) -> None:
            for index, own_bits in postings.get(words, ()):
                fit = fits.get(index)
                if fit is None:
                    fit = fits[index] = self._makers_fit(self._owns[index], keys)
                if fit:
                    found = met.get(index)
                    if found is None:
                        found = met[index] = _Found()
                    found.add(their_bits, own_bits, factor)
                    if factor == MISSPELT_FACTOR:
                        found.misspelt.append(words)

        for place, word in enumerate(name.words):
            for other, factor in self._resolve(word):
                note(other, 1 << place, factor, self._postings)
            if 3 <= len(word) <= 4 and word.isalpha():
                note(word, 1 << place, INITIALS_FACTOR, self._initials)
        for joined, bits in _glued(name.words):
            if joined in self._postings:
                note(joined, bits, 1.0, self._postings)
        for initials, bits in _initials(name.words):
            if initials in self._postings:
                note(initials, bits, INITIALS_FACTOR, self._postings)
        for number in numbers:
            if number in self._postings:
                note(number, name.numbers & -name.numbers or 0, 1.0, self._postings)
        return met

    def _judge(
        self,
        index: int,
        product: TheirModel,
        keys: frozenset[str],
        name: _Name,
        found: _Found,
        excluded: Sequence[frozenset[str]],
        codes: frozenset[str],
        range_numbers: frozenset[str],
        variant_numbers: frozenset[str],
        here: _Words,
    ) -> _Candidate | None:
        own = self._owns[index]
        own_words = frozenset(own.words) | {joined for joined, _ in _glued(own.words)}
        if any(words <= own_words for words in excluded):
            return None
        if codes and own.codes and not codes & own.codes and any(_alike(one, other) for one in codes for other in own.codes):
            return None
        if name_versions(product.product) and own.model.versions and all(
            name_version_differs(product.product, version) for version in own.model.versions
        ):
            return None
        makers = own.maker_words | group_words(keys)
        makers = makers | {word for word in name.words if len(word) >= 4 and any(maker.startswith(word) for maker in makers)}
        their_numbers = set(_bits(name.numbers))
        if variant_numbers and not variant_numbers & own_words:
            shapes = {_shape(number) for number in variant_numbers}
            if any(place not in found.ours and _shape(own.words[place]) in shapes for place in _bits(own.numbers)):
                return None
        if their_numbers and not any(place in found.theirs for place in their_numbers) and own.numbers & ~own.field_bits:
            return None
        if their_numbers and not any(place in found.theirs for place in their_numbers):
            same_shape = {_shape(name.words[place]) for place in their_numbers}
            if any(_shape(own.words[place]) in same_shape for place in _bits(own.numbers)):
                return None
        if (narrowed := _narrowing(name.words, here.title)) and not narrowed & own_words:
            return None
        if _only_a_bare_number(name, found, their_numbers, makers, own):
            return None
        # What of their words we have.
        weights = [self._weight(word, makers) for word in name.words]
        number_group = 0
        for place in their_numbers:
            number_group |= 1 << place
        groups = _joined([*name.groups, number_group])
        grouped = 0
        whole = met_weight = lacking = distinct = spare = 0.0
        for group in groups:
            members = [place for place in _bits(group) if not grouped >> place & 1]
            grouped |= group
            if not members:
                continue
            have = [place for place in members if place in found.theirs]
            share = max((weights[place] * found.theirs[place] for place in have), default=0.0)
            of = max(weights[place] for place in (have or members))
            if group & name.notes == group and not have:
                continue
            whole += of
            met_weight += share
            lacking += 0.0 if have else of
            distinct += share if any(name.words[place] not in makers and name.words[place] not in _STEMMED_KINDS for place in have) else 0.0
            spare += sum(weights[place] for place in members if place not in found.theirs) * 0.01
        for place, word in enumerate(name.words):
            if grouped >> place & 1:
                continue
            share = weights[place] * found.theirs.get(place, 0.0)
            if _VERSION_WORD.fullmatch(word):
                continue
            if name.notes >> place & 1:
                if not share:
                    spare += weights[place] * 0.1
                    continue
            elif name.withs >> place & 1 and not share:
                whole += weights[place] * NOTE_WEIGHT
                lacking += weights[place] * NOTE_WEIGHT
                continue
            elif not share and (word in _FAMILY_WORDS or (_is_kind(word) and word in here.title_words)):
                spare += weights[place] * 0.1
                continue
            whole += weights[place]
            met_weight += share
            lacking += 0.0 if share else weights[place]
            if word not in makers and not _is_kind(word):
                distinct += share
        if not whole or not met_weight:
            return None
        theirs_covered = met_weight / whole
        has_all = lacking < 0.001 * whole
        # What of our words they have.
        is_other_family = any(
            place not in found.theirs and not grouped >> place & 1 and not (name.notes | name.withs) >> place & 1
            for place, word in enumerate(name.words)
            if not _is_kind(word) and word not in makers and not _VERSION_WORD.fullmatch(word)
        )
        numbered = any(
            place in found.theirs and len(name.words[place]) >= 3 and not _TESLA.fullmatch(name.words[place]) for place in their_numbers
        ) or bool(range_numbers & own_words)
        ours_whole = ours_met = product_met = 0.0
        titled: list[str] = []
        missing: list[str] = []
        for place, word in enumerate(own.words):
            weight = self._weight(word, makers)
            factor = found.ours.get(place, 0.0)
            if factor:
                ours_whole += weight
                ours_met += weight
                product_met += weight * factor
                continue
            if _VERSION_WORD.fullmatch(word):
                continue
            if (word in here.title_words or here.products[word]) and word not in makers:
                if not here.products[word]:
                    credit = 1.0
                else:
                    credit = 0.0 if is_other_family else SIBLING_FACTOR
                if credit:
                    ours_whole += weight
                    ours_met += weight * credit
                    titled.append(word)
                    continue
            if own.field_bits >> place & 1:
                ours_whole += weight * CODE_WEIGHT
                continue
            if own.asides >> place & 1:
                weight *= NOTE_WEIGHT
            elif word not in self._known and self._products:
                weight *= UNKNOWN_WEIGHT
            if numbered:
                weight *= NUMBERED_REST_FACTOR
            ours_whole += weight
            missing.append(word)
        ours_covered = ours_met / ours_whole if ours_whole else 0.0
        score = math.sqrt(theirs_covered * ours_covered)
        is_whole = theirs_covered > 0.999 and ours_covered >= WHOLE_OURS_MIN
        if not is_whole:
            if distinct < DISTINCT_WEIGHT_MIN:
                return None
            unnamed = own.numbers & ~own.field_bits & ~own.asides
            if unnamed and not their_numbers and not any(place in found.ours for place in _bits(unnamed)):
                if theirs_covered < FAMILY_COVERED_MIN:  # ours has a number, theirs none: it may only be ours' family
                    return None
            if has_all:
                ours_least = OURS_OF_WHOLE_MIN if len(name.words) > 1 else OURS_OF_ONE_WORD_MIN
            else:
                ours_least = OURS_NUMBERED_MIN if numbered else OURS_COVERED_MIN
            if theirs_covered < THEIRS_COVERED_MIN or ours_covered < ours_least or score < SCORE_MIN:
                return None
        if (not own.keys or not keys) and theirs_covered < NAMELESS_COVERED_MIN:
            return None
        evidence = _evidence(own, product, keys, name, found, titled, missing, theirs_covered, ours_covered)
        return _Candidate(
            index, product, round(product_met, 6), round(theirs_covered - spare / (whole + spare), 6), score, evidence,
            bool(their_numbers) and not any(place in found.theirs for place in their_numbers),
        )  # fmt: skip


_STEMMED_KINDS = frozenset(_stem(word) for word in _KIND_WORDS) | _KIND_WORDS


def _only_a_bare_number(name: _Name, found: _Found, numbers: set[int], makers: frozenset[str] | set[str], own: _Own) -> bool:
    """Returns whether nothing but a short number without letters has met, though their name has words: 540 of Innova is not
    540 of Optima, and 650 not B650."""
    met_numbers = [place for place in numbers if place in found.theirs]
    if not met_numbers or any(
        found.theirs[place] == 1.0 and (not name.words[place].isdigit() or len(name.words[place]) > BARE_DIGITS_MAX) for place in met_numbers
    ):
        return False
    names = [place for place, word in enumerate(name.words) if place not in numbers and word not in makers and not _is_kind(word)]
    if names:
        return not any(place in found.theirs for place in names)
    return any(place not in found.ours and not _is_kind(word) and word.isalpha() and word not in makers for place, word in enumerate(own.words))


def _is_kind(word: str) -> bool:
    return word in _STEMMED_KINDS and word not in _SIBLING_WORDS


@lru_cache(maxsize=32768)
def _numbers_in(variant: str) -> frozenset[str]:
    name = _read_name(variant)
    return frozenset(name.words[place] for place in _bits(name.numbers))


def _joined(groups: Sequence[int]) -> list[int]:
    """Returns groups of which no two share a word: 150c/BUR 150c/MLBUR 150c is one."""
    joined: list[int] = []
    for group in groups:
        if group:
            apart = [other for other in joined if not other & group]
            for other in joined:
                if other & group:
                    group |= other
            joined = [*apart, group]
    return joined


def _rank(candidate: _Candidate) -> tuple[float, float, float]:
    return candidate.ours_weight, candidate.theirs_covered, candidate.score


def _without_siblings(candidates: Sequence[_Candidate]) -> list[_Candidate]:
    """Returns the products of one advisory that stay for one model of ours (rule 5)."""
    most = max(one.ours_weight for one in candidates)
    left = [one for one in candidates if one.ours_weight >= most - 1e-6]
    closest = max(one.theirs_covered for one in left)
    left = [one for one in left if one.theirs_covered >= closest - 1e-6]
    if len(left) > 1 and all(one.numbers_named for one in left) and len({(one.theirs.product, one.theirs.variant) for one in left}) > 2:
        return []  # they differ in numbers, and ours names none: any of them would be a guess
    return left if len(left) <= PROPOSALS_PER_MODEL_MAX else []


def _shape(word: str) -> str:
    """Returns letters and how many digits follow: MMT1752 and MMT1885 are of one shape, GXL and 10 are not."""
    found = re.fullmatch(r"([a-z]*)(\d+)([a-z]*)", word)
    return f"{found[1]}#{len(found[2])}" if found else word


def _alike(one: str, other: str) -> bool:
    """Returns whether two order numbers are of one kind, so that different ones are different things."""
    return abs(len(one) - len(other)) <= 2 and one[:2] == other[:2]


@lru_cache(maxsize=32768)
def _numbers_allowed(form: str) -> frozenset[str]:
    """Returns the numbers that a range or a list in a name stands for: MX400-550, MX700/800."""
    allowed: set[str] = set()
    for letters, low, high in _RANGE.findall(folded(form[:NAME_CHARACTERS_MAX])):
        if letters and len(low) == len(high) and int(low) < int(high) < int(low) + _RANGE_WORDS_MAX:
            allowed.update(f"{letters}{number}" for number in range(int(low), int(high) + 1))
    for letters, first, others in _LISTED.findall(folded(form[:NAME_CHARACTERS_MAX])):
        allowed.update(f"{letters}{number}" for number in (first, *others.strip("/").split("/")))
    return frozenset(allowed)


@lru_cache(maxsize=32768)
def _forms_of(product: str, variant: str) -> tuple[tuple[str, ...], tuple[frozenset[str], ...]]:
    """Returns the ways to say a product's name, and the words of what it excludes."""
    text, excluded = product[:NAME_CHARACTERS_MAX], []
    cut = _EXCLUDING.search(text.lower())
    if cut:
        for one in re.split(r",|;|\band\b|\bor\b", text[cut.end() :].strip(" )")):
            words = _read_name(one).words
            kept = [word for word in words if word not in _STEMMED_KINDS and not re.fullmatch(r"r\d+|\d", word)]
            if kept:
                excluded.append(frozenset(kept))
        text = text[: cut.start()].rstrip(" ,(")
    forms = [text]
    pieces = [piece.strip() for piece in text.split("/")]
    if len(pieces) > 1 and all(len(re.findall(r"[A-Za-z]{4,}", piece)) >= 2 or re.search(r"\w+\.\w+", piece) for piece in pieces[1:]):
        forms.extend(pieces)
    if variant and " ".join(variant.casefold().split()) != " ".join(product.casefold().split()):
        forms = [*forms]
        for one in re.split(r"[|;]| / ", variant[:NAME_CHARACTERS_MAX]):
            if one.strip():
                forms.extend((f"{text} {one.strip()}", one.strip()))
    return tuple(dict.fromkeys(forms)), tuple(excluded)


def _forms(product: TheirModel) -> Iterable[tuple[str, tuple[frozenset[str], ...]]]:
    forms, excluded = _forms_of(product.product, product.variant)
    for form in forms:
        yield form, excluded


@lru_cache(maxsize=32768)
def _narrowing(words: tuple[str, ...], title: str) -> frozenset[str]:
    """Returns the model numbers that stand in the title right behind a product's whole name, which has none itself."""
    if not words or any(_has_digit(word) for word in words):
        return frozenset()
    titled = _read_name(title).words
    for start in range(len(titled) - len(words)):
        if titled[start : start + len(words)] == words:
            behind = titled[start + len(words)]
            if re.fullmatch(r"[a-z]{1,4}\d+[a-z]*", behind):
                return frozenset(word for word in titled if _shape(word) == _shape(behind))
    return frozenset()


def _evidence(
    own: _Own,
    product: TheirModel,
    keys: frozenset[str],
    name: _Name,
    found: _Found,
    titled: Sequence[str],
    missing: Sequence[str],
    theirs_covered: float,
    ours_covered: float,
) -> tuple[str, ...]:
    """Returns sentences for the person who confirms."""
    said: list[str] = []
    if not own.keys or not keys:
        said.append("no maker is named on one side")
    else:
        shared = sorted(own.keys & keys)[0]
        if own.model.vendor.casefold().strip() != product.vendor.casefold().strip():
            said.append(f"maker: {own.model.vendor} and {product.vendor} are both {shared.lstrip('=')}")
    numbers = [name.words[place] for place in _bits(name.numbers) if place in found.theirs]
    if numbers:
        said.append(f"number: {', '.join(word.upper() for word in numbers)}")
    words = [name.words[place] for place in sorted(found.theirs) if not name.numbers >> place & 1]
    if words:
        said.append(f"words: {', '.join(words)}")
    if found.misspelt:
        said.append(f"one letter apart: {', '.join(dict.fromkeys(found.misspelt))}")
    if titled:
        said.append(f"only in the advisory's title: {', '.join(titled)}")
    rest = [word for place, word in enumerate(name.words) if place not in found.theirs and not _VERSION_WORD.fullmatch(word)]
    if rest:
        said.append(f"only in theirs: {', '.join(rest[:12])}")
    if missing:
        said.append(f"only in ours: {', '.join(missing[:12])}")
    said.append(f"covered: {theirs_covered:.0%} of theirs, {ours_covered:.0%} of ours")
    return tuple(said)
