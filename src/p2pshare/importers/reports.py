"""Reports: values in running text (plain, Markdown, AsciiDoc), found without being asked line by line.

A text is not a list: most of what looks like a value in it is a source, a vendor's own host, a file name or a
version. So the rule is one that a person can see in the text itself:

1. Taken: what somebody defanged (`hxxp`, `[.]`, `(dot)`, `[@]`, `[:]` ...), file hashes, and CVE ids.
2. Refused as `not-defanged`: every other address, network, host, URL and e-mail address; with `takes_undefanged`
   these are taken too, but for the targets of links (`reference-link`) and version numbers (`version-number`).
3. Refused: ranges of addresses (`address-range`), and what is a value only in part: cut off by an ellipsis (`cut-off`), with a placeholder in it
   (`placeholder`), a mark that belongs to no value (`loose-mark`), a hash with a wrong digit (`bad-hash`).
4. Passed over: words that end like a file or like a type's name, and paths: they are no values here.

A text that says how it is marked, in any of its lines, is told (`TextMarking`).
Where the text says that a hash is not one of a file (thumbprint, serial number, imphash ...), on its line before
it or in the heading above, it is `not-a-file-hash`. Every value is yielded each time it stands in the text.
Linear: each pattern here fails or ends within a bounded number of characters of where it began.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from io import BytesIO
from typing import BinaryIO, NamedTuple

from p2pshare.importers.interface import ListValue, TextMarking, ValueFormat
from p2pshare.importers.report_words import Word, is_likely_hash, is_plausible, words_of
from p2pshare.importers.values import read_lines, read_list
from p2pshare.intel.addresses import is_address_range
from p2pshare.intel.defanging import Unmarked, undo_marks
from p2pshare.intel.marking_words import LineReader
from p2pshare.intel.observable import InvalidValue, Recognised, canonical, recognise, refuse_range
from p2pshare.intel.refusals import Refusal

TAKEN_TYPES = frozenset(
    {"ipv4", "ipv6", "ipv4-net", "ipv6-net", "domain", "url", "email", "ssdeep", "tlsh", "cve"}
    | {"md5", "sha1", "sha224", "sha256", "sha384", "sha512"}
)
# The nearest of these before a hash, on its line or in the heading above, says whose hash it is. Group 1: no file's.
_LABEL = re.compile(
    r"(?<![a-z])(?:(thumbprint|fingerprint|serial|imphash|ja3s?|authentihash|commit)|md5|sha-?\d{1,3}|hash(?:es)?)(?![a-z])",
    re.IGNORECASE,
)
_HEADING = re.compile(r" {0,3}(?:={1,6}|#{1,6})[ \t]+(?=\S)")
_HALF_MARK = re.compile(r"\w\[\.\w|\w\.\]\w")
_VERSION = re.compile(
    r"(?:\bversions?|\bver\.?|\brelease|\bbuild|\bfirmware)[ \t:]{0,3}v?\Z|\bv\Z", re.IGNORECASE
)
# Hyphens that word processors make of `-`: CVE ids and domains are copied with them.
_HYPHENS = {0x2010: "-", 0x2011: "-"}
_AROUND_CHARACTERS = 24  # shown before and after a mark that belongs to nothing


class _Label(NamedTuple):
    """A word that says which kind of hash stands behind `end`; `is_file` is False for a thumbprint, a serial
    number and the like."""

    end: int
    is_file: bool


def read_report(
    stream: BinaryIO, *, takes_undefanged: bool = False
) -> Iterator[ListValue | Refusal | TextMarking]:
    """Yields values and refusals in the order of the lines. Raises AuthorError encoding for UTF-16 and UTF-32."""
    is_of_files = True  # the hashes beneath the heading
    lines = LineReader()
    for number, raw in read_lines(stream):
        where = f"line {number}"
        if raw is None:
            yield Refusal("line-too-long", where, "")
            continue
        text = raw.decode("utf-8", "surrogateescape")
        words = lines.words_in(text)
        if words:
            yield TextMarking(words, where, text.strip())
        line = undo_marks(text.translate(_HYPHENS))
        labels = [_Label(match.end(), match[1] is None) for match in _LABEL.finditer(line.text)]
        if _HEADING.match(line.text) is not None:
            is_of_files = labels[-1].is_file if labels else True
        for found in _read_line(line, [_Label(0, is_of_files), *labels], takes_undefanged):
            if isinstance(found, Recognised):
                yield ListValue(found.observable, number, found.note)
            else:
                yield Refusal(found.reason, where, found.example)


class _Refused(NamedTuple):
    reason: str
    example: str


def _read_line(
    line: Unmarked, labels: list[_Label], takes_undefanged: bool
) -> Iterator[Recognised | _Refused]:
    used: set[int] = set()
    for word in words_of(line):
        if word.is_defanged and line.places:
            used.update(
                line.places[bisect_left(line.places, word.start) : bisect_left(line.places, word.end)]
            )
        found = _classify(line.text, word, labels, takes_undefanged)
        if found is not None:
            yield found
    for place in line.places:
        if place not in used and line.text[place] == ".":
            yield _Refused("loose-mark", _around(line.text, place))
    for match in _HALF_MARK.finditer(line.text):
        yield _Refused("loose-mark", _around(line.text, match.start()))


def _around(text: str, place: int) -> str:
    return text[max(0, place - _AROUND_CHARACTERS) : place + _AROUND_CHARACTERS].strip()


def _classify(
    text: str, word: Word, labels: list[_Label], takes_undefanged: bool
) -> Recognised | _Refused | None:
    """Returns the value of one word, or its refusal; None for a word that is no value."""
    if not word.is_defanged and not is_plausible(word):
        return None
    if word.kind == "host" and is_address_range(word.text):
        return _Refused("address-range", word.text)
    reason = _why_not(text, word, labels, takes_undefanged)
    if reason:
        return _Refused(reason, word.text)
    try:
        found = _recognise(word)
    except InvalidValue as invalid:
        return _Refused("bad-hash" if word.kind == "hash" else invalid.reason, word.text)
    type_ = found.observable.type
    if type_ in TAKEN_TYPES:
        return found
    return _Refused("file-name" if type_ == "file-name" else "unknown-type", word.text)


def _recognise(word: Word) -> Recognised:
    """Returns the value of a word. Raises InvalidValue."""
    if word.kind == "path":  # commas and all, which `recognise` takes for a row of a table
        refuse_range(word.text)
        return Recognised(canonical("url", f"http://{word.text}"), "scheme-assumed")
    return recognise(word.text)


def _why_not(text: str, word: Word, labels: list[_Label], takes_undefanged: bool) -> str:
    """Returns the reason to refuse a word before its value is looked at, or empty."""
    if word.kind == "hash":
        nearest = bisect_right(labels, word.start, key=lambda label: label.end) - 1
        if not labels[nearest].is_file:
            return "not-a-file-hash"
        return word.fault or ("" if is_likely_hash(word.text) else "unlikely-hash")
    if not word.is_defanged:
        if word.is_link:
            return "reference-link"
        if not takes_undefanged:
            return "not-defanged"
        if _VERSION.search(text[max(0, word.start - _AROUND_CHARACTERS) : word.start]) is not None:
            return "version-number"
    return word.fault


def _is_prose(head: bytes, is_named_so: bool) -> bool:
    """Returns whether the file is named like a document, or more lines are of several words than are values: a list has
    one value a line, and comments. Raises AuthorError `encoding` for UTF-16 and UTF-32."""
    if is_named_so:
        return True
    found = list(read_list(BytesIO(head[: head.rfind(b"\n") + 1])))
    taken = sum(isinstance(one, ListValue) for one in found)
    sentences = sum(
        isinstance(one, Refusal)
        and one.reason == "not-one-value"
        and len(one.example.split()) > 1
        and one.example.count(",") <= 1  # else it is a row of a table
        for one in found
    )
    return sentences > taken


FORMAT = ValueFormat(
    lambda stream, source: read_report(stream, takes_undefanged=source.takes_undefanged),
    _is_prose,
    is_searched=True,
)
