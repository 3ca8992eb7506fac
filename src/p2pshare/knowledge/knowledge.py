"""Knowledge: the claims of authors about observables, their effective state here now, and every object as it was sealed.

Rules:

1. Repeating a write changes nothing: an observable has one row, a version of an object one set of claims.
2. Versions of an object are ordered by their author's (incarnation, sequence), never by arrival or by clocks
   (`versions`). Only that author's later version replaces them; another author's object of the same id is another object.
3. Each change that may alter the effective state of an observable marks it, and the end of that transaction evaluates
   all that is marked (`state_table`): no reader ever sees a claim that the effective state does not know of.
4. Withdrawals by authors, assessments by organisations and quarantine here are facts beside the claims;
   nothing is deleted.
5. A withdrawal takes another author's claim along only where that one's own object says that it stems from what was withdrawn
   (`derivations`). Who repeats another is no second source (`sources`).

Content is stored under the `EnvelopeOrigin` that the log gave its envelope. Errors: see `database.Database`.
Every reading method may be called from any thread.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress

import apsw

from p2pshare.database.database import Database
from p2pshare.database.settings import get_setting, put_setting
from p2pshare.errors import DiskFull
from p2pshare.identifiers import EnvelopeId, PartnerId, PublicationId
from p2pshare.intel.extraction import ObjectFacts
from p2pshare.intel.marking import Pap, Tlp
from p2pshare.intel.observable import Observable
from p2pshare.knowledge import (
    assessments,
    changes,
    claims,
    derivations,
    feed,
    feed_consumers,
    forwarding,
    labelling,
    out_of_effect,
    own_findings,
    own_history,
    publication_parts,
    published_rules,
    quarantine,
    searching,
    shared_objects,
    state_queries,
    state_table,
    vulnerabilities,
    walks,
    wide_objects,
    withdrawals,
)
from p2pshare.knowledge.assessments import FALSE_POSITIVE_REPORTS
from p2pshare.knowledge.changes import FeedCursor, FeedPage, FeedPosition
from p2pshare.knowledge.chunk import Chunk, add_frames
from p2pshare.knowledge.feed_consumers import ConsumerRow
from p2pshare.knowledge.interface import (
    AssessmentRow,
    Carrier,
    ClaimRow,
    EchoRow,
    FindingWithdrawn,
    Forwardable,
    Forwarding,
    HeldPublication,
    IndicatorRow,
    NewFrame,
    ObjectFork,
    ObjectVersion,
    OwnEnvelope,
    OwnFinding,
    OwnVersion,
    PublicationPart,
    Quarantine,
    SharedObject,
    SightingRow,
    StoredText,
    Walked,
    Wanted,
    Withdrawal,
)
from p2pshare.knowledge.out_of_effect import ContentPlace
from p2pshare.knowledge.state_table import SIEM_TLP_MAX
from p2pshare.knowledge.vocabulary import Vocabulary
from p2pshare.knowledge.vulnerabilities import HeldObjectRow
from p2pshare.log.interface import EnvelopeOrigin


class KnowledgeReading:
    """Queries that any thread may run."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._read = database.read
        self._walk = database.walk

    # --- values -------------------------------------------------------------------------------------

    def lookup(self, observables: Collection[Observable]) -> dict[Observable, list[ClaimRow]]:
        """Returns the current claims of each observable that is known here, any marking; absent keys are unknown."""
        return self._read(claims.lookup, observables)

    def network_lengths(self) -> dict[str, tuple[int, ...]]:
        """Returns the prefix lengths that occur among known networks, by type (`ipv4-net`, `ipv6-net`), longest first."""
        return self._read(claims.network_lengths)

    def observable_counts(self) -> dict[str, int]:
        """Returns how many observables are known of each type that has any."""
        return self._read(claims.observable_counts)

    def observables_after(self, after: int, limit: int) -> list[tuple[int, Observable]]:
        """Returns at most `limit` (id of the row, observable) above the id `after`, in order: for a walk over all."""
        return self._read(claims.observables_after, after, limit)

    def last_observable(self) -> int:
        """Returns the highest id of an observable's row, 0 at first."""
        return self._read(claims.last_observable)

    # --- what counts now ----------------------------------------------------------------------------

    def indicators(
        self, now_us: int, *, type: str | None = None, is_active_only: bool = True, tlp_max: Tlp
    ) -> Iterator[IndicatorRow]:
        """Yields the effective view for an export, over claims no stricter than `tlp_max`, in order of arrival."""
        return self._walk(state_queries.indicators, now_us, type, is_active_only, tlp_max)

    def values(
        self, now_us: int, *, type: str | None = None, tlp_max: Tlp, pap_max: Pap
    ) -> Iterator[tuple[str, str]]:
        """Yields (type, value) of each active observable that no claim keeps from such use, in order of
        arrival: the content of a plain list. Without any PAP there is no limit."""
        return self._walk(state_queries.values, now_us, type, tlp_max, pap_max)

    def indicator_lines(self, now_us: int, *, type: str | None = None, tlp_max: Tlp) -> Iterator[str]:
        """Yields active rows of `indicators` as NDJSON: strings of whole lines, each line one JSON object.

        The keys are the columns of the view v1_indicators.
        """
        return self._walk(state_queries.indicator_lines, now_us, type, tlp_max)

    def effective_states(
        self, observables: Collection[Observable], now_us: int, *, tlp_max: Tlp
    ) -> dict[Observable, IndicatorRow]:
        """Returns the effective row at `now_us` of each that has a claim no stricter than `tlp_max`, active or not."""
        return self._read(state_queries.effective_states, observables, now_us, tlp_max)

    # --- the change feed ----------------------------------------------------------------------------

    def feed_position(self) -> FeedPosition:
        """Returns which feed there is, and how far it has come."""
        return self._read(changes.feed_position)

    def changes_after(self, cursor: FeedCursor | None, limit: int) -> FeedPage:
        """Returns the next `limit` changes behind `cursor`, or from 0 on where the feed has to be read again; None: from 0 on."""
        return self._read(changes.changes_after, cursor, limit)

    def changed_since(self, seq: int) -> str | None:
        """Returns when the first change above `seq` was made (ISO 8601), None where there is none."""
        return self._read(changes.changed_since, seq)

    def consumers(self) -> list[ConsumerRow]:
        """Returns who follows the feed under a name, by name."""
        return self._read(feed_consumers.consumers)

    def quarantined(self, observables: Collection[Observable]) -> dict[Observable, list[Quarantine]]:
        """Returns the rows of each quarantined one among these, in order of source; absent keys are not quarantined."""
        return self._read(quarantine.quarantined, observables)

    # --- what partners say, and what authors took back ----------------------------------------------

    def sightings(self, observables: Collection[Observable]) -> dict[Observable, list[SightingRow]]:
        """Returns one row for each organisation that saw an observable or called it a false positive; absent
        keys: nobody did."""
        return self._read(assessments.sightings, observables)

    def assessments(self, object_id: str, limit: int) -> list[AssessmentRow]:
        """Returns the newest `limit` assessments of an object of this id, of whichever author, newest first."""
        return self._read(assessments.of_object, object_id, limit)

    def proposals_to(self, author: PartnerId, limit: int) -> list[AssessmentRow]:
        """Returns the newest `limit` proposals to change an object of `author`, newest first."""
        return self._read(assessments.proposals_to, author, limit)

    def withdrawals(self, object_id: str) -> Mapping[PartnerId, Withdrawal]:
        """Returns, by author, the withdrawal of its own object of this id, however little of the object is held."""
        return self._read(withdrawals.of_object, object_id)

    def withdrawn_up_to(self, author: PartnerId, object_ids: Collection[str]) -> Mapping[str, int]:
        """Returns, by id, the `modified` in microseconds up to which `author` withdrew its object; absent
        where it did not."""
        return self._read(withdrawals.withdrawn_up_to, author, object_ids)

    def echoes(self, author: PartnerId, object_id: str) -> list[EchoRow]:
        """Returns current objects of others that stem from `author`'s object of this id, or have its id; by author and id."""
        return self._read(derivations.echoes_of, author, object_id)

    def carriers(self, object_id: str) -> list[Carrier]:
        """Returns every envelope of ours that held a version of our object of this id, oldest first."""
        return self._read(withdrawals.carriers, object_id)

    # --- what is shared already ---------------------------------------------------------------------

    def shared_objects(self, object_ids: Collection[str]) -> dict[str, list[SharedObject]]:
        """Returns, by id, what each author currently says under it, withdrawn or not, in order of arrival; absent ids are held
        from nobody. Ask for thousands, not for a million."""
        return self._read(shared_objects.shared_objects, object_ids)

    def own_statements(self, observables: Collection[Observable]) -> dict[Observable, str]:
        """Returns the id of an unrevoked object of ours that states each of these as our own; absent where none does."""
        return self._read(shared_objects.own_statements, observables)

    def texts(self, wanted: Collection[tuple[PartnerId, str]]) -> list[StoredText]:
        """Returns the current, unrevoked objects of these (author, id) as they were written, in the order in which they came;
        what is not held is missing."""
        return self._read(shared_objects.texts, wanted)

    def findings_withdrawn(self, limit: int) -> list[FindingWithdrawn]:
        """Returns the newest `limit` objects that their authors took back after we stated them as our own findings, which
        still stand."""
        return self._read(own_findings.withdrawn, limit)

    # --- history, for a partner that came later --------------------------------------------------------

    def own_envelopes(self, after: int, since: int, limit: int) -> list[OwnEnvelope]:
        """Returns the next `limit` envelopes of ours behind the lsn `after` that were created since (unix seconds) and have objects."""
        return self._read(own_history.own_envelopes, after, since, limit)

    def own_versions(self, lsn: int, partner: PartnerId) -> Iterator[list[OwnVersion]]:
        """Yields, frame by frame, the objects of an envelope of ours that are current in the version that stands there, and what
        `partner` was sent of it."""
        return self._walk(own_history.own_versions, lsn, partner)

    def was_withdrawal_sent(self, object_id: str, partner: PartnerId) -> bool:
        """Returns whether a withdrawal of our object of this id was sealed for `partner`."""
        return self._read(own_history.is_told, object_id, partner)

    def forwardings(self) -> list[Forwarding]:
        """Returns the partners that others' envelopes are handed on to, in the order of their ids."""
        return self._read(forwarding.forwardings)

    def forwardable(
        self, partner: PartnerId, own: PartnerId, after: int, up_to: int, since: int, limit: int
    ) -> list[Forwardable]:
        """Returns the next `limit` envelopes behind the lsn `after`, up to `up_to`, that others than `partner` created since (unix
        seconds), came from a partner and were read here."""
        return self._read(forwarding.forwardable, partner, own, after, up_to, since, limit)

    def forwarding_due(self, partner: PartnerId, limit: int) -> list[Forwardable]:
        """Returns the next `limit` envelopes that were read since `partner` was handed what was held, and are to be looked at."""
        return self._read(forwarding.due, partner, limit)

    def count_forwarded(self, partner: PartnerId, objects: Collection[int]) -> int:
        """Returns how many of these (`forwarding.object_hash`) were handed on to `partner`."""
        return self._read(forwarding.known, partner, objects)

    def forwarded_to(self, partner: PartnerId, after_lsn: int = 0) -> list[tuple[EnvelopeId, int]]:
        """Returns our envelopes behind an lsn in which others' were handed on to `partner`, and how many are in each, in order."""
        return self._read(forwarding.sent, partner, after_lsn)

    def is_handed_on_in_part(self, lsn: int) -> bool:
        """Returns whether a partner handed the envelope on, and reading it has not come to its end."""
        return self._read(forwarding.is_in_part, lsn)

    def forwarder(self, lsn: int) -> PartnerId | None:
        """Returns the partner who handed an envelope on that was read for that; None of any other."""
        return self._read(forwarding.forwarder, lsn)

    # --- objects ------------------------------------------------------------------------------------

    def search(self, wanted: Wanted, walked: Walked) -> Iterator[ObjectVersion]:
        """Yields current versions that fit, newest arrival first. Reads the objects as sealed; there is no
        index of texts."""
        return self._walk(searching.search, wanted, walked)

    def object_versions(
        self, object_id: str, author: PartnerId | None = None, newest: int | None = None
    ) -> list[ObjectVersion]:
        """Returns every version held of an object, of every author or of one, in order of arrival, or the `newest` so many; [] when unknown."""
        return self._read(searching.object_versions, object_id, author, newest)

    def object_forks(self) -> list[ObjectFork]:
        """Returns every version of which an author sent differing contents, in the order in which they were noted."""
        return self._read(searching.object_forks)

    def fork_count(self) -> int:
        return self._read(searching.fork_count)

    def envelope_markings(self) -> dict[EnvelopeId, Tlp]:
        """Returns the strictest marking in each envelope that was opened here and gave at least one object."""
        return self._read(searching.envelope_markings)

    def envelope_objects(self, envelope_id: EnvelopeId) -> Iterator[bytes]:
        """Yields the JSON of each object in an envelope that was opened here, in its order."""
        return self._walk(searching.envelope_objects, envelope_id)

    # --- for the worker of `p2pshare risk` ------------------------------------------------------------

    def current_rows(self, type_: str, after: int = 0) -> set[int]:
        """Returns the rows behind `after` of objects of a type, not indicators, that count and may be shown to a SIEM. Walks over
        all objects behind it."""
        return self._read(vulnerabilities.current_rows, type_, after)

    def objects_at(self, rows: Collection[int]) -> Iterator[HeldObjectRow]:
        """Yields the objects at `rows` that can be read, frame by frame."""
        return self._walk(vulnerabilities.objects_at, rows)

    def seen_objects(self, type_: str) -> list[tuple[str, PartnerId, int]]:
        """Returns (object id, partner, when last in seconds) of sightings of objects of a type, not indicators; without ours."""
        return self._read(vulnerabilities.seen_objects, type_)

    def seen_values(self, indicator_id: str) -> list[tuple[PartnerId, int]]:
        """Returns (partner, when last in seconds) of sightings of what indicators of this id name; without ours."""
        return self._read(vulnerabilities.seen_values, indicator_id)

    # --- publications -------------------------------------------------------------------------------

    def publications(self, publication: PublicationId) -> list[HeldPublication]:
        """Returns what was read of each publication of this id, one an author, in the order of their ids."""
        return self._read(publication_parts.publications, publication)

    def publication_values(self, author: PartnerId, publication: PublicationId) -> int:
        """Returns the number of different values in what was read of a publication, whatever became of them since. Walks over all
        claims."""
        return self._read(publication_parts.values, author, publication)

    def part_of(self, envelope_id: EnvelopeId) -> PublicationPart | None:
        """Returns the publication of an envelope that was read here, None of any other."""
        return self._read(publication_parts.part_of, envelope_id)


