"""Publications of a list are handed to a daemon, which is killed (SIGKILL) at a moment that is drawn from the time that a whole one
takes, and started again. After each it is looked at whether the publication is there with all its parts or with none.

What `tests/end_to_end/test_publishing_streamed.py` does with a small one in each run, at any size.
"""

from __future__ import annotations

import argparse
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path

from publishing import make_home, program_of, write_list

from p2pshare.cli.session import is_running

PATIENCE_SECONDS = 3_600.0


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/kill-publications", description=__doc__)
    parser.add_argument("--values", type=int, default=1_400_000, metavar="N")
    parser.add_argument("--kills", type=int, default=10, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    options = parser.parse_args(arguments)
    drawn = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="kill-publications-") as name:
        folder = Path(name)
        file = folder / "values.txt"
        write_list(file, options.values)
        home = make_home(folder / "homes", int(time.time()))
        daemon = _start(home)
        try:
            began = time.monotonic()
            with _publish(home, file) as command:
                command.communicate()
            longest = time.monotonic() - began
            print(f"one of {options.values:,} values takes {longest:.0f} s", flush=True)
            before, is_broken = _envelopes(home), False
            parts = before
            for number in range(1, options.kills + 1):
                moment = drawn.uniform(0, longest)
                with _publish(home, file) as command:
                    time.sleep(moment)
                    daemon.kill()
                    daemon.wait()
                    command.communicate()
                phase = _phase(home)
                daemon = _start(home)
                _wait_until_nothing_is_under_way(home)
                now = _envelopes(home)
                outcome = {0: "nothing", parts: "whole"}.get(
                    now - before, f"BROKEN: {now - before} of {parts}"
                )
                is_broken |= outcome.startswith("BROKEN") or _torn(home) > 0
                print(f"kill {number:>2} after {moment:6.1f} s, {phase:<28} {outcome}", flush=True)
                before = now
        finally:
            daemon.kill()
            daemon.wait()
    print("kill-publications: " + ("FAILED" if is_broken else "each ended whole or not at all"))
    return int(is_broken)


def _publish(home: Path, file: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*program_of(home), "publish", str(file), "--format", "list", "--tlp", "green", "--yes", "--json"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _start(home: Path) -> subprocess.Popen[bytes]:
    daemon = subprocess.Popen([*program_of(home), "run"], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_running(home):
        assert time.monotonic() < deadline and daemon.poll() is None, "the daemon did not start"
        time.sleep(0.05)
    return daemon


def _wait_until_nothing_is_under_way(home: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while _asked(home, "SELECT count(*) FROM staged_publication"):
        assert time.monotonic() < deadline, "it does not come to its end"
        time.sleep(0.2)


def _phase(home: Path) -> str:
    """How far it was when the daemon was killed, by the store that is left."""
    for state, sealed, moved, stored in _rows(
        home,
        """SELECT state, (SELECT count(*) FROM staged_envelope e WHERE e.publication = p.id), moved, stored
        FROM staged_publication p""",
    ):
        return f"released: {moved} moved, {stored} stored" if state else f"{sealed} sealed"
    with suppress(FileNotFoundError):
        if os.listdir(home / "spool"):
            return "being prepared"
    return "nothing, or at its end"


def _envelopes(home: Path) -> int:
    return _asked(home, "SELECT count(*) FROM envelope")


def _torn(home: Path) -> int:
    """The number of publications of which a part is missing, or not read."""
    return _asked(
        home,
        "SELECT count(*) FROM (SELECT 1 FROM publication_part GROUP BY publication HAVING count(*) != max(parts))",
    ) + _asked(home, "SELECT count(*) FROM envelope WHERE content != 1")


def _asked(home: Path, question: str) -> int:
    return int(_rows(home, question)[0][0])


def _rows(home: Path, question: str) -> list[tuple[int, ...]]:
    with closing(sqlite3.connect(f"file:{home / 'store.sqlite'}?mode=ro", uri=True)) as store:
        return store.execute(question).fetchall()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
