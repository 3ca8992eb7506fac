"""Versions that the store knows of the objects in a chunk: one query a table and author, however many objects."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import apsw

from p2pshare.database.arrays import key_tables
from p2pshare.database.fetching import fetch
from p2pshare.intel.extraction import ObjectFacts
from p2pshare.knowledge.object_keys import INDICATOR, EncodedId, decode_object_id, encode_object_id
from p2pshare.knowledge.versions import ObjectVersions, Order, Version
from p2pshare.log.interface import EnvelopeOrigin

COMPARED_ROWS_MAX = (
    4_096  # of one object's versions, compared anew: four with all the values that a pattern may name
)
TWIN_ROWS_MAX = 64  # of the superseded versions of one instant of an object: real ones have one or two
TOGETHER_MIN = 16  # objects of one instant from which one query for all is cheaper than one for each

_CURRENT_CLAIMS = """
SELECT c.object_key, NULL, c.id, c.modified_us, c.tlp, e.incarnation, e.sequence, e.envelope_id,
    c.frame, c.position
FROM {keys} k
CROSS JOIN claim c INDEXED BY claim_current ON c.object_key = k.value AND c.author = ? AND c.status < 2
CROSS JOIN frame f ON f.id = c.frame
CROSS JOIN envelope e ON e.lsn = f.envelope
"""
_CURRENT_OBJECTS = """
SELECT o.object_key, t.name, o.id, o.modified_us, o.tlp, e.incarnation, e.sequence, e.envelope_id,
    o.frame, o.position
FROM {keys} k
CROSS JOIN object o INDEXED BY object_current ON o.object_key = k.value AND o.author = ? AND o.status < 2
CROSS JOIN object_type t ON t.id = o.type
CROSS JOIN frame f ON f.id = o.frame
CROSS JOIN envelope e ON e.lsn = f.envelope
"""
_SUPERSEDED_CLAIMS = """
SELECT c.object_key, NULL, c.id, c.modified_us, c.tlp, e.incarnation, e.sequence, e.envelope_id,
    c.frame, c.position
FROM claim c INDEXED BY claim_superseded
CROSS JOIN frame f ON f.id = c.frame
CROSS JOIN envelope e ON e.lsn = f.envelope
WHERE c.object_key = ? AND c.author = ? AND c.modified_us = ? AND c.status = 2 LIMIT ?
"""
_SUPERSEDED_OBJECTS = """
SELECT o.object_key, t.name, o.id, o.modified_us, o.tlp, e.incarnation, e.sequence, e.envelope_id,
    o.frame, o.position
FROM object o INDEXED BY object_superseded
CROSS JOIN object_type t ON t.id = o.type
CROSS JOIN frame f ON f.id = o.frame
CROSS JOIN envelope e ON e.lsn = f.envelope
WHERE o.object_key = ? AND o.author = ? AND o.modified_us = ? AND o.status = 2 LIMIT ?
"""
_SUPERSEDED_CLAIMS_TOGETHER = """
SELECT c.object_key, NULL, c.id, c.modified_us, c.tlp, e.incarnation, e.sequence, e.envelope_id,
    c.frame, c.position
FROM {keys} k
CROSS JOIN claim c INDEXED BY claim_superseded ON c.object_key = k.value
CROSS JOIN frame f ON f.id = c.frame
CROSS JOIN envelope e ON e.lsn = f.envelope
WHERE c.author = ? AND c.modified_us = ? AND c.status = 2 LIMIT ?
"""
_SUPERSEDED_OBJECTS_TOGETHER = """
SELECT o.object_key, t.name, o.id, o.modified_us, o.tlp, e.incarnation, e.sequence, e.envelope_id,
    o.frame, o.position
