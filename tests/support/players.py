"""Partners with whole nodes who hold an exercise: what each has sealed is handed to those that it is for, as gossip would, on every ground."""

from __future__ import annotations

from collections import Counter

from whole_nodes import NOW, READERS, World, befriend

from p2pshare.identifiers import CircleId, EntryId, PartnerId
from p2pshare.intel.marking import Tlp
from p2pshare.node.node import Node
from p2pshare.sharing import intake
from p2pshare.sharing.intake import Arrival
from p2pshare.sharing.partners import load_roster
from p2pshare.sharing.publishing import SealedContent
from p2pshare.sharing.reading import read_all
from p2pshare.sharing.sending import send
from p2pshare.spaces.exercise_grounds import exercise_named, make_exercise, open_exercises
from p2pshare.spaces.space_exchange import exchange_of, spaces_of
from p2pshare.spaces.space_store import SpaceReading

GREEN = 1


class Players:
    """Nodes of one test with one clock; all are partners of each other, with links."""

    def __init__(self, world: World, *names: str) -> None:
        self.now = NOW
        self.world = world
        self.nodes = {name: world.found(name) for name in names}
        self._told: dict[str, int] = {}
        for one in self.nodes.values():
            for other in self.nodes.values():
                if one is not other:
                    befriend(one, other)

    @classmethod
    def of(cls, nodes: dict[str, Node], now: int) -> Players:
        """Nodes that are partners already; what they have sealed until now has reached everybody."""
        players = cls.__new__(cls)
        players.now, players.nodes = now, nodes
        players._told = {name: node.store.log.last_lsn() for name, node in nodes.items()}
        return players

    def __getitem__(self, name: str) -> Node:
        return self.nodes[name]

    def id(self, name: str) -> PartnerId:
        return self[name].identity.partner_id

    def reopen(self, name: str) -> Node:
        self.nodes[name] = self.world.reopen(name)
        return self.nodes[name]

    def exercise(self, lead: str, *players: str, title: str = "play") -> Node:
        """Returns the lead's node of a new exercise that all players have joined."""
        invited = [(self.id(name), "blue") for name in players]
        made = make_exercise(self[lead], title, GREEN, invited, self.now)
        assert made.ground.exercise is not None
        self.run(2)
        for name in players:
            played = exercise_named(self[name], made.ground.exercise.text)
            spaces_of(played).join(made.ground.exercise, self.now)
            self.run(2)
        return made

    def played(self, name: str, exercise: EntryId) -> Node:
        """Returns the node of an exercise at one of them."""
        return exercise_named(self[name], exercise.text)

    def run(self, seconds: int = 1) -> None:
        """Let a time pass in which everybody does what is due on every ground, second by second."""
        for _ in range(seconds):
            for name, node in self.nodes.items():
                for ground in (node, *open_exercises(node)):
                    self._do(node, ground)
                self._deliver(name, node)
            self.now += 1

    def _do(self, carrier: Node, ground: Node) -> None:
        roster = load_roster(carrier)
        linked = [entry.partner_id for entry in roster]
        for _ in range(300):
            if exchange_of(ground).step(self.now, roster, linked) > 0:
                return
        raise AssertionError("a node is never done")

    def _deliver(self, name: str, node: Node) -> None:
        own = node.identity.partner_id
        for entry in node.store.log.entries(self._told.get(name, 0), 1_000):
            self._told[name] = entry.lsn
            if entry.author == own:
                for to in node.store.log.audience(entry.envelope_id):
                    wire = node.store.log.wire(entry.envelope_id)
                    assert wire is not None
                    self.hand(node, self.called(to), wire)

    def skip(self, name: str) -> None:
        """What this node has sealed until now reaches nobody."""
        self._told[name] = self[name].store.log.last_lsn()

    def hand(self, sender: Node, to: Node, wire: bytes) -> None:
        (verdict,) = intake.take_in(to, [Arrival(wire, sender.identity.partner_id)], self.now)
        assert verdict.reason == "", verdict
        read_all(to, READERS, self.now)

    def called(self, partner: PartnerId) -> Node:
        return next(node for node in self.nodes.values() if node.identity.partner_id == partner)

    def refused(self, name: str) -> Counter[str]:
        return Counter(self[name].store.partners.refusals())


def ids_held(node: Node) -> set[EntryId]:
    """The entries that are held on a node's ground."""
    reading = SpaceReading(node.store.database)
    return {entry.entry_id for row in reading.all() for entry in reading.entries(row)}


def send_frames(
    players: Players,
    sender: str,
    to: str,
    frames: list[bytes],
    circle: CircleId | None,
    kind: str = "exercise",
) -> None:
    """Seal any frames for one partner in any circle, as a partner would that checks nothing, and hand them over."""
    node = players[sender]
    content = SealedContent(Tlp.AMBER, 1, frames, 2, kind, circle)
    (envelope,) = send(node, load_roster(node), content, [players.id(to)], players.now).envelopes
    wire = node.store.log.wire(envelope)
    assert wire is not None
    players.skip(sender)
    players.hand(node, players[to], wire)
