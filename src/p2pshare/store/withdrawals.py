# ruff: noqa: S608 - statements are put together from this program's own text only
"""Withdrawals: what an author took back loses its claims, whichever of the two arrives first.

Rules:

1. A withdrawal touches objects of its own author only: the partner who signed its envelope.
2. It reaches as far as it says (`intel.withdrawing`), never as far as it happened to arrive. Those of one target are one
   row that only ever reaches further, so their order and their number do not matter.
3. It is applied in the transaction that stores either of the two: there is no moment at which both are held and the
   claim counts.
4. It outlives its envelope: the row stays for good, and so does the object it came in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import apsw

from p2pshare.intel.withdrawing import WithdrawalFacts
from p2pshare.store.arrays import key_tables
from p2pshare.store.fetching import fetch
from p2pshare.store.interning import Interning
from p2pshare.store.object_keys import INDICATOR, Key, encode_object_id
from p2pshare.store.row_changes import CURRENT, REVOKED

# Of two, the further place in the author's chain gives the reason; a tie is decided by what they say, not by arrival.
_ADD = """
INSERT INTO withdrawal VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
    up_to_us = max(coalesce(up_to_us, excluded.up_to_us), coalesce(excluded.up_to_us, up_to_us)),
    (incarnation, sequence, reason, replaced_by) = (
        SELECT incarnation, sequence, reason, nullif(replaced_by, '') FROM (
            SELECT incarnation, sequence, reason, coalesce(replaced_by, '') AS replaced_by
            UNION ALL
            SELECT excluded.incarnation, excluded.sequence, excluded.reason, coalesce(excluded.replaced_by, '')
        ) ORDER BY incarnation DESC, sequence DESC, reason DESC, replaced_by DESC LIMIT 1
    )
"""
CLAIM_TYPES = f"(SELECT id FROM object_type WHERE name IN ('{INDICATOR}', ''))"
"""What `withdrawal.type` may be where a claim is meant."""
REACHES = """(
    (e.incarnation, e.sequence) <= (w.incarnation, w.sequence) OR coalesce(c.modified_us <= w.up_to_us, 0)
)"""
"""Whether withdrawal `w` reaches the claim or object `c` out of envelope `e`."""
_REVOKE = """
UPDATE {table} SET status = {revoked} WHERE id IN (
    SELECT c.id FROM {keys} k
    CROSS JOIN withdrawal w ON w.object_key = k.value
    CROSS JOIN {table} c INDEXED BY {table}_current
        ON c.object_key = w.object_key AND c.author = w.author AND c.status < 2 AND {of_type}
    CROSS JOIN frame f ON f.id = c.frame
    CROSS JOIN envelope e ON e.lsn = f.envelope
    WHERE c.status = {current} AND {reaches}
)
"""
_TABLES = {"claim": f"w.type IN {CLAIM_TYPES}", "object": "w.type = c.type"}


@dataclass(frozen=True, slots=True)
class Arrived:
    """A withdrawal out of an envelope of `author`."""

    author: int
    facts: WithdrawalFacts
    received_at: int


def add(connection: apsw.Connection, interning: Interning, arrived: Sequence[Arrived]) -> None:
    """Notes how far each reaches; `apply` does the rest."""
    for one in arrived:
        facts = one.facts
        prefix, key = encode_object_id(facts.target)
        place = (key, interning.object_type(prefix), one.author)
        said = (facts.incarnation, facts.sequence, facts.up_to_us, facts.reason.value, facts.replaced_by)
        connection.execute(_ADD, (*place, *said, one.received_at))


def apply(connection: apsw.Connection, keys: Iterable[Key]) -> None:
    """Revokes what is current of these objects and withdrawn."""
    if not fetch(connection, "SELECT 1 FROM withdrawal LIMIT 1"):
        return
    withdrawn: set[bytes | str] = set()
    for table, bound in key_tables({key for _, key in keys}):
        found = fetch(
            connection,
            f"SELECT k.value FROM {table} k WHERE EXISTS (SELECT 1 FROM withdrawal w WHERE w.object_key = k.value)",
            (bound,),
        )
        withdrawn.update(key for (key,) in found)
    for table, of_type in _TABLES.items():
        for keys_table, bound in key_tables(withdrawn):
            words = {"table": table, "keys": keys_table, "of_type": of_type, "reaches": REACHES}
            connection.execute(_REVOKE.format(**words, current=CURRENT, revoked=REVOKED), (bound,))
