"""Publishing in two steps: `prepare` reads each part once and says what would leave and to whom, `seal` seals and
stores exactly that. All of a publication or nothing.

Rules:

1. A part is believed no more than a partner's payload: read by the same reader, screened object by object, and sealed
   without what could not be read or may not leave.
2. Each part carries one marking, so each envelope has one audience.
3. Facts are stored as the first step read them: nothing is inflated or decoded a second time, not even our own envelope.
4. A person may think between the two steps. Where that changed who would get it, what warning lists block, what is
   private, or what we have withdrawn, nothing is sealed (`prepared-changed`).
5. Everything is sealed and stored in one transaction: after `seal` a crash loses nothing, and before it ended nothing
   has left.
6. Parts are taken one after another: memory follows the largest of them, not the publication.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from p2pshare.envelope.envelope import Mode
from p2pshare.envelope.payload import PartPlace, PayloadHeader, encode_payload
from p2pshare.envelope.sealing import Recipient, SealRequest
from p2pshare.envelope.sealing import seal as seal_envelope
from p2pshare.errors import AuthorError, RefusedError
from p2pshare.identifiers import CircleId, EnvelopeId, PublicationId
from p2pshare.intel.assessing import TYPES as ASSESSMENT_TYPES
from p2pshare.intel.extraction import ObjectFacts
from p2pshare.intel.grouping import DEFINITION, IDENTITY
from p2pshare.intel.marking import Tlp
from p2pshare.intel.refusals import Refusals
from p2pshare.knowledge.interface import NewFrame
from p2pshare.limits import PUBLICATION_PARTS_MAX
from p2pshare.log.interface import ContentState
from p2pshare.node.node import Node, Progress, gate_settings
from p2pshare.policy.audience import Audience, Refuse, resolve
from p2pshare.sharing.content import Content, only
from p2pshare.sharing.drafting import DraftPart
from p2pshare.sharing.partners import load_roster
from p2pshare.sharing.payload_kinds import STIX
from p2pshare.sharing.quarantining import Mark, put_marks
from p2pshare.sharing.screening import NOTHING_CONFIRMED, Confirmed, Screening, privacy_rules
from p2pshare.sharing.storing import ReadEnvelope, store_envelopes

LEANT_ON_TYPES = frozenset({DEFINITION, *ASSESSMENT_TYPES})
"""Types on which a reader's understanding of other objects may depend; so may it on what could not be read."""


@dataclass(frozen=True)
class PreparedPart:
    """Content of one envelope: frames under one marking, with what was read from them."""

    tlp: Tlp
    frames: Sequence[NewFrame]
    marks: Sequence[Mark] = ()
    """Quarantine of observables that leave though warning lists block them."""
    reached: Mapping[str, int] = field(default_factory=dict)
    """Object id -> up to which `modified` (microseconds) we withdrew it earlier."""

    @property
    def objects(self) -> int:
        return sum(len(frame.objects) for frame in self.frames)


class ShownAudience(msgspec.Struct, frozen=True, array_like=True):
    """An audience as far as a person was shown it: recipients as (alias, partner id), those left out as (alias, reason)."""

    mode: int
    recipients: tuple[tuple[str, str], ...]
    skipped: tuple[tuple[str, str], ...]


class Basis(msgspec.Struct, frozen=True):
    """The state on which the shown preview rests: where any of it has changed, something else would leave."""

    audiences: dict[Tlp, ShownAudience]
    list_changes: int
    """How often warning lists had been changed when preparing began."""
    internal_domains: list[str]
    mail_domains: list[str]


class Terms(msgspec.Struct, frozen=True):
    """Terms under which prepared parts are to be sealed, and the basis that must still hold. `last_lsn`: the store's,
    when preparing began."""

    names: tuple[str, ...]
    ttl_class: int
    envelopes: int
    basis: Basis
    last_lsn: int


