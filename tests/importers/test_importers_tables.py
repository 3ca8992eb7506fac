"""Tables: what is read adds up, a broken row costs itself, and no column is guessed at."""

from __future__ import annotations

import csv
import io
import re
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.errors import AuthorError
from p2pshare.importers.detection import detect_format
from p2pshare.importers.interface import ListValue, TextMarking
from p2pshare.importers.tables import read_table
from p2pshare.intel.refusals import Note, Refusal
from p2pshare.limits import LIST_LINE_BYTES_MAX, TABLE_ROW_LINES_MAX


def read(raw: bytes, *columns: str) -> list[str]:
    """`line value note` of values, `where reason` of refusals, `where reason!` of notes."""
    shown = []
    for one in read_table(io.BytesIO(raw), columns):
        if isinstance(one, ListValue):
            shown.append(f"{one.line} {one.observable.value} {one.note}".rstrip())
        elif not isinstance(one, TextMarking):
            mark = "!" if isinstance(one, Note) else ""
            shown.append(f"{one.where.removeprefix('line ')} {one.reason}{mark}")
    return shown


HASH = "ab" * 16


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", []),
        (b"\n\r\n# only a comment\n", []),
        (b"domain,seen\nevil.example,2026\n", ["2 evil.example"]),
        (b"\xef\xbb\xbfDomain;seen\r\nevil.example;2026\r\nb.example;2026", ["2 evil.example", "3 b.example"]),
        (b'"Domain"\t"seen"\n"evil.example"\t"2026"\n', ["2 evil.example"]),
        (b"domain|seen\nevil[.]example|2026\n", ["2 evil.example"]),
        (b"sha256\nevil.example\n", ["2 evil.example"]),
        (b"evil.example\nb.example\n", ["1 evil.example", "2 b.example"]),
        (b"2026-01-01 00:00:00,evil.example\n2026-01-02 00:00:00,b.example\n", ["column 2 column-assumed!", "1 evil.example", "2 b.example"]),
        (b"url,ref\nevil.example/a,https://news.example/1\n", ["column 2 (ref) column-not-read!", "2 http://evil.example/a scheme-assumed"]),
        (b"ip,port\n192.0.2.1,80\n,80\n,\n", ["2 192.0.2.1", "3 empty-row", "4 empty-row"]),
        (b'ip,note\n192.0.2.1,"a\nb, c"\n192.0.2.2,d\n', ["2 192.0.2.1", "4 192.0.2.2"]),
        (b'ip,note\n192.0.2.1,5" disk\n', ["2 192.0.2.1"]),
        (b"ip,note\n192.0.2.1,a,b\n192.0.2.2,a,,\n192.0.2.3\n", ["2 uneven-row", "3 192.0.2.2", "4 192.0.2.3"]),
        (b"note,ip\na,192.0.2.1\na\n", ["2 192.0.2.1", "3 uneven-row"]),
        (b"value,to_ids\nevil.example,1\nb.example,0\n", ["2 evil.example", "3 not-for-detection"]),
        (b'# feed\n# "seen","ioc_value"\n"2026","192.0.2.1:80"\n', ["3 192.0.2.1 port-dropped"]),
        (b"ioc,n\nevil.exam...,1\nhttp://evil.example/a\xe2\x80\xa6,2\n", ["2, column 1 cut-off", "3, column 1 cut-off"]),
        (b"ioc,n\nevil\xff.example,1\n", ["2, column 1 not-utf8"]),
    ],
)  # fmt: skip
def test_rows(raw: bytes, expected: list[str]) -> None:
    assert read(raw) == expected


def test_a_person_says_which_column() -> None:
    raw = b"seen by,loader,panel\nx,evil.example,https://a.example/\n"
    assert read(raw, "loader") == ["2 evil.example"]
    assert read(raw, "3", "LOADER") == ["2 https://a.example/", "2 evil.example"]
    assert read(b"evil.example,b.example\n", "2") == ["1 b.example"]


@pytest.mark.parametrize("wanted", ["payload", "0", "4", "\x1b[31m", "99999999999999999999"])
def test_a_column_that_is_not_there_is_refused_with_those_that_are(wanted: str) -> None:
    with pytest.raises(AuthorError) as caught:
        read(b"seen by,loader,panel\nx,evil.example,https://a.example/\n", wanted)
    assert caught.value.reason == "no-such-column"
    assert "loader" in caught.value.hint
    assert "\x1b" not in str(caught.value)


def test_several_columns_of_values_without_a_name_are_not_guessed_at() -> None:
    """The second may be where the first was written about."""
    with pytest.raises(AuthorError) as caught:
        read(b"evil.example,https://news.example/1\nb.example,https://news.example/2\n")
    assert caught.value.reason == "which-column"
    assert "column 2" in str(caught.value)
    assert "--column" in caught.value.hint


