"""Sessions: a command's operations run in the daemon that holds the home folder, or in this process.

The same requests (`operations/table.py`) run in both places, so a command does not care. `connect` decides: a daemon that
answers on the control socket is asked; otherwise this process takes the home's lock, opens the node and works itself. A
stale socket file answers nothing and fools nobody; a home that is locked while nothing answers is waited for, then
reported.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from p2pshare.cli import console
from p2pshare.daemon.control_protocol import (
    Message,
    raise_error,
    receive_message,
    send_message,
    short_name,
    socket_path,
)
from p2pshare.daemon.home_lock import HomeBusy, wait_for_home
from p2pshare.errors import AuthorError, DaemonUnreachable, DiskFull, OperatorError, RefusedError, StoreError
from p2pshare.limits import CONTROL_SILENCE_SECONDS_MAX

if TYPE_CHECKING:
    from p2pshare.node.node import Node, Progress
    from p2pshare.node.store import StoreReading
    from p2pshare.operations.interface import A, Query, Request


class Session(Protocol):
    """A place that answers requests. Raises ShareError."""

    is_daemon: bool

    def run(self, request: Request[A], progress: Progress = ...) -> A: ...


class DaemonSession:
    """A session with the running daemon of `home`."""

    is_daemon = True

    def __init__(self, home: Path, exercise: str = "") -> None:
        self._home = home
        self._exercise = exercise

    def run(self, request: Request[A], progress: Progress = console.no_progress) -> A:
        from p2pshare.operations.crossing import checked, fields_of, read_answer, read_progress

        fields = fields_of(checked(request))
        if self._exercise:
            fields["exercise"] = self._exercise
        _require_text(fields)
        with _greeted(self._home) as connection:
            try:
                send_message(connection, fields)
                while "result" not in (message := receive_message(connection)):
                    if "error" in message:
                        raise_error(message["error"])
                    if message.get("progress"):
                        progressed = read_progress(message["progress"])
                        progress(progressed.what, progressed.done, progressed.of)
                return read_answer(request, message["result"])
            except (OSError, EOFError) as error:
                raise DaemonUnreachable(
                    f"the daemon stopped answering during '{fields['operation']}' ({type(error).__name__})",
                    hint="see its log; `p2pshare status` shows whether the operation was done",
                ) from None


class LocalSession:
    """A session in this process, which holds the home's lock."""

    is_daemon = False

    def __init__(self, node: Node, exercise: str = "") -> None:
        self._node = node
        self._exercise = exercise

    def run(self, request: Request[A], progress: Progress = console.no_progress) -> A:
        from p2pshare.operations.crossing import checked, fields_of
        from p2pshare.operations.interface import Query
        from p2pshare.operations.table import node_for

        if self._exercise and not isinstance(request, Query):  # it asks members first what they hold
            raise DaemonUnreachable(
                "exercises are written by the daemon", hint="start it with `p2pshare run`"
            )
        _require_text(fields_of(request) | {"exercise": self._exercise})
        node = node_for(self._node, checked(request), self._exercise)
        return request.run(node, int(time.time()), progress)


@contextmanager
def connect(home: Path, exercise: str | None = None) -> Iterator[Session]:
    """Yields a session on `home`: the daemon's when one runs, else our own under the home's lock. `exercise`: the beginning of the id of the
    exercise that all its requests are for, "" for what is real, None for what `--exercise` says.

    Raises DaemonUnreachable when the home stays locked and nothing answers, ConfigError without a home.
    """
    with ExitStack() as held:
        yield _session(home, held, _exercise(exercise))


def _exercise(named: str | None) -> str:
    return console.chosen_exercise() if named is None else named


def _session(home: Path, held: ExitStack, exercise: str) -> Session:
    """Returns the daemon's session, or our own; a daemon may just be starting, and another command ends soon."""
    if is_running(home):
        return DaemonSession(home, exercise)
    try:
        return LocalSession(held.enter_context(_own_node(home)), exercise)
    except HomeBusy as error:
        if is_running(home):
            return DaemonSession(home, exercise)
        raise DaemonUnreachable(
            f"{error.message}, but no daemon answers at {socket_path(home)}",
            hint="wait for the other command, or look at the daemon's log",
        ) from None


def _require_text(fields: Mapping[str, Any]) -> None:
    """Require that all text is UTF-8: neither the control socket nor the store could hold a stray byte of the command
    line. Raises AuthorError `not-utf8`."""
    for value in fields.values():
        for text in value if isinstance(value, list | tuple) else (value,):
            try:
                if isinstance(text, str):
                    text.encode()
            except UnicodeEncodeError:
                raise AuthorError(
                    "what was typed holds bytes that are not UTF-8",
                    hint="write it in UTF-8",
                    reason="not-utf8",
                ) from None


