"""The kind `note`: a notebook of plain notes, which its lead closes and any member opens again (docs/spaces.md, "The kind").

It is the smallest kind there is, and the pattern of the others. Closed is a notebook by a close that has every reopening in its
past, so of two beside each other the reopening wins; what was written beside the close is late, and nothing is lost.
"""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from collections.abc import Iterator, Sequence

from p2pshare.envelope.encoding import refusal
from p2pshare.identifiers import PartnerId
from p2pshare.spaces.acts import decode_plain
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
        self._closes: set[Vertex] = set()
        self._is_after: set[Vertex] = set()
        self.notes: list[Vertex] = []
        self.after: list[Vertex] = []
        self.late: list[Vertex] = []

    @property
    def is_closed(self) -> bool:
        return bool(self._closes)

    def whole(self, vertices: Sequence[Vertex]) -> Iterator[None]:
        self._closes, self._is_after = set(), set()
        self.notes, self.after, self.late = [], [], []
        before: set[Vertex] = set()
        if any(vertex.kind == "close" and vertex.has_effect for vertex in vertices):
            yield from self._find_closes(vertices)
        if self._closes:
            yield from self._find_before(vertices, before)
        for start in range(0, len(vertices), STEP_ENTRIES):
            for vertex in vertices[start : start + STEP_ENTRIES]:
                if self._closes and any(
                    parent in self._closes or parent in self._is_after for parent in vertex.parents
                ):
                    self._is_after.add(vertex)
                if vertex.kind == "note" and vertex.has_effect:
                    self._place(vertex, is_before=vertex in before)
            yield

    def add(self, vertex: Vertex) -> bool:
        if vertex.kind in ("close", "reopen"):
            return False
        if self._closes and any(
            parent in self._closes or parent in self._is_after for parent in vertex.parents
        ):
            self._is_after.add(vertex)
        if vertex.kind == "note" and vertex.has_effect:
            insort(self.notes, vertex, key=by_order)
            if vertex in self._is_after:
                insort(self.after, vertex, key=by_order)
            elif self._closes:
                insort(self.late, vertex, key=by_order)
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

    def _place(self, vertex: Vertex, *, is_before: bool) -> None:
        self.notes.append(vertex)
        if self._closes and not is_before:
            listed = self.after if vertex in self._is_after else self.late
            listed.append(vertex)

    def _find_closes(self, vertices: Sequence[Vertex]) -> Iterator[None]:
        """Find the closes that have every reopening in their past."""
        needed: dict[Vertex, int] = {}
        for vertex in self._last_reopenings(vertices):
            needed[vertex] = 1 << len(needed)
        yield
        everyone = (1 << len(needed)) - 1
        seen: dict[Vertex, int] = {}
        for start in range(0, len(vertices), STEP_ENTRIES):
            for vertex in vertices[start : start + STEP_ENTRIES]:
                bits = 0
                for parent in vertex.parents:
                    bits |= seen[parent]
                if vertex.kind == "close" and vertex.has_effect and bits == everyone:
                    self._closes.add(vertex)
                seen[vertex] = bits | needed.get(vertex, 0)
            yield

    def _last_reopenings(self, vertices: Sequence[Vertex]) -> Iterator[Vertex]:
        """Yields those that have all others in their past: of an author the last one, where it has no fork."""
        by_author: defaultdict[PartnerId, list[Vertex]] = defaultdict(list)
        for vertex in vertices:
            if vertex.kind == "reopen" and vertex.has_effect:
                by_author[vertex.author].append(vertex)
        for author, reopenings in by_author.items():
            if self._view.has_fork(author):
                yield from reopenings
            else:
                yield max(reopenings, key=lambda vertex: vertex.number)

    def _find_before(self, vertices: Sequence[Vertex], before: set[Vertex]) -> Iterator[None]:
        """Add to `before` what is in the past of any close that holds."""
        for end in range(len(vertices), 0, -STEP_ENTRIES):
            for vertex in reversed(vertices[max(0, end - STEP_ENTRIES) : end]):
                if vertex in before or vertex in self._closes:
                    before.update(vertex.parents)
            yield


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
