"""MISP out: PyMISP loads it, ids go round, and nothing passes that the gate keeps."""

from __future__ import annotations

import hashlib
import io
import json
from typing import Any

import pytest
from whole_drafts import draft_file
from whole_nodes import NOW, World, befriend, draft, publish, quiet, raw_draft

from p2pshare.exporters import misp
from p2pshare.exporters.interface import Selection
from p2pshare.exporters.misp import FEED, FORMAT
from p2pshare.importers.misp_objects import PAP_IDS
from p2pshare.importers.misp_types import OBSERVABLE_TYPES
from p2pshare.intel.export_origin import ExportOrigin, origin_uri, origins_in
from p2pshare.intel.marking import TLP2_IDS, Pap, Tlp
from p2pshare.intel.observable import TYPES
from p2pshare.node.node import Node
from p2pshare.sharing.drafting import Author, nothing_before

US = 1_000_000


def uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"


def exported(node: Node, tlp_max: Tlp = Tlp.AMBER_STRICT, type_: str | None = None) -> list[dict[str, Any]]:
    pieces = FORMAT.render(
        node.store.knowledge, Selection((NOW + 1) * US, tlp_max, type_, node.store.partners.names())
    )
    found = json.loads(b"".join(pieces))["response"]
    return [one["Event"] for one in found]


def shared(node: Node, raw: bytes, tlp: Tlp | None, name: str = "event.json") -> None:
    drafted = draft_file(
        io.BufferedReader(io.BytesIO(raw)),
        name=name,
        format_name="auto",
        tlp=tlp,
        author=Author(node.identity.partner_id, "alpha"),
        now=NOW,
        first_created=nothing_before,
        progress=quiet,
    )
    publish(node, drafted.parts, names=["bravo"], ttl_class=4, is_dry_run=False, now=NOW, progress=quiet)


@pytest.fixture
def alpha(world: World) -> Node:
    node = world.found("alpha")
    befriend(node, world.found("bravo"))
    return node


EVENT = {
    "uuid": uuid(99),
    "info": "Case",
    "date": "2020-10-01",
    "timestamp": "1603642920",
    "Tag": [{"name": "tlp:green"}],
    "Attribute": [
        {"uuid": uuid(1), "type": "ip-src", "category": "Payload delivery", "value": "203.0.113.1", "to_ids": True},
        {"uuid": uuid(2), "type": "domain|ip", "category": "Network activity", "value": "evil.example|203.0.113.2", "to_ids": True},
        {"uuid": uuid(3), "type": "filename|md5", "category": "Payload delivery", "value": "a.exe|" + "ab" * 16, "to_ids": True, "Tag": [{"name": "tlp:amber"}, {"name": "PAP:RED"}, {"name": "apt:x"}]},
        {"uuid": uuid(4), "type": "domain", "category": "Network activity", "value": "seen.example", "to_ids": False},
        {"uuid": uuid(5), "type": "AS", "category": "Network activity", "value": "AS64500", "to_ids": True},
    ],
}  # fmt: skip


def test_what_came_from_misp_goes_back_under_its_own_ids(alpha: Node) -> None:
    shared(alpha, json.dumps(EVENT).encode(), None)
    green, amber = exported(alpha)
    by_value = {one["value"]: one for one in green["Attribute"]}
    assert by_value.keys() == {"203.0.113.1", "evil.example", "203.0.113.2", "AS64500"}
    source = by_value["203.0.113.1"]
    assert (source["uuid"], source["type"], source["category"]) == (uuid(1), "ip-src", "Payload delivery")
    assert by_value["AS64500"]["uuid"] == uuid(5)
    halves = {by_value["evil.example"]["uuid"], by_value["203.0.113.2"]["uuid"]}
    assert len(halves) == 2
    assert uuid(2) not in halves
    [sample] = amber["Attribute"]
    assert (sample["uuid"], sample["type"], sample["value"]) == (uuid(3), "md5", "ab" * 16)
    assert [tag["name"] for tag in sample["Tag"]] == ["PAP:RED", "apt:x"]
    whose = {"name": f'p2pshare:author="{alpha.identity.partner_id.text}"'}
    assert green["Tag"] == [{"name": "tlp:green"}, whose]
    assert amber["Tag"] == [{"name": "tlp:amber"}, whose]
    [envelope] = {row.envelope_id for row in alpha.store.log.entries(0, 10) if row.is_own} & {
        origin.envelope_id for origin in origins_in(source["comment"].encode())
    }
    own = alpha.identity.partner_id
    assert source["comment"] == origin_uri(ExportOrigin(own, f"indicator--{uuid(1)}", envelope))
    assert [event["distribution"] for event in (green, amber)] == ["1", "0"]


