"""The messages of a knock: what a guest and its host say to one another (docs/card.md, "Knocking").

::

    host > guest    [1, nonce (bin 32), version of the host's card]
    guest > host    [2, card file (bin)]        a partner's newer card
                    [3]                         asks for the host's card, the answer is
    host > guest    [3, card file (bin)]
    guest > host    [4, id, name, url, certificate, signature]      asks to be shown to a person

A card file is handed on as it came: whoever takes it believes it as any other (`envelope.card`), or not at all. Of who asks for
a place nothing is believed, but that it holds the key of the certificate it shows, here and now (`check_place`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from p2pshare.envelope.card_format import is_good_name, is_good_url
from p2pshare.envelope.certificate import TlsKey, check_certificate, sign_with, verify_with
from p2pshare.envelope.encoding import Reader, pack, refusal
from p2pshare.identifiers import PartnerId
from p2pshare.limits import (
    CARD_CHAIN_BYTES_MAX,
    CARD_NAME_BYTES_MAX,
    CARD_URL_BYTES_MAX,
    TLS_CERTIFICATE_BYTES_MAX,
)

GREETING, CARD, ASK_CARD, ASK_PLACE = 1, 2, 3, 4
FIELDS_MAX = 6  # of the longest message: that of one who asks for a place among the pending partners
NONCE_BYTES = 32
VERSION_MIN = 1
DOMAIN_KNOCK = b"p2pshare/v1/knock\0"
SIGNATURE_BYTES_MIN, SIGNATURE_BYTES_MAX = (
    8,
    104,
)  # ECDSA in DER (RFC 3279 section 2.2.3), of P-384 the longest

CARD_HANDED_BEGINS = bytes((0x92, CARD))
CARD_GIVEN_BEGINS = bytes((0x92, ASK_CARD))
"""The first bytes of the two messages that hold a card file."""
CARD_MESSAGE_BYTES_MAX = CARD_CHAIN_BYTES_MAX + 7  # head of the array, number of the message, head of the bin


@dataclass(frozen=True, slots=True)
class KnockGreeting:
    """The host's first words: a nonce for whoever asks for a place, and the version of its card."""

    nonce: bytes
    card_version: int


@dataclass(frozen=True, slots=True)
class CardHanded:
    """A guest hands over a partner's card file; nothing of it is checked."""

    card_file: bytes


@dataclass(frozen=True, slots=True)
class CardAsked:
    """A guest asks for the host's card."""


@dataclass(frozen=True, slots=True)
class PlaceAsked:
    """A guest asks to be shown to a person as a pending partner. All of it is its own claim; `url` is empty where it cannot be
    dialled."""

    partner_id: PartnerId
    name: str
    url: str
    certificate: bytes
    signature: bytes


Knock = CardHanded | CardAsked | PlaceAsked


def encode_greeting(greeting: KnockGreeting) -> bytes:
    return pack([GREETING, greeting.nonce, greeting.card_version])


def decode_greeting(raw: bytes) -> KnockGreeting:
    """Returns the host's greeting. Raises PeerError `malformed`, `not-canonical`."""
    reader = Reader(raw)
    reader.array(3, 3)
    _check_number(reader, GREETING)
    greeting = KnockGreeting(reader.blob(NONCE_BYTES, NONCE_BYTES), reader.integer())
    reader.end()
    if greeting.card_version < VERSION_MIN:
        raise refusal("malformed", "no card has version 0")
    return greeting


def encode_knock(knock: Knock) -> bytes:
    match knock:
        case CardHanded(card_file):
            return pack([CARD, card_file])
        case CardAsked():
            return pack([ASK_CARD])
        case PlaceAsked():
            return pack([*_claims(knock), knock.signature])


def _claims(place: PlaceAsked) -> list[object]:
    return [ASK_PLACE, bytes(place.partner_id), place.name, place.url, place.certificate]


def place_asked(
    partner_id: PartnerId, name: str, url: str, key: TlsKey, *, host: PartnerId, nonce: bytes
) -> PlaceAsked:
    """Returns the message by which the holder of `key` asks `host`, whose greeting had `nonce`, for a place."""
    claimed = PlaceAsked(partner_id, name, url, key.certificate, b"")
    return PlaceAsked(
        partner_id, name, url, key.certificate, sign_with(key, _signed_message(claimed, host, nonce))
    )


def check_place(place: PlaceAsked, *, host: PartnerId, nonce: bytes) -> None:
    """Require that whoever asks holds the key of a certificate that names its id, and asks this host in this conversation.

    That the id is its own is not known by that: anybody makes a certificate that names anybody. Raises PeerError
    `bad-certificate`, `bad-signature`.
    """
    check_certificate(place.certificate, place.partner_id)
    if not verify_with(place.certificate, place.signature, _signed_message(place, host, nonce)):
        raise refusal("bad-signature", "who asks for a place does not hold the key of its certificate")


def _signed_message(place: PlaceAsked, host: PartnerId, nonce: bytes) -> bytes:
    return DOMAIN_KNOCK + host + nonce + hashlib.sha384(pack(_claims(place))).digest()


def decode_knock(raw: bytes) -> Knock:
    """Returns what a guest says. Raises PeerError `malformed`, `not-canonical`."""
    reader = Reader(raw)
    fields, number = reader.array(1, FIELDS_MAX), reader.integer(ASK_PLACE)
    if (number, fields) == (CARD, 2):
        card_file = reader.blob(1, CARD_CHAIN_BYTES_MAX)
        reader.end()
        return CardHanded(card_file)
    if (number, fields) == (ASK_CARD, 1):
        reader.end()
        return CardAsked()
    if (number, fields) == (ASK_PLACE, FIELDS_MAX):
        return _read_place(reader)
    raise refusal("malformed", "a guest said what is no knock")


def _read_place(reader: Reader) -> PlaceAsked:
    place = PlaceAsked(
        PartnerId(reader.blob(PartnerId.length, PartnerId.length)),
        reader.text(1, CARD_NAME_BYTES_MAX),
        reader.text(0, CARD_URL_BYTES_MAX),
        reader.blob(1, TLS_CERTIFICATE_BYTES_MAX),
        reader.blob(SIGNATURE_BYTES_MIN, SIGNATURE_BYTES_MAX),
    )
    reader.end()
    if not is_good_name(place.name) or (place.url and not is_good_url(place.url)):
        raise refusal("malformed", "who asks for a place has a name or an address that no card may have")
    return place


def encode_card_given(card_file: bytes) -> bytes:
    return pack([ASK_CARD, card_file])


def decode_card_given(raw: bytes) -> bytes:
    """Returns the card file that a host answers with. Raises PeerError `malformed`, `not-canonical`."""
    reader = Reader(raw)
    reader.array(2, 2)
    _check_number(reader, ASK_CARD)
    card_file = reader.blob(1, CARD_CHAIN_BYTES_MAX)
    reader.end()
    return card_file


def _check_number(reader: Reader, number: int) -> None:
    if reader.integer() != number:
        raise refusal("malformed", "another message was expected")
