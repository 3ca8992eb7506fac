# ruff: noqa: S608 - statements are put together from this program's own text only
"""A chunk of objects on its way into rows: the hot path of the whole program.

It is fast (docs/performance.md), for the rows that the store has of the chunk's values and object ids are
fetched with one query each; new rows get explicit ids, are sorted by the key of their index, and are written
by one prepared statement. An object that nothing is known of, and that is nearly every one, takes the short
branch; `versions.decide` decides about the rest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from itertools import chain

import apsw

from p2pshare.database.arrays import key_tables
from p2pshare.database.fetching import fetch
from p2pshare.intel.assessing import AssessmentFacts
from p2pshare.intel.extraction import ObjectFacts
from p2pshare.intel.instants import SECOND_US
from p2pshare.intel.withdrawing import WithdrawalFacts
from p2pshare.knowledge import assessments, derivations, wide_objects, withdrawals
from p2pshare.knowledge.contents import Contents
from p2pshare.knowledge.coverage import NETWORK_TYPES
from p2pshare.knowledge.current_versions import reselect
from p2pshare.knowledge.interface import NewFrame
from p2pshare.knowledge.known_versions import KnownVersions, StoredFrame, claim_key, order_of
from p2pshare.knowledge.object_keys import EncodedId, encode_object_id
from p2pshare.knowledge.row_changes import CURRENT, REVOKED, SUPERSEDED, PendingRows
from p2pshare.knowledge.state_table import add_fresh
from p2pshare.knowledge.versions import Version, VersionDecision, VersionOutcome, decide
from p2pshare.knowledge.vocabulary import Vocabulary, count_observables
from p2pshare.knowledge.wide_objects import NARROW_CLAIMS_MAX
from p2pshare.limits import MIB
from p2pshare.log.interface import EnvelopeOrigin

_KNOWN_OBSERVABLES = """
SELECT o.value, o.id FROM {keys} k CROSS JOIN observable o ON o.value = k.value AND o.type = ?
"""
_ADD_FRAME = "INSERT INTO frame VALUES (?, ?, ?, ?)"
_NOTE_FORK = """
INSERT INTO object_fork VALUES (?, ?, ?, ?, ?, 1, ?)
ON CONFLICT DO UPDATE SET times = times + 1
"""
_CARRY_AGAIN = """
INSERT INTO carried_again SELECT ?1, ?2, f.envelope, ?3 FROM frame f WHERE f.id = ?4
ON CONFLICT DO UPDATE SET tlp = max(tlp, excluded.tlp)
"""


COMPARED_BYTES_MIN = (
    2 * MIB
)  # of stored frames that a chunk may inflate to compare what comes again with what is held ...
COMPARED_TIMES = 64  # ... and so many times its own compressed bytes: a few bytes must not ask for all that was ever stored


def next_id(connection: apsw.Connection, table: str) -> int:
    """Returns one above the highest id of a table."""
    (highest,) = fetch(connection, f"SELECT max(rowid) FROM {table}")[0]
    return (highest or 0) + 1


def add_frames(connection: apsw.Connection, source: EnvelopeOrigin, frames: Sequence[bytes]) -> list[int]:
    """Store frames of one envelope; returns their rows."""
    first = next_id(connection, "frame")
    rows = list(range(first, first + len(frames)))
    connection.executemany(
        _ADD_FRAME,
        ((row, source.lsn, source.received_at, frame) for row, frame in zip(rows, frames, strict=True)),
    )
    return rows


class Chunk:
    """Frames on their way into the tables; `store` is called once."""

    def __init__(
        self,
        connection: apsw.Connection,
        vocabulary: Vocabulary,
        frames: Sequence[tuple[EnvelopeOrigin, NewFrame]],
        now: int,
    ) -> None:
        self._connection = connection
        self._vocabulary = vocabulary
        self._now = now
        self._new_frames: list[tuple[int, int, int, bytes]] = []
        self._frames = self._place(frames)
        compressed = sum(len(frame.frame) for _, frame in frames)
        self._contents = Contents(connection, budget_bytes=COMPARED_BYTES_MIN + COMPARED_TIMES * compressed)
        self._observables: dict[str, dict[str, int]] = {}
        self._fresh_types: list[str] = []
        self._assessments: list[assessments.ArrivedAssessment] = []
        self._withdrawals: list[withdrawals.ArrivedWithdrawal] = []
        self._wide: list[wide_objects.WideRow] = []
        self._carried: list[tuple[bytes | str, int, int, int]] = []
        self._dirty: set[tuple[int, EncodedId]] = set()
        self._derivations: list[derivations.NewDerivation] = []
        self._next_derivation = 0
        self._changed: set[tuple[int, EncodedId]] = set()
        """Objects that were known before, or withdrawn: others that are held may stem from them."""
        self._first_fresh = next_id(connection, "observable")
        self._claims = PendingRows("claim", next_id(connection, "claim"))
        self._objects = PendingRows("object", next_id(connection, "object"))

    def _place(self, frames: Sequence[tuple[EnvelopeOrigin, NewFrame]]) -> list[StoredFrame]:
        """Give each frame its row that has none yet."""
        row_id = next_id(self._connection, "frame")
        placed = []
        for source, frame in frames:
            row = frame.row
            if row is None:
                row, row_id = row_id, row_id + 1
                self._new_frames.append((row, source.lsn, source.received_at, frame.frame))
            placed.append(StoredFrame(source, row, frame.objects))
        return placed

    def store(self) -> None:
        """Write everything of the chunk, inside the caller's transaction."""
        self._connection.executemany(_ADD_FRAME, self._new_frames)
        self._intern_observables()
        keys = [[encode_object_id(fact.object_id) for fact in frame.objects] for frame in self._frames]
        by_author: dict[int, set[EncodedId]] = defaultdict(set)
        for frame, frame_keys in zip(self._frames, keys, strict=True):
            by_author[frame.source.author].update(frame_keys)
        known = {
            author: KnownVersions(self._connection, author, wanted) for author, wanted in by_author.items()
        }
        for author, versions in known.items():
            versions.prefetch_twins(
                (key, fact.modified_us)
                for frame, frame_keys in zip(self._frames, keys, strict=True)
                if frame.source.author == author
                for fact, key in zip(frame.objects, frame_keys, strict=True)
            )
        for frame, frame_keys in zip(self._frames, keys, strict=True):
            self._add_frame(frame, frame_keys, known[frame.source.author])
        instants = {frame.frame: (frame.source.created, frame.source.received_at) for frame in self._frames}
        add_fresh(
            self._connection, self._fresh_types, self._first_fresh, self._claims.rows, instants, self._now
        )
        self._claims.write(self._connection)
        self._objects.write(self._connection)
        self._connection.executemany(_CARRY_AGAIN, self._carried)
        if self._wide:
            wide_objects.add(self._connection, self._wide)
        reselect(self._connection, self._dirty)
        withdrawals.add(self._connection, self._vocabulary, self._withdrawals)
        targets = (encode_object_id(one.facts.target) for one in self._withdrawals)
        withdrawn = withdrawals.apply(self._connection, chain(targets, *keys))
        self._settle_derivations(keys, withdrawn)
        assessments.add(self._connection, self._assessments)
        assessments.apply_waiting(self._connection, (row[3] for row in self._claims.rows))

    def _settle_derivations(
        self, keys: Sequence[Sequence[EncodedId]], withdrawn: Collection[bytes | str]
    ) -> None:
        """An object that is all new changes nothing for what stems from it, unless it was withdrawn before or stems from others."""
        derivations.add(self._connection, self._vocabulary, self._derivations)
        if withdrawn:
            for frame, frame_keys in zip(self._frames, keys, strict=True):
                author = frame.source.author
                self._changed.update((author, key) for key in frame_keys if key[1] in withdrawn)
        derivations.settle(self._connection, self._changed, self._derivations)

    def _intern_observables(self) -> None:
        """Find or make the row of each value; new ones in the order of their index."""
        wanted: dict[str, set[str]] = defaultdict(set)
        for frame in self._frames:
            for fact in frame.objects:
                for claim in fact.claims:
                    wanted[claim.type].add(claim.value)
        fresh: list[tuple[str, int, str]] = []
        for name, values in wanted.items():
            type_id = self._vocabulary.observable_type(name)
            known: dict[str, int] = {}
            for table, bound in key_tables(values):
                known.update(fetch(self._connection, _KNOWN_OBSERVABLES.format(keys=table), (bound, type_id)))
            self._observables[name] = known
            added = [(value, type_id, name) for value in values if value not in known]
            fresh.extend(added)
            count_observables(self._connection, type_id, len(added))
            if name in NETWORK_TYPES:
                self._note_lengths(type_id, [value for value, _, _ in added])
        fresh.sort()
        first = self._first_fresh
        for row_id, (value, _, name) in enumerate(fresh, start=first):
            self._observables[name][value] = row_id
            self._fresh_types.append(name)
        self._connection.executemany(
            "INSERT INTO observable VALUES (?, ?, ?)",
            ((row_id, type_id, value) for row_id, (value, type_id, _) in enumerate(fresh, start=first)),
        )

    def _note_lengths(self, type_id: int, networks: Sequence[str]) -> None:
        """Note the prefix lengths that occur: a look-up then asks for so many networks around an address, not for all."""
        lengths = {int(network.rpartition("/")[2]) for network in networks}
        self._connection.executemany(
            "INSERT OR IGNORE INTO network_length VALUES (?, ?)", ((type_id, length) for length in lengths)
        )

    def _add_frame(self, frame: StoredFrame, keys: Sequence[EncodedId], known: KnownVersions) -> None:
        fresh, stored, claims, objects = known.fresh, known.stored, self._claims, self._objects
        for fact, key in zip(frame.objects, keys, strict=True):
            if fact.withdrawal is not None:
                self._withdraw(frame, fact, fact.withdrawal)
            if key in fresh or key in stored:
                self._add_version(frame, fact, key, known)
            elif fact.claims:
                fresh[key] = (frame, fact, claims.next)
                self._add_claims(frame, fact, key, CURRENT)
            else:
                fresh[key] = (frame, fact, objects.next)
                if fact.assessment is not None:
                    self._assess(frame, fact, fact.assessment, objects.next)
                self._add_object(frame, fact, key, CURRENT, fact.tlp)

    def _derive(self, frame: StoredFrame, fact: ObjectFacts, key: EncodedId) -> int | None:
        """Returns the id of what a version says that it stems from; None where it says nothing."""
        if fact.derivation is None:
            return None
        row_id = self._next_derivation or next_id(self._connection, "derivation")
        self._next_derivation = row_id + 1
        author = frame.source.author
        new = derivations.NewDerivation(row_id, author, key, fact.derivation, len(fact.claims))
        self._derivations.append(new)
        return row_id

    def _add_claims(self, frame: StoredFrame, fact: ObjectFacts, key: EncodedId, status: int) -> None:
        """Add a claim row for each observable of the object."""
        author, stored_key, rows, row_id = (
            frame.source.author,
            claim_key(key),
            self._claims,
            self._claims.next,
        )
        if len(fact.claims) > NARROW_CLAIMS_MAX:
            self._wide.append((stored_key, author, len(fact.claims), fact.modified_us or 0))
        modified_us = fact.modified_us or 0  # extraction refuses an indicator without it
        derivation = None if fact.derivation is None else self._derive(frame, fact, key)
        for claim in fact.claims:
            rows.append(
                (
                    row_id,
                    self._observables[claim.type][claim.value],
                    author,
                    stored_key,
                    frame.frame,
                    fact.position,
                    REVOKED if claim.revoked and status == CURRENT else status,
                    claim.tlp,
                    claim.confidence,
                    self._vocabulary.label_set(claim.labels) if claim.labels else None,
                    modified_us,
                    (claim.valid_from_us or 0) - modified_us,
                    None if claim.valid_until_us is None else claim.valid_until_us - modified_us,
                    claim.pap,
                    0,
                    derivation,
                    0,
                    None,
                )
            )
            row_id += 1
        rows.next = row_id

    def _add_object(
        self, frame: StoredFrame, fact: ObjectFacts, key: EncodedId, status: int, tlp: int
    ) -> None:
        row_id = self._objects.next
        self._objects.next += 1
        row = (
            row_id,
            self._vocabulary.object_type(key[0]),
            frame.source.author,
            key[1],
            frame.frame,
            fact.position,
            REVOKED if fact.revoked and status == CURRENT else status,
            tlp,
            fact.modified_us,
            self._derive(frame, fact, key),
        )
        self._objects.append(row)

    def _assess(
        self, frame: StoredFrame, fact: ObjectFacts, assessment: AssessmentFacts, row_id: int
    ) -> None:
        """Add an assessment that is new here: later versions of it say nothing (`assessments`, rule 1)."""
        source = frame.source
        self._assessments.append(
            assessments.ArrivedAssessment(
                row_id,
                source.author,
                assessment,
                fact.tlp,
                source.received_at,
                is_restated=fact.derivation is not None and bool(fact.derivation.origins),
            )
        )

    def _withdraw(self, frame: StoredFrame, fact: ObjectFacts, withdrawal: WithdrawalFacts) -> None:
        """Add a withdrawal, whether or not its object is new here: the same one again reaches no further."""
        source, sealed_us = frame.source, frame.source.created * SECOND_US
        said_us = sealed_us if fact.modified_us is None else min(fact.modified_us, sealed_us)
        self._withdrawals.append(
            withdrawals.ArrivedWithdrawal(source.author, source.lsn, withdrawal, source.received_at, said_us)
        )
        self._changed.add((source.author, encode_object_id(withdrawal.target)))

    def _add_version(
        self, frame: StoredFrame, fact: ObjectFacts, key: EncodedId, known: KnownVersions
    ) -> None:
        """Add an object that is known already, from the store or from this chunk."""
        self._changed.add((frame.source.author, key))
        new = Version(order_of(frame, fact), fact.modified_us, int(fact.tlp))
        versions = known.of(key, fact.modified_us)
        verdict = decide(versions, new, lambda version: self._contents.is_same(version.place, new.place))
        for version in verdict.tighten:
            version.tlp = verdict.tlp
            self._claims.tighten(version.claim_ids, verdict.tlp)
            self._objects.tighten(version.object_ids, verdict.tlp)
        if verdict.forked_with is not None:
            self._note_fork(frame, fact, verdict.forked_with)
        if verdict.kind in (VersionOutcome.SAME, VersionOutcome.FORK_AGAIN):
            self._carry_again(frame, fact, key, frame.frame)
        else:
            self._store_version(frame, fact, key, new, verdict)
            for version in verdict.supersede:
                self._claims.supersede(version.claim_ids)
                self._objects.supersede(version.object_ids)
            versions.take(new, verdict)
        if verdict.move is not None and self._contents.holds(verdict.move.place, new.place):
            self._carry_again(frame, fact, key, verdict.move.place[0])
            verdict.move.order = new.order
            self._claims.move(verdict.move.claim_ids, *new.place)
            self._objects.move(verdict.move.object_ids, *new.place)
        if verdict.is_dirty:
            self._dirty.add((frame.source.author, key))

    def _carry_again(self, frame: StoredFrame, fact: ObjectFacts, key: EncodedId, carrier: int) -> None:
        """Note that the frame `carrier` of ours holds an object that has no row of its own there."""
        if frame.source.is_own:
            self._carried.append((key[1], self._vocabulary.object_type(key[0]), int(fact.tlp), carrier))

    def _store_version(
        self, frame: StoredFrame, fact: ObjectFacts, key: EncodedId, new: Version, verdict: VersionDecision
    ) -> None:
        status = CURRENT if verdict.is_current else SUPERSEDED
        new.tlp = verdict.tlp
        if fact.claims:
            first = self._claims.next
            self._add_claims(frame, fact, key, status)
            new.claim_ids = list(range(first, self._claims.next))
            if verdict.tlp > fact.tlp:
                self._claims.tighten(new.claim_ids, verdict.tlp)
        else:
            new.object_ids = [self._objects.next]
            self._add_object(frame, fact, key, status, verdict.tlp)

    def _note_fork(self, frame: StoredFrame, fact: ObjectFacts, first: Version) -> None:
        row = (frame.source.author, fact.object_id, fact.modified_us, first.place[0], frame.frame)
        self._connection.execute(_NOTE_FORK, (*row, frame.source.received_at))
