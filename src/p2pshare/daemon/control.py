"""The control socket: the running daemon's door for the command line on the same machine.

Rules this file keeps:
1. A unix socket, 0660 in a folder of 0750; never TCP.
2. The asker is known from the kernel (SO_PEERCRED, unix(7)), never from its own words: the daemon's own user,
   root, and the members of the configured group. Others get one refusal and nothing is read from them.
3. One bounded request a connection under a deadline, a bounded number of connections.
4. An operation that began runs to its end even when its asker is gone; only the answer is dropped.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import struct
import traceback
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from p2pshare import __version__
from p2pshare.daemon.control_protocol import (
    HEADER,
    PROTOCOL,
    Message,
    decode_frame,
    encode_frame,
    error_message,
    frame_length,
    short_name,
)
from p2pshare.errors import OperatorError, RefusedError, ShareError
from p2pshare.limits import (
    CONTROL_CONNECTIONS_MAX,
    CONTROL_LIFE_SIGN_SECONDS,
    CONTROL_REQUEST_SECONDS_MAX,
    CONTROL_SILENCE_SECONDS_MAX,
    CONTROL_STOP_SECONDS_MAX,
)
from p2pshare.node.node import Progress

log = logging.getLogger(__name__)

FOLDER_MODE = 0o750
SOCKET_MODE = 0o660
SO_PEERGROUPS = 59  # asm-generic/socket.h, Linux 4.13; the socket module has no name for it
GROUPS_BYTES_MAX = 1024  # what socket.getsockopt takes at most: 256 groups


@dataclass(frozen=True)
class PeerCredentials:
    """The user and groups of the process on the other end, as the kernel reports them."""

    uid: int
    groups: frozenset[int]


Perform = Callable[[Message, Progress, PeerCredentials], Awaitable[Message]]
"""(request, report, asker) -> result; request and result as they cross the socket. `report` may be called from any thread. Raises ShareError."""


@dataclass(frozen=True)
class Permitted:
    """The users that may use the socket: this uid, root, and members of `gid` when one is configured."""

    uid: int
    gid: int | None = None

    def allows(self, asker: PeerCredentials) -> bool:
        return asker.uid in (0, self.uid) or (self.gid is not None and self.gid in asker.groups)


def asker_of(connection: Any) -> PeerCredentials:
    """Returns the credentials of a connected unix socket, taken by the kernel when it connected. Raises OSError."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, gid = struct.unpack("3i", raw)
    try:
        more = connection.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, GROUPS_BYTES_MAX)
    except OSError:  # an older kernel, or more groups than fit: the primary group alone
        more = b""
    return PeerCredentials(uid, frozenset((gid, *struct.unpack(f"{len(more) // 4}I", more))))


