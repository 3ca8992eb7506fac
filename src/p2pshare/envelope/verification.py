"""Verification: the checks of a partner before it trusts an envelope; relays make the very same checks.

Numbered as in docs/envelope.md, "Order of checks" (cheap first):

 1. size            `envelope.decode_envelope`
 2. shape           `envelope.decode_envelope`
 3. core canonical  `envelope.decode_envelope`
 4. lengths         `envelope.decode_envelope`
 5. author known    the caller, which finds the card in its roster
 6. id unseen       the caller: an id counts as seen only once its envelope was verified, or a forged
                    envelope could suppress the real one
 7. time window     `time_verdict`
 8. partner quota   the caller: counted against the author, not against the relay
 9. sign key        in the author's card, in its time when the envelope was created, not revoked
10. Ed25519         the cheap half
11. ML-DSA-87       the other half; both must be valid
Then it is stored and only then acknowledged. Opening is a separate step (`sealing.open_envelope`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from p2pshare.envelope.card import Card, Revocation
from p2pshare.envelope.card_format import NOTHING_VOUCHED
from p2pshare.envelope.encoding import refusal
from p2pshare.envelope.envelope import DOMAIN_SIGNATURE, Core, DecodedEnvelope
from p2pshare.envelope.hybrid import VerifyKey
from p2pshare.errors import PeerError
from p2pshare.identifiers import EnvelopeId
from p2pshare.limits import FUTURE_DEFER_SECONDS, FUTURE_REFUSE_SECONDS, INCARNATION_REFUSE_SECONDS

IsListed = Callable[[Core, EnvelopeId], bool]
"""Whether a vouch page of the author that was checked, and is held here, lists the envelope."""


def lists_nothing(core: Core, envelope_id: EnvelopeId) -> bool:
    """The answer where no vouch page is held."""
    return False


class TimeVerdict(Enum):
    """The outcome of check 7: only CURRENT goes on; DEFERRED may be tried again when its time has come."""

    CURRENT = "current"
    DEFERRED = "deferred"
    FROM_THE_FUTURE = "from-the-future"
    EXPIRED = "expired"
    INCARNATION_AHEAD = "incarnation-ahead"


@dataclass(frozen=True, slots=True)
class VerifiedEnvelope:
    """An envelope that its author has signed, with the card it was verified against."""

    decoded: DecodedEnvelope
    author_card: Card

    @property
    def core(self) -> Core:
        return self.decoded.core

    @property
    def envelope_id(self) -> EnvelopeId:
        return self.decoded.envelope_id

    @property
    def wire(self) -> bytes:
        return self.decoded.wire


def time_verdict(core: Core, now: int, latest: int | None = None) -> TimeVerdict:
    """Returns the outcome of check 7 at `now` (unix seconds). Where the clock is in doubt it is later, but not later than
    `latest`: nothing is refused or deferred that is not so at both.

    Incarnation over two days beyond `created`: refused, whatever the clock says, since the author could go on from no
    higher one. Created over 10 minutes ahead: deferred; over a day ahead: refused; past its ttl: expired.
    """
    if core.incarnation > core.created + INCARNATION_REFUSE_SECONDS:
        return TimeVerdict.INCARNATION_AHEAD
    ahead = core.created - max(now, latest or now)
    if ahead > FUTURE_REFUSE_SECONDS:
        return TimeVerdict.FROM_THE_FUTURE
    if ahead > FUTURE_DEFER_SECONDS:
        return TimeVerdict.DEFERRED
    if core.expires <= now:
        return TimeVerdict.EXPIRED
    return TimeVerdict.CURRENT


def check_time(core: Core, now: int, latest: int | None = None) -> None:
    """Require that an envelope passes check 7. Raises PeerError with its verdict as the reason."""
    verdict = time_verdict(core, now, latest)
    if verdict is not TimeVerdict.CURRENT:
        raise refusal(verdict.value, f"an envelope is refused for its time: {verdict.value}")


def signing_key(core: Core, author_card: Card, *, is_vouched: bool = False) -> VerifyKey:
    """Returns the key that must have signed an envelope (check 9).

    It is looked up at the instant of creation, because an envelope outlives the key that signed it. A thief can choose that
    instant, and the numbers: of what comes under a revoked key only that counts which its owner vouches for (`is_vouched`: a
    page that was checked lists it), whatever it says.
    Raises PeerError `unknown-key`, `revoked-key`, `not-vouched`, `wrong-author`.
    """
    _check_author(core, author_card)
    revocation = author_card.revocation(core.key_id)
    if revocation is not None and not is_vouched:
        raise _revoked(revocation)
    return _key_at_creation(core, author_card)


def _check_author(core: Core, author_card: Card) -> None:
    if core.author != author_card.partner_id:
        raise refusal("wrong-author", "an envelope is of another author than the card")


def _revoked(revocation: Revocation) -> PeerError:
    if revocation.vouch_root == NOTHING_VOUCHED:
        return refusal("revoked-key", "an envelope is signed with a revoked key")
    return refusal(
        "not-vouched", "an envelope is signed with a revoked key, and no vouch page for it is at hand"
    )


def _key_at_creation(core: Core, author_card: Card) -> VerifyKey:
    key = author_card.listed_key(core.key_id, core.created)
    if key is None:
        raise refusal(
            "unknown-key", "an envelope is signed with a key that is not in the author's card at that time"
        )
    return key


def verify_signatures(decoded: DecodedEnvelope, key: VerifyKey) -> None:
    """Verify both signatures (checks 10 and 11). Raises PeerError `bad-signature`."""
    key.verify(DOMAIN_SIGNATURE, decoded.digests, decoded.signatures)


def verified_before(
    decoded: DecodedEnvelope, author_card: Card, *, is_in_effect: bool = False
) -> VerifiedEnvelope:
    """An envelope out of our own log, which holds verified ones alone: check 9 again, for the card may have changed since.

    `is_in_effect`: what to say of one under a key that was revoked meanwhile (`policy.vouching`). Raises PeerError.
    """
    core = decoded.core
    _check_author(core, author_card)
    revocation = author_card.revocation(core.key_id)
    if revocation is not None and not is_in_effect:
        raise _revoked(revocation)
    _key_at_creation(core, author_card)
    return VerifiedEnvelope(decoded, author_card)


def verify_envelope(
    decoded: DecodedEnvelope,
    author_card: Card,
    now: int,
    *,
    latest: int | None = None,
    is_vouched: bool = False,
) -> VerifiedEnvelope:
    """Verify an envelope at `now` (unix seconds; `latest` as for `time_verdict`) by checks 7 and 9 to 11; the only way to a
    `VerifiedEnvelope` for what a partner hands over.

    Raises PeerError.
    """
    check_time(decoded.core, now, latest)
    verify_signatures(decoded, signing_key(decoded.core, author_card, is_vouched=is_vouched))
    return VerifiedEnvelope(decoded, author_card)
