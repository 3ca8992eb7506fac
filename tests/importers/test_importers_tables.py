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
from p2pshare.intel.observable import detect
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


def asked(raw: bytes, *, name: str = "x.csv") -> AuthorError:
    """The question that a table ends in, also where nobody says that it is one."""
    assert detect_format(raw, name) == "csv"
    with pytest.raises(AuthorError) as caught:
        read(raw)
    assert caught.value.reason == "which-column"
    assert "--column" in caught.value.hint
    return caught.value


# --- lines that are values as they stand are a list


URL_LINES = [
    b"http://shared.evil.example/;x=1\nhttp://other.evil.example/;x=2\n",
    b"http://shared.evil.example/,a\nhttp://other.evil.example/,b\n",
    b"hxxp://shared[.]evil.example/a;b;c\nhxxp://other[.]evil.example/d;e;f\n",
    b"http://shared.evil.example/|a\nhttp://other.evil.example/|b\n",
    b"http://shared.evil.example/?a,b\nevil.example\n" + b"http://shared.evil.example/?c,d\n" * 8,
    b"HKLM\\Software\\Evil;a\nHKLM\\Software\\Evil;b\n",
    b"evil.example,\nb.example,\n",
]


@pytest.mark.parametrize("raw", URL_LINES)
@pytest.mark.parametrize("name", ["x.txt", "x.csv", "-"])
def test_urls_with_separators_are_not_cut(raw: bytes, name: str) -> None:
    assert detect_format(raw, name) == "list"
    for found in read_table(io.BytesIO(raw)):
        assert isinstance(found, ListValue)
        assert not found.observable.value.endswith(("shared.evil.example/", "other.evil.example/"))


URL_TAIL = st.text("ab0=./?&-_~", max_size=8)


@given(
    st.lists(st.tuples(URL_TAIL, URL_TAIL), min_size=2, max_size=8),
    st.sampled_from([";", ",", "|", ";;", ",x,"]),
    st.sampled_from(["http://", "hxxps://", ""]),
    st.sampled_from(["", "url\n", "note about;urls,all|of them\n"]),
    st.sampled_from(["x.txt", "x.csv"]),
)
def test_no_whole_host_comes_of_a_url_with_separators(
    tails: list[tuple[str, str]], sign: str, scheme: str, above: str, name: str
) -> None:
    lines = [f"{scheme}host-{number}.example/{one}{sign}{other}" for number, (one, other) in enumerate(tails)]
    raw = (above + "\n".join(lines) + "\n").encode()
    try:
        found = list(read_table(io.BytesIO(raw)))
    except AuthorError as error:
        assert error.reason in ("which-column", "no-values")
        return
    wholes = {detect(line).value for line in lines if "://" in line}
    assert {one.observable.value for one in found if isinstance(one, ListValue)} <= wholes
    assert detect_format(raw, name) in ("list", "csv")


def test_a_single_column_of_urls_under_its_header_is_not_cut() -> None:
    raw = b"url\n" + b"http://shared.evil.example/;x=1\n" * 9
    assert detect_format(raw, "x.csv") == "csv"
    assert read(raw) == [f"{line} http://shared.evil.example/;x=1" for line in range(2, 11)]


def test_lines_that_may_be_urls_or_rows_are_asked_about_under_any_name() -> None:
    rows = "".join(
        f"http://p{n}.evil.example/a,2026-01-0{n},{'ab' * 31}{n:02}\n" for n in range(1, 6)
    ).encode()
    for raw in (
        rows,
        b"evil.example/a;b\nevil.example/c;d\n",
        b"adresse,statut\nhttp://evil.example/a,online\n" * 1,
    ):
        for name in ("x.csv", "x.txt"):
            asked(raw, name=name)
    found = [line for line in read(rows, "1") if not line.endswith("!")]
    assert found == [f"{n} http://p{n}.evil.example/a" for n in range(1, 6)]


def test_a_header_makes_rows_of_urls() -> None:
    assert read(b"url,status\nhttp://evil.example/a,online\n") == ["2 http://evil.example/a"]
    assert read(b"# url,status\nhttp://evil.example/a,online\n") == ["2 http://evil.example/a"]


# --- a header is obeyed


OF_OTHERS = [
    "victim", "victim_ip", "VictimIP", "Victims", "infected host", "affected domain", "customer", "client ip", "target", "Target-URL", "compromised_host", "our ip",
    "name", "contact", "user", "owner", "mail", "email", "e-mail", "Email Address", "responsible person", "analyst",
    "reporter", "reported by", "submitter", "submitted_url", "provider", "abuse", "registrar", "whois",
    "reference", "References", "ref", "link", "report url", "source", "source_url", "advisory", "blog post", "details", "virustotal link", "screenshot url",
    "benign", "whitelist", "known good", "legitimate domain", "allowlist", "clean_md5", "impersonated brand", "original url", "false positive",
    "opfer", "betroffene ip", "referenz", "quelle", "r\u00e9f\u00e9rence", "URL de r\u00e9f\u00e9rence", "v\u00edctima", "fuente", "adresse", "x",
    "ja3_md5", "cert sha1", "thumbprint",
]  # fmt: skip
CELLS = {
    "domain": ["a.example", "b.example"],
    "url": ["https://a.example/x", "https://b.example/y"],
    "ip": ["192.0.2.61", "192.0.2.62"],
    "email": ["a@a.example", "b@b.example"],
    "md5": ["0a" * 15 + "0b", "0a" * 15 + "0c"],
}


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("title", OF_OTHERS)
def test_a_column_of_somebody_is_not_taken_for_being_the_only_one(title: str, kind: str) -> None:
    one, other = CELLS[kind]
    asked(f"{title},port,seen\n{one},1,2026-01-08\n{other},2,2026-01-08\n".encode())
    asked(f"seen\t{title}\n2026-01-08\t{one}\n2026-01-08\t{other}\n".encode(), name="x.tsv")
    asked(
        f"# seen;{title};port\n2026-01-08;{one};1\n2026-01-08;{other};2\n".encode()
    ) if title != "name" and title != "adresse" and title != "x" else None


