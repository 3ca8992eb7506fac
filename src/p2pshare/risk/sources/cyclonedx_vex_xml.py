"""CycloneDX VEX as XML (1.4 to 1.6): the same document in its JSON form, for one reader of both. A DTD refuses it whole.

An element of one kind in a container is an item of a list there (`vulnerabilities/vulnerability`); any other with elements below
it is an object, and one without is a text. Elements of another namespace are an extension's, and none of ours.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from p2pshare.errors import AuthorError
from p2pshare.risk.inventory.cyclonedx_xml import NAMESPACE, refuse_dtd
from p2pshare.risk.sources.source_files import BRACKETS_MAX, DOCUMENT_BYTES_MAX

ELEMENTS_DEEP_MAX = 256  # four a component that nests; held while it is open

_ITEMS = {
    "components": "component",
    "vulnerabilities": "vulnerability",
    "ratings": "rating",
    "affects": "target",
    "versions": "version",
}
_ATTRIBUTES = ("bom-ref", "serialNumber")


@dataclass(slots=True)
class _Element:
    """An open element. `is_list`: it is a container of items of one kind."""

    name: str
    attributes: dict[str, str]
    items: list[dict[str, Any]] = field(default_factory=list)
    below: dict[str, Any] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)

    @property
    def item_name(self) -> str | None:
        return _ITEMS.get(self.name)

    def value(self) -> Any:
        if self.item_name is not None:
            return self.items
        named = {name: self.attributes[name] for name in _ATTRIBUTES if name in self.attributes}
        return named | self.below if named or self.below else "".join(self.texts)


def is_xml(raw: bytes) -> bool:
    """Returns whether a document begins as XML does, and not as JSON."""
    is_wide = raw[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    head = raw[:256].decode("utf-16", "ignore") if is_wide else raw[:256].decode("utf-8", "ignore")
    return head.lstrip("\ufeff \t\r\n").startswith("<")


def vex_of_xml(raw: bytes) -> dict[str, Any]:
    """Returns a VEX as its JSON form has it. Raises AuthorError `dtd-refused`, `not-vex`, `not-xml`, `too-deep`, `too-many-objects`,
    `file-too-large`."""
    if len(raw) > DOCUMENT_BYTES_MAX:
        raise AuthorError("the document is too long", reason="file-too-large")
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = refuse_dtd
    parser.EntityDeclHandler = refuse_dtd
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.finish
    parser.CharacterDataHandler = reader.characters
    try:
        parser.Parse(raw, True)
    except expat.ExpatError as error:
        raise AuthorError(
            f"the file is no XML: {expat.ErrorString(error.code)}, line {error.lineno}",
            hint="is it the right file, and whole?",
            reason="not-xml",
        ) from None
    return reader.document


class _Reader:
    def __init__(self) -> None:
        self.document: dict[str, Any] = {}
        self._open: list[_Element] = []
        self._namespace = ""
        self._foreign = 0
        self._count = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        namespace, _, local = name.rpartition(" ")
        if not self._open:
            if local != "bom" or NAMESPACE.fullmatch(namespace) is None:
                raise AuthorError("the file is no CycloneDX VEX", hint="its root is no bom", reason="not-vex")
            self._namespace = namespace
        self._count += 1
        if self._count > BRACKETS_MAX:
            raise AuthorError("the document holds too many elements", reason="too-many-objects")
        if self._foreign or namespace != self._namespace:
            self._foreign += 1
            return
        if len(self._open) >= ELEMENTS_DEEP_MAX:
            raise AuthorError("the XML nests too deep", reason="too-deep")
        self._open.append(_Element(local, attributes))

    def characters(self, text: str) -> None:
        if not self._foreign and self._open:
            self._open[-1].texts.append(text)

    def finish(self, name: str) -> None:
        if self._foreign:
            self._foreign -= 1
            return
        done = self._open.pop()
        value = done.value()
        if not self._open:
            version = done.attributes.get("version", "1")
            number = int(version) if version.isdecimal() and len(version) < 10 else 1
            self.document = {"bomFormat": "CycloneDX", "version": number}
            self.document |= value if isinstance(value, dict) else {}
            return
        above = self._open[-1]
        if above.item_name is None:
            above.below.setdefault(done.name, value)  # the first holds where one stands twice
        elif done.name == above.item_name and isinstance(value, dict):
            above.items.append(value)
