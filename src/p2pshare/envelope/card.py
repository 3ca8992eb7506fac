"""Trust in cards: a chain of versions that behaves like TUF root metadata (docs/card.md).

Rules (the code cites the numbers):

1. First contact: the chain begins at version 1, whose partner id is the hash of its own roots and threshold.
   That the id is the right partner's is confirmed by a person (fingerprint or safety number), never here.
2. Each version is signed by at least `threshold` of its own roots, and from version 2 on also by at least the
   previous version's threshold of the previous version's roots. One key id counts once.
3. Every signature present must be valid and be of a root of either version: nothing in the file is unchecked.
4. Version N+1 names the digest of version N's body.
5. Only the newest version must be in its time; older ones are history.
6. A version already known with another body, correctly signed, is a fork: proof that its owner (or a thief of
   its roots) made two statements. The caller freezes the partner and keeps the proof.
7. Going back to a known older version is a rollback and refused.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from p2pshare.envelope.agreement import HintPublicKey
from p2pshare.envelope.card_format import (
    DOMAIN_CARD,
    CardBody,
    DecodedCard,
    OperationalKey,
    Revocation,
    decode_card,
    decode_versions,
    digest_of_version,
    encode_versions,
    partner_id_of,
    signed_message,
    split_versions,
)
from p2pshare.envelope.encoding import refusal
from p2pshare.envelope.hybrid import VerifyKey
from p2pshare.errors import AuthorError, PeerError
from p2pshare.identifiers import KeyId, PartnerId
from p2pshare.limits import (
    CARD_CHAIN_BYTES_MAX,
    CARD_CHAIN_LENGTH_MAX,
    CARD_HINT_KEYS_MAX,
    CARD_REVOCATIONS_MAX,
    FUTURE_DEFER_SECONDS,
)

__all__ = [
    "Card",
    "CardFork",
    "DecodedCard",
    "ForkProof",
    "OperationalKey",
    "Revocation",
    "accept_first",
    "accept_update",
    "believe_chain",
    "check_first",
    "check_follows",
    "check_roots",
    "check_signatures",
    "check_time",
    "count_signatures",
    "decode_card",
    "fingerprint",
    "news_in",
    "parse_fingerprint",
    "safety_number",
    "split_versions",
    "verify_fork",
]

DOMAIN_FINGERPRINT = b"p2pshare/v1/fingerprint\x00"
DOMAIN_SAFETY = b"p2pshare/v1/safety-number\x00"
HINT_KEYS_EVER_MAX = CARD_HINT_KEYS_MAX + CARD_REVOCATIONS_MAX  # one an envelope may have been made with
FINGERPRINT_CHARACTERS = 52
CHECK_CHARACTERS = 4


@dataclass(frozen=True)
class Card(CardBody):
    """A verified card: the newest version, with every version before it in `raw` (a `.p2pcard` file)."""

    raw: bytes = field(repr=False)
    version_raw: bytes = field(repr=False)
    body_digest: bytes

    def verify_key(self, key_id: KeyId, at: int) -> VerifyKey | None:
        """Returns the key for statements made at `at` (unix seconds); None when unknown, out of its time or revoked by then."""
        revocation = self.revocation(key_id)
        if revocation is not None and at >= revocation.since:
            return None
        return self.listed_key(key_id, at)

    def listed_key(self, key_id: KeyId, at: int) -> VerifyKey | None:
        """Returns the key that was in its time at `at` (unix seconds), revoked or not: for what its owner vouches for."""
        for entry in self.sign_keys:
            if entry.key.key_id == key_id and entry.is_valid(at):
                return entry.key
        return None

    def revocation(self, key_id: KeyId) -> Revocation | None:
        return next((entry for entry in self.revoked if entry.key_id == key_id), None)

    @cached_property
    def hint_keys_ever(self) -> tuple[HintPublicKey, ...]:
        """The hint keys by which envelopes of this partner can be found, newest first: those of this version, and, where it
        revokes a key, of all before. The set of a revoked key leaves the card, and what was sealed with it stays."""
        versions = decode_versions(self.raw) if self.revoked else ()
        entries = (
            entry for body in (self, *(one.body for one in reversed(versions))) for entry in body.hint_keys
        )
        return tuple({entry.key.raw: entry.key for entry in entries}.values())[:HINT_KEYS_EVER_MAX]

    def is_current(self, at: int) -> bool:
        """Returns whether content may be sealed for this partner at `at` (unix seconds)."""
        return at < self.expires and self.kem_keys[0].is_valid(at)


@dataclass(frozen=True)
class ForkProof:
    """Two valid versions of one number; each is a card file from version 1 on, so that anyone can verify it."""

    partner_id: PartnerId
    version: int
    known: bytes = field(repr=False)
    other: bytes = field(repr=False)


class CardFork(PeerError):
    """Two cards of one version: the partner is frozen until a person has looked. `proof` holds both."""

    reason = "card-fork"

    def __init__(self, proof: ForkProof) -> None:
        super().__init__(f"partner {proof.partner_id.short} has two cards of version {proof.version}")
        self.proof = proof


def accept_first(raw: bytes, now: int) -> Card:
    """Returns the card of a partner not known before. Raises PeerError (rules 1 to 5)."""
    card = believe_chain(raw)
    check_time(card, now)
    return card


def believe_chain(raw: bytes) -> Card:
    """Returns the card after rules 1 to 4 alone. Raises PeerError.

    For one's own card, which may have to be renewed late, and for evidence.
    """
    versions = decode_versions(raw)
    check_first(versions[0].body)
    _check_chain(None, versions)
    return _believed(versions)


def believe_stranger(raw: bytes, expected: PartnerId, now: int) -> Card:
    """Returns the card of a partner not known before, which must be `expected`, from a file that anybody may have handed over.

    As `accept_first`, version after version: what its roots did not sign costs one version, however many are behind it.
    Raises PeerError.
    """
    versions: list[DecodedCard] = []
    for one in split_versions(raw):
        version = decode_card(one)
        if version.body.partner_id != expected:
            raise refusal("card-other-partner", "a card is of another partner")
        if not versions:
            check_first(version.body)
        _check_chain(versions[-1] if versions else None, [version])
        versions.append(version)
    check_time(versions[-1].body, now)
    return _believed(versions)


def accept_update(current: Card, raw: bytes, now: int, latest: int | None = None) -> Card:
    """Returns the later card of a known partner, from one version or several. Raises PeerError, CardFork (rules 2 to 7).

    The same version with the same body gives `current` back. Where the clock is in doubt, `now` is the earliest that it may be
    and `latest` the latest: a revocation is not kept out for an hour by a clock that was set.
    """
    versions = decode_versions(raw)
    known = decode_versions(current.raw)
    if any(version.body.partner_id != current.partner_id for version in versions):
        raise refusal("card-other-partner", "a card is of another partner")
    fresh = [version for version in versions if version.body.version > current.version]
    for version in versions[: len(versions) - len(fresh)]:
        _check_not_forked(known, version)
    if versions[-1].body.version < current.version:
        raise refusal("card-rollback", "a card is older than the one already known")
    if not fresh:
        return current
    _check_chain(known[-1], fresh)
    check_time(fresh[-1].body, now, latest)
    return _believed([*known, *fresh])


def news_in(current: Card, raw: bytes) -> bytes:
    """Returns the part of a card file that `accept_update` has to look at: one version that is not the known one of its
    number (rule 6), else those beyond the known ones; empty when there is neither. Enough known roots signed its newest.

    For files that anybody may hand over: what no known root signed costs one version, however many are in the file.
    Raises PeerError.
    """
    versions = split_versions(raw)
    newest = decode_card(versions[-1])
    if newest.body.partner_id != current.partner_id:
        raise refusal("card-other-partner", "a card is of another partner")
    first = newest.body.version - len(versions) + 1
    if first < 1:
        raise refusal("malformed", "the versions in a card file do not follow one another")
    known = split_versions(current.raw)[first - 1 :]
    for version, same in zip(versions, known, strict=False):
        if digest_of_version(version) != digest_of_version(same):
            check_roots(decode_card(version), current)
            return version
    fresh = versions[len(known) :] if first <= current.version else versions
    if not fresh:
        return b""
    check_roots(newest, current)
    return encode_versions(fresh)


def verify_fork(proof: ForkProof) -> None:
    """Verify a proof without trust in its bearer. Raises PeerError, `not-a-fork` when it proves nothing."""
    cards = [believe_chain(raw) for raw in (proof.known, proof.other)]
    if any((card.partner_id, card.version) != (proof.partner_id, proof.version) for card in cards):
        raise refusal("not-a-fork", "the proof is about other cards")
    if cards[0].body_digest == cards[1].body_digest:
        raise refusal("not-a-fork", "both cards say the same")


def check_signatures(card: DecodedCard, previous: DecodedCard | None) -> None:
    """Check rules 2 and 3. Raises PeerError `card-signature`, `bad-signature`, `card-threshold`."""
    own, before = count_signatures(card, previous)
    if own < card.body.threshold:
        raise refusal("card-threshold", "too few of a card's own roots signed it")
    if previous and before < previous.body.threshold:
        raise refusal("card-threshold", "too few roots of the previous card signed the next one")


def count_signatures(card: DecodedCard, previous: DecodedCard | None) -> tuple[int, int]:
    """Returns how many roots of `card` have signed it, and how many of `previous`, after rule 3.

    Raises PeerError `card-signature`, `bad-signature`.
    """
    own = {root.key_id: root for root in card.body.roots}
    before = {root.key_id: root for root in previous.body.roots} if previous else {}
    message = signed_message(card.body_raw)
    for key_id, signature in card.signatures:
        root = own.get(key_id) or before.get(key_id)
        if root is None:
            raise refusal("card-signature", "a card is signed by a key that is no root of it")
        root.verify(DOMAIN_CARD, message, signature)
    signers = {key_id for key_id, _ in card.signatures}
    return len(signers & own.keys()), len(signers & before.keys())


def check_roots(card: DecodedCard, known: CardBody) -> None:
    """Check that enough roots of a known version signed another one: what a forger cannot pass, before a whole chain is
    compared. Rules 2 to 7 are still to be checked. Raises PeerError `card-signature`, `bad-signature`."""
    roots = {root.key_id: root for root in known.roots}
    message = signed_message(card.body_raw)
    own = [(roots[key_id], signature) for key_id, signature in card.signatures if key_id in roots]
    if len(own) < known.threshold:
        raise refusal("card-signature", "too few roots that are known signed a card")
    for root, signature in own:
        root.verify(DOMAIN_CARD, message, signature)


def check_first(body: CardBody) -> None:
    """Check rule 1. Raises PeerError `card-gap`, `card-identity`."""
    if body.version != 1:
        raise refusal("card-gap", "first contact needs every version of the card, from 1 on")
    if body.partner_id != partner_id_of(body.roots, body.threshold):
        raise refusal("card-identity", "a card's partner id is not the hash of its roots")


def check_follows(version: DecodedCard, previous: DecodedCard) -> None:
    """Check rule 4. Raises PeerError `card-gap`, `card-other-partner`."""
    is_next = version.body.version == previous.body.version + 1
    if not is_next or version.body.previous != previous.body_digest:
        raise refusal("card-gap", "a card does not follow the one before it")
    if version.body.partner_id != previous.body.partner_id:
        raise refusal("card-other-partner", "a card is of another partner")


def _check_chain(previous: DecodedCard | None, versions: Sequence[DecodedCard]) -> None:
    for version in versions:
        if previous is not None:
            check_follows(version, previous)
        check_signatures(version, previous)
        previous = version


def _check_not_forked(known: Sequence[DecodedCard], version: DecodedCard) -> None:
    """Check rule 6. `known` holds versions 1 to N in order. Raises CardFork, PeerError."""
    number = version.body.version
    if known[number - 1].body_digest == version.body_digest:
        return
    history = known[: number - 1]
    if number == 1 and version.body.partner_id != partner_id_of(version.body.roots, version.body.threshold):
        raise refusal("card-identity", "a card's partner id is not the hash of its roots")
    _check_chain(history[-1] if history else None, [version])
    raise CardFork(
        ForkProof(
            version.body.partner_id,
            number,
            known=encode_versions([card.raw for card in known[:number]]),
            other=encode_versions([*(card.raw for card in history), version.raw]),
        )
    )


def check_time(body: CardBody, now: int, latest: int | None = None) -> None:
    """Check rule 5; `latest` as in `accept_update`. Raises PeerError `card-expired`, `card-from-the-future`."""
    if now >= body.expires:
        raise refusal("card-expired", "a card has expired")
    if body.not_before > (now if latest is None else latest) + FUTURE_DEFER_SECONDS:
        raise refusal("card-from-the-future", "a card begins in the future: compare the clocks")


def _believed(versions: Sequence[DecodedCard]) -> Card:
    newest = versions[-1]
    raw = encode_versions([version.raw for version in versions])
    if len(versions) > CARD_CHAIN_LENGTH_MAX or len(raw) > CARD_CHAIN_BYTES_MAX:
        raise refusal(
            "oversized", "a card has more versions than a file can hold"
        )  # or nobody could read it again
    return Card(**vars(newest.body), raw=raw, version_raw=newest.raw, body_digest=newest.body_digest)


# --- for people ------------------------------------------------------------------------------------


def fingerprint(partner_id: PartnerId) -> str:
    """Returns 52 base32 characters and 4 check characters in groups of four, to be compared over the telephone."""
    text = _base32(partner_id, FINGERPRINT_CHARACTERS) + _check_characters(partner_id)
    return "-".join(text[start : start + 4] for start in range(0, len(text), 4))


def parse_fingerprint(text: str) -> PartnerId:
    """Returns the partner id of a fingerprint; case, blanks and dashes do not matter.

    Raises AuthorError `bad-fingerprint` (a slip, or not a fingerprint).
    """
    letters = "".join(text.split()).replace("-", "").upper()
    error = AuthorError(
        "this is not a fingerprint: a character is missing or mistyped",
        hint="compare it group by group with `p2pshare card show` at the partner's",
        reason="bad-fingerprint",
    )
    if len(letters) != FINGERPRINT_CHARACTERS + CHECK_CHARACTERS:
        raise error
    try:
        partner_id = PartnerId(base64.b32decode(letters[:FINGERPRINT_CHARACTERS] + "===="))
    except ValueError:
        raise error from None
    if fingerprint(partner_id).replace("-", "") != letters:
        raise error
    return partner_id


def safety_number(a: PartnerId, b: PartnerId) -> str:
    """Returns 60 digits in groups of five that are the same for (a, b) and (b, a)."""
    digest = hashlib.sha512(DOMAIN_SAFETY + min(a, b) + max(a, b)).digest()
    groups = (int.from_bytes(digest[start : start + 5], "big") % 100_000 for start in range(0, 60, 5))
    return " ".join(f"{group:05d}" for group in groups)


def _base32(raw: bytes, characters: int) -> str:
    return base64.b32encode(raw).decode("ascii")[:characters]


def _check_characters(partner_id: PartnerId) -> str:
    return _base32(hashlib.sha384(DOMAIN_FINGERPRINT + partner_id).digest(), CHECK_CHARACTERS)
