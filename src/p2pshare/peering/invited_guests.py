"""What is said with the guest of an invitation, who shows the certificate that follows from its line (docs/invitations.md).

A guest that is refused is told the reason: it may be the partner that was meant, and a person has to know.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from typing import Any

from p2pshare.envelope.invitation import (
    GUEST_CARD_BEGINS,
    GUEST_CARD_MESSAGE_BYTES_MAX,
    JoinBegun,
    Meeting,
    StateAsked,
    decode_guest_introduced,
    decode_guest_opening,
    encode_host_introduced,
    encode_join_refusal,
    encode_joined,
    encode_state,
)
from p2pshare.errors import PeerError
from p2pshare.http_server.tally import Tally
from p2pshare.http_server.tls import Pin
from p2pshare.peering.faults import PeerUnreachable
from p2pshare.peering.frames import end_of, read_message, write_message
from p2pshare.peering.guest_places import JOINED, STATE_TOLD, GuestLimits, GuestPlaces
from p2pshare.peering.interface import InvitationExchange
from p2pshare.peering.tls import TlsGate

LIMITS = GuestLimits(guests=8, of_group=2, per_minute=240, per_group_per_minute=30)
"""8 at once have 64 MiB with card files of the largest size. Two of one invitation: a connection that is made anew finds room, and who
has a line keeps nobody else out. A node asks every two seconds at most, eight that have just joined 240 times a minute."""


class InvitedDoor(GuestPlaces):
    """The guests of all invitations of one server, in places of their own: whoever knocks takes none of them."""

    reason_of_group = "too-many-of-invitation"

    def __init__(
        self,
        exchange: InvitationExchange,
        gate: TlsGate,
        tally: Tally[Any],
        outcomes: Counter[str],
        limits: GuestLimits | None = None,
    ) -> None:
        super().__init__(gate, tally, outcomes, limits or LIMITS)
        self._exchange = exchange

    def is_guest(self, pin: Pin | None) -> bool:
        return self._gate.invited(pin) is not None

    def group_of(self, pin: Pin | None, host: str) -> str:
        return "" if pin is None else pin.hex()

    async def converse(self, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        return await converse(
            reader,
            writer,
            self._exchange,
            certificate=writer.get_extra_info("ssl_object").getpeercert(binary_form=True),
            server_certificate=self._gate.shown_certificate,
            address=host,
        )


async def converse(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    exchange: InvitationExchange,
    *,
    certificate: bytes,
    server_certificate: bytes,
    address: str,
) -> str:
    """Speak with a guest that showed `certificate`, and was shown `server_certificate` (DER). Returns what came of it. Raises
    ShareError, OSError."""
    try:
        match decode_guest_opening(await read_message(reader)):
            case StateAsked():
                answer, outcome = encode_state(await exchange.state_of(certificate)), STATE_TOLD
            case JoinBegun(commitment):
                answer = await _meet(
                    reader, writer, exchange, certificate, server_certificate, commitment, address
                )
                outcome = JOINED
    except PeerUnreachable:
        raise
    except PeerError as error:
        with contextlib.suppress(OSError, PeerError):  # it may say more than the conversation has
            await write_message(writer, encode_join_refusal(error.reason))
            await end_of(reader)
        raise
    await write_message(writer, answer)
    with contextlib.suppress(OSError):
        await end_of(reader)
    return outcome


async def _meet(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    exchange: InvitationExchange,
    certificate: bytes,
    server_certificate: bytes,
    commitment: bytes,
    address: str,
) -> bytes:
    """Returns message 4, after the guest's third message held. Raises PeerError, OSError."""
    introduced = await exchange.begin_join(certificate)
    await write_message(writer, encode_host_introduced(introduced))
    said = decode_guest_introduced(
        await read_message(reader, GUEST_CARD_BEGINS, GUEST_CARD_MESSAGE_BYTES_MAX)
    )
    meeting = Meeting(
        exchange.own_id(),
        certificate,
        server_certificate,
        introduced.card_file,
        said.card_file,
        commitment,
        introduced.nonce,
        said.nonce,
    )
    return encode_joined(await exchange.join(meeting, said, address))
