"""The tables of spaces: what was taken in, what waits, whose cards came beside (docs/store.md, "Spaces").

Rules:

1. Nothing is verified here (`spaces.spaces` does). An entry is stored after its parents, and its body once: neither is ever
   replaced by another.
2. What an entry that was not verified claims makes no row but its own: its author is no organisation of ours.
3. Every change of what is held counts (`SpaceRow.changes`); a canonical output is good for one count.

The one file of this room that speaks SQL; all others stay pure. Errors: see `database.Database`. Every reading method may be
called from any thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from p2pshare.database.database import Database
from p2pshare.database.fetching import Row
from p2pshare.database.overwriting import overwriting
from p2pshare.envelope.encoding import Reader, pack
from p2pshare.envelope.entry import (
    BODY_SALT_BYTES,
    DecodedEntry,
    EntryHeader,
    VerifiedEntry,
    decode_header,
    entry_id_of,
)
from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.spaces.acts import Opening
from p2pshare.spaces.heads import SpaceHeads, decode_heads

ENTRIES_AT_ONCE = 256  # read in one transaction: of 256 KiB each they are 64 MiB
PURGED_AT_ONCE = 128  # entries purged in one transaction: at most 32 MiB are overwritten, a third of a second of a slow disk
TIMELINE_AT_ONCE = 2_000  # rows of a time line read in one step: some 3 ms
BYTES_AT_ONCE = 1 << 20  # of bodies read in one step of loading a space: some 2 ms
CANDIDATES_MAX = 16  # spaces shown where the beginning of an id names several

WAITS_FOR_CARD = "card"
WAITS_FOR_PARENTS = "parents"

_SPACE = """
SELECT s.id, s.space_id, s.kind, s.title, s.tlp, o.partner_id, i.partner_id, s.noted_at, s.changes
FROM space s JOIN organisation o ON o.id = s.opener JOIN organisation i ON i.id = s.introduced_by
"""
_HELD = "s.space_id NOT IN (SELECT space_id FROM space_purged)"  # one that is being purged is gone already
_PURGE_BY_SPACE_ID = ("DELETE FROM space_waiting WHERE space_id = ?",)
_PURGE_OF_SPACE = (
    "DELETE FROM space_state WHERE space = ?",
    "DELETE FROM space_shown WHERE space = ?",
    "DELETE FROM space_heads WHERE space = ?",
    "DELETE FROM incident_view WHERE space = ?",
    "DELETE FROM incident_part WHERE space = ?",
    "DELETE FROM incident_watch WHERE space = ?",
    "DELETE FROM lab_view WHERE space = ?",
    "DELETE FROM lab_rule WHERE space = ?",
    "DELETE FROM lab_text WHERE space = ?",
    "DELETE FROM framework_view WHERE space = ?",
    "DELETE FROM framework_playbook WHERE space = ?",
    "DELETE FROM space_archived WHERE space = ?",
    "DELETE FROM space_stated WHERE space = ?",
    "DELETE FROM space_seen_again WHERE space = ?",
)
"""Tables with rows about a space besides its entries: a purge empties them first."""
_PURGE_NEWEST = (
    """DELETE FROM space_damaged
    WHERE entry IN (SELECT id FROM space_entry WHERE space = ? ORDER BY id DESC LIMIT ?)""",
    """DELETE FROM incident_timeline
    WHERE entry IN (SELECT id FROM space_entry WHERE space = ? ORDER BY id DESC LIMIT ?)""",
    """DELETE FROM space_parent
    WHERE entry IN (SELECT id FROM space_entry WHERE space = ? ORDER BY id DESC LIMIT ?)""",
    """DELETE FROM space_entry
    WHERE id IN (SELECT id FROM space_entry WHERE space = ? ORDER BY id DESC LIMIT ?)""",
)
_PART_BEGINS = b"\x94\xc4\x20"  # the content of an entry `part`, before the hash of its whole
_WAITING = """
SELECT w.id, w.space_id, w.entry_id, w.author, w.depth, w.reason, w.names_us, o.partner_id, w.bytes, w.received_at
FROM space_waiting w JOIN organisation o ON o.id = w.handed_by
"""


@dataclass(frozen=True, slots=True)
class SpaceRow:
    """A space whose opening is held. `tlp` 0 to 4, `noted_at` in unix seconds."""

    row: int
    space: EntryId
    kind: str
    title: str
    tlp: int
    opener: PartnerId
    introduced_by: PartnerId
    noted_at: int
    changes: int


@dataclass(frozen=True, slots=True)
class WaitingEntry:
    """An entry that waits for a card or for parents, without its bytes. `author` is a claim where it waits for a card."""

    row: int
    space: EntryId
    entry_id: EntryId
    author: PartnerId
    depth: int
    reason: str
    names_us: bool
    """It is an invitation of ours whose signatures held."""
    handed_by: PartnerId
    size: int
    received_at: int


class FoldedEntry(NamedTuple):
    """An entry that is held, by its row: what a fold needs of it. Body None: it is held without."""

    row: int
    entry_id: bytes
    header: bytes
    body: bytes | None


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """An entry that is held, by its place in the order of storing (`row`)."""

    row: int
    space: EntryId
    entry_id: EntryId
    header: EntryHeader


class IncidentRow(NamedTuple):
    """What `v1_incidents` shows of an incident besides its opening; instants, types and members as text. Without anything: its rules are
    not known."""

    status: str | None = None
    types: str | None = None
    determination: str | None = None
    criticality: int | None = None
    lead: PartnerId | None = None
    members: str | None = None
    opened: str | None = None
    closed: str | None = None
    late: int | None = None


class EntryTold(NamedTuple):
    """What `v1_incident_timeline` shows of an entry. `has_text`: its body was held, and not redacted."""

    entry_id: EntryId
    kind: str
    author: PartnerId
    tlp: int
    stated_at: str | None
    claimed_at: str | None
    text: str | None
    badges: str
    has_text: bool


class LabRuleRow(NamedTuple):
    """What `v1_rules` shows of a text of a rule in a lab. `techniques` as JSON; `counts_from` in unix seconds."""

    rule: EntryId
    is_current: bool
    entry: EntryId
    language: str
    title: str
    author: PartnerId
    rule_author: str
    licence: str
    digest: bytes
    tlp: int
    status: str
    level: str | None
    techniques: str
    reviews: int
    runs: int
    counts_from: int | None
    is_shared: bool


@dataclass(frozen=True, slots=True)
class ShownHeads:
    """The heads that a member showed last, and when (unix seconds)."""

    heads: SpaceHeads
    noted_at: int


class SpaceReading:
    """Questions that any thread may ask."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._fetch = database.fetch

    def all(self) -> list[SpaceRow]:
        """Returns the spaces that are held, oldest first."""
        return [_space_of(row) for row in self._fetch(f"{_SPACE} WHERE {_HELD} ORDER BY s.id")]

    def find(self, space: EntryId) -> SpaceRow | None:
        rows = self._fetch(f"{_SPACE} WHERE s.space_id = ? AND {_HELD}", (bytes(space),))
        return _space_of(rows[0]) if rows else None

    def begin_with(self, digits: str) -> list[SpaceRow]:
        """Returns the spaces whose ids begin with these hexadecimal digits, at most `CANDIDATES_MAX`."""
        rows = self._fetch(
            f"{_SPACE} WHERE substr(lower(hex(s.space_id)), 1, ?) = ? AND {_HELD} ORDER BY s.space_id LIMIT ?",
            (len(digits), digits.lower(), CANDIDATES_MAX),
        )
        return [_space_of(row) for row in rows]

    def opened_by(self, opener: PartnerId) -> int:
        """Returns how many spaces of one opener are held."""
        ((count,),) = self._fetch(
            "SELECT count(*) FROM space s JOIN organisation o ON o.id = s.opener WHERE o.partner_id = ?",
            (bytes(opener),),
        )
        return int(count)

    def space_of_entry(self, entry_id: EntryId) -> EntryId | None:
        """Returns the space of an entry that is held."""
        rows = self._fetch(
            "SELECT s.space_id FROM space_entry e JOIN space s ON s.id = e.space WHERE e.entry_id = ?",
            (bytes(entry_id),),
        )
        return EntryId(rows[0][0]) if rows else None

    def entries(self, space: SpaceRow) -> Iterator[VerifiedEntry]:
        """Yields what is held of a space, parents before children; without those whose header was changed on the disk, and what follows
        them."""
        last = 0
        left_out: set[EntryId] = set()
        while True:
            rows = self._fetch(
                """SELECT id, entry_id, header, body, signatures FROM space_entry
                WHERE space = ? AND id > ? ORDER BY id LIMIT ?""",
                (space.row, last, ENTRIES_AT_ONCE),
            )
            for _, *row in rows:
                entry = _entry_of(row) if _is_whole(*row[:2]) else None
                if entry is None or not left_out.isdisjoint(entry.header.parents):
                    left_out.add(EntryId(row[0]))
                else:
                    yield entry
            if rows:
                last = rows[-1][0]
            if len(rows) < ENTRIES_AT_ONCE:
                return

    def entries_behind(self, space: SpaceRow, last: int) -> list[FoldedEntry]:
        """Returns the next entries that are held of a space behind row `last`, in the order of `entries`: some, of no more than
        `BYTES_AT_ONCE` together, or a single one."""
        sizes = self._fetch(
            """SELECT id, coalesce(length(body), 0) FROM space_entry
            WHERE space = ? AND id > ? ORDER BY id LIMIT ?""",
            (space.row, last, ENTRIES_AT_ONCE),
        )
        total, end = 0, last
        for row, size in sizes:
            total += size
            if end > last and total > BYTES_AT_ONCE:
                break
            end = row
        rows = self._fetch(
            "SELECT id, entry_id, header, body FROM space_entry WHERE space = ? AND id > ? AND id <= ? ORDER BY id",
            (space.row, last, end),
        )
        return [FoldedEntry(*row) for row in rows]

    def entry_count(self, space: SpaceRow) -> int:
        ((count,),) = self._fetch("SELECT count(*) FROM space_entry WHERE space = ?", (space.row,))
        return int(count)

    def waiting(
        self,
        *,
        space: EntryId | None = None,
        author: PartnerId | None = None,
        entry_id: EntryId | None = None,
        reason: str | None = None,
        names_us: bool | None = None,
    ) -> list[WaitingEntry]:
        """Returns what waits, oldest first: all, or what fits each of these."""
        asked = [
            ("w.space_id = ?", None if space is None else bytes(space)),
            ("w.author = ?", None if author is None else bytes(author)),
            ("w.entry_id = ?", None if entry_id is None else bytes(entry_id)),
            ("w.reason = ?", reason),
            ("w.names_us = ?", names_us),
        ]
        given = [(term, value) for term, value in asked if value is not None]
        where = " AND ".join(["1", *(term for term, _ in given)])
        rows = self._fetch(f"{_WAITING} WHERE {where} ORDER BY w.id", tuple(value for _, value in given))
        return [_waiting_of(row) for row in rows]

    def waiting_wire(self, row: int) -> bytes | None:
        """Returns the bytes of an entry that waits, as they came; None where it waits no more."""
        rows = self._fetch("SELECT wire FROM space_waiting WHERE id = ?", (row,))
        return rows[0][0] if rows else None

    def waiting_bytes(self, handed_by: PartnerId) -> int:
        """Returns how many bytes wait that one partner handed over."""
        ((total,),) = self._fetch(
            """SELECT coalesce(sum(bytes), 0) FROM space_waiting
            WHERE handed_by = (SELECT id FROM organisation WHERE partner_id = ?)""",
            (bytes(handed_by),),
        )
        return int(total)

    def introduced_card(self, member: PartnerId) -> bytes | None:
        """Returns the card file of a member that came beside entries."""
        rows = self._fetch(
            """SELECT c.raw FROM introduced_card c JOIN organisation o ON o.id = c.organisation
            WHERE o.partner_id = ?""",
            (bytes(member),),
        )
        return rows[0][0] if rows else None

    def introduced_by(self, member: PartnerId) -> PartnerId | None:
        """Returns who handed over the card of a member that came beside entries."""
        rows = self._fetch(
            """SELECT i.partner_id FROM introduced_card c JOIN organisation o ON o.id = c.organisation
            JOIN organisation i ON i.id = c.introduced_by WHERE o.partner_id = ?""",
            (bytes(member),),
        )
        return PartnerId(rows[0][0]) if rows else None

    def introduced_version(self, member: PartnerId) -> int:
        """Returns the version of the card of a member that came beside entries; 0 where there is none."""
        rows = self._fetch(
            "SELECT c.version FROM introduced_card c JOIN organisation o ON o.id = c.organisation WHERE o.partner_id = ?",
            (bytes(member),),
        )
        return int(rows[0][0]) if rows else 0

    # --- how entries travel ---

    def last_entry_row(self) -> int:
        """Returns the place of the entry that was stored last, of any space; 0 where there is none."""
        ((last,),) = self._fetch("SELECT coalesce(max(id), 0) FROM space_entry")
        return int(last)

    def entries_after(self, row: int, limit: int) -> list[StoredEntry]:
        """Returns the entries of all spaces that were stored after a place, in that order."""
        rows = self._fetch(
            """SELECT e.id, s.space_id, e.entry_id, e.header FROM space_entry e JOIN space s ON s.id = e.space
            WHERE e.id > ? ORDER BY e.id LIMIT ?""",
            (row, limit),
        )
        return [
            StoredEntry(key, EntryId(space), EntryId(entry_id), decode_header(header))
            for key, space, entry_id, header in rows
            if _is_whole(entry_id, header)
        ]

    def entry(self, entry_id: EntryId) -> VerifiedEntry | None:
        """Returns an entry that is held, with its body where that is."""
        rows = self._fetch(
            "SELECT entry_id, header, body, signatures FROM space_entry WHERE entry_id = ?",
            (bytes(entry_id),),
        )
        return _entry_of(rows[0]) if rows and _is_whole(*rows[0][:2]) else None

    def heads_shown(self, space: SpaceRow) -> dict[PartnerId, ShownHeads]:
        """Returns what each member showed last that it holds of a space; ourselves: what we told last."""
        rows = self._fetch(
            """SELECT o.partner_id, h.heads, h.noted_at FROM space_heads h JOIN organisation o ON o.id = h.member
            WHERE h.space = ? AND h.heads IS NOT NULL""",
            (space.row,),
        )
        return {PartnerId(member): ShownHeads(decode_heads(raw), at) for member, raw, at in rows}

    def has_shown_heads(self, space: SpaceRow, member: PartnerId) -> bool:
        """Returns whether heads of a member are kept."""
        return bool(
            self._fetch(
                """SELECT 1 FROM space_heads h JOIN organisation o ON o.id = h.member
                WHERE h.space = ? AND o.partner_id = ? AND h.heads IS NOT NULL""",
                (space.row, bytes(member)),
            )
        )

    def handed(self, space: SpaceRow) -> dict[PartnerId, dict[PartnerId, int]]:
        """Returns of each member the greatest number of each author that was handed to it."""
        rows = self._fetch(
            "SELECT o.partner_id, h.handed FROM space_heads h JOIN organisation o ON o.id = h.member WHERE h.space = ?",
            (space.row,),
        )
        return {PartnerId(member): _numbers_of(raw) for member, raw in rows}

    def canonical(self, space: SpaceRow) -> bytes | None:
        """Returns the canonical output of a space as it is now, where somebody has folded it."""
        rows = self._fetch(
            "SELECT canonical FROM space_state WHERE space = ? AND changes = ?", (space.row, space.changes)
        )
        return rows[0][0] if rows else None

    def put_stated(self, space: SpaceRow, entry: EntryId, object_id: str) -> None:
        """Note that an entry of ours states a STIX object."""
        with self._database.transaction() as writer:
            writer.execute(
                "INSERT OR IGNORE INTO space_stated VALUES (?, ?, ?)", (bytes(entry), space.row, object_id)
            )

    def put_seen_again(self, space: SpaceRow, entry: EntryId, how: str, seen_at: int) -> None:
        """Note that the value of an entry was seen again: the newest counts."""
        with self._database.transaction() as writer:
            writer.execute(
                """INSERT INTO space_seen_again VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE
                SET how = excluded.how, seen_at = excluded.seen_at WHERE excluded.seen_at > space_seen_again.seen_at""",
                (bytes(entry), space.row, how, seen_at),
            )

    def drop_stated(self, entry: EntryId) -> None:
        """Forget that an entry states an object."""
        with self._database.transaction() as writer:
            writer.execute("DELETE FROM space_stated WHERE entry_id = ?", (bytes(entry),))

    # --- what a person was shown, and what was purged ------------------------------------------------

    def entries_begin_with(self, space: SpaceRow, digits: str) -> list[EntryId]:
        """Returns the entries of a space whose ids begin with these hexadecimal digits, at most `CANDIDATES_MAX`."""
        rows = self._fetch(
            """SELECT entry_id FROM space_entry WHERE space = ? AND substr(lower(hex(entry_id)), 1, ?) = ?
            ORDER BY entry_id LIMIT ?""",
            (space.row, len(digits), digits.lower(), CANDIDATES_MAX),
        )
        return [EntryId(entry_id) for (entry_id,) in rows]

    def received_at(self, entry_id: EntryId) -> int:
        """Returns when an entry came (unix seconds); 0 where it is not held."""
        rows = self._fetch("SELECT received_at FROM space_entry WHERE entry_id = ?", (bytes(entry_id),))
        return int(rows[0][0]) if rows else 0

    def headers(self, space: SpaceRow) -> list[tuple[EntryId, EntryHeader]]:
        """Returns the header of each entry that is held, by (depth, id): the order of a file of the space."""
        found: list[tuple[EntryId, EntryHeader]] = []
        last = 0
        while True:
            rows = self._fetch(
                "SELECT id, entry_id, header FROM space_entry WHERE space = ? AND id > ? ORDER BY id LIMIT ?",
                (space.row, last, ENTRIES_AT_ONCE),
            )
            found += (
                (EntryId(entry_id), decode_header(header))
                for _, entry_id, header in rows
                if _is_whole(entry_id, header)
            )
            if len(rows) < ENTRIES_AT_ONCE:
                return sorted(found, key=lambda one: (one[1].depth, one[0]))
            last = rows[-1][0]

    def body_count(self, space: SpaceRow) -> int:
        """Returns of how many entries the body is held."""
        ((count,),) = self._fetch(
            "SELECT count(*) FROM space_entry WHERE space = ? AND body IS NOT NULL", (space.row,)
        )
        return int(count)

    def newest_canonical(self, space: SpaceRow) -> tuple[bytes, bool] | None:
        """Returns the canonical output as somebody last made it, and whether nothing has changed since."""
        rows = self._fetch("SELECT canonical, changes FROM space_state WHERE space = ?", (space.row,))
        return (rows[0][0], rows[0][1] == space.changes) if rows else None

    def shown(self, space: SpaceRow) -> dict[PartnerId, int]:
        """Returns the greatest number of each author up to which a person was shown a space."""
        rows = self._fetch(
            """SELECT o.partner_id, s.number FROM space_shown s JOIN organisation o ON o.id = s.author
            WHERE s.space = ?""",
            (space.row,),
        )
        return {PartnerId(author): number for author, number in rows}

    def stated(self, space: SpaceRow) -> list[tuple[EntryId, str]]:
        """Returns (entry, id of the STIX object) of those of ours that state one which we did not withdraw."""
        rows = self._fetch("SELECT entry_id, object_id FROM space_stated WHERE space = ?", (space.row,))
        return [(EntryId(entry), object_id) for entry, object_id in rows]

    def seen_again(self, space: SpaceRow) -> list[tuple[EntryId, str, int]]:
        """Returns (entry, how, unix seconds) of the values that were seen again and of which nothing tells the members."""
        rows = self._fetch(
            "SELECT entry_id, how, seen_at FROM space_seen_again WHERE space = ?", (space.row,)
        )
        return [(EntryId(entry), how, seen_at) for entry, how, seen_at in rows]

    def watched(self, value_type: str, now: int) -> list[tuple[EntryId, str, str]]:
        """Returns (incident, title, value) of what is watched of a type, as the daemon last noted it."""
        rows = self._fetch(
            """SELECT s.space_id, s.title, w.value FROM incident_watch w JOIN space s ON s.id = w.space
            WHERE w.value_type = ? AND w.until > ? AND s.space_id NOT IN (SELECT g.space_id FROM space_purged g)
            ORDER BY s.id, w.value""",
            (value_type, now),
        )
        return [(EntryId(space), title, value) for space, title, value in rows]

    def is_purged(self, space: EntryId) -> bool:
        """Returns whether a person has purged this space from this node."""
        return bool(self._fetch("SELECT 1 FROM space_purged WHERE space_id = ?", (bytes(space),)))

    def stopped(self) -> list[tuple[EntryId, int]]:
        """Returns the exercises that a real event has stopped, and since when (unix seconds)."""
        rows = self._fetch("SELECT exercise, since FROM exercise_stopped ORDER BY since, exercise")
        return [(EntryId(exercise), int(since)) for exercise, since in rows]

    def purged_begin_with(self, digits: str) -> list[EntryId]:
        """Returns the purged spaces whose ids begin so, at most `CANDIDATES_MAX`."""
        rows = self._fetch(
            """SELECT space_id FROM space_purged WHERE substr(lower(hex(space_id)), 1, ?) = ?
            ORDER BY space_id LIMIT ?""",
            (len(digits), digits.lower(), CANDIDATES_MAX),
        )
        return [EntryId(space) for (space,) in rows]

    # --- what the views of incidents show, and what was put away ---------------------------------------

    def incidents_to_show(self) -> list[SpaceRow]:
        """Returns the incidents of which something was stored since their rows were made, oldest first."""
        rows = self._fetch(
            f"""{_SPACE} LEFT JOIN incident_view v ON v.space = s.id
            WHERE s.kind = 'incident' AND v.changes IS NOT s.changes AND {_HELD} ORDER BY s.id"""
        )
        return [_space_of(row) for row in rows]

    def frameworks_to_show(self) -> list[SpaceRow]:
        """Returns the frameworks of which something was stored since their rows were made, oldest first."""
        rows = self._fetch(
            f"""{_SPACE} LEFT JOIN framework_view v ON v.space = s.id
            WHERE s.kind = 'framework' AND v.changes IS NOT s.changes AND {_HELD} ORDER BY s.id"""
        )
        return [_space_of(row) for row in rows]

    def playbooks_shown(self, space: SpaceRow) -> dict[str, str]:
        """Returns the playbooks of a framework as they are shown, by the id of their entry."""
        return dict(self._fetch("SELECT key, row FROM framework_playbook WHERE space = ?", (space.row,)))

    def timeline_behind(self, space: SpaceRow, last: int) -> list[tuple[int, bytes, str, int]]:
        """Returns rows of an incident's time line behind entry `last`: its place, its id, its badges, whether its text was known."""
        rows = self._fetch(
            """SELECT t.entry, e.entry_id, t.badges, t.has_text FROM incident_timeline t
            JOIN space_entry e ON e.id = t.entry WHERE t.space = ? AND t.entry > ? ORDER BY t.entry LIMIT ?""",
            (space.row, last, TIMELINE_AT_ONCE),
        )
        return [(place, entry, badges, has_text) for place, entry, badges, has_text in rows]

    def incident_parts(self, space: SpaceRow, part: str) -> dict[str, str]:
        """Returns the tasks, or the duties, of an incident as they are shown, by key."""
        return dict(
            self._fetch("SELECT key, row FROM incident_part WHERE space = ? AND part = ?", (space.row, part))
        )

    # --- labs: what the view of rules shows, and parts ------------------------------------------------

    def labs_to_show(self) -> list[SpaceRow]:
        """Returns the labs of which something was stored since the rows of their rules were made, oldest first."""
        rows = self._fetch(
            f"""{_SPACE} LEFT JOIN lab_view v ON v.space = s.id
            WHERE s.kind = 'lab' AND v.changes IS NOT s.changes AND {_HELD} ORDER BY s.id"""
        )
        return [_space_of(row) for row in rows]

    def lab_rules(self, space: SpaceRow) -> list[LabRuleRow]:
        """Returns the rows of a lab's rules."""
        rows = self._fetch(
            """SELECT r.rule, r.is_current, r.entry, r.language, r.title, o.partner_id, r.rule_author, r.licence, r.digest, r.tlp, r.status,
            r.level, r.techniques, r.reviews, r.runs, r.counts_from, r.is_shared
            FROM lab_rule r JOIN organisation o ON o.id = r.author WHERE r.space = ?""",
            (space.row,),
        )
        return [
            LabRuleRow(
                EntryId(rule),
                bool(is_current),
                EntryId(entry),
                language,
                title,
                PartnerId(author),
                *rest,
            )
            for rule, is_current, entry, language, title, author, *rest in rows
        ]

    def lab_texts(self, space: SpaceRow) -> set[bytes]:
        """Returns the hashes of the texts that are shown of a lab."""
        return {
            digest for (digest,) in self._fetch("SELECT digest FROM lab_text WHERE space = ?", (space.row,))
        }

    def whole_of_part(self, entry_id: EntryId) -> bytes | None:
        """Returns the hash of the whole that an entry `part` is of, by its first bytes; None where its body is not held, or says nothing."""
        rows = self._fetch(
            "SELECT substr(body, ?, ?) FROM space_entry WHERE entry_id = ? AND body IS NOT NULL",
            (BODY_SALT_BYTES + 1, len(_PART_BEGINS) + 32, bytes(entry_id)),
        )
        if not rows or not rows[0][0].startswith(_PART_BEGINS):
            return None
        digest: bytes = rows[0][0][len(_PART_BEGINS) :]
        return digest

    def damaged(self) -> list[tuple[EntryId, EntryId]]:
        """Returns the entries that were found to be damaged and have not come again: space and entry."""
        rows = self._fetch(
            """SELECT s.space_id, e.entry_id FROM space_damaged d JOIN space_entry e ON e.id = d.entry
            JOIN space s ON s.id = e.space WHERE e.body IS NULL ORDER BY d.entry"""
        )
        return [(EntryId(space), EntryId(entry)) for space, entry in rows]

    def archived(self) -> frozenset[EntryId]:
        """Returns the spaces that a person put away."""
        rows = self._fetch("SELECT s.space_id FROM space_archived a JOIN space s ON s.id = a.space")
        return frozenset(EntryId(space) for (space,) in rows)


