# ruff: noqa: S608 - statements are put together from this program's own text only
"""Envelopes: arrival, the arrival log, outbox and deferral, on the writing connection inside a transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import apsw

from p2pshare.envelope.envelope import Mode
from p2pshare.identifiers import CircleId, EnvelopeId, PartnerId
from p2pshare.limits import (
    DEFERRED_BYTES_MAX,
    DEFERRED_BYTES_PER_PARTNER_MAX,
    DEFERRED_ENTRIES_PER_PARTNER_MAX,
)
from p2pshare.store import sequences
from p2pshare.store.fetching import fetch
from p2pshare.store.ingest import add_content
from p2pshare.store.interface import EnvelopeEntry, NewEnvelope, NewFrame, Stored
from p2pshare.store.interning import Interning
from p2pshare.store.known_versions import Source
from p2pshare.store.settings import get_setting, put_setting

ENTRY = """
SELECT e.lsn, e.envelope_id, a.partner_id, e.circle, e.mode, e.created, e.ttl_class, e.expires, e.size,
    coalesce(a.partner_id = (SELECT value FROM setting WHERE name = 'own_id'), 0) OR e.from_partner IS NULL
FROM envelope e JOIN organisation a ON a.id = e.author
"""
"""What an EnvelopeEntry is made of; a WHERE clause follows."""


def entry_of(row: tuple[Any, ...]) -> EnvelopeEntry:
    """From a row of ENTRY."""
    lsn, envelope_id, author, circle, mode, created, ttl_class, expires, size, is_own = row
    return EnvelopeEntry(
        lsn,
        EnvelopeId(envelope_id),
        PartnerId(author),
        CircleId(circle),
        mode,
        created,
        ttl_class,
        expires,
        size,
        bool(is_own),
    )


def find_entry(connection: apsw.Connection, envelope_id: EnvelopeId) -> EnvelopeEntry | None:
    """The entry of an envelope that has a row, whatever its stage."""
    rows = fetch(connection, f"{ENTRY} WHERE e.envelope_id = ?", (bytes(envelope_id),))
    return entry_of(rows[0]) if rows else None


def add_envelopes(
    connection: apsw.Connection, interning: Interning, arrivals: Sequence[NewEnvelope]
) -> list[Stored]:
    """Stores what is new of `arrivals` with its content. Raises StoreError when our own chain would fork."""
    own_id = get_setting(connection, "own_id")
    lsn = int(get_setting(connection, "last_lsn") or 0)
    answers: list[Stored] = []
    contents: list[tuple[Source, NewEnvelope]] = []
    for arrival in arrivals:
        held = find_entry(connection, arrival.envelope_id)
        if held is not None:
            answers.append(Stored(False, held))
            continue
        lsn += 1
        is_own = arrival.from_partner is None or arrival.core.author == own_id
        source = _insert(connection, interning, lsn, arrival, is_own=is_own)
        _note_sequences(connection, interning, source, arrival)
        contents.append((source, arrival))
        answers.append(Stored(True, EnvelopeEntry.of(lsn, arrival, is_own=is_own)))
    put_setting(connection, "last_lsn", lsn)
    add_content(connection, interning, _frames(contents))
    return answers


def _frames(contents: Sequence[tuple[Source, NewEnvelope]]) -> Iterator[tuple[Source, NewFrame]]:
    for source, arrival in contents:
        if arrival.opened is not None:
            for frame in arrival.opened.frames:
                yield source, frame


def _insert(
    connection: apsw.Connection, interning: Interning, lsn: int, arrival: NewEnvelope, *, is_own: bool
) -> Source:
    core = arrival.core
    author = interning.organisation(core.author)
    bearer = None if arrival.from_partner is None else interning.organisation(arrival.from_partner)
    connection.execute(
        "INSERT INTO envelope VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
        (
            lsn,
            bytes(arrival.envelope_id),
            author,
            core.incarnation,
            core.sequence,
            core.previous,
            bytes(core.circle),
            int(core.mode),
            core.created,
            core.ttl_class,
            core.expires,
            len(arrival.wire),
            bearer,
            arrival.received_at,
            arrival.opened is not None,
            arrival.awaits_first_hop,
        ),
    )
    connection.execute("INSERT INTO wire VALUES (?, ?)", (lsn, arrival.wire))
    recipients = [(lsn, interning.organisation(recipient)) for recipient in arrival.audience]
    connection.executemany("INSERT OR IGNORE INTO envelope_recipient VALUES (?, ?, 0)", recipients)
    if core.mode == Mode.DIRECT:
        connection.executemany("INSERT OR IGNORE INTO outbox (lsn, recipient) VALUES (?, ?)", recipients)
    envelope_id = bytes(arrival.envelope_id)
    numbers = (core.incarnation, core.sequence)
    return Source(lsn, author, *numbers, envelope_id, core.created, arrival.received_at, is_own)


def _note_sequences(
    connection: apsw.Connection, interning: Interning, source: Source, arrival: NewEnvelope
) -> None:
    """Our chain moves on, or the author's numbers are compared with what we saw of it."""
    if arrival.from_partner is None:
        sequences.extend_own_chain(connection, arrival.core, arrival.envelope_id)
        for recipient, last in arrival.recipient_sequences.items():
            sequences.put_recipient_sequence(connection, interning.organisation(recipient), last)
    sequences.note_fork(connection, source, arrival.envelope_id)
    if arrival.opened is not None and arrival.opened.recipient_sequence is not None:
        number = arrival.opened.recipient_sequence
        sequences.note_received(connection, source.author, number, arrival.received_at)


