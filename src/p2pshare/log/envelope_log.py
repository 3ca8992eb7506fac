# ruff: noqa: S608 - statements are put together from this program's own text only
"""The envelope log: envelopes as received, in order of arrival, and the facts about them that gossip needs.

Rules:

1. Repeating a write changes nothing: an envelope is stored once. What changed is what the answer says.
2. The log knows nothing of content but whether it was read. What is read is kept elsewhere, under the
   `EnvelopeOrigin` of its envelope; unread envelopes are a queue (`next_unread`) that outlives any crash.
3. Only what was verified here, or sealed by us, gets in; the types say which.
4. Our own chain never forks here (`sequences`).

Errors: see `database.Database`. Every reading method may be called from any thread.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import apsw

from p2pshare.database.arrays import row_ids
from p2pshare.database.database import Database
from p2pshare.database.fetching import Row, fetch
from p2pshare.database.settings import OWN_ID, Setting, get_setting, put_setting
from p2pshare.envelope.envelope import Mode
from p2pshare.envelope.recipient_number import RecipientNumber
from p2pshare.identifiers import CircleId, EnvelopeId, Epoch, KeyId, PartnerId, PublicationId
from p2pshare.limits import (
    DEFERRED_BYTES_MAX,
    DEFERRED_BYTES_PER_PARTNER_MAX,
    DEFERRED_ENTRIES_PER_PARTNER_MAX,
    FUTURE_DEFER_SECONDS,
    MIB,
    QUOTA_RESERVE_PARTS,
)
from p2pshare.log import chain_forks, expiry, sequences, staging
from p2pshare.log.interface import (
    AUTHOR_QUOTA_BYTES,
    EXPIRY_BEGINS,
    AuthoredEnvelope,
    AuthorState,
    ContentState,
    DeferredEnvelope,
    EnvelopeCounts,
    EnvelopeEntry,
    EnvelopeOrigin,
    EnvelopeRecord,
    ExpiredUnread,
    ExpiryPlace,
    ExpiryStep,
    GapTotal,
    KeyedEnvelope,
    NewEnvelope,
    NewStaged,
    SequenceFork,
    StagedContent,
    StagedPublication,
    Stored,
    UnreadEnvelope,
    UsedTwice,
)

if TYPE_CHECKING:  # whoever looks rows up does not load cryptography
    from p2pshare.envelope.verification import VerifiedEnvelope

LAST_LSN = Setting("last_lsn", int)
EPOCH = Setting("epoch", bytes)
CLOCK_NOTED_AT = Setting("clock_noted_at", int)
CLOCK_WATCHED_SINCE = Setting("clock_watched_since", int)
CLOCK_WATCHED_AT = Setting("clock_watched_at", int)
CLOCK_WATCHED_SECONDS = Setting("clock_watched_seconds", int)
CLOCK_JUMPED_AT = Setting("clock_jumped_at", int)
CLOCK_JUMPED_SECONDS = Setting("clock_jumped_seconds", int)
FORWARDED_STAGE = 3  # of `envelope.stage`: content only, of one that a partner handed on
KEYS_PAGE = 4_096  # keys fetched at once: a reader that is left half-read would keep the log from shrinking
_KEY_BYTES_OF_TIME = 8
_LAST_ROW = (1 << 63) - 1  # beyond every row's number

_ENTRY = """
SELECT e.lsn, e.envelope_id, a.partner_id, e.circle, e.mode, e.created, e.ttl_class, e.expires, e.size,
    coalesce(a.partner_id = (SELECT value FROM setting WHERE name = 'own_id'), 0) OR e.received_from IS NULL
FROM envelope e JOIN organisation a ON a.id = e.author
"""
"""SQL for the columns of an EnvelopeEntry; a WHERE clause follows."""


_UNREAD = """
SELECT e.lsn, e.author, e.incarnation, e.sequence, e.envelope_id, e.created, e.received_at,
    coalesce(a.partner_id = (SELECT value FROM setting WHERE name = 'own_id'), 0) OR e.received_from IS NULL,
    a.partner_id, e.size, r.attempts, r.place
FROM (SELECT * FROM envelope INDEXED BY envelope_unread WHERE content = 0 AND is_out = 0 AND author > ? AND author <= ?
    AND lsn NOT IN (SELECT value FROM carray(?)) ORDER BY author, size, lsn LIMIT 1) e
