"""The control server: who may speak, how much, and what happens to them who go away."""

from __future__ import annotations

import asyncio
import os
import stat
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from p2pshare.daemon.control import ControlServer, PeerCredentials, Permitted, Progress
from p2pshare.daemon.control_protocol import HEADER, Message, decode_frame, encode_frame
from p2pshare.errors import RefusedError
from p2pshare.limits import CONTROL_CONNECTIONS_MAX, CONTROL_FRAME_BYTES_MAX

OWNER = Permitted(os.getuid())


async def echo(request: Message, report: Progress, asker: PeerCredentials) -> Message:
    return request


@asynccontextmanager
async def serving(
    folder: Path,
    perform: Callable[[Message, Progress, PeerCredentials], Awaitable[Message]] = echo,
    permitted: Permitted = OWNER,
) -> AsyncIterator[Path]:
    path = folder / "run" / "control.sock"
    server = ControlServer(path, permitted, perform)
    await server.start()
    try:
        yield path
    finally:
        await server.stop()


class Caller:
    """One connection, spoken to message by message."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def hear(self) -> Message:
        header = await self.reader.readexactly(HEADER.size)
        return decode_frame(await self.reader.readexactly(int.from_bytes(header, "big")))

    async def hear_end(self) -> Message:
        while "progress" in (message := await self.hear()):
            pass
        return message

    async def say(self, message: Message) -> None:
        self.writer.write(encode_frame(message))
        await self.writer.drain()


@asynccontextmanager
async def calling(path: Path) -> AsyncIterator[Caller]:
    reader, writer = await asyncio.open_unix_connection(str(path))
    try:
        yield Caller(reader, writer)
    finally:
        writer.close()


async def ask(path: Path, message: Message) -> Message:
    async with calling(path) as caller:
        assert "greeting" in await caller.hear()
        await caller.say(message)
        return await caller.hear_end()


async def test_socket_is_0660_in_a_0750_folder_and_gone_after_stop(tmp_path: Path) -> None:
    async with serving(tmp_path) as path:
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o750
    assert not path.exists()


async def test_an_operation_is_answered_with_its_result(tmp_path: Path) -> None:
    async with serving(tmp_path) as path:
        assert await ask(path, {"operation": "status", "a": b"\x00"}) == {
            "result": {"operation": "status", "a": b"\x00"}
        }


async def test_a_stale_socket_file_is_replaced(tmp_path: Path) -> None:
    stale = tmp_path / "run" / "control.sock"
    stale.parent.mkdir()
    stale.write_text("left by a killed daemon")
    async with serving(tmp_path) as path:
        assert "result" in await ask(path, {"operation": "status"})


@pytest.mark.parametrize(
    ("permitted", "asker", "expected"),
    [
        (Permitted(1000), PeerCredentials(1000, frozenset({1000})), True),
        (Permitted(1000), PeerCredentials(0, frozenset({0})), True),
        (Permitted(1000), PeerCredentials(1001, frozenset({1000, 1001})), False),
        (Permitted(1000, gid=50), PeerCredentials(1001, frozenset({1001, 50})), True),
        (Permitted(1000, gid=50), PeerCredentials(1001, frozenset({1001})), False),
        (Permitted(1000, gid=0), PeerCredentials(1001, frozenset({1001})), False),
    ],
)
def test_only_owner_root_and_the_configured_group_are_permitted(
    permitted: Permitted, asker: PeerCredentials, expected: bool
) -> None:
    assert permitted.allows(asker) is expected


@pytest.mark.skipif(os.getuid() != 0, reason="skipped: needs root to become another user")
@pytest.mark.parametrize(
    ("gid", "groups", "expected"), [(None, [], "error"), (4242, [4242], "greeting"), (4242, [], "error")]
)
async def test_another_user_is_known_by_the_kernel_and_not_by_what_it_says(
    gid: int | None, groups: list[int], expected: str
) -> None:
    program = (
        "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);"
        "sys.stdout.buffer.write(s.recv(65536))"
    )
    with TemporaryDirectory() as folder:
        async with serving(Path(folder), permitted=Permitted(os.getuid(), gid)) as path:
            for opened in (path, path.parent, Path(folder)):
                opened.chmod(0o777)  # the file modes are not what is under test
            process = await asyncio.create_subprocess_exec(
                "/usr/bin/python3",
                "-c",
                program,
                str(path),
                stdout=asyncio.subprocess.PIPE,
                user=65534,
                group=65534,
                extra_groups=groups,
                cwd="/",
            )
            output, _ = await process.communicate()
    answer = decode_frame(output[HEADER.size :])
    assert list(answer) == [expected]
    if expected == "error":
        assert answer["error"]["reason"] == "not-permitted"
        assert answer["error"]["exit_code"] == RefusedError.exit_code


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (struct.pack(">I", CONTROL_FRAME_BYTES_MAX + 1), "control-oversized"),
        (struct.pack(">I", 3) + b"\xc1\xc1\xc1", "control-malformed"),
        (encode_frame({"operation": 7}), "control-malformed"),
        (encode_frame({"arguments": {}}), "control-malformed"),
        (encode_frame({}), "control-malformed"),
    ],
    ids=["oversized", "not-msgpack", "operation-number", "no-operation", "nothing"],
)
async def test_a_bad_request_is_refused_and_the_next_one_served(
    tmp_path: Path, raw: bytes, reason: str
) -> None:
    async with serving(tmp_path) as path:
        async with calling(path) as caller:
            await caller.hear()
            caller.writer.write(raw)
            assert (await caller.hear())["error"]["reason"] == reason
        assert "result" in await ask(path, {"operation": "status"})


async def test_progress_comes_before_the_result_from_any_thread(tmp_path: Path) -> None:
    async def slow(request: Message, report: Progress, asker: PeerCredentials) -> Message:
        await asyncio.to_thread(report, "sealed", 1, 2)
        await asyncio.sleep(0.05)
        return {}

    async with serving(tmp_path, slow) as path, calling(path) as caller:
        await caller.hear()
        await caller.say({"operation": "prepare"})
        assert await caller.hear() == {"progress": {"what": "sealed", "done": 1, "of": 2}}
        assert await caller.hear_end() == {"result": {}}


async def test_a_long_operation_shows_that_it_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2pshare.daemon.control.CONTROL_LIFE_SIGN_SECONDS", 0.01)

    async def slow(request: Message, report: Progress, asker: PeerCredentials) -> Message:
        await asyncio.sleep(0.1)
        return {}

    async with serving(tmp_path, slow) as path, calling(path) as caller:
        await caller.hear()
        await caller.say({"operation": "prepare"})
        assert await caller.hear() == {"progress": {}}
        assert await caller.hear_end() == {"result": {}}


async def test_an_operation_runs_to_its_end_when_its_asker_is_gone(tmp_path: Path) -> None:
    began, may_end, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow(request: Message, report: Progress, asker: PeerCredentials) -> Message:
        began.set()
        await may_end.wait()
        report("sealed", 1, 1)
        await asyncio.sleep(0.02)
        ended.set()
        return {}

    async with serving(tmp_path, slow) as path:
        async with calling(path) as caller:
            await caller.hear()
            await caller.say({"operation": "prepare"})
            await began.wait()
        may_end.set()
        async with asyncio.timeout(5):
            await ended.wait()


async def test_a_refusal_and_a_bug_are_answered_and_neither_ends_the_server(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def perform(request: Message, report: Progress, asker: PeerCredentials) -> Message:
        if request["operation"] == "refuse":
            raise RefusedError("policy said no", hint="ask another way", reason="audience-empty")
        raise ValueError("evil.example was in the parser")

    async with serving(tmp_path, perform) as path:
        refused = await ask(path, {"operation": "refuse"})
        failed = await ask(path, {"operation": "fail"})
    assert refused["error"] == {
        "reason": "audience-empty",
        "message": "policy said no",
        "hint": "ask another way",
        "exit_code": 5,
    }
    assert failed["error"]["reason"] == "internal"
    assert "ValueError" in caplog.text
    assert "evil.example" not in caplog.text.replace('raise ValueError("evil.example', "")


@pytest.mark.parametrize("unsendable", ["\ud800", 2**70, b"x" * 5_000], ids=["surrogate", "number", "long"])
async def test_an_answer_that_cannot_be_sent_is_told_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unsendable: object
) -> None:
    """The connection was cut without a word: the asker had to guess whether the operation was done."""
    monkeypatch.setattr("p2pshare.daemon.control_protocol.CONTROL_FRAME_BYTES_MAX", 4_096)

    async def perform(request: Message, report: Progress, asker: PeerCredentials) -> Message:
        return {"object": unsendable}

    async with serving(tmp_path, perform) as path:
        answer = await ask(path, {"operation": "show-object"})
        assert answer["error"]["reason"] in ("control-malformed", "control-oversized")


async def test_more_connections_than_the_limit_are_told_to_try_again(tmp_path: Path) -> None:
    async with serving(tmp_path) as path:
        idle: list[Any] = [
            await asyncio.open_unix_connection(str(path)) for _ in range(CONTROL_CONNECTIONS_MAX)
        ]
        for reader, _ in idle:
            await reader.readexactly(HEADER.size)
        async with calling(path) as caller:
            assert (await caller.hear())["error"]["reason"] == "control-busy"
        for _, writer in idle:
            writer.close()


async def test_a_request_that_never_ends_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2pshare.daemon.control.CONTROL_REQUEST_SECONDS_MAX", 0.05)
    async with serving(tmp_path) as path, calling(path) as caller:
        await caller.hear()
        caller.writer.write(b"\x00\x00")
        assert await caller.reader.read() == b""


async def test_stop_drops_who_has_not_asked_and_waits_for_what_began(tmp_path: Path) -> None:
    began, may_end = asyncio.Event(), asyncio.Event()

    async def slow(request: Message, report: Progress, asker: PeerCredentials) -> Message:
        began.set()
        await may_end.wait()
        return {"done": True}

    path = tmp_path / "run" / "control.sock"
    server = ControlServer(path, OWNER, slow)
    await server.start()
    async with calling(path) as idle, calling(path) as busy:
        await idle.hear()
        await busy.hear()
        await busy.say({"operation": "prepare"})
        await began.wait()
        stopping = asyncio.create_task(server.stop())
        assert await idle.reader.read() == b""
        assert not stopping.done()
        may_end.set()
        assert await busy.hear_end() == {"result": {"done": True}}
        async with asyncio.timeout(5):
            await stopping
    assert not path.exists()


async def test_an_asker_who_does_not_read_its_answer_keeps_no_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("p2pshare.daemon.control.CONTROL_SILENCE_SECONDS_MAX", 0.2)

    async def much(request: Message, report: Progress, asker: PeerCredentials) -> Message:
        return {"much": bytes(8 << 20)}

    path = tmp_path / "run" / "control.sock"
    server = ControlServer(path, OWNER, much)
    await server.start()
    async with calling(path) as deaf:
        deaf.reader._transport.pause_reading()  # type: ignore[attr-defined] # a command that was suspended
        await deaf.say({"operation": "status"})
        async with asyncio.timeout(10):
            while not server._connections:
                await asyncio.sleep(0.02)
            while server._connections:
                await asyncio.sleep(0.02)
    await server.stop()