FROM {keys} k
CROSS JOIN object o INDEXED BY object_superseded ON o.object_key = k.value
CROSS JOIN object_type t ON t.id = o.type
CROSS JOIN frame f ON f.id = o.frame
CROSS JOIN envelope e ON e.lsn = f.envelope
WHERE o.author = ? AND o.modified_us = ? AND o.status = 2 LIMIT ?
"""
_ALL_CLAIMS = """
SELECT c.object_key, NULL, c.id, c.modified_us, c.tlp, e.incarnation, e.sequence, e.envelope_id, c.frame, c.position
FROM claim c
CROSS JOIN frame f ON f.id = c.frame
CROSS JOIN envelope e ON e.lsn = f.envelope
WHERE c.object_key = ? AND c.author = ? AND c.status {status} ORDER BY c.modified_us DESC LIMIT ?
"""
_ALL_OBJECTS = """
SELECT o.object_key, t.name, o.id, o.modified_us, o.tlp, e.incarnation, e.sequence, e.envelope_id, o.frame, o.position
FROM object o
CROSS JOIN object_type t ON t.id = o.type
CROSS JOIN frame f ON f.id = o.frame
CROSS JOIN envelope e ON e.lsn = f.envelope
WHERE o.object_key = ? AND o.author = ? AND o.status {status} ORDER BY o.modified_us DESC LIMIT ?
"""


@dataclass(frozen=True, slots=True)
class StoredFrame:
    """A frame that has its row, and the objects read from it."""

    source: EnvelopeOrigin
    frame: int
    objects: Sequence[ObjectFacts]


Fresh = tuple[StoredFrame, ObjectFacts, int]
"""An object first seen in this chunk and the id of its first row; made a Version only when it comes again."""


class KnownVersions:
    """The versions known of each object of one author, stored ones and those of this chunk."""

    def __init__(self, connection: apsw.Connection, author: int, keys: Collection[EncodedId]) -> None:
        self._connection = connection
        self._author = author
        self.fresh: dict[EncodedId, Fresh] = {}
        self.stored: dict[EncodedId, ObjectVersions] = {}
        self._fetched_twins: set[tuple[EncodedId, int]] = set()
        self._prefetch(keys)

    def _prefetch(self, keys: Collection[EncodedId]) -> None:
        by_key: dict[EncodedId, list[Version]] = defaultdict(list)
        claim_keys = {claim_key(key) for key in keys}
        object_keys = {stored_key for _, stored_key in keys}
        for statement, wanted in ((_CURRENT_CLAIMS, claim_keys), (_CURRENT_OBJECTS, object_keys)):
            for table, bound in key_tables(wanted):
                rows = fetch(self._connection, statement.format(keys=table), (bound, self._author))
                for key, version in _versions(rows, is_claim=statement is _CURRENT_CLAIMS):
                    by_key[key].append(version)
        self.stored = {key: ObjectVersions.of(versions) for key, versions in by_key.items()}

    def prefetch_twins(self, coming: Iterable[tuple[EncodedId, int | None]]) -> None:
        """Look up together the versions that `of` would ask for one by one: a list that is published again
        brings a new version of thousands of objects, all of one instant."""
        by_instant: dict[int, set[EncodedId]] = defaultdict(set)
        for key, modified_us in coming:
            if modified_us is not None and key in self.stored:
                by_instant[modified_us].add(key)
        for modified_us, keys in by_instant.items():
            if len(keys) >= TOGETHER_MIN and self._fetch_twins(keys, modified_us):
                self._fetched_twins.update((key, modified_us) for key in keys)

    def _fetch_twins(self, keys: Collection[EncodedId], modified_us: int) -> bool:
        """Returns whether all were found: more rows than versions can have are left to `of`, which bounds each object."""
        rows_max = TWIN_ROWS_MAX * len(keys)
        claim_keys = {claim_key(key) for key in keys}
        object_keys = {stored_key for _, stored_key in keys}
        for statement, wanted in (
            (_SUPERSEDED_CLAIMS_TOGETHER, claim_keys),
            (_SUPERSEDED_OBJECTS_TOGETHER, object_keys),
        ):
            for table, bound in key_tables(wanted):
                bindings = (bound, self._author, modified_us, rows_max)
                rows = fetch(self._connection, statement.format(keys=table), bindings)
                if len(rows) >= rows_max:
                    return False
                for key, version in _versions(rows, is_claim=statement is _SUPERSEDED_CLAIMS_TOGETHER):
                    if key in self.stored:
                        self.stored[key].remember(version)
        return True

    def of(self, key: EncodedId, modified_us: int | None) -> ObjectVersions:
        """Returns the known versions of an object, with every stored version of `modified_us`."""
        fresh = self.fresh.pop(key, None)
        if fresh is not None:
            self.stored[key] = ObjectVersions.of([_unpack(fresh)])
            return self.stored[key]
        known = self.stored[key]
        if modified_us is not None and (key, modified_us) not in self._fetched_twins:
            self._fetched_twins.add((key, modified_us))
            for statement, stored_key in (
                (_SUPERSEDED_CLAIMS, claim_key(key)),
                (_SUPERSEDED_OBJECTS, key[1]),
            ):
                rows = fetch(
                    self._connection, statement, (stored_key, self._author, modified_us, TWIN_ROWS_MAX)
                )
                for found, version in _versions(rows, is_claim=statement is _SUPERSEDED_CLAIMS):
                    if found == key:
                        known.remember(version)
        return known


def newest_versions(connection: apsw.Connection, author: int, key: EncodedId) -> list[Version]:
    """Returns the stored versions of one object of one author, current or not: the newest by `modified`, so many as have
    COMPARED_ROWS_MAX rows."""
    versions: list[tuple[EncodedId, Version]] = []
    for status in ("< 2", "= 2"):  # each has its own partial index
        bound = (author, COMPARED_ROWS_MAX)
        claims = fetch(connection, _ALL_CLAIMS.format(status=status), (claim_key(key), *bound))
        versions += _versions(_whole(claims), is_claim=True)
        objects = fetch(connection, _ALL_OBJECTS.format(status=status), (key[1], *bound))
        versions += _versions(_whole(objects), is_claim=False)
    return [version for found, version in versions if found == key]


def _whole(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Returns the rows without those of the version at which they were cut off."""
    if len(rows) < COMPARED_ROWS_MAX:
        return rows
    oldest = rows[-1][3]
    return [row for row in rows if row[3] != oldest]


