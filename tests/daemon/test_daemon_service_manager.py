"""What passes between systemd and the daemon: read from a real datagram socket, handed to a real process."""

from __future__ import annotations

import io
import logging
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from p2pshare.daemon.journal import JournalFormatter
from p2pshare.daemon.service_manager import (
    handed_sockets,
    notify,
    notify_reloading,
    watchdog_seconds,
    writes_to_journal,
)


@pytest.fixture(params=["file", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> socket.socket:
    name = str(tmp_path / "notify") if request.param == "file" else f"@p2pshare-test-{os.getpid()}"
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    request.addfinalizer(receiver.close)
    receiver.bind(name.replace("@", "\0", 1) if name.startswith("@") else name)
    receiver.settimeout(5)
    monkeypatch.setenv("NOTIFY_SOCKET", name)
    return receiver


def test_ready_arrives_as_written(manager: socket.socket) -> None:
    notify("READY=1\nSTATUS=listening")
    assert manager.recv(1000) == b"READY=1\nSTATUS=listening"


def test_reloading_carries_the_monotonic_clock(manager: socket.socket) -> None:
    notify_reloading()
    first, second = manager.recv(1000).decode().split("\n")
    assert first == "RELOADING=1"
    assert int(second.removeprefix("MONOTONIC_USEC=")) > 0


def test_a_manager_that_is_gone_does_not_end_the_daemon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    notify("READY=1")


@pytest.mark.parametrize(
    ("period", "watched", "expected"),
    [
        ("", "", None),
        ("10000000", "", 5.0),
        ("10000000", "own", 5.0),
        ("10000000", "1", None),
        ("x", "", None),
    ],
)
def test_the_watchdog_is_pinged_twice_a_period_by_the_watched_process_only(
    monkeypatch: pytest.MonkeyPatch, period: str, watched: str, expected: float | None
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", period)
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()) if watched == "own" else watched)
    assert watchdog_seconds() == expected


def handed(descriptors: list[int]) -> subprocess.CompletedProcess[str]:
    """Start a process that takes what a socket unit hands over, as systemd starts one: from descriptor 3 on."""
    program = (
        "import os, sys\n"
        "given = [int(one) for one in sys.argv[1:]]\n"
        "for place, one in enumerate(given): os.dup2(one, 100 + place)\n"
        "for place, _ in enumerate(given): os.dup2(100 + place, 3 + place)\n"
        "os.environ |= {'LISTEN_PID': str(os.getpid()), 'LISTEN_FDS': str(len(given))}\n"
        "from p2pshare.daemon.service_manager import handed_sockets\n"
        "found = handed_sockets()\n"
        "print([one.getsockname()[:2] for one in found], [one.get_inheritable() for one in found], handed_sockets(),\n"
        "      [name for name in os.environ if name.startswith('LISTEN_')])\n"
    )
    command = [sys.executable, "-c", program, *map(str, descriptors)]
    return subprocess.run(command, pass_fds=descriptors, capture_output=True, text=True, check=False)


def test_a_handed_socket_is_taken_once_and_no_child_inherits_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        name = listening.getsockname()
        done = handed([listening.fileno()])
    assert done.stdout.strip() == f"[{name!r}] [False] [] []", done.stderr


@pytest.mark.parametrize("what", ["datagram", "not listening", "pipe"])
def test_what_is_handed_and_is_no_listening_tcp_socket_is_refused(what: str) -> None:
    kind = socket.SOCK_DGRAM if what == "datagram" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as one:
        done = handed([0 if what == "pipe" else one.fileno()])
    assert (
        done.returncode == 1 and "OperatorError: the service manager handed over descriptor 3" in done.stderr
    )


def test_nothing_is_taken_that_was_handed_to_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_PID", "1")
    monkeypatch.setenv("LISTEN_FDS", "1")
    assert handed_sockets() == []


def test_only_the_journal_itself_gets_priorities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service whose stderr leads elsewhere inherits the variable all the same (systemd.exec(5))."""
    with (tmp_path / "journal").open("w") as journal, (tmp_path / "other").open("w") as other:
        found = os.fstat(journal.fileno())
        assert not writes_to_journal(journal)
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        assert writes_to_journal(journal) and not writes_to_journal(other)
        assert not writes_to_journal(io.StringIO())


def test_each_line_of_an_entry_has_its_priority() -> None:
    record = logging.LogRecord("p2pshare.daemon", logging.ERROR, "", 0, "first\nsecond", (), None)
    assert JournalFormatter().format(record) == "<3>p2pshare.daemon: first\n<3>second"
