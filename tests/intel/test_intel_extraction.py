"""Extraction: one bad object costs that object, markings only tighten, and nothing a partner sends raises."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.intel.bundle import frames, read_stix
from p2pshare.intel.extraction import ClaimFacts, Extraction, extract
from p2pshare.intel.instants import parse_instant
from p2pshare.intel.marking import STATEMENT, TLP2_IDS, Meaning, Tlp
from p2pshare.limits import (
    FRAME_BYTES_MAX,
    FRAME_COMMAS_MAX,
    FRAME_OBJECTS_MAX,
    LABEL_CHARACTERS_MAX,
    LABELS_MAX,
)

UUID = "34655650-3d18-47b5-bb6c-b9bdb7b26203"
INSTANT = "2023-07-28T12:14:36.194951Z"
INSTANT_US = parse_instant(INSTANT)


def indicator(number: int = 0, **changes: Any) -> dict[str, Any]:
    stix = {
        "type": "indicator",
        "spec_version": "2.1",
        "id": f"indicator--{number:08x}{UUID[8:]}",
        "created": INSTANT,
        "modified": INSTANT,
        "pattern": f"[domain-name:value = 'evil{number}.example']",
        "pattern_type": "stix",
        "valid_from": INSTANT,
    }
    stix.update(changes)
    return {key: value for key, value in stix.items() if value is not ...}


def frame(*objects: Any) -> bytes:
    texts = [one if isinstance(one, str) else json.dumps(one) for one in objects]
    return f"[{','.join(texts)}]".encode()


def run(*objects: Any, floor: Tlp = Tlp.CLEAR) -> Extraction:
    return extract(frame(*objects), floor=floor)


def test_an_indicator_gives_its_claim() -> None:
    extraction = run(
        indicator(
            confidence=70,
            labels=["a", "b"],
            indicator_types=["b", "malicious-activity"],
            valid_until="2024-01-01T00:00:00Z",
            revoked=True,
            created_by_ref=f"identity--{UUID}",
            object_marking_refs=[TLP2_IDS[Tlp.AMBER]],
        )
    )
    (one,) = extraction.objects
    assert (one.position, one.type, one.modified_us, one.created_by, one.tlp, one.revoked) == (
        0, "indicator", INSTANT_US, f"identity--{UUID}", Tlp.AMBER, True,
    )  # fmt: skip
    until = parse_instant("2024-01-01T00:00:00Z")
    labels = ("a", "b", "malicious-activity")
    assert one.claims == (
        ClaimFacts("domain", "evil0.example", 70, INSTANT_US, until, labels, True, Tlp.AMBER),
    )
    assert not extraction.refusals and not extraction.notes


@pytest.mark.parametrize("floor", list(Tlp))
@pytest.mark.parametrize("own", [None, *Tlp])
def test_a_marking_only_tightens(floor: Tlp, own: Tlp | None) -> None:
    refs = ... if own is None else [TLP2_IDS[own]]
    (one,) = run(indicator(object_marking_refs=refs), floor=floor).objects
    assert one.tlp == one.claims[0].tlp == max(floor, floor if own is None else own)


def test_granular_and_unknown_markings_are_taken_as_the_strictest() -> None:
    unknown = f"marking-definition--{UUID}"
    extraction = run(
        indicator(1, granular_markings=[{"marking_ref": TLP2_IDS[Tlp.AMBER], "selectors": ["pattern"]}]),
        indicator(2, object_marking_refs=[unknown]),
        indicator(3, object_marking_refs=[unknown]),
        indicator(4, object_marking_refs=[TLP2_IDS[Tlp.CLEAR], TLP2_IDS[Tlp.GREEN]]),
    )
    assert [one.tlp for one in extraction.objects] == [Tlp.AMBER, Tlp.RED, Tlp.RED, Tlp.RED]
    assert extraction.notes.counts == {"unknown-marking": 2, "two-markings": 1}


def test_definitions_count_wherever_they_stand_and_in_later_frames() -> None:
    own = f"marking-definition--{UUID}"
    definition = {
        "type": "marking-definition",
        "id": own,
        "created": INSTANT,
        "definition_type": "statement",
        "definition": {"statement": "(c)"},
    }
    known: dict[str, Meaning] = {}
    user = indicator(object_marking_refs=[TLP2_IDS[Tlp.GREEN], own])
    first = extract(frame(user, definition), floor=Tlp.CLEAR, definitions=known)
    second = extract(frame(user), floor=Tlp.CLEAR, definitions=known)
    assert [one.tlp for one in first.objects] == [Tlp.GREEN, Tlp.CLEAR]
    assert [one.tlp for one in second.objects] == [Tlp.GREEN]
    assert known == {own: STATEMENT}


DEEP = '{"type":"x-a","id":"x-a--' + UUID + '","a":' + "[" * 100_000 + "]" * 100_000 + "}"
BAD = [
    (indicator(id="x"), "bad-id"),
    (indicator(id=f"malware--{UUID}"), "bad-id"),
    (indicator(created_by_ref="me"), "bad-id"),
    (indicator(modified=...), "missing-property"),
    (indicator(valid_from=...), "missing-property"),
    (indicator(pattern=...), "missing-property"),
    (indicator(pattern=5), "wrong-type"),
    (indicator(confidence=-1), "wrong-type"),
    (indicator(object_marking_refs="x"), "bad-id"),
    (indicator(modified="now"), "bad-timestamp"),
    (indicator(valid_until="never"), "bad-timestamp"),
    ({"id": f"tool--{UUID}"}, "bad-type"),
    ({"type": "tool", "id": f"tool--{UUID}", "created": INSTANT, "modified": INSTANT}, "missing-property"),
    ({"type": "relationship", "id": f"relationship--{UUID}", "created": INSTANT, "modified": INSTANT,
      "relationship_type": "uses", "source_ref": "x", "target_ref": "y"}, "bad-id"),
    ('{"type":"tool","id":"tool--' + UUID + '","a":1,"a":2}', "duplicate-key"),
    ('{"type":"tool","id":"tool--' + UUID + '","a":NaN}', "not-a-number"),
    ('{"type":"indicator","id":"\\ud800"}', "half-surrogate"),
    (DEEP, "too-deep"),
    ('{"type":"tool","id":"tool--' + UUID + '","a":[' + "[]," * 40_000 + "1]}", "too-many-brackets"),
    ("5", "not-an-object"),
    ("null", "not-an-object"),
    ('"0"', "not-an-object"),
]  # fmt: skip


@pytest.mark.parametrize(("bad", "reason"), BAD)
def test_one_bad_object_in_a_frame_costs_only_itself(bad: Any, reason: str | None) -> None:
    extraction = run(indicator(1), bad, indicator(2))
    if reason is None:  # text that no parser accepts: the frame is no JSON
        assert extraction.refusals.total >= 1
        return
    assert [(one.position, one.object_id[11:19]) for one in extraction.objects] == [
        (0, "00000001"),
        (2, "00000002"),
    ]
    assert extraction.refusals.counts == {reason: 1}


def test_values_without_canonical_form_are_noted_and_their_object_is_kept() -> None:
    extraction = run(
        indicator(pattern="[ipv4-addr:value = '192.0.2.1' OR ipv4-addr:value = '192.0.2.999']"),
        indicator(1, pattern="[domain-name:value = 'localhost']"),
        indicator(2, pattern="[domain-name:value LIKE '%.example']"),
        indicator(3, pattern="rule evil { condition: true }", pattern_type="yara"),
        indicator(4, pattern="[ipv4-addr:value = '192.0.2.1']", pattern_type="STIX"),
        indicator(5, pattern="[file:size = 3]"),
    )
    assert [len(one.claims) for one in extraction.objects] == [1, 0, 0, 0, 0, 0]
    assert extraction.notes.counts == {"bad-address": 1, "domain-without-dot": 1, "opaque-pattern": 3}
    assert not extraction.refusals


def test_labels_that_could_command_a_terminal_or_fill_the_store_are_dropped_and_noted() -> None:
    labels = ["ok", "\x1b[2J", "a\u202eb", "x" * (LABEL_CHARACTERS_MAX + 1), "y" * LABEL_CHARACTERS_MAX, ""]
    extraction = run(indicator(labels=labels), indicator(1, labels=[str(n) for n in range(LABELS_MAX + 2)]))
    assert extraction.objects[0].claims[0].labels == ("ok", "y" * LABEL_CHARACTERS_MAX)
    assert len(extraction.objects[1].claims[0].labels) == LABELS_MAX
    assert extraction.notes.counts == {"label-dropped": 6}


def test_cyber_observables_are_kept_but_claim_nothing() -> None:
    seen = {"type": "ipv4-addr", "id": f"ipv4-addr--{UUID}", "value": "192.0.2.1"}
    (one,) = run(seen).objects
    assert (one.claims, one.modified_us, one.created_by) == ((), None, None)


def test_custom_types_may_use_any_property_in_their_own_way() -> None:
    odd = {"type": "x-evil", "id": f"x-evil--{UUID}", "pattern": {"a": 1}, "valid_from": 7, "source_ref": []}
    extraction = run(odd, indicator())
    assert [one.type for one in extraction.objects] == ["x-evil", "indicator"]


def test_a_frame_at_its_limits_is_read_and_one_above_is_not() -> None:
    full = [indicator(number) for number in range(FRAME_OBJECTS_MAX)]
    assert len(run(*full).objects) == FRAME_OBJECTS_MAX
    assert run(*full, indicator()).refusals.counts == {"frame-too-many-objects": FRAME_OBJECTS_MAX + 1}
    padding = FRAME_BYTES_MAX - len(frame(indicator()))
    assert len(extract(frame(indicator()) + b" " * padding, floor=Tlp.RED).objects) == 1
    too_large = extract(frame(indicator()) + b" " * (padding + 1), floor=Tlp.RED)
    assert too_large.refusals.counts == {"frame-too-large": 1}


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"5",
        b"[",
        b"[{]",
        b"\xff",
        b"[\xff]",
        b'["\xff"]',
        b"[0" + b",0" * (FRAME_COMMAS_MAX + 1) + b"]",
    ],
)
def test_a_frame_that_is_no_array_of_objects_is_refused(raw: bytes) -> None:
    extraction = extract(raw, floor=Tlp.CLEAR)
    assert extraction.objects == []
    assert extraction.refusals.total >= 1


@given(st.data())
def test_flipped_bytes_never_raise(data: st.DataObject) -> None:
    raw = bytearray(
        frame(indicator(labels=["é"]), {"type": "url", "id": f"url--{UUID}", "value": "x"}, indicator(1))
    )
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    extraction = extract(bytes(raw), floor=Tlp.CLEAR)
    assert len(extraction.objects) + extraction.refusals.total >= 1


PROPERTIES = st.fixed_dictionaries(
    {},
    optional={
        "created_by_ref": st.just(f"identity--{UUID}"),
        "confidence": st.integers(-2, 102) | st.floats(0, 100) | st.booleans(),
        "labels": st.lists(st.text(max_size=3), max_size=2) | st.text(max_size=2),
        "revoked": st.booleans() | st.none(),
        "valid_until": st.sampled_from([INSTANT, "x", "2024-01-01T00:00:00+01:00"]),
        "modified": st.sampled_from([INSTANT, "", "2024-01-01T00:00:00.1Z"]),
        "object_marking_refs": st.lists(st.sampled_from([*TLP2_IDS.values(), "x"]), max_size=2),
        "granular_markings": st.lists(
            st.fixed_dictionaries({"marking_ref": st.sampled_from([TLP2_IDS[Tlp.RED], 5])})
        ),
        "pattern": st.sampled_from(["[ipv4-addr:value = '192.0.2.1']", "", "x"]),
        "pattern_type": st.sampled_from(["stix", "sigma", ""]),
        "x_other": st.recursive(st.none(), lambda inner: st.lists(inner, max_size=2)),
    },
)


@given(PROPERTIES)
def test_what_publishing_accepts_intake_accepts(changes: dict[str, Any]) -> None:
    reading = read_stix(json.dumps([indicator(**changes)]).encode())
    made = b"".join(frames(reading.objects))
    if made:
        extraction = extract(made, floor=Tlp.CLEAR)
        assert extraction.refusals.counts == {}
        assert len(extraction.objects) == 1


@given(st.lists(PROPERTIES, max_size=4))
def test_reading_together_equals_reading_apart(changes: list[dict[str, Any]]) -> None:
    objects = [indicator(number, **change) for number, change in enumerate(changes)]
    together = run(*objects, floor=Tlp.GREEN)
    apart = [run(one, floor=Tlp.GREEN) for one in objects]
    assert [one.object_id for one in together.objects] == [
        one.object_id for alone in apart for one in alone.objects
    ]
    assert [one.claims for one in together.objects] == [
        one.claims for alone in apart for one in alone.objects
    ]
