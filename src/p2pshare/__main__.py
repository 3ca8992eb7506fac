"""`python -m p2pshare` and the console script."""

from __future__ import annotations

import sys


def main() -> None:
    """Runs the command line and exits with its code."""
    from p2pshare.cli.program import run_program

    sys.exit(run_program(sys.argv[1:]))


if __name__ == "__main__":
    main()
