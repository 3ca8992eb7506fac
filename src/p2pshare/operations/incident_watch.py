"""The watch after the close: is a value of a closed incident seen again? (docs/incidents.md, "Watch"; docs/decisions/0091)

Rules:

1. Watched is what a closed incident says for all its members: its values, rules and vulnerabilities, for so many days after its close. What is sealed
   for a few is watched here alone.
   A rule is named by the id of its object, a vulnerability by its CVE id: what is said of those objects says that they were seen.
2. `recurrence` is written by itself for an own sighting, and for a claim that is TLP:CLEAR: of others' envelopes nobody knows who can read them, so of
   a stricter claim it is not known that every member may have it. Of our own claims it is known. Everything else alerts here alone.
3. Nothing is told of a value that is sealed, or in an incident whose content names its readers; nor is a sighting of what is marked
   AMBER+STRICT or RED (every sighting is AMBER at least).
4. Once a value and day; a sighting by who saw it, a claim by the lead, after ten minutes by the next in order. What was redacted is not said again.
5. Local findings of risk are not looked at: they are in another file, which nothing that sends can open.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Annotated

from msgspec import Meta, Struct

from p2pshare.envelope.entry import BODY_SALT_BYTES
from p2pshare.errors import NotFoundError, RefusedError, ShareError
from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.intel.assessing import Assessment
from p2pshare.intel.authoring import incident_label, vulnerability_id
from p2pshare.intel.checks import is_id
from p2pshare.intel.instants import SECOND_US, format_instant
from p2pshare.intel.marking import Tlp
from p2pshare.intel.observable import Observable
from p2pshare.limits import VALUE_BYTES_MAX
from p2pshare.node.node import WATCH_DAYS, Node, NodeReading, Progress
from p2pshare.node.store import StoreReading
from p2pshare.operations.incidents import AMBER_STRICT, INCIDENT, state_of, stix_id_of
from p2pshare.operations.interface import Query, Request, Several
from p2pshare.operations.spaces import Called, SpaceWritten, space_called, written
from p2pshare.spaces.fold import SpaceState
from p2pshare.spaces.incident import IncidentFold
from p2pshare.spaces.incident_entries import READERS, IncidentObject, IncidentRecurrence, encode_incident
from p2pshare.spaces.incident_telling import ATTACHMENT, readable_object
from p2pshare.spaces.space_exchange import spaces_of
from p2pshare.spaces.space_store import SpaceReading, SpaceRow, SpaceStore
from p2pshare.spaces.writing import SpaceStatement

log = logging.getLogger(__name__)

DAY_SECONDS = 86_400
WATCH_DAYS_DEFAULT = 180  # of a store that no daemon has opened since
PAUSE_SECONDS = 60  # between two looks where nothing came: then what waits for its turn may be due
NEXT_SECONDS = 600  # after which the next member in order tells of a claim: the lead is away
VALUES_AT_ONCE = 256  # looked up in one call of the writer: some 5 ms

ASSESSMENTS_LOOKED_AT = 64  # of one object, the newest: as many wait of one organisation
CVE = "cve"

SIGHTING, CLAIM = "sighting", "claim"


@dataclass(frozen=True)
class IncidentWatch:
    """The watch of one closed incident. `values`: each with whether all members know it, and the entry that tells it. `objects`: of a rule, or a
    vulnerability, the ids of the objects that state it: it is seen when one of them is."""

    row: SpaceRow
    closed_at: int
    until: int
    values: Mapping[tuple[str, str], tuple[bool, EntryId]]
    objects: Mapping[tuple[str, str], frozenset[str]]


@dataclass(frozen=True)
class SeenAgain:
    """A watched value was seen, or claimed, after the close. `is_tellable`: every member may know; `at` in unix seconds."""

    type: str
    value: str
    how: str
    at: int
    is_tellable: bool

    @property
    def day(self) -> int:
        return self.at - self.at % DAY_SECONDS


def watch_of(
    reading: SpaceReading, row: SpaceRow, state: SpaceState, now: int, days: int
) -> IncidentWatch | None:
    """Returns the watch of an incident; None while it is open, and once it is over."""
    fold = state.kind
    if not isinstance(fold, IncidentFold) or not fold.is_closed:
        return None
    # by the lead's word, but never later than it came here: a clock that is ahead makes nobody blind
    closed_at = max(min(one.header.created, reading.received_at(one.entry_id)) for one in fold.closes)
    until = closed_at + days * DAY_SECONDS
    if now >= until:
        return None
    values: dict[tuple[str, str], tuple[bool, EntryId]] = {}
    objects: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for vertex in fold.by_kind["object"]:
        read = readable_object(vertex, fold)
        if read is None or read.type == ATTACHMENT:
            continue
        if is_id(read.value):
            objects[read.type, read.value].add(read.value)
        elif read.type == CVE:
            typed = vulnerability_id(vertex.author, read.value)
            objects[read.type, read.value] |= {typed, stix_id_of(read.stix) or typed}
        said = fold.content(vertex, IncidentObject)
        if said is not None:
            values[said.type, said.value] = True, vertex.entry_id
        else:
            values.setdefault((read.type, read.value), (False, vertex.entry_id))
    stating = {value: frozenset(ids) for value, ids in objects.items()}
    return IncidentWatch(row, closed_at, until, values, stating)


def seen_again(
    store: StoreReading,
    own: PartnerId,
    watch: IncidentWatch,
    state: SpaceState,
    values: Sequence[tuple[str, str]],
) -> Iterator[SeenAgain]:
    """Yields what was seen or claimed of these watched values since the close, as the store has it."""
    observables = [Observable(type_, value) for type_, value in values]
    label = incident_label(watch.row.space.text)
    joined = {member for member, status in state.members.items() if status == "joined"} - {own}
    sightings, claims = store.knowledge.sightings(observables), store.knowledge.lookup(observables)
    for observable in observables:
        is_open = watch.values[observable.type, observable.value][0] and watch.row.tlp < AMBER_STRICT
        for seen in sightings.get(observable, ()):
            if seen.reporter != own or seen.is_false_positive or (seen.last_seen or 0) < watch.closed_at:
                continue
            assert seen.last_seen is not None
            is_tellable = is_open and seen.tlp <= Tlp.AMBER  # what every sighting is at least
            yield SeenAgain(observable.type, observable.value, SIGHTING, seen.last_seen, is_tellable)
        for object_id in sorted(watch.objects.get((observable.type, observable.value), ())):
            for said in store.knowledge.assessments(object_id, ASSESSMENTS_LOOKED_AT):
                is_sighting = said.kind is Assessment.SIGHTING and said.count > 0
                if said.reporter == own and is_sighting and said.seen_at >= watch.closed_at:
                    is_tellable = is_open and said.tlp <= Tlp.AMBER
                    yield SeenAgain(observable.type, observable.value, SIGHTING, said.seen_at, is_tellable)
        for claim in claims.get(observable, ()):
            if (
                claim.is_out
                or min(claim.sealed_at, claim.received_at) < watch.closed_at
                or label in claim.labels
            ):
                continue
            is_for_all = claim.tlp is Tlp.CLEAR or (
                claim.author == own
                and int(claim.tlp) <= watch.row.tlp
                and joined <= store.log.audience(claim.envelope_id).keys()
            )
            yield SeenAgain(
                observable.type, observable.value, CLAIM, claim.received_at, is_open and is_for_all
            )


def object_in(reading: SpaceReading, entry_id: EntryId) -> IncidentObject | None:
    """Returns what an entry `object` says; None where its text is gone."""
    entry = reading.entry(entry_id)
    if entry is None or not entry.decoded.body:
        return None
    try:
        said = READERS["object"](entry.decoded.body[BODY_SALT_BYTES:])
    except ShareError:
        return None
    return said if isinstance(said, IncidentObject) else None


def told_days(state: SpaceState) -> set[tuple[str, str, int]]:
    """Returns (type, value, day) of the recurrences that all members may read."""
    fold = state.kind
    assert isinstance(fold, IncidentFold)
    return {
        (said.type, said.value, said.day)
        for vertex in fold.by_kind["recurrence"]
        if (said := fold.content(vertex, IncidentRecurrence)) is not None
    }


class WatchRounds:
    """What the daemon does for the watch: looks at some values a call, and writes what is to be told."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._places: dict[EntryId, int] = {}
        self._told: set[tuple[EntryId, tuple[str, str, int]]] = set()
        """Of this life: what is written is folded a little later."""
        self._noted: dict[EntryId, int] = {}
        """When what is noted for us alone was seen, by its entry."""
        self._watches: dict[EntryId, tuple[int, IncidentWatch | None]] = {}
        """By incident, with the length of the time line from which it was made."""
        self._passes: dict[EntryId, tuple[tuple[int, int], int]] = {}
        """By incident: of the last look at its first values, the length of its time line, our last envelope, and when."""

    def step(self, now: int) -> bool:
        """Look at the next values of each closed incident; returns whether an entry was written."""
        node, own = self._node, self._node.identity.partner_id
        spaces, reading = spaces_of(node), SpaceReading(node.store.database)
        days, last_lsn = watch_days(node.store), node.store.log.last_lsn()
        has_written = False
        for row in reading.all():
            state = spaces.newest(row.space) if row.kind == INCIDENT else None
            if state is None or state.members.get(own) != "joined":
                continue
            length = len(state.timeline)
            watch = self._watch(reading, row, state, now, days)
            if watch is None:
                continue
            if not self._places.get(row.space, 0):
                seen, at = self._passes.get(row.space, ((-1, -1), 0))
                if seen == (length, last_lsn) and 0 <= now - at < PAUSE_SECONDS:
                    continue  # nothing came
                self._passes[row.space] = (length, last_lsn), now
            try:
                has_written = self._look(watch, state, now) or has_written
            except RefusedError as error:
                log.warning("that a value was seen again is not told: %s", error.reason)
        return has_written

    def _watch(
        self, reading: SpaceReading, row: SpaceRow, state: SpaceState, now: int, days: int
    ) -> IncidentWatch | None:
        """Returns the watch of an incident; its values are read anew only where something was written in it."""
        length, known = self._watches.get(row.space, (-1, None))
        if length != len(state.timeline):
            known = watch_of(reading, row, state, now, days)
            self._watches[row.space] = len(state.timeline), known
            SpaceStore(self._node.store.database).put_watched(row, *_marked_values(known, state))
        return None if known is None or now >= known.until else known

    def _look(self, watch: IncidentWatch, state: SpaceState, now: int) -> bool:
        node, own = self._node, self._node.identity.partner_id
        place = self._places.get(watch.row.space, 0)
        values = list(islice(watch.values, place, place + VALUES_AT_ONCE))
        self._places[watch.row.space] = place + VALUES_AT_ONCE if len(values) == VALUES_AT_ONCE else 0
        reading = SpaceReading(node.store.database)
        told = told_days(state)
        redacted, own_redacted = _redacted_at(reading, state), _redacted_at(reading, state, own)
        due: dict[tuple[str, str, int], SeenAgain] = {}
        for one in seen_again(node.store, own, watch, state, values):
            key = (one.type, one.value, one.day)
            if key in told or (watch.row.space, key) in self._told:
                continue
            if not one.is_tellable:
                self._note(watch, one)
                continue
            if one.at <= own_redacted:
                continue
            if one.how == CLAIM and one.at <= redacted:
                self._note(watch, one)
                continue
            if one.how == CLAIM and now < one.at + NEXT_SECONDS * _place_in_order(state, own):
                continue
            due.setdefault(key, one)
        for type_, value, day in due:
            _tell(node, watch.row, type_, value, day, now)
            self._told.add((watch.row.space, (type_, value, day)))
        return bool(due)

    def _note(self, watch: IncidentWatch, one: SeenAgain) -> None:
        """Note what alerts here alone: nothing of it leaves."""
        entry = watch.values[one.type, one.value][1]
        if self._noted.get(entry, 0) < one.at:
            self._noted[entry] = one.at
            SpaceStore(self._node.store.database).put_seen_again(watch.row, entry, one.how, one.at)
            log.warning(
                "a value of the closed incident %s was seen again: see `p2pshare status`",
                watch.row.space.short,
            )


