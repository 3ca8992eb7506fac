# ruff: noqa: S608 - statements are put together from this program's own text only
"""Rows that wait to be written, and changes of status and marking to rows that may be waiting or stored."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import apsw

CURRENT, REVOKED, SUPERSEDED = 0, 1, 2  # claim.status and object.status
_STATUS, _TLP = 6, 7  # their places in a row of either table


class PendingRows:
    """New rows of the table `claim` or `object`, with explicit ids in order, and changes to older ones."""

    def __init__(self, table: str, first_id: int) -> None:
        self._table = table
        self._first = first_id
        self._rows: list[tuple[Any, ...]] = []
        self.append = self._rows.append
        """Takes a row whose first column is `next`, which the caller then counts on."""
        self._superseded: list[tuple[int]] = []
        self._tightened: list[tuple[int, int]] = []
        self.next = first_id

    def supersede(self, ids: Iterable[int]) -> None:
        for row_id in ids:
            if row_id >= self._first:
                self._replace(row_id, _STATUS, SUPERSEDED)
            else:
                self._superseded.append((row_id,))

    def tighten(self, ids: Iterable[int], tlp: int) -> None:
        for row_id in ids:
            if row_id >= self._first:
                self._replace(row_id, _TLP, tlp)
            else:
                self._tightened.append((tlp, row_id))

    def _replace(self, row_id: int, place: int, value: int) -> None:
        row = self._rows[row_id - self._first]
        self._rows[row_id - self._first] = (*row[:place], value, *row[place + 1 :])

    def write(self, connection: apsw.Connection) -> None:
        """Writes it all, inside the caller's transaction."""
        if self._rows:
            marks = ", ".join("?" * len(self._rows[0]))
            connection.executemany(f"INSERT INTO {self._table} VALUES ({marks})", self._rows)
        update = f"UPDATE {self._table} SET "
        if self._superseded:
            connection.executemany(f"{update} status = {SUPERSEDED} WHERE id = ?", self._superseded)
        if self._tightened:
            connection.executemany(f"{update} tlp = ? WHERE id = ?", self._tightened)
