# ruff: noqa: S608 - statements are put together from this program's own text only
"""The index of warning lists: finds the lists that an observable is on, in microseconds, whatever the lists' length.

A file of its own (`warninglists.sqlite`) beside the store. Rules:

1. A list is replaced whole, in one transaction; its action and whether it is enabled, which a person set, stay.
2. Names are found in the file: one query for as many values as are asked at once. Networks (a few words of
   memory each) and patterns (few) are held in memory from their first use to the next change; those of lists
   that block once more, for envelopes that come in are held against them alone.
3. `changes` grows with every change after which other observables may be blocked.
4. One connection, one lock: any thread may ask; the daemon's writer thread does.
"""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import apsw

from p2pshare.database.arrays import MANY, ONE, key_tables
from p2pshare.database.connection import open_reader, open_writer, require_free_space, translated
from p2pshare.database.fetching import Row, fetch
from p2pshare.database.schema import WARNING_INDEX, create_or_check
from p2pshare.errors import AuthorError, NotFoundError
from p2pshare.intel.spans import ADDRESS_BITS, SPAN_TYPES, Span, SpanIndex, parts, span_of
from p2pshare.limits import ALLOW_ENTRIES_MAX, MIB
from p2pshare.warninglists.builtin_lists import BUILTIN_VERSION, builtin_lists
from p2pshare.warninglists.warning_found import FoundEntries, Pair, keys_of
from p2pshare.warninglists.warning_lists import (
    ALLOW_LIST_NAME,
    Allowed,
    ListAction,
    MatchKind,
    WarningList,
    compile_allowed,
    key_of,
)
from p2pshare.warninglists.warning_patterns import PatternSet

CACHE_BYTES = 16 * MIB  # a hundred thousand names take 6 MiB

BUILTIN, IMPORTED, ALLOW = "builtin", "imported", "allow"  # origins

_NAMED = {
    table: f"SELECT e.value, e.list, e.covers_below FROM {table} k CROSS JOIN name_entry e ON e.value = k.value"
    for table in (ONE, MANY)
}


class Hit(NamedTuple):
    """An observable on a list: the list, its action, and the entry of it that matches."""

    list_name: str
    action: ListAction
    is_own: bool
    """True for the own allow list."""
    entry: str
    words: str
    """The reason: the list's name, or the operator's words beside the entry of the allow list."""


class _Remembered(NamedTuple):
    """Memory for one kind of query: the lists that it asks with their types, their networks and patterns,
    whether any list names a URL (hardly any does, and then the long texts of URLs need not be looked for), and how many labels
    the longest name has: no domain is looked for with more."""

    asked: Mapping[int, frozenset[str]]
    spans: SpanIndex
    patterns: PatternSet | None
    has_urls: bool
    labels_max: int


@dataclass(frozen=True)
class ListRow:
    """A list as it is kept. `entries` is the number of those that match something, `refused` of those that
    could not be read."""

    name: str
    version: int
    description: str
    kind: MatchKind
    origin: str
    types: frozenset[str]
    action: ListAction
    is_enabled: bool
    entries: int
    refused: int
    imported_at: int


@dataclass(frozen=True)
class AllowedRow:
    """An entry of the own allow list, with the words of the person who made it."""

    allowed: Allowed
    reason: str
    added_at: int


class WarningReading(Protocol):
    """Queries that any thread may send to an index, each as WarningIndex promises it."""

    def lists(self) -> list[ListRow]: ...
    def allowed(self) -> list[AllowedRow]: ...
    def hits(self, pairs: Iterable[Pair], *, is_blocking_only: bool = False) -> dict[Pair, list[Hit]]: ...


def open_warning_index(path: Path, *, free_space_bytes_min: int = 0) -> WarningIndex:
    """Returns the index at `path`, opened or made anew, with the built-in lists up to date. Raises StoreError."""
    connection = open_writer(path, cache_bytes=CACHE_BYTES)
    try:
        with translated(connection):
            create_or_check(connection, WARNING_INDEX)
        index = WarningIndex(path, connection, free_space_bytes_min)
        index.take_builtin_lists()
    except BaseException:
        connection.close()
        raise
    return index


