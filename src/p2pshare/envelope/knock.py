"""The messages of a knock: what a guest and its host say to one another (docs/card.md, "Knocking").

::

    host > guest    [1, nonce (bin 32), version of the host's card]
    guest > host    [2, card file (bin)]        a partner's newer card
                    [3]                         asks for the host's card, the answer is
    host > guest    [3, card file (bin)]

A card file is handed on as it came: whoever takes it believes it as any other (`envelope.card`), or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass

from p2pshare.envelope.encoding import Reader, pack, refusal
from p2pshare.limits import CARD_CHAIN_BYTES_MAX

GREETING, CARD, ASK_CARD, ASK_PLACE = 1, 2, 3, 4
FIELDS_MAX = 6  # of the longest message: that of one who asks for a place among the pending partners
NONCE_BYTES = 32
VERSION_MIN = 1

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
    """A guest asks to be shown to a person as a pending partner; what it says of itself is not read yet."""


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


def encode_knock(knock: CardHanded | CardAsked) -> bytes:
    return pack([CARD, knock.card_file] if isinstance(knock, CardHanded) else [ASK_CARD])


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
        return PlaceAsked()
    raise refusal("malformed", "a guest said what is no knock")


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
