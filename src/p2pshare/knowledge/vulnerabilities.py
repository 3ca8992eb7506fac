# ruff: noqa: S608 - statements are put together from this program's own text only
"""Vulnerabilities that count here and who has seen them: what the worker of `p2pshare risk` reads. It changes nothing.

Functions on any connection, promised by `KnowledgeReading`. As in the SIEM's views nothing is shown that is marked more strictly
than `siem_tlp_max`, and of sightings only those of partners in the roster that are not frozen. Our own words are no evidence
from partners, and are left out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

import apsw

from p2pshare.database.arrays import MANY, row_ids
from p2pshare.database.fetching import fetch
from p2pshare.envelope.payload import inflate_frame
from p2pshare.errors import PeerError
from p2pshare.identifiers import PartnerId
from p2pshare.intel.json_rescue import elements_of
from p2pshare.knowledge.known_versions import claim_key
from p2pshare.knowledge.object_keys import encode_object_id

SLICE_ROWS = 256  # objects read in one short transaction: as many frames in the worst case


class HeldObjectRow(NamedTuple):
    """An object as its author sealed it: its row, which is never used twice, and when it was stored here (seconds)."""

    row: int
    author: PartnerId
    received_at: int
    raw: bytes


_SHOWN = "(SELECT m.value FROM setting m WHERE m.name = 'siem_tlp_max')"
_OWN = "(SELECT g.id FROM organisation g JOIN setting w ON w.name = 'own_id' AND w.value = g.partner_id)"
_IS_PARTNER = "{0} IN (SELECT p.organisation FROM partner p WHERE NOT p.is_frozen) AND {0} IS NOT " + _OWN
_CURRENT = f"""
SELECT o.id FROM object o
WHERE o.id > ? AND o.type = (SELECT t.id FROM object_type t WHERE t.name = ?) AND o.status = 0 AND o.tlp <= {_SHOWN}
AND NOT coalesce((SELECT d.fell_us >= coalesce(o.modified_us, 0) FROM derivation d WHERE d.id = o.derivation), 0)
"""
_OBJECTS = f"""
SELECT o.id, o.frame, o.position, a.partner_id, f.received_at
FROM {MANY} k CROSS JOIN object o ON o.id = k.value JOIN organisation a ON a.id = o.author JOIN frame f ON f.id = o.frame
ORDER BY o.frame, o.position
"""
# kind 1: a sighting (assessments.sql). One that waits for its target counts, for here the target is an object, no observable.
_SEEN = f"""
SELECT s.target, a.partner_id, max(s.seen_at) FROM assessment s JOIN organisation a ON a.id = s.reporter
WHERE s.target >= ?1 || '--' AND s.target < ?1 || '-.' AND s.kind = 1 AND s.count > 0 AND s.is_out = 0 AND s.is_waiting < 3
AND s.tlp <= {_SHOWN} AND {_IS_PARTNER.format("s.reporter")} GROUP BY s.target, s.reporter
"""
_SEEN_VALUES = f"""
SELECT a.partner_id, max(g.last_seen) FROM claim c INDEXED BY claim_current
JOIN sighting g ON g.observable = c.observable JOIN organisation a ON a.id = g.reporter
WHERE c.object_key = ? AND c.status < 2 AND c.status = 0 AND c.tlp <= {_SHOWN} AND g.last_seen IS NOT NULL AND g.tlp <= {_SHOWN}
AND {_IS_PARTNER.format("g.reporter")} GROUP BY g.reporter
"""


def current_rows(connection: apsw.Connection, type_: str, after: int) -> set[int]:
    return {row for (row,) in fetch(connection, _CURRENT, (after, type_))}


def objects_at(connection: apsw.Connection, rows: Collection[int]) -> Iterator[HeldObjectRow]:
    waiting = sorted(rows)
    for start in range(0, len(waiting), SLICE_ROWS):
        part = waiting[start : start + SLICE_ROWS]
        inflated: tuple[int, tuple[bytes, ...]] = 0, ()
        for row, frame, position, author, received_at in fetch(connection, _OBJECTS, (row_ids(part),)):
            if inflated[0] != frame:
                inflated = frame, _elements(connection, frame)
            if position < len(inflated[1]):
                yield HeldObjectRow(row, PartnerId(author), received_at, inflated[1][position])


def seen_objects(connection: apsw.Connection, type_: str) -> list[tuple[str, PartnerId, int]]:
    return [(target, PartnerId(partner), at) for target, partner, at in fetch(connection, _SEEN, (type_,))]


def seen_values(connection: apsw.Connection, indicator_id: str) -> list[tuple[PartnerId, int]]:
    key = claim_key(encode_object_id(indicator_id))
    return [(PartnerId(partner), at) for partner, at in fetch(connection, _SEEN_VALUES, (key,))]


def _elements(connection: apsw.Connection, frame: int) -> tuple[bytes, ...]:
    found = fetch(connection, "SELECT bytes FROM frame WHERE id = ?", (frame,))
    try:
        return tuple(bytes(one) for one in elements_of(inflate_frame(found[0][0]))) if found else ()
    except PeerError:
        return ()
