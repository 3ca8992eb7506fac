"""CSAF 2.0: vulnerabilities, remediations and who mends what; a document that lacks a mandatory part says which."""

from __future__ import annotations

import copy
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.errors import AuthorError
from p2pshare.identifiers import PartnerId
from p2pshare.importers.csaf import MANDATORY, read_csaf
from p2pshare.importers.detection import detect_format
from p2pshare.importers.interface import InputSource
from p2pshare.intel.bundle import Reading
from p2pshare.intel.marking import TLP2_IDS, Tlp
from p2pshare.limits import PRODUCT_CHARACTERS_MAX, PRODUCTS_PER_STATUS_MAX

NOW = 1_790_000_000
AUTHOR = PartnerId(bytes(32))
DOCUMENT: dict[str, Any] = {
    "document": {
        "category": "csaf_security_advisory",
        "csaf_version": "2.0",
        "distribution": {"text": "Share it", "tlp": {"label": "AMBER"}},
        "publisher": {"category": "vendor", "name": "Vendor", "namespace": "https://vendor.example"},
        "references": [{"category": "self", "summary": "here", "url": "https://vendor.example/va-1.json"}],
        "title": "Holes in Thing",
        "tracking": {
            "current_release_date": "2024-06-01T00:00:00Z",
            "id": "VA-1",
            "initial_release_date": "2024-05-01T10:00:00.000Z",
            "revision_history": [{"date": "2024-05-01T10:00:00Z", "number": "1", "summary": "first"}],
            "status": "final",
            "version": "1",
        },
    },
    "product_tree": {
        "branches": [
            {
                "category": "vendor",
                "name": "Vendor",
                "branches": [
                    {
                        "category": "product_version",
                        "name": "1",
                        "product": {"name": "Thing 1", "product_id": "P1"},
                    }
                ],
            }
        ],
        "full_product_names": [{"name": "Thing 2", "product_id": "P2"}],
        "relationships": [{"full_product_name": {"name": "Thing 1 on OS", "product_id": "P3"}}],
    },
    "vulnerabilities": [
        {
            "cve": "CVE-2024-0001",
            "title": "A hole",
            "cwe": {"id": "CWE-79", "name": "XSS"},
            "notes": [{"category": "description", "text": "It is deep."}],
            "references": [{"summary": "more", "url": "https://vendor.example/more"}],
            "product_status": {"known_affected": ["P1", "P3"], "fixed": ["P2"]},
            "scores": [
                {
                    "cvss_v3": {
                        "version": "3.1",
                        "baseScore": 9.8,
                        "baseSeverity": "CRITICAL",
                        "vectorString": "CVSS:3.1/AV:N",
                    },
                    "products": ["P1"],
                }
            ],
            "remediations": [
                {"category": "vendor_fix", "details": "Update.", "url": "https://vendor.example/fix"},
                {"category": "none_available", "details": "Nothing for version 0."},
            ],
        },
        {
            "cve": "CVE-2024-0002",
            "product_status": {"known_affected": ["P1"]},
            "remediations": [
                {"category": "vendor_fix", "details": "Update.", "url": "https://vendor.example/fix"},
                {"category": "mitigation", "details": "Pull the plug."},
            ],
        },
    ],
}


def changed(path: str, value: object) -> dict[str, Any]:
    """DOCUMENT with something else at a path; None takes it out."""
    document = copy.deepcopy(DOCUMENT)
    *before, last = path.split("/")
    place: Any = document
    for name in before:
        place = place[int(name) if isinstance(place, list) else name]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return document


def read(document: object, tlp: Tlp | None = None) -> Reading:
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    reading = read_csaf(raw, InputSource("-", AUTHOR, NOW, tlp))
    assert reading.read == len(reading.objects) + reading.refusals.total
    return reading


def stix_of(reading: Reading, type_: str) -> list[dict[str, Any]]:
    return [json.loads(one.raw) for one in reading.objects if one.type == type_]


def refused(document: object, tlp: Tlp | None = None) -> tuple[str, str]:
    with pytest.raises(AuthorError) as caught:
        read(document, tlp)
    return caught.value.reason, str(caught.value)


