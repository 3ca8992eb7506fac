"""Invitations in a running node: the guests that come by ours, and the hosts that we joined, who are asked what their person says.

What is noted, and what is believed, is in `sharing.inviting`; this part has the clock, the threads and the door.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol

from p2pshare.envelope.card_format import decode_card, split_versions
from p2pshare.envelope.invitation import (
    NONCE_BYTES,
    GuestIntroduced,
    HostIntroduced,
    InvitationLine,
    Joined,
    JoinState,
    Meeting,
    sign_as_host,
)
from p2pshare.envelope.keys import Secret
from p2pshare.errors import PeerError, ShareError
from p2pshare.identifiers import PartnerId
from p2pshare.node.node import Node
from p2pshare.node.proxy_login import proxy_of
from p2pshare.partners.invited import Joining, ask_pause
from p2pshare.peering.joining import ask_state
from p2pshare.peering.tls import TlsGate
from p2pshare.sharing import inviting

log = logging.getLogger(__name__)

LOOK_SECONDS = 60.0  # between two looks at what has ended; a question that is due comes earlier


class Writer(Protocol):
    """Runs a function in the thread that owns the store's writing side."""

    def __call__(self, function: Callable[..., Any], *arguments: Any) -> Awaitable[Any]: ...


class InvitationRounds:
    """The invitations of one daemon's life (`peering.interface.InvitationExchange`). All from one event loop.

    `has_confirmed` is called with the host whose person has said yes: it lets us in from now on.
    """

    def __init__(
        self, node: Node, writer: Writer, gate: TlsGate, has_confirmed: Callable[[PartnerId], None]
    ) -> None:
        self._node = node
        self._writer = writer
        self._gate = gate
        self._has_confirmed = has_confirmed
        self._asked_at: dict[PartnerId, float] = {}
        self._has_changed = asyncio.Event()

    async def follow(self) -> None:
        """Let in whoever holds an invitation that lives now, and look at once whether a host is to be asked."""
        now = int(time.time())
        pinned = await asyncio.to_thread(inviting.pinned_invitations, self._node.store, now)
        self._gate.expect_invited(one.certificate for one in pinned)
        self._has_changed.set()

    async def run(self) -> None:
        """Unpin what has ended, and ask hosts that we joined, for ever."""
        while True:
            self._has_changed.clear()
            try:
                await self._forget_ended()
                pause = await self._ask_hosts()
            except ShareError as error:
                log.error("invitations are not followed: %s", error.reason)
                pause = LOOK_SECONDS
            try:
                async with asyncio.timeout(pause):
                    await self._has_changed.wait()
            except TimeoutError:
                continue

    async def _forget_ended(self) -> None:
        now = int(time.time())
        pinned = await asyncio.to_thread(inviting.pinned_invitations, self._node.store, now)
        self._gate.expect_invited(one.certificate for one in pinned)

    async def _ask_hosts(self) -> float:
        """Ask the hosts whose turn it is; returns the seconds until the next one's."""
        now = time.time()
        due = LOOK_SECONDS
        for joining in await asyncio.to_thread(inviting.followed, self._node.store, int(now)):
            asked_at = max(self._asked_at.get(joining.host, 0.0), joining.joined_at)
            pause = ask_pause(now - joining.joined_at)
            if now - asked_at >= pause or asked_at > now:  # a clock may have been set back
                self._asked_at[joining.host] = now
                await self._ask_host(joining)
                due = min(due, pause)
            else:
                due = min(due, pause - (now - asked_at))
        return due

    async def _ask_host(self, joining: Joining) -> None:
        line = InvitationLine(joining.host, Secret(joining.secret), joining.expires, joining.address)
        certificates = decode_card(split_versions(joining.card)[-1]).body.tls_certificates
        try:
            state = await ask_state(line, certificates, proxy=proxy_of(self._node.config))
        except PeerError as error:
            log.info("host %s does not say how our joining stands: %s", joining.host.short, error.reason)
            return
        if state == JoinState.WAITING:
            return
        log.info("host %s has %s us", joining.host.short, state.name.lower())
        await self._writer(inviting.note_host_said, self._node, joining.host, joining.secret, state)
        if state == JoinState.CONFIRMED:
            self._has_confirmed(joining.host)

    # --- guests (peering.interface.InvitationExchange) ---

    def own_id(self) -> PartnerId:
        return self._node.card.partner_id

    async def begin_join(self, certificate: bytes) -> HostIntroduced:
        await self._writer(inviting.begin_join, self._node, certificate, int(time.time()))
        return HostIntroduced(secrets.token_bytes(NONCE_BYTES), self._node.card.raw)

    async def join(self, meeting: Meeting, said: GuestIntroduced, address: str) -> Joined:
        """Take a guest, to its end even if it is cut meanwhile."""
        now = int(time.time())
        card = await asyncio.to_thread(inviting.believe_guest, self._node, meeting, said, now)
        taking = partial(inviting.admit_guest, self._node, meeting, card, address, now)
        state: JoinState = await asyncio.shield(asyncio.ensure_future(self._writer(taking)))
        log.info("%s has joined by an invitation and waits for a person", card.partner_id.short)
        return Joined(
            await asyncio.to_thread(sign_as_host, self._node.identity.operational.sign, meeting), state
        )

    async def state_of(self, certificate: bytes) -> JoinState:
        return await asyncio.to_thread(inviting.told_state, self._node, certificate)