def report_when_it_leaves(session: Session, envelopes: Sequence[str]) -> None:
    """Say when it leaves, after something was sealed and no daemon took it along at once."""
    if envelopes and not session.is_daemon:
        console.say("no daemon is running: it leaves when `p2pshare run` starts")


@contextmanager
def open_store_for_reading(home: Path) -> Iterator[StoreReading]:
    """Yields the store of `home`, read-only: beside a running daemon or without one, and without any key.

    Raises RefusedError `not-in-exercise` where a command is for an exercise: nothing of one is in the store.
    """
    if console.chosen_exercise():
        raise not_in_exercise()
    from p2pshare.node.home import STORE_NAME, require_home
    from p2pshare.node.store import reading_store

    with reading_store(require_home(home) / STORE_NAME) as store:
        yield store


def not_in_exercise() -> RefusedError:
    return RefusedError(
        "that is of what is real alone, and nothing of an exercise is in it",
        hint="leave out --exercise",
        reason="not-in-exercise",
    )


def ask(
    home: Path, request: Request[A], progress: Progress = console.no_progress, *, exercise: str | None = None
) -> A:
    """Returns the answer of the daemon when one runs, else our own. Raises what `connect` and the operation raise."""
    with connect(home, exercise) as session:
        return session.run(request, progress)


def ask_running(home: Path, request: Request[A], progress: Progress = console.no_progress) -> A:
    """Returns the answer of the running daemon: for what only a node that listens and dials can do. Raises DaemonUnreachable
    where none runs, and what the operation raises."""
    from p2pshare.node.home import require_home

    if console.chosen_exercise():
        raise not_in_exercise()
    if not is_running(require_home(home)):
        raise DaemonUnreachable(
            "no daemon runs here, and only a running one meets a partner",
            hint="start it with `p2pshare run`, and leave it running",
        )
    return DaemonSession(home).run(request, progress)


def read_or_ask(
    home: Path, query: Query[A], progress: Progress = console.no_progress, *, exercise: str | None = None
) -> A:
    """Returns the answer from the store itself, without lock or key; the daemon's for members of its group, who may not
    open the store's file. Of an `exercise` whoever holds its file is asked. Raises StoreError when neither can be asked."""
    if _exercise(exercise):
        return ask(home, query, progress, exercise=exercise)
    from p2pshare.node.beside import NodeBeside
    from p2pshare.operations.crossing import checked

    try:
        with open_store_for_reading(home) as store:
            return checked(query).run(NodeBeside(home, store), int(time.time()), progress)
    except StoreError:
        if not is_running(home):
            raise
    return ask(home, query, progress, exercise=exercise)


def is_running(home: Path) -> bool:
    """Returns whether a daemon answers on the control socket of `home`. Raises RefusedError when it refuses us."""
    try:
        with _greeted(home):
            return True
    except DaemonUnreachable:
        return False


@contextmanager
def _own_node(home: Path) -> Iterator[Node]:
    from p2pshare.node.home import require_home
    from p2pshare.node.keyfile import read_operational_keys
    from p2pshare.node.node import close_node, open_node
    from p2pshare.queries.refresh import reevaluate_all
    from p2pshare.sharing import spool, staging

    with (
        wait_for_home(require_home(home), is_hopeless=partial(is_running, home)),
        ExitStack() as life,
    ):
        node = open_node(home, read_operational_keys)  # it issues no card: no root is needed
        life.callback(close_node, node)
        life.callback(spool.empty, home)
        spool.empty(home)  # what a crash left
        staging.tidy(node)
        with suppress(DiskFull):  # a full disk must not keep anybody from looking
            reevaluate_all(node, int(time.time()))
        yield node


@contextmanager
def _greeted(home: Path) -> Iterator[socket.socket]:
    """Yields a connection on which the daemon has greeted. Raises DaemonUnreachable, or the daemon's refusal."""
    path = socket_path(home)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(CONTROL_SILENCE_SECONDS_MAX)
        try:
            with short_name(path) as name:
                connection.connect(name)
            greeting = receive_message(connection)
        except PermissionError:
            raise OperatorError(
                f"this user may not use the daemon at {path}",
                hint="run as the daemon's user, or set control.group in the config",
                reason="not-permitted",
            ) from None
        except (OSError, EOFError) as error:
            raise DaemonUnreachable(
                f"no daemon answers at {path} ({type(error).__name__})", hint="start it with `p2pshare run`"
            ) from None
        _check_greeting(greeting)
        yield connection


def _check_greeting(greeting: Message) -> None:
    if "error" in greeting:
        raise_error(greeting["error"])
    if "greeting" not in greeting:
        raise OperatorError("something else answers on the control socket", reason="control-malformed")