@dataclass
class PublishReport:
    """Counts of what would be published, for whom, and of what was refused, by the reader or by policy."""

    published: int = 0
    observables: int = 0
    recipients: set[str] = field(default_factory=set)
    skipped: dict[str, str] = field(default_factory=dict)
    markings: set[str] = field(default_factory=set)
    refusals: Refusals = field(default_factory=Refusals)
    notes: Refusals = field(default_factory=Refusals)
    """Remarks on objects that were kept: values without a canonical form, what a person confirmed, what had been
    withdrawn before."""
    refuse: Refuse | None = None
    """The first refusal of policy, for the person who asked."""


@dataclass(frozen=True)
class PreparedPublication:
    """The report that a person is shown, and the terms under which exactly that can be sealed."""

    report: PublishReport
    terms: Terms


def prepare(
    node: Node,
    parts: Iterable[DraftPart],
    *,
    names: Sequence[str],
    ttl_class: int,
    now: int,
    progress: Progress,
    keep: Callable[[PreparedPart], None],
    confirmed: Confirmed = NOTHING_CONFIRMED,
) -> PreparedPublication:
    """Resolve the audience of each part, read and screen it, and hand it to `keep`, one after another; nothing is sealed
    yet. `names`: partners and groups, empty for all whom policy lets; `now` in unix seconds. Raises what `keep` raises."""
    report = PublishReport()
    last_lsn, list_changes = node.store.log.last_lsn(), _list_changes(node)
    roster, settings = load_roster(node), gate_settings(node.config)
    audiences: dict[Tlp, Audience] = {}
    values: set[int] = set()  # their hashes: a million texts would outweigh the largest part
    envelopes = checked = 0
    for part in parts:
        checked += part.objects
        audience = audiences.get(part.tlp) or resolve(part.tlp, names, roster, settings, now)
        if isinstance(audience, Refuse):
            report.refuse = report.refuse or audience
            report.refusals.add(audience.reason, part.tlp.label, count=part.objects - part.repeats)
            continue
        prepared = _prepare_part(node, part, confirmed, report)
        progress("checked", checked, 0)
        if prepared is None:
            continue
        keep(prepared)
        envelopes += 1
        audiences[part.tlp] = audience
        report.published += _published(prepared, part)
        for frame in prepared.frames:
            values.update(hash((claim.type, claim.value)) for fact in frame.objects for claim in fact.claims)
    report.observables = len(values)
    for tlp, audience in audiences.items():
        report.markings.add(tlp.label)
        report.recipients.update(entry.alias for entry in audience.recipients)
        report.skipped.update(audience.skipped)
    basis = _basis(node, audiences, list_changes)
    return PreparedPublication(report, Terms(tuple(names), ttl_class, envelopes, basis, last_lsn))


def _prepare_part(
    node: Node, part: DraftPart, confirmed: Confirmed, report: PublishReport
) -> PreparedPart | None:
    """Returns the part as it may leave, None when nothing of it may; what is left out goes into the report."""
    content, screening = Content(part.frames, part.tlp), Screening(node, confirmed)
    withdrawn, revived = Refusals(), Refusals()
    frames: list[NewFrame] = []
    reached: dict[str, int] = {}
    is_whole = True
    for frame in content:
        if _is_stricter(frame, part.tlp):
            report.refusals.add("stricter-than-part", part.tlp.label, count=part.objects - part.repeats)
            return None
        alive, up_to = _without_withdrawn(node, frame.objects, withdrawn, revived)
        passing = screening.passing(frame, alive)
        is_whole = is_whole and _may_be_missed(frame.objects, passing)
        if up_to:
            reached |= {one.object_id: up_to[one.object_id] for one in passing if one.object_id in up_to}
        if passing:
            frames.append(only(frame, passing))
    if content.refused or not is_whole:
        again = Content([one.frame for one in frames], part.tlp)
        frames = [only(one, one.objects) for one in again]
        content.refused.update(again.refused)
    for reason, count in content.refused.items():
        report.refusals.add(reason, part.tlp.label, count=count)
    for refusals in (withdrawn, screening.refusals):
        report.refusals.merge(refusals)
    for notes in (revived, screening.notes):
        report.notes.merge(notes)
    prepared = PreparedPart(part.tlp, frames, screening.marks, reached)
    if not _published(prepared, part):  # nothing is left but what was added for reading
        return None
    if any(_is_stricter(frame, part.tlp) for frame in frames):
        report.refusals.add("stricter-than-part", part.tlp.label, count=prepared.objects - part.repeats)
        return None
    report.notes.merge(content.notes)
    return prepared


