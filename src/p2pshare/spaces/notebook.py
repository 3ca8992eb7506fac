"""The kind `note`: a notebook of plain notes, which its lead closes and any member opens again (docs/spaces.md, "The kind").

It is the smallest kind there is, and the pattern of the others. How it is closed stands in `spaces.closing`.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator, Sequence

from p2pshare.envelope.encoding import refusal
from p2pshare.spaces.acts import decode_plain
from p2pshare.spaces.closing import Closing
from p2pshare.spaces.interface import EntryKind, FoldView, Json, SpaceKind
from p2pshare.spaces.vertex import Vertex, by_order

STEP_ENTRIES = 1_024  # folded between two yields: some 2 ms


def read_text(content: bytes) -> str:
    """Returns the text of a note. Raises PeerError `malformed` for an empty one, or one that is not UTF-8."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise refusal("malformed", "a note is not UTF-8") from None
    if not text:
        raise refusal("malformed", "a note is empty")
    return text


class NotebookFold:
    """The notes with an effect, and how each stands to the closes that hold."""

    def __init__(self, view: FoldView) -> None:
        self._view = view
        self._closing = Closing(view)
        self.notes: list[Vertex] = []
        self.after: list[Vertex] = []
        self.late: list[Vertex] = []

    @property
    def is_closed(self) -> bool:
        return self._closing.is_closed

    def whole(self, vertices: Sequence[Vertex]) -> Iterator[None]:
        self.notes, self.after, self.late = [], [], []
        yield from self._closing.whole(vertices)
        for start in range(0, len(vertices), STEP_ENTRIES):
            for vertex in vertices[start : start + STEP_ENTRIES]:
                if vertex.kind == "note" and vertex.has_effect:
                    self._place(vertex)
            yield

    def add(self, vertex: Vertex) -> bool:
        if vertex.kind in ("close", "reopen"):
            return False
        self._closing.add(vertex)
        if vertex.kind == "note" and vertex.has_effect:
            self._place(vertex)
        return True

    def canonical(self) -> Json:
        return {
            "after": [vertex.entry_id.text for vertex in self.after],
            "closed": self.is_closed,
            "late": [vertex.entry_id.text for vertex in self.late],
            "notes": [self._note(vertex) for vertex in self.notes],
        }

    def _note(self, vertex: Vertex) -> Json:
        is_redacted, is_sealed = self._view.is_redacted(vertex), bool(vertex.header.audience)
        is_shown = not is_redacted and not is_sealed and vertex.content is not None
        return {
            "id": vertex.entry_id.text,
            "redacted": is_redacted,
            "sealed": is_sealed,
            "text": read_text(vertex.content) if is_shown and vertex.content is not None else None,
        }

    def _place(self, vertex: Vertex) -> None:
        insort(self.notes, vertex, key=by_order)
        side = self._closing.side_of(vertex)
        if side:
            insort(self.after if side == "after" else self.late, vertex, key=by_order)


KIND = SpaceKind(
    name="note",
    entry_kinds={
        "note": EntryKind(is_deciding=False, is_lead_only=False, read=read_text),
        "close": EntryKind(is_deciding=True, is_lead_only=True, read=decode_plain),
        "reopen": EntryKind(is_deciding=True, is_lead_only=False, read=decode_plain),
    },
    lead_role="",
    fold=NotebookFold,
)
