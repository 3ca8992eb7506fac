"""SPDX 2.3 as JSON, read as a stream: its packages, with the purl and CPE of their external references."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from p2pshare.risk import extra
from p2pshare.risk.assets import InventoryNotes
from p2pshare.risk.inventory.bom_parts import COMPONENTS_MAX, BomHead, Collected, pass_over, said

_PLACES = {
    ("", ""): "document",
    ("document", "packages"): "packages",
    ("packages", ""): "package",
    ("package", "externalRefs"): "references",
    ("references", ""): "reference",
}
_LISTS = frozenset({"packages", "references"})
_FIELDS = {"SPDXID": "bom-ref", "name": "name", "versionInfo": "version", "primaryPackagePurpose": "type"}
_ADDRESS = re.compile(r"\s*\([^()]*\)\s*$")  # an e-mail address behind the name
_CPE_TYPES = frozenset({"cpe22Type", "cpe23Type"})


class SpdxPackages:
    """One pass over a file, as `CycloneDxJson`. The document's namespace stands for the serial number."""

    def __init__(self, file: BinaryIO, notes: InventoryNotes) -> None:
        self.head = BomHead()
        self._notes = notes
        self._events: Iterator[tuple[str, Any]] = iter(extra.json_events(file))
        self._package = Collected()
        self._reference: dict[str, str] = {}

    def __iter__(self) -> Iterator[Collected]:
        """Yields each package when it ends. A file that breaks off is told, and what was read is kept."""
        try:
            yield from self._packages()
        except extra.json_errors() as error:
            self._notes.is_broken = True
            self._notes.refuse(self._notes.read + 1, f"the JSON breaks off here: {str(error)[:120]}")

    def _packages(self) -> Iterator[Collected]:
        places: list[tuple[str, str]] = []
        key = ""
        for event, value in self._events:
            place = places[-1][0] if places else ""
            if event == "map_key":
                key = value
            elif event in ("start_map", "start_array"):
                kind = _PLACES.get((place, "" if place in _LISTS else key))
                if kind is None or (kind in _LISTS) != (event == "start_array"):
                    pass_over(self._events)
                    continue
                places.append((kind, key))
                if kind == "package":
                    self._package = Collected()
                elif kind == "reference":
                    self._reference = {}
            elif event in ("end_map", "end_array"):
                ended, key = places.pop()
                if ended == "reference":
                    self._refer()
                elif ended == "package":
                    self._notes.read += 1
                    yield self._package
                    if self._notes.read >= COMPONENTS_MAX:
                        self._notes.is_broken = True
                        self._notes.refuse(
                            COMPONENTS_MAX, f"more than {COMPONENTS_MAX} packages: the rest is not read"
                        )
                        return
            elif isinstance(value, str):
                self._scalar(place, key, value)

    def _scalar(self, place: str, key: str, value: str) -> None:
        if place == "package" and key in _FIELDS:
            self._package.put(_FIELDS[key], said(value))
        elif place == "package" and key == "supplier":
            name = said(value).removeprefix("Organization:").removeprefix("Person:")
            self._package.put("supplier", _ADDRESS.sub("", name))
        elif place == "reference":
            self._reference[key] = value
        elif place == "document" and key == "spdxVersion":
            self.head.is_bom = value.startswith("SPDX-2.")
        elif place == "document" and key == "documentNamespace":
            self.head.serial_number = value[:1024]
        elif place == "document" and key == "name":
            self.head.subject = Collected(is_subject=True, fields={"name": value.strip()[:1024]})

    def _refer(self) -> None:
        kind, locator = self._reference.get("referenceType", ""), self._reference.get("referenceLocator", "")
        if kind.rpartition("/")[2] == "purl":
            self._package.put("purl", locator)
        elif kind.rpartition("/")[2] in _CPE_TYPES:
            self._package.put("cpe", locator)
