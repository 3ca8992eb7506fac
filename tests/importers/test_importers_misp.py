"""MISP: the same event gives the same objects, what is read adds up, only what is to be detected claims something."""

from __future__ import annotations

import ipaddress
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from p2pshare.errors import AuthorError
from p2pshare.identifiers import PartnerId
from p2pshare.importers.detection import detect_format
from p2pshare.importers.interface import InputSource
from p2pshare.importers.misp import read_misp
from p2pshare.importers.misp_objects import PAP_IDS
from p2pshare.importers.misp_types import OBSERVABLE_TYPES, marking_of_tags
from p2pshare.intel.bundle import Reading, frames
from p2pshare.intel.extraction import extract
from p2pshare.intel.grouping import Grouping, split_by_marking
from p2pshare.intel.marking import TLP2_IDS, Pap, Tlp, effective
from p2pshare.intel.observable import TYPES
from p2pshare.limits import (
    INPUT_BYTES_MAX,
    JSON_DEPTH_MAX,
    OBJECT_BYTES_MAX,
    OBJECTS_PER_BUNDLE_MAX,
    REPORT_REFS_MAX,
)

NOW = 1_790_000_000
EVENT = "5d9b516c-e5f0-4e7c-a958-5d8c0a019371"
ORGANISATION = "55f6ea5e-2c60-40e5-964f-47a8950d210f"


def uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"


def attribute(
    number: int = 1, type_: str = "domain", value: str = "evil.example", **other: object
) -> dict[str, Any]:
    return {"uuid": uuid(number), "type": type_, "category": "Network activity", "value": value, "timestamp": "1603642920", "to_ids": True, **other}  # fmt: skip


def event(*attributes: object, **other: object) -> bytes:
    plain = {
        "uuid": EVENT,
        "info": "Case",
        "date": "2020-10-01",
        "timestamp": "1603642920",
        "distribution": "3",
        "Orgc": {"uuid": ORGANISATION, "name": "CIRCL"},
        "Attribute": list(attributes),
    }
    return json.dumps({"Event": plain | other}).encode()


def read(raw: bytes, tlp: Tlp | None = Tlp.GREEN) -> Reading:
    reading = read_misp(raw, InputSource("event.json", PartnerId(bytes(32)), NOW, tlp))
    assert reading.read == sum(not one.is_added for one in reading.objects) + reading.refusals.total
    return reading


def group(reading: Reading, tlp: Tlp | None = Tlp.GREEN) -> Grouping:
    grouping = split_by_marking(reading.objects, tlp)
    placed = sum(sum(not one.is_added for one in g.objects) - g.repeats for g in grouping.groups)
    assert placed + grouping.refusals.total == reading.read - reading.refusals.total
    return grouping


def claims(raw: bytes) -> set[tuple[str, str]]:
    found = set()
    for one in group(read(raw)).groups:
        for frame in frames(one.objects):
            extraction = extract(frame, floor=one.tlp)
            assert not extraction.refusals
            found |= {(claim.type, claim.value) for facts in extraction.objects for claim in facts.claims}
    return found


