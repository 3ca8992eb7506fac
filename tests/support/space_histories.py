"""Histories of spaces, written entry by entry with unsigned headers: what a fold reads, without a millisecond for each signature.

`Teller` writes as anybody, from any past, honestly or not. Ids are those of the real headers; the random bytes of bodies follow
from a counter, so a history is the same each time it is told.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from p2pshare.envelope.entry import NO_SPACE, REAL, EntryHeader, encode_header, entry_id_of
from p2pshare.identifiers import EntryId, KeyId, PartnerId, Realm
from p2pshare.spaces.acts import (
    Ack,
    Handover,
    Inviting,
    Names,
    Opening,
    Plain,
    Redaction,
    Rekey,
    Removal,
    Takeover,
)
from p2pshare.spaces.vertex import SpaceEntry

NOW = 1_900_000_000
GREEN = 1


def partner(name: str) -> PartnerId:
    return PartnerId(hashlib.sha256(f"partner {name}".encode()).digest())


def key_of_partner(name: str, number: int = 1) -> KeyId:
    return KeyId(hashlib.sha256(f"key {number} of {name}".encode()).digest()[:16])


def named(names: Iterable[str], roles: dict[str, str] | None = None) -> Names:
    return tuple(sorted((partner(name), (roles or {}).get(name, "")) for name in names))


class Teller:
    """Tells a history. Each method returns the id of what was written; `after` are the parents (default: all heads)."""

    def __init__(
        self,
        members: Sequence[str] = "LAB",
        *,
        kind: str = "note",
        roles: dict[str, str] | None = None,
        title: str = "a notebook",
        rules: int = 1,
        are_joined: bool = True,
    ) -> None:
        """Open a space by the first of `members`; all of them join, each citing the opening alone, unless told otherwise."""
        self.entries: dict[EntryId, SpaceEntry] = {}
        self.names = {partner(name): name for name in members}
        self.space: EntryId = NO_SPACE
        self._salt = 0
        content = Opening(rules, kind, title, named(members, roles)).encode()
        self.space = self.opening = self.write(members[0], "open", content, after=())
        if are_joined:
            for name in members[1:]:
                self.join(name)

    # --- any entry -----------------------------------------------------------------------------------

    def write(
        self,
        author: str,
        kind: str,
        content: bytes | None,
        *,
        after: Iterable[EntryId] | None = None,
        number: int | None = None,
        key: int = 1,
        audience: Iterable[str] = (),
        tlp: int = GREEN,
        created: int | None = None,
    ) -> EntryId:
        parents = tuple(sorted(self.heads() if after is None else set(after)))
        depth = 1 + max((self.entries[one].header.depth for one in parents), default=0)
        if number is None:
            number = 1 + self.last_number(author, parents)
        self._salt += 1
        body = self._salt.to_bytes(16, "big") + (content or b"")
        header = EntryHeader(
            realm=Realm(REAL),
            space=self.space,
            author=partner(author),
            key_id=key_of_partner(author, key),
            number=number,
            parents=parents,
            depth=depth,
            created=NOW + self._salt if created is None else created,
            kind=kind,
            tlp=tlp,
            audience=tuple(sorted(partner(name) for name in audience)),
            body_digest=hashlib.sha384(body).digest(),
            body_bytes=len(body),
        )
        entry_id = entry_id_of(encode_header(header))
        self.entries[entry_id] = SpaceEntry(entry_id, header, content)
        self.names.setdefault(header.author, author)
        return entry_id

    def heads(self) -> set[EntryId]:
        """All entries that are a parent of none, whatever they are worth."""
        cited = {parent for entry in self.entries.values() for parent in entry.header.parents}
        return set(self.entries) - cited

    def past(self, parents: Iterable[EntryId]) -> set[EntryId]:
        """The past of a child of `parents`."""
        found = set(parents)
        stack = list(found)
        while stack:
            for parent in self.entries[stack.pop()].header.parents:
                if parent not in found:
                    found.add(parent)
                    stack.append(parent)
        return found

    def last_number(self, author: str, parents: Iterable[EntryId]) -> int:
        written_by = partner(author)
        return max(
            (
                self.entries[one].header.number
                for one in self.past(parents)
                if self.entries[one].header.author == written_by
            ),
            default=0,
        )

    # --- each kind -----------------------------------------------------------------------------------

    def join(self, author: str, invitation: EntryId | None = None, **how: object) -> EntryId:
        return self._plain(author, "join", {"after": [invitation or self.opening], **how})

    def leave(self, author: str, **how: object) -> EntryId:
        return self._plain(author, "leave", how)

    def decline(self, author: str, **how: object) -> EntryId:
        return self._plain(author, "decline", how)

    def accept(self, author: str, **how: object) -> EntryId:
        return self._plain(author, "accept", how)

    def merge(self, author: str, **how: object) -> EntryId:
        return self._plain(author, "merge", how)

    def close(self, author: str, **how: object) -> EntryId:
        return self._plain(author, "close", how)

    def reopen(self, author: str, **how: object) -> EntryId:
        return self._plain(author, "reopen", how)

    def _plain(self, author: str, kind: str, how: dict[str, object]) -> EntryId:
        return self.write(author, kind, Plain().encode(), **how)  # type: ignore[arg-type]

    def invite(
        self, author: str, members: Iterable[str], roles: dict[str, str] | None = None, **how: object
    ) -> EntryId:
        return self.write(author, "invite", Inviting(named(members, roles)).encode(), **how)  # type: ignore[arg-type]

    def remove(self, author: str, members: Iterable[str], **how: object) -> EntryId:
        removed = tuple(sorted(partner(name) for name in members))
        return self.write(author, "remove", Removal(removed).encode(), **how)  # type: ignore[arg-type]

    def hand_over(self, author: str, to: str, **how: object) -> EntryId:
        return self.write(author, "handover", Handover(partner(to)).encode(), **how)  # type: ignore[arg-type]

    def take_over(self, author: str, epoch: int, round_: int, **how: object) -> EntryId:
        return self.write(author, "takeover", Takeover(epoch, round_).encode(), **how)  # type: ignore[arg-type]

    def ack(self, author: str, takeover: EntryId, **how: object) -> EntryId:
        return self.write(author, "ack", Ack(takeover).encode(), **how)  # type: ignore[arg-type]

    def rekey(self, author: str, last_good: dict[KeyId, EntryId], **how: object) -> EntryId:
        return self.write(author, "rekey", Rekey(last_good).encode(), **how)  # type: ignore[arg-type]

    def redact(self, author: str, entry: EntryId, **how: object) -> EntryId:
        return self.write(author, "redact", Redaction(entry).encode(), **how)  # type: ignore[arg-type]

    def note(self, author: str, text: str = "a note", **how: object) -> EntryId:
        return self.write(author, "note", text.encode(), **how)  # type: ignore[arg-type]
