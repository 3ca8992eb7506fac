"""Joining: how a node comes to a host's door by an invitation, and what it believes of whoever answers (docs/invitations.md).

The guest's certificate follows from the line and is worth nothing elsewhere, so it is shown to anybody; but no card and no
signature leaves before the host's card and the certificate that was shown prove the partner that the line names.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from p2pshare.config import url_address
from p2pshare.envelope.card import Card, believe_stranger
from p2pshare.envelope.invitation import (
    HOST_CARD_BEGINS,
    HOST_CARD_MESSAGE_BYTES_MAX,
    GuestIntroduced,
    InvitationLine,
    JoinBegun,
    JoinState,
    Meeting,
    StateAsked,
    check_host,
    check_inviter,
    commitment_to,
    decode_host_introduced,
    decode_joined,
    decode_state,
    encode_guest_introduced,
    encode_guest_opening,
    sign_as_guest,
)
from p2pshare.envelope.keys import SigningKey
from p2pshare.errors import ConfigError, PeerError
from p2pshare.peering.conversation import conversation
from p2pshare.peering.faults import PeerUnreachable, is_unknown_ca_alert
from p2pshare.peering.frames import read_message, write_message
from p2pshare.peering.proxies import Proxy
from p2pshare.peering.tls import guest_context

JOIN_SECONDS_MAX = 30  # as long as a host gives its guests
INVITATION_UNKNOWN = "invitation-unknown"
INVITATION_EXPIRED = "invitation-expired"
EXPIRED_ALERT = "SSLV3_ALERT_CERTIFICATE_EXPIRED"  # OpenSSL's word for alert 45 of RFC 8446 section 6


@dataclass(frozen=True, slots=True)
class Own:
    """What the guest brings: its card file, the newest sign key on it, and a nonce that nobody has seen (32 bytes)."""

    card: bytes
    key: SigningKey
    nonce: bytes


@dataclass(frozen=True, slots=True)
class Met:
    """The host, after its card and its signature held: the words to compare, and what its person has said so far."""

    card: Card
    words: str
    state: JoinState


async def join(
    line: InvitationLine,
    own: Own,
    now: int,
    *,
    connect_seconds: float = 10,
    seconds: float = JOIN_SECONDS_MAX,
    proxy: Proxy | None = None,
) -> Met:
    """Join by an invitation, at `now` (unix seconds). Raises PeerError with the reason, JoinRefused with the host's, PeerUnreachable
    (`invitation-unknown`: the host lets nobody in by such a line)."""
    guest_certificate = line.key().certificate
    async with _at_the_door(line, connect_seconds, seconds, proxy) as (reader, writer, server_certificate):
        commitment = commitment_to(own.nonce, own.card)
        await write_message(writer, encode_guest_opening(JoinBegun(commitment)))
        host = decode_host_introduced(
            await read_message(reader, HOST_CARD_BEGINS, HOST_CARD_MESSAGE_BYTES_MAX)
        )
        try:
            card = believe_stranger(host.card_file, line.host, now)
        except PeerError as error:
            if error.reason != "card-other-partner":
                raise
            raise PeerError(error.message, reason="not-the-inviter") from None
        check_inviter(line, card, server_certificate)
        meeting = Meeting(
            line.host,
            guest_certificate,
            server_certificate,
            host.card_file,
            own.card,
            commitment,
            host.nonce,
            own.nonce,
        )
        said = GuestIntroduced(own.nonce, own.card, sign_as_guest(own.key, meeting))
        await write_message(writer, encode_guest_introduced(said))
        joined = decode_joined(await read_message(reader))
        check_host(meeting, card, joined.signature, now)
        return Met(card, meeting.words(), joined.state)


async def ask_state(
    line: InvitationLine,
    certificates: tuple[bytes, ...],
    *,
    seconds: float = JOIN_SECONDS_MAX,
    proxy: Proxy | None = None,
) -> JoinState:
    """Returns what the person at the host has said; `certificates` (DER) are those on its card. Raises PeerError, JoinRefused,
    PeerUnreachable."""
    async with _at_the_door(line, seconds, seconds, proxy) as (reader, writer, server_certificate):
        if server_certificate not in certificates:
            raise PeerError("somebody else answers at the host's address", reason="not-the-inviter")
        await write_message(writer, encode_guest_opening(StateAsked()))
        return decode_state(await read_message(reader))


_Conversation = tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]
"""Reader, writer, and the certificate (DER) that the server showed."""


@contextlib.asynccontextmanager
async def _at_the_door(
    line: InvitationLine, connect_seconds: float, seconds: float, proxy: Proxy | None
) -> AsyncIterator[_Conversation]:
    try:
        host, port = url_address(line.url)
    except (ConfigError, ValueError):
        raise PeerError("the address in an invitation is not HOST:PORT", reason="malformed") from None
    context = guest_context(line.key(), ())
    with _translated_faults():
        async with conversation(
            host, port, context, proxy, connect_seconds=connect_seconds, seconds=seconds
        ) as (reader, writer):
            shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            yield reader, writer, shown


@contextlib.contextmanager
def _translated_faults() -> Iterator[None]:
    try:
        yield
    except PeerError:
        raise
    except TimeoutError:
        raise PeerUnreachable("no answer in time", reason="timeout") from None
    except ssl.SSLError as error:
        if is_unknown_ca_alert(error):
            raise PeerUnreachable("the host knows no such invitation", reason=INVITATION_UNKNOWN) from None
        if error.reason == EXPIRED_ALERT:
            raise PeerUnreachable("the invitation has ended", reason=INVITATION_EXPIRED) from None
        raise PeerUnreachable("no guest is let in", reason="tls") from None
    except OSError:
        raise PeerUnreachable("no connection", reason="unreachable") from None
