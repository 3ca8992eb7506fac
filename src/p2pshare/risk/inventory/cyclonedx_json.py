"""CycloneDX 1.2 to 1.6 as JSON, read as a stream: 500 MB take no more memory than 5.

Only components count, those inside components, too; licences, hashes, dependencies and properties are passed over without
being held, however many there are. So a cycle of dependencies does nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from p2pshare.risk import extra
from p2pshare.risk.assets import InventoryNotes
from p2pshare.risk.inventory.bom_parts import COMPONENTS_MAX, NESTING_MAX, BomHead, Collected, pass_over

# (what it stands in, its key) -> what an object or list is. The rest is passed over.
_PLACES = {
    ("", ""): "bom",
    ("bom", "metadata"): "metadata",
    ("metadata", "component"): "subject",
    ("bom", "components"): "components",
    ("subject", "components"): "components",
    ("component", "components"): "components",
    ("components", ""): "component",
    ("subject", "supplier"): "organisation",
    ("subject", "manufacturer"): "organisation",
    ("component", "supplier"): "organisation",
    ("component", "manufacturer"): "organisation",
}
_NUMBER = re.compile(r"[0-9]{1,9}")
_FIELDS = frozenset({"bom-ref", "type", "name", "version", "purl", "cpe", "group", "publisher"})


class CycloneDxJson:
    """One pass over a file; `head` fills up while components are yielded, and is whole at the end."""

    def __init__(self, file: BinaryIO, notes: InventoryNotes) -> None:
        self.head = BomHead()
        self._notes = notes
        self._events: Iterator[tuple[str, Any]] = iter(extra.json_events(file))
        self._open: list[Collected] = []
        self._places: list[tuple[str, str]] = []

    def __iter__(self) -> Iterator[Collected]:
        """Yields each component when it ends. A file that breaks off is told, and what was read is kept."""
        try:
            yield from self._components()
        except extra.json_errors() as error:
            self._notes.is_broken = True
            self._notes.refuse(self._notes.read + 1, f"the JSON breaks off here: {str(error)[:120]}")

    def _components(self) -> Iterator[Collected]:
        key = ""
        for event, value in self._events:
            place = self._places[-1][0] if self._places else ""
            if event == "map_key":
                key = value
            elif event in ("start_map", "start_array"):
                self._begin(place, "" if place == "components" else key, event)
            elif event in ("end_map", "end_array"):
                ended, key = self._places.pop()
                if ended in ("component", "subject"):
                    yield self._end(ended)
            else:
                self._scalar(place, key, value)
            if self._notes.read > COMPONENTS_MAX:
                self._notes.is_broken = True
                self._notes.refuse(
                    COMPONENTS_MAX, f"more than {COMPONENTS_MAX} components: the rest is not read"
                )
                return

    def _begin(self, place: str, key: str, event: str) -> None:
        kind = _PLACES.get((place, key))
        is_list = kind == "components"
        if kind is None or is_list != (event == "start_array"):
            pass_over(self._events)
        elif len(self._open) >= NESTING_MAX:
            self._notes.refuse(
                self._notes.read + 1, f"components nest deeper than {NESTING_MAX}: passed over"
            )
            pass_over(self._events)
        else:
            self._places.append((kind, key))
            if kind in ("component", "subject"):
                self._open.append(Collected(is_subject=kind == "subject"))

    def _end(self, kind: str) -> Collected:
        collected = self._open.pop()
        self._notes.read += 1
        if kind == "subject":
            self.head.subject = collected
        return collected

    def _scalar(self, place: str, key: str, value: Any) -> None:
        if place in ("component", "subject") and key in _FIELDS and isinstance(value, str | int | float):
            self._open[-1].put(key, str(value))
        elif place == "organisation" and key == "name" and isinstance(value, str):
            self._open[-1].put(self._places[-1][1], value)
        elif place == "bom":
            self._head(key, value)
        elif place == "components":
            self._notes.read += 1
            self._notes.refuse(self._notes.read, "a component that is no object")

    def _head(self, key: str, value: Any) -> None:
        if key == "bomFormat":
            self.head.is_bom = value == "CycloneDX"
        elif key == "serialNumber" and isinstance(value, str):
            self.head.serial_number = value[:100]
        elif key == "version" and (isinstance(value, int | float) or _NUMBER.fullmatch(str(value))):
            self.head.version = int(value)