def _marked_values(watch: IncidentWatch | None, state: SpaceState) -> tuple[dict[tuple[str, str], int], int]:
    """Returns the watched values with the marking of the entry that names each, and until when; nothing without a watch."""
    if watch is None or not isinstance(state.kind, IncidentFold):
        return {}, 0
    marked = {vertex.entry_id: vertex.header.tlp for vertex in state.kind.by_kind["object"]}
    return {value: marked[entry_id] for value, (_, entry_id) in watch.values.items()}, watch.until


def _place_in_order(state: SpaceState, own: PartnerId) -> int:
    """Returns how many tell of a claim before us: the lead, then the other members by id."""
    joined = sorted(member for member, status in state.members.items() if status == "joined")
    order = [*([state.lead] if state.lead in joined else []), *(one for one in joined if one != state.lead)]
    return order.index(own)


def _redacted_at(reading: SpaceReading, state: SpaceState, author: PartnerId | None = None) -> int:
    """Returns when the newest recurrence of this author, or of anybody, was written that is redacted; 0 without one. Never later than it came:
    nobody's clock silences what is still to come. What was known by then is not said again."""
    fold = state.kind
    assert isinstance(fold, IncidentFold)
    redacted = [
        min(vertex.header.created, reading.received_at(vertex.entry_id))
        for vertex in fold.by_kind["recurrence"]
        if author in (None, vertex.author) and fold.is_redacted(vertex)
    ]
    return max(redacted, default=0)


