"""The part of the contract (interface.py) about what authors took back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from p2pshare.identifiers import PartnerId
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


class WithdrawalReading(Protocol):
    """What any thread may ask."""

    def withdrawals(self, object_id: str) -> Mapping[PartnerId, Withdrawal]:
        """By author: who took back its own object of this id, however little of the object is held."""
        ...
