"""`space open|note|list|show`: what partners write together. What is written stays here: entries do not travel yet."""

from __future__ import annotations

import re
from typing import Annotated

from msgspec import Meta, Struct

from p2pshare.errors import AuthorError, NotFoundError
from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.intel.marking import Tlp
from p2pshare.limits import ENTRY_BODY_BYTES_MAX, SPACE_MEMBERS_MAX
from p2pshare.node.node import Node, NodeReading, Progress
from p2pshare.node.store import StoreReading
from p2pshare.operations.interface import Query, Request, Several
from p2pshare.spaces.acts import TITLE_BYTES_MAX
from p2pshare.spaces.space_store import CANDIDATES_MAX, SpaceReading, SpaceRow
from p2pshare.spaces.spaces import Spaces, read_canonical
from p2pshare.spaces.writing import SpaceStatement

DIGITS_MIN = 6  # of an id that is typed: sixteen million spaces

_DIGITS = re.compile(f"[0-9a-fA-F]{{{DIGITS_MIN},{2 * EntryId.length}}}")
_LABELS = {int(level): level.label for level in Tlp}

SpaceText = Annotated[str, Meta(max_length=ENTRY_BODY_BYTES_MAX)]
Title = Annotated[str, Meta(min_length=1, max_length=TITLE_BYTES_MAX)]
Invited = Annotated[tuple[str, ...], Meta(max_length=SPACE_MEMBERS_MAX)]


class AmbiguousId(AuthorError):
    """The beginning of an id fits several things; it was typed in a way that cannot be followed."""

    exit_code = 2
    reason = "ambiguous"


class SpaceOpened(Struct, frozen=True, forbid_unknown_fields=True):
    """The id of the space, the partner ids of its members, and the id of the entry, which is the same as the space's."""

    space: str
    members: list[str]
    entry: str


class SpaceWritten(Struct, frozen=True, forbid_unknown_fields=True):
    """The space and the id of the entry that was written."""

    space: str
    entry: str


class SpaceListed(Struct, frozen=True, forbid_unknown_fields=True):
    """A space that is held here: how many entries of it, and how many that wait. `opener` is a name, else an id."""

    space: str
    kind: str
    title: str
    tlp: str
    opener: str
    entries: int
    waiting: int


class SpaceShown(Struct, frozen=True, forbid_unknown_fields=True):
    """The canonical output of a space, the names of its members by id as they are called here, and how many entries wait."""

    canonical: str
    names: dict[str, str]
    waiting: int


class OpenSpace(Request[SpaceOpened], frozen=True, tag="space-open"):
    """Open a space with ourselves and the partners of these names or ids."""

    kind: str
    title: Title
    tlp: Tlp
    invite: Invited = ()

    def run(self, node: Node, now: int, progress: Progress) -> SpaceOpened:
        invited = {_partner_called(node.store, name) for name in self.invite}
        opening = spaces_of(node).open(
            self.kind, self.title, int(self.tlp), [(member, "") for member in invited], now
        )
        members = sorted({*invited, node.identity.partner_id})
        return SpaceOpened(opening.entry_id.text, [member.text for member in members], opening.entry_id.text)


class NoteInSpace(Request[SpaceWritten], frozen=True, tag="space-note"):
    """Write a note into the space of that id, marked as the space is."""

    id: str
    text: SpaceText

    def run(self, node: Node, now: int, progress: Progress) -> SpaceWritten:
        row = space_called(node.store, self.id)
        said = SpaceStatement("note", self.text.encode("utf-8"), row.tlp)
        entry = spaces_of(node).say(row.space, said, now)[-1]
        return SpaceWritten(row.space.text, entry.entry_id.text)


class ListSpaces(Query[Several[SpaceListed]], frozen=True, tag="space-list"):
    """List the spaces that are held here, oldest first."""

    def run(self, node: NodeReading, now: int, progress: Progress) -> Several[SpaceListed]:
        reading = SpaceReading(node.store.database)
        names = node.store.partners.names()
        return Several(
            [
                SpaceListed(
                    row.space.text,
                    row.kind,
                    row.title,
                    _LABELS[row.tlp],
                    names.get(row.opener, row.opener.text),
                    reading.entry_count(row),
                    len(reading.waiting(space=row.space)),
                )
                for row in reading.all()
            ]
        )


class ShowSpace(Query[SpaceShown], frozen=True, tag="space-show"):
    """Show what holds in the space of that id, by what is held here."""

    id: str

    def run(self, node: NodeReading, now: int, progress: Progress) -> SpaceShown:
        reading = SpaceReading(node.store.database)
        row = space_called(node.store, self.id)
        output = read_canonical(reading, row).decode("utf-8")
        names = {partner.text: name for partner, name in node.store.partners.names().items()}
        return SpaceShown(
            output,
            {partner: name for partner, name in names.items() if partner in output},
            len(reading.waiting(space=row.space)),
        )


def spaces_of(node: Node) -> Spaces:
    """Returns the spaces of a node, which keeps them from the first request on."""
    if node.spaces is None:
        node.spaces = Spaces(node.store.database, node.store.partners, lambda: node.identity)
    found: Spaces = node.spaces
    return found


def space_called(store: StoreReading, digits: str) -> SpaceRow:
    """Returns the space whose id begins so. Raises AuthorError `bad-id`, AmbiguousId, NotFoundError."""
    if not _DIGITS.fullmatch(digits):
        raise AuthorError(
            "that is no space's id", hint=f"{DIGITS_MIN} to 64 hexadecimal digits", reason="bad-id"
        )
    found = SpaceReading(store.database).begin_with(digits)
    if not found:
        raise NotFoundError("no space of that id is held here", hint="see `p2pshare space list`")
    if len(found) > 1:
        candidates = ", ".join(row.space.text for row in found)
        more = ", ..." if len(found) == CANDIDATES_MAX else ""
        raise AmbiguousId(
            f"several spaces have an id that begins so: {candidates}{more}", hint="type more digits"
        )
    return found[0]


def _partner_called(store: StoreReading, name: str) -> PartnerId:
    """Returns the partner of that alias or id. Raises NotFoundError."""
    for row in store.partners.all():
        if name in (row.alias, row.partner_id.text):
            return row.partner_id
    raise NotFoundError("no partner of that name can be invited", hint="see `p2pshare partner list`")
