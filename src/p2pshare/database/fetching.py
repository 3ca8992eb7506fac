"""Rows of a query as plain tuples; their shape is known where the statement is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import apsw

Row = tuple[Any, ...]


def fetch(
    connection: apsw.Connection, statement: str, bindings: Sequence[Any] | Mapping[str, Any] = ()
) -> list[Row]:
    """Returns all rows at once, so that no statement stays open behind them."""
    return connection.execute(statement, bindings).fetchall()
