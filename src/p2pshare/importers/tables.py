"""Tables: comma-separated values and their kin (RFC 4180), with or without header. Streams.

Read are the cells of the columns that hold values (`table_layout` says which). Each cell that is not empty gives
one ListValue or one Refusal, and a row without any gives one Refusal: what was read adds up. A broken row costs
itself. Rows are numbered by the line they begin on, columns from 1.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from itertools import chain, islice
from typing import BinaryIO

from p2pshare.errors import AuthorError
from p2pshare.importers.interface import ListValue, ReadValue, TextMarking, ValueFormat
from p2pshare.importers.table_headers import names_others, names_values, whom_it_is_about
from p2pshare.importers.table_layout import (
    SAMPLE_ROWS,
    UNIFORM_PERCENT_MIN,
    Layout,
    find_delimiter,
    find_layout,
    split_row,
)
from p2pshare.importers.values import read_lines, refuse_text
from p2pshare.intel.marking_words import (
    NO_WORDS,
    LineReader,
    MarkingWords,
    may_hold_words,
    words_in,
    words_in_text,
)
from p2pshare.intel.observable import InvalidValue, recognise
from p2pshare.intel.refusals import Note, Refusal
from p2pshare.limits import LIST_LINE_BYTES_MAX, TABLE_ROW_LINES_MAX

TableRow = tuple[int, str]
_OPENING = re.compile(
    r'(?:^|[,;\t|])\s?"'
)  # a quote that opens a cell; inside an unquoted cell it is only a character
# ... and one that ends it stands before a separator or the end; else it opens a cell of another row.
_CLOSING = re.compile(r'[^"]*+(?:""[^"]*+)*"\s*(?:[,;\t|]|$)')
PLAIN_DELIMITERS = (",", ";")  # a tab in a list begins a note
_NO = frozenset({"0", "false", "no"})


def read_table(stream: BinaryIO, columns: Sequence[str] = ()) -> Iterator[ReadValue]:
    """Yields values, refusals and notes in the order of the rows. `columns`: those to read, by name or by number from 1.

    Raises AuthorError: encoding, no-such-column, which-column, no-values.
    """
    titles: list[str] = []
    rows = _rows(read_lines(stream), titles)
    sample = list(islice(rows, SAMPLE_ROWS))
    texts = [one[1] for one in sample if isinstance(one, tuple)]
    if not texts:
        yield from _no_rows(sample)
        yield from _no_rows(rows)
        return
    layout = find_layout(texts, titles[0] if titles else "", columns)
    for place in layout.assumed:
        yield Note("column-assumed", layout.title(place))
    for place in layout.passed_over:
        yield Note("column-not-read", layout.title(place))
    yield from _read_rows(chain(sample, rows), layout, texts[0])


def _no_rows(rows: Iterable[TableRow | Refusal | TextMarking]) -> Iterator[Refusal | TextMarking]:
    return (one for one in rows if not isinstance(one, tuple))


def is_table(head: bytes, is_named_so: bool) -> bool:
    """Returns whether a file that begins with `head` is a table and no list. Lines that are values as they stand are a list,
    whatever the name; else `is_named_so` is asked for no more than cells, and any other text must have rows of one width and
    a column whose values can be told, or must be asked about."""
    whole_lines = head[: head.rfind(b"\n") + 1] or head
    titles: list[str] = []
    try:
        found = islice(_rows(read_lines(BytesIO(whole_lines)), titles), SAMPLE_ROWS)
        rows = [one[1] for one in found if isinstance(one, tuple)]
        delimiter = find_delimiter(rows)
        if not delimiter:
            return _is_title(rows, is_named_so)
        if is_named_so or (delimiter in PLAIN_DELIMITERS and len(rows) > 1):
            layout = find_layout(rows, titles[0] if titles else "", ())
            return layout.delimiter != "" or _is_title(rows, is_named_so)
        return delimiter not in PLAIN_DELIMITERS and any(
            _is_of_others(split_row(text, delimiter), rows) for text in (*titles, *rows[:1])
        )
    except AuthorError as error:
        return is_named_so or error.reason == "which-column"
    except csv.Error:
        return is_named_so


def _is_title(rows: Sequence[str], is_named_so: bool) -> bool:
    """Returns whether the first of lines with one cell is a header: any in a file that is named like a table, and one that
    tells of people, victims and the like in any other."""
    return bool(rows) and ((is_named_so and names_values(rows[0])) or _is_of_others(rows[:1], rows))


def _is_of_others(cells: Sequence[str], rows: Sequence[str]) -> bool:
    """Returns whether cells above values are a header whose first column is nothing to be detected, or that of a table which
    warns of nobody. Read as a list, it would be a refused line, and what stands behind a tab a note."""
    if any(map(_is_value, cells)) or not (names_others(cells[0]) or whom_it_is_about(cells)):
        return False
    below = rows if _is_value_or_note(rows[0]) else rows[1:]
    return bool(below) and sum(map(_is_value_or_note, below)) * 100 >= len(below) * UNIFORM_PERCENT_MIN


def _is_value_or_note(text: str) -> bool:
    return _is_value(text.partition("\t")[0])


def _is_value(text: str) -> bool:
    try:
        recognise(text)
    except InvalidValue:
        return False
    return True


def _read_rows(
    rows: Iterable[TableRow | Refusal | TextMarking], layout: Layout, first: str
) -> Iterator[ReadValue]:
    is_header = bool(layout.header) and tuple(_cells_or_none(first, layout) or ()) == layout.header
    for one in rows:
        if not isinstance(one, tuple):
            yield one
        elif is_header:
            is_header = False
            yield from _marking_of(one[0], one[1])
        else:
            yield from _read_row(*one, layout)


def _marking_of(line: int, text: str) -> Iterator[TextMarking]:
    """Yields the marking words of a row without a value: they are about the table."""
    words = words_in_text(text)
    if words:
        yield TextMarking(words, f"line {line}", text)


def _cells_or_none(text: str, layout: Layout) -> list[str] | None:
    try:
        return split_row(text, layout.delimiter)
    except csv.Error:
        return None


def _read_row(line: int, text: str, layout: Layout) -> Iterator[ReadValue]:
    cells = _cells_or_none(text, layout)
    if cells is None:
        yield from _marking_of(line, text)
        yield Refusal("bad-row", f"line {line}", text)
        return
    # What stands behind an unquoted separator has moved, so no column of such a row can be trusted.
    if any(cells[layout.width :]) or len(cells) <= max(layout.columns):
        yield from _marking_of(line, text)
        yield Refusal("uneven-row" if any(cells) else "empty-row", f"line {line}", text)
        return
    if layout.detection is not None and _is_no(cells, layout.detection):
        yield Refusal("not-for-detection", f"line {line}", text)
        return
    words = _words_beside(text, cells, layout)
    is_empty = True
    for place in layout.columns:
        cell = cells[place]
        if cell:
            is_empty = False
            yield from _read_cell(cell, line, place, words, layout)
    if is_empty:
        yield from _marking_of(line, text)
        yield Refusal("empty-row", f"line {line}", text)


def _words_beside(text: str, cells: Sequence[str], layout: Layout) -> MarkingWords:
    """Returns the marking words of a row's values: in columns that are called after a scheme, and in all other cells that
    are not read."""
    words = NO_WORDS
    for place in layout.markings:
        if place < len(cells) and place not in layout.columns:
            words = words.merged(words_in({layout.header[place]: cells[place]}))
    if may_hold_words(text.encode("utf-8", "surrogateescape")):
        for place, cell in enumerate(cells):
            if place not in layout.columns and place not in layout.markings:
                words = words.merged(words_in_text(cell))
    return words


def _is_no(cells: Sequence[str], place: int) -> bool:
    return place < len(cells) and cells[place].lower() in _NO


def _read_cell(cell: str, line: int, place: int, words: MarkingWords, layout: Layout) -> Iterator[ReadValue]:
    try:
        found = recognise(cell)
    except InvalidValue as invalid:
        yield from _marking_of(line, cell)
        yield refuse_text(invalid, f"line {line}, column {place + 1}", cell)
    else:
        if found.observable.type == "email" and place not in layout.of_emails:
            yield Refusal("email-not-named", f"line {line}, column {place + 1}", cell)
        else:
            yield ListValue(found.observable, line, found.note, words, layout.title(place))


def _rows(
    lines: Iterator[tuple[int, bytes | None]], titles: list[str]
) -> Iterator[TableRow | Refusal | TextMarking]:
    """Yields rows with the number of their first line, without blank lines and comments (`#`). The comment
    that stands last above the first row goes into `titles`, for it may be the header."""
    comments = LineReader()
    waiting: deque[tuple[int, bytes | None]] = deque()
    is_begun = False
    while True:
        if not waiting:
            following = next(lines, None)
            if following is None:
                return
            waiting.append(following)
        number, raw = waiting.popleft()
        if raw is None:
            yield Refusal("line-too-long", f"line {number}", "")
            continue
        text = raw.decode("utf-8", "surrogateescape").strip(" \r\n")
        if not text.strip():
            continue
        if text.startswith("#"):
            if not is_begun:
                titles[:] = [text.lstrip("# ")]
            words = comments.words_in(text)
            if words:
                yield TextMarking(words, f"line {number}", text)
            continue
        is_begun = True
        if not _is_open(text):
            yield number, text
            continue
        whole = _closed(text, waiting, lines)
        yield (number, whole) if whole is not None else Refusal("unclosed-quote", f"line {number}", text)


def _is_open(text: str) -> bool:
    """Returns whether a quoted cell goes on in the next line."""
    return '"' in text and text.count('"') % 2 == 1 and _OPENING.search(text) is not None


def _closed(
    text: str, waiting: deque[tuple[int, bytes | None]], lines: Iterator[tuple[int, bytes | None]]
) -> str | None:
    """Returns the row that begins with `text`, up to the line that closes its quote. None when none does within
    TABLE_ROW_LINES_MAX lines: then those stay in `waiting`, so that a stray quote costs its own row only.

    `waiting` is empty before: only the last line of what an earlier search left there can hold half a pair of quotes.
    """
    pieces = [text]
    size = len(text)
    while len(pieces) < TABLE_ROW_LINES_MAX:
        following = next(lines, None)
        if following is None:
            return None
        waiting.append(following)
        raw = following[1]
        if raw is None or (size := size + len(raw) + 1) > LIST_LINE_BYTES_MAX:
            return None
        pieces.append(raw.decode("utf-8", "surrogateescape"))
        if pieces[-1].count('"') % 2 == 1:
            if _CLOSING.match(pieces[-1]) is None:
                return None
            waiting.clear()
            return "\n".join(pieces)
    return None


FORMAT = ValueFormat(lambda stream, source: read_table(stream, source.columns), is_table)
