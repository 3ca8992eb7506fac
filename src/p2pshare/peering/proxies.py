"""Dialling through a proxy: HTTP CONNECT (RFC 9110 section 9.3.6) and SOCKS 5 (RFC 1928, RFC 1929). docs/operations/proxy.md.

1. A proxy is only a road: TLS with the pinned certificates goes through it from end to end, so it reads nothing, and who it connects us to
   must show the partner's certificate all the same.
2. Names go to the proxy as they are: nothing is resolved here.
3. What fails says where: `proxy-unreachable`, `proxy-auth`, `proxy-refused`, `proxy-malformed`, or `unreachable` when the proxy says that
   it cannot reach the partner.
4. A proxy's answer is bounded in bytes and time, and a byte behind it is refused: the partner says nothing before our hello.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ipaddress
import re
import socket
from dataclasses import dataclass, field

from p2pshare.errors import PeerError
from p2pshare.limits import KIB
from p2pshare.peering.faults import PeerUnreachable

HEAD_BYTES_MAX = 16 * KIB  # of a proxy's answer to CONNECT: some add a page of policy to its headers
LOGIN_BYTES_MAX = 255  # of a name and of a password: RFC 1929 section 2 has one byte for each length
HOST_PATTERN = re.compile(r"[A-Za-z0-9._:-]{1,255}")
"""What may stand in a request to a proxy: a name in ASCII or a numeric address. A card must not write lines of its own there."""

PROXY_UNREACHABLE = "proxy-unreachable"
PROXY_AUTH = "proxy-auth"
PROXY_REFUSED = "proxy-refused"
PROXY_MALFORMED = "proxy-malformed"

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: [^\r\n]*)?")
_SOCKS_NO_LOGIN, _SOCKS_LOGIN, _SOCKS_NONE_FITS = 0, 2, 255
_SOCKS_NAME, _SOCKS_IPV4, _SOCKS_IPV6 = 3, 1, 4
_SOCKS_BEYOND = frozenset({1, 3, 4, 5, 6})
"""RFC 1928 section 6: general failure (as servers say of a name they do not know), network or host unreachable, refused there, TTL expired. What
is left is no: a rule against it, or a request the server does not know."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy to dial through: "http" or "socks5", where it listens, and the login that it wants, None for none."""

    kind: str
    host: str
    port: int
    login: tuple[bytes, bytes] | None = field(default=None, repr=False)


async def tunnel(proxy: Proxy, host: str, port: int, seconds: float) -> socket.socket:
    """Returns a connected, non-blocking socket on which the next byte comes from `host`. Raises PeerUnreachable with a reason of rule 3 or
    `timeout`, PeerError `bad-url`."""
    if not HOST_PATTERN.fullmatch(host):
        raise PeerError("a partner's address is not https://HOST:PORT", reason="bad-url")
    try:
        async with asyncio.timeout(seconds):
            return await _tunnel(proxy, host, port)
    except TimeoutError:
        raise PeerUnreachable("no answer through the proxy in time", reason="timeout") from None


async def _tunnel(proxy: Proxy, host: str, port: int) -> socket.socket:
    road = await _connected(proxy)
    try:
        if proxy.kind == "http":
            await _ask_http(road, proxy, host, port)
        else:
            await _ask_socks(road, proxy, host, port)
    except BaseException as error:
        road.close()
        if isinstance(error, OSError) and not isinstance(error, TimeoutError):
            raise PeerUnreachable("the proxy broke the connection off", reason=PROXY_MALFORMED) from None
        raise
    return road


async def _connected(proxy: Proxy) -> socket.socket:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(proxy.host, proxy.port, type=socket.SOCK_STREAM)
    except OSError:
        raise PeerUnreachable("the proxy's name is not known", reason=PROXY_UNREACHABLE) from None
    for family, kind, protocol, _, address in found:
        road = socket.socket(family, kind, protocol)
        road.setblocking(False)
        try:
            await loop.sock_connect(road, address)
        except OSError:
            road.close()
            continue
        except BaseException:
            road.close()
            raise
        with contextlib.suppress(OSError):
            road.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return road
    raise PeerUnreachable("the proxy cannot be reached", reason=PROXY_UNREACHABLE)