class SpaceStore(SpaceReading):
    """Spaces with their one writer. Each method is a transaction, or a part of the one that is under way."""

    def put_space(self, opening: VerifiedEntry, act: Opening, introduced_by: PartnerId, now: int) -> SpaceRow:
        """Hold a space that is not held yet, with its opening."""
        with self._database.transaction() as writer:
            writer.execute(
                "INSERT INTO space VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
                (
                    bytes(opening.header.realm),
                    bytes(opening.entry_id),
                    act.kind,
                    act.title,
                    opening.header.tlp,
                    self._database.organisation(opening.header.author),
                    self._database.organisation(introduced_by),
                    now,
                ),
            )
            found = self.find(opening.entry_id)
            assert found is not None
            self.put_entry(found, opening, now)
            return found

    def put_entry(self, space: SpaceRow, entry: VerifiedEntry, now: int) -> None:
        """Hold an entry, or the body of one that is held without. Raises ValueError for one that comes before its parents."""
        decoded = entry.decoded
        body = decoded.body if entry.body_fits() else None
        with self._database.transaction() as writer, overwriting(writer):
            writer.execute(  # the header, too: it may be one that was changed on the disk
                "UPDATE space_entry SET header = ?, body = ?, signatures = ? WHERE entry_id = ? AND body IS NULL",
                (decoded.header_raw, body, decoded.signatures, bytes(entry.entry_id)),
            )
            if not writer.changes():
                writer.execute(  # is there already where it follows one that was changed, and comes again with that
                    "INSERT INTO space_entry VALUES (NULL, ?, ?, ?, ?, ?, ?) ON CONFLICT (entry_id) DO NOTHING",
                    (space.row, bytes(entry.entry_id), decoded.header_raw, body, decoded.signatures, now),
                )
                row, parents = writer.last_insert_rowid(), entry.header.parents if writer.changes() else ()
                for parent in parents:
                    writer.execute(
                        "INSERT INTO space_parent SELECT ?, id FROM space_entry WHERE space = ? AND entry_id = ?",
                        (row, space.row, bytes(parent)),
                    )
                    if not writer.changes():
                        raise ValueError("an entry comes before its parents")
            writer.execute("UPDATE space SET changes = changes + 1 WHERE id = ?", (space.row,))

    def put_waiting(
        self,
        decoded: DecodedEntry,
        wire: bytes,
        reason: str,
        handed_by: PartnerId,
        now: int,
        *,
        names_us: bool = False,
    ) -> None:
        """Keep an entry until a card or its parents come. One that was verified is kept once, others once of each who handed
        it over: a copy that was spoilt keeps no good one out."""
        header, entry_id = decoded.header, bytes(decoded.entry_id)
        space = decoded.entry_id if header.kind == "open" else header.space
        with self._database.transaction() as writer, overwriting(writer):
            if reason == WAITS_FOR_PARENTS:
                writer.execute(
                    """UPDATE space_waiting SET wire = ?, bytes = ?, names_us = max(names_us, ?)
                    WHERE entry_id = ? AND reason = ?""",
                    (wire, len(wire), names_us, entry_id, reason),
                )
                if writer.changes():
                    return
            writer.execute(
                "INSERT OR IGNORE INTO space_waiting VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    bytes(space),
                    entry_id,
                    bytes(header.author),
                    header.depth,
                    reason,
                    names_us,
                    self._database.organisation(handed_by),
                    len(wire),
                    wire,
                    now,
                ),
            )

    def drop_waiting(self, row: int) -> None:
        with self._database.transaction(frees_space=True) as writer, overwriting(writer):
            writer.execute("DELETE FROM space_waiting WHERE id = ?", (row,))

    def waits_since_before(self, instant: int, own: PartnerId, limit: int) -> list[WaitingEntry]:
        """Returns what has waited since before an instant, the oldest first; not our own, nor an invitation of ours."""
        rows = self._fetch(
            f"{_WAITING} WHERE w.received_at < ? AND NOT w.names_us AND w.author != ? ORDER BY w.id LIMIT ?",
            (instant, bytes(own), limit),
        )
        return [_waiting_of(row) for row in rows]

    def end_waiting(self, entry_id: EntryId, reason: str) -> None:
        """Let an entry wait no more: it is held, or refused."""
        with self._database.transaction(frees_space=True) as writer, overwriting(writer):
            writer.execute(
                "DELETE FROM space_waiting WHERE entry_id = ? AND reason = ?", (bytes(entry_id), reason)
            )

    def put_introduced_card(
        self, member: PartnerId, version: int, raw: bytes, introduced_by: PartnerId, now: int
    ) -> None:
        """Keep the card file of a member, in place of an older one."""
        with self._database.transaction() as writer:
            writer.execute(
                """INSERT INTO introduced_card VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
                SET version = excluded.version, raw = excluded.raw WHERE excluded.version > version""",
                (
                    self._database.organisation(member),
                    version,
                    raw,
                    self._database.organisation(introduced_by),
                    now,
                ),
            )

    def put_heads(self, space: SpaceRow, member: PartnerId, heads: SpaceHeads, now: int) -> None:
        """Keep what a member showed, or what we told, in place of what was before."""
        with self._database.transaction() as writer:
            writer.execute(
                """INSERT INTO space_heads VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
                SET heads = excluded.heads, noted_at = excluded.noted_at""",
                (space.row, self._database.organisation(member), heads.encode(), now, _NO_NUMBERS),
            )

    def note_handed(
        self, space: SpaceRow, member: PartnerId, numbers: Mapping[PartnerId, int], now: int
    ) -> None:
        """Note up to which number the entries of each author were handed to a member."""
        with self._database.transaction() as writer:
            organisation = self._database.organisation(member)
            rows = list(
                writer.execute(
                    "SELECT handed FROM space_heads WHERE space = ? AND member = ?", (space.row, organisation)
                )
            )
            before = _numbers_of(rows[0][0]) if rows else {}
            highest = {
                author: max(before.get(author, 0), numbers.get(author, 0)) for author in {*before, *numbers}
            }
            writer.execute(
                """INSERT INTO space_heads VALUES (?, ?, NULL, ?, ?) ON CONFLICT DO UPDATE
                SET handed = excluded.handed""",
                (space.row, organisation, now, pack([[one, highest[one]] for one in sorted(highest)])),
            )

    def put_canonical(self, space: SpaceRow, canonical: bytes) -> None:
        """Keep the canonical output of a space as it was when `space` was read."""
        with self._database.transaction() as writer, overwriting(writer):
            writer.execute(
                """INSERT INTO space_state VALUES (?, ?, ?) ON CONFLICT DO UPDATE
                SET changes = excluded.changes, canonical = excluded.canonical""",
                (space.row, space.changes, canonical),
            )

    # --- what the views of incidents show ------------------------------------------------------------

    def put_incident(self, space: SpaceRow, shown: IncidentRow) -> None:
        """Keep what is shown of an incident, as it was when `space` was read."""
        lead = None if shown.lead is None else self._database.organisation(shown.lead)
        with self._database.transaction() as writer:
            writer.execute(
                "INSERT OR REPLACE INTO incident_view VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    space.row,
                    space.changes,
                    shown.status,
                    shown.types,
                    shown.determination,
                    shown.criticality,
                    lead,
                    shown.members,
                    shown.opened,
                    shown.closed,
                    shown.late,
                ),
            )

    def put_timeline(self, space: SpaceRow, entries: Sequence[EntryTold]) -> None:
        """Keep what is shown of these entries, in place of what was before."""
        if not entries:
            return
        with self._database.transaction() as writer, overwriting(writer):
            for one in entries:
                writer.execute(
                    """INSERT OR REPLACE INTO incident_timeline
                    SELECT id, space, ?, ?, ?, ?, ?, ?, ?, ? FROM space_entry WHERE entry_id = ? AND space = ?""",
                    (
                        one.kind,
                        self._database.organisation(one.author),
                        one.tlp,
                        one.stated_at,
                        one.claimed_at,
                        one.text,
                        one.badges,
                        one.has_text,
                        bytes(one.entry_id),
                        space.row,
                    ),
                )

    def drop_timeline(self, entry_ids: Iterable[bytes]) -> None:
        """Show these entries no more: they have no effect now."""
        with self._database.transaction(frees_space=True) as writer, overwriting(writer):
            for entry_id in entry_ids:
                writer.execute(
                    "DELETE FROM incident_timeline WHERE entry = (SELECT id FROM space_entry WHERE entry_id = ?)",
                    (entry_id,),
                )

    def put_incident_parts(self, space: SpaceRow, part: str, rows: Mapping[str, str | None]) -> None:
        """Keep rows of an incident by key; None drops one."""
        if not rows:
            return
        with self._database.transaction() as writer, overwriting(writer):
            for key, row in rows.items():
                if row is None:
                    writer.execute(
                        "DELETE FROM incident_part WHERE space = ? AND part = ? AND key = ?",
                        (space.row, part, key),
                    )
                else:
                    writer.execute(
                        "INSERT OR REPLACE INTO incident_part VALUES (?, ?, ?, ?)",
                        (space.row, part, key, row),
                    )

    def put_framework(self, space: SpaceRow) -> None:
        """Note that what is shown of a framework is as it was when `space` was read."""
        with self._database.transaction() as writer:
            writer.execute("INSERT OR REPLACE INTO framework_view VALUES (?, ?)", (space.row, space.changes))

    def put_playbooks(self, space: SpaceRow, rows: Mapping[str, str | None]) -> None:
        """Keep rows of a framework's playbooks by the id of their entry; None drops one."""
        if not rows:
            return
        with self._database.transaction() as writer, overwriting(writer):
            for key, row in rows.items():
                if row is None:
                    writer.execute(
                        "DELETE FROM framework_playbook WHERE space = ? AND key = ?", (space.row, key)
                    )
                else:
                    writer.execute(
                        "INSERT OR REPLACE INTO framework_playbook VALUES (?, ?, ?)", (space.row, key, row)
                    )

    def put_watched(self, space: SpaceRow, values: Mapping[tuple[str, str], int], until: int) -> None:
        """Keep the values of a closed incident that are watched for until then, each with its marking; none ends the watch."""
        wanted = {(type_, value, tlp, until) for (type_, value), tlp in values.items()}
        there = set(
            self._fetch(
                "SELECT value_type, value, tlp, until FROM incident_watch WHERE space = ?", (space.row,)
            )
        )
        if wanted == there:
            return
        with self._database.transaction() as writer, overwriting(writer):
            writer.execute("DELETE FROM incident_watch WHERE space = ?", (space.row,))
            writer.executemany(
                "INSERT INTO incident_watch VALUES (?, ?, ?, ?, ?)", [(space.row, *one) for one in wanted]
            )

    # --- what the view of rules shows of labs --------------------------------------------------------

    def put_lab_rules(self, space: SpaceRow, rows: Iterable[LabRuleRow]) -> None:
        """Keep rows of a lab's rules, in place of what was before."""
        with self._database.transaction() as writer, overwriting(writer):
            for one in rows:
                rule, is_current, entry, language, title, author, *rest = one
                writer.execute(
                    "INSERT OR REPLACE INTO lab_rule VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        space.row,
                        bytes(rule),
                        int(is_current),
                        bytes(entry),
                        language,
                        title,
                        self._database.organisation(author),
                        *rest,
                    ),
                )

    def drop_lab_rules(self, space: SpaceRow, rows: Iterable[tuple[EntryId, bool]]) -> None:
        """Show these (rule, whether it is the current text) no more."""
        with self._database.transaction(frees_space=True) as writer, overwriting(writer):
            for rule, is_current in rows:
                writer.execute(
                    "DELETE FROM lab_rule WHERE space = ? AND rule = ? AND is_current = ?",
                    (space.row, bytes(rule), int(is_current)),
                )

    def put_lab_text(self, space: SpaceRow, digest: bytes, tlp: int, text: str) -> None:
        """Keep the text of a rule that is shown."""
        with self._database.transaction() as writer, overwriting(writer):
            writer.execute(
                "INSERT OR REPLACE INTO lab_text VALUES (?, ?, ?, ?)", (space.row, digest, tlp, text)
            )

    def drop_lab_texts(self, space: SpaceRow, digests: Iterable[bytes]) -> None:
        """Show these texts no more."""
        with self._database.transaction(frees_space=True) as writer, overwriting(writer):
            for digest in digests:
                writer.execute("DELETE FROM lab_text WHERE space = ? AND digest = ?", (space.row, digest))

    def put_lab_shown(self, space: SpaceRow) -> None:
        """Note that the rows of a lab are those of when `space` was read."""
        with self._database.transaction() as writer:
            writer.execute("INSERT OR REPLACE INTO lab_view VALUES (?, ?)", (space.row, space.changes))

    def note_damaged(self, space: SpaceRow, rows: Sequence[int]) -> None:
        """Drop the bodies of these entries, which are not what was signed: they count as held without, and another copy may come."""
        with self._database.transaction() as writer, overwriting(writer):
            for row in rows:
                writer.execute("INSERT OR IGNORE INTO space_damaged VALUES (?)", (row,))
                writer.execute("UPDATE space_entry SET body = NULL WHERE id = ?", (row,))
            writer.execute("DELETE FROM space_state WHERE space = ?", (space.row,))
            writer.execute("UPDATE space SET changes = changes + 1 WHERE id = ?", (space.row,))

    # --- what a person was shown, and what is to leave the disk --------------------------------------

    def put_archived(self, space: SpaceRow, now: int | None) -> None:
        """Put a space away, or with None fetch it back."""
        with self._database.transaction() as writer:
            if now is None:
                writer.execute("DELETE FROM space_archived WHERE space = ?", (space.row,))
            else:
                writer.execute("INSERT OR IGNORE INTO space_archived VALUES (?, ?)", (space.row, now))

    def put_shown(self, space: SpaceRow, numbers: Mapping[PartnerId, int]) -> None:
        """Note that a person was shown what these authors wrote up to these numbers."""
        with self._database.transaction() as writer:
            for author, number in numbers.items():
                writer.execute(
                    """INSERT INTO space_shown VALUES (?, ?, ?) ON CONFLICT DO UPDATE
                    SET number = max(number, excluded.number)""",
                    (space.row, self._database.organisation(author), number),
                )

    def drop_bodies(self, space: SpaceRow, entry_ids: Iterable[EntryId]) -> None:
        """Take the bodies of these entries off the disk, and the output in which their text may stand."""
        with self._database.transaction(frees_space=True) as writer, overwriting(writer):
            for entry_id in entry_ids:
                writer.execute(
                    "UPDATE space_entry SET body = NULL WHERE entry_id = ? AND space = ?",
                    (bytes(entry_id), space.row),
                )
                writer.execute(
                    """UPDATE incident_timeline SET text = NULL, has_text = 0
                    WHERE entry = (SELECT id FROM space_entry WHERE entry_id = ?)""",
                    (bytes(entry_id),),
                )
                writer.execute("DELETE FROM space_waiting WHERE entry_id = ?", (bytes(entry_id),))
            writer.execute("DELETE FROM space_state WHERE space = ?", (space.row,))
            writer.execute("DELETE FROM lab_text WHERE space = ?", (space.row,))
            writer.execute("DELETE FROM lab_view WHERE space = ?", (space.row,))  # made anew of what is left

    def purge_some(self, space: EntryId, now: int) -> int | None:
        """Take a space off the disk, newest entries first, `PURGED_AT_ONCE` of them; it counts as unknown at once.

        Returns how many entries are left; None where neither the space, nor an invitation into it, is here.
        """
        with self._database.transaction(frees_space=True) as writer, overwriting(writer):
            rows = self._fetch("SELECT id FROM space WHERE space_id = ?", (bytes(space),))
            waits = self._fetch("SELECT 1 FROM space_waiting WHERE space_id = ? LIMIT 1", (bytes(space),))
            if not rows and not waits:
                return None
            writer.execute("INSERT OR IGNORE INTO space_purged VALUES (?, ?)", (bytes(space), now))
            for statement in _PURGE_BY_SPACE_ID:
                writer.execute(statement, (bytes(space),))
            if not rows:
                return 0
            ((row,),) = rows
            for statement in _PURGE_OF_SPACE:
                writer.execute(statement, (row,))
            for statement in _PURGE_NEWEST:
                writer.execute(statement, (row, PURGED_AT_ONCE))
            ((left,),) = self._fetch("SELECT count(*) FROM space_entry WHERE space = ?", (row,))
            if not left:
                writer.execute("DELETE FROM space WHERE id = ?", (row,))
            return int(left)

    def put_stopped(self, exercise: EntryId, since: int | None) -> None:
        """Note that a real event has stopped an exercise; `since` None: that it goes on, or is gone."""
        with self._database.transaction(frees_space=since is None) as writer:
            if since is None:
                writer.execute("DELETE FROM exercise_stopped WHERE exercise = ?", (bytes(exercise),))
            else:
                writer.execute(
                    "INSERT OR IGNORE INTO exercise_stopped VALUES (?, ?)", (bytes(exercise), since)
                )

    def note_purged(self, space: EntryId, now: int) -> None:
        """Note that nothing of a space is taken in any more, whether something of it is here or not."""
        with self._database.transaction(frees_space=True) as writer:
            writer.execute("INSERT OR IGNORE INTO space_purged VALUES (?, ?)", (bytes(space), now))

    def forget_purge(self, space: EntryId) -> bool:
        """Let a purged space be taken in again. Returns whether it was purged, and all of it is gone."""
        with self._database.transaction() as writer:
            writer.execute(
                "DELETE FROM space_purged WHERE space_id = ? AND space_id NOT IN (SELECT space_id FROM space)",
                (bytes(space),),
            )
            return bool(writer.changes())


