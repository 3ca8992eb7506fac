# ruff: noqa: S608 - statements are put together from this program's own text only
"""An inventory file into the tables: what it says is kept, what it said before and says no more is told.

1. A file of the same name, or a BOM of the same serial number, replaces what it brought before; a list of assets replaces, for each
   asset that it names, what other lists said of it. Nothing else goes.
2. An asset that a list names no more stays, with what is on it, and is told: whether it was retired, a person says.
3. All of it is one transaction: a file that is refused leaves nothing.
"""

from __future__ import annotations

import codecs
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import apsw

from p2pshare.database.fetching import fetch
from p2pshare.errors import AuthorError
from p2pshare.limits import MIB
from p2pshare.risk.assets import NOTES_MAX, AssetSaid, Component, Imported, InventoryNotes, Placed, RowTold
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
HEAD_BYTES = MIB  # of a file, to tell what it is: some begin with a long comment
BATCH_ROWS = 1_000  # components that are looked up and written at once
GONE_TOLD_MAX = 200
COMPONENTS_REMEMBERED_MAX = 50_000  # with their ids while a file is read: 30 MiB
ASSETS_REMEMBERED_MAX = (
    20_000  # with what is said of them, 1 KB each; a list names an asset in rows that follow each other
)
FILE_BYTES_MAX = 2048 * MIB  # four times the largest SBOM that is promised; it is read as a stream

_SCALE_COLUMNS = ("exposure", "human_impact", "safety", "mission")


class BomReader(Protocol):
    """A pass over a BOM: components as they end, and what the file says of itself."""

    head: BomHead

    def __iter__(self) -> Iterator[Collected]: ...


@dataclass
class _Import:
    """What is known while a file is taken in. `number`: how often it was, which marks the places that it names now;
    `assets`: ids of those that are named; `last_said`: of some of them, what was written last and the id; `retired`: names of
    those that were. What is named stays in the table, not in memory: a file may name a million."""

    writer: apsw.Connection
    now: int
    file: int
    number: int
    retired: set[str]
    assets: set[int] = field(default_factory=set)
    last_said: dict[str, tuple[AssetSaid, int]] = field(default_factory=dict)
    returned: list[str] = field(default_factory=list)

    def places(self) -> int:
        """Returns how many places the file names."""
        ((count,),) = fetch(
            self.writer,
            "SELECT count(*) FROM asset_component WHERE file = ? AND seen = ?",
            (self.file, self.number),
        )
        return int(count)


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
) -> tuple[Imported, int, set[int]]:
    """Returns (answer, id of the file, ids of its assets). Raises AuthorError where the file is refused whole."""
    kind = _format_of(path, format)
    notes = InventoryNotes(kind)
    digest = _digest(path)
    with file.transaction() as writer:
        name = path.name[:255]
        if kind == "csv":
            placed = read_asset_list(path, notes, column_map=column_map, values=values, encoding=encoding)
            taken = _begin(writer, name, digest, kind, now)
            _take(placed, taken)
            _replace_lists(taken, notes)
        else:
            taken = _import_bom(writer, path, kind, asset, digest, notes, now)
    for returned in taken.returned:
        notes.tell(0, f"{returned} was retired, and is in use again")
    answer = Imported(
        notes.read,
        len(taken.assets),
        taken.places(),
        _with_more(notes.refused, notes.refused_more),
        _with_more(notes.told, notes.told_more),
    )
    return answer, taken.file, taken.assets


