"""What readers of bills of materials share: a component as it is collected, and the component that comes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from p2pshare.risk.assets import AssetSaid, Component, InventoryNotes, Placed
from p2pshare.risk.match_keys import read_cpe, read_purl

TEXT_CHARACTERS_MAX = 2_048  # of a name, a version or a purl; real ones stay below 500
NESTING_MAX = 64  # components inside components: real ones nest 5 deep, and each level is held in memory
COMPONENTS_MAX = 4_000_000  # of one file; an SBOM of 500 MB has about 1.5 million

DEVICE_KINDS = {
    "device": "server",
    "firmware": "firmware",
    "operating-system": "operating-system",
    "application": "application",
    "container": "container",
}  # CycloneDX component types that the root of a BOM may have -> a word for the asset's kind


MODEL_KINDS = frozenset(
    {"device", "firmware", "operating-system", "application"}
)  # that advisories call by their names


@dataclass
class Collected:
    """A component while it is read: `fields` as in the file, `is_subject` for what the whole BOM is about."""

    is_subject: bool = False
    fields: dict[str, str] = field(default_factory=dict)

    def put(self, name: str, text: str) -> None:
        """Keep the first value of a field, cut to its longest."""
        self.fields.setdefault(name, text.strip()[:TEXT_CHARACTERS_MAX])


@dataclass
class BomHead:
    """What a BOM says of itself. `subject` is the component it is about, None where it names none."""

    is_bom: bool = False
    serial_number: str = ""
    version: int | None = None
    subject: Collected | None = None


def said(value: str) -> str:
    """Returns '' for the words that say that nothing is said (SPDX 2.3, section 7)."""
    return "" if value.upper() in ("NOASSERTION", "NONE") else value


def pass_over(events: Iterator[tuple[str, Any]]) -> None:
    """Read to the end of the object or list that has just begun; nothing of it is held."""
    depth = 1
    for event, _ in events:
        if event in ("start_map", "start_array"):
            depth += 1
        elif event in ("end_map", "end_array"):
            depth -= 1
            if not depth:
                return


def placed_of(collected: Collected, row: int, asset: AssetSaid, notes: InventoryNotes) -> Placed | None:
    """Returns the component, None where nothing names it; what is odd about it is told."""
    fields: Mapping[str, str] = collected.fields
    name, reference = fields.get("name", ""), fields.get("bom-ref", "")
    purl, cpe = fields.get("purl", ""), fields.get("cpe", "")
    label = f"component {row} ({(reference or name)[:80]})"
    if purl and read_purl(purl) is None:
        notes.tell(row, f"{label}: '{purl[:80]}' is no package-url; its name stands alone")
        purl = ""
    if cpe and read_cpe(cpe) is None:
        notes.tell(row, f"{label}: '{cpe[:80]}' is no CPE")
        cpe = ""
    if not name and not purl and not cpe:
        notes.refuse(row, f"{label}: no name")
        return None
    version = said(fields.get("version", ""))
    if not version and purl and (read := read_purl(purl)):
        version = read.version
    if not version and not collected.is_subject:
        notes.tell(row, f"{label}: no version, so a person must look")
    component = Component(purl=purl, cpe=cpe, vendor=_vendor(fields), product=name, version=version)
    return Placed(
        row,
        asset,
        component,
        reference,
        collected.is_subject or fields.get("type", "").lower() in MODEL_KINDS,
    )


def _vendor(fields: Mapping[str, str]) -> str:
    names = ("supplier", "manufacturer", "manufacture", "publisher", "group")
    return next((fields[name] for name in names if said(fields.get(name, ""))), "")
