"""The store: log, knowledge and partners over one SQLite file, put together. It has no behaviour of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from p2pshare.database.database import Database, open_database
from p2pshare.errors import OperatorError
from p2pshare.knowledge.knowledge import Knowledge, KnowledgeReading
from p2pshare.limits import FREE_SPACE_BYTES_MIN, STORE_CACHE_BYTES
from p2pshare.log.envelope_log import EnvelopeLog, EnvelopeReading
from p2pshare.partners.introductions import Introductions, IntroductionsReading
from p2pshare.partners.invitations import Invitations, InvitationsReading
from p2pshare.partners.notices import Notices, NoticesReading
from p2pshare.partners.partners import Partners, PartnersReading
from p2pshare.partners.pending import PendingPartners, PendingPartnersReading


@dataclass(frozen=True)
class StoreReading:
    """The reading side of log, knowledge, partners, notices, introductions, invitations and pending partners; any thread may use it."""

    database: Database
    log: EnvelopeReading
    knowledge: KnowledgeReading
    partners: PartnersReading
    notices: NoticesReading
    introductions: IntroductionsReading
    invitations: InvitationsReading
    pending: PendingPartnersReading

    def close(self) -> None:
        self.database.close()


@dataclass(frozen=True)
class Store(StoreReading):
    """Log, knowledge, partners, notices, introductions, invitations and pending partners with their one writer."""

    log: EnvelopeLog
    knowledge: Knowledge
    partners: Partners
    notices: Notices
    introductions: Introductions
    invitations: Invitations
    pending: PendingPartners

    def transaction(self, *, frees_space: bool = False) -> AbstractContextManager[Any]:
        """Make the calls inside it one transaction; an error inside it undoes them all (`Database.transaction`)."""
        return self.database.transaction(frees_space=frees_space)

    def close(self) -> None:
        with suppress(OperatorError):  # a store that failed has nothing to tell
            self.knowledge.mark_feed()
        super().close()


def open_store(
    path: Path,
    *,
    free_space_bytes_min: int = FREE_SPACE_BYTES_MIN,
    cache_bytes: int = STORE_CACHE_BYTES,
    vfs: str | None = None,
) -> Store:
    """Open the store at `path` for writing, and make it where there is none. Raises StoreError."""
    database = open_database(
        path, free_space_bytes_min=free_space_bytes_min, cache_bytes=cache_bytes, vfs=vfs
    )
    try:
        return store_of(database)
    except BaseException:
        database.close()
        raise


def store_of(database: Database) -> Store:
    """Returns the store over a database that is open for writing."""
    return Store(
        database,
        EnvelopeLog(database),
        Knowledge(database),
        Partners(database),
        Notices(database),
        Introductions(database),
        Invitations(database),
        PendingPartners(database),
    )


@contextmanager
def reading_store(path: Path) -> Iterator[StoreReading]:
    """Yields the store at `path`, read-only: beside a writer or without one. Raises StoreError."""
    database = open_database(path, read_only=True)
    try:
        yield StoreReading(
            database,
            EnvelopeReading(database),
            KnowledgeReading(database),
            PartnersReading(database),
            NoticesReading(database),
            IntroductionsReading(database),
            InvitationsReading(database),
            PendingPartnersReading(database),
        )
    finally:
        database.close()
