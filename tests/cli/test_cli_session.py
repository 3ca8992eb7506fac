"""How a command finds who does the work: the daemon that answers, and nobody who only looks like it."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from p2pshare.cli import session
from p2pshare.cli.session import DaemonSession, connect, is_running
from p2pshare.daemon import home_lock
from p2pshare.daemon.control import ControlServer, PeerCredentials, Permitted, Progress
from p2pshare.daemon.control_protocol import Message, encode_frame, socket_path
from p2pshare.daemon.home_lock import hold_home
from p2pshare.errors import (
    AuthorError,
    ConfigError,
    DaemonUnreachable,
    NotFoundError,
    OperatorError,
    ShareError,
)
from p2pshare.operations.assessing import Opine
from p2pshare.operations.interface import Request
from p2pshare.operations.partners import RemovePartner
from p2pshare.operations.searching import RawObject, ShowRaw
from p2pshare.operations.status import ShowStatus
from p2pshare.operations.warninglists import EvaluateAgain
from p2pshare.operations.withdrawing import ShowRecall


async def answering(request: Message, report: Progress, asker: PeerCredentials) -> Message:
    """Answers as `show-raw` does, with what was asked."""
    if request["operation"] == "partner-remove":
        raise NotFoundError("nobody is called that", hint="see the list")
    if request["operation"] == "status":
        return {"partner_id": 7}
    report("sealed", 1, 2)
    await asyncio.sleep(0.02)
    return {"raw": repr(request).encode()}


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
    told: list[tuple[str, int, int]] = []
    with daemon(tmp_path), connect(tmp_path) as found:
        assert found.is_daemon
        answer = found.run(ShowRaw("x", 2), lambda *progress: told.append(progress))
    assert answer == RawObject(repr({"operation": "show-raw", "id": "x", "number": 2}).encode())
    assert told == [("sealed", 1, 2)]


def test_the_daemons_error_is_raised_here_with_its_exit_code(tmp_path: Path) -> None:
    with daemon(tmp_path), connect(tmp_path) as found, pytest.raises(ShareError) as error:
        found.run(RemovePartner("x"))
    assert (error.value.exit_code, error.value.hint) == (3, "see the list")


def test_an_answer_of_another_version_is_refused_and_not_shown(tmp_path: Path) -> None:
    with daemon(tmp_path), connect(tmp_path) as found, pytest.raises(OperatorError) as error:
        found.run(ShowStatus())
    assert error.value.reason == "control-malformed"
    assert error.value.message == "answer to status: partner_id: expected text, got a number"


@pytest.mark.parametrize(
    ("request_", "reason"),
    [(Opine("x", "agree", "w" * 5_000), "bad-argument"), (ShowRecall("x\udcff"), "not-utf8")],
    ids=["bound", "surrogate"],
)
def test_what_the_daemon_would_refuse_is_not_even_sent(
    tmp_path: Path, request_: Request[Any], reason: str
) -> None:
    with pytest.raises(AuthorError) as error:
        DaemonSession(tmp_path).run(request_)  # there is no socket: sending would say so
    assert error.value.reason == reason


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
        DaemonSession(tmp_path).run(EvaluateAgain())
    assert "stopped answering during 'warninglist-evaluate'" in error.value.message
