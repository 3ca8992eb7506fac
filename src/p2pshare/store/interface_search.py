"""The part of the contract (interface.py) for a person who looks around: search, versions of an object, one envelope."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from p2pshare.identifiers import EnvelopeId, PartnerId
from p2pshare.intel.marking import Pap, Tlp

Walked = Callable[[int, int], None]
"""Called with (rows walked, rows there are) while a search goes on."""


@dataclass(frozen=True)
class Wanted:
    """What to search for; None and empty: anything. `type` is that of an object or of an observable it claims."""

    type: str | None = None
    author: PartnerId | None = None
    tlp: Tlp | None = None
    since: int | None = None
    """Received here at or after this instant, unix seconds."""
    label: str = ""
    """One of the object's labels, whatever the case."""
    text: str = ""
    """Stands in a text of the object, whatever the case."""


@dataclass(frozen=True)
class ObjectVersion:
    """One version of a STIX object as one author sent it; `raw` is its JSON, byte for byte."""

    author: PartnerId
    envelope_id: EnvelopeId
    modified_us: int | None
    tlp: Tlp
    pap: Pap | None
    """Of claims; objects that claim nothing have none here."""
    is_current: bool
    is_revoked: bool
    received_at: int
    raw: bytes


@dataclass(frozen=True)
class EnvelopeRecord:
    """An envelope as it is held, besides its entry: who handed it over (None: ours), whether we could read it, and
    whether its bytes are still here to be sent."""

    from_partner: PartnerId | None
    received_at: int
    is_opened: bool
    is_carried: bool


class SearchReading(Protocol):
    """What any thread may ask."""

    def search(self, wanted: Wanted, walked: Walked) -> Iterator[ObjectVersion]:
        """Current versions that fit, newest arrival first. Reads what was sealed; there is no index of texts."""
        ...

    def object_versions(self, object_id: str) -> list[ObjectVersion]:
        """Every version held of an object, of every author, in order of arrival; [] when unknown."""
        ...

    def envelope_record(self, envelope_id: EnvelopeId) -> EnvelopeRecord | None: ...

    def envelope_markings(self) -> dict[EnvelopeId, Tlp]:
        """The strictest marking in each envelope that was opened here and gave at least one object."""
        ...

    def envelope_objects(self, envelope_id: EnvelopeId) -> Iterator[bytes]:
        """The JSON of each object in an envelope that was opened here, in its order."""
        ...