def test_a_vulnerability_keeps_document_publisher_scores_and_products() -> None:
    stix = stix_of(read(DOCUMENT), "vulnerability")[0]
    assert (stix["name"], stix["description"]) == ("CVE-2024-0001", "A hole\n\nIt is deep.")
    assert (stix["created"], stix["modified"]) == ("2024-05-01T10:00:00Z", "2026-09-21T14:13:20Z")
    assert stix["object_marking_refs"] == [TLP2_IDS[Tlp.AMBER]]
    assert stix["external_references"] == [
        {"source_name": "cve", "external_id": "CVE-2024-0001"},
        {"source_name": "Vendor", "external_id": "VA-1", "url": "https://vendor.example/va-1.json"},
        {"source_name": "cwe", "external_id": "CWE-79", "description": "XSS"},
        {"source_name": "reference", "description": "more", "url": "https://vendor.example/more"},
    ]
    assert stix["x_csaf"] == {
        "title": "Holes in Thing",
        "category": "csaf_security_advisory",
        "tracking_id": "VA-1",
        "version": "1",
        "status": "final",
        "current_release_date": "2024-06-01T00:00:00Z",
        "publisher": "Vendor",
        "publisher_category": "vendor",
        "publisher_namespace": "https://vendor.example",
        "distribution": "Share it",
        "scores": [
            {"version": "3.1", "base_score": 9.8, "base_severity": "CRITICAL", "vector": "CVSS:3.1/AV:N"}
        ],
        "products": {"fixed": ["Thing 2"], "known_affected": ["Thing 1", "Thing 1 on OS"]},
        "identified": {"known_affected": [{"name": "Thing 1", "vendor": "Vendor", "versions": "1"}]},
        "no_fix": [{"category": "none_available", "details": "Nothing for version 0."}],
    }


def test_what_identifies_a_product_goes_with_it_and_a_component_says_where_it_is() -> None:
    def branch(category: str, name: str, inside: dict[str, Any]) -> dict[str, Any]:
        return {"category": category, "name": name, **inside}

    library = {
        "name": "libpng 1.6",
        "product_id": "L",
        "product_identification_helper": {"purl": "pkg:generic/libpng@1.6", "hashes": [], "skus": [1, "A-7"]},
    }
    system = {"name": "OS <3", "product_id": "S"}
    tree = {
        "branches": [
            branch(
                "vendor",
                "Vendor",
                {
                    "branches": [
                        branch(
                            "product_name",
                            "libpng",
                            {"branches": [branch("product_version", "1.6", {"product": library})]},
                        ),
                        branch(
                            "product_name",
                            "OS",
                            {"branches": [branch("product_version_range", "<3", {"product": system})]},
                        ),
                    ]
                },
            )
        ],
        "relationships": [
            {
                "category": "default_component_of",
                "full_product_name": {"name": "libpng in OS", "product_id": "R"},
                "product_reference": "L",
                "relates_to_product_reference": "S",
            },
            {"full_product_name": {"name": "nowhere", "product_id": "N"}, "product_reference": "none"},
            "no relationship",
        ],
    }
    document = changed("product_tree", tree) | {
        "vulnerabilities": [
            {"cve": "CVE-2024-0001", "product_status": {"known_affected": ["R", "N", 7, "unknown"]}}
        ]
    }
    [stix] = stix_of(read(document), "vulnerability")
    assert stix["x_csaf"]["products"] == {"known_affected": ["libpng in OS", "nowhere", "unknown"]}
    assert stix["x_csaf"]["identified"] == {
        "known_affected": [
            {
                "name": "libpng in OS",
                "vendor": "Vendor",
                "product": "libpng",
                "versions": "1.6",
                "purl": "pkg:generic/libpng@1.6",
                "skus": ["A-7"],
                "component_of": {"vendor": "Vendor", "product": "OS", "versions": "<3", "is_range": True},
            }
        ]
    }


