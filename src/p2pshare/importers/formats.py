"""What a format is to those who read files, and which one a file is in: told by its name and its beginning.

A format is a row of `registry` and a file that says how it is read and, where rows cannot tell it, how it is recognised.
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

JSON_TAKEN_FOR = "stix"  # JSON with no key of any row: so that a damaged bundle gets a JSON error
TEXT_TAKEN_FOR = "list"  # a text that no format recognises
_TOKEN = re.compile(rb'"([^"\\]*+(?:\\.[^"\\]*+)*)(?:"\s*(:?))?|[{}\[\]]', re.DOTALL)


@dataclass(frozen=True)
class InputSource:
    """What a reader may want to know beside the bytes: the file's name (`-` for stdin), who publishes it, when (in
    seconds since 1970), the marking the person gave, and the columns that hold the values of a table."""

    name: str
    author: PartnerId
    now: int
    tlp: Tlp | None = None
    columns: tuple[str, ...] = ()
    takes_undefanged: bool = False
    """Of a text: whether values that nobody defanged are taken, too."""


Recognises = Callable[[bytes, bool], bool]
"""Whether a file is in this format: by its first few KiB, without byte order mark, and by whether its name ends so."""


def by_its_name(head: bytes, is_named_so: bool) -> bool:
    """Recognises files by the endings in the row, and no other."""
    return is_named_so


@dataclass(frozen=True)
class ObjectFormat:
    """A format that says STIX objects: its reader takes the whole file, and a second reading gives the same ids."""

    read: Callable[[bytes, InputSource], Reading]
    recognises: Recognises = by_its_name


@dataclass(frozen=True)
class ValueFormat:
    """A format that says values, which become indicators of ours: its reader streams.

    It yields a value, or a refusal, for each thing that it read, and notes.
    """

    read: Callable[[BinaryIO, InputSource], Iterator[ReadValue]]
    recognises: Recognises = by_its_name
    is_searched: bool = False
    """Whether its values were looked for in prose: nobody has seen them as values yet, so they are shown."""


InputFormat = ObjectFormat | ValueFormat


def detect_format(head: bytes, name: str = "") -> str:
    """Returns the name of the format of a file called `name` that begins with `head` (a few KiB of it).

    JSON is what begins like it, or is named like it (so that a damaged file gets a JSON error, not a thousand
    refused lines); its outermost keys tell which. Any other file is asked about in the order of the rows: first of the
    formats whose ending it has, then of all. A list is what remains. Raises AuthorError `encoding` for UTF-16 and UTF-32.
    """
    start = head.removeprefix(codecs.BOM_UTF8)
    ending = name.lower()
    named = [one for one, row in IMPORTERS.items() if ending.endswith(row.endings)]
    in_json = {one: row.json_keys for one, row in IMPORTERS.items() if row.json_keys}
    named_json = [one for one in named if one in in_json]
    if named_json or _begins_like_json(start.lstrip()):
        keys = outermost_keys(start.lstrip())
        # in their order: a bundle may have members of its own that others have, too
        told = [one for one, known in in_json.items() if not keys.isdisjoint(known)]
        return [*told, *named_json, JSON_TAKEN_FOR][0]
    others = [one for one in IMPORTERS if one not in in_json]
    for is_named_so, asked in ((True, named), (False, others)):
        for one in asked:
            if load_importer(one).recognises(start, is_named_so):
                return one
    return TEXT_TAKEN_FOR


def _begins_like_json(start: bytes) -> bool:
    is_list = start[:1] == b"[" and start[1:].lstrip()[:1] in (b"{", b"]")  # `[.]` may begin a defanged value
    return start[:1] == b"{" or is_list


def outermost_keys(head: bytes) -> set[str]:
    """The keys of the outermost object, or of the objects in an outermost list, as far as `head` goes. For text that
    is no JSON the answer means nothing, and nothing is raised."""
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
