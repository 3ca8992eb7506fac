"""STIX out: a bundle that STIX readers take, each object as its author wrote it, and nothing passes that the gate keeps."""

from __future__ import annotations

import json
from typing import Any

import pytest
from misp_loop import deliver, exported, read, share
from whole_nodes import NOW, World, befriend

from p2pshare.intel.bundle import read_stix
from p2pshare.intel.export_origin import origins_in
from p2pshare.intel.marking import TLP2_IDS, Tlp
from p2pshare.node.node import Node

LATER = NOW + 1


@pytest.fixture
def pair(world: World) -> tuple[Node, Node]:
    alpha, bravo = world.found("alpha"), world.found("bravo")
    befriend(alpha, bravo)
    befriend(bravo, alpha)
    return alpha, bravo


def objects(node: Node, tlp_max: Tlp = Tlp.AMBER_STRICT) -> list[dict[str, Any]]:
    raw = exported(node, "stix", LATER, tlp_max=tlp_max)
    reading = read_stix(raw)
    assert (reading.refusals.total, reading.notes.total) == (0, 0)
    bundle = json.loads(raw)
    assert bundle["type"] == "bundle"
    assert len({one["id"] for one in bundle["objects"]}) == len(bundle["objects"])
    return list(bundle["objects"])


def indicator(number: int, tlp: Tlp, **other: object) -> dict[str, object]:
    return {
        "type": "indicator",
        "spec_version": "2.1",
        "id": f"indicator--00000000-0000-4000-8000-{number:012}",
        "created": "2026-01-01T00:00:00.000Z",
        "modified": "2026-01-01T00:00:00.000Z",
        "pattern": f"[domain-name:value = 'h{number}.example'] OR [domain-name:value = 'both.example']",
        "pattern_type": "stix",
        "valid_from": "2026-12-01T00:00:00Z",
        "name": f"number {number}",
        "x_ours": {"kept": True},
        "external_references": [{"source_name": "a report", "url": "https://r.example/"}],
        "object_marking_refs": [TLP2_IDS[tlp]],
        **other,
    }


def test_objects_leave_as_they_were_written_with_whose_they_are(pair: tuple[Node, Node]) -> None:
    alpha, bravo = pair
    statement = {"type": "marking-definition", "spec_version": "2.1", "id": "marking-definition--00000000-0000-4000-8000-000000000008", "created": "2026-01-01T00:00:00Z", "definition_type": "statement", "definition": {"statement": "ours"}}  # fmt: skip
    identity = {"type": "identity", "spec_version": "2.1", "id": "identity--00000000-0000-4000-8000-000000000009", "created": "2026-01-01T00:00:00Z", "modified": "2026-01-01T00:00:00Z", "name": "Org"}  # fmt: skip
    refs = [TLP2_IDS[Tlp.GREEN], statement["id"]]
    wrote = [indicator(number, Tlp.GREEN, created_by_ref=identity["id"], object_marking_refs=refs) for number in (1, 2)]  # fmt: skip
    raw = json.dumps({"type": "bundle", "id": "bundle--1", "objects": [statement, identity, *wrote]})
    share(alpha, read(alpha, raw.encode(), NOW), NOW)
    deliver(alpha, [bravo], NOW)
    found = objects(bravo)
    assert [one["type"] for one in found] == ["marking-definition", "identity", "indicator", "indicator"]
    assert found[0] == statement
    [envelope] = [row.envelope_id for row in bravo.store.log.entries(0, 10)]
    for one, before in zip(found[2:], wrote, strict=True):
        *others, last = one["external_references"]
        assert one | {"external_references": others} == before
        assert last["source_name"] == "p2pshare"
        assert origins_in(last["url"].encode()) == ((alpha.identity.partner_id, before["id"], envelope),)


@pytest.mark.parametrize("tlp_max", list(Tlp), ids=lambda level: level.label)
def test_no_object_stricter_than_allowed_leaves(pair: tuple[Node, Node], tlp_max: Tlp) -> None:
    """Each names one value that is active under the loosest marking, too."""
    alpha, _ = pair
    for level in Tlp:
        raw = json.dumps({"objects": [indicator(level, level)]}).encode()
        share(alpha, read(alpha, raw, NOW), NOW, ["bravo"])
    found = {one["id"] for one in objects(alpha, tlp_max) if one["type"] == "indicator"}
    assert found == {indicator(level, level)["id"] for level in Tlp if level <= tlp_max}


def test_what_counts_no_more_and_an_empty_store(pair: tuple[Node, Node]) -> None:
    alpha, bravo = pair
    assert objects(bravo) == []
    over = [
        indicator(1, Tlp.GREEN, revoked=True),
        indicator(2, Tlp.GREEN, valid_until="2026-12-02T00:00:00Z"),
    ]
    share(alpha, read(alpha, json.dumps({"objects": over}).encode(), NOW), NOW)
    assert objects(alpha) == []


def test_more_values_than_one_look_up_takes(pair: tuple[Node, Node]) -> None:
    alpha, _ = pair
    values = [f"h{number}.example" for number in range(2_500)]
    share(alpha, read(alpha, "\n".join(values).encode(), NOW, tlp=Tlp.GREEN, format_name="list"), NOW)
    found = [one["pattern"] for one in objects(alpha) if one["type"] == "indicator"]
    assert sorted(found) == sorted(f"[domain-name:value = '{value}']" for value in values)
