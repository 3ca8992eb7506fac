"""The driver's reading: its pause is drawn, and no fault ends it."""

from __future__ import annotations

import logging
import random
import time
from pathlib import Path
from typing import Any

import pytest
from running_nodes import Partner, eventually
from whole_nodes import befriend

from p2pshare.daemon import driver as drivers
from p2pshare.daemon import reading_pauses
from p2pshare.daemon.reading_pauses import PAUSE_SECONDS_MAX, PAUSE_SECONDS_MIN, ReadingPauses
from p2pshare.gossip import events

LARGE, SMALL = 1_000_000, 512  # bytes sealed: a list of 10,000 values, one value


def drawn(size: int, count: int = 400) -> list[float]:
    """The pauses of so many envelopes of one size."""
    pauses, found = ReadingPauses(random.Random(1)), []
    for lsn in range(count):
        pauses.begin(lsn, size, 0.0)
        left = pauses.seconds_left(0.0)
        assert left is not None
        assert pauses.not_due(left) == ()
        found.append(left)
    return found


def test_the_moment_at_which_a_large_envelope_is_read_is_drawn_over_a_long_time() -> None:
    """Reading it takes a twentieth of that: a question at any one moment hardly ever meets it."""
    found = sorted(drawn(LARGE))
    assert found[0] >= PAUSE_SECONDS_MIN
    assert found[-1] <= PAUSE_SECONDS_MIN + PAUSE_SECONDS_MAX
    for share in (0.1, 0.5, 0.9):
        assert abs(found[int(share * len(found))] - share * PAUSE_SECONDS_MAX) < 0.1 * PAUSE_SECONDS_MAX


def test_a_warning_of_one_value_hardly_waits() -> None:
    assert max(drawn(SMALL)) <= 0.030


def test_an_envelope_waits_for_its_own_pause_and_for_no_other() -> None:
    pauses = ReadingPauses(random.Random(1))
    pauses.begin(1, LARGE, 10.0)
    pauses.begin(2, SMALL, 10.0)
    assert set(pauses.not_due(10.0)) == {1, 2}
    assert pauses.not_due(10.1) == (1,)
    assert pauses.not_due(30.0) == ()
    assert pauses.seconds_left(30.0) is None


class Longest(random.Random):
    """A chance that always draws the longest pause."""

    def uniform(self, a: float, b: float) -> float:
        return b


async def test_a_list_is_held_and_waits_while_a_warning_that_came_after_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read at once, a list let everybody who asked next know that it was for us."""
    monkeypatch.setattr(reading_pauses, "PAUSE_SECONDS_MAX", 3.0)  # it would be 15
    monkeypatch.setattr(reading_pauses, "PAUSE_SECONDS_PER_BYTE", 100e-6)  # as a list three times as long
    alpha, bravo = Partner(tmp_path, "alpha"), Partner(tmp_path, "bravo")
    try:
        for one, other in ((alpha, bravo), (bravo, alpha)):
            await one.write(befriend, one.node, other.node)
        await bravo.start()
        assert bravo.driver is not None
        bravo.driver._reading_pauses = ReadingPauses(Longest())
        await alpha.start()
        await alpha.publish(*(f"listed-{number}.example" for number in range(1_000)), to=["bravo"])
        await eventually(lambda: bravo.held() == 1, "the list was taken in")
        began = time.monotonic()
        await alpha.publish("urgent.example", to=["bravo"])
        await eventually(lambda: bravo.knows("urgent.example"), "the warning was read")
        if time.monotonic() - began < 1:  # on a machine that is too busy both pauses may be over
            assert not bravo.knows("listed-0.example"), "it waits for its own pause"
            assert bravo.node.store.log.counts().unread == 1
        await eventually(lambda: bravo.knows("listed-999.example"), "the list was read")
    finally:
        await alpha.end()
        await bravo.end()


async def test_a_fault_of_ours_in_reading_is_logged_counted_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing more was ever read after one exception that was no StoreError."""
    monkeypatch.setattr(drivers, "READING_FAILED_PAUSE_SECONDS", 0.05)
    alpha, bravo = Partner(tmp_path, "alpha"), Partner(tmp_path, "bravo")
    try:
        for one, other in ((alpha, bravo), (bravo, alpha)):
            await one.write(befriend, one.node, other.node)
        choose, faults = bravo.node.store.log.next_unread, iter([KeyError("a bug")])

        def choose_or_fail(*arguments: Any) -> Any:
            for fault in faults:
                raise fault
            return choose(*arguments)

        monkeypatch.setattr(bravo.node.store.log, "next_unread", choose_or_fail)
        with caplog.at_level(logging.ERROR, "p2pshare.daemon.driver"):
            await bravo.start()
            await alpha.start()
            await alpha.publish("evil.example", to=["bravo"])
            await eventually(lambda: bravo.knows("evil.example"), "the content was read")
        assert "KeyError" in caplog.text
        assert "a bug" not in caplog.text, "lines of code are logged, never values"
        assert bravo.node.store.partners.refusals() == {"content-internal-error": 1}
    finally:
        await alpha.end()
        await bravo.end()


async def test_a_comparison_makes_way_for_bodies_that_are_taken_in_but_not_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drivers, "STEP_PAUSE_SECONDS", 0.0)
    alpha = Partner(tmp_path, "alpha")
    try:
        await alpha.start()
        assert alpha.driver is not None
        given: list[events.Step] = []

        def note(event: events.Event) -> None:
            given.extend([event] if isinstance(event, events.Step) else ())

        monkeypatch.setattr(alpha.driver, "_give", note)
        monkeypatch.setattr(alpha.driver._intake, "_is_committing", True)
        alpha.driver._step()
        assert given == []
        await eventually(lambda: given, "it goes on though bodies never cease")
        assert len(given) == 1
        monkeypatch.setattr(alpha.driver._intake, "_is_committing", False)
        alpha.driver._step()
        assert len(given) == 2
    finally:
        monkeypatch.undo()
        await alpha.end()