def acknowledge(connection: apsw.Connection, envelope_id: EnvelopeId, partner: PartnerId) -> None:
    """`partner` holds it: out of the outbox, and the first hop is done. Repeating changes nothing."""
    for statement in ("DELETE FROM outbox", "UPDATE envelope_recipient SET is_acknowledged = 1"):
        connection.execute(
            f"""{statement} WHERE lsn = (SELECT lsn FROM envelope WHERE envelope_id = ?)
            AND recipient = (SELECT id FROM organisation WHERE partner_id = ?)""",
            (bytes(envelope_id), bytes(partner)),
        )
    connection.execute(
        "UPDATE envelope SET awaits_first_hop = 0 WHERE envelope_id = ? AND awaits_first_hop = 1",
        (bytes(envelope_id),),
    )


def defer(
    connection: apsw.Connection,
    interning: Interning,
    envelope_id: EnvelopeId,
    wire: bytes,
    bearer: PartnerId | None,
    created: int,
) -> bool:
    """Keeps an envelope of the near future; False when its bearer, or everybody, has filled the room."""
    bearer_id = None if bearer is None else interning.organisation(bearer)
    ((is_known, entries, own_bytes, held_bytes),) = fetch(
        connection,
        """SELECT
            EXISTS (SELECT 1 FROM deferred WHERE envelope_id = ?1),
            (SELECT count(*) FROM deferred WHERE bearer IS ?2),
            (SELECT coalesce(sum(length(wire)), 0) FROM deferred WHERE bearer IS ?2),
            (SELECT coalesce(sum(length(wire)), 0) FROM deferred)""",
        (bytes(envelope_id), bearer_id),
    )
    if is_known:
        return True
    if entries >= DEFERRED_ENTRIES_PER_PARTNER_MAX or own_bytes + len(wire) > DEFERRED_BYTES_PER_PARTNER_MAX:
        return False
    if held_bytes + len(wire) > DEFERRED_BYTES_MAX:
        return False
    connection.execute(
        "INSERT INTO deferred VALUES (?, ?, ?, ?)", (bytes(envelope_id), bearer_id, created, wire)
    )
    return True


def pop_deferred(connection: apsw.Connection, due: int) -> list[tuple[bytes, PartnerId | None]]:
    """What was created at `due` or before, taken out, oldest first."""
    rows = fetch(
        connection,
        """SELECT d.wire, b.partner_id FROM deferred d LEFT JOIN organisation b ON b.id = d.bearer
        WHERE d.created <= ? ORDER BY d.created, d.envelope_id""",
        (due,),
    )
    connection.execute("DELETE FROM deferred WHERE created <= ?", (due,))
    return [(wire, None if bearer is None else PartnerId(bearer)) for wire, bearer in rows]
