# ruff: noqa: S608 - statements are put together from this program's own text only
"""What is known of withdrawals, and which envelopes of ours carried an object. They change nothing."""

from __future__ import annotations

from collections.abc import Collection

import apsw

from p2pshare.envelope.envelope import Mode
from p2pshare.identifiers import EnvelopeId, PartnerId
from p2pshare.intel.marking import Tlp
from p2pshare.intel.withdrawing import Reason
from p2pshare.store.arrays import key_tables
from p2pshare.store.fetching import fetch
from p2pshare.store.interface_withdrawing import Carrier, Withdrawal
from p2pshare.store.known_versions import claim_key
from p2pshare.store.object_keys import Key, decode_object_id, encode_object_id
from p2pshare.store.reading_envelopes import audience

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
SELECT e.lsn, e.envelope_id, e.mode, e.ttl_class, max(c.tlp), e.stage > 0, e.awaits_first_hop
FROM carried c JOIN envelope e ON e.lsn = c.lsn GROUP BY e.lsn ORDER BY e.lsn
"""


def of_object(connection: apsw.Connection, object_id: str) -> dict[PartnerId, Withdrawal]:
    """The withdrawals of this id by each author that took back an object of it."""
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
    for lsn, raw_id, mode, ttl_class, tlp, is_expired, awaits_first_hop in fetch(
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
            )
        )
    return found


def withdrawn_up_to(
    connection: apsw.Connection, author: PartnerId, object_ids: Collection[str]
) -> dict[str, int]:
    if not fetch(connection, "SELECT 1 FROM withdrawal LIMIT 1"):
        return {}
    keys: set[Key] = {encode_object_id(one) for one in object_ids}
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