JOIN organisation a ON a.id = e.author LEFT JOIN reading r ON r.lsn = e.lsn
"""


LOOKED_AT_ONCE = 20_000  # lsns that one step of a revocation walks over: some 20 ms
AUTHORED_AT_ONCE = 64  # of one author: a transaction of some 20 ms where nothing of theirs changes
KEYED_AT_ONCE = 1_024  # of what was sealed with the key: they are asked of the vouch pages, some 10 ms
EVIDENCE_ENVELOPES_MAX = 1_000  # of one author that are out of effect and kept as proof; more proves no more
EVIDENCE_BYTES_MAX = 64 * MIB
EVIDENCE_AT_ONCE = 1_000  # wires dropped in one transaction
READ_AGAIN_MAX = 10_000  # envelopes that waited for room, put back in one transaction: a tenth of a second
_READ_AGAIN = """
UPDATE envelope SET content = 0 WHERE lsn IN (
    SELECT e.lsn FROM envelope e INDEXED BY envelope_no_room
    CROSS JOIN carried c ON c.author = e.author AND c.circle = iif(e.mode = 1, e.circle, zeroblob(16))
    WHERE e.content = 4 AND e.stage = 0 AND c.cost < ?1 - ?1 / ?2 LIMIT ?3
)
"""


class EnvelopeReading:
    """Queries that any thread may run on the log."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._fetch = database.fetch

    # --- envelopes, in order of arrival -------------------------------------------------------------

    def is_seen(self, ids: Collection[EnvelopeId]) -> set[EnvelopeId]:
        """Returns those of `ids` that are held, or were and have not been expired for an hour; not what is out of effect, nor what
        a partner handed on alone."""
        if not ids:
            return set()
        array = apsw.carray(tuple(bytes(one) for one in ids))
        rows = self._fetch(
            """SELECT e.envelope_id FROM carray(?) k CROSS JOIN envelope e ON e.envelope_id = k.value
            WHERE e.is_out = 0 AND e.stage < 3""",
            (array,),
        )
        return {EnvelopeId(found) for (found,) in rows}

    def wire(self, envelope_id: EnvelopeId) -> bytes | None:
        """Returns the envelope as received, None when it is not held, has expired or is out of effect."""
        rows = self._fetch(
            """SELECT w.bytes FROM envelope e JOIN wire w ON w.lsn = e.lsn
            WHERE e.envelope_id = ? AND e.stage = 0 AND e.is_out = 0""",
            (bytes(envelope_id),),
        )
        return rows[0][0] if rows else None

    def evidence(self, envelope_id: EnvelopeId) -> bytes | None:
        """Returns the envelope as received, also past its expiry where it is kept as proof of a fork."""
        rows = self._fetch(
            "SELECT w.bytes FROM envelope e JOIN wire w ON w.lsn = e.lsn WHERE e.envelope_id = ?",
            (bytes(envelope_id),),
        )
        return rows[0][0] if rows else None

    def entry(self, envelope_id: EnvelopeId) -> EnvelopeEntry | None:
        """Returns the entry of an envelope that has a row, whatever its stage."""
        return self._database.read(_find_entry, envelope_id)

    def entries(self, after_lsn: int, limit: int) -> list[EnvelopeEntry]:
        """Returns unexpired envelopes in order of arrival, after `after_lsn`."""
        rows = self._fetch(
            f"{_ENTRY} WHERE e.lsn > ? AND e.stage = 0 AND e.is_out = 0 ORDER BY e.lsn LIMIT ?",
            (after_lsn, limit),
        )
        return [_entry_of(row) for row in rows]

    def last_lsn(self) -> int:
        """Returns the highest lsn ever given, 0 at first."""
        return self._database.setting(LAST_LSN) or 0

    def record(self, envelope_id: EnvelopeId) -> EnvelopeRecord | None:
        """Returns how an envelope is held, None when it has no row."""
        rows = self._fetch(
            """SELECT p.partner_id, e.received_at, e.content, e.stage = 0 FROM envelope e
            LEFT JOIN organisation p ON p.id = e.received_from WHERE e.envelope_id = ?""",
            (bytes(envelope_id),),
        )
        if not rows:
            return None
        [(received_from, received_at, content, is_carried)] = rows
        return EnvelopeRecord(
            None if received_from is None else PartnerId(received_from),
            received_at,
            ContentState(content),
            bool(is_carried),
        )

    def counts(self) -> EnvelopeCounts:
        """Returns the numbers of unexpired envelopes."""
        (row,) = self._fetch(
            """SELECT count(*), coalesce(sum(content = 1), 0), coalesce(sum(content IN (0, 4, 5, 6)), 0), coalesce(sum(
                awaits_first_hop = 1 OR EXISTS (SELECT 1 FROM outbox x WHERE x.lsn = e.lsn)), 0),
                coalesce(sum(content = 4), 0)
            FROM envelope e WHERE stage = 0 AND is_out = 0"""
        )
        return EnvelopeCounts(*row)

    # --- what gossip compares -----------------------------------------------------------------------

    def epoch(self) -> Epoch:
        """Returns the epoch of this store (docs/decisions/0004)."""
        epoch = self._database.setting(EPOCH)
        assert epoch is not None  # the first opening for writing puts it
        return Epoch(epoch)

    def keys(self, circle: CircleId, ttl_class: int) -> Iterator[tuple[int, EnvelopeId]]:
        """Yields (created, id) in ascending order, of the relayed envelopes seen and not expired for an hour."""
        after = b""
        while page := self.keys_after(circle, ttl_class, after, KEYS_PAGE):
            for key in page:
                yield int.from_bytes(key[:_KEY_BYTES_OF_TIME], "big"), EnvelopeId(key[_KEY_BYTES_OF_TIME:])
            after = page[-1]

    def keys_after(self, circle: CircleId, ttl_class: int, after: bytes, limit: int) -> list[bytes]:
        """Returns at most `limit` keys (created as 8 bytes big endian, then the id) above the key `after`."""
        created = int.from_bytes(after[:_KEY_BYTES_OF_TIME], "big") if after else -1
        rows = self._fetch(
            """SELECT created, envelope_id FROM envelope
            WHERE circle = ? AND ttl_class = ? AND (created, envelope_id) > (?, ?) AND mode = 1 AND stage < 2 AND is_out = 0
            ORDER BY created, envelope_id LIMIT ?""",
            (bytes(circle), ttl_class, created, after[_KEY_BYTES_OF_TIME:], limit),
        )
        return [created.to_bytes(_KEY_BYTES_OF_TIME, "big") + envelope_id for created, envelope_id in rows]

    def direct_keys(self, partner: PartnerId) -> list[tuple[int, int, EnvelopeId]]:
        """Returns (ttl class, created, id), ascending, of the direct envelopes between `partner` and us, in both
        directions: seen and not expired for an hour. One of ours that came home from `partner` is among them, whatever is
        known of its audience."""
        rows = self._fetch(
            """SELECT e.ttl_class, e.created, e.envelope_id FROM envelope e WHERE e.mode = 0 AND e.stage < 2 AND e.is_out = 0
            AND e.author = (SELECT id FROM organisation WHERE partner_id = :partner)
            UNION
            SELECT e.ttl_class, e.created, e.envelope_id FROM envelope_recipient x
            JOIN envelope e ON e.lsn = x.lsn
            WHERE x.recipient = (SELECT id FROM organisation WHERE partner_id = :partner) AND e.mode = 0 AND e.stage < 2
            AND e.is_out = 0
            UNION
            SELECT e.ttl_class, e.created, e.envelope_id FROM envelope e WHERE e.mode = 0 AND e.stage < 2 AND e.is_out = 0
            AND e.author = (SELECT id FROM organisation WHERE partner_id = :own)
            AND e.received_from = (SELECT id FROM organisation WHERE partner_id = :partner)
            ORDER BY 1, 2, 3""",
            {"partner": bytes(partner), "own": self._database.setting(OWN_ID)},
        )
        return [(ttl_class, created, EnvelopeId(envelope_id)) for ttl_class, created, envelope_id in rows]

    # --- what waits for the reader ------------------------------------------------------------------

    def next_unread(
        self, after_author: int, without: Collection[int] = (), without_authors: Collection[int] = ()
    ) -> UnreadEnvelope | None:
        """Returns the smallest unread envelope of the author whose row comes next after `after_author`, from the first again
        after the last; None when nothing waits but the lsns in `without`, and what is of `without_authors`."""
        left_out = row_ids(without or (0,))
        for after, last in ((after_author, _LAST_ROW), (-1, after_author)):
            while rows := self._fetch(_UNREAD, (after, last, left_out)):
                one = _unread_of(rows[0])
                if one.source.author not in without_authors:
                    return one
                after = one.source.author  # one step down the index, however much waits of it
        return None

    def expired_unread(self) -> list[ExpiredUnread]:
        """Returns how many envelopes of each author expired before they were read, in the order of the authors' ids."""
        return [
            ExpiredUnread(PartnerId(bytes.fromhex(author)), *counted)
            for author, counted in sorted(self._database.read(expiry.expired_unread).items())
        ]

    def is_deferred(self, envelope_id: EnvelopeId) -> bool:
        """Returns whether an envelope is kept aside until its time comes."""
        return bool(self._fetch("SELECT 1 FROM deferred WHERE envelope_id = ?", (bytes(envelope_id),)))

    def clock_noted_at(self) -> int | None:
        """Returns what the clock showed (unix seconds) when it was noted last; None where it never was."""
        return self._database.setting(CLOCK_NOTED_AT)

    def clock_watched(self) -> tuple[int, int, int] | None:
        """Returns since when a clock in doubt has not gone back, when it was looked at last (both by what it showed, unix seconds),
        and for how many seconds a node ran meanwhile; None where none ever was in doubt."""
        names = (CLOCK_WATCHED_SINCE, CLOCK_WATCHED_AT, CLOCK_WATCHED_SECONDS)
        since, at, seconds = map(self._database.setting, names)
        return None if since is None or at is None or seconds is None else (since, at, seconds)

    def clock_jump(self) -> tuple[int, int] | None:
        """Returns when the clock jumped last, by what it showed then (unix seconds), and how far (seconds; negative: back)."""
        at, seconds = self._database.setting(CLOCK_JUMPED_AT), self._database.setting(CLOCK_JUMPED_SECONDS)
        return None if at is None or seconds is None else (at, seconds)

    def due_deferred(self, now: int, limit: int, bytes_max: int) -> list[DeferredEnvelope]:
        """Returns at most `limit` deferred envelopes that are due at `now`, oldest first, of `bytes_max` bytes together; one at
        least. One that was tried before comes alone."""
        due: list[DeferredEnvelope] = []
        rows = self._fetch(
            """SELECT d.envelope_id, d.attempts, length(d.wire), b.partner_id FROM deferred d
            LEFT JOIN organisation b ON b.id = d.received_from
            WHERE d.created <= ? ORDER BY d.created, d.envelope_id LIMIT ?""",
            (now + FUTURE_DEFER_SECONDS, limit),
        )
        total = 0
        for envelope_id, attempts, size, received_from in rows:
            total += size
            if due and (total > bytes_max or attempts or due[0].attempts):
                break
            ((wire,),) = self._fetch("SELECT wire FROM deferred WHERE envelope_id = ?", (envelope_id,))
            partner = None if received_from is None else PartnerId(received_from)
            due.append(DeferredEnvelope(EnvelopeId(envelope_id), wire, partner, attempts))
        return due

    # --- what a thief of a key may have sealed ------------------------------------------------------

    def under_key(self, author: PartnerId, key_id: KeyId, after_lsn: int) -> list[KeyedEnvelope]:
        """Returns what an author sealed with a key, of the next LOOKED_AT_ONCE lsns after `after_lsn`, in order: the first
        KEYED_AT_ONCE of it."""
        rows = self._fetch(
            """SELECT lsn, author, envelope_id, circle, mode, created, received_at, expires, stage = 0,
                nullif(is_out, 2)
            FROM envelope WHERE lsn > ?1 AND lsn <= ?1 + ?4 AND key_id = ?3
            AND author = (SELECT id FROM organisation WHERE partner_id = ?2) ORDER BY lsn LIMIT ?5""",
            (after_lsn, bytes(author), bytes(key_id), LOOKED_AT_ONCE, KEYED_AT_ONCE),
        )
        return [
            KeyedEnvelope(
                lsn,
                row,
                EnvelopeId(envelope_id),
                CircleId(circle),
                mode,
                created,
                received_at,
                expires,
                bool(is_carried),
                None if is_out is None else bool(is_out),
            )
            for lsn, row, envelope_id, circle, mode, created, received_at, expires, is_carried, is_out in rows
        ]

    def of_author(self, author: PartnerId, after_lsn: int) -> list[AuthoredEnvelope]:
        """Returns what an author sealed, of the next LOOKED_AT_ONCE lsns after `after_lsn`, in order: the first AUTHORED_AT_ONCE
        of it."""
        rows = self._fetch(
            """SELECT lsn, author, content, is_out = 0 FROM envelope WHERE lsn > ?1 AND lsn <= ?1 + ?3
            AND author = (SELECT id FROM organisation WHERE partner_id = ?2) ORDER BY lsn LIMIT ?4""",
            (after_lsn, bytes(author), LOOKED_AT_ONCE, AUTHORED_AT_ONCE),
        )
        return [
            AuthoredEnvelope(lsn, row, ContentState(content), bool(is_in_effect))
            for lsn, row, content, is_in_effect in rows
        ]

    def carries_key(self, author: PartnerId, key_id: KeyId) -> bool:
        """Returns whether something that an author sealed with a key has not expired, in effect or not."""
        rows = self._fetch(
            """SELECT 1 FROM envelope INDEXED BY envelope_chain WHERE key_id = ? AND stage < 2
            AND author = (SELECT id FROM organisation WHERE partner_id = ?) LIMIT 1""",
            (bytes(key_id), bytes(author)),
        )
        return bool(rows)

    # --- what is to be delivered --------------------------------------------------------------------

    def outbox(self, partner: PartnerId, limit: int = -1) -> list[EnvelopeEntry]:
        """Returns our direct envelopes that `partner` has not acknowledged, oldest first, at most `limit` of them (-1: all)."""
        rows = self._fetch(
            f"""{_ENTRY} JOIN outbox x ON x.lsn = e.lsn
            WHERE x.recipient = (SELECT id FROM organisation WHERE partner_id = ?) ORDER BY x.lsn LIMIT ?""",
            (bytes(partner), limit),
        )
        return [_entry_of(row) for row in rows]

    # --- publications of ours that go out in steps (`staging`) ---------------------------------------

    def staged_publications(self) -> list[StagedPublication]:
        """Returns those on their way out, oldest first."""
        return self._database.read(staging.publications)

    def staged_publication(self, publication: PublicationId) -> StagedPublication | None:
        """Returns the one of that id, None when it is at its end or never began."""
        return self._database.read(staging.publication, publication)

    def staged_chain(self, one: StagedPublication) -> AuthorState:
        """Returns our chain as it would be with what is sealed of it."""
        return self._database.read(staging.chain, one)

    def staged_end(self, one: StagedPublication) -> int:
        """Returns the place in what was prepared at which its sealing goes on."""
        return self._database.read(staging.end, one)

    def staged_numbers(self, publication: PublicationId) -> dict[PartnerId, int]:
        """Returns the last number of each recipient among what is sealed of it."""
        return self._database.read(staging.last_numbers, publication)

    def next_to_store(self, one: StagedPublication) -> StagedContent | None:
        """Returns the next envelope of it whose content is still to be stored."""
        return self._database.read(staging.next_to_store, one)

    def first_hops(self) -> list[EnvelopeEntry]:
        """Returns our relayed envelopes that no partner has acknowledged, oldest first."""
        return [
            _entry_of(row) for row in self._fetch(f"{_ENTRY} WHERE e.awaits_first_hop = 1 ORDER BY e.lsn")
        ]

    def audience(self, envelope_id: EnvelopeId) -> Mapping[PartnerId, bool]:
        """Returns the partners, also of the past, for which our own envelope was sealed, and whether each has
        acknowledged it. Of one that came home, those that could be told from it.

        Empty for others' envelopes.
        """
        return self._database.read(audience, envelope_id)

    def audience_named(self, publication: PublicationId) -> tuple[str, ...] | None:
        """Returns the groups that a person named for a publication of ours: () where only partners were named; None where nobody was,
        for it was for all. Raises LookupError where that was not noted."""
        for (groups,) in self._fetch(
            "SELECT named FROM publication_audience WHERE publication = ?", (bytes(publication),)
        ):
            return None if groups is None else tuple(json.loads(groups))
        raise LookupError(publication.text)

    # --- authors and their numbers ------------------------------------------------------------------

    def quota_bytes(self) -> int:
        """Returns the quota: the bytes of one author that are carried here in one circle, on the wire and as cost; 0 before it
        is set."""
        return self._database.setting(AUTHOR_QUOTA_BYTES) or 0

    def carried(self) -> Mapping[tuple[PartnerId, CircleId], int]:
        """Returns the bytes of the unexpired envelopes of each author in each circle; those without any may be left out.

        Direct ones stand together under the circle of sixteen zero bytes.
        """
        return self._sums("bytes")

    def costs(self) -> Mapping[tuple[PartnerId, CircleId], int]:
        """Returns what the same envelopes cost us, in bytes (`policy.content_cost`): as `carried` counts, and more for
        those that were read."""
        return self._sums("cost")

    def _sums(self, column: str) -> Mapping[tuple[PartnerId, CircleId], int]:
        rows = self._fetch(
            f"SELECT o.partner_id, c.circle, c.{column} FROM carried c JOIN organisation o ON o.id = c.author"
        )
        return {(PartnerId(author), CircleId(circle)): size for author, circle, size in rows}

    def newest_created(self, authors: Iterable[PartnerId], limit: int) -> dict[PartnerId, list[int]]:
        """Returns the times, in unix seconds, at which each of `authors` created its last `limit` envelopes
        that are known here, the newest first."""
        statement = """SELECT created FROM envelope
            WHERE author = (SELECT id FROM organisation WHERE partner_id = ?)
            ORDER BY incarnation DESC, sequence DESC LIMIT ?"""
        return {
            author: [created for (created,) in self._fetch(statement, (bytes(author), limit))]
            for author in authors
        }

    def recipient_numbers(
        self,
        partners: Collection[PartnerId],
        incarnation: int,
        staged: Mapping[PartnerId, int] | None = None,
    ) -> dict[PartnerId, RecipientNumber]:
        """Returns the number that the next envelope of ours, in `incarnation`, has for each recipient. `staged`: the last numbers
        of what is sealed and not released."""
        rows = self._fetch(
            """SELECT o.partner_id, s.incarnation, s.last
            FROM recipient_sequence s JOIN organisation o ON o.id = s.recipient"""
        )
        known = {
            PartnerId(partner): RecipientNumber(last + 1)
            if used == incarnation
            else RecipientNumber(1, used, last)
            for partner, used, last in rows
        }
        known |= {partner: RecipientNumber(last + 1) for partner, last in (staged or {}).items()}
        return {partner: known.get(partner, RecipientNumber(1)) for partner in partners}

    def sequence_gaps(self, author: PartnerId, limit: int = 1_000) -> list[Row]:
        """Returns the lowest ranges (incarnation, first, last) of numbers `author` used for us that never arrived."""
        return self._fetch(
            """SELECT g.incarnation, g.first, g.last FROM sequence_gap g JOIN organisation o ON o.id = g.author
            WHERE o.partner_id = ? ORDER BY g.incarnation, g.first LIMIT ?""",
            (bytes(author), limit),
        )

    def gap_totals(self) -> list[GapTotal]:
        """Returns one total for each author with such gaps, in the order of their ids.

        A sum of many incarnations may not fit 63 bits: it is exact up to 2^53, and no honest author comes there.
        """
        rows = self._fetch(
            """SELECT o.partner_id, CAST(total(g.last - g.first + 1) AS INTEGER), min(g.noted_at)
            FROM sequence_gap g JOIN organisation o ON o.id = g.author GROUP BY o.id ORDER BY o.partner_id"""
        )
        return [GapTotal(PartnerId(author), numbers, noted_at) for author, numbers, noted_at in rows]

    def sequence_forks(self) -> list[SequenceFork]:
        """Returns every pair of envelopes that share a number, in the order in which they were noted."""
        rows = self._fetch(
            """SELECT o.partner_id, f.incarnation, f.sequence, f.first, f.second, f.noted_at
            FROM sequence_fork f JOIN organisation o ON o.id = f.author ORDER BY f.noted_at, f.second"""
        )
        return [
            SequenceFork(
                PartnerId(author), incarnation, sequence, EnvelopeId(first), EnvelopeId(second), noted_at
            )
            for author, incarnation, sequence, first, second, noted_at in rows
        ]

    def used_twice(self) -> list[UsedTwice]:
        """Returns the authors whose chain was followed by two nodes at once, each with its newest proof."""
        return self._database.read(chain_forks.used_twice)

    def fork_count(self) -> int:
        ((count,),) = self._fetch("SELECT count(*) FROM sequence_fork")
        return int(count)


