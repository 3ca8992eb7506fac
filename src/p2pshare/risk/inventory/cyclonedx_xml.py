"""CycloneDX 1.2 to 1.6 as XML, read by expat as a stream. A file with a DTD is refused whole: nothing is expanded or fetched."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, BinaryIO
from xml.parsers import expat

from p2pshare.errors import AuthorError
from p2pshare.limits import KIB
from p2pshare.risk.assets import InventoryNotes
from p2pshare.risk.inventory.bom_parts import (
    COMPONENTS_MAX,
    NESTING_MAX,
    TEXT_CHARACTERS_MAX,
    BomHead,
    Collected,
)

CHUNK_BYTES = 64 * KIB
ELEMENTS_DEEP_MAX = 1_000  # expat itself knows no limit, and each open element is held
NAMESPACE = re.compile(r"http://cyclonedx\.org/schema/bom/1\.\d+")

_FIELDS = frozenset({"name", "version", "purl", "cpe", "group", "publisher"})
_ABOVE = frozenset({"bom", "metadata", "components", "component"})
_ORGANISATIONS = frozenset({"supplier", "manufacturer", "manufacture"})


class CycloneDxXml:
    """One pass over a file, as `CycloneDxJson`. Raises AuthorError `dtd-refused`, `not-a-bom` before anything is yielded."""

    def __init__(self, file: BinaryIO, notes: InventoryNotes) -> None:
        self.head = BomHead()
        self._file = file
        self._notes = notes
        self._path: list[str] = []
        self._namespace = ""
        self._open: list[tuple[int, Collected]] = []
        self._done: list[Collected] = []
        self._text: list[str] | None = None
        self._text_length = 0

    def __iter__(self) -> Iterator[Collected]:
        """Yields each component when it ends. A file that breaks off is told, and what was read is kept."""
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = refuse_dtd
        parser.EntityDeclHandler = refuse_dtd
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._finish
        parser.CharacterDataHandler = self._characters
        try:
            while chunk := self._file.read(CHUNK_BYTES):
                parser.Parse(chunk)
                yield from self._drain()
            parser.Parse(b"", True)
        except expat.ExpatError as error:
            if not self.head.is_bom:
                raise AuthorError(
                    f"the file is no XML: {expat.ErrorString(error.code)}, line {error.lineno}",
                    hint="is it the right file?",
                    reason="not-xml",
                ) from None
            yield from self._drain()
            self._notes.is_broken = True
            why = f"the XML breaks off at line {error.lineno}: {expat.ErrorString(error.code)}"
            self._notes.refuse(self._notes.read + 1, why)
        yield from self._drain()

    def _drain(self) -> Iterator[Collected]:
        done, self._done = self._done, []
        if self._notes.read > COMPONENTS_MAX:
            raise AuthorError(
                f"more than {COMPONENTS_MAX} components", hint="split it", reason="too-many-components"
            )
        yield from done

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        namespace, _, local = name.rpartition(" ")
        if not self._path:
            if local != "bom" or NAMESPACE.fullmatch(namespace) is None:
                raise AuthorError(
                    "the file is no CycloneDX BOM (1.2 to 1.6)",
                    hint="is it the right file?",
                    reason="not-a-bom",
                )
            self.head.is_bom = True
            self.head.serial_number = attributes.get("serialNumber", "")[:100]
            version = attributes.get("version", "")
            self.head.version = int(version) if version.isdecimal() and len(version) < 10 else None
            self._namespace = namespace
        if namespace != self._namespace:
            local = ""  # an extension's elements are none of ours, whatever they are called
        parent = self._path[-1] if self._path else ""
        self._path.append(local)
        if len(self._path) > ELEMENTS_DEEP_MAX:
            raise AuthorError("the XML nests too deep", hint="is it the right file?", reason="too-deep")
        if local == "component" and _is_place(self._path):
            if len(self._open) >= NESTING_MAX:
                raise AuthorError("components nest too deep", hint="is it the right file?", reason="too-deep")
            collected = Collected(is_subject=parent == "metadata")
            for attribute in ("bom-ref", "type"):
                if attribute in attributes:
                    collected.put(attribute, attributes[attribute])
            self._open.append((len(self._path), collected))
        elif self._open:
            depth = len(self._path) - self._open[-1][0]
            is_field = depth == 1 and local in _FIELDS
            if is_field or (depth == 2 and local == "name" and parent in _ORGANISATIONS):
                self._text, self._text_length = [], 0

    def _characters(self, text: str) -> None:
        if self._text is not None and self._text_length <= TEXT_CHARACTERS_MAX:
            self._text.append(text)
            self._text_length += len(text)

    def _finish(self, name: str) -> None:
        local = self._path.pop()
        if self._text is not None:
            field = self._path[-1] if self._path[-1] in _ORGANISATIONS else local
            self._open[-1][1].put(field, "".join(self._text))
            self._text = None
        if self._open and local == "component" and self._open[-1][0] == len(self._path) + 1:
            _, collected = self._open.pop()
            self._notes.read += 1
            if collected.is_subject:
                self.head.subject = collected
            self._done.append(collected)


def _is_place(path: list[str]) -> bool:
    """Returns whether a component at the end of a path is one of what the BOM is about: not of its tools, or of a pedigree."""
    return path[-2:-1] in (["components"], ["metadata"]) and _ABOVE.issuperset(path)


def refuse_dtd(*_: Any) -> None:
    """Refuse a file with a DTD, as a handler of expat. Raises AuthorError `dtd-refused`."""
    raise AuthorError(
        "the XML has a DTD: it is refused whole, nothing of it is expanded",
        hint="write the BOM without a document type",
        reason="dtd-refused",
    )