def _tell(node: Node, row: SpaceRow, type_: str, value: str, day: int, now: int) -> SpaceWritten:
    content = encode_incident(IncidentRecurrence(type_, value, day, ""))
    return written(node, row, SpaceStatement("recurrence", content, row.tlp), now)


def watch_days(store: StoreReading) -> int:
    """Returns for how many days after its close an incident is watched."""
    found = store.database.setting(WATCH_DAYS)
    return WATCH_DAYS_DEFAULT if found is None else found


# --- asked by a person --------------------------------------------------------------------------------------


class WatchedValue(Struct, frozen=True, forbid_unknown_fields=True):
    """A value that is watched, until when, and what was seen of it here since the close: the newest, and whether members were told.

    `is_sealed`: it was told to a few members only. `seen`: `sighting` or `claim`, empty for nothing.
    """

    incident: str
    title: str
    type: str
    value: str
    until: str
    is_sealed: bool
    seen: str
    at: str | None
    is_told: bool


class ListWatch(Query[Several[WatchedValue]], frozen=True, tag="incident-watch-list"):
    """List what is watched: of the incident of that id, else of all closed ones."""

    id: Called = ""

    def run(self, node: NodeReading, now: int, progress: Progress) -> Several[WatchedValue]:
        reading = SpaceReading(node.store.database)
        rows = [space_called(node.store, self.id, INCIDENT)] if self.id else reading.all()
        found = []
        for row in rows:
            if row.kind == INCIDENT:
                state = state_of(node, row)
                found += list(_watched(node, row, state, now))
        return Several(found)


