"""A product's name in words: which of them say what kind of thing it is, which are notes, and which numbers are choices.

Advisories write families into one name: `FM20/FM30/FM40/FM50`, `MX (MX400-550)`, `IGS 5x0`, `MP Series (including X2)`, `EPIQ/Affiniti`,
`LOGIQ, not including LOGIQ 100 Pro`. Here they are taken apart; product_names weighs them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from p2pshare.risk.vendors import folded

NAME_CHARACTERS_MAX = 400  # CISA's longest product name has 230; of a longer one the beginning is read
NAME_WORDS_MAX = 60  # bits of the masks below; of more words the first are read
RANGE_NUMBERS_MAX = 500  # MX400-550 are 151 numbers; a range of more is none, nor are more in one name
NAMES_KEPT = 4_096  # read names kept: some 1 KB each, at worst 30 KB (ranges)
WORDS_KEPT = 32_768  # of one kind of question about a word: 100 bytes each
FORMS_MAX = 24  # ways to say one name; CISA's longest list of models in one has 10

# Words for kinds of devices and for software, English and German: in a list's product column they describe.
_KIND_TEXT = """
    system software application app android ios device series family product unit station monitor
    monitoring patient bedside central pump pumpen infusion syringe perfusor workstation workplace
    platform server client module modular version model ultrasound imaging bildgebung scanner ct mr mri
    mrt pet spect xray x ray digital mobile portable handheld machine medical medizinisch hospital
    health care healthcare clinical point all new neu old line tool kit hub box adapter control
    controller panel remote access web viewer management manager connect connected wireless wlan wired
    network data base database interface generator energy programmer clinician transmitter recorder
    build analyzer meter reader ecg electrocardiograph resting cardiograph cardiology defibrillator icd
    crt telemetry telemetrieserver anesthesia dialysis hemodialysis delivery ventilator beatmung
    compounder maintenance pharmacy diabetes insulin glucose blood fetal maternal neonatal vital sign
    spot check icu ccu iot sensor service pc laptop computer windows based professional premium pro plus
    light basic advanced standard edition suite package option installed integrated part number
    including capability inductive rf removable card firmware display mammo mammography mammographie
    angio interventional processing review center centre echo sonography cabinet supply medication
    dispensing pneumatic tube home worn wearable coagulation laboratory labor cytometer flow ctg doppler
    bogen mobil endoscopy surgical electrosurgical warmer incubator inkubator bed thermometer oximeter
    mixer mischer nutrition tpn enteral feeding volumetric pacemaker holter recording workflow cardiac
    stress testing analysis ventilation belastung