def _with_more(notes: list[RowTold], more: int) -> tuple[RowTold, ...]:
    return (
        (*notes, RowTold(0, f"and {more} more (the first {NOTES_MAX} are shown)")) if more else tuple(notes)
    )


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
            head = file.read(HEAD_BYTES)
    except OSError as error:
        raise AuthorError(f"cannot read {path.name}: {error.strerror}", reason="unreadable") from None
    if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        start = head.decode("utf-16", "ignore").lstrip()[:1].encode()
        if start in (b"{", b"["):
            raise AuthorError(
                f"{path.name} is JSON in UTF-16",
                hint="save it as UTF-8, as JSON must be",
                reason="bad-encoding",
            )
    else:
        start = head.removeprefix(codecs.BOM_UTF8).lstrip()[:1]
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
    subject_id = _asset_id(said, taken)
    version = reader.head.version
    if version is None and kind != "spdx-json":
        version = 1  # the schema's default
    writer.execute(
        "UPDATE inventory_file SET serial_number = ?, version = ?, asset = ? WHERE id = ?",
        (reader.head.serial_number.lower(), version, subject_id, taken.file),
    )
    for reference, count in fetch(
        writer,
        f"""SELECT bom_ref, count(DISTINCT component) AS several FROM asset_component
        WHERE file = ? AND seen = ? AND bom_ref <> '' GROUP BY bom_ref HAVING several > 1 LIMIT {GONE_TOLD_MAX}""",
        (taken.file, taken.number),
    ):
        notes.tell(0, f"{count} components are called '{str(reference)[:120]}': a VEX cannot tell them apart")
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
    ((file, number),) = fetch(
        writer,
        """INSERT INTO inventory_file (name, sha256, format, imported_at) VALUES (?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET sha256 = excluded.sha256, format = excluded.format, imported_at = excluded.imported_at,
        imports = imports + 1 RETURNING id, imports""",
        (name, digest, kind, now),
    )
    retired = fetch(writer, "SELECT name FROM asset WHERE retired_at IS NOT NULL")
    return _Import(writer, now, file, number, {one for (one,) in retired})


def _take(placed: Iterable[Placed], taken: _Import) -> None:
    """Store what a file says, some rows at a time."""
    waiting = iter(placed)
    known: dict[tuple[Component, bool], int] = {}
    while batch := list(islice(waiting, BATCH_ROWS)):
        if len(known) > COMPONENTS_REMEMBERED_MAX:
            known.clear()
        for one in batch:
            asset = _asset_id(one.asset, taken)
            if one.component is not None:
                key = (one.component, one.is_model)
                component = known.get(key)
                if component is None:
                    component = known[key] = component_id(taken.writer, one.component, is_model=one.is_model)
                _place(asset, component, one.bom_ref, taken)


def _asset_id(said: AssetSaid, taken: _Import) -> int:
    """Returns the id of an asset; what is said of it is written when it differs from what the last row said."""
    last, number = taken.last_said.get(said.name, (None, 0))
    if last == said:
        return number
    if len(taken.last_said) >= ASSETS_REMEMBERED_MAX:
        taken.last_said.clear()
    number = put_asset(taken.writer, said, taken.now)
    taken.last_said[said.name] = (said, number)
    taken.assets.add(number)
    if said.name in taken.retired:
        taken.retired.discard(said.name)
        taken.returned.append(said.name)
    return number


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
        writer.execute(f"UPDATE asset SET {changes} WHERE id = ?", (*columns.values(), number))
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


def component_id(writer: apsw.Connection, component: Component, *, is_model: bool) -> int:
    """Returns the id of a component, made with its keys when it is new."""
    texts = (
        component.purl,
        component.cpe,
        component.vendor,
        component.product,
        component.model,
        component.version,
    )
    name = component.product or component.model  # many lists have one column for both
    has_name = bool(name) and not component.purl and (is_model or bool(component.vendor))
    found = fetch(
        writer,
        """SELECT id, own_model FROM component
        WHERE purl = ? AND cpe = ? AND vendor = ? AND product = ? AND model = ? AND version = ?""",
        texts,
    )
    if found:
        ((number, own_model),) = found
        if has_name and own_model is None:
            writer.execute(
                "UPDATE component SET own_model = ? WHERE id = ?", (_own_model_id(writer, component), number)
            )
        return int(number)
    writer.execute(
        "INSERT INTO component (purl, cpe, vendor, product, model, version, own_model) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (*texts, _own_model_id(writer, component) if has_name else None),
    )
    number = writer.last_insert_rowid()
    writer.executemany(
        "INSERT OR IGNORE INTO component_key VALUES (?, ?)",
        ((key, number) for key in component_keys(component)),
    )
    return number


def _own_model_id(writer: apsw.Connection, component: Component) -> int:
    texts = (
        component.vendor,
        component.product or component.model,
        component.model if component.product else "",
    )
    writer.execute("INSERT OR IGNORE INTO own_model (vendor, product, model) VALUES (?, ?, ?)", texts)
    ((number,),) = fetch(
        writer, "SELECT id FROM own_model WHERE vendor = ? AND product = ? AND model = ?", texts
    )
    return int(number)


