"""Whole nodes of one test with one clock: what each has sealed is handed to those that it is for, as gossip would."""

from __future__ import annotations

from whole_nodes import NOW, READERS, World

from p2pshare.identifiers import PartnerId
from p2pshare.node.node import Node
from p2pshare.sharing import intake
from p2pshare.sharing.intake import Arrival
from p2pshare.sharing.partners import load_roster
from p2pshare.sharing.reading import read_all
from p2pshare.spaces.space_exchange import exchange_of

PIECES_MAX = 300  # in which a node is done with what is due at one moment


class HandingOver:
    def __init__(self, world: World, *names: str) -> None:
        self.now = NOW
        self.world = world
        self.nodes = {name: world.found(name) for name in names}
        self._told: dict[str, int] = {}

    def __getitem__(self, name: str) -> Node:
        return self.nodes[name]

    def id(self, name: str) -> PartnerId:
        return self[name].identity.partner_id

    def called(self, partner: PartnerId) -> Node:
        return next(node for node in self.nodes.values() if node.identity.partner_id == partner)

    def reopen(self, name: str) -> Node:
        self.nodes[name] = self.world.reopen(name)
        return self.nodes[name]

    def do(self, carrier: Node, ground: Node) -> None:
        """Do all that is due on a node's ground."""
        roster = load_roster(carrier)
        linked = [entry.partner_id for entry in roster]
        for _ in range(PIECES_MAX):
            if exchange_of(ground).step(self.now, roster, linked) > 0:
                return
        raise AssertionError("a node is never done")

    def deliver(self, name: str, node: Node) -> None:
        """Hand over what a node has sealed since it was asked before."""
        own = node.identity.partner_id
        for entry in node.store.log.entries(self._told.get(name, 0), 1_000):
            self._told[name] = entry.lsn
            if entry.author == own:
                for to in node.store.log.audience(entry.envelope_id):
                    wire = node.store.log.wire(entry.envelope_id)
                    assert wire is not None
                    self.hand(node, self.called(to), wire)

    def hand(self, sender: Node, to: Node, wire: bytes) -> None:
        (verdict,) = intake.take_in(to, [Arrival(wire, sender.identity.partner_id)], self.now)
        assert verdict.reason == "", verdict
        read_all(to, READERS, self.now)

    def skip(self, name: str) -> None:
        """What this node has sealed until now reaches nobody."""
        self._told[name] = self[name].store.log.last_lsn()
