"""Which reader a file is for, told by its beginning and its name."""

from __future__ import annotations

import codecs
from typing import Literal

STIX_ENDINGS = (".json", ".stix", ".stix2")
Format = Literal["stix", "list"]


def detect_format(head: bytes, name: str = "") -> Format:
    """`stix` for what begins like JSON, or is named like it (so that a damaged file gets a JSON error, not a
    thousand refused lines); else `list`. `head` is the first few hundred bytes."""
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if start[:1] == b"{":
        return "stix"
    if start[:1] == b"[" and start[1:].lstrip()[:1] in (b"{", b"]"):  # `[.]` may begin a defanged value
        return "stix"
    return "stix" if name.lower().endswith(STIX_ENDINGS) else "list"