def test_ids_and_bytes_are_the_same_each_time_and_whatever_is_selected(alpha: Node) -> None:
    shared(alpha, json.dumps(EVENT).encode(), None)
    assert exported(alpha) == exported(alpha)
    ids = {one["value"]: one["uuid"] for event in exported(alpha) for one in event["Attribute"]}
    [only_domains] = exported(alpha, type_="domain")
    for one in only_domains["Attribute"]:
        assert one["uuid"] == ids[one["value"]]


def test_what_goes_out_comes_in_again_as_the_same_objects(alpha: Node, world: World) -> None:
    """Ours as MISP events, read by bravo: the ids of indicators are ours, the values the same."""
    publish(alpha, [draft(alpha, ["evil.example", "203.0.113.9", "http://evil.example/a", "cd" * 32])], names=[], ttl_class=4, is_dry_run=False, now=NOW, progress=quiet)  # fmt: skip
    raw = b"".join(
        misp.render(
            alpha.store.knowledge, Selection((NOW + 1) * US, Tlp.GREEN, names=alpha.store.partners.names())
        )
    )
    bravo = world.open("bravo")
    befriend(bravo, alpha)
    drafted = draft_file(io.BufferedReader(io.BytesIO(raw)), name="x.json", format_name="misp", tlp=None, author=Author(bravo.identity.partner_id, "bravo"), now=NOW, first_created=nothing_before, progress=quiet)  # fmt: skip
    assert drafted.refusals.total == 0
    publish(bravo, drafted.parts, names=["alpha"], ttl_class=4, is_dry_run=False, now=NOW, progress=quiet)

    def claimed(node: Node) -> set[tuple[str, str]]:
        [event] = exported(node)
        return {(one["uuid"], one["value"]) for one in event["Attribute"]}

    assert claimed(alpha) == claimed(bravo)
    assert len(claimed(alpha)) == 4


def test_pymisp_loads_it(alpha: Node) -> None:
    pymisp = pytest.importorskip("pymisp", reason="skipped: pymisp not installed")
    shared(alpha, json.dumps(EVENT).encode(), None)
    for plain in exported(alpha):
        event = pymisp.MISPEvent()
        event.load(json.dumps({"Event": plain}))
        assert event.uuid == plain["uuid"]
        assert {one.uuid: (one.type, one.value) for one in event.attributes} == {
            one["uuid"]: (one["type"], one["value"]) for one in plain["Attribute"]
        }
        assert [tag.name for tag in event.tags] == [tag["name"] for tag in plain["Tag"]]


def test_pymisp_makes_the_same_feed_of_it(alpha: Node) -> None:
    pymisp = pytest.importorskip("pymisp", reason="skipped: pymisp not installed")
    shared(alpha, json.dumps(EVENT).encode(), None)
    files = dict(
        FEED.render(
            alpha.store.knowledge, Selection((NOW + 1) * US, Tlp.AMBER, names=alpha.store.partners.names())
        )
    )
    assert list(files)[-1] == "manifest.json"
    manifest = json.loads(files["manifest.json"])
    hashes = files["hashes.csv"].decode().splitlines()
    assert {f"{name}.json" for name in manifest} == files.keys() - {"manifest.json", "hashes.csv"}
    for name in manifest:
        event = pymisp.MISPEvent()
        event.load(files[f"{name}.json"])
        theirs = event.manifest[name]
        assert {key: str(manifest[name][key]) for key in ("info", "date", "analysis", "threat_level_id", "timestamp")} == {key: str(theirs[key]) for key in ("info", "date", "analysis", "threat_level_id", "timestamp")}  # fmt: skip
        assert manifest[name]["Orgc"]["uuid"] == theirs["Orgc"]["uuid"]
        assert set(event.attributes_hashes("md5")) == {
            line.partition(",")[0] for line in hashes if name in line
        }
    assert hashlib.md5(b"evil.example").hexdigest() in "".join(hashes)


