"""Intake: bytes that a partner handed over become an envelope we hold, or a refusal with its reason.

The order of checks is that of docs/envelope.md, cheap first, and each step believes only what the earlier ones proved:

1. size and shape, canonical core       `envelope.envelope.decode_envelope`
2. author known, mode and circle allowed `policy.admission`
3. id unseen                             the store (and earlier in this batch)
4. time window                           `envelope.verification`
   room in the author's quota            `policy.quota`
5. both signatures                       `envelope.verification.verify_envelope`
6. into the log, one transaction for the whole batch; only then is anything acknowledged, or announced on

Notices (cards and vouch pages) come the same way and are taken in before the envelopes of their batch (`sharing.notices`).

What is inside is read after, by `sharing.reading`: whether an envelope is addressed to us changes nothing up to here, so
nobody can tell it from the time that an answer takes.

An id is never remembered before step 5: a forged copy must not suppress the true one. A fault of ours on one envelope
(a bug) refuses that envelope and spares the batch. Runs in the writer thread.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from p2pshare.envelope.card import Card, DecodedCard
from p2pshare.envelope.envelope import DecodedEnvelope, decode_envelope
from p2pshare.envelope.notice import CircleNotice, is_notice, notice_id_of, read_notice
from p2pshare.envelope.own_audience import addressed_to
from p2pshare.envelope.verification import (
    TimeVerdict,
    VerifiedEnvelope,
    signing_key,
    time_verdict,
    verify_envelope,
    verify_signatures,
)
from p2pshare.errors import OperatorError, PeerError
from p2pshare.gossip.intake_schedule import INTAKE_LIMITS
from p2pshare.gossip.moment import Moment
from p2pshare.identifiers import EnvelopeId, PartnerId
from p2pshare.log.interface import DeferredEnvelope, EnvelopeEntry, NewEnvelope
from p2pshare.node.node import Node
from p2pshare.partners.roster import Roster
from p2pshare.policy.admission import RefuseEntry, admit
from p2pshare.policy.quota import Quota, counted_under
from p2pshare.sharing.introducing import note_stranger
from p2pshare.sharing.notices import TakenNotice, take_in_notice
from p2pshare.sharing.partners import load_roster
from p2pshare.sharing.revocation_walk import is_vouched

QUOTA = "quota"
"""The reason for which an envelope is refused whose author has filled its room here; it may be let in later."""

GAVE_UP = "gave-up"
"""The reason for which a deferred envelope is refused that could not be taken in twice."""

DEFERRED_ATTEMPTS_MAX = 2  # one may have died of something else
DEFERRED_AT_ONCE = 16  # taken in in one commit, some 20 ms: whoever pushes meanwhile waits for it, and nobody waits for these

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
    notice: TakenNotice | None = None
    """What more there is to say of a notice."""
    content_bytes: int = 0
    """Of what is sealed in a new envelope; 0 where none is held now."""
    is_again: bool = False
    """Whether it was deferred before, and waits already."""

    @property
    def accounted_as(self) -> str:
        """Returns the word under which it is accounted for: a second copy of what waits brings nothing."""
        return (IntakeStatus.ALREADY_HELD if self.is_again else self.status).value


@dataclass(frozen=True)
class _Round:
    """Shared by the checks of one batch: our node, the roster, the quota, and what is known of the time."""

    node: Node
    roster: Roster
    quota: Quota
    now: int
    earliest: int
    latest: int


def take_in(
    node: Node,
    arrivals: Sequence[Arrival],
    now: int,
    moment: Moment | None = None,
    *,
    were_deferred: bool = False,
) -> list[IntakeVerdict]:
    """Take a batch in at `now` (unix seconds), which `moment` may put in doubt; returns verdicts in the order of `arrivals`,
    after COMMIT. `were_deferred`: they came in before, and are accounted for. Raises StoreError (disk full) with nothing kept."""
    time = moment or Moment.certain(now)
    decoded = [_decode(arrival) for arrival in arrivals]
    with node.store.transaction():
        notices = _take_in_notices(node, arrivals, decoded, now, time)
        quota = Quota(node.store.log.quota_bytes(), node.store.log.carried())
        batch = _Round(node, load_roster(node), quota, now, int(time.earliest), int(time.latest))
        seen = node.store.log.is_seen(
            [one.envelope_id for one in decoded if isinstance(one, DecodedEnvelope)]
        )
        checked: list[NewEnvelope | IntakeVerdict] = []
        for number, (arrival, one) in enumerate(zip(arrivals, decoded, strict=True)):
            if isinstance(one, CircleNotice):
                checked.append(notices[number])
            elif isinstance(one, DecodedEnvelope):
                outcome = _check(batch, arrival, one, one.envelope_id in seen)
                checked.append(outcome)
                if isinstance(outcome, NewEnvelope):
                    seen.add(one.envelope_id)  # verified: a second copy in this batch is held already
            else:
                checked.append(one)
        verdicts = _store(node, checked)
        account = node.store.partners.end_deferrals if were_deferred else node.store.partners.add_accounting
        account(
            (arrival.received_from, verdict.accounted_as, verdict.reason)
            for arrival, verdict in zip(arrivals, verdicts, strict=True)
        )
    return verdicts


def _store(node: Node, checked: Sequence[NewEnvelope | IntakeVerdict]) -> list[IntakeVerdict]:
    """Store what passed the checks; returns verdicts in order."""
    stored = iter(node.store.log.add([one for one in checked if isinstance(one, NewEnvelope)]))
    verdicts = []
    for one in checked:
        if isinstance(one, NewEnvelope):
            outcome = next(stored)
            status = IntakeStatus.HELD if outcome.is_new else IntakeStatus.ALREADY_HELD
            sealed = one.envelope.decoded.body if isinstance(one.envelope, VerifiedEnvelope) else b""
            one = IntakeVerdict(status, one.envelope_id, entry=outcome.entry, content_bytes=len(sealed))
        verdicts.append(one)
    return verdicts


def _take_in_notices(
    node: Node,
    arrivals: Sequence[Arrival],
    decoded: Sequence[DecodedEnvelope | CircleNotice | IntakeVerdict],
    now: int,
    moment: Moment,
) -> dict[int, IntakeVerdict]:
    """Take in the notices of a batch, cards first, so that pages and envelopes meet the newest; returns verdicts by place."""
    notices = [(number, one) for number, one in enumerate(decoded) if isinstance(one, CircleNotice)]
    notices.sort(key=lambda placed: not isinstance(placed[1].content, DecodedCard))
    verdicts: dict[int, IntakeVerdict] = {}
    roster = load_roster(node) if notices else None
    for number, one in notices:
        assert roster is not None
        arrival = arrivals[number]
        try:
            taken = take_in_notice(node, roster, one, arrival.wire, arrival.received_from, now, moment)
        except OperatorError:
            raise
        except Exception as error:  # noqa: BLE001 - see _decode
            logger.error("refused notice %s: internal-error (%s)", one.notice_id.short, type(error).__name__)
            taken = TakenNotice("internal-error")
        if taken.reason == "author-unknown":
            note_stranger(node, roster, one.author, one.circle, arrival.received_from, now, card=one.content)
        if taken.has_changed_roster:
            roster = load_roster(node)
        status = IntakeStatus.HELD if taken.is_new else IntakeStatus.ALREADY_HELD
        if taken.reason:
            status = IntakeStatus.REFUSED
        verdicts[number] = IntakeVerdict(status, EnvelopeId(one.notice_id), taken.reason, notice=taken)
    return verdicts


def _decode(arrival: Arrival) -> DecodedEnvelope | CircleNotice | IntakeVerdict:
    notice_id = EnvelopeId(notice_id_of(arrival.wire)) if is_notice(arrival.wire) else None
    try:
        return decode_envelope(arrival.wire) if notice_id is None else read_notice(arrival.wire)
    except PeerError as error:
        return IntakeVerdict(IntakeStatus.REFUSED, notice_id, error.reason)
    except Exception:  # noqa: BLE001 - one boundary: a bug of ours must not cost the rest of the batch
        logger.error("refused an envelope of %d bytes: internal-error while decoding", len(arrival.wire))
        return IntakeVerdict(IntakeStatus.REFUSED, None, "internal-error")


def _check(
    batch: _Round, arrival: Arrival, decoded: DecodedEnvelope, is_seen: bool
) -> NewEnvelope | IntakeVerdict:
    """Returns the outcome of steps 2 to 5 for one arrival. Raises OperatorError alone."""
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
) -> NewEnvelope | IntakeVerdict:
    core, envelope_id, size = decoded.core, decoded.envelope_id, len(arrival.wire)
    node, now, shelf = batch.node, batch.now, counted_under(core.mode, core.circle)
    admission = admit(
        mode=core.mode,
        circle=core.circle,
        author=core.author,
        received_from=arrival.received_from,
        roster=batch.roster,
        now=batch.now,
    )
    if isinstance(admission, RefuseEntry):
        if admission.reason == "author-unknown":
            note_stranger(node, batch.roster, core.author, core.circle, arrival.received_from, now)
        return IntakeVerdict(IntakeStatus.REFUSED, envelope_id, admission.reason)
    if is_seen:
        return IntakeVerdict(IntakeStatus.ALREADY_HELD, envelope_id)
    time = time_verdict(core, batch.earliest, batch.latest)
    if time not in (TimeVerdict.CURRENT, TimeVerdict.DEFERRED):
        return IntakeVerdict(IntakeStatus.REFUSED, envelope_id, time.value)
    if core.author != batch.roster.own_id and not batch.quota.has_room(core.author, shelf, size):
        return IntakeVerdict(IntakeStatus.REFUSED, envelope_id, QUOTA)
    card = _author_card(node, batch.roster, core.author)
    vouched = is_vouched(node, core, envelope_id, card)
    if time is TimeVerdict.DEFERRED:
        verify_signatures(decoded, signing_key(core, card, is_vouched=vouched))
        if node.store.log.is_deferred(envelope_id):
            return IntakeVerdict(IntakeStatus.DEFERRED, envelope_id, time.value, is_again=True)
        is_kept = node.store.log.defer(envelope_id, arrival.wire, arrival.received_from, core.created)
        return IntakeVerdict(
            IntakeStatus.DEFERRED if is_kept else IntakeStatus.REFUSED, envelope_id, time.value
        )
    verified = verify_envelope(decoded, card, batch.earliest, latest=batch.latest, is_vouched=vouched)
    batch.quota.add(core.author, shelf, size)
    audience: tuple[PartnerId, ...] = ()
    if core.author == batch.roster.own_id:  # it comes home: we know nothing of it but what is in it
        cards = (entry.card for entry in batch.roster)
        audience = tuple(card.partner_id for card in addressed_to(node.identity, decoded, cards))
    return NewEnvelope(verified, received_from=arrival.received_from, received_at=now, audience=audience)


def _author_card(node: Node, roster: Roster, author: PartnerId) -> Card:
    entry = roster.get(author)
    return entry.card if entry is not None else node.identity.card


def retry_deferred(node: Node, now: int, moment: Moment | None = None) -> list[IntakeVerdict]:
    """Take in a batch of what was deferred and is due at `now` (unix seconds; `moment` as for `take_in`); returns [] when nothing
    is.

    An attempt is counted before it is made: an envelope that fails twice, or takes the process with it, is refused. Raises
    StoreError (disk full) with all of it still kept, and no attempt counted.
    """
    log = node.store.log
    due = log.due_deferred(now, DEFERRED_AT_ONCE, INTAKE_LIMITS.batch_bytes)
    ids = [one.envelope_id for one in due]
    if not due:
        return []
    if due[0].attempts >= DEFERRED_ATTEMPTS_MAX:
        return [_give_up(node, due[0])]
    log.begin_deferred(ids)
    try:
        with (
            node.store.transaction()
        ):  # one with the storing: what was taken out and not stored would be lost
            log.drop_deferred(ids)
            waited = [Arrival(one.wire, one.received_from) for one in due]
            return take_in(node, waited, now, moment, were_deferred=True)
    except OperatorError:
        log.forgive_deferred(ids)
        raise


def _give_up(node: Node, one: DeferredEnvelope) -> IntakeVerdict:
    with node.store.transaction():
        node.store.log.drop_deferred([one.envelope_id])
        node.store.partners.end_deferrals([(one.received_from, IntakeStatus.REFUSED.value, GAVE_UP)])
    return IntakeVerdict(IntakeStatus.REFUSED, one.envelope_id, GAVE_UP)
