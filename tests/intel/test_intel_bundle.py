"""Bundles: one bad object costs that object; every byte of the good ones is kept; the rest is told with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.errors import AuthorError
from p2pshare.intel.bundle import BundleObject, frames, object_of, read_stix
from p2pshare.intel.json_text import Fault
from p2pshare.limits import (
    FRAME_OBJECTS_MAX,
    INPUT_BYTES_MAX,
    INPUT_COMMAS_MAX,
    JSON_DEPTH_MAX,
    OBJECT_BYTES_MAX,
    OBJECTS_PER_BUNDLE_MAX,
)

UUID = "34655650-3d18-47b5-bb6c-b9bdb7b26203"
INSTANT = "2023-07-28T12:14:36.194Z"


def indicator(**changes: Any) -> dict[str, Any]:
    stix = {
        "type": "indicator",
        "spec_version": "2.1",
        "id": f"indicator--{UUID}",
        "created": INSTANT,
        "modified": INSTANT,
        "pattern": "[domain-name:value = 'evil.example']",
        "pattern_type": "stix",
        "valid_from": INSTANT,
    }
    stix.update(changes)
    return {key: value for key, value in stix.items() if value is not ...}


def numbered(number: int, **changes: Any) -> dict[str, Any]:
    return indicator(id=f"indicator--{number:08x}{UUID[8:]}", **changes)


def bundle(*objects: Any) -> bytes:
    texts = [one if isinstance(one, str) else json.dumps(one) for one in objects]
    return f'{{"type":"bundle","id":"bundle--{UUID}","objects":[{",".join(texts)}]}}'.encode()


def refused(raw: bytes) -> AuthorError:
    with pytest.raises(AuthorError) as caught:
        read_stix(raw)
    return caught.value


def test_bytes_are_kept_as_they_were_written() -> None:
    odd = (
        '{ "type":"x-evil" ,"id": "x-evil--' + UUID + '",\n  "é":"\\u00e9","n":1.50e0,'
        '"big":123456789012345678901234567890, "nested":{"a":[ ]} }'
    )
    reading = read_stix(bundle(indicator(), odd))
    assert [one.raw.decode() for one in reading.objects] == [json.dumps(indicator()), odd]
    assert (reading.read, reading.refusals.total) == (2, 0)


@pytest.mark.parametrize(
    "raw",
    [
        json.dumps(indicator()).encode(),
        b" \n" + json.dumps(indicator()).encode() + b"\n",
        json.dumps([indicator()]).encode(),
        b"\xef\xbb\xbf" + bundle(indicator()),
        json.dumps({"more": False, "objects": [indicator()]}).encode(),
        json.dumps({"objects": [indicator()], "type": "bundle", "spec_version": "2.0", "id": "x"}).encode(),
    ],
)
def test_a_bundle_a_list_and_a_bare_object_are_read(raw: bytes) -> None:
    assert [one.object_id for one in read_stix(raw).objects] == [f"indicator--{UUID}"]


BAD_OBJECTS = [
    (indicator(id="indicator--1"), "bad-id", "objects[1]/id"),
    (indicator(id=f"malware--{UUID}"), "bad-id", "objects[1]/id"),
    (indicator(type="Indicator"), "bad-type", "objects[1]/type"),
    (indicator(type=7), "bad-type", "objects[1]/type"),
    (indicator(pattern=...), "missing-property", "objects[1]/pattern"),
    (indicator(pattern_type=...), "missing-property", "objects[1]/pattern_type"),
    (indicator(modified=...), "missing-property", "objects[1]/modified"),
    (indicator(created="yesterday"), "bad-timestamp", "objects[1]/created"),
    (indicator(valid_until=5), "bad-timestamp", "objects[1]/valid_until"),
    (indicator(confidence=101), "wrong-type", "objects[1]/confidence"),
    (indicator(confidence=True), "wrong-type", "objects[1]/confidence"),
    (indicator(revoked="no"), "wrong-type", "objects[1]/revoked"),
    (indicator(labels=[1]), "wrong-type", "objects[1]/labels"),
    (indicator(object_marking_refs=["green"]), "bad-id", "objects[1]/object_marking_refs"),
    (indicator(granular_markings=[{}]), "wrong-type", "objects[1]/granular_markings"),
    ({"type": "relationship", "id": f"relationship--{UUID}", "created": INSTANT, "modified": INSTANT,
      "relationship_type": "indicates", "source_ref": f"indicator--{UUID}"}, "missing-property", "objects[1]/target_ref"),
    ({"type": "domain-name", "id": f"domain-name--{UUID}"}, "missing-property", "objects[1]/value"),
    ('{"type":"indicator","type":"malware"}', "duplicate-key", "objects[1]/type"),
    ('{"type":"indicator","x":[{"y":NaN}]}', "not-a-number", "objects[1]/x/0/y"),
    (indicator(name="a\ud800b"), "half-surrogate", "objects[1]/name"),
    (indicator(x_y=[{"z": "\udc00"}]), "half-surrogate", "objects[1]/x_y/0/z"),
    (indicator(**{"x_\udfff": "\ude00\ud83d"}), "half-surrogate", "objects[1]"),
    ('{"type":"x","a":' + "[" * JSON_DEPTH_MAX + "]" * JSON_DEPTH_MAX + "}", "too-deep", "objects[1]"),
    ('{"type":"x","a":' + "[" * 100_000 + "]" * 100_000 + "}", "too-deep", "objects[1]"),
    ("7", "not-an-object", "objects[1]"),
    ('"0"', "not-an-object", "objects[1]"),
    ("null", "not-an-object", "objects[1]"),
    ("[]", "not-an-object", "objects[1]"),
    ({"type": "bundle", "id": f"bundle--{UUID}", "objects": []}, "nested-bundle", "objects[1]"),
    (numbered(1, pattern="[domain-name:value = 'other.example']"), "duplicate-id", ""),
    (numbered(1), "repeated", ""),
    (indicator(description="x" * OBJECT_BYTES_MAX), "object-too-large", "objects[1]"),
]  # fmt: skip


@pytest.mark.parametrize(("bad", "reason", "place"), BAD_OBJECTS)
def test_one_bad_object_among_good_ones_costs_only_itself(bad: Any, reason: str, place: str) -> None:
    reading = read_stix(bundle(numbered(1), bad, numbered(2)))
    assert [one.object_id[11:19] for one in reading.objects] == ["00000001", "00000002"]
    (told,) = reading.refusals.to_json()
    assert (told["reason"], told["count"]) == (reason, 1)
    assert told["examples"][0].startswith(place)
    assert reading.read == 3


def test_an_object_at_the_size_limit_is_read() -> None:
    padding = OBJECT_BYTES_MAX - len(json.dumps(indicator(description="")))
    assert len(read_stix(bundle(indicator(description="x" * padding))).objects) == 1
    assert len(read_stix(bundle(indicator(description="x" * (padding + 1)))).objects) == 0


def test_versions_of_one_object_are_two_objects() -> None:
    reading = read_stix(bundle(indicator(), indicator(modified="2024-01-01T00:00:00Z")))
    assert (len(reading.objects), reading.refusals.total) == (2, 0)


def test_the_same_object_written_differently_is_only_repeated() -> None:
    reading = read_stix(bundle(indicator(), json.dumps(indicator(), indent=1)))
    assert reading.refusals.counts == {"repeated": 1}


@pytest.mark.parametrize(
    ("raw", "reason", "words"),
    [
        (b"", "not-json", "line 1, column 1"),
        (b"{\n  \"type\": tru }", "not-json", "line 2, column 12"),
        ('{"é": ,'.encode(), "not-json", "line 1, column 7"),
        (bundle(indicator())[:-30], "not-json", "line 1"),
        (b"<xml/>", "not-json", "line 1, column 1"),
        (b'{"Event":{}}', "not-stix", ""),
        (b'"text"', "not-stix", ""),
        (b"7", "not-stix", ""),
        (b'{"type":"bundle","objects":{}}', "not-stix", ""),
        (b'{"type":"bundle","objects":[],"objects":[]}', "duplicate-key", ""),
        (b'{"type":"bundle","objects":[7],"\\u006fbjects":[]}', "duplicate-key", ""),
        (b'{"type":"bundle","id":1,"id":2,"objects":[]}', "duplicate-key", ""),
        (b'{"type":"bundle",\n"id":"\\ud83d!","objects":[]}', "half-surrogate", "line 2, column 7"),
        (b'{"type":"bundle",\n"id":"\\ud83d', "not-json", "line 2, column 13"),
        (b"[" * 100_000, "too-deep", ""),
        (b'{"a":' * 100_000, "too-deep", ""),
        ("{}".encode("utf-16"), "encoding", ""),
        (b'{"type":"\xff"}', "not-utf8", ""),
        (b" " * (INPUT_BYTES_MAX + 1), "input-too-large", ""),
    ],
)  # fmt: skip
def test_a_file_of_which_nothing_can_be_read_says_why(raw: bytes, reason: str, words: str) -> None:
    error = refused(raw)
    assert error.reason == reason
    assert words in error.message
    assert error.hint


def test_bundles_in_bundles_are_not_unpacked() -> None:
    assert read_stix(b'{"type":"bundle","objects":[' * 40 + b"]}" * 40).refusals.counts == {"too-deep": 1}
    assert read_stix(b'{"type":"bundle","objects":[' * 9 + b"]}" * 9).refusals.counts == {"nested-bundle": 1}


def test_every_truncation_is_told_and_none_crashes() -> None:
    raw = bundle(indicator(), numbered(1))
    for length in range(len(raw)):
        assert refused(raw[:length]).reason in ("not-json", "not-stix")


@given(st.data())
def test_flipped_bytes_never_crash_and_counts_add_up(data: st.DataObject) -> None:
    raw = bytearray(bundle(indicator(), numbered(1), numbered(2)))
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        reading = read_stix(bytes(raw))
    except AuthorError:
        return
    assert reading.read == len(reading.objects) + reading.refusals.total


@given(st.binary(max_size=60) | st.text('[]{}",:0NaN type', max_size=60).map(str.encode))
def test_no_bytes_crash(raw: bytes) -> None:
    try:
        read_stix(raw)
    except AuthorError as error:
        assert error.reason


def test_a_hostile_64_mib_file_is_refused(shared_data: Path) -> None:
    del shared_data  # slow machines that have no data skip it as well
    assert refused(b"[" * INPUT_BYTES_MAX).reason == "too-deep"


def test_more_parts_than_a_real_file_has_are_refused_before_they_are_listed() -> None:
    def of(commas: int) -> bytes:
        return bundle(indicator(description="")).replace(b'n": ""', b'n": "' + b"," * commas + b'"', 1)

    commas = INPUT_COMMAS_MAX - of(0).count(b",")
    assert read_stix(of(commas)).refusals.counts == {"object-too-large": 1}
    assert refused(of(commas + 1)).reason == "too-many-objects"
    assert refused(b"[" + b"0," * INPUT_COMMAS_MAX + b"0,0]").reason == "too-many-objects"
    assert refused(b"[" + b"0," * OBJECTS_PER_BUNDLE_MAX + b"0]").reason == "too-many-objects"
    assert read_stix(b"[" + b"0," * (OBJECTS_PER_BUNDLE_MAX - 1) + b"0]").read == OBJECTS_PER_BUNDLE_MAX


def test_frames_hold_the_very_bytes_and_no_more_than_they_may() -> None:
    objects = [read_stix(bundle(numbered(1))).objects[0]] * (FRAME_OBJECTS_MAX * 2 + 1)
    made = list(frames(objects))
    assert [len(json.loads(frame)) for frame in made] == [FRAME_OBJECTS_MAX, FRAME_OBJECTS_MAX, 1]
    assert made[2] == b"[" + objects[0].raw + b"]"
    large = BundleObject(b'"' + b"x" * (OBJECT_BYTES_MAX - 2) + b'"', "", "", "", None, (), (), None)
    assert [len(json.loads(frame)) for frame in frames([large] * 9)] == [7, 2]


def test_real_bundles_are_read_whole(shared_data: Path) -> None:
    read = 0
    for path in [
        *(shared_data / "stix20").rglob("*.json"),
        *(shared_data / "stix21").rglob("*.stix2"),
        *(shared_data / "stix21/oasis-schemas-examples/examples").rglob("*.json"),
        shared_data / "stix21/attack/ics-attack-9.0.json",
    ]:
        raw = path.read_bytes()
        reading = read_stix(raw)
        tree = json.loads(raw)
        expected = tree["objects"] if tree["type"] == "bundle" else [tree]
        assert [json.loads(one.raw) for one in reading.objects] == expected, path
        assert all(one.raw in raw for one in reading.objects)
        read += reading.read
    assert read > 5_500


def test_schemas_are_json_but_no_stix(shared_data: Path) -> None:
    for path in (shared_data / "stix21/oasis-schemas-examples/schemas").rglob("*.json"):
        assert refused(path.read_bytes()).reason == "not-stix"


def test_an_object_of_a_reader_of_ours_is_checked_like_any_other() -> None:
    tool: dict[str, object] = {
        "type": "tool",
        "spec_version": "2.1",
        "id": "tool--00000000-0000-4000-8000-000000000001",
        "created": "2026-01-01T00:00:00Z",
        "modified": "2026-01-01T00:00:00Z",
        "name": "x",
    }
    assert isinstance(object_of(tool), BundleObject)
    assert object_of(tool | {"name": "\ud800"}) == Fault("not-utf8", "")
    assert object_of(tool | {"name": 7}) == Fault("wrong-type", "/name")
    assert object_of(tool | {"x": "y" * OBJECT_BYTES_MAX}) == Fault("object-too-large", "")


LATER = "2023-07-28T12:14:36.195Z"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"pattern": "[domain-name:value = 'evil.example'"}, "bad-pattern"),
        ({"pattern": "[domain-name:value = 'evil.example'", "spec_version": ..., "pattern_type": ...}, "bad-pattern"),
        ({"pattern": "evil.example"}, "bad-pattern"),
        ({"pattern": "[domain-name:value = 'evil.example'", "x_other": [1]}, "bad-pattern"),
        ({"valid_until": INSTANT}, "already-over"),
        ({"valid_until": "2023-07-28T12:14:36.193Z"}, "already-over"),
        ({"valid_until": "2023-07-28T13:14:36.194+01:00"}, "already-over"),
        ({"valid_until": INSTANT, "confidence": 5, "granular_markings": [{"lang": "en"}]}, "already-over"),
        ({"valid_until": LATER}, ""),
        ({"pattern": "[a:b = 1] AND [c:d LIKE 'x']"}, ""),
        ({"pattern": "rule evil { condition: true }", "pattern_type": "yara"}, ""),
        ({"pattern": "[domain-name:value = 'evil.example'", "valid_until": INSTANT, "revoked": True}, ""),
    ],
)  # fmt: skip
def test_an_indicator_that_can_never_tell_anything_is_refused_unless_it_takes_back(
    changes: dict[str, Any], reason: str
) -> None:
    reading = read_stix(bundle(numbered(1), indicator(**changes)))
    assert len(reading.objects) == (1 if reason else 2)
    place = "/pattern" if reason == "bad-pattern" else "/valid_until"
    expected = [{"reason": reason, "count": 1, "examples": [f"objects[1]{place}"]}] if reason else []
    assert reading.refusals.to_json() == expected
