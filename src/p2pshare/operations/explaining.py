"""`explain`: which partner gets or got an object or a value, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2pshare.operations.interface import Query
from p2pshare.queries.explaining import Explanation, explain

if TYPE_CHECKING:
    from p2pshare.node.node import NodeReading, Progress


class Explain(Query[Explanation], frozen=True, tag="explain"):
    """Explain for each envelope with `asked` (an id or a value) whether the partner gets it, and why."""

    asked: str
    partner: str

    def run(self, node: NodeReading, now: int, progress: Progress) -> Explanation:
        return explain(node, self.asked, self.partner, now)
