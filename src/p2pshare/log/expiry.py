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
"""

from __future__ import annotations

import apsw
import msgspec

from p2pshare.database.arrays import row_ids
from p2pshare.database.fetching import fetch
from p2pshare.database.settings import Setting, get_setting, put_setting
from p2pshare.limits import EXPIRED_KEY_KEEP_SECONDS, FORK_EVIDENCE_PER_AUTHOR_MAX

EXPIRED_UNREAD = Setting("expired_unread", bytes)
"""JSON: partner id in hexadecimal -> [count, when the first and when the last was noticed, in unix seconds]."""


def expire(connection: apsw.Connection, now: int) -> int:
    """Take each step that is due at `now`, unix seconds; returns how many envelopes lost their wire."""
    evidence = _fork_evidence(connection)
    due = [
        lsn
        for (lsn,) in fetch(connection, "SELECT lsn FROM envelope WHERE expires <= ? AND stage < 1", (now,))
    ]
    connection.executemany("DELETE FROM wire WHERE lsn = ?", ((lsn,) for lsn in due if lsn not in evidence))
    connection.executemany("DELETE FROM outbox WHERE lsn = ?", ((lsn,) for lsn in due))
    connection.executemany(
        "UPDATE envelope SET stage = 1, awaits_first_hop = 0 WHERE lsn = ?", ((lsn,) for lsn in due)
    )
    connection.executemany("DELETE FROM reading WHERE lsn = ?", ((lsn,) for lsn in due))
    _count_unread(connection, due, now)
    connection.executemany(
        "UPDATE envelope SET content = 3 WHERE lsn = ? AND content = 0", ((lsn,) for lsn in due)
    )
    _drop_keys(connection, now - EXPIRED_KEY_KEEP_SECONDS, evidence)
    return len(due)


def _count_unread(connection: apsw.Connection, due: list[int], now: int) -> None:
    """Count those of `due` that were never read: in an hour their rows are gone."""
    unread = fetch(
        connection,
        """SELECT o.partner_id, count(*) FROM carray(?) d CROSS JOIN envelope e ON e.lsn = d.value
        JOIN organisation o ON o.id = e.author WHERE e.content = 0 GROUP BY o.id""",
        (row_ids(due or [0]),),
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


def _drop_keys(connection: apsw.Connection, expired_at: int, evidence: frozenset[int]) -> None:
    rows = fetch(
        connection,
        "SELECT lsn, content = 1 FROM envelope WHERE expires <= ? AND stage = 1 AND stage < 2",
        (expired_at,),
    )
    keep = [lsn for lsn, is_opened in rows if is_opened or lsn in evidence]
    drop = [lsn for lsn, is_opened in rows if not is_opened and lsn not in evidence]
    connection.executemany("UPDATE envelope SET stage = 2 WHERE lsn = ?", ((lsn,) for lsn in keep))
    connection.executemany("DELETE FROM envelope WHERE lsn = ?", ((lsn,) for lsn in drop))


def _fork_evidence(connection: apsw.Connection) -> frozenset[int]:
    """Returns the arrival numbers of the envelopes that prove the first few forks of each author."""
    rows = fetch(
        connection,
        """SELECT f.author, a.lsn, b.lsn FROM sequence_fork f
        JOIN envelope a ON a.envelope_id = f.first JOIN envelope b ON b.envelope_id = f.second
        ORDER BY f.author, f.noted_at, b.lsn""",
    )
    kept: dict[int, int] = {}
    evidence: set[int] = set()
    for author, first, second in rows:
        kept[author] = kept.get(author, 0) + 1
        if kept[author] <= FORK_EVIDENCE_PER_AUTHOR_MAX:
            evidence.update((first, second))
    return frozenset(evidence)
