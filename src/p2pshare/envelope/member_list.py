"""Member lists: whom a partner has compared, signed by it, and the file that brings the cards of those beside it
(docs/introductions.md). Pure.

A list is small and says only ids, versions and hashes; who is introduced by it is decided by a person and by `policy`. The checks,
cheap first:

1. size and form, canonical                                   `read_list`
2. members in ascending order, none twice; its life           `read_list`
3. the time                                                   `verify_list`
4. the key: on the introducer's newest card, in its time, not revoked
5. both signatures
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from p2pshare.envelope.card import Card, accept_first
from p2pshare.envelope.card_format import (
    DIGEST_BYTES,
    decode_card,
    digest_of_version,
    split_versions,
)
from p2pshare.envelope.encoding import Reader, pack, refusal
from p2pshare.envelope.keys import SigningKey
from p2pshare.envelope.sizes import SIGNATURE_BYTES
from p2pshare.errors import PeerError
from p2pshare.identifiers import CircleId, KeyId, PartnerId
from p2pshare.limits import (
    CARD_CHAIN_BYTES_MAX,
    FUTURE_DEFER_SECONDS,
    INTRODUCTION_BYTES_MAX,
    MEMBER_LIST_BYTES_MAX,
    MEMBER_LIST_SECONDS_MAX,
    MEMBERS_MAX,
)

MEMBERS_MAGIC = b"p2pm"
FILE_MAGIC = b"p2pi"
FORMAT_VERSION = 1
DOMAIN_MEMBERS = b"p2pshare/v1/members\x00"


@dataclass(frozen=True, slots=True)
class ListedMember:
    """A partner on a list: the newest version of its card that the introducer has, and the digest of that version's body."""

    partner_id: PartnerId
    version: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class MemberList:
    """A list of the right form, and nothing more: no card has verified it. Seconds are unix seconds."""

    introducer: PartnerId
    key_id: KeyId
    circle: CircleId
    number: int
    created: int
    expires: int
    members: tuple[ListedMember, ...]
    body_raw: bytes = field(repr=False)
    signatures: bytes = field(repr=False)
    raw: bytes = field(repr=False)

    def member(self, partner_id: PartnerId) -> ListedMember | None:
        return next((one for one in self.members if one.partner_id == partner_id), None)


@dataclass(frozen=True, slots=True)
class IntroductionFile:
    """A list with card files beside it, as they came: neither is verified."""

    list_raw: bytes = field(repr=False)
    cards: tuple[bytes, ...] = field(repr=False)


def sign_list(
    signer: SigningKey,
    introducer: PartnerId,
    circle: CircleId,
    number: int,
    *,
    created: int,
    expires: int,
    members: Sequence[ListedMember],
) -> bytes:
    """Returns the list that `introducer` signs with the newest sign key of its card."""
    body = pack(
        {
            0: introducer,
            1: signer.key_id,
            2: circle,
            3: number,
            4: created,
            5: expires,
            6: [
                [one.partner_id, one.version, one.digest]
                for one in sorted(members, key=lambda one: one.partner_id)
            ],
        }
    )
    return pack([MEMBERS_MAGIC, FORMAT_VERSION, body, signer.sign(DOMAIN_MEMBERS, _message(body))])


def read_list(raw: bytes) -> MemberList:
    """Returns a list. Checks the form only (1 and 2).

    Raises PeerError `oversized`, `malformed`, `not-canonical`, `unknown-version`, `too-many-members`, `bad-member-list`.
    """
    if len(raw) > MEMBER_LIST_BYTES_MAX:
        raise refusal("oversized", "a member list is too large")
    reader = Reader(raw)
    reader.array(4, 4)
    if reader.blob(4, 4) != MEMBERS_MAGIC:
        raise refusal("malformed", "not a member list")
    if reader.integer() != FORMAT_VERSION:
        raise refusal("unknown-version", "a member list has a format that this program does not know")
    body_raw = reader.blob(1, MEMBER_LIST_BYTES_MAX)
    signatures = reader.blob(SIGNATURE_BYTES, SIGNATURE_BYTES)
    reader.end()
    read = _read_body(body_raw, signatures, raw)
    if not all(one.partner_id < other.partner_id for one, other in itertools.pairwise(read.members)):
        raise refusal("bad-member-list", "the members of a list are out of order, or one stands twice")
    if not 0 < read.expires - read.created <= MEMBER_LIST_SECONDS_MAX:
        raise refusal("bad-member-list", "the life of a member list is empty, or longer than 90 days")
    return read


def _read_body(body_raw: bytes, signatures: bytes, raw: bytes) -> MemberList:
    reader = Reader(body_raw)
    reader.map(7)
    reader.key(0)
    introducer = PartnerId(reader.blob(PartnerId.length, PartnerId.length))
    reader.key(1)
    key_id = KeyId(reader.blob(KeyId.length, KeyId.length))
    reader.key(2)
    circle = CircleId(reader.blob(CircleId.length, CircleId.length))
    instants = []
    for key in (3, 4, 5):
        reader.key(key)
        instants.append(reader.integer())
    number, created, expires = instants
    if number < 1:
        raise refusal("malformed", "member lists are numbered from 1")
    reader.key(6)
    count = reader.array(0, MEMBER_LIST_BYTES_MAX)
    if count > MEMBERS_MAX:
        raise refusal("too-many-members", f"a member list has more than {MEMBERS_MAX} members")
    members = []
    for _ in range(count):
        reader.array(3, 3)
        partner_id = PartnerId(reader.blob(PartnerId.length, PartnerId.length))
        version = reader.integer()
        members.append(ListedMember(partner_id, version, reader.blob(DIGEST_BYTES, DIGEST_BYTES)))
    reader.end()
    return MemberList(
        introducer, key_id, circle, number, created, expires, tuple(members), body_raw, signatures, raw
    )