def only(reading: Reading, type_: str) -> dict[str, Any]:
    (found,) = [json.loads(one.raw) for one in reading.objects if one.type == type_]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    ("type_", "value", "expected"),
    [
        ("domain", "EVIL.example", {("domain", "evil.example")}),
        ("domain|ip", "evil.example|192.0.2.1", {("domain", "evil.example"), ("ipv4", "192.0.2.1")}),
        ("hostname|port", "evil.example|8080", {("domain", "evil.example")}),
        ("ip-dst", "2001:DB8::1", {("ipv6", "2001:db8::1")}),
        ("ip-src", "192.0.2.0/24", {("ipv4-net", "192.0.2.0/24")}),
        ("ip-dst|port", "192.0.2.1|80", {("ipv4", "192.0.2.1")}),
        ("filename|md5", "a|b.exe|" + "AB" * 16, {("md5", "ab" * 16)}),
        ("malware-sample", "a.exe|" + "ab" * 16, {("md5", "ab" * 16)}),
        ("url", "hxxp://evil[.]example/a", {("url", "http://evil.example/a")}),
        ("url", "evil.example/a", {("url", "http://evil.example/a")}),
        ("regkey|value", "HKLM\\Software\\x|a|b", {("registry-key", "hkey_local_machine\\software\\x")}),
        ("AS", "AS64500", {("asn", "64500")}),
        ("ja3-fingerprint-md5", "ab" * 16, set()),  # STIX has no pattern for it
        ("yara", "rule a { condition: false }", set()),
        ("text", "evil.example", set()),
        ("sha512/256", "ab" * 32, set()),  # no SHA-256, though as long
    ],
)
def test_what_is_to_be_detected_claims_its_values(type_: str, value: str, expected: set[Any]) -> None:
    assert claims(event(attribute(type_=type_, value=value))) == expected
    assert claims(event(attribute(type_=type_, value=value, to_ids=False))) == set()


@pytest.mark.parametrize(
    ("type_", "value", "reason"),
    [
        ("md5", "ab" * 15, "bad-hash"),
        ("ip-dst", "evil.example", "bad-address"),
        ("domain", "192.0.2.1", "bad-domain"),
        ("filename|md5", "a.exe", "not-two-values"),
        ("url", "http://evil.exam...", "cut-off"),
        ("domain", "", "missing-property"),
    ],
)
def test_a_wrong_value_costs_its_attribute(type_: str, value: str, reason: str) -> None:
    reading = read(event(attribute(1), attribute(2, type_, value)))
    assert reading.refusals.counts == {reason: 1}
    assert "/Event/Attribute/1" in reading.refusals.to_json()[0]["examples"][0]
    assert only(reading, "indicator")["id"] == f"indicator--{uuid(1)}"


def test_an_attribute_that_is_not_to_be_detected_is_a_thing_that_was_seen() -> None:
    reading = read(event(attribute(to_ids="0", first_seen="2020-01-01T01:00:00+01:00", comment="seen")))
    seen, thing = only(reading, "observed-data"), only(reading, "domain-name")
    assert seen["id"] == f"observed-data--{uuid(1)}"
    assert seen["object_refs"] == [thing["id"]]
    assert (seen["first_observed"], seen["x_misp_comment"]) == ("2020-01-01T00:00:00.000Z", "seen")
    assert [one.is_added for one in reading.objects if one.type == "domain-name"] == [True]


@pytest.mark.parametrize("wrap", ["event", "response", "list", "bare", "responses"])
def test_wrappers_do_not_matter(wrap: str) -> None:
    whole = json.loads(event(attribute()))
    shapes = {
        "event": whole,
        "response": {"response": [whole]},
        "list": [whole],
        "bare": whole["Event"],
        "responses": {"response": whole},
    }
    raw = json.dumps(shapes[wrap]).encode()
    assert detect_format(raw, "-") == "misp"
    assert [one.raw for one in read(raw).objects] == [one.raw for one in read(event(attribute())).objects]


def test_the_same_event_twice_is_the_same_objects() -> None:
    one = event(attribute(), attribute(value="a.example", uuid=""), attribute(value="b.example", uuid="a"))
    assert [found.raw for found in read(one).objects] == [found.raw for found in read(one).objects]
    twice = b"[" + one + b"," + one + b"]"
    reading = read(twice)
    assert reading.refusals.counts == {"repeated": 4}
    assert len(reading.objects) == len(read(one).objects)


def test_later_versions_keep_id_and_created() -> None:
    first = only(read(event(attribute())), "indicator")
    later = only(read(event(attribute(timestamp="1603642999"), timestamp="1603642999")), "indicator")
    assert (first["id"], first["created"]) == (later["id"], later["created"])
    assert first["modified"] < later["modified"]


def test_what_was_deleted_ends_and_what_claimed_nothing_is_refused() -> None:
    reading = read(event(attribute(1, deleted=True), attribute(2, to_ids=False, deleted="1")))
    assert only(reading, "indicator")["revoked"] is True
    assert reading.refusals.counts == {"deleted": 1}


