"""What authors have shared already, as publishing asks: by object id, and by value. Functions on any connection, promised by
`KnowledgeReading`; they change nothing.

How many rows an answer reads is bounded, however many values the objects of one id name: ids are asked for in runs, and a run
that would read more is halved.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

import apsw

from p2pshare.database.arrays import key_tables
from p2pshare.database.fetching import Row, fetch
from p2pshare.database.settings import OWN_ID, get_setting
from p2pshare.errors import AuthorError
from p2pshare.identifiers import EnvelopeId, PartnerId
from p2pshare.intel.checks import is_id
from p2pshare.intel.derivation import ObjectOrigin, may_hold_derivation, read_derivation
from p2pshare.intel.json_text import parse_object
from p2pshare.intel.marking import Tlp
from p2pshare.intel.observable import Observable
from p2pshare.knowledge.claims import observable_ids
from p2pshare.knowledge.contents import Contents
from p2pshare.knowledge.interface import SharedObject, StoredText
from p2pshare.knowledge.known_versions import claim_key
from p2pshare.knowledge.object_keys import INDICATOR, EncodedId, decode_object_id, encode_object_id
from p2pshare.limits import MIB

ROWS_MAX = 32_768  # read for one run of ids: some 10 MB; a single id with more is read alone
FRAMES_BUDGET_BYTES = (
    256 * MIB
)  # inflated for one call that asks for texts: frames are read in order, each once

_CLAIMS = """
SELECT c.object_key, a.partner_id, c.tlp, c.status, c.modified_us, c.frame, c.position, t.name, o.value
FROM {keys} k
CROSS JOIN claim c INDEXED BY claim_current ON c.object_key = k.value AND c.status < 2
CROSS JOIN organisation a ON a.id = c.author
CROSS JOIN observable o ON o.id = c.observable
CROSS JOIN observable_type t ON t.id = o.type
ORDER BY c.id LIMIT ?
"""
_OBJECTS = """
SELECT o.object_key, y.name, a.partner_id, o.tlp, o.status, o.modified_us, o.frame, o.position
FROM {keys} k
CROSS JOIN object o INDEXED BY object_current ON o.object_key = k.value AND o.status < 2
CROSS JOIN object_type y ON y.id = o.type
CROSS JOIN organisation a ON a.id = o.author
ORDER BY o.id LIMIT ?
"""
_TLPS = {int(level): level for level in Tlp}


@dataclass
class _Found:
    """The current version, or both of a fork, of an object by one author."""

    author: PartnerId
    object_id: str
    tlp: int
    is_revoked: bool
    modified_us: int | None
    place: tuple[int, int]
    values: set[Observable] = field(default_factory=set)


def shared_objects(
    connection: apsw.Connection, object_ids: Collection[str], with_origins: bool
) -> dict[str, list[SharedObject]]:
    """Returns, by id, what each author currently says under it, in order of arrival. Absent ids are held from nobody."""
    keys = [encode_object_id(one) for one in dict.fromkeys(object_ids) if is_id(one)]
    found: dict[tuple[str, bytes], _Found] = {}
    for run in _runs(connection, keys):
        for one in run:
            held = found.setdefault((one.object_id, bytes(one.author)), one)
            held.tlp = max(held.tlp, one.tlp)
            held.is_revoked = held.is_revoked and one.is_revoked
            held.values |= one.values
    contents = Contents(connection, budget_bytes=FRAMES_BUDGET_BYTES)
    shared: dict[str, list[SharedObject]] = {}
    for one in sorted(found.values(), key=lambda one: one.place):
        shared.setdefault(one.object_id, []).append(
            SharedObject(
                one.author,
                one.object_id,
                _TLPS[one.tlp],
                one.is_revoked,
                one.modified_us,
                frozenset(one.values),
                _origins(contents.raw(*one.place)) if with_origins else (),
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
    found: list[_Found] = []
    wanted = set(keys)
    for table, bound in key_tables({claim_key(key) for key in keys}):
        rows = fetch(connection, _CLAIMS.format(keys=table), (bound, limit))
        if len(rows) == limit:
            return None
        found += _claimed(rows)
    for table, bound in key_tables({key for _, key in keys}):
        rows = fetch(connection, _OBJECTS.format(keys=table), (bound, limit))
        if len(rows) == limit:
            return None
        for key, type_, author, tlp, status, modified_us, *place in rows:
            if (type_, key) in wanted:
                object_id = decode_object_id(type_, key)
                found.append(
                    _Found(PartnerId(author), object_id, tlp, status == 1, modified_us, (place[0], place[1]))
                )
    return found


def _claimed(rows: Sequence[Row]) -> Iterator[_Found]:
    by_place: dict[tuple[int, int], _Found] = {}
    for key, author, tlp, status, modified_us, frame, position, type_, value in rows:
        one = by_place.get((frame, position))
        if one is None:
            object_id = decode_object_id(INDICATOR, key)
            one = by_place[frame, position] = _Found(
                PartnerId(author), object_id, tlp, status == 1, modified_us, (frame, position)
            )
        one.tlp = max(one.tlp, tlp)
        one.values.add(Observable(type_, value))
    yield from by_place.values()


def _origins(raw: bytes | None) -> tuple[ObjectOrigin, ...]:
    """Returns the objects that an object says it stems from."""
    if raw is None or not may_hold_derivation(raw):
        return ()
    stix, _ = parse_object(raw)
    try:
        said = None if stix is None else read_derivation(stix)
    except AuthorError:
        return ()
    return () if said is None else said.origins


_CLAIMED_BY_US = """
SELECT DISTINCT c.observable, c.object_key FROM claim c
WHERE c.observable = ? AND c.author = (SELECT id FROM organisation WHERE partner_id = ?) AND c.status = 0
"""


def own_statements(connection: apsw.Connection, observables: Collection[Observable]) -> dict[Observable, str]:
    """Returns the id of an object of ours that states each of these values, unrevoked; absent where none does."""
    own = get_setting(connection, OWN_ID)
    found: dict[Observable, str] = {}
    for row_id, observable in observable_ids(connection, observables).items():
        rows = fetch(connection, _CLAIMED_BY_US, (row_id, own))
        if rows:
            found[observable] = decode_object_id(INDICATOR, rows[0][1])
    return found


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
