"""Conversations of real engines, written down: every request and its answer, byte for byte, in order of asking.

A second implementation can be held against them: each message has one form, an answer follows from what its
node holds, and the Negentropy messages inside follow from the keys alone. Bodies are left out (their ids stand
for them), and epochs and jitter come from seeded chance.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gossip_network import START, Network, Node, item_of

from p2pshare.gossip import actions, events
from p2pshare.gossip.engine_state import EngineSettings
from p2pshare.gossip.messages import GetBodies
from p2pshare.gossip.protocol import VERB_OF


class Recorder(Network):
    """A network that writes down what its nodes say to one another."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.said: list[dict[str, str]] = []
        self.held_first: dict[str, list[list[Any]]] = {}

    def _answer(
        self, other: Node, node: Node, action: actions.PeerRequest, back: Callable[[events.Event], None]
    ) -> None:
        line = {"from": self.letter(node), "to": self.letter(other)} | self._question(action)
        self.said.append(line)

        def told(event: events.Event, *more: float) -> None:
            line.update(self._told(action, event))
            back(event, *more)

        super()._answer(other, node, action, told)

    def letter(self, node: Node) -> str:
        return "abcdef"[list(self.nodes).index(node.peer)]

    def _question(self, action: actions.PeerRequest) -> dict[str, str]:
        verb = VERB_OF[type(action)]
        match action:
            case actions.SendPut():
                return {"verb": f"{verb.method} {verb.path_of(action.envelope_id)}"}
            case actions.FetchCard():
                return {"verb": f"{verb.method} {verb.path}"}
            case actions.SendGet():
                raw = verb.request.encode(GetBodies(action.ids))
            case _:
                raw = verb.request.encode(action.message)
        return {"verb": f"{verb.method} {verb.path}", "request": raw.hex()}

    def _told(self, action: actions.PeerRequest, event: events.Event) -> dict[str, str]:
        match event:
            case events.Answered(message=None) | events.BodyGone():
                return {}
            case events.Answered():
                return {"answer": VERB_OF[type(action)].answer.encode(event.message).hex()}
            case _:
                return {"ended": type(event).__name__}


def pair(seed: int = 1) -> tuple[Recorder, Node, Node]:
    network = Recorder(seed)
    left, right = network.add(2)
    network.link(left, right)
    return network, left, right


def hold(network: Recorder, node: Node, *numbers: int) -> None:
    """Relayed envelopes of somebody else, held before it starts; each a minute older than the next."""
    for number in numbers:
        item = item_of(number, created=int(START) - 60_000 + 60 * number)
        network._commit(node, item, b"somebody", None)
        network.held_first.setdefault(network.letter(node), []).append([item.created, item.envelope_id.text])


def first_contact() -> Recorder:
    """A new partner, empty, meets one that holds forty envelopes."""
    network, _, right = pair()
    hold(network, right, *range(40))
    network.start()
    network.run(10)
    return network


def differences_both_ways() -> Recorder:
    """Two partners hold three hundred in common; each lacks some, old and new."""
    network, left, right = pair()
    hold(network, left, *range(300), *range(400, 404))
    hold(network, right, *(one for one in range(300) if one % 60 != 7), *range(404, 410))
    network.start()
    network.run(10)
    return network


def in_sync() -> Recorder:
    """Ten minutes of two partners who hold the same."""
    network, left, right = pair()
    for node in (left, right):
        hold(network, node, *range(100))
    network.start()
    network.run(600)
    return network


def through_a_relay() -> Recorder:
    """The author pushes to the relay, which announces; the third partner fetches."""
    network = Recorder(1)
    author, relay, third = network.add(3)
    network.link(author, relay)
    network.link(relay, third)
    network.start()
    network.run(3)
    network.publish(author, item_of(1, created=int(START)))
    network.run(3)
    return network


def direct_and_too_large_to_push() -> Recorder:
    """A direct envelope, and a relayed one that is only announced."""
    network, left, right = pair()
    network.start()
    network.run(3)
    network.publish(left, item_of(1, created=int(START)), to=(right,))
    network.publish(left, item_of(2, created=int(START), size=100_000))
    network.run(3)
    return network


def by_polling() -> Recorder:
    """The second partner can only dial out: it polls, fetches, and pushes what is its own."""
    network = Recorder(1)
    hub, hidden = network.add(2)
    network.link(hub, hidden, dialable=(True, False))
    network.start(hub)
    network.settings = EngineSettings(reconcile_seconds=5.0, is_dialable=False)
    network.start(hidden)
    network.run(3)
    network.publish(hub, item_of(1, created=int(START)))
    network.publish(hub, item_of(2, created=int(START)), to=(hidden,))
    network.run(3)
    network.publish(hidden, item_of(3, created=int(START)))
    network.run(40)
    return network


SCENES = {
    one.__name__.replace("_", "-"): one
    for one in (
        first_contact,
        differences_both_ways,
        in_sync,
        through_a_relay,
        direct_and_too_large_to_push,
        by_polling,
    )
}


def write_down(name: str) -> dict[str, Any]:
    """A scene: who the partners are, what each holds at first ([created, id]) and how much at the end, what was said."""
    scene = SCENES[name]
    network = scene()
    return {
        "title": " ".join((scene.__doc__ or "").split()),
        "partners": {network.letter(node): node.peer.hex() for node in network.nodes.values()},
        "holds_at_first": network.held_first,
        "holds_at_the_end": {network.letter(node): len(node.store) for node in network.nodes.values()},
        "said": network.said,
    }
