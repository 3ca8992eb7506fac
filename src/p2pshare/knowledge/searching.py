# ruff: noqa: S608 - statements are put together from this program's own text only
"""Search, versions of an object, and objects of an envelope. Functions on any connection, promised by
`KnowledgeReading`; they change nothing.

There is no index of texts (docs/decisions/0039): a search walks the rows newest first and reads the frames
they stand in, each once. A frame that cannot hold the words asked for is passed over without being parsed:
the words' longest run of plain ASCII letters and digits would stand in its bytes, where these are all ASCII
and nothing is escaped (`\\u`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from heapq import merge
from itertools import groupby
from typing import Any

import apsw
import msgspec

from p2pshare.database.fetching import Row, fetch
from p2pshare.envelope.payload import inflate_frame
from p2pshare.errors import PeerError
from p2pshare.identifiers import EnvelopeId, PartnerId
from p2pshare.intel.json_rescue import elements_of
from p2pshare.intel.marking import Pap, Tlp
from p2pshare.intel.object_texts import labels_of, texts_of
from p2pshare.intel.observable import TYPES
from p2pshare.knowledge.interface import ObjectFork, ObjectVersion, Walked, Wanted
from p2pshare.knowledge.object_keys import INDICATOR, encode_object_id

SLICE_ROWS = 8_192  # rows looked at in one short transaction

_COLUMNS = "c.frame, c.position, a.partner_id, e.envelope_id, c.modified_us, c.tlp, {pap}, c.status, f.received_at, {fallen}"
_OBJECT_FALLEN = (
    "(SELECT d.fell_us >= coalesce(c.modified_us, 0) FROM derivation d WHERE d.id = c.derivation)"
)
_PLACES = """
JOIN organisation a ON a.id = c.author JOIN frame f ON f.id = c.frame JOIN envelope e ON e.lsn = f.envelope
"""
_CURRENT_CLAIMS = f"""
SELECT {_COLUMNS.format(pap="c.pap", fallen="c.is_fallen")} FROM claim c {_PLACES}
WHERE c.id BETWEEN :first AND :last AND +c.status < 2
AND (:value_type IS NULL OR c.observable IN (
    SELECT o.id FROM observable o JOIN observable_type t ON t.id = o.type WHERE o.id = c.observable AND t.name = :value_type
))
"""
_CURRENT_OBJECTS = f"""
SELECT {_COLUMNS.format(pap="NULL", fallen=_OBJECT_FALLEN)} FROM object c {_PLACES} JOIN object_type t ON t.id = c.type
WHERE c.id BETWEEN :first AND :last AND +c.status < 2 AND (:type IS NULL OR t.name = :type)
"""
_NARROWED = """
AND (:author IS NULL OR a.partner_id = :author) AND (:tlp IS NULL OR c.tlp = :tlp)
AND (:since IS NULL OR f.received_at >= :since) ORDER BY c.id DESC
"""
_RUN = re.compile(r"[0-9A-Za-z]+", re.ASCII)

_TLPS = {int(level): level for level in Tlp}
_PAPS = {int(level): level for level in Pap}


def search(connection: apsw.Connection, wanted: Wanted, walked: Walked) -> Iterator[ObjectVersion]:
    tables = []
    if wanted.type is None or wanted.type == INDICATOR or wanted.type in TYPES:
        tables.append(("claim", _CURRENT_CLAIMS))
    if wanted.type not in TYPES:
        tables.append(("object", _CURRENT_OBJECTS))
    total = sum(_last_id(connection, table) for table, _ in tables)
    bindings = {
        "type": wanted.type,
        "value_type": wanted.type if wanted.type in TYPES else None,
        "author": None if wanted.author is None else bytes(wanted.author),
        "tlp": None if wanted.tlp is None else int(wanted.tlp),
        "since": wanted.since,
    }
    progress = _Progress(walked, total)
    rows = [_rows_of(connection, table, select, bindings, progress) for table, select in tables]
    frames = _Frames(connection, wanted)
    before: tuple[int, int] | None = None
    given = Counter[bytes]()
    for row in merge(*rows, key=lambda row: row[:2], reverse=True):
        place = row[:2]
        if place == before:  # an indicator has a claim for each of its observables
            continue
        before = place
        if wanted.of_each_author is not None and given[row[2]] >= wanted.of_each_author:
            continue
        raw = frames.raw(*place)
        if raw is not None and _fits(raw, wanted):
            given[row[2]] += 1
            yield _version(row, raw)


class _Progress:
    """Rows walked in both tables, added up."""

    def __init__(self, walked: Walked, total: int) -> None:
        self._walked, self._total, self._done = walked, total, 0

    def add(self, rows: int) -> None:
        self._done += rows
        self._walked(self._done, self._total)


def _last_id(connection: apsw.Connection, table: str) -> int:
    ((last,),) = fetch(connection, f"SELECT coalesce(max(id), 0) FROM {table}")
    return int(last)


def _rows_of(
    connection: apsw.Connection, table: str, select: str, bindings: dict[str, Any], progress: _Progress
) -> Iterator[Row]:
    """Yields rows by falling id, which is falling (frame, position) too: rows are given ids in the order of their frames."""
    for last in range(_last_id(connection, table), 0, -SLICE_ROWS):
        first = max(1, last - SLICE_ROWS + 1)
        yield from fetch(connection, select + _NARROWED, bindings | {"first": first, "last": last})
        progress.add(last - first + 1)


class _Frames:
    """The objects of the frame that is being walked; one frame at a time, each inflated once."""

    def __init__(self, connection: apsw.Connection, wanted: Wanted) -> None:
        self._connection = connection
        self._needles = [needle for text in (wanted.text, wanted.label) if (needle := _needle(text))]
        self._frame = 0
        self._objects: Sequence[msgspec.Raw] = ()

    def raw(self, frame: int, position: int) -> bytes | None:
        """Returns an object's JSON; None when its frame cannot hold the words asked for, or cannot be read."""
        if frame != self._frame:
            self._frame, self._objects = frame, self._read(frame)
        return bytes(self._objects[position]) if position < len(self._objects) else None

    def _read(self, frame: int) -> Sequence[msgspec.Raw]:
        text = _inflated(self._connection, frame)
        lower = text.lower() if self._needles else b""
        # A letter beyond ASCII may fold to ASCII ones (sharp s to ss), escaped or not: then the bytes do not tell.
        is_plain = lower.isascii() and b"\\u" not in lower
        if is_plain and not all(needle in lower for needle in self._needles):
            return ()
        return elements_of(text)


