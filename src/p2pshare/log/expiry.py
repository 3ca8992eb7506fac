"""Expiry of envelopes, and the parts of each that are kept after it (docs/store.md, "Expiry").

=====================  ========  =========  ======================================
time                   wire      key        frames, objects, claims
=====================  ========  =========  ======================================
before `expires`       kept      listed     kept
then, for an hour      dropped   listed     kept
after that             dropped   dropped    kept: claims follow their own validity
=====================  ========  =========  ======================================

An envelope without readable content leaves nothing at all in the end. The wires of the first few forks of
each author stay: they are the proof of an equivocation. What expires before it was read is counted by author.

What is due at once may be everything that a partner ever sent, all with one `created`: a call takes a batch of it, in order
of `expires`, and says whether there is more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import apsw
import msgspec

from p2pshare.database.arrays import row_ids
from p2pshare.database.fetching import fetch
from p2pshare.database.settings import Setting, get_setting, put_setting
from p2pshare.limits import EXPIRED_KEY_KEEP_SECONDS, FORK_EVIDENCE_PER_AUTHOR_MAX, MIB
from p2pshare.log.interface import EXPIRY_BEGINS, ContentState, ExpiryPlace, ExpiryStep

EXPIRED_AT_ONCE = 1_000  # rows looked at by one call: some 50 ms that other writers wait
EXPIRED_BYTES_AT_ONCE = 64 * MIB  # of wires dropped by one call: each of their pages is touched to be freed
LSN_MAX = 2**63 - 1  # SQLite's integer

EXPIRED_UNREAD = Setting("expired_unread", bytes)
"""JSON: partner id in hexadecimal -> [count, when the first and when the last was noticed, in unix seconds]."""


class _Row(NamedTuple):
    lsn: int
    author: int
    expires: int
    stage: int
    content: int
    size: int


def expire(connection: apsw.Connection, now: int, after: ExpiryPlace) -> ExpiryStep:
    """Take each step that is due at `now`, unix seconds, of one batch. Wires up to `after` are known to be dropped, so that the
    rows whose keys stay for their hour are not walked over again; were one missed, it would go with its key."""
    over = now - EXPIRED_KEY_KEEP_SECONDS
    rows = _due(connection, EXPIRY_BEGINS, over, EXPIRED_AT_ONCE)
    begins = max(ExpiryPlace(over, LSN_MAX), after if after.expires <= now else EXPIRY_BEGINS)
    rows += _due(connection, begins, now, EXPIRED_AT_ONCE - len(rows))
    batch = _cut(rows)
    evidence = _fork_evidence(connection, {row.author for row in batch})
    due = [row for row in batch if row.stage == 0]
    _count_unread(connection, due, now)
    _drop_wires(connection, due, evidence)
    _drop_keys(connection, [row for row in batch if row.expires <= over], evidence)
    last = max(begins, ExpiryPlace(batch[-1].expires, batch[-1].lsn)) if batch else begins
    return ExpiryStep(len(due), last, len(batch) < len(rows) or len(rows) == EXPIRED_AT_ONCE)


def _count_unread(connection: apsw.Connection, due: Sequence[_Row], now: int) -> None:
    """Count those of `due` that were never read: in an hour their rows are gone."""
    unread = fetch(
        connection,
        """SELECT o.partner_id, count(*) FROM carray(?) d CROSS JOIN envelope e ON e.lsn = d.value
        JOIN organisation o ON o.id = e.author WHERE e.content IN (0, 4, 6) AND e.is_out = 0 GROUP BY o.id""",
        (row_ids([row.lsn for row in due] or [0]),),
    )
    if not unread:
        return
    counted = expired_unread(connection)
    for author, count in unread:
        before, first, _ = counted.get(author.hex(), (0, now, now))
        counted[author.hex()] = (before + count, first, now)
    put_setting(connection, EXPIRED_UNREAD, msgspec.json.encode(counted))


def expired_unread(connection: apsw.Connection) -> dict[str, tuple[int, int, int]]:
    """Returns what expired unread so far, as in EXPIRED_UNREAD."""
    return msgspec.json.decode(
        get_setting(connection, EXPIRED_UNREAD) or b"{}", type=dict[str, tuple[int, int, int]]
    )


def _due(connection: apsw.Connection, after: ExpiryPlace, until: int, limit: int) -> list[_Row]:
    """Returns the next rows behind `after` that end at `until` at the latest, and still have a key."""
    rows = fetch(
        connection,
        """SELECT lsn, author, expires, stage, content, size FROM envelope
        WHERE expires <= ? AND stage < 2 AND (expires, lsn) > (?, ?) ORDER BY expires, lsn LIMIT ?""",
        (until, *after, limit),
    )
    return [_Row._make(row) for row in rows]


def _cut(rows: Sequence[_Row]) -> Sequence[_Row]:
    """Returns as many of the first rows as have no more bytes of wire together than one call drops; one at least."""
    total = 0
    for number, row in enumerate(rows):
        total += row.size if row.stage == 0 else 0
        if number and total > EXPIRED_BYTES_AT_ONCE:
            return rows[:number]
    return rows


def _drop_wires(connection: apsw.Connection, due: Sequence[_Row], evidence: frozenset[int]) -> None:
    connection.executemany("DELETE FROM wire WHERE lsn = ?", _lsns(due, without=evidence))
    connection.executemany("DELETE FROM outbox WHERE lsn = ?", _lsns(due))
    connection.executemany("UPDATE envelope SET stage = 1, awaits_first_hop = 0 WHERE lsn = ?", _lsns(due))
    connection.executemany("DELETE FROM reading WHERE lsn = ?", _lsns(due))
    connection.executemany(
        "UPDATE envelope SET content = 3 WHERE lsn = ? AND content IN (0, 4, 6)", _lsns(due)
    )


def _drop_keys(connection: apsw.Connection, rows: Sequence[_Row], evidence: frozenset[int]) -> None:
    keep = [row for row in rows if row.content == ContentState.READ or row.lsn in evidence]
    kept = frozenset(row.lsn for row in keep)
    connection.executemany("UPDATE envelope SET stage = 2 WHERE lsn = ?", _lsns(keep))
    for lsn in _lsns(rows, without=kept):
        try:
            connection.execute("DELETE FROM envelope WHERE lsn = ?", lsn)
        except apsw.ConstraintError:  # it was read in part, and what was stored of it stays
            connection.execute("UPDATE envelope SET stage = 2 WHERE lsn = ?", lsn)


def _lsns(rows: Iterable[_Row], without: frozenset[int] = frozenset()) -> Iterable[tuple[int]]:
    return ((row.lsn,) for row in rows if row.lsn not in without)


def _fork_evidence(connection: apsw.Connection, authors: Collection[int]) -> frozenset[int]:
    """Returns the arrival numbers of the envelopes that prove the first few forks of each of `authors`."""
    evidence: set[int] = set()
    for author in authors:
        rows = fetch(
            connection,
            """SELECT a.lsn, b.lsn FROM sequence_fork f
            JOIN envelope a ON a.envelope_id = f.first JOIN envelope b ON b.envelope_id = f.second
            WHERE f.author = ? ORDER BY f.noted_at, b.lsn LIMIT ?""",
            (author, FORK_EVIDENCE_PER_AUTHOR_MAX),
        )
        evidence.update(lsn for pair in rows for lsn in pair)
    return frozenset(evidence)