@pytest.mark.parametrize(
    ("tags", "level"),
    [
        (["tlp:white"], Tlp.CLEAR),
        (["TLP:CLEAR", "tlp:white"], Tlp.CLEAR),
        (["tlp:green"], Tlp.GREEN),
        (["TLP-AMBER"], Tlp.AMBER),
        (['tlp="amber"'], Tlp.AMBER),
        (["tlp:amber+strict"], Tlp.AMBER_STRICT),
        (["TLP: Amber Strict"], Tlp.AMBER_STRICT),
        (["tlp:red", "apt"], Tlp.RED),
    ],
)
def test_tags_mark(tags: list[str], level: Tlp) -> None:
    reading = read(event(attribute(), Tag=[{"name": tag} for tag in tags]), None)
    assert [one.tlp for one in group(reading, None).groups] == [level]


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ([], "no-marking"),
        (["tlphabet"], "no-marking"),
        (["tlp:green", "tlp:red"], "two-markings"),
        (["tlp:unclear"], "unknown-marking"),
        (["tlp:green", "tlp:ex:chr"], "unknown-marking"),
        (["tlp:green", "PAP:PURPLE"], "unknown-marking"),
    ],
)
def test_a_marking_that_is_not_plain_refuses_everything_it_stands_on(tags: list[str], reason: str) -> None:
    reading = read(event(attribute(), attribute(2, to_ids=False), Tag=[{"name": tag} for tag in tags]), None)
    grouping = group(reading, None)
    assert grouping.groups == []
    assert grouping.refusals.counts == {reason: 3}


@pytest.mark.parametrize(
    ("of_event", "own", "level"),
    [
        ("tlp:amber", "tlp:green", Tlp.AMBER),
        ("tlp:green", "tlp:red", Tlp.RED),
        ("tlp:green", "apt", Tlp.GREEN),
    ],
)
def test_a_tag_only_tightens_what_the_event_says(of_event: str, own: str, level: Tlp) -> None:
    raw = event(attribute(Tag=[{"name": own}]), Tag=[{"name": of_event}])
    (indicator,) = [one for one in read(raw, None).objects if one.type == "indicator"]
    assert indicator.marking_refs == (TLP2_IDS[level],)


def test_a_report_does_not_name_what_is_stricter_than_itself() -> None:
    raw = event(attribute(1), attribute(2, Tag=[{"name": "tlp:red"}]), Tag=[{"name": "tlp:green"}])
    assert only(read(raw, None), "report")["object_refs"] == [f"indicator--{uuid(1)}"]


def test_pap_is_kept_and_every_level_is_understood() -> None:
    for level, id_ in PAP_IDS.items():
        found = marking_of_tags((f"PAP:{level.name}", "pap:clear"))
        assert found.pap == level
        marking = effective((TLP2_IDS[Tlp.GREEN], id_))
        assert getattr(marking, "pap", None) == level
    assert set(PAP_IDS) == set(Pap)


def test_labels_are_tags_that_may_leave() -> None:
    tags = [{"name": "apt:x"}, {"name": "mine", "local": 1}, {"name": "not", "exportable": False}, {"name": "tlp:green"}, {}, 7]  # fmt: skip
    labels = only(read(event(attribute(Tag=tags))), "indicator")["labels"]
    assert labels == ['misp:type="domain"', 'misp:category="Network activity"', "apt:x"]


def test_an_event_that_stays_leaves_only_when_a_person_says_so() -> None:
    for distribution in ("0", 0, "4"):
        raw = event(attribute(), distribution=distribution, Tag=[{"name": "tlp:green"}])
        assert read(raw, None).refusals.counts == {"event-distribution": 2}
        assert not read(raw, Tlp.GREEN).refusals


def test_a_part_that_stays_never_leaves() -> None:
    box = {"uuid": uuid(9), "name": "file", "distribution": "0", "Attribute": [attribute(3)]}
    reading = read(event(attribute(1, distribution="0"), attribute(2, distribution="5"), Object=[box]))
    assert reading.refusals.counts == {"distribution": 3}
    assert only(reading, "indicator")["id"] == f"indicator--{uuid(2)}"