def _watched(node: NodeReading, row: SpaceRow, state: SpaceState, now: int) -> Iterator[WatchedValue]:
    own = node.card.partner_id
    watch = watch_of(SpaceReading(node.store.database), row, state, now, watch_days(node.store))
    if watch is None or state.members.get(own) != "joined":
        return
    told, newest = told_days(state), newest_seen(node.store, own, watch, state)
    until = format_instant(watch.until * SECOND_US) or ""
    for (type_, value), (is_open, _) in watch.values.items():
        seen = newest.get((type_, value))
        at = None if seen is None else format_instant(seen.at * SECOND_US)
        is_told = seen is not None and (type_, value, seen.day) in told
        how = "" if seen is None else seen.how
        yield WatchedValue(row.space.text, row.title, type_, value, until, not is_open, how, at, is_told)


def newest_seen(
    store: StoreReading, own: PartnerId, watch: IncidentWatch, state: SpaceState
) -> dict[tuple[str, str], SeenAgain]:
    """Returns of each watched value what was seen of it last."""
    newest: dict[tuple[str, str], SeenAgain] = {}
    for one in seen_again(store, own, watch, state, list(watch.values)):
        before = newest.get((one.type, one.value))
        if before is None or before.at < one.at:
            newest[one.type, one.value] = one
    return newest


class TellRecurrence(Request[SpaceWritten], frozen=True, tag="incident-watch-tell"):
    """Tell all members of the incident of that id that one of its values was seen again today: a person decides what does not tell of itself."""

    id: Called
    value: Annotated[str, Meta(max_length=VALUE_BYTES_MAX)]

    def run(self, node: Node, now: int, progress: Progress) -> SpaceWritten:
        row = space_called(node.store, self.id, INCIDENT)
        watch = watch_of(
            SpaceReading(node.store.database),
            row,
            spaces_of(node).state(row.space),
            now,
            watch_days(node.store),
        )
        known = {} if watch is None else watch.values
        found = [type_ for (type_, value), (is_open, _) in known.items() if value == self.value and is_open]
        if not found:
            raise NotFoundError(
                "that value is not watched for all members",
                hint="see `p2pshare incident watch list`",
                reason="not-watched",
            )
        return _tell(node, row, found[0], self.value, now - now % DAY_SECONDS, now)
