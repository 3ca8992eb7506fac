"""NDJSON: one active observable a line, as a JSON object with the columns of `v1_indicators` (docs/siem.md)."""

from __future__ import annotations

from collections.abc import Iterator

from p2pshare.exporters.interface import Format, Selection
from p2pshare.knowledge.knowledge import KnowledgeReading


def render(knowledge: KnowledgeReading, selection: Selection) -> Iterator[bytes]:
    """Yields the lines in pieces; the store encodes them, which is ten times faster than a loop here."""
    for lines in knowledge.indicator_lines(selection.now_us, type=selection.type, tlp_max=selection.tlp_max):
        yield lines.encode()


FORMAT = Format(render)
