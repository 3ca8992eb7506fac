"""Which waiting handshake makes room: a pure class under any arrivals, and under floods in drawn order."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.http_server.handshake_places import (
    CROWDED,
    OVERTAKEN_KNOWN,
    OVERTAKEN_SILENT,
    OVERTAKEN_TALKING,
    HandshakePlaces,
    Room,
)
from p2pshare.http_server.interface import ServerLimits
from p2pshare.http_server.known_addresses import Origin, origin_of

PLACES, PER_ADDRESS = 6, 3
LIMITS = ServerLimits(
    connections_per_caller=1,
    requests_per_second=1,
    bytes_per_second=1,
    items_per_second=1,
    body_bytes_max=1,
    large_bodies_per_caller=1,
    handshakes=PLACES,
    handshakes_per_address=PER_ADDRESS,
)
HOSTS = st.tuples(st.integers(0, 3), st.integers(0, 3)).map(
    lambda pair: origin_of(f"192.0.{pair[0]}.{pair[1]}")
)


@given(arrivals=st.lists(st.tuples(HOSTS, st.booleans()), max_size=80), seed=st.integers(0, 99))
def test_a_newcomer_always_enters_and_only_the_largest_prefix_makes_room(
    arrivals: list[tuple[Origin, bool]], seed: int
) -> None:
    room: Room[int] = Room(PLACES, PER_ADDRESS, "full", random.Random(seed))
    waiting: dict[int, Origin] = {}
    for number, (origin, leaves) in enumerate(arrivals):
        if leaves and waiting:
            room.leave(gone := min(waiting))
            del waiting[gone]
        of_address = Counter(other.address for other in waiting.values())
        of_prefix = Counter(other.prefix for other in waiting.values())
        dropped = room.enter(number, origin)
        if of_address[origin.address] == PER_ADDRESS:
            assert dropped is not None and dropped.reason == CROWDED
            assert waiting[dropped.connection].address == origin.address
        elif len(waiting) == PLACES:
            assert dropped is not None and dropped.reason == "full"
            assert of_prefix[waiting[dropped.connection].prefix] == max(of_prefix.values())
        else:
            assert dropped is None
        if dropped is not None:
            del waiting[dropped.connection]
        waiting[number] = origin
        assert len(room) == len(waiting) <= PLACES


STEPS = st.lists(
    st.tuples(st.sampled_from(["arrive", "speak", "leave"]), HOSTS, st.booleans(), st.integers(0, 30)),
    max_size=120,
)


@given(steps=STEPS, seed=st.integers(0, 99))
def test_nobody_makes_room_for_somebody_of_another_kind(
    steps: list[tuple[str, Origin, bool, int]], seed: int
) -> None:
    places: HandshakePlaces[int] = HandshakePlaces(LIMITS, random.Random(seed))
    waiting: dict[int, tuple[Origin, bool, bool]] = {}  # origin, is it known, has it spoken
    for number, (word, origin, is_known, which) in enumerate(steps):
        dropped, kind = None, (is_known, False)
        if word == "arrive":
            dropped = places.arrive(number, origin, is_known=is_known)
        elif which in waiting and word == "speak" and not waiting[which][2]:
            number, (origin, is_known, _) = which, waiting.pop(which)
            kind = (is_known, True)
            dropped = places.speak(number, origin, is_known=is_known)
        else:
            places.leave(which)
            waiting.pop(which, None)
            continue
        if dropped is not None:
            assert waiting.pop(dropped.connection)[1:] == kind
            usual = OVERTAKEN_KNOWN if kind[0] else OVERTAKEN_TALKING if kind[1] else OVERTAKEN_SILENT
            assert dropped.reason in (CROWDED, usual)
        waiting[number] = origin, *kind
        assert len(places) == len(waiting)
        assert max(Counter(one[1:] for one in waiting.values()).values()) <= PLACES


def survival(room: Room[str], honest: Origin, flood: list[str], arrivals: int, chance: random.Random) -> bool:
    """Whether a connection from `honest` is still there after so many arrivals from networks of `flood`."""
    room.enter("honest", honest)
    for number in range(arrivals):
        dropped = room.enter(str(number), origin_of(f"{chance.choice(flood)}.{chance.randrange(256)}"))
        if dropped is not None and dropped.connection == "honest":
            return False
    return True


@pytest.mark.parametrize("networks", [1, 8, 30])
def test_a_flood_from_few_networks_drops_its_own(networks: int) -> None:
    chance = random.Random(1)
    flood = [f"198.51.{number}" for number in range(networks)]
    for _ in range(20):
        assert survival(Room(64, 8, "full", chance), origin_of("192.0.2.1"), flood, 1_000, chance)


@pytest.mark.parametrize(
    ("places", "host", "reason"), [(16, "192.0.{}.1", "full"), (99, "192.0.2.1", CROWDED)]
)
def test_how_long_a_connection_has_waited_says_nothing_about_its_end(
    places: int, host: str, reason: str
) -> None:
    """Each of the crowd that makes room goes with the same chance, the first as the last."""
    crowd, rounds, chance = 16, 4_000, random.Random(2)
    gone: Counter[int] = Counter()
    for _ in range(rounds):
        room: Room[int] = Room(places, crowd, "full", chance)
        for number in range(crowd):
            room.enter(number, origin_of(host.format(number)))
        dropped = room.enter(crowd, origin_of(host.format(crowd)))
        assert dropped is not None and dropped.reason == reason
        gone[dropped.connection] += 1
    expected = rounds / crowd
    assert set(gone) == set(range(crowd))
    assert all(0.7 * expected < count < 1.3 * expected for count in gone.values())


def test_a_known_network_is_not_one_crowd() -> None:
    """Known addresses are few, and each stands for itself: a hostile partner beside an honest one drops its own."""
    places: HandshakePlaces[str] = HandshakePlaces(LIMITS, random.Random(3))
    places.arrive("honest", origin_of("192.0.2.1"), is_known=True)
    for number in range(200):
        host = f"192.0.2.{200 + number % 2}"
        dropped = places.arrive(str(number), origin_of(host), is_known=True)
        assert dropped is None or dropped.connection != "honest"