def test_objects_references_sightings_and_reports_become_objects() -> None:
    sightings = [
        {
            "uuid": uuid(20),
            "type": "0",
            "date_sighting": "1603643000",
            "Organisation": {"uuid": uuid(30), "name": "B"},
        },
        {"uuid": uuid(21), "type": "1", "date_sighting": "1603643001"},
        {"type": "2", "date_sighting": "1603649999"},
        {"type": "0"},
        {"type": "9", "date_sighting": "1603643001"},
    ]
    box = {
        "uuid": uuid(10),
        "name": "file",
        "meta-category": "file",
        "timestamp": "1603642920",
        "Attribute": [attribute(1, "md5", "ab" * 16, Sighting=sightings)],
        "ObjectReference": [
            {"uuid": uuid(40), "referenced_uuid": uuid(2), "relationship_type": "connects-to"},
            {"uuid": uuid(41), "referenced_uuid": uuid(99), "relationship_type": "connects-to"},
        ],
    }
    note = {"uuid": uuid(50), "name": "Words", "content": "# Words", "timestamp": "1603642920"}
    reading = read(event(attribute(2), Object=[box], EventReport=[note], ShadowAttribute=[{}]))
    assert reading.refusals.counts == {"bad-sighting": 2, "dangling-reference": 1, "proposal": 1}
    assert only(reading, "grouping")["object_refs"] == [f"indicator--{uuid(1)}"]
    assert only(reading, "relationship")["target_ref"] == f"indicator--{uuid(2)}"
    assert only(reading, "sighting")["where_sighted_refs"] == [f"identity--{uuid(30)}"]
    assert only(reading, "opinion")["opinion"] == "strongly-disagree"
    assert only(reading, "note")["object_refs"] == [f"report--{EVENT}"]
    indicators = [json.loads(one.raw) for one in reading.objects if one.type == "indicator"]
    assert [one.get("valid_until") for one in indicators] == [None, "2020-10-25T18:19:59.000Z"]


def test_a_report_names_as_many_as_fit_and_says_how_many_do_not() -> None:
    for count in (REPORT_REFS_MAX - 1, REPORT_REFS_MAX, REPORT_REFS_MAX + 1):
        reading = read(event(*(attribute(n, value=f"h{n}.example") for n in range(count))))
        assert len(only(reading, "report")["object_refs"]) == min(count, REPORT_REFS_MAX)
        assert reading.notes.counts == ({"references-dropped": 1} if count > REPORT_REFS_MAX else {})


def test_the_bytes_of_a_sample_do_not_travel() -> None:
    reading = read(event(attribute(type_="malware-sample", value="a|" + "ab" * 16, data="UEsDBAoACQ==")))
    assert b"UEsDBAoACQ" not in b"".join(one.raw for one in reading.objects)
    assert reading.notes.counts == {"data-dropped": 1}


def test_an_event_in_which_nothing_is_to_be_detected_says_so() -> None:
    """396 attributes became 397 objects with 0 observables, and nobody was told why."""
    reading = read(event(attribute(1, to_ids=False), attribute(2, to_ids=True), attribute(3, to_ids=False)))
    assert reading.notes.counts == {"not-for-detection": 2}
    assert reading.notes.to_json()[0]["examples"][0].startswith("/Event/Attribute/0 ")


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "not-json"),
        (b'{"Event": {"info": "x" "y"}}', "not-json"),
        (b"{}", "not-misp"),
        (b"[1, 2]", "not-misp"),
        (b'{"type": "bundle", "id": "bundle--1", "objects": []}', "not-misp"),
        (b'{"Event": {"info": "a", "info": "b", "Attribute": []}}', "duplicate-key"),
        (b'{"Event":' + b"[" * JSON_DEPTH_MAX + b"]" * JSON_DEPTH_MAX + b"}", "too-deep"),
        (b'\xff\xfe{\x00"\x00', "encoding"),
        (b'{"Event": {"info": "\xff"}}', "not-utf8"),
        (b"," * (INPUT_BYTES_MAX + 1), "input-too-large"),
    ],
)
def test_what_is_no_misp_is_told(raw: bytes, reason: str) -> None:
    with pytest.raises(AuthorError) as caught:
        read(raw)
    assert caught.value.reason == reason
    assert caught.value.hint


