"""What is handed on of others' envelopes: to whom, up to where, which objects; and what partners handed on to us. Functions on any
connection, promised by `Knowledge`; `sharing.forwarding` says when.

Objects are kept as a hash each, for a history may have a million: of two that are alike one envelope is handed on that need not be.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable

import apsw

from p2pshare.database.arrays import MANY, row_ids
from p2pshare.database.fetching import fetch
from p2pshare.identifiers import EnvelopeId, PartnerId
from p2pshare.knowledge.interface import Forwardable, Forwarding

_HASH_BITS = 63  # what SQLite's integer holds without a sign
_FORWARDING = """
SELECT o.partner_id, f.since, f.place, f.up_to, f.began_lsn, f.objects,
    EXISTS (SELECT 1 FROM forwarding_due d WHERE d.partner = f.partner)
FROM forwarding f JOIN organisation o ON o.id = f.partner
"""
_ROW = "(SELECT id FROM organisation WHERE partner_id = ?)"
# What was read here, came from a partner with a row of ours in it, and is another's than theirs. What went direct and is no
# STIX (entries of spaces, heads) was never to be handed on.
_FORWARDABLE = """
SELECT e.lsn, e.envelope_id, e.mode, e.stage, e.size FROM envelope e
WHERE e.lsn > ? AND e.lsn <= ? AND e.created >= ? AND e.content = 1 AND e.is_out = 0 AND e.received_from IS NOT NULL
AND e.author NOT IN (SELECT o.id FROM organisation o WHERE o.partner_id IN (?, ?))
AND (e.mode = 1 OR EXISTS (SELECT 1 FROM frame f WHERE f.envelope = e.lsn))
AND NOT EXISTS (SELECT 1 FROM forwarded_in i WHERE i.envelope = e.lsn)
ORDER BY e.lsn LIMIT ?
"""
_DUE = """
SELECT e.lsn, e.envelope_id, e.mode, e.stage, e.size FROM forwarding_due d JOIN envelope e ON e.lsn = d.envelope
WHERE d.partner = (SELECT id FROM organisation WHERE partner_id = ?) ORDER BY d.envelope LIMIT ?
"""


def object_hash(author: PartnerId, object_id: str) -> int:
    """Returns what stands for an object of an author here."""
    digest = hashlib.sha256(bytes(author) + object_id.encode()).digest()
    return int.from_bytes(digest[:8], "big") >> (64 - _HASH_BITS)


def forwardings(connection: apsw.Connection) -> list[Forwarding]:
    """See `KnowledgeReading.forwardings`."""
    return [
        Forwarding(PartnerId(partner), since, place, up_to, began_lsn, objects, bool(has_due))
        for partner, since, place, up_to, began_lsn, objects, has_due in fetch(
            connection, f"{_FORWARDING} ORDER BY o.partner_id"
        )
    ]


def forwardable(
    connection: apsw.Connection,
    partner: PartnerId,
    own: PartnerId,
    after: int,
    up_to: int,
    since: int,
    limit: int,
) -> list[Forwardable]:
    """See `KnowledgeReading.forwardable`."""
    bound = (after, up_to, since, bytes(partner), bytes(own), limit)
    return [_forwardable_of(*row) for row in fetch(connection, _FORWARDABLE, bound)]


def due(connection: apsw.Connection, partner: PartnerId, limit: int) -> list[Forwardable]:
    """See `KnowledgeReading.forwarding_due`."""
    return [_forwardable_of(*row) for row in fetch(connection, _DUE, (bytes(partner), limit))]


def _forwardable_of(lsn: int, envelope_id: bytes, mode: int, stage: int, size: int) -> Forwardable:
    return Forwardable(lsn, EnvelopeId(envelope_id), mode, stage == 0, size)


def known(connection: apsw.Connection, partner: PartnerId, objects: Collection[int]) -> int:
    """See `KnowledgeReading.count_forwarded`."""
    if not objects:
        return 0
    statement = f"""SELECT count(*) FROM {MANY} k CROSS JOIN forwarded_object f
        ON f.partner = {_ROW} AND f.object = k.value"""  # noqa: S608 - this program's own text only
    [(count,)] = fetch(connection, statement, (row_ids(objects), bytes(partner)))
    return int(count)


def sent(connection: apsw.Connection, partner: PartnerId, after_lsn: int) -> list[tuple[EnvelopeId, int]]:
    """See `KnowledgeReading.forwarded_to`."""
    rows = fetch(
        connection,
        f"""SELECT e.envelope_id, f.count FROM forwarded_out f JOIN envelope e ON e.lsn = f.envelope
        WHERE f.partner = {_ROW} AND f.envelope > ? ORDER BY f.envelope""",  # noqa: S608 - as above
        (bytes(partner), after_lsn),
    )
    return [(EnvelopeId(envelope_id), count) for envelope_id, count in rows]


def forwarder(connection: apsw.Connection, lsn: int) -> PartnerId | None:
    """See `KnowledgeReading.forwarder`."""
    rows = fetch(
        connection,
        "SELECT o.partner_id FROM forwarded_in i JOIN organisation o ON o.id = i.forwarder WHERE i.envelope = ?",
        (lsn,),
    )
    return PartnerId(rows[0][0]) if rows else None


def is_in_part(connection: apsw.Connection, lsn: int) -> bool:
    """See `KnowledgeReading.is_handed_on_in_part`."""
    statement = """SELECT 1 FROM forwarded_in i WHERE i.envelope = ?
        AND NOT EXISTS (SELECT 1 FROM publication_part p WHERE p.envelope = i.envelope)"""
    return bool(fetch(connection, statement, (lsn,)))


def begin(connection: apsw.Connection, partner: int, since: int, last_lsn: int) -> None:
    """Hand on to a partner (its row) what was created since (unix seconds), from the first envelope on."""
    connection.execute(
        """INSERT INTO forwarding VALUES (?1, ?2, 0, ?3, ?3, 0) ON CONFLICT DO UPDATE
        SET since = min(since, excluded.since), place = 0, up_to = excluded.up_to, began_lsn = excluded.began_lsn""",
        (partner, since, last_lsn),
    )


def put_place(connection: apsw.Connection, partner: int, place: int) -> None:
    """What was held up to `place` has been looked at."""
    connection.execute("UPDATE forwarding SET place = ? WHERE partner = ?", (place, partner))


def end_all(connection: apsw.Connection) -> int:
    """Look at nothing more of what was held or waits by now; what is read later still follows. Returns for how many partners there was some."""
    ended = [one for one in forwardings(connection) if one.is_under_way or one.has_due]
    connection.execute("UPDATE forwarding SET place = up_to")
    connection.execute("DELETE FROM forwarding_due")
    return len(ended)


def drop_due(connection: apsw.Connection, partner: int, lsns: Iterable[int]) -> None:
    """These have been looked at."""
    connection.executemany(
        "DELETE FROM forwarding_due WHERE partner = ? AND envelope = ?", ((partner, lsn) for lsn in lsns)
    )


def note_sent(
    connection: apsw.Connection, partner: int, envelope_id: EnvelopeId, count: int, objects: Collection[int]
) -> None:
    """An envelope of ours hands `count` of others' on, in which these objects are."""
    connection.execute(
        "INSERT INTO forwarded_out SELECT lsn, ?, ? FROM envelope WHERE envelope_id = ?",
        (partner, count, bytes(envelope_id)),
    )
    before = connection.total_changes()
    connection.executemany(
        "INSERT OR IGNORE INTO forwarded_object VALUES (?, ?)", ((partner, one) for one in objects)
    )
    connection.execute(
        "UPDATE forwarding SET objects = objects + ? WHERE partner = ?",
        (connection.total_changes() - before, partner),
    )


def drop(connection: apsw.Connection, partner: int) -> None:
    """Hand nothing on to a partner any more. What was handed on stays noted."""
    for table in ("forwarding", "forwarding_due", "forwarded_object"):
        connection.execute(f"DELETE FROM {table} WHERE partner = ?", (partner,))  # noqa: S608 - as above


def note_received(connection: apsw.Connection, lsn: int, forwarder: int) -> None:
    """The envelope was handed on by a partner (its row)."""
    connection.execute("INSERT OR IGNORE INTO forwarded_in VALUES (?, ?)", (lsn, forwarder))
