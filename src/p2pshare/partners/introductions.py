"""Introductions: member lists that are held, whom they introduced, and who is seen in our circles without being a partner
(docs/introductions.md).

Nothing is verified here (`sharing.introducing` does). Errors: see `database.Database`. Every reading method may be called from any
thread.
"""

from __future__ import annotations

from msgspec import Struct

from p2pshare.database.database import Database
from p2pshare.database.fetching import Row
from p2pshare.identifiers import CircleId, PartnerId

STRANGERS_PER_PARTNER_MAX = (
    256  # noted of what one partner hands over; the one that was seen longest ago goes
)
IN_ENVELOPES, IN_CARDS, IN_LISTS = 1, 2, 4


class HeldList(Struct, frozen=True):
    """The newest list of an introducer in a circle. `trouble`: why a newer one was refused when it was fetched last. Seconds are unix
    seconds."""

    introducer: PartnerId
    circle: CircleId
    number: int
    created: int
    expires: int
    raw: bytes
    noted_at: int
    trouble: str = ""
    trouble_at: int = 0


class AcceptedIntroduction(Struct, frozen=True):
    """That a person accepted an introducer's word about a partner, in a circle."""

    partner_id: PartnerId
    introducer: PartnerId
    circle: CircleId


class ListFork(Struct, frozen=True):
    """Two lists of one introducer with one number."""

    introducer: PartnerId
    circle: CircleId
    number: int
    first: bytes
    second: bytes
    noted_at: int


class StrangerRow(Struct, frozen=True):
    """Somebody in a circle of ours who is no partner here; `name` is what a card said, which nobody has verified."""

    partner_id: PartnerId
    circle: CircleId
    name: str
    seen_in: int
    seen_at: int


