# ruff: noqa: S608 - statements are put together from this program's own text only
"""Withdrawals: an object that its author took back loses its claims, whichever of the two arrives first.

Rules:

1. A withdrawal touches objects of its own author only: the partner who signed its envelope.
2. It reaches as far as it states (`intel.withdrawing`), never as far as it happened to arrive. Those of one
   target are one row that reaches as far as the furthest, so their order and their number do not matter.
3. It is applied in the transaction that stores either of the two: there is no moment at which both are held
   and the claim counts.
4. It outlives its envelope: the row stays for good, and so does the object it came in.
5. What its author does not stand for any more (a thief of its key said it) reaches nothing: the row is put together anew from what
   the other envelopes say (`withdrawal_said`), and what was withdrawn by nothing else counts again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

import apsw
import msgspec

from p2pshare.database.arrays import key_tables
from p2pshare.database.fetching import fetch
from p2pshare.envelope.envelope import Mode
from p2pshare.identifiers import EnvelopeId, PartnerId, PublicationId
from p2pshare.intel.marking import Tlp
from p2pshare.intel.withdrawing import Reason, WithdrawalFacts
from p2pshare.knowledge.interface import Carrier, Withdrawal
from p2pshare.knowledge.known_versions import claim_key
from p2pshare.knowledge.object_keys import INDICATOR, EncodedId, decode_object_id, encode_object_id
from p2pshare.knowledge.row_changes import CURRENT, REVOKED
from p2pshare.knowledge.vocabulary import Vocabulary
from p2pshare.log.envelope_log import audience

# Of two, the further place in the author's chain gives the reason; a tie is decided by what they say, not by arrival.
_FURTHER = """
ON CONFLICT DO UPDATE SET
    said_us = max(said_us, excluded.said_us),
    up_to_us = max(coalesce(up_to_us, excluded.up_to_us), coalesce(excluded.up_to_us, up_to_us)),
    (incarnation, sequence, reason, replaced_by) = (
        SELECT incarnation, sequence, reason, nullif(replaced_by, '') FROM (
            SELECT incarnation, sequence, reason, coalesce(replaced_by, '') AS replaced_by
            UNION ALL
            SELECT excluded.incarnation, excluded.sequence, excluded.reason, coalesce(excluded.replaced_by, '')
        ) ORDER BY incarnation DESC, sequence DESC, reason DESC, replaced_by DESC LIMIT 1
    )
WHERE coalesce(excluded.up_to_us, up_to_us - 1, -1) > coalesce(up_to_us, -1) OR excluded.said_us > said_us
OR (excluded.incarnation, excluded.sequence, excluded.reason, coalesce(excluded.replaced_by, ''))
    > (incarnation, sequence, reason, coalesce(replaced_by, ''))
"""
_ADD = f"INSERT INTO withdrawal VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) {_FURTHER}"
_SAY = f"""
INSERT INTO withdrawal_said (
    object_key, type, author, incarnation, sequence, up_to_us, reason, replaced_by, received_at, said_us, lsn
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) {_FURTHER}
"""
_SET_OUT = (
    "UPDATE withdrawal_said SET is_out = ? WHERE object_key = ? AND type = ? AND author = ? AND lsn = ?"
)
_FORGET = "DELETE FROM withdrawal WHERE object_key = ? AND type = ? AND author = ?"
# As _ADD would make it of all that is in effect, in whatever order it came.
_PUT_TOGETHER = """
INSERT INTO withdrawal
SELECT object_key, type, author, incarnation, sequence, max(up_to_us) OVER (), reason, replaced_by,
    first_value(received_at) OVER (ORDER BY lsn), max(said_us) OVER ()
