"""Which reader a file is for, told by its beginning and its name, and what a reader is told about its file.

Every name that `detect_format` answers is a row in one of the two tables of `service.drafting`.
"""

from __future__ import annotations

import codecs
import io
from dataclasses import dataclass

from p2pshare.identifiers import PartnerId
from p2pshare.intel.marking import Tlp
from p2pshare.intel.refusals import Refusal
from p2pshare.intel.values import ListValue, read_list

TEXT_ENDINGS = (".md", ".markdown", ".adoc", ".asciidoc")
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
    takes_undefanged: bool = False
    """Of a text: whether values that nobody defanged are taken, too."""


def detect_format(head: bytes, name: str = "") -> str:
    """`stix` for what begins like JSON, or is named like it (so that a damaged file gets a JSON error, not a
    thousand refused lines); `text` for what is named like a document, or has more prose than values; else `list`.
    `head` is the first few thousand bytes."""
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if start[:1] == b"{":
        return "stix"
    if start[:1] == b"[" and start[1:].lstrip()[:1] in (b"{", b"]"):  # `[.]` may begin a defanged value
        return "stix"
    ending = name.lower()
    if ending.endswith(STIX_ENDINGS):
        return "stix"
    return "text" if ending.endswith(TEXT_ENDINGS) or _is_prose(start) else "list"


def _is_prose(head: bytes) -> bool:
    """Whether more lines are of several words than are values: a list has one value a line, and comments."""
    found = list(read_list(io.BytesIO(head[: head.rfind(b"\n") + 1])))
    taken = sum(isinstance(one, ListValue) for one in found)
    sentences = sum(
        isinstance(one, Refusal)
        and one.reason == "not-one-value"
        and len(one.example.split()) > 1
        and one.example.count(",") <= 1  # else it is a row of a table
        for one in found
    )
    return sentences > taken
