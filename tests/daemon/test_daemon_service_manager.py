"""What systemd is told, read from a real datagram socket."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from p2pshare.daemon.service_manager import notify, notify_reloading, watchdog_seconds


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
