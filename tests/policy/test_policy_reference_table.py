"""P19, whole nodes: marking x exit x audience against a table written from the design's words, not from the code.

Each cell is tried for real: published, handed over by the exchange, taken in and opened by the receiver, read from the
views with another SQLite, exported. A cell that says no must be no on every way.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_rows import rows as stored_rows
from whole_nodes import NOW, World, befriend, publish, quiet, raw_draft, seal_unchecked, send, take_in

from p2pshare.envelope.envelope import Mode
from p2pshare.envelope.payload import compress_frame
from p2pshare.exporters.interface import Format, Selection
from p2pshare.exporters.registry import EXPORTERS, load_exporter
from p2pshare.intel.bundle import read_stix
from p2pshare.intel.grouping import split_by_marking
from p2pshare.intel.marking import Tlp
from p2pshare.intel.observable import detect
from p2pshare.node.node import Node, gate_settings
from p2pshare.policy.gate import Exit, strictest
from p2pshare.sharing.drafting import DraftPart
from p2pshare.sharing.exchange import Exchange
from p2pshare.sharing.intake import Arrival, IntakeStatus

# Marking definitions by their published ids, written out here on purpose.
IDS = {
    "CLEAR": "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487",
    "GREEN": "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb",
    "AMBER": "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421",
    "AMBER+STRICT": "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003",
    "RED": "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1",
    "TLP1 WHITE": "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9",
    "TLP1 GREEN": "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da",
    "TLP1 AMBER": "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82",
    "TLP1 RED": "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed",
    "OpenCTI AMBER+STRICT": "marking-definition--826578e1-40ad-459f-bc73-ede076f81f37",
    "PAP AMBER": "marking-definition--60f8932b-e51e-4458-b265-a2e8be9a80ab",
    "PAP RED": "marking-definition--740d36e5-7714-4c30-961a-3ae632ceee0e",
    "national": "marking-definition--0a0b0c0d-0000-4000-8000-000000000001",
}

# How it travels to: a linked partner by name, one without a link, a group, everyone. First as configured by default,
# then with policy.relay_strict. "no" is a refusal.
SENDING = """
    CLEAR          relay   relay  relay   relay   |  relay   relay  relay  relay
    GREEN          relay   relay  relay   relay   |  relay   relay  relay  relay
    AMBER          relay   relay  relay   no      |  relay   relay  relay  no
    AMBER+STRICT   direct  no     direct  no      |  relay   relay  relay  no
    RED            direct  no     no      no      |  relay   relay  no     no
"""
AUDIENCES = {"linked": ["bravo"], "unlinked": ["delta"], "group": ["pair"], "everyone": []}
READERS = {
    "linked": {"bravo"},
    "unlinked": {"delta"},
    "group": {"bravo", "charlie"},
    "everyone": {"bravo", "charlie", "delta"},
}

# Where it is shown at a receiver: views, NDJSON, MISP | block list. First by default, then with policy.siem_red.
SHOWN = """
    CLEAR                  yes yes  |  yes yes
    GREEN                  yes yes  |  yes yes
    AMBER                  yes yes  |  yes yes
    AMBER+STRICT           yes yes  |  yes yes
    RED                    no  no   |  yes yes
    TLP1-WHITE             yes yes  |  yes yes
    TLP1-GREEN             yes yes  |  yes yes
    TLP1-AMBER             yes yes  |  yes yes
    TLP1-RED               no  no   |  yes yes
    OpenCTI-AMBER+STRICT   yes yes  |  yes yes
    none                   yes yes  |  yes yes
    two                    no  no   |  yes yes
    national               no  no   |  yes no
    GREEN+national         no  no   |  yes no
    GREEN+PAP-AMBER        yes no   |  yes no
    GREEN+PAP-RED          yes no   |  yes no
    granular-RED           no  no   |  yes yes
    granular-PAP-RED       yes no   |  yes no
