"""The file of an exercise: the tables of the store for one realm, under an application id of its own, and without views.

Whoever opens a store refuses it, and whoever opens an exercise refuses a store, and the file of another exercise (`database.schema`). The import
contract `exercises-behind-one-door` says who may import this.
"""

from __future__ import annotations

from dataclasses import replace

from p2pshare.database.schema import STORE, Schema

EXERCISE_APPLICATION_ID = int.from_bytes(b"p2px", "big")


def exercise_schema(realm: bytes) -> Schema:
    """Returns the schema of the file of the exercise in `realm` (16 bytes, not all zeros). Raises ValueError."""
    if len(realm) != 16 or not any(realm):
        raise ValueError("an exercise's realm has 16 bytes, and they are not all zeros")
    return replace(
        STORE,
        application_id=EXERCISE_APPLICATION_ID,
        older_hint="`p2pshare exercise remove` it, and have its lead invite you again",
        realm=bytes(realm),
        has_views=False,
    )
