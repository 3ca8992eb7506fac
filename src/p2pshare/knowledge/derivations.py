# ruff: noqa: S608 - statements are put together from this program's own text only
"""Derivations: what an object says it stems from, and that it falls with its origin. Functions on a transaction's connection.

Rules (docs/store.md, "Derivation"):

1. An origin is withdrawn while its author's withdrawal, or `revoked` in its current version, stands against it and no version of
   it counts. When: the later of the two, by its author's clock, and never after it was sealed. For one that is out of effect
   (`out_of_effect`) nobody stands at all, and no later word about it affirms it.
2. A version that stems from it, at first or at second hand, is *fallen* unless its own `modified` is later than that: who says
   it again after the withdrawal affirms it. Of one that was sealed more than FUTURE_REFUSE_SECONDS before, no `modified` is: nobody affirms
   in advance. Its author's withdrawals are another matter, and so are those of other authors of
   the same id: only (author, id) as the signed object names them count.
3. What is held decides, not the order in which it came. Origins of origins are followed through the current versions held, CHAIN_MAX deep
   and ORIGINS_SEEN_MAX in all, the nearest first; a circle ends where it began.
4. A change of an origin is followed to what stems from it, and from that in turn, in the same transaction, as far as all of that
   together is little (AT_ONCE_MAX); the rest a step at a time (`walks`), so that no partner's bytes hold the writer for long.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import apsw

from p2pshare.database.arrays import key_tables
from p2pshare.database.fetching import fetch
from p2pshare.identifiers import PartnerId
from p2pshare.intel.derivation import Derivation
from p2pshare.intel.instants import SECOND_US
from p2pshare.knowledge.interface import EchoRow
from p2pshare.knowledge.known_versions import claim_key
from p2pshare.knowledge.lineages import Named, author_of, origins_of, partner_of
from p2pshare.knowledge.object_keys import INDICATOR, EncodedId, decode_object_id, encode_object_id
from p2pshare.knowledge.row_changes import CURRENT
from p2pshare.knowledge.vocabulary import Vocabulary
from p2pshare.limits import FUTURE_REFUSE_SECONDS

CHAIN_MAX = 8  # restatements one behind the other: as many as a derivation may name
ORIGINS_SEEN_MAX = 32  # origins that are looked at for one object, its origins' origins among them
AT_ONCE_MAX = 32  # objects and claims that stem from one object, at whatever distance, and are looked at in the transaction that changes it
STEP_ROWS = 2_000  # of them, and of further origins that they name, looked at in one step of a walk: some 100 ms that other writers wait
NEVER_AFFIRMED_US = (
    2**62
)  # the instant of a withdrawal that no `modified` is later than: year 9999 is below 2**58
ECHOES_TOLD_MAX = 1_000  # objects of others that are told of one of ours: as many partners as any circle has

_ANY = "SELECT 1 FROM derivation LIMIT 1"
_NAMED = """
SELECT k.value FROM {keys} k WHERE EXISTS (SELECT 1 FROM derived_from d WHERE d.origin_key = k.value)
"""
_STEMMING = """
SELECT d.derivation, v.claims FROM derived_from d CROSS JOIN derivation v ON v.id = d.derivation
WHERE d.origin_author = ? AND d.origin_type = (SELECT id FROM object_type WHERE name = ?) AND d.origin_key = ?
AND d.derivation > ? ORDER BY d.derivation LIMIT ?
"""
_HOW_MANY = f"""
SELECT k.value, (
    SELECT sum(1 + v.claims) FROM (
        SELECT d.derivation FROM derived_from d WHERE d.origin_key = k.value LIMIT {AT_ONCE_MAX + 1}
    ) s JOIN derivation v ON v.id = s.derivation
) FROM {{keys}} k WHERE EXISTS (SELECT 1 FROM derived_from d WHERE d.origin_key = k.value)
"""
_SAYING = """
SELECT k.value FROM {keys} k WHERE EXISTS (SELECT 1 FROM derivation v WHERE v.object_key = k.value)
"""
# A version has a claim for each of its values, all of one status: its first and its last tell of both versions of a fork.
_CLAIMS_OF = """
SELECT c.status, min(c.modified_us, e.created * {second}), c.derivation FROM claim c INDEXED BY claim_current
CROSS JOIN frame f ON f.id = c.frame CROSS JOIN envelope e ON e.lsn = f.envelope
WHERE c.object_key = ? AND c.author = ? AND c.status < 2 ORDER BY c.id {way} LIMIT {limit}
"""
_FIRST_CLAIMS = _CLAIMS_OF.format(second=SECOND_US, way="", limit=2)
_LAST_CLAIM = _CLAIMS_OF.format(second=SECOND_US, way="DESC", limit=1)
_OBJECTS_OF = f"""
SELECT o.status, min(coalesce(o.modified_us, 0), e.created * {SECOND_US}), o.derivation FROM object o INDEXED BY object_current
CROSS JOIN frame f ON f.id = o.frame CROSS JOIN envelope e ON e.lsn = f.envelope
WHERE o.object_key = ? AND o.author = ? AND o.status < 2 AND o.type = (SELECT id FROM object_type WHERE name = ?) LIMIT 4
"""
_OUT = """
SELECT EXISTS (SELECT 1 FROM claim INDEXED BY claim_out WHERE object_key = ?1 AND author = ?2 AND status = 3 AND ?3 IN ('indicator', ''))
OR EXISTS (
    SELECT 1 FROM object INDEXED BY object_out WHERE object_key = ?1 AND author = ?2 AND status = 3
    AND type = (SELECT id FROM object_type WHERE name = ?3)
)
"""
_SAID = """
SELECT said_us FROM withdrawal WHERE object_key = ? AND author = ? AND type = (SELECT id FROM object_type WHERE name = ?)
"""
_FALL = """
UPDATE claim SET is_fallen = coalesce(modified_us <= ?1, 0) WHERE id IN (
    SELECT c.id FROM claim c INDEXED BY claim_current
    WHERE c.object_key = ?2 AND c.author = ?3 AND c.status < 2 AND c.derivation = ?4
    AND c.is_fallen != coalesce(c.modified_us <= ?1, 0)
)
"""
_VERSION = f"""
SELECT c.modified_us, e.created * {SECOND_US} FROM {{table}} c INDEXED BY {{table}}_current
CROSS JOIN frame f ON f.id = c.frame CROSS JOIN envelope e ON e.lsn = f.envelope
WHERE c.object_key = ? AND c.author = ? AND c.status < 2 AND c.derivation = ? LIMIT 1
"""
_CLAIMED, _OTHER = _VERSION.format(table="claim"), _VERSION.format(table="object")
_WAIT = """
INSERT INTO origin_walk VALUES (
    (SELECT coalesce(max(turn), 0) + 1 FROM origin_walk), ?1, (SELECT id FROM object_type WHERE name = ?2), ?3, ?4
)
ON CONFLICT (origin_key, origin_type, origin_author) DO UPDATE SET after = min(after, excluded.after)
"""

_NEXT = """
SELECT w.turn, w.origin_author, t.name, w.origin_key, w.after
FROM origin_walk w JOIN object_type t ON t.id = w.origin_type ORDER BY w.turn LIMIT 1
"""
_DERIVED = """
SELECT a.partner_id, t.name, v.object_key, v.author, v.fell_us FROM derivation v
JOIN organisation a ON a.id = v.author JOIN object_type t ON t.id = v.type WHERE v.id = ?
"""


class NewDerivation(NamedTuple):
    """A version that says what it stems from, with the id of its row."""

    id: int
    author: int
    key: EncodedId
    said: Derivation
    claims: int


class _Known(NamedTuple):
    """What is held of an object that is named: when it was withdrawn (None: it stands), and what its current versions say."""

    fell_us: int | None
    derivations: tuple[int, ...]


_UNKNOWN = _Known(None, ())


def add(connection: apsw.Connection, vocabulary: Vocabulary, arrived: Sequence[NewDerivation]) -> None:
    """Write what new versions say. What they fall with is decided by `settle`."""
    for one in arrived:
        prefix, key = one.key
        place = (one.id, key, vocabulary.object_type(prefix), one.author, one.claims)
        said = one.said.origins
        text = (
            json.dumps([{"author": it.author.text, "object": it.object_id} for it in said]) if said else None
        )
        connection.execute(
            "INSERT INTO derivation VALUES (?, ?, ?, ?, ?, ?, ?, NULL)",
            (*place, text, one.said.public_source),
        )
        for origin in said:
            prefix, key = encode_object_id(origin.object_id)
            connection.execute(
                "INSERT OR IGNORE INTO derived_from VALUES (?, ?, ?, ?)",
                (key, vocabulary.object_type(prefix), bytes(origin.author), one.id),
            )


def settle(
    connection: apsw.Connection,
    changed: Collection[tuple[int, EncodedId]],
    arrived: Sequence[NewDerivation] = (),
) -> None:
    """Decide anew whether these objects (author, id) have fallen, and follow what stems from them. To be called when a version of
    one has come, or has become current, or was withdrawn, and their rows say so; `arrived` are versions that `add` wrote just now."""
    if not (changed or arrived) or not is_any(connection):
        return
    following = _Following(connection)
    for new in arrived:
        following.decide_new(new)
    also_new = {(new.author, new.key) for new in arrived}.union(changed)
    saying = _those(connection, _SAYING, {key for _, (_, key) in changed})
    named = _those(connection, _NAMED, {key for _, (_, key) in also_new})
    if saying or named:
        following.settle(
            [one for one in sorted(changed, key=str) if one[1][1] in saying],
            [one for one in sorted(also_new, key=str) if one[1][1] in named],
        )


def is_any(connection: apsw.Connection) -> bool:
    """Returns whether any object says what it stems from."""
    return bool(fetch(connection, _ANY))


def reach(connection: apsw.Connection, keys: Collection[bytes | str]) -> dict[bytes | str, int]:
    """Returns, for those of these objects from which others stem, how many rows may be looked at in the transaction that changes
    one: AT_ONCE_MAX at most, for more are left to a walk."""
    found: dict[bytes | str, int] = {}
    for table, bound in key_tables(keys):
        rows = fetch(connection, _HOW_MANY.format(keys=table), (bound,))
        found.update((key, min(many, AT_ONCE_MAX)) for key, many in rows)
    return found


def _those(
    connection: apsw.Connection, statement: str, keys: Collection[bytes | str]
) -> Collection[bytes | str]:
    found: set[bytes | str] = set()
    for table, bound in key_tables(keys):
        found.update(key for (key,) in fetch(connection, statement.format(keys=table), (bound,)))
    return found


def is_waiting(connection: apsw.Connection) -> bool:
    """Returns whether a change is still to be followed."""
    return bool(fetch(connection, "SELECT 1 FROM origin_walk LIMIT 1"))


def step(connection: apsw.Connection) -> int:
    """Follow the change whose turn it is for a step; returns how many rows were looked at."""
    [(turn, partner, type_, key, after)] = fetch(connection, _NEXT)
    connection.execute("DELETE FROM origin_walk WHERE turn = ?", (turn,))
    return _Following(connection).go_on((partner, type_, key), after)


class _Following:
    """One call's work: what is known of an object is asked once, however many stem from it."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._known: dict[Named, _Known] = {}
        self._said: dict[int, list[Named]] = {}
        self._authors: dict[bytes, int | None] = {}
        self._further_origins = 0

    def decide_new(self, one: NewDerivation) -> None:
        """Write down that a version has fallen that came just now: nothing stems from it yet that knows it."""
        origins = [(bytes(it.author), *encode_object_id(it.object_id)) for it in one.said.origins]
        fell_us = self._fell_us(sorted(origins, key=_in_order))
        if fell_us is not None:
            fell_us = self._at_least(fell_us, one.key, one.author, one.id)
            self._connection.execute("UPDATE derivation SET fell_us = ? WHERE id = ?", (fell_us, one.id))
            self._connection.execute(_FALL, (fell_us, claim_key(one.key), one.author, one.id))

    def settle(self, saying: Iterable[tuple[int, EncodedId]], named: Iterable[tuple[int, EncodedId]]) -> None:
        """Decide anew about the current versions of objects that say what they stem from, then follow those that are named."""
        for author, key in saying:
            for derivation in self._look_up(author, key).derivations:
                self._decide(derivation)
        roots: list[Named] = [(partner_of(self._connection, author), *key) for author, key in named]
        seen = set(roots)
        for root in roots:
            pending, left = [root], AT_ONCE_MAX
            while pending:
                changed, rows = self._follow(pending.pop(0), left)
                left -= rows
                for one in changed:
                    if one not in seen:
                        seen.add(one)
                        pending.append(one)

    def _follow(self, origin: Named, rows_max: int) -> tuple[list[Named], int]:
        """Decide anew about what stems from `origin`, or, where that is more than `rows_max` rows, leave it to a walk; returns
        those that changed, and how many rows were looked at."""
        rows = fetch(self._connection, _STEMMING, (*origin, -1, rows_max + 1))
        many = len(rows) + sum(claims for _, claims in rows)
        if many > rows_max:
            self._wait(origin, -1)
            return [], 0
        return [changed for derivation, _ in rows if (changed := self._decide(derivation)) is not None], many

    def go_on(self, origin: Named, after: int) -> int:
        """Take a step of a walk over what stems from `origin`; returns how many rows were looked at."""
        changed = dict[Named, None]()
        done = 0
        for derivation, claims in fetch(self._connection, _STEMMING, (*origin, after, STEP_ROWS)):
            one = self._decide(derivation)
            if one is not None:
                changed[one] = None
            done, after = done + 1 + claims, derivation
            if done + self._further_origins >= STEP_ROWS:
                self._wait(origin, after)
                break
        for one in changed:
            if fetch(self._connection, _STEMMING, (*one, -1, 1)):
                self._wait(one, -1)
        return done + self._further_origins

    def _wait(self, origin: Named, after: int) -> None:
        partner, type_, key = origin
        self._connection.execute(_WAIT, (key, type_, partner, after))

    def _decide(self, derivation: int) -> Named | None:
        """Write down whether a version has fallen; returns its object where that changed."""
        [(partner, type_, key, author, before)] = fetch(self._connection, _DERIVED, (derivation,))
        fell_us = self._fell_us(self._origins_of(derivation))
        if fell_us is not None:
            fell_us = self._at_least(fell_us, (type_, key), author, derivation)
        # also where it is the same: another version may have become current
        self._connection.execute(_FALL, (fell_us, claim_key((type_, key)), author, derivation))
        if fell_us == before:
            return None
        self._connection.execute("UPDATE derivation SET fell_us = ? WHERE id = ?", (fell_us, derivation))
        return partner, type_, key

    def _at_least(self, fell_us: int, key: EncodedId, author: int, derivation: int) -> int:
        """Returns when a version's origins were withdrawn, as far as it is concerned: no earlier than its own `modified` where it
        was sealed long before (rule 2)."""
        for statement, stored in ((_CLAIMED, claim_key(key)), (_OTHER, key[1])):
            for modified_us, sealed_us in fetch(self._connection, statement, (stored, author, derivation)):
                if sealed_us + FUTURE_REFUSE_SECONDS * SECOND_US <= fell_us:
                    return max(fell_us, modified_us or 0)
        return fell_us

    def _fell_us(self, layer: Sequence[Named]) -> int | None:
        """Returns when the latest of these origins, and of those that they name in turn, was withdrawn: rule 3."""
        fell_us: int | None = None
        seen = set[Named]()
        for _ in range(CHAIN_MAX):
            further: list[Named] = []
            for origin in layer:
                if origin in seen:
                    continue
                if len(seen) == ORIGINS_SEEN_MAX:
                    return fell_us
                self._further_origins += bool(seen)
                seen.add(origin)
                known = self._of(origin)
                if known.fell_us is not None and (fell_us is None or known.fell_us > fell_us):
                    fell_us = known.fell_us
                for one in known.derivations:
                    further += self._origins_of(one)
            layer = sorted(further, key=_in_order)
        return fell_us

    def _origins_of(self, derivation: int) -> list[Named]:
        found = self._said.get(derivation)
        if found is None:
            found = self._said[derivation] = origins_of(self._connection, derivation)
        return found

    def _of(self, origin: Named) -> _Known:
        if origin not in self._known:
            partner, type_, key = origin
            if partner not in self._authors:
                self._authors[partner] = author_of(self._connection, partner)
            author = self._authors[partner]
            self._known[origin] = _UNKNOWN if author is None else self._look_up(author, (type_, key))
        return self._known[origin]

    def _look_up(self, author: int, key: EncodedId) -> _Known:
        """Rule 1."""
        prefix, stored = key
        rows = fetch(self._connection, _OBJECTS_OF, (stored, author, prefix))
        if prefix in (INDICATOR, ""):
            claims = fetch(self._connection, _FIRST_CLAIMS, (stored, author))
            if len(claims) > 1:
                claims += fetch(self._connection, _LAST_CLAIM, (stored, author))
            rows += claims
        derivations = tuple(sorted({one for _, _, one in rows if one is not None}))
        if any(status == CURRENT for status, _, _ in rows):
            return _Known(None, derivations)
        if not rows and fetch(self._connection, _OUT, (stored, author, prefix))[0][0]:
            return _Known(NEVER_AFFIRMED_US, ())
        said = [us for (us,) in fetch(self._connection, _SAID, (stored, author, prefix))]
        return _Known(max((*said, *(us for _, us, _ in rows)), default=None), derivations)


