# ruff: noqa: S608 - statements are put together from this program's own text only
"""What authors have shared already, as publishing asks: by object id, and by value. Functions on any connection, promised by
`KnowledgeReading`; they change nothing.

How many rows an answer reads is bounded, however many values the objects of one id name: ids are asked for in runs, and a run
that would read more is halved.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import apsw

from p2pshare.database.arrays import MANY, key_tables, row_ids
from p2pshare.database.fetching import fetch
from p2pshare.database.settings import OWN_ID, get_setting
from p2pshare.identifiers import EnvelopeId, PartnerId
from p2pshare.intel.checks import is_id
from p2pshare.intel.instants import SECOND_US
from p2pshare.intel.marking import Tlp
from p2pshare.intel.observable import Observable
from p2pshare.knowledge.claims import observable_ids
from p2pshare.knowledge.contents import Contents
from p2pshare.knowledge.interface import SharedObject, StoredText
from p2pshare.knowledge.known_versions import claim_key
from p2pshare.knowledge.lineages import said_by
from p2pshare.knowledge.object_keys import INDICATOR, EncodedId, decode_object_id, encode_object_id
from p2pshare.limits import MIB

ROWS_MAX = 32_768  # read for one run of ids: some 10 MB; a single id with more is read alone
FRAMES_BUDGET_BYTES = (
    256 * MIB
)  # inflated for one call that asks for texts: frames are read in order, each once

_CLAIMS = """
SELECT c.object_key, a.partner_id, c.tlp, c.status, c.modified_us, e.created, c.frame, c.position, c.derivation,
    CASE
        WHEN c.status = 1 THEN max(min(c.modified_us, e.created * {second}), coalesce((
            SELECT max(w.said_us) FROM withdrawal w JOIN object_type y ON y.id = w.type
            WHERE w.object_key = c.object_key AND w.author = c.author AND y.name IN ('indicator', '')
        ), 0))
        WHEN c.is_fallen THEN (SELECT v.fell_us FROM derivation v WHERE v.id = c.derivation)
    END,
    t.name, o.value
FROM {keys} k
CROSS JOIN claim c INDEXED BY claim_current ON c.object_key = k.value AND c.status < 2
CROSS JOIN organisation a ON a.id = c.author
CROSS JOIN frame f ON f.id = c.frame
CROSS JOIN envelope e ON e.lsn = f.envelope
CROSS JOIN observable o ON o.id = c.observable
CROSS JOIN observable_type t ON t.id = o.type
ORDER BY c.id LIMIT ?
"""
_OBJECTS = """
SELECT o.object_key, a.partner_id, o.tlp, o.status, o.modified_us, e.created, o.frame, o.position, o.derivation,
    CASE
        WHEN o.status = 1 THEN max(min(coalesce(o.modified_us, 0), e.created * {second}), coalesce((
            SELECT w.said_us FROM withdrawal w
            WHERE w.object_key = o.object_key AND w.type = o.type AND w.author = o.author
        ), 0))
        ELSE (SELECT v.fell_us FROM derivation v WHERE v.id = o.derivation AND coalesce(o.modified_us, 0) <= v.fell_us)
    END,
    y.name
