"""CSAF: product trees of every shape, what a status means for what is ours, and documents that are wrong in places."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from advisories_made import branches, csaf, leaf, written
from hypothesis import given, settings
from hypothesis import strategies as st
from risk_cases import NOW

from p2pshare.errors import AuthorError
from p2pshare.risk import matching, risk_store
from p2pshare.risk.risk_store import RiskStore
from p2pshare.risk.sources import csaf_products
from p2pshare.risk.sources.csaf_products import read_product_tree
from p2pshare.risk.sources.csaf_statements import read_csaf_statements

SHARED = Path(__file__).parents[3] / "shared" / "data" / "vuln"


def states(store: RiskStore) -> dict[str, str]:
    """Asset or bom-ref -> state, of what is not only proposed."""
    return {
        one.component["ref"] or one.asset: one.state
        for one in store.rank(now=NOW, with_all=True)
        if one.match != "candidate-name"
    }


def take(store: RiskStore, folder: Path, rows: str, *documents: dict[str, Any]) -> dict[str, str]:
    """Import a list of `asset,...` rows and add documents; returns the states."""
    store.import_inventory(written(folder, "list.csv", rows), now=NOW)
    for number, document in enumerate(documents):
        store.add_source("csaf", written(folder, f"{number}.json", document), now=NOW)
    return states(store)


PURLS = "asset,purl\n" + "".join(f"v{one},pkg:rpm/fenn/lib@{one}\n" for one in ("1.0", "1.1", "1.2"))


def test_fixed_alone_means_that_what_is_below_is_affected(store: RiskStore, tmp_path: Path) -> None:
    tree = {"branches": branches("Fenn", Lib=[leaf("F", "1.1", purl="pkg:rpm/fenn/lib@1.1?arch=x86_64")])}
    assert take(store, tmp_path, PURLS, csaf({"fixed": ["F"]}, tree)) == {
        "v1.0": "affected",
        "v1.1": "fixed",
        "v1.2": "fixed",
    }


def test_fixed_beside_affected_says_nothing_of_what_is_not_named(store: RiskStore, tmp_path: Path) -> None:
    leaves = [leaf("F", "1.2", purl="pkg:rpm/fenn/lib@1.2"), leaf("A", "1.1", purl="pkg:rpm/fenn/lib@1.1")]
    document = csaf({"fixed": ["F"], "known_affected": ["A"]}, {"branches": branches("Fenn", Lib=leaves)})
    assert take(store, tmp_path, PURLS, document) == {"v1.1": "affected", "v1.2": "fixed"}


def test_two_fixed_branches_and_one_between_them_is_for_a_person(store: RiskStore, tmp_path: Path) -> None:
    leaves = [leaf("F", "1.0", purl="pkg:rpm/fenn/lib@1.0"), leaf("G", "1.2", purl="pkg:rpm/fenn/lib@1.2")]
    document = csaf({"fixed": ["F", "G"]}, {"branches": branches("Fenn", Lib=leaves)})
    assert take(store, tmp_path, PURLS, document) == {"v1.0": "fixed", "v1.1": "possible", "v1.2": "fixed"}


def test_releases_of_a_distribution_are_not_compared(store: RiskStore, tmp_path: Path) -> None:
    rows = "asset,purl\nold8,pkg:rpm/redhat/bash@4.4-20.el8\nnew8,pkg:rpm/redhat/bash@4.4-25.el8\nold9,pkg:rpm/redhat/bash@5.1-3.el9\n"
    leaves = [
        leaf("F8", "x", purl="pkg:rpm/redhat/bash@4.4-25.el8"),
        leaf("F9", "y", purl="pkg:rpm/redhat/bash@5.1-6.el9"),
    ]
    document = csaf({"fixed": ["F8", "F9"]}, {"branches": branches("Red Hat", Bash=leaves)})
    assert take(store, tmp_path, rows, document) == {"old8": "affected", "new8": "fixed", "old9": "affected"}


def test_an_rpms_epoch_counts(store: RiskStore, tmp_path: Path) -> None:
    rows = "asset,purl\na,pkg:rpm/redhat/x@9.0-1.el9\nb,pkg:rpm/redhat/x@1.0-1.el9?epoch=2\n"
    tree = {
        "branches": branches(
            "Red Hat", X=[leaf("F", "x", purl="pkg:rpm/redhat/x@1.0-1.el9?arch=s390x&epoch=1")]
        )
    }
    assert take(store, tmp_path, rows, csaf({"fixed": ["F"]}, tree)) == {"a": "affected", "b": "fixed"}


def nested(depth: int) -> dict[str, Any]:
    branch: dict[str, Any] = leaf("P", "vers:all/*", model_numbers=["AB-1234"])
    for number in range(depth):
        branch = {"category": "product_family", "name": f"family {number}", "branches": [branch]}
    return {"branches": [{"category": "vendor", "name": "Brask", "branches": [branch]}]}


def test_branches_nest_to_any_depth(store: RiskStore, tmp_path: Path) -> None:
    rows = "asset,vendor,product,model,version\na,Brask,Pump,ab 1234,1\nb,Other,Pump,AB-1234,1\nc,,Pump,AB-1234,1\n"
    assert take(store, tmp_path, rows, csaf({"known_affected": ["P"]}, nested(20))) == {
        "a": "affected",
        "c": "possible",
    }


def test_a_model_number_with_wildcards_names_several(store: RiskStore, tmp_path: Path) -> None:
    rows = "asset,vendor,product,model,version\na,Brask,Pump,6ES7-512-1,1\nb,Brask,Pump,6ES7-513-1,1\nc,Brask,Pump,6ES8-512-1,1\n"
    tree = {"branches": branches("Brask", Pump=[leaf("P", "vers:all/*", model_numbers=["6ES7-51?-*"])])}
    assert take(store, tmp_path, rows, csaf({"known_affected": ["P"]}, tree)) == {
        "a": "affected",
        "b": "affected",
    }


def test_a_serial_number_limits_and_is_for_a_person(store: RiskStore, tmp_path: Path) -> None:
    rows = "asset,vendor,product,model,version\na,Brask,Pump,AB-1234,1\n"
    tree = {
        "branches": branches(
            "Brask", Pump=[leaf("P", "vers:all/*", model_numbers=["AB-1234"], serial_numbers=["9*"])]
        )
    }
    assert take(store, tmp_path, rows, csaf({"known_affected": ["P"]}, tree)) == {"a": "possible"}


def relation(identifier: str, part: str, host: str, category: str = "default_component_of") -> dict[str, Any]:
    return {
        "category": category,
        "full_product_name": {"product_id": identifier, "name": identifier},
        "product_reference": part,
        "relates_to_product_reference": host,
    }


TREE = {
    "branches": branches(
        "Fenn",
        Ward_OS=[leaf("OS12", "12"), leaf("OS13", "13")],
        lib=[leaf("L", "1.0", purl="pkg:generic/fenn/lib@1.0")],
    )
}


def host(folder: Path, store: RiskStore, version: str) -> None:
    content = {
        "bomFormat": "CycloneDX", "specVersion": "1.5", "serialNumber": f"urn:uuid:7b1c7a0e-0000-4000-8000-0000000000{version}", "version": 1,
        "metadata": {"component": {"type": "operating-system", "name": "Ward OS", "version": version, "bom-ref": f"os{version}"}},
        "components": [{"type": "library", "bom-ref": f"l{version}", "name": "lib", "version": "1.0", "purl": "pkg:generic/fenn/lib@1.0"}],
    }  # fmt: skip
    store.import_inventory(written(folder, f"{version}.cdx.json", content), asset=f"host {version}", now=NOW)


@pytest.mark.parametrize("is_inventory_first", [True, False])
def test_a_component_in_one_product_says_nothing_of_it_in_another(
    store: RiskStore, tmp_path: Path, is_inventory_first: bool
) -> None:
    tree = {**TREE, "relationships": [relation("R12", "L", "OS12"), relation("R13", "L", "OS13")]}
    document = csaf({"known_affected": ["R12"], "known_not_affected": ["R13"]}, tree)
    if not is_inventory_first:
        store.add_source("csaf", written(tmp_path, "d.json", document), now=NOW)
    host(tmp_path, store, "12")
    host(tmp_path, store, "13")
    if is_inventory_first:
        store.add_source("csaf", written(tmp_path, "d.json", document), now=NOW)
    assert states(store) == {"l12": "affected", "l13": "not_affected"}


def test_not_affected_in_a_product_is_not_believed_elsewhere(store: RiskStore, tmp_path: Path) -> None:
    """The code may not be reached in Ward OS; what our cart does with the library nobody has said."""
    tree = {**TREE, "relationships": [relation("R12", "L", "OS12")]}
    rows = "asset,purl\ncart,pkg:generic/fenn/lib@1.0\n"
    assert take(store, tmp_path, rows, csaf({"known_not_affected": ["R12"]}, tree)) == {}
    assert take(store, tmp_path, rows, csaf({"known_affected": ["R12"]}, tree, version="2")) == {
        "cart": "affected"
    }


def test_relationships_of_relationships_in_any_order(store: RiskStore, tmp_path: Path) -> None:
    chain = [relation("R3", "R2", "OS13"), relation("R2", "R1", "OS12"), relation("R1", "L", "OS12")]
    rows = "asset,purl\ncart,pkg:generic/fenn/lib@1.0\n"
    assert take(
        store, tmp_path, rows, csaf({"known_affected": ["R3"]}, {**TREE, "relationships": chain})
    ) == {"cart": "affected"}


def test_loops_and_ways_to_nowhere_are_told_and_the_rest_holds(store: RiskStore, tmp_path: Path) -> None:
    loops = [
        relation("A", "B", "OS12"),
        relation("B", "A", "OS12"),
        relation("C", "C", "OS12"),
        relation("D", "gone", "OS12"),
    ]
    tree = {**TREE, "relationships": [*loops, relation("R", "L", "OS12")]}
    document = csaf({"known_affected": ["A", "B", "C", "D", "R", "nobody"]}, tree)
    store.import_inventory(
        written(tmp_path, "list.csv", "asset,purl\ncart,pkg:generic/fenn/lib@1.0\n"), now=NOW
    )
    answer = store.add_source("csaf", written(tmp_path, "d.json", document), now=NOW)
    assert states(store) == {"cart": "affected"}
    why = [one["why"] for one in answer.told]
    assert sum("back to itself" in one for one in why) == 3
    assert any("'gone', which is nowhere" in one for one in why) and any("nobody" in one for one in why)


def test_a_chain_of_ten_thousand_relationships_neither_hangs_nor_fails() -> None:
    chain = [relation(f"R{number}", f"R{number - 1}" if number else "L", "OS12") for number in range(10_000)]
    tree = read_product_tree({**TREE, "relationships": list(reversed(chain))}, "Fenn")
    assert "R3" in tree.products and any("nest deeper" in one for one in tree.told)


def test_firmware_on_a_device_is_found_by_the_devices_number(store: RiskStore, tmp_path: Path) -> None:
    tree = {
        "branches": branches(
            "Siemens", Firmware=[leaf("FW", "vers:all/<V2.1", category="product_version_range")], CPU_1510=[leaf("HW", "vers:all/*", skus=["6ES7510-1DJ01"])]
        ),
        "relationships": [relation("R", "FW", "HW", "installed_on")],
    }  # fmt: skip
    rows = "asset,vendor,product,model,version\na,Siemens,CPU,6ES7510-1DJ01,V2.0\nb,Siemens,CPU,6ES7510-1DJ01,V2.1\nc,Siemens,CPU,6ES7511-1DJ01,V2.0\n"
    assert take(store, tmp_path, rows, csaf({"known_affected": ["R"]}, tree)) == {"a": "affected"}


def test_version_2_1_with_several_purls_paths_and_metrics(store: RiskStore, tmp_path: Path) -> None:
    tree = {
        "branches": branches("Fenn", Ward_OS=[leaf("OS12", "12")], lib=[leaf("L", "1.0", purls=["pkg:generic/fenn/lib@1.0"])]),
        "product_paths": [
            {"beginning_product_reference": "L", "full_product_name": {"product_id": "P", "name": "lib in OS"},
             "subpaths": [{"category": "default_component_of", "next_product_reference": "OS12"}]}
        ],
    }  # fmt: skip
    content = {
        "cvss_v3": {"vectorString": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"},
        "ssvc_v2": {"timestamp": "2026-11-01T00:00:00Z", "selections": [
            {"namespace": "ssvc", "key": "E", "version": "1.1.0", "values": [{"key": "A", "name": "Active"}]},
            {"namespace": "ssvc", "key": "A", "version": "2.0.0", "values": [{"key": "Y", "name": "Yes"}]}]},
    }  # fmt: skip
    document = csaf(
        {"known_affected": ["P"]}, tree, csaf_version="2.1", metrics=[{"content": content, "products": ["P"]}]
    )
    assert take(store, tmp_path, "asset,purl\ncart,pkg:generic/fenn/lib@1.0\n", document) == {
        "cart": "affected"
    }
    (finding,) = store.rank(now=NOW)
    assert finding.cvss == 9.8
    why = {one.input: one.value for one in finding.why}
    assert why["exploitation"] == "active" and why["automatable"] == "yes"


@pytest.mark.parametrize("order", [("1", "2", "10"), ("10", "2", "1"), ("2", "10", "1")])
def test_the_highest_version_of_a_document_holds_in_whatever_order_they_come(
    store: RiskStore, tmp_path: Path, order: tuple[str, ...]
) -> None:
    tree = {"branches": branches("Fenn", Lib=[leaf("P", "1.1", purl="pkg:rpm/fenn/lib@1.1")])}
    said = {"1": "known_affected", "2": "under_investigation", "10": "known_not_affected"}
    documents = [csaf({said[version]: ["P"]}, tree, version=version) for version in order]
    assert take(store, tmp_path, PURLS, *documents) == {"v1.1": "not_affected"}
    assert store.rank(now=NOW, with_all=True)[0].disagreement == ()


@pytest.mark.parametrize(
    "text",
    [
        "", "{}", "[]", "null", '{"document": []}', '{"document": {"tracking": {"id": "x", "version": "1"}, "csaf_version": "1.2"}}',
        '{"document": {"tracking": {"id": "x"}, "csaf_version": "2.0"}}', "[" * 5_000, '{"a":' * 5_000, b"\xff\xfe\x00",
    ],
)  # fmt: skip
def test_what_is_no_csaf_is_refused(store: RiskStore, tmp_path: Path, text: str | bytes) -> None:
    with pytest.raises(AuthorError):
        store.add_source("csaf", written(tmp_path, "d.json", text), now=NOW)
    assert store.fetch("SELECT count(*) FROM document") == [(0,)]


def test_a_folder_is_counted_and_one_bad_document_costs_itself(store: RiskStore, tmp_path: Path) -> None:
    folder = tmp_path / "csaf"
    folder.mkdir()
    tree = {"branches": branches("Fenn", Lib=[leaf("P", "1.1", purl="pkg:rpm/fenn/lib@1.1")])}
    for number in range(5):
        written(folder, f"{number}.json", csaf({"known_affected": ["P"]}, tree, tracking=f"T-{number}"))
    written(folder, "bad.json", "{")
    answer = store.add_source("csaf", folder, now=NOW)
    assert (answer.read, answer.kept, len(answer.refused), answer.as_of) == (6, 5, 1, "2026-11-01")
    again = store.add_source("csaf", folder, now=NOW)
    assert (again.read, again.kept) == (6, 5) and store.fetch("SELECT count(*) FROM document") == [(5,)]


def test_a_group_of_everything_that_every_remedy_names_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand remedies for a group of ten thousand would be a hundred million."""
    monkeypatch.setattr(csaf_products, "MEMBERS_MAX", 1_000)
    ids = [f"P{number}" for number in range(300)]
    leaves = [leaf(one, "1") for one in ids]
    tree = {"branches": branches("Fenn", X=leaves), "product_groups": [{"group_id": "G", "product_ids": ids}]}
    remedy = {"category": "vendor_fix", "details": "x", "group_ids": ["G"]}
    read = read_csaf_statements(
        json.dumps(csaf({"known_affected": ids}, tree, remediations=[remedy] * 100)).encode()
    )
    assert len(read.statements) == 300 and read.statements[0].remedy == "x"


