"""The guests' door: a few words with whoever shows a certificate that follows from our card, in place of HTTP (docs/card.md).

A guest is nobody: it holds a card of ours, as many do. So all of them together are bounded, whatever they say or keep silent:

1. places: GUESTS_MAX at once, the one that has been here longest makes room
2. rate: GUESTS_PER_MINUTE_MAX, of one address GUESTS_PER_ADDRESS_PER_MINUTE_MAX
3. time: `guest_places.GUEST_SECONDS_MAX` each
4. bytes and memory: one message of 64 KiB, or one card file (`peering.frames`)
5. work: what the exchange does about a card file that no known root signed (`sharing.partners.sift_card`): one version is looked at;
   about one who asks for a place among the pending partners: two signatures, and a row in the store (`sharing.pending`)

They take nothing from partners: their handshakes wait in the rooms of everybody (`http_server.handshake_places`), and no address becomes
known for a guest. Guests of an invitation have places of their own (`peering.invited_guests`).
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import Counter
from typing import Any

from p2pshare.envelope.knock import (
    CARD_HANDED_BEGINS,
    NONCE_BYTES,
    CardAsked,
    CardHanded,
    KnockGreeting,
    PlaceAsked,
    decode_knock,
    encode_card_given,
    encode_greeting,
)
from p2pshare.http_server.known_addresses import origin_of
from p2pshare.http_server.tally import Tally
from p2pshare.http_server.tls import Pin
from p2pshare.peering.frames import end_of, read_message, write_message
from p2pshare.peering.guest_places import (
    CARD_GIVEN,
    CARD_TAKEN,
    GUEST_SECONDS_MAX,
    NOTHING_NEW,
    PLACE_TAKEN,
    GuestLimits,
    GuestPlaces,
)
from p2pshare.peering.interface import GuestExchange
from p2pshare.peering.tls import TlsGate

GUESTS_MAX = 4  # at once: 8 MiB each with a card file of the largest size
GUESTS_PER_MINUTE_MAX = 60  # a partner knocks once a day
GUESTS_PER_ADDRESS_PER_MINUTE_MAX = 12  # who keeps others out needs five addresses for it


def guest_limits(
    *,
    guests: int = GUESTS_MAX,
    per_minute: int = GUESTS_PER_MINUTE_MAX,
    per_address_per_minute: int = GUESTS_PER_ADDRESS_PER_MINUTE_MAX,
    seconds: float = GUEST_SECONDS_MAX,
) -> GuestLimits:
    """Returns the limits of who knocks; tests narrow them."""
    return GuestLimits(
        guests=guests, per_minute=per_minute, per_group_per_minute=per_address_per_minute, seconds=seconds
    )


class GuestDoor(GuestPlaces):
    """Those who knock at one server."""

    def __init__(
        self,
        exchange: GuestExchange,
        gate: TlsGate,
        tally: Tally[Any],
        outcomes: Counter[str],
        limits: GuestLimits | None = None,
    ) -> None:
        super().__init__(gate, tally, outcomes, limits or guest_limits())
        self._exchange = exchange

    def is_guest(self, pin: Pin | None) -> bool:
        return self._gate.is_guest(pin)

    def group_of(self, pin: Pin | None, host: str) -> str:
        return origin_of(host).address if host else ""  # none of a connection that was reset

    async def converse(self, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        greeting = KnockGreeting(secrets.token_bytes(NONCE_BYTES), self._exchange.own_version())
        await write_message(writer, encode_greeting(greeting))
        match decode_knock(await read_message(reader, CARD_HANDED_BEGINS)):
            case CardHanded(card_file):
                return CARD_TAKEN if await self._exchange.take_card(card_file) else NOTHING_NEW
            case CardAsked():
                await write_message(writer, encode_card_given(self._exchange.own_card()))
                with contextlib.suppress(OSError):
                    await end_of(reader)
                return CARD_GIVEN
            case PlaceAsked() as place:
                is_noted = await self._exchange.take_place(place, greeting.nonce, host)
                return PLACE_TAKEN if is_noted else NOTHING_NEW
