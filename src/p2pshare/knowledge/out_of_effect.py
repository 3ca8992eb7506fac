"""Content out of effect: claims and objects of an envelope for which its author does not stand any more, and the way back.

A thief of a sign key seals as its owner. When the owner says so, what the thief sealed counts no more: its rows take a status
of their own, the newest version among the rest of each object becomes current, and the observables are evaluated anew. What it withdrew
counts again, and what it said about others' objects is taken from what its owner says (`withdrawals`, `assessments`). The
content stays, as evidence; nothing is deleted.

An envelope may hold 400,000 claims, so this is done in steps, each one transaction, from a place to the next. There is no index
by frame: an object is found by its id, read out of the frame again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import apsw
import msgspec

from p2pshare.database.arrays import key_tables
from p2pshare.database.fetching import fetch
from p2pshare.intel import assessing
from p2pshare.intel.withdrawing import WITHDRAWAL, read_withdrawal
from p2pshare.knowledge import assessments, wide_objects, withdrawals
from p2pshare.knowledge.contents import Contents
from p2pshare.knowledge.current_versions import reselect
from p2pshare.knowledge.known_versions import claim_key
from p2pshare.knowledge.object_keys import EncodedId, encode_object_id
from p2pshare.knowledge.row_changes import SUPERSEDED

OUT = 3  # claim.status and object.status, beside those of row_changes
STEP_CLAIMS = (
    2_000  # changed in one step, and with one more object's at most: some 100 ms that other writers wait
)
STEP_OBJECTS = 512  # looked at in one step
_FRAMES = "SELECT id FROM frame WHERE envelope = ? AND id >= ? ORDER BY id LIMIT 2"
_SET = """
UPDATE {table} SET status = {to} WHERE id IN (
    SELECT c.id FROM {keys} k CROSS JOIN {table} c INDEXED BY {index}
    ON c.object_key = k.value AND c.author = ? AND c.status {of} WHERE c.frame = ?
)
"""
_LEAVING = (("current", "< 2"), ("superseded", "= 2"))
_RETURNING = (("out", "= 3"),)


class ContentPlace(NamedTuple):
    """The frame and the object in it from which a step goes on."""

    frame: int
    position: int


class _Named(msgspec.Struct):
    id: str = ""
    type: str = ""


@dataclass(slots=True)
class _Touched:
    """The objects that a step has met: all of them, those that are assessments, and what was withdrawn."""

    keys: set[EncodedId] = field(default_factory=set)
    assessments: set[EncodedId] = field(default_factory=set)
    withdrawn: set[EncodedId] = field(default_factory=set)


def step(
    connection: apsw.Connection, lsn: int, author: int, place: ContentPlace, *, is_out: bool
) -> ContentPlace | None:
    """Take some of the content of the envelope `lsn` out of effect, or back; returns where the next step begins, None when
    all of it is done."""
    frames = [frame for (frame,) in fetch(connection, _FRAMES, (lsn, place.frame))]
    if not frames:
        return None
    frame, contents = frames[0], Contents(connection)
    position = place.position if frame == place.frame else 0
    met = _Touched()
    changed, begun = 0, position
    while changed < STEP_CLAIMS and position < begun + STEP_OBJECTS:
        raw = contents.raw(frame, position)
        if raw is None:
            _settle(connection, author, lsn, frame, met, is_out=is_out)
            return ContentPlace(frames[1], 0) if len(frames) > 1 else None
        position += 1
        changed += _take(connection, author, frame, raw, met, is_out=is_out)
    _settle(connection, author, lsn, frame, met, is_out=is_out)
    return ContentPlace(frame, position)


def _take(
    connection: apsw.Connection, author: int, frame: int, raw: bytes, met: _Touched, *, is_out: bool
) -> int:
    """Change the rows of one object; returns how many rows that changes, here or in `_settle`."""
    try:
        named = msgspec.json.decode(raw, type=_Named)
    except msgspec.DecodeError:
        return 0  # it has no row
    key = encode_object_id(named.id)
    met.keys.add(key)
    changed = _set_status(connection, author, frame, key, is_out=is_out)
    if named.type in assessing.TYPES:
        met.assessments.add(key)
    if named.type == WITHDRAWAL and (facts := read_withdrawal(msgspec.json.decode(raw))) is not None:
        target = encode_object_id(facts.target)
        met.withdrawn.add(target)
        changed += wide_objects.width(connection, author, claim_key(target))
    return changed


def _set_status(connection: apsw.Connection, author: int, frame: int, key: EncodedId, *, is_out: bool) -> int:
    before = connection.total_changes()
    to = OUT if is_out else SUPERSEDED  # which of the versions is current is decided after
    for table, wanted in (("claim", claim_key(key)), ("object", key[1])):
        for index, of in _LEAVING if is_out else _RETURNING:
            for keys, bound in key_tables([wanted]):
                words = {"table": table, "to": to, "keys": keys, "index": f"{table}_{index}", "of": of}
                connection.execute(_SET.format(**words), (bound, author, frame))
    return connection.total_changes() - before


def _settle(
    connection: apsw.Connection, author: int, lsn: int, frame: int, met: _Touched, *, is_out: bool
) -> None:
    withdrawals.set_out(connection, author, lsn, met.withdrawn, is_out=is_out)
    keys = met.keys | met.withdrawn
    reselect(connection, [(author, key) for key in sorted(keys, key=str)])
    withdrawals.apply(connection, keys)
    assessments.set_out(connection, author, frame, met.assessments, is_out=is_out)
