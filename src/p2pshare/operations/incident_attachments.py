"""Attachments of an incident: `incident attach` and `incident fetch` (docs/incidents.md, "Attachments").

A file travels as entries `part`, and one `object` of the type `artifact` names it: its value is the SHA-256, its text the file's name. It is missing
until all parts of one author are held, and is what it says only when the hash says so. Malware travels by its hash alone: what is a program, or has a
hash that somebody claims, is neither attached nor written out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta, Struct

from p2pshare.errors import AuthorError, NotFoundError, RefusedError
from p2pshare.identifiers import PartnerId
from p2pshare.intel.marking import Tlp
from p2pshare.intel.observable import Observable
from p2pshare.node.node import Node, NodeReading
from p2pshare.node.store import StoreReading
from p2pshare.operations.incidents import AMBER_STRICT, INCIDENT, attachments, parts_in, state_of
from p2pshare.operations.interface import LongRequest
from p2pshare.operations.spaces import (
    TLP_LABELS,
    Called,
    Invited,
    member_called,
    names_here,
    space_called,
    who_may,
    written,
)
from p2pshare.spaces.fold import SpaceState
from p2pshare.spaces.incident_entries import IncidentObject, encode_incident
from p2pshare.spaces.incident_telling import ATTACHMENT
from p2pshare.spaces.parts import CONTENT_MISSING, PART_BYTES_MAX, PARTS_MAX, assemble
from p2pshare.spaces.space_exchange import exchange_of
from p2pshare.spaces.space_store import SpaceRow
from p2pshare.spaces.writing import SpaceStatement

NAME_CHARACTERS_MAX = 255  # of a file, as file systems have them
PROGRAM_BEGINNINGS = (
    b"MZ",  # Windows
    b"\x7fELF",
    b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe",  # macOS, Java
    b"dex\n",  # Android
    b"\x00asm",
    b"L\x00\x00\x00\x01\x14\x02\x00",  # a shortcut
    b"#!",
)  # fmt: skip
"""What files that a machine runs begin with."""


class FileAttached(Struct, frozen=True, forbid_unknown_fields=True):
    """The entry that names the file, and its SHA-256."""

    space: str
    entry: str
    sha256: str


class AttachFile(LongRequest[FileAttached], frozen=True, tag="incident-attach"):
    """Attach a file to the incident of that id under a name: its parts, an entry a step, and last, directly behind them, the entry that names it.
    Parts that another entry names, and that are all here, are not written again."""

    id: Called
    name: Annotated[str, Meta(min_length=1, max_length=NAME_CHARACTERS_MAX)]
    whole: Annotated[bytes, Meta(min_length=1, max_length=PART_BYTES_MAX * PARTS_MAX)]
    tlp: Tlp | None = None
    audience: Invited = ()

    def steps(self, node: Node, now: int) -> Iterator[FileAttached | None]:
        row = space_called(node.store, self.id, INCIDENT)
        require_harmless(node.store, self.whole)
        exchange, own = exchange_of(node), node.identity.partner_id
        tlp = row.tlp if self.tlp is None else int(self.tlp)
        audience: set[PartnerId] = set()
        if self.audience:
            members, names = exchange.spaces.state(row.space).members, names_here(node.store)
            audience = {own, *(member_called(members, names, name) for name in self.audience)}
        elif tlp >= AMBER_STRICT:
            raise AuthorError(
                f"content of {TLP_LABELS[tlp]} names who may read it",
                hint="--to NAME, once for each member: no later invitation widens that",
                reason="names-needed",
            )
        who = tuple(sorted(audience))
        digest = hashlib.sha256(self.whole).digest()
        content = encode_incident(IncidentObject(ATTACHMENT, digest.hex(), self.name, b""))
        if audience or not _is_attached(node, row, exchange.spaces.state(row.space), digest):
            yield None
            try:
                for _ in exchange.saying_whole(row.space, self.whole, tlp, now, who):
                    yield None
            except RefusedError as error:
                raise who_may(node, row, error) from None
            yield None
        entry = written(node, row, SpaceStatement("object", content, tlp, who), now).entry
        yield FileAttached(row.space.text, entry, digest.hex())


def _is_attached(node: NodeReading, row: SpaceRow, state: SpaceState, digest: bytes) -> bool:
    """Returns whether a file is here that an entry names which stands: then its parts stay as long as that does."""
    is_named = any(one.digest == digest.hex() for one in attachments(state))
    return is_named and assemble(digest, parts_in(node, row)) is not None


def attached(node: NodeReading, incident: str, what: str) -> bytes:
    """Returns the bytes of an attachment by the beginning of its SHA-256 or of its entry's id. Raises NotFoundError, also `content-missing`,
    AuthorError, RefusedError for malware."""
    row = space_called(node.store, incident, INCIDENT)
    state = state_of(node, row)
    found = {
        one.digest
        for one in attachments(state)
        if len(what) >= 6 and what in (one.digest[: len(what)], one.entry[: len(what)])
    }
    if not found:
        raise NotFoundError(
            "no attachment is called so", hint="see `p2pshare incident show`", reason="not-found"
        )
    if len(found) > 1:
        raise AuthorError(
            "several attachments are called so", hint="give more of its SHA-256", reason="ambiguous"
        )
    try:
        digest = bytes.fromhex(found.pop())
    except ValueError:
        raise NotFoundError("its entry names no SHA-256", reason=CONTENT_MISSING) from None
    whole = assemble(digest, parts_in(node, row))
    if whole is None:
        raise NotFoundError(
            "not all parts of it are here yet", hint="they come from members", reason=CONTENT_MISSING
        )
    require_harmless(node.store, whole)
    return whole


def require_harmless(store: StoreReading, whole: bytes) -> None:
    """Raises RefusedError `malware` for what a machine would run, or what anybody claims by its hash."""
    hashes = [
        Observable("md5", hashlib.md5(whole, usedforsecurity=False).hexdigest()),
        Observable("sha1", hashlib.sha1(whole, usedforsecurity=False).hexdigest()),
        Observable("sha256", hashlib.sha256(whole).hexdigest()),
    ]
    claimed = any(not claim.is_out for claims in store.knowledge.lookup(hashes).values() for claim in claims)
    if claimed or whole.startswith(PROGRAM_BEGINNINGS):
        raise RefusedError(
            "its hash is claimed to be malicious" if claimed else "it is a program",
            hint=f"tell it by its hash: `p2pshare incident ioc add ID {hashes[2].value}`",
            reason="malware",
        )
