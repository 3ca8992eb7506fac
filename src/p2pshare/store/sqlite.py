"""The SQLite store: one writing connection, a read-only one for each thread that asks.

Rules:

1. Whoever writes holds `_lock`; the daemon has one writing thread, so nobody waits there. A transaction
   belongs to the thread that began it, and only that thread sees what it has not committed.
2. Below the free-space floor nothing begins, except what frees space.
3. After a failed disk operation every later write is refused: what is on disk is unknown until the next start.
4. Collection of cycles is off while rows are made: they are millions of tuples without a cycle in them.
"""

from __future__ import annotations

import gc
import secrets
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import apsw

from p2pshare.errors import StoreError
from p2pshare.identifiers import CircleId, EnvelopeId, Epoch, PartnerId
from p2pshare.intel.marking import Tlp
from p2pshare.intel.observable import Observable
from p2pshare.limits import FREE_SPACE_BYTES_MIN, FUTURE_DEFER_SECONDS, STORE_CACHE_BYTES
from p2pshare.store import envelopes, expiry, partners, reading_envelopes, reading_intel, sequences, settings
from p2pshare.store.connection import (
    StoreFailed,
    open_reader,
    open_writer,
    require_free_space,
    translated,
    translation,
)
from p2pshare.store.interface import (
    Account,
    AuthorState,
    CardFork,
    ClaimRow,
    Counts,
    EnvelopeEntry,
    IndicatorRow,
    NewEnvelope,
    ObjectFork,
    ObjectVersion,
    OpaqueRow,
    PartnerRow,
    SequenceFork,
    Stored,
)
from p2pshare.store.interning import Interning
from p2pshare.store.schema import migrate, require_current

T = TypeVar("T")


def open_store(
    path: Path,
    *,
    read_only: bool = False,
    free_space_bytes_min: int = FREE_SPACE_BYTES_MIN,
    cache_bytes: int = STORE_CACHE_BYTES,
    vfs: str | None = None,
) -> SqliteStore:
    """Opens (and, unless `read_only`, creates and migrates) the store at `path`.

    Raises StoreError: network file system, permissions, newer schema, damaged file, another program's file.
    """
    if read_only:
        return SqliteStore(path, None, 0)
    writer = open_writer(path, cache_bytes=cache_bytes, vfs=vfs)
    try:
        with translated(writer):
            migrate(writer)
        return SqliteStore(path, writer, free_space_bytes_min)
    except BaseException:
        writer.close()
        raise