class EnvelopeLog(EnvelopeReading):
    """The log with its one writer. Each method is a transaction, or a part of the one that is under way."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._incarnation: int | None = None
        self._revoked_keys: frozenset[KeyId] = frozenset()
        if database.setting(EPOCH) is None:
            self.new_epoch()

    def add(self, arrivals: Sequence[NewEnvelope]) -> list[Stored]:
        """Store each envelope with its arrival number, outbox and sequences; returns what became of each, in order.

        An id that occurs twice, here or in the log, is stored once. Our own envelopes must continue our chain: a
        sequence that was used raises StoreError `own-sequence-used`, for it would be an equivocation of ours.
        """
        with self._database.transaction() as writer:
            own_id = get_setting(writer, OWN_ID)
            lsn = get_setting(writer, LAST_LSN) or 0
            answers: list[Stored] = []
            for arrival in arrivals:
                held = _find_entry(writer, arrival.envelope_id)
                if held is not None:
                    answers.append(Stored(held, self._carry_after_all(writer, held, arrival)))
                    continue
                lsn += 1
                is_own = arrival.received_from is None or arrival.core.author == own_id
                source = self._insert(writer, lsn, arrival, is_own=is_own)
                answers.append(Stored(EnvelopeEntry.of(lsn, arrival, is_own=is_own), source))
            put_setting(writer, LAST_LSN, lsn)
        return answers

    def _insert(
        self, writer: apsw.Connection, lsn: int, arrival: NewEnvelope, *, is_own: bool
    ) -> EnvelopeOrigin:
        core, organisation = arrival.core, self._database.organisation
        envelope_id = bytes(arrival.envelope_id)
        author, received_from = self._insert_row(writer, lsn, arrival)
        writer.execute("INSERT INTO wire VALUES (?, ?)", (lsn, arrival.wire))
        if arrival.audience:
            recipients = [(lsn, organisation(recipient)) for recipient in arrival.audience]
            writer.executemany(
                "INSERT OR IGNORE INTO envelope_recipient VALUES (?, ?, ?)",
                ((*row, row[1] == received_from) for row in recipients),
            )
            if core.mode == Mode.DIRECT:
                writer.executemany(
                    "INSERT OR IGNORE INTO outbox (lsn, recipient) VALUES (?, ?)",
                    (row for row in recipients if row[1] != received_from),
                )
        numbers = (core.incarnation, core.sequence)
        source = EnvelopeOrigin(lsn, author, *numbers, envelope_id, core.created, arrival.received_at, is_own)
        if arrival.received_from is None:
            if not arrival.is_numbered:
                sequences.extend_own_chain(writer, core, arrival.envelope_id)
                for recipient, last in arrival.recipient_sequences.items():
                    sequences.put_recipient_sequence(writer, organisation(recipient), core.incarnation, last)
            if (
                core.author in arrival.recipient_sequences
            ):  # what we hold from the start never has to come home
                self.note_recipient_number(source, RecipientNumber(arrival.recipient_sequences[core.author]))
        sequences.note_fork(writer, source)
        chain_forks.note_chain_fork(writer, source, core.previous)
        return source

    def _insert_row(
        self, writer: apsw.Connection, lsn: int, arrival: NewEnvelope, *, stage: int = 0
    ) -> tuple[int, int | None]:
        """Insert the row of an envelope; returns the rows of its author and of who handed it over."""
        core, organisation = arrival.core, self._database.organisation
        author = organisation(core.author)
        received_from = None if arrival.received_from is None else organisation(arrival.received_from)
        envelope_id = bytes(arrival.envelope_id)
        writer.execute(
            "INSERT INTO envelope VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
            (
                lsn,
                envelope_id,
                author,
                core.incarnation,
                core.sequence,
                core.previous,
                bytes(core.circle),
                int(core.mode),
                core.created,
                core.ttl_class,
                core.expires,
                len(arrival.wire),
                received_from,
                arrival.received_at,
                arrival.content,
                arrival.awaits_first_hop,
                stage,
                len(arrival.wire),
                bytes(core.key_id),
            ),
        )
        return author, received_from

    def add_forwarded(
        self,
        envelope: VerifiedEnvelope,
        received_from: PartnerId,
        received_at: int,
        *,
        is_in_part: bool = False,
    ) -> EnvelopeOrigin | None:
        """Returns the origin under which the content of another author's envelope is stored that a partner handed on with its key;
        None where it is not to be read: it was (but `is_in_part`), or waits, or is out of effect. It moves no number and no quota, and is not
        carried."""
        with self._database.transaction() as writer:
            origin, content, is_out = self._origin_of(writer, envelope.envelope_id)
            if origin is not None:
                is_read = content not in (ContentState.NOT_OURS, ContentState.UNREAD) and not is_in_part
                if is_read or is_out:
                    return None
                self.put_content(origin, ContentState.READ)
                return origin
            lsn = (get_setting(writer, LAST_LSN) or 0) + 1
            put_setting(writer, LAST_LSN, lsn)
            arrival = NewEnvelope(envelope, received_from, received_at, ContentState.READ)
            self._insert_row(writer, lsn, arrival, stage=FORWARDED_STAGE)
            return self._origin_of(writer, envelope.envelope_id)[0]

    def origin_of(self, envelope_id: EnvelopeId) -> EnvelopeOrigin | None:
        """Returns the origin under which the content of an envelope is stored; None when it has no row."""
        with self._database.transaction() as writer:
            return self._origin_of(writer, envelope_id)[0]

    def _origin_of(
        self, writer: apsw.Connection, envelope_id: EnvelopeId
    ) -> tuple[EnvelopeOrigin | None, int, bool]:
        rows = fetch(
            writer,
            """SELECT lsn, author, incarnation, sequence, created, received_at, content, is_out FROM envelope
            WHERE envelope_id = ?""",
            (bytes(envelope_id),),
        )
        for lsn, author, incarnation, sequence, created, received_at, content, is_out in rows:
            key = bytes(envelope_id)
            return (
                EnvelopeOrigin(lsn, author, incarnation, sequence, key, created, received_at, is_own=False),
                content,
                bool(is_out),
            )
        return None, 0, False

    def _carry_after_all(
        self, writer: apsw.Connection, held: EnvelopeEntry, arrival: NewEnvelope
    ) -> EnvelopeOrigin | None:
        """Take in by gossip what a partner had handed on before, under the lsn that it has; None where it is carried already. It is
        unread again: its number for us is in our row, if it has one."""
        if not fetch(
            writer, "SELECT 1 FROM envelope WHERE lsn = ? AND stage = ?", (held.lsn, FORWARDED_STAGE)
        ):
            return None
        received_from = (
            None if arrival.received_from is None else self._database.organisation(arrival.received_from)
        )
        writer.execute("INSERT INTO wire VALUES (?, ?)", (held.lsn, arrival.wire))
        writer.execute(
            "UPDATE envelope SET stage = 0, content = ?, received_from = ? WHERE lsn = ?",
            (ContentState.UNREAD, received_from, held.lsn),
        )
        source = self._origin_of(writer, arrival.envelope_id)[0]
        assert source is not None  # it has just been found
        sequences.note_fork(writer, source)
        chain_forks.note_chain_fork(writer, source, arrival.core.previous)
        return source

    def put_audience(self, publication: PublicationId, groups: Sequence[str] | None) -> None:
        """Note whom a person named for a publication of ours: the groups among them; None: nobody, it was for all. Repeating changes nothing."""
        with self._database.transaction() as writer:
            writer.execute(
                "INSERT OR IGNORE INTO publication_audience VALUES (?, ?)",
                (bytes(publication), None if groups is None else json.dumps(list(groups))),
            )

    # --- a publication in steps (`staging`) -----------------------------------------------------------

    def begin_staging(self, publication: PublicationId, token: str, parts: int, now: int) -> None:
        """Begin to stage a publication of `parts` envelopes, which was prepared under `token`."""
        with self._database.transaction() as writer:
            staging.begin(writer, publication, token, parts, now)

    def begin_sealing(self, publication: PublicationId, base: AuthorState, key_id: KeyId) -> bool:
        """Seal from `base` on, and with that key. Returns False where more of what was sealed before is still to be dropped."""
        with self._database.transaction(frees_space=True) as writer:
            return staging.begin_sealing(writer, publication, base, bytes(key_id))

    def stage(self, one: StagedPublication, number: int, staged: NewStaged, own: PartnerId) -> None:
        """Keep the envelope of that number, sealed and seen by nobody."""
        with self._database.transaction() as writer:
            rows = {partner: self._database.organisation(partner) for partner in staged.numbers}
            staging.add(writer, one, number, staged, rows, own)

    def release_staged(self, one: StagedPublication, last: AuthorState) -> None:
        """Release all of it; `last` is our chain from now on."""
        with self._database.transaction() as writer:
            staging.release(writer, one, last)

    def move_staged(self, one: StagedPublication, own: PartnerId, now: int, limit: int) -> int:
        """Take at most `limit` of what was released into the log; returns how many it were."""
        with self._database.transaction() as writer:
            stored = self.add(staging.next_to_move(writer, one, own, now, limit))
            origins = [answer.source for answer in stored if answer.source is not None]
            staging.note_moved(writer, one, origins)
            return len(origins)

    def put_staged_frames(self, one: StagedPublication, content: StagedContent, frames: int) -> None:
        """The content of an envelope is stored up to so many frames."""
        with self._database.transaction() as writer:
            staging.put_frames(writer, one, content, frames)

    def end_staged(self, one: StagedPublication, content: StagedContent, state: ContentState) -> None:
        """The content of an envelope is stored (READ), or is left to the reader (UNREAD)."""
        with self._database.transaction() as writer:
            self.put_content(content.origin, state)
            staging.note_stored(writer, one, content)

    def give_up_staged(self, publication: PublicationId, reason: str) -> None:
        """Note why nothing of it leaves; of one that was released nothing changes."""
        with self._database.transaction(frees_space=True) as writer:
            staging.give_up(writer, publication, reason)

    def drop_staged(self, publication: PublicationId) -> bool:
        """Forget a publication that is at its end, or of which nothing left. Returns False where more of it is to be dropped."""
        with self._database.transaction(frees_space=True) as writer:
            return staging.drop(writer, publication)

    def next_lsn(self) -> int:
        """Returns the next place in the arrival log, for a notice: it is kept elsewhere, and told of in the same order."""
        with self._database.transaction() as writer:
            lsn = (get_setting(writer, LAST_LSN) or 0) + 1
            put_setting(writer, LAST_LSN, lsn)
            return lsn

    def begin_reading(self, sources: Iterable[EnvelopeOrigin]) -> None:
        """Counts an attempt to read each of these, before it is made: one that takes the process with it has been counted.

        Outlives the end of the process, not a loss of power, which no content causes.
        """
        with self._database.transaction(is_durable=False) as writer:
            writer.executemany(
                "INSERT INTO reading VALUES (?, 1, NULL) ON CONFLICT DO UPDATE SET attempts = attempts + 1",
                ((one.lsn,) for one in sources),
            )

    def forgive_reading(self, sources: Iterable[EnvelopeOrigin]) -> None:
        """Takes back an attempt at each of these that ended for a reason of ours (a full disk)."""
        with self._database.transaction(frees_space=True, is_durable=False) as writer:
            writer.executemany(
                "UPDATE reading SET attempts = attempts - 1 WHERE lsn = ?", ((one.lsn,) for one in sources)
            )

    def put_place(self, source: EnvelopeOrigin, place: bytes) -> None:
        """Reading goes on from `place`; the attempts up to here have not failed."""
        with self._database.transaction() as writer:
            writer.execute("UPDATE reading SET place = ?, attempts = 0 WHERE lsn = ?", (place, source.lsn))

    def put_content(self, source: EnvelopeOrigin, content: ContentState, cost: int | None = None) -> None:
        """What became of the content: reading has come to its end. `cost` in bytes, where it is known to be more than its size."""
        with self._database.transaction() as writer:
            writer.execute(
                "UPDATE envelope SET content = ?, cost = coalesce(?, cost) WHERE lsn = ?",
                (content, cost, source.lsn),
            )
            writer.execute("DELETE FROM reading WHERE lsn = ?", (source.lsn,))

    def set_out(self, lsn: int, is_out: bool | None) -> None:
        """Take an envelope out of effect, or back; None: its content is still on the way."""
        with self._database.transaction(frees_space=True) as writer:
            value = 2 if is_out is None else int(is_out)
            writer.execute("UPDATE envelope SET is_out = ? WHERE lsn = ?", (value, lsn))
            if is_out is not False:
                writer.execute("DELETE FROM outbox WHERE lsn = ?", (lsn,))
                writer.execute(
                    "UPDATE envelope SET awaits_first_hop = 0 WHERE lsn = ? AND awaits_first_hop = 1", (lsn,)
                )

    def trim_evidence(self, author: PartnerId) -> bool:
        """Drop the wires of what is out of effect beyond EVIDENCE_ENVELOPES_MAX and EVIDENCE_BYTES_MAX of an author, at most
        EVIDENCE_AT_ONCE of them; returns whether there may be more."""
        with self._database.transaction(frees_space=True) as writer:
            rows = fetch(
                writer,
                """SELECT lsn FROM (
                    SELECT lsn, row_number() OVER kept AS number, sum(size) OVER kept AS bytes
                    FROM envelope INDEXED BY envelope_out WHERE is_out = 1 AND stage = 0
                    AND author = (SELECT id FROM organisation WHERE partner_id = ?)
                    WINDOW kept AS (ORDER BY lsn)
                ) WHERE number > ? OR bytes > ? LIMIT ?""",
                (bytes(author), EVIDENCE_ENVELOPES_MAX, EVIDENCE_BYTES_MAX, EVIDENCE_AT_ONCE),
            )
            writer.executemany("DELETE FROM wire WHERE lsn = ?", rows)
            writer.executemany("UPDATE envelope SET stage = 1 WHERE lsn = ?", rows)
            return len(rows) == EVIDENCE_AT_ONCE

    def set_aside(self, source: EnvelopeOrigin) -> None:
        """Have content wait until its author is believed again; what was read of it stays, and reading goes on from there."""
        with self._database.transaction() as writer:
            writer.execute(
                "UPDATE envelope SET content = ? WHERE lsn = ?", (ContentState.DISTRUSTED, source.lsn)
            )
            writer.execute("UPDATE reading SET attempts = 0 WHERE lsn = ?", (source.lsn,))

    def read_later(self, lsns: Collection[int]) -> None:
        """Put content that waited for its author to be believed back among what is unread."""
        with self._database.transaction() as writer:
            writer.executemany(
                "UPDATE envelope SET content = ? WHERE lsn = ? AND content = ?",
                ((ContentState.UNREAD, lsn, ContentState.DISTRUSTED) for lsn in lsns),
            )

    def read_again(self) -> int:
        """Put what waited for room back among what is unread, where its author takes less than the part of the quota that is
        for all envelopes, at most READ_AGAIN_MAX of them; returns how many."""
        with self._database.transaction(frees_space=True) as writer:
            writer.execute(_READ_AGAIN, (self.quota_bytes(), QUOTA_RESERVE_PARTS, READ_AGAIN_MAX))
            return writer.changes()

    def note_recipient_number(self, source: EnvelopeOrigin, number: RecipientNumber) -> None:
        """The author's number for this one of the envelopes that it sealed for us. Repeating changes nothing."""
        with self._database.transaction() as writer:
            sequences.note_received(writer, source.author, source.incarnation, number, source.received_at)

    def acknowledge(self, envelope_id: EnvelopeId, partner: PartnerId) -> None:
        """Note that `partner` has an envelope: it leaves the outbox, and the first hop is done. Repeating
        changes nothing."""
        with self._database.transaction(frees_space=True) as writer:
            for statement in ("DELETE FROM outbox", "UPDATE envelope_recipient SET is_acknowledged = 1"):
                writer.execute(
                    f"""{statement} WHERE lsn = (SELECT lsn FROM envelope WHERE envelope_id = ?)
                    AND recipient = (SELECT id FROM organisation WHERE partner_id = ?)""",
                    (bytes(envelope_id), bytes(partner)),
                )
            writer.execute(
                "UPDATE envelope SET awaits_first_hop = 0 WHERE envelope_id = ? AND awaits_first_hop = 1",
                (bytes(envelope_id),),
            )

    def drop_outbox(self, partner: PartnerId) -> None:
        """Remove everything that waits for `partner`."""
        with self._database.transaction(frees_space=True) as writer:
            writer.execute(
                "DELETE FROM outbox WHERE recipient = (SELECT id FROM organisation WHERE partner_id = ?)",
                (bytes(partner),),
            )

    def defer(
        self, envelope_id: EnvelopeId, wire: bytes, received_from: PartnerId | None, created: int
    ) -> bool:
        """Keep an envelope of the near future aside. Returns False when the partner it was received from, or
        all together, have filled the room."""
        with self._database.transaction() as writer:
            received_from_id = None if received_from is None else self._database.organisation(received_from)
            if fetch(writer, "SELECT 1 FROM deferred WHERE envelope_id = ?", (bytes(envelope_id),)):
                return True
            ((entries, own_bytes, held_bytes),) = fetch(  # one walk: a batch may bring a hundred of them
                writer,
                """SELECT coalesce(sum(received_from IS ?1), 0),
                    coalesce(sum(iif(received_from IS ?1, length(wire), 0)), 0), coalesce(sum(length(wire)), 0)
                FROM deferred""",
                (received_from_id,),
            )
            if (
                entries >= DEFERRED_ENTRIES_PER_PARTNER_MAX
                or own_bytes + len(wire) > DEFERRED_BYTES_PER_PARTNER_MAX
                or held_bytes + len(wire) > DEFERRED_BYTES_MAX
            ):
                return False
            row = (bytes(envelope_id), received_from_id, created, wire)
            writer.execute("INSERT INTO deferred VALUES (?, ?, ?, 0, ?)", row)
            return True

    def begin_deferred(self, ids: Iterable[EnvelopeId]) -> None:
        """Count an attempt to take each of these in, before it is made; see `begin_reading`."""
        self._count_attempts(ids, 1)

    def forgive_deferred(self, ids: Iterable[EnvelopeId]) -> None:
        """Take back an attempt at each of these that ended for a reason of ours (a full disk)."""
        self._count_attempts(ids, -1)

    def _count_attempts(self, ids: Iterable[EnvelopeId], change: int) -> None:
        with self._database.transaction(frees_space=True, is_durable=False) as writer:
            writer.executemany(
                "UPDATE deferred SET attempts = attempts + ? WHERE envelope_id = ?",
                ((change, bytes(one)) for one in ids),
            )

    def drop_deferred(self, ids: Iterable[EnvelopeId]) -> None:
        """Take these out."""
        with self._database.transaction(frees_space=True) as writer:
            writer.executemany("DELETE FROM deferred WHERE envelope_id = ?", ((bytes(one),) for one in ids))

    def expire(self, now: int, after: ExpiryPlace = EXPIRY_BEGINS) -> ExpiryStep:
        """Drop a batch of what has expired at `now`, unix seconds; `after` is the place of the last batch of this life. See
        docs/store.md, "Expiry"."""
        with self._database.transaction(frees_space=True) as writer:
            return expiry.expire(writer, now, after)

    def note_clock(self, now: int) -> None:
        """Note what a clock shows that nobody doubts (unix seconds): from a clock far from it the next life expires nothing at
        once. A minute of it may be lost with the power."""
        with self._database.transaction(frees_space=True, is_durable=False) as writer:
            put_setting(writer, CLOCK_NOTED_AT, now)

    def watch_clock(self, since: int, at: int, seconds: int) -> None:
        """Note how long a clock in doubt has been watched; see `clock_watched`."""
        with self._database.transaction(frees_space=True, is_durable=False) as writer:
            put_setting(writer, CLOCK_WATCHED_SINCE, since)
            put_setting(writer, CLOCK_WATCHED_AT, at)
            put_setting(writer, CLOCK_WATCHED_SECONDS, seconds)

    def note_jump(self, at: int, seconds: int) -> None:
        """Note that the clock jumped; see `clock_jump`. The next envelope of ours begins an incarnation: a machine that was set back
        with its memory to a snapshot, and whose clock is set right, has used the next numbers of this one."""
        self._incarnation = None
        with self._database.transaction(frees_space=True) as writer:
            put_setting(writer, CLOCK_JUMPED_AT, at)
            put_setting(writer, CLOCK_JUMPED_SECONDS, seconds)

    def author_state(self, now: int) -> AuthorState:
        """Returns the state of our chain at `now`, unix seconds. The first call after opening begins (and persists) a new
        incarnation, and so does one after the clock was set back or forward where the current one no longer fits, or after an
        envelope in our name came home from it or from a later one.

        Raises StoreError `own-incarnations-used`.
        """
        chain = self._database.read(sequences.own_chain)
        has_begun = chain.incarnation == self._incarnation  # not so when what began it was undone
        if not has_begun or not self._database.read(sequences.may_go_on, now, self._revoked_keys):
            self.begin_incarnation(now)
            chain = self._database.read(sequences.own_chain)
        return chain

    def begin_incarnation(self, now: int) -> int:
        """Returns a new incarnation (see `sequences`), durable when this returns. `now` in unix seconds."""
        with self._database.transaction() as writer:
            self._incarnation = sequences.begin_incarnation(writer, now, self._revoked_keys)
            return self._incarnation

    def distrust_keys(self, revoked: Collection[KeyId]) -> None:
        """Set which of our own sign keys are revoked: what they sign moves our numbers no more."""
        self._revoked_keys = frozenset(revoked)

    def new_epoch(self) -> Epoch:
        """Returns a new epoch, durable when this returns."""
        epoch = Epoch(secrets.token_bytes(16))
        self._database.put_setting(EPOCH, bytes(epoch))
        return epoch

    def set_quota(self, author_bytes: int) -> None:
        """Set the bytes of one author that are carried here in one circle; what has room now is to be read."""
        if self._database.setting(AUTHOR_QUOTA_BYTES) != author_bytes:
            self._database.put_setting(AUTHOR_QUOTA_BYTES, author_bytes)
            self.read_again()


