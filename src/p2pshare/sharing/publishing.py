"""Publishing in two steps: `prepare` reads each part once and says what would leave and to whom, `seal` seals and
stores exactly that. All of a publication or nothing.

Rules:

1. A part is believed no more than a partner's payload: read by the same reader, screened object by object, and sealed
   without what could not be read or may not leave.
2. Each part carries one marking, so each envelope has one audience.
3. Facts are stored as the first step read them: nothing is inflated or decoded a second time, not even our own envelope.
4. A person may think between the two steps. Where that changed who would get it, what warning lists block, what is
   private, or what we have withdrawn, nothing is sealed (`prepared-changed`).
5. `seal` seals and stores everything in one transaction: after it a crash loses nothing, and before it ended nothing
   has left. What is too large for one goes out by `staging`, which keeps both promises over many.
6. Parts are taken one after another: memory follows the largest of them, not the publication.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from p2pshare.database.seen_keys import SeenKeys
from p2pshare.envelope.card import Card
from p2pshare.envelope.envelope import Mode, SealedEnvelope
from p2pshare.envelope.payload import PartPlace, PayloadHeader, encode_payload
from p2pshare.envelope.recipient_number import RecipientNumber
from p2pshare.envelope.sealing import Recipient, SealRequest
from p2pshare.envelope.sealing import seal as seal_envelope
from p2pshare.errors import AuthorError, RefusedError
from p2pshare.identifiers import CircleId, EnvelopeId, PartnerId, PublicationId
from p2pshare.intel.assessing import TYPES as ASSESSMENT_TYPES
from p2pshare.intel.extraction import ObjectFacts
from p2pshare.intel.grouping import DEFINITION, IDENTITY
from p2pshare.intel.marking import Tlp
from p2pshare.intel.refusals import Refusals
from p2pshare.knowledge.interface import NewFrame, PublicationPart
from p2pshare.limits import PUBLICATION_PARTS_MAX
from p2pshare.log.interface import AuthorState, ContentState
from p2pshare.node.node import Node, Progress, gate_settings
from p2pshare.policy.audience import Audience, Refuse, resolve
from p2pshare.sharing.content import Content, only
from p2pshare.sharing.drafting import DraftPart
from p2pshare.sharing.introducing import MissingCards, missing_cards
from p2pshare.sharing.partners import load_roster
from p2pshare.sharing.payload_kinds import NAMED, STIX, PayloadKind
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
    when preparing began. All by name: what waits over a restart is read by the version that comes then."""

    names: tuple[str, ...]
    ttl_class: int
    envelopes: int
    basis: Basis
    last_lsn: int
    objects: int
    """In all envelopes."""


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
    missing_cards: MissingCards | None = None
    """Who is in the circle and gets nothing, where it is for everybody."""


@dataclass(frozen=True)
class PreparedPublication:
    """The report that a person is shown, and the terms under which exactly that can be sealed."""

    report: PublishReport
    terms: Terms