@pytest.mark.parametrize("title", ["victim_ip", "reference", "whitelist", "email", "opfer", "our hosts"])
@pytest.mark.parametrize("name", ["x.csv", "x.txt", "-"])
def test_a_single_column_of_somebody_is_no_list(title: str, name: str) -> None:
    asked(f"{title}\n192.0.2.61\n192.0.2.62\n".encode(), name=name)
    asked(f"{title}\tport\n192.0.2.61\t80\n192.0.2.62\t80\n".encode(), name=name)


@pytest.mark.parametrize(
    ("title", "cell"),
    [("Distribution URL Observed", "http://a.example/x"), ("remote ip", "192.0.2.1"), ("SHA256 of sample", "ab" * 32), ("source ip", "192.0.2.1"), ("Indicator of Compromise", "a.example")],
)  # fmt: skip
def test_a_column_that_names_a_kind_of_value_is_taken_for_being_the_only_one(title: str, cell: str) -> None:
    assert read(f"seen,{title}\n2026,{cell}\n".encode())[-1].startswith(f"2 {cell}")


def test_what_stands_beside_a_column_of_values_is_told_and_not_read() -> None:
    assert read(b"sample sha256,reference\n" + b"ab" * 32 + b",https://news.example/1\n") == [
        "column 1 (sample sha256) column-assumed!",
        "column 2 (reference) column-not-read!",
        "2 " + "ab" * 32,
    ]


SHADOWSERVER = [
    "timestamp,ip,port,protocol,hostname,tag,asn,geo,naics,sector",
    "timestamp,severity,ip,protocol,port,hostname,tag,asn,geo,region,city,hostname_source",
    "timestamp,protocol,src_ip,src_port,src_asn,src_geo,src_naics,src_sector,dst_ip,dst_port,infection,family",
    "timestamp,ip,port,asn,geo,type,infection,url,agent,cc,cc_port,cc_asn,cc_dns,machine_name",
    "seen,source ip,source port,destination ip,malware",
    "seen,ip,sinkhole,malware",
    "victim,group,domain,seen",
    "hostname,os,owner",
    "ip address,asset tag,department",
]


@pytest.mark.parametrize("header", SHADOWSERVER)
def test_a_report_about_victims_or_own_machines_is_asked_about(header: str) -> None:
    def cell(title: str, number: int) -> str:
        if title.endswith(("ip", "ip address")):
            return f"192.0.2.{number}"
        return f"h{number}.isp.example" if title in ("hostname", "domain", "cc_dns") else "1"

    titles = header.split(",")
    rows = "".join(",".join(cell(title, number) for title in titles) + "\n" for number in (10, 11))
    message = str(asked(f"{header}\n{rows}".encode()))
    assert "seems to tell about" in message
    assert "192.0.2.10" in message or "h10.isp.example" in message
    wanted = next(title for title in titles if title.endswith(("ip", "hostname", "domain", "ip address")))
    assert len(read(f"{header}\n{rows}".encode(), wanted)) == 2


def test_a_column_that_says_bad_is_read_beside_victims() -> None:
    raw = b"victim_ip,c2_ip,naics\n192.0.2.1,198.51.100.1,5\n"
    assert read(raw) == ["column 1 (victim_ip) column-not-read!", "2 198.51.100.1"]


def test_hashes_of_known_software_are_no_indicators_and_those_beside_victims_are() -> None:
    asked(
        b'"SHA-1","MD5","FileName","ProductCode","OpSystemCode"\n"'
        + b"ab" * 20
        + b'","'
        + b"cd" * 16
        + b'","a.exe",1,"358"\n'
    )
    raw = b"victim_ip,sha256\n192.0.2.1," + b"ab" * 32 + b"\n"
    assert read(raw) == ["column 1 (victim_ip) column-not-read!", "2 " + "ab" * 32]


def test_a_header_below_a_title_is_obeyed() -> None:
    rows = "".join(f"192.0.2.{number},3389,2026-01-08\n" for number in range(20))
    for title, seen in (
        ("Infected machines", "Infected machines"),
        ("Week 2, 2026", "victim_ip"),
        ("Week 2", "victim_ip"),
    ):
        message = str(asked(f"{title}\nvictim_ip,port,seen\n{rows}".encode()))
        assert f"tell about victims ({seen})" in message
        assert "with 192.0.2.0" in message


def test_email_addresses_are_taken_only_where_somebody_says_so() -> None:
    asked(b"A,Hospital,a@hospital.example\nB,CERT,b@cert.example\n")
    assert read(b"domain,n\nevil.example,1\nabuse@provider.example,2\n") == [
        "2 evil.example",
        "3, column 1 email-not-named",
    ]
    for title in ("indicator", "ioc", "value", "phishing email"):
        assert read(f"{title},n\nbad@evil.example,1\n".encode()) == ["2 bad@evil.example"]
    assert read(b"mail,n\nbad@evil.example,1\n", "mail") == ["2 bad@evil.example"]


def test_values_of_a_table_tell_their_column() -> None:
    found = [one for one in read_table(io.BytesIO(b"n,ip\n1,192.0.2.1\n")) if isinstance(one, ListValue)]
    assert [one.column for one in found] == ["column 2 (ip)"]


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
