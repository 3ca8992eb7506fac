"""What an inventory file says, before it is stored: assets, components on them, and what could not be read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from p2pshare.risk.words import Exposure, HumanImpact, Mission, Safety


class RowTold(NamedTuple):
    """A place in a file (a line of a CSV file, a number in a list, or 0 for the whole) and a sentence about it."""

    row: int
    why: str


@dataclass(frozen=True, slots=True)
class Component:
    """A piece of software or a device model. `model` is the order or catalogue number; '' is "not said"."""

    purl: str = ""
    cpe: str = ""
    vendor: str = ""
    product: str = ""
    model: str = ""
    version: str = ""

    @property
    def is_empty(self) -> bool:
        """Returns whether nothing names it, so that nothing can match."""
        return not (self.purl or self.cpe or self.product or self.model)


@dataclass(frozen=True, slots=True)
class AssetSaid:
    """What a file or a person says of an asset; None leaves what is known."""

    name: str
    model: str | None = None
    hardware_revision: str | None = None
    serial: str | None = None
    kind: str | None = None
    site: str | None = None
    owner: str | None = None
    exposure: Exposure | None = None
    human_impact: HumanImpact | None = None
    safety: Safety | None = None
    mission: Mission | None = None
    data_classes: tuple[str, ...] | None = None
    controls: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """A component on an asset: `row` is where it stands in the file, `bom_ref` its name in a BOM. `is_model`: it is a device or
    another product that advisories may call by its name, also where no vendor is said; not one of a BOM's libraries."""

    row: int
    asset: AssetSaid
    component: Component | None
    bom_ref: str = ""
    is_model: bool = False


@dataclass
class InventoryNotes:
    """What is noted beside what is read. `refused` is lost, `told` is kept and worth a look; each is bounded, `*_more` counts
    what is beyond. `read` counts rows or components."""

    format: str
    read: int = 0
    refused: list[RowTold] = field(default_factory=list)
    told: list[RowTold] = field(default_factory=list)
    refused_more: int = 0
    told_more: int = 0
    serial_number: str = ""
    version: int | None = None
    is_broken: bool = False
    """Whether it breaks off, so that what is missing may be gone or not."""

    def refuse(self, row: int, why: str) -> None:
        if len(self.refused) < NOTES_MAX:
            self.refused.append(RowTold(row, why))
        else:
            self.refused_more += 1

    def tell(self, row: int, why: str) -> None:
        if len(self.told) < NOTES_MAX:
            self.told.append(RowTold(row, why))
        else:
            self.told_more += 1


NOTES_MAX = 1_000  # sentences of one kind in an answer; a file of a million bad rows is told in a few KiB, the rest counted


@dataclass(frozen=True)
class Imported:
    """The answer of `asset import`. `assets` and `components` count what is kept of this file."""

    read: int
    assets: int
    components: int
    refused: tuple[RowTold, ...]
    told: tuple[RowTold, ...]