FROM withdrawal_said WHERE object_key = ? AND type = ? AND author = ? AND is_out = 0
ORDER BY incarnation DESC, sequence DESC, reason DESC, coalesce(replaced_by, '') DESC LIMIT 1
"""
CLAIM_TYPES = f"(SELECT id FROM object_type WHERE name IN ('{INDICATOR}', ''))"
"""The values of `withdrawal.type` where a claim is meant."""
REACHES = """(
    (e.incarnation, e.sequence) <= (w.incarnation, w.sequence) OR coalesce(c.modified_us <= w.up_to_us, 0)
)"""
"""SQL: whether withdrawal `w` reaches the claim or object `c` out of envelope `e`."""
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
class ArrivedWithdrawal:
    """A withdrawal out of the envelope `lsn` of `author`, who said it at `said_us` by its own clock."""

    author: int
    lsn: int
    facts: WithdrawalFacts
    received_at: int
    said_us: int


def add(connection: apsw.Connection, vocabulary: Vocabulary, arrived: Sequence[ArrivedWithdrawal]) -> None:
    """Note the reach of each; `apply` does the rest. Those of one target are taken together first: a thousand of them are
    one change."""
    said = _furthest(arrived, lambda one: (one.author, one.facts.target, one.lsn))
    for one in said:
        connection.execute(_SAY, (*_row(vocabulary, one), one.lsn))
    for one in _furthest(said, lambda one: (one.author, one.facts.target)):
        connection.execute(_ADD, _row(vocabulary, one))


def set_out(
    connection: apsw.Connection, author: int, lsn: int, targets: Collection[EncodedId], *, is_out: bool
) -> None:
    """Take what the envelope `lsn` of `author` withdraws out of effect, or back. Who calls it decides anew which versions are
    current, and then calls `apply`."""
    for type_, key in targets:
        for (type_id,) in fetch(connection, "SELECT id FROM object_type WHERE name = ?", (type_,)):
            place = (key, type_id, author)
            connection.execute(_SET_OUT, (is_out, *place, lsn))
            connection.execute(_FORGET, place)
            connection.execute(_PUT_TOGETHER, place)


def _row(vocabulary: Vocabulary, one: ArrivedWithdrawal) -> tuple[object, ...]:
    facts = one.facts
    prefix, key_text = encode_object_id(facts.target)
    content = (facts.incarnation, facts.sequence, facts.up_to_us, facts.reason.value, facts.replaced_by)
    return (key_text, vocabulary.object_type(prefix), one.author, *content, one.received_at, one.said_us)


def _furthest(
    arrived: Iterable[ArrivedWithdrawal], key_of: Callable[[ArrivedWithdrawal], object]
) -> list[ArrivedWithdrawal]:
    furthest: dict[object, ArrivedWithdrawal] = {}
    for one in arrived:
        key = key_of(one)
        furthest[key] = _further(furthest[key], one) if key in furthest else one
    return list(furthest.values())


def _further(first: ArrivedWithdrawal, second: ArrivedWithdrawal) -> ArrivedWithdrawal:
    """Returns what both say together, as _ADD would: the furthest `up_to`, and the rest of the one further in the chain."""
    facts = max(first.facts, second.facts, key=_place_of)
    instants = [one.facts.up_to_us for one in (first, second) if one.facts.up_to_us is not None]
    facts = msgspec.structs.replace(facts, up_to_us=max(instants, default=None))
    said_us = max(first.said_us, second.said_us)
    return ArrivedWithdrawal(first.author, first.lsn, facts, first.received_at, said_us)


def _place_of(facts: WithdrawalFacts) -> tuple[int, int, str, str]:
    return facts.incarnation, facts.sequence, facts.reason.value, facts.replaced_by or ""


def apply(connection: apsw.Connection, keys: Iterable[EncodedId]) -> Collection[bytes | str]:
    """Revoke the current versions of these objects that are withdrawn; returns the keys of those of which any was withdrawn."""
    if not fetch(connection, "SELECT 1 FROM withdrawal LIMIT 1"):
        return ()
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
    return withdrawn


_OWN = "(SELECT g.id FROM organisation g JOIN setting w ON w.name = 'own_id' AND w.value = g.partner_id)"
_CARRIERS = f"""
WITH carried AS (
    SELECT f.envelope AS lsn, c.tlp FROM claim c JOIN frame f ON f.id = c.frame
    WHERE c.object_key = :claim_key AND c.author = {_OWN} AND c.status < 2
    UNION ALL
    SELECT f.envelope, c.tlp FROM claim c JOIN frame f ON f.id = c.frame
    WHERE c.object_key = :claim_key AND c.author = {_OWN} AND c.status = 2
    UNION ALL
    SELECT f.envelope, o.tlp FROM object o JOIN object_type t ON t.id = o.type JOIN frame f ON f.id = o.frame
    WHERE o.object_key = :key AND t.name = :type AND o.author = {_OWN} AND o.status < 2
    UNION ALL
    SELECT f.envelope, o.tlp FROM object o JOIN object_type t ON t.id = o.type JOIN frame f ON f.id = o.frame
    WHERE o.object_key = :key AND t.name = :type AND o.author = {_OWN} AND o.status = 2
    UNION ALL
    SELECT a.lsn, a.tlp FROM carried_again a JOIN object_type t ON t.id = a.type
    WHERE a.object_key = :key AND t.name = :type
)
SELECT e.lsn, e.envelope_id, e.mode, e.ttl_class, max(c.tlp), e.stage > 0, e.awaits_first_hop,
    e.received_from IS NOT NULL, (SELECT p.publication FROM publication_part p WHERE p.envelope = e.lsn)
