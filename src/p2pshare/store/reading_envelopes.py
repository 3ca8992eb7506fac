"""What gossip, policy and the overview ask of the store. Functions on any connection; they change nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import apsw

from p2pshare.identifiers import CircleId, EnvelopeId, PartnerId
from p2pshare.store.envelopes import ENTRY, entry_of
from p2pshare.store.fetching import Row, fetch
from p2pshare.store.interface import (
    Account,
    CardFork,
    Counts,
    EnvelopeEntry,
    GapTotal,
    ObjectFork,
    PartnerRow,
    SequenceFork,
)

KEYS_PAGE = 4_096  # keys fetched at once: a reader that is left half-read would keep the log from shrinking
_KEY_BYTES_OF_TIME = 8


def is_seen(connection: apsw.Connection, ids: Collection[EnvelopeId]) -> set[EnvelopeId]:
    if not ids:
        return set()
    array = apsw.carray(tuple(bytes(one) for one in ids))
    rows = fetch(
        connection,
        "SELECT e.envelope_id FROM carray(?) k CROSS JOIN envelope e ON e.envelope_id = k.value",
        (array,),
    )
    return {EnvelopeId(found) for (found,) in rows}


def wire(connection: apsw.Connection, envelope_id: EnvelopeId) -> bytes | None:
    rows = fetch(
        connection,
        """SELECT w.bytes FROM envelope e JOIN wire w ON w.lsn = e.lsn
        WHERE e.envelope_id = ? AND e.stage = 0""",
        (bytes(envelope_id),),
    )
    return rows[0][0] if rows else None


def entries(connection: apsw.Connection, after_lsn: int, limit: int) -> list[EnvelopeEntry]:
    rows = fetch(
        connection, f"{ENTRY} WHERE e.lsn > ? AND e.stage = 0 ORDER BY e.lsn LIMIT ?", (after_lsn, limit)
    )
    return [entry_of(row) for row in rows]


def keys_after(
    connection: apsw.Connection, circle: CircleId, ttl_class: int, after: bytes, limit: int
) -> list[bytes]:
    created = int.from_bytes(after[:_KEY_BYTES_OF_TIME], "big") if after else -1
    rows = fetch(
        connection,
        """SELECT created, envelope_id FROM envelope
        WHERE circle = ? AND ttl_class = ? AND (created, envelope_id) > (?, ?) AND mode = 1 AND stage < 2
        ORDER BY created, envelope_id LIMIT ?""",
        (bytes(circle), ttl_class, created, after[_KEY_BYTES_OF_TIME:], limit),
    )
    return [created.to_bytes(_KEY_BYTES_OF_TIME, "big") + envelope_id for created, envelope_id in rows]


def keys(connection: apsw.Connection, circle: CircleId, ttl_class: int) -> Iterator[tuple[int, EnvelopeId]]:
    after = b""
    while page := keys_after(connection, circle, ttl_class, after, KEYS_PAGE):
        for key in page:
            yield int.from_bytes(key[:_KEY_BYTES_OF_TIME], "big"), EnvelopeId(key[_KEY_BYTES_OF_TIME:])
        after = page[-1]


def outbox(connection: apsw.Connection, partner: PartnerId) -> list[EnvelopeEntry]:
    rows = fetch(
        connection,
        f"""{ENTRY} JOIN outbox x ON x.lsn = e.lsn JOIN organisation r ON r.id = x.recipient
        WHERE r.partner_id = ? ORDER BY e.lsn""",
        (bytes(partner),),
    )
    return [entry_of(row) for row in rows]


def audience(connection: apsw.Connection, envelope_id: EnvelopeId) -> dict[PartnerId, bool]:
    rows = fetch(
        connection,
        """SELECT r.partner_id, x.is_acknowledged FROM envelope e JOIN envelope_recipient x ON x.lsn = e.lsn
        JOIN organisation r ON r.id = x.recipient WHERE e.envelope_id = ?""",
        (bytes(envelope_id),),
    )
    return {PartnerId(partner): bool(is_acknowledged) for partner, is_acknowledged in rows}


def direct_keys(connection: apsw.Connection, partner: PartnerId) -> list[tuple[int, int, EnvelopeId]]:
    rows = fetch(
        connection,
        """SELECT e.ttl_class, e.created, e.envelope_id FROM envelope e WHERE e.mode = 0 AND e.stage < 2
        AND e.author = (SELECT id FROM organisation WHERE partner_id = :partner)
        UNION
        SELECT e.ttl_class, e.created, e.envelope_id FROM envelope_recipient x
        JOIN envelope e ON e.lsn = x.lsn
        WHERE x.recipient = (SELECT id FROM organisation WHERE partner_id = :partner) AND e.mode = 0 AND e.stage < 2
        ORDER BY 1, 2, 3""",
        {"partner": bytes(partner)},
    )
    return [(ttl_class, created, EnvelopeId(envelope_id)) for ttl_class, created, envelope_id in rows]


def first_hops(connection: apsw.Connection) -> list[EnvelopeEntry]:
    rows = fetch(connection, f"{ENTRY} WHERE e.awaits_first_hop = 1 ORDER BY e.lsn")
    return [entry_of(row) for row in rows]


def counts(connection: apsw.Connection) -> Counts:
    ((held, opened, pending),) = fetch(
        connection,
        """SELECT count(*), coalesce(sum(is_opened), 0), coalesce(sum(
            awaits_first_hop = 1 OR EXISTS (SELECT 1 FROM outbox x WHERE x.lsn = e.lsn)), 0)
        FROM envelope e WHERE stage = 0""",
    )
    observables: dict[str, int] = dict(
        fetch(connection, "SELECT name, count FROM observable_type WHERE count > 0")
    )
    refused: dict[str, int] = dict(
        fetch(connection, "SELECT reason, sum(count) FROM refusal GROUP BY reason")
    )
    return Counts(held, opened, held - opened, pending, observables, refused)


def carried(connection: apsw.Connection) -> dict[tuple[PartnerId, CircleId], int]:
    rows = fetch(
        connection,
        "SELECT o.partner_id, c.circle, c.bytes FROM carried c JOIN organisation o ON o.id = c.author",
    )
    return {(PartnerId(author), CircleId(circle)): size for author, circle, size in rows}


def accounts(connection: apsw.Connection) -> list[Account]:
    rows = fetch(
        connection,
        """SELECT o.partner_id, a.came_in, a.stored, a.already_held, a.deferred, a.organisation
        FROM account a JOIN organisation o ON o.id = a.organisation ORDER BY o.partner_id""",
    )
    return [
        Account(
            PartnerId(partner),
            came_in,
            stored,
            already_held,
            deferred,
            dict(
                fetch(
                    connection,
                    "SELECT reason, count FROM refusal WHERE organisation = ? AND scope = 'envelope'",
                    (organisation,),
                )
            ),
        )
        for partner, came_in, stored, already_held, deferred, organisation in rows
    ]


def partners(connection: apsw.Connection) -> list[PartnerRow]:
    rows = fetch(
        connection,
        """SELECT o.partner_id, p.alias, p.card, p.card_version, p.has_link, p.circles, p.is_frozen, p.added_at
        FROM partner p JOIN organisation o ON o.id = p.organisation ORDER BY p.alias""",
    )
    return [
        PartnerRow(
            PartnerId(partner_id),
            alias,
            card,
            version,
            bool(has_link),
            tuple(circles.split("\n")) if circles else (),
            bool(is_frozen),
            added_at,
        )
        for partner_id, alias, card, version, has_link, circles, is_frozen, added_at in rows
    ]


def card_versions(connection: apsw.Connection, partner_id: PartnerId) -> list[Row]:
    return fetch(
        connection,
        """SELECT c.version, c.raw FROM card c JOIN organisation o ON o.id = c.organisation
        WHERE o.partner_id = ? ORDER BY c.version""",
        (bytes(partner_id),),
    )


def author_names(connection: apsw.Connection) -> dict[PartnerId, str]:
    rows = fetch(connection, "SELECT partner_id, name FROM organisation WHERE name IS NOT NULL")
    return {PartnerId(partner): name for partner, name in rows}


def last_exchanges(connection: apsw.Connection) -> dict[PartnerId, int]:
    rows = fetch(
        connection,
        "SELECT o.partner_id, x.at FROM last_exchange x JOIN organisation o ON o.id = x.organisation",
    )
    return {PartnerId(partner): at for partner, at in rows}


def recipient_sequences(connection: apsw.Connection, wanted: Collection[PartnerId]) -> dict[PartnerId, int]:
    rows = fetch(
        connection,
        "SELECT o.partner_id, s.last FROM recipient_sequence s JOIN organisation o ON o.id = s.recipient",
    )
    known = {PartnerId(partner): last for partner, last in rows}
    return {partner: known.get(partner, 0) for partner in wanted}


def sequence_gaps(connection: apsw.Connection, author: PartnerId, limit: int) -> list[Row]:
    return fetch(
        connection,
        """SELECT g.first, g.last FROM sequence_gap g JOIN organisation o ON o.id = g.author
        WHERE o.partner_id = ? ORDER BY g.first LIMIT ?""",
        (bytes(author), limit),
    )


def gap_totals(connection: apsw.Connection) -> list[GapTotal]:
    """The sum fits: gaps do not overlap, and none goes beyond 63 bits."""
    rows = fetch(
        connection,
        """SELECT o.partner_id, sum(g.last - g.first + 1), min(g.noted_at)
        FROM sequence_gap g JOIN organisation o ON o.id = g.author GROUP BY o.id ORDER BY o.partner_id""",
    )
    return [GapTotal(PartnerId(author), numbers, noted_at) for author, numbers, noted_at in rows]


def evidence(connection: apsw.Connection, envelope_id: EnvelopeId) -> bytes | None:
    rows = fetch(
        connection,
        "SELECT w.bytes FROM envelope e JOIN wire w ON w.lsn = e.lsn WHERE e.envelope_id = ?",
        (bytes(envelope_id),),
    )
    return rows[0][0] if rows else None


def newest_created(connection: apsw.Connection, limit: int) -> dict[PartnerId, list[int]]:
    """A walk down the index `envelope_chain` for each partner."""
    return {
        PartnerId(partner): [
            created
            for (created,) in fetch(
                connection,
                """SELECT created FROM envelope WHERE author = ?
                ORDER BY incarnation DESC, sequence DESC LIMIT ?""",
                (organisation, limit),
            )
        ]
        for organisation, partner in fetch(
            connection,
            "SELECT o.id, o.partner_id FROM partner p JOIN organisation o ON o.id = p.organisation ORDER BY p.alias",
        )
    }


def sequence_forks(connection: apsw.Connection) -> list[SequenceFork]:
    rows = fetch(
        connection,
        """SELECT o.partner_id, f.incarnation, f.sequence, f.first, f.second, f.noted_at
        FROM sequence_fork f JOIN organisation o ON o.id = f.author ORDER BY f.noted_at, f.second""",
    )
    return [
        SequenceFork(
            PartnerId(author), incarnation, sequence, EnvelopeId(first), EnvelopeId(second), noted_at
        )
        for author, incarnation, sequence, first, second, noted_at in rows
    ]


def object_forks(connection: apsw.Connection) -> list[ObjectFork]:
    rows = fetch(
        connection,
        """SELECT o.partner_id, f.object_id, f.modified_us, a.envelope_id, b.envelope_id, f.times, f.noted_at
        FROM object_fork f JOIN organisation o ON o.id = f.author
        JOIN frame x ON x.id = f.first_frame JOIN envelope a ON a.lsn = x.envelope
        JOIN frame y ON y.id = f.second_frame JOIN envelope b ON b.lsn = y.envelope
        ORDER BY f.noted_at, f.object_id""",
    )
    return [
        ObjectFork(
            PartnerId(author), object_id, modified, EnvelopeId(first), EnvelopeId(second), times, noted_at
        )
        for author, object_id, modified, first, second, times, noted_at in rows
    ]


def card_forks(connection: apsw.Connection) -> list[CardFork]:
    rows = fetch(
        connection,
        """SELECT o.partner_id, f.first, f.second, f.noted_at
        FROM card_fork f JOIN organisation o ON o.id = f.organisation ORDER BY f.id""",
    )
    return [CardFork(PartnerId(partner), first, second, at) for partner, first, second, at in rows]


def fork_count(connection: apsw.Connection) -> int:
    ((total,),) = fetch(
        connection,
        """SELECT (SELECT count(*) FROM sequence_fork) + (SELECT count(*) FROM object_fork)
        + (SELECT count(*) FROM card_fork)""",
    )
    return int(total)
