"""Layout of a table: the separator of its cells, its header, and the columns that hold values.

Found from the first lines alone. A column is read when its header names a value (VALUE_COLUMNS), or when it
is the only one that holds values; otherwise a person has to say which. A second column of URLs may well be
where the first was written about, and a feed of reports must not become a block list.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from p2pshare.errors import AuthorError
from p2pshare.importers.values import STRONG_TYPES
from p2pshare.intel.display import clip
from p2pshare.intel.marking_words import sense_of
from p2pshare.intel.observable import InvalidValue, recognise

DELIMITERS = (",", ";", "\t", "|")
SAMPLE_ROWS = 64  # looked at before the first is read
UNIFORM_PERCENT_MIN = 80  # of the sample's rows have one width, in what is a table without being named so
HASH_TYPES = frozenset({"md5", "sha1", "sha224", "sha256", "sha384", "sha512"})

# Headers, lower case and with single blanks, under which people put what is to be detected.
VALUE_COLUMNS = frozenset(
    [
        "c2",
        "c2 domain",
        "c2 ip",
        "c2 server",
        "c2 url",
        "cidr",
        "domain",
        "domain name",
        "domains",
        "dst ip",
        "email",
        "email address",
        "file hash",
        "fqdn",
        "hash",
        "hashes",
        "host",
        "hostname",
        "indicator",
        "indicator value",
        "indicators",
        "ioc",
        "ioc value",
        "iocs",
        "ip",
        "ip address",
        "ip addresses",
        "ips",
        "ipv4",
        "ipv6",
        "malicious url",
        "md5",
        "md5 hash",
        "network",
        "observable",
        "sha 1",
        "sha 256",
        "sha1",
        "sha1 hash",
        "sha256",
        "sha256 hash",
        "sha512",
        "sha512 hash",
        "url",
        "urls",
        "value",
    ]
)
DETECTION_COLUMN = "to ids"  # of a table that MISP wrote: 0 says that a value is not to be detected


@dataclass(frozen=True)
class Layout:
    """Separator of cells, number of cells in a row, the header's cells (empty without header) and the positions
    (from 0) of the columns to read. `assumed` of them were chosen by what they hold; `passed_over` hold values too."""

    delimiter: str
    width: int
    header: tuple[str, ...]
    columns: tuple[int, ...]
    assumed: tuple[int, ...] = ()
    passed_over: tuple[int, ...] = ()

    @property
    def detection(self) -> int | None:
        """Returns the position of the column that says whether a value is to be detected, None where there is none."""
        names = [header_name(cell) for cell in self.header]
        return names.index(DETECTION_COLUMN) if DETECTION_COLUMN in names else None

    @cached_property
    def markings(self) -> tuple[int, ...]:
        """Returns the columns that are called after a scheme of marking."""
        return tuple(place for place, cell in enumerate(self.header) if sense_of(cell))

    def title(self, position: int) -> str:
        """Returns `column 3` with the header's name, safe to print."""
        name = self.header[position] if position < len(self.header) else ""
        return f"column {position + 1} ({clip(name)})" if name else f"column {position + 1}"


def header_name(cell: str) -> str:
    """Returns a header as VALUE_COLUMNS has it."""
    return " ".join(re.findall(r"[a-z0-9]+", cell.lower()))


def split_row(text: str, delimiter: str) -> list[str]:
    """Returns the cells of one row (RFC 4180 section 2), trimmed; without `delimiter` the row is one. Raises csv.Error."""
    if not delimiter:
        return [text.strip()]
    if '"' not in text:
        return [cell.strip() for cell in text.split(delimiter)]
    (row,) = csv.reader([text], delimiter=delimiter, skipinitialspace=True)
    return [cell.strip() for cell in row]


def find_delimiter(rows: Sequence[str]) -> str:
    """Returns the separator that gives most rows the same number of cells, else the one that makes a header
    of the first row; "" for one cell a row."""
    best, found = (0, 0), ""
    for delimiter in DELIMITERS:
        width, agreeing = Counter(map(len, _split_all(rows, delimiter))).most_common(1)[0] if rows else (1, 0)
        if width > 1 and agreeing * 100 >= len(rows) * UNIFORM_PERCENT_MIN and (agreeing, width) > best:
            best, found = (agreeing, width), delimiter
    return found or next((one for one in DELIMITERS if rows and _is_header(rows[0], one)), "")


def _is_header(text: str, delimiter: str) -> bool:
    (cells,) = _split_all([text], delimiter)
    return len(cells) > 1 and _names_values(cells, ())


