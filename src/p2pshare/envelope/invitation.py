"""Invitations: the line that a person hands on, what guest and host say to one another, and what both sign (docs/invitations.md).

::

    1  guest > host   [1, commitment]
    2  host > guest   [1, nonce, card file]
    3  guest > host   [1, nonce, card file, signature]
    4  host > guest   [1, signature, state]
       guest > host   [2]                            later; the answer is
       host > guest   [1, state]
       host > guest   [0, reason]                    in the place of any answer

The line authenticates the host; the six words, which both sides compute of their `Meeting`, show who has come by it.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from enum import IntEnum

from p2pshare.envelope.card import Card
from p2pshare.envelope.card_format import is_good_url
from p2pshare.envelope.encoding import Reader, pack, refusal
from p2pshare.envelope.guest import CERTIFICATE_TIME_MAX, INVITATION_SECRET_BYTES, invitation_key
from p2pshare.envelope.hybrid import Secret, SigningKey
from p2pshare.envelope.keys import TlsKey
from p2pshare.envelope.six_words import six_words
from p2pshare.envelope.sizes import SIGNATURE_BYTES
from p2pshare.errors import AuthorError, PeerError
from p2pshare.identifiers import PartnerId
from p2pshare.limits import CARD_CHAIN_BYTES_MAX, REASON_BYTES_MAX

LINE_BEGINS = "p2pshare-"
LINE_VERSION = 1
LINE_CHARACTERS_MAX = 1_024  # the longest address makes 610; with white space around and in it
ADDRESS_BYTES_MIN, ADDRESS_BYTES_MAX = 3, 300  # "a:1"; 253 of the longest name, and what stands around it
CHECK_CHARACTERS = 4
INVITED_SECONDS = 86_400  # a day, in which a person reads a message

DOMAIN_LINE = b"p2pshare/v1/invitation-line\x00"
DOMAIN_COMMITMENT = b"p2pshare/v1/join-commitment\x00"
DOMAIN_JOIN = b"p2pshare/v1/join\x00"
CONTEXT_GUEST = b"p2pshare/v1/join-guest\x00"
CONTEXT_HOST = b"p2pshare/v1/join-host\x00"

NONCE_BYTES = COMMITMENT_BYTES = 32
REFUSED, JOIN, ASK_STATE = 0, 1, 2
FIELDS_MAX = 4

HOST_CARD_BEGINS = bytes((0x93, JOIN, 0xC4, NONCE_BYTES))
GUEST_CARD_BEGINS = bytes((0x94, JOIN, 0xC4, NONCE_BYTES))
"""The first bytes of the two messages that hold a card file."""
HOST_CARD_MESSAGE_BYTES_MAX = CARD_CHAIN_BYTES_MAX + 41  # array, number, nonce with head, head of the file
GUEST_CARD_MESSAGE_BYTES_MAX = HOST_CARD_MESSAGE_BYTES_MAX + 3 + SIGNATURE_BYTES

REASON_UNSPECIFIED = "unspecified"
_REASON = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


# --- the line ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class InvitationLine:
    """What stands in a line. `address` is host:port, `expires` unix seconds."""

    host: PartnerId
    secret: Secret
    expires: int
    address: str

    @property
    def url(self) -> str:
        return f"https://{self.address}"

    def key(self) -> TlsKey:
        """Returns the key with which its holder comes. Raises PeerError `malformed` for a time that no certificate can have."""
        return invitation_key(self.secret, self.host, self.expires)


def encode_line(line: InvitationLine) -> str:
    content = pack([LINE_VERSION, line.host, line.secret.reveal(), line.expires, line.address])
    return LINE_BEGINS + _base32(content) + _check_of(content)


def decode_line(text: str) -> InvitationLine:
    """Returns what a line says; white space and case do not matter. That it has not ended is not checked.

    Raises AuthorError `bad-invitation` for what is no line or holds a slip, PeerError (`malformed`, `not-canonical`,
    `unknown-version`) for one that was made otherwise.
    """
    letters = "".join(text[: LINE_CHARACTERS_MAX + 1].split()).lower()
    content = _content_of(letters) if len(text) <= LINE_CHARACTERS_MAX else b""
    if not content:
        raise AuthorError(
            "this is no invitation: a character is missing or mistyped, or it is something else",
            hint=f"copy the whole line, from '{LINE_BEGINS}' on, as `p2pshare invite` printed it",
            reason="bad-invitation",
        )
    reader = Reader(content)
    fields = reader.array(1, 15)
    if reader.integer() != LINE_VERSION:
        raise refusal("unknown-version", "an invitation has a format that this program does not know")
    if fields != 5:
        raise refusal("malformed", "an invitation has five fields")
    host = PartnerId(reader.blob(32, 32))
    secret = Secret(reader.blob(INVITATION_SECRET_BYTES, INVITATION_SECRET_BYTES))
    expires = reader.integer(CERTIFICATE_TIME_MAX)
    address = reader.text(ADDRESS_BYTES_MIN, ADDRESS_BYTES_MAX)
    reader.end()
    if "/" in address or not re.search(r":[0-9]{1,5}$", address) or not is_good_url(f"https://{address}"):
        raise refusal("malformed", "an invitation's address is not HOST:PORT")
    return InvitationLine(host, secret, expires, address)


def _content_of(letters: str) -> bytes:
    """Returns the content of a line whose check characters hold; empty for any other."""
    content, check = letters[len(LINE_BEGINS) : -CHECK_CHARACTERS], letters[-CHECK_CHARACTERS:]
    if not letters.startswith(LINE_BEGINS):
        return b""
    try:
        raw = base64.b32decode(content.upper() + "=" * (-len(content) % 8))
    except ValueError:
        return b""
    return raw if (_base32(raw), _check_of(raw)) == (content, check) else b""


def _check_of(content: bytes) -> str:
    return _base32(hashlib.sha384(DOMAIN_LINE + content).digest())[:CHECK_CHARACTERS]


def _base32(raw: bytes) -> str:
    return base64.b32encode(raw).decode("ascii").rstrip("=").lower()


# --- messages ---------------------------------------------------------------------------------------


class JoinState(IntEnum):
    """What the person at the host has said of whoever joined by an invitation."""

    WAITING = 0
    CONFIRMED = 1
    REFUSED = 2


@dataclass(frozen=True, slots=True)
class JoinBegun:
    """Message 1: a guest commits itself to its nonce and card."""

    commitment: bytes


@dataclass(frozen=True, slots=True)
class StateAsked:
    """A guest that has joined asks what the person at the host has said."""


@dataclass(frozen=True, slots=True)
class HostIntroduced:
    """Message 2: the host's nonce and card file; nothing of it is checked."""

    nonce: bytes
    card_file: bytes


