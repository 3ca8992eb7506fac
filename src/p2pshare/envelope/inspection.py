"""Reports on a file, its kind and the checks that it passes: for `p2pshare verify FILE`, offline.

Each check is made by the very function that intake uses; here a failure is reported instead of raised.
A check that cannot be made (an envelope whose author's card is not at hand) is said to be `not made`,
never passed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

from p2pshare.envelope.card import Card, ForkProof, believe_chain, check_time, fingerprint
from p2pshare.envelope.card_format import CARD_MAGIC, VERSIONS_MAGIC, DecodedCard, decode_versions
from p2pshare.envelope.envelope import ENVELOPE_MAGIC, Core, DecodedEnvelope, decode_envelope
from p2pshare.envelope.evidence import PROOF_MAGIC, Proof, check_not_revoked, decode_proof, verify_proof
from p2pshare.envelope.verification import IsListed, lists_nothing, signing_key, verify_signatures
from p2pshare.envelope.verification import check_time as check_envelope_time
from p2pshare.errors import PeerError
from p2pshare.identifiers import PartnerId
from p2pshare.lookalikes import notes_on

Facts = dict[str, str | int | list[str]]


class InspectionVerdict(Enum):
    PASSED = "passed"
    FAILED = "failed"
    NOT_MADE = "not made"


@dataclass(frozen=True, slots=True)
class Check:
    """A numbered check (docs/card.md, docs/envelope.md); `reason` is the refusal's code when it failed."""

    number: int
    name: str
    verdict: InspectionVerdict
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Inspection:
    """The report on a file. `kind` is one of KIND_OF_MAGIC or "unknown".

    `identifier` is a fingerprint or an envelope id, "" when unreadable.
    """

    kind: str
    identifier: str
    facts: Facts
    checks: tuple[Check, ...]

    @property
    def is_sound(self) -> bool:
        """Returns whether no check failed."""
        return all(check.verdict is not InspectionVerdict.FAILED for check in self.checks)

    @property
    def is_complete(self) -> bool:
        """Returns whether every check was made and passed."""
        return all(check.verdict is InspectionVerdict.PASSED for check in self.checks)


KIND_OF_MAGIC = {CARD_MAGIC: "card", VERSIONS_MAGIC: "card", ENVELOPE_MAGIC: "envelope", PROOF_MAGIC: "proof"}


def kind_of(raw: bytes) -> str:
    """Returns the kind of a file, or "unknown", by its magic: an array head, a bin head of 4, four bytes."""
    return KIND_OF_MAGIC.get(raw[3:7], "unknown")


def inspect(
    raw: bytes,
    now: int,
    find_card: Callable[[PartnerId], Card | None] = lambda _: None,
    is_listed: IsListed = lists_nothing,
) -> Inspection:
    """Returns the report on a file's bytes at `now` (unix seconds).

    `find_card` gives the trusted card of an author, if there is one; `is_listed` says what its vouch pages say.
    """
    match kind_of(raw):
        case "card":
            return _inspect_card(raw, now)
        case "envelope":
            return _inspect_envelope(raw, now, find_card, is_listed)
        case "proof":
            return _inspect_proof(raw, find_card, is_listed)
        case _:
            return Inspection(
                "unknown",
                "",
                {"bytes": len(raw)},
                (Check(1, "shape", InspectionVerdict.FAILED, "unknown-kind"),),
            )


# Checks of a card, numbered as in docs/card.md.
_CARD_SHAPE, _CARD_CHAIN, _CARD_TIME = (1, "shape"), (2, "signatures and chain"), (3, "time")


def _inspect_card(raw: bytes, now: int) -> Inspection:
    try:
        newest = decode_versions(raw)[-1]
    except PeerError as error:
        return Inspection(
            "card", "", {"bytes": len(raw)}, _failed_first(error, _CARD_SHAPE, _CARD_CHAIN, _CARD_TIME)
        )
    checks = (
        Check(*_CARD_SHAPE, InspectionVerdict.PASSED),
        _made(_CARD_CHAIN, lambda: believe_chain(raw)),
        _made(_CARD_TIME, lambda: check_time(newest.body, now)),
    )
    return Inspection("card", fingerprint(newest.body.partner_id), _card_facts(newest, len(raw)), checks)


def _card_facts(card: DecodedCard, size: int) -> Facts:
    body = card.body
    return {
        "bytes": size,
        "partner_id": body.partner_id.text,
        **_name_facts(body.name),
        "version": body.version,
        "urls": list(body.urls),
        "not_before": _iso(body.not_before),
        "expires": _iso(body.expires),
        "threshold": f"{body.threshold} of {len(body.roots)}",
        "sign_keys": [entry.key.key_id.text for entry in body.sign_keys],
        "revoked_keys": [entry.key_id.text for entry in body.revoked],
    }


# Checks of an envelope, numbered as in docs/envelope.md; 6 (unseen) and 8 (quota) belong to a store.
_SHAPE, _AUTHOR, _TIME, _KEY, _SIGNATURES = (
    (1, "size, shape, canonical form and lengths"),
    (5, "author known"),
    (7, "time window"),
    (9, "sign key in the author's card"),
    (10, "both signatures"),
)


