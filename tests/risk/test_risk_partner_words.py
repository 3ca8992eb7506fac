"""What partners say of vulnerabilities, as the worker reads it: a partner is a partner, what is withdrawn leaves, our own word is none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from store_rows import rows
from whole_nodes import NOW, World, befriend, raw_draft, seal_unchecked, take_in

from demos import hospital
from p2pshare.cli.risk import opening, worker
from p2pshare.cli.risk.partner_words import SAID, SEEN, PartnerWords
from p2pshare.database.settings import OWN_ID
from p2pshare.importers.csaf import read_csaf
from p2pshare.importers.interface import InputSource
from p2pshare.intel.authoring import identity_id
from p2pshare.intel.marking import TLP2_IDS, Tlp
from p2pshare.node.node import Node
from p2pshare.sharing.intake import Arrival

CVE = "CVE-2026-97002"
VULNERABILITY = "vulnerability--00000000-0000-4000-8000-000000000001"
INDICATOR = "indicator--00000000-0000-4000-8000-000000000002"
TIME = "2027-01-15T08:00:00.000Z"  # NOW


class Told:
    """alpha, who has an inventory, with what bravo and charlie tell it."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.alpha, self.bravo, self.charlie = (world.found(name) for name in ("alpha", "bravo", "charlie"))
        for other in (self.bravo, self.charlie):
            befriend(self.alpha, other)
            befriend(other, self.alpha)
        self._sealed: dict[str, int] = {}
        self.words = PartnerWords()
        monkeypatch.setattr(worker, "now_seconds", lambda: NOW)

    def tell(self, node: Node, *objects: dict[str, Any], tlp: Tlp = Tlp.GREEN) -> None:
        """`node` seals these for alpha, who takes them in."""
        author = node.identity.partner_id
        number = self._sealed[author.text] = self._sealed.get(author.text, 0) + 1
        made = [
            {
                "spec_version": "2.1",
                "created": TIME,
                "modified": TIME,
                "created_by_ref": identity_id(author),
                "object_marking_refs": [TLP2_IDS[tlp]],
            }
            | one
            for one in objects
        ]
        wire = seal_unchecked(
            node, raw_draft(list(made), tlp), self.alpha, ahead=number, recipient_sequence=number
        )
        take_in(self.alpha, [Arrival(wire, author)], NOW)

    def tell_advisory(self, node: Node, document: dict[str, Any]) -> list[dict[str, Any]]:
        """`node` publishes an advisory as its importer reads it; returns the objects."""
        read = read_csaf(json.dumps(document).encode(), InputSource("-", node.identity.partner_id, NOW, None))
        objects = [json.loads(one.raw) for one in read.objects if one.type == "vulnerability"]
        self.tell(node, *objects)
        return objects

    def look(self) -> str:
        return worker.look(self.alpha.home, self.words)

    def evidence(self) -> set[tuple[str, str]]:
        """(who, kind) of what is held about CVE."""
        names = {
            node.identity.partner_id.text: name
            for name, node in self.__dict__.items()
            if isinstance(node, Node)
        }
        found = rows(
            opening.risk_path(self.alpha.home),
            "SELECT e.organisation, e.kind FROM partner_evidence e JOIN vulnerability v ON v.id = e.vulnerability WHERE v.name = ?",
            CVE,
        )
        return {(names[organisation], kind) for organisation, kind in found}

    def organisations(self) -> int:
        [(count,)] = rows(
            opening.risk_path(self.alpha.home), "SELECT organisations FROM vulnerability WHERE name = ?", CVE
        )
        return int(count)


