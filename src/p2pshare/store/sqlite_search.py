"""The SQLite store's part for a person who looks around (interface_search.py)."""

from __future__ import annotations

from collections.abc import Iterator

from p2pshare.identifiers import EnvelopeId
from p2pshare.intel.marking import Tlp
from p2pshare.store import searching
from p2pshare.store.interface_search import EnvelopeRecord, ObjectVersion, Walked, Wanted
from p2pshare.store.transactions import Transactions


class SqliteSearch(Transactions):
    """See `interface_search` for what each method promises."""

    def search(self, wanted: Wanted, walked: Walked) -> Iterator[ObjectVersion]:
        return self._walk(searching.search, wanted, walked)

    def object_versions(self, object_id: str) -> list[ObjectVersion]:
        return self._read(searching.object_versions, object_id)

    def envelope_record(self, envelope_id: EnvelopeId) -> EnvelopeRecord | None:
        return self._read(searching.envelope_record, envelope_id)

    def envelope_markings(self) -> dict[EnvelopeId, Tlp]:
        return self._read(searching.envelope_markings)

    def envelope_objects(self, envelope_id: EnvelopeId) -> Iterator[bytes]:
        return self._walk(searching.envelope_objects, envelope_id)