def _place(asset: int, component: int, reference: str, taken: _Import) -> None:
    """Keep that a component is on an asset; the day when it was added stays."""
    taken.writer.execute(
        """INSERT INTO asset_component (asset, component, file, bom_ref, added_at, seen) VALUES (?, ?, ?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET seen = excluded.seen""",
        (asset, component, taken.file, reference, taken.now, taken.number),
    )


_GONE = """FROM asset_component AS place JOIN asset ON asset.id = place.asset JOIN component ON component.id = place.component
    WHERE place.file = :file AND (place.file <> :own OR place.seen <> :number)"""


def _drop_gone(taken: _Import, files: list[int], notes: InventoryNotes) -> None:
    """Remove the places that `files` had and this import no longer names; each is told, up to a number."""
    for file in files:
        bindings = {"file": file, "own": taken.file, "number": taken.number, "limit": GONE_TOLD_MAX}
        ((count,),) = fetch(taken.writer, f"SELECT count(*) {_GONE}", bindings)
        if notes.is_broken and count:
            notes.tell(0, f"{count} components that were here before are kept: the file breaks off")
        if notes.is_broken:
            continue
        for asset, product, version, purl in fetch(
            taken.writer,
            f"SELECT asset.name, component.product, component.version, component.purl {_GONE} LIMIT :limit",
            bindings,
        ):
            notes.tell(0, f"gone: {asset}: {purl or f'{product} {version}'.strip()}")
        if count > GONE_TOLD_MAX:
            notes.tell(0, f"gone: {count - GONE_TOLD_MAX} more components")
        _remove_places(taken.writer, f"SELECT place.id {_GONE}", bindings)


def _remove_places(writer: apsw.Connection, chosen: str, bindings: Mapping[str, Any]) -> None:
    """Remove the places whose ids the query `chosen` names, with what is said of them alone."""
    writer.execute("CREATE TEMP TABLE IF NOT EXISTS gone (id INTEGER PRIMARY KEY)")
    writer.execute("DELETE FROM gone")
    writer.execute(f"INSERT INTO gone {chosen}", bindings)
    writer.execute(
        "DELETE FROM verdict WHERE asset_component > 0 AND asset_component IN (SELECT id FROM gone)"
    )
    writer.execute("DELETE FROM hit WHERE asset_component > 0 AND asset_component IN (SELECT id FROM gone)")
    writer.execute("DELETE FROM asset_component WHERE id IN (SELECT id FROM gone)")
    writer.execute("DELETE FROM gone")


_LISTED = """FROM asset_component AS named CROSS JOIN asset_component AS place ON place.asset = named.asset
    CROSS JOIN inventory_file AS file ON file.id = place.file AND file.format = 'csv'
    WHERE named.file = :own AND named.seen = :number AND (place.file <> :own OR place.seen <> :number)"""


def _replace_lists(taken: _Import, notes: InventoryNotes) -> None:
    """Remove what lists said before of the assets that this list names; tell the assets that it names no more."""
    bindings = {"own": taken.file, "number": taken.number, "limit": GONE_TOLD_MAX}
    ((count,),) = fetch(taken.writer, f"SELECT count(DISTINCT place.id) {_LISTED}", bindings)
    if count:
        for asset, product, version, purl in fetch(
            taken.writer,
            f"""SELECT asset.name, component.product, component.version, component.purl
            FROM (SELECT DISTINCT place.id, place.asset, place.component {_LISTED}) AS gone
            JOIN asset ON asset.id = gone.asset JOIN component ON component.id = gone.component ORDER BY gone.id LIMIT :limit""",
            bindings,
        ):
            notes.tell(0, f"gone: {asset}: {f'{product} {version}'.strip() or purl}")
        if count > GONE_TOLD_MAX:
            notes.tell(0, f"gone: {count - GONE_TOLD_MAX} more components")
        _remove_places(taken.writer, f"SELECT DISTINCT place.id {_LISTED}", bindings)
    for (asset,) in fetch(
        taken.writer,
        """SELECT DISTINCT asset.name FROM asset_component AS place JOIN asset ON asset.id = place.asset
        WHERE place.file = :own AND place.seen <> :number ORDER BY asset.name""",
        bindings,
    ):
        notes.tell(0, f"{asset} is in the file no more; it stays until it is retired")
