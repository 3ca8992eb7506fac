"""The command line of rewrites across the wall of an exercise; scripts/rewrite-exercises explains it."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from rewriting_campaign import Wall, rewrite


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/rewrite-exercises", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, metavar="N", help="rewrites in all (10000)")
    parser.add_argument("--seed", type=int, default=18, metavar="N")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wall = Wall(Path(folder))
        began = time.process_time()
        found = rewrite(wall, options.count, options.seed)
        seconds = time.process_time() - began
        wall.close()
    for reason, count in found.reasons.most_common():
        print(f"{count:>7}  {reason}")
    bad = len(found.taken_as_real) + len(found.taken_as_play)
    print(
        f"{found.tried} rewrites, {len(found.taken_as_real)} taken in as real, {len(found.taken_as_play)} as play, {seconds:.0f} CPU s"
    )
    if bad or not found.whole:
        print(f"taken in: {found.taken_as_real[:5]} {found.taken_as_play[:5]}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
