"""Our own numbers over clocks that are wrong, starts, restored backups and a thief: partners accept each, none is used twice."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from copies import memory_folder
from hypothesis import example, given, settings
from hypothesis import strategies as st
from stored_envelopes import store_envelopes

from p2pshare.envelope.verification import TimeVerdict, time_verdict
from p2pshare.errors import StoreError
from p2pshare.limits import INCARNATION_DRAW_SECONDS
from p2pshare.log import sequences
from p2pshare.log.interface import AuthorState
from p2pshare.node.store import Store, open_store

DAY = 86_400
HIGHEST = 2**53 - 1


class Author:
    """A store that seals in its own name, is started, copied and put back."""

    def __init__(self, folder: Path, make: Any) -> None:
        self._path, self._make = folder / "store.sqlite", make
        self._backup = folder / "backup.sqlite"
        self.used: list[tuple[int, int]] = []
        self._since_backup: list[Any] = []
        self._lost: list[Any] = []
        self.store = self._opened()
        self.store.partners.put_own(make.ourselves, "Ourselves")
        self.back_up()

    def _opened(self) -> Store:
        return open_store(self._path, free_space_bytes_min=0)

    def start(self) -> None:
        self.store.close()
        self.store = self._opened()

    def seal(self, now: int, **more: Any) -> AuthorState:
        """Seals one more envelope and returns the chain it went into."""
        state = self.store.log.author_state(now)
        numbers = {"incarnation": state.incarnation, "sequence": state.sequence + 1}
        envelope = self._make.envelope(
            author=self._make.ourselves,
            received_from=None,
            created=now,
            salt=str(len(self.used)),
            **numbers,
            **more,
        )
        assert time_verdict(envelope.core, now) is TimeVerdict.CURRENT
        store_envelopes(self.store, [envelope])
        self.used.append((state.incarnation, state.sequence + 1))
        self._since_backup.append(numbers | {"created": now, "salt": str(len(self.used) - 1)})
        return state

    def hear(self, incarnation: int, now: int) -> bool:
        """Takes in an envelope in our name that we did not seal, where intake would; returns whether it did."""
        stolen = self._make.envelope(
            author=self._make.ourselves,
            incarnation=incarnation,
            created=now,
            salt=f"thief {now} {incarnation}",
        )
        if time_verdict(stolen.core, now) is not TimeVerdict.CURRENT:
            return False
        store_envelopes(self.store, [stolen])
        self.used.append((incarnation, 1))
        return True

    def back_up(self) -> None:
        self.store.database.checkpoint()
        shutil.copyfile(self._path, self._backup)
        self._since_backup = []

    def put_back(self, *, comes_home: bool) -> None:
        """Puts yesterday's store in place; what it sealed since comes home from partners, or has not yet."""
        self.store.close()
        for suffix in ("-wal", "-shm"):
            self._path.with_name(f"store.sqlite{suffix}").unlink(missing_ok=True)
        shutil.copyfile(self._backup, self._path)
        self.store = self._opened()
        self._lost, self._since_backup = self._since_backup, []
        if comes_home:
            self.come_home()

    def come_home(self) -> None:
        """Takes in from a partner what was sealed before the store was put back."""
        home = [
            self._make.envelope(author=self._make.ourselves, received_from=self._make.bravo, **numbers)
            for numbers in self._lost
        ]
        store_envelopes(self.store, home)