"""


def rows(table: str) -> dict[str, list[list[str]]]:
    """marking -> [cells by default, cells with the option]."""
    found = {}
    for line in table.strip().splitlines():
        name, *cells = line.split()
        at = cells.index("|")
        found[name] = [cells[:at], cells[at + 1 :]]
    return found


def configure(world: World, name: str, *changes: tuple[str, str]) -> Node:
    config = world.folder / name / "config.toml"
    text = config.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    config.write_text(text)
    return world.reopen(name)


@pytest.fixture(params=[False, True], ids=["default", "relay-strict"])
def four(request: pytest.FixtureRequest, world: World) -> tuple[bool, dict[str, Node]]:
    """alpha with links to bravo and charlie, and delta whom it only trusts; everybody trusts alpha."""
    nodes = {name: world.found(name) for name in ("alpha", "bravo", "charlie", "delta")}
    for name in ("bravo", "charlie", "delta"):
        befriend(nodes["alpha"], nodes[name], has_link=name != "delta")
        befriend(nodes[name], nodes["alpha"])
    changes = [("[groups]", '[groups]\npair = ["bravo", "charlie"]')]
    if request.param:
        changes.append(("relay_strict = false", "relay_strict = true"))
    nodes["alpha"] = configure(world, "alpha", *changes)
    return request.param, nodes


def test_sending_agrees_with_the_table_and_nobody_else_can_read(four: tuple[bool, dict[str, Node]]) -> None:
    is_strict, nodes = four
    alpha = nodes["alpha"]
    exchange = Exchange(alpha)
    for marking, cells in rows(SENDING).items():
        for (audience, to), cell in zip(AUDIENCES.items(), cells[is_strict], strict=True):
            value = f"{marking.lower().replace('+', '-')}-{audience}.example"
            report = send(alpha, [value], to=to, tlp=Tlp[marking.replace("+", "_")])
            where = f"{marking} to {audience}"
            if cell == "no":
                assert (report.envelopes, report.published) == ([], 0), where
                assert report.refuse is not None and report.refuse.hint, where
                continue
            [envelope_id] = report.envelopes
            entry = alpha.store.log.entry(envelope_id)
            assert entry is not None
            assert Mode(entry.mode).name.lower() == cell, where
            wire = alpha.store.log.wire(envelope_id)
            assert wire is not None and value.encode() not in wire
            for name in ("bravo", "charlie", "delta"):
                peer = nodes[name]
                handed = exchange.wire(peer.identity.partner_id, envelope_id)
                may_carry = name != "delta" and (cell == "relay" or name in READERS[audience])
                assert (handed is not None) is may_carry, f"{where}: handed to {name}"
                # Even whoever got hold of the bytes reads them only as a recipient.
                take_in(peer, [Arrival(wire, alpha.identity.partner_id)], NOW)
                can_read = detect(value) in peer.store.knowledge.lookup([detect(value)])
                assert can_read is (name in READERS[audience]), f"{where}: {name}"


def indicator(number: int, refs: list[str], granular: list[str]) -> dict[str, Any]:
    stix: dict[str, Any] = {
        "type": "indicator",
        "spec_version": "2.1",
        "id": f"indicator--00000000-0000-4000-8000-{number:012x}",
        "created": "2026-01-01T00:00:00.000Z",
        "modified": "2026-01-01T00:00:00.000Z",
        "valid_from": "2027-01-01T00:00:00Z",
        "pattern": f"[domain-name:value = 'marked-{number}.example']",
        "pattern_type": "stix",
    }
    if refs:
        stix["object_marking_refs"] = refs
    if granular:
        stix["granular_markings"] = [{"marking_ref": ref, "selectors": ["pattern"]} for ref in granular]
    return stix


def refs_of(marking: str) -> tuple[list[str], list[str]]:
    """(object markings, granular markings) of a row's name."""
    if marking == "none":
        return [], []
    if marking == "two":
        return [IDS["GREEN"], IDS["AMBER"]], []
    if marking.startswith("granular-"):
        return [IDS["GREEN"]], [IDS[marking.removeprefix("granular-").replace("-", " ")]]
    if marking in IDS:
        return [IDS[marking]], []
    if marking.replace("-", " ", 1) in IDS:
        return [IDS[marking.replace("-", " ", 1)]], []
    return [IDS[part.replace("-", " ")] for part in marking.split("+")], []


