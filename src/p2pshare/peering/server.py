"""The server for partners: its callers are pinned, and its routes are the gossip verbs. Beside it, on the same port, the guests' door."""

from __future__ import annotations

import asyncio
from collections import Counter

from p2pshare.http_server.interface import Route
from p2pshare.http_server.refusals import HttpRefusal
from p2pshare.http_server.server import HttpServer
from p2pshare.http_server.tls import Pin
from p2pshare.identifiers import PartnerId
from p2pshare.peering.faults import answer_to, encode_refusal
from p2pshare.peering.guest_door import GuestDoor, GuestLimits
from p2pshare.peering.interface import DoorLimits, GuestExchange, PeerExchange
from p2pshare.peering.routes import route_of
from p2pshare.peering.tls import TlsGate


class PartnerService:
    """The service for the partners that `gate` has pinned, from `exchange` (`http_server.interface.Service`)."""

    content_type = "application/msgpack"

    def __init__(self, exchange: PeerExchange, gate: TlsGate) -> None:
        self._exchange = exchange
        self._gate = gate

    def caller_of(self, pin: Pin | None) -> PartnerId | None:
        return self._gate.partner_of(pin)

    def route_of(self, method: str, path: str) -> Route[PartnerId]:
        return route_of(self._exchange, method, path)

    def refusal_of(self, error: Exception) -> HttpRefusal:
        return answer_to(error)

    def encode_refusal(self, refusal: HttpRefusal) -> bytes:
        return encode_refusal(refusal)


class PeerServer(HttpServer[PartnerId]):
    """A server for partners, from `start` to `stop`; all from one event loop."""

    def __init__(
        self,
        exchange: PeerExchange,
        gate: TlsGate,
        limits: DoorLimits | None = None,
        guests: GuestExchange | None = None,
        guest_limits: GuestLimits | None = None,
    ) -> None:
        """Make a server that does not listen yet; without `guests` nobody is let in but partners."""
        self.guest_outcomes: Counter[str] = Counter()
        self._gate = gate
        self._guest_door: GuestDoor | None = None
        super().__init__(
            PartnerService(exchange, gate),
            gate.server_context(),
            limits or DoorLimits(),
            gate.known_addresses,
            self._guest_protocol,
        )
        if guests is not None:
            self._guest_door = GuestDoor(guests, gate, self.tally, guest_limits)
            self.guest_outcomes = self._guest_door.outcomes

    def _guest_protocol(self, pin: Pin | None, host: str) -> asyncio.Protocol | None:
        return None if self._guest_door is None else self._guest_door.protocol_of(pin, host)

    async def stop(self) -> None:
        await super().stop()
        if self._guest_door is not None:
            await self._guest_door.close()

    def drop(self, partner_id: PartnerId) -> None:
        """Unpin the partner and cut its connections now, also in the middle of a request."""
        self._gate.remove(partner_id)
        self.forget(partner_id)