@dataclass(frozen=True, slots=True)
class GuestIntroduced:
    """Message 3: the guest's nonce, card file and signature; nothing of it is checked."""

    nonce: bytes
    card_file: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Joined:
    """Message 4: the host's signature, and its person's word so far."""

    signature: bytes
    state: JoinState


class JoinRefused(PeerError):
    """The host has answered that it refuses, with its reason."""

    reason = REASON_UNSPECIFIED


def encode_guest_opening(opening: JoinBegun | StateAsked) -> bytes:
    return pack([JOIN, opening.commitment] if isinstance(opening, JoinBegun) else [ASK_STATE])


def decode_guest_opening(raw: bytes) -> JoinBegun | StateAsked:
    """Returns what a guest says first. Raises PeerError `malformed`, `not-canonical`."""
    reader = Reader(raw)
    fields, number = reader.array(1, 2), reader.integer(ASK_STATE)
    if (number, fields) == (JOIN, 2):
        commitment = reader.blob(COMMITMENT_BYTES, COMMITMENT_BYTES)
        reader.end()
        return JoinBegun(commitment)
    if (number, fields) == (ASK_STATE, 1):
        reader.end()
        return StateAsked()
    raise refusal("malformed", "a guest of an invitation said something else first")


def encode_host_introduced(said: HostIntroduced) -> bytes:
    return pack([JOIN, said.nonce, said.card_file])


def decode_host_introduced(raw: bytes) -> HostIntroduced:
    """Returns message 2. Raises PeerError `malformed`, `not-canonical`, JoinRefused."""
    reader = _answer(raw, 3)
    said = HostIntroduced(reader.blob(NONCE_BYTES, NONCE_BYTES), reader.blob(1, CARD_CHAIN_BYTES_MAX))
    reader.end()
    return said


def encode_guest_introduced(said: GuestIntroduced) -> bytes:
    return pack([JOIN, said.nonce, said.card_file, said.signature])


def decode_guest_introduced(raw: bytes) -> GuestIntroduced:
    """Returns message 3. Raises PeerError `malformed`, `not-canonical`."""
    reader = Reader(raw)
    reader.array(4, 4)
    _check_number(reader)
    said = GuestIntroduced(
        reader.blob(NONCE_BYTES, NONCE_BYTES),
        reader.blob(1, CARD_CHAIN_BYTES_MAX),
        reader.blob(SIGNATURE_BYTES, SIGNATURE_BYTES),
    )
    reader.end()
    return said


def encode_joined(joined: Joined) -> bytes:
    return pack([JOIN, joined.signature, int(joined.state)])


