"""Intake: bytes that a partner handed over become an envelope we hold, or a refusal with its reason.

The order of checks is that of docs/envelope.md, cheap first, and each step believes only what the earlier ones proved:

1. size and shape, canonical core       `envelope.decode_envelope`
2. author known, mode and circle allowed `policy.admission`
3. id unseen                             the store (and earlier in this batch)
4. time window                           `envelope.verification`
   room in the author's quota            `policy.quota`
5. both signatures                       `verification.verify_envelope`
6. opened, when it is addressed to us; payload within the limits of its kind   `payload_kinds.receive`
7. into the log; then the payload goes to the reader of its kind       `payload_kinds`
8. one transaction for the whole batch, what was read included; only then is anything acknowledged

An id is never remembered before step 5: a forged copy must not suppress the true one. Content that cannot be
read after step 5 is counted against its author, while the envelope itself stays held and is relayed: other
recipients, or a later version of this program, may read it. A fault of ours on one envelope (a bug) refuses
that envelope, or leaves its content aside, and spares the batch. Runs in the writer thread.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from p2pshare.envelope.card import Card
from p2pshare.envelope.envelope import DecodedEnvelope, decode_envelope
from p2pshare.envelope.sealing import open_envelope
from p2pshare.envelope.verification import (
    TimeVerdict,
    VerifiedEnvelope,
    signing_key,
    time_verdict,
    verify_envelope,
    verify_signatures,
)
from p2pshare.errors import OperatorError, PeerError
from p2pshare.identifiers import EnvelopeId, PartnerId
from p2pshare.log.interface import EnvelopeEntry, EnvelopeOrigin, NewEnvelope
from p2pshare.node.node import Node
from p2pshare.partners.roster import Roster
from p2pshare.policy.admission import RefuseEntry, admit
from p2pshare.policy.quota import Quota, counted_under
from p2pshare.sharing.partners import load_roster
from p2pshare.sharing.payload_kinds import PayloadReader, Readers, ReceivedPayload, receive

QUOTA = "quota"
"""The reason for which an envelope is refused whose author has filled its room here; it may be let in later."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Arrival:
    """Bytes as they came, and the partner (by its TLS identity) that handed them over."""

    wire: bytes
    received_from: PartnerId | None


class IntakeStatus(Enum):
    """Outcome of an arrival. Every arrival gets exactly one."""

    HELD = "held"
    ALREADY_HELD = "already-held"
    REFUSED = "refused"
    DEFERRED = "deferred"


@dataclass(frozen=True)
class IntakeVerdict:
    """The answer to one arrival; `envelope_id` is None when not even that could be read."""

    status: IntakeStatus
    envelope_id: EnvelopeId | None
    reason: str = ""
    entry: EnvelopeEntry | None = None


@dataclass(frozen=True)
class _Round:
    """Shared by the checks of one batch: our node, the readers of payloads, the roster, the quota; `now` in unix seconds."""

    node: Node
    readers: Readers
    roster: Roster
    quota: Quota
    now: int


@dataclass(frozen=True)
class _Passed:
    """An arrival that passed every check, and the payload to be read: None when it is not for us or was left aside."""

    envelope: NewEnvelope
    payload: ReceivedPayload | None


