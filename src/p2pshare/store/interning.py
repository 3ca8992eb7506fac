# ruff: noqa: S608 - statements are put together from this program's own text only
"""Small integers for what repeats: organisations, types and label sets. Ids are remembered across transactions.

A rollback takes the rows away again, so whoever rolls back must call `forget`.
"""

from __future__ import annotations

import json

import apsw

from p2pshare.identifiers import PartnerId
from p2pshare.store.fetching import fetch
from p2pshare.store.standing import note_type

REMEMBERED_MAX = 20_000  # label sets, types: a hostile author can make every one its own; then we only forget


class Interning:
    """Looks up, or makes, the id of a repeated thing. For the writing connection only."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._organisations: dict[bytes, int] = {}
        self._types: dict[str, dict[str, int]] = {"observable_type": {}, "object_type": {}}
        self._label_sets: dict[tuple[str, ...], int] = {}

    def forget(self) -> None:
        """After a rollback: ids given in that transaction never were."""
        self._organisations.clear()
        self._label_sets.clear()
        for names in self._types.values():
            names.clear()

    def organisation(self, partner_id: PartnerId) -> int:
        known = self._organisations.get(partner_id)
        if known is None:
            known = self._intern("organisation", "partner_id", bytes(partner_id))
            self._organisations[partner_id] = known
        return known

    def observable_type(self, name: str) -> int:
        return self._type("observable_type", name)

    def count_observables(self, type_id: int, added: int) -> None:
        """Keeps the number of observables of a type, so that nobody has to count millions of rows."""
        if added:
            self._connection.execute(
                "UPDATE observable_type SET count = count + ? WHERE id = ?", (added, type_id)
            )

    def object_type(self, name: str) -> int:
        return self._type("object_type", name)

    def label_set(self, labels: tuple[str, ...]) -> int | None:
        """None for the empty set, which most claims have."""
        if not labels:
            return None
        known = self._label_sets.get(labels)
        if known is None:
            if len(self._label_sets) >= REMEMBERED_MAX:
                self._label_sets.clear()
            text = json.dumps(labels, ensure_ascii=False, separators=(",", ":"))
            known = self._intern("label_set", "labels", text)
            self._label_sets[labels] = known
        return known

    def _type(self, table: str, name: str) -> int:
        names = self._types[table]
        known = names.get(name)
        if known is None:
            if len(names) >= REMEMBERED_MAX:
                names.clear()
            known = names[name] = self._intern(table, "name", name)
        return known

    def _intern(self, table: str, column: str, value: str | bytes) -> int:
        found = fetch(
            self._connection,
            f"SELECT id FROM {table} WHERE {column} = ?",
            (value,),
        )
        if found:
            return int(found[0][0])
        self._connection.execute(f"INSERT INTO {table} ({column}) VALUES (?)", (value,))
        row_id = int(self._connection.last_insert_rowid())
        if table == "observable_type":
            note_type(self._connection, str(value))
        return row_id
