"""Dialling through a proxy: what it is told, what it may answer, and how a failure says where it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from free_port import free_port
from hypothesis import given, settings
from hypothesis import strategies as st
from real_proxies import LOGIN, proxy_running

from p2pshare.errors import PeerError
from p2pshare.gossip.protocol import HELLO
from p2pshare.peering.faults import PeerUnreachable
from p2pshare.peering.interface import DialLimits
from p2pshare.peering.proxies import Proxy, open_stream, tunnel

SECONDS = 5.0
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
RIGHT = (LOGIN[0].encode(), LOGIN[1].encode())
WRONG = (b"anna", b"wrong")


@asynccontextmanager
async def listening(serve: Serve, host: str = "127.0.0.1") -> AsyncIterator[int]:
    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(served, host, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.readexactly(4))
    await writer.drain()


async def said_through(proxy: Proxy, host: str, port: int) -> bytes:
    reader, writer = await open_stream(proxy, host, port, SECONDS)
    writer.write(b"ping")
    answer = await reader.readexactly(4)
    writer.close()
    return answer


async def refusal(proxy: Proxy, host: str = "127.0.0.1", port: int = 9, seconds: float = SECONDS) -> str:
    with pytest.raises(PeerError) as refused:
        (await tunnel(proxy, host, port, seconds)).close()
    return refused.value.reason


# --- real proxies --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["http", "socks5"])
@pytest.mark.parametrize("login", [False, True], ids=["open", "with-login"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_real_proxy_carries_bytes_to_an_address_and_to_a_name(
    kind: str, login: bool, host: str, tmp_path: Path
) -> None:
    with proxy_running(kind, tmp_path, login=login) as port:
        async with listening(echo) as target:
            assert (
                await said_through(Proxy(kind, "127.0.0.1", port, RIGHT if login else None), host, target)
                == b"ping"
            )


@pytest.mark.parametrize("kind", ["http", "socks5"])
async def test_a_real_proxy_that_does_not_let_us_says_which_way(kind: str, tmp_path: Path) -> None:
    with proxy_running(kind, tmp_path, login=True) as port:
        assert await refusal(Proxy(kind, "127.0.0.1", port, WRONG)) == "proxy-auth"
        assert await refusal(Proxy(kind, "127.0.0.1", port)) == "proxy-auth"
        assert await refusal(Proxy(kind, "127.0.0.1", port, RIGHT), port=free_port()) == "unreachable"
        assert await refusal(Proxy(kind, "127.0.0.1", port, RIGHT), host="nowhere.invalid") == "unreachable"
    assert await refusal(Proxy(kind, "127.0.0.1", port, RIGHT)) == "proxy-unreachable"


async def test_a_real_proxy_with_a_rule_against_it_refuses_the_port(tmp_path: Path) -> None:
    with proxy_running("http", tmp_path, ports=[443]) as port:
        assert await refusal(Proxy("http", "127.0.0.1", port), port=free_port()) == "proxy-refused"


# --- what the proxy is told ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["http", "socks5"])
async def test_names_are_not_resolved_here(kind: str) -> None:
    heard = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if kind == "socks5":
            await reader.readexactly(3)
            writer.write(b"\x05\x00")
            heard.extend(await reader.readexactly(5))
            heard.extend(await reader.readexactly(heard[4] + 2))
            writer.write(b"\x05\x00\x00\x03\x04name\x00\x01")
        else:
            heard.extend(await reader.readuntil(b"\r\n\r\n"))
            writer.write(b"HTTP/1.1 200 ok\r\n")
            await writer.drain()
            await asyncio.sleep(0)
            writer.write(b"X-Later: in another piece\r\n\r\n")
        await echo(reader, writer)

    async with listening(serve) as port:
        assert await said_through(Proxy(kind, "127.0.0.1", port), "partner.invalid", 8443) == b"ping"
    if kind == "socks5":
        assert bytes(heard) == b"\x05\x01\x00\x03\x0fpartner.invalid" + (8443).to_bytes(2, "big")
    else:
        assert bytes(heard).startswith(
            b"CONNECT partner.invalid:8443 HTTP/1.1\r\nHost: partner.invalid:8443\r\n"
        )


async def test_an_ipv6_address_stands_in_brackets_for_http_and_as_sixteen_bytes_for_socks() -> None:
    heard = bytearray()

    async def http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.extend(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 503 no\r\n\r\n")

    async with listening(http) as port:
        assert await refusal(Proxy("http", "127.0.0.1", port), host="2001:db8::1", port=443) == "unreachable"
    assert b"CONNECT [2001:db8::1]:443 " in heard
    heard.clear()

    async def socks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(3)
        writer.write(b"\x05\x00")
        heard.extend(await reader.readexactly(22))
        writer.write(b"\x05\x04\x00\x01")

    async with listening(socks) as port:
        assert (
            await refusal(Proxy("socks5", "127.0.0.1", port), host="2001:db8::1", port=443) == "unreachable"
        )
    assert heard[3] == 4 and len(heard) == 22


@pytest.mark.parametrize("host", ["evil HTTP/1.1", "a\r\nX: y", "ho st", "fe80::1%eth0", "x" * 256, ""])
async def test_a_card_writes_no_line_of_its_own_into_a_request_to_the_proxy(host: str) -> None:
    assert await refusal(Proxy("http", "127.0.0.1", 9), host=host) == "bad-url"


def test_a_login_is_in_no_word_about_the_proxy() -> None:
    assert "cret" not in repr(Proxy("http", "proxy", 3128, RIGHT))


# --- what a proxy may answer ---------------------------------------------------------------------------


async def answered(kind: str, raw: bytes) -> str:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(raw)
        await writer.drain()
        writer.write_eof()
        await reader.read()

    async with listening(serve) as port:
        try:
            (await tunnel(Proxy(kind, "127.0.0.1", port, RIGHT), "partner.example", 443, SECONDS)).close()
        except PeerUnreachable as error:
            return error.reason
        return "connected"


@pytest.mark.parametrize(
    ("kind", "raw", "reason"),
    [
        ("http", b"HTTP/1.1 407 Login\r\n\r\n", "proxy-auth"),
        ("http", b"HTTP/1.1 403 No\r\n\r\n", "proxy-refused"),
        ("http", b"HTTP/1.1 302 There\r\nLocation: https://elsewhere\r\n\r\n", "proxy-refused"),
        ("http", b"HTTP/1.1 502 No\r\n\r\n", "unreachable"),
        ("http", b"HTTP/1.0 504 No\r\n", "unreachable"),
        ("http", b"SSH-2.0-OpenSSH_9\r\n", "proxy-malformed"),
        ("http", b"", "proxy-malformed"),
        ("http", b"HTTP/1.1 200 ok\r\n\r\n\x16\x03\x03", "proxy-malformed"),
        ("http", b"HTTP/1.1 200 ok\r\nX: " + b"x" * 20_000, "proxy-malformed"),
        ("http", b"HTTP/1.1 200 ok\r\n", "proxy-malformed"),
        ("http", b"HTTP/1.1 200 ok\r\n\r\n", "connected"),
        ("socks5", b"\x05\xff", "proxy-auth"),
        ("socks5", b"\x05\x01", "proxy-malformed"),
        ("socks5", b"\x04\x00", "proxy-malformed"),
        ("socks5", b"\x05\x02\x01\x01", "proxy-auth"),
        ("socks5", b"\x05\x00\x05\x02\x00\x01", "proxy-refused"),
        ("socks5", b"\x05\x00\x05\x05\x00\x01", "unreachable"),
        ("socks5", b"\x05\x00\x05\x01\x00\x01", "unreachable"),
        ("socks5", b"\x05\x00\x05\x07\x00\x01", "proxy-refused"),
        ("socks5", b"\x05\x00\x05\x00\x00\x07", "proxy-malformed"),
        ("socks5", b"\x05\x00\x05\x00\x00\x01\x7f", "proxy-malformed"),
        ("socks5", b"HTTP/1.1 400 Bad", "proxy-malformed"),
        ("socks5", b"\x05\x00\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x01", "connected"),
    ],
)
async def test_each_answer_of_a_proxy_has_its_reason(kind: str, raw: bytes, reason: str) -> None:
    assert await answered(kind, raw) == reason


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(["http", "socks5"]), st.binary(max_size=64))
def test_whatever_a_proxy_answers_ends_in_a_reason(kind: str, raw: bytes) -> None:
    assert asyncio.run(answered(kind, raw)) in {
        "proxy-auth", "proxy-refused", "proxy-malformed", "unreachable", "connected"
    }  # fmt: skip


async def test_a_proxy_that_says_nothing_costs_no_more_than_the_time_of_a_dial() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listening(silent) as port:
        assert await refusal(Proxy("http", "127.0.0.1", port), seconds=0.2) == "timeout"


async def test_a_proxy_that_lets_us_through_to_nobody_costs_no_more_than_the_time_of_a_dial(
    house: Any, alpha: Any, bravo: Any, hello: Any
) -> None:
    """It says 200, and nothing comes of the handshake behind it."""

    async def leads_nowhere(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await reader.read()

    async with listening(leads_nowhere) as port:
        limits = DialLimits(connect_seconds=0.3, proxy=Proxy("http", "127.0.0.1", port))
        with pytest.raises(PeerUnreachable) as refused:
            async with asyncio.timeout(SECONDS):
                await house.dial(alpha, bravo, 9, limits=limits).ask(HELLO, hello)
        assert refused.value.reason == "timeout"
