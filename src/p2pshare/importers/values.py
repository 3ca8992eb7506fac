"""Plain value lists: one value a line, with comments, defanged or not. Streams; memory does not grow with the file.

A line may be `value`, `value # comment`, `value<TAB>notes` or the hosts-file form `0.0.0.0 host`. Every line that
is not blank and not a comment gives exactly one ListValue or one Refusal, so what was read adds up.

A text has one marking, which a person gives. Words of marking in it can only forbid that one (`under_marking`).
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import BinaryIO

from p2pshare.errors import AuthorError, RefusedError
from p2pshare.importers.interface import ListValue, ReadValue, TakenValue, TextMarking, ValueFormat
from p2pshare.intel.display import clip
from p2pshare.intel.marking import KNOWN, Marking, Pap, Tlp, effective
from p2pshare.intel.marking_words import (
    LEVEL_NAMES,
    NO_WORDS,
    LineReader,
    MarkingWords,
    may_hold_words,
    words_in_text,
)
from p2pshare.intel.observable import InvalidValue, Recognised, recognise
from p2pshare.intel.refusals import Note, Refusal
from p2pshare.limits import LIST_LINE_BYTES_MAX

COMMENT_STARTS = ("#", "//", ";")
# A comment inside a line: a mark with a blank before it, also in parentheses; `#` also with a blank behind it, which no
# URL has. One blank only, or a line of blanks would cost the square of its length.
_INLINE = re.compile(r"\s(?:#|//|;|\(#)|#\s")
_BULLET = re.compile(r"[-*\u2022]\s+")
_SINKS = frozenset({"0.0.0.0", "127.0.0.1", "::1", "::"})  # noqa: S104 - compared with, never bound to
# A note that is itself one of these is a second value, and which one was meant is not ours to guess.
STRONG_TYPES = frozenset({"ipv4", "ipv6", "domain", "url", "email", "md5", "sha1", "sha256", "sha512"})


def read_list(stream: BinaryIO) -> Iterator[ListValue | Refusal | TextMarking]:
    """Yields values and refusals in the order of the lines. Raises AuthorError encoding for UTF-16 and UTF-32."""
    comments = LineReader()
    for number, raw in read_lines(stream):
        if raw is None:
            yield Refusal("line-too-long", f"line {number}", "")
            continue
        # Bytes that are not UTF-8 may stand in a comment; in a value they are refused as unsafe characters.
        line = raw.decode("utf-8", "surrogateescape").strip()
        is_word = (
            "#" not in line and len(line.split(None, 1)) == 1
        )  # no comment inside, no note, no second value
        text = line if is_word and not line.startswith(COMMENT_STARTS) else strip_comment(line)
        if not text:
            words = comments.words_in(line)
            if words:
                yield TextMarking(words, f"line {number}", line)
            continue
        try:
            found = recognise(text) if is_word else _read_line(text)
        except InvalidValue as invalid:
            words = comments.words_in(line)
            if words:
                yield TextMarking(words, f"line {number}", line)
            yield refuse_text(invalid, f"line {number}", text)
        else:
            words = NO_WORDS if is_word else _words_beside(raw, line, text)
            yield ListValue(found.observable, number, found.note, words)


def _words_beside(raw: bytes, line: str, text: str) -> MarkingWords:
    """Returns the marking words in a line beside its value: in a comment, and in notes behind tabs."""
    return words_in_text(line[len(text.partition("\t")[0]) :]) if may_hold_words(raw) else NO_WORDS


# Values that may be levels: `.red` and `.green` are top-level domains.
_LIKE_LEVELS = frozenset(
    f"{scheme}{sign}{name.lower()}" for scheme in ("tlp", "pap") for sign in ".-" for name in LEVEL_NAMES
)


def under_marking(found: Iterator[ReadValue], tlp: Tlp) -> Iterator[TakenValue]:
    """Yields `found` as it may be published under `tlp`, with a refusal for each value that is marked stricter. Raises
    RefusedError when the whole text is: marked-stricter, unknown-marking, pap-not-carried."""
    for one in found:
        if isinstance(one, ListValue):
            if one.words is NO_WORDS and one.observable.value not in _LIKE_LEVELS:
                yield one
                continue
            reason = _why_not_under(tlp, one.words)
            if reason:
                yield Refusal(reason, f"line {one.line}", one.observable.value)
                continue
            if one.words.spoken or one.observable.value in _LIKE_LEVELS:
                yield Note("marking-spoken-of", f"line {one.line}", one.observable.value)
            yield one
        elif isinstance(one, TextMarking):
            reason = _why_not_under(tlp, one.words)
            if reason:
                raise RefusedError(
                    f"the text is not marked {tlp.label}: {one.where} says {clip(one.example)!r}",
                    hint=_HINTS[reason],
                    reason=reason,
                )
            if one.words.spoken:
                yield Note("marking-spoken-of", one.where, one.example)
        else:
            yield one


_HINTS = {
    "marked-stricter": "give the stricter --tlp, or take the words out where they do not mark this text",
    "unknown-marking": "give --tlp red, or take the words out where they do not mark this text",
    "pap-not-carried": "publish it as STIX or MISP, which carry a PAP, or take the words out",
}


def _why_not_under(tlp: Tlp, words: MarkingWords) -> str:
    """Returns the reason why values with these `words` may not be published under `tlp`, or "". No level is stricter than
    RED, so under RED a word that is not understood forbids nothing, unless it is about PAP."""
    found = effective((), (), KNOWN, words)
    least = found if isinstance(found, Marking) else found.at_least
    if words.unknown or words.refs - KNOWN.keys():
        return "" if tlp is Tlp.RED and not any(map(_is_about_pap, words.unknown)) else "unknown-marking"
    if least.pap in (Pap.AMBER, Pap.RED):
        return "pap-not-carried"
    return "marked-stricter" if least.tlp > tlp else ""


def _is_about_pap(text: str) -> bool:
    return text.lower().startswith("pap")


def refuse_text(invalid: InvalidValue, where: str, text: str) -> Refusal:
    """Returns the refusal of a text that was decoded with `surrogateescape`: bytes that are not UTF-8 are the reason."""
    is_binary = not text.isascii() and any("\udc80" <= character <= "\udcff" for character in text)
    return Refusal("not-utf8" if is_binary else invalid.reason, where, text)


def read_lines(stream: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Yields (number, line without its end), None for a line longer than LIST_LINE_BYTES_MAX. Raises
    AuthorError encoding for UTF-16 and UTF-32."""
    number = 0
    while line := stream.readline(LIST_LINE_BYTES_MAX + 1):
        number += 1
        if number == 1:
            if line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)):
                raise AuthorError("the text is UTF-16 or UTF-32", hint="save it as UTF-8", reason="encoding")
            line = line.removeprefix(codecs.BOM_UTF8)
        if len(line) > LIST_LINE_BYTES_MAX:
            while line and not line.endswith(b"\n"):
                line = stream.readline(LIST_LINE_BYTES_MAX)
            yield number, None
            continue
        yield from ((number, piece) for piece in line.rstrip(b"\r\n").split(b"\r"))


