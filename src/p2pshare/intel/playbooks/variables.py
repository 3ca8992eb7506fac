"""References to variables in texts: `__name__:value` (CACAO 2.0 section 10.18.2). Linear in the text, whatever it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator

_SUFFIX = "__:value"
_NAME_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
_NAME_CHARACTERS_MAX = 204  # `__`, up to 200 characters, `__`


def is_reference(text: str) -> bool:
    """Returns whether the whole text is one reference."""
    return len(text) <= _NAME_CHARACTERS_MAX + len(":value") and list(references(text)) == [
        text[: -len(":value")]
    ]


def references(text: str) -> Iterator[str]:
    """Yields the names, `__name__` each, that a text refers to."""
    for name, _ in _found(text):
        yield name


def filled(text: str, value_of: Callable[[str], str], characters_max: int) -> str:
    """Returns at least the first `characters_max` characters of a text whose references are replaced by what `value_of` gives for their
    names, once: what a value itself refers to stays as it is written. Nothing behind them is looked at."""
    parts: list[str] = []
    length = copied = 0
    for name, end in _found(text):
        if length >= characters_max:
            break
        parts += (text[copied : end - len(name)], value_of(name))
        length += len(parts[-2]) + len(parts[-1])
        copied = end + len(":value")
    if length < characters_max:
        parts.append(text[copied : copied + characters_max - length])
    return "".join(parts)


def _found(text: str) -> Iterator[tuple[str, int]]:
    """Yields each reference's name, and where the name ends."""
    place = text.find(_SUFFIX)
    while place >= 0:
        end = place + 2
        before = text[max(0, end - _NAME_CHARACTERS_MAX) : end]
        run = before[len(before.rstrip(_NAME_CHARACTERS)) :]
        begin = run.find("__")
        while 0 <= begin < len(run) - 4 and not _begins_a_name(run[begin + 2]):
            begin = run.find("__", begin + 1)
        if 0 <= begin < len(run) - 4:
            yield run[begin:], end
        place = text.find(_SUFFIX, end)


def _begins_a_name(character: str) -> bool:
    return character == "_" or (character.isascii() and character.isalpha())
