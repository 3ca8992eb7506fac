"""Runs: pieces of one kind that follow each other in a text, matched in bounded memory.

A group that repeats keeps 64 bytes or more for each repetition until its match ends: gigabytes for 64 MiB of escapes.
A possessive group would keep none, but `re` before Python 3.11.5 misreads one whose pieces are alternatives
(https://github.com/python/cpython/issues/106052), and Debian 12 has 3.11.2. So a run is matched slice by slice.
"""

from __future__ import annotations

import re
from typing import AnyStr


def run_end(pieces: re.Pattern[AnyStr], text: AnyStr, start: int) -> int:
    """Returns the position behind the pieces that follow each other from `start` on; `start` itself where none does.

    `pieces` matches one piece to a thousand, `(?:...){1,1000}`, of which no two kinds begin alike: so it never goes back over
    a piece, and a run costs time in proportion to its length.
    """
    while (match := pieces.match(text, start)) is not None:
        start = match.end()
    return start
