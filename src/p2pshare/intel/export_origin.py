"""The origin of a claim in what we export: a URI that names its author, its object, and the envelope that brought it. Pure.

It stands where other programs keep what they do not understand: an external reference in STIX, the comment of an attribute
in MISP (docs/decisions/0072). Whoever reads such a file again finds by it what is held here already, also where the
other program has given everything new ids. It is not signed, and anybody can write it: whoever believes it compares
what is said with what is held (`sharing.already_held`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from p2pshare.identifiers import EnvelopeId, PartnerId
from p2pshare.intel.marking import Tlp

SOURCE_NAME = "p2pshare"
"""The `source_name` of the external reference in STIX."""
_SCHEME = b"p2pshare:"
_URI = re.compile(
    rb"p2pshare:([0-9a-f]{64})/"
    rb"([a-z0-9][a-z0-9_-]{0,249}--[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})"
    rb"(?:\?envelope=([0-9a-f]{64}))?"
)
_AUTHOR_TAG = re.compile(rb'p2pshare:author=\\?"([0-9a-f]{64})\\?"')
ORIGINS_READ_MAX = 8  # of one object: ours write one, and a text full of them must not cost a look-up each


class ExportOrigin(NamedTuple):
    """The author, the object and the envelope (None: not said) that a thing in an export came from."""

    author: PartnerId
    object_id: str
    envelope_id: EnvelopeId | None = None


def origin_uri(origin: ExportOrigin) -> str:
    """Returns the URI that `origins_in` finds."""
    envelope = "" if origin.envelope_id is None else f"?envelope={origin.envelope_id.text}"
    return f"p2pshare:{origin.author.text}/{origin.object_id}{envelope}"


def origins_in(raw: bytes) -> tuple[ExportOrigin, ...]:
    """Returns the origins that are named anywhere in `raw`, each object once, at most ORIGINS_READ_MAX of them."""
    if _SCHEME not in raw:
        return ()
    found: dict[tuple[bytes, bytes], ExportOrigin] = {}
    for match in _URI.finditer(raw):
        author, object_id, envelope = match.groups()
        origin = ExportOrigin(
            PartnerId.parse(author.decode()),
            object_id.decode(),
            None if envelope is None else EnvelopeId.parse(envelope.decode()),
        )
        found.setdefault((author, object_id), origin)
        if len(found) >= ORIGINS_READ_MAX:
            break
    return tuple(found.values())


def without_origins(text: str) -> str:
    """Returns a text without these URIs and the blanks before them."""
    return _TEXT_URI.sub("", text).strip() if "p2pshare:" in text else text


_TEXT_URI = re.compile(r"\s*" + _URI.pattern.decode())


def author_tag(author: PartnerId) -> str:
    """Returns the tag of an exported MISP event that holds what `author` claims: one for each author, so that an operator can
    filter by it."""
    return f'p2pshare:author="{author.text}"'


def authors_tagged(raw: bytes) -> Iterator[PartnerId]:
    """Yields the authors in such tags, in JSON too, where their quotes are escaped."""
    if _SCHEME in raw:
        for match in _AUTHOR_TAG.finditer(raw):
            yield PartnerId.parse(match[1].decode())


def event_info(name: str, tlp: Tlp) -> str:
    """Returns the title of the event of an author's claims of one marking."""
    return f"{name}, {tlp.label}"


def is_event_info(text: str) -> bool:
    """Returns whether a title is one that `event_info` makes."""
    return text.endswith(_INFO_ENDS)


_INFO_ENDS = tuple(event_info("", tlp) for tlp in Tlp)


def misp_event_name(author: PartnerId, tlp_name: str) -> str:
    """Returns the name under which the event of `author`'s claims of one marking has its UUIDv5 in an export."""
    return f"misp-event:{author.text}:{tlp_name}"