# what says nothing of one value alone, and what shows entries of spaces (tests/spaces/test_incident_views.py)
NOT_OF_OBJECTS = frozenset(
    [
        "v1_sightings",
        "v1_feed",
        "v1_incidents",
        "v1_incident_timeline",
        "v1_tasks",
        "v1_duties",
        "v1_watch",
        "v1_playbooks",
        "v1_rules",
    ]
)


def shown_in(node: Node) -> Iterator[tuple[str, bool, str]]:
    """(exit, whether it is for blocking, everything it says)."""
    path = node.home / "store.sqlite"
    for (view,) in stored_rows(
        path, "SELECT name FROM sqlite_master WHERE type = 'view' AND name LIKE 'v1%'"
    ):
        if view not in NOT_OF_OBJECTS:
            yield view, False, json.dumps(stored_rows(path, f"SELECT * FROM {view}"))
    selection = Selection(NOW * 1_000_000, strictest(Exit.SIEM, gate_settings(node.config)))
    for name in EXPORTERS:
        exporter = load_exporter(name)
        if isinstance(exporter, Format):  # the one that is a folder holds what `misp` says
            yield name, name == "list", b"".join(exporter.render(node.store.knowledge, selection)).decode()


@pytest.mark.parametrize("siem_red", [False, True])
def test_a_receiver_shows_and_blocks_what_the_table_says(world: World, siem_red: bool) -> None:
    alpha, bravo = world.found("alpha"), world.found("bravo")
    befriend(bravo, alpha)
    if siem_red:
        bravo = configure(world, "bravo", ("siem_red = false", "siem_red = true"))
    table = rows(SHOWN)
    objects = [indicator(number, *refs_of(marking)) for number, marking in enumerate(table)]
    wire = seal_unchecked(alpha, raw_draft(objects), bravo)
    [verdict] = take_in(bravo, [Arrival(wire, alpha.identity.partner_id)], NOW)
    assert verdict.status is IntakeStatus.HELD
    seen = set()
    for exit_, is_blocking, said in shown_in(bravo):
        seen.add(exit_)
        for number, (marking, cells) in enumerate(table.items()):
            expected = cells[siem_red][is_blocking] == "yes"
            assert (f"marked-{number}.example" in said) is expected, f"{marking} in {exit_}"
    assert {"v1_claims", "v1_indicators", "v1_changes", "list", "ndjson", "misp"} <= seen


def test_what_is_not_understood_is_carried_untouched(world: World) -> None:
    alpha, bravo = world.found("alpha"), world.found("bravo")
    befriend(bravo, alpha)
    acs = indicator(1, [IDS["national"]], []) | {
        "extensions": {
            "extension-definition--3a65884d-005a-4290-8335-cb2d778a83ce": {"identifier": "isa:guide.19001"}
        }
    }
    raw = json.dumps([acs]).encode()
    part = DraftPart(Tlp.GREEN, (compress_frame(raw),), 1)
    wire = seal_unchecked(alpha, part, bravo)
    take_in(bravo, [Arrival(wire, alpha.identity.partner_id)], NOW)
    [version] = bravo.store.knowledge.object_versions(acs["id"])
    assert (version.raw, version.tlp) == (json.dumps(acs).encode(), Tlp.RED)


# A bundle as its author wrote it -> what each envelope may hold, by its marking; or the reason of the refusal.
SPLITS: Mapping[str, str] = {
    "CLEAR": "CLEAR",
    "TLP1-WHITE": "CLEAR",
    "TLP1-GREEN": "GREEN",
    "TLP1-AMBER": "AMBER",
    "TLP1-RED": "RED",
    "OpenCTI-AMBER+STRICT": "AMBER_STRICT",
    "GREEN+PAP-RED": "GREEN",
    "granular-RED": "RED",
    "granular-PAP-RED": "GREEN",
    "none": "no-marking",
    "two": "two-markings",
    "national": "unknown-marking",
    "GREEN+national": "unknown-marking",
}