def _published(prepared: PreparedPart, part: DraftPart) -> int:
    """Returns how many objects of the part are no repeats. Where some were refused, those may be repeats themselves: what
    is no companion (a definition, an identity) then counts, so that nothing is taken for a repeat and lost."""
    if prepared.objects == part.objects:
        return prepared.objects - part.repeats
    companions = sum(
        fact.type in (DEFINITION, IDENTITY) for frame in prepared.frames for fact in frame.objects
    )
    return prepared.objects - min(part.repeats, companions)


def _is_stricter(frame: NewFrame, tlp: Tlp) -> bool:
    """Returns whether any object is marked stricter than the part, as any partner reads it: what the gate let pass must
    not be looser. Parts come over the control socket, cut by another process: their label alone is not believed."""
    return any(fact.tlp > tlp for fact in frame.objects)


def _without_withdrawn(
    node: Node, objects: Sequence[ObjectFacts], withdrawn: Refusals, revived: Refusals
) -> tuple[Sequence[ObjectFacts], Mapping[str, int]]:
    """Returns the objects that count when they arrive, and object id -> up to which `modified` (microseconds) we withdrew
    it. An object that our own withdrawal reaches would be no claim of ours anywhere: it is refused. One that we had
    withdrawn and that counts again is noted: a list that is published daily must not do that unsaid."""
    up_to = node.store.knowledge.withdrawn_up_to(
        node.identity.partner_id, {fact.object_id for fact in objects}
    )
    if not up_to:
        return objects, up_to
    alive = []
    for fact in objects:
        reach = up_to.get(fact.object_id)
        if reach is not None and fact.modified_us is not None and fact.modified_us <= reach:
            withdrawn.add("withdrawn", fact.object_id)
            continue
        if reach is not None:
            revived.add("withdrawn-before", fact.claims[0].value if fact.claims else fact.object_id)
        alive.append(fact)
    return alive, up_to


def _may_be_missed(objects: Sequence[ObjectFacts], kept: Sequence[ObjectFacts]) -> bool:
    """Returns whether all that was left out is of no consequence to how a reader understands what is left."""
    if len(kept) == len(objects):
        return True
    left_out = {fact.position for fact in objects} - {fact.position for fact in kept}
    return not any(fact.type in LEANT_ON_TYPES for fact in objects if fact.position in left_out)


def _list_changes(node: Node) -> int:
    return 0 if node.warning_index is None else node.warning_index.changes()


def _basis(node: Node, audiences: Mapping[Tlp, Audience], list_changes: int) -> Basis:
    privacy = privacy_rules(node.config.privacy)
    return Basis(
        audiences={
            tlp: ShownAudience(
                audience.mode,
                tuple((entry.alias, entry.partner_id.text) for entry in audience.recipients),
                audience.skipped,
            )
            for tlp, audience in audiences.items()
        },
        list_changes=list_changes,
        internal_domains=sorted(privacy.domains),
        mail_domains=sorted(privacy.mail_domains),
    )


# --- sealing ---


@dataclass(frozen=True)
class Addressed:
    """A part, its audience, and the ttl class that says how long it is carried."""

    part: PreparedPart
    audience: Audience
    ttl_class: int


def seal(
    node: Node, terms: Terms, parts: Iterable[PreparedPart], now: int, progress: Progress
) -> list[EnvelopeId]:
    """Seal and store what was prepared under `terms`; `parts` are walked once. Returns the envelopes' ids, in order.
    Raises RefusedError `prepared-changed` when something else would leave by now than what was shown, AuthorError
    `oversized`, StoreError; in each case with nothing kept."""
    if not terms.envelopes:
        return []
    roster, settings = load_roster(node), gate_settings(node.config)
    audiences: dict[Tlp, Audience] = {}
    for tlp in terms.basis.audiences:
        audience = resolve(tlp, terms.names, roster, settings, now)
        if isinstance(audience, Refuse):
            raise _changed("who would get it")
        audiences[tlp] = audience
    basis = _basis(node, audiences, _list_changes(node))
    if basis.audiences != terms.basis.audiences:
        raise _changed("who would get it")
    if basis != terms.basis:
        raise _changed("warning lists, or what is internal")
    alive = _still_alive(node, terms, parts)
    addressed = (Addressed(part, audiences[part.tlp], terms.ttl_class) for part in alive)
    return seal_addressed(node, addressed, terms.envelopes, now, progress)