def take_in(
    node: Node,
    readers: Readers,
    arrivals: Sequence[Arrival],
    now: int,
    *,
    content_bytes_max: int | None = None,
) -> list[IntakeVerdict]:
    """Take a batch in; returns verdicts in the order of `arrivals`, after COMMIT. Raises StoreError (disk full) with
    nothing kept.

    Fewer verdicts than arrivals, but at least one, when what was opened reaches `content_bytes_max` (bytes, inflated):
    the rest was not looked at and may be handed in again.
    """
    decoded = [_decode(arrival) for arrival in arrivals]
    with node.store.transaction():
        quota = Quota(node.store.log.quota_bytes(), node.store.log.carried())
        batch = _Round(node, readers, load_roster(node), quota, now)
        seen = node.store.log.is_seen(
            [one.envelope_id for one in decoded if isinstance(one, DecodedEnvelope)]
        )
        checked: list[_Passed | IntakeVerdict] = []
        content_bytes = 0
        for arrival, one in zip(arrivals, decoded, strict=True):
            if isinstance(one, DecodedEnvelope):
                outcome = _check(batch, arrival, one, one.envelope_id in seen)
                checked.append(outcome)
                if isinstance(outcome, _Passed):
                    seen.add(one.envelope_id)  # verified: a second copy in this batch is held already
                    content_bytes += 0 if outcome.payload is None else outcome.payload.stated_bytes
            else:
                checked.append(one)
            if content_bytes_max is not None and content_bytes >= content_bytes_max:
                break
        verdicts = _store(batch, checked)
        node.store.partners.add_accounting(
            (arrival.received_from, verdict.status.value, verdict.reason)
            for arrival, verdict in zip(arrivals, verdicts, strict=False)
        )
    return verdicts


def _store(batch: _Round, checked: Sequence[_Passed | IntakeVerdict]) -> list[IntakeVerdict]:
    """Store what passed the checks and have it read; returns verdicts in order."""
    passed = [one for one in checked if isinstance(one, _Passed)]
    stored = batch.node.store.log.add([one.envelope for one in passed])
    _read(
        batch,
        [
            (outcome.source, one.payload)
            for one, outcome in zip(passed, stored, strict=True)
            if outcome.source is not None and one.payload is not None
        ],
    )
    outcomes = iter(stored)
    verdicts = []
    for one in checked:
        if isinstance(one, _Passed):
            outcome = next(outcomes)
            status = IntakeStatus.HELD if outcome.is_new else IntakeStatus.ALREADY_HELD
            one = IntakeVerdict(status, one.envelope.envelope_id, entry=outcome.entry)
        verdicts.append(one)
    return verdicts


def _read(batch: _Round, payloads: Sequence[tuple[EnvelopeOrigin, ReceivedPayload]]) -> None:
    """Hand each payload to the reader of its kind, in the transaction that stored its envelope; count what is refused in
    it against its author."""
    batch.node.store.log.mark_opened(source for source, _ in payloads)
    made: dict[str, PayloadReader] = {}
    for source, payload in payloads:
        name = payload.kind.name
        if name not in made:
            made[name] = batch.readers[name](batch.node)
        refused = _read_one(batch, made[name], source, payload)
        if refused:
            batch.node.store.partners.count_refusals(payload.author, refused)
    for reader in made.values():
        reader.finish(batch.now)


def _read_one(
    batch: _Round, reader: PayloadReader, source: EnvelopeOrigin, payload: ReceivedPayload
) -> Counter[str]:
    """Returns what was refused of it, by reason."""
    refused: Counter[str] = Counter()
    try:
        for _ in reader.read(source, payload, refused):
            pass  # all in one transaction
    except PeerError as error:
        refused[_left_aside(payload.envelope_id, payload.author, error)] += 1
    except OperatorError:
        raise
    except Exception as error:
        if (
            batch.node.store.database.is_undone
        ):  # it came out of a write: nothing of the batch is left to spare
            raise
        logger.error("content of %s was not read: %s", payload.envelope_id.short, type(error).__name__)
        refused["internal-error"] += 1
    return refused


def _left_aside(envelope_id: EnvelopeId, author: PartnerId, error: PeerError) -> str:
    """Log that content is not read; returns the reason it is counted under."""
    logger.warning("content of %s by %s: %s", envelope_id.short, author.short, error.reason)
    return f"content-{error.reason}"


def _decode(arrival: Arrival) -> DecodedEnvelope | IntakeVerdict:
    try:
        return decode_envelope(arrival.wire)
    except PeerError as error:
        return IntakeVerdict(IntakeStatus.REFUSED, None, error.reason)
    except Exception:  # noqa: BLE001 - one boundary: a bug of ours must not cost the rest of the batch
        logger.error("refused an envelope of %d bytes: internal-error while decoding", len(arrival.wire))
        return IntakeVerdict(IntakeStatus.REFUSED, None, "internal-error")


