# ruff: noqa: S608 - statements are put together from this program's own text only
"""Staging: a publication of ours that is too large for one transaction, on its way into the log. Functions inside the caller's
transaction, promised by `EnvelopeLog`.

Rules:

1. Its envelopes are sealed against our chain as it stood when the first of them was (`base`), and numbered from there on. They
   are rows of their own tables, so nothing else in the program can see them.
2. Their numbers count from the release on, and not before: `release` moves our chain behind all of them at once, provided that
   it still stands at the base and that the sign key is the same. So neither a partner nor a crash ever meets a number that was
   taken and never left, or two envelopes of one number. Where anything else was published meanwhile, or a new incarnation has
   begun, what was sealed is dropped and sealed anew: it is the cheap part.
3. What was released moves into the log a batch at a time, each a transaction of its own, in whichever life of the process.
   Nothing takes a release back.
4. Of an envelope in the log its row here stays until its content is stored; then it goes, and with the last one the
   publication.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import apsw

from p2pshare.database.fetching import Row, fetch
from p2pshare.envelope.envelope import SealedEnvelope, decode_envelope
from p2pshare.identifiers import PartnerId, PublicationId
from p2pshare.log.interface import (
    AuthorState,
    ContentState,
    EnvelopeOrigin,
    NewEnvelope,
    NewStaged,
    StagedContent,
    StagedPublication,
    StagingState,
)

DROPPED_AT_ONCE = 64  # envelopes of half a megabyte, each of whose pages is touched to be freed
_STAGED = """
SELECT publication, token, parts, began_at, state, reason, base_incarnation, base_sequence, base_previous, key_id,
    (SELECT count(*) FROM staged_envelope e WHERE e.publication = p.id) + stored, moved, stored
