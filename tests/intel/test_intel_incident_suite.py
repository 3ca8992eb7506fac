"""The STIX incident suite: an export is read back to the same incident, other tools' halves of the draft are read, and nothing is dropped in silence."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
import stix2
from hypothesis import given, settings
from hypothesis import strategies as st
from incident_histories import START, IncidentTeller, drawn_incident
from space_histories import partner

from p2pshare.errors import AuthorError
from p2pshare.intel.bundle import read_stix
from p2pshare.intel.incident_record import what_is_said
from p2pshare.intel.incident_suite import (
    EVENT_CORE,
    IMPACT_CORE,
    INCIDENT_CORE,
    TASK_CORE,
    SuiteReading,
    incident_bundle,
    read_incident,
)
from p2pshare.intel.refusals import Refusals
from p2pshare.spaces.fold import fold
from p2pshare.spaces.incident_entries import IncidentImpact
from p2pshare.spaces.incident_restating import restated
from p2pshare.spaces.incident_telling import Telling

VERBATIM = (
    b'{"type":"indicator","spec_version":"2.1","id":"indicator--11111111-1111-4111-8111-111111111111","created":"2027-01-01T00:00:00.000Z",'
    b'"modified":"2027-01-01T00:00:00.000Z","pattern":"[domain-name:value = \'two.example\']","pattern_type":"stix","valid_from":"2027-01-01T00:00:00Z"}'
)


def record_of(told: IncidentTeller) -> Any:
    return Telling(fold(told.entries.values()), {partner("A"): "Alpha"}).record()


def read(raw: bytes) -> SuiteReading:
    reading = read_stix(raw)
    assert reading.refusals.total == 0, reading.refusals
    return read_incident([msgspec.json.decode(one.raw) for one in reading.objects])


def imported(reading: SuiteReading) -> IncidentTeller:
    """A new incident of L, into which L writes what was read."""
    refusals = Refusals()
    said = restated(reading.record, refusals)
    assert refusals.total == 0, refusals
    told = IncidentTeller("L", title=reading.record.title)
    for one in said:
        entry = told.write("L", one.kind, one.content)
        if one.outcome:
            told.write("L", "outcome", one.outcome_of(entry))
    return told


def full_incident() -> IncidentTeller:
    told = IncidentTeller(title="ransomware \u202e at A")
    told.determine("L", "confirmed", 80)
    told.event("A", "encrypted", START, START + 60)
    told.event("A", "backwards", START, START - 60)
    told.event("B", "", 0, START)
    told.impact("A")
    details = (
        ("currency", "usd"),
        ("max_amount", "14413.05"),
        ("min_amount", "0"),
        ("variety", "ransom-demand"),
    )
    told.say("A", "impact", IncidentImpact("monetary", details, 0, 0, (), "", (), "asked for"))
    told.object_("A", "one.example")
    told.object_("B", "two.example", VERBATIM)
    told.write("B", "object", b"\x84\x00\xa4note\x01\xa7no-type\x02\xa0\x03\xc4\x00")
    done, failed, _ = told.task("L", "done", START), told.task("L", "failed"), told.task("A", "pending")
    told.claim("A", done)
    told.outcome("A", done)
    told.outcome("L", failed, "failed")
    told.note("B", "a note")
    told.lesson("A", "segment", "B")
    told.recur("B")
    told.own_status("A", "closed")
    told.duty("A")
    told.answer("A", told.ask("L"))
    told.close("L", "done")
    return told


def test_an_export_is_read_back_to_the_same_incident() -> None:
    record = record_of(full_incident())
    reading = read(incident_bundle(record))
    assert reading.refusals.total == 0 and reading.notes.total == 0
    again = record_of(imported(reading))
    assert what_is_said(again) == what_is_said(record)
    assert incident_bundle(record) == incident_bundle(record), "the same bytes each time"
    third = record_of(imported(read(incident_bundle(again))))
    assert what_is_said(third) == what_is_said(record)


@pytest.mark.parametrize("seed", range(12))
def test_a_drawn_incident_is_read_back_to_the_same(seed: int) -> None:
    record = record_of(drawn_incident(seed))
    again = record_of(imported(read(incident_bundle(record))))
    assert what_is_said(again) == what_is_said(record)


def test_the_stix_library_reads_the_bundle() -> None:
    raw = incident_bundle(record_of(full_incident()))
    bundle = stix2.parse(raw, allow_custom=True)
    types = {one["type"] for one in json.loads(raw)["objects"]}
    assert types == {"identity", "incident", "event", "impact", "task", "note", "indicator", "relationship"}
    assert len(bundle.objects) == len(json.loads(raw)["objects"])
    incident = next(one for one in json.loads(raw)["objects"] if one["type"] == "incident")
    core = incident["extensions"][INCIDENT_CORE]
    assert core["extension_type"] == "property-extension" and core["determination"] == "confirmed"
    assert [len(core[name]) for name in ("events", "tasks", "impact_refs")] == [3, 3, 2]
    for one in json.loads(raw)["objects"]:
        if one.get("start_time") and one.get("end_time"):
            assert one["end_time"] > one["start_time"], "STIX lets no end stand before its begin"


def test_what_is_sealed_or_redacted_is_in_no_export() -> None:
    told = full_incident()
    told.note("A", "only for two", audience="LA", tlp=4)
    told.redact("A", told.note("A", "erased words"))
    raw = incident_bundle(record_of(told))
    assert b"only for two" not in raw and b"erased words" not in raw


def _bundle(*objects: dict[str, Any]) -> bytes:
    common = {
        "spec_version": "2.1",
        "created": "2023-05-02T20:00:00.000Z",
        "modified": "2023-05-02T20:00:00.000Z",
    }
    return json.dumps(
        {
            "type": "bundle",
            "id": "bundle--f607171d-3b62-40ac-a00b-84b5afc44d5f",
            "objects": [
                common | {"id": f"{one['type']}--b754abee-6de5-4b4e-8125-8dab1ca1{number:04x}"} | one
                for number, one in enumerate(objects)
            ],
        }
    ).encode()


def _incident(**core: Any) -> dict[str, Any]:
    words = {
        "extension_type": "property-extension",
        "determination": "confirmed",
        "investigation_status": "open",
    }
    return {"type": "incident", "name": "Sample", "extensions": {INCIDENT_CORE: words | core}}


def _impact(category: str, extension: str, **details: Any) -> dict[str, Any]:
    return {
        "type": "impact",
        "impact_category": category,
        "extensions": {IMPACT_CORE: {"extension_type": "new-sdo"}, extension: details},
    }


@pytest.mark.parametrize(
    ("category", "extension"),
    [
        ("monetary", "monetary"),
        ("monetary", "monetary-ext"),
        ("economic", "economic"),
        ("economic", "economic-ext"),
        ("monetary-ext", "monetary-ext"),
    ],
)
def test_either_half_of_the_draft_is_read_for_impacts(category: str, extension: str) -> None:
    for counts in ({"computers-server": 3}, [{"entity_type": "computers-server", "count": 3}]):
        impact = _impact(
            category, extension, variety="ransom-demand", max_amount=14413.05, currency="usd", other="x"
        )
        reading = read(_bundle(_incident(), {**impact, "impacted_entity_counts": counts}))
        (found,) = reading.record.impacts
        assert found.category == "monetary" and found.counts == (("computers-server", 3),)
        assert dict(found.details) == {
            "variety": "ransom-demand",
            "max_amount": "14413.05",
            "currency": "usd",
        }


@pytest.mark.parametrize("half", ["prose", "schema"])
def test_either_half_of_the_draft_gives_the_order_of_events(half: str) -> None:
    events = [
        {
            "type": "event",
            "status": "occurred",
            "name": name,
            "extensions": {EVENT_CORE: {"extension_type": "new-sdo"}},
        }
        for name in ("b", "a")
    ]
    ids = [f"event--b754abee-6de5-4b4e-8125-8dab1ca1{number:04x}" for number in (2, 1)]
    core = (
        {"events": [{"event_ref": one, "next_steps": []} for one in ids]}
        if half == "prose"
        else {"event_refs": ids}
    )
    reading = read(_bundle(_incident(**core), *events))
    assert [event.text for event in reading.record.events] == ["a", "b"]


def test_the_core_words_of_stix_2_2_are_read_without_extensions() -> None:
    incident = {
        "type": "incident", "name": "core", "determination": "confirmed", "investigation_status": "closed", "criticality": 40,
        "incident_types": ["Ransomware", "ransomware", "data exfiltration"],
    }  # fmt: skip
    task = {"type": "task", "outcome": "failed", "name": "patch", "task_types": ["recovery"]}
    impact = {
        "type": "impact",
        "impact_category": "availability",
        "availability_impact": 70,
        "criticality": 5,
    }
    reading = read(
        _bundle(
            incident,
            task,
            impact,
            {
                "type": "event",
                "status": "ongoing",
                "description": "going on",
                "start_time": "2023-05-02T15:13:11Z",
            },
        )
    )
    record = reading.record
    assert (record.determination, record.criticality, record.closed) == ("confirmed", 40, True)
    assert record.types == ("data-exfiltration", "ransomware")
    assert (record.tasks[0].title, record.tasks[0].outcome) == ("patch", "failed")
    assert record.impacts[0].details == (("availability_impact", "70"),)
    assert record.events[0].start == 1_683_040_391


@pytest.mark.parametrize(
    ("word", "read_as"),
    [
        ("successful-attempt", "confirmed"),
        ("low-value", "confirmed"),
        ("blocked", "blocked"),
        ("mauve", "suspected"),
    ],
)
def test_determinations_of_both_halves(word: str, read_as: str) -> None:
    reading = read(_bundle(_incident(determination=word)))
    assert reading.record.determination == read_as
    assert reading.notes.total == (word == "mauve")


def test_another_tools_file_with_unknown_parts_is_counted_and_the_rest_goes_on() -> None:
    raw = _bundle(
        _incident(criticality=900, incident_types=["x" * 200] + [f"t{n}" for n in range(40)]),
        {
            "type": "event",
            "status": "maybe",
            "start_time_fidelity": "blink",
            "start_time": "2023-05-02T15:13:11Z",
        },
        _impact("karma", "karma", loss=1),
        _impact("confidentiality", "confidentiality", loss_type="gone"),
        {"type": "threat-actor", "name": "Hydra"},
        {"type": "x-case", "name": "theirs"},
        {"type": "incident", "name": "a second one"},
        {
            "type": "task",
            "outcome": "maybe",
            "name": "t" * 5_000,
            "extensions": {TASK_CORE: {"extension_type": "new-sdo"}},
        },
        {
            "type": "indicator",
            "pattern": "[file:name MATCHES 'x']",
            "pattern_type": "stix",
            "valid_from": "2023-05-02T20:00:00Z",
        },
        {
            "type": "indicator",
            "pattern": "[domain-name:value = 'evil.example']",
            "pattern_type": "stix",
            "valid_from": "2023-05-02T20:00:00Z",
        },
        {
            "type": "note",
            "content": "kept",
            "object_refs": ["incident--b754abee-6de5-4b4e-8125-8dab1ca10000"],
        },
    )
    reading = read(raw)
    assert reading.refusals.total == 6, reading.refusals
    assert reading.taken + reading.refusals.total == 11, "read = taken + refused"
    record = reading.record
    assert record.criticality is None and len(record.types) == 16
    assert record.events[0].status == "undetermined" and record.tasks[0].outcome == "unknown"
    assert [one.value for one in record.objects] == ["evil.example"] and record.notes[0].text == "kept"
    told = imported(reading)
    assert record_of(told).tasks[0].title == "t" * 256


def test_a_file_without_an_incident_is_refused() -> None:
    with pytest.raises(AuthorError) as caught:
        read(_bundle({"type": "event", "status": "occurred"}))
    assert caught.value.reason == "no-incident"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**60) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(
    ["status", "start_time", "end_time", "end", "due", "name", "description", "impact_category", "impacted_entity_counts", "criticality", "events",
     "event_refs", "tasks", "outcome", "content", "pattern", "extensions", "objects", "incident_types", "determination", "kind", "day", "value"]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["incident", "event", "impact", "task", "note", "indicator"]),
            st.dictionaries(KEYS, JSON, max_size=5),
        ),
        max_size=5,
    )
)
def test_whatever_stands_in_an_object_nothing_crashes_and_all_is_counted(
    drawn: list[tuple[str, dict[str, Any]]],
) -> None:
    from p2pshare.intel.incident_suite import OWN_EXTENSION

    objects = [{"type": "incident", "id": "incident--0"}]
    for number, (type_, said) in enumerate(drawn):
        objects.append(
            {
                "type": type_,
                "id": f"{type_}--{number}",
                **said,
                "extensions": {OWN_EXTENSION: said, EVENT_CORE: said},
            }
        )
    reading = read_incident(objects)
    restated(reading.record, Refusals())
    assert reading.taken + reading.refusals.total >= len(objects)
