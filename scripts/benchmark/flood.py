"""Strangers who flood a door from many addresses of loopback, and honest partners who are far away.

A flood runs as a process of its own (`python flood.py PORT ...`), so that it takes no turns of the loop it attacks.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import socket
import ssl
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator

IP_BIND_ADDRESS_NO_PORT = 24  # Linux, ip(7): the port is chosen when the connection is made
TICK_SECONDS = 0.005
SAYINGS = ("nothing", "byte", "hello")


def client_hello() -> bytes:
    """Returns the first flight of a TLS 1.3 client, which costs its sender nothing to send again."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    came, leaves = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(came, leaves).do_handshake()
    return leaves.read()


def stranger_address(chance: random.Random, prefixes: int) -> str:
    """Returns an address in one of `prefixes` networks of 256, from 127.64.0.0 on."""
    network = chance.randrange(prefixes)
    return f"127.{64 + network // 256}.{network % 256}.{chance.randrange(1, 255)}"


def flood(port: int, *, per_second: float, seconds: float, prefixes: int, says: str, hold: float) -> int:
    """Opens connections at this rate and holds each for `hold` seconds; returns how many it opened."""
    chance, began, opened = random.Random(1), time.monotonic(), 0
    word = {"nothing": b"", "byte": b"\x16", "hello": client_hello()}[says]
    held: deque[tuple[float, socket.socket]] = deque()
    while (now := time.monotonic() - began) < seconds:
        while opened < now * per_second:
            with contextlib.suppress(OSError):
                held.append((now, _connect(stranger_address(chance, prefixes), port, word)))
            opened += 1
        while held and held[0][0] < now - hold:
            held.popleft()[1].close()
        time.sleep(TICK_SECONDS)
    return opened


def _connect(source: str, port: int, word: bytes) -> socket.socket:
    plain = socket.socket()
    plain.setblocking(False)
    plain.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
    plain.bind((source, 0))
    with contextlib.suppress(BlockingIOError):
        plain.connect(("127.0.0.1", port))
    if word:
        with contextlib.suppress(OSError):  # a connection that is not made yet stays silent
            plain.send(word)
    return plain


@contextlib.contextmanager
def flooding(
    port: int, *, per_second: float, seconds: float, prefixes: int, says: str = "nothing", hold: float = 2
) -> Iterator[None]:
    """A flood by a process of its own, ended at the end of the block."""
    options = (f"--per-second={per_second}", f"--seconds={seconds}", f"--prefixes={prefixes}")
    process = subprocess.Popen(
        [sys.executable, __file__, str(port), *options, f"--says={says}", f"--hold={hold}"],
        stdout=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


class FarAway:
    """A port of loopback that leads to `port`, from the address `source` and `one_way_seconds` late in each direction.

    The connection is made when the first bytes arrive, as those of a real one stand behind its last SYN.
    """

    def __init__(self, port: int, source: str, one_way_seconds: float) -> None:
        self._target = ("127.0.0.1", port)
        self._source = (source, 0)
        self._seconds = one_way_seconds
        self._carried: dict[asyncio.Task[None], list[asyncio.StreamWriter]] = {}

    async def __aenter__(self) -> int:
        """Starts to carry; returns the port where it begins."""
        self._server = await asyncio.start_server(self._begin, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        tasks = list(self._carried)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # sockets are closed in the next turn of the loop

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = [writer]
        task = asyncio.create_task(self._carry(reader, ends))
        self._carried[task] = ends
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        for writer in self._carried.pop(task):
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, ends: list[asyncio.StreamWriter]) -> None:
        with contextlib.suppress(OSError):
            first = await reader.read(65_536)
            await asyncio.sleep(self._seconds)
            answers, onward = await asyncio.open_connection(sock=await self._connected(first))
            ends.append(onward)
            await asyncio.gather(self._delayed(reader, onward), self._delayed(answers, ends[0]))

    async def _connected(self, first: bytes) -> socket.socket:
        plain = socket.socket()
        plain.setblocking(False)
        plain.bind(self._source)
        try:
            with contextlib.suppress(BlockingIOError):
                plain.connect(self._target)
            await asyncio.get_running_loop().sock_sendall(plain, first)
        except BaseException:
            plain.close()
            raise
        return plain

    async def _delayed(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Writes all that is read so much later; its end, or its break, is an end."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            while piece := await reader.read(65_536):
                loop.call_later(self._seconds, writer.write, piece)
        await asyncio.sleep(self._seconds)
        writer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="open silent connections to a port of loopback")
    parser.add_argument("port", type=int)
    parser.add_argument("--per-second", type=float, default=1_000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--prefixes", type=int, default=10_000, help="/24 networks the connections come from")
    parser.add_argument("--says", choices=SAYINGS, default="nothing")
    parser.add_argument("--hold", type=float, default=5, help="seconds before a connection is given up")
    found = parser.parse_args()
    opened = flood(
        found.port,
        per_second=found.per_second,
        seconds=found.seconds,
        prefixes=found.prefixes,
        says=found.says,
        hold=found.hold,
    )
    print(f"{opened} connections")


if __name__ == "__main__":
    main()
