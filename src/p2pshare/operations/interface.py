"""Interface of every operation: a request with typed fields, which knows how it is done, and a typed answer.

The daemon, or a command that works by itself, hands in the node and the clock. The bounds of fields stand in their types;
a constructor does not look at them, `crossing.py` does.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from msgspec import Struct

if (
    TYPE_CHECKING
):  # an operation is handed its node: one that looks values up loads nothing that a node is made of
    from p2pshare.intel.refusals import Refusals
    from p2pshare.node.node import Node, NodeReading, Progress

A = TypeVar("A", bound=Struct)
T = TypeVar("T")


class Request(Struct, Generic[A], frozen=True, forbid_unknown_fields=True, tag_field="operation"):
    """A request for an `A`. Its tag is the name of the operation. Runs where the store's writer is, unless it is a Query."""

    @abstractmethod
    def run(self, node: Node, now: int, progress: Progress) -> A:
        """Do it and return the answer. `now` in unix seconds. Raises ShareError, with nothing changed."""


class Query(Request[A], Generic[A], frozen=True):
    """A request that only reads: it is handed nothing that writes, so any thread may run it, or a command beside the
    daemon."""

    @abstractmethod
    def run(self, node: NodeReading, now: int, progress: Progress) -> A:
        """Do it as `Request.run` does."""


class AsideWork(Generic[T]):
    """Work of a LongRequest that needs no node: done between two of its steps, off the writer's thread."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._done: tuple[T] | None = None

    def do(self) -> None:
        self._done = (self._work(),)

    @property
    def result(self) -> T:
        """Returns what the work came to, once it is done."""
        assert self._done is not None
        return self._done[0]


class LongRequest(Request[A], Generic[A], frozen=True):
    """A request that is done in steps, each a call of the writer's thread: others write in between, but for our own entries in spaces."""

    @abstractmethod
    def steps(self, node: Node, now: int) -> Iterator[A | AsideWork[Any] | None]:
        """Do a step a call; yields None between two, or AsideWork that is to be done before the next, and the answer last. Raises ShareError, with the steps before done."""

    def run(self, node: Node, now: int, progress: Progress) -> A:
        """Do all steps at once."""
        for answer in self.steps(node, now):
            if isinstance(answer, AsideWork):
                answer.do()
            elif answer is not None:
                return answer
        raise AssertionError("the last step has the answer")


class Several(Struct, Generic[T], frozen=True, forbid_unknown_fields=True):
    """An answer that is a list, in an order that its operation promises."""

    each: list[T]


class Counted(Struct, frozen=True, forbid_unknown_fields=True):
    """The number of things refused or noted for one reason, and a few examples."""

    reason: str
    count: int
    examples: list[str]


class LeftOut(Struct, frozen=True, forbid_unknown_fields=True):
    """A partner that is not told, and why."""

    name: str
    reason: str


def counted(refusals: Refusals) -> list[Counted]:
    """Returns the counts, the most frequent reason first."""
    return [Counted(**one) for one in refusals.to_json()]


def left_out(reasons: dict[str, str]) -> list[LeftOut]:
    """Returns the partners that are left out in the order of names; `reasons` is by name."""
    return [LeftOut(name, reason) for name, reason in sorted(reasons.items())]
