"""Lists of assets: CSV as spreadsheets write it, a row for each asset and component.

Columns are found by their names (English and German), or as `--map` says; values by their words, or as `--values` says.
Rows are named by the line of the file on which they begin: a quoted line break counts. Encodings: UTF-8 with or without BOM,
UTF-16, UTF-32 with BOM, and Windows-1252 where the file is no UTF-8.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from p2pshare.errors import AuthorError
from p2pshare.limits import MIB
from p2pshare.risk.assets import AssetSaid, Component, InventoryNotes, Placed
from p2pshare.risk.words import Exposure, HumanImpact, Mission, Safety, ScaleWord, word_of

W = TypeVar("W", bound=ScaleWord)

LIST_BYTES_MAX = 256 * MIB  # a million assets with 256 characters each; read a row at a time
CELL_CHARACTERS_MAX = 64 * 1024  # a cell is a name or a number; more is a quote that is left open
CELL_LINES_MAX = 50  # in one cell: more is told, for a quote may be left open
TEXT_CHARACTERS_MAX = 1024  # of what is kept of a cell
DELIMITERS = (",", ";", "\t", "|")
_DECIMAL_COMMA = re.compile(r"[vV]?\d+,\d+")
_SEPARATOR_LINE = re.compile(r"\ufeff?sep=([,;\t|])\s*", re.IGNORECASE)  # Excel's first line
ENCODINGS = ("auto", "utf-8", "cp1252")

# Column -> names under which lists have it, folded.
COLUMNS: dict[str, tuple[str, ...]] = {
    "asset": ("asset", "asset id", "assetid", "id", "inventory number", "inventarnummer", "gerät", "geraet", "hostname", "host", "name"),
    "vendor": ("vendor", "manufacturer", "make", "hersteller"),
    "product": ("product", "product name", "device", "produkt", "gerätetyp", "geraetetyp", "bezeichnung"),
    "model": ("model", "model number", "order number", "catalogue number", "catalog number", "part number", "sku", "modell", "bestellnummer", "artikelnummer"),
    "version": ("version", "software version", "firmware", "firmware version", "softwarestand", "softwareversion", "stand"),
    "purl": ("purl", "package url"),
    "cpe": ("cpe", "cpe23", "cpe name"),
    "hardware_revision": ("hardware revision", "hardware", "revision", "hw revision", "hardwarestand"),
    "serial": ("serial", "serial number", "seriennummer"),
    "kind": ("kind", "asset type", "type", "art", "typ"),
    "site": ("site", "location", "ward", "standort", "station", "ort"),
    "owner": ("owner", "responsible", "verantwortlich", "besitzer"),
    "exposure": ("exposure", "system exposure", "exposition"),
    "human_impact": ("human impact", "impact"),
    "safety": ("safety", "safety impact"),
    "mission": ("mission", "mission impact"),
    "data_classes": ("data", "data classes", "daten", "datenklassen"),
    "controls": ("controls", "massnahmen", "maßnahmen"),
}  # fmt: skip
SCALES: dict[str, type[ScaleWord]] = {
    "exposure": Exposure,
    "human_impact": HumanImpact,
    "safety": Safety,
    "mission": Mission,
}
_LISTS = ("data_classes", "controls")
_TEXTS = ("hardware_revision", "serial", "kind", "site", "owner")

ColumnMap = Mapping[str, str]
ValueMap = Mapping[str, Mapping[str, str]]


@lru_cache(maxsize=4096)
def folded(text: str) -> str:
    """Returns a column's name or a value as it is compared: lower case, words apart by one blank."""
    return re.sub(r"[\s_\-]+", " ", text.strip()).lower()


def parse_map(text: str) -> dict[str, str]:
    """Returns `asset=Gerät,version=Stand` as column -> name in the file. Raises AuthorError `bad-map`."""
    found: dict[str, str] = {}
    for part in filter(None, text.split(",")):
        column, sign, name = part.partition("=")
        if not sign or folded(column).replace(" ", "_") not in COLUMNS or not name.strip():
            raise AuthorError(
                f"'{part[:60]}' maps no column",
                hint=f"write column=name, with a column of: {', '.join(COLUMNS)}",
                reason="bad-map",
            )
        found[folded(column).replace(" ", "_")] = folded(name)
    return found


def parse_values(text: str) -> dict[str, dict[str, str]]:
    """Returns `exposure:klein=small,exposure:gross=open` as column -> word in the file -> ours. Raises AuthorError `bad-values`."""
    found: dict[str, dict[str, str]] = {}
    for part in filter(None, text.split(",")):
        column, colon, pair = part.partition(":")
        theirs, sign, ours = pair.partition("=")
        name = folded(column).replace(" ", "_")
        if not colon or not sign or name not in SCALES:
            raise AuthorError(
                f"'{part[:60]}' maps no value",
                hint=f"write column:theirs=ours, with a column of: {', '.join(SCALES)}",
                reason="bad-values",
            )
        found.setdefault(name, {})[folded(theirs)] = word_of(SCALES[name], ours).word
    return found


