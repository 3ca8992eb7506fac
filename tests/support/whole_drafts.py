"""A file's draft with all its parts in memory, for tests that look at them."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BufferedReader
from typing import Any

from p2pshare.sharing.drafting import Draft, DraftPart, open_draft


@dataclass
class WholeDraft(Draft):
    """A draft, and its parts."""

    parts: list[DraftPart] = field(default_factory=list)


def draft_file(stream: BufferedReader, **options: Any) -> WholeDraft:
    """Returns what `open_draft` makes of the file, walked to its end."""
    draft, parts = open_draft(stream, **options)
    walked = list(parts)
    return WholeDraft(**vars(draft), parts=walked)
