"""The schedule of intake: a flood waits behind itself, nothing is lost or turned round, and room is bounded."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from p2pshare.gossip.intake_schedule import IntakeLimits, IntakeSchedule, WaitingBody
from p2pshare.identifiers import PartnerId
from simulation import planted_bugs

LIMITS = IntakeLimits(batch_bodies=5, batch_bytes=60, waiting_bytes=120, waiting_bytes_per_partner=50)
SIZE_MAX = 30
PARTNERS = [PartnerId(bytes([number]) * 32) for number in range(4)]


@dataclass(frozen=True, eq=False)
class Came:
    """One body: how many of its own partner were before it, and what had been taken in or was under way of the others."""

    size: int
    own_before: int
    others: Counter[PartnerId]


@dataclass
class Intake:
    """A schedule between arrivals and commits, of which one is under way at a time; it checks what is promised."""

    schedule: IntakeSchedule[Came] = field(default_factory=lambda: IntakeSchedule(LIMITS))
    under_way: list[WaitingBody[Came]] = field(default_factory=list)
    expected: dict[PartnerId, deque[Came]] = field(default_factory=lambda: defaultdict(deque))
    taken_in: Counter[PartnerId] = field(default_factory=Counter)
    came: int = 0

    def arrive(self, received_from: PartnerId, size: int) -> bool:
        """A body, when there is room for it; whether there was."""
        if not self.schedule.has_room(received_from):
            return False
        assert self._waiting_bytes(received_from) < LIMITS.waiting_bytes_per_partner, "more than its share"
        assert sum(map(self._waiting_bytes, PARTNERS)) < LIMITS.waiting_bytes, "more than all room"
        others = self.taken_in + Counter(one.received_from for one in self.under_way)
        body = Came(size, len(self.expected[received_from]), others)
        self.came += 1
        self.expected[received_from].append(body)
        self.schedule.put(received_from, size, body)
        return True

    def _waiting_bytes(self, received_from: PartnerId) -> int:
        """What was put and not taken."""
        taken = sum(one.size for one in self.under_way if one.received_from == received_from)
        return sum(body.size for body in self.expected[received_from]) - taken

    def begin(self) -> None:
        if not self.under_way:
            self.under_way = self.schedule.take()
            assert len(self.under_way) <= LIMITS.batch_bodies
            assert sum(one.size for one in self.under_way[:-1]) < LIMITS.batch_bytes
            assert self.under_way or not any(self.expected.values()), "nothing is taken, and bodies wait"

    def end(self) -> None:
        """The commit takes in its batch."""
        done, self.under_way = self.under_way, []
        for one in done:
            self._take_in(one)

    def _take_in(self, one: WaitingBody[Came]) -> None:
        received_from, body = one.received_from, one.item
        assert self.expected[received_from].popleft() is body, "a partner's bodies are out of order"
        for other in PARTNERS:
            if other != received_from:
                since = self.taken_in[other] - body.others[other]
                assert since <= body.own_before + 1, "another's flood stood before it"
        self.taken_in[received_from] += 1

    def drain(self) -> None:
        for _ in range(self.came + 1):
            self.begin()
            if not self.under_way:
                break
            self.end()
        assert self.taken_in.total() == self.came, "a body was lost"
        assert len(self.schedule) == self.schedule.waiting_bytes == 0


arrivals = st.tuples(st.just("arrive"), st.sampled_from(PARTNERS), st.integers(0, SIZE_MAX))
commits = st.tuples(st.sampled_from(["begin", "end"]), st.just(PARTNERS[0]), st.just(0))
days = st.lists(arrivals | arrivals | commits, max_size=120)


def live_through(steps: list[tuple[str, PartnerId, int]]) -> None:
    intake = Intake()
    for what, received_from, number in steps:
        match what:
            case "arrive":
                intake.arrive(received_from, number)
            case "begin":
                intake.begin()
            case _:
                intake.end()
    intake.drain()


@given(steps=days)
def test_whatever_comes_turns_order_and_room_are_kept_and_nothing_is_lost(
    steps: list[tuple[str, PartnerId, int]],
) -> None:
    live_through(steps)


@given(own_before=st.integers(0, 3), flooders=st.integers(1, 3))
def test_a_body_is_taken_in_within_its_turns_while_all_others_flood(own_before: int, flooders: int) -> None:
    """Each commit finds the others' share full again."""
    intake, honest = Intake(), PARTNERS[0]

    def flood() -> None:
        for received_from in PARTNERS[1 : 1 + flooders]:
            while intake.schedule.waiting_bytes_of(received_from) < 20 and intake.arrive(received_from, 5):
                pass

    flood()
    for _ in range(own_before + 1):
        assert intake.arrive(honest, 1)
    for _ in range((own_before + 1) * (flooders + 1)):
        intake.begin()
        flood()
        intake.end()
    assert intake.taken_in[honest] == own_before + 1


def test_who_filled_its_share_waits_and_others_do_not() -> None:
    intake = Intake()
    while intake.arrive(PARTNERS[0], 10):
        pass
    assert intake.schedule.waiting_bytes_of(PARTNERS[0]) == LIMITS.waiting_bytes_per_partner
    assert intake.arrive(PARTNERS[1], 10)
    while intake.arrive(PARTNERS[1], 10):
        pass
    while intake.arrive(PARTNERS[2], 10):
        pass
    assert not intake.arrive(PARTNERS[3], 1), "all room is taken"
    intake.begin()
    assert intake.arrive(PARTNERS[3], 1)


def test_partners_take_turns_and_a_batch_ends_where_it_is_full() -> None:
    schedule: IntakeSchedule[str] = IntakeSchedule(IntakeLimits(batch_bodies=4))
    for name in ("a1", "a2", "a3", "b1", "b2"):
        schedule.put(PARTNERS["ab".index(name[0])], 1, name)
    assert [one.item for one in schedule.take()] == ["a1", "b1", "a2", "b2"]
    schedule.put(PARTNERS[2], 1, "c1")
    assert [one.item for one in schedule.take()] == ["a3", "c1"]


@pytest.mark.parametrize("plant", planted_bugs.SCHEDULE_BUGS, ids=lambda plant: plant.__name__)
def test_each_planted_bug_breaks_a_promise(
    plant: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)

    @settings(phases=[Phase.generate])
    @given(steps=days)
    def check(steps: list[tuple[str, PartnerId, int]]) -> None:
        live_through(steps)

    with pytest.raises(AssertionError):
        check()
