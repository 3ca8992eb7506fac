# ruff: noqa: S608 - statements are put together from this program's own text only
"""Current versions, decided anew over the newest versions of an object (`versions.latest`): all of them, unless it has thousands.

Needed where a version that its author sealed earlier comes later and changes which is current: a first copy of a
version that was known from a second, or another content of a fork. A version that arrives in order never gets here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence

import apsw
import msgspec

from p2pshare.database.arrays import MANY, key_tables, row_ids
from p2pshare.database.fetching import fetch
from p2pshare.knowledge.contents import Contents
from p2pshare.knowledge.known_versions import claim_key, newest_versions
from p2pshare.knowledge.object_keys import EncodedId
from p2pshare.knowledge.row_changes import CURRENT, REVOKED, SUPERSEDED
from p2pshare.knowledge.versions import Version, latest
from p2pshare.limits import FRAME_BYTES_MAX

# Of most objects there is one version: then nothing is to be decided.
_SEVERAL = """
SELECT k.value FROM {keys} k WHERE
EXISTS (SELECT 1 FROM {table} c INDEXED BY {table}_superseded
    WHERE c.object_key = k.value AND c.author = ? AND c.status = 2)
OR EXISTS (SELECT 1 FROM {table} c INDEXED BY {table}_current
    WHERE c.object_key = k.value AND c.author = ? AND c.status < 2 AND +c.status = 1)
"""
_MARK = """
INSERT OR IGNORE INTO dirty SELECT c.observable FROM {keys} k
CROSS JOIN claim c INDEXED BY claim_current ON c.object_key = k.value AND c.author = ? AND c.status < 2
"""


def reselect(connection: apsw.Connection, objects: Collection[tuple[int, EncodedId]]) -> None:
    """Set the status of each version of these (author, object), which have their rows. Withdrawals are applied after.

    The effect of a claim depends on when it was sealed, so the observables are evaluated anew in any case.
    """
    by_author: dict[int, list[EncodedId]] = defaultdict(list)
    for author, key in objects:
        by_author[author].append(key)
    for author, keys in by_author.items():
        claim_keys = {key: claim_key(key) for key in keys}
        several: set[bytes | str] = set()
        for table, wanted in (("claim", set(claim_keys.values())), ("object", {key for _, key in keys})):
            for keys_table, bound in key_tables(wanted):
                statement = _SEVERAL.format(keys=keys_table, table=table)
                several.update(key for (key,) in fetch(connection, statement, (bound, author, author)))
        _reselect(
            connection, author, [key for key in keys if claim_keys[key] in several or key[1] in several]
        )
        for keys_table, bound in key_tables(set(claim_keys.values())):
            connection.execute(_MARK.format(keys=keys_table), (bound, author))


def _reselect(connection: apsw.Connection, author: int, keys: Sequence[EncodedId]) -> None:
    """Those that are current are read in the order of their frames: each frame is inflated once, not for each object in it."""
    contents = Contents(connection, budget_bytes=FRAME_BYTES_MAX * len(keys))
    chosen: list[Version] = []
    for key in keys:
        versions = newest_versions(connection, author, key)
        current = latest(versions)
        chosen += current
        for version in versions:
            if version not in current:
                _set(connection, version, SUPERSEDED)
    for version in sorted(chosen, key=lambda version: version.place):
        _set(connection, version, REVOKED if _is_revoked(contents, version) else CURRENT)


def _set(connection: apsw.Connection, version: Version, status: int) -> None:
    for table, ids in (("claim", version.claim_ids), ("object", version.object_ids)):
        if ids:
            these = f"id IN (SELECT value FROM {MANY}) AND status != ?"
            connection.execute(f"UPDATE {table} SET status = ? WHERE {these}", (status, row_ids(ids), status))


class _Fields(msgspec.Struct):
    revoked: bool = False


def _is_revoked(contents: Contents, version: Version) -> bool:
    """Returns the `revoked` that its author wrote in it; True for a version that can no longer be read, which
    is not brought back."""
    raw = contents.raw(*version.place)
    try:
        return raw is None or msgspec.json.decode(raw, type=_Fields).revoked
    except msgspec.DecodeError:
        return True