def test_the_same_advice_is_one_course_of_action_that_mitigates_both() -> None:
    reading = read(DOCUMENT)
    assert reading.refusals.counts == {"repeated": 1}
    names = {one["id"]: one["name"] for one in stix_of(reading, "vulnerability")}
    details = {one["id"]: one["description"] for one in stix_of(reading, "course-of-action")}
    assert sorted(
        (details[one["source_ref"]], one["relationship_type"], names[one["target_ref"]])
        for one in stix_of(reading, "relationship")
    ) == [
        ("Pull the plug.", "mitigates", "CVE-2024-0002"),
        ("Update.", "mitigates", "CVE-2024-0001"),
        ("Update.", "mitigates", "CVE-2024-0002"),
    ]


def test_reading_again_gives_the_same_objects_and_another_publisher_others() -> None:
    ids = [one.object_id for one in read(DOCUMENT).objects]
    assert ids == [one.object_id for one in read(DOCUMENT).objects]
    other = read(changed("document/publisher/namespace", "https://other.example"))
    assert not set(ids) & {one.object_id for one in other.objects}


@pytest.mark.parametrize("path", MANDATORY)
def test_a_mandatory_part_that_is_missing_is_named(path: str) -> None:
    reason, message = refused(changed(f"document/{path}", None))
    assert reason == "missing-property"
    assert f"/document/{path}" in message
    assert refused(changed(f"document/{path}", 7))[0] == "wrong-type"


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (changed("product_tree", None), "missing-property"),
        (changed("vulnerabilities", []), "missing-property"),
        (changed("document/csaf_version", "2.1"), "csaf-version"),
        (changed("document/tracking/initial_release_date", "yesterday"), "bad-timestamp"),
        (changed("document/distribution/tlp/label", "PURPLE"), "unknown-marking"),
        (changed("document/distribution/tlp", {}), "unknown-marking"),
        ({"feed": {}}, "missing-property"),
        (b"[]", "wrong-type"),
        (b'{"document": {"a": 1, "a": 2}}', "duplicate-key"),
        (b'{"document": ' + b"[" * 100 + b"]" * 100 + b"}", "too-deep"),
        (b"{", "not-json"),
    ],
)
def test_a_document_that_is_not_valid_is_refused_as_a_whole(document: object, reason: str) -> None:
    assert refused(document)[0] == reason


def test_the_label_only_tightens_and_without_one_a_person_gives_it() -> None:
    def marked(document: object, tlp: Tlp | None) -> object:
        return stix_of(read(document, tlp), "vulnerability")[0].get("object_marking_refs")

    assert marked(DOCUMENT, Tlp.GREEN) == [TLP2_IDS[Tlp.AMBER]]
    assert marked(DOCUMENT, Tlp.RED) == [TLP2_IDS[Tlp.RED]]
    unlabelled = changed("document/distribution", None)
    assert marked(unlabelled, Tlp.GREEN) == [TLP2_IDS[Tlp.GREEN]]
    assert marked(unlabelled, None) is None


@pytest.mark.parametrize(
    ("item", "reason"),
    [("text", "wrong-type"), ({"title": "no id"}, "missing-property"), ({"cve": "CVE-1"}, "bad-cve")],
)
def test_a_bad_vulnerability_costs_itself(item: object, reason: str) -> None:
    reading = read(changed("vulnerabilities", [item, {"cve": "CVE-2024-0009"}]))
    assert reading.refusals.counts == {reason: 1}
    assert len(reading.objects) == 1


def test_half_a_character_costs_the_vulnerability_it_stands_in() -> None:
    reading = read(
        changed("vulnerabilities", [{"cve": "CVE-2024-0009"}, {"cve": "CVE-2024-0010", "title": "\ud800"}])
    )
    assert reading.refusals.to_json() == [
        {"reason": "half-surrogate", "count": 1, "examples": ["vulnerabilities[1]/title"]}
    ]
    assert len(reading.objects) == 1


def test_half_a_character_in_what_all_share_costs_the_document() -> None:
    """Above all in the label: a marking must not be lost with it."""
    assert refused(changed("document/title", "\ud800"))[0] == "half-surrogate"
    assert refused(changed("document/distribution/text", "\ud800"))[0] == "half-surrogate"
    assert refused(json.dumps(changed("document/title", "\ud800")).encode()[:-5])[0] == "half-surrogate"