def _inspect_envelope(
    raw: bytes, now: int, find_card: Callable[[PartnerId], Card | None], is_listed: IsListed
) -> Inspection:
    try:
        decoded = decode_envelope(raw)
    except PeerError as error:
        checks = _failed_first(error, _SHAPE, _AUTHOR, _TIME, _KEY, _SIGNATURES)
        return Inspection("envelope", "", {"bytes": len(raw)}, checks)
    shape = Check(*_SHAPE, InspectionVerdict.PASSED)
    time = _made(_TIME, lambda: check_envelope_time(decoded.core, now))
    card = find_card(decoded.core.author)
    checks = (shape, *_author_checks(decoded, card, time, is_listed))
    return Inspection(
        "envelope", decoded.envelope_id.text, _envelope_facts(decoded.core, card, len(raw)), checks
    )


def _author_checks(
    decoded: DecodedEnvelope, card: Card | None, time: Check, is_listed: IsListed
) -> tuple[Check, ...]:
    if card is None:
        unmade = [Check(*check, InspectionVerdict.NOT_MADE) for check in (_AUTHOR, _KEY, _SIGNATURES)]
        return (unmade[0], time, *unmade[1:])
    is_vouched = is_listed(decoded.core, decoded.envelope_id)
    key = _made(_KEY, lambda: signing_key(decoded.core, card, is_vouched=is_vouched))
    signatures = Check(*_SIGNATURES, InspectionVerdict.NOT_MADE)
    if key.verdict is InspectionVerdict.PASSED:
        signer = signing_key(decoded.core, card, is_vouched=is_vouched)
        signatures = _made(_SIGNATURES, lambda: verify_signatures(decoded, signer))
    return (Check(*_AUTHOR, InspectionVerdict.PASSED), time, key, signatures)


def _envelope_facts(core: Core, card: Card | None, size: int) -> Facts:
    return {
        "bytes": size,
        "author": core.author.text,
        "author_name": card.name if card else "",
        "key_id": core.key_id.text,
        "incarnation": core.incarnation,
        "sequence": core.sequence,
        "circle": core.circle.text,
        "mode": core.mode.name.lower(),
        "created": _iso(core.created),
        "expires": _iso(core.expires),
        "slots": core.slots,
        "body_bytes": core.body_bytes,
    }


# Checks of a proof, numbered as in docs/envelope.md; the third needs a card that is trusted here, and is left out else.
_PROOF_SHAPE, _PROOF_SIGNATURES, _PROOF_REVOKED = (
    (1, "shape, and one number for two things"),
    (2, "the card's and both signatures"),
    (3, "key not revoked by the card held here"),
)


def _inspect_proof(
    raw: bytes, find_card: Callable[[PartnerId], Card | None], is_listed: IsListed
) -> Inspection:
    try:
        proof = decode_proof(raw)
    except PeerError as error:
        checks = _failed_first(error, _PROOF_SHAPE, _PROOF_SIGNATURES)
        return Inspection("proof", "", {"bytes": len(raw)}, checks)
    partner_id = proof.partner_id if isinstance(proof, ForkProof) else proof.first.core.author
    checks = (
        Check(*_PROOF_SHAPE, InspectionVerdict.PASSED),
        _made(_PROOF_SIGNATURES, lambda: verify_proof(proof)),
    )
    held = find_card(partner_id)
    if held is not None:
        checks += (_made(_PROOF_REVOKED, lambda: check_not_revoked(proof, held, is_listed)),)
    return Inspection("proof", fingerprint(partner_id), {"bytes": len(raw)} | _proof_facts(proof), checks)


def _proof_facts(proof: Proof) -> Facts:
    if isinstance(proof, ForkProof):
        cards = [decode_versions(raw)[-1] for raw in (proof.known, proof.other)]
        return {
            "partner_id": proof.partner_id.text,
            **_name_facts(cards[0].body.name),
            "claims": f"two different cards of version {proof.version}",
            "version": proof.version,
            "signed": [card.body_digest.hex() for card in cards],
        }
    core = proof.first.core
    return {
        "partner_id": core.author.text,
        **_name_facts(decode_versions(proof.card_raw)[-1].body.name),
        "claims": f"two different envelopes under incarnation {core.incarnation}, sequence {core.sequence}",
        "incarnation": core.incarnation,
        "sequence": core.sequence,
        "signed": [statement.envelope_id.text for statement in (proof.first, proof.second)],
    }


def _name_facts(name: str) -> Facts:
    """The name, and beside it, where there is something, what the eye does not see."""
    facts: Facts = {"name": name}
    if notes := list(notes_on(name)):
        facts["name_notes"] = notes
    return facts


def _made(check: tuple[int, str], make: Callable[[], object]) -> Check:
    try:
        make()
    except PeerError as error:
        return Check(*check, InspectionVerdict.FAILED, error.reason)
    return Check(*check, InspectionVerdict.PASSED)


def _failed_first(error: PeerError, first: tuple[int, str], *rest: tuple[int, str]) -> tuple[Check, ...]:
    unmade = (Check(*check, InspectionVerdict.NOT_MADE) for check in rest)
    return (Check(*first, InspectionVerdict.FAILED, error.reason), *unmade)


def _iso(seconds: int) -> str:
    """Returns an instant in UTC (ISO 8601); one that no calendar holds is given as the number it is."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return str(seconds)
