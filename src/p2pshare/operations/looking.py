"""`lookup`: what is said here about values. Alone in its file: a command that is run a thousand times loads nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2pshare.operations.interface import Query, Several
from p2pshare.queries.lookup import LookedUp, look_up

if TYPE_CHECKING:
    from p2pshare.node.node import NodeReading, Progress


class LookUp(Query[Several[LookedUp]], frozen=True, tag="lookup"):
    """Look values up: an answer for each, in order."""

    values: tuple[str, ...]

    def run(self, node: NodeReading, now: int, progress: Progress) -> Several[LookedUp]:
        return Several(look_up(node.store, self.values, now))
