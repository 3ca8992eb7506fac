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
of `expires`, and says where the next one goes on.
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
from p2pshare.log.interface import ContentState, ExpiryPlace, ExpiryStep

EXPIRED_AT_ONCE = 1_000  # rows looked at by one call: some 50 ms that other writers wait
EXPIRED_BYTES_AT_ONCE = 64 * MIB  # of wires dropped by one call: each of their pages is touched to be freed

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
    """Take each step that is due at `now`, unix seconds, of one batch behind `after`."""
    rows = _batch(connection, now, after)
    evidence = _fork_evidence(connection, {row.author for row in rows})
    due = [row for row in rows if row.stage == 0]
    _count_unread(connection, due, now)
    _drop_wires(connection, due, evidence)
    _drop_keys(connection, [row for row in rows if row.expires <= now - EXPIRED_KEY_KEEP_SECONDS], evidence)
    last = ExpiryPlace(rows[-1].expires, rows[-1].lsn) if rows else after
    is_more = bool(rows) and bool(_due(connection, now, last, 1))
    return ExpiryStep(len(due), last if is_more else None)


def _batch(connection: apsw.Connection, now: int, after: ExpiryPlace) -> list[_Row]:
    rows: list[_Row] = []
    total = 0
    for row in _due(connection, now, after, EXPIRED_AT_ONCE):
        total += row.size if row.stage == 0 else 0
        if rows and total > EXPIRED_BYTES_AT_ONCE:
            break
        rows.append(row)
    return rows


def _count_unread(connection: apsw.Connection, due: Sequence[_Row], now: int) -> None:
    """Count those of `due` that were never read: in an hour their rows are gone."""
    unread = fetch(
        connection,
        """SELECT o.partner_id, count(*) FROM carray(?) d CROSS JOIN envelope e ON e.lsn = d.value
        JOIN organisation o ON o.id = e.author WHERE e.content IN (0, 4) AND e.is_out = 0 GROUP BY o.id""",
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


def _due(connection: apsw.Connection, now: int, after: ExpiryPlace, limit: int) -> list[_Row]:
    """Returns the next rows that are past their time, those that have only their key left for its hour among them."""
    rows = fetch(
        connection,
        """SELECT lsn, author, expires, stage, content, size FROM envelope
        WHERE expires <= ? AND stage < 2 AND (expires, lsn) > (?, ?) ORDER BY expires, lsn LIMIT ?""",
        (now, *after, limit),
    )
    return [_Row._make(row) for row in rows]


def _drop_wires(connection: apsw.Connection, due: Sequence[_Row], evidence: frozenset[int]) -> None:
    connection.executemany("DELETE FROM wire WHERE lsn = ?", _lsns(due, without=evidence))
    connection.executemany("DELETE FROM outbox WHERE lsn = ?", _lsns(due))
    connection.executemany("UPDATE envelope SET stage = 1, awaits_first_hop = 0 WHERE lsn = ?", _lsns(due))
    connection.executemany("DELETE FROM reading WHERE lsn = ?", _lsns(due))
    connection.executemany("UPDATE envelope SET content = 3 WHERE lsn = ? AND content IN (0, 4)", _lsns(due))


def _drop_keys(connection: apsw.Connection, rows: Sequence[_Row], evidence: frozenset[int]) -> None:
    keep = [row for row in rows if row.content == ContentState.READ or row.lsn in evidence]
    kept = frozenset(row.lsn for row in keep)
    connection.executemany("UPDATE envelope SET stage = 2 WHERE lsn = ?", _lsns(keep))
    connection.executemany("DELETE FROM envelope WHERE lsn = ?", _lsns(rows, without=kept))


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