class Preparation:
    """A publication while it is prepared, part after part: each is read, screened and handed to `keep`; nothing is sealed
    yet. `names`: partners and groups, empty for all whom policy lets; `now` in unix seconds."""

    def __init__(
        self,
        node: Node,
        *,
        names: Sequence[str],
        ttl_class: int,
        now: int,
        keep: Callable[[PreparedPart], None],
        confirmed: Confirmed = NOTHING_CONFIRMED,
    ) -> None:
        self.report = PublishReport()
        self._node = node
        self._names = tuple(names)
        self.ttl_class = ttl_class
        """May be set until the end: of what is not known before, that which takes part decides."""
        self._now = now
        self._keep = keep
        self._confirmed = confirmed
        self._last_lsn, self._list_changes = node.store.log.last_lsn(), _list_changes(node)
        self._roster, self._settings = load_roster(node), gate_settings(node.config)
        self._audiences: dict[Tlp, Audience] = {}
        self._values = SeenKeys(_key_of)  # their hashes: texts would outweigh the largest part
        self._envelopes = self._objects = 0
        self.checked = 0
        """Objects of all parts so far."""

    def take(self, part: DraftPart) -> None:
        """Read and screen the next part. Raises what `keep` raises."""
        report = self.report
        self.checked += part.objects
        audience = self._audiences.get(part.tlp) or self._audience(part.tlp)
        if isinstance(audience, Refuse):
            report.refuse = report.refuse or audience
            report.refusals.add(audience.reason, part.tlp.label, count=part.objects - part.repeats)
            return
        prepared = prepare_part(self._node, part, self._confirmed, report)
        if prepared is None:
            return
        self._keep(prepared)
        self._envelopes += 1
        self._objects += prepared.objects
        self._audiences[part.tlp] = audience
        report.published += _published(prepared, part)
        for frame in prepared.frames:
            self._values.update(
                {hash((claim.type, claim.value)) for fact in frame.objects for claim in fact.claims}
            )

    def _audience(self, tlp: Tlp) -> Audience | Refuse:
        if self._node.outlet is not None:  # `sharing.outlet`
            played: Audience | Refuse = self._node.outlet.audience(tlp, self._names, self._now)
            return played
        return resolve(tlp, self._names, self._roster, self._settings, self._now)

    def end(self) -> PreparedPublication:
        """Returns the report that a person is shown, and the terms under which exactly that can be sealed. Nothing is taken
        after it."""
        ended = self.so_far()
        self.close()
        return ended

    def so_far(self) -> PreparedPublication:
        """Returns what `end` would."""
        self.report.observables = len(self._values)
        for tlp, audience in self._audiences.items():
            self.report.markings.add(tlp.label)
            self.report.recipients.update(entry.alias for entry in audience.recipients)
            self.report.skipped.update(audience.skipped)
        if not self._names and self._node.outlet is None:
            self.report.missing_cards = missing_cards(self._node, _home_circle(self._node), self._now)
        basis = _basis(self._node, self._audiences, self._list_changes)
        terms = Terms(self._names, self.ttl_class, self._envelopes, basis, self._last_lsn, self._objects)
        return PreparedPublication(self.report, terms)

    def close(self) -> None:
        """Give back what it holds on the disk."""
        self._values.close()


def _key_of(hash_: int) -> bytes:
    return hash_.to_bytes(8, "big", signed=True)


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
    """Returns all of `parts` prepared, one after another (`Preparation`). Raises what `keep` raises."""
    preparation = Preparation(node, names=names, ttl_class=ttl_class, now=now, keep=keep, confirmed=confirmed)
    for part in parts:
        preparation.take(part)
        progress("checked", preparation.checked, 0)
    return preparation.end()


