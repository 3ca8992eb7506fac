"""Rounds of what draws at random, until the time is up or something fails; scripts/nightly explains it.

A round is never cut short: there is another one when the longest so far would still fit. One is always done.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
MINUTES = 30.0
SEEDS_END = 1 << 31
FIRST_SEED = 1_000_000  # below it are the seeds of tests and of campaigns that are written down
SIMULATOR_RUNS = 176  # a round: four seeds of each scenario, two of the dearest
SPACE_WORLDS = 200  # a round: some 40 s
KEEP = """\
nightly: keep what failed, so that every later run of the tests begins with it:
- `git apply` with the patch that is named above adds the example to its test: import `example`, format it;
- where none is named (values that are no code), write @example(...) from the lines under "Failing test case";
- of a test with `st.data()`, from its lines "Draw 1", "Draw 2": @example(data=Drawn(FIRST, SECOND)), of tests/support/drawn.py;
- commit it with what mends the failure."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/nightly", description=__doc__)
    parser.add_argument("--minutes", type=float, default=MINUTES, metavar="N", help=f"in all ({MINUTES:.0f})")
    parser.add_argument("part", nargs="?", choices=list(PARTS), help="only this one")
    options = parser.parse_args(arguments)
    parts = [options.part] if options.part else list(PARTS)
    began, told, failed = time.monotonic(), [], False
    for part in parts:
        rounds, holds = repeat(PARTS[part], 60 * options.minutes / len(parts))
        told.append(f"{part}: {'all held' if holds else 'FAILED'} in {rounds} round{'s' * (rounds > 1)}")
        failed |= not holds
    print(f"nightly: {'; '.join(told)}; {(time.monotonic() - began) / 60:.1f} minutes")
    return 1 if failed else 0


def repeat(play: Callable[[int], bool], seconds: float) -> tuple[int, bool]:
    """Plays rounds on new seeds for about `seconds`; their number, and whether all held."""
    until, longest, rounds = time.monotonic() + seconds, 0.0, 0
    while rounds == 0 or time.monotonic() + longest <= until:
        began = time.monotonic()
        rounds += 1
        if not play(random.SystemRandom().randrange(FIRST_SEED, SEEDS_END)):
            return rounds, False
        longest = max(longest, time.monotonic() - began)
    return rounds, True


def properties(seed: int) -> bool:
    """All property tests once, in one process: only so Hypothesis writes patches."""
    words = ["-m", "pytest", "-q", "-m", "hypothesis", "--hypothesis-profile", "explore"]
    if run([*words, "--hypothesis-seed", str(seed)]):
        return True
    print(KEEP, flush=True)
    return False


def simulator(seed: int) -> bool:
    """New seeds of every scenario, and of spaces; scripts/simulate and scripts/simulate-spaces say how to keep one that fails."""
    words = ["scripts/simulate.py", "--campaign", "--seeds", str(SIMULATOR_RUNS), "--first-seed", str(seed)]
    spaces = ["scripts/simulate_spaces.py", "--seeds", str(SPACE_WORLDS), "--first-seed", str(seed)]
    return run(words) and run(spaces)


def run(words: list[str]) -> bool:
    print("$ python", *words, flush=True)
    return subprocess.run([sys.executable, *words], cwd=TOP, check=False).returncode == 0


PARTS = {"properties": properties, "simulator": simulator}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