@pytest.fixture
def told(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    yield Told(world, monkeypatch)


def vulnerability(**more: Any) -> dict[str, Any]:
    reference = {"source_name": "cve", "external_id": CVE}
    return {
        "type": "vulnerability",
        "id": VULNERABILITY,
        "name": CVE,
        "external_references": [reference],
        **more,
    }


def sighting_of(target: str, number: int, author: Node, owner: Node, **more: Any) -> dict[str, Any]:
    return {
        "type": "sighting",
        "id": f"sighting--00000000-0000-4000-8000-{number:012}",
        "sighting_of_ref": target,
        "first_seen": TIME,
        "last_seen": TIME,
        "count": 1,
        **more,
    }


def test_who_publishes_has_spoken_and_who_sights_has_seen(told: Told) -> None:
    told.tell(told.bravo, vulnerability())
    assert told.look() == "partners speak of 1 vulnerability; 0 advisories are held"
    assert told.evidence() == {("bravo", SAID)}
    assert told.organisations() == 0
    told.tell(told.charlie, sighting_of(VULNERABILITY, 1, told.charlie, told.bravo))
    told.look()
    assert told.evidence() == {("bravo", SAID), ("charlie", SEEN)}
    assert told.organisations() == 1
    told.tell(told.charlie, sighting_of(VULNERABILITY, 2, told.charlie, told.bravo))
    told.look()
    assert told.organisations() == 1  # organisations, not messages


def test_a_sighting_of_an_indicator_that_is_linked_counts(told: Told) -> None:
    indicator = {
        "type": "indicator",
        "id": INDICATOR,
        "pattern": "[ipv4-addr:value = '192.0.2.77']",
        "pattern_type": "stix",
        "valid_from": TIME,
    }
    link = {
        "type": "relationship",
        "id": "relationship--00000000-0000-4000-8000-000000000003",
        "relationship_type": "indicates",
        "source_ref": INDICATOR,
        "target_ref": VULNERABILITY,
    }
    told.tell(told.bravo, vulnerability(), indicator, link)
    told.tell(told.charlie, sighting_of(INDICATOR, 1, told.charlie, told.bravo))
    told.look()
    assert told.evidence() == {("bravo", SAID), ("charlie", SEEN)}


def test_our_own_words_are_no_evidence_from_partners(told: Told) -> None:
    own = told.alpha.identity.partner_id
    wire = seal_unchecked(
        told.alpha,
        raw_draft(
            [
                vulnerability(
                    spec_version="2.1", created=TIME, modified=TIME, object_marking_refs=[TLP2_IDS[Tlp.GREEN]]
                )
            ]
        ),
        told.alpha,
    )
    take_in(told.alpha, [Arrival(wire, told.bravo.identity.partner_id)], NOW)
    assert told.alpha.store.knowledge.current_rows("vulnerability")
    told.look()
    assert told.evidence() == set()
    assert told.alpha.store.database.setting(OWN_ID) == bytes(own)


def test_what_is_withdrawn_leaves_with_the_next_look(told: Told) -> None:
    told.tell(told.bravo, vulnerability())
    told.tell(told.charlie, sighting_of(VULNERABILITY, 1, told.charlie, told.bravo))
    told.look()
    assert told.organisations() == 1
    told.tell(told.bravo, vulnerability(modified="2027-01-15T09:00:00.000Z", revoked=True))
    told.look()
    assert told.evidence() == set()
    assert told.organisations() == 0


def test_what_no_siem_may_see_is_not_seen(told: Told) -> None:
    told.tell(told.bravo, vulnerability(), tlp=Tlp.RED)
    assert told.look().startswith("partners speak of 0 vulnerabilities")


@pytest.fixture
def devices(tmp_path: Path) -> Path:
    path = tmp_path / "devices.csv"
    path.write_text(
        "asset,vendor,product,model,version,exposure,human_impact\nvpn-1,Torhus,Edge Gateway,TH-900,9.1.4,open,high\n"
    )
    return path


def states(home: Path) -> set[tuple[str, str]]:
    with opening.open_own(home) as store:
        return {(one.vulnerability, one.state) for one in store.rank(now=NOW, with_all=True)}


def test_an_advisory_of_a_partner_is_held_against_the_inventory_by_model_number(
    told: Told, devices: Path
) -> None:
    with opening.open_own(told.alpha.home) as store:
        store.import_inventory(devices, now=NOW)
    [sent] = told.tell_advisory(
        told.bravo, hospital.advisory("Torhus", "TH-1", CVE, "Edge Gateway", "<9.1.5", ["TH-900"], 9.8)
    )
    assert told.look().endswith("1 advisory is held")
    assert states(told.alpha.home) == {(CVE, "affected")}
    [(cvss,)] = rows(opening.risk_path(told.alpha.home), "SELECT cvss FROM vulnerability WHERE name = ?", CVE)
    assert cvss == 9.8
    told.tell(told.bravo, sent | {"modified": "2027-02-01T00:00:00.000Z", "revoked": True})
    told.look()
    assert states(told.alpha.home) == set()


def test_a_partner_in_the_makers_name_hides_nothing(told: Told, devices: Path, tmp_path: Path) -> None:
    """The maker's own word beats third parties; a partner who sends one in its name is none, and replaces no file of ours."""
    honest = hospital.advisory("Torhus", "TH-1", CVE, "Edge Gateway", "<9.1.5", ["TH-900"], 9.8)
    (tmp_path / "honest.json").write_text(json.dumps(honest))
    with opening.open_own(told.alpha.home) as store:
        store.import_inventory(devices, now=NOW)
        store.add_source("csaf", tmp_path / "honest.json", now=NOW)
    forged = json.loads(json.dumps(honest))
    forged["document"]["tracking"] |= {"version": "2", "current_release_date": "2027-01-01T00:00:00Z"}
    forged["vulnerabilities"][0]["product_status"] = {"known_not_affected": ["P1"]}
    told.tell_advisory(told.bravo, forged)
    told.look()
    assert states(told.alpha.home) == {(CVE, "affected")}
    documents = rows(
        opening.risk_path(told.alpha.home), "SELECT partner = '', publisher_category FROM document ORDER BY 1"
    )
    assert documents == [(0, ""), (1, "vendor")]


HOSTILE: tuple[dict[str, Any], ...] = (
    {"x_csaf": "text"},
    {"x_csaf": {"tracking_id": "X", "products": ["a"], "identified": {"known_affected": "a"}}},
    {"x_csaf": {"tracking_id": "X", "products": {"known_affected": [1, None, {"a": 1}]}, "scores": [1, {"vector": "CVSS:9.9/X"}]}},
    {"x_csaf": {"tracking_id": "X", "identified": {"known_affected": [{"name": 1, "model_numbers": [1, "x" * 9_000], "component_of": {"component_of": {}}}]}}},
    {"x_csaf": {"tracking_id": "X", "identified": {"known_affected": [{"name": "n", "purl": "pkg:" + "x" * 9_000, "cpe": "cpe:2.3:\\"}] * 5_000}}},
    {"external_references": [{"source_name": "cve", "external_id": "CVE-1"}, 7], "name": "no CVE"},
    {"name": "x\u202e\x00" * 200, "external_references": []},
)  # fmt: skip


def test_nothing_that_a_partner_writes_stops_the_worker(told: Told, devices: Path) -> None:
    with opening.open_own(told.alpha.home) as store:
        store.import_inventory(devices, now=NOW)
    for number, hostile in enumerate(HOSTILE):
        told.tell(
            told.bravo, vulnerability(id=f"vulnerability--00000000-0000-4000-8000-{number:012}", **hostile)
        )
    told.tell(told.charlie, vulnerability())
    told.look()
    told.look()
    assert {("bravo", SAID), ("charlie", SAID)} == told.evidence()