def strip_comment(line: str) -> str:
    """Returns the line without its comment and the blanks around it."""
    line = line.strip()
    if line.startswith(COMMENT_STARTS):
        return ""
    match = _INLINE.search(line)
    return line if match is None else line[: match.start()].rstrip()


def _read_line(text: str) -> Recognised:
    bullet = _BULLET.match(text)
    if bullet is not None:
        text = text[bullet.end() :]
    fields = text.split(None, 1)
    if len(fields) == 2 and fields[0] in _SINKS:
        return _hosts_file_line(fields[1])
    if "\t" not in text:
        return recognise(text)
    first, *notes = [part for part in text.split("\t") if part.strip()]
    found = recognise(first)
    if any(_is_strong(note) for note in notes):
        raise InvalidValue("several-values")
    return found


def _hosts_file_line(rest: str) -> Recognised:
    """Returns the host in `0.0.0.0 evil.example`: the sink address is not what is meant."""
    if len(rest.split()) > 1:
        raise InvalidValue("several-values")
    found = recognise(rest)
    return found._replace(note="hosts-file") if found.observable.type == "domain" else found


def _is_strong(text: str) -> bool:
    try:
        return recognise(text).observable.type in STRONG_TYPES
    except InvalidValue:
        return False


FORMAT = ValueFormat(lambda stream, _: read_list(stream))