def test_an_object_with_two_lists_of_attributes_is_refused_and_loses_none_unseen() -> None:
    raw = event(attribute(1), Object=[{"name": "file", "TWICE": [], "Attribute": [attribute(2)]}])
    reading = read(raw.replace(b'"TWICE"', b'"Attribute"'))
    assert reading.refusals.counts == {"duplicate-key": 1}
    assert only(reading, "indicator")["id"] == f"indicator--{uuid(1)}"


@pytest.mark.parametrize("beyond", [-1, 0, 1])
def test_an_event_of_more_parts_than_may_be_is_refused_whole(beyond: int) -> None:
    raw = b'{"Event": {"Attribute": [' + b",".join([b"{}"] * (OBJECTS_PER_BUNDLE_MAX + beyond)) + b"]}}"
    if beyond <= 0:
        assert read(raw).refusals.counts == {"missing-property": OBJECTS_PER_BUNDLE_MAX + beyond}
        return
    with pytest.raises(AuthorError) as caught:
        read(raw)
    assert caught.value.reason == "too-many-objects"


def test_a_part_that_is_too_large_or_says_a_thing_twice_costs_itself() -> None:
    large = attribute(2, "text", "x" * OBJECT_BYTES_MAX)
    raw = event(attribute(1), large, "TWICE").replace(b'"TWICE"', b'{"type": "domain", "type": "url"}')
    assert read(raw).refusals.counts == {"object-too-large": 1, "duplicate-key": 1}


def test_every_type_that_misp_maps_to_is_one_of_ours() -> None:
    assert {half for halves in OBSERVABLE_TYPES.values() for half in halves} <= TYPES | {"", "address"}


VALUE = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=20), st.sampled_from(["0", "1", "evil.example", "192.0.2.1", "1603642920"])),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["uuid", "name", "type", "value", "Tag", "Attribute", "Sighting", "date_sighting"]), inner, max_size=3)),
    max_leaves=8,
)  # fmt: skip
KEYS = ["uuid", "type", "category", "value", "to_ids", "deleted", "timestamp", "Tag", "Sighting", "first_seen", "distribution", "data", "comment", "ShadowAttribute"]  # fmt: skip
EVENT_KEYS = ["uuid", "info", "date", "timestamp", "distribution", "Orgc", "Tag", "Attribute", "Object", "EventReport", "ShadowAttribute", "publish_timestamp"]  # fmt: skip


@settings(max_examples=150)
@given(
    st.dictionaries(st.sampled_from(EVENT_KEYS), VALUE, max_size=4),
    st.lists(st.dictionaries(st.sampled_from(KEYS), VALUE, max_size=4), max_size=3),
)
@example({"info": "\ud800"}, [{"comment": "\ud800"}])
def test_members_of_any_kind_are_read_or_refused(
    of_event: dict[str, Any], of_attributes: list[dict[str, Any]]
) -> None:
    box = {"uuid": uuid(7), "name": "file", "Attribute": [attribute(8) | one for one in of_attributes]}
    raw = event(*(attribute(n) | one for n, one in enumerate(of_attributes)), **{"Object": [box]} | of_event)
    try:
        reading = read(raw)
    except AuthorError as error:
        assert error.reason in {"not-misp", "not-json", "not-utf8", "half-surrogate"}
    else:
        group(reading)