def _still_alive(node: Node, terms: Terms, parts: Iterable[PreparedPart]) -> Iterator[PreparedPart]:
    """Yields the parts, provided that we have withdrawn nothing in them since; else raises RefusedError
    `prepared-changed`. A withdrawal comes in an envelope: where none came, nothing need be asked."""
    is_untouched = node.store.log.last_lsn() == terms.last_lsn
    for part in parts:
        if not is_untouched:
            ids = {fact.object_id for frame in part.frames for fact in frame.objects}
            if node.store.knowledge.withdrawn_up_to(node.identity.partner_id, ids) != part.reached:
                raise _changed("what we have withdrawn")
        yield part


def _changed(what: str) -> RefusedError:
    return RefusedError(
        f"nothing was published: since it was shown, this has changed: {what}",
        hint="publish again, and look at what is shown then",
        reason="prepared-changed",
    )


def seal_addressed(
    node: Node, parts: Iterable[Addressed], count: int, now: int, progress: Progress
) -> list[EnvelopeId]:
    """Seal an envelope for each of `count` parts, in our own chain, as one publication, all in one transaction; returns
    their ids, in order.

    Raises AuthorError (`oversized`) and StoreError with nothing kept.
    """
    if count > PUBLICATION_PARTS_MAX:
        raise AuthorError(
            f"{count} envelopes are more than one publication may have ({PUBLICATION_PARTS_MAX})",
            hint="split the publication",
            reason="oversized",
        )
    publication = PublicationId(secrets.token_bytes(PublicationId.length))
    node.store.log.author_state(now)  # a new incarnation is durable before anything is sealed in it
    envelopes = []
    with node.store.transaction():
        for number, one in enumerate(parts, start=1):
            row = _seal_one(node, one, publication, PartPlace(number, count), now)
            store_envelopes(node.store, [row])
            put_marks(node.store.knowledge, one.part.marks, now)
            envelopes.append(row.envelope_id)
            progress("sealed", len(envelopes), count)
    return envelopes


def _seal_one(
    node: Node, one: Addressed, publication: PublicationId, place: PartPlace, now: int
) -> ReadEnvelope:
    """Returns the next envelope of our chain, sealed: opened, and waiting in the outbox for its first hop."""
    part, audience, state = one.part, one.audience, node.store.log.author_state(now)
    cards = [entry.card for entry in audience.recipients]
    addressed = [*cards, node.identity.card]  # what a backup has forgotten can be read when it comes home
    numbers = node.store.log.recipient_numbers([card.partner_id for card in addressed], state.incarnation)
    header = PayloadHeader(
        type=STIX.name,
        created=now,
        marking=part.tlp.label,
        objects=part.objects,
        publication=publication,
        part=place,
    )
    request = SealRequest(
        payload=encode_payload(header, [frame.frame for frame in part.frames]),
        recipients=tuple(Recipient(card, numbers[card.partner_id]) for card in addressed),
        incarnation=state.incarnation,
        sequence=state.sequence + 1,
        previous=state.previous,
        circle=_home_circle(node),
        mode=audience.mode,
        created=now,
        ttl_class=one.ttl_class,
    )
    sealed = seal_envelope(node.identity, request)
    return ReadEnvelope(
        sealed,
        received_from=None,
        received_at=now,
        content=ContentState.READ,
        frames=part.frames,
        awaits_first_hop=audience.mode is not Mode.DIRECT,
        recipient_sequences={partner: number.sequence for partner, number in numbers.items()},
        audience=tuple(card.partner_id for card in cards),
    )


def _home_circle(node: Node) -> CircleId:
    """Returns the circle our publications travel in: the first configured one."""
    return CircleId.of(next(iter(node.config.gossip.circles), "main"))