FROM staged_publication p
"""
_ID = "(SELECT id FROM staged_publication WHERE publication = ?)"


def publications(connection: apsw.Connection) -> list[StagedPublication]:
    """Returns those that are on their way out, oldest first."""
    return [_publication_of(row) for row in fetch(connection, f"{_STAGED} ORDER BY id")]


def publication(connection: apsw.Connection, wanted: PublicationId) -> StagedPublication | None:
    rows = fetch(connection, f"{_STAGED} WHERE publication = ?", (bytes(wanted),))
    return _publication_of(rows[0]) if rows else None


def _publication_of(row: Row) -> StagedPublication:
    publication, token, parts, began_at, state, reason, incarnation, sequence, previous, *rest = row
    base = None if incarnation is None else AuthorState(incarnation, sequence, previous)
    return StagedPublication(
        PublicationId(publication), token, parts, began_at, StagingState(state), reason, base, *rest
    )


def begin(connection: apsw.Connection, wanted: PublicationId, token: str, parts: int, now: int) -> None:
    """Begin to stage a publication of so many parts, prepared under `token`."""
    connection.execute(
        "INSERT INTO staged_publication VALUES (NULL, ?, ?, ?, ?, ?, '', NULL, NULL, NULL, x'', 0, 0)",
        (bytes(wanted), token, parts, now, StagingState.SEALING),
    )


def begin_sealing(
    connection: apsw.Connection, wanted: PublicationId, base: AuthorState, key_id: bytes
) -> bool:
    """Seal from `base` on. What was sealed before is dropped (rule 2), a batch at a time: returns whether all of it is."""
    if not _drop_sealed(connection, wanted):
        return False
    connection.execute(
        """UPDATE staged_publication SET base_incarnation = ?, base_sequence = ?, base_previous = ?, key_id = ?
        WHERE publication = ?""",
        (base.incarnation, base.sequence, base.previous, key_id, bytes(wanted)),
    )
    return True


def last_numbers(connection: apsw.Connection, wanted: PublicationId) -> dict[PartnerId, int]:
    """Returns the last number of each recipient among what is sealed."""
    rows = fetch(
        connection,
        f"""SELECT o.partner_id, r.last FROM staged_recipient r JOIN organisation o ON o.id = r.recipient
        WHERE r.publication = {_ID}""",
        (bytes(wanted),),
    )
    return {PartnerId(partner): last for partner, last in rows}


def chain(connection: apsw.Connection, one: StagedPublication) -> AuthorState:
    """Returns our chain as it would be with what is sealed of it."""
    assert one.base is not None
    rows = fetch(
        connection,
        f"SELECT envelope_id FROM staged_envelope WHERE publication = {_ID} AND number = ?",
        (bytes(one.publication), one.sealed),
    )
    if not rows:
        return one.base
    return AuthorState(one.base.incarnation, one.base.sequence + one.sealed, rows[0][0])


def end(connection: apsw.Connection, one: StagedPublication) -> int:
    """Returns the place in what was prepared at which sealing goes on."""
    rows = fetch(
        connection,
        f"SELECT next_place FROM staged_envelope WHERE publication = {_ID} AND number = ?",
        (bytes(one.publication), one.sealed),
    )
    return int(rows[0][0]) if rows else 0


def add(
    connection: apsw.Connection,
    one: StagedPublication,
    number: int,
    staged: NewStaged,
    recipients: Mapping[PartnerId, int],
    own: PartnerId,
) -> None:
    """Stage the envelope of that number. `recipients`: the row of each."""
    connection.execute(
        f"INSERT INTO staged_envelope VALUES ({_ID}, ?, ?, ?, ?, 0, ?, ?, ?, NULL, ?)",
        (
            bytes(one.publication),
            number,
            bytes(staged.envelope.envelope_id),
            staged.place,
            staged.next_place,
            staged.awaits_first_hop,
            b"".join(map(bytes, staged.audience)),
            staged.numbers[own],
            staged.envelope.wire,
        ),
    )
    connection.executemany(
        f"INSERT OR REPLACE INTO staged_recipient VALUES ({_ID}, ?, ?)",
        ((bytes(one.publication), recipients[partner], last) for partner, last in staged.numbers.items()),
    )


def release(connection: apsw.Connection, one: StagedPublication, last: AuthorState) -> None:
    """Release all of it: its numbers count from now on (rule 2)."""
    connection.execute(
        "UPDATE own_chain SET incarnation = ?, sequence = ?, previous = ?",
        (last.incarnation, last.sequence, last.previous),
    )
    connection.execute(
        f"""INSERT OR REPLACE INTO recipient_sequence
        SELECT recipient, ?, last FROM staged_recipient WHERE publication = {_ID}""",
        (last.incarnation, bytes(one.publication)),
    )
    connection.execute(
        "UPDATE staged_publication SET state = ? WHERE publication = ?",
        (StagingState.RELEASED, bytes(one.publication)),
    )


def next_to_move(
    connection: apsw.Connection, one: StagedPublication, own: PartnerId, now: int, limit: int
) -> list[NewEnvelope]:
    """Returns the next envelopes that were released and are not in the log, at most `limit` of them, as the log takes them."""
    rows = fetch(
        connection,
        f"""SELECT wire, awaits_first_hop, audience, own_number FROM staged_envelope
        WHERE publication = {_ID} AND number > ? ORDER BY number LIMIT ?""",
        (bytes(one.publication), one.moved, limit),
    )
    return [_envelope_of(row, own, now) for row in rows]


def _envelope_of(row: Row, own: PartnerId, now: int) -> NewEnvelope:
    wire, awaits_first_hop, audience, own_number = row
    decoded = decode_envelope(wire)
    length = PartnerId.length
    return NewEnvelope(
        SealedEnvelope(decoded.envelope_id, decoded.core, wire),
        received_from=None,
        received_at=now,
        content=ContentState.STAGED,
        awaits_first_hop=bool(awaits_first_hop),
        recipient_sequences={own: own_number},
        is_numbered=True,
        audience=tuple(PartnerId(audience[at : at + length]) for at in range(0, len(audience), length)),
    )


def note_moved(
    connection: apsw.Connection, one: StagedPublication, origins: Sequence[EnvelopeOrigin]
) -> None:
    """Note that the next of them are in the log, in order."""
    connection.executemany(
        f"UPDATE staged_envelope SET wire = NULL, lsn = ? WHERE publication = {_ID} AND number = ?",
        (
            (origin.lsn, bytes(one.publication), number)
            for number, origin in enumerate(origins, start=one.moved + 1)
        ),
    )
    connection.execute(
        "UPDATE staged_publication SET moved = moved + ? WHERE publication = ?",
        (len(origins), bytes(one.publication)),
    )


def next_to_store(connection: apsw.Connection, one: StagedPublication) -> StagedContent | None:
    """Returns the next envelope in the log whose content is still to be stored; None: there is none."""
    rows = fetch(
        connection,
        f"""SELECT s.number, s.place, s.frames, e.lsn, e.author, e.incarnation, e.sequence, e.envelope_id, e.created, e.received_at
        FROM staged_envelope s JOIN envelope e ON e.lsn = s.lsn
        WHERE s.publication = {_ID} AND s.lsn IS NOT NULL ORDER BY s.number LIMIT 1""",
        (bytes(one.publication),),
    )
    for number, place, frames, lsn, author, incarnation, sequence, envelope_id, created, received_at in rows:
        origin = EnvelopeOrigin(
            lsn, author, incarnation, sequence, envelope_id, created, received_at, is_own=True
        )
        return StagedContent(origin, number, place, frames)
    return None


def put_frames(
    connection: apsw.Connection, one: StagedPublication, content: StagedContent, frames: int
) -> None:
    """Note that the content is stored up to that many frames."""
    connection.execute(
        f"UPDATE staged_envelope SET frames = ? WHERE publication = {_ID} AND number = ?",
        (frames, bytes(one.publication), content.number),
    )


def note_stored(connection: apsw.Connection, one: StagedPublication, content: StagedContent) -> None:
    """Note that the content of an envelope has come to its end (rule 4)."""
    connection.execute(
        f"DELETE FROM staged_envelope WHERE publication = {_ID} AND number = ?",
        (bytes(one.publication), content.number),
    )
    connection.execute(
        "UPDATE staged_publication SET stored = stored + 1 WHERE publication = ?", (bytes(one.publication),)
    )


def give_up(connection: apsw.Connection, wanted: PublicationId, reason: str) -> None:
    """Note why nothing of it leaves."""
    connection.execute(
        "UPDATE staged_publication SET state = ?, reason = ? WHERE publication = ? AND state = ?",
        (StagingState.GIVEN_UP, reason, bytes(wanted), StagingState.SEALING),
    )


def drop(connection: apsw.Connection, wanted: PublicationId) -> bool:
    """Forget a publication that is at its end, or of which nothing left; returns whether all of it is: what is sealed goes a
    batch at a time."""
    if not _drop_sealed(connection, wanted):
        return False
    connection.execute("DELETE FROM staged_publication WHERE publication = ?", (bytes(wanted),))
    return True


def _drop_sealed(connection: apsw.Connection, wanted: PublicationId) -> bool:
    """Drop a batch of what is sealed of a publication; returns whether none is left."""
    connection.execute(
        f"""DELETE FROM staged_envelope WHERE rowid IN (
            SELECT rowid FROM staged_envelope WHERE publication = {_ID} LIMIT ?
        )""",
        (bytes(wanted), DROPPED_AT_ONCE),
    )
    if connection.changes() == DROPPED_AT_ONCE:
        return False
    connection.execute(f"DELETE FROM staged_recipient WHERE publication = {_ID}", (bytes(wanted),))
    return True