def _in_order(named: Named) -> tuple[bytes, str, bool, bytes | str]:
    partner, type_, key = named
    return partner, type_, isinstance(key, str), key


# --- what is asked ---

_STEMS_FROM = """
SELECT DISTINCT a.partner_id, t.name, v.object_key, {state}
FROM derived_from d CROSS JOIN derivation v ON v.id = d.derivation JOIN organisation a ON a.id = v.author
JOIN object_type t ON t.id = v.type
CROSS JOIN {table} c INDEXED BY {table}_current
    ON c.object_key = v.object_key AND c.author = v.author AND c.status < 2 AND c.derivation = v.id
WHERE d.origin_key = ? AND d.origin_type = (SELECT id FROM object_type WHERE name = ?) AND d.origin_author = ? LIMIT ?
"""
_SAME_ID = """
SELECT DISTINCT a.partner_id, c.status, {fallen}, c.derivation IS NOT NULL AND EXISTS (
    SELECT 1 FROM derived_from d WHERE d.derivation = c.derivation
)
FROM {table} c INDEXED BY {table}_current JOIN organisation a ON a.id = c.author
WHERE c.object_key = ? AND c.status < 2 AND a.partner_id != ? {more} LIMIT ?
"""


def echoes_of(connection: apsw.Connection, author: PartnerId, object_id: str) -> list[EchoRow]:
    """Returns others' current objects that stem from `author`'s object of this id, or have its id; ECHOES_TOLD_MAX of either."""
    prefix, key = encode_object_id(object_id)
    stored = claim_key((prefix, key))
    found: dict[tuple[PartnerId, str], EchoRow] = {}
    for table, state in (
        ("claim", "c.status, c.is_fallen"),
        ("object", "c.status, coalesce(v.fell_us >= coalesce(c.modified_us, 0), 0)"),
    ):
        for partner, type_, other, status, is_fallen in fetch(
            connection,
            _STEMS_FROM.format(table=table, state=state),
            (key, prefix, bytes(author), ECHOES_TOLD_MAX),
        ):
            row = EchoRow(
                PartnerId(partner), decode_object_id(type_, other), True, bool(is_fallen), status == 1
            )
            found.setdefault((row.author, row.object_id), row)
    for table, wanted, fallen, more in (
        ("claim", stored, "c.is_fallen", ""),
        ("object", key, "0", "AND c.type = (SELECT id FROM object_type WHERE name = ?)"),
    ):
        bindings = (wanted, bytes(author), *((prefix,) if more else ()), ECHOES_TOLD_MAX)
        for partner, status, is_fallen, is_restated in fetch(
            connection, _SAME_ID.format(table=table, fallen=fallen, more=more), bindings
        ):
            row = EchoRow(PartnerId(partner), object_id, False, bool(is_fallen), status == 1)
            if not is_restated:
                found.setdefault((row.author, row.object_id), row)
    return sorted(found.values(), key=lambda row: (row.author, row.object_id))
