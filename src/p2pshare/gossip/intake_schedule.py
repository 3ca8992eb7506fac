"""The schedule of intake: from which partner it takes the next body, and from which another may be read.

Bodies wait while a commit is under way, and what waited shares the next one, so that its cost is shared and nobody
waits for a commit to fill up. Both drivers keep this schedule; it holds no clock, and knows of a body its size alone.

1. Partners take turns, one body each, and each one's bodies keep their order. So a body that has k of its own partner
   before it waits for at most k + 1 of any other's, and for those of the commit under way: a flood waits behind itself.
2. A batch ends at so many bodies or bytes.
3. The bytes that wait are bounded, of one partner and of all; beyond a bound reading pauses. A body is read whole before it
   is known, so each bound may be passed by one body.
4. A body that was put is taken exactly once.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import Generic, TypeVar

from p2pshare.identifiers import PartnerId
from p2pshare.limits import MIB

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class IntakeLimits:
    """Limits of a batch and of the bodies that wait; the simulator has smaller ones, so that few bodies fill them."""

    batch_bodies: int = 128  # one commit: verified in a tenth of a second, so other writers wait no longer
    batch_bytes: int = 8 * MIB
    waiting_bytes: int = 64 * MIB  # bodies that came and wait for intake; beyond it reading pauses
    waiting_bytes_per_partner: int = 16 * MIB  # beyond it reading from that partner alone pauses


INTAKE_LIMITS = IntakeLimits()


@dataclass(frozen=True, slots=True)
class WaitingBody(Generic[T]):
    """A body that `received_from` handed over, `size` in bytes; `item` is the driver's."""

    received_from: PartnerId
    size: int
    item: T


class IntakeSchedule(Generic[T]):
    """A fair queue of bodies: put, and take a batch."""

    def __init__(self, limits: IntakeLimits = INTAKE_LIMITS) -> None:
        self._limits = limits
        self._waiting: dict[PartnerId, deque[WaitingBody[T]]] = {}
        """Partners in the order of their turns; no deque is empty."""
        self._bytes: Counter[PartnerId] = Counter()

    def __len__(self) -> int:
        """Returns the number of bodies that wait."""
        return sum(map(len, self._waiting.values()))

    @property
    def waiting_bytes(self) -> int:
        """Returns the bytes that wait, of all partners."""
        return self._bytes.total()

    def waiting_bytes_of(self, received_from: PartnerId) -> int:
        """Returns the bytes that wait of one partner."""
        return self._bytes[received_from]

    def has_room(self, received_from: PartnerId) -> bool:
        """Returns whether one more body of `received_from` may be read."""
        return (
            self._bytes[received_from] < self._limits.waiting_bytes_per_partner
            and self._bytes.total() < self._limits.waiting_bytes
        )

    def put(self, received_from: PartnerId, size: int, item: T) -> None:
        """Add a body that came whole, behind the others of its partner."""
        self._waiting.setdefault(received_from, deque()).append(WaitingBody(received_from, size, item))
        self._bytes[received_from] += size

    def take(self) -> list[WaitingBody[T]]:
        """Returns the next batch: partners in turn, each one's bodies in order; empty when nothing waits."""
        batch: list[WaitingBody[T]] = []
        total = 0
        while self._waiting and len(batch) < self._limits.batch_bodies and total < self._limits.batch_bytes:
            received_from = next(iter(self._waiting))
            own = self._waiting.pop(received_from)
            batch.append(own.popleft())
            total += batch[-1].size
            self._count_out(batch[-1])
            if own:
                self._waiting[received_from] = own  # at the end: the others' turn
        return batch

    def _count_out(self, one: WaitingBody[T]) -> None:
        self._bytes[one.received_from] -= one.size
        if not self._bytes[one.received_from]:
            del self._bytes[one.received_from]
