"""The guests' door: a few words with whoever shows a certificate that follows from our card, in place of HTTP (docs/card.md).

A guest is nobody: it holds a card of ours, as many do. So all of them together are bounded, whatever they say or keep silent:

1. places: GUESTS_MAX at once, the one that has been here longest makes room
2. rate: GUESTS_PER_MINUTE_MAX, of one address GUESTS_PER_ADDRESS_PER_MINUTE_MAX
3. time: GUEST_SECONDS_MAX each
4. bytes and memory: one message of 64 KiB, or one card file (`peering.frames`)
5. work: what the exchange does about a card file that no known root signed (`sharing.partners.sift_card`): one version is looked at;
   about one who asks for a place among the pending partners: two signatures, and a row in the store (`sharing.pending`)

They take nothing from partners: their handshakes wait in the rooms of everybody (`http_server.handshake_places`), and no address becomes
known for a guest.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections import Counter, deque
from dataclasses import dataclass
from functools import partial
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
from p2pshare.errors import ShareError
from p2pshare.http_server.connection import place_of
from p2pshare.http_server.known_addresses import origin_of
from p2pshare.http_server.tally import Tally
from p2pshare.http_server.tls import Pin
from p2pshare.peering.frames import READ_BUFFER_BYTES, cut, end_of, hang_up, read_message, write_message
from p2pshare.peering.interface import GuestExchange
from p2pshare.peering.tls import TlsGate

logger = logging.getLogger(__name__)

GUESTS_MAX = 4  # at once: 8 MiB each with a card file of the largest size
GUESTS_PER_MINUTE_MAX = 60  # a partner knocks once a day
GUESTS_PER_ADDRESS_PER_MINUTE_MAX = 12  # who keeps others out needs five addresses for it
GUEST_SECONDS_MAX = 30  # a card file of 4 MiB at 140 KiB/s; a usual one takes two round trips
MINUTE_SECONDS = 60.0

CARD_TAKEN = "card-taken"
CARD_GIVEN = "card-given"
NOTHING_NEW = "nothing-new"
PLACE_TAKEN = "place-taken"
SERVED = frozenset({CARD_TAKEN, CARD_GIVEN, NOTHING_NEW, PLACE_TAKEN})
"""Outcomes of guests; all others are reasons for which one was refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestLimits:
    """The limits of the guests' door; tests narrow them."""

    guests: int = GUESTS_MAX
    per_minute: int = GUESTS_PER_MINUTE_MAX
    per_address_per_minute: int = GUESTS_PER_ADDRESS_PER_MINUTE_MAX
    seconds: float = GUEST_SECONDS_MAX


class GuestDoor:
    """The guests of one server. All from one event loop; `outcomes` counts each guest once, by what came of it."""

    def __init__(
        self, exchange: GuestExchange, gate: TlsGate, tally: Tally[Any], limits: GuestLimits | None = None
    ) -> None:
        self.outcomes: Counter[str] = Counter()
        self._exchange = exchange
        self._gate = gate
        self._tally = tally
        self._limits = limits or GuestLimits()
        self._guests: dict[asyncio.Task[None], asyncio.StreamWriter] = {}  # who came first stands first
        self._came: deque[tuple[float, str]] = deque()  # of the last minute: when, and from which address

    def protocol_of(self, pin: Pin | None, host: str) -> asyncio.Protocol | None:
        """Returns what is spoken with a guest (`http_server.connection.ProtocolOf`); None for whoever is none."""
        if not self._gate.is_guest(pin):
            return None
        if reason := self._reason_to_refuse(host):
            self._count(reason)
            return _Unwelcome()
        return asyncio.StreamReaderProtocol(
            asyncio.StreamReader(READ_BUFFER_BYTES), partial(self._come_in, host)
        )

    async def close(self) -> None:
        """Cut all guests."""
        guests = list(self._guests)
        for guest in guests:
            self._cut(guest)
        await asyncio.gather(*guests, return_exceptions=True)

    def _reason_to_refuse(self, host: str) -> str:
        now = asyncio.get_running_loop().time()
        while self._came and now - self._came[0][0] >= MINUTE_SECONDS:
            self._came.popleft()
        address = origin_of(host).address if host else ""  # none of a connection that was reset
        if len(self._came) >= self._limits.per_minute:
            return "too-many"
        if sum(address == other for _, other in self._came) >= self._limits.per_address_per_minute:
            return "too-many-of-address"
        self._came.append((now, address))
        return ""

    def _come_in(self, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._guests) >= self._limits.guests:
            self._cut(next(iter(self._guests)))
            self._count("overtaken")
        guest = asyncio.create_task(self._serve(host, reader, writer))
        self._guests[guest] = writer

    def _cut(self, guest: asyncio.Task[None]) -> None:
        cut(self._guests.pop(guest))  # here, too: a task that has not begun ends without its last words
        guest.cancel()

    async def _serve(self, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(self._limits.seconds):
                outcome = await self._converse(host, reader, writer)
                await hang_up(writer)
        except ShareError as error:
            outcome = error.reason
        except TimeoutError:
            outcome = "too-slow"
        except OSError:
            outcome = "cut-off"
        except Exception as error:  # noqa: BLE001 - the boundary: a bug of ours costs one guest
            logger.error("internal error: %s", place_of(error))
            outcome = "internal"
        finally:
            cut(writer)
            guest = asyncio.current_task()
            assert guest is not None
            self._guests.pop(
                guest, None
            )  # now: whoever comes next must not overtake, and count, one that has ended
        self._count(outcome)

    async def _converse(self, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        """Returns what came of it. Raises ShareError, OSError."""
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

    def _count(self, outcome: str) -> None:
        self.outcomes[outcome] += 1
        if outcome not in SERVED:
            self._tally.refuse(None, f"guest-{outcome}")


class _Unwelcome(asyncio.Protocol):
    """A guest that gets no word."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.abort()  # type: ignore[attr-defined]
