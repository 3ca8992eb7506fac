"""The contract of a format, and detection: which format a file is in, by its name and its beginning.

A format is a row of `registry` and a file with its reader and, where a row cannot say it, a function that recognises it.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from p2pshare.identifiers import PartnerId
from p2pshare.importers.registry import IMPORTERS, load_importer
from p2pshare.intel.bundle import Reading
from p2pshare.intel.marking import Tlp

if TYPE_CHECKING:
    from p2pshare.importers.values import ReadValue

JSON_TAKEN_FOR = "stix"  # JSON that has no key of any row
TEXT_TAKEN_FOR = "list"  # a text that no format recognises
_TOKEN = re.compile(rb'"([^"\\]*+(?:\\.[^"\\]*+)*)(?:"\s*(:?))?|[{}\[\]]', re.DOTALL)


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


@dataclass(frozen=True)
class ValueFormat:
    """A format of values, which become indicators of ours. Its reader streams: it yields a value or a refusal for each
    thing that it read, and notes."""

    read: Callable[[BinaryIO, InputSource], Iterator[ReadValue]]
    recognises: Recognises = by_its_name
    is_searched: bool = False
    """True when values are found in prose: nobody has seen them as values yet, so they are shown before they leave."""


InputFormat = ObjectFormat | ValueFormat


def detect_format(head: bytes, name: str = "") -> str:
    """Returns the name of the format of a file called `name` that begins with `head` (a few KiB of it).

    JSON is what begins like it, or is named like it (so that a damaged file gets a JSON error, not a thousand
    refused lines); its outermost keys tell which. For any other file the formats whose ending it has are asked, then
    all others, in the order of the rows. A text that none recognises is a list.

    Raises AuthorError `encoding` for UTF-16 and UTF-32.
    """
    start = head.removeprefix(codecs.BOM_UTF8)
    lowered = name.lower()
    named = [format_ for format_, row in IMPORTERS.items() if lowered.endswith(row.endings)]
    json_keys = {format_: row.json_keys for format_, row in IMPORTERS.items() if row.json_keys}
    named_json = [format_ for format_ in named if format_ in json_keys]
    if named_json or _begins_like_json(start.lstrip()):
        keys = outermost_keys(start.lstrip())
        # the first in the table: a bundle may have members of its own that others have, too
        by_keys = [format_ for format_, known in json_keys.items() if not keys.isdisjoint(known)]
        return [*by_keys, *named_json, JSON_TAKEN_FOR][0]
    others = [format_ for format_ in IMPORTERS if format_ not in json_keys]
    for is_named_so, asked in ((True, named), (False, others)):
        for format_ in asked:
            if load_importer(format_).recognises(start, is_named_so):
                return format_
    return TEXT_TAKEN_FOR


def _begins_like_json(start: bytes) -> bool:
    """Returns whether `start` begins an object or a list of objects."""
    is_list = start[:1] == b"[" and start[1:].lstrip()[:1] in (b"{", b"]")  # `[.]` may begin a defanged value
    return start[:1] == b"{" or is_list


def outermost_keys(head: bytes) -> set[str]:
    """Returns the keys of the outermost object, or of the objects in an outermost list, as far as `head` goes. For text
    that is no JSON the answer means nothing, and nothing is raised."""
    keys: set[str] = set()
    depth = 0
    outermost = 2 if head[:1] == b"[" else 1
    for token in _TOKEN.finditer(head):
        mark = token[0][:1]
        if mark in b"{[":
            depth += 1
        elif mark in b"}]":
            depth -= 1
        elif depth == outermost and token[2]:
            keys.add(token[1].decode("utf-8", "replace"))
    return keys