class Knowledge(KnowledgeReading):
    """Knowledge with its one writer. Each method is a transaction, or a part of the one that is under way."""

    def __init__(self, database: Database, *, has_feed: bool = True) -> None:
        """Take part in the transactions of `database`. `has_feed` False: nobody follows its changes, as those of an exercise."""
        super().__init__(database)
        self._has_feed = has_feed
        self._evaluated_at = 0
        self._reported_before = 0
        if self._read(state_table.unnoted_types):
            # a few bytes, and a full disk must not keep anybody from looking
            with database.transaction(frees_space=True) as writer:
                state_table.note_types(writer)
        self._vocabulary = Vocabulary(database)
        self._renewed_feed = b""
        database.join(self)
        if has_feed and self._read(feed.is_over, feed.read_mark(database.path.parent)):
            with database.transaction(frees_space=True) as writer:  # as above
                feed.renew(writer)
            self.mark_feed()

    def renew_feed(self, incarnation: int) -> None:
        """Begin another feed, once a life: an envelope of ours, of `incarnation`, came home, so this store is a backup or a copy. Nothing
        where it was sealed before a restore that began a feed."""
        with self._database.transaction() as writer:
            is_told = incarnation < feed.restored_before(writer)
            if not is_told and feed.feed_id(writer) != self._renewed_feed:
                self._renewed_feed = feed.renew(writer)

    def begin_restored_feed(self, incarnation: int) -> bytes:
        """Begin the feed of a home that was restored, of which `incarnation` is the first of ours; returns its id."""
        with self._database.transaction() as writer:
            return feed.begin_restored(writer, incarnation)

    def mark_feed(self) -> None:
        """Write down beside the store how far its feed has come: what tells at the next opening that it was put back."""
        if not self._has_feed:
            return
        with suppress(apsw.ConnectionClosedError):  # closed before: it was marked then
            feed.write_mark(self._database.path.parent, self._read(feed.mark_of))

    def add_consumer(self, name: str, cursor: FeedCursor, now: int) -> None:
        """Note that somebody follows the feed as `name`, from `cursor` on; one that is there stays as it is."""
        with self._database.transaction() as writer:
            feed_consumers.add(writer, name, cursor, now)

    def remove_consumer(self, name: str) -> bool:
        """Returns whether there was one of that name."""
        with self._database.transaction(frees_space=True) as writer:
            return feed_consumers.remove(writer, name)

    def reset_consumer(self, name: str) -> None:
        """Have the consumer told to begin again, wherever it stands."""
        with self._database.transaction(frees_space=True) as writer:
            feed_consumers.begin_again(writer, name)

    def advance_consumer(self, name: str, cursor: FeedCursor, now: int) -> None:
        """Note that the consumer was told all up to `cursor`. On a full disk, too: it only sets what is there."""
        with self._database.transaction(frees_space=True) as writer:
            feed_consumers.advance(writer, name, cursor, now)

    def begun(self, writer: apsw.Connection) -> None:
        """Begin a transaction: note the last change before it. See `database.Participant`."""
        self._evaluated_at = 0
        self._reported_before = state_table.last_change(writer)

    def committing(self, writer: apsw.Connection) -> None:
        """Evaluate the observables that were marked, at the latest time that any call of the transaction was given."""
        now = self._evaluated_at or state_table.evaluated_at(writer)
        walks.begin_ahead(writer, now)
        if now:
            state_table.reevaluate_dirty(writer, now, self._reported_before)

    def add(self, frames: Sequence[tuple[EnvelopeOrigin, NewFrame]], now: int) -> None:
        """Store frames of envelopes that the log holds, and the facts read from them, evaluated at `now`. Memory grows with
        `frames`: hand a large publication over in parts (limits.STORE_CHUNK_OBJECTS)."""
        with self._database.transaction() as writer:
            self._evaluated_at = max(self._evaluated_at, now)
            Chunk(writer, self._vocabulary, frames, now).store()
            state_table.evaluate_marked(writer, self._evaluated_at, self._reported_before)

    def add_frames(self, source: EnvelopeOrigin, frames: Sequence[bytes]) -> list[int]:
        """Store frames of an envelope that the log holds, whose objects come in pieces (`NewFrame.row`); returns their rows."""
        with self._database.transaction() as writer:
            return add_frames(writer, source, frames)

    def note_findings(self, findings: Collection[OwnFinding], now: int) -> None:
        """Keep which objects of ours state what another author's object does, at `now` (unix seconds). Before they are sealed:
        one that never is tells nothing."""
        with self._database.transaction() as writer:
            own_findings.note(writer, self._vocabulary, findings, now)

    def add_label(self, author: PartnerId, object_ids: Collection[str], label: str) -> None:
        """Add a label to the current claims out of objects of these ids by this author, where it lacks."""
        if not self._read(labelling.lacking, author, object_ids, label):
            return
        with self._database.transaction() as writer:
            claims = labelling.lacking(writer, author, object_ids, label)
            labelling.add_label(writer, self._vocabulary, claims, label)

    def begin_forwarding(self, partner: PartnerId, since: int, last_lsn: int) -> None:
        """Hand on to `partner` what others created since (unix seconds), of what is held up to `last_lsn`; again from the beginning
        where that was done before."""
        with self._database.transaction() as writer:
            forwarding.begin(writer, self._database.organisation(partner), since, last_lsn)

    def put_forwarding_place(self, partner: PartnerId, place: int) -> None:
        """What was held up to the lsn `place` has been looked at."""
        with self._database.transaction() as writer:
            forwarding.put_place(writer, self._database.organisation(partner), place)

    def end_forwardings(self) -> int:
        """Hand on nothing more of what is held: this home was put back, and does not know what left since. Returns for how many partners
        that ends something."""
        with self._database.transaction() as writer:
            return forwarding.end_all(writer)

    def drop_forwarding_due(self, partner: PartnerId, lsns: Collection[int]) -> None:
        """These, which were read since, have been looked at."""
        with self._database.transaction(frees_space=True) as writer:
            forwarding.drop_due(writer, self._database.organisation(partner), lsns)

    def note_forwarded(
        self, partner: PartnerId, envelope_id: EnvelopeId, count: int, objects: Collection[int]
    ) -> None:
        """An envelope of ours, which the log holds, hands `count` of others' on to `partner`, in which these objects are."""
        with self._database.transaction() as writer:
            row = self._database.organisation(partner)
            forwarding.note_sent(writer, row, envelope_id, count, objects)

    def drop_forwarding(self, partner: PartnerId) -> None:
        """Hand nothing on to `partner` any more."""
        with self._database.transaction(frees_space=True) as writer:
            forwarding.drop(writer, self._database.organisation(partner))

    def note_forwarder(self, source: EnvelopeOrigin, forwarder: PartnerId) -> None:
        """Note who handed on an envelope that is read because of that."""
        with self._database.transaction() as writer:
            forwarding.note_received(writer, source.lsn, self._database.organisation(forwarder))

    def put_part(self, source: EnvelopeOrigin, part: PublicationPart) -> None:
        """Note of which publication an envelope is a part. Repeating changes nothing."""
        with self._database.transaction() as writer:
            publication_parts.put_part(writer, source.lsn, source.author, part)

    def reach(self, source: EnvelopeOrigin, objects: Sequence[ObjectFacts]) -> list[wide_objects.Reach]:
        """Returns how many stored rows each of `objects` out of the envelope `source` would touch beside its own; [] where
        none touches many."""
        return self._read(wide_objects.reach, source.author, objects)

    def reevaluate(self, now: int, limit: int) -> int:
        """Evaluate at most `limit` of the observables that time alone has changed by `now`, unix seconds;
        returns how many.

        Status, score, end and the row in the change feed change together. Repeated until it returns 0,
        nothing is left that is due.
        """
        with self._database.transaction() as writer:
            self._evaluated_at = max(self._evaluated_at, now)
            walks.begin_ahead(writer, now)
            return state_table.reevaluate_due(writer, now, limit)

    def quarantine(self, observables: Collection[Observable], source: str, reason: str, now: int) -> int:
        """Quarantine each observable that is held here; returns how many `source` had not marked before.
        Unknown ones are passed over.

        Marking again renews the reason and keeps the time. `now` in unix seconds.
        """
        with self._database.transaction() as writer:
            self._evaluated_at = max(self._evaluated_at, now)
            return quarantine.quarantine(writer, observables, source, reason, now)

    def release(self, observables: Collection[Observable], source: str) -> int:
        """Remove the marks of `source`; returns how many there were. Other sources' marks stay."""
        with self._database.transaction() as writer:
            return quarantine.release(writer, observables, source)

    def set_siem_tlp_max(self, level: Tlp) -> None:
        """Set the strictest marking that the SIEM sees; observables that this shows or hides are evaluated anew (`walks`)."""
        if self._database.setting(SIEM_TLP_MAX) == level:
            return
        with self._database.transaction() as writer:
            before = get_setting(writer, SIEM_TLP_MAX)
            put_setting(writer, SIEM_TLP_MAX, int(level))
            walks.begin_markings(writer, min(-1 if before is None else before, int(level)))

    def set_false_positive_reports(self, needed: int) -> None:
        """Set the number of organisations that make a false positive (0: none do); all are counted anew (`walks`)."""
        if self._database.setting(FALSE_POSITIVE_REPORTS) == needed:
            return
        with self._database.transaction() as writer:
            put_setting(writer, FALSE_POSITIVE_REPORTS, needed)
            walks.begin_reports(writer)

    def recount_reports(self) -> None:
        """Begin to count false positives anew (`walks`): to be called in the transaction that changes the roster."""
        with self._database.transaction(frees_space=True) as writer:
            walks.begin_reports(writer)

    def recount_voices(self) -> None:
        """Begin to count anew who speaks for whom (`walks`): to be called in the transaction that changes it."""
        with self._database.transaction(frees_space=True) as writer:
            walks.begin_voices(writer)
            walks.begin_reports(writer)

    def set_out(
        self, lsn: int, author: int, place: ContentPlace, now: int, *, is_out: bool
    ) -> ContentPlace | None:
        """Take a step of what takes the content of an envelope out of effect, or back, evaluated at `now` (unix seconds);
        returns where the next one begins, None when all is done."""
        with self._database.transaction() as writer:
            self._evaluated_at = max(self._evaluated_at, now)
            return out_of_effect.step(writer, lsn, author, place, is_out=is_out)

    def go_on(self, now: int) -> bool:
        """Take a step of what a change of the roster, of a setting or of the clock has begun, evaluated at `now` (unix seconds), or of
        reading the rules among what was stored; returns whether anything was left to do."""
        if not self._read(walks.is_under_way):
            return self._read_rules()
        with self._database.transaction() as writer:
            self._evaluated_at = max(self._evaluated_at, now)
            return walks.go_on(writer, now)

    def _read_rules(self) -> bool:
        if not self._read(published_rules.is_behind):
            return False
        try:
            with self._database.transaction() as writer:
                published_rules.read_on(writer)
        except DiskFull:
            return False  # it has time: what makes room comes behind this, and must not wait for room
        return True