@settings(max_examples=200)
@given(st.integers(0, 10_000), st.binary(max_size=3))
def test_damaged_bytes_are_read_or_refused(position: int, change: bytes) -> None:
    box = {"uuid": uuid(7), "name": "file", "Attribute": [attribute(8)], "ObjectReference": [{}]}
    raw = event(
        attribute(1), attribute(2, to_ids=False, Sighting=[{"type": 0}]), Object=[box], Tag=[{"name": "x"}]
    )
    position %= len(raw)
    try:
        group(read(raw[:position] + change + raw[position + 1 :]))
    except AuthorError as error:
        assert error.reason


# What a few plain lines find in the files: every JSON object with a type, a value and `to_ids` true, its value split
# at `|`, told apart by the type's name, brought to one form with `ipaddress`, `urllib` and `str.lower`.
def plainly(thing: Any) -> Iterator[tuple[str, str]]:
    if isinstance(thing, list):
        for one in thing:
            yield from plainly(one)
    if not isinstance(thing, dict):
        return
    for one in thing.values():
        yield from plainly(one)
    if thing.get("to_ids") is True and "value" in thing and not thing.get("deleted"):
        names, values = thing["type"].split("|"), thing["value"].split("|")
        for name, value in zip(names, values, strict=True):
            if not (len(names) == 2 and name in ("filename", "value")):
                yield from plain_value(name, value)


def plain_value(name: str, value: str) -> Iterator[tuple[str, str]]:
    if name in ("md5", "sha1", "sha256", "domain", "hostname", "email-src"):
        yield name.replace("hostname", "domain").replace("email-src", "email"), value.lower()
    elif name.startswith("ip"):
        yield f"ipv{ipaddress.ip_address(value).version}", value
    elif name == "url":
        parts = urlsplit(value)
        yield "url", parts._replace(netloc=parts.netloc.lower(), path=parts.path or "/").geturl()
    elif name == "filename":
        yield "file-name", value
    elif name == "regkey":
        yield "registry-key", re.sub("^(hklm|hkcu)", lambda m: {"hklm": "hkey_local_machine", "hkcu": "hkey_current_user"}[m[0]], value.lower().rstrip("\\"))  # fmt: skip


# file below misp-events/eset -> read, indicators, refused
REAL_EVENTS = {
    "backdoordiplomacy/misp.event_2021-06-10_backdoordiplomacy.json": (68, 66, 0),
    "cloudmensis/cloudmensis.misp.json": (40, 9, 0),
    "dukes/misp-dukes-operation-ghost-event.json": (102, 0, 0),
    "gelsemium/misp.event_2021-06-09_gelsemium-when-threat-actors-go-gardening.json": (155, 153, 0),
    "glupteba/glupteba.misp-event.json": (322, 321, 0),
    "machete/misp-machete-event.json": (397, 0, 0),
    "mozi/mozi.misp-event.json": (274, 74, 0),
    "oceanlotus/oceanlotus-macOS.misp.event.json": (10, 0, 0),
    "oceanlotus/oceanlotus-rtf_ocx_campaigns.misp.event.json": (62, 0, 0),
    "oceanlotus/oceanlotus-wateringhole-2018.misp.event.json": (76, 0, 0),
    "oceanlotus/oceanlotus.misp.event.json": (112, 0, 0),
    "powerpool/misp-powerpool.json": (19, 0, 0),
    "ramsay/misp-ramsay.json": (82, 51, 0),
    "signsight/signsight-misp-event.json": (14, 0, 0),
    "swc-candiru/swc-candiru_misp.json": (231, 12, 0),
}


@pytest.mark.parametrize("name", REAL_EVENTS)
def test_real_events_claim_what_a_few_plain_lines_find(shared_data: Path, name: str) -> None:
    raw = (shared_data / "misp-events/eset" / name).read_bytes()
    assert detect_format(raw[:8192], name) == "misp"
    reading = read(raw)
    kinds = Counter(one.type for one in reading.objects)
    assert (reading.read, kinds["indicator"], reading.refusals.total) == REAL_EVENTS[name]
    assert claims(raw) == set(plainly(json.loads(raw)))