class IntroductionsReading:
    """Questions that any thread may ask."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._fetch = database.fetch

    def lists(self) -> list[HeldList]:
        """Returns the newest list of each introducer and circle, ours among them."""
        rows = self._fetch(f"{_LIST} ORDER BY o.partner_id, l.circle")
        return [_list_of(row) for row in rows]

    def list_of(self, introducer: PartnerId, circle: CircleId) -> HeldList | None:
        rows = self._fetch(
            f"{_LIST} WHERE o.partner_id = ? AND l.circle = ?", (bytes(introducer), bytes(circle))
        )
        return _list_of(rows[0]) if rows else None

    def forks(self) -> list[ListFork]:
        rows = self._fetch(
            """SELECT o.partner_id, f.circle, f.number, f.first, f.second, f.noted_at
            FROM member_list_fork f JOIN organisation o ON o.id = f.introducer ORDER BY f.noted_at"""
        )
        return [ListFork(PartnerId(one), CircleId(circle), *rest) for one, circle, *rest in rows]

    def accepted(self) -> list[AcceptedIntroduction]:
        """Returns every introduction that a person accepted."""
        rows = self._fetch(
            """SELECT o.partner_id, x.partner_id, i.circle FROM introduction i
            JOIN organisation o ON o.id = i.organisation JOIN organisation x ON x.id = i.introducer
            ORDER BY o.partner_id, x.partner_id, i.circle"""
        )
        return [
            AcceptedIntroduction(PartnerId(one), PartnerId(introducer), CircleId(circle))
            for one, introducer, circle in rows
        ]

    def voices(self) -> dict[PartnerId, PartnerId]:
        """Returns with whom each partner is one voice that does not count by itself."""
        rows = self._fetch(
            """SELECT o.partner_id, v.partner_id FROM partner p JOIN organisation o ON o.id = p.organisation
            JOIN organisation v ON v.id = p.voice"""
        )
        return {PartnerId(one): PartnerId(voice) for one, voice in rows}

    def strangers(self) -> list[StrangerRow]:
        """Returns those who are no partners and never were, in the order of their ids."""
        rows = self._fetch(
            """SELECT s.partner_id, s.circle, s.name, s.seen_in, s.seen_at FROM stranger s WHERE NOT EXISTS (
                SELECT 1 FROM card c JOIN organisation o ON o.id = c.organisation WHERE o.partner_id = s.partner_id
            ) ORDER BY s.partner_id"""
        )
        return [StrangerRow(PartnerId(one), CircleId(circle), *rest) for one, circle, *rest in rows]


class Introductions(IntroductionsReading):
    """Introductions with their one writer. Each method is a transaction, or a part of the one that is under way."""

    def put_list(self, held: HeldList) -> None:
        """Hold a list in the place of the one before."""
        with self._database.transaction() as writer:
            writer.execute(
                "INSERT OR REPLACE INTO member_list VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    self._database.organisation(held.introducer),
                    bytes(held.circle),
                    held.number,
                    held.created,
                    held.expires,
                    held.raw,
                    held.noted_at,
                    held.trouble,
                    held.trouble_at,
                ),
            )

    def note_trouble(self, introducer: PartnerId, circle: CircleId, trouble: str, now: int) -> None:
        """Note why the list that was fetched last was refused, or (empty) that none was; since when stays while the reason does."""
        with self._database.transaction() as writer:
            writer.execute(
                """UPDATE member_list SET trouble = ?1, trouble_at = iif(?1 = '', 0, ?2)
                WHERE introducer = ?3 AND circle = ?4 AND trouble != ?1""",
                (trouble, now, self._database.organisation(introducer), bytes(circle)),
            )

    def put_fork(self, fork: ListFork) -> None:
        """Keep the first pair of an introducer and circle: one is enough."""
        with self._database.transaction() as writer:
            writer.execute(
                "INSERT OR IGNORE INTO member_list_fork VALUES (?, ?, ?, ?, ?, ?)",
                (
                    self._database.organisation(fork.introducer),
                    bytes(fork.circle),
                    fork.number,
                    fork.first,
                    fork.second,
                    fork.noted_at,
                ),
            )

    def accept(self, one: AcceptedIntroduction, now: int) -> None:
        with self._database.transaction() as writer:
            organisation = self._database.organisation(one.partner_id)
            introducer = self._database.organisation(one.introducer)
            writer.execute(
                "INSERT OR IGNORE INTO introduction VALUES (?, ?, ?, ?)",
                (organisation, introducer, bytes(one.circle), now),
            )

    def forget(self, partner_id: PartnerId) -> None:
        """Forget who introduced a partner: a person compared or removed it."""
        with self._database.transaction(frees_space=True) as writer:
            writer.execute(
                "DELETE FROM introduction WHERE organisation = ?", (self._database.organisation(partner_id),)
            )

    def put_review(
        self, partner_id: PartnerId, *, until: int, suspended: str, now: int, voice: PartnerId | None
    ) -> None:
        """Note what the introductions of a partner come to. While it is suspended its voice stays what it was."""
        with self._database.transaction() as writer:
            writer.execute(
                """UPDATE partner SET introduced_until = ?1, suspended_at = iif(?2 = '', 0, iif(suspended = '', ?3, suspended_at)),
                    suspended = ?2, voice = iif(?2 = '', ?4, voice)
                WHERE organisation = ?5 AND NOT is_compared""",
                (
                    until,
                    suspended,
                    now,
                    None if voice is None else self._database.organisation(voice),
                    self._database.organisation(partner_id),
                ),
            )

    def note_stranger(
        self, partner_id: PartnerId, via: PartnerId, circle: CircleId, seen_in: int, now: int, name: str = ""
    ) -> None:
        """Note that what the partner `via` handed over names somebody who is no partner here. A name that is known stays where none
        comes; of one partner at most STRANGERS_PER_PARTNER_MAX are noted."""
        with self._database.transaction() as writer:
            organisation = self._database.organisation(via)
            writer.execute(
                """INSERT INTO stranger VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET
                    name = iif(?4 = '', name, ?4), seen_in = seen_in | ?5, seen_at = max(seen_at, ?6)""",
                (bytes(partner_id), organisation, bytes(circle), name, seen_in, now),
            )
            writer.execute(
                """DELETE FROM stranger WHERE partner_id IN (
                    SELECT partner_id FROM stranger WHERE via = ? ORDER BY seen_at DESC, partner_id LIMIT -1 OFFSET ?
                )""",
                (organisation, STRANGERS_PER_PARTNER_MAX),
            )

    def drop_strangers(self, seen_before: int) -> None:
        """Forget those of whom nothing came for long."""
        with self._database.transaction(frees_space=True) as writer:
            writer.execute("DELETE FROM stranger WHERE seen_at < ?", (seen_before,))


_LIST = """
SELECT o.partner_id, l.circle, l.number, l.created, l.expires, l.raw, l.noted_at, l.trouble, l.trouble_at
FROM member_list l JOIN organisation o ON o.id = l.introducer
"""


def _list_of(row: Row) -> HeldList:
    introducer, circle, *rest = row
    return HeldList(PartnerId(introducer), CircleId(circle), *rest)
