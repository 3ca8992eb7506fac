"""A plain list: one active value a line, in order of arrival, for firewalls, proxies and resolvers.

Such lists are for blocking, so what PAP:AMBER or PAP:RED keeps from that is never in one (`policy.gate`).

Canonical values hold no control characters (`intel.observable`), so a value can never begin a line of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from p2pshare.exporters.interface import Format, Selection
from p2pshare.knowledge.knowledge import KnowledgeReading
from p2pshare.policy.gate import Use, strictest_pap

LINES_PER_PIECE = 4_096  # some 100 KiB a write: larger ones only take memory


def render(knowledge: KnowledgeReading, selection: Selection) -> Iterator[bytes]:
    """Yields the list in pieces of whole lines."""
    values = knowledge.values(
        selection.now_us,
        type=selection.type,
        tlp_max=selection.tlp_max,
        pap_max=strictest_pap(Use.BLOCK),
    )
    while piece := [value for _, value in islice(values, LINES_PER_PIECE)]:
        yield ("\n".join(piece) + "\n").encode()


FORMAT = Format(render, is_for_blocking=True)
