"""Sets up a circle by introductions and has everybody hear everybody (docs/introductions.md, "A circle of twenty"); see
scripts/introduce-twenty. What it does is in `tests/support/introduced_circle.py`; the suite does it with six homes and no daemons."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from introduced_circle import Circle

from conftest import Company, ended, wait_until


def _say(text: str) -> None:
    print(text, flush=True)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/introduce-twenty", description="set up a circle by introductions"
    )
    parser.add_argument("--nodes", type=int, default=20, choices=range(3, 27), metavar="3..26")
    parser.add_argument("--without-daemons", action="store_true", help="the list comes as a file")
    chosen = parser.parse_args(arguments)
    with (
        tempfile.TemporaryDirectory(prefix="p2pshare-circle-") as folder,
        ended(Company(Path(folder))) as company,
    ):
        circle = Circle(
            company, chosen.nodes, wait_until=None if chosen.without_daemons else wait_until, say=_say
        )
        try:
            circle.compare()
            circle.introduce(Path(folder))
            circle.exchange()
        except AssertionError as fault:
            print(f"fault: {fault}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
