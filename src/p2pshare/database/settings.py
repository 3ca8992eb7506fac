"""Settings: single values that live with the data, each declared once by the room that owns it.

A setting has a name (also used by the views) and a type; putting one does nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

import apsw

from p2pshare.database.fetching import fetch
from p2pshare.errors import StoreError

V = TypeVar("V", str, int, bytes)


@dataclass(frozen=True, slots=True)
class Setting(Generic[V]):
    """A named value of one type."""

    name: str
    type: type[V]


OWN_ID = Setting("own_id", bytes)
"""Our own partner id, 32 bytes: by it every room distinguishes our data from others'."""


def get_setting(connection: apsw.Connection, setting: Setting[V]) -> V | None:
    """Returns the value, None when it was never put. Raises StoreError `store-damaged` for one of another type."""
    rows = fetch(connection, "SELECT value FROM setting WHERE name = ?", (setting.name,))
    if not rows:
        return None
    value = rows[0][0]
    if not isinstance(value, setting.type):
        raise StoreError(
            f"the store's setting {setting.name} is no {setting.type.__name__}",
            hint="restore it from a backup; partners send again what is missing",
            reason="store-damaged",
        )
    return value


def put_setting(connection: apsw.Connection, setting: Setting[V], value: V) -> None:
    connection.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (setting.name, value))