def prepare_part(
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
    is_named: bool = False
    """Whether a person named its readers."""


@dataclass(frozen=True)
class SealedContent:
    """What goes into one envelope, and the name of its payload kind."""

    tlp: Tlp
    objects: int
    frames: Sequence[bytes]
    ttl_class: int
    kind: str = STIX.name
    circle: CircleId | None = None
    """That of an exercise; None: our own. What is in an exercise's goes direct alone."""


def seal(
    node: Node,
    terms: Terms,
    parts: Iterable[PreparedPart],
    now: int,
    progress: Progress,
    publication: PublicationId | None = None,
) -> list[EnvelopeId]:
    """Seal and store what was prepared under `terms`; `parts` are walked once. Returns the envelopes' ids, in order.
    Raises RefusedError `prepared-changed` when something else would leave by now than what was shown, AuthorError
    `oversized`, StoreError; in each case with nothing kept."""
    if not terms.envelopes:
        return []
    audiences = audiences_shown(node, terms, now)
    publication = publication or new_publication()
    if (
        node.store.log.last_lsn() != terms.last_lsn
    ):  # a withdrawal comes in an envelope: where none came, nothing need be asked
        parts = (still_alive(node, part) for part in parts)
    is_named = bool(terms.names)
    addressed = (Addressed(part, audiences[part.tlp], terms.ttl_class, is_named) for part in parts)
    # before anything of it: without the row a history leaves all of it out
    node.store.log.put_audience(publication, groups_named(node, terms))
    return seal_addressed(node, addressed, terms.envelopes, now, progress, publication)


def groups_named(node: Node, terms: Terms) -> tuple[str, ...] | None:
    """Returns the groups that a person named for a publication; None: nobody was named, it is for all."""
    groups = load_roster(node).groups
    return tuple(name for name in terms.names if name in groups) if terms.names else None


def kind_of(tlp: Tlp, *, is_named: bool) -> PayloadKind:
    """Returns the kind under which STIX is sealed: what others could hand on by its marking, and is for named readers, says so."""
    return NAMED if is_named and tlp <= Tlp.GREEN else STIX


def audiences_shown(node: Node, terms: Terms, now: int) -> Mapping[Tlp, Audience]:
    """Returns the audience of each marking, provided that all is as it was shown; else raises RefusedError
    `prepared-changed`."""
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
    return audiences


def still_alive(node: Node, part: PreparedPart) -> PreparedPart:
    """Returns the part, provided that we have withdrawn nothing in it since; else raises RefusedError `prepared-changed`."""
    ids = {fact.object_id for frame in part.frames for fact in frame.objects}
    if node.store.knowledge.withdrawn_up_to(node.identity.partner_id, ids) != part.reached:
        raise _changed("what we have withdrawn")
    return part


def _changed(what: str) -> RefusedError:
    return RefusedError(
        f"nothing was published: since it was shown, this has changed: {what}",
        hint="publish again, and look at what is shown then",
        reason="prepared-changed",
    )


def require_parts(count: int) -> None:
    """Require that a publication has no more parts than one may. Raises AuthorError `oversized`."""
    if count > PUBLICATION_PARTS_MAX:
        raise AuthorError(
            f"{count} envelopes are more than one publication may have ({PUBLICATION_PARTS_MAX})",
            hint="split the publication",
            reason="oversized",
        )


def seal_addressed(
    node: Node,
    parts: Iterable[Addressed],
    count: int,
    now: int,
    progress: Progress,
    publication: PublicationId | None = None,
) -> list[EnvelopeId]:
    """Seal an envelope for each of `count` parts, in our own chain, as one publication (a new one, if none is given), all in
    one transaction; returns their ids, in order.

    Raises AuthorError (`oversized`) and StoreError with nothing kept.
    """
    require_parts(count)
    publication = publication or new_publication()
    node.store.log.author_state(now)  # a new incarnation is durable before anything is sealed in it
    envelopes = []
    with node.store.transaction():
        for number, one in enumerate(parts, start=1):
            place = PartPlace(number, count)
            cards = addressed_cards(node, one.audience)
            state = node.store.log.author_state(now)
            numbers = node.store.log.recipient_numbers([card.partner_id for card in cards], state.incarnation)
            frames = [frame.frame for frame in one.part.frames]
            kind = kind_of(one.part.tlp, is_named=one.is_named)
            content = SealedContent(one.part.tlp, one.part.objects, frames, one.ttl_class, kind.name)
            sealed = seal_part(node, content, one.audience, publication, place, state, numbers, now)
            row = ReadEnvelope(
                sealed,
                received_from=None,
                received_at=now,
                content=ContentState.READ,
                frames=one.part.frames,
                part_of=PublicationPart(publication, place),
                awaits_first_hop=one.audience.mode is not Mode.DIRECT,
                recipient_sequences={partner: number.sequence for partner, number in numbers.items()},
                audience=tuple(entry.partner_id for entry in one.audience.recipients),
            )
            store_envelopes(node.store, [row])
            put_marks(node.store.knowledge, one.part.marks, now)
            envelopes.append(row.envelope_id)
            progress("sealed", len(envelopes), count)
    return envelopes


def new_publication() -> PublicationId:
    return PublicationId(secrets.token_bytes(PublicationId.length))


def addressed_cards(node: Node, audience: Audience) -> list[Card]:
    """Returns the cards of the audience, and ours: what a backup has forgotten can be read when it comes home."""
    return [*(entry.card for entry in audience.recipients), node.identity.card]


def seal_part(
    node: Node,
    content: SealedContent,
    audience: Audience,
    publication: PublicationId,
    place: PartPlace,
    before: AuthorState,
    numbers: Mapping[PartnerId, RecipientNumber],
    now: int,
) -> SealedEnvelope:
    """Returns a part, sealed as the envelope that follows `before` in our chain, with its number for each recipient."""
    header = PayloadHeader(
        type=content.kind,
        created=now,
        marking=content.tlp.label,
        objects=content.objects,
        publication=publication,
        part=place,
    )
    cards = addressed_cards(node, audience)
    request = SealRequest(
        payload=encode_payload(header, content.frames),
        recipients=tuple(Recipient(card, numbers[card.partner_id]) for card in cards),
        incarnation=before.incarnation,
        sequence=before.sequence + 1,
        previous=before.previous,
        circle=content.circle or _home_circle(node),
        mode=audience.mode,
        created=now,
        ttl_class=content.ttl_class,
    )
    return seal_envelope(node.identity, request)


def _home_circle(node: Node) -> CircleId:
    """Returns the circle our publications travel in: the first configured one."""
    return CircleId.of(next(iter(node.config.gossip.circles), "main"))
