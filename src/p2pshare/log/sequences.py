"""Numbers that prove something: our own chain, the numbers sealed for each recipient, other authors' gaps and forks.

Rules (docs/envelope.md, "Order of checks"; docs/store.md):

1. Our incarnation is the smallest never used that is neither below our clock nor below any in our name that counts:
   used by us, or by an envelope whose key we have not revoked, and at most a day ahead of the clock. Where the clock is not
   ahead of what we used, it is drawn from what is above instead: a disk that was set back to a backup would count on from
   there as it did before. It begins anew at each start, when the clock was set so that partners would refuse it, or a
   higher one counts again, and when an envelope in our name came home that stands in it, or above it.
2. Our (incarnation, sequence) only grows. Using one twice would be an equivocation, so it raises.
3. Two ids for one (author, incarnation, sequence) are kept, both, and noted; nobody is banned for it.
4. An author numbers what it seals for us 1, 2, 3 ... in each of its incarnations; what is missing below the highest is a
   gap, and a late arrival closes it. One jump costs one row, whatever its size.
5. The first number of an incarnation names the last of the one before. Where that is more than we have seen, the rest is
   missing there; where it is less, the author was put back from a backup, and nothing is missing.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from contextlib import closing

import apsw

from p2pshare.database.fetching import fetch
from p2pshare.database.settings import OWN_ID, get_setting
from p2pshare.envelope.envelope import Core, decode_envelope
from p2pshare.envelope.recipient_number import RecipientNumber
from p2pshare.errors import PeerError, StoreError
from p2pshare.identifiers import EnvelopeId, KeyId
from p2pshare.limits import (
    INCARNATION_COUNT_SECONDS,
    INCARNATION_DRAW_SECONDS,
    INCARNATION_DRAW_SHARE,
    INCARNATION_REFUSE_SECONDS,
)
from p2pshare.log.interface import AuthorState, EnvelopeOrigin


def own_chain(connection: apsw.Connection) -> AuthorState:
    ((incarnation, sequence, previous),) = fetch(
        connection, "SELECT incarnation, sequence, previous FROM own_chain"
    )
    return AuthorState(incarnation, sequence, previous)


def begin_incarnation(connection: apsw.Connection, now: int, revoked: Collection[KeyId]) -> int:
    """Begin a new incarnation (rule 1) and return it; `now` in unix seconds, `revoked` our keys that somebody else may
    have. Its first sequence is 1; the link to the previous envelope stays.

    Raises StoreError `own-incarnations-used` when nothing is left of what partners accept: a thief of our key made an
    envelope for every second of a day.
    """
    limit = now + INCARNATION_COUNT_SECONDS
    current = own_chain(connection).incarnation
    counting = (current if current <= limit else 0, _highest_counting(connection, limit, revoked))
    least = max(now, 1, *(one + 1 for one in counting))
    if max(current, *counting) >= now:
        # the clock is behind us: it cannot tell this life from one that a backup lost
        least += secrets.randbelow(max(1, (now + INCARNATION_DRAW_SECONDS - least) // INCARNATION_DRAW_SHARE))
    incarnation = _first_unused(connection, least)
    if incarnation > now + INCARNATION_REFUSE_SECONDS:
        raise StoreError(
            "every number that partners accept was used in our name",
            hint="the sign key is stolen, and must be revoked; this ends by itself when no more of them come",
            reason="own-incarnations-used",
        )
    connection.execute("UPDATE own_chain SET incarnation = ?, sequence = 0", (incarnation,))
    return incarnation


def may_go_on(connection: apsw.Connection, now: int, revoked: Collection[KeyId]) -> bool:
    """Returns whether our incarnation may be used on at `now`, unix seconds: partners accept it, we used no higher one that
    counts (both fail only after the clock was set), and none of those that came home stands in it or above it.
    `revoked` as for `begin_incarnation`."""
    current = own_chain(connection).incarnation
    if current > now + INCARNATION_REFUSE_SECONDS:
        return False
    keys = [bytes(key) for key in revoked]
    return not fetch(
        connection,
        f"""SELECT 1 FROM envelope e JOIN organisation o ON o.id = e.author
        WHERE o.partner_id = ? AND e.incarnation >= ? AND e.incarnation <= ?
        AND CASE WHEN e.received_from IS NULL THEN e.incarnation > ?
            ELSE e.key_id NOT IN ({", ".join("?" * len(keys))}) END LIMIT 1""",  # noqa: S608 question marks
        (get_setting(connection, OWN_ID), current, now + INCARNATION_COUNT_SECONDS, current, *keys),
    )


def _highest_counting(connection: apsw.Connection, limit: int, revoked: Collection[KeyId]) -> int:
    """Returns the highest incarnation up to `limit` of our own envelopes and of those in our name under keys that are not
    `revoked`; 0 without any. One whose bytes are gone counts: it may be ours."""
    with closing(
        connection.cursor()
    ) as rows:  # the first nearly always does; a thief's may be many, and large
        rows.execute(
            """SELECT e.incarnation, e.received_from IS NULL, w.bytes FROM envelope e
            JOIN organisation o ON o.id = e.author LEFT JOIN wire w ON w.lsn = e.lsn
            WHERE o.partner_id = ? AND e.incarnation <= ? ORDER BY e.incarnation DESC""",
            (get_setting(connection, OWN_ID), limit),
        )
        for incarnation, is_sealed_here, wire in rows:
            if is_sealed_here or not revoked or wire is None or _key_of(wire) not in revoked:
                return int(incarnation)
    return 0


def _first_unused(connection: apsw.Connection, incarnation: int) -> int:
    """Returns `incarnation`, or the first above it under which nothing is held in our name, whoever made it."""
    with closing(connection.cursor()) as rows:
        rows.execute(
            """SELECT DISTINCT e.incarnation FROM envelope e JOIN organisation o ON o.id = e.author
            WHERE o.partner_id = ? AND e.incarnation >= ? ORDER BY e.incarnation""",
            (get_setting(connection, OWN_ID), incarnation),
        )
        for (used,) in rows:
            if used != incarnation:
                break
            incarnation += 1
    return incarnation


def _key_of(wire: bytes) -> KeyId | None:
    try:
        return decode_envelope(wire).core.key_id
    except PeerError:
        return None  # damaged on our disk: what cannot be read counts


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


def put_recipient_sequence(connection: apsw.Connection, recipient: int, incarnation: int, last: int) -> None:
    """Keep the last number used for a recipient, and in which incarnation."""
    connection.execute(
        "INSERT OR REPLACE INTO recipient_sequence VALUES (?, ?, ?)", (recipient, incarnation, last)
    )


def note_fork(connection: apsw.Connection, source: EnvelopeOrigin) -> None:
    """Note another envelope of the same number as `source`, which has just been stored (rule 3). One that was handed on alone is
    no proof: its bytes are not kept."""
    others = fetch(
        connection,
        """SELECT envelope_id FROM envelope
        WHERE author = ? AND incarnation = ? AND sequence = ? AND lsn != ? AND stage < 3 ORDER BY lsn LIMIT 1""",
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


def note_received(
    connection: apsw.Connection, author: int, incarnation: int, number: RecipientNumber, now: int
) -> None:
    """Note a number that arrived (rules 4 and 5); `incarnation` is that of its envelope."""
    sequence = number.sequence
    if number.last_before:
        _note_known(connection, author, number.incarnation_before, number.last_before, now)
    if sequence > _highest(connection, author, incarnation):
        _note_known(connection, author, incarnation, sequence, now)
    # They do not overlap: the nearest below holds it, or none does, however many an author made.
    gaps = fetch(
        connection,
        """SELECT first, last, noted_at FROM sequence_gap WHERE author = ? AND incarnation = ? AND first <= ?
        ORDER BY first DESC LIMIT 1""",
        (author, incarnation, sequence),
    )
    for first, last, noted_at in gaps:
        if last < sequence:
            continue
        connection.execute(
            "DELETE FROM sequence_gap WHERE author = ? AND incarnation = ? AND first = ?",
            (author, incarnation, first),
        )
        for low, high in ((first, sequence - 1), (sequence + 1, last)):
            if low <= high:
                _add_gap(connection, author, incarnation, low, high, noted_at)


def _note_known(connection: apsw.Connection, author: int, incarnation: int, last: int, now: int) -> None:
    """Note that the author numbered up to `last`: what is new by that is missing, as far as it has not come."""
    highest = _highest(connection, author, incarnation)
    if last > highest:
        _add_gap(connection, author, incarnation, highest + 1, last, now)
        connection.execute(
            "INSERT OR REPLACE INTO sequence_seen VALUES (?, ?, ?)", (author, incarnation, last)
        )


def _highest(connection: apsw.Connection, author: int, incarnation: int) -> int:
    rows = fetch(
        connection,
        "SELECT highest FROM sequence_seen WHERE author = ? AND incarnation = ?",
        (author, incarnation),
    )
    return int(rows[0][0]) if rows else 0


def _add_gap(
    connection: apsw.Connection, author: int, incarnation: int, first: int, last: int, noted_at: int
) -> None:
    connection.execute(
        "INSERT INTO sequence_gap VALUES (?, ?, ?, ?, ?)", (author, incarnation, first, last, noted_at)
    )