def order_of(frame: StoredFrame, fact: ObjectFacts) -> Order:
    """Returns the place of an object among the versions of its author."""
    source = frame.source
    place = (source.incarnation, source.sequence, source.envelope_id)
    return (*place, fact.modified_us or 0, frame.frame, fact.position)


def claim_key(key: EncodedId) -> bytes | str:
    """Returns the key in the claim table, which has no column for the type: bytes only for "indicator--UUID"."""
    return key[1] if key[0] in (INDICATOR, "") else decode_object_id(*key)


def _versions(rows: Iterable[tuple[Any, ...]], *, is_claim: bool) -> list[tuple[EncodedId, Version]]:
    """Returns the versions in rows: those of one (frame, position) are one, for an indicator has a claim row
    for each observable."""
    found: dict[tuple[EncodedId, int, int], Version] = {}
    for stored_key, prefix, row_id, modified_us, tlp, incarnation, sequence, envelope_id, *place in rows:
        key = (
            (prefix or INDICATOR, stored_key)
            if isinstance(stored_key, bytes)
            else encode_object_id(stored_key)
        )
        frame, position = place
        version = found.get((key, frame, position))
        if version is None:
            order = (incarnation, sequence, envelope_id, modified_us or 0, frame, position)
            version = found[key, frame, position] = Version(order, modified_us, tlp)
        (version.claim_ids if is_claim else version.object_ids).append(row_id)
    return [(key, version) for (key, _, _), version in found.items()]


def _unpack(fresh: Fresh) -> Version:
    frame, fact, first = fresh
    version = Version(order_of(frame, fact), fact.modified_us, fact.tlp)
    if fact.claims:
        version.claim_ids = list(range(first, first + len(fact.claims)))
    else:
        version.object_ids = [first]
    return version
