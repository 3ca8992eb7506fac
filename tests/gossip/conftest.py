"""A dialogue with one engine, and the network of many (tests/support/gossip_network.py), as fixtures."""

from __future__ import annotations

import random
from typing import Any

import pytest
from gossip_network import MAIN, START, Network, partner

from p2pshare.gossip import actions, events
from p2pshare.gossip.engine import Engine
from p2pshare.gossip.engine_state import EngineSettings
from p2pshare.gossip.messages import Hello, ShardRoot
from p2pshare.identifiers import CircleId, Epoch

OUR_EPOCH = Epoch(bytes(16))
THEIR_EPOCH = Epoch(b"e" * 16)


class Dialogue:
    """One engine and a test that plays its driver and its peers: `tell` an event, `expect` an action."""

    def __init__(
        self,
        peers: int = 1,
        *,
        circles: frozenset[CircleId] = frozenset({MAIN}),
        is_dialable: bool = True,
        seed: int = 1,
        epoch: Epoch = OUR_EPOCH,
        settings: EngineSettings | None = None,
    ) -> None:
        self.now = START
        self.peers = [partner(number + 1) for number in range(peers)]
        self.engine = Engine(
            epoch=epoch, last_lsn=0, card_version=1, random=random.Random(seed), settings=settings
        )
        self.waiting: list[actions.Action] = []
        self.tell(
            events.LinksConfigured(
                tuple(events.LinkConfig(peer, circles, is_dialable, card_version=1) for peer in self.peers)
            )
        )

    def tell(self, event: events.Event, *, after: float = 0.0) -> list[actions.Action]:
        self.now += after
        self.waiting += self.engine.handle(event, self.now)
        self.work()
        return self.waiting

    def work(self) -> None:
        """Does what takes long to its end."""
        while self.engine.has_work:
            self.waiting += self.engine.handle(events.Step(), self.now)

    def sleep(self, seconds: float) -> None:
        """Wakes the engine whenever it wants to be woken."""
        end = self.now + seconds
        while (at := self.engine.next_wakeup()) is not None and at <= end:
            self.now = max(self.now, at)
            self.waiting += self.engine.handle(events.Tick(), self.now)
            self.work()
        self.now = end

    def expect(self, kind: type[Any]) -> Any:
        """The next action of this kind, whatever else is asked for meanwhile."""
        for action in self.waiting:
            if isinstance(action, kind):
                self.waiting.remove(action)
                return action
        raise AssertionError(f"no {kind.__name__} among {self.waiting}")

    def expect_none(self, kind: type[Any]) -> None:
        assert not [action for action in self.waiting if isinstance(action, kind)], self.waiting

    def open(self, *, shards: tuple[ShardRoot, ...] = (), card_version: int = 1) -> None:
        """Every peer answers our hello."""
        for _ in self.peers:
            hello = self.expect(actions.SendHello)
            answer = Hello(THEIR_EPOCH, int(self.now), card_version, shards)
            self.tell(events.Answered(hello.request, answer), after=0.01)


@pytest.fixture
def network() -> type[Network]:
    return Network


@pytest.fixture
def dialogue() -> type[Dialogue]:
    return Dialogue