def audience(connection: apsw.Connection, envelope_id: EnvelopeId) -> dict[PartnerId, bool]:
    """See `EnvelopeReading.audience`."""
    rows = fetch(
        connection,
        """SELECT r.partner_id, x.is_acknowledged FROM envelope e JOIN envelope_recipient x ON x.lsn = e.lsn
        JOIN organisation r ON r.id = x.recipient WHERE e.envelope_id = ?""",
        (bytes(envelope_id),),
    )
    return {PartnerId(partner): bool(is_acknowledged) for partner, is_acknowledged in rows}


def _find_entry(connection: apsw.Connection, envelope_id: EnvelopeId) -> EnvelopeEntry | None:
    rows = fetch(connection, f"{_ENTRY} WHERE e.envelope_id = ?", (bytes(envelope_id),))
    return _entry_of(rows[0]) if rows else None


def _unread_of(row: tuple[Any, ...]) -> UnreadEnvelope:
    """Returns what is unread in a row of _UNREAD."""
    (
        lsn,
        author_row,
        incarnation,
        sequence,
        envelope_id,
        created,
        at,
        is_own,
        author,
        size,
        attempts,
        place,
    ) = row
    origin = EnvelopeOrigin(lsn, author_row, incarnation, sequence, envelope_id, created, at, bool(is_own))
    return UnreadEnvelope(origin, PartnerId(author), size, attempts or 0, place or b"")


def _entry_of(row: tuple[Any, ...]) -> EnvelopeEntry:
    """Returns the entry in a row of _ENTRY."""
    lsn, envelope_id, author, circle, mode, created, ttl_class, expires, size, is_own = row
    return EnvelopeEntry(
        lsn,
        EnvelopeId(envelope_id),
        PartnerId(author),
        CircleId(circle),
        mode,
        created,
        ttl_class,
        expires,
        size,
        bool(is_own),
    )
