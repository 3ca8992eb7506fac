# ruff: noqa: S608 - statements are put together from this program's own text only
"""Partners: those whose cards were accepted, the newest file of each, which holds every version; their accounts, and the
time of each one's last exchange.

A partner that is removed leaves its cards and accounts: a chain of cards cannot start over. Errors: see
`database.Database`. Every reading method may be called from any thread.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import apsw
import msgspec

from p2pshare.database.database import Database
from p2pshare.database.settings import OWN_ID, Setting, put_setting
from p2pshare.identifiers import PartnerId
from p2pshare.limits import CLOCK_SKEW_SECONDS_MAX
from p2pshare.partners.interface import Account, ClosedDoor, Distrust, PartnerRow, StoredCardFork

CARD_FETCHED = Setting("card_fetched", bytes)
"""JSON: partner id in hexadecimal -> the newest version of our card that it has fetched from us."""
OWN_CARD_ELSEWHERE = Setting("own_card_elsewhere", int)
"""The newest version of our own card, under our roots, that a partner handed to us."""
CLOSED_DOORS = Setting("closed_doors", bytes)
"""JSON: partner id in hexadecimal -> `ClosedDoor`, of partners whose server does not let us in."""
DISTRUSTED = Setting("distrusted", bytes)
"""JSON: partner id in hexadecimal -> `Distrust`, of partners, present or past, that a person does not believe."""
OWN_CARD_NEWER = Setting("own_card_newer", bytes)
"""That version with all before it, a card file."""
SETTLED_FORKS = Setting("settled_forks", bytes)
"""JSON: partner id in hexadecimal -> digests of bodies that a person has decided are not that partner's card."""
SETTLED_FORKS_MAX = 16  # of one partner, the newest: one a restore that went wrong
RESTORED_AT = Setting("restored_at", int)
"""When this home was put back from a backup (unix seconds), by the clock of then; as long as it may not know its newest card."""
OURSELVES = 0  # the account of what came from nobody else
_COLUMN_BY_STATUS = {"held": "stored", "already-held": "already_held", "deferred": "deferred"}


