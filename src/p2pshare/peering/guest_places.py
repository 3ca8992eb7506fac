"""Guests: places, rate and time for those who come to the door without being partners, whatever they say or keep silent.

A guest is nobody. So all of a kind together are bounded: how many at once, how many in a minute, those that have something in
common among them; each has GUEST_SECONDS_MAX, and one message at a time (`peering.frames`). What is said is of each kind
(`peering.guest_door`, `peering.invited_guests`).
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections import Counter, deque
from dataclasses import dataclass
from functools import partial
from typing import Any

from p2pshare.errors import ShareError
from p2pshare.http_server.connection import place_of
from p2pshare.http_server.tally import Tally
from p2pshare.http_server.tls import Pin
from p2pshare.peering.frames import READ_BUFFER_BYTES, cut, hang_up
from p2pshare.peering.tls import TlsGate

logger = logging.getLogger(__name__)

GUEST_SECONDS_MAX = 30  # a card file of 4 MiB at 140 KiB/s; a usual one takes two round trips
MINUTE_SECONDS = 60.0

CARD_TAKEN = "card-taken"
CARD_GIVEN = "card-given"
NOTHING_NEW = "nothing-new"
PLACE_TAKEN = "place-taken"
JOINED = "joined"
STATE_TOLD = "state-told"
SERVED = frozenset({CARD_TAKEN, CARD_GIVEN, NOTHING_NEW, PLACE_TAKEN, JOINED, STATE_TOLD})
"""Outcomes of guests; all others are reasons for which one was refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestLimits:
    """The limits of one kind of guests; tests narrow them. `guests` at once, `of_group` of them with something in common (None: no
    such limit); how many in a minute, of all and of those with something in common; and the seconds that one may stay."""

    guests: int
    per_minute: int
    per_group_per_minute: int
    of_group: int | None = None
    seconds: float = GUEST_SECONDS_MAX


class GuestPlaces(ABC):
    """The places for one kind of guests. All from one event loop; `outcomes` counts each guest once, by what came of it."""

    reason_of_group = "too-many-of-address"

    def __init__(self, gate: TlsGate, tally: Tally[Any], outcomes: Counter[str], limits: GuestLimits) -> None:
        self.outcomes = outcomes
        self._gate = gate
        self._tally = tally
        self._limits = limits
        self._guests: dict[asyncio.Task[None], _Place] = {}  # who came first stands first
        self._came: deque[tuple[float, str]] = deque()  # of the last minute: when, and of which group

    @abstractmethod
    def is_guest(self, pin: Pin | None) -> bool:
        """Returns whether who shows a certificate with this pin is of this kind."""

    @abstractmethod
    def group_of(self, pin: Pin | None, host: str) -> str:
        """Returns what some guests have in common, of whom not too many may come: their address, their invitation."""

    @abstractmethod
    async def converse(self, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        """Speak with a guest that came from the address `host`; returns what came of it. Raises ShareError, OSError."""

    def protocol_of(self, pin: Pin | None, host: str) -> asyncio.Protocol | None:
        """Returns what is spoken with a guest (`http_server.connection.ProtocolOf`); None for whoever is none of this kind."""
        if not self.is_guest(pin):
            return None
        group = self.group_of(pin, host)
        if reason := self._reason_to_refuse(group):
            self._count(reason)
            return _Unwelcome()
        return asyncio.StreamReaderProtocol(
            asyncio.StreamReader(READ_BUFFER_BYTES), partial(self._come_in, host, group)
        )

    async def close(self) -> None:
        """Cut all guests."""
        guests = list(self._guests)
        for guest in guests:
            self._cut(guest)
        await asyncio.gather(*guests, return_exceptions=True)

    def _reason_to_refuse(self, group: str) -> str:
        now = asyncio.get_running_loop().time()
        while self._came and now - self._came[0][0] >= MINUTE_SECONDS:
            self._came.popleft()
        if len(self._came) >= self._limits.per_minute:
            return "too-many"
        if sum(group == other for _, other in self._came) >= self._limits.per_group_per_minute:
            return self.reason_of_group
        self._came.append((now, group))
        return ""

    def _come_in(
        self, host: str, group: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if (overtaken := self._who_makes_room(group)) is not None:
            self._cut(overtaken)
            self._count("overtaken")
        guest = asyncio.create_task(self._serve(host, reader, writer))
        self._guests[guest] = _Place(writer, group)

    def _who_makes_room(self, group: str) -> asyncio.Task[None] | None:
        """Returns the guest that goes when one of this group comes in; None while there is room."""
        same = [guest for guest, place in self._guests.items() if place.group == group]
        if self._limits.of_group is not None and len(same) >= self._limits.of_group:
            return same[0]
        return next(iter(self._guests)) if len(self._guests) >= self._limits.guests else None

    def _cut(self, guest: asyncio.Task[None]) -> None:
        cut(
            self._guests.pop(guest).writer
        )  # here, too: a task that has not begun ends without its last words
        guest.cancel()

    async def _serve(self, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(self._limits.seconds):
                outcome = await self.converse(host, reader, writer)
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

    def _count(self, outcome: str) -> None:
        self.outcomes[outcome] += 1
        if outcome not in SERVED:
            self._tally.refuse(None, f"guest-{outcome}")


@dataclass(frozen=True, slots=True)
class _Place:
    """One guest's connection, and what it has in common with others."""

    writer: asyncio.StreamWriter
    group: str


class _Unwelcome(asyncio.Protocol):
    """A guest that gets no word."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.abort()  # type: ignore[attr-defined]
