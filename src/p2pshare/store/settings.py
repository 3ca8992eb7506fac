"""Settings: single values that live with the data. Names used: last_lsn, epoch, own_id, siem_tlp_max, guard_state."""

from __future__ import annotations

import apsw

from p2pshare.store.fetching import fetch

Value = str | int | bytes


def get_setting(connection: apsw.Connection, name: str) -> Value | None:
    rows = fetch(connection, "SELECT value FROM setting WHERE name = ?", (name,))
    return rows[0][0] if rows else None


def put_setting(connection: apsw.Connection, name: str, value: Value) -> None:
    connection.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (name, value))