_NO_NUMBERS = pack([])


def _numbers_of(raw: bytes) -> dict[PartnerId, int]:
    reader = Reader(raw)
    found = {}
    for _ in range(reader.array(0, 65_535)):
        reader.array(2, 2)
        author = PartnerId(reader.blob(PartnerId.length, PartnerId.length))
        found[author] = reader.integer()
    return found


def _space_of(row: Row) -> SpaceRow:
    key, space, kind, title, tlp, opener, introduced_by, noted_at, changes = row
    return SpaceRow(
        key, EntryId(space), kind, title, tlp, PartnerId(opener), PartnerId(introduced_by), noted_at, changes
    )


def _is_whole(entry_id: bytes, header: bytes) -> bool:
    """Returns whether a stored header is the one that was signed: an entry's id is its digest."""
    return bytes(entry_id_of(header)) == entry_id


def _entry_of(row: Sequence[Any]) -> VerifiedEntry:
    entry_id, header_raw, body, signatures = row
    decoded = DecodedEntry(decode_header(header_raw), header_raw, body or b"", signatures, EntryId(entry_id))
    return VerifiedEntry(decoded)


def _waiting_of(row: Row) -> WaitingEntry:
    key, space, entry_id, author, depth, reason, names_us, handed_by, size, received_at = row
    return WaitingEntry(
        key,
        EntryId(space),
        EntryId(entry_id),
        PartnerId(author),
        depth,
        reason,
        bool(names_us),
        PartnerId(handed_by),
        size,
        received_at,
    )