def test_several_columns_of_hashes_are_one_thing_each_and_all_are_read() -> None:
    raw = f"{HASH},{HASH}{'cd' * 4},x.exe\n".encode() * 2
    assert [line for line in read(raw) if line.endswith("!")] == [
        "column 1 column-assumed!",
        "column 2 column-assumed!",
    ]
    assert len(read(raw)) == 6


def test_a_table_without_values_is_refused_as_a_whole() -> None:
    with pytest.raises(AuthorError) as caught:
        read(b"name,size\na,1\nb,2\n")
    assert caught.value.reason == "no-values"


def test_a_million_bare_commas_are_refused_row_by_row_in_bounded_memory() -> None:
    raw = b"ip,note\n192.0.2.1,x\n" + b",\n" * 200_000
    tracemalloc.start()
    reasons = Counter(one.reason for one in read_table(io.BytesIO(raw)) if isinstance(one, Refusal))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert reasons == {"empty-row": 200_000}
    assert peak < 1024 * 1024
    assert read(b"ip,note\n192.0.2.1,x\n" + b"," * (LIST_LINE_BYTES_MAX + 1)) == [
        "2 192.0.2.1",
        "3 line-too-long",
    ]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (TABLE_ROW_LINES_MAX - 1, ["2 192.0.2.1"]),
        (TABLE_ROW_LINES_MAX, ["2 192.0.2.1"]),
        (TABLE_ROW_LINES_MAX + 1, ["2 unclosed-quote"]),
    ],
)
def test_a_quoted_cell_may_span_lines_up_to_the_limit(lines: int, expected: list[str]) -> None:
    cell = b"\n".join([b'"x'] + [b"y"] * (lines - 2) + [b'"'])
    found = read(b"ip,note\n192.0.2.1," + cell + b"\n192.0.2.2,x\n")
    assert found[:1] == expected
    assert found[-1].endswith("192.0.2.2")


@pytest.mark.parametrize(
    ("line", "is_closed"),
    [
        ('b"', True),
        ('b" \t', True),
        ('""b"","""', True),
        ('b"c', False),
        ('b"c,"d"', False),
        ('b"" "c', False),
        ('"""c', False),
        ('""' * 20_000 + '"', True),
        ('""' * 20_000 + '"c', False),
    ],
)
def test_only_a_lone_quote_before_a_separator_or_the_end_closes_a_cell(line: str, is_closed: bool) -> None:
    found = read(f'ip,note\n192.0.2.1,"a\n{line}\n192.0.2.2,x\n'.encode())
    assert found[0] == ("2 192.0.2.1" if is_closed else "2 unclosed-quote")
    assert found[-1] == "4 192.0.2.2"


def test_a_quote_that_nothing_closes_costs_its_own_row() -> None:
    rows = b"".join(b"192.0.2.%d,x\n" % number for number in range(100))
    found = read(b'ip,note\n203.0.113.1,"open\n' + rows)
    assert found[0] == "2 unclosed-quote"
    assert len(found) == 101


