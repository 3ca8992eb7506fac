"""Value lists: every line that holds something gives one value or one refusal, whatever the bytes."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.errors import AuthorError
from p2pshare.importers.detection import detect_format
from p2pshare.importers.interface import ListValue, TextMarking
from p2pshare.importers.values import read_list, strip_comment
from p2pshare.intel.refusals import Refusal
from p2pshare.limits import LIST_LINE_BYTES_MAX, MIB


def read(raw: bytes) -> list[str]:
    """Each value as `line type value note`, each refusal as `line reason`."""
    shown = []
    for one in read_list(io.BytesIO(raw)):
        if isinstance(one, ListValue):
            shown.append(f"{one.line} {one.observable.type} {one.observable.value} {one.note}".rstrip())
        elif isinstance(one, Refusal):
            shown.append(f"{one.where.removeprefix('line ')} {one.reason}")
    return shown


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", []),
        (b"\n \t\r\n# comment\n// comment\n; comment\n", []),
        (b"evil.example", ["1 domain evil.example"]),
        (b"\xef\xbb\xbfevil.example\r\nevil2.example\r\n", ["1 domain evil.example", "2 domain evil2.example"]),
        (b"\xef\xbb\xbf# Title\nevil.example", ["2 domain evil.example"]),
        (b"a.example\rb.example", ["1 domain a.example", "1 domain b.example"]),
        (b"192.0.2.1\t8\n", ["1 ipv4 192.0.2.1"]),
        (b"192.0.2.1:443\n", ["1 ipv4 192.0.2.1 port-dropped"]),
        (b"192.0.2.0/24 # net\n", ["1 ipv4-net 192.0.2.0/24"]),
        (b"evil.example (# was seen)\n", ["1 domain evil.example"]),
        (b"http://evil.example/(#a\n", ["1 url http://evil.example/(#a"]),
        (b"http://evil.example/;x=1\n", ["1 url http://evil.example/;x=1"]),
        (b"192.0.2.0-255\n198.51.100.4 - 198.51.100.7\n", ["1 address-range", "2 address-range"]),
        (b"192.0.2.0/255.255.255.0\n", ["1 ipv4-net 192.0.2.0/24 netmask"]),
        ("evil\u2013host.example\nevil.example\u201d\n".encode(), ["1 typography", "2 typography"]),
        (b"evil.example/a/# C2 (see http://x.example)\n", ["1 url http://evil.example/a/ scheme-assumed"]),
        (b"evil.example    # was: d\xc3\xa9colar\n", ["1 domain evil.example"]),
        (b"evil.example # latin-1 \xe9\n", ["1 domain evil.example"]),
        (b"http://evil.example/a#b\n", ["1 url http://evil.example/a#b"]),
        (b"http://evil.example/a;b // note\n", ["1 url http://evil.example/a;b"]),
        (b"hxxp://evil[.]example/\n", ["1 url http://evil.example/"]),
        (b"- evil[.]example\n* 192[.]0.2.1\n", ["1 domain evil.example", "2 ipv4 192.0.2.1"]),
        (b"192.0.2[.]193\tCobalt Strike C2 communication\t\n", ["1 ipv4 192.0.2.193"]),
        (b"0.0.0.0 evil.example\n127.0.0.1\tevil.example\n", ["1 domain evil.example hosts-file"] * 1 + ["2 domain evil.example hosts-file"]),
        (b"0.0.0.0\n", ["1 ipv4 0.0.0.0"]),
        (b"127.0.0.1 a.example b.example\n", ["1 several-values"]),
        (b"evil.example\t192.0.2.1\n", ["1 several-values"]),
        (b"evil.example,192.0.2.1\n", ["1 not-one-value"]),
        (b"evil.example is bad\n", ["1 not-one-value"]),
        (b"http://evil.example/,2016-08-17 06:31:00,abc\n", ["1 not-one-value"]),
        (b"/gate.php\n", ["1 path-only"]),
        (b"SHA256\n", ["1 unknown-type"]),
        (b"evil\x00.example\n", ["1 unsafe-characters"]),
        (b"\x80\x81\xff\n", ["1 not-utf8"]),
        ("evil\u202e.example\n".encode(), ["1 unsafe-characters"]),
    ],
)  # fmt: skip
def test_lines_as_people_write_them(raw: bytes, expected: list[str]) -> None:
    assert read(raw) == expected


def test_a_line_of_a_megabyte_costs_one_refusal() -> None:
    assert read(b"a.example\n" + b"x" * MIB + b"\nb.example\n" + b"y" * MIB) == [
        "1 domain a.example",
        "2 line-too-long",
        "3 domain b.example",
        "4 line-too-long",
    ]


def test_a_line_at_the_limit_is_read_and_one_above_is_not() -> None:
    line = b"a.example #".ljust(LIST_LINE_BYTES_MAX - 1, b"x")
    assert read(line + b"\n") == ["1 domain a.example"]
    assert read(line + b"xx\n") == ["1 line-too-long"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_other_encodings_are_told(encoding: str) -> None:
    with pytest.raises(AuthorError) as caught:
        read("evil.example".encode(encoding))
    assert caught.value.reason == "encoding"


class CountingStream(io.RawIOBase):
    """Ten million lines that exist only while they are read."""

    def __init__(self, lines: int) -> None:
        self._lines = lines
        self.largest = 0

    def readline(self, size: int | None = -1) -> bytes:
        self.largest = max(self.largest, size or 0)
        self._lines -= 1
        return b"192.0.2.1\n" if self._lines >= 0 else b""


def test_a_list_streams_and_asks_for_bounded_lines() -> None:
    stream = CountingStream(20_000)
    assert sum(1 for _ in read_list(stream)) == 20_000  # type: ignore[arg-type]
    assert stream.largest == LIST_LINE_BYTES_MAX + 1


@given(st.binary(max_size=300) | st.text("ae.:/# \t\n\r[]()-;@\x00\u202e1\"',", max_size=300).map(str.encode))
def test_no_bytes_crash_and_every_line_is_accounted_for(raw: bytes) -> None:
    try:
        found = read(raw)
    except AuthorError:
        return
    pieces = raw.removeprefix(b"\xef\xbb\xbf").replace(b"\r", b"\n").split(b"\n")
    told = [piece for piece in pieces if strip_comment(piece.decode("utf-8", "surrogateescape"))]
    assert len(found) == len(told)


def test_naughty_strings_are_refused_or_canonical(shared_data: Path) -> None:
    texts = json.loads((shared_data / "formats/naughty-strings/blns.json").read_text())
    outcomes = Counter(
        type(one).__name__
        for text in texts
        for one in read_list(io.BytesIO(text.encode("utf-8", "surrogatepass")))
    )
    assert outcomes["Refusal"] > 300


def list_files(shared_data: Path) -> list[Path]:
    folder = shared_data / "lists"
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".md" and path.name != "LICENSE"
    ]


def test_real_lists_add_up(shared_data: Path) -> None:
    values = refused = 0
    for path in list_files(shared_data):
        raw = path.read_bytes()
        found = [one for one in read_list(io.BytesIO(raw)) if not isinstance(one, TextMarking)]
        pieces = raw.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        told = [piece for piece in pieces if strip_comment(piece.decode("utf-8", "surrogateescape"))]
        assert len(found) == len(told), path
        values += sum(isinstance(one, ListValue) for one in found)
        refused += sum(isinstance(one, Refusal) for one in found)
    assert values > 37_000
    assert refused < values


def test_ipsum_is_read_to_the_last_address(shared_data: Path) -> None:
    for path in (shared_data / "lists/ipsum/levels").iterdir():
        expected = path.read_text().split()
        assert read(path.read_bytes()) == [
            f"{line} ipv4 {text}" for line, text in enumerate(expected, start=1)
        ]


def test_maltrail_refuses_only_paths_and_sentences(shared_data: Path) -> None:
    reasons: Counter[str] = Counter()
    for path in (shared_data / "lists/maltrail/malware").iterdir():
        with path.open("rb") as stream:
            reasons.update(one.reason for one in read_list(stream) if isinstance(one, Refusal))
    assert reasons == {"path-only": 201, "not-one-value": 2}  # `/send-to-me|`


@pytest.mark.parametrize(
    ("head", "name", "expected"),
    [
        (b'{"type":"bundle"', "x.txt", "stix"),
        (b'\xef\xbb\xbf \n[ {"type"', "", "stix"),
        (b"[]", "", "stix"),
        (b"[.]example", "", "list"),
        (b"evil.example", "feed.txt", "list"),
        (b"", "", "list"),
        (b"tru", "damaged.json", "stix"),
        (b'{"type":"bundle","Object":1,"objects":[', "", "stix"),
        (b'{"Event":{"objects":1', "", "misp"),
        (b'[{"Event":', "", "misp"),
        (b'{"info":"\\"Event\\":","date":1}', "", "stix"),
        (b"ioc,n\nevil.example,1\n", "", "csv"),
        (b"ioc\nevil.example\n", "x.csv", "csv"),
        (b"", "x.STIX2", "stix"),
    ],
)
def test_formats_are_told_by_beginning_and_name(head: bytes, name: str, expected: str) -> None:
    assert detect_format(head, name) == expected


@given(
    st.one_of(
        st.binary(max_size=300),
        st.text(st.sampled_from(list('{}[]",:\\ab.\n\t #|;')), max_size=200).map(str.encode),
    )
)
def test_any_beginning_is_told_or_refused_as_a_whole(head: bytes) -> None:
    try:
        assert detect_format(head)
    except AuthorError as error:
        assert error.reason == "encoding"
