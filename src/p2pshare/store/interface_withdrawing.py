"""The part of the contract (interface.py) about what authors took back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from p2pshare.envelope.envelope import Mode
from p2pshare.identifiers import EnvelopeId, PartnerId
from p2pshare.intel.marking import Tlp
from p2pshare.intel.withdrawing import Reason


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """How far an author took an object back: up to a place in its chain, and up to a `modified`; and why."""

    incarnation: int
    sequence: int
    up_to_us: int | None
    reason: Reason
    replaced_by: str | None
    received_at: int


@dataclass(frozen=True)
class Carrier:
    """An envelope of ours that held a version of an object: how it went, under which marking of the object, and to whom.

    `recipients`: whether each has acknowledged it; None when that was not written down, which earlier versions of this
    program did not.
    """

    lsn: int
    envelope_id: EnvelopeId
    mode: Mode
    ttl_class: int
    tlp: Tlp
    is_expired: bool
    awaits_first_hop: bool
    recipients: Mapping[PartnerId, bool] | None


class WithdrawalReading(Protocol):
    """What any thread may ask."""

    def withdrawals(self, object_id: str) -> Mapping[PartnerId, Withdrawal]:
        """By author: who took back its own object of this id, however little of the object is held."""
        ...

    def carriers(self, object_id: str) -> list[Carrier]:
        """Every envelope of ours that held a version of our object of this id, oldest first."""
        ...

    def withdrawn_up_to(self, author: PartnerId, object_ids: Collection[str]) -> Mapping[str, int]:
        """Those of `author`'s objects that it took back up to some `modified`, in microseconds."""
        ...
