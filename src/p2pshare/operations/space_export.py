"""A space into a file: everything of it that this node holds (`spaces.space_file`).

No operation of the control socket: a space may have half a gigabyte, and a message 64 MiB. The command reads the store beside the
daemon, which needs no key.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from p2pshare.envelope.entry import VerifiedEntry
from p2pshare.errors import NotFoundError
from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.node.node import NodeReading
from p2pshare.operations.space_standing import standing_now
from p2pshare.operations.spaces import space_called
from p2pshare.spaces.space_file import write_space
from p2pshare.spaces.space_store import SpaceReading


@dataclass(frozen=True)
class SpaceExport:
    """What goes into the file: `tlp_max` (0 to 4) is the strictest marking in it, `sealed` counts the bodies for some members alone."""

    space: EntryId
    entries: int
    without_body: int
    cards: int
    without_card: list[PartnerId]
    tlp_max: int
    sealed: int
    pieces: Iterator[bytes]


def export_space(node: NodeReading, digits: str, only: str = "") -> SpaceExport:
    """Returns the file of the space whose id begins so, to be written piece by piece. Raises as `operations.spaces.space_called`."""
    row = space_called(node.store, digits, only)
    reading = SpaceReading(node.store.database)
    headers = reading.headers(row)
    authors = {header.author for _, header in headers}
    cards = {}
    for member in {*authors, *standing_now(node.store, row).members}:
        raw = _card_of(node, reading, member)
        if raw is not None:
            cards[member] = raw
    bodies = reading.body_count(row)

    def entries() -> Iterator[VerifiedEntry]:
        for entry_id, _ in headers:
            held = reading.entry(entry_id)
            if held is None:
                raise NotFoundError("the space is being purged", hint="there is nothing left to export")
            yield held

    return SpaceExport(
        row.space,
        len(headers),
        len(headers) - bodies,
        len(cards),
        sorted(authors - set(cards)),
        max(header.tlp for _, header in headers),
        sum(1 for _, header in headers if header.audience),
        write_space(headers[0][1].realm, row.space, cards, entries(), len(headers)),
    )


def _card_of(node: NodeReading, reading: SpaceReading, member: PartnerId) -> bytes | None:
    """Returns the card file of a member, with every version that is here."""
    if member == node.card.partner_id:
        return node.card.raw
    return node.store.partners.newest_card(member) or reading.introduced_card(member)
