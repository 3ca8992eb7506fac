"""Mistakes made on purpose, one line each, and the tests that catch them; scripts/run-sabotage explains it, docs/sabotage.md tells
what came of it.

A mistake is a patch of one line whose head says what it breaks. It is made in a copy of the tree, where the tests of its room run, then
those of the neighbours, then the simulator's slice, up to the first that fails. A test counts only if it passes in the same
copy without the mistake. The place is found by its lines, not by their numbers: there must be exactly one.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
PATCHES = TOP / "scripts" / "sabotage"
RESULTS = TOP / "build" / "sabotage.txt"
COPIED = ("src", "tests", "scripts", "docs", "config", ".ci")
PATCH_SECONDS = 180.0
"""Of CPU: how long it takes by the clock says more about what else the machine does."""
CONTROL_SECONDS = 120.0
"""That the test which caught a mistake may take without it."""
WAIT_TIMES = 10  # as long by the clock, for tests that hang: they spend nothing
LOOKED_SECONDS = 0.2

ROOMS = {
    "envelope": ("tests/envelope", "tests/sharing"),
    "policy": ("tests/policy", "tests/sharing"),
    "peering": ("tests/peering", "tests/daemon"),
    "sharing": ("tests/sharing", "tests/daemon"),
    "gossip": ("tests/gossip", "tests/daemon"),
    "log": ("tests/store", "tests/sharing"),
}
"""Room -> the folders whose tests are to catch its mistakes, in this order."""
SLICE = ("tests/simulation/test_simulation_slice.py",)
SLOW = (
    "tests/sharing/test_sharing_worst_envelope.py",
    "tests/sharing/test_sharing_no_echo.py",
    "tests/store/test_store_property.py",
)
"""Run last, and only of the room itself: each takes longer than the rest of its folder."""

CAUGHT, SURVIVED, BROKEN = "caught", "survived", "broken"


@dataclass(frozen=True)
class Sabotage:
    """A mistake of one line. `before` and `after`: the lines of its place, with those around it."""

    name: str
    breaks: str
    path: str
    before: str
    after: str

    @property
    def room(self) -> str:
        return Path(self.path).parts[2]

    def made_in(self, text: str) -> str:
        """Returns the file's text with the mistake. Raises ValueError unless its place is there once."""
        count = f"\n{text}".count(f"\n{self.before}")
        if count != 1:
            raise ValueError(f"{self.name}: its place is {count} times in {self.path}")
        return f"\n{text}".replace(f"\n{self.before}", f"\n{self.after}")[1:]


def read_sabotage(path: Path) -> Sabotage:
    """Returns the mistake of a patch. Raises ValueError unless it is a head, and one hunk of one file that changes one line."""
    head, _, diff = path.read_text(encoding="utf-8").partition("\n\n")
    lines = diff.splitlines(keepends=True)
    file = re.fullmatch(r"--- (src/p2pshare/\S+\.py)\n", lines[0])
    hunk = [line for line in lines[3:] if line[0] in " +-"]
    removed, added = ([line for line in hunk if line[0] == sign] for sign in "-+")
    if not head.startswith("Breaks: ") or file is None or lines[1] != f"+++ {file[1]}\n":
        raise ValueError(f"{path.name}: 'Breaks: ...', an empty line, and the diff of one file were expected")
    if (
        not lines[2].startswith("@@ ")
        or len(hunk) != len(lines) - 3
        or (len(removed), len(added)) not in {(1, 1), (1, 0)}
    ):
        raise ValueError(f"{path.name}: one hunk that changes one line was expected")
    before, after = ("".join(line[1:] for line in hunk if line[0] != sign) for sign in "+-")
    return Sabotage(path.stem, head.removeprefix("Breaks: "), file[1], before, after)


def all_sabotage() -> list[Sabotage]:
    return [read_sabotage(path) for path in sorted(PATCHES.glob("*.patch"))]


@dataclass(frozen=True)
class Caught:
    """What became of a mistake; `by`: the test that caught it, or what it outlived."""

    name: str
    outcome: str
    by: str
    seconds: float

    def line(self) -> str:
        return f"{self.name}\t{self.outcome}\t{self.by}\t{self.seconds:.0f} s"