def test_a_vulnerability_without_a_cve_goes_by_its_publishers_id() -> None:
    [stix] = stix_of(
        read(changed("vulnerabilities", [{"ids": [{"system_name": "Bugs", "text": "B-7"}]}])), "vulnerability"
    )
    assert stix["name"] == "B-7"
    assert {"source_name": "Bugs", "external_id": "B-7"} in stix["external_references"]


def test_products_are_bounded_and_what_is_left_out_is_told() -> None:
    def affected(count: int) -> tuple[int, dict[str, int]]:
        items = [{"cve": "CVE-2024-0009", "product_status": {"known_affected": ["P1"] * count}}]
        reading = read(changed("vulnerabilities", items))
        [stix] = stix_of(reading, "vulnerability")
        return len(stix["x_csaf"]["products"]["known_affected"]), dict(reading.notes.counts)

    assert affected(PRODUCTS_PER_STATUS_MAX) == (PRODUCTS_PER_STATUS_MAX, {})
    assert affected(PRODUCTS_PER_STATUS_MAX + 1) == (PRODUCTS_PER_STATUS_MAX, {"products-left-out": 1})
    long = changed("product_tree", {"full_product_names": [{"name": "x" * 1000, "product_id": "P1"}]})
    [name, _] = stix_of(read(long), "vulnerability")[0]["x_csaf"]["products"]["known_affected"]
    assert name == "x" * PRODUCT_CHARACTERS_MAX


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=8)  # fmt: skip
PATHS = [
    "product_tree", "product_tree/branches", "vulnerabilities/0", "vulnerabilities/0/notes", "vulnerabilities/0/cwe",
    "vulnerabilities/0/ids", "vulnerabilities/0/scores", "vulnerabilities/0/product_status", "vulnerabilities/0/references",
    "vulnerabilities/0/remediations", "document", "document/distribution", "document/references", "document/tracking", "document/publisher",
]  # fmt: skip


@given(st.sampled_from(PATHS), JSON.filter(lambda value: value is not None))
def test_any_part_may_be_anything(path: str, value: object) -> None:
    document = copy.deepcopy(DOCUMENT)
    place: Any = document
    *before, last = path.split("/")
    for name in before:
        place = place[int(name) if isinstance(place, list) else name]
    place[int(last) if isinstance(place, list) else last] = value
    try:
        read(document)
    except AuthorError as error:
        assert error.reason


def test_the_advisories_of_cisa(shared_data: Path) -> None:
    """Counted with the standard library's JSON: 25 documents and a feed, which is none."""
    paths = sorted((shared_data / "vuln/csaf-cisa").rglob("*.json"))
    assert len(paths) == 26
    found: Counter[str] = Counter()
    expected: Counter[str] = Counter()
    for path in paths:
        raw = path.read_bytes()
        content = json.loads(raw)
        if "document" not in content:
            assert refused(raw)[0] == "missing-property"
            continue
        assert detect_format(raw[:4096]) == "csaf"
        reading = read(raw)
        found.update(one.type for one in reading.objects)
        found.update(reading.refusals.counts)
        items = content["vulnerabilities"]
        assert [one["name"] for one in stix_of(reading, "vulnerability")] == [item["cve"] for item in items]
        assert all(one.marking_refs == (TLP2_IDS[Tlp.CLEAR],) for one in reading.objects)
        mending = [
            (item["cve"], one["category"], one["details"], one.get("url", ""))
            for item in items
            for one in item["remediations"]
            if one["category"] not in ("none_available", "no_fix_planned")
        ]
        expected["vulnerability"] += len(items)
        expected["course-of-action"] += len({one[1:] for one in mending})
        expected["relationship"] += len(set(mending))
        expected["repeated"] += 2 * len(mending) - len({one[1:] for one in mending}) - len(set(mending))
    assert found == expected
    assert found == {"vulnerability": 107, "course-of-action": 53, "relationship": 146, "repeated": 103}