"""
_KIND_WORDS = frozenset(_KIND_TEXT.split())
# Beside a model's name they make a sibling of it, and weigh as names do: 3100 Pro, XR656 Plus, MedStation ES Server, DICOM Viewer.
SIBLING_WORDS = frozenset(["plus", "pro", "light", "server", "select", "viewer"])
# They say that a name is a family's, and need not be in ours.
_FAMILY_WORDS = frozenset(["product", "series", "family", "line", "device", "system"])
_SMALL_TEXT = "and or the of for with by in to de der die das fur fuer mit und w"
_SMALL_WORDS = frozenset(_SMALL_TEXT.split())
# A kind of device in German, as its English word (without the s of a plural).
_SAME_KIND = {
    "ultraschall": "ultrasound", "ultraschallgerat": "ultrasound", "zentrale": "central", "monitore": "monitor", "pumpe": "pump",
    "telemetrie": "telemetry", "gerat": "device", "gerate": "device", "narkose": "anesthesia", "narkosegerat": "anesthesia",
    "anaesthesia": "anesthesia", "dialyse": "dialysis", "beatmungsgerat": "ventilator", "rontgen": "xray", "ekg": "ecg",
    "modul": "module", "systeme": "system", "analyser": "analyzer", "zentralmonitor": "central", "patientenmonitor": "monitor",
    "spritzenpumpe": "syringe", "infusionspumpe": "infusion", "drahtlos": "wireless", "defi": "defibrillator",
}  # fmt: skip
# German compounds of a kind: Ultraschallsystem, Telemetriemodul, Lesegerät.
_KIND_COMPOUND = re.compile(
    r"(?:ultraschall|patienten|telemetrie|rontgen|narkose|infusions|spritzen|beatmungs|dialyse|anasthesie|mammographie|labor)[a-z]*"
    r"|[a-z]{3,}(?:gerat|geraet|pumpe|modul|apparat|schrank|automat|mischer|drucker|wagen|anlage)"
)
_GENERATIONS = {"ii": "2", "iii": "3"}  # Inform II; IV and X are words as often

_EXCLUDING = re.compile(
    r"\b(?:not including|excluding|exclud(?:es|ed)|except(?:ing)?(?: for)?|other than|with the exception of)\b"
)
_WITH = re.compile(r"\b(?:with|w/|for use with|using|mit)(?=\s)")
_WORD = re.compile(r"(?<![a-z0-9])[rv]\d+(?:\.\d+)+|\d+(?:\.\d+)+[a-z]*|\d+(?:\.x)+|[a-z0-9]+")
_VERSION_WORD = re.compile(r"[rv]?\d+(?:\.(?:\d+|x))+|v\d{1,2}")
_TESLA = re.compile(r"\d(?:\.\d)?t")  # how strong a magnet is: 1.5T, 3T
_RANGE = re.compile(r"\b([a-z]{1,4})(\d{2,5})\s?-\s?[a-z]{0,4}(\d{2,5})\b(?!-)")
_RANGE_OF_NAMES = re.compile(r"\b([a-z]{1,4})(\d{1,5})\s?-\s?\1(\d{1,5})\b(?!-)")  # MP2-MP90
_LISTED = re.compile(r"([a-z]{1,4})(\d{1,4})((?:/\d{1,4})+)(?![a-z\d])")  # MX700/800
_SHORTENED = re.compile(
    r"\b([a-z]{0,3}\d{4,6})([a-z]?)((?:/\d{1,3}[a-z]?)+)(?![a-z\d])"
)  # M8001A/2A/10A, 865240/41
_LETTERED = re.compile(r"\b([a-z])-([a-z]{4,})")
_OPEN_NUMBER = re.compile(r"\d+x\d*|x\d{2,}")  # 5x0, x12
_CODE = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)+|[a-z0-9]{6,}")
_CODE_DIGITS_MIN = 6  # 865240, 8713142U; 1543SP-1 is a name
_CODE_SIGNS_MIN = 6
# Siemens' kind, too long for a name: 6GK7543-6WX00-0XE0. It decides alone (codes_of), and would outweigh all words.
_LONG_CODE = re.compile(r"\b(?=(?:[a-z-]*\d){4})[a-z0-9]{3,}(?:-[a-z0-9]{2,}){2,}\b")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_CHOICE = re.compile(r"\s*[/,|]\s*|\s*-\s*")


class Name(NamedTuple):
    """A name in words, and bits of them. `notes`: in parentheses; `withs`: behind "with"; `groups`: words of which one is
    enough; `numbers`: model numbers, `number_groups`: those of which one is enough, most often a single one; `allowed`: numbers
    that a range stands for; `codes`: order numbers, in small letters and without hyphens."""

    words: tuple[str, ...]
    notes: int
    withs: int
    groups: tuple[int, ...]
    numbers: int
    number_groups: tuple[int, ...]
    allowed: frozenset[str]
    codes: frozenset[str]


@lru_cache(maxsize=WORDS_KEPT)
def is_kind(word: str) -> bool:
    """Returns whether a word says what kind of thing a product is, and not which."""
    return (word in _KINDS and word not in SIBLING_WORDS) or _KIND_COMPOUND.fullmatch(word) is not None


def is_family_word(word: str) -> bool:
    """Returns whether a word says that a name is a family's."""
    return word in _FAMILIES


def is_version_word(word: str) -> bool:
    """Returns whether a word is a version rather than a model's number."""
    return _VERSION_WORD.fullmatch(word) is not None


def is_tesla(word: str) -> bool:
    """Returns whether a word says how strong a magnet is: half of all MR scanners share it."""
    return _TESLA.fullmatch(word) is not None


def open_number(word: str) -> re.Pattern[str] | None:
    """Returns what fits a number with digits left open (5x0), None where a word is none."""
    return re.compile(word.replace("x", r"\d")) if _OPEN_NUMBER.fullmatch(word) else None


@lru_cache(maxsize=WORDS_KEPT)
def shape(word: str) -> str:
    """Returns letters and how many digits follow: numbers of one shape (1752 and 1885) are two things, of two shapes they may
    both be of one thing."""
    found = re.fullmatch(r"([a-z]*)(\d+)([a-z]*)", word)
    return f"{found[1]}#{len(found[2])}" if found else word