def decode_joined(raw: bytes) -> Joined:
    """Returns message 4. Raises PeerError `malformed`, `not-canonical`, JoinRefused."""
    reader = _answer(raw, 3)
    joined = Joined(reader.blob(SIGNATURE_BYTES, SIGNATURE_BYTES), _state(reader))
    reader.end()
    return joined


def encode_state(state: JoinState) -> bytes:
    return pack([JOIN, int(state)])


def decode_state(raw: bytes) -> JoinState:
    """Returns the answer to a guest that asks how it stands. Raises PeerError `malformed`, `not-canonical`, JoinRefused."""
    reader = _answer(raw, 2)
    state = _state(reader)
    reader.end()
    return state


def encode_join_refusal(reason: str) -> bytes:
    return pack([REFUSED, reason])


def _answer(raw: bytes, fields: int) -> Reader:
    """Returns the reader behind the number of a host's answer. Raises JoinRefused for a refusal."""
    reader = Reader(raw)
    found, number = reader.array(2, FIELDS_MAX), reader.integer()
    if (found, number) == (2, REFUSED):
        reason = reader.text(1, REASON_BYTES_MAX)
        reader.end()
        told = reason if _REASON.fullmatch(reason) else REASON_UNSPECIFIED
        raise JoinRefused("the host refuses", reason=told)
    if (found, number) != (fields, JOIN):
        raise refusal("malformed", "another answer was expected")
    return reader


def _state(reader: Reader) -> JoinState:
    return JoinState(reader.integer(max(JoinState)))


def _check_number(reader: Reader) -> None:
    if reader.integer() != JOIN:
        raise refusal("malformed", "another message was expected")


# --- what both bind themselves to -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Meeting:
    """All that guest and host have seen of one another. Certificates are DER, as they were shown; card files as they were sent."""

    host: PartnerId
    guest_certificate: bytes
    server_certificate: bytes
    host_card: bytes
    guest_card: bytes
    commitment: bytes
    host_nonce: bytes
    guest_nonce: bytes

    def hash(self) -> bytes:
        """Returns h (48 bytes)."""
        files = (self.guest_certificate, self.server_certificate, self.host_card, self.guest_card)
        digests = b"".join(hashlib.sha384(one).digest() for one in files)
        nonces = self.commitment + self.host_nonce + self.guest_nonce
        return hashlib.sha384(DOMAIN_JOIN + self.host + digests + nonces).digest()

    def words(self) -> str:
        """Returns the six words that both sides show."""
        return six_words(self.hash())


def commitment_to(nonce: bytes, card_file: bytes) -> bytes:
    """Returns the guest's commitment to its nonce and card (32 bytes)."""
    return hashlib.sha384(DOMAIN_COMMITMENT + nonce + hashlib.sha384(card_file).digest()).digest()[:32]


def sign_as_guest(key: SigningKey, meeting: Meeting) -> bytes:
    return key.sign(CONTEXT_GUEST, meeting.hash())


def sign_as_host(key: SigningKey, meeting: Meeting) -> bytes:
    return key.sign(CONTEXT_HOST, meeting.hash())


def check_commitment(meeting: Meeting) -> None:
    """Check that the guest shows the nonce and card to which it committed itself. Raises PeerError `join-commitment`."""
    if commitment_to(meeting.guest_nonce, meeting.guest_card) != meeting.commitment:
        raise refusal("join-commitment", "a guest committed itself to something else")


def check_guest(meeting: Meeting, card: Card, signature: bytes, now: int) -> None:
    """Check who the guest is and what it signed; `card` is that of `meeting.guest_card`, believed. Raises PeerError `own-card`,
    `bad-signature`."""
    if card.partner_id == meeting.host:
        raise refusal("own-card", "a guest shows the host's own card")
    _verify(card, CONTEXT_GUEST, meeting, signature, now)


def check_inviter(line: InvitationLine, card: Card, server_certificate: bytes) -> None:
    """Check that whoever answered is the one in the line, by its card and the certificate that it showed. Raises PeerError
    `not-the-inviter`."""
    if card.partner_id != line.host or server_certificate not in card.tls_certificates:
        raise refusal("not-the-inviter", "somebody else answers at the address in the invitation")


def check_host(meeting: Meeting, card: Card, signature: bytes, now: int) -> None:
    """Check the host's signature; `card` is that of `meeting.host_card`, believed. Raises PeerError `bad-signature`."""
    _verify(card, CONTEXT_HOST, meeting, signature, now)


def _verify(card: Card, context: bytes, meeting: Meeting, signature: bytes, now: int) -> None:
    key = card.verify_key(card.sign_keys[0].key.key_id, now)
    if key is None:
        raise refusal("bad-signature", "a card's newest sign key is out of its time")
    key.verify(context, meeting.hash(), signature)
