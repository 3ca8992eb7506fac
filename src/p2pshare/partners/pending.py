"""Pending partners: who knocked and is no partner, and what a person decided about them (docs/card.md, "Pending partners").

Rules:

1. Nothing here is believed: a row is what somebody claimed, and holds the key of the certificate it was claimed with.
2. There are few places, fewer for one address group. The newcomer always finds one; who makes room is drawn at random among those of
   its own group when that is full, else among the largest group. So a flood from few networks drops its own.
3. A row is of an id and a certificate. Whoever claims another one's id has a row of its own and can take nothing of the other's.
4. What a person decided has places of its own: no flood reaches it.

In the store, so that a restart, which an attacker may wait for, forgets nobody: each knock that the guests' door admits is one small
transaction. Errors: see `database.Database`. Every reading method may be called from any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from p2pshare.database.database import Database
from p2pshare.errors import RefusedError
from p2pshare.identifiers import PartnerId

PENDING_MAX = 64  # rows of 5 KB at most
PENDING_PER_GROUP_MAX = 4  # of an IPv4 /24 or an IPv6 /48: who fills all places needs sixteen networks
ACCEPTED_MAX = 64  # ids that a person accepted and whose card has not come
REFUSED_MAX = 256  # ids that a person does not want to see again; the oldest is forgotten

Draw = Callable[[Sequence[Any]], Any]
"""Returns one of several at random, so that nobody can foresee which."""


@dataclass(frozen=True, slots=True)
class PendingRow:
    """Somebody who knocked, as it described itself; `certificate` (DER) is the one whose key it holds. Seconds are unix seconds."""

    partner_id: PartnerId
    certificate: bytes
    name: str
    url: str
    address: str
    address_group: str
    since: int
    last_at: int
    knocks: int = 1


@dataclass(frozen=True, slots=True)
class PendingDecision:
    """What a person decided about an id, at `decided_at` (unix seconds). `alias` is empty where one is to be made from its card."""

    partner_id: PartnerId
    is_accepted: bool
    alias: str
    name: str
    decided_at: int


class PendingPartnersReading:
    """Questions that any thread may ask."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._fetch = database.fetch

    def all(self) -> list[PendingRow]:
        """Returns everybody who waits for a person, who came first at first."""
        rows = self._fetch(
            """SELECT partner_id, certificate, name, url, address, address_group, since, last_at, knocks
            FROM pending_partner ORDER BY since, partner_id, certificate"""
        )
        return [PendingRow(PartnerId(partner_id), *rest) for partner_id, *rest in rows]

    def decisions(self) -> dict[PartnerId, PendingDecision]:
        """Returns what was decided about each id, the oldest decision first."""
        rows = self._fetch(
            """SELECT partner_id, is_accepted, alias, name, decided_at FROM pending_decision
            ORDER BY decided_at, partner_id"""
        )
        return {
            PartnerId(partner_id): PendingDecision(PartnerId(partner_id), bool(accepted), *rest)
            for partner_id, accepted, *rest in rows
        }

    def accepted(self) -> list[PendingDecision]:
        """Returns the ids that were accepted and whose cards have not come, the oldest decision first."""
        return [one for one in self.decisions().values() if one.is_accepted]


class PendingPartners(PendingPartnersReading):
    """Pending partners with their one writer. Each method is a transaction, or a part of the one that is under way."""

    def note(self, row: PendingRow, draw: Draw) -> None:
        """Give somebody who knocked a place, or count its knock where it has one; `draw` chooses who makes room."""
        with self._database.transaction() as writer:
            rows = self.all()
            before = next((one for one in rows if _key(one) == _key(row)), None)
            if before is not None:
                row = replace(row, since=before.since, knocks=before.knocks + 1)
                rows.remove(before)
            if before is None or before.address_group != row.address_group:
                refused = {one.partner_id for one in self.decisions().values() if not one.is_accepted}
                dropped = who_makes_room(rows, row.address_group, draw, refused)
                if dropped is not None:
                    writer.execute(
                        "DELETE FROM pending_partner WHERE partner_id = ? AND certificate = ?", _key(dropped)
                    )
            writer.execute(
                "INSERT OR REPLACE INTO pending_partner VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *_key(row),
                    row.name,
                    row.url,
                    row.address,
                    row.address_group,
                    row.since,
                    row.last_at,
                    row.knocks,
                ),
            )

    def decide(self, decision: PendingDecision) -> None:
        """Keep what a person decided about an id, in place of what was decided before. Its rows stay, out of sight: they say where it
        may be dialled once it is accepted.

        Raises RefusedError `too-many-accepted`, with nothing changed.
        """
        with self._database.transaction() as writer:
            others = [one for one in self.accepted() if one.partner_id != decision.partner_id]
            if decision.is_accepted and len(others) >= ACCEPTED_MAX:
                raise RefusedError(
                    f"{ACCEPTED_MAX} accepted partners have not sent their cards yet",
                    hint="`p2pshare partner refuse` takes one back; `p2pshare partner add` needs no place",
                    reason="too-many-accepted",
                )
            writer.execute(
                "INSERT OR REPLACE INTO pending_decision VALUES (?, ?, ?, ?, ?)",
                (
                    bytes(decision.partner_id),
                    decision.is_accepted,
                    decision.alias,
                    decision.name,
                    decision.decided_at,
                ),
            )
            writer.execute(
                """DELETE FROM pending_decision WHERE NOT is_accepted AND partner_id NOT IN (
                    SELECT partner_id FROM pending_decision WHERE NOT is_accepted
                    ORDER BY decided_at DESC, partner_id LIMIT ?)""",
                (REFUSED_MAX,),
            )

    def forget(self, partner_id: PartnerId) -> None:
        """Forget the rows of an id and what was decided about it: it is a partner now."""
        with self._database.transaction() as writer:
            for table in ("pending_partner", "pending_decision"):
                writer.execute(f"DELETE FROM {table} WHERE partner_id = ?", (bytes(partner_id),))  # noqa: S608 one of two words


def who_makes_room(
    rows: Sequence[PendingRow], newcomer_group: str, draw: Draw, refused: Collection[PartnerId] = ()
) -> PendingRow | None:
    """Returns the one of `rows` that a newcomer of an address group drops, of a crowd one that was `refused` before others; None
    where there is room."""
    beside = [one for one in rows if one.address_group == newcomer_group]
    if len(beside) >= PENDING_PER_GROUP_MAX:
        return _drawn(draw, beside, refused)
    if len(rows) < PENDING_MAX:
        return None
    groups: dict[str, list[PendingRow]] = {}
    for one in rows:
        groups.setdefault(one.address_group, []).append(one)
    largest = max(map(len, groups.values()))
    crowd = [one for group in groups.values() if len(group) == largest for one in group]
    return _drawn(draw, crowd, refused)


def _drawn(draw: Draw, crowd: Sequence[PendingRow], refused: Collection[PartnerId]) -> PendingRow:
    drawn: PendingRow = draw([one for one in crowd if one.partner_id in refused] or crowd)
    return drawn


def _key(row: PendingRow) -> tuple[bytes, bytes]:
    return bytes(row.partner_id), row.certificate