FROM {keys} k
CROSS JOIN object o INDEXED BY object_current ON o.object_key = k.value AND o.status < 2
CROSS JOIN object_type y ON y.id = o.type
CROSS JOIN organisation a ON a.id = o.author
CROSS JOIN frame f ON f.id = o.frame
CROSS JOIN envelope e ON e.lsn = f.envelope
ORDER BY o.id LIMIT ?
"""
_TLPS = {int(level): level for level in Tlp}


@dataclass
class _Found:
    """The current version, or both of a fork, of an object by one author. `out_us` 0: it stands."""

    author: PartnerId
    object_id: str
    tlp: int
    is_revoked: bool
    modified_us: int | None
    sealed_at: int
    place: tuple[int, int]
    derivation: int | None
    out_us: int
    values: set[Observable] = field(default_factory=set)


def shared_objects(connection: apsw.Connection, object_ids: Collection[str]) -> dict[str, list[SharedObject]]:
    """Returns, by id, what each author currently says under it, in order of arrival. Absent ids are held from nobody."""
    keys = [encode_object_id(one) for one in dict.fromkeys(object_ids) if is_id(one)]
    found: dict[tuple[str, bytes], _Found] = {}
    for run in _runs(connection, keys):
        for one in run:
            held = found.setdefault((one.object_id, bytes(one.author)), one)
            held.tlp = max(held.tlp, one.tlp)
            held.is_revoked = held.is_revoked and one.is_revoked
            held.out_us = min(held.out_us, one.out_us)
            held.values |= one.values
    said = said_by(connection, {one.derivation for one in found.values() if one.derivation is not None})
    shared: dict[str, list[SharedObject]] = {}
    for one in sorted(found.values(), key=lambda one: one.place):
        shared.setdefault(one.object_id, []).append(
            SharedObject(
                one.author,
                one.object_id,
                _TLPS[one.tlp],
                one.is_revoked,
                one.modified_us,
                one.sealed_at,
                frozenset(one.values),
                None if one.derivation is None else said[one.derivation],
                one.out_us or None,
            )
        )
    return shared


def _runs(connection: apsw.Connection, keys: Sequence[EncodedId]) -> Iterator[list[_Found]]:
    """Yields what is found of runs of the keys."""
    pending = [keys] if keys else []
    while pending:
        run = pending.pop()
        limit = ROWS_MAX if len(run) > 1 else -1
        found = _read(connection, run, limit)
        if found is None:
            middle = len(run) // 2
            pending += [run[middle:], run[:middle]]
        else:
            yield found


def _read(connection: apsw.Connection, keys: Sequence[EncodedId], limit: int) -> list[_Found] | None:
    """Returns what is found of these keys; None where that is more than `limit` rows (-1: however many)."""
    found: dict[tuple[int, int], _Found] = {}
    wanted = set(keys)
    for table, bound in key_tables({claim_key(key) for key in keys}):
        rows = fetch(connection, _CLAIMS.format(keys=table, second=SECOND_US), (bound, limit))
        if len(rows) == limit:
            return None
        for *facts, type_, value in rows:
            one = _found_in((INDICATOR, facts[0]), facts, found)
            one.values.add(Observable(type_, value))
    for table, bound in key_tables({key for _, key in keys}):
        rows = fetch(connection, _OBJECTS.format(keys=table, second=SECOND_US), (bound, limit))
        if len(rows) == limit:
            return None
        for *facts, type_ in rows:
            if (type_, facts[0]) in wanted:
                _found_in((type_, facts[0]), facts, found)
    return list(found.values())


def _found_in(key: EncodedId, facts: Sequence[Any], found: dict[tuple[int, int], _Found]) -> _Found:
    """Returns the object at the place in a row, a new one where there is none yet."""
    _, author, tlp, status, modified_us, sealed_at, frame, position, derivation, out_us = facts
    one = found.get((frame, position))
    if one is None:
        place = frame, position
        one = found[place] = _Found(
            PartnerId(author),
            decode_object_id(*key),
            tlp,
            status == 1,
            modified_us,
            sealed_at,
            place,
            derivation,
            out_us or 0,
        )
    one.tlp = max(one.tlp, tlp)
    return one


_CLAIMED_BY_US = f"""
SELECT k.value, min(c.object_key) FROM {MANY} k
CROSS JOIN claim c INDEXED BY claim_observable ON c.observable = k.value AND c.status < 2 AND c.is_aside = 0
LEFT JOIN derivation v ON v.id = c.derivation
WHERE c.author = (SELECT id FROM organisation WHERE partner_id = ?) AND c.status = 0 AND v.derived_from IS NULL
GROUP BY k.value
"""


def own_statements(connection: apsw.Connection, observables: Collection[Observable]) -> dict[Observable, str]:
    """Returns the id of an unrevoked object of ours that states each of these as our own; absent where none does."""
    known = observable_ids(connection, observables)
    if not known:
        return {}
    own = get_setting(connection, OWN_ID)
    return {
        known[row_id]: decode_object_id(INDICATOR, key)
        for row_id, key in fetch(connection, _CLAIMED_BY_US, (row_ids(list(known)), own))
    }


_TEXTS = """
SELECT a.partner_id, c.object_key, c.frame, c.position, e.envelope_id, c.tlp, {type}
FROM {{keys}} k
CROSS JOIN {table} c INDEXED BY {table}_current ON c.object_key = k.value AND c.status < 2 AND +c.status = 0
CROSS JOIN organisation a ON a.id = c.author
CROSS JOIN frame f ON f.id = c.frame
CROSS JOIN envelope e ON e.lsn = f.envelope
{beside}
"""
_CLAIM_TEXTS = _TEXTS.format(table="claim", type="'indicator'", beside="")
_OBJECT_TEXTS = _TEXTS.format(
    table="object", type="y.name", beside="CROSS JOIN object_type y ON y.id = c.type"
)


def texts(connection: apsw.Connection, wanted: Collection[tuple[PartnerId, str]]) -> list[StoredText]:
    """Returns the current, unrevoked objects of these (author, id), as their authors wrote them, in the order in which they
    came. What is not held, or can no longer be read, is missing."""
    keys = {encode_object_id(object_id) for _, object_id in wanted}
    places: dict[tuple[int, int], tuple[PartnerId, str, EnvelopeId, Tlp]] = {}
    asked = set(wanted)
    for statement, bound_keys in (
        (_CLAIM_TEXTS, {claim_key(key) for key in keys}),
        (_OBJECT_TEXTS, {key for _, key in keys}),
    ):
        for table, bound in key_tables(bound_keys):
            for author, key, frame, position, envelope_id, tlp, type_ in fetch(
                connection, statement.format(keys=table), (bound,)
            ):
                place = PartnerId(author), decode_object_id(type_, key)
                if place in asked:
                    places[frame, position] = (*place, EnvelopeId(envelope_id), _TLPS[tlp])
    contents = Contents(connection, budget_bytes=FRAMES_BUDGET_BYTES)
    found = []
    for at in sorted(places):
        raw = contents.raw(*at)
        if raw is not None:
            found.append(StoredText(*places[at], raw))
    return found
