"""Labels that this node adds to claims: of an object that its author told in an incident, and that says nothing of it itself.

An object of a file stays as it was written, for STIX knows one versioner; so the label is in the row of the claim, and a later version of
the object comes without it until it is added again.
"""

from __future__ import annotations

import json
from collections.abc import Collection

import apsw

from p2pshare.database.arrays import key_tables
from p2pshare.database.fetching import fetch
from p2pshare.identifiers import PartnerId
from p2pshare.knowledge.known_versions import claim_key
from p2pshare.knowledge.object_keys import encode_object_id
from p2pshare.knowledge.vocabulary import Labels, Vocabulary

_CURRENT = """
SELECT c.id, l.labels FROM {keys} k CROSS JOIN claim c INDEXED BY claim_current ON c.object_key = k.value
LEFT JOIN label_set l ON l.id = c.label_set
WHERE c.status < 2 AND c.author = (SELECT a.id FROM organisation a WHERE a.partner_id = ?)
"""


def lacking(
    connection: apsw.Connection, author: PartnerId, object_ids: Collection[str], label: str
) -> list[tuple[int, Labels]]:
    """Returns the current claims out of objects of these ids by this author that lack a label: row, and the labels it has."""
    found = []
    keys = {claim_key(encode_object_id(one)) for one in object_ids}
    for table, bound in key_tables(keys):
        for row, stored in fetch(connection, _CURRENT.format(keys=table), (bound, bytes(author))):
            labels = tuple(json.loads(stored)) if stored else ()
            if label not in labels:
                found.append((row, labels))
    return found


def add_label(
    connection: apsw.Connection,
    vocabulary: Vocabulary,
    claims: Collection[tuple[int, Labels]],
    label: str,
) -> None:
    """Add a label to claims, as `lacking` returns them. Inside the caller's transaction."""
    connection.executemany(
        "UPDATE claim SET label_set = ? WHERE id = ?",
        [(vocabulary.label_set((*labels, label)), row) for row, labels in claims],
    )