def read_asset_list(
    path: Path, notes: InventoryNotes, *, column_map: ColumnMap, values: ValueMap, encoding: str = "auto"
) -> Iterator[Placed]:
    """Yields what each row says. Raises AuthorError: file-too-large, bad-encoding, no-asset-column."""
    if path.stat().st_size > LIST_BYTES_MAX:
        raise AuthorError(
            f"{path.name} is longer than {LIST_BYTES_MAX // MIB} MiB",
            hint="split the list",
            reason="file-too-large",
        )
    chosen = _encoding(path, encoding)
    with path.open(
        encoding=chosen, errors="strict" if chosen == "utf-8-sig" else "replace", newline=""
    ) as file:
        first = file.readline()
        file.seek(0)
        delimiter = _delimiter(first)
        is_named = (said := _SEPARATOR_LINE.fullmatch(first)) is not None
        if said:
            delimiter = said[1]
            file.readline()
        rows = _rows(csv.reader(file, delimiter=delimiter, strict=False), notes, is_named)
        header = next(rows, (1, []))[1]
        columns = _columns(header, column_map)
        rows = _closed(rows, len(header), delimiter, notes)
        if chosen == "cp1252":
            notes.tell(0, "the file is no UTF-8: read as Windows-1252")
        ignored = [
            name.strip()
            for place, name in enumerate(header)
            if place not in columns.values() and name.strip()
        ]
        if ignored:
            notes.tell(1, f"columns not read: {', '.join(ignored)[:TEXT_CHARACTERS_MAX]}")
        yield from _placed(rows, columns, len(header), values, notes)


def _encoding(path: Path, wanted: str) -> str:
    """Returns Python's name of the encoding. Raises AuthorError `bad-encoding`."""
    if wanted not in ENCODINGS:
        raise AuthorError(
            f"'{wanted}' is no encoding", hint=f"one of: {', '.join(ENCODINGS)}", reason="bad-encoding"
        )
    with path.open("rb") as file:
        head = file.read(4)
        if wanted == "cp1252":
            return "cp1252"
        if head in (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE):
            return "utf-32"
        if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return "utf-16"
        if 0 in head:  # no text begins with it: two bytes a sign, and nothing in front of them says so
            return "utf-16-be" if head[0] == 0 else "utf-16-le"
        file.seek(0)
        decoder = codecs.getincrementaldecoder("utf-8-sig")()
        try:
            while chunk := file.read(MIB):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            if wanted == "utf-8":
                raise AuthorError(
                    f"{path.name} is no UTF-8 (byte 0x{error.object[error.start]:02x})",
                    hint="--encoding cp1252, or save it as UTF-8",
                    reason="bad-encoding",
                ) from None
            return "cp1252"
    return "utf-8-sig"


def _delimiter(first: str) -> str:
    """Returns the separator that stands most often in the first line, outside of quotes."""
    bare = re.sub(r'"[^"]*"', "", first)
    return max(DELIMITERS, key=lambda one: (bare.count(one), -DELIMITERS.index(one)))


def _closed(
    rows: Iterator[tuple[int, list[str]]], width: int, delimiter: str, notes: InventoryNotes
) -> Iterator[tuple[int, list[str]]]:
    """Yields the rows; one whose last cell swallowed the lines behind it, because a quote is left open, line by line."""
    for line, cells in rows:
        if len(cells) >= width or "\n" not in cells[-1]:
            if any(_holds_rows(cell, width, delimiter) for cell in cells):
                notes.tell(line, "a cell whose lines look like rows: is a quote left open?")
            yield line, cells
            continue
        notes.tell(line, "a quote is left open: read line by line")
        first, *others = cells[-1].split("\n")
        reader = csv.reader([first, *others], delimiter=delimiter, quoting=csv.QUOTE_NONE)
        for place, row in enumerate(reader):
            if any(cell.strip() for cell in row):
                yield line + place, [*cells[:-1], *row] if place == 0 else row


def _holds_rows(cell: str, width: int, delimiter: str) -> bool:
    """Returns whether a line of a cell has as many separators as a row."""
    return "\n" in cell and any(line.count(delimiter) >= max(2, width - 1) for line in cell.split("\n")[1:])


