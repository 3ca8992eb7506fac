"""Documents of the same kinds as those beside the repository, written as other publishers write them."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from p2pshare.risk.documents import is_newer
from p2pshare.risk.risk_store import RiskStore
from p2pshare.risk.statements import DocumentSaid

NOW = 1_796_000_000
VIEWERS = "asset,vendor,product,version\nv1,Fenn,Viewer,3.1\nv2,Fenn,Viewer,3.2\nv3,Fenn,Viewer,\n"

Json = dict[str, Any]


def branch(category: str, name: str, *below: Json, product_id: str = "") -> Json:
    made: Json = {"category": category, "name": name, "branches": list(below)}
    if product_id:
        made["product"] = {"product_id": product_id, "name": name}
    return made


def viewers(*leaves: Json) -> Json:
    return {"branches": [branch("vendor", "Fenn", branch("product_name", "Viewer", *leaves))]}


def document(
    tree: Json,
    statuses: Json,
    *,
    version: str = "1",
    day: str = "2026-09-01",
    namespace: str = "https://fenn.example",
) -> Json:
    return {
        "document": {
            "category": "csaf_vex",
            "csaf_version": "2.0",
            "title": "Fenn",
            "publisher": {"category": "vendor", "name": "Fenn", "namespace": namespace},
            "tracking": {"id": "FN-1", "version": version, "current_release_date": f"{day}T08:00:00Z"},
        },
        "product_tree": tree,
        "vulnerabilities": [{"cve": "CVE-2026-81001", "product_status": statuses}],
    }


def states(
    store: RiskStore, folder: Path, *documents: Json, inventory: str = VIEWERS
) -> tuple[dict[str, str], list[str]]:
    """Returns the state by asset, and what was told."""
    told: list[str] = []
    (folder / "list.csv").write_text(inventory)
    store.import_inventory(folder / "list.csv", now=NOW)
    for number, one in enumerate(documents):
        path = folder / f"{number}.json"
        path.write_text(json.dumps(one))
        told += [each["why"] for each in store.add_source("csaf", path, now=NOW).told]
    store.decide_aliases(vendor="Fenn", product="Viewer", status="confirmed", by="a person", now=NOW)
    rows = [one.as_json() for one in store.rank(now=NOW, with_all=True)]
    return {row["asset"]: row["state"] for row in rows}, told


@pytest.mark.parametrize(
    ("older", "newer"),
    [("9", "10"), ("1.9.0", "1.10.0"), ("1", "2.0.0"), ("1.0.0-alpha", "1.0.0-beta"), ("1.0.0-rc.2", "1.0.0-rc.10"),
    ("1.0.0-rc.10", "1.0.0"), ("1.0.0-1", "1.0.0-alpha"), ("1.0.0-alpha", "1.0.0-alpha.1")],
)  # fmt: skip
def test_of_two_versions_the_higher_holds(older: str, newer: str) -> None:
    def said(version: str) -> DocumentSaid:
        return DocumentSaid("csaf", "https://fenn.example", "FN-1", version)

    assert is_newer(said(newer), older, 0)
    assert not is_newer(said(older), newer, 0)


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_a_namespace_is_one_whatever_its_case_and_slash(
    order: tuple[int, ...], store: RiskStore, tmp_path: Path
) -> None:
    tree = viewers(branch("product_version_range", "<= 3.2", product_id="V"))
    documents = [
        document(tree, {"known_affected": ["V"]}, version="1"),
        document(tree, {"under_investigation": ["V"]}, version="2", namespace="https://Fenn.example"),
        document(tree, {"known_not_affected": ["V"]}, version="10", namespace="https://fenn.example/"),
    ]
    found, _ = states(store, tmp_path, *(documents[place] for place in order))
    assert found["v1"] == "not_affected"


def test_another_text_of_the_same_version_and_day_is_told(store: RiskStore, tmp_path: Path) -> None:
    tree = viewers(branch("product_version_range", "<= 3.2", product_id="V"))
    _, told = states(
        store,
        tmp_path,
        document(tree, {"known_affected": ["V"]}),
        document(tree, {"under_investigation": ["V"]}),
    )
    assert any("what is read last holds" in one for one in told)


@pytest.mark.parametrize(
    "category",
    ["product_version", "product_version_range", "patch_level", "service_pack", "architecture", "specification",
    "host_name", "language", "legacy", "product_name", "product_family"],
)  # fmt: skip
def test_the_last_leaf_holds_the_version_whatever_its_category(
    category: str, store: RiskStore, tmp_path: Path
) -> None:
    tree = viewers(branch(category, "3.1", product_id="V"))
    found, _ = states(store, tmp_path, document(tree, {"known_affected": ["V"]}))
    assert found == {"v1": "affected", "v3": "possible"}


@pytest.mark.parametrize(
    ("category", "name"), [("architecture", "x86_64"), ("language", "de"), ("architecture", "noarch")]
)
def test_a_leaf_below_the_version_is_no_version(
    category: str, name: str, store: RiskStore, tmp_path: Path
) -> None:
    tree = viewers(branch("product_version", "3.1", branch(category, name, product_id="V")))
    found, _ = states(store, tmp_path, document(tree, {"known_affected": ["V"]}))
    assert "v2" not in found


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Fenn Viewer 3.1", {"v1": "affected", "v3": "possible"}),
        ("Fenn Viewer, 3.1", {"v1": "affected", "v3": "possible"}),
        ("Fenn Viewer (3.1)", {"v1": "affected", "v3": "possible"}),
        ("Fenn Viewer V3.1", {"v1": "affected", "v3": "possible"}),
        ("Fenn Viewer version 3.1", {"v1": "affected", "v3": "possible"}),
        ("Fenn Viewer 3.1 and prior", {"v1": "affected", "v3": "possible"}),
        ("Fenn Viewer versions prior to 3.2", {"v1": "affected", "v3": "possible"}),
        ("Fenn Viewer >= 3.0 < 3.2", {"v1": "affected", "v3": "possible"}),
        ("Fenn Viewer 3.0 through 3.1", {"v1": "affected", "v3": "possible"}),
        ("Versions prior to 3.2 of Fenn Viewer", {"v1": "affected", "v3": "possible"}),
        ("All versions of Fenn Viewer", {"v1": "affected", "v2": "affected", "v3": "affected"}),
        ("Fenn Viewer", {"v1": "possible", "v2": "possible", "v3": "possible"}),
    ],
)
def test_a_full_product_name_ends_with_its_versions(
    name: str, expected: dict[str, str], store: RiskStore, tmp_path: Path
) -> None:
    tree = {"full_product_names": [{"product_id": "V", "name": name}]}
    found, _ = states(store, tmp_path, document(tree, {"known_affected": ["V"]}))
    assert found == expected


@pytest.mark.parametrize("statement", [">= 3.2", "vers:generic/>=3.2", "3.2 | 4.0", "3.2"])
def test_what_is_below_a_fix_that_stands_alone_is_affected(
    statement: str, store: RiskStore, tmp_path: Path
) -> None:
    tree = viewers(branch("product_version_range", statement, product_id="V"))
    found, _ = states(store, tmp_path, document(tree, {"fixed": ["V"]}))
    assert found == {"v1": "affected", "v2": "fixed", "v3": "possible"}


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ({"first_affected": ["3.0"], "last_affected": ["3.2"]}, "affected"),
        ({"first_affected": ["3.0"]}, "possible"),
        ({"last_affected": ["3.2"]}, "possible"),
        ({"first_affected": ["3.0"], "fixed": ["3.2"]}, "possible"),
        ({"known_affected": ["3.0"], "fixed": ["3.2"]}, "possible"),
        ({"known_affected": ["3.0"], "known_not_affected": ["3.1"], "fixed": ["3.2"]}, "not_affected"),
    ],
)
def test_a_version_between_those_that_are_named_is_not_dropped(
    statuses: Json, expected: str, store: RiskStore, tmp_path: Path
) -> None:
    tree = viewers(*(branch("product_version", one, product_id=one) for one in ("3.0", "3.1", "3.2")))
    found, _ = states(store, tmp_path, document(tree, statuses))
    assert found["v1"] == expected


def test_two_statuses_of_one_product_are_told(store: RiskStore, tmp_path: Path) -> None:
    tree = viewers(branch("product_version", "3.1", product_id="V"))
    found, told = states(
        store, tmp_path, document(tree, {"known_affected": ["V"], "known_not_affected": ["V"]})
    )
    assert found["v1"] == "affected"
    assert "CVE-2026-81001: 'V' is affected and not_affected at once: the worst holds" in told
