"""Intake: bytes that a partner handed over become an envelope we hold, or a refusal with its reason.

The order of checks is trust.md's, cheap first, and each step believes only what the earlier ones proved:

1. size and shape, canonical core       `envelope.decode_envelope`
2. author known, mode and circle allowed `policy.admission`
3. id unseen                             the store (and earlier in this batch)
4. time window                           `envelope.verification`
   room in the author's quota            `policy.quota`
5. both signatures                       `envelope.verify_envelope`
6. opened, when it is addressed to us; content read object by object
7. one transaction for the whole batch, quarantine included; only then is anything acknowledged

An id is never remembered before step 5: a forged copy must not suppress the true one. Content that cannot be
read after step 5 is counted against its author, while the envelope itself stays held and is relayed: other
recipients, or a later version of this program, may read it. A fault of ours on one envelope (a bug) refuses
that envelope and spares the batch. Runs in the writer thread.
"""

from __future__ import annotations

import logging
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
from p2pshare.log.interface import EnvelopeEntry
from p2pshare.node.node import Node
from p2pshare.policy.admission import RefuseEntry, admit
from p2pshare.policy.quota import Quota, counted_under
from p2pshare.policy.roster import Roster
from p2pshare.service.content import Content, open_content, stated_content_bytes
from p2pshare.service.partners import load_roster
from p2pshare.service.storing import Arriving, Opened, store_envelopes

