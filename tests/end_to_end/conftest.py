"""Partners as real processes on loopback: every test here speaks to them as a person or an attacker would."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from command_line import Said, run_here
from free_port import free_port

from p2pshare.envelope.card import believe_chain, fingerprint
from p2pshare.log.envelope_log import CLOCK_NOTED_AT

PATIENCE_SECONDS = 20  # how long anything may take before a test gives up
WRONG_CLOCK = """
import time
true_time = time.time
time.time = lambda: true_time() + {}
"""
# The program shuts its memory and descriptors away from other processes of its user. A test that looks at them starts it
# with a thread that opens them again: PR_SET_DUMPABLE is 4.
IN_SIGHT = """
import ctypes, threading, time
def open_again():
    one, none = ctypes.c_ulong(1), ctypes.c_ulong(0)
    while True:
        ctypes.CDLL(None).prctl(4, one, none, none, none)
        time.sleep(0.05)
threading.Thread(target=open_again, daemon=True).start()
"""
MAIN = """
from p2pshare.__main__ import main
main()
"""


def faked(offset: str) -> dict[str, str]:
    """The environment in which every clock of a process but the monotonic one is off by so much; or, where `offset` is the path of a
    file, by what stands in it at any moment."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        pytest.skip("skipped: faketime not installed")
    told = (
        {
            "FAKETIME_TIMESTAMP_FILE": offset,
            "FAKETIME_CACHE_DURATION": "1",
        }  # not a read for each look at the clock
        if Path(offset).is_absolute()
        else {"FAKETIME": offset}
    )
    # Without the second, libfaketime turns Python's waits for its lock into a spin, which costs ten times what the work does.
    monotonic = {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_FORCE_MONOTONIC_FIX": "0"}
    return {"LD_PRELOAD": str(found[0])} | monotonic | told


def wait_until(happened: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS) -> Any:
    """The first true value of `happened`, asked again and again: the dearer the question (a whole `doctor`), the seldomer, so that
    the daemons it waits for have the cores."""
    deadline = time.monotonic() + seconds
    while (asked := time.monotonic()) < deadline:
        if value := happened():
            return value
        time.sleep(max(0.05, min(1.0, 3 * (time.monotonic() - asked))))
    raise AssertionError(f"{what}: not within {seconds} s")


class Partner:
    """One partner: a home folder, the command line on it, and a daemon that may run."""

    def __init__(self, folder: Path, name: str, *, url_port: int = 0, is_dialable: bool = True) -> None:
        """`url_port`: where partners dial it, when that is not where it listens."""
        self.name = name
        self.home = folder / name
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.preface = ""
        """Python that the daemon's process runs before the program."""
        self._manager: socket.socket | None = None
        self._told: list[str] = []
        address = [
            "--url",
            f"https://127.0.0.1:{url_port or self.port}",
            "--listen",
            f"127.0.0.1:{self.port}",
        ]
        described = self.cli_json(
            "init", "--name", name.upper(), *(address if is_dialable else ["--dial-only"]), "--json"
        )
        self.partner_id, self.fingerprint = described["partner_id"], described["fingerprint"]
        self.configure("reconcile_seconds", "1")

    # --- the command line ---

    def command(self, *arguments: str, preface: str = "") -> list[str]:
        """A command line that runs the program, and `preface` before it."""
        program = ["-c", preface + MAIN] if preface else ["-m", "p2pshare"]
        return [sys.executable, *program, "--home", str(self.home), *arguments]

    def cli(self, *arguments: str, stdin: bytes = b"", code: int = 0, codes: tuple[int, ...] = ()) -> Said:
        """Runs one command in this process (a new one costs a second on a busy machine); checks its exit code.

        Tests of processes, signals and terminals use `command` instead.
        """
        said = run_here(["--home", str(self.home), *arguments], stdin)
        assert said.code in (codes or (code,)), f"{self.name}: p2pshare {' '.join(arguments)} -> {said}"
        return said

    def cli_json(self, *arguments: str, stdin: bytes = b"", code: int = 0) -> Any:
        return json.loads(self.cli(*arguments, stdin=stdin, code=code).out)

    def publish(self, text: str, *arguments: str, code: int = 0) -> Any:
        """Publishes a list of values, GREEN unless `--tlp` says otherwise."""
        marking = () if "--tlp" in arguments else ("--tlp", "green")
        return self.cli_json(
            "publish",
            "-",
            "--format",
            "list",
            *marking,
            *arguments,
            "--yes",
            "--json",
            stdin=text.encode(),
            code=code,
        )

    def status(self) -> Any:
        return self.cli_json("status", "--json")

    def configure(self, key: str, value: str) -> None:
        """Sets one line of the config file, as an editor would."""
        path = self.home / "config.toml"
        text, changed = re.subn(rf"(?m)^{key} = .*$", f"{key} = {value}", path.read_text())
        assert changed == 1
        path.write_text(text)

    def trust(self, other: Partner, *arguments: str) -> None:
        self.trust_home(other.home, other.name, *arguments)

    def trust_home(self, home: Path, name: str, *arguments: str) -> None:
        """Adds the partner whose home folder is `home`, its fingerprint read from there and not from the card file."""
        card = home / "card.p2pcard"
        told = fingerprint(believe_chain(card.read_bytes()).partner_id)
        self.cli("partner", "add", str(card), "--fingerprint", told, "--alias", name, *arguments)

    # --- the store, read as a SIEM reads it ---

    def values(self) -> set[str]:
        """All canonical values that this partner's SIEM view shows."""
        return {row[0] for row in self.query("SELECT value FROM v1_indicators")}

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(
            sqlite3.connect(f"file:{self.home / 'store.sqlite'}?mode=ro", uri=True, timeout=5)
        ) as reader:
            return reader.execute(sql).fetchall()

    def wait_for(self, *values: str, seconds: float = PATIENCE_SECONDS) -> None:
        wait_until(
            lambda: set(values) <= self.values(), f"{self.name} holds {', '.join(values)[:80]}", seconds
        )

    # --- the daemon ---

    def stay_in_sight(self) -> None:
        """From its next start on, the daemon's memory and descriptors may be looked at."""
        self.preface += IN_SIGHT

    def start(self, *, clock_ahead_seconds: int = 0, watchdog_seconds: int = 0, faketime: str = "") -> None:
        """Starts the daemon and waits until it says READY=1, as systemd would; its clock may be wrong, and a watchdog may wait
        for its pings. With `faketime` ("+30d", or a file where that stands) the whole process has that clock, TLS too; the test is
        skipped where it is missing."""
        preface = self.preface
        if clock_ahead_seconds:
            preface += WRONG_CLOCK.format(clock_ahead_seconds)
        command = self.command("run", preface=preface)
        path = self.home.parent / f"{self.name}-notify"
        path.unlink(missing_ok=True)
        self._close_manager()
        self._manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._manager.bind(str(path))
        self._manager.setblocking(False)
        self._told = []
        clock = faked(faketime) if faketime else {}
        days = re.fullmatch(r"\+(\d+)d", faketime)
        self._note_clock(clock_ahead_seconds or (int(days[1]) * 86_400 if days else 0))
        watched = {"WATCHDOG_USEC": str(watchdog_seconds * 1_000_000)} if watchdog_seconds else {}
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | {"NOTIFY_SOCKET": str(path)} | watched | clock,
            )
        wait_until(
            lambda: "READY=1" in self.told_manager() or self.process.poll() is not None, f"{self.name} starts"
        )
        assert self.process.poll() is None, self.log()

    def _note_clock(self, ahead_seconds: int) -> None:
        """Has the store say that the node ran until the time at which it is to start: one that was off for long doubts its clock
        for an hour, and what a test asks about is what time does to a node that runs."""
        store = self.home / "store.sqlite"
        if ahead_seconds > 0 and store.exists():
            with closing(sqlite3.connect(store)) as connection, connection:
                connection.execute(
                    "INSERT OR REPLACE INTO setting (name, value) VALUES (?, ?)",
                    (CLOCK_NOTED_AT.name, int(time.time()) + ahead_seconds),
                )

    def told_manager(self) -> list[str]:
        """Each line that the daemon told its service manager since it was started."""
        assert self._manager is not None
        with suppress(BlockingIOError):
            while True:
                self._told += self._manager.recv(4096).decode().split("\n")
        return self._told

    def _close_manager(self) -> None:
        if self._manager is not None:
            self._manager.close()

    def run_refused(self, code: int) -> str:
        """Runs a daemon that must not start; what it said."""
        done = subprocess.run(self.command("run"), capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done.stderr

    @property
    def log_path(self) -> Path:
        return self.home.parent / f"{self.name}.log"

    def log(self) -> str:
        return self.log_path.read_text()

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> int:
        """SIGTERM; the daemon's exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """SIGKILL: no chance to say goodbye."""
        self.signal(signal.SIGKILL)
        self.wait()

    def wait(self) -> int:
        """The daemon's exit code, once it has ended."""
        assert self.process is not None
        code = self.process.wait(PATIENCE_SECONDS)
        self.process = None
        return code

    def end(self) -> None:
        """After a test: whatever still runs is ended, hard if need be."""
        if self.process is not None:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self.kill()
        self._close_manager()


def link(left: Partner, right: Partner) -> None:
    left.trust(right)
    right.trust(left)


class Company:
    """Makes partners in one folder and ends them all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.partners: list[Partner] = []

    def found(self, name: str, *, url_port: int = 0, is_dialable: bool = True) -> Partner:
        self.partners.append(Partner(self.folder, name, url_port=url_port, is_dialable=is_dialable))
        return self.partners[-1]

    def linked(self, left: str, right: str) -> tuple[Partner, Partner]:
        """Two partners that trust one another; neither runs."""
        made = self.found(left), self.found(right)
        link(*made)
        return made

    def pair(self) -> tuple[Partner, Partner]:
        """alpha and bravo, linked and running."""
        alpha, bravo = self.linked("alpha", "bravo")
        alpha.start()
        bravo.start()
        return alpha, bravo

    def chain(self) -> tuple[Partner, Partner, Partner]:
        """alpha - bravo - charlie; alpha and charlie trust one another without a link."""
        alpha, bravo, charlie = (self.found(name) for name in ("alpha", "bravo", "charlie"))
        link(alpha, bravo)
        link(bravo, charlie)
        alpha.trust(charlie, "--no-link")
        charlie.trust(alpha, "--no-link")
        for partner in (alpha, bravo, charlie):
            partner.start()
        return alpha, bravo, charlie


@contextmanager
def ended(company: Company) -> Iterator[Company]:
    """However the tests end, no daemon outlives them."""
    try:
        yield company
    finally:
        for partner in company.partners:
            partner.end()


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    """An empty company for one test that breaks things."""
    with ended(Company(tmp_path)) as made:
        yield made


@pytest.fixture(scope="module")
def shared_company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """One company for all tests of a module."""
    with ended(Company(tmp_path_factory.mktemp("company"))) as made:
        yield made


@pytest.fixture(scope="module")
def chain(shared_company: Company) -> tuple[Partner, Partner, Partner]:
    """One running chain for all tests of a module; each publishes values of its own."""
    return shared_company.chain()


@pytest.fixture(scope="session")
def eventually() -> Callable[..., Any]:
    """`wait_until`, for tests."""
    return wait_until
