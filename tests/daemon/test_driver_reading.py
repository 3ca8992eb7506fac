"""The driver's reading: its pause is drawn, and no fault ends it."""

from __future__ import annotations

import logging
import random
from pathlib import Path
from typing import Any

import pytest
from running_nodes import Partner, eventually
from whole_nodes import befriend

from p2pshare.daemon import driver as drivers
from p2pshare.daemon.reading_pauses import PAUSE_SECONDS_MAX, PAUSE_SECONDS_MIN, ReadingPauses

LARGE, SMALL = 500_000, 2_500  # bytes: 5,000 values, one value


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
    """Reading it takes a tenth of that: a question at any one moment hardly ever meets it."""
    found = sorted(drawn(LARGE))
    assert found[0] >= PAUSE_SECONDS_MIN
    assert found[-1] <= PAUSE_SECONDS_MIN + PAUSE_SECONDS_MAX
    for share in (0.1, 0.5, 0.9):
        assert abs(found[int(share * len(found))] - share * PAUSE_SECONDS_MAX) < 0.3


def test_a_warning_of_one_value_hardly_waits() -> None:
    assert max(drawn(SMALL)) <= 0.030


def test_an_envelope_waits_for_its_own_pause_and_for_no_other() -> None:
    pauses = ReadingPauses(random.Random(1))
    pauses.begin(1, LARGE, 10.0)
    pauses.begin(2, SMALL, 10.0)
    assert set(pauses.not_due(10.0)) == {1, 2}
    assert pauses.not_due(10.1) == (1,)
    assert pauses.not_due(20.0) == ()
    assert pauses.seconds_left(20.0) is None


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
