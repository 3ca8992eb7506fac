"""The contract of a format: a reader of STIX objects or of values, and what it is told and gives.

A format is a file with its reader and a row of `registry`, and where the row cannot say it a function that recognises it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from p2pshare.identifiers import PartnerId
from p2pshare.intel.bundle import Reading
from p2pshare.intel.marking import Tlp
from p2pshare.intel.marking_words import NO_WORDS, MarkingWords
from p2pshare.intel.observable import Observable
from p2pshare.intel.refusals import Note, Refusal


@dataclass(frozen=True)
class InputSource:
    """The facts about a file beside its bytes: its name (`-` for stdin), the publisher, the time (unix seconds), the
    marking that the person gave, and the columns that hold the values of a table."""

    name: str
    author: PartnerId
    now: int
    tlp: Tlp | None = None
    columns: tuple[str, ...] = ()
    takes_undefanged: bool = False
    """Takes values of a text that nobody defanged, too."""


Recognises = Callable[[bytes, bool], bool]
"""(the first few KiB without byte order mark, whether the name has an ending of the row) -> whether it is this format."""


def by_its_name(head: bytes, is_named_so: bool) -> bool:
    """Recognise files by the endings in the row, and no others."""
    return is_named_so


@dataclass(frozen=True)
class ObjectFormat:
    """A format of STIX objects: its reader takes the whole file, and a second reading gives the same ids."""

    read: Callable[[bytes, InputSource], Reading]
    recognises: Recognises = by_its_name


@dataclass(frozen=True, slots=True)
class ListValue:
    """A value and its line (from 1). `note` is a word for what was dropped or assumed: port-dropped,
    scheme-assumed, wildcard-dropped, netmask, hosts-file; empty when nothing was."""

    observable: Observable
    line: int
    note: str = ""
    words: MarkingWords = NO_WORDS
    """Marking words beside the value."""
    column: str = ""
    """Title of the table's column it stands in, safe to print; empty where there is none."""


@dataclass(frozen=True, slots=True)
class TextMarking:
    """Marking words about a whole text: in a comment, in prose, in a line that holds no value."""

    words: MarkingWords
    where: str
    example: str


TakenValue = ListValue | Refusal | Note
ReadValue = TakenValue | TextMarking
"""Element out of a reader of values: a value, a refusal of a thing that is none, a note, or a marking of all of them."""


@dataclass(frozen=True)
class ValueFormat:
    """A format of values, which become indicators of ours. Its reader streams: it yields a value or a refusal for each
    thing that it read, and notes."""

    read: Callable[[BinaryIO, InputSource], Iterator[ReadValue]]
    recognises: Recognises = by_its_name
    is_searched: bool = False
    """True when values are found in prose: nobody has seen them as values yet, so they are shown before they leave."""


InputFormat = ObjectFormat | ValueFormat