def _rows(
    reader: Iterator[list[str]], notes: InventoryNotes, is_named: bool
) -> Iterator[tuple[int, list[str]]]:
    """Yields (line on which it begins, cells) of each row that has any. `is_named`: a line before them named the separator."""
    csv.field_size_limit(CELL_CHARACTERS_MAX)
    while True:
        line = getattr(reader, "line_num") + 1 + is_named  # noqa: B009 - csv's type has no name
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            notes.read += 1
            notes.refuse(line, f"a cell of more than {CELL_CHARACTERS_MAX} characters: is a quote left open?")
            continue
        if any(cell.strip() for cell in cells):
            yield line, cells


def _columns(header: Sequence[str], column_map: ColumnMap) -> dict[str, int]:
    """Returns the place of each column that the list has. Raises AuthorError `no-asset-column`, `bad-map`."""
    names = [folded(cell) for cell in header]
    places: dict[str, int] = {}
    for column, name in column_map.items():
        if name not in names:
            raise AuthorError(
                f"there is no column '{name}'",
                hint=f"its columns are: {', '.join(header)[:400]}",
                reason="bad-map",
            )
        places[column] = names.index(name)
    for column, known in COLUMNS.items():
        for name in known:
            if column not in places and name in names and names.index(name) not in places.values():
                places[column] = names.index(name)
    if "asset" not in places:
        raise AuthorError(
            "no column names the assets",
            hint=f"--map asset=NAME, with one of: {', '.join(header)[:400]}",
            reason="no-asset-column",
        )
    return places


def _placed(
    rows: Iterator[tuple[int, list[str]]],
    columns: Mapping[str, int],
    width: int,
    values: ValueMap,
    notes: InventoryNotes,
) -> Iterator[Placed]:
    seen: dict[
        int, int
    ] = {}  # hashes of an asset's product -> of its version: a list may have a million rows
    for line, cells in rows:
        notes.read += 1
        said = {column: _cell(cells, place) for column, place in columns.items()}
        name = said["asset"]
        if not name:
            notes.refuse(line, "no asset")
            continue
        if len(cells) != width:
            notes.tell(line, f"{len(cells)} cells, the header has {width}")
        if any(cell.count("\n") > CELL_LINES_MAX for cell in cells):
            notes.tell(line, f"a cell of more than {CELL_LINES_MAX} lines: is a quote left open?")
        if any("\ufffd" in cell for cell in cells):
            notes.tell(line, "a sign could not be read in this encoding")
        component = Component(**{part: said.get(part, "") for part in Component.__dataclass_fields__})
        asset = _asset(said, values, line, notes)
        if _DECIMAL_COMMA.fullmatch(component.version):
            notes.tell(line, f"version {component.version} has a comma, and may be two: it is not compared")
        if component.is_empty:
            notes.tell(line, "asset without product: nothing can match")
            yield Placed(line, asset, None)
            continue
        if not component.purl:
            version = hash(component.version)
            cpe = component.cpe if not component.product else ""
            key = hash((name, component.vendor, component.product, component.model, cpe))
            if seen.setdefault(key, version) != version:
                notes.tell(line, f"{name} again with another version: both are kept")
        yield Placed(line, asset, component, is_model=True)


def _cell(cells: Sequence[str], place: int) -> str:
    """Returns a cell with its white space made single blanks, and without signs that nobody sees."""
    text = " ".join(cells[place].split())[:TEXT_CHARACTERS_MAX] if place < len(cells) else ""
    return text if text.isprintable() else "".join(one for one in text if one.isprintable())


def _asset(said: Mapping[str, str], values: ValueMap, line: int, notes: InventoryNotes) -> AssetSaid:
    texts = {name: said[name] for name in _TEXTS if said.get(name)}
    lists = {
        name: tuple(filter(None, (one.strip() for one in re.split(r"[;|,]", said[name]))))
        for name in _LISTS
        if said.get(name)
    }
    return AssetSaid(
        name=said["asset"],
        model=said.get("model") or None,
        exposure=_scale("exposure", Exposure, said, values, line, notes),
        human_impact=_scale("human_impact", HumanImpact, said, values, line, notes),
        safety=_scale("safety", Safety, said, values, line, notes),
        mission=_scale("mission", Mission, said, values, line, notes),
        **texts,  # type: ignore[arg-type]
        **lists,  # type: ignore[arg-type]
    )


def _scale(
    column: str, kind: type[W], said: Mapping[str, str], values: ValueMap, line: int, notes: InventoryNotes
) -> W | None:
    text = said.get(column, "")
    if not text:
        return None
    try:
        return word_of(kind, values.get(column, {}).get(folded(text), text))
    except AuthorError as error:
        notes.tell(line, f"{column}: {error.message}; it stays unknown")
        return None