def _split_all(rows: Sequence[str], delimiter: str) -> list[list[str]]:
    found = []
    for text in rows:
        try:
            found.append(split_row(text, delimiter))
        except csv.Error:
            found.append([text])
    return found


def find_layout(rows: Sequence[str], titles: str, wanted: Sequence[str]) -> Layout:
    """Returns the layout of the table that begins with `rows`. `titles` is a comment above them that may be
    its header; `wanted` are the columns a person gave with --column: names, or numbers from 1.

    Raises AuthorError: no-such-column, which-column, no-values.
    """
    delimiter = find_delimiter(rows)
    table = _split_all(rows, delimiter)
    header = _header_of(table, titles, delimiter, wanted)
    body = table[1:] if header and header == tuple(table[0]) else table
    width = len(header) or max(Counter(map(len, body)).items(), key=lambda one: (one[1], one[0]))[0]
    holding = _columns_of_values(body, width)
    if wanted:
        return Layout(delimiter, width, header, tuple(_position_of(one, header, width) for one in wanted))
    named = tuple(place for place, cell in enumerate(header) if header_name(cell) in VALUE_COLUMNS)
    if named:
        others = tuple(place for place in holding if place not in named)
        return Layout(delimiter, width, header, named, passed_over=others)
    if len(holding) == 1 or (holding and all(types <= HASH_TYPES for types in holding.values())):
        assumed = tuple(holding) if width > 1 else ()  # the only column there is needs no word
        return Layout(delimiter, width, header, tuple(holding), assumed)
    raise _undecided(Layout(delimiter, width, header, tuple(holding)))


def _undecided(layout: Layout) -> AuthorError:
    if not layout.columns:
        return AuthorError(
            "no column of the table holds values",
            hint="--column NAME or --column NUMBER says which to read",
            reason="no-values",
        )
    places = ", ".join(layout.title(place) for place in layout.columns[:8])
    return AuthorError(
        f"several columns hold values: {places}",
        hint="--column NAME or --column NUMBER says which to read; it may be given again",
        reason="which-column",
    )


def _header_of(
    table: Sequence[Sequence[str]], titles: str, delimiter: str, wanted: Sequence[str]
) -> tuple[str, ...]:
    """Returns the header: a row of the file's comments that is as wide as the table and names a value, or a
    first row that holds no value and names one, or stands above values."""
    if titles and delimiter:
        (cells,) = _split_all([titles], delimiter)
        if len(cells) == len(table[0]) and _names_values(cells, wanted):
            return tuple(cells)
    first = table[0]
    if any(_type_of(cell) for cell in first):
        return ()
    if _names_values(first, wanted) or (len(first) > 1 and _columns_of_values(table[1:], len(first))):
        return tuple(first)
    return ()


def _names_values(cells: Sequence[str], wanted: Sequence[str]) -> bool:
    names = {header_name(cell) for cell in cells}
    return not names.isdisjoint(VALUE_COLUMNS) or not names.isdisjoint(map(header_name, wanted))


def _columns_of_values(body: Sequence[Sequence[str]], width: int) -> dict[int, set[str]]:
    """Returns the columns most of whose cells in the sample are values, and the types of these."""
    found: dict[int, set[str]] = {}
    for place in range(width):
        cells = [row[place] for row in body if place < len(row) and row[place]]
        types = [type_ for cell in cells if (type_ := _type_of(cell))]
        if types and len(types) * 100 >= len(cells) * UNIFORM_PERCENT_MIN:
            found[place] = set(types)
    return found


def _type_of(cell: str) -> str:
    """Returns the type of a cell that can hardly be anything but a value, else empty."""
    try:
        type_ = recognise(cell).observable.type
    except InvalidValue:
        return ""
    return type_ if type_ in STRONG_TYPES else ""


def _position_of(wanted: str, header: Sequence[str], width: int) -> int:
    """Returns the position of the column that was asked for. Raises AuthorError no-such-column."""
    names = [header_name(cell) for cell in header]
    if header_name(wanted) in names:
        return names.index(header_name(wanted))
    if wanted.isascii() and wanted.isdigit() and 1 <= int(wanted[:6]) <= width:
        return int(wanted) - 1
    known = ", ".join(clip(cell) for cell in header[:16] if cell) or f"1 to {width}"
    raise AuthorError(
        f"the table has no column {clip(wanted)!r}", hint=f"its columns are {known}", reason="no-such-column"
    )