FROM carried c JOIN envelope e ON e.lsn = c.lsn GROUP BY e.lsn ORDER BY e.lsn
"""


def of_object(connection: apsw.Connection, object_id: str) -> dict[PartnerId, Withdrawal]:
    """Returns the withdrawal of this id by each author that took back an object of it."""
    prefix, key = encode_object_id(object_id)
    rows = fetch(
        connection,
        """SELECT a.partner_id, w.incarnation, w.sequence, w.up_to_us, w.reason, w.replaced_by, w.received_at
        FROM withdrawal w JOIN organisation a ON a.id = w.author JOIN object_type t ON t.id = w.type
        WHERE w.object_key = ? AND t.name = ?""",
        (key, prefix),
    )
    return {
        PartnerId(author): Withdrawal(
            incarnation, sequence, up_to_us, Reason(reason), replaced_by, received_at
        )
        for author, incarnation, sequence, up_to_us, reason, replaced_by, received_at in rows
    }


def carriers(connection: apsw.Connection, object_id: str) -> list[Carrier]:
    type_, key = encode_object_id(object_id)
    wanted = {"claim_key": claim_key((type_, key)), "key": key, "type": type_}
    found = []
    for lsn, raw_id, mode, ttl_class, tlp, is_expired, awaits_first_hop, came_home, publication in fetch(
        connection, _CARRIERS, wanted
    ):
        envelope_id = EnvelopeId(raw_id)
        recipients = audience(connection, envelope_id)
        found.append(
            Carrier(
                lsn=lsn,
                envelope_id=envelope_id,
                mode=Mode(mode),
                ttl_class=ttl_class,
                tlp=Tlp(tlp),
                is_expired=bool(is_expired),
                awaits_first_hop=bool(awaits_first_hop),
                recipients=recipients or None,
                came_home=bool(came_home),
                publication=None if publication is None else PublicationId(publication),
            )
        )
    return found


def withdrawn_up_to(
    connection: apsw.Connection, author: PartnerId, object_ids: Collection[str]
) -> dict[str, int]:
    if not fetch(connection, "SELECT 1 FROM withdrawal LIMIT 1"):
        return {}
    keys: set[EncodedId] = {encode_object_id(one) for one in object_ids}
    found: dict[str, int] = {}
    for table, bound in key_tables({key for _, key in keys}):
        rows = fetch(
            connection,
            f"""SELECT t.name, w.object_key, w.up_to_us FROM {table} k
            CROSS JOIN withdrawal w ON w.object_key = k.value
            JOIN object_type t ON t.id = w.type JOIN organisation a ON a.id = w.author
            WHERE a.partner_id = ? AND w.up_to_us IS NOT NULL""",
            (bound, bytes(author)),
        )
        found.update(
            {decode_object_id(type_, key): up_to for type_, key, up_to in rows if (type_, key) in keys}
        )
    return found
