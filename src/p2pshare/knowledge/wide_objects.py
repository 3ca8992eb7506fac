"""Wide objects: those that name many values, so that a few bytes about one of them touch many rows.

A sighting of an indicator with a thousand values touches a thousand rows, and so does its withdrawal or its next version. Who reads an
envelope must know that before it begins (`Reach`): for the length of a step of work, and for what an envelope may cost.
An object of a few values weighs what it says, so only wide ones are written down here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import apsw

from p2pshare.database.arrays import key_tables
from p2pshare.database.fetching import fetch
from p2pshare.intel.assessing import Assessment
from p2pshare.intel.extraction import ObjectFacts
from p2pshare.knowledge.known_versions import claim_key
from p2pshare.knowledge.object_keys import encode_object_id

NARROW_CLAIMS_MAX = (
    16  # of an object that is not written down: 512 such objects are a tenth of a second of work
)
LOOKED_AT = 64  # claims that are looked at in the time in which one is changed

_ADD = """
INSERT INTO wide_object VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET claims = max(claims, excluded.claims), modified_us = max(modified_us, excluded.modified_us)
"""
_OF = """
SELECT w.object_key, w.author, w.claims, w.modified_us, EXISTS (
    SELECT 1 FROM withdrawal d JOIN object_type t ON t.id = d.type
    WHERE d.object_key = w.object_key AND d.author = w.author AND t.name IN ('indicator', '')
) FROM {keys} k CROSS JOIN wide_object w ON w.object_key = k.value
"""
_TOUCHING = (Assessment.SIGHTING, Assessment.FALSE_POSITIVE)


class Reach(NamedTuple):
    """How many stored rows an object touches, and how many of them it may touch again and again: those are charged to who
    says it. The first withdrawal of an object, and a newer version of it, touch rows that were paid for when they came."""

    rows: int
    charged: int


NONE = Reach(0, 0)


WideRow = tuple[bytes | str, int, int, int]
"""Key in the claim table, author, claims, `modified` in microseconds."""

_Wide = dict[bytes | str, list[tuple[int, int, int, int]]]
"""Key -> (author, claims, `modified` in microseconds, whether it is withdrawn)."""


def add(connection: apsw.Connection, wide: Iterable[WideRow]) -> None:
    """Note objects."""
    connection.executemany(_ADD, wide)


def width(connection: apsw.Connection, author: int, key: bytes | str) -> int:
    """Returns how many claims an object of `author` has at most, by its key in the claim table."""
    rows = fetch(
        connection, "SELECT claims FROM wide_object WHERE object_key = ? AND author = ?", (key, author)
    )
    return int(rows[0][0]) if rows else NARROW_CLAIMS_MAX


def reach(connection: apsw.Connection, author: int, objects: Sequence[ObjectFacts]) -> list[Reach]:
    """Returns the reach of each of `objects` of `author`, in order; [] where none reaches a wide object."""
    if not fetch(connection, "SELECT 1 FROM wide_object LIMIT 1"):
        return []
    targets = [_targets(one) for one in objects]
    wide: _Wide = {}
    for table, bound in key_tables({key for keys in targets for key in keys}):
        for key, *found in fetch(connection, _OF.format(keys=table), (bound,)):
            owner, claims, modified_us, is_withdrawn = found
            wide.setdefault(key, []).append((owner, claims, modified_us, is_withdrawn))
    if not wide:
        return []
    return [_reach(one, keys, wide, author) for one, keys in zip(objects, targets, strict=True)]


def _targets(one: ObjectFacts) -> list[bytes | str]:
    ids = [one.object_id]
    if one.withdrawal is not None:
        ids.append(one.withdrawal.target)
    if one.assessment is not None and one.assessment.kind in _TOUCHING:
        ids.append(one.assessment.target)
    return [claim_key(encode_object_id(text)) for text in ids]


def _reach(
    one: ObjectFacts,
    keys: Sequence[bytes | str],
    wide: _Wide,
    author: int,
) -> Reach:
    own, *others = keys
    rows = charged = 0
    for owner, claims, modified_us, _ in wide.get(own, ()):
        if owner == author:
            rows += claims
            # another content of a version that is held, or an older one: both may be said again and again
            if (one.modified_us or 0) <= modified_us:
                charged += max(0, claims - len(one.claims))
    for key in others:
        for owner, claims, _, is_withdrawn in wide.get(key, ()):
            if one.withdrawal is not None and owner == author:
                rows += claims
                charged += claims if is_withdrawn else 0
            elif one.assessment is not None:
                # one that names its value looks for it among all of the object's
                touched = claims if one.assessment.observable is None else 1 + claims // LOOKED_AT
                rows += touched
                charged += touched
    return Reach(rows, charged) if rows else NONE
