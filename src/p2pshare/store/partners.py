# ruff: noqa: S608 - statements are put together from this program's own text only
"""Partners, their cards, and what each handed over, on the writing connection inside a transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import apsw

from p2pshare.identifiers import PartnerId
from p2pshare.store.interface import PartnerRow
from p2pshare.store.interning import Interning

OURSELVES = 0  # the account of what came from nobody else
_COLUMN_BY_STATUS = {"held": "stored", "already-held": "already_held", "deferred": "deferred"}


def put_partner(connection: apsw.Connection, interning: Interning, row: PartnerRow) -> None:
    """Adds or replaces a partner; its card joins the versions that were accepted."""
    organisation = interning.organisation(row.partner_id)
    connection.execute(
        "INSERT OR REPLACE INTO partner VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            organisation,
            row.alias,
            row.card,
            row.card_version,
            row.has_link,
            "\n".join(row.circles),
            row.is_frozen,
            row.added_at,
        ),
    )
    connection.execute("UPDATE organisation SET name = ? WHERE id = ?", (row.alias, organisation))
    _keep_card(connection, organisation, row.card_version, row.card)


def remove_partner(connection: apsw.Connection, partner_id: PartnerId) -> None:
    """The partner and its outbox go; what it wrote stays."""
    for table, column in (("partner", "organisation"), ("outbox", "recipient")):
        connection.execute(
            f"DELETE FROM {table} WHERE {column} = (SELECT id FROM organisation WHERE partner_id = ?)",
            (bytes(partner_id),),
        )


def update_card(
    connection: apsw.Connection, interning: Interning, partner_id: PartnerId, raw: bytes, version: int
) -> None:
    organisation = interning.organisation(partner_id)
    connection.execute(
        "UPDATE partner SET card = ?, card_version = ? WHERE organisation = ?", (raw, version, organisation)
    )
    _keep_card(connection, organisation, version, raw)


def _keep_card(connection: apsw.Connection, organisation: int, version: int, raw: bytes) -> None:
    connection.execute(
        "INSERT OR IGNORE INTO card (organisation, version, raw) VALUES (?, ?, ?)",
        (organisation, version, raw),
    )


def freeze_partner(
    connection: apsw.Connection,
    interning: Interning,
    partner_id: PartnerId,
    evidence: tuple[bytes, bytes],
    now: int,
) -> None:
    """Keeps the first proof (one is enough) and stops believing the partner."""
    organisation = interning.organisation(partner_id)
    connection.execute("UPDATE partner SET is_frozen = 1 WHERE organisation = ?", (organisation,))
    connection.execute(
        """INSERT INTO card_fork (organisation, first, second, noted_at) SELECT ?1, ?2, ?3, ?4
        WHERE NOT EXISTS (SELECT 1 FROM card_fork WHERE organisation = ?1)""",
        (organisation, *evidence, now),
    )


def touch_partner(
    connection: apsw.Connection, interning: Interning, partner_id: PartnerId, last_exchange: int
) -> None:
    connection.execute(
        "INSERT INTO last_exchange VALUES (?, ?) ON CONFLICT DO UPDATE SET at = max(at, excluded.at)",
        (interning.organisation(partner_id), last_exchange),
    )


def add_accounting(
    connection: apsw.Connection, interning: Interning, verdicts: Iterable[tuple[PartnerId | None, str, str]]
) -> None:
    """Each (partner, status, reason) counts once as come in and once as what became of it."""
    counts = Counter(verdicts)
    for (partner, status, reason), times in counts.items():
        organisation = _account(connection, interning, partner)
        connection.execute(
            "UPDATE account SET came_in = came_in + ? WHERE organisation = ?", (times, organisation)
        )
        column = _COLUMN_BY_STATUS.get(status)
        if column is None:
            _count_refusal(connection, organisation, "envelope", reason, times)
        else:
            connection.execute(
                f"UPDATE account SET {column} = {column} + ? WHERE organisation = ?",
                (times, organisation),
            )


def count_refusals(
    connection: apsw.Connection, interning: Interning, partner: PartnerId | None, reasons: Mapping[str, int]
) -> None:
    organisation = _account(connection, interning, partner)
    for reason, times in reasons.items():
        _count_refusal(connection, organisation, "object", reason, times)


def _account(connection: apsw.Connection, interning: Interning, partner: PartnerId | None) -> int:
    organisation = OURSELVES if partner is None else interning.organisation(partner)
    connection.execute("INSERT OR IGNORE INTO account (organisation) VALUES (?)", (organisation,))
    return organisation


def _count_refusal(
    connection: apsw.Connection, organisation: int, scope: str, reason: str, times: int
) -> None:
    connection.execute(
        "INSERT INTO refusal VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
        (organisation, scope, reason, times),
    )
