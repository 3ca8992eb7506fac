"""The SQLite store: what each method of the contract asks of the tables. `transactions` keeps the rules of writing."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

import apsw

from p2pshare.identifiers import CircleId, EnvelopeId, Epoch, PartnerId
from p2pshare.intel.observable import Observable
from p2pshare.limits import FREE_SPACE_BYTES_MIN, FUTURE_DEFER_SECONDS, STORE_CACHE_BYTES
from p2pshare.store import (
    assessments,
    envelopes,
    expiry,
    partners,
    reading_envelopes,
    reading_intel,
    sequences,
    settings,
    standing,
)
from p2pshare.store.connection import open_writer, translated
from p2pshare.store.interface import (
    Account,
    AuthorState,
    CardFork,
    ClaimRow,
    Counts,
    EnvelopeEntry,
    GapTotal,
    NewEnvelope,
    ObjectFork,
    PartnerRow,
    SequenceFork,
    Stored,
)
from p2pshare.store.schema import migrate
from p2pshare.store.sqlite_search import SqliteSearch
from p2pshare.store.sqlite_standing import SqliteStanding
from p2pshare.store.sqlite_withdrawing import SqliteWithdrawing


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


class SqliteStore(SqliteSearch, SqliteWithdrawing, SqliteStanding):
    """See `interface.Store` for what each method promises."""

    def __init__(self, path: Path, writer: apsw.Connection | None, free_space_bytes_min: int) -> None:
        super().__init__(path, writer, free_space_bytes_min)
        self._has_begun = False
        if writer is not None and self.setting("epoch") is None:
            self.new_epoch()

    # --- writing ------------------------------------------------------------------------------------

    def add_envelopes(self, arrivals: Sequence[NewEnvelope]) -> list[Stored]:
        with self._writing() as writer:
            self._tell(max((arrival.received_at for arrival in arrivals), default=0))
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
            assessments.recount_all(writer)

    def remove_partner(self, partner_id: PartnerId) -> None:
        with self._writing(frees_space=True) as writer:
            partners.remove_partner(writer, partner_id)
            assessments.recount_all(writer)

    def update_card(self, partner_id: PartnerId, raw: bytes, version: int) -> None:
        with self._writing() as writer:
            partners.update_card(writer, self._interning, partner_id, raw, version)

    def freeze_partner(self, partner_id: PartnerId, *, evidence: tuple[bytes, bytes], now: int) -> None:
        with self._writing() as writer:
            partners.freeze_partner(writer, self._interning, partner_id, evidence, now)
            assessments.recount_all(writer)

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
            if name == "siem_tlp_max":
                standing.mark_stricter(writer, min(standing.siem_tlp_max(writer), int(value)))
            settings.put_setting(writer, name, value)
            if name == "false_positive_reports":
                assessments.recount_all(writer)

    # --- reading ------------------------------------------------------------------------------------

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

    def audience(self, envelope_id: EnvelopeId) -> Mapping[PartnerId, bool]:
        return self._read(reading_envelopes.audience, envelope_id)

    def direct_keys(self, partner: PartnerId) -> list[tuple[int, int, EnvelopeId]]:
        return self._read(reading_envelopes.direct_keys, partner)

    def first_hops(self) -> list[EnvelopeEntry]:
        return self._read(reading_envelopes.first_hops)

    def lookup(self, observables: Collection[Observable]) -> dict[Observable, list[ClaimRow]]:
        return self._read(reading_intel.lookup, observables)

    def network_lengths(self) -> dict[str, tuple[int, ...]]:
        return self._read(reading_intel.network_lengths)

    def counts(self) -> Counts:
        return self._read(reading_envelopes.counts)

    def carried(self) -> dict[tuple[PartnerId, CircleId], int]:
        return self._read(reading_envelopes.carried)

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

    def sequence_gaps(self, author: PartnerId, limit: int = 1_000) -> list[tuple[int, int]]:
        return self._read(reading_envelopes.sequence_gaps, author, limit)

    def gap_totals(self) -> list[GapTotal]:
        return self._read(reading_envelopes.gap_totals)

    def newest_created(self, limit: int) -> dict[PartnerId, list[int]]:
        return self._read(reading_envelopes.newest_created, limit)

    def evidence(self, envelope_id: EnvelopeId) -> bytes | None:
        return self._read(reading_envelopes.evidence, envelope_id)

    def sequence_forks(self) -> list[SequenceFork]:
        return self._read(reading_envelopes.sequence_forks)

    def object_forks(self) -> list[ObjectFork]:
        return self._read(reading_envelopes.object_forks)

    def card_forks(self) -> list[CardFork]:
        return self._read(reading_envelopes.card_forks)

    def fork_count(self) -> int:
        return self._read(reading_envelopes.fork_count)
