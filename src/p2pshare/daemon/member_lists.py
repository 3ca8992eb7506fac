"""Member lists: those of linked introducers are fetched by the hour, ours are given out and renewed (docs/introductions.md).

Rules:

1. A list is fetched when its introducer is connected first in this life, then every LIST_SECONDS; a minute later after a fault, and
   while the one that is held counts no more.
2. What a list says is for `sharing.introducing` to judge; what is fetched for a person is handed on as it came, in a file.
3. Time alone suspends, too: introductions are reviewed every REVIEW_SECONDS, and where the clock is in doubt by the earliest that it may be.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from p2pshare.errors import NotFoundError, PeerError, ShareError, StoreError
from p2pshare.gossip.moment import Moment
from p2pshare.identifiers import CircleId, PartnerId
from p2pshare.limits import INTRODUCTION_BYTES_MAX
from p2pshare.node.node import Progress
from p2pshare.peering.client import PeerClient
from p2pshare.peering.faults import PeerBusy, PeerUnreachable
from p2pshare.sharing.exchange import Exchange

log = logging.getLogger(__name__)

LIST_SECONDS = 3_600.0
LIST_AGAIN_SECONDS = 60.0
LOOK_SECONDS = 5.0  # between two looks whether a list is due: a question of the store
REVIEW_SECONDS = 60.0
BUSY_PAUSES_MAX = 10  # of one fetch: a partner that is asked for a thousand cards may want to rest


class Lined(Protocol):
    """What the rounds need of the driver: a partner's client, whether it is connected, and what is known of the time."""

    def client_of(self, peer: PartnerId) -> PeerClient: ...
    def is_connected(self, peer: PartnerId) -> bool: ...
    def roster_changed(self) -> None: ...
    @property
    def moment(self) -> Moment: ...


class MemberListRounds:
    """What a daemon does for member lists; `read` and `write` run functions beside the event loop, and in the writer thread."""

    def __init__(
        self,
        exchange: Exchange,
        lined: Lined,
        read: Callable[..., Awaitable[Any]],
        write: Callable[..., Awaitable[Any]],
    ) -> None:
        self._exchange = exchange
        self._lined = lined
        self._read = read
        self._write = write
        self._fetched: dict[tuple[PartnerId, CircleId], tuple[float, bool]] = {}
        """When each list was asked for last, and whether its introducer answered."""
        self._review_at = 0.0

    async def look(self) -> None:
        """Fetch the lists that are due, and review introductions from time to time. Raises nothing that the daemon could not bear."""
        now = asyncio.get_running_loop().time()
        try:
            if now >= self._review_at:
                self._review_at = now + REVIEW_SECONDS
                if await self._write(self._exchange.review, int(self._lined.moment.earliest)):
                    self._lined.roster_changed()
            time_now = int(self._lined.moment.now)
            for introducer, circle, is_void in await self._read(self._exchange.introducers, time_now):
                at, was_heard = self._fetched.get((introducer, circle), (-LIST_SECONDS, False))
                pause = LIST_SECONDS if was_heard and not is_void else LIST_AGAIN_SECONDS
                if now >= at + pause and self._lined.is_connected(introducer):
                    self._fetched[introducer, circle] = now, await self._fetch(introducer, circle)
        except StoreError as error:
            log.error("member lists are not followed: %s", error.reason)

    async def _fetch(self, introducer: PartnerId, circle: CircleId) -> bool:
        """Fetch one list; returns whether the introducer answered. Raises StoreError."""
        try:
            raw = await self._lined.client_of(introducer).members(circle)
        except (PeerUnreachable, PeerBusy):
            return False
        except PeerError as error:
            log.info("partner %s gives out no member list: %s", introducer.short, error.reason)
            return True
        moment = self._lined.moment
        if await self._write(self._exchange.take_members, introducer, circle, raw, int(moment.now), moment):
            log.info("partner %s has a newer member list", introducer.short)
            self._lined.roster_changed()
        return True

    async def fetch_file(self, peer: PartnerId, circle: CircleId, progress: Progress) -> bytes:
        """Returns the file of a linked partner's newest list, with the cards of those on it that are no partners here, as far as the
        partner gives them and one file has room for them. Nothing is verified. Raises ShareError."""
        client = self._lined.client_of(peer)
        try:
            raw = await client.members(circle)
        except PeerUnreachable:
            raise
        except PeerError as error:
            raise NotFoundError(
                "the partner has no member list of this circle for us",
                hint="its person makes one: `p2pshare introduce export FILE`",
                reason=error.reason,
            ) from None
        wanted = await self._read(self._exchange.cards_missing, raw)
        cards: list[bytes] = []
        room = INTRODUCTION_BYTES_MAX  # else a partner has us hold a thousand chains of 4 MiB
        for number, member in enumerate(wanted):
            progress("cards fetched", number, len(wanted))
            card = await _chain(client, member)
            room -= len(card or b"")
            if room < 0:
                break
            if card is not None:
                cards.append(card)
        return bytes(await self._read(self._exchange.introduction_file, raw, cards))


async def _chain(client: PeerClient, member: PartnerId) -> bytes | None:
    """Returns the card file of a member; None where the partner gives none. Raises PeerUnreachable."""
    for _ in range(BUSY_PAUSES_MAX):
        try:
            return await client.chain(member)
        except PeerBusy as busy:
            await asyncio.sleep(busy.retry_after_seconds)
        except PeerUnreachable:
            raise
        except ShareError:
            return None
    return None