def _check(
    batch: _Round, arrival: Arrival, decoded: DecodedEnvelope, is_seen: bool
) -> _Passed | IntakeVerdict:
    """Returns the outcome of steps 2 to 6 for one arrival. Raises OperatorError alone."""
    envelope_id = decoded.envelope_id
    try:
        return _check_believing_nothing(batch, arrival, decoded, is_seen)
    except PeerError as error:
        return IntakeVerdict(IntakeStatus.REFUSED, envelope_id, error.reason)
    except OperatorError:
        raise
    except Exception as error:  # noqa: BLE001 - see _decode
        logger.error("refused envelope %s: internal-error (%s)", envelope_id.short, type(error).__name__)
        return IntakeVerdict(IntakeStatus.REFUSED, envelope_id, "internal-error")


def _check_believing_nothing(
    batch: _Round, arrival: Arrival, decoded: DecodedEnvelope, is_seen: bool
) -> _Passed | IntakeVerdict:
    core, envelope_id, size = decoded.core, decoded.envelope_id, len(arrival.wire)
    node, now, shelf = batch.node, batch.now, counted_under(core.mode, core.circle)
    admission = admit(
        mode=core.mode,
        circle=core.circle,
        author=core.author,
        received_from=arrival.received_from,
        roster=batch.roster,
    )
    if isinstance(admission, RefuseEntry):
        return IntakeVerdict(IntakeStatus.REFUSED, envelope_id, admission.reason)
    if is_seen:
        return IntakeVerdict(IntakeStatus.ALREADY_HELD, envelope_id)
    time = time_verdict(core, now)
    if time in (TimeVerdict.EXPIRED, TimeVerdict.FROM_THE_FUTURE):
        return IntakeVerdict(IntakeStatus.REFUSED, envelope_id, time.value)
    if core.author != batch.roster.own_id and not batch.quota.has_room(core.author, shelf, size):
        return IntakeVerdict(IntakeStatus.REFUSED, envelope_id, QUOTA)
    card = _author_card(node, batch.roster, core.author)
    if time is TimeVerdict.DEFERRED:
        verify_signatures(decoded, signing_key(core, card))
        is_kept = node.store.log.defer(envelope_id, arrival.wire, arrival.received_from, core.created)
        return IntakeVerdict(
            IntakeStatus.DEFERRED if is_kept else IntakeStatus.REFUSED, envelope_id, time.value
        )
    verified = verify_envelope(decoded, card, now)
    batch.quota.add(core.author, shelf, size)
    recipient_sequence, payload = _open(batch, verified)
    envelope = NewEnvelope(
        verified,
        received_from=arrival.received_from,
        received_at=now,
        recipient_sequence=recipient_sequence,
    )
    return _Passed(envelope, payload)


def _author_card(node: Node, roster: Roster, author: PartnerId) -> Card:
    entry = roster.get(author)
    return entry.card if entry is not None else node.identity.card


def _open(batch: _Round, verified: VerifiedEnvelope) -> tuple[int | None, ReceivedPayload | None]:
    """Returns the author's number for us and the payload. Both are None when the envelope is not for us or cannot be
    opened; the payload alone when it is left aside: its number has come all the same, nobody withheld it."""
    author, recipient_sequence = verified.core.author, None
    try:
        opened = open_envelope(batch.node.identity, verified, verified.author_card)
        if opened is None:
            return None, None
        recipient_sequence = opened.recipient_sequence
        return recipient_sequence, receive(verified, opened.payload, batch.readers, batch.now)
    except PeerError as error:
        reason = _left_aside(verified.envelope_id, author, error)
        batch.node.store.partners.count_refusals(author, {reason: 1})
        return recipient_sequence, None


def retry_deferred(node: Node, readers: Readers, now: int) -> list[IntakeVerdict]:
    """Take in what was deferred and is due. Raises StoreError (disk full) with all of it still kept."""
    with node.store.transaction():  # one with the storing: what was taken out and not stored would be lost
        due = node.store.log.pop_deferred(now)
        return (
            take_in(node, readers, [Arrival(wire, received_from) for wire, received_from in due], now)
            if due
            else []
        )