def test_a_document_with_too_many_pairs_is_refused_and_counted(
    store: RiskStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matching, "PAIRS_MAX", 5)
    monkeypatch.setattr(risk_store, "PAIRS_MAX", 5)
    leaves = [leaf(f"P{number}", f"1.{number}", purl=f"pkg:rpm/fenn/lib@1.{number}") for number in range(3)]
    document = csaf({"known_affected": ["P0", "P1", "P2"]}, {"branches": branches("Fenn", Lib=leaves)})
    folder = tmp_path / "csaf"
    folder.mkdir()
    written(folder, "1.json", document)
    few = {"branches": branches("Fenn", Lib=leaves[:1])}
    written(folder, "2.json", csaf({"known_affected": ["P0"]}, few, tracking="T-2"))
    store.import_inventory(written(tmp_path, "list.csv", PURLS), now=NOW)
    answer = store.add_source("csaf", folder, now=NOW)
    assert (answer.read, answer.kept, [one["row"] for one in answer.refused]) == (2, 1, ["T-1"])
    assert states(store) == {"v1.0": "affected"}
    store.import_inventory(written(tmp_path, "list.csv", PURLS + "v0,pkg:rpm/fenn/lib@1.0\n"), now=NOW)
    assert states(store) == {"v1.0": "affected", "v0": "affected"}, (
        "many components are compared in smaller steps"
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=8
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.randoms(use_true_random=False), JSON)
def test_a_document_of_which_any_part_is_something_else_never_crashes(
    draw: random.Random, odd: object
) -> None:
    tree = {
        **TREE,
        "relationships": [relation("R", "L", "OS12")],
        "full_product_names": [{"product_id": "N", "name": "Fenn Viewer 3.1"}],
    }
    tree["product_groups"] = [{"group_id": "G", "product_ids": ["R", "N"]}]
    document = csaf(
        {"known_affected": ["R", "N"], "fixed": ["L"]}, tree, remediations=[{"category": "vendor_fix", "details": "x", "group_ids": ["G"]}],
        flags=[{"label": "x", "product_ids": ["R"]}], scores=[{"cvss_v3": {"vectorString": "CVSS:3.1/AV:N"}, "products": ["R"]}],
    )  # fmt: skip
    document = json.loads(json.dumps(document))
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        for key, below in (
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        ):
            places.append((value, key))
            walk(below)

    walk(document)
    holder, key = draw.choice(places)
    holder[key] = odd
    try:
        read = read_csaf_statements(json.dumps(document).encode("utf-8", "surrogatepass"))
    except AuthorError:
        return
    assert isinstance(read.statements, list)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real data lies beside the repository")
def test_every_advisory_of_cisa_is_read_and_every_status_becomes_a_statement(store: RiskStore) -> None:
    for folder in ("csaf-medical", "csaf-cisa"):
        for path in sorted((SHARED / folder).rglob("icsa*.json")):
            content = json.loads(path.read_text())
            read = read_csaf_statements(path.read_bytes())
            stated = sum(
                len(products)
                for item in content.get("vulnerabilities", ())
                for products in item.get("product_status", {}).values()
            )
            recommended = sum(
                len(item.get("product_status", {}).get("recommended", ()))
                for item in content.get("vulnerabilities", ())
            )
            lost = sum("no product here" in one for one in read.told)
            assert len(read.statements) == stated - recommended - lost, path.name
            assert all(one.product is not None and one.product.product for one in read.statements)
    answer = store.add_source("csaf", SHARED / "csaf-medical", now=NOW)
    assert (answer.read, answer.kept, answer.refused) == (72, 72, [])
