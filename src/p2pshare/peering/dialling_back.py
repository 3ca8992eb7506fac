"""Dialling back: a partner asks whether it can be reached where its card says (docs/transport.md, "Dialling back").

What one may have another do by it is bounded: only the addresses on the asker's own card, which are dialled anyway; a TLS handshake
each, one after another, and nothing said; one asker at a time, and each at most once a minute.
"""

from __future__ import annotations

import asyncio
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
from p2pshare.peering.tls import TlsGate

REACHED = "reached"
ADDRESS_SECONDS_MAX = 5.0  # of one address; a card has eight at most
SECONDS_MAX = 40.0  # of all of them: below what a request may take
PARTNER_PAUSE_SECONDS = 60.0  # between two times of one partner: a person looks, mends, and looks again
BUSY_PAUSE_SECONDS = 10.0  # while another one is dialled


class DiallingBack:
    """Who is dialled back, and when; all from one event loop. `now` is any clock in seconds that never goes back."""

    def __init__(self, gate: TlsGate, now: Callable[[], float]) -> None:
        self._gate = gate
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
            return tuple([await _outcome(self._gate, address) for address in addresses])
        finally:
            self._is_dialling = False
            earliest = self._now() - PARTNER_PAUSE_SECONDS
            self._last = {one: at for one, at in self._last.items() if at > earliest}


async def _outcome(gate: TlsGate, address: PeerAddress) -> str:
    try:
        host, port = url_address(address.url)
        context = gate.client_context(address.certificates)
    except (ConfigError, ValueError):
        return "bad-url"
    except PeerError as error:
        return error.reason
    try:
        async with asyncio.timeout(ADDRESS_SECONDS_MAX):
            _, writer = await asyncio.open_connection(
                host, port, ssl=context, ssl_shutdown_timeout=TLS_SHUTDOWN_SECONDS
            )
    except TimeoutError:
        return "timeout"
    except ssl.SSLCertVerificationError:
        return OTHER_CERTIFICATE
    except ssl.SSLError:
        return "tls"
    except OSError:
        return "unreachable"
    try:
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        pins = {pin_of(certificate) for certificate in address.certificates}
        return REACHED if pin_of(shown) in pins else OTHER_CERTIFICATE
    finally:
        cut(writer)
