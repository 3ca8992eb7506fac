"""What ingest is compared with: the same SQL with everything else left out, and what a user would write first."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import stix2
from stix2patterns.v21.pattern import Pattern

from p2pshare.node.node import Node

Statement = tuple[str, tuple[object, ...]]


class Recording:
    """The statements that one ingest ran, with their values; `replay` runs them again on a fresh store."""

    def __init__(self, node: Node) -> None:
        self._writer = node.store.database._writer
        self._statements: list[Statement] = []

    def __enter__(self) -> Recording:
        self._writer.exec_trace = self._note
        return self

    def _note(self, cursor: object, statement: str, bindings: tuple[object, ...] | None) -> bool:
        self._statements.append((statement, bindings or ()))
        return True

    def __exit__(self, *error: object) -> None:
        self._writer.exec_trace = None

    def batches(self) -> list[tuple[str, list[tuple[object, ...]]]]:
        """Neighbours of one text become one executemany: the least that Python can do."""
        grouped = groupby(self._statements, key=lambda one: one[0])
        return [(text, [bindings for _, bindings in group]) for text, group in grouped]


def replay(node: Node, batches: Sequence[tuple[str, list[tuple[object, ...]]]]) -> None:
    """The SQL replay ceiling: ready tuples, same statements, same transactions, same settings."""
    writer = node.store.database._writer
    for statement, rows in batches:
        if statement.lstrip().startswith("INSERT") and len(rows) > 1:
            writer.executemany(statement, rows)
        else:
            for bindings in rows:
                writer.execute(statement, bindings).fetchall()


def naive(objects: Sequence[dict[str, object]], path: Path) -> None:
    """stix2.parse, stix2-patterns and a row a value in sqlite3."""
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path)
    connection.execute(
        "CREATE TABLE indicator (id TEXT, type TEXT, value TEXT, json TEXT, UNIQUE (type, value, id))"
    )
    for one in objects:
        parsed = stix2.parse(json.dumps(one), allow_custom=True)
        for type_, comparisons in Pattern(parsed.pattern).inspect().comparisons.items():
            for _, _, value in comparisons:
                connection.execute(
                    "INSERT OR IGNORE INTO indicator VALUES (?, ?, ?, ?)",
                    (parsed.id, type_, value.strip("'").lower(), parsed.serialize()),
                )
    connection.commit()
    connection.close()
    path.unlink()
