"""Text from elsewhere, made safe to show and to keep.

A terminal obeys control characters, and bidirectional marks make a text look like another one. Whatever came
from a file or a partner passes `safe` before a person sees it, and no canonical value holds such a character.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from p2pshare.limits import EXAMPLE_CHARACTERS_MAX
from p2pshare.lookalikes import INVISIBLE

# Cc: control, Cf: format (all bidirectional marks, zero-width characters), Cs: lone surrogates,
# Zl and Zp: the line breaks that are not control characters. Unassigned code points are let through, because
# which ones those are depends on the Python version, and two partners must agree on a value.
UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a cell that begins so is a formula to a spreadsheet


def is_safe(text: str) -> bool:
    """Returns whether `text` holds no control, format, surrogate or line-breaking character."""
    if text.isprintable():  # fast: refuses all of those categories, and more
        return True
    category = unicodedata.category
    return not any(category(character) in UNSAFE_CATEGORIES for character in text)


def safe(text: str) -> str:
    """Returns `text` with every character that is not printable written as `\\x1b`, `\\u202e` or `\\U000e0001`."""
    if text.isprintable() and not INVISIBLE.search(text):
        return text
    return "".join(character if _shows(character) else _escape(ord(character)) for character in text)


def spreadsheet_cell(text: str) -> str:
    """Returns `safe` of a text as a cell of CSV that no spreadsheet computes: what begins like a formula begins with an apostrophe."""
    shown = safe(text)
    return f"'{shown}" if shown.startswith(FORMULA) else shown


def escaped_json(text: bytes) -> bytes:
    """Returns JSON in which every character that is not printable is an escape (RFC 8259, section 7): such characters stand in strings alone,
    so a reader sees the same, and a terminal obeys none."""
    found = text.decode("utf-8")
    lines = found.split("\n")
    if all(line.isprintable() and not INVISIBLE.search(line) for line in lines):
        return text
    return "\n".join(map(_escaped_line, lines)).encode("utf-8")


def _escaped_line(line: str) -> str:
    return "".join(
        one if _shows(one) else "".join(f"\\u{unit:04x}" for unit in _utf16_units(one)) for one in line
    )


def _utf16_units(character: str) -> Iterator[int]:
    raw = character.encode("utf-16-be")
    yield from (int.from_bytes(raw[place : place + 2], "big") for place in range(0, len(raw), 2))


def _shows(character: str) -> bool:
    # a Hangul filler is a printable letter, and shows nothing
    return character.isprintable() and not INVISIBLE.match(character)


def _escape(code: int) -> str:
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def clip(text: str, characters_max: int = EXAMPLE_CHARACTERS_MAX) -> str:
    """Returns the beginning of `text`, safe to show, of at most `characters_max` characters."""
    shown = safe(text[: characters_max + 1])
    return shown if len(shown) <= characters_max else shown[: characters_max - 1] + "…"
