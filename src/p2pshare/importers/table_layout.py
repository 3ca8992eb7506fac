"""Layout of a table: the separator of its cells, its header, and the columns that hold values.

Found from the first lines alone. A column is read when its header names what is to be detected (`table_headers`), or when it
is the only one that holds values and its header, where there is one, does not say otherwise; else a person has to say
which. A second column of URLs may well be where the first was written about, a report about victims must not become a
block list, and no e-mail address is bad because it stands in a table.

Lines that are values as they stand are a list: a URL may hold every separator, and cut at one it is another, often a
whole host.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from p2pshare.errors import AuthorError
from p2pshare.importers.table_headers import (
    DETECTION_COLUMN,
    KNOWN_FILES,
    header_name,
    may_name_values,
    names_others,
    names_values,
    says_bad,
    takes_emails,
    whom_it_is_about,
)
from p2pshare.importers.values import STRONG_TYPES
from p2pshare.intel.display import clip
from p2pshare.intel.marking_words import sense_of
from p2pshare.intel.observable import InvalidValue, recognise

DELIMITERS = (",", ";", "\t", "|")
SAMPLE_ROWS = 64  # looked at before the first is read
UNIFORM_PERCENT_MIN = 80  # of the sample's rows have one width, in what is a table without being named so
TITLE_ROWS_MAX = 8  # of the first rows one may be a header: titles are shorter
COLUMNS_SHOWN_MAX = 8  # of those that a person may choose from
HASH_TYPES = frozenset({"md5", "sha1", "sha224", "sha256", "sha384", "sha512"})

_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ][\d:.]+Z?)?|\d{1,2}[./]\d{1,2}[./]\d{4}", re.ASCII)


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
    of_emails: tuple[int, ...] = ()
    """Columns in which e-mail addresses are to be detected: somebody said so."""

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


def _is_list(rows: Sequence[str], table: Sequence[Sequence[str]]) -> bool:
    """Returns whether the lines that a separator would cut are values as they stand. Raises AuthorError which-column where they
    may be that as well as rows."""
    cut = [(text, cells) for text, cells in zip(rows, table, strict=True) if len(cells) > 1]
    if cut and cut[0][0] == rows[0] and not _is_value(rows[0]):
        cut = cut[1:]
    whole = sum(_is_value(text) for text, _ in cut)
    halved = sum(_may_be_halved(text, cells) for text, cells in cut)
    if not cut or (whole + halved) * 100 < len(cut) * UNIFORM_PERCENT_MIN:
        return False
    is_under_header = len(table[0]) > 1 and not _is_value(rows[0])
    if whole * 100 < len(cut) * UNIFORM_PERCENT_MIN or is_under_header or _has_other_kinds(cut):
        raise AuthorError(
            "the lines may be values with separators in them, or rows of a table",
            hint="--format list reads each line as one value, --column NUMBER a column",
            reason="which-column",
        )
    return True


def _may_be_halved(text: str, cells: Sequence[str]) -> bool:
    """Returns whether a row is a URL without its scheme, or begins with one."""
    if "/" not in cells[0] or len(text.split(None, 1)) > 1:
        return False
    try:
        return recognise(cells[0]).note == "scheme-assumed"
    except InvalidValue:
        return False


def _has_other_kinds(cut: Sequence[tuple[str, Sequence[str]]]) -> bool:
    """Returns whether a further cell of most rows is a value or a date, which no URL is likely to end in."""
    others = sum(any(_type_of(cell) or _DATE.fullmatch(cell) for cell in cells[1:]) for _, cells in cut)
    return others * 100 >= len(cut) * UNIFORM_PERCENT_MIN


def _is_value(text: str) -> bool:
    try:
        recognise(text)
    except InvalidValue:
        return False
    return True


def _split_all(rows: Sequence[str], delimiter: str) -> list[list[str]]:
    found = []
    for text in rows:
        try:
            found.append(split_row(text, delimiter))
        except csv.Error:
            found.append([text])
    return found


def find_layout(rows: Sequence[str], titles: str, wanted: Sequence[str]) -> Layout:
    """Returns the layout of the table that begins with `rows`; one of a single column where they are a list. `titles` is a
    comment above them that may be its header; `wanted` are the columns a person gave with --column: names, or numbers from 1.

    Raises AuthorError: no-such-column, which-column, no-values.
    """
    delimiter = find_delimiter(rows)
    table = _split_all(rows, delimiter)
    header = _header_of(table, titles, delimiter, wanted)
    if delimiter and not wanted and not _is_said(header) and _is_list(rows, table):
        delimiter, table = "", _split_all(rows, "")
        header = _header_of(table, "", "", wanted)
        if not header:
            return Layout("", 1, (), (0,))
    body = table[1:] if header and header == tuple(table[0]) else table
    width = len(header) or max(Counter(map(len, body)).items(), key=lambda one: (one[1], one[0]))[0]
    if wanted:
        asked = tuple(_position_of(one, header, width) for one in wanted)
        return Layout(delimiter, width, header, asked, of_emails=asked)
    holding = _columns_of_values(body, width)
    layout = Layout(delimiter, width, header, tuple(holding))
    examples = {place: _first_value(body, place) for place in holding}
    named = [place for place, cell in enumerate(header) if names_values(cell)]
    about = whom_it_is_about(header)
    if about:
        # a hash beside victims is what they were hit with
        kinds = frozenset() if about.startswith(KNOWN_FILES) else HASH_TYPES
        named = [place for place in named if says_bad(header[place]) or holding.get(place, {""}) <= kinds]
    if named:
        return replace(
            layout,
            columns=tuple(named),
            passed_over=tuple(place for place in holding if place not in named),
            of_emails=tuple(place for place in named if takes_emails(header[place])),
        )
    late = [cells for cells in table[1:TITLE_ROWS_MAX] if _is_late_header(cells)]
    if about or late or not holding:
        raise _undecided(layout, examples, about or (whom_it_is_about(late[0]) if late else ""))
    of_others = [place for place in holding if header and names_others(header[place])]
    left = [place for place in holding if place not in of_others]
    is_said = all(may_name_values(header[place]) for place in left) if header else True
    has_emails = any("email" in holding[place] for place in left)
    are_hashes = all(holding[place] <= HASH_TYPES for place in left)
    if not left or not is_said or has_emails or not (len(left) == 1 or are_hashes):
        raise _undecided(layout, examples, about)
    assumed = tuple(left) if width > 1 else ()  # the only column there is needs no word
    return replace(layout, columns=tuple(left), assumed=assumed, passed_over=tuple(of_others))


def _is_said(header: Sequence[str]) -> bool:
    """Returns whether a header of several columns says what is to be detected in one: then what stands under it are rows."""
    return len(header) > 1 and any(map(names_values, header))


def _says_something(cell: str) -> bool:
    return names_values(cell) or may_name_values(cell) or names_others(cell)


def _first_value(body: Sequence[Sequence[str]], place: int) -> str:
    return next((row[place] for row in body if place < len(row) and _type_of(row[place])), "")


def _is_late_header(cells: Sequence[str]) -> bool:
    """Returns whether a row that is not the first is a header all the same: a title may stand above it."""
    return len(cells) > 1 and not any(map(_type_of, cells)) and any(map(_says_something, cells))


def _undecided(layout: Layout, examples: Mapping[int, str], about: str) -> AuthorError:
    if not layout.columns:
        return AuthorError(
            "no column of the table holds values",
            hint="--column NAME or --column NUMBER says which to read",
            reason="no-values",
        )
    places = ", ".join(
        f"{layout.title(place)} with {clip(examples[place])}" for place in layout.columns[:COLUMNS_SHOWN_MAX]
    )
    what = f"the table seems to tell about {about}" if about else "no header says what is to be detected"
    return AuthorError(
        f"{what}; these columns hold values: {places}",
        hint="--column NAME or --column NUMBER says which to read; it may be given again",
        reason="which-column",
    )


def _header_of(
    table: Sequence[Sequence[str]], titles: str, delimiter: str, wanted: Sequence[str]
) -> tuple[str, ...]:
    """Returns the header: a row of the file's comments that is as wide as the table and names a value or somebody, or a
    first row that holds no value and names one, or stands above values."""
    if titles and delimiter:
        (cells,) = _split_all([titles], delimiter)
        is_name = _names_values(cells, wanted) or any(map(_says_something, cells))
        if len(cells) == len(table[0]) and is_name:
            return tuple(cells)
    first = table[0]
    if any(_type_of(cell) for cell in first):
        return ()
    is_above = _columns_of_values(table[1:], len(first)) and (len(first) > 1 or names_others(first[0]))
    return tuple(first) if is_above or _names_values(first, wanted) else ()


def _names_values(cells: Sequence[str], wanted: Sequence[str]) -> bool:
    names = {header_name(cell) for cell in cells}
    return any(map(names_values, cells)) or not names.isdisjoint(map(header_name, wanted))


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
