"""`scripts/measure-audience`: its statistics are right, and a few pushes of it run. The figure itself is taken by hand."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from measure_audience import Sample, accuracy, fitted, judged

SECONDS = st.floats(0, 10, allow_nan=False)


def samples_of(recipients: list[float], relays: list[float]) -> list[Sample]:
    return [Sample(one, True) for one in recipients] + [Sample(one, False) for one in relays]


# --- statistics --------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_equal_times_tell_nothing(seed: int) -> None:
    """A threshold that were judged on what it was fitted on would do better than chance here, by far."""
    chance = random.Random(seed)
    found = [
        judged(samples_of(*([chance.lognormvariate(0, 1) for _ in range(200)] for _ in range(2))), chance)
        for _ in range(40)
    ]
    assert abs(sum(found) / len(found) - 0.5) < 0.02


@given(st.lists(SECONDS, min_size=4), st.lists(SECONDS, min_size=4), st.booleans(), st.integers())
def test_times_apart_tell_all_in_either_direction(
    less: list[float], more: list[float], is_recipient_slower: bool, seed: int
) -> None:
    more = [one + 30 for one in more]  # the gap is wider than what each spreads over
    samples = samples_of(more, less) if is_recipient_slower else samples_of(less, more)
    assert judged(samples, random.Random(seed)) == 1.0


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
def test_a_share_of_recipients_that_is_slow_tells_half_of_that_share(share: float) -> None:
    chance = random.Random(1)
    found = []
    for _ in range(20):
        relays = [chance.gauss(2, 0.2) for _ in range(200)]
        recipients = [chance.gauss(2, 0.2) + 50 * (chance.random() < share) for _ in range(200)]
        found.append(judged(samples_of(recipients, relays), chance))
    assert abs(sum(found) / len(found) - (0.5 + share / 2)) < 0.03


@settings(max_examples=200)
@given(st.lists(SECONDS, min_size=1, max_size=12), st.lists(SECONDS, min_size=1, max_size=12))
def test_no_threshold_is_better_than_the_fitted_one(recipients: list[float], relays: list[float]) -> None:
    samples = samples_of(recipients, relays)
    best = accuracy(fitted(samples), samples)
    for one in samples:
        share = [sum(times > one.seconds for times in kind) / len(kind) for kind in (recipients, relays)]
        right = (share[0] + 1 - share[1]) / 2
        assert best >= max(right, 1 - right) - 1e-9


def test_a_class_that_is_larger_gains_nothing() -> None:
    samples = samples_of([1.0] * 90, [1.0] * 10)
    assert accuracy(fitted(samples), samples) == 0.5


# --- the measurement ---------------------------------------------------------------------------------


def test_a_few_pushes_run_and_each_time_is_told(repository: Path, tmp_path: Path) -> None:
    times = tmp_path / "times.json"
    done = subprocess.run(
        [
            sys.executable,
            "scripts/measure_audience.py",
            *f"--objects 20 --pushes 3 --pause 0.5 --json {times}".split(),
        ],
        cwd=repository,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr[-4_000:]
    assert (done.returncode == 1) == ("MISS" in done.stdout)
    found = json.loads(times.read_text())["times"]
    for kind in ("answer to the push", "announcement", "next push, right after", "next hello, right after"):
        assert kind in done.stdout
        assert sorted(is_recipient for _, is_recipient in found[kind]) == [False] * 3 + [True] * 3
        assert all(0 < seconds < 10 for seconds, _ in found[kind])
    assert done.stdout.count("shown, not judged") == 4


def test_too_few_pushes_are_refused(repository: Path) -> None:
    done = subprocess.run(
        [sys.executable, "scripts/measure_audience.py", "--pushes", "1"],
        cwd=repository,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "two pushes" in done.stderr
