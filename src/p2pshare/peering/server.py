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
from p2pshare.peering.guest_door import GuestDoor
from p2pshare.peering.guest_places import GuestLimits
from p2pshare.peering.interface import DoorLimits, GuestExchange, InvitationExchange, PeerExchange
from p2pshare.peering.invited_guests import InvitedDoor
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
        invitations: InvitationExchange | None = None,
        invited_limits: GuestLimits | None = None,
    ) -> None:
        """Make a server that does not listen yet; without `guests` and `invitations` nobody is let in but partners."""
        self.guest_outcomes: Counter[str] = Counter()
        self._gate = gate
        self._guest_door: GuestDoor | None = None
        self._invited_door: InvitedDoor | None = None
        super().__init__(
            PartnerService(exchange, gate),
            gate.server_context(),
            limits or DoorLimits(),
            gate.known_addresses,
            self._guest_protocol,
        )
        if guests is not None:
            self._guest_door = GuestDoor(guests, gate, self.tally, self.guest_outcomes, guest_limits)
        if invitations is not None:
            self._invited_door = InvitedDoor(
                invitations, gate, self.tally, self.guest_outcomes, invited_limits
            )

    def _guest_protocol(self, pin: Pin | None, host: str) -> asyncio.Protocol | None:
        for door in (self._guest_door, self._invited_door):
            protocol = None if door is None else door.protocol_of(pin, host)
            if protocol is not None:
                return protocol
        return None

    async def stop(self) -> None:
        await super().stop()
        for door in (self._guest_door, self._invited_door):
            if door is not None:
                await door.close()

    def drop(self, partner_id: PartnerId) -> None:
        """Unpin the partner and cut its connections now, also in the middle of a request."""
        self._gate.remove(partner_id)
        self.forget(partner_id)
