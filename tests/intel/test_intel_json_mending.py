"""Faults that leave no doubt are mended and told; all others stay errors; what is mended is what was written."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.errors import AuthorError
from p2pshare.identifiers import PartnerId
from p2pshare.importers.detection import detect_format
from p2pshare.importers.interface import InputSource
from p2pshare.importers.misp import read_misp
from p2pshare.intel.bundle import Reading, read_stix
from p2pshare.intel.json_mending import mend
from p2pshare.intel.refusals import Refusals


def indicator(number: int) -> bytes:
    return json.dumps(
        {
            "type": "indicator",
            "spec_version": "2.1",
            "id": f"indicator--00000000-0000-4000-8000-{number:012}",
            "created": "2026-01-01T00:00:00.000Z",
            "modified": "2026-01-01T00:00:00.000Z",
            "pattern": "[domain-name:value = 'evil,]example.example']",
            "pattern_type": "stix",
            "valid_from": "2026-01-01T00:00:00Z",
        }
    ).encode()


def misp(raw: bytes) -> Reading:
    return read_misp(raw, InputSource("-", PartnerId(bytes(32)), 1_790_000_000))


ATTRIBUTE = b'{"type": "domain", "value": "a.example", "to_ids": true}'


def event(number: int) -> bytes:
    return b'{"Event": {"info": "%d", "date": "2026-01-01", "Attribute": [%b]}}' % (number, ATTRIBUTE)


def test_a_trailing_comma_at_line_37374_costs_nothing_and_is_told() -> None:
    raw = b'{"type": "bundle", "objects": [\n' + b",\n".join(map(indicator, range(37_372))) + b",\n]}"
    assert raw.count(b"\n", 0, raw.rindex(b",")) + 1 == 37_373
    reading = read_stix(raw)
    assert (len(reading.objects), reading.refusals.total) == (37_372, 0)
    assert reading.objects[5].raw == indicator(5)
    assert reading.notes.to_json() == [{"reason": "trailing-comma", "count": 1, "examples": ["line 37373"]}]
    assert misp(b"[" + event(1) + b",\n]").notes.counts == {"trailing-comma": 1}


def test_lines_of_json_named_json_are_read_and_a_bad_line_costs_itself() -> None:
    raw = b"\n".join([indicator(1), b"{oops}", indicator(2), b"", b'{"objects": [' + indicator(3) + b"]}"])
    assert detect_format(raw, "feed.json") == "stix"
    reading = read_stix(raw)
    assert [one.object_id[-1] for one in reading.objects] == ["1", "2", "3"]
    assert reading.refusals.counts == {"not-json": 1}
    assert reading.notes.counts == {"json-lines": 1}
    events = b"\r\n".join([event(1), b'{"Event": 1}', b'{"Event": ', event(2), event(3)])
    assert detect_format(events, "feed.json") == "misp"
    found = misp(events)
    assert found.refusals.counts == {"not-misp": 1, "not-json": 1}
    assert sum(one.type == "report" for one in found.objects) == 3


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[1 2]",
        b'{"a": 1}}',
        b"{oops}\n{}",
        b'{"objects": [}]',
        b'{"objects": "unclosed,]',
        b"[{,}]",
        b'{"objects": [1,,]}',
        b'{"a": 1}\n[1]',
    ],
)
def test_other_faults_stay_errors(raw: bytes) -> None:
    for read in (read_stix, misp):
        with pytest.raises(AuthorError) as caught:
            read(raw)
        assert caught.value.reason in ("not-json", "not-stix", "not-misp")


def test_escaped_quotes_without_end_cost_one_pass() -> None:
    """Each of them could begin a string that goes on to the end of the text."""
    raw = b'{"Event": "' + b'\\"' * 1_000_000
    assert detect_format(raw, "x.json") == "misp"
    assert mend(raw, Refusals()) == []
    for read in (read_stix, misp):
        with pytest.raises(AuthorError):
            read(raw)


@given(
    st.recursive(st.one_of(st.text(), st.integers()), lambda inner: st.lists(inner, min_size=1, max_size=3))
)
def test_mending_changes_commas_and_nothing_that_is_written(value: object) -> None:
    whole = json.dumps([value])
    (mended,) = mend((whole[:-1] + ",]").encode(), Refusals())
    assert mended.decode() == whole
