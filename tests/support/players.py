"""Partners with whole nodes who hold an exercise: what each has sealed is handed to those that it is for, as gossip would, on every ground."""

from __future__ import annotations

from collections import Counter

from handing_over import HandingOver
from whole_nodes import World, befriend

from p2pshare.identifiers import CircleId, EntryId
from p2pshare.intel.marking import Tlp
from p2pshare.node.node import Node
from p2pshare.sharing.partners import load_roster
from p2pshare.sharing.publishing import SealedContent
from p2pshare.sharing.sending import send
from p2pshare.spaces.exercise_grounds import exercise_named, make_exercise, open_exercises
from p2pshare.spaces.space_exchange import spaces_of
from p2pshare.spaces.space_store import SpaceReading

GREEN = 1


class Players(HandingOver):
    """Nodes of one test; all are partners of each other, with links."""

    def __init__(self, world: World, *names: str) -> None:
        super().__init__(world, *names)
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
                    self.do(node, ground)
                self.deliver(name, node)
            self.now += 1

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
