"""Marking words: everything in bytes, a text or a tree that looks like a TLP or PAP marking, however it is spelled.

The one place that knows such words; every reader asks it. Rules (docs/intelligence.md, "What tightens"):

1. A word tightens and never marks: a looser marking beside it becomes stricter, and no marking stays none.
2. Texts are compared in NFKC and without case. A text that names a level only once invisible characters are taken out,
   or letters are read as the Latin ones that they look like, is not understood.
3. The name of a scheme before anything that is no level (`tlp: mauve`) is not understood; the name alone is told.
4. Texts of an adversary are no marking: the literals of a STIX pattern, and the values of a cyber-observable.

`may_hold_words` looks at the bytes of everything that is read, and may err on one side only. Linear: each expression
ends within a bounded number of characters of its beginning, and only so many places of an object are looked at.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from itertools import accumulate, islice
from typing import Any, Literal, NamedTuple

import msgspec

from p2pshare.lookalikes import INVISIBLE

DEFINITION_ID = b"marking-definition--"
TLP, PAP = "tlp", "pap"
LEVEL_NAMES = frozenset({"CLEAR", "GREEN", "AMBER", "AMBER+STRICT", "RED"})

SHOWN_CHARACTERS = 48  # of a text that is not understood: enough to find it again
CACHED_CHARACTERS_MAX = 128  # labels, names: the same texts stand in thousands of objects
CACHED_MAX = 4_096
# An object with more than this is not looked at to its end, and not understood: nobody marks so.
FOUND_MAX = 128
NODES_MAX = 32_768  # a report names 16,384 objects
MENTIONS_MAX = 32  # in a text of 2 KiB


class MarkingWords(NamedTuple):
    """Levels by their names (`AMBER+STRICT`; WHITE is CLEAR) under each scheme, texts that look like a marking and are not
    understood, texts that speak of a scheme without a level, ids of marking definitions."""

    tlp: frozenset[str] = frozenset()
    pap: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()
    spoken: frozenset[str] = frozenset()
    refs: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        """Returns whether there is anything."""
        return any(self)

    def merged(self, other: MarkingWords) -> MarkingWords:
        """Returns the words of both."""
        if other is NO_WORDS or self is NO_WORDS:
            return self if other is NO_WORDS else other
        return MarkingWords(*(mine | theirs for mine, theirs in zip(self, other, strict=True)))

    def without_spoken(self) -> MarkingWords:
        """Returns the words without `spoken`, where that has been told already."""
        return self._replace(spoken=frozenset()) if self.spoken else self


NO_WORDS = MarkingWords()
TOO_MANY = MarkingWords(unknown=frozenset({"more than is looked at"}))

# --- letters ---

# Latin letter -> letters and signs that look like it, of the words that are looked for (Unicode's confusables.txt, without
# those that NFKC maps). One that looks like two letters stands under one of them: it is enough that the word is seen.
LOOKALIKES = {
    "a": "аАαΑɑᴀᎪꓮ⍺",
    "b": "ВвЬьΒβʙᏴꓐ",
    "c": "сСϲϹᴄᏟꓚⲤⲥ",
    "d": "ԁԀᴅᎠꓓժ",
    "e": "еЕεΕᴇᎬꓰєЄ℮ҽɛⴹ",
    "g": "ɡցԌԍɢᏀꓖ",
    "h": "һНнΗʜᎻհꓧ",
    "i": "іιıɪᎥꓲ",
    "l": "ʟᏞꓡІΙӀӏǀ∣Լլⳑ",
    "m": "мМΜᴍᎷꓟϻ",
    "n": "ոΝɴꓠηռ",
    "p": "рРρΡᴘᏢꓑⲣⲢƿ",
    "r": "гʀᎡᏒꓣᴦЯя",
    "s": "ѕЅꜱᏚꓢ",
    "t": "тТτΤᴛᎢꓔ⊤ŧŦ",
    "w": "ѡԝԜωᴡᎳꓪ",
    ":": "∶꞉ː։׃",
}
# Alphabets of signs that NFKC leaves as they are: negative circled and squared letters, regional indicators.
SIGN_ALPHABETS = (0x1F150, 0x1F170, 0x1F1E6)
MARK_CATEGORIES = frozenset({"Cf", "Mn", "Me"})
# Letters and signs of many languages that nobody takes for a letter of a scheme's name. A text of these and ASCII is
# looked at no further, so an A with an accent is read as no A.
HARMLESS = frozenset("ÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝßàáâãäåæçèéêëìíîïñòóôõöøùúûüýÿŒœŠšŽž§°«»´·¿¡€£©®–—‘’‚“”„…•")


class _Skeleton(dict[int, str | None]):
    """Character -> the one it looks like, None for one that is not seen, for `str.translate`. Filled as characters are
    met, up to a few thousand."""

    def __missing__(self, code: int) -> str | None:
        sign = chr(code)
        is_seen = INVISIBLE.match(sign) is None and unicodedata.category(sign) not in MARK_CATEGORIES
        found = sign if is_seen else None
        if len(self) < CACHED_MAX:
            self[code] = found
        return found


_SKELETON = _Skeleton(
    {ord(sign): letter for letter, signs in LOOKALIKES.items() for sign in signs}
    | {first + place: chr(ord("a") + place) for first in SIGN_ALPHABETS for place in range(26)}
)


_AS_HARMLESS = str.maketrans(
    {
        sign: "x" if sign.isalpha() else " "
        for sign in HARMLESS
        if not (base := unicodedata.normalize("NFKD", sign)[0].lower()).isascii() or base in "tlpa"
    }
)


def fold(text: str) -> str:
    """Returns `text` in NFKC and without case, as marking words are compared: a full-width letter is the letter."""
    return text.lower() if text.isascii() else _normalized("NFKC", text).casefold()


def _skeleton(text: str, letters: Mapping[int, str | None] = _SKELETON) -> str:
    """Returns `text` as it looks: without invisible characters and marks, each letter the Latin one that it resembles."""
    return _normalized("NFKD", text.translate(_AS_HARMLESS)).translate(letters).casefold()


def _normalized(form: Literal["NFKC", "NFKD"], text: str) -> str:
    # Two signs stand for whole sentences, of 18 and 8 characters: a text of them costs what ten texts do.
    return unicodedata.normalize(form, text.replace("\ufdfa", " ").replace("\ufdfb", " "))


# --- bytes ---


@cache
def _ignoring_case(name: str) -> Any:
    """Returns the expression for a name whatever its case, which RE2 looks for several times as fast as `lower` and `in` do
    in all but small texts."""
    return _compiled(name, is_case_sensitive=False)


def _compiled(pattern: str, *, is_case_sensitive: bool) -> Any:
    """Returns `pattern` for RE2. Loaded when it is first needed, for a command that only looks something up reads no text."""
    import re2

    options = re2.Options()
    options.case_sensitive = is_case_sensitive
    options.log_errors = False
    options.never_capture = True
    return re2.compile(pattern, options)


SHORT_NAMES = (b"tlp", b"pap")
NAMES = (*SHORT_NAMES, b"light")  # of `Traffic Light Protocol`
_SMALL_BYTES = 2_048
_ASCII = bytes(range(128))
_ASCII_SIGNS = r"\x00-/:-@\[-`{-\x7f"  # neither letters nor digits

# Characters whose looks are asked for. Of the others, Han and Hangul are letters that look like no Latin one, and the rest
# is taken for either: a letter and none.
_LOOKED_AT = (
    (0x80, 0x3400), (0x4DC0, 0x4E00), (0x9FFD, 0xAC00), (0xD7A4, 0xD800), (0xE000, 0x17000), (0x1B000, 0x20000), (0x2F800, 0x2FA20), (0xE0000, 0xE1000),
)  # fmt: skip
_EITHER = r"\x{17000}-\x{1afff}\x{20000}-\x{10ffff}"
_ESCAPED_SPACE = r"\\[bfnrt]"  # in JSON, where the letter belongs to the sign


@cache
def _disguised() -> Any:
    """Returns the expression for the names of schemes with a letter that only looks like one, in UTF-8. Asks thousands of
    characters how they look, so it is made when the first such text comes.

    It holds whatever `_words_of_text` finds in a text that is not ASCII, so it errs on one side only; and hardly more, for
    half of the words of a Russian text have letters that look Latin. `tests/intel/test_intel_marking_sieve.py` holds it to
    both.
    """
    letters = _Skeleton(_SKELETON)  # a copy: what is met here would fill the one that texts need
    looks: dict[str, list[str]] = {}
    for first, end in _LOOKED_AT:
        for character in map(chr, range(first, end)):
            looks.setdefault(_skeleton(character, letters), []).append(character)

    def all_that(is_right: Callable[[str], object]) -> str:
        return _as_class([one for look, signs in looks.items() if is_right(look) for one in signs])

    def like(letter: str) -> str:
        return f"[{letter}{letter.upper()}{_as_class(looks[letter])}]"

    unseen = f"[{_as_class(looks[''])}]*"
    no_letters = all_that(lambda look: not look or not look[0].isalnum() or not look[-1].isalnum()) + _EITHER
    several = all_that(lambda look: len(look) > 1) + r"\x{ac00}-\x{d7a3}"
    several_of_a_name = all_that(lambda look: len(look) > 1 and any(one in look for one in "tlp"))
    like_latin = [one for letter in LOOKALIKES for one in looks[letter] if one in LOOKALIKES[letter]]
    wild = f"[^\\x00-\\x7f{_as_class(like_latin)}]"  # others look like Latin letters, too: they are few
    t, l, p, a = map(like, "tlpa")  # noqa: E741 - the letters themselves
    start = rf"(?:^|[{_ASCII_SIGNS}{no_letters}]|{_ESCAPED_SPACE})"
    between = rf"(?:[{_ASCII_SIGNS}{no_letters}]|{_ESCAPED_SPACE})*"
    level = "|".join("".join(f"(?:{like(letter)}|{wild})" for letter in name) for name in _LEVEL_WORDS)
    return _compiled(
        "|".join(
            (
                f"{t}{unseen}{l}{unseen}{p}",
                f"{p}{unseen}{a}{unseen}{p}",
                f"{start}{t}{unseen}{l}{unseen}{wild}",
                f"{start}{wild}{unseen}{l}{unseen}{p}",
                rf"{start}{t}{unseen}{wild}{unseen}{p}(?:{between}(?:{level})(?:$|[{_ASCII_SIGNS}{no_letters}])"
                # ... or a sign before the text ends that is none of a level's letters, or several
                rf"|{between}(?:[^\"\\\\]|\\\\.)*(?:[{several}]|{unseen[:-1]}))",
                f"(?:{t}|{l}|{p}|{a}|{wild}){unseen}[{several_of_a_name}]",
                f"[{several_of_a_name}]{unseen}(?:{t}|{l}|{p}|{a})",
            )
        ),
        is_case_sensitive=True,  # the looks of both cases have been asked for, and they differ
    )


def _as_class(characters: Iterable[str]) -> str:
    """Returns what stands for `characters` between the brackets of an expression for RE2."""
    ranges: list[list[int]] = []
    for code in sorted(map(ord, characters)):
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(rf"\x{{{first:x}}}-\x{{{last:x}}}" for first, last in ranges)


_SAMPLE_BYTES = 4_096


def _is_harmless(raw: bytes) -> bool:
    """Returns whether all characters of `raw` that are not ASCII are harmless."""
    if raw.isascii():
        return True
    if len(raw) > _SAMPLE_BYTES and not _is_harmless(raw[:_SAMPLE_BYTES].decode("utf-8", "ignore").encode()):
        return False  # one sentence tells the language of the rest, mostly
    try:
        return HARMLESS.issuperset(raw.translate(None, _ASCII).decode())
    except UnicodeDecodeError:
        return False


# A letter, digit or hyphen of ASCII as an escape: nobody needs to write so, and ids are counted in the bytes.
_NEEDLESS_ESCAPE = re.compile(rb"\\u00(?:2[dD]|3[0-9]|[46][1-9a-fA-F]|[57][0-9aA])")


def _unescaped(raw: bytes) -> bytes | None:
    """Returns JSON text with each escape `\\u2013` replaced by its character; None for what cannot be JSON, or is written
    as nobody does."""
    if b"\\" not in raw or b"\\u" not in raw:  # one byte is found ten times as fast as two
        return raw
    if _NEEDLESS_ESCAPE.search(raw) is not None:
        return None
    try:
        text = raw.decode().encode("raw_unicode_escape").decode("raw_unicode_escape")
    except UnicodeDecodeError:
        return None
    try:
        return text.encode()
    except UnicodeEncodeError:  # each half of a surrogate pair is an escape of its own
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


class Look(NamedTuple):
    """What a look at bytes tells: the names of schemes that stand in them, and whether one may stand there in disguise."""

    names: tuple[bytes, ...]
    is_disguised: bool


QUIET = Look((), is_disguised=False)


def look_at(raw: bytes, names: tuple[bytes, ...] = NAMES) -> Look:
    """Returns which of `names` stand in JSON or text of these bytes, whatever their case. One that is missing is certainly
    missing."""
    seen = _unescaped(raw)
    if seen is None:
        return Look(names, is_disguised=True)
    here = tuple(_names_in(seen, names))
    if seen is not raw:  # if it is no JSON, an escape is none
        here = tuple(dict.fromkeys([*here, *_names_in(raw, names)]))
    is_disguised = _is_disguised(seen) or (seen is not raw and _is_disguised(raw))
    return Look(here, is_disguised) if here or is_disguised else QUIET


def _names_in(seen: bytes, names: tuple[bytes, ...]) -> Iterator[bytes]:
    if len(seen) < _SMALL_BYTES:
        lowered = seen.lower()
        yield from (name for name in names if name in lowered)
    else:
        yield from (name for name in names if _ignoring_case(name.decode()).search(seen) is not None)


def _is_disguised(seen: bytes) -> bool:
    """Returns whether there could be a name that is written otherwise than in ASCII."""
    if _is_harmless(seen):
        return False
    found = _disguised().search(seen)
    if found is None or not found[0].isascii():
        return found is not None
    seen = seen.lower()  # it was a plain name, which may stand before another one
    for name in SHORT_NAMES:
        seen = seen.replace(name, b"---")
    return _disguised().search(seen) is not None


def may_hold_words(raw: bytes, names: tuple[bytes, ...] = NAMES) -> bool:
    """Returns whether `words_in_text` or `words_in` could find anything in JSON or text of these bytes, by one of the
    `names`. False is certain, but for ids of marking definitions: DEFINITION_ID is looked for apart."""
    seen = _unescaped(raw)
    if seen is None or _may_hold_words(seen, names):
        return True
    return seen is not raw and _may_hold_words(raw, names)


def _may_hold_words(seen: bytes, names: tuple[bytes, ...]) -> bool:
    if not _is_harmless(seen):
        if _disguised().search(seen) is not None:
            return True
        names = tuple([name for name in names if name not in SHORT_NAMES])  # it holds those as well
    return next(_names_in(seen, names), None) is not None


# --- texts ---

_SCHEME = re.compile(r"(?<![^\W_])(?:(tlp)|(pap)|traffic[\W_]{0,3}light[\W_]{0,3}protocol)")
_VERSION = re.compile(r"[\W_]{0,2}v?[12](?:[._]\d)?(?![^\W_])")
_SAME = re.compile(r"[\W_]{1,3}tlp(?![^\W_])")  # `Traffic Light Protocol (TLP)`
_BETWEEN = re.compile(
    r"(?:[\W_]{0,16}(?:v?[12](?:[._]\d)?|tlp|traffic|light|protocol|levels?|colou?rs?|codes?|markings?|label|classification|classified"
    r"|designation|rating|status|handling|version|sharing|is|as|of|this|the|document|report|information|file|to|at|set|marked)"
    r"(?![^\W_])){0,6}[\W_]{0,16}"
)
_LEVEL_WORDS = ("strict", "amber", "green", "clear", "white", "red")
_LEVEL = re.compile(r"(?:(amber)[\W_]{0,3}strict|(amber|red|green|clear|white))(?![^\W_])")
_MORE = re.compile(r"[\W_]{0,2}(?:[/|&]|\bor\b|\band\b)[\W_]{0,2}(?:(?:tlp|pap)[\W_]{0,3})?")
_LEVEL_BEFORE = re.compile(r"(?<![^\W_])" + _LEVEL.pattern + r"[\W_]{1,3}\Z")
_BEFORE_CHARACTERS = 24
# A name that is given something: `tlp: mauve`, and a text of these two alone (`tlp-mauve`).
_GIVEN = re.compile(r"[ \t]{0,2}[:=][\s\"'`*_(\[{<]{0,8}(?=[^\W_]|[^\x00-\x7f])")
_PAIR = re.compile(r"[\W_]{0,4}(?:tlp|pap)[:=_-]{1,2}[\"']?[^\s.]{1,64}")


def _wild(word: str) -> str:
    """Returns an expression for `word` in which any letter may be one that is not ASCII, so it excludes the rest of ASCII."""
    return "".join(rf"[^\x00-{chr(ord(letter) - 1)}{chr(ord(letter) + 1)}-\x7f]" for letter in word)


@cache
def _wildly() -> re.Pattern[str]:
    """Returns the expression for scheme and level of which one letter of the first, and all but one of the second, may be
    anything that is not ASCII."""
    levels = "|".join(map(_wild, _LEVEL_WORDS))
    scheme = r"t[^\x00-\x7f]p|tl[^\x00-\x7f]|[^\x00-\x7f]lp|tlp"
    return re.compile(rf"(?<![^\W_])({scheme})[\W_]{{0,16}}({levels})(?![^\W_])")


def words_in_text(text: str, *, is_label: bool = False) -> MarkingWords:
    """Returns the marking words of a text. In a label or tag (`is_label`) the name of a scheme before anything is given it."""
    if len(text) <= CACHED_CHARACTERS_MAX:
        return _words_of_short_text(text, is_label)
    return _words_of_text(text, is_label) if len(text) <= _SMALL_BYTES else _words_of_long_text(text)


def _words_of_text(text: str, is_label: bool) -> MarkingWords:
    if text.isascii():
        lowered = text.lower()
        if TLP in lowered or PAP in lowered or "light" in lowered:
            return _find_words(lowered, is_label)
        return NO_WORDS
    found = _find_words(fold(text), is_label)
    skeleton = _skeleton(text)
    seen = _find_words(skeleton, is_label)
    is_disguised = bool(seen.tlp - found.tlp or seen.pap - found.pap or (seen.unknown and not found.unknown))
    if is_disguised or (not skeleton.isascii() and any(map(_is_word_in_part, _wildly().finditer(skeleton)))):
        found = found._replace(unknown=found.unknown | {_shown(text)})
    return found if found else found._replace(spoken=seen.spoken)


_BEFORE_BYTES, _BEHIND_BYTES = 96, 384  # seen around a place
_SEEN_BYTES = 128  # behind a place, what has been seen well enough


def _words_of_long_text(text: str) -> MarkingWords:
    """Returns the marking words around each place where a scheme may be named: to normalise the whole costs too much."""
    raw = text.encode("utf-8", "surrogatepass")
    searches = [_ignoring_case(name.decode()) for name in NAMES] + (
        [] if _is_harmless(raw) else [_disguised()]
    )
    words = NO_WORDS
    looked_at = 0
    for pattern in searches:
        hit = pattern.search(raw)
        while hit is not None:
            looked_at += 1
            if looked_at > FOUND_MAX:
                return words.merged(TOO_MANY)
            end = min(hit.end(), hit.start() + _SEEN_BYTES) + _BEHIND_BYTES
            around = raw[max(0, hit.start() - _BEFORE_BYTES) : end]
            words = words.merged(_words_of_text(around.decode("utf-8", "ignore"), is_label=False))
            hit = pattern.search(raw, hit.start() + _SEEN_BYTES)
    return words


_words_of_short_text = lru_cache(maxsize=CACHED_MAX)(_words_of_text)


def _is_word_in_part(match: re.Match[str]) -> bool:
    return not match[0].isascii() and any("a" <= one <= "z" for one in match[2])


def _shown(text: str) -> str:
    return text.strip()[:SHOWN_CHARACTERS]


def _find_words(folded: str, is_label: bool) -> MarkingWords:
    levels: dict[str, set[str]] = {TLP: set(), PAP: set()}
    unknown: set[str] = set()
    spoken: set[str] = set()
    end = 0
    for mentions, match in enumerate(_SCHEME.finditer(folded)):
        if mentions > MENTIONS_MAX:
            unknown |= TOO_MANY.unknown
            break
        if match.start() < end:  # it was part of what stood before, as in `Traffic Light Protocol (TLP): RED`
            continue
        scheme = PAP if match[2] else TLP
        names, end = _levels_behind(folded, match.end())
        if (
            not names
            and folded[match.end() : match.end() + 1].isalnum()
            and not _VERSION.match(folded, match.end())
        ):
            continue  # a longer word that begins like a scheme
        if not names:
            names = _level_before(folded, match.start())
        if scheme == PAP and "AMBER+STRICT" in names:
            unknown.add(_shown(folded[match.start() :]))
        elif names:
            levels[scheme].update(names)
        elif _is_given_something(folded, match, scheme, is_label):
            unknown.add(_shown(folded[match.start() :]))
        elif folded[match.start() - 1 : match.start()] not in ("/", "."):  # a part of an address or file name
            spoken.add(_shown(folded[match.start() :]))
            same = _SAME.match(folded, match.end())
            end = same.end() if same else match.end()
    return MarkingWords(frozenset(levels[TLP]), frozenset(levels[PAP]), frozenset(unknown), frozenset(spoken))


def _levels_behind(folded: str, end: int) -> tuple[set[str], int]:
    """Returns the levels that follow the name of a scheme, and the position behind them."""
    names: set[str] = set()
    between = _BETWEEN.match(folded, end)
    level = _LEVEL.match(folded, end) or (between and _LEVEL.match(folded, between.end()))
    while level:
        names.add(_level_name(level))
        end = level.end()
        more = _MORE.match(folded, end)
        level = more and _LEVEL.match(folded, more.end())
    return names, end


def _level_before(folded: str, start: int) -> set[str]:
    """Returns the level right before the name of a scheme: `RED (TLP)`."""
    level = _LEVEL_BEFORE.search(folded[max(0, start - _BEFORE_CHARACTERS) : start])
    return {_level_name(level)} if level else set()


def _level_name(level: re.Match[str]) -> str:
    name = "AMBER+STRICT" if level[1] else level[2].upper()
    return "CLEAR" if name == "WHITE" else name


def _is_given_something(folded: str, match: re.Match[str], scheme: str, is_label: bool) -> bool:
    version = _VERSION.match(folded, match.end())
    end = version.end() if version else match.end()
    if is_label and not folded[: match.start()].strip(" \"'"):
        return bool(folded[end:].strip(" \"'"))
    if version and not folded[end:].strip():
        return False
    if scheme == TLP and _GIVEN.match(folded, end):
        return True
    return _PAIR.fullmatch(folded.strip()) is not None


_LEFT_OPEN = re.compile(r"(?:tlp|pap|protocol)[\W_]{0,16}\Z")
_MARGIN = "#/;>*|- \t"  # what lines of comments and lists begin with


class LineReader:
    """Reads the lines of a text one after another: a level may stand on the line after its scheme."""

    def __init__(self) -> None:
        self._open = ""

    def words_in(self, line: str) -> MarkingWords:
        """Returns the marking words of a line, and of its beginning together with a line before that ends with a scheme."""
        before = self._open
        if not before and not may_hold_words(line.encode("utf-8", "surrogateescape")):
            return NO_WORDS
        text = line.strip(_MARGIN)
        if not text:
            return NO_WORDS
        self._open = text if _LEFT_OPEN.search(fold(text[-2 * SHOWN_CHARACTERS :])) else ""
        words = words_in_text(text)
        if not before:
            return words
        both = words_in_text(f"{before[-SHOWN_CHARACTERS:]} {text[:SHOWN_CHARACTERS]}")
        return words.merged(both.without_spoken())


# --- trees ---

_KEY_WORDS = re.compile(r"[a-z]+")
_KEY_PARTS = frozenset(  # may follow the name of a scheme in a key whose value is the level: `tlp_2_0`, `tlpLevel`
    {"", "v", "level", "levels", "color", "colour", "code", "marking", "markings", "label", "labels", "value", "values",
     "classification", "designation", "rating", "status", "tag", "tags", "name"}
)  # fmt: skip
_KEY_THAT_SPEAKS = re.compile(
    r"(?<![a-z0-9])tlp|tlp(?![a-z0-9])|(?<![a-z0-9])pap(?![a-z0-9])|traffic[\W_]{0,3}light"
)
_ID = re.compile(r"marking-definition--[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
LABEL_KEYS = frozenset({"label", "labels", "tag", "tags", "keyword", "keywords"})
# STIX 2.1 section 6. The values of these properties in these objects were observed: an adversary wrote them.
OBSERVED_TYPES = frozenset(
    {
        "artifact", "directory", "domain-name", "email-addr", "email-message", "file", "ipv4-addr", "ipv6-addr", "mac-addr",
        "mutex", "network-traffic", "process", "software", "url", "user-account", "windows-registry-key", "x509-certificate",
    }
)  # fmt: skip
OBSERVED_PROPERTIES = frozenset(
    {
        "account_login", "body", "command_line", "credential", "cwd", "data", "display_name", "issuer", "key", "message_id",
        "name", "path", "payload_bin", "subject", "url", "user_id", "value", "vendor",
    }
)  # fmt: skip
_OWN_PROPERTIES = frozenset({"id", "spec_version", "object_marking_refs", "granular_markings"})
_LITERAL = re.compile(r"'([^']*+)'")
_LITERALS_MAX = 16
_SPEAKING = "speaking"


def sense_of(key: str) -> str:
    """Returns the sense of the value under a key: `tlp` or `pap` for a level, `speaking` for something about it, or ""."""
    if len(key) <= CACHED_CHARACTERS_MAX:
        return _sense_of_short_key(key)
    return _SPEAKING if words_in_text(key) else ""


@lru_cache(maxsize=CACHED_MAX)
def _sense_of_short_key(key: str) -> str:
    folded = key.lower() if key.isascii() else _skeleton(key)
    words = _KEY_WORDS.findall(folded)
    while words and words[-1] in _KEY_PARTS:
        words.pop()
    last = words[-1] if words else ""
    if last.endswith("tlp") or "".join(words).endswith("trafficlightprotocol"):
        return TLP
    for scheme in (TLP, PAP):
        if last.startswith(scheme) and last[3:] in _KEY_PARTS:
            return scheme
    return _SPEAKING if _KEY_THAT_SPEAKS.search(folded) else ""


def words_in(value: object) -> MarkingWords:
    """Returns the marking words of a tree of parsed JSON: in its keys, its texts, its values under keys that are called
    after a scheme, its ids of marking definitions."""
    found = _Found()
    try:
        found.look_at(value, "")
    except RecursionError:
        return TOO_MANY
    return found.words()


def words_of_members(members: Mapping[str, msgspec.Raw], skipped: frozenset[str]) -> MarkingWords:
    """Returns the marking words in the members of a JSON object, but for those that are `skipped`. A member that can hold
    none is not decoded; one that cannot be decoded is read as text."""
    found = {}
    for name, raw in members.items():
        text = bytes(raw)
        if name in skipped or not (may_hold_words(name.encode() + text) or DEFINITION_ID in text):
            continue
        try:
            found[name] = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            found[name] = text.decode("utf-8", "replace")
    return words_in(found)


def words_of_bytes(piece: bytes, references: int, labels: tuple[str, ...], look: Look) -> MarkingWords | int:
    """Returns the marking words of a STIX object where its bytes tell them at once: none, as nearly always, or those of its
    `labels`. Else the cost of looking into it (`words_of_object`), in places. `references`: how often DEFINITION_ID stands
    in its references to markings. `look`: what is known of more bytes than these."""
    unescaped = _unescaped(piece)
    seen = piece if unescaped is None else unescaped
    is_disguised = unescaped is None or (look.is_disguised and _is_disguised(seen))
    lowered = seen.lower()
    spoken = 0
    for name in look.names:
        spoken += lowered.count(name)
    if seen.count(DEFINITION_ID) == references and not is_disguised:
        if not spoken:
            return NO_WORDS
        words, spoken_in_labels = _words_of_labels(labels, look.names)
        if spoken == spoken_in_labels:
            return words
    return 1 + spoken + len(piece) // (64 if is_disguised else 256)


def _count(names: tuple[bytes, ...], lowered: bytes) -> int:
    return sum([lowered.count(name) for name in names])


def words_in_labels_only(
    frame_json: bytes, labels: Sequence[tuple[str, ...]]
) -> dict[int, MarkingWords] | None:
    """Returns the marking words of each object of a frame by its position where all that the frame holds stand in the
    objects' `labels`, beside references to markings; None where a look at each object has to tell.

    No object holds fewer names than its labels do, so none holds more where the sums are equal.
    """
    seen = _unescaped(frame_json)
    if seen is None:
        return None
    lowered = seen.lower()
    spoken = _count(SHORT_NAMES, lowered)
    found: dict[int, MarkingWords] = {}
    near: tuple[str, ...] = ()
    words, in_these = NO_WORDS, 0
    for position, those in enumerate(labels):
        if those != near:
            near, (words, in_these) = those, _words_of_labels(those, SHORT_NAMES)
            if in_these < 0:
                return None
        spoken -= in_these
        if words:
            found[position] = words
    return None if spoken or _is_disguised(seen) else found


def objects_to_look_at(pieces: Sequence[bytes], look: Look) -> Iterable[int]:
    """Returns the positions of the objects of a frame, of which these are the `pieces`, that may hold marking words beside
    their references to markings."""
    text = b"\n".join(pieces).lower()
    if look.is_disguised or b"\\u" in text:
        return range(len(pieces))
    ends = list(accumulate([len(piece) + 1 for piece in pieces]))
    found = set()
    for name in look.names:
        at = text.find(name)
        while at >= 0:
            position = bisect(ends, at)
            found.add(position)
            at = text.find(name, ends[position])
    return sorted(found)


@lru_cache(maxsize=1_024)
def definitions_named(references: tuple[str, ...]) -> int:
    """Returns how often DEFINITION_ID stands in references to markings: once in each that is one."""
    return sum([one.count("marking-definition--") for one in references])


@lru_cache(maxsize=1_024)
def _words_of_labels(labels: tuple[str, ...], names: tuple[bytes, ...]) -> tuple[MarkingWords, int]:
    """Returns the marking words of labels, and how often `names` stand in them; -1 for labels that are long."""
    if sum(map(len, labels)) > CACHED_CHARACTERS_MAX:
        return NO_WORDS, -1
    words, spoken = NO_WORDS, 0
    for label in labels:
        words = words.merged(words_in_text(label, is_label=True))
        spoken += _count(names, label.encode("utf-8", "surrogatepass").lower())
    return words, spoken


def words_of_object(stix: Mapping[str, Any]) -> MarkingWords:
    """Returns the marking words of a STIX object, beside its references to markings. None of a marking definition: there
    they are its meaning (`marking.meaning_of`)."""
    if stix.get("type") == "marking-definition":
        return NO_WORDS
    rest = {name: value for name, value in stix.items() if name not in _OWN_PROPERTIES}
    pattern = rest.get("pattern")
    if isinstance(pattern, str) and "\\" not in pattern and rest.get("pattern_type", "stix") == "stix":
        rest["pattern"] = _LITERAL.sub("''", pattern)
        name = rest.get("name")
        if isinstance(name, str) and len(name) <= _SMALL_BYTES:  # an indicator is often called by its value
            for literal in islice(_LITERAL.finditer(pattern), _LITERALS_MAX):
                name = name.replace(literal[1], "") if len(literal[1]) > 3 else name
            rest["name"] = name
    return words_in(rest)


def _ids_in(text: str) -> MarkingWords:
    """Returns the ids of marking definitions in a text; one that is not whole is not understood."""
    ids = [match[0].lower() for match in islice(_ID.finditer(text), FOUND_MAX + 1)]
    words = MarkingWords(refs=frozenset(ids))
    is_whole = len(ids) == text.count("marking-definition--") and len(ids) <= FOUND_MAX
    return words if is_whole else words.merged(MarkingWords(unknown=frozenset({_shown(text)})))


class _Found:
    """The marking words of a tree so far, and how much of the tree may still be looked at."""

    def __init__(self, nodes_left: int = NODES_MAX, found_left: int = FOUND_MAX) -> None:
        self._all = NO_WORDS
        self._nodes_left = nodes_left
        self._found_left = found_left

    def words(self) -> MarkingWords:
        return self._all if self._nodes_left > 0 and self._found_left > 0 else self._all.merged(TOO_MANY)

    def _add(self, words: MarkingWords) -> None:
        if words and self._found_left > 0:
            both = self._all.merged(words)
            self._found_left -= both != self._all  # the same may be said of each of many things in an object
            self._all = both

    def look_at(self, value: object, sense: str, *, is_label: bool = False) -> None:
        if isinstance(value, str):
            self._look_at_text(value, sense, is_label)
        elif sense and not value and not isinstance(value, int | float):
            self._add(MarkingWords(spoken=frozenset({sense})))
        elif isinstance(value, Mapping):
            if not self._may_look_at(len(value)):
                return
            if sense in (TLP, PAP):
                self._look_for_level(value, sense)
            else:
                self._look_into(value, sense)
        elif isinstance(value, list | tuple):
            if self._may_look_at(len(value)):
                for one in value:
                    if sense or not isinstance(one, int | float):
                        self.look_at(one, sense, is_label=is_label)
        elif sense in (TLP, PAP):
            self._add(MarkingWords(unknown=frozenset({f"{sense}: {value}"[:SHOWN_CHARACTERS]})))

    def _may_look_at(self, nodes: int) -> bool:
        self._nodes_left -= nodes + 1
        return self._nodes_left > 0 and self._found_left > 0

    def _look_for_level(self, mapping: Mapping[Any, Any], scheme: str) -> None:
        """Looks for the level in an object that stands under the name of a scheme."""
        inside = _Found(self._nodes_left, self._found_left)
        inside._look_into(mapping, scheme)
        self._nodes_left, self._found_left = inside._nodes_left, inside._found_left
        self._all = self._all.merged(inside._all or MarkingWords(unknown=frozenset({scheme})))

    def _look_into(self, mapping: Mapping[Any, Any], within: str) -> None:
        """Looks at the members of an object; `within` is the sense of the key under which the object itself stands."""
        type_ = mapping.get("type")
        is_observed = isinstance(type_, str) and type_ in OBSERVED_TYPES
        for key, value in mapping.items():
            if self._found_left <= 0:
                break
            name = str(key)
            sense = sense_of(name)
            if sense:
                words = words_in_text(name)
                self._add(MarkingWords(tlp=words.tlp, pap=words.pap))
            if is_observed and name in OBSERVED_PROPERTIES and isinstance(value, str):
                continue
            if not sense and within and isinstance(value, str):
                self._look_at_member(value, within)
            else:
                self.look_at(value, sense, is_label=name.lower() in LABEL_KEYS)

    def _look_at_member(self, text: str, within: str) -> None:
        """Looks at a text in an object that stands under the name of a scheme: it may be the level."""
        level = _LEVEL.fullmatch(fold(text[:CACHED_CHARACTERS_MAX]).strip(" \"'"))
        if level is None or len(text) > CACHED_CHARACTERS_MAX:
            self._look_at_text(text, "", is_label=False)
        else:
            self._add_level(_level_name(level), within)

    def _look_at_text(self, text: str, sense: str, is_label: bool) -> None:
        if "marking-definition--" in text:
            self._add(_ids_in(text))
        if not sense:
            self._add(words_in_text(text, is_label=is_label))
            return
        folded = fold(text[:CACHED_CHARACTERS_MAX]).strip(" \"'")
        level = _LEVEL.fullmatch(folded)
        if level is not None and len(text) <= CACHED_CHARACTERS_MAX:
            self._add_level(_level_name(level), sense)
            return
        words = words_in_text(text, is_label=sense in (TLP, PAP))
        if sense in (TLP, PAP) and not (words.tlp or words.pap or words.unknown):
            is_level = bool(folded) and not _VERSION.fullmatch(folded)
            shown = frozenset({f"{sense}: {text[:SHOWN_CHARACTERS]}"})
            words = words.merged(MarkingWords(unknown=shown) if is_level else MarkingWords(spoken=shown))
        elif sense == _SPEAKING and not words:
            words = MarkingWords(spoken=frozenset({_shown(text)}))
        self._add(words)

    def _add_level(self, name: str, sense: str) -> None:
        if sense != PAP:
            self._add(MarkingWords(tlp=frozenset({name})))
        elif name == "AMBER+STRICT":
            self._add(MarkingWords(unknown=frozenset({f"pap: {name}"})))
        else:
            self._add(MarkingWords(pap=frozenset({name})))
