"""Expiry of envelopes, and the parts of each that are kept after it (docs/store.md, "Expiry").

=====================  ========  =========  ======================================
time                   wire      key        frames, objects, claims
=====================  ========  =========  ======================================
before `expires`       kept      listed     kept
then, for an hour      dropped   listed     kept
after that             dropped   dropped    kept: claims follow their own validity
=====================  ========  =========  ======================================

An envelope without readable content leaves nothing at all in the end. The wires of the first few forks of
each author stay: they are the proof of an equivocation.
"""

from __future__ import annotations

import apsw

from p2pshare.database.fetching import fetch
from p2pshare.limits import EXPIRED_KEY_KEEP_SECONDS, FORK_EVIDENCE_PER_AUTHOR_MAX


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
    connection.executemany(
        "UPDATE envelope SET content = 3 WHERE lsn = ? AND content IN (0, 4)", ((lsn,) for lsn in due)
    )
    _drop_keys(connection, now - EXPIRED_KEY_KEEP_SECONDS, evidence)
    return len(due)


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
