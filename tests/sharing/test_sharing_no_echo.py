"""Random histories of publishing, passing on, exporting, reading again and withdrawing on three nodes, each with a MISP that
forgets nothing: a value is active exactly where a statement of somebody's own that was not withdrawn is held."""

from __future__ import annotations

import itertools
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from copies import memory_folder
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from misp_loop import deliver, exported, only, read, share, with_other_uuids
from whole_nodes import NOW, World, befriend, quiet, send

from p2pshare.errors import NotFoundError, RefusedError
from p2pshare.intel.instants import SECOND_US
from p2pshare.intel.marking import Tlp
from p2pshare.intel.observable import Observable
from p2pshare.intel.withdrawing import Reason
from p2pshare.node.node import Node
from p2pshare.sharing.already_held import Stance
from p2pshare.sharing.withdrawing import WithdrawalRequest, withdraw

NODES, VALUES = 3, 2
STEP_SECONDS = 10

node_numbers = st.integers(0, NODES - 1)
value_numbers = st.integers(0, VALUES - 1)
stances = st.sampled_from([Stance.LEAVE, Stance.AS_OWN, Stance.RESTATE])
ways_out = st.sampled_from(["misp", "moved", "stix"])
actions = st.one_of(
    st.tuples(st.just("publish"), node_numbers, value_numbers),
    st.tuples(st.just("withdraw"), node_numbers, value_numbers),
    st.tuples(st.just("export"), node_numbers, ways_out),
    st.tuples(st.just("again"), node_numbers, st.integers(0, 5), stances),
    st.tuples(st.just("again"), node_numbers, st.just(0), stances),
    st.tuples(st.just("round"), node_numbers, ways_out, stances),
    st.tuples(st.just("deliver"), node_numbers, node_numbers),
)
SAID, ALL = ("publish", 0, 0), ("deliver-all", 0)
beginnings = st.lists(st.tuples(st.just("publish"), node_numbers, value_numbers), min_size=1, max_size=2)
"""Where nobody has said anything, nothing comes back."""


@dataclass
class Circle:
    """Three nodes that live through all histories, each history with values of its own."""

    nodes: tuple[Node, ...]
    now: int = NOW
    histories: Iterator[int] = field(default_factory=itertools.count)
    delivered: dict[tuple[int, int], int] = field(default_factory=dict)

    def deliver(self, giver: int, taker: int) -> None:
        if giver != taker:
            after = self.delivered.get((giver, taker), 0)
            self.delivered[giver, taker] = deliver(self.nodes[giver], [self.nodes[taker]], self.now, after)

    def deliver_all(self) -> None:
        for giver, taker in itertools.permutations(range(NODES), 2):
            self.deliver(giver, taker)

    def active(self, node: int, values: list[str]) -> set[str]:
        states = self.nodes[node].store.knowledge.effective_states(
            [Observable("domain", value) for value in values], self.now * SECOND_US, tlp_max=Tlp.AMBER
        )
        return {observable.value for observable, row in states.items() if row.is_active}


@pytest.fixture(scope="module")
def circle() -> Iterator[Circle]:
    with tempfile.TemporaryDirectory(dir=memory_folder()) as folder:
        world = World(Path(folder))
        nodes = tuple(world.found(name) for name in ("alpha", "bravo", "charlie"))
        for one, other in itertools.permutations(nodes, 2):
            befriend(one, other)
        yield Circle(nodes)
        world.close()


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(beginnings, st.lists(actions, min_size=5, max_size=14))
@example([SAID], [("export", 1, "misp"), ("withdraw", 0, 0), ALL, ("again", 1, 0, Stance.RESTATE)])
@example([SAID], [("export", 1, "moved"), ("withdraw", 0, 0), ("again", 1, 0, Stance.RESTATE)])
@example(
    [SAID],
    [("round", 1, "stix", Stance.RESTATE), ALL, ("round", 2, "stix", Stance.RESTATE), ("withdraw", 0, 0)],
)
@example(
    [SAID],
    [("round", 1, "misp", Stance.RESTATE), ALL, ("round", 0, "stix", Stance.AS_OWN), ("withdraw", 0, 0)],
)
@example(
    [SAID], [("export", 0, "moved"), ("withdraw", 0, 0), ("again", 0, 0, Stance.LEAVE), ("publish", 0, 0)]
)
@example([SAID], [("export", 1, "stix"), ("withdraw", 0, 0), ALL, ("again", 1, 0, Stance.LEAVE)])
def test_a_value_is_active_exactly_where_an_independent_statement_is_held(
    circle: Circle, beginning: list[tuple[Any, ...]], history: list[tuple[Any, ...]]
) -> None:
    circle.deliver_all()
    number = next(circle.histories)
    values = [f"h{number}v{one}.example" for one in range(VALUES)]
    kept: list[list[bytes]] = [[] for _ in range(NODES)]  # of each node: what its MISP has
    stated: set[tuple[int, str]] = set()  # (node, value): its own, not withdrawn
    everything: list[tuple[Any, ...]] = [*beginning, ("deliver-all", 0), *history]
    for action, who, *more in everything:
        circle.now += STEP_SECONDS
        node, now = circle.nodes[who], circle.now
        match action, *more:
            case "publish", int(one):
                send(node, [values[one]], to=[], now=now)
                stated.add((who, values[one]))
            case "withdraw", int(one):
                try:
                    request = WithdrawalRequest(values[one], Reason.MISTAKE)
                    withdraw(node, request, is_dry_run=False, now=now, progress=quiet)
                except (NotFoundError, RefusedError):
                    pass
                stated.discard((who, values[one]))
            case "export", str(how):
                kept[who].append(misp_of(node, how, values, now))
            case "again", int(which), Stance() as stance if kept[who]:
                published_again(node, kept[who][which % len(kept[who])], now, stance)
                stated |= own_of(who, node, values, stance)
            case "round", str(how), Stance() as stance:
                kept[who].append(misp_of(node, how, values, now))
                published_again(node, kept[who][-1], now, stance)
                stated |= own_of(who, node, values, stance)
            case "deliver-all", *_:
                circle.deliver_all()
            case "deliver", int(taker):
                circle.deliver(who, taker)
    circle.now += STEP_SECONDS
    circle.deliver_all()
    expected = {value for _, value in stated}
    assert [circle.active(one, values) for one in range(NODES)] == [expected] * NODES


def published_again(node: Node, raw: bytes, now: int, stance: Stance) -> None:
    sealed = share(node, read(node, raw, now, stance), now)
    assert stance is not Stance.LEAVE or not sealed.envelopes


def own_of(who: int, node: Node, values: list[str], stance: Stance) -> set[tuple[int, str]]:
    """What the node states as its own after it said so."""
    if stance is not Stance.AS_OWN:
        return set()
    found = node.store.knowledge.own_statements([Observable("domain", value) for value in values])
    return {(who, observable.value) for observable in found}


def misp_of(node: Node, how: str, values: list[str], now: int) -> bytes:
    if how == "stix":
        objects = json.loads(exported(node, "stix", now))["objects"]
        found = [one for one in objects if any(f"'{value}'" in one.get("pattern", "") for value in values)]
        return json.dumps({"type": "bundle", "id": "bundle--1", "objects": found}).encode()
    raw = only(exported(node, "misp", now), values)
    return with_other_uuids(raw) if how == "moved" else raw