def test_all_real_events_together_and_again(shared_data: Path) -> None:
    """As many attributes as the sources have; read again, or in two files, nothing is added."""
    paths = [shared_data / "misp-events/eset" / name for name in REAL_EVENTS]
    together = b"[" + b",".join(path.read_bytes() for path in paths) + b"]"
    reading = read(together)
    own = [
        one for one in reading.objects if '"misp:type=' in json.dumps(json.loads(one.raw).get("labels", []))
    ]
    assert len(own) == len([one for one in reading.objects if one.type in ("indicator", "observed-data", "x-misp-attribute", "vulnerability")])  # fmt: skip
    assert len(own) == 1_680  # of all attributes; the distinct indicators of those to be detected:
    assert len(claims(together)) == 688
    again = read(together[:-1] + b"," + paths[0].read_bytes() + b"]")
    assert {one.object_id for one in again.objects} == {one.object_id for one in reading.objects}
    assert again.refusals.counts == {"repeated": REAL_EVENTS[next(iter(REAL_EVENTS))][0]}


def test_json_that_is_not_misp_is_told_by_name(shared_data: Path) -> None:
    raw = (shared_data / "misp-events/eset/dnsbirthday/rqz-dnsduvel_blocklist.json").read_bytes()
    with pytest.raises(AuthorError) as caught:
        read(raw)
    assert caught.value.reason == "not-misp"


def test_the_events_of_pymisp_add_up(shared_data: Path) -> None:
    reasons: Counter[str] = Counter()
    for path in (shared_data / "misp-events/pymisp").rglob("*.json"):
        raw = path.read_bytes()
        if detect_format(raw[:8192], path.name) == "misp":
            reading = read(raw)
            group(reading)
            reasons.update(reading.refusals.counts)
    assert reasons == {
        "bad-registry-key": 1,  # `.Evlqkr` in a key's place
        "dangling-reference": 1,
        "empty-event": 3,
        "not-two-values": 1,  # a malware sample without its hash
        "proposal": 4,
    }


COMPARISON = re.compile(r"([\w-]+:[\w.'\[\]*-]+)\s*=\s*'((?:[^'\\]|\\.)*)'")


def test_pairs_agree_on_type_and_value(shared_data: Path) -> None:
    """Each attribute of the mapping, marked for detection: what we claim stands in the pattern it is mapped to, and
    what their pattern compares alone is what we claim. Ours are fewer in a pair: a file's name is no indicator."""
    pairs = json.loads((shared_data / "misp-stix-pairs/misp_attributes_to_stix21.half.json").read_text())
    apart = {"sha512/256", "filename|sha512/256"}  # mapped to SHA-256 there, which it is not
    assert len(pairs) == 34
    compared = 0
    for type_, pair in pairs.items():
        stix = pair["STIX"] if isinstance(pair["STIX"], list) else [pair["STIX"]]
        patterns = [one["pattern"] for one in stix if one["type"] == "indicator"]
        ours = claims(event(pair["MISP"] | {"to_ids": True}))
        theirs = {
            value.lower().replace("\\\\", "\\")
            for pattern in patterns
            for _, value in COMPARISON.findall(pattern)
        }
        values = {value.lower().removeprefix("t1").replace("hkey_local_machine", "hklm") for _, value in ours}
        assert values <= theirs, type_
        if len(theirs) == 1 and type_ in OBSERVABLE_TYPES and type_ not in apart:
            assert values == theirs, type_
            compared += 1
    assert compared == 8


def test_collections_agree_with_their_stix(shared_data: Path) -> None:
    folder = shared_data / "misp-stix-pairs/collections"
    for kind in ("attributes", "events", "objects"):
        theirs = set()
        for one in json.loads((folder / f"test_{kind}_collection_stix21.json").read_text())["objects"]:
            if one["type"] == "indicator":
                theirs |= {value.lower() for _, value in COMPARISON.findall(one["pattern"])}
        ours = set()
        for number in (1, 2):
            ours |= {
                value.lower()
                for _, value in claims((folder / f"test_{kind}_collection_{number}.json").read_bytes())
            }
        assert ours <= theirs
        assert len(ours) >= 3, kind
