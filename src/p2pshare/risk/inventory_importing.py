"""An inventory file into the tables: what it says is kept, what it said before and says no more is told.

1. A file of the same name, or a BOM of the same serial number, replaces what it brought before; a list of assets replaces, for each
   asset that it names, what other lists said of it. Nothing else goes.
2. An asset that a list names no more stays, with what is on it, and is told: whether it was retired, a person says.
3. All of it is one transaction: a file that is refused leaves nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import apsw

from p2pshare.database.fetching import fetch
from p2pshare.errors import AuthorError
from p2pshare.limits import MIB
from p2pshare.risk.assets import NOTES_MAX, AssetSaid, Component, Imported, InventoryNotes, Placed, Told
from p2pshare.risk.decision_tables import human_impact_of
from p2pshare.risk.inventory.asset_lists import ColumnMap, ValueMap, read_asset_list
from p2pshare.risk.inventory.bom_parts import DEVICE_KINDS, BomHead, Collected, placed_of
from p2pshare.risk.inventory.cyclonedx_json import CycloneDxJson
from p2pshare.risk.inventory.cyclonedx_xml import CycloneDxXml
from p2pshare.risk.inventory.spdx_packages import SpdxPackages
from p2pshare.risk.match_keys import component_keys
from p2pshare.risk.risk_file import RiskFile
from p2pshare.risk.words import HumanImpact, Mission, Safety

FORMATS = ("auto", "cyclonedx-json", "cyclonedx-xml", "spdx-json", "csv")
BATCH_ROWS = 1_000  # components that are looked up and written at once
GONE_TOLD_MAX = 200
COMPONENTS_REMEMBERED_MAX = 100_000  # with their ids while a file is read: 60 MiB at worst
FILE_BYTES_MAX = 2048 * MIB  # four times the largest SBOM that is promised; it is read as a stream

_SCALE_COLUMNS = ("exposure", "human_impact", "safety", "mission")


class BomReader(Protocol):
    """A pass over a BOM: components as they end, and what the file says of itself."""

    head: BomHead

    def __iter__(self) -> Iterator[Collected]: ...


@dataclass
class _Import:
    """What is known while a file is taken in. `assets`: name -> id; `places` and `components`: ids of what the file names."""

    writer: apsw.Connection
    now: int
    file: int
    assets: dict[str, int] = field(default_factory=dict)
    last_said: dict[str, AssetSaid] = field(default_factory=dict)
    places: set[int] = field(default_factory=set)
    components: set[int] = field(default_factory=set)


def import_file(
    file: RiskFile,
    path: Path,
    *,
    format: str = "auto",
    column_map: ColumnMap,
    values: ValueMap,
    encoding: str = "auto",
    asset: str = "",
    now: int,
) -> tuple[Imported, set[int], set[int]]:
    """Returns (answer, ids of the components that the file names, ids of its assets). Raises AuthorError where the file is refused whole."""
    kind = _format_of(path, format)
    notes = InventoryNotes(kind)
    digest = _digest(path)
    with file.transaction() as writer:
        name = path.name[:255]
        if kind == "csv":
            placed = read_asset_list(path, notes, column_map=column_map, values=values, encoding=encoding)
            taken = _begin(writer, name, digest, kind, now)
            _take(placed, taken)
            _replace_lists(taken, name, notes)
        else:
            taken = _import_bom(writer, path, kind, asset, digest, notes, now)
    answer = Imported(
        notes.read,
        len(taken.assets),
        len(taken.places),
        _with_more(notes.refused, notes.refused_more),
        _with_more(notes.told, notes.told_more),
    )
    return answer, taken.components, set(taken.assets.values())


def _with_more(notes: list[Told], more: int) -> tuple[Told, ...]:
    return (*notes, Told(0, f"and {more} more (the first {NOTES_MAX} are shown)")) if more else tuple(notes)


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            if path.stat().st_size > FILE_BYTES_MAX:
                raise AuthorError(
                    f"{path.name} is longer than {FILE_BYTES_MAX // MIB} MiB", reason="file-too-large"
                )
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise AuthorError(f"cannot read {path.name}: {error.strerror}", reason="unreadable") from None


def _format_of(path: Path, wanted: str) -> str:
    """Returns the format by what the file begins with. Raises AuthorError `unknown-format`."""
    if wanted not in FORMATS:
        raise AuthorError(
            f"'{wanted}' is no format", hint=f"one of: {', '.join(FORMATS)}", reason="unknown-format"
        )
    if wanted != "auto":
        return wanted
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        raise AuthorError(f"cannot read {path.name}: {error.strerror}", reason="unreadable") from None
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if start == b"<":
        return "cyclonedx-xml"
    if start in (b"{", b"["):
        return "spdx-json" if b'"spdxVersion"' in head or b'"SPDXID"' in head else "cyclonedx-json"
    return "csv"


def _reader(kind: str, file: BinaryIO, notes: InventoryNotes) -> BomReader:
    readers: dict[str, Callable[[BinaryIO, InventoryNotes], BomReader]] = {
        "cyclonedx-json": CycloneDxJson,
        "cyclonedx-xml": CycloneDxXml,
        "spdx-json": SpdxPackages,
    }
    return readers[kind](file, notes)


def _head(path: Path, kind: str) -> BomHead:
    """Returns what the file says of itself before its components; a pass that ends at the first of them, as a rule."""
    notes = InventoryNotes(kind)
    with path.open("rb") as file:
        reader = _reader(kind, file, notes)
        for collected in reader:
            if not collected.is_subject and reader.head.is_bom and reader.head.subject is not None:
                break
    if not reader.head.is_bom:
        why = notes.refused[0].why if notes.refused else "it does not say what it is"
        raise AuthorError(
            f"{path.name} is no {kind} file: {why}", hint="is it the right file?", reason="not-a-bom"
        )
    return reader.head


def _import_bom(
    writer: apsw.Connection, path: Path, kind: str, asset: str, digest: str, notes: InventoryNotes, now: int
) -> _Import:
    head = _head(path, kind)
    subject = head.subject.fields if head.subject is not None else {}
    name = asset or subject.get("name", "") or path.stem
    said = AssetSaid(name=name[:1024], kind=DEVICE_KINDS.get(subject.get("type", "")))
    if not asset and not subject.get("name"):
        notes.tell(0, f"the file does not say what it is about: its asset is called '{name}'")
    taken = _begin(writer, path.name[:255], digest, kind, now)
    with path.open("rb") as file:
        reader = _reader(kind, file, notes)
        _take(_placed(reader, said, notes), taken)
    _asset_id(said, taken)
    writer.execute(
        "UPDATE inventory_file SET serial_number = ?, version = ?, asset = ? WHERE id = ?",
        (reader.head.serial_number.lower(), reader.head.version, taken.assets[said.name], taken.file),
    )
    if notes.read == 0 and notes.is_broken:
        raise AuthorError(
            f"{path.name}: {notes.refused[0].why}", hint="is the file whole?", reason="not-a-bom"
        )
    replaced = [taken.file]
    if reader.head.serial_number:
        replaced += [
            number
            for (number,) in fetch(
                writer,
                "SELECT id FROM inventory_file WHERE serial_number = ? AND id <> ?",
                (reader.head.serial_number.lower(), taken.file),
            )
        ]
    _drop_gone(taken, replaced, notes)
    return taken


def _placed(reader: BomReader, asset: AssetSaid, notes: InventoryNotes) -> Iterator[Placed]:
    for collected in reader:
        if (placed := placed_of(collected, notes.read, asset, notes)) is not None:
            yield placed


def _begin(writer: apsw.Connection, name: str, digest: str, kind: str, now: int) -> _Import:
    ((number,),) = fetch(
        writer,
        """INSERT INTO inventory_file (name, sha256, format, imported_at) VALUES (?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET sha256 = excluded.sha256, format = excluded.format, imported_at = excluded.imported_at
        RETURNING id""",
        (name, digest, kind, now),
    )
    return _Import(writer, now, number)


def _take(placed: Iterable[Placed], taken: _Import) -> None:
    """Store what a file says, some rows at a time."""
    waiting = iter(placed)
    known: dict[Component, int] = {}
    while batch := list(islice(waiting, BATCH_ROWS)):
        if len(known) > COMPONENTS_REMEMBERED_MAX:
            known.clear()
        for one in batch:
            asset = _asset_id(one.asset, taken)
            if one.component is not None:
                component = known.get(one.component)
                if component is None:
                    component = known[one.component] = component_id(taken.writer, one.component)
                    taken.components.add(component)
                taken.places.add(_place_id(asset, component, one.bom_ref, taken))


def _asset_id(said: AssetSaid, taken: _Import) -> int:
    """Returns the id of an asset; what is said of it is written when it differs from what the last row said."""
    if taken.last_said.get(said.name) != said:
        taken.last_said[said.name] = said
        taken.assets[said.name] = put_asset(taken.writer, said, taken.now)
    return taken.assets[said.name]


def put_asset(writer: apsw.Connection, said: AssetSaid, now: int) -> int:
    """Add an asset or change what is said of it; it is in use again. Returns its id."""
    columns: dict[str, Any] = {}
    for one in fields(said):
        value = getattr(said, one.name)
        if one.name == "name" or value is None:
            continue
        if one.name in _SCALE_COLUMNS:
            columns[one.name] = int(value)
        elif isinstance(value, tuple):
            columns[one.name] = json.dumps(value, ensure_ascii=False)
        else:
            columns[one.name] = value
    ((number,),) = fetch(
        writer,
        """INSERT INTO asset (name, added_at) VALUES (?, ?)
        ON CONFLICT DO UPDATE SET retired_at = NULL RETURNING id""",
        (said.name, now),
    )
    if columns:
        changes = ", ".join(f"{name} = ?" for name in columns)  # names of fields of AssetSaid
        writer.execute(f"UPDATE asset SET {changes} WHERE id = ?", (*columns.values(), number))  # noqa: S608
    if said.human_impact is None and (said.safety is not None or said.mission is not None):
        _derive_human_impact(writer, number)
    return int(number)


def _derive_human_impact(writer: apsw.Connection, asset: int) -> None:
    """Set the human impact by the table, from safety and mission."""
    ((safety, mission),) = fetch(writer, "SELECT safety, mission FROM asset WHERE id = ?", (asset,))
    impact: HumanImpact = human_impact_of(
        None if safety is None else Safety(safety), None if mission is None else Mission(mission)
    )
    writer.execute("UPDATE asset SET human_impact = ? WHERE id = ?", (int(impact), asset))


def component_id(writer: apsw.Connection, component: Component) -> int:
    """Returns the id of a component, made with its keys when it is new."""
    texts = (
        component.purl,
        component.cpe,
        component.vendor,
        component.product,
        component.model,
        component.version,
    )
    found = fetch(
        writer,
        """SELECT id FROM component WHERE purl = ? AND cpe = ? AND vendor = ? AND product = ? AND model = ? AND version = ?""",
        texts,
    )
    if found:
        return int(found[0][0])
    own_model = None
    if component.vendor and component.product and not component.purl:
        own_model = _own_model_id(writer, component)
    writer.execute(
        "INSERT INTO component (purl, cpe, vendor, product, model, version, own_model) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (*texts, own_model),
    )
    number = writer.last_insert_rowid()
    writer.executemany(
        "INSERT OR IGNORE INTO component_key VALUES (?, ?)",
        ((key, number) for key in component_keys(component)),
    )
    return number


def _own_model_id(writer: apsw.Connection, component: Component) -> int:
    texts = (component.vendor, component.product, component.model)
    writer.execute("INSERT OR IGNORE INTO own_model (vendor, product, model) VALUES (?, ?, ?)", texts)
    ((number,),) = fetch(
        writer, "SELECT id FROM own_model WHERE vendor = ? AND product = ? AND model = ?", texts
    )
    return int(number)


def _place_id(asset: int, component: int, reference: str, taken: _Import) -> int:
    """Returns the id of a place, made when it is new; the day when one was added stays."""
    ((number,),) = fetch(
        taken.writer,
        """INSERT INTO asset_component (asset, component, file, bom_ref, added_at) VALUES (?, ?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET file = file RETURNING id""",
        (asset, component, taken.file, reference, taken.now),
    )
    return int(number)


def _drop_gone(taken: _Import, files: list[int], notes: InventoryNotes) -> None:
    """Remove the places that `files` had and this import no longer names; each is told, up to a number."""
    gone: list[int] = []
    for file in files:
        for place, asset, product, version, purl in fetch(
            taken.writer,
            """SELECT place.id, asset.name, component.product, component.version, component.purl
            FROM asset_component AS place JOIN asset ON asset.id = place.asset JOIN component ON component.id = place.component
            WHERE place.file = ?""",
            (file,),
        ):
            if place not in taken.places:
                gone.append(place)
                if not notes.is_broken and len(gone) <= GONE_TOLD_MAX:
                    notes.tell(0, f"gone: {asset}: {purl or f'{product} {version}'.strip()}")
    if notes.is_broken:
        if gone:
            notes.tell(0, f"{len(gone)} components that were here before are kept: the file breaks off")
        return
    if len(gone) > GONE_TOLD_MAX:
        notes.tell(0, f"gone: {len(gone) - GONE_TOLD_MAX} more components")
    _remove_places(taken.writer, gone)


def _remove_places(writer: apsw.Connection, places: Iterable[int]) -> None:
    for place in places:
        writer.execute("DELETE FROM verdict WHERE asset_component = ? AND asset_component > 0", (place,))
        writer.execute("DELETE FROM hit WHERE asset_component = ? AND asset_component > 0", (place,))
        writer.execute("DELETE FROM asset_component WHERE id = ?", (place,))


def _replace_lists(taken: _Import, name: str, notes: InventoryNotes) -> None:
    """Remove what lists said before of the assets that this list names; tell the assets that it names no more."""
    gone: list[int] = []
    named, lost = set(taken.assets.values()), set()
    for place, asset, file_name, asset_name, product, version in fetch(
        taken.writer,
        """SELECT place.id, place.asset, file.name, asset.name, component.product, component.version
        FROM asset_component AS place JOIN inventory_file AS file ON file.id = place.file
        JOIN asset ON asset.id = place.asset JOIN component ON component.id = place.component
        WHERE file.format = 'csv'""",
    ):
        if place in taken.places:
            continue
        if asset in named:
            gone.append(place)
            notes.tell(0, f"gone: {asset_name}: {f'{product} {version}'.strip()}")
        elif file_name == name and asset not in lost:
            lost.add(asset)
            notes.tell(0, f"{asset_name} is in the file no more; it stays until it is retired")
    _remove_places(taken.writer, gone)