class SqliteStore:
    """See `interface.Store` for what each method promises."""

    def __init__(self, path: Path, writer: apsw.Connection | None, free_space_bytes_min: int) -> None:
        self._path = path
        self._writer = writer
        self._free_space_bytes_min = free_space_bytes_min
        self._lock = threading.RLock()
        self._writing_thread = 0
        self._has_failed = False
        self._has_begun = False
        self._readers: list[apsw.Connection] = []
        self._local = threading.local()
        if writer is None:
            with translated(path=path):
                require_current(self._reader())
        else:
            self._interning = Interning(writer)
            if self.setting("epoch") is None:
                self.new_epoch()

    # --- connections and transactions ---------------------------------------------------------------

    def _reader(self) -> apsw.Connection:
        """This thread's connection: the writing one inside its own transaction, else its read-only one."""
        if self._writer is not None and self._writing_thread == threading.get_ident():
            return self._writer
        connection: apsw.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = open_reader(self._path)
            self._local.connection = connection
            self._readers.append(connection)
        return connection

    @contextmanager
    def transaction(self, *, frees_space: bool = False) -> Iterator[None]:
        with self._writing(frees_space=frees_space):
            yield

    @contextmanager
    def _writing(self, *, frees_space: bool = False) -> Iterator[apsw.Connection]:
        """The writing connection inside a transaction; the outermost block commits or undoes."""
        if self._writer is None:
            raise StoreError("the store was opened for reading only", reason="store-read-only")
        with self._lock:
            if self._has_failed:
                raise StoreFailed("the disk failed earlier; the store takes no more writes until a restart")
            if self._writing_thread:
                with translated(self._writer):
                    yield from self._part_of_transaction(self._writer)
                return
            if not frees_space:
                require_free_space(self._path, self._free_space_bytes_min)
            try:
                with translated(self._writer):
                    yield from self._one_transaction(self._writer)
            except StoreFailed:
                self._has_failed = True
                raise

    def _one_transaction(self, writer: apsw.Connection) -> Iterator[apsw.Connection]:
        writer.execute("BEGIN IMMEDIATE")
        self._writing_thread = threading.get_ident()
        was_collecting = gc.isenabled()
        gc.disable()
        try:
            yield writer
            if not writer.in_transaction:
                raise StoreError("a part of the transaction failed and undid it", reason="store-undone")
            writer.execute("COMMIT")
        except BaseException:
            self._interning.forget()
            if writer.in_transaction:
                writer.execute("ROLLBACK")
            raise
        finally:
            self._writing_thread = 0
            if was_collecting:
                gc.enable()

    def _part_of_transaction(self, writer: apsw.Connection) -> Iterator[apsw.Connection]:
        """A call inside `transaction()`: undone alone when it fails, so that no half of it can be committed."""
        writer.execute("SAVEPOINT part")
        try:
            yield writer
        except BaseException:
            self._interning.forget()
            if writer.in_transaction:  # some errors (a full disk) have undone everything already
                writer.execute("ROLLBACK TO part; RELEASE part")
            raise
        writer.execute("RELEASE part")

    def checkpoint(self) -> None:
        with self._lock, translated(self._writer):
            if self._writer is not None and not self._has_failed and not self._writing_thread:
                self._writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)

    def close(self) -> None:
        with self._lock:
            for connection in self._readers:
                connection.close(True)
            self._readers.clear()
            if self._writer is not None:
                self._writer.close(True)

    # --- writing ------------------------------------------------------------------------------------

    def add_envelopes(self, arrivals: Sequence[NewEnvelope]) -> list[Stored]:
        with self._writing() as writer:
            return envelopes.add_envelopes(writer, self._interning, arrivals)

    def put_own(self, partner_id: PartnerId, name: str) -> None:
        with self._writing() as writer:
            settings.put_setting(writer, "own_id", bytes(partner_id))
            writer.execute(
                "UPDATE organisation SET name = ? WHERE id = ?",
                (name, self._interning.organisation(partner_id)),
            )

    def author_state(self, now: int) -> AuthorState:
        if not self._has_begun:
            self.begin_incarnation(now)
        return sequences.own_chain(self._reader())

    def begin_incarnation(self, now: int) -> int:
        with self._writing() as writer:
            incarnation = sequences.begin_incarnation(writer, now)
        self._has_begun = True
        return incarnation

    def new_epoch(self) -> Epoch:
        epoch = Epoch(secrets.token_bytes(16))
        self.put_setting("epoch", bytes(epoch))
        return epoch

    def acknowledge(self, envelope_id: EnvelopeId, partner: PartnerId) -> None:
        with self._writing(frees_space=True) as writer:
            envelopes.acknowledge(writer, envelope_id, partner)

    def put_partner(self, row: PartnerRow) -> None:
        with self._writing() as writer:
            partners.put_partner(writer, self._interning, row)

    def remove_partner(self, partner_id: PartnerId) -> None:
        with self._writing(frees_space=True) as writer:
            partners.remove_partner(writer, partner_id)

    def update_card(self, partner_id: PartnerId, raw: bytes, version: int) -> None:
        with self._writing() as writer:
            partners.update_card(writer, self._interning, partner_id, raw, version)

    def freeze_partner(self, partner_id: PartnerId, *, evidence: tuple[bytes, bytes], now: int) -> None:
        with self._writing() as writer:
            partners.freeze_partner(writer, self._interning, partner_id, evidence, now)

    def touch_partner(self, partner_id: PartnerId, last_exchange: int) -> None:
        with self._writing() as writer:
            partners.touch_partner(writer, self._interning, partner_id, last_exchange)

    def add_accounting(self, verdicts: Iterable[tuple[PartnerId | None, str, str]]) -> None:
        with self._writing() as writer:
            partners.add_accounting(writer, self._interning, verdicts)

    def count_refusals(self, partner: PartnerId | None, reasons: Mapping[str, int]) -> None:
        with self._writing() as writer:
            partners.count_refusals(writer, self._interning, partner, reasons)

    def defer(
        self, envelope_id: EnvelopeId, wire: bytes, bearer: PartnerId | None, created: int, now: int
    ) -> bool:
        with self._writing() as writer:
            return envelopes.defer(writer, self._interning, envelope_id, wire, bearer, created)

    def pop_deferred(self, now: int) -> list[tuple[bytes, PartnerId | None]]:
        with self._writing(frees_space=True) as writer:
            return envelopes.pop_deferred(writer, now + FUTURE_DEFER_SECONDS)

    def expire(self, now: int) -> int:
        with self._writing(frees_space=True) as writer:
            return expiry.expire(writer, now)

    def put_setting(self, name: str, value: str | int | bytes) -> None:
        with self._writing() as writer:
            settings.put_setting(writer, name, value)

    # --- reading ------------------------------------------------------------------------------------

    def _read(self, question: Callable[..., T], *arguments: Any) -> T:
        """One question through this thread's connection."""
        try:
            return question(self._reader(), *arguments)
        except apsw.Error as error:  # what `translated` does, without its cost for each look-up
            ours = translation(error)
            if ours is None:
                raise
            raise ours from error

    def _walk(self, question: Callable[..., Iterator[T]], *arguments: Any, **options: Any) -> Iterator[T]:
        """A question whose answer is too long to hold."""
        with translated():
            yield from question(self._reader(), *arguments, **options)

    def epoch(self) -> Epoch:
        return Epoch(cast(bytes, self.setting("epoch")))

    def setting(self, name: str) -> str | int | bytes | None:
        return self._read(settings.get_setting, name)

    def is_seen(self, ids: Collection[EnvelopeId]) -> set[EnvelopeId]:
        return self._read(reading_envelopes.is_seen, ids)

    def wire(self, envelope_id: EnvelopeId) -> bytes | None:
        return self._read(reading_envelopes.wire, envelope_id)

    def entry(self, envelope_id: EnvelopeId) -> EnvelopeEntry | None:
        return self._read(envelopes.find_entry, envelope_id)

    def entries(self, after_lsn: int, limit: int) -> list[EnvelopeEntry]:
        return self._read(reading_envelopes.entries, after_lsn, limit)

    def last_lsn(self) -> int:
        return int(self.setting("last_lsn") or 0)

    def keys(self, circle: CircleId, ttl_class: int) -> Iterator[tuple[int, EnvelopeId]]:
        return self._walk(reading_envelopes.keys, circle, ttl_class)

    def keys_after(self, circle: CircleId, ttl_class: int, after: bytes, limit: int) -> list[bytes]:
        return self._read(reading_envelopes.keys_after, circle, ttl_class, after, limit)

    def outbox(self, partner: PartnerId) -> list[EnvelopeEntry]:
        return self._read(reading_envelopes.outbox, partner)

    def outbox_partners(self, envelope_id: EnvelopeId) -> frozenset[PartnerId]:
        return self._read(reading_envelopes.outbox_partners, envelope_id)

    def first_hops(self) -> list[EnvelopeEntry]:
        return self._read(reading_envelopes.first_hops)

    def lookup(self, observables: Collection[Observable]) -> dict[Observable, list[ClaimRow]]:
        return self._read(reading_intel.lookup, observables)

    def indicators(
        self, now_us: int, *, type: str | None = None, is_active_only: bool = True, tlp_max: Tlp
    ) -> Iterator[IndicatorRow]:
        options = {"type": type, "is_active_only": is_active_only, "tlp_max": tlp_max}
        return self._walk(reading_intel.indicators, now_us, **options)

    def values(self, now_us: int, *, type: str | None = None, tlp_max: Tlp) -> Iterator[tuple[str, str]]:
        return self._walk(reading_intel.values, now_us, type=type, tlp_max=tlp_max)

    def indicator_lines(self, now_us: int, *, type: str | None = None, tlp_max: Tlp) -> Iterator[str]:
        return self._walk(reading_intel.indicator_lines, now_us, type=type, tlp_max=tlp_max)

    def object_versions(self, object_id: str) -> list[ObjectVersion]:
        return self._read(reading_intel.object_versions, object_id)

    def opaque_patterns(self, text: str, limit: int) -> list[OpaqueRow]:
        return self._read(reading_intel.opaque_patterns, text, limit)

    def counts(self) -> Counts:
        return self._read(reading_envelopes.counts)

    def accounts(self) -> list[Account]:
        return self._read(reading_envelopes.accounts)

    def partners(self) -> list[PartnerRow]:
        return self._read(reading_envelopes.partners)

    def card_versions(self, partner_id: PartnerId) -> list[tuple[int, bytes]]:
        return self._read(reading_envelopes.card_versions, partner_id)

    def author_names(self) -> dict[PartnerId, str]:
        return self._read(reading_envelopes.author_names)

    def last_exchanges(self) -> dict[PartnerId, int]:
        return self._read(reading_envelopes.last_exchanges)

    def recipient_sequences(self, partners: Collection[PartnerId]) -> dict[PartnerId, int]:
        return self._read(reading_envelopes.recipient_sequences, partners)

    def sequence_gaps(self, author: PartnerId) -> list[tuple[int, int]]:
        return self._read(reading_envelopes.sequence_gaps, author)

    def sequence_forks(self) -> list[SequenceFork]:
        return self._read(reading_envelopes.sequence_forks)

    def object_forks(self) -> list[ObjectFork]:
        return self._read(reading_envelopes.object_forks)

    def card_forks(self) -> list[CardFork]:
        return self._read(reading_envelopes.card_forks)

    def fork_count(self) -> int:
        return self._read(reading_envelopes.fork_count)
