# ruff: noqa: S608 - statements are put together from this program's own text only
"""Rows that wait to be written, and changes of status and marking to rows that may be waiting or stored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import apsw

from p2pshare.database.arrays import MANY, row_ids

CURRENT, REVOKED, SUPERSEDED = 0, 1, 2  # claim.status and object.status
_FRAME, _POSITION, _STATUS, _TLP = 4, 5, 6, 7  # their places in a row of either table


class PendingRows:
    """New rows of the table `claim` or `object`, with explicit ids in order, and changes to older ones."""

    def __init__(self, table: str, first_id: int) -> None:
        self._table = table
        self._first = first_id
        self.rows: list[tuple[Any, ...]] = []
        self.append = self.rows.append
        """Add a row whose first column is `next`; the caller then raises `next`."""
        self._superseded: list[int] = []
        self._tightened: dict[int, list[int]] = defaultdict(list)
        self._moved: dict[int, tuple[int, int]] = {}
        self.next = first_id

    def supersede(self, ids: Iterable[int]) -> None:
        for row_id in ids:
            if row_id >= self._first:
                self._replace(row_id, _STATUS, SUPERSEDED)
            else:
                self._superseded.append(row_id)

    def tighten(self, ids: Iterable[int], tlp: int) -> None:
        for row_id in ids:
            if row_id >= self._first:
                self._replace(row_id, _TLP, tlp)
            else:
                self._tightened[tlp].append(row_id)

    def move(self, ids: Iterable[int], frame: int, position: int) -> None:
        """Move rows to a place where the same content stands, too, and where its author sealed it first."""
        for row_id in ids:
            if row_id >= self._first:
                self._replace(row_id, _FRAME, frame)
                self._replace(row_id, _POSITION, position)
            else:
                self._moved[row_id] = (frame, position)

    def _replace(self, row_id: int, place: int, value: int) -> None:
        row = self.rows[row_id - self._first]
        self.rows[row_id - self._first] = (*row[:place], value, *row[place + 1 :])

    def write(self, connection: apsw.Connection) -> None:
        """Write the new rows and the changes, inside the caller's transaction."""
        if self.rows:
            marks = ", ".join("?" * len(self.rows[0]))
            connection.executemany(f"INSERT INTO {self._table} VALUES ({marks})", self.rows)
        # One statement for all: with a trigger on the table each statement costs a journal of its own.
        update, these = f"UPDATE {self._table} SET", f"WHERE id IN (SELECT value FROM {MANY})"
        if self._superseded:
            connection.execute(f"{update} status = {SUPERSEDED} {these}", (row_ids(self._superseded),))
        for tlp, ids in sorted(self._tightened.items()):  # the strictest last: an id may be in several
            connection.execute(f"{update} tlp = ? {these}", (tlp, row_ids(ids)))
        places = ((*place, row_id) for row_id, place in self._moved.items())
        connection.executemany(f"{update} frame = ?, position = ? WHERE id = ?", places)