def verify_list(members: MemberList, card: Card, now: int, latest: int | None = None) -> None:
    """Verify a list by the newest card of whom it names as its introducer (3 to 5). `now` in unix seconds: the earliest that it may
    be, and `latest` the latest, where the clock is in doubt.

    Raises PeerError `wrong-author`, `list-expired`, `from-the-future`, `revoked-key`, `unknown-key`, `bad-signature`.
    """
    if members.introducer != card.partner_id:
        raise refusal("wrong-author", "a member list is of another partner than the card")
    if now >= members.expires:
        raise refusal("list-expired", "a member list has expired")
    if members.created > (now if latest is None else latest) + FUTURE_DEFER_SECONDS:
        raise refusal("from-the-future", "a member list begins in the future: compare the clocks")
    check_signed(members, card)


def check_signed(members: MemberList, card: Card) -> None:
    """Check 4 and 5 alone: for evidence, and for a list that is held when a new card comes. Raises PeerError.

    A revocation counts whatever `created` says, for a thief chooses that: the owner signs the next list with its new key.
    """
    if card.revocation(members.key_id) is not None:
        raise refusal("revoked-key", "the key that signed a member list is revoked")
    key = card.listed_key(members.key_id, members.created)
    if key is None:
        raise refusal(
            "unknown-key", "the key that signed a member list is not on the card, or was not in its time"
        )
    key.verify(DOMAIN_MEMBERS, _message(members.body_raw), members.signatures)


def _message(body_raw: bytes) -> bytes:
    return hashlib.sha384(body_raw).digest()


# --- card files beside it --------------------------------------------------------------------------


def pack_file(list_raw: bytes, cards: Sequence[bytes]) -> bytes:
    """Returns the file of a list and card files."""
    return pack([FILE_MAGIC, FORMAT_VERSION, list_raw, list(cards)])


def read_file(raw: bytes) -> IntroductionFile:
    """Returns a list and the card files beside it; a list alone has none. Nothing in it is verified.

    Raises PeerError `oversized`, `malformed`, `not-canonical`, `unknown-version`, `too-many-members`.
    """
    if len(raw) > INTRODUCTION_BYTES_MAX:
        raise refusal("oversized", "a file of introductions is too large")
    if raw[3:7] == MEMBERS_MAGIC:  # both begin: array of 4, bin of 4, magic
        return IntroductionFile(raw, ())
    reader = Reader(raw)
    reader.array(4, 4)
    if reader.blob(4, 4) != FILE_MAGIC:
        raise refusal("malformed", "not a file of introductions")
    if reader.integer() != FORMAT_VERSION:
        raise refusal(
            "unknown-version", "a file of introductions has a format that this program does not know"
        )
    list_raw = reader.blob(1, MEMBER_LIST_BYTES_MAX)
    count = reader.array(0, INTRODUCTION_BYTES_MAX)
    if count > MEMBERS_MAX:
        raise refusal("too-many-members", f"a file of introductions has more than {MEMBERS_MAX} cards")
    cards = tuple(reader.blob(1, CARD_CHAIN_BYTES_MAX) for _ in range(count))
    reader.end()
    return IntroductionFile(list_raw, cards)


def owner_of(card_file: bytes) -> PartnerId:
    """Returns whose a card file says that it is: its newest version is decoded, nothing is verified. Raises PeerError."""
    return decode_card(split_versions(card_file)[-1]).body.partner_id


def by_owner(cards: Sequence[bytes]) -> tuple[Mapping[PartnerId, bytes], Mapping[int, str]]:
    """Returns the card files by whose they say that they are, and by place why one cannot be read or stands there twice
    (`card-twice`)."""
    found: dict[PartnerId, bytes] = {}
    bad: dict[int, str] = {}
    for place, raw in enumerate(cards):
        try:
            owner = owner_of(raw)
        except PeerError as error:
            bad[place] = error.reason
            continue
        if owner in found:
            bad[place] = "card-twice"
        else:
            found[owner] = raw
    return found, bad


def card_of(member: ListedMember, card_file: bytes, now: int) -> Card:
    """Returns the card of a member, believed from its first version on, which has the listed version, or came after it. `now` in
    unix seconds. Raises PeerError `card-other-partner`, `card-older`, `card-mismatch`, and those of `card.accept_first`."""
    if owner_of(card_file) != member.partner_id:
        raise refusal("card-other-partner", "a card file beside a member list is of another partner")
    check_listed(member, card_file)
    return accept_first(card_file, now)


def check_listed(member: ListedMember, card_file: bytes) -> None:
    """Check that a card file, from its first version on, has the version that a list names. Raises PeerError `card-older`,
    `card-mismatch`."""
    versions = split_versions(card_file)
    if member.version > len(versions):
        raise refusal("card-older", "a card file is older than the version on the member list")
    if member.version < 1 or digest_of_version(versions[member.version - 1]) != member.digest:
        raise refusal("card-mismatch", "a card file has another version than the one on the member list")
