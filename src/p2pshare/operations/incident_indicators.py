"""Values of an incident as indicators: `incident ioc add`, and what follows by itself (docs/decisions/0091).

Rules:

1. An indicator is published like any other, by its author, for exactly those members that may read its entry and are partners; so its end, its
   withdrawal, its marking and what counts twice are those of every publication. The entry carries the same object.
2. What is published and what is told is one list: what the screening left of it. Both or neither are stored.
3. No marking is loosened: what is marked more loosely than the incident is raised before it comes here, or refused; what is stricter is told
   to members by name or refused.
4. Who becomes a partner, or a member, later is sent it then (`IndicatorRounds`); what is redacted is withdrawn, by whomever it was redacted,
   unless others than members of the incident were sent it: that is no matter of the incident.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta, Struct

from p2pshare.envelope.payload import compress_frame, inflate_frame
from p2pshare.errors import AuthorError, RefusedError, ShareError
from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.intel.authoring import identity_object, incident_label
from p2pshare.intel.extraction import ObjectFacts
from p2pshare.intel.incident_words import as_word
from p2pshare.intel.marking import Tlp
from p2pshare.intel.observable import InvalidValue, canonical
from p2pshare.intel.refusals import Refusals
from p2pshare.intel.withdrawing import Reason
from p2pshare.limits import TTL_CLASS_BY_NAME, VALUE_BYTES_MAX
from p2pshare.node.node import Node, Progress
from p2pshare.operations.incidents import AMBER_STRICT, INCIDENT
from p2pshare.operations.interface import Counted, Request, counted
from p2pshare.operations.publishing import Part
from p2pshare.operations.spaces import Called, Invited, member_called, names_here, space_called, written
from p2pshare.sharing.drafting import DraftPart
from p2pshare.sharing.partners import sealable
from p2pshare.sharing.publishing import PreparedPart, PublishReport, prepare, prepare_part, seal
from p2pshare.sharing.screening import Confirmed
from p2pshare.sharing.withdrawing import WithdrawalRequest, withdraw
from p2pshare.spaces.fold import SpaceState
from p2pshare.spaces.incident import IncidentFold
from p2pshare.spaces.incident_entries import (
    CONTENT_TEXT_BYTES_MAX,
    OBJECT_STIX_BYTES_MAX,
    READERS,
    IncidentObject,
    encode_incident,
)
from p2pshare.spaces.space_exchange import spaces_of
from p2pshare.spaces.space_store import SpaceRow, SpaceStore
from p2pshare.spaces.vertex import Vertex
from p2pshare.spaces.writing import SpaceStatement

log = logging.getLogger(__name__)

VALUES_AT_ONCE_MAX = 200  # of one command: partners take 600 entries an hour of one that they did not ask for, and each is signed
FOLLOWED_AT_ONCE = 64  # objects sent or withdrawn in one call of the writer


class IndicatorTold(Struct, frozen=True, forbid_unknown_fields=True):
    """A value that was, or would be, told: its entry ("" on a dry run), and the STIX object that states it."""

    entry: str
    type: str
    value: str
    object: str


class IndicatorsAdded(Struct, frozen=True, forbid_unknown_fields=True):
    """What was told, what was refused and why, and the partners to which it was published."""

    incident: str
    told: list[IndicatorTold]
    merged: int
    """Values that we tell in it already."""
    refused: list[Counted]
    notes: list[Counted]
    recipients: list[str]
    envelopes: list[str]


class _Telling(NamedTuple):
    said: IncidentObject
    object_id: str
    tlp: int


class AddIndicators(Request[IndicatorsAdded], frozen=True, tag="incident-add-indicators"):
    """Tell the objects in `parts`, which a command read and cut, in the incident of that id, and publish them to the members that are partners.
    `to`: the members that alone may read them; `text`: where they were seen."""

    id: Called
    parts: tuple[Part, ...]
    text: Annotated[str, Meta(max_length=CONTENT_TEXT_BYTES_MAX)] = ""
    to: Invited = ()
    dry_run: bool = False
    share_private: bool = False
    share_listed: bool = False

    def run(self, node: Node, now: int, progress: Progress) -> IndicatorsAdded:
        row = space_called(node.store, self.id, INCIDENT)
        state = spaces_of(node).state(row.space)
        own = node.identity.partner_id
        audience: set[PartnerId] = set()
        if self.to:
            names = names_here(node.store)
            audience = {own, *(member_called(state.members, names, name) for name in self.to)}
        refusals = Refusals()
        parts = [one for one in self.parts if self._is_tellable(one, row.tlp, bool(audience), refusals)]
        drafts = [DraftPart(one.tlp, one.frames, one.objects, one.repeats) for one in parts]
        confirmed = Confirmed(private=self.share_private, listed=self.share_listed)
        recipients = sorted(_partners_among(node, state, audience, Tlp(row.tlp), now))
        kept: list[PreparedPart] = []
        if recipients:
            prepared = prepare(
                node,
                drafts,
                names=[one.text for one in recipients],
                ttl_class=TTL_CLASS_BY_NAME[node.config.ttl],
                now=now,
                progress=progress,
                keep=kept.append,
                confirmed=confirmed,
            )
            report = prepared.report
            if report.refuse is not None:
                raise RefusedError(
                    report.refuse.message, hint=report.refuse.hint, reason=report.refuse.reason
                )
        else:  # nobody to whom it could be published: it is screened all the same
            prepared, report = None, PublishReport()
            kept += filter(None, (prepare_part(node, one, confirmed, report) for one in drafts))
        refusals.merge(report.refusals)
        telling = list(_to_tell(kept, row.tlp, self.text, refusals))
        fresh = _without_told(telling, state, own)
        if len(fresh) > VALUES_AT_ONCE_MAX:
            raise AuthorError(
                f"{len(fresh)} values; {VALUES_AT_ONCE_MAX} are told at once",
                hint="tell those that help to find it; `p2pshare publish` shares long lists with the same partners",
                reason="oversized",
            )
        envelopes: list[str] = []
        entries = ["" for _ in fresh]
        if fresh and not self.dry_run:
            node.store.log.author_state(now)  # a new incarnation is durable even where the rest is undone
            with spaces_of(node).together():
                entries = _write(node, row, fresh, tuple(sorted(audience)), now)
                if prepared is not None:
                    envelopes = [one.text for one in seal(node, prepared.terms, kept, now, progress)]
                    label, ids = incident_label(row.space.text), {one.object_id for one in fresh}
                    node.store.knowledge.add_label(own, ids, label)
        told = [
            IndicatorTold(entry, one.said.type, one.said.value, one.object_id)
            for entry, one in zip(entries, fresh, strict=True)
        ]
        aliases = sorted(report.recipients) if kept else []
        merged = len(telling) - len(fresh)
        return IndicatorsAdded(
            row.space.text, told, merged, counted(refusals), counted(report.notes), aliases, envelopes
        )

    def _is_tellable(self, part: Part, tlp: int, is_named: bool, refusals: Refusals) -> bool:
        reason = ""
        if int(part.tlp) < tlp:
            reason = "looser-than-incident"
        elif int(part.tlp) >= AMBER_STRICT and not is_named:
            reason = "names-needed"
        if reason:
            refusals.add(reason, part.tlp.label, count=part.objects - part.repeats)
        return not reason


def _partners_among(
    node: Node, state: SpaceState, audience: Iterable[PartnerId], tlp: Tlp, now: int
) -> set[PartnerId]:
    """Returns who may be sent what this audience may read, empty: all: joined members that are partners for whom the marking of the
    incident can be sealed."""
    return _allowed(state, audience, sealable(node, tlp, now)) - {node.identity.partner_id}


def _allowed(state: SpaceState, audience: Iterable[PartnerId], usable: set[PartnerId]) -> set[PartnerId]:
    joined = {member for member, status in state.members.items() if status == "joined"}
    allowed = joined & set(audience) if audience else joined
    return allowed & usable


def _to_tell(parts: Iterable[PreparedPart], tlp: int, text: str, refusals: Refusals) -> Iterator[_Telling]:
    for part in parts:
        for frame in part.frames:
            objects = msgspec.json.decode(inflate_frame(frame.frame), type=list[msgspec.Raw])
            for fact in frame.objects:
                raw = bytes(objects[fact.position])
                for kind, value in _values_of(fact, raw):
                    if len(raw) > OBJECT_STIX_BYTES_MAX or len(value.encode()) > VALUE_BYTES_MAX:
                        refusals.add("oversized", fact.object_id)
                        continue
                    yield _Telling(
                        IncidentObject(kind, value, text, raw), fact.object_id, max(tlp, int(part.tlp))
                    )


class _Said(Struct):
    name: str = ""
    pattern_type: str = ""


def _values_of(fact: ObjectFacts, raw: bytes) -> Iterator[tuple[str, str]]:
    """Yields (type, value) of what an object states: its observables, the rule's id, the vulnerability's CVE id."""
    if fact.revoked:
        return
    yield from dict.fromkeys((claim.type, claim.value) for claim in fact.claims)
    if fact.claims or fact.type not in ("indicator", "vulnerability"):
        return
    said = msgspec.json.decode(raw, type=_Said)
    if fact.type == "indicator" and (word := as_word(said.pattern_type)):
        yield word, fact.object_id
    elif fact.type == "vulnerability":
        try:
            found = canonical("cve", said.name)
        except InvalidValue:
            return
        yield found.type, found.value


def _without_told(telling: Sequence[_Telling], state: SpaceState, own: PartnerId) -> list[_Telling]:
    """Returns what we do not tell already as openly as that: each value once."""
    assert isinstance(state.kind, IncidentFold)
    told = {
        (said.type, said.value)
        for vertex in state.kind.by_kind["object"]
        if vertex.author == own and (said := state.kind.content(vertex, IncidentObject)) is not None
    }
    fresh: dict[tuple[str, str], _Telling] = {}
    for one in telling:
        if (one.said.type, one.said.value) not in told:
            fresh.setdefault((one.said.type, one.said.value), one)
    return list(fresh.values())


def _write(
    node: Node, row: SpaceRow, telling: Sequence[_Telling], audience: tuple[PartnerId, ...], now: int
) -> list[str]:
    store = SpaceStore(node.store.database)
    entries = []
    for one in telling:
        said = SpaceStatement("object", encode_incident(one.said), one.tlp, audience)
        entry = written(node, row, said, now).entry
        store.put_stated(row, EntryId.parse(entry), one.object_id)
        entries.append(entry)
    return entries


# --- what follows by itself -------------------------------------------------------------------------------


class IndicatorRounds:
    """What the daemon does for our own indicators in incidents, a small piece a call. It remembers what it looked at last."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._looked: dict[EntryId, object] = {}

    def step(self, now: int) -> bool:
        """Withdraw what was redacted, and send what a partner lacks; returns whether anything was sealed. One incident a call."""
        node = self._node
        spaces, store = spaces_of(node), SpaceStore(node.store.database)
        for row in store.all():
            state = spaces.newest(row.space) if row.kind == INCIDENT else None
            if state is None or not isinstance(state.kind, IncidentFold):
                continue
            stated = store.stated(row)
            if not stated:
                continue
            recipients = _partners_among(node, state, (), Tlp(row.tlp), now)
            seen = (len(state.timeline), len(stated), frozenset(recipients))
            if self._looked.get(row.space) == seen:
                continue
            if self._follow(row, state, stated, recipients, now):
                return True
            self._looked[row.space] = seen
        return False

    def _follow(
        self,
        row: SpaceRow,
        state: SpaceState,
        stated: Sequence[tuple[EntryId, str]],
        recipients: set[PartnerId],
        now: int,
    ) -> bool:
        fold = state.kind
        assert isinstance(fold, IncidentFold)
        standing: dict[str, Vertex] = {}
        gone: dict[str, list[EntryId]] = defaultdict(list)
        held = {vertex.entry_id: vertex for vertex in fold.by_kind["object"]}
        for entry, object_id in stated:
            vertex = held.get(entry)
            if vertex is not None and not fold.is_redacted(vertex):
                standing[object_id] = vertex
            elif vertex is not None:
                gone[object_id].append(entry)
        if state.members.get(self._node.identity.partner_id) != "joined":
            return False
        for object_id, entries in list(gone.items())[:FOLLOWED_AT_ONCE]:
            if object_id not in standing:
                self._withdraw(state, object_id, now)
            store = SpaceStore(self._node.store.database)
            for entry in entries:
                store.drop_stated(entry)
        if gone:
            return True
        return self._send(standing, recipients, now)

    def _withdraw(self, state: SpaceState, object_id: str, now: int) -> None:
        node = self._node
        sent = {
            one for carrier in node.store.knowledge.carriers(object_id) for one in (carrier.recipients or ())
        }
        if not sent or not sent <= state.members.keys():
            log.info("an indicator of an incident stays: others than its members were sent it, or nobody was")
            return
        try:
            request = WithdrawalRequest(object_id, Reason.MISTAKE, None, ())
            withdraw(node, request, is_dry_run=False, now=now, progress=_unseen)
        except ShareError as error:
            log.warning("an indicator of an incident was not withdrawn: %s", error.reason)

    def _send(self, standing: dict[str, Vertex], recipients: set[PartnerId], now: int) -> bool:
        """Send what stands to the partners that were not sent it, together what goes to the same ones."""
        node, own = self._node, self._node.identity.partner_id
        lacking: dict[tuple[int, tuple[PartnerId, ...]], dict[str, bytes]] = defaultdict(dict)
        for object_id, vertex in standing.items():
            said = _said_in(vertex)
            if said is None or not said.stix:
                continue
            sent = {
                one
                for carrier in node.store.knowledge.carriers(object_id)
                for one in (carrier.recipients or ())
            }
            allowed = recipients & set(vertex.header.audience) if vertex.header.audience else recipients
            if missing := tuple(sorted(allowed - sent)):
                lacking[vertex.header.tlp, missing][object_id] = said.stix
        has_sealed = False
        for (tlp, missing), objects in list(lacking.items())[:FOLLOWED_AT_ONCE]:
            level = Tlp(tlp)
            identity = identity_object(own, node.config.name, created=now, tlp=level)
            texts = [identity, *list(objects.values())[:VALUES_AT_ONCE_MAX]]
            part = DraftPart(level, (compress_frame(b"[" + b",".join(texts) + b"]"),), len(texts), 1)
            kept: list[PreparedPart] = []
            try:
                prepared = prepare(
                    node,
                    [part],
                    names=[one.text for one in missing],
                    ttl_class=TTL_CLASS_BY_NAME[node.config.ttl],
                    now=now,
                    progress=_unseen,
                    keep=kept.append,
                    confirmed=Confirmed(private=True, listed=True),  # a person was asked when it was told
                )
                has_sealed = bool(seal(node, prepared.terms, kept, now, _unseen)) or has_sealed
            except ShareError as error:
                log.warning("indicators of an incident were not sent: %s", error.reason)
        return has_sealed


def _said_in(vertex: Vertex) -> IncidentObject | None:
    """Returns what an entry of our own says: also one for a few."""
    if vertex.content is None:
        return None
    said = READERS["object"](vertex.content)
    return said if isinstance(said, IncidentObject) else None


def _unseen(what: str, done: int, of: int) -> None:
    """Nobody watches."""