class PartnersReading:
    """Questions that any thread may ask."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._fetch = database.fetch

    def all(self) -> list[PartnerRow]:
        """Returns the partners of now, in alias order."""
        rows = self._fetch(
            """SELECT o.partner_id, p.alias, p.card, p.card_version, p.has_link, p.circles, p.is_frozen, p.added_at,
                p.is_compared, p.introduced_until, p.suspended, p.suspended_at, p.organisation
            FROM partner p JOIN organisation o ON o.id = p.organisation ORDER BY p.alias"""
        )
        introducers = self._introducers() if any(not row[8] for row in rows) else {}
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
                bool(is_compared),
                introduced_until,
                suspended,
                suspended_at,
                () if is_compared else introducers.get(organisation, ()),
            )
            for (
                partner_id,
                alias,
                card,
                version,
                has_link,
                circles,
                is_frozen,
                added_at,
                is_compared,
                introduced_until,
                suspended,
                suspended_at,
                organisation,
            ) in rows
        ]

    def _introducers(self) -> dict[int, tuple[str, ...]]:
        """Returns our names of those who introduced each partner, present or past."""
        found: dict[int, tuple[str, ...]] = {}
        for organisation, name in self._fetch(
            """SELECT DISTINCT i.organisation, o.name FROM introduction i JOIN organisation o ON o.id = i.introducer
            WHERE o.name IS NOT NULL ORDER BY o.name"""
        ):
            found[organisation] = (*found.get(organisation, ()), name)
        return found

    def newest_card(self, partner_id: PartnerId) -> bytes | None:
        """Returns the newest card file of a partner, present or past, that was ever accepted; it holds every version before."""
        rows = self._fetch(
            "SELECT c.raw FROM card c JOIN organisation o ON o.id = c.organisation WHERE o.partner_id = ?",
            (bytes(partner_id),),
        )
        return rows[0][0] if rows else None

    def names(self) -> dict[PartnerId, str]:
        """Returns the alias of each partner, present or past, and our own name."""
        rows = self._fetch("SELECT partner_id, name FROM organisation WHERE name IS NOT NULL")
        return {PartnerId(partner): name for partner, name in rows}

    def last_exchanges(self) -> dict[PartnerId, int]:
        """Returns the time, in unix seconds, at which each partner last answered us or spoke to us."""
        rows = self._fetch(
            "SELECT o.partner_id, x.at FROM last_exchange x JOIN organisation o ON o.id = x.organisation"
        )
        return {PartnerId(partner): at for partner, at in rows}

    def accounts(self) -> list[Account]:
        """Returns the account of each partner that ever handed something over, in the order of their ids."""
        rows = self._fetch(
            """SELECT o.partner_id, a.came_in, a.stored, a.already_held, a.deferred, a.organisation
            FROM account a JOIN organisation o ON o.id = a.organisation ORDER BY o.partner_id"""
        )
        refusals = "SELECT reason, count FROM refusal WHERE organisation = ? AND scope = 'envelope'"
        return [
            Account(
                PartnerId(partner),
                came_in,
                stored,
                already_held,
                deferred,
                dict(self._fetch(refusals, (organisation,))),
            )
            for partner, came_in, stored, already_held, deferred, organisation in rows
        ]

    def refusals(self) -> dict[str, int]:
        """Returns how often each reason refused something, an envelope or an object in one, of anybody."""
        return dict(self._fetch("SELECT reason, sum(count) FROM refusal GROUP BY reason"))

    def refused_for(self, reason: str) -> dict[PartnerId, int]:
        """Returns how often a reason refused something of each partner; those of whom it never did are missing."""
        rows = self._fetch(
            """SELECT o.partner_id, sum(r.count) FROM refusal r JOIN organisation o ON o.id = r.organisation
            WHERE r.reason = ? GROUP BY o.partner_id ORDER BY o.partner_id""",
            (reason,),
        )
        return {PartnerId(partner): count for partner, count in rows}

    def card_forks(self) -> list[StoredCardFork]:
        """Returns every pair of cards of one version, in the order in which they were noted."""
        rows = self._fetch(
            """SELECT o.partner_id, f.first, f.second, f.noted_at
            FROM card_fork f JOIN organisation o ON o.id = f.organisation ORDER BY f.id"""
        )
        return [StoredCardFork(PartnerId(partner), first, second, at) for partner, first, second, at in rows]

    def card_fetches(self) -> dict[PartnerId, int]:
        """Returns the newest version of our own card that each partner has fetched from us."""
        stored = msgspec.json.decode(self._database.setting(CARD_FETCHED) or b"{}", type=dict[str, int])
        return {PartnerId.parse(partner): version for partner, version in stored.items()}

    def own_card_elsewhere(self) -> int:
        """Returns the newest version of our own card that a partner has handed to us as one that our roots signed; 0: none."""
        return self._database.setting(OWN_CARD_ELSEWHERE) or 0

    def own_card_newer(self) -> bytes | None:
        """Returns the file of the newest version of our own card that a partner has and this home has not; None: there was none."""
        return self._database.setting(OWN_CARD_NEWER)

    def settled_forks(self, partner_id: PartnerId) -> list[bytes]:
        """Returns digests of versions of a partner's card that a person has decided not to follow."""
        stored = msgspec.json.decode(
            self._database.setting(SETTLED_FORKS) or b"{}", type=dict[str, list[str]]
        )
        return [bytes.fromhex(one) for one in stored.get(partner_id.text, [])]

    def restored_at(self) -> int:
        """Returns when this home was put back from a backup, unix seconds; 0 where it never was."""
        return self._database.setting(RESTORED_AT) or 0

    def closed_doors(self) -> dict[PartnerId, ClosedDoor]:
        """Returns of each partner whose server did not let us in when we last came: why, and our knocks."""
        stored = msgspec.json.decode(
            self._database.setting(CLOSED_DOORS) or b"{}", type=dict[str, ClosedDoor]
        )
        return {PartnerId.parse(partner): door for partner, door in stored.items()}

    def distrusts(self) -> dict[PartnerId, Distrust]:
        """Returns the partners, present or past, whose claims are out of effect here by a person's word, or on their way back."""
        stored = msgspec.json.decode(self._database.setting(DISTRUSTED) or b"{}", type=dict[str, Distrust])
        return {PartnerId.parse(partner): one for partner, one in stored.items()}

    def distrusted(self) -> frozenset[PartnerId]:
        """Returns those whom a person does not believe, present or past partners."""
        return frozenset(one for one, how in self.distrusts().items() if how.is_out)

    def is_distrusted(self, organisation: int) -> bool:
        """Returns whether the partner with this row is one that is not believed."""
        distrusted = self.distrusted()
        if not distrusted:
            return False
        rows = self._fetch("SELECT partner_id FROM organisation WHERE id = ?", (organisation,))
        return bool(rows) and PartnerId(rows[0][0]) in distrusted

    def fork_count(self) -> int:
        ((count,),) = self._fetch("SELECT count(*) FROM card_fork")
        return int(count)