class ControlServer:
    """A listener at `path` that lets `perform` answer. `start` and `stop` once each, in one event loop."""

    def __init__(self, path: Path, permitted: Permitted, perform: Perform) -> None:
        self._path = path
        self._permitted = permitted
        self._perform = perform
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._working: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Open the socket. The caller holds the home's lock, so a socket file in the way is stale.

        Raises OperatorError when the folder or the socket cannot be made.
        """
        try:
            listener = self._open_listener()
        except OSError as error:
            raise OperatorError(
                f"cannot open the control socket {self._path}: {error.strerror}",
                hint="check the home folder's owner, mode and free space",
                reason="control-socket",
            ) from None
        self._server = await asyncio.start_unix_server(self._accept, sock=listener)

    async def stop(self) -> None:
        """Accept no more, drop those that have not asked yet, let what began finish and answer; remove the socket file."""
        if self._server is None:
            return
        self._server.close()
        for task in self._connections - self._working:
            task.cancel()
        if self._connections:
            _, late = await asyncio.wait(self._connections, timeout=CONTROL_STOP_SECONDS_MAX)
            for task in late:
                task.cancel()
        with suppress(FileNotFoundError):
            self._path.unlink()
        self._server = None

    def _open_listener(self) -> socket.socket:
        folder = self._path.parent
        folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
        folder.chmod(FOLDER_MODE)
        with suppress(FileNotFoundError):
            self._path.unlink()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with short_name(self._path) as name:
                listener.bind(name)
            self._path.chmod(SOCKET_MODE)
            for made in (folder, self._path):
                self._hand_to_group(made)
        except OSError:
            listener.close()
            raise
        return listener

    def _hand_to_group(self, path: Path) -> None:
        """Give `path` to the configured group; nothing to do for the process's own: a sandbox that forbids chown need not
        allow it."""
        gid = self._permitted.gid
        if gid is not None and path.stat().st_gid != gid:
            os.chown(path, -1, gid)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._serve(task, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            log.debug("a control connection ended early")
        finally:
            self._connections.discard(task)
            self._working.discard(task)
            writer.close()

    async def _serve(
        self, task: asyncio.Task[None], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            asker = asker_of(writer.get_extra_info("socket"))
            if not self._permitted.allows(asker):
                raise RefusedError(
                    "this user may not use the daemon",
                    hint="run as the daemon's user, or set control.group in the config",
                    reason="not-permitted",
                )
            if len(self._connections) > CONTROL_CONNECTIONS_MAX:
                raise OperatorError("too many commands at once", hint="try again", reason="control-busy")
            await _send(
                writer, {"greeting": {"protocol": PROTOCOL, "version": __version__, "pid": os.getpid()}}
            )
            async with asyncio.timeout(CONTROL_REQUEST_SECONDS_MAX):
                header = await reader.readexactly(HEADER.size)
                message = decode_frame(await reader.readexactly(frame_length(header)))
            self._working.add(task)
            answer = encode_frame(await self._perform_alive(message, writer, asker))
        except ShareError as error:
            answer = encode_frame(error_message(error))
        writer.write(answer)
        await _drained(writer)

    async def _perform_alive(
        self, message: Message, writer: asyncio.StreamWriter, asker: PeerCredentials
    ) -> Message:
        """Perform the request and return its result; send progress as it comes and a sign of life while there is none."""
        operation = message.get("operation")
        if type(operation) is not str:
            raise OperatorError("not a request of the control socket", reason="control-malformed")
        loop = asyncio.get_running_loop()
        reports: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue()

        def report(what: str, done: int, of: int) -> None:
            loop.call_soon_threadsafe(reports.put_nowait, {"what": what, "done": done, "of": of})

        work = asyncio.ensure_future(self._perform(message, report, asker))
        while not work.done():
            next_report = asyncio.ensure_future(reports.get())
            await asyncio.wait(
                {work, next_report}, timeout=CONTROL_LIFE_SIGN_SECONDS, return_when="FIRST_COMPLETED"
            )
            progress = next_report.result() if next_report.done() else {}
            next_report.cancel()
            if not work.done():
                with suppress(ConnectionError):  # rule 4: the asker may be gone, the work goes on
                    await _send(writer, {"progress": progress})
        return {"result": _result_of(work, operation)}


def _result_of(work: asyncio.Future[Message], operation: str) -> Message:
    """Returns the operation's result; an error that is ours to mend becomes one that the asker can show. Raises ShareError."""
    try:
        return work.result()
    except ShareError:
        raise
    except Exception as error:  # noqa: BLE001 the daemon outlives a bug in one operation
        place = "".join(traceback.format_tb(error.__traceback__))  # lines of code, never values
        log.error("operation %s failed: %s\n%s", operation, type(error).__name__, place)
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise OperatorError("the disk is full", hint="free some space", reason="disk-full") from None
        raise OperatorError(
            f"the daemon could not do '{operation}' ({type(error).__name__})",
            hint="this is a bug of p2pshare; the daemon's log has the place",
            reason="internal",
        ) from None


async def _send(writer: asyncio.StreamWriter, message: Message) -> None:
    writer.write(encode_frame(message))
    await _drained(writer)


async def _drained(writer: asyncio.StreamWriter) -> None:
    """Wait until the asker has read. One that does not is cut off: it must not keep a place for ever. Raises
    ConnectionError."""
    try:
        async with asyncio.timeout(CONTROL_SILENCE_SECONDS_MAX):
            await writer.drain()
    except TimeoutError:
        writer.transport.abort()
        raise ConnectionAbortedError from None
