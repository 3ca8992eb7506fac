"""`introduce export`, `accept` and `list`: partners whom another one has compared (docs/introductions.md)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from msgspec import Struct

from p2pshare.errors import DaemonUnreachable, RefusedError
from p2pshare.identifiers import CircleId, PartnerId
from p2pshare.node.node import Node, NodeReading, Progress
from p2pshare.operations.interface import AsideWork, LongRequest, Query, Request, Several
from p2pshare.sharing.introducing import (
    AcceptedMembers,
    ExportedIntroductions,
    MemberJudgement,
    OfferedList,
    ShownList,
    accept,
    export,
    judge_held,
    read_cards,
    shown_lists,
    take_offered,
    tell_offered,
)
from p2pshare.sharing.partners import find_partner


class FetchedIntroductions(Struct, frozen=True, forbid_unknown_fields=True):
    """A file of introductions, put together from what a linked partner gave out: nothing of it is verified."""

    file: bytes


class ExportIntroductions(Request[ExportedIntroductions], frozen=True, tag="introduce-export"):
    """Sign the list of those whom we compared, of a circle (empty: the first one), with the cards of all or of those in `only`."""

    circle: str = ""
    only: tuple[str, ...] = ()

    def run(self, node: Node, now: int, progress: Progress) -> ExportedIntroductions:
        return export(node, self.circle, self.only, now)


class FetchIntroductions(Query[FetchedIntroductions], frozen=True, tag="introduce-fetch"):
    """Fetch the newest list of a linked partner, and the cards of those on it that are no partners here; the daemon does it."""

    partner: str
    circle: str = ""

    def run(self, node: NodeReading, now: int, progress: Progress) -> FetchedIntroductions:
        entry = find_partner(node, self.partner)
        circle = self.circle or next(iter(node.config.gossip.circles), "")
        if node.live is None or node.live.fetch_introductions is None:
            raise DaemonUnreachable(
                "a list is fetched by the daemon, and none runs here",
                hint="start it with `p2pshare run`, or ask the partner for a file (`introduce export`)",
            )
        if not entry.has_link:
            raise RefusedError(
                f"there is no link to {entry.alias}",
                hint="ask it for a file (`introduce export`)",
                reason="no-link",
            )
        return FetchedIntroductions(
            node.live.fetch_introductions(entry.partner_id, CircleId.of(circle), progress)
        )


class OfferIntroductions(LongRequest[OfferedList], frozen=True, tag="introduce-offer"):
    """Look at a file of introductions: hold its list and tell of each member whether it may be accepted. In steps: a thousand cards are
    verified while others write."""

    file: bytes

    def steps(self, node: Node, now: int) -> Iterator[OfferedList | AsideWork[Any] | None]:
        taken = take_offered(node, self.file, now)
        reading = AsideWork(partial(read_cards, taken.members.members, taken.card_files, taken.known, now))
        yield reading
        judged: dict[PartnerId, MemberJudgement] = {}
        yield from judge_held(node, taken, reading.result, judged, now)
        yield tell_offered(node, taken, reading.result, judged, now)


class AcceptIntroductions(Request[AcceptedMembers], frozen=True, tag="introduce-accept"):
    """Make partners of the members with these hexadecimal ids, by their cards: some of a list at a time."""

    member_list: bytes
    cards: tuple[bytes, ...]
    members: tuple[str, ...]

    def run(self, node: Node, now: int, progress: Progress) -> AcceptedMembers:
        wanted = {PartnerId.parse(one) for one in self.members}
        return accept(node, self.member_list, self.cards, wanted, now)


class ListIntroductions(Query[Several[ShownList]], frozen=True, tag="introduce-list"):
    """List the member lists that are held, ours first."""

    def run(self, node: NodeReading, now: int, progress: Progress) -> Several[ShownList]:
        return Several(shown_lists(node, now))
