"""How a command finds who does the work: the daemon that answers, and nobody who only looks like it."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from p2pshare.cli import session
from p2pshare.cli.session import DaemonSession, connect, is_running
from p2pshare.daemon import home_lock
from p2pshare.daemon.control import ControlServer, Permitted, Report
from p2pshare.daemon.control_protocol import Message, encode_frame, socket_path
from p2pshare.daemon.home_lock import hold_home
from p2pshare.errors import ConfigError, DaemonUnreachable, NotFoundError, OperatorError, ShareError


async def answering(operation: str, arguments: Message, report: Report) -> Message:
    if operation == "missing":
        raise NotFoundError("nobody is called that", hint="see the list")
    report({"what": "sealed", "done": 1, "of": 2})
    await asyncio.sleep(0.02)
    return {"operation": operation, "arguments": arguments}


@contextmanager
def daemon(home: Path) -> Iterator[None]:
    """A real control server in a thread of its own, as blocking clients need it."""
    loop = asyncio.new_event_loop()
    server = ControlServer(socket_path(home), Permitted(os.getuid()), answering)
    loop.run_until_complete(server.start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def impostor(home: Path, speak: Callable[[socket.socket], object]) -> Iterator[None]:
    """Something else that accepts at the control socket."""
    path = socket_path(home)
    path.parent.mkdir(exist_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                speak(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join()


def test_a_running_daemon_does_the_work_and_tells_its_progress(tmp_path: Path) -> None:
    told: list[Mapping[str, Any]] = []
    with daemon(tmp_path), connect(tmp_path) as found:
        assert found.is_daemon
        assert found.run("status", {"raw": b"\x00"}, told.append) == {
            "operation": "status",
            "arguments": {"raw": b"\x00"},
        }
    assert told == [{"what": "sealed", "done": 1, "of": 2}]


def test_the_daemons_error_is_raised_here_with_its_exit_code(tmp_path: Path) -> None:
    with daemon(tmp_path), connect(tmp_path) as found, pytest.raises(ShareError) as error:
        found.run("missing", {}, lambda _: None)
    assert (error.value.exit_code, error.value.hint) == (3, "see the list")


def test_no_socket_and_a_stale_socket_mean_that_nothing_runs(tmp_path: Path) -> None:
    assert not is_running(tmp_path)
    path = socket_path(tmp_path)
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert path.is_socket()
    assert not is_running(tmp_path)
    path.unlink()
    path.write_text("not even a socket")
    assert not is_running(tmp_path)


def test_a_locked_home_where_nothing_answers_is_reported_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(home_lock, "HOME_WAIT_SECONDS", 0.2)
    (tmp_path / "config.toml").touch()
    with hold_home(tmp_path), pytest.raises(DaemonUnreachable) as error, connect(tmp_path):
        pass
    assert "no daemon answers" in error.value.message
    assert error.value.exit_code == 4


def test_a_daemon_that_is_just_starting_is_waited_for_and_asked(tmp_path: Path) -> None:
    """It has the home's lock first, and answers on its socket a moment later."""
    (tmp_path / "config.toml").touch()
    with hold_home(tmp_path), ExitStack() as later:
        start = threading.Timer(0.2, lambda: later.enter_context(daemon(tmp_path)))
        start.start()
        with connect(tmp_path) as found:
            assert found.is_daemon
        start.join()


def test_a_home_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises((ConfigError, OperatorError)) as error, connect(tmp_path / "nowhere"):
        pass
    assert "nowhere" in error.value.message
    assert not (tmp_path / "nowhere").exists()


def test_a_daemon_that_hangs_before_greeting_is_not_reachable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "CONTROL_SILENCE_SECONDS_MAX", 0.2)
    with impostor(tmp_path, lambda connection: connection.recv(1)):
        assert not is_running(tmp_path)


@pytest.mark.parametrize(
    "spoken",
    [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00\x00\x00\x01\xc1", encode_frame({"hello": 1})],
    ids=["http", "not-msgpack", "no-greeting"],
)
def test_something_else_at_the_socket_is_an_error_and_no_daemon(tmp_path: Path, spoken: bytes) -> None:
    with (
        impostor(tmp_path, lambda connection: connection.sendall(spoken)),
        pytest.raises(OperatorError) as error,
    ):
        is_running(tmp_path)
    assert error.value.reason.startswith("control-")


def test_a_daemon_killed_in_the_middle_is_told_as_unknown_outcome(tmp_path: Path) -> None:
    def greet_and_die(connection: socket.socket) -> None:
        connection.sendall(encode_frame({"greeting": {"protocol": 1}}))
        connection.recv(65_536)

    with impostor(tmp_path, greet_and_die), pytest.raises(DaemonUnreachable) as error:
        DaemonSession(tmp_path).run("publish", {}, lambda _: None)
    assert "stopped answering during 'publish'" in error.value.message
