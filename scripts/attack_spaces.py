"""The campaigns of docs/spaces.md, "Proofs": what the suite asks of few seeds, of as many as one has time for; see scripts/attack-spaces."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

from space_campaign import differs_by_order, differs_from_naive, moved_by_attack

TOLD_EVERY_SECONDS = 30


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/attack-spaces", description="look for what moves a space")
    parser.add_argument("--histories", type=int, default=2_000)
    parser.add_argument("--orders", type=int, default=20, help="of each history")
    parser.add_argument("--folds", type=int, default=2_000, help="histories that both folds read")
    parser.add_argument("--attacks", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0, help="the first one")
    arguments = parser.parse_args()
    seeds = arguments.seed
    faults = run(
        "histories", seeds, arguments.histories, lambda seed: differs_by_order(seed, arguments.orders)
    )
    faults += run("folds", seeds, arguments.folds, differs_from_naive)
    faults += run("attacks", seeds, arguments.attacks, moved_by_attack)
    return 1 if faults else 0


def run(name: str, first: int, count: int, fault_of: Callable[[int], str]) -> int:
    """Returns how many of these seeds have a fault, and prints each."""
    faults, start, told = 0, time.monotonic(), time.monotonic()
    for number in range(count):
        fault = fault_of(first + number)
        if fault:
            faults += 1
            print(fault, flush=True)
        if time.monotonic() - told > TOLD_EVERY_SECONDS:
            told = time.monotonic()
            print(f"{name}: {number + 1} of {count}, {faults} with a fault", flush=True)
    print(f"{name}: {count} from seed {first} in {time.monotonic() - start:.0f} s, {faults} with a fault")
    return faults


if __name__ == "__main__":
    sys.exit(main())
