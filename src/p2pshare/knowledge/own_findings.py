# ruff: noqa: S608 - statements are put together from this program's own text only
"""Findings of our own beside others' objects that say the same: which they are, and whose author has taken back its own since.

We alone know of them: a statement that names no origin is independent wherever it is read, and so it stays when the other
author withdraws. We are told then, for a withdrawal is a reason to look again (docs/store.md, "Own findings").
"""

from __future__ import annotations

from collections.abc import Iterable

import apsw

from p2pshare.database.fetching import fetch
from p2pshare.database.settings import OWN_ID, get_setting
from p2pshare.identifiers import PartnerId
from p2pshare.intel.withdrawing import Reason
from p2pshare.knowledge.interface import FindingWithdrawn, OwnFinding
from p2pshare.knowledge.object_keys import decode_object_id, encode_object_id
from p2pshare.knowledge.vocabulary import Vocabulary
from p2pshare.knowledge.withdrawals import CLAIM_TYPES

_ADD = """
INSERT INTO own_finding VALUES (?, ?, (SELECT id FROM organisation WHERE partner_id = ?), ?, ?, ?)
ON CONFLICT DO UPDATE SET noted_at = max(noted_at, excluded.noted_at)
"""
# The current rows of an object, in both tables: each is found by its key in an index.
_HAS = """(
    EXISTS (
        SELECT 1 FROM claim c INDEXED BY claim_current
        WHERE c.object_key = {key} AND c.author = {author} AND c.status < 2 AND +c.status = {status}
        AND {type} IN {claim_types}
    ) OR EXISTS (
        SELECT 1 FROM object o INDEXED BY object_current
        WHERE o.object_key = {key} AND o.author = {author} AND o.status < 2 AND +o.status = {status} AND o.type = {type}
    )
)"""
_THEIRS = {"key": "f.object_key", "author": "f.author", "type": "f.type", "claim_types": CLAIM_TYPES}
_OURS = {"key": "f.own_key", "author": ":own", "type": "f.own_type", "claim_types": CLAIM_TYPES}
_WITHDRAWN = f"""
SELECT y.name, f.object_key, a.partner_id, z.name, f.own_key, w.reason, w.replaced_by, at
FROM (
    SELECT f.*, coalesce(
        (SELECT w.received_at FROM withdrawal w
            WHERE w.object_key = f.object_key AND w.type = f.type AND w.author = f.author),
        (SELECT max(r.received_at) FROM claim c INDEXED BY claim_current JOIN frame r ON r.id = c.frame
            WHERE c.object_key = f.object_key AND c.author = f.author AND c.status < 2),
        (SELECT max(r.received_at) FROM object o INDEXED BY object_current JOIN frame r ON r.id = o.frame
            WHERE o.object_key = f.object_key AND o.author = f.author AND o.status < 2)
    ) AS at
    FROM own_finding f
    WHERE {_HAS.format(status=1, **_THEIRS)} AND NOT {_HAS.format(status=0, **_THEIRS)}
    AND {_HAS.format(status=0, **_OURS)}
) f
JOIN object_type y ON y.id = f.type
JOIN object_type z ON z.id = f.own_type
JOIN organisation a ON a.id = f.author
LEFT JOIN withdrawal w ON w.object_key = f.object_key AND w.type = f.type AND w.author = f.author
WHERE f.at >= f.noted_at
ORDER BY f.at DESC, f.object_key LIMIT :limit
"""


def note(
    connection: apsw.Connection, vocabulary: Vocabulary, findings: Iterable[OwnFinding], now: int
) -> None:
    """Keep which objects of ours state what another's does. Those of an author of whom nothing is held are passed over."""
    for one in findings:
        type_, key = encode_object_id(one.object_id)
        own_type, own_key = encode_object_id(one.own_id)
        if fetch(connection, "SELECT 1 FROM organisation WHERE partner_id = ?", (bytes(one.author),)):
            place = (key, vocabulary.object_type(type_), bytes(one.author))
            connection.execute(_ADD, (*place, own_key, vocabulary.object_type(own_type), now))


def withdrawn(connection: apsw.Connection, limit: int) -> list[FindingWithdrawn]:
    own = fetch(
        connection, "SELECT id FROM organisation WHERE partner_id = ?", (get_setting(connection, OWN_ID),)
    )
    if not own or not fetch(connection, "SELECT 1 FROM own_finding LIMIT 1"):
        return []
    return [
        FindingWithdrawn(
            author=PartnerId(author),
            object_id=decode_object_id(type_, key),
            own_id=decode_object_id(own_type, own_key),
            reason=None if reason is None else Reason(reason),
            replaced_by=replaced_by,
            received_at=at,
        )
        for type_, key, author, own_type, own_key, reason, replaced_by, at in fetch(
            connection, _WITHDRAWN, {"own": own[0][0], "limit": limit}
        )
    ]