QUOTA = "quota"
"""The reason why an envelope is refused whose author has filled its room here; it may be let in later."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Arrival:
    """Bytes as they came, and the partner (by its TLS identity) who handed them over."""

    wire: bytes
    bearer: PartnerId | None


class Status(Enum):
    """What became of an arrival. Every arrival gets exactly one."""

    HELD = "held"
    ALREADY_HELD = "already-held"
    REFUSED = "refused"
    DEFERRED = "deferred"


@dataclass(frozen=True)
class Verdict:
    """The answer to one arrival; `envelope_id` is None when not even that could be read."""

    status: Status
    envelope_id: EnvelopeId | None
    reason: str = ""
    entry: EnvelopeEntry | None = None


@dataclass(frozen=True)
class _Round:
    """What the checks of one batch share: our side, who may write, and how much; `now` in unix seconds."""

    node: Node
    roster: Roster
    quota: Quota
    now: int


def take_in(
    node: Node, arrivals: Sequence[Arrival], now: int, *, content_bytes_max: int | None = None
) -> list[Verdict]:
    """Verdicts in the order of `arrivals`, after COMMIT. Raises StoreError (disk full) with nothing kept.

    Fewer verdicts than arrivals, but at least one, when what was opened reaches `content_bytes_max` (bytes,
    inflated): the rest was not looked at and may be handed in again.
    """
    decoded = [_decode(arrival) for arrival in arrivals]
    with node.store.transaction():
        quota = Quota(node.store.log.quota_bytes(), node.store.log.carried())
        batch = _Round(node, load_roster(node), quota, now)
        seen = node.store.log.is_seen(
            [one.envelope_id for one in decoded if isinstance(one, DecodedEnvelope)]
        )
        checked: list[Arriving | Verdict] = []
        content_bytes = 0
        for arrival, one in zip(arrivals, decoded, strict=True):
            if isinstance(one, DecodedEnvelope):
                checked.append(_check(batch, arrival, one, one.envelope_id in seen))
                content_bytes += _content_bytes(checked[-1])
            else:
                checked.append(one)
            if content_bytes_max is not None and content_bytes >= content_bytes_max:
                break
        verdicts = _store(node, checked)
        node.store.partners.add_accounting(
            (arrival.bearer, verdict.status.value, verdict.reason)
            for arrival, verdict in zip(arrivals, verdicts, strict=False)
        )
    return verdicts


def _content_bytes(one: Arriving | Verdict) -> int:
    """What reading an envelope that passed will inflate, in bytes; nothing when it is not for us."""
    content = one.opened.frames if isinstance(one, Arriving) and one.opened else None
    return stated_content_bytes(content.frames) if isinstance(content, Content) else 0


def _store(node: Node, checked: Sequence[Arriving | Verdict]) -> list[Verdict]:
    """Stores what passed the checks; verdicts in order."""
    passed = [one for one in checked if isinstance(one, Arriving)]
    stored = iter(store_envelopes(node.store, passed, index=node.warning_index))
    verdicts = []
    for one in checked:
        if isinstance(one, Arriving):
            outcome = next(stored)
            status = Status.HELD if outcome.is_new else Status.ALREADY_HELD
            one = Verdict(status, one.envelope_id, entry=outcome.entry)
        verdicts.append(one)
    for envelope in passed:
        content = envelope.opened.frames if envelope.opened else None
        if isinstance(content, Content) and content.refused:
            node.store.partners.count_refusals(envelope.core.author, content.refused)
    return verdicts


def _decode(arrival: Arrival) -> DecodedEnvelope | Verdict:
    try:
        return decode_envelope(arrival.wire)
    except PeerError as error:
        return Verdict(Status.REFUSED, None, error.reason)
    except Exception:  # noqa: BLE001 - one boundary: a bug of ours must not cost the rest of the batch
        logger.error("refused an envelope of %d bytes: internal-error while decoding", len(arrival.wire))
        return Verdict(Status.REFUSED, None, "internal-error")


def _check(batch: _Round, arrival: Arrival, decoded: DecodedEnvelope, is_seen: bool) -> Arriving | Verdict:
    """Steps 2 to 6 for one arrival."""
    envelope_id = decoded.envelope_id
    try:
        return _check_believing_nothing(batch, arrival, decoded, is_seen)
    except PeerError as error:
        return Verdict(Status.REFUSED, envelope_id, error.reason)
    except OperatorError:
        raise
    except Exception as error:  # noqa: BLE001 - see _decode
        logger.error("refused envelope %s: internal-error (%s)", envelope_id.short, type(error).__name__)
        return Verdict(Status.REFUSED, envelope_id, "internal-error")


def _check_believing_nothing(
    batch: _Round, arrival: Arrival, decoded: DecodedEnvelope, is_seen: bool
) -> Arriving | Verdict:
    core, envelope_id, size = decoded.core, decoded.envelope_id, len(arrival.wire)
    node, now, shelf = batch.node, batch.now, counted_under(core.mode, core.circle)
    admission = admit(
        mode=core.mode, circle=core.circle, author=core.author, bearer=arrival.bearer, roster=batch.roster
    )
    if isinstance(admission, RefuseEntry):
        return Verdict(Status.REFUSED, envelope_id, admission.reason)
    if is_seen:
        return Verdict(Status.ALREADY_HELD, envelope_id)
    time = time_verdict(core, now)
    if time in (TimeVerdict.EXPIRED, TimeVerdict.FROM_THE_FUTURE):
        return Verdict(Status.REFUSED, envelope_id, time.value)
    if core.author != batch.roster.own_id and not batch.quota.has_room(core.author, shelf, size):
        return Verdict(Status.REFUSED, envelope_id, QUOTA)
    card = _author_card(node, batch.roster, core.author)
    if time is TimeVerdict.DEFERRED:
        verify_signatures(decoded, signing_key(core, card))
        is_kept = node.store.log.defer(envelope_id, arrival.wire, arrival.bearer, core.created)
        return Verdict(Status.DEFERRED if is_kept else Status.REFUSED, envelope_id, time.value)
    verified = verify_envelope(decoded, card, now)
    batch.quota.add(core.author, shelf, size)
    return Arriving(
        verified,
        from_partner=arrival.bearer,
        received_at=now,
        opened=_open(node, verified),
    )


def _author_card(node: Node, roster: Roster, author: PartnerId) -> Card:
    entry = roster.get(author)
    return entry.card if entry is not None else node.identity.card


def _open(node: Node, verified: VerifiedEnvelope) -> Opened | None:
    """The readable content, or None when it is not for us or its author made it unreadable (counted)."""
    author = verified.core.author
    try:
        opened = open_envelope(node.identity, verified, verified.author_card)
        if opened is None:
            return None
        return Opened(open_content(opened.payload), recipient_sequence=opened.recipient_sequence)
    except PeerError as error:
        logger.warning("content of %s by %s: %s", verified.envelope_id.short, author.short, error.reason)
        node.store.partners.count_refusals(author, {f"content-{error.reason}": 1})
        return None


def retry_deferred(node: Node, now: int) -> list[Verdict]:
    """Takes in what was deferred and whose time has come. Raises StoreError (disk full) with all of it still kept."""
    with node.store.transaction():  # one with the storing: what was taken out and not stored would be lost
        due = node.store.log.pop_deferred(now)
        return take_in(node, [Arrival(wire, bearer) for wire, bearer in due], now) if due else []