async def _ask_http(road: socket.socket, proxy: Proxy, host: str, port: int) -> None:
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {place} HTTP/1.1", f"Host: {place}", "User-Agent: p2pshare"]
    if proxy.login is not None:
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(b':'.join(proxy.login)).decode()}")
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(road, "\r\n".join([*lines, "", ""]).encode())
    head = bytearray()
    while b"\r\n\r\n" not in head:
        piece = await loop.sock_recv(road, 4 * KIB)
        head += piece
        if not piece or len(head) > HEAD_BYTES_MAX:
            break  # a refusal may end the connection behind its first line
    status = _STATUS_LINE.fullmatch(bytes(head).partition(b"\r\n")[0])
    if status is None:
        raise _malformed()
    code = int(status[1])
    if code in (401, 407):  # tinyproxy says the first to a wrong login
        raise PeerUnreachable("the proxy wants another login", reason=PROXY_AUTH)
    if code >= 500:
        raise PeerUnreachable("the proxy cannot reach the partner", reason="unreachable")
    if not 200 <= code < 300:
        raise PeerUnreachable("the proxy does not let us there", reason=PROXY_REFUSED)
    if not head.endswith(b"\r\n\r\n") or head.count(b"\r\n\r\n") != 1:
        raise _malformed()


async def _ask_socks(road: socket.socket, proxy: Proxy, host: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    methods = bytes([_SOCKS_NO_LOGIN] if proxy.login is None else [_SOCKS_NO_LOGIN, _SOCKS_LOGIN])
    await loop.sock_sendall(road, bytes([5, len(methods)]) + methods)
    version, method = await _read(road, 2)
    if version != 5:
        raise _malformed()
    if method == _SOCKS_LOGIN and proxy.login is not None:
        name, password = proxy.login
        await loop.sock_sendall(road, bytes([1, len(name)]) + name + bytes([len(password)]) + password)
        if (await _read(road, 2))[1] != 0:
            raise PeerUnreachable("the proxy wants another login", reason=PROXY_AUTH)
    elif method == _SOCKS_NONE_FITS:
        raise PeerUnreachable("the proxy wants another login", reason=PROXY_AUTH)
    elif method != _SOCKS_NO_LOGIN:
        raise _malformed()
    await loop.sock_sendall(road, b"\x05\x01\x00" + _socks_address(host) + port.to_bytes(2, "big"))
    version, answer, _, kind = await _read(road, 4)
    if version != 5:
        raise _malformed()
    if answer in _SOCKS_BEYOND:
        raise PeerUnreachable("the proxy cannot reach the partner", reason="unreachable")
    if answer != 0:
        raise PeerUnreachable("the proxy does not let us there", reason=PROXY_REFUSED)
    sizes = {_SOCKS_IPV4: 4, _SOCKS_IPV6: 16}
    size = (await _read(road, 1))[0] if kind == _SOCKS_NAME else sizes.get(kind)
    if size is None:
        raise _malformed()
    await _read(road, size + 2)


def _socks_address(host: str) -> bytes:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return bytes([_SOCKS_NAME, len(host)]) + host.encode()
    return bytes([_SOCKS_IPV4 if address.version == 4 else _SOCKS_IPV6]) + address.packed


async def _read(road: socket.socket, size: int) -> bytes:
    loop = asyncio.get_running_loop()
    found = bytearray()
    while len(found) < size:
        piece = await loop.sock_recv(road, size - len(found))
        if not piece:
            raise _malformed()
        found += piece
    return bytes(found)


def _malformed() -> PeerUnreachable:
    return PeerUnreachable("what answers at the proxy's address is no such proxy", reason=PROXY_MALFORMED)


async def open_stream(
    proxy: Proxy | None, host: str, port: int, seconds: float, **options: object
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Returns a stream to `host`, through the proxy where there is one; `options` are those of asyncio.open_connection. Raises as `tunnel`, and
    OSError."""
    if proxy is None:
        return await asyncio.open_connection(host, port, **options)  # type: ignore[arg-type]
    road = await tunnel(proxy, host, port, seconds)
    try:
        if options.get("ssl"):
            options = {"server_hostname": host, **options}
        return await asyncio.open_connection(sock=road, **options)  # type: ignore[arg-type]
    except BaseException:
        road.close()
        raise
