"""Which reader a file is for, told by its beginning and its name, and what a reader is told about its file.

Every name that `detect_format` answers is a row in one of the two tables of `service.drafting`.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from p2pshare.identifiers import PartnerId
from p2pshare.intel.marking import Tlp

STIX_ENDINGS = (".json", ".stix", ".stix2")


@dataclass(frozen=True)
class Source:
    """What a reader may want to know beside the bytes: the file's name (`-` for stdin), who publishes it, when (in
    seconds since 1970), the marking the person gave, and the columns that hold the values of a table."""

    name: str
    author: PartnerId
    now: int
    tlp: Tlp | None = None
    columns: tuple[str, ...] = ()


def detect_format(head: bytes, name: str = "") -> str:
    """`stix` for what begins like JSON, or is named like it (so that a damaged file gets a JSON error, not a
    thousand refused lines); else `list`. `head` is the first few hundred bytes."""
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if start[:1] == b"{":
        return "stix"
    if start[:1] == b"[" and start[1:].lstrip()[:1] in (b"{", b"]"):  # `[.]` may begin a defanged value
        return "stix"
    return "stix" if name.lower().endswith(STIX_ENDINGS) else "list"
