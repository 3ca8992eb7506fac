"""Partners with whole nodes who write in one space: what one holds is handed to another as it would travel."""

from __future__ import annotations

from typing import TypeVar

from msgspec import Struct
from whole_nodes import NOW, World, befriend, quiet

from p2pshare.envelope.entry import VerifiedEntry
from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.intel.marking import Tlp
from p2pshare.node.node import Node
from p2pshare.operations.interface import Request
from p2pshare.operations.space_membership import JoinSpace
from p2pshare.operations.spaces import OpenSpace
from p2pshare.spaces.space_exchange import spaces_of
from p2pshare.spaces.space_store import SpaceReading

A = TypeVar("A", bound=Struct)


def id_of(node: Node) -> PartnerId:
    return node.identity.partner_id


def run(node: Node, request: Request[A], now: int = NOW) -> A:
    return request.run(node, now, quiet)


def held(node: Node, space: str) -> list[VerifiedEntry]:
    reading = SpaceReading(node.store.database)
    row = reading.find(EntryId.parse(space))
    return [] if row is None else list(reading.entries(row))


def hand_over(space: str, giver: Node, *takers: Node, now: int = NOW) -> None:
    """Hand over all that one node holds of a space."""
    wires = [entry.wire for entry in held(giver, space)]
    for taker in takers:
        spaces_of(taker).take_in(wires, id_of(giver), now)
        while spaces_of(taker).go_on(now):  # as the daemon does between other work
            pass


def partners(world: World, *names: str) -> list[Node]:
    """New nodes that are partners of each other."""
    nodes = [world.found(name) for name in names]
    for node in nodes:
        for other in nodes:
            if other is not node:
                befriend(node, other)
    return nodes


class Company:
    """Some partners of each other, in a space of their own: the first opened it with all others, who joined it."""

    def __init__(self, *nodes: Node, title: str = "ours", are_joined: bool = True) -> None:
        self.nodes = list(nodes)
        others = tuple(node.config.name for node in nodes[1:])
        self.space = run(nodes[0], OpenSpace("note", title, Tlp.GREEN, others)).space
        for node in self.nodes[1:]:
            hand_over(self.space, self.nodes[0], node)
            if are_joined:
                run(node, JoinSpace(self.space))
        self.meet()

    def meet(self, *nodes: Node, now: int = NOW) -> None:
        """Let these, or all, tell each other everything; twice, for what followed what was missing."""
        among = nodes or tuple(self.nodes)
        for _ in range(2):
            for node in among:
                hand_over(self.space, node, *(other for other in among if other is not node), now=now)

    def lead_of(self, node: Node) -> str | None:
        lead = spaces_of(node).state(EntryId.parse(self.space)).lead
        return None if lead is None else lead.text

    def status_at(self, node: Node, member: Node) -> str:
        return spaces_of(node).state(EntryId.parse(self.space)).members.get(id_of(member), "")
