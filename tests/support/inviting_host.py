"""A host for one guest, in a thread of its own: what `join` is tried against where no whole node listens.

Its listener checks no certificate, so clocks of tests may stand anywhere; what is said is what a node's door says.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
import threading
from contextlib import suppress

from p2pshare.envelope.invitation import (
    GuestIntroduced,
    HostIntroduced,
    InvitationLine,
    Joined,
    JoinState,
    Meeting,
    encode_line,
    sign_as_host,
)
from p2pshare.envelope.keys import Identity, Secret
from p2pshare.http_server.tls import hardened_context, load_own_key
from p2pshare.identifiers import PartnerId
from p2pshare.peering.frames import hang_up
from p2pshare.peering.invited_guests import converse

WAITING_SECONDS = 60.0


class OneInvitation:
    """Believes every guest (`peering.interface.InvitationExchange`)."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    def own_id(self) -> PartnerId:
        return self._identity.partner_id

    async def begin_join(self, certificate: bytes) -> HostIntroduced:
        return HostIntroduced(secrets.token_bytes(32), self._identity.card.raw)

    async def join(self, meeting: Meeting, said: GuestIntroduced, address: str) -> Joined:
        return Joined(sign_as_host(self._identity.operational.sign, meeting), JoinState.WAITING)

    async def state_of(self, certificate: bytes) -> JoinState:
        return JoinState.WAITING


def host_one_guest(identity: Identity, now: int) -> str:
    """Returns the line of an invitation whose host waits a minute for its one guest; its clock stands at `now`."""
    started: list[int] = []
    is_listening = threading.Event()
    secret = Secret(secrets.token_bytes(16))

    async def serve() -> None:
        tls = identity.operational.tls
        context = hardened_context(ssl.PROTOCOL_TLS_SERVER)
        load_own_key(context, tls.certificate, tls.secret().reveal())
        has_met = asyncio.Event()

        async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            certificate = line_at(started[0]).key().certificate
            await converse(
                reader,
                writer,
                OneInvitation(identity),
                certificate=certificate,
                server_certificate=tls.certificate,
                address="127.0.0.1",
            )
            await hang_up(writer)
            has_met.set()

        server = await asyncio.start_server(meet, "127.0.0.1", 0, ssl=context)
        started.append(server.sockets[0].getsockname()[1])
        is_listening.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(WAITING_SECONDS):
                await has_met.wait()
        server.close()

    def line_at(port: int) -> InvitationLine:
        return InvitationLine(identity.partner_id, secret, now + 3_600, f"127.0.0.1:{port}")

    threading.Thread(target=lambda: asyncio.run(serve()), daemon=True).start()
    is_listening.wait()
    return encode_line(line_at(started[0]))
