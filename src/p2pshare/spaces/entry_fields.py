"""Fields of entries: readers that the kinds of space share (docs/incidents.md and docs/labs.md, "Kinds of entry").

A field reads what must come next in a canonical map, and raises PeerError `malformed` or `not-canonical` for anything else. `map_of` puts
fields together: the content of an entry is one map with exactly the keys 0, 1, 2 ... in the order of its fields.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeVar

from p2pshare.envelope.encoding import Reader, refusal
from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.intel.incident_words import WORD_BYTES_MAX, is_word
from p2pshare.spaces.vertex import Vertex

DECIDING_TEXT_BYTES_MAX = 4_096  # all members fold it: a page
TIME_MAX = 253_402_300_799  # unix seconds: the last one of the year 9999, which RFC 3339 can write
NOT_STATED = 0
"""A time (unix seconds) that nobody states."""
NO_ENTRY = b""

EntryField = Callable[[Reader], Any]
M = TypeVar("M")


def text_of(low: int, high: int) -> EntryField:
    return lambda reader: reader.text(low, high)


def word(reader: Reader) -> str:
    found = reader.text(1, WORD_BYTES_MAX)
    if not is_word(found):
        raise refusal("malformed", "a word has other characters than words have")
    return found


def optional_word(reader: Reader) -> str:
    found = reader.text(0, WORD_BYTES_MAX)
    if found and not is_word(found):
        raise refusal("malformed", "a word has other characters than words have")
    return found


def one_of(words: Collection[str], *, or_none: bool = False) -> EntryField:
    known = frozenset((*words, "") if or_none else words)

    def read(reader: Reader) -> str:
        found = reader.text(0, WORD_BYTES_MAX)
        if found not in known:
            raise refusal("malformed", "a word is none of those that may stand here")
        return found

    return read


def time(reader: Reader) -> int:
    return reader.integer(TIME_MAX)


def stated_time(reader: Reader) -> int:
    at = reader.integer(TIME_MAX)
    if at == NOT_STATED:
        raise refusal("malformed", "a time must be stated")
    return at


def entry(reader: Reader) -> EntryId:
    return EntryId(reader.blob(EntryId.length, EntryId.length))


def entry_or_none(reader: Reader) -> bytes:
    raw = reader.blob(0, EntryId.length)
    if raw and len(raw) != EntryId.length:
        raise refusal("malformed", "an id has another length")
    return EntryId(raw) if raw else NO_ENTRY


def partners(most: int) -> EntryField:
    def read(reader: Reader) -> tuple[PartnerId, ...]:
        named = tuple(
            PartnerId(reader.blob(PartnerId.length, PartnerId.length)) for _ in range(reader.array(0, most))
        )
        ascend(named)
        return named

    return read


def blob(low: int, high: int) -> EntryField:
    return lambda reader: reader.blob(low, high)


def ascend(values: Any) -> None:
    """Raises PeerError `malformed` unless each value is greater than the one before."""
    if any(one >= other for one, other in pairwise(values)):
        raise refusal("malformed", "values do not ascend")


def map_of(
    made: Callable[..., M], *fields: EntryField, has_one_more: EntryField | None = None
) -> Callable[[bytes], M]:
    """Returns the reader of a map with these fields; with `has_one_more` a last one may stand there, or not."""

    def read(content: bytes) -> M:
        reader = Reader(content)
        if has_one_more is not None and content[:1] == bytes([0x80 | len(fields) + 1]):
            return _read_fields(reader, made, (*fields, has_one_more))
        return _read_fields(reader, made, fields)

    return read


def _read_fields(reader: Reader, made: Callable[..., M], fields: Sequence[EntryField]) -> M:
    reader.map(len(fields))
    values = []
    for number, field in enumerate(fields):
        reader.key(number)
        values.append(field(reader))
    reader.end()
    return made(*values)


class EntryBodies:
    """What deciding entries with an effect say, each read once."""

    def __init__(self, readers: Mapping[str, Callable[[bytes], object]]) -> None:
        self._readers = readers
        self._read: dict[Vertex, object] = {}

    def read(self, vertex: Vertex) -> object:
        """Returns what an entry says."""
        said = self._read.get(vertex)
        if said is None:
            assert vertex.content is not None
            said = self._read[vertex] = self._readers[vertex.kind](vertex.content)
        return said

    def said(self, vertex: Vertex, body: type[M]) -> M:
        """Returns what an entry says, which must be a `body`."""
        said = self.read(vertex)
        assert isinstance(said, body)
        return said
