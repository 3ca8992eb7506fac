"""Ingest: frames of objects become observables, claims and object rows, a chunk of frames at a time.

Frames may be produced lazily: no more than a chunk of rows and one frame is held at once, however large the envelope is.
"""

from __future__ import annotations

from collections.abc import Iterable

import apsw

from p2pshare.limits import STORE_CHUNK_OBJECTS
from p2pshare.store.chunk import Chunk, next_id
from p2pshare.store.interface import NewFrame
from p2pshare.store.interning import Interning
from p2pshare.store.known_versions import Source, StoredFrame


def add_content(
    connection: apsw.Connection, interning: Interning, content: Iterable[tuple[Source, NewFrame]]
) -> None:
    """Stores frames and what was read from them, inside the caller's transaction."""
    pending: list[StoredFrame] = []
    rows = 0
    next_frame = next_id(connection, "frame")
    for source, frame in content:
        row = (next_frame, source.lsn, source.received_at, frame.frame)
        connection.execute("INSERT INTO frame VALUES (?, ?, ?, ?)", row)
        pending.append(StoredFrame(source, next_frame, frame.objects))
        next_frame += 1
        rows += sum(len(one.claims) or 1 for one in frame.objects)  # one pattern may name a thousand values
        if rows >= STORE_CHUNK_OBJECTS:
            Chunk(connection, interning, pending).store()
            pending, rows = [], 0
    if pending:
        Chunk(connection, interning, pending).store()
