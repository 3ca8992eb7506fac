"""`space seen|redact|rekey`: what is asked of, or done to, single entries of a space."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from p2pshare.errors import AuthorError, RefusedError
from p2pshare.identifiers import EntryId, KeyId, PartnerId
from p2pshare.node.node import Node, NodeReading, Progress
from p2pshare.operations.interface import Query, Request
from p2pshare.operations.space_links import news_of
from p2pshare.operations.space_standing import standing_now
from p2pshare.operations.spaces import (
    Called,
    KindName,
    SpaceWritten,
    checked_digits,
    decided,
    entry_called,
    names_here,
    one_of,
    space_called,
    who_may,
)
from p2pshare.spaces.acts import NOTHING_GOOD, Rekey
from p2pshare.spaces.seen import EntryPlace, seen_by, seen_here
from p2pshare.spaces.space_exchange import spaces_of
from p2pshare.spaces.space_store import SpaceReading

NOTHING = "none"
"""Typed in place of an entry: nothing under that key is ours."""
EXAMPLES_MAX = 5  # ids in a hint

EntryLimit = Annotated[int, Meta(ge=1, le=10_000)]


class EntrySeen(Struct, frozen=True, forbid_unknown_fields=True):
    """An entry, and who has it: `shown`, `held`, `sent` or `not-known` of each other member by id; `here` of ourselves."""

    id: str
    author: str
    kind: str
    number: int
    here: str
    members: dict[str, str]


class SpaceSeen(Struct, frozen=True, forbid_unknown_fields=True):
    """The newest entries of a space, the last first, of `total` that have an effect; and what members are called here, by id."""

    space: str
    total: int
    entries: list[EntrySeen]
    names: dict[str, str]


class SeenInSpace(Query[SpaceSeen], frozen=True, tag="space-seen"):
    """Say of the newest entries of the space of that id who has them, at most `limit` of them."""

    id: Called
    limit: EntryLimit = 50
    only: KindName = ""

    def run(self, node: NodeReading, now: int, progress: Progress) -> SpaceSeen:
        row = space_called(node.store, self.id, self.only)
        reading, own = SpaceReading(node.store.database), node.card.partner_id
        standing = standing_now(node.store, row)
        shown, news = reading.shown(row), news_of(node.store, row.space)
        timeline = standing.output["timeline"]
        others = [
            member
            for member, status in standing.members.items()
            if member != own and status in ("joined", "invited", "forked")
        ]
        entries = []
        for one in reversed(timeline[-self.limit :]):
            place = EntryPlace(EntryId.parse(one["id"]), PartnerId.parse(one["author"]), one["number"])
            entries.append(
                EntrySeen(
                    one["id"],
                    one["author"],
                    one["kind"],
                    one["number"],
                    seen_here(place, own, shown),
                    {member.text: seen_by(place, member, news) for member in others},
                )
            )
        names = {one.text: name for one, name in names_here(node.store).items() if one in standing.members}
        return SpaceSeen(row.space.text, len(timeline), entries, names)


class RedactEntry(Request[SpaceWritten], frozen=True, tag="space-redact"):
    """Redact an entry of the space of that id: its author or the lead may. The body leaves this node, and every other that follows."""

    id: Called
    entry: Called
    only: KindName = ""

    def run(self, node: Node, now: int, progress: Progress) -> SpaceWritten:
        row = space_called(node.store, self.id, self.only)
        entry = entry_called(node.store, row, self.entry)
        try:
            redaction = spaces_of(node).redact(row.space, entry, now)
        except RefusedError as error:
            raise who_may(node, row, error) from None
        node.store.database.cut_log()
        return SpaceWritten(row.space.text, redaction.entry_id.text)


class RekeySpace(Request[SpaceWritten], frozen=True, tag="space-rekey"):
    """Disown what was written under our revoked key in the space of that id after `last_good`; `none`: all of it."""

    id: Called
    last_good: Called
    key: Called = ""
    only: KindName = ""

    def run(self, node: Node, now: int, progress: Progress) -> SpaceWritten:
        row = space_called(node.store, self.id, self.only)
        spaces, own = spaces_of(node), node.identity.partner_id
        ours = list(spaces.fold_of(row.space).graph.by_author(own))  # the newest first
        key = self._revoked_key(node, {vertex.key_id for vertex in ours})
        under = [vertex.entry_id for vertex in ours if vertex.key_id == key]
        if self.last_good == NOTHING:
            good = NOTHING_GOOD
        elif not self.last_good:
            newest = ", ".join(one.text for one in under[:EXAMPLES_MAX]) or "nothing"
            raise AuthorError(
                "the last entry that is ours under that key is not named",
                hint=f"its id, or '{NOTHING}'; under that key there are, the newest first: {newest}",
                reason="bad-argument",
            )
        else:
            good = entry_called(node.store, row, self.last_good)
            if good not in {vertex.entry_id for vertex in ours}:
                raise RefusedError(
                    "that entry is not ours", hint="`space show --json` has authors", reason="not-own"
                )
        return decided(node, row, "rekey", Rekey({key: good}), now)

    def _revoked_key(self, node: Node, used: set[KeyId]) -> KeyId:
        """Returns the revoked key that is named, else the only one under which something of ours stands here."""
        revoked = {one.key_id for one in node.card.revoked}
        if self.key:
            digits = checked_digits(self.key, "key")
            named: KeyId = one_of(
                sorted(one for one in revoked | used if one.text.startswith(digits)),
                "key",
                "see `p2pshare card show`",
            )
            if named not in revoked:
                raise RefusedError(
                    "our card does not revoke that key, so nobody would take it in",
                    hint="`p2pshare card revoke` first",
                    reason="not-revoked",
                )
            return named
        found = sorted(revoked & used)
        if not found:
            raise RefusedError(
                "nothing of ours in this space stands under a key that our card revokes",
                hint="`p2pshare card revoke` revokes one; `--key` names it",
                reason="not-revoked",
            )
        only: KeyId = one_of(found, "key")
        return only