def bits_of(mask: int) -> Iterable[int]:
    """Yields the places of the bits that are set."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def _stem(word: str) -> str:
    """Returns a word without the s of its plural."""
    return word[:-1] if len(word) > 3 and word[-1] == "s" and word[-2] != "s" and word.isalpha() else word


_KINDS = frozenset(_stem(word) for word in _KIND_WORDS)
_FAMILIES = frozenset(_stem(word) for word in _FAMILY_WORDS)


def codes_of(text: str) -> frozenset[str]:
    """Returns the order numbers in a text, in small letters and without what divides them: 6GK7543-6WX00-0XE0."""
    return frozenset(
        bare
        for found in _CODE.findall(folded(text[:NAME_CHARACTERS_MAX]))
        if len(bare := found.replace("-", "")) >= _CODE_SIGNS_MIN
        and sum(sign.isdigit() for sign in bare) >= _CODE_DIGITS_MIN
    )


@lru_cache(maxsize=NAMES_KEPT)
def read_name(text: str) -> Name:
    """Returns a name in words."""
    codes = codes_of(text)
    text = _LONG_CODE.sub(" ", folded(text[:NAME_CHARACTERS_MAX])).replace("w/", " with ")
    text = re.sub(r"(?<=[a-z0-9])\+(?=\W|$)", " plus ", text)
    text = re.sub(r"(?<=\d)\.0(?=[a-z])", "", text)  # 3.0T is 3T
    text = re.sub(r"\ball models?\b", "series", text)
    text = re.sub(r"\b(including)(?=[a-z]+\d)", r"\1 ", text)
    with_at = next((found.start() for found in _WITH.finditer(text)), len(text))
    words: list[str] = []
    gaps: list[str] = []  # what stands before each word
    notes = withs = numbers = 0
    depth = last_end = 0
    for found in _WORD.finditer(text):
        between = text[last_end : found.start()]
        depth = max(0, depth + between.count("(") - between.count(")"))
        last_end = found.end()
        word = _GENERATIONS.get(found.group(), found.group())
        if word in _SMALL_WORDS:
            continue
        if len(words) == NAME_WORDS_MAX:
            break
        bit = 1 << len(words)
        words.append(_SAME_KIND.get(word) or _stem(word))
        gaps.append(between)
        if depth:
            notes |= bit
        elif found.start() >= with_at:
            withs |= bit
        if any(sign.isdigit() for sign in word) and not _VERSION_WORD.fullmatch(word):
            numbers |= bit
    for place, word in enumerate(
        words[1:], 1
    ):  # MP Series (MP30/X2): whose number is in the list need not have its letters
        if (
            word in _FAMILIES
            and words[place - 1].isalpha()
            and len(words[place - 1]) <= 3
            and numbers & notes
        ):
            notes |= 1 << (place - 1)
    slashed = [0b11 << place for place, gap in enumerate(gaps[1:]) if gap == "/"]
    choices = [1 << place for place in bits_of(numbers)]
    for place in range(1, len(words)):
        if numbers >> place & 1 and numbers >> (place - 1) & 1:
            alike = shape(words[place]).lstrip(_LETTERS) == shape(words[place - 1]).lstrip(_LETTERS) and (
                words[place].isdigit() or shape(words[place]) == shape(words[place - 1])
            )
            ends = gaps[place].strip() == "-" and _letters(words[place]) == _letters(words[place - 1]) != ""
            if (
                gaps[place] == "/"
                or ends
                or (alike and (gaps[place] == " " or _CHOICE.fullmatch(gaps[place])))
            ):
                choices.append(0b11 << (place - 1))
    joined = _joined([*slashed, *choices])
    return Name(
        tuple(words),
        notes,
        withs,
        tuple(group for group in joined if not group & numbers),
        numbers,
        tuple(group for group in joined if group & numbers),
        _allowed(text),
        codes,
    )


def _letters(word: str) -> str:
    """Returns the letters before a number, '' where anything follows it: MP of MP90."""
    found = re.fullmatch(r"([a-z]+)\d+", word)
    return found[1] if found else ""


@lru_cache(maxsize=NAMES_KEPT)
def lettered(text: str) -> dict[str, frozenset[str]]:
    """Returns the letters that a hyphen puts before words: X-Scribe is no R-Scribe. X-ray is a kind."""
    found: dict[str, frozenset[str]] = {}
    for letter, word in _LETTERED.findall(folded(text[:NAME_CHARACTERS_MAX])):
        if not is_kind(word):
            found[word] = found.get(word, frozenset()) | {letter}
    return found


def _joined(groups: Sequence[int]) -> list[int]:
    """Returns groups of which no two share a word: 150c/BUR 150c/MLBUR 150c is one."""
    joined: list[int] = []
    for group in groups:
        apart = [other for other in joined if not other & group]
        for other in joined:
            if other & group:
                group |= other
        joined = [*apart, group]
    return joined


def _allowed(text: str) -> frozenset[str]:
    """Returns the numbers that ranges and lists in a name stand for: MX400-550, MX700/800."""
    allowed: set[str] = set()
    of_one_length = [found for found in _RANGE.findall(text) if len(found[1]) == len(found[2])]
    for letters, low, high in (*of_one_length, *_RANGE_OF_NAMES.findall(text)):
        if len(allowed) < RANGE_NUMBERS_MAX and int(low) < int(high) < int(low) + RANGE_NUMBERS_MAX:
            allowed.update(f"{letters}{number}" for number in range(int(low), int(high) + 1))
    for letters, first, others in _LISTED.findall(text):
        allowed.update(f"{letters}{number}" for number in (first, *others.strip("/").split("/")))
    for first, letter, others in _SHORTENED.findall(text):
        for other in others.strip("/").split("/"):
            if len(other) < len(first) and (other[-1] == letter if letter else other.isdigit()):
                allowed.add(first[: -len(other) + len(letter) or None] + other)
    return frozenset(allowed)


def glued(words: Sequence[str]) -> Iterable[tuple[str, int]]:
    """Yields neighbours written as one word, with their bits: wi fi, nm 530c, mmt 503 k."""
    for start in range(len(words)):
        joined = words[start]
        for length in (2, 3):
            if start + length > len(words):
                break
            joined += words[start + length - 1]
            if len(joined) >= 3:
                yield joined, ((1 << length) - 1) << start


def initials(words: Sequence[str]) -> Iterable[tuple[str, int]]:
    """Yields the initials of three or four neighbours, with their bits."""
    for start in range(len(words)):
        for length in (3, 4):
            run = words[start : start + length]
            if len(run) == length and all(word.isalpha() for word in run):
                yield "".join(word[0] for word in run), ((1 << length) - 1) << start


@lru_cache(maxsize=NAMES_KEPT)
def forms_of(product: str, variant: str) -> tuple[tuple[str, ...], tuple[frozenset[str], ...]]:
    """Returns the ways to say a product's name with its variant, and the words of what it excludes."""
    text, excluded = product[:NAME_CHARACTERS_MAX], []
    cut = _EXCLUDING.search(text.lower())
    if cut:
        for one in re.split(r",|;|\band\b|\bor\b", text[cut.end() :].strip(" )")):
            kept = [
                word
                for word in read_name(one).words
                if not is_kind(word) and not re.fullmatch(r"r\d+|\d", word)
            ]
            if kept:
                excluded.append(frozenset(kept))
        text = text[: cut.start()].rstrip(" ,(")
    forms = [text]
    pieces = [piece.strip() for piece in text.split("/")]
    if len(pieces) > 1 and all(
        len(re.findall(r"[A-Za-z]{4,}", piece)) >= 2 or re.search(r"\w+\.\w+", piece) for piece in pieces[1:]
    ):
        forms.extend(pieces)
    if variant and " ".join(variant.casefold().split()) != " ".join(product.casefold().split()):
        for one in re.split(r"[|;]| / ", variant[:NAME_CHARACTERS_MAX]):
            if one.strip():
                forms.extend((f"{text} {one.strip()}", one.strip()))
    return tuple(dict.fromkeys(forms))[:FORMS_MAX], tuple(excluded)


@lru_cache(maxsize=NAMES_KEPT)
def numbers_in(variant: str) -> frozenset[str]:
    """Returns the model numbers in a text."""
    name = read_name(variant)
    return frozenset(name.words[place] for place in bits_of(name.numbers))


@lru_cache(maxsize=NAMES_KEPT)
def narrowing(words: tuple[str, ...], title: str) -> frozenset[str]:
    """Returns the model numbers that stand in the title right behind a product's whole name, which has none itself: what is
    called SureSigns below the title `SureSigns VS4` is the VS4."""
    if not words or any(sign.isdigit() for word in words for sign in word):
        return frozenset()
    titled = read_name(title).words
    for start in range(len(titled) - len(words)):
        if titled[start : start + len(words)] == words:
            behind = titled[start + len(words)]
            if re.fullmatch(r"[a-z]{1,4}\d+[a-z]*", behind):
                return frozenset(word for word in titled if shape(word) == shape(behind))
    return frozenset()
