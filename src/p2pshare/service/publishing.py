"""Publishing: drafts become sealed envelopes in our own store, ready to leave. All of a publication or nothing.

Each part of a draft carries one marking, so each envelope has one audience. Everything is sealed and then stored
in one transaction: after `publish` said yes a crash loses nothing, and before it nothing has left.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from p2pshare.envelope.envelope import Mode
from p2pshare.envelope.payload import Part, PayloadHeader, encode_payload
from p2pshare.envelope.sealing import Recipient, SealedEnvelope, SealRequest, seal
from p2pshare.errors import AuthorError
from p2pshare.identifiers import CircleId, EnvelopeId, PartnerId, PublicationId
from p2pshare.intel.marking import Tlp
from p2pshare.intel.refusals import Refusals
from p2pshare.knowledge.interface import NewFrame
from p2pshare.limits import PUBLICATION_PARTS_MAX
from p2pshare.node.node import Node, gate_settings
from p2pshare.policy.audience import Audience, Refuse, resolve
from p2pshare.service.content import Content, only_what_was_read
from p2pshare.service.drafting import DraftPart, Progress
from p2pshare.service.guarding import NOTHING_CONFIRMED, Confirmed, screen
from p2pshare.service.partners import load_roster
from p2pshare.service.payload_kinds import STIX
from p2pshare.service.storing import ReadEnvelope, store_envelopes


@dataclass
class PublishReport:
    """What was published, for whom, and what policy refused. `envelopes` is empty on a dry run."""

    published: int = 0
    observables: int = 0
    envelopes: list[EnvelopeId] = field(default_factory=list)
    recipients: set[str] = field(default_factory=set)
    skipped: dict[str, str] = field(default_factory=dict)
    markings: set[str] = field(default_factory=set)
    refusals: Refusals = field(default_factory=Refusals)
    notes: Refusals = field(default_factory=Refusals)
    """What was wrong inside objects that were kept: values without a canonical form."""
    refuse: Refuse | None = None
    """The first refusal of policy, for the person who asked."""


@dataclass(frozen=True)
class Accepted:
    """A part that policy let pass, read as any partner would read it, and how long it is carried."""

    part: DraftPart
    audience: Audience
    frames: tuple[NewFrame, ...]
    ttl_class: int


def publish(
    node: Node,
    parts: Sequence[DraftPart],
    *,
    names: Sequence[str],
    ttl_class: int,
    is_dry_run: bool,
    now: int,
    progress: Progress,
    confirmed: Confirmed = NOTHING_CONFIRMED,
) -> PublishReport:
    """Resolves the audience of each part, screens it, seals and stores. Raises StoreError with nothing kept."""
    report = PublishReport()
    roster = load_roster(node)
    settings = gate_settings(node.config)
    accepted: list[Accepted] = []
    values: set[tuple[str, str]] = set()
    for part in parts:
        audience = resolve(part.tlp, names, roster, settings, now)
        if isinstance(audience, Refuse):
            report.refuse = report.refuse or audience
            report.refusals.add(audience.reason, part.tlp.label, count=part.objects - part.repeats)
            continue
        content = Content(part.frames, part.tlp)
        frames = tuple(content)
        if _strictest(frames) > part.tlp:
            report.refusals.add("stricter-than-part", part.tlp.label, count=part.objects - part.repeats)
            continue
        for reason, count in content.refused.items():
            report.refusals.add(reason, part.tlp.label, count=count)
        alive, withdrawn, revived = _without_withdrawn(node, frames)
        screening = screen(node, alive, confirmed)
        report.notes.merge(revived)
        for refusals in (withdrawn, screening.refusals):
            report.refusals.merge(refusals)
        report.notes.merge(screening.notes)
        objects = content.objects - withdrawn.total - screening.refusals.total
        if content.refused or withdrawn or screening.refusals:
            part = replace(part, frames=only_what_was_read(screening.frames), objects=objects)
            frames = tuple(Content(part.frames, part.tlp))
        if objects <= part.repeats:  # nothing is left but what was added for reading
            continue
        accepted.append(Accepted(part, audience, frames, ttl_class))
        report.published += objects - part.repeats
        report.notes.merge(content.notes)
        report.markings.add(part.tlp.label)
        report.recipients.update(entry.alias for entry in audience.recipients)
        report.skipped.update(audience.skipped)
        for frame in frames:
            values.update((claim.type, claim.value) for fact in frame.objects for claim in fact.claims)
    report.observables = len(values)
    if accepted and not is_dry_run:
        report.envelopes = seal_and_store(node, accepted, now, progress)
    return report


def _without_withdrawn(
    node: Node, frames: Sequence[NewFrame]
) -> tuple[tuple[NewFrame, ...], Refusals, Refusals]:
    """What counts when it arrives; what our own withdrawal reaches, which would be no claim of ours anywhere; and, as
    notes, what we had withdrawn and counts again: a list that is published daily must not do that unsaid."""
    refusals, notes = Refusals(), Refusals()
    alive = []
    for frame in frames:
        ids = {fact.object_id for fact in frame.objects}
        up_to = node.store.knowledge.withdrawn_up_to(node.identity.partner_id, ids)
        kept = []
        for fact in frame.objects:
            reach = up_to.get(fact.object_id)
            if reach is not None and fact.modified_us is not None and fact.modified_us <= reach:
                refusals.add("withdrawn", fact.object_id)
                continue
            if reach is not None:
                notes.add("withdrawn-before", fact.claims[0].value if fact.claims else fact.object_id)
            kept.append(fact)
        alive.append(NewFrame(frame.frame, kept))
    return tuple(alive), refusals, notes


def _strictest(frames: Sequence[NewFrame]) -> Tlp:
    """The strictest marking of any object, as any partner reads it: what the gate let pass must not be looser.

    Parts come over the control socket, cut by another process: their label alone is not believed.
    """
    return max((fact.tlp for frame in frames for fact in frame.objects), default=Tlp.CLEAR)


def seal_and_store(
    node: Node, accepted: Sequence[Accepted], now: int, progress: Progress
) -> list[EnvelopeId]:
    """An envelope for each, in our own chain, one publication, all stored in one transaction.

    Raises AuthorError (`oversized`) and StoreError with nothing kept.
    """
    if len(accepted) > PUBLICATION_PARTS_MAX:
        raise AuthorError(
            f"{len(accepted)} envelopes are more than one publication may have ({PUBLICATION_PARTS_MAX})",
            hint="split the publication",
            reason="oversized",
        )
    publication = PublicationId(secrets.token_bytes(PublicationId.length))
    state = node.store.log.author_state(now)
    sequence, previous = state.sequence, state.previous
    recipient_ids = {entry.partner_id for one in accepted for entry in one.audience.recipients}
    recipient_sequences = node.store.log.recipient_sequences(sorted(recipient_ids))
    rows: list[ReadEnvelope] = []
    for done, one in enumerate(accepted, start=1):
        part, audience = one.part, one.audience
        sequence += 1
        for entry in audience.recipients:
            recipient_sequences[entry.partner_id] = recipient_sequences.get(entry.partner_id, 0) + 1
        header = PayloadHeader(
            type=STIX.name,
            created=now,
            marking=part.tlp.label,
            objects=sum(len(frame.objects) for frame in one.frames),
            publication=publication,
            part=Part(done, len(accepted)),
        )
        request = SealRequest(
            payload=encode_payload(header, part.frames),
            recipients=tuple(
                Recipient(entry.card, recipient_sequences[entry.partner_id]) for entry in audience.recipients
            ),
            incarnation=state.incarnation,
            sequence=sequence,
            previous=previous,
            circle=_home_circle(node),
            mode=audience.mode,
            created=now,
            ttl_class=one.ttl_class,
        )
        sealed = seal(node.identity, request)
        rows.append(_own_row(sealed, one, dict(recipient_sequences), now))
        previous = sealed.envelope_id
        progress("sealed", done, len(accepted))
    store_envelopes(
        node.store, rows, index=node.warning_index
    )  # what was shared all the same is no less listed here
    return [row.envelope_id for row in rows]


def _own_row(
    sealed: SealedEnvelope, accepted: Accepted, recipient_sequences: dict[PartnerId, int], now: int
) -> ReadEnvelope:
    """The row of an envelope of our own: opened, and waiting in the outbox for its first hop."""
    is_direct = accepted.audience.mode is Mode.DIRECT
    recipients = tuple(entry.partner_id for entry in accepted.audience.recipients)
    return ReadEnvelope(
        sealed,
        from_partner=None,
        received_at=now,
        frames=accepted.frames,
        awaits_first_hop=not is_direct,
        recipient_sequences=recipient_sequences,
        audience=recipients,
    )


def _home_circle(node: Node) -> CircleId:
    """The circle our publications travel in: the first configured one."""
    return CircleId.of(next(iter(node.config.gossip.circles), "main"))