def _needle(text: str) -> bytes:
    """Returns the longest run of ASCII letters and digits. Letters beyond ASCII may fold to several, so they cut runs."""
    return max(_RUN.findall(text), key=len, default="").lower().encode()


def _inflated(connection: apsw.Connection, frame: int) -> bytes:
    found = fetch(connection, "SELECT bytes FROM frame WHERE id = ?", (frame,))
    try:
        return inflate_frame(found[0][0]) if found else b""
    except PeerError:
        return b""


def _fits(raw: bytes, wanted: Wanted) -> bool:
    if not wanted.text and not wanted.label:
        return True
    try:
        stix = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        return False
    label, text = wanted.label.casefold(), wanted.text.casefold()
    if label and label not in (one.casefold() for one in labels_of(stix)):
        return False
    return not text or any(text in one.casefold() for one in texts_of(stix))


def _version(row: Row, raw: bytes) -> ObjectVersion:
    _, _, author, envelope_id, modified, tlp, pap, status, received_at, is_fallen = row
    return ObjectVersion(
        author=PartnerId(author),
        envelope_id=EnvelopeId(envelope_id),
        modified_us=modified,
        tlp=_TLPS[tlp],
        pap=None if pap is None else _PAPS[pap],
        is_current=status < 2,
        is_revoked=status == 1,
        received_at=received_at,
        raw=raw,
        is_fallen=status < 2 and bool(is_fallen),
    )


