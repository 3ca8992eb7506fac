"""The words that repeat among claims and objects: their types and label sets, each a small integer in the rows."""

from __future__ import annotations

import json

import apsw

from p2pshare.database.database import Database
from p2pshare.database.interned import Interned
from p2pshare.knowledge.state_table import note_type

Labels = tuple[str, ...]


class _ObservableTypes(Interned[str]):
    """Types of observables, each with the lifetime of claims about it, where the views can see it."""

    def _made(self, value: str) -> None:
        note_type(self._connection, value)


class _LabelSets(Interned[Labels]):
    """Sets of labels, each as a JSON array."""

    def _stored(self, value: Labels) -> str:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class Vocabulary:
    """Ids of words, looked up or made. Inside a transaction only."""

    def __init__(self, database: Database) -> None:
        self.observable_type = database.interned(_ObservableTypes, "observable_type", "name").id_of
        self.object_type = database.interned(Interned[str], "object_type", "name").id_of
        self._label_set = database.interned(_LabelSets, "label_set", "labels").id_of

    def label_set(self, labels: Labels) -> int | None:
        """Returns the id of a set; None for the empty set, which most claims have."""
        return self._label_set(labels) if labels else None


def count_observables(connection: apsw.Connection, type_id: int, added: int) -> None:
    """Add to the number of observables of a type, which is kept so that nobody has to count millions of rows."""
    if added:
        connection.execute("UPDATE observable_type SET count = count + ? WHERE id = ?", (added, type_id))
