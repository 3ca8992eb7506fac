"""Which envelopes are one publication, by what their authors say inside (docs/envelope.md, "Payload"). Functions on any
connection, promised by `Knowledge`.

A publication is named by its author and its id: two authors never share one. A row is written once the content of an
envelope was read, for a relay cannot know of it; it stays with that content.
"""

from __future__ import annotations

from itertools import groupby

import apsw

from p2pshare.database.fetching import fetch
from p2pshare.envelope.payload import PartPlace
from p2pshare.identifiers import EnvelopeId, PartnerId, PublicationId
from p2pshare.knowledge.interface import HeldPublication, PublicationPart

_VALUES = """
SELECT count(DISTINCT c.observable) FROM claim c WHERE c.frame IN (
    SELECT f.id FROM publication_part p JOIN frame f ON f.envelope = p.envelope WHERE p.publication = ?
    AND p.author = (SELECT id FROM organisation WHERE partner_id = ?)
)
"""


def put_part(connection: apsw.Connection, lsn: int, author: int, part: PublicationPart) -> None:
    """Note of which publication the envelope `lsn` of `author` (its row) is a part."""
    connection.execute(
        "INSERT OR IGNORE INTO publication_part VALUES (?, ?, ?, ?, ?)",
        (lsn, author, bytes(part.publication), part.place.number, part.place.of),
    )


def part_of(connection: apsw.Connection, envelope_id: EnvelopeId) -> PublicationPart | None:
    """See `KnowledgeReading.part_of`."""
    rows = fetch(
        connection,
        """SELECT p.publication, p.number, p.parts FROM envelope e JOIN publication_part p ON p.envelope = e.lsn
        WHERE e.envelope_id = ?""",
        (bytes(envelope_id),),
    )
    for publication, number, parts in rows:
        return PublicationPart(PublicationId(publication), PartPlace(number, parts))
    return None


def publications(connection: apsw.Connection, publication: PublicationId) -> list[HeldPublication]:
    """See `KnowledgeReading.publications`. Of two envelopes that say to be one part the first that was taken in is it."""
    rows = fetch(
        connection,
        """SELECT a.partner_id, p.number, p.parts, e.envelope_id FROM publication_part p
        JOIN envelope e ON e.lsn = p.envelope JOIN organisation a ON a.id = p.author
        WHERE p.publication = ? ORDER BY a.partner_id, p.number, p.envelope""",
        (bytes(publication),),
    )
    found = []
    for partner_id, group in groupby(rows, key=lambda row: row[0]):
        each = list(group)
        envelopes: dict[int, EnvelopeId] = {}
        for _, number, _, envelope_id in each:
            envelopes.setdefault(number, EnvelopeId(envelope_id))
        parts = max(row[2] for row in each)
        found.append(HeldPublication(PartnerId(partner_id), publication, parts, envelopes))
    return found


def values(connection: apsw.Connection, author: PartnerId, publication: PublicationId) -> int:
    """See `KnowledgeReading.publication_values`."""
    ((count,),) = fetch(connection, _VALUES, (bytes(publication), bytes(author)))
    return int(count)