_CLAIM_VERSIONS = f"""
SELECT DISTINCT {_COLUMNS.format(pap="c.pap", fallen="c.is_fallen")} FROM claim c {_PLACES} WHERE c.object_key = ? AND c.status {{status}}
"""
_OBJECT_VERSIONS = f"""
SELECT {_COLUMNS.format(pap="NULL", fallen=_OBJECT_FALLEN)} FROM object c JOIN object_type t ON t.id = c.type {_PLACES}
WHERE c.object_key = ? AND t.name = ? AND c.status {{status}}
"""


def object_versions(
    connection: apsw.Connection, object_id: str, author: PartnerId | None = None, newest: int | None = None
) -> list[ObjectVersion]:
    prefix, key = encode_object_id(object_id)
    rows: list[Row] = []
    for status in ("< 2", "= 2"):  # each has its own partial index
        claim_key = key if prefix == INDICATOR else object_id
        rows += fetch(connection, _CLAIM_VERSIONS.format(status=status), (claim_key,))
        rows += fetch(connection, _OBJECT_VERSIONS.format(status=status), (key, prefix))
    rows.sort(key=lambda row: row[:2])
    if author is not None:
        rows = [row for row in rows if row[2] == bytes(author)]
    if newest is not None:
        rows = rows[max(0, len(rows) - newest) :]
    found = []
    for frame, of_frame in groupby(rows, key=lambda row: row[0]):
        objects = elements_of(_inflated(connection, frame))  # no budget: every version is shown
        found += [_version(row, bytes(objects[row[1]])) for row in of_frame if row[1] < len(objects)]
    return found


def envelope_objects(connection: apsw.Connection, envelope_id: EnvelopeId) -> Iterator[bytes]:
    frames = fetch(
        connection,
        """SELECT f.id FROM frame f JOIN envelope e ON e.lsn = f.envelope WHERE e.envelope_id = ? ORDER BY f.id""",
        (bytes(envelope_id),),
    )
    for (frame,) in frames:
        yield from map(bytes, elements_of(_inflated(connection, frame)))


def envelope_markings(connection: apsw.Connection) -> dict[EnvelopeId, Tlp]:
    rows = fetch(
        connection,
        """SELECT e.envelope_id, max(m.tlp) FROM (
            SELECT frame, max(tlp) AS tlp FROM claim GROUP BY frame
            UNION ALL SELECT frame, max(tlp) FROM object GROUP BY frame
        ) m JOIN frame f ON f.id = m.frame JOIN envelope e ON e.lsn = f.envelope GROUP BY e.lsn""",
    )
    return {EnvelopeId(envelope_id): _TLPS[tlp] for envelope_id, tlp in rows}


def object_forks(connection: apsw.Connection) -> list[ObjectFork]:
    rows = fetch(
        connection,
        """SELECT o.partner_id, f.object_id, f.modified_us, a.envelope_id, b.envelope_id, f.times, f.noted_at
        FROM object_fork f JOIN organisation o ON o.id = f.author
        JOIN frame x ON x.id = f.first_frame JOIN envelope a ON a.lsn = x.envelope
        JOIN frame y ON y.id = f.second_frame JOIN envelope b ON b.lsn = y.envelope
        ORDER BY f.noted_at, f.object_id""",
    )
    return [
        ObjectFork(
            PartnerId(author), object_id, modified, EnvelopeId(first), EnvelopeId(second), times, noted_at
        )
        for author, object_id, modified, first, second, times, noted_at in rows
    ]


def fork_count(connection: apsw.Connection) -> int:
    ((count,),) = fetch(connection, "SELECT count(*) FROM object_fork")
    return int(count)
