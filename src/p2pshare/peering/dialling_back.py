"""Dialling back: a partner asks whether it can be reached where its card says (docs/transport.md, "Dialling back").

What one may have another do by it is bounded: only the addresses on the asker's own card, which are dialled anyway; a TLS handshake
each, one after another, and nothing said; one asker at a time, and each at most once a minute.

Nor does one learn by it what else is in our network: of an address that not everybody could dial, or that a proxy dials, it is told
whether it reached *it* or not, after the same time whatever was there.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Callable, Sequence

from p2pshare.config import url_address
from p2pshare.errors import ConfigError, PeerError
from p2pshare.http_server.tls import pin_of
from p2pshare.identifiers import PartnerId
from p2pshare.limits import TLS_SHUTDOWN_SECONDS
from p2pshare.peering.client import PeerAddress
from p2pshare.peering.faults import OTHER_CERTIFICATE, PeerBusy
from p2pshare.peering.frames import cut
from p2pshare.peering.proxies import Proxy, open_stream
from p2pshare.peering.tls import TlsGate

REACHED = "reached"
NOT_REACHED = "not-reached"
"""Of an address in a network of ours: why, is not told."""
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: leads to the IPv4 address in its last 32 bits
ADDRESS_SECONDS_MAX = 5.0  # of one address; a card has eight at most
SECONDS_MAX = 40.0  # of all of them: below what a request may take
PARTNER_PAUSE_SECONDS = 60.0  # between two times of one partner: a person looks, mends, and looks again
BUSY_PAUSE_SECONDS = 10.0  # while another one is dialled


class DiallingBack:
    """Who is dialled back, and when; all from one event loop. `now` is any clock in seconds that never goes back."""

    def __init__(self, gate: TlsGate, now: Callable[[], float], proxy: Proxy | None = None) -> None:
        self._gate = gate
        self._proxy = proxy
        self._now = now
        self._is_dialling = False
        self._last: dict[PartnerId, float] = {}

    async def dial(self, peer: PartnerId, addresses: Sequence[PeerAddress]) -> tuple[str, ...]:
        """Returns of each address REACHED, or the reason why its owner did not answer there. Raises PeerBusy."""
        waits = self._last.get(peer, -PARTNER_PAUSE_SECONDS) + PARTNER_PAUSE_SECONDS - self._now()
        if waits > 0:
            raise PeerBusy(waits)
        if self._is_dialling:
            raise PeerBusy(BUSY_PAUSE_SECONDS)
        self._is_dialling = True
        self._last[peer] = self._now()
        try:
            return tuple([await _outcome(self._gate, address, self._proxy) for address in addresses])
        finally:
            self._is_dialling = False
            earliest = self._now() - PARTNER_PAUSE_SECONDS
            self._last = {one: at for one, at in self._last.items() if at > earliest}


async def _outcome(gate: TlsGate, address: PeerAddress, proxy: Proxy | None) -> str:
    try:
        host, port = url_address(address.url)
        context = gate.client_context(address.certificates)
    except (ConfigError, ValueError):
        return "bad-url"
    except PeerError as error:
        return error.reason
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + ADDRESS_SECONDS_MAX
    is_public = False
    try:
        async with asyncio.timeout_at(ends_at):
            places = [host] if proxy is not None else await _resolved(host, port)
            is_public = all(map(_is_public, places))
            outcome = await _dialled(places, port, host, context, address.certificates, proxy)
    except TimeoutError:
        outcome = "timeout"
    except OSError:
        outcome = "unreachable"
    if is_public or outcome == REACHED:
        return outcome
    await _wait_until(ends_at)
    return NOT_REACHED


async def _wait_until(then: float) -> None:
    await asyncio.sleep(then - asyncio.get_running_loop().time())


async def _resolved(host: str, port: int) -> list[str]:
    """Returns the numeric addresses of a host, which are dialled then: a name that leads elsewhere when it is asked again changes nothing.
    Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(place[0]) for *_, place in found))


def _is_public(place: str) -> bool:
    """Returns whether everybody could dial a numeric address; a name, which a proxy looks up, may lead anywhere."""
    try:
        address = ipaddress.ip_address(place.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        if address in NAT64:
            address = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        elif address.ipv4_mapped is not None:
            address = address.ipv4_mapped
    return address.is_global and not address.is_multicast


async def _dialled(
    places: Sequence[str],
    port: int,
    name: str,
    context: ssl.SSLContext,
    certificates: Sequence[bytes],
    proxy: Proxy | None,
) -> str:
    """Returns the outcome at the first of these places that answers, or at the last. Raises OSError, TimeoutError."""
    for place in places:
        try:
            _, writer = await open_stream(
                proxy,
                place,
                port,
                ADDRESS_SECONDS_MAX,
                ssl=context,
                server_hostname=name,
                ssl_shutdown_timeout=TLS_SHUTDOWN_SECONDS,
            )
        except PeerError as error:  # of the proxy
            return error.reason
        except ssl.SSLCertVerificationError:
            return OTHER_CERTIFICATE
        except ssl.SSLError:
            return "tls"
        except OSError:
            continue
        try:
            shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            return REACHED if pin_of(shown) in map(pin_of, certificates) else OTHER_CERTIFICATE
        finally:
            cut(writer)
    return "unreachable"