class Copy:
    """A copy of the tree, in which mistakes are made and taken back one after another."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        for name in COPIED:
            if (TOP / name).is_dir():
                shutil.copytree(
                    TOP / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"), symlinks=True
                )
        for path in TOP.iterdir():
            if path.is_file():
                shutil.copy2(path, folder)

    def judge(self, one: Sabotage, seconds: float, stages: Sequence[Sequence[str]] | None = None) -> Caught:
        """Make the mistake, and run `stages` of tests, those of its room without any, for at most so many CPU seconds."""
        spent, outlived = 0.0, []
        for stage in stages_of(one) if stages is None else stages:
            with self._made(one):
                found, took = self._failing(stage, seconds - spent)
            spent += took
            if found is None:
                outlived.append(" ".join(word for word in stage if word.startswith("tests/")))
            elif not found:
                outlived.append(f"time was over in {stage[0]}")
                break
            elif self._failing([found], CONTROL_SECONDS)[0] is not None:
                return Caught(one.name, BROKEN, f"{found} fails without it, too", spent)
            else:
                return Caught(one.name, CAUGHT, found, spent)
        return Caught(one.name, SURVIVED, ", ".join(outlived), spent)

    def stop(self) -> None:
        """End the tests that run: whoever judges is told so by a RuntimeError."""
        if self._process is not None:
            _kill(self._process)

    @contextlib.contextmanager
    def _made(self, one: Sabotage) -> Iterator[None]:
        path = self._folder / one.path
        text = path.read_text(encoding="utf-8")
        try:
            self._write(path, one.made_in(text))
            yield
        finally:
            self._write(path, text)

    def _write(self, path: Path, text: str) -> None:
        """Write a source file; what was compiled of it goes, for two texts of one size and second look alike to the interpreter."""
        for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
            compiled.unlink()
        path.write_text(text, encoding="utf-8")

    def _failing(self, tests: Sequence[str], seconds: float) -> tuple[str | None, float]:
        """Returns the first of the tests that fails, None when none does, "" when the CPU seconds were spent; and how many were."""
        variables = {
            "PYTHONPATH": str(self._folder / "src"),
            "HYPOTHESIS_STORAGE_DIRECTORY": str(self._folder / ".hypothesis"),
            "P2PSHARE_SHARED_DATA": os.environ.get(
                "P2PSHARE_SHARED_DATA", str(TOP.parent / "shared" / "data")
            ),
        }
        outside = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")}
        with tempfile.TemporaryFile("w+") as told:
            process = self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "pytest",
                    "-q",
                    "-x",
                    "--tb=no",
                    "-rfE",
                    "-p",
                    "no:cacheprovider",
                    *tests,
                ],
                cwd=self._folder,
                env=outside | variables,
                stdout=told,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            spent, until = 0.0, time.monotonic() + WAIT_TIMES * CONTROL_SECONDS
            try:
                while process.poll() is None:
                    if spent > seconds or time.monotonic() > until:
                        return "", spent
                    spent = max(spent, _cpu_seconds(process.pid))
                    time.sleep(LOOKED_SECONDS)
            finally:
                _kill(process)
                process.wait()
            told.seek(0)
            text = told.read()
        if process.returncode == 0:
            return None, spent
        failed = re.search(r"^(?:FAILED|ERROR) (tests/\S.*?)(?: - .*)?$", text, re.MULTILINE)
        if failed is None:
            raise RuntimeError(f"no test ran: {text[-2000:]}")
        return failed[1], spent


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process with the daemons that it may have started, and left."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _cpu_seconds(pid: int) -> float:
    """Returns what a process that runs has spent, with its children that have ended (proc(5)); 0 where that cannot be told."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def stages_of(one: Sabotage) -> list[list[str]]:
    """Returns what is run for a mistake, one after another: the files that name its module, the rest of its room, the neighbour, the
    simulator's slice, and what is slow."""
    own, *neighbours = ROOMS[one.room]
    near = [name for folder in ROOMS[one.room] for name in _naming(one, folder) if name not in SLOW]
    without = [f"--ignore={name}" for name in (*near, *SLOW)]
    slow = [name for name in SLOW if name.startswith(f"{own}/")]
    stages = [near, [own, *without], *([folder, *without] for folder in neighbours), list(SLICE), slow]
    return [stage for stage in stages if stage]