class Partners(PartnersReading):
    """Partners with their one writer. Each method is a transaction, or a part of the one that is under way."""

    def put_own(self, partner_id: PartnerId, name: str) -> None:
        """Set our own id and name: the id decides which envelopes are our own, the name is the author of our claims."""
        with self._database.transaction() as writer:
            put_setting(writer, OWN_ID, bytes(partner_id))
            _name(writer, self._database.organisation(partner_id), name)

    def put(self, row: PartnerRow) -> None:
        """Add or replace a partner; its card joins the versions that were accepted. Of one that was trusted again while it was none what
        waits is read now: the walk that brings it back begins anew."""
        with self._database.transaction() as writer:
            how = self.distrusts().get(row.partner_id)
            if how is not None and not how.is_out:
                self.put_distrust(row.partner_id, Distrust(how.since, is_out=False))
            organisation = self._database.organisation(row.partner_id)
            writer.execute(
                """INSERT OR REPLACE INTO partner (
                    organisation, alias, card, card_version, has_link, circles, is_frozen, added_at, is_compared,
                    introduced_until, suspended, suspended_at, voice
                ) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12,
                    CASE WHEN ?9 THEN NULL ELSE (SELECT voice FROM partner WHERE organisation = ?1) END)""",
                (
                    organisation,
                    row.alias,
                    row.card,
                    row.card_version,
                    row.has_link,
                    "\n".join(row.circles),
                    row.is_frozen,
                    row.added_at,
                    row.is_compared,
                    row.introduced_until,
                    row.suspended,
                    row.suspended_at,
                ),
            )
            _name(writer, organisation, row.alias)
            _keep_card(writer, organisation, row.card_version, row.card)

    def remove(self, partner_id: PartnerId) -> None:
        """Remove a partner; what it authored, its cards and its accounts stay."""
        with self._database.transaction(frees_space=True) as writer:
            writer.execute(
                "DELETE FROM partner WHERE organisation = (SELECT id FROM organisation WHERE partner_id = ?)",
                (bytes(partner_id),),
            )

    def put_link(self, partner_id: PartnerId, *, has_link: bool, circles: Iterable[str]) -> None:
        with self._database.transaction() as writer:
            writer.execute(
                "UPDATE partner SET has_link = ?, circles = ? WHERE organisation = ?",
                (has_link, "\n".join(circles), self._database.organisation(partner_id)),
            )

    def update_card(self, partner_id: PartnerId, raw: bytes, version: int) -> None:
        with self._database.transaction() as writer:
            organisation = self._database.organisation(partner_id)
            writer.execute(
                "UPDATE partner SET card = ?, card_version = ? WHERE organisation = ?",
                (raw, version, organisation),
            )
            _keep_card(writer, organisation, version, raw)

    def freeze(self, partner_id: PartnerId, *, evidence: tuple[bytes, bytes], now: int) -> None:
        """Mark a partner frozen of whose card two of one version were seen, and keep the first such proof
        (one is enough)."""
        with self._database.transaction() as writer:
            organisation = self._database.organisation(partner_id)
            writer.execute("UPDATE partner SET is_frozen = 1 WHERE organisation = ?", (organisation,))
            writer.execute(
                """INSERT INTO card_fork (organisation, first, second, noted_at) SELECT ?1, ?2, ?3, ?4
                WHERE NOT EXISTS (SELECT 1 FROM card_fork WHERE organisation = ?1)""",
                (organisation, *evidence, now),
            )

    def settle_fork(
        self, partner_id: PartnerId, raw: bytes, version: int, not_followed: Iterable[bytes]
    ) -> None:
        """Follow this card of a frozen partner, which a person has confirmed, and believe it again; the versions of these digests freeze it
        no more. The proof that was kept goes, so that of another fork is kept."""
        with self._database.transaction() as writer:
            organisation = self._database.organisation(partner_id)
            writer.execute(
                "UPDATE partner SET card = ?, card_version = ?, is_frozen = 0 WHERE organisation = ?",
                (raw, version, organisation),
            )
            writer.execute("INSERT OR REPLACE INTO card VALUES (?, ?, ?)", (organisation, version, raw))
            writer.execute("DELETE FROM card_fork WHERE organisation = ?", (organisation,))
            stored = msgspec.json.decode(
                self._database.setting(SETTLED_FORKS) or b"{}", type=dict[str, list[str]]
            )
            known = dict.fromkeys([*stored.get(partner_id.text, []), *(one.hex() for one in not_followed)])
            stored[partner_id.text] = list(known)[-SETTLED_FORKS_MAX:]
            put_setting(writer, SETTLED_FORKS, msgspec.json.encode(stored))

    def touch(self, partner_id: PartnerId, last_exchange: int) -> None:
        """Note an exchange at `last_exchange`, unix seconds; the latest time wins, but not one that is hours ahead: a clock was
        wrong then."""
        with self._database.transaction() as writer:
            writer.execute(
                """INSERT INTO last_exchange VALUES (?, ?) ON CONFLICT DO UPDATE
                SET at = iif(at > excluded.at + ?, excluded.at, max(at, excluded.at))""",
                (self._database.organisation(partner_id), last_exchange, CLOCK_SKEW_SECONDS_MAX),
            )

    def note_card_fetches(self, versions: Mapping[PartnerId, int]) -> None:
        """Note that these partners have fetched these versions of our card; a version from before stays."""
        with self._database.transaction() as writer:
            fetched = self.card_fetches()
            for partner_id, version in versions.items():
                fetched[partner_id] = max(version, fetched.get(partner_id, 0))
            stored = {partner.text: version for partner, version in sorted(fetched.items())}
            put_setting(writer, CARD_FETCHED, msgspec.json.encode(stored))

    def note_own_card_elsewhere(self, version: int) -> None:
        """Note that a partner has this version of our own card; the newest stays."""
        with self._database.transaction() as writer:
            put_setting(writer, OWN_CARD_ELSEWHERE, max(version, self.own_card_elsewhere()))

    def keep_own_card_newer(self, raw: bytes, version: int) -> None:
        """Keep a newer card file of our own, which was verified; a newer one that is kept already stays."""
        with self._database.transaction() as writer:
            if version >= self.own_card_elsewhere():
                put_setting(writer, OWN_CARD_NEWER, raw)
            self.note_own_card_elsewhere(version)

    def note_restored(self, at: int) -> None:
        """Note that this home was put back at `at`, unix seconds: what partners said and had of us since the backup is unknown. No
        exchange is later than that, though the clock may have been set back."""
        with self._database.transaction() as writer:
            put_setting(writer, RESTORED_AT, at)
            writer.execute("UPDATE last_exchange SET at = min(at, ?)", (at,))

    def forget_restored(self) -> None:
        """Note that partners have shown whether they have a newer card of ours."""
        with self._database.transaction() as writer:
            put_setting(writer, RESTORED_AT, 0)

    def note_closed_doors(self, doors: Mapping[PartnerId, ClosedDoor]) -> None:
        """Note the partners whose server does not let us in, all of them."""
        stored = {partner.text: door for partner, door in sorted(doors.items())}
        with self._database.transaction() as writer:
            put_setting(writer, CLOSED_DOORS, msgspec.json.encode(stored))

    def put_distrust(self, partner_id: PartnerId, how: Distrust | None) -> None:
        """Note how far a partner is out of effect, None: not at all."""
        with self._database.transaction(frees_space=True) as writer:
            every = self.distrusts() | ({partner_id: how} if how is not None else {})
            if how is None:
                every.pop(partner_id, None)
            stored = {partner.text: one for partner, one in sorted(every.items())}
            put_setting(writer, DISTRUSTED, msgspec.json.encode(stored))

    def add_accounting(self, verdicts: Iterable[tuple[PartnerId | None, str, str]]) -> None:
        """Count each thing handed over, (partner, "held"|"already-held"|"deferred"|"refused", reason): once
        as come in and once as what became of it."""
        with self._database.transaction() as writer:
            for (partner, status, reason), times in Counter(verdicts).items():
                organisation = self._account(writer, partner)
                writer.execute(
                    "UPDATE account SET came_in = came_in + ? WHERE organisation = ?", (times, organisation)
                )
                column = _COLUMN_BY_STATUS.get(status)
                if column is None:
                    _count_refusal(writer, organisation, "envelope", reason, times)
                else:
                    writer.execute(
                        f"UPDATE account SET {column} = {column} + ? WHERE organisation = ?",
                        (times, organisation),
                    )

    def end_deferrals(self, verdicts: Iterable[tuple[PartnerId | None, str, str]]) -> None:
        """Count what became of each thing that was deferred, in the place of that: it came in once."""
        ended = list(verdicts)
        with self._database.transaction() as writer:
            for partner, times in Counter(partner for partner, _, _ in ended).items():
                writer.execute(
                    """UPDATE account SET came_in = came_in - min(deferred, ?1), deferred = deferred - min(deferred, ?1)
                    WHERE organisation = ?2""",
                    (times, self._account(writer, partner)),
                )
            self.add_accounting(ended)

    def count_refusals(self, partner: PartnerId | None, reasons: Mapping[str, int]) -> None:
        """Count refusals of something smaller than an envelope (an object in it), by reason."""
        with self._database.transaction() as writer:
            organisation = self._account(writer, partner)
            for reason, times in reasons.items():
                _count_refusal(writer, organisation, "object", reason, times)

    def _account(self, writer: apsw.Connection, partner: PartnerId | None) -> int:
        organisation = OURSELVES if partner is None else self._database.organisation(partner)
        writer.execute("INSERT OR IGNORE INTO account (organisation) VALUES (?)", (organisation,))
        return organisation


def _name(writer: apsw.Connection, organisation: int, name: str) -> None:
    writer.execute("UPDATE organisation SET name = ? WHERE id = ?", (name, organisation))


def _keep_card(writer: apsw.Connection, organisation: int, version: int, raw: bytes) -> None:
    """Keep the newest file: it has all versions before it, and kept one by one 256 of them would take half a gigabyte."""
    writer.execute(
        """INSERT INTO card VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET version = excluded.version, raw = excluded.raw
        WHERE excluded.version > version""",
        (organisation, version, raw),
    )


def _count_refusal(writer: apsw.Connection, organisation: int, scope: str, reason: str, times: int) -> None:
    writer.execute(
        "INSERT INTO refusal VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
        (organisation, scope, reason, times),
    )