@pytest.fixture
def draws(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What is drawn next, in order."""
    left: list[int] = []
    monkeypatch.setattr(sequences, "secrets", SimpleNamespace(randbelow=lambda below: left.pop(0) % below))
    return left


@contextmanager
def author(make: Any) -> Iterator[Author]:
    with tempfile.TemporaryDirectory(dir=memory_folder()) as folder:
        one = Author(Path(folder), make)
        yield one
        one.store.close()


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["seal", "start"]),
            st.sampled_from([-3650, -400, -3, -2, -1, 0, 1, 2, 3, 10_000]),  # days that the clock is ahead
            st.integers(0, 3),
        ),
        min_size=1,
        max_size=14,
    )
)
@example([("seal", 3, 0), ("seal", 0, 0), ("seal", 3, 0), ("start", 0, 0), ("seal", 1, 0), ("seal", 0, 1)])
def test_whatever_the_clock_says_each_number_is_accepted_and_used_once(
    make: Any, actions: list[tuple[str, int, int]]
) -> None:
    with author(make) as one:
        for what, days, seconds in actions:
            now = make.now + days * DAY + seconds
            if what == "start":
                one.start()
            one.seal(now)
        assert len(set(one.used)) == len(one.used)


@settings(max_examples=60)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("seal"), st.just(0)),
            st.tuples(st.just("start"), st.just(0)),
            st.tuples(st.just("back up"), st.just(0)),
            st.tuples(st.just("put back, all home"), st.just(0)),
            st.tuples(
                st.just("hear"),
                st.sampled_from(
                    [1, DAY - 1, DAY, DAY + 1, DAY + 2, 2 * DAY - 1, 2 * DAY, 2 * DAY + 1, HIGHEST]
                ),
            ),
        ),
        min_size=1,
        max_size=16,
    )
)
@example([("hear", HIGHEST), ("hear", 2 * DAY), ("hear", DAY), ("start", 0), ("seal", 0)])
@example([("hear", DAY), ("hear", DAY + 1), ("hear", DAY + 2), ("start", 0), ("seal", 0), ("seal", 0)])
def test_with_a_clock_that_is_right_no_thief_and_no_backup_makes_us_use_a_number_twice(
    make: Any, actions: list[tuple[str, int]]
) -> None:
    with author(make) as one:
        now = make.now
        for what, ahead in actions:
            now += 30
            if what == "hear":
                one.hear(min(HIGHEST, now + ahead), now)
            elif what == "back up":
                one.back_up()
            elif what == "put back, all home":
                one.put_back(comes_home=True)
            else:
                if what == "start":
                    one.start()
                one.seal(now)
        assert len(set(one.used)) == len(one.used)


@settings(max_examples=40)
@given(st.lists(st.sampled_from(["seal", "start", "back up", "put back"]), min_size=1, max_size=16))
def test_with_a_clock_that_is_right_our_numbers_only_grow(make: Any, actions: list[str]) -> None:
    """Also over a restored backup whose later envelopes nobody has given back yet."""
    with author(make) as one:
        now = make.now
        for what in actions:
            now += 30
            if what == "back up":
                one.back_up()
            elif what == "put back":
                one.put_back(comes_home=False)
            else:
                if what == "start":
                    one.start()
                one.seal(now)
        assert one.used == sorted(set(one.used))


def test_after_a_clock_that_was_ahead_the_numbers_go_back(make: Any) -> None:
    """They stayed above it for good: every partner refused every later envelope."""
    with author(make) as one:
        ahead = make.now + 400 * DAY
        assert one.seal(ahead).incarnation == ahead
        back = one.seal(make.now).incarnation
        assert back < make.now + INCARNATION_DRAW_SECONDS, "without a start in between"
        one.start()
        assert back < one.seal(make.now + 1).incarnation < make.now + INCARNATION_DRAW_SECONDS
        assert one.seal(ahead).incarnation > ahead, "where time has come: above what was used then"


def test_a_clock_that_is_set_right_while_we_run_counts_what_it_had_forgotten(make: Any) -> None:
    """A machine that starts in 1970 would go on below its own numbers, and old versions would stay the newest."""
    with author(make) as one:
        before = one.seal(make.now).incarnation
        one.start()
        one.seal(1_000)
        assert one.seal(make.now + 60).incarnation > before


def test_a_clock_that_stands_still_begins_no_incarnation_twice_though_nothing_of_it_is_held(
    make: Any,
) -> None:
    """Found by sabotage: only what is still held kept a start within one second from beginning with 1 again."""
    with author(make) as one:
        used = one.seal(make.now, opened=False)
        one.store.log.expire(make.now + 400 * DAY)
        assert one.store.log.newest_created([make.ourselves], 1) == {make.ourselves: []}, "all of it is gone"
        one.start()
        assert one.seal(make.now).incarnation > used.incarnation
        begun = [one.store.log.begin_incarnation(make.now) for _ in range(3)]
        assert begun == sorted(set(begun))


def test_a_store_whose_numbers_a_thief_had_ended_recovers(make: Any) -> None:
    """Its own chain says 2^53 - 1, the highest number that an envelope can carry."""
    with author(make) as one:
        with one.store.database.transaction() as writer:
            writer.execute("UPDATE own_chain SET incarnation = ?, sequence = 7", (HIGHEST,))
        one.start()
        assert make.now <= one.seal(make.now).incarnation < make.now + INCARNATION_DRAW_SECONDS


def test_when_a_thief_has_used_every_number_that_is_accepted_nothing_is_sealed_and_it_is_said(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("p2pshare.log.sequences.INCARNATION_DRAW_SECONDS", 5)
    monkeypatch.setattr("p2pshare.log.sequences.INCARNATION_COUNT_SECONDS", 10)
    monkeypatch.setattr("p2pshare.log.sequences.INCARNATION_REFUSE_SECONDS", 20)
    with author(make) as one:
        for ahead in range(10, 21):
            assert one.hear(make.now + ahead, make.now)
        with pytest.raises(StoreError) as caught:
            one.seal(make.now)
        assert caught.value.reason == "own-incarnations-used"
        assert one.seal(make.now + 1).incarnation == make.now + 21


@pytest.mark.parametrize("behind", [2 * 3_600, 30 * DAY], ids=["two hours", "a month"])
def test_a_disk_set_back_while_the_clock_is_behind_does_not_count_on_as_the_life_that_was_lost(
    make: Any, behind: int
) -> None:
    """Found by the simulator: both began one above the backup's highest, and one author had two envelopes of one number. The
    month: a machine without a clock of its own that starts at one moment each time."""
    forks = 0
    for again in range(5):
        with author(make) as one:
            one.seal(make.now + again)
            one.back_up()
            one.start()
            lost = one.seal(make.now - behind)
            one.put_back(comes_home=False)
            forks += one.seal(make.now - behind).incarnation == lost.incarnation
    assert forks < 2  # one in 675 draws at least


def test_the_clock_decides_our_incarnation_where_it_is_ahead_of_all_that_was_used(make: Any) -> None:
    with author(make) as one:
        for later in (0, 1, 2):
            one.start()
            assert one.seal(make.now + later).incarnation == make.now + later


def test_starts_while_the_clock_is_behind_leave_room_below_what_partners_accept(make: Any) -> None:
    """Draws of one size would be beyond the day within as many commands as a script runs."""
    with author(make) as one:
        one.seal(make.now)
        begun = [one.store.log.begin_incarnation(make.now) for _ in range(400)]
        assert begun == sorted(set(begun))
        assert begun[-1] < make.now + INCARNATION_DRAW_SECONDS + 400


def test_an_incarnation_in_which_a_lost_envelope_comes_home_ends(make: Any, draws: list[int]) -> None:
    """Both lives drew the same number, and what the first one sealed comes home before the second has come as far."""
    draws.extend([7, 7, 0])
    with author(make) as one:
        one.seal(make.now)
        one.back_up()
        one.start()
        lost = [one.seal(make.now - 7_200) for _ in range(3)]
        one.put_back(comes_home=False)
        assert one.store.log.author_state(make.now - 7_200).incarnation == lost[0].incarnation
        one.come_home()
        after = one.seal(make.now - 7_199)
        assert after.incarnation > lost[0].incarnation
        assert len(set(one.used)) == len(one.used)
        assert one.seal(make.now - 7_198).incarnation == after.incarnation, "and goes on"


def test_what_a_later_life_had_sealed_ends_an_incarnation_below_it(make: Any, draws: list[int]) -> None:
    """Else what is published now would stand below what was lost, and partners would go on with the older version."""
    draws.extend([100, 7, 0])
    with author(make) as one:
        one.seal(make.now)
        one.back_up()
        one.start()
        lost = one.seal(make.now - 7_200)
        one.put_back(comes_home=False)
        assert one.seal(make.now - 7_200).incarnation < lost.incarnation
        one.come_home()
        assert one.seal(make.now - 7_199).incarnation > lost.incarnation


def test_a_machine_that_was_set_back_with_its_memory_begins_anew_once_its_clock_jumps(make: Any) -> None:
    """A virtual machine goes on in the middle of an incarnation whose next numbers it has used in the life that was lost."""
    with author(make) as one:
        kept = one.seal(make.now).incarnation
        one.back_up()
        lost = one.seal(make.now + 1)
        assert lost.incarnation == kept
        one.put_back(comes_home=False)
        one.store.log._incarnation = kept  # as its memory has it
        one.store.log.note_jump(make.now + 500, 500)  # the clock is set right
        assert one.seal(make.now + 500).incarnation > kept
        assert len(set(one.used)) == len(one.used)
