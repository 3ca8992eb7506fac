"""Knocking: how a node comes to another's door as a guest, when it is not let in as a partner (docs/card.md).

Two occasions. The pinned server does not accept our certificate: it is handed our card, and asked for a place among those whom a person
there looks at. Or the server shows another certificate than its card names: it is asked for its card, and nothing is believed of it but
a card, which its roots have signed.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from p2pshare.config import url_address
from p2pshare.envelope.card import Card
from p2pshare.envelope.certificate import TlsKey
from p2pshare.envelope.guest import knock_key
from p2pshare.envelope.knock import (
    CARD_GIVEN_BEGINS,
    CardAsked,
    CardHanded,
    decode_card_given,
    decode_greeting,
    encode_knock,
    place_asked,
)
from p2pshare.errors import ConfigError, PeerError
from p2pshare.peering.client import PeerAddress
from p2pshare.peering.conversation import Conversation, conversation
from p2pshare.peering.faults import (
    CERTIFICATE_REFUSED,
    OTHER_CERTIFICATE,
    PeerUnreachable,
    is_unknown_ca_alert,
)
from p2pshare.peering.frames import end_of, read_message, write_message
from p2pshare.peering.proxies import Proxy
from p2pshare.peering.tls import guest_context

KNOCK_SECONDS_MAX = 30  # as long as a host gives its guests


@dataclass(frozen=True, slots=True)
class KnockLimits:
    """The limits of a knock, both in seconds, and what is dialled through."""

    connect_seconds: float = 10
    seconds: float = KNOCK_SECONDS_MAX
    proxy: Proxy | None = None


async def hand_card(
    address: PeerAddress, host_card: bytes, own_card: bytes, limits: KnockLimits | None = None
) -> None:
    """Hand our card file to a partner whose card file is `host_card`; it has been dealt with when this returns, and the partner
    does not say how. Raises PeerError, PeerUnreachable."""
    async with _at_the_door(address, host_card, address.certificates, limits or KnockLimits()) as (
        reader,
        writer,
    ):
        decode_greeting(await read_message(reader))
        await write_message(writer, encode_knock(CardHanded(own_card)))
        await end_of(reader)


async def ask_card(
    address: PeerAddress, host_card: bytes, known_version: int, limits: KnockLimits | None = None
) -> bytes | None:
    """Returns the card file of whoever answers at a partner's address: not verified, and of anybody. None when it says that its
    card is no newer than `known_version`. Raises PeerError, PeerUnreachable."""
    async with _at_the_door(address, host_card, (), limits or KnockLimits()) as (reader, writer):
        greeting = decode_greeting(await read_message(reader))
        if greeting.card_version <= known_version:
            return None
        await write_message(writer, encode_knock(CardAsked()))
        return decode_card_given(await read_message(reader, CARD_GIVEN_BEGINS))


async def ask_for_place(
    address: PeerAddress, host_card: bytes, own: Card, key: TlsKey, limits: KnockLimits | None = None
) -> None:
    """Ask a partner to show us to a person, under the name and the first address of our card `own`; `key` is that of the
    certificate we show. The partner does not say what came of it. Raises PeerError, PeerUnreachable."""
    async with _at_the_door(address, host_card, address.certificates, limits or KnockLimits()) as (
        reader,
        writer,
    ):
        greeting = decode_greeting(await read_message(reader))
        url = own.urls[0] if own.urls else ""
        place = place_asked(own.partner_id, own.name, url, key, host=address.partner_id, nonce=greeting.nonce)
        await write_message(writer, encode_knock(place))
        await end_of(reader)


@contextlib.asynccontextmanager
async def _at_the_door(
    address: PeerAddress, host_card: bytes, certificates: tuple[bytes, ...], limits: KnockLimits
) -> AsyncIterator[Conversation]:
    try:
        host, port = url_address(address.url)
    except (ConfigError, ValueError):
        raise PeerError("a partner's address is not https://HOST:PORT", reason="bad-url") from None
    context = guest_context(knock_key(host_card), certificates)
    with _translated_faults():
        async with conversation(
            host,
            port,
            context,
            limits.proxy,
            connect_seconds=limits.connect_seconds,
            seconds=limits.seconds,
        ) as both:
            yield both


@contextlib.contextmanager
def _translated_faults() -> Iterator[None]:
    try:
        yield
    except PeerError:
        raise
    except TimeoutError:
        raise PeerUnreachable("no answer in time", reason="timeout") from None
    except ssl.SSLCertVerificationError:
        raise PeerUnreachable("another certificate was shown", reason=OTHER_CERTIFICATE) from None
    except ssl.SSLError as error:
        reason = CERTIFICATE_REFUSED if is_unknown_ca_alert(error) else "tls"
        raise PeerUnreachable("no guest is let in", reason=reason) from None
    except OSError:
        raise PeerUnreachable("no connection", reason="unreachable") from None
