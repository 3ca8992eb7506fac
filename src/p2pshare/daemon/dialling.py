"""Dialling: the connections to partners, and the engine's requests performed over them.

One client a partner, made when it is first needed and closed when the partner leaves, changes its address or
its certificates. A card may name several addresses: after a failure the next one is tried.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from p2pshare.errors import PeerError
from p2pshare.identifiers import PartnerId
from p2pshare.partners.roster import Roster, RosterEntry
from p2pshare.peering.client import PeerAddress, PeerClient
from p2pshare.peering.interface import DialLimits
from p2pshare.peering.tls import TlsGate

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Line:
    """The way to reach one partner: its addresses, and the client of the one in use."""

    addresses: tuple[PeerAddress, ...]
    place: int = 0
    client: PeerClient | None = None
    shown: bytes = b""
    """The certificate of ours that the client shows."""


class Lines:
    """The lines to all partners we are linked with, whose certificates are pinned at the TLS gate. From one event loop."""

    def __init__(self, gate: TlsGate, limits: DialLimits) -> None:
        self._gate = gate
        self._limits = limits
        self._lines: dict[PartnerId, Line] = {}
        self._pinned: dict[PartnerId, tuple[bytes, ...]] = {}

    async def follow(self, roster: Roster) -> None:
        """Pin, unpin and re-address partners as the roster says; a partner that left is out from here on."""
        links = {entry.partner_id: entry for entry in roster.links()}
        for peer in [peer for peer in self._pinned if peer not in links]:
            self._gate.remove(peer)
            del self._pinned[peer]
        for peer, entry in links.items():
            self._pin(entry)
            self._gate.expect_from(peer, entry.card.urls)
        leaving = []
        for peer in [*self._lines, *links]:
            addresses = self._addresses(links[peer]) if peer in links else ()
            line = self._lines.get(peer)
            if line is not None and line.addresses != addresses:
                leaving.append(self._lines.pop(peer))
            if addresses and peer not in self._lines:
                self._lines[peer] = Line(addresses)
        await asyncio.gather(*(line.client.close() for line in leaving if line.client is not None))

    def _pin(self, entry: RosterEntry) -> None:
        peer, certificates = entry.partner_id, entry.card.tls_certificates
        if self._pinned.get(peer) == certificates:
            return
        try:
            self._gate.add(peer, certificates)
        except PeerError as error:
            self._gate.remove(peer)
            self._pinned.pop(peer, None)
            log.error("the TLS certificate of %s cannot be used: %s", entry.alias, error.reason)
            return
        self._pinned[peer] = certificates

    def _addresses(self, entry: RosterEntry) -> tuple[PeerAddress, ...]:
        """Returns where to dial, and which certificates may be shown there; none where every one is contested."""
        card = entry.card
        certificates = self._gate.uncontested(card.tls_certificates)
        if len(certificates) < len(card.tls_certificates):
            log.error("a TLS certificate of %s is another's, too, and pinned for neither", entry.alias)
        return tuple(PeerAddress(card.partner_id, url, certificates) for url in card.urls if certificates)

    def client(self, peer: PartnerId) -> PeerClient:
        """Returns the client of this partner. Raises PeerError when it has no address that can be dialled."""
        line = self._lines.get(peer)
        if line is None:
            raise PeerError("no address to dial", reason="no-address")
        if line.client is None:
            line.client = PeerClient(self._gate, line.addresses[line.place], self._limits)
            line.shown = self._gate.shown_certificate
        return line.client

    def shows_newest(self, peer: PartnerId) -> bool:
        """Returns whether the partner's client shows the certificate that is shown now: what is said about an older one is no
        news."""
        line = self._lines.get(peer)
        return line is not None and line.shown == self._gate.shown_certificate

    async def note_failure(self, peer: PartnerId) -> None:
        """Note that the address in use did not answer: the next one is tried, where there is one, or this one with another
        certificate of ours."""
        line = self._lines.get(peer)
        if line is None or (len(line.addresses) < 2 and line.shown == self._gate.shown_certificate):
            return
        line.place = (line.place + 1) % len(line.addresses)
        client, line.client = line.client, None
        if client is not None:
            await client.close()

    async def hang_up(self) -> None:
        """End every connection; the next request dials anew, with the certificate that the gate shows by then."""
        clients = [line.client for line in self._lines.values() if line.client is not None]
        for line in self._lines.values():
            line.client = None
        await asyncio.gather(*(client.close() for client in clients))

    async def close(self) -> None:
        """End every connection."""
        lines, self._lines = self._lines, {}
        await asyncio.gather(*(line.client.close() for line in lines.values() if line.client is not None))