@pytest.mark.parametrize("tlp_max", list(Tlp), ids=lambda level: level.label)
def test_no_claim_stricter_than_allowed_leaves(alpha: Node, tlp_max: Tlp) -> None:
    for level in Tlp:
        parts = [draft(alpha, [f"{level.name.lower().replace('_', '-')}.example"], level)]
        publish(alpha, parts, names=["bravo"], ttl_class=4, is_dry_run=False, now=NOW, progress=quiet)
    tags = [event["Tag"][0]["name"] for event in exported(alpha, tlp_max)]
    assert sorted(tags) == sorted(level.label.lower() for level in Tlp if level <= tlp_max)


@pytest.mark.parametrize("tlp_max", list(Tlp), ids=lambda level: level.label)
def test_a_stricter_claim_stays_where_a_looser_one_for_the_same_value_leaves(
    alpha: Node, tlp_max: Tlp
) -> None:
    for level in Tlp:
        stix = {
            "type": "indicator",
            "spec_version": "2.1",
            "id": f"indicator--{uuid(level)}",
            "created": "2026-01-01T00:00:00.000Z",
            "modified": "2026-01-01T00:00:00.000Z",
            "pattern": "[domain-name:value = 'evil.example']",
            "pattern_type": "stix",
            "valid_from": "2027-01-01T00:00:00Z",
            "object_marking_refs": [TLP2_IDS[level]],
        }
        parts = [raw_draft([stix], level)]
        publish(alpha, parts, names=["bravo"], ttl_class=4, is_dry_run=False, now=NOW, progress=quiet)
    ids = {one["uuid"] for event in exported(alpha, tlp_max) for one in event["Attribute"]}
    assert ids == {uuid(level) for level in Tlp if level <= tlp_max}


def test_what_counts_no_more_does_not_leave(alpha: Node) -> None:
    def indicator(number: int, **other: object) -> dict[str, object]:
        return {
            "type": "indicator",
            "spec_version": "2.1",
            "id": f"indicator--{uuid(number)}",
            "created": "2026-01-01T00:00:00.000Z",
            "modified": "2026-01-01T00:00:00.000Z",
            "pattern": f"[domain-name:value = 'h{number}.example'] OR [domain-name:value = 'both.example']",
            "pattern_type": "stix",
            "valid_from": "2026-01-01T00:00:00Z",
            "object_marking_refs": [TLP2_IDS[Tlp.GREEN], PAP_IDS[Pap.AMBER]],
            "confidence": 80,
            **other,
        }

    objects = [indicator(1), indicator(2, revoked=True), indicator(3, valid_until="2026-01-02T00:00:00Z")]
    publish(alpha, [raw_draft(objects)], names=[], ttl_class=4, is_dry_run=False, now=NOW, progress=quiet)
    [event] = exported(alpha)
    assert {one["value"] for one in event["Attribute"]} == {"h1.example", "both.example"}
    assert len({one["uuid"] for one in event["Attribute"]} - {uuid(1)}) == 2
    assert {one["comment"].split(" p2pshare:")[0] for one in event["Attribute"]} == {"confidence 80"}
    assert [one["Tag"] for one in event["Attribute"]] == [[{"name": "PAP:AMBER"}]] * 2


def test_an_empty_store_is_an_empty_list(alpha: Node) -> None:
    assert exported(alpha) == []


def test_every_type_has_a_word_in_misp_that_reads_back_as_it() -> None:
    for type_ in TYPES - {"cve", "ja4", "ja3", "hassh"}:
        word = misp.TYPES[type_][0]
        [half] = OBSERVABLE_TYPES[word]
        assert half == type_ or (half == "address" and type_.startswith("ip")), type_
