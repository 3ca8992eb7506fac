"""Detection: which format a file is in, by its name and its beginning."""

from __future__ import annotations

import codecs
import re

from p2pshare.importers.registry import IMPORTERS, load_importer

JSON_TAKEN_FOR = "stix"  # JSON that has no key of any row
TEXT_TAKEN_FOR = "list"  # a text that no format recognises
_TOKEN = re.compile(rb'"([^"\\]*+(?:\\.[^"\\]*+)*)(?:"\s*(:?))?|[{}\[\]]', re.DOTALL)


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
