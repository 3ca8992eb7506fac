"""Which reader a file is for, told by its beginning and its name, and what a reader is told about its file.

Every name that `detect_format` answers is a row in one of the two tables of `sharing.drafting`.
"""

from __future__ import annotations

import codecs
import io
import re
from dataclasses import dataclass

from p2pshare.identifiers import PartnerId
from p2pshare.importers.tables import is_table
from p2pshare.importers.values import ListValue, read_list
from p2pshare.intel.marking import Tlp
from p2pshare.intel.refusals import Refusal

JSON_ENDINGS = (".json", ".stix", ".stix2")
TABLE_ENDINGS = (".csv", ".tsv")
YARA_ENDINGS = (".yar", ".yara")
SIGMA_ENDINGS = (".yml", ".yaml")
TEXT_ENDINGS = (".md", ".markdown", ".adoc", ".asciidoc")

# What only the outermost keys of this format's JSON hold; JSON with none of them is taken for STIX.
STIX_KEYS = frozenset({"objects", "spec_version"})
JSON_KEYS: dict[str, frozenset[str]] = {
    "misp": frozenset({"Event", "response", "Attribute", "Object", "Orgc", "threat_level_id"}),
    "kev": frozenset({"catalogVersion"}),
    "csaf": frozenset({"document", "product_tree"}),
}
_TOKEN = re.compile(rb'"([^"\\]*+(?:\\.[^"\\]*+)*)(?:"\s*(:?))?|[{}\[\]]', re.DOTALL)
# Behind blanks and comments, the first thing that only YARA says.
_YARA = re.compile(
    rb"(?:\s++|//[^\n]*+|/\*[^*]*+(?:\*(?!/)[^*]*+)*\*/)*"
    rb'(?:(?:import|include)\s+"|(?:(?:private|global)\s+){0,2}rule\s+\w+\s*[:{])'
)
_SIGMA_TITLE = re.compile(rb"^title:", re.MULTILINE)
_SIGMA_BODY = re.compile(rb"^(?:logsource|detection|correlation|filter|status):", re.MULTILINE)


@dataclass(frozen=True)
class InputSource:
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
    """The format of a file called `name` that begins with `head` (a few KiB of it).

    JSON is what begins like it, or is named like it (so that a damaged file gets a JSON error, not a thousand
    refused lines); its outermost keys tell which. A rule file begins with a rule, or has a Sigma rule's keys, or is
    named so. A table has cells. A text is named like a document, or has more prose than values. Everything else is a
    list. Raises AuthorError encoding for UTF-16 and UTF-32.
    """
    ending = name.lower()
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()
    is_list = start[:1] == b"[" and start[1:].lstrip()[:1] in (b"{", b"]")  # `[.]` may begin a defanged value
    if start[:1] == b"{" or is_list or ending.endswith(JSON_ENDINGS):
        keys = outermost_keys(start)
        if not STIX_KEYS.isdisjoint(keys):  # a bundle may have members of its own that others have, too
            return "stix"
        return next((format_ for format_, known in JSON_KEYS.items() if not known.isdisjoint(keys)), "stix")
    if ending.endswith(TEXT_ENDINGS):
        return "text"
    if _YARA.match(start) is not None or ending.endswith(YARA_ENDINGS):
        return "yara"
    if ending.endswith(SIGMA_ENDINGS) or (_SIGMA_TITLE.search(start) and _SIGMA_BODY.search(start)):
        return "sigma"
    if is_table(head, is_named_so=ending.endswith(TABLE_ENDINGS)):
        return "csv"
    return "text" if _is_prose(start) else "list"


def outermost_keys(head: bytes) -> set[str]:
    """The keys of the outermost object, or of the objects in an outermost list, as far as `head` goes. For text that
    is no JSON the answer means nothing, and nothing is raised."""
    keys: set[str] = set()
    depth = 0
    outermost = 2 if head[:1] == b"[" else 1
    for token in _TOKEN.finditer(head):
        mark = token[0][:1]
        if mark in b"{[":
            depth += 1
        elif mark in b"}]":
            depth -= 1
        elif depth == outermost and token[2]:
            keys.add(token[1].decode("utf-8", "replace"))
    return keys


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