def test_a_bundle_is_split_so_that_the_strictest_part_of_an_object_decides() -> None:
    names = list(SPLITS)
    objects = [indicator(number, *refs_of(name)) for number, name in enumerate(names)]
    bundle = {"type": "bundle", "id": "bundle--00000000-0000-4000-8000-000000000000", "objects": objects}
    grouping = split_by_marking(read_stix(json.dumps(bundle).encode()).objects)
    placed = {one.object_id: group.tlp.name for group in grouping.groups for one in group.objects}
    for number, name in enumerate(names):
        level = placed.get(objects[number]["id"])
        assert level == (SPLITS[name] if SPLITS[name] in Tlp.__members__ else None), name
    refused = [reason for reason in SPLITS.values() if reason not in Tlp.__members__]
    assert grouping.refusals.counts == {reason: refused.count(reason) for reason in refused}


def test_what_is_split_leaves_apart_and_each_part_only_where_it_may(
    four: tuple[bool, dict[str, Node]],
) -> None:
    _, nodes = four
    alpha = nodes["alpha"]
    objects = [
        indicator(1, *refs_of("GREEN")),
        indicator(2, *refs_of("granular-RED")),
        indicator(3, *refs_of("AMBER")),
    ]
    bundle = json.dumps({"type": "bundle", "id": "bundle--" + objects[0]["id"][11:], "objects": objects})
    parts = [
        DraftPart(group.tlp, (compress_frame(b"[" + b",".join(one.raw for one in group.objects) + b"]"),), len(group.objects))
        for group in split_by_marking(read_stix(bundle.encode()).objects).groups
    ]  # fmt: skip
    options: dict[str, Any] = {"ttl_class": 4, "is_dry_run": False, "now": NOW, "progress": quiet}
    to_all = publish(alpha, parts, names=[], **options)
    assert (to_all.published, to_all.markings, len(to_all.envelopes)) == (1, {"TLP:GREEN"}, 1)
    to_bravo = publish(alpha, parts, names=["bravo"], **options)
    assert to_bravo.markings == {"TLP:GREEN", "TLP:AMBER", "TLP:RED"}
    # A part whose label says less than its objects do is not believed.
    lying = DraftPart(Tlp.GREEN, parts[-1].frames, 1)
    assert publish(alpha, [lying], names=[], **options).refusals.counts == {"stricter-than-part": 1}


@pytest.fixture
def trio(world: World) -> dict[str, Node]:
    """alpha, who trusts the authors bravo and charlie."""
    nodes = {name: world.found(name) for name in ("alpha", "bravo", "charlie")}
    for name in ("bravo", "charlie"):
        befriend(nodes["alpha"], nodes[name])
    return nodes


numbers = itertools.count(1_000)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    own=st.sampled_from(list(Tlp)),
    others=st.lists(st.tuples(st.sampled_from(list(Tlp)), st.integers(1, 28)), min_size=1, max_size=4),
    place=st.integers(0, 4),
)
def test_nobody_but_the_author_loosens_a_marking(
    trio: dict[str, Node], own: Tlp, others: list[tuple[Tlp, int]], place: int
) -> None:
    """Another author sends versions of the same object id, newer and looser, before and after the author's own."""
    alpha, author, other = trio.values()
    number = next(numbers)
    stix = indicator(number, *refs_of(own.name.replace("_", "+")))
    sent = [
        (other, stix | {"modified": f"2026-02-{day:02d}T00:00:00.000Z", "object_marking_refs": [id_of(tlp)]})
        for tlp, day in others
    ]
    sent.insert(min(place, len(sent)), (author, stix))
    for who, version in sent:
        wire = seal_unchecked(who, raw_draft([version], Tlp.CLEAR), alpha)
        take_in(alpha, [Arrival(wire, who.identity.partner_id)], NOW)
    observable = detect(f"marked-{number}.example")
    by_author = {claim.author: claim.tlp for claim in alpha.store.knowledge.lookup([observable])[observable]}
    assert by_author[author.identity.partner_id] is own
    effective = alpha.store.knowledge.effective_states([observable], NOW * 1_000_000, tlp_max=Tlp.RED)[
        observable
    ]
    assert effective.tlp >= own


def id_of(tlp: Tlp) -> str:
    return IDS[tlp.name.replace("_", "+")]