def count_imported(path: Path) -> int:
    """Returns how many lists a person has imported into the index at `path`, read beside its writer; 0 where there is none. Raises
    StoreError."""
    if not path.exists():
        return 0
    connection = open_reader(path)
    try:
        with translated(connection):
            ((count,),) = fetch(connection, "SELECT count(*) FROM warning_list WHERE origin = ?", (IMPORTED,))
            return int(count)
    finally:
        connection.close()


class WarningIndex:
    """Lists, the own allow list, and the query for the lists that an observable is on."""

    def __init__(self, path: Path, connection: apsw.Connection, free_space_bytes_min: int) -> None:
        self._path = path
        self._connection = connection
        self._free_space_bytes_min = free_space_bytes_min
        self._lock = threading.RLock()
        self._lists: dict[int, ListRow] | None = None
        self._memory: dict[bool, _Remembered] = {}
        self._allow_reasons: dict[str, str] | None = None

    def close(self) -> None:
        with self._lock:
            self._connection.close(True)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Run one transaction, after which everything remembered is read anew."""
        with self._lock:
            require_free_space(self._path, self._free_space_bytes_min)
            try:
                with translated(self._connection), self._connection:
                    yield
            finally:
                self._lists = self._allow_reasons = None
                self._memory = {}

    # --- lists ---

    def take_builtin_lists(self) -> None:
        """Write the built-in lists of this version, unless they are there."""
        with self._lock:
            known = [row for row in self.lists() if row.origin == BUILTIN]
            built_in = builtin_lists()
            if {row.name: row.version for row in known} == {one.name: BUILTIN_VERSION for one in built_in}:
                return
            with self._writing():
                for row in known:
                    if row.name not in {one.name for one in built_in}:
                        self._drop(row.name)
                for one in built_in:
                    self._put(one, BUILTIN, ListAction.BLOCK, keeps_action=True, now=0)

    def replace(self, new: WarningList, action: ListAction | None, now: int) -> ListRow:
        """Put a list in the place of the one of its name, and return its row. Without an `action` the old
        one's stays; a new list informs. `now` in unix seconds.

        Raises AuthorError name-taken when the name is a built-in list's or the allow list's.
        """
        with self._lock:
            if new.name == ALLOW_LIST_NAME or any(
                row.name == new.name and row.origin != IMPORTED for row in self.lists()
            ):
                raise AuthorError(
                    f"'{new.name}' is the name of a list of p2pshare's own",
                    hint="give the list another name",
                    reason="name-taken",
                )
            with self._writing():
                self._put(new, IMPORTED, action or ListAction.INFORM, keeps_action=action is None, now=now)
            return self.get(new.name)

    def lists(self) -> list[ListRow]:
        """Returns the lists in order of name."""
        with self._lock:
            return sorted(self._all().values(), key=lambda row: row.name)

    def get(self, name: str) -> ListRow:
        """Returns the list of this name. Raises NotFoundError."""
        for row in self.lists():
            if row.name == name:
                return row
        raise NotFoundError(f"there is no warning list '{name}'", hint="see `p2pshare warninglist list`")

    def set_list(self, name: str, *, action: ListAction | None, is_enabled: bool | None) -> ListRow:
        """Change the action of a list, or whether it is enabled, and return its row; None keeps what it has.
        Raises NotFoundError."""
        with self._lock:
            row = self.get(name)
            wanted = (action or row.action).value, row.is_enabled if is_enabled is None else is_enabled
            with self._writing():
                self._connection.execute(
                    "UPDATE warning_list SET action = ?, is_enabled = ? WHERE name = ?", (*wanted, name)
                )
                self._count_change()
            return self.get(name)

    def changes(self) -> int:
        """Returns a number that grows with each change of lists."""
        with self._lock, translated(self._connection):
            return int(fetch(self._connection, "SELECT changes FROM state")[0][0])

    def _count_change(self) -> None:
        self._connection.execute("UPDATE state SET changes = changes + 1")

    def _drop(self, name: str) -> tuple[str, bool] | None:
        """Remove a list. Returns (action, enabled) of the one that was there, or None."""
        rows = fetch(
            self._connection, "SELECT id, action, is_enabled FROM warning_list WHERE name = ?", (name,)
        )
        for number, _, _ in rows:
            for table in ("name_entry", "span_entry", "pattern_entry"):
                self._connection.execute(f"DELETE FROM {table} WHERE list = ?", (number,))
            self._connection.execute("DELETE FROM warning_list WHERE id = ?", (number,))
        return (rows[0][1], bool(rows[0][2])) if rows else None

    def _put(
        self, new: WarningList, origin: str, action: ListAction, *, keeps_action: bool, now: int
    ) -> None:
        before = self._drop(new.name)
        if before is not None and keeps_action:
            action = ListAction(before[0])
        is_enabled = before[1] if before is not None else True
        self._connection.execute(
            """INSERT INTO warning_list (name, version, description, kind, origin, types, action, is_enabled, entries,
            refused, imported_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            (
                new.name,
                new.version,
                new.description,
                new.kind.value,
                origin,
                json.dumps(sorted(new.types)),
                action.value,
                is_enabled,
                new.kept,
                new.refusals.total,
                now,
            ),
        )
        number = self._connection.last_insert_rowid()
        write = self._connection.executemany
        write("INSERT INTO name_entry VALUES (?, ?, 0)", ((name, number) for name in sorted(new.names)))
        write("INSERT INTO name_entry VALUES (?, ?, 1)", ((host, number) for host in sorted(new.hosts)))
        write(
            "INSERT INTO span_entry VALUES (?, ?, ?)",
            ((number, *_packed(span)) for span in sorted(new.spans)),
        )
        write("INSERT INTO pattern_entry VALUES (?, ?)", ((number, one) for one in sorted(new.patterns)))
        self._count_change()

    # --- the own allow list ---

    def allow(self, allowed: Allowed, reason: str, now: int) -> bool:
        """Add an entry, or give it other words. Returns whether it is new. Raises AuthorError
        too-many-entries when the list is full."""
        with self._lock:
            known = {row.allowed for row in self.allowed()}
            if len(known) >= ALLOW_ENTRIES_MAX and allowed not in known:
                raise AuthorError(
                    f"the allow list holds {ALLOW_ENTRIES_MAX} entries",
                    hint="write a warning list with action block instead",
                    reason="too-many-entries",
                )
            with self._writing():
                self._connection.execute(
                    "INSERT INTO allowed VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET reason = excluded.reason",
                    (*allowed, reason, now),
                )
                self._put_allow_list(now)
            return allowed not in known

    def disallow(self, allowed: Allowed, now: int) -> None:
        """Remove an entry. Raises NotFoundError."""
        with self._lock:
            if allowed not in {row.allowed for row in self.allowed()}:
                raise NotFoundError(
                    f"'{allowed.text}' is not on the allow list", hint="see `p2pshare allow --list`"
                )
            with self._writing():
                self._connection.execute(
                    "DELETE FROM allowed WHERE type = ? AND value = ? AND covers_below = ?", allowed
                )
                self._put_allow_list(now)

    def allowed(self) -> list[AllowedRow]:
        """Returns the entries in order of type and value."""
        with self._lock, translated(self._connection):
            rows = fetch(self._connection, "SELECT * FROM allowed ORDER BY type, value, covers_below")
        return [AllowedRow(Allowed(type_, value, bool(below)), *rest) for type_, value, below, *rest in rows]

    def _put_allow_list(self, now: int) -> None:
        compiled = compile_allowed(row.allowed for row in self.allowed())
        self._put(compiled, ALLOW, ListAction.BLOCK, keeps_action=False, now=now)

    # --- the question ---

    def hits(self, pairs: Iterable[Pair], *, is_blocking_only: bool = False) -> dict[Pair, list[Hit]]:
        """Returns the lists that each of `pairs` (canonical) is on, one hit a list; absent keys are on none.
        With `is_blocking_only` no other list is asked: most lists inform, and intake has no use for those."""
        with self._lock, translated(self._connection):
            memory = self._remembered(is_blocking_only)
            found = FoundEntries(memory.asked)
            wanted, keys = dict.fromkeys(pairs), set[str]()
            for pair in wanted:
                for part in parts(*pair):
                    if part[0] in SPAN_TYPES:
                        for owner, span in memory.spans.overlapping(span_of(*part)).items():
                            found.note(pair, part, owner, span)
                    elif part[0] != "url" or memory.has_urls:
                        keys.update(keys_of(part, memory.labels_max))
                    if memory.patterns is not None:
                        found.note_patterns(pair, part, memory.patterns)
            self._find_names(wanted, keys, found, memory.labels_max)
            return {pair: self._hits(entries) for pair, entries in found.entries.items()}

    def _find_names(
        self, wanted: Iterable[Pair], keys: Collection[str], found: FoundEntries, labels_max: int
    ) -> None:
        """Note the names found, in one query for all keys. Few of them are on a list: only then is it worked
        out whose they are."""
        named: dict[str, list[tuple[int, bool]]] = defaultdict(list)
        for table, bound in key_tables(keys):
            for key, owner, covers_below in fetch(self._connection, _NAMED[table], (bound,)):
                if owner in found.asked:
                    named[key].append((owner, covers_below))
        for pair in wanted if named else ():
            for part in parts(*pair):
                for key in keys_of(part, labels_max):
                    for owner, covers_below in named.get(key, ()):
                        if covers_below or part[0] != "domain" or part[1] == key:
                            found.note(pair, part, owner, f"*.{key}" if covers_below else key)

    def _hits(self, entries: Mapping[int, Span | str]) -> list[Hit]:
        """Returns the hits in the order in which the lists came."""
        hits = []
        for owner in sorted(entries):
            row, entry = self._all()[owner], entries[owner]
            if isinstance(entry, Span):
                entry = entry.text
            is_own = row.origin == ALLOW
            words = self._reasons().get(entry) if is_own else None
            hits.append(Hit(row.name, row.action, is_own, entry, words or row.name))
        return hits

    # --- what is remembered ---

    def _reasons(self) -> dict[str, str]:
        """Returns the operator's words by entry of the allow list, as hits show it."""
        if self._allow_reasons is None:
            self._allow_reasons = {key_of(row.allowed.text): row.reason for row in self.allowed()}
        return self._allow_reasons

    def _all(self) -> dict[int, ListRow]:
        if self._lists is None:
            with translated(self._connection):
                rows = fetch(self._connection, "SELECT * FROM warning_list ORDER BY id")
            self._lists = {row[0]: _list_row(row) for row in rows}
        return self._lists

    def _remembered(self, is_blocking_only: bool) -> _Remembered:
        if is_blocking_only not in self._memory:
            read = self._connection
            asked = {
                number: row.types
                for number, row in self._all().items()
                if row.is_enabled and (row.action is ListAction.BLOCK or not is_blocking_only)
            }
            spans = SpanIndex(
                (_unpacked(first, last), number)
                for number, first, last in fetch(read, "SELECT list, first, last FROM span_entry")
                if number in asked
            )
            patterns = [
                (pattern, number)
                for pattern, number in fetch(
                    read, "SELECT pattern, list FROM pattern_entry ORDER BY list, pattern"
                )
                if number in asked
            ]
            has_urls = bool(fetch(read, "SELECT 1 FROM name_entry WHERE value LIKE '%://%' LIMIT 1"))
            ((dots,),) = fetch(
                read, "SELECT max(length(value) - length(replace(value, '.', ''))) FROM name_entry"
            )
            self._memory[is_blocking_only] = _Remembered(
                asked, spans, PatternSet(patterns) if patterns else None, has_urls, 1 + (dots or 0)
            )
        return self._memory[is_blocking_only]


def _list_row(row: Row) -> ListRow:
    _, name, version, description, kind, origin, types, action, is_enabled, entries, refused, imported_at = (
        row
    )
    return ListRow(
        name,
        version,
        description,
        MatchKind(kind),
        origin,
        frozenset(json.loads(types)),
        ListAction(action),
        bool(is_enabled),
        entries,
        refused,
        imported_at,
    )


def _packed(span: Span) -> tuple[bytes, bytes]:
    size = ADDRESS_BITS[span.family] // 8
    return span.first.to_bytes(size, "big"), span.last.to_bytes(size, "big")


def _unpacked(first: bytes, last: bytes) -> Span:
    family = 4 if len(first) == 4 else 6
    return Span(family, int.from_bytes(first, "big"), int.from_bytes(last, "big"))
