"""The command line of simulated spaces; scripts/simulate-spaces explains it."""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import Counter

from simulator.space_runs import SpaceOutcome, measure, play

TOLD_EVERY_SECONDS = 30
SHOWN = 3
FIGURE_SEEDS = 20


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/simulate-spaces", description=__doc__)
    parser.add_argument("--seed", type=int, metavar="N", help="one world")
    parser.add_argument("--log", action="store_true", help="print what happens in it")
    parser.add_argument("--seeds", type=int, default=2_000, metavar="N", help="worlds in all (2000)")
    parser.add_argument("--first-seed", type=int, default=0, metavar="N")
    parser.add_argument("--figures", action="store_true")
    options = parser.parse_args()
    if options.figures:
        return _figures()
    if options.seed is not None:
        outcome = play(options.seed, print if options.log else None)
        print(_line(outcome))
        return _report(outcome)
    return _campaign(options.first_seed, options.seeds)


def _campaign(first: int, count: int) -> int:
    failed, started, told = 0, time.monotonic(), time.monotonic()
    seen: Counter[str] = Counter()
    longest = 0.0
    for number in range(count):
        outcome = play(first + number)
        failed += bool(outcome.failures)
        _report(outcome)
        seen.update(outcome.seen)
        longest = max(longest, outcome.settled_after or 0.0)
        if time.monotonic() - told > TOLD_EVERY_SECONDS:
            told = time.monotonic()
            print(f"{number + 1} of {count}, {failed} failed, last seed {outcome.seed}", flush=True)
    print(", ".join(f"{what} {times}" for what, times in sorted(seen.items())))
    print(
        f"{count} worlds from seed {first} in {time.monotonic() - started:.0f} s, {failed} failed; "
        f"longest to settle {longest:.0f} s"
    )
    return 1 if failed else 0


def _figures() -> int:
    """Without faults, all partners of each other: from writing to being held; and envelopes with heads, a minute and link."""
    found = [measure(seed) for seed in range(FIGURE_SEEDS)]
    arrivals = sorted(one for figures in found for one in figures.arrivals)
    print(
        f"{len(arrivals)} arrivals at partners: p50 {_at(arrivals, 0.5):.2f} s, p99 {_at(arrivals, 0.99):.2f} s, longest {arrivals[-1]:.2f} s"
    )
    print(
        f"heads, a minute and link: {statistics.fmean(one.heads_per_minute for one in found):.2f}, busiest link {max(one.heads_busiest for one in found):.2f}"
    )
    print(f"heads that were no question within a minute: {sum(one.heads_too_soon for one in found)}")
    print(
        f"copies of an entry that was held already, for each new one: {statistics.fmean(one.copies for one in found):.3f}"
    )
    return 0


def _at(figures: list[float], share: float) -> float:
    return figures[min(len(figures) - 1, int(share * len(figures)))]


def _line(outcome: SpaceOutcome) -> str:
    settled = "never" if outcome.settled_after is None else f"{outcome.settled_after:.0f} s after the faults"
    return (
        f"trace {outcome.digest}, {outcome.entries} entries, {outcome.members} members, all alike {settled}"
    )


def _report(outcome: SpaceOutcome) -> int:
    for name, found in outcome.failures.items():
        print(f"FAILED {name}, seed {outcome.seed}: {len(found)}", *found[:SHOWN], sep="\n  ", flush=True)
    if outcome.failures:
        print(f"again: scripts/simulate-spaces --seed {outcome.seed} --log", flush=True)
    return 1 if outcome.failures else 0


if __name__ == "__main__":
    sys.exit(main())
