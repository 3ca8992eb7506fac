"""A device's version as somebody wrote it, and natural order: 9.9 < 9.13, D3 < D25, 2.4A < 2.4B, V15.1 < V15.1 Update 5.

Rules of the order, first difference decides:

1. Numbers compare as numbers, whatever their leading zeros; zeros at the end add nothing (9.0 is 9).
2. Single letters that stand alone or end a number compare as letters (K, B.02, 2.4A).
3. Any other letters are a name for what follows (L81, BT03, SP1): different ones do not compare, and nobody guesses. So
   is what a part number begins with (012U000040).
4. What goes on after the other has ended is later (15.1 Update 5, 2.0.1), except a forerunner (2.0 RC1 is before 2.0).

`V`, and words that only say "version", are no part of it. What has neither a digit nor a single letter is no version.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

VERSION_CHARACTERS_MAX = (
    120  # the longest that CISA wrote has 32; whatever is longer is a text, and nobody's version
)
MODEL_NUMBER_MIN = 100  # a bare number from here on is a model as often as a version: 7100, 650
PART_NUMBER_DIGITS_MIN = 3  # of 012U000040, before its letter

# What a version may be introduced by; none of them says anything of the order.
_INTRODUCTIONS = re.compile(
    r"\b(?:versions?(?: numbers?| nos?)?|vers|ver|releases?|rel|revisions?|rev|firmware|software|sw|fw|stand|softwarestand)\b[.:]?\s*"
)
_LONG_WORDS = (
    (re.compile(r"\bservice[ -]?packs?(?![a-z])"), "sp"),
    (re.compile(r"\bhot[ -]?fix(?:es)?(?![a-z])"), "hf"),
    (re.compile(r"\bupd(?![a-z])"), "update"),
    (re.compile(r"\bcumulative updates?(?![a-z])"), "cu"),
    (re.compile(r"\brelease candidate\b"), "rc"),
    (re.compile(r"\b(?:bld|builds)\b"), "build"),
)
FORERUNNERS = {"dev": 0, "alpha": 1, "beta": 2, "pre": 3, "preview": 3, "rc": 4}
# Words that a version may go on with, each followed by a number.
INCREMENTS = frozenset({"sp", "update", "hf", "patch", "build", "fp", "cu", "mr", "level", "p", "b"})
_NO_VERSION = frozenset(
    {"", "-", "--", "?", "n/a", "na", "none", "null", "nil", "unknown", "unbekannt", "noassertion", "tbd", "k.a.", "k. a.", "*", "any", "keine", "latest"}
)  # fmt: skip
_V_BEFORE_DIGIT = re.compile(r"(?<![A-Za-z0-9])[vV]\.?\s?(?=\d)")
_V_BEFORE_LETTER = re.compile(r"(?<![A-Za-z0-9])v(?=[A-Z]{1,2}\d)")  # vD25 is D25, and VM5.0 is VM5.0
# Two versions, a range, or a remark that takes back what stands beside it: no version that an answer may rest on.
_SEVERAL = re.compile(
    r"[/|;<>≤≥?]|,\s?\d|\d\+(?:$|[ ,)])|\d -|- \d|\b(?:and|or|to|through|until|from|und|oder|bis|ab|von|not|nicht|planned|geplant)\b"
)
_TWO_BARE = re.compile(r"(?:^| )\d+(?:\.\d+)* \d+(?:\.\d+)*(?: |$)")
_RANGE = re.compile(
    r"(?:[a-z]{0,3}\d+\.[\d.]+|[a-z]{1,3}\d+)\s?-\s?(?:[a-z]{0,3}\d+\.[\d.]+|[a-z]{1,3}\d+)"
)  # 3.1-1 is one
_HYPHENED = re.compile(r"([a-z]{0,3}\d+(?:\.\d+)*)\s?-\s?([a-z]{0,3}\d+(?:\.\d+)*)")
_MONTH = r"(?:0?[1-9]|1[0-2])"
_DAY_OR_MONTH = re.compile(
    r"\d[. -]{0,2}(?:jan|feb|m[aä]r|mrz|apr|mai|may|jun|jul|aug|sep|o[ck]t|nov|de[cz])[a-z]*\b"  # what a spreadsheet makes of 5.1
    rf"|(?<![\d.])(?:19|20)\d\d-(?:0[1-9]|1[0-2])(?:-[0-3]\d)?(?![\d.])"
    rf"|(?<![\d.])(?:[0-3]?\d[.-])?{_MONTH}[.-](?:19|20)\d\d(?![\d.])"
)
_PIECE = re.compile(r"\d+|[a-z]+|[^a-z\d]+")
_BLANKS = re.compile(r"\s+")
DASHES = re.compile("[\u2010-\u2015\u2212]")


class Piece(NamedTuple):
    """A number or a word of a version. `is_free`: a single letter that orders; `digits`: the number as written."""

    number: int
    word: str = ""
    is_free: bool = False
    digits: str = ""


Pieces = tuple[Piece, ...]


def plain(text: str) -> str:
    """Returns a text in lower case with one blank between words, `_` as a blank, V before a number gone."""
    folded = unicodedata.normalize("NFKC", text).replace("_", " ")
    return _BLANKS.sub(" ", _V_BEFORE_LETTER.sub("", _V_BEFORE_DIGIT.sub("", folded)).lower()).strip()


def hyphened(text: str) -> tuple[Pieces, Pieces] | None:
    """Returns the first and the last version that a text with a hyphen may mean (4.1-4.3, D1-D25, 3.1.1-3), None where the
    hyphen can only be part of one version (10.2.1-h3, 3.1-1)."""
    found = _HYPHENED.fullmatch(text)
    if not found:
        return None
    first, last = pieces_of(found[1]), pieces_of(found[2])
    ends = [last]
    if len(last) == 1 and first[-1].number < last[0].number:
        ends.append((*first[:-1], last[0]))  # 3.1.1-3 is 3.1.1 to 3.1.3
    behind = [end for end in ends if order(first, end) == -1]
    if not behind:
        return None
    last = behind[0]
    for end in behind[1:]:
        last = end if order(last, end) == -1 else last
    return first, last


def without_introductions(text: str) -> str:
    """Returns a plain text without the words that only say that a version follows."""
    for pattern, word in _LONG_WORDS:
        text = pattern.sub(word, text)
    return _BLANKS.sub(" ", _V_BEFORE_DIGIT.sub("", _INTRODUCTIONS.sub(" ", text))).strip()


def pieces_of(text: str) -> Pieces:
    """Returns the numbers and words of a plain text, in order."""
    raw = _PIECE.findall(text)
    found = []
    for place, piece in enumerate(raw):
        if piece[0].isdigit():
            found.append(Piece(int(piece), digits=piece))
        elif piece[0].isalpha():
            behind = raw[place + 1 : place + 3]
            goes_on = bool(behind) and (
                behind[0][0].isdigit() or (behind[0] == " " and len(behind) > 1 and behind[1][0].isdigit())
            )
            found.append(Piece(0, piece, is_free=len(piece) == 1 and not goes_on))
    return tuple(found)


@lru_cache(maxsize=4096)
def read_version(text: str) -> Pieces | None:
    """Returns the version that our inventory names, None where it names none, or several: 9.19 / 9.33."""
    if len(text) > VERSION_CHARACTERS_MAX or _BLANKS.sub(" ", text).strip().lower() in _NO_VERSION:
        return None
    shown = DASHES.sub("-", plain(text))
    if _SEVERAL.search(shown) or _DAY_OR_MONTH.search(shown):
        return None
    shown = without_introductions(shown)
    if _TWO_BARE.search(shown) or (_RANGE.fullmatch(shown) and hyphened(shown)):
        return None
    pieces = pieces_of(shown)
    if not any(piece.digits or piece.is_free for piece in pieces):
        return None
    return pieces


def is_prefix(short: Pieces, long: Pieces) -> bool:
    """Returns whether `long` goes on where `short` has ended, with more than zeros."""
    short, long = same_release_letter(short, long)
    return len(short) < len(long) and order(short, long[: len(short)]) == 0 and order(short, long) != 0


def same_release_letter(one: Pieces, other: Pieces) -> tuple[Pieces, Pieces]:
    """Returns both without the R (release) before the first number where only one of them has it."""
    has = [len(pieces) > 1 and pieces[0].word == "r" and not pieces[0].is_free for pieces in (one, other)]
    if has[0] and not has[1] and other and other[0].digits:
        return one[1:], other
    if has[1] and not has[0] and one and one[0].digits:
        return one, other[1:]
    return one, other


def order(one: Pieces, other: Pieces) -> int | None:
    """Returns -1, 0 or 1 as `one` is before, the same as or behind `other`; None where they do not compare."""
    one, other = same_release_letter(one, other)
    if (
        _unlike(one, other)
        or _unlike(other, one)
        or _is_part_number(one, other)
        or _is_part_number(other, one)
    ):
        return None
    for mine, theirs in zip(one, other, strict=False):
        if mine.digits and theirs.digits:
            if mine.number != theirs.number:
                return -1 if mine.number < theirs.number else 1
        elif mine.word and theirs.word:
            if mine.word == theirs.word:
                continue
            if mine.word in FORERUNNERS and theirs.word in FORERUNNERS:
                return -1 if FORERUNNERS[mine.word] < FORERUNNERS[theirs.word] else 1
            if not (mine.is_free and theirs.is_free):
                return None
            return -1 if mine.word < theirs.word else 1
        else:
            return None
    if len(one) == len(other):
        return 0
    return _rest(one[len(other) :]) if len(one) > len(other) else -_rest(other[len(one) :])


def _unlike(bare: Pieces, dotted: Pieces) -> bool:
    """Returns whether one begins with a large number without a dot, a model as often as a version, and the other is
    numbered otherwise."""
    if (
        not bare
        or not bare[0].digits
        or bare[0].number < MODEL_NUMBER_MIN
        or (len(bare) > 1 and bare[1].digits)
    ):
        return False
    return not dotted or (bool(dotted[0].digits) and dotted[0].number < MODEL_NUMBER_MIN)


def _is_part_number(one: Pieces, other: Pieces) -> bool:
    """Returns whether one is a part number that counts on (012U000040), and the other does not begin as it does."""
    if (
        len(one) < 2
        or not one[0].digits.startswith("0")
        or len(one[0].digits) < PART_NUMBER_DIGITS_MIN
        or not one[1].word
    ):
        return False
    return len(other) < 2 or one[0].digits != other[0].digits or one[1].word != other[1].word


def _rest(pieces: Pieces) -> Literal[-1, 0, 1]:
    """Returns what the pieces add that only the longer of two versions has."""
    for piece in pieces:
        if piece.word:
            return -1 if piece.word in FORERUNNERS else 1
        if piece.number:
            return 1
    return 0


def compare(one: str, other: str) -> int | None:
    """Returns -1, 0 or 1 as the version `one` is before, the same as or behind `other`, in natural order; None where
    they do not compare, or one of them is no version."""
    mine, theirs = read_version(one), read_version(other)
    return None if mine is None or theirs is None else order(mine, theirs)


def same_decimal(one: Pieces, other: Pieces) -> bool:
    """Returns whether both are the same when read as a decimal number: 2.2 and 2.20, which some authors write for each other."""
    return (
        len(one) == len(other) >= 2
        and bool(one[-1].digits and other[-1].digits)
        and one[-1].digits.rstrip("0") == other[-1].digits.rstrip("0")
        and _words(one[:-1]) == _words(other[:-1])
    )


def _words(pieces: Sequence[Piece]) -> list[tuple[int, str]]:
    return [(piece.number, piece.word) for piece in pieces]
