"""Numbers that prove something: our own chain, the numbers sealed for each recipient, other authors' gaps and forks.

Rules (docs/envelope.md, "Order of checks"; docs/store.md):

1. Our incarnation is larger at each start than any this store, or a copy of us that partners heard, ever had.
2. Our (incarnation, sequence) only grows. Using one twice would be an equivocation, so it raises.
3. Two ids for one (author, incarnation, sequence) are kept, both, and noted; nobody is banned for it.
4. An author numbers what it seals for us 1, 2, 3 ...; what is missing below the highest is a gap, and a late
   arrival closes it. One jump costs one row, whatever its size.
"""

from __future__ import annotations

import apsw

from p2pshare.database.fetching import fetch
from p2pshare.database.settings import OWN_ID, get_setting
from p2pshare.envelope.envelope import Core
from p2pshare.errors import StoreError
from p2pshare.identifiers import EnvelopeId
from p2pshare.log.interface import AuthorState, EnvelopeOrigin

SQLITE_INTEGER_MAX = 2**63 - 1


def own_chain(connection: apsw.Connection) -> AuthorState:
    ((incarnation, sequence, previous),) = fetch(
        connection, "SELECT incarnation, sequence, previous FROM own_chain"
    )
    return AuthorState(incarnation, sequence, previous)


def begin_incarnation(connection: apsw.Connection, now: int) -> int:
    """Begin a larger incarnation (rule 1) and return it; `now` in unix seconds. Its first sequence is 1; the
    link to the previous envelope stays."""
    ((highest,),) = fetch(
        connection,
        """SELECT max(e.incarnation) FROM envelope e JOIN organisation a ON a.id = e.author
        WHERE a.partner_id = ?""",
        (get_setting(connection, OWN_ID),),
    )
    incarnation = max(own_chain(connection).incarnation + 1, (highest or 0) + 1, now)
    connection.execute("UPDATE own_chain SET incarnation = ?, sequence = 0", (incarnation,))
    return incarnation


def extend_own_chain(connection: apsw.Connection, core: Core, envelope_id: EnvelopeId) -> None:
    """Extend our chain by an envelope (rule 2). Raises StoreError `own-sequence-used`."""
    chain = own_chain(connection)
    if (core.incarnation, core.sequence) <= (chain.incarnation, chain.sequence):
        raise StoreError(
            "a number of our own chain would be used twice",
            hint="this is a fault of the program; nothing was stored",
            reason="own-sequence-used",
        )
    connection.execute(
        "UPDATE own_chain SET incarnation = ?, sequence = ?, previous = ?",
        (core.incarnation, core.sequence, bytes(envelope_id)),
    )


def put_recipient_sequence(connection: apsw.Connection, recipient: int, last: int) -> None:
    """Keep the last number used for a recipient; it only ever grows."""
    connection.execute(
        "INSERT INTO recipient_sequence VALUES (?, ?) ON CONFLICT DO UPDATE SET last = max(last, excluded.last)",
        (recipient, last),
    )


def note_fork(connection: apsw.Connection, source: EnvelopeOrigin) -> None:
    """Note another envelope of the same number as `source`, which has just been stored (rule 3)."""
    others = fetch(
        connection,
        """SELECT envelope_id FROM envelope
        WHERE author = ? AND incarnation = ? AND sequence = ? AND lsn < ? ORDER BY lsn LIMIT 1""",
        (source.author, source.incarnation, source.sequence, source.lsn),
    )
    for (first,) in others:
        connection.execute(
            "INSERT OR IGNORE INTO sequence_fork VALUES (?, ?, ?, ?, ?, ?)",
            (
                source.author,
                source.incarnation,
                source.sequence,
                first,
                source.envelope_id,
                source.received_at,
            ),
        )


def note_received(connection: apsw.Connection, author: int, number: int, now: int) -> None:
    """Note a number that arrived (rule 4). One that no honest author reaches (beyond 63 bits) is no evidence of anything."""
    if not 1 <= number <= SQLITE_INTEGER_MAX:
        return
    rows = fetch(connection, "SELECT highest FROM sequence_seen WHERE author = ?", (author,))
    highest = rows[0][0] if rows else 0
    if number > highest:
        if number > highest + 1:
            connection.execute(
                "INSERT INTO sequence_gap VALUES (?, ?, ?, ?)", (author, highest + 1, number - 1, now)
            )
        connection.execute("INSERT OR REPLACE INTO sequence_seen VALUES (?, ?)", (author, number))
        return
    gaps = (
        fetch(  # they do not overlap: the nearest below holds it, or none does, however many an author made
            connection,
            """SELECT first, last, noted_at FROM sequence_gap WHERE author = ? AND first <= ?
        ORDER BY first DESC LIMIT 1""",
            (author, number),
        )
    )
    for first, last, noted_at in gaps:
        if last < number:
            continue
        connection.execute("DELETE FROM sequence_gap WHERE author = ? AND first = ?", (author, first))
        for low, high in ((first, number - 1), (number + 1, last)):
            if low <= high:
                connection.execute(
                    "INSERT INTO sequence_gap VALUES (?, ?, ?, ?)", (author, low, high, noted_at)
                )
