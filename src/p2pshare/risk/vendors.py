"""Makers of devices: which names are one maker's, for lists keep the name on the device and advisories that of the day.

Whom a maker took over is in `vendor_groups.json`, with where we have it from; a row more is no code. A name that is in no
group is known by its words, without those that every company has (Inc., GmbH, Medical).
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from importlib import resources
from typing import NamedTuple

VENDOR_CHARACTERS_MAX = 300  # a list of five makers has 60; more is a text
_MISSPELT_LETTERS_MIN = 6  # in shorter names one letter more or less is another name

# Of a name that is in no group, and says nothing of who it is.
_COMPANY_TEXT = """
    ab ag aps as bv co company corp corporation gmbh group holding holdings inc incorporated
    international kg kgaa limited llc ltd nv oy plc pty sa se spa srl sas the and und of usa us uk
    deutschland germany europe america global health healthcare medical medizin medizintechnik medicine
    systems system systeme technologies technology tech diagnostics industries laboratories labs pharma
    pharmaceuticals biosciences services service solutions software electronics electric instruments
    products devices
"""
_COMPANY_WORDS = frozenset(_COMPANY_TEXT.split())
_WORD = re.compile(r"[a-z0-9]+")


class VendorGroup(NamedTuple):
    """A maker's group: its key, and the words that its names consist of (they say nothing more in a product's name)."""

    key: str
    words: frozenset[str]


def folded(text: str) -> str:
    """Returns a text in small letters without marks above them; a text that was read in the wrong character set is read again."""
    if "Ã" in text or "Â" in text:
        with suppress(UnicodeError):  # it was no such text: an Ã may well be meant
            text = text.encode("cp1252").decode("utf-8")
    text = text.translate(_SIGNS_DROPPED)
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(sign for sign in decomposed if not unicodedata.combining(sign)).casefold()


_SIGNS_DROPPED = {ord(sign): None for sign in "®™©℠'’‘`´"}


def _words_of(name: str) -> tuple[str, ...]:
    """Returns the words of a name; ae, oe and ue as a, o and u, for umlauts are written either way."""
    return tuple(
        _WORD.findall(re.sub(r"([aou])e(?=[^aeiou]|$)", r"\1", folded(name[:VENDOR_CHARACTERS_MAX])))
    )


@lru_cache(maxsize=1)
def _table() -> tuple[dict[tuple[str, ...], tuple[str, ...]], dict[str, frozenset[str]], int]:
    """Returns the groups of each name by its words, the words of each group's names, and how many words a name has at most."""
    raw = json.loads(
        resources.files("p2pshare.risk").joinpath("vendor_groups.json").read_text(encoding="utf-8")
    )
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    words: dict[str, set[str]] = defaultdict(set)
    for row in raw["groups"]:
        for name in (*row["names"], *row.get("brands", ())):
            groups[_words_of(name)].append(row["group"])
        for name in row["names"]:
            words[row["group"]].update(_words_of(name))
    longest = max(len(name) for name in groups)
    return (
        {name: tuple(dict.fromkeys(keys)) for name, keys in groups.items()},
        {group: frozenset(all_words) for group, all_words in words.items()},
        longest,
    )


@lru_cache(maxsize=8192)
def vendor_keys(name: str) -> frozenset[str]:
    """Returns what a maker is known by: its groups (as `=Baxter`) where a name of theirs stands in it, else its words."""
    by_name, _, longest = _table()
    words = _words_of(name)
    found: list[str] = []
    place = 0
    while place < len(words):
        for length in range(min(longest, len(words) - place), 0, -1):
            keys = by_name.get(words[place : place + length]) or (
                _misspelt(words[place]) if length == 1 else None
            )
            if keys:
                found.extend(f"={key}" for key in keys)
                place += length
                break
        else:
            place += 1
    if found:
        return frozenset(found)
    own = [word for word in words if word not in _COMPANY_WORDS and len(word) > 1]
    return frozenset(own or words)


@lru_cache(maxsize=8192)
def _misspelt(word: str) -> tuple[str, ...] | None:
    if len(word) < _MISSPELT_LETTERS_MIN:
        return None
    by_name = _table()[0]
    for name, keys in by_name.items():
        if len(name) == 1 and len(name[0]) >= _MISSPELT_LETTERS_MIN and one_letter_apart(word, name[0]):
            return keys
    return None


def one_letter_apart(one: str, other: str) -> bool:
    """Returns whether two different words differ in one letter: another one, one more, or two that changed places."""
    if one == other or abs(len(one) - len(other)) > 1:
        return False
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    if len(one) == len(other):
        return one[start + 1 :] == other[start + 1 :] or (
            one[start + 2 :] == other[start + 2 :]
            and one[start : start + 2] == other[start : start + 2][::-1]
        )
    long, short = (one, other) if len(one) > len(other) else (other, one)
    return long[start + 1 :] == short[start:]


def vendor_group(name: str) -> str:
    """Returns one key for all names of a maker: its group's, else its own words; '' of no name."""
    keys = vendor_keys(name)
    groups = sorted(key[1:] for key in keys if key.startswith("="))
    return groups[0] if groups else " ".join(sorted(keys))


def same_vendor(one: str, other: str) -> bool:
    """Returns whether two names may be one maker's: a group or a word is in both. No name is nobody's."""
    return bool(vendor_keys(one) & vendor_keys(other))


def group_words(keys: Iterable[str]) -> frozenset[str]:
    """Returns the words of the names of these groups, and of makers in no group."""
    words = _table()[1]
    return frozenset(
        word for key in keys for word in (words.get(key[1:], ()) if key.startswith("=") else (key,))
    )