def _naming(one: Sabotage, folder: str) -> list[str]:
    """Returns the files of tests in a folder that import the module, or something of it."""
    module = Path(one.path).stem
    named = re.compile(rf"p2pshare\.{one.room}(?:\.{module}\b| import [^\n]*\b{module}\b)")
    files = sorted((TOP / folder).glob("test_*.py"))
    return [f"{folder}/{path.name}" for path in files if named.search(path.read_text(encoding="utf-8"))]


def known_results(path: Path) -> dict[str, str]:
    """Returns name -> line of what was run before."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return {line.partition("\t")[0]: line for line in lines}


def table_row(name: str, line: str) -> str:
    """Returns the row of docs/sabotage.md for a line of results: the file of the test, and the test without its parameters."""
    _, outcome, by, *_ = line.split("\t")
    file, _, test = by.partition("[")[0].partition("::")
    return (
        f"| `{name}` | `{file}` | {test.removeprefix('test_').replace('_', ' ')} |"
        if outcome == CAUGHT
        else f"| `{name}` | | **{outcome}**: {by} |"
    )


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/run-sabotage", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="files of scripts/sabotage, without .patch")
    parser.add_argument("--list", action="store_true", help="print the mistakes, and what each breaks")
    parser.add_argument(
        "--seconds", type=float, default=PATCH_SECONDS, metavar="N", help="of CPU for each (180)"
    )
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="copies of the tree at work (1)")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FILE", help="build/sabotage.txt")
    parser.add_argument("--again", action="store_true", help="run also what FILE has")
    parser.add_argument("--table", action="store_true", help="print FILE as the rows of docs/sabotage.md")
    options = parser.parse_args(arguments)
    every = {one.name: one for one in all_sabotage()}
    if unknown := set(options.names) - every.keys():
        print(f"run-sabotage: no mistake is called {', '.join(sorted(unknown))}; see --list", file=sys.stderr)
        return 2
    chosen = [every[name] for name in options.names or every]
    if options.list:
        for one in chosen:
            print(f"{one.name:48} {one.breaks}")
        return 0
    known = known_results(options.results)
    if options.table:
        for one in chosen:
            print(table_row(one.name, known.get(one.name, "\t\tnot run")))
        return 0
    wanted = [one for one in chosen if options.again or one.name not in known]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    options.results.parent.mkdir(parents=True, exist_ok=True)
    run(wanted, options.seconds, options.workers, options.results)
    lines = [
        line for name, line in known_results(options.results).items() if name in {one.name for one in chosen}
    ]
    counts = {
        outcome: sum(line.split("\t")[1] == outcome for line in lines)
        for outcome in (CAUGHT, SURVIVED, BROKEN)
    }
    print(f"{len(lines)} mistakes: " + ", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
    return 0 if counts[CAUGHT] == len(chosen) else 1


def run(wanted: Sequence[Sabotage], seconds: float, workers: int, results: Path) -> None:
    """Judge each, print and append its line as soon as it is known."""
    with (
        tempfile.TemporaryDirectory(prefix="p2pshare-sabotage-") as folder,
        ThreadPoolExecutor(workers) as pool,
    ):
        made = [Copy(_new(Path(folder) / str(number))) for number in range(min(workers, len(wanted)))]
        free: queue.SimpleQueue[Copy] = queue.SimpleQueue()
        for copy in made:
            free.put(copy)

        def judge(one: Sabotage) -> Caught:
            copy = free.get()
            try:
                return copy.judge(one, seconds)
            finally:
                free.put(copy)

        try:
            for caught in pool.map(judge, wanted):
                print(caught.line(), flush=True)
                with results.open("a", encoding="utf-8") as file:
                    file.write(f"{caught.line()}\n")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for copy in made:
                copy.stop()
            raise


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