@pytest.mark.parametrize("size", [LIST_LINE_BYTES_MAX - 40, LIST_LINE_BYTES_MAX])
def test_a_quote_that_closes_beyond_the_size_of_a_row_costs_its_own_row(size: int) -> None:
    """The line that closes it opens a row of its own when it is read again."""
    raw = b'ip,note\n203.0.113.1,"' + b"x" * (size // 2) + b"\n192.0.2.1," + b"y" * (size // 2) + b'\n192.0.2.2,"z\nz"\n192.0.2.3,x\n'  # fmt: skip
    found = read(raw)
    assert found[0] == "2 unclosed-quote"
    assert found[-1] == "6 192.0.2.3"
    assert "4 192.0.2.2" in found


TEXT = st.text(st.sampled_from(list('ab.,;|\t"\n\r #/:0123456789exampl\x00\u2026')), max_size=120)


@given(st.one_of(st.binary(max_size=200), TEXT.map(str.encode)), st.sampled_from([(), ("1",), ("ip", "2")]))
def test_any_bytes_are_read_or_refused_and_never_crash(raw: bytes, columns: tuple[str, ...]) -> None:
    try:
        found = list(read_table(io.BytesIO(raw), columns))
    except AuthorError as error:
        assert error.reason in {"encoding", "no-such-column", "which-column", "no-values"}
        return
    for one in found:
        assert isinstance(one, ListValue | Refusal | Note | TextMarking)


@given(st.integers(0, 2_000), st.integers(0, 255))
def test_a_row_that_is_damaged_costs_itself(position: int, byte: int) -> None:
    rows = [b'2026-01-%02d,host-%d.example,"a, b"' % (number % 28 + 1, number) for number in range(64)]
    raw = bytearray(b"seen,domain,note\n" + b"\n".join(rows) + b"\n")
    start = raw.index(b"\n") + 1  # the header decides for all rows, so it is left alone
    raw[start + position % (len(raw) - start)] = byte
    values = {
        one.observable.value for one in read_table(io.BytesIO(bytes(raw))) if isinstance(one, ListValue)
    }
    expected = {f"host-{number}.example" for number in range(64)}
    assert len(expected - values) <= 2


def test_a_separator_that_moves_the_cells_costs_the_row_and_takes_no_other_value() -> None:
    assert read(b"seen,ip,source ip\n2026,192.0.2.1,198.51.100.1\n2026,x,192.0.2.1,198.51.100.1\n") == [
        "column 3 (source ip) column-not-read!",
        "2 192.0.2.1",
        "3 uneven-row",
    ]


# What `csv` and a regular expression find in the columns named here. Written without the reader: cells are
# refanged by replacing brackets, and their kind is told by one pattern.
REAL_TABLES: dict[str, tuple[list[int], int, int]] = {  # file -> columns, distinct values, refused
    "lists/unit42/dearjoohn/dearjoohn_iocs.csv": ([1], 9, 0),
    "lists/unit42/gorgon/hashes.csv": ([1], 1085, 0),
    "lists/unit42/iran_linked_operators/APT33.csv": ([1], 93, 1),  # a hash of 31 digits
    "lists/unit42/iran_linked_operators/DarkHydrus.csv": ([1], 87, 0),
    "lists/unit42/iran_linked_operators/MagicHound.csv": ([1], 77, 0),
    "lists/unit42/keybase/keybase_ioc.csv": ([0, 1], 493, 0),
    "lists/unit42/macro_loader/iocs.csv": ([1], 654, 0),
    "lists/unit42/rarog/c2_w_timestamps.csv": ([1], 161, 0),
    "lists/unit42/rarog/sha256_w_timestamps.csv": ([1], 2476, 0),
    "lists/unit42/rat_nest/iocs.csv": ([0], 290, 0),
    "lists/unit42/samsa/samsa_iocs.csv": ([0, 4, 6], 64, 1),  # `N/A`
    "lists/unit42/samsa/updated_iocs.csv": ([0], 60, 0),
    "lists/unit42/squirtdanger/squirtdanger_c2.csv": ([1], 119, 0),
    "lists/unit42/squirtdanger/squirtdanger_distribution.csv": ([1], 15, 0),
    "lists/unit42/squirtdanger/squirtdanger_samples.csv": ([1, 2, 3], 3972, 0),
    "misp-events/pymisp/csv_testfiles/invalid_fieldnames.csv": ([0], 10, 0),
    "misp-events/pymisp/csv_testfiles/valid_fieldnames.csv": ([0, 1, 2], 9, 0),
    "stix21/amnesty/2018-08-01_nso/indicators.csv": ([0, 1], 1191, 0),
}
PLAUSIBLE = re.compile(r"[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}|https?://\S+|[\w-]+(\.[\w-]+)+")


def plainly(path: Path, columns: list[int]) -> Iterator[str]:
    """The values of a table as `csv` reads it."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        for row in csv.reader(stream):
            for column in columns:
                cell = row[column].strip().lower().replace("[.]", ".") if column < len(row) else ""
                if PLAUSIBLE.fullmatch(cell):
                    yield cell.rstrip("/")


@pytest.mark.parametrize("name", REAL_TABLES)
def test_real_tables_give_what_csv_gives(shared_data: Path, name: str) -> None:
    columns, distinct, refused = REAL_TABLES[name]
    path = shared_data / name
    with path.open("rb") as stream:
        found = list(read_table(stream))
    values = {one.observable.value for one in found if isinstance(one, ListValue)}
    assert {value.lower().rstrip("/") for value in values} == set(plainly(path, columns))
    assert (len(values), sum(isinstance(one, Refusal) for one in found)) == (distinct, refused)
    with path.open("rb") as stream:
        is_single = name.endswith("rat_nest/iocs.csv")  # one cell a row: a list, whatever its name says
        assert detect_format(stream.read(8192), path.name) == ("list" if is_single else "csv")


def test_no_list_is_taken_for_a_table(shared_data: Path) -> None:
    for folder in ("lists/ipsum", "lists/maltrail", "stix21/amnesty", "misp-events/eset"):
        for path in (shared_data / folder).rglob("*"):
            if path.is_file() and path.suffix not in (".csv", ".json", ".stix2"):
                assert detect_format(path.read_bytes()[:8192], path.name) != "csv", path
