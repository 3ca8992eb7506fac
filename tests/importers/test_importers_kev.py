"""KEV: every entry becomes a vulnerability or is refused with its place; nothing is made up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.errors import AuthorError
from p2pshare.identifiers import PartnerId
from p2pshare.importers.detection import detect_format
from p2pshare.importers.interface import InputSource
from p2pshare.importers.kev import CATALOGUE_URL, REQUIRED, read_kev
from p2pshare.intel.bundle import Reading
from p2pshare.intel.marking import TLP2_IDS, Tlp
from p2pshare.limits import INPUT_COMMAS_MAX

NOW = 1_790_000_000
AUTHOR = PartnerId(bytes(32))


def entry(**other: object) -> dict[str, object]:
    return {
        "cveID": "CVE-2025-23006",
        "vendorProject": "Vendor",
        "product": "Thing",
        "vulnerabilityName": "Vendor Thing Hole",
        "dateAdded": "2025-01-24",
        "shortDescription": "It has a hole.",
        "requiredAction": "Mend it.",
        "dueDate": "2025-02-14",
        "knownRansomwareCampaignUse": "Known",
        "notes": "https://vendor.example/a ; https://nvd.example/b",
        "cwes": ["CWE-502"],
    } | other


def catalogue(*entries: object, **other: object) -> bytes:
    whole = {
        "title": "t",
        "catalogVersion": "2025.01.24",
        "count": len(entries),
        "vulnerabilities": list(entries),
    }
    return json.dumps(whole | other).encode()


def read(raw: bytes, tlp: Tlp | None = Tlp.CLEAR) -> Reading:
    reading = read_kev(raw, InputSource("-", AUTHOR, NOW, tlp))
    assert reading.read == len(reading.objects) + reading.refusals.total
    return reading


def stix_of(reading: Reading) -> list[dict[str, Any]]:
    return [json.loads(one.raw) for one in reading.objects]


def test_an_entry_becomes_a_vulnerability_with_all_it_says() -> None:
    [stix] = stix_of(read(catalogue(entry())))
    assert stix["type"] == "vulnerability"
    assert stix["name"] == "CVE-2025-23006"
    assert stix["description"] == "Vendor Thing Hole. It has a hole."
    assert (stix["created"], stix["modified"]) == ("2025-01-24T00:00:00Z", "2026-09-21T14:13:20Z")
    assert stix["labels"] == ["known-exploited", "ransomware"]
    assert stix["external_references"] == [
        {"source_name": "cve", "external_id": "CVE-2025-23006"},
        {"source_name": "CISA KEV", "external_id": "2025.01.24", "url": CATALOGUE_URL},
        {"source_name": "cwe", "external_id": "CWE-502"},
        {"source_name": "reference", "url": "https://vendor.example/a"},
        {"source_name": "reference", "url": "https://nvd.example/b"},
    ]
    assert stix["x_kev"] == {
        "date_added": "2025-01-24",
        "due_date": "2025-02-14",
        "required_action": "Mend it.",
        "vendor_project": "Vendor",
        "product": "Thing",
        "known_ransomware_campaign_use": "Known",
        "notes": "https://vendor.example/a ; https://nvd.example/b",
    }
    assert stix["object_marking_refs"] == [TLP2_IDS[Tlp.CLEAR]]


def test_a_later_catalogue_makes_new_versions_of_the_same_objects() -> None:
    first, later = (stix_of(read(catalogue(entry(), catalogVersion=version)))[0] for version in ("1", "2"))
    assert first["id"] == later["id"]
    assert first != later


@pytest.mark.parametrize("name", REQUIRED)
def test_an_entry_that_lacks_something_costs_itself(name: str) -> None:
    reading = read(catalogue(entry(**{name: ""}), entry(cveID="CVE-2024-0001"), entry(**{name: 7})))
    assert reading.refusals.counts == {"missing-property": 1, "wrong-type": 1}
    assert f"vulnerabilities[0]/{name}" in reading.refusals.to_json()[0]["examples"][0]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (entry(cveID="CVE-25-1"), "bad-cve"),
        (entry(dateAdded="24.01.2025"), "bad-timestamp"),
        (entry(dueDate="soon"), "bad-timestamp"),
        (7, "not-an-object"),
        (entry(shortDescription="x" * 2**20), "object-too-large"),
    ],
)
def test_a_bad_entry_costs_itself(bad: object, reason: str) -> None:
    reading = read(catalogue(bad, entry(cveID="CVE-2024-0001")))
    assert reading.refusals.counts == {reason: 1}
    assert len(reading.objects) == 1


def test_a_key_twice_in_an_entry_costs_the_entry() -> None:
    raw = catalogue(entry()).replace(b'"product": "Thing"', b'"product": "Thing", "product": "Other"')
    assert read(raw).refusals.counts == {"duplicate-key": 1}


def test_an_entry_twice_is_merged_and_another_under_its_id_is_refused() -> None:
    reading = read(catalogue(entry(), entry(), entry(product="Other")))
    assert reading.refusals.counts == {"repeated": 1, "duplicate-id": 1}


def test_a_catalogue_that_was_cut_is_noticed() -> None:
    assert read(catalogue(entry(), count=1252)).notes.counts == {"count-differs": 1}


@pytest.mark.parametrize("count", ["1252", "\u00e9" * 30, "\x1b[31m" * 30, 10**30, [], {"a": 1}, None])
def test_a_count_that_is_anything_is_told_and_costs_nothing(count: object) -> None:
    raw = catalogue(entry(), count="COUNT").replace(
        b'"COUNT"', json.dumps(count, ensure_ascii=False).encode()
    )
    reading = read(raw)
    assert (len(reading.objects), reading.notes.counts) == (1, {"count-differs": 1})


@pytest.mark.parametrize(
    ("bad", "reason", "place"),
    [
        (entry(notes="a\ud800b"), "half-surrogate", "vulnerabilities[1]/notes"),
        (entry(score=float("nan")), "not-a-number", "vulnerabilities[1]/score"),
        (entry(x=json.loads("[" * 70 + "]" * 70)), "too-deep", "vulnerabilities[1]"),
    ],
)
def test_an_entry_that_no_parser_takes_costs_itself(bad: object, reason: str, place: str) -> None:
    reading = read(catalogue(entry(), bad, entry(cveID="CVE-2025-0001")))
    assert len(reading.objects) == 2
    assert reading.refusals.to_json() == [{"reason": reason, "count": 1, "examples": [place]}]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "not-json"),
        (catalogue(entry())[:-20], "not-json"),
        (catalogue(entry(), title="\ud800"), "half-surrogate"),
        (catalogue(entry(), catalogVersion=7), "wrong-type"),
        (b'{"catalogVersion": ' + b"9" * 5_000 + b', "vulnerabilities": []}', "wrong-type"),
        (b"[]", "wrong-type"),
        (b"{}", "missing-property"),
        (b'{"catalogVersion": "1", "vulnerabilities": {}}', "wrong-type"),
        (b'{"catalogVersion": "1", "vulnerabilities": [], "vulnerabilities": []}', "duplicate-key"),
        (b"[" * 100 + b"]" * 100, "too-deep"),
        (b"\xff\xfe{}", "encoding"),
        (b'{"a": "\xff"}', "not-utf8"),
    ],
)
def test_a_file_that_is_no_catalogue_is_refused_as_a_whole(raw: bytes, reason: str) -> None:
    with pytest.raises(AuthorError) as caught:
        read(raw)
    assert caught.value.reason == reason


def test_a_file_with_more_values_than_fit_memory_is_refused_before_it_is_parsed() -> None:
    def refused(commas: int) -> str:
        with pytest.raises(AuthorError) as caught:
            read(b'{"a": [' + b"0," * commas + b"0]}")
        return caught.value.reason

    assert refused(INPUT_COMMAS_MAX) == "missing-property"
    assert refused(INPUT_COMMAS_MAX + 1) == "too-many-objects"


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=8)  # fmt: skip


@given(st.dictionaries(st.sampled_from([*REQUIRED, "notes", "cwes", "knownRansomwareCampaignUse"]), JSON))
def test_any_entry_is_kept_or_refused(changes: dict[str, object]) -> None:
    read(catalogue(entry(**changes)))


def test_the_catalogue_of_january_2025(shared_data: Path) -> None:
    """Counted with the standard library's JSON."""
    path = shared_data / "vuln/kev-2025-01/known_exploited_vulnerabilities.json"
    raw = path.read_bytes()
    entries = {one["cveID"]: one for one in json.loads(raw)["vulnerabilities"]}
    assert detect_format(raw[:4096]) == "kev"
    reading = read(raw)
    assert (reading.read, reading.refusals.total, reading.notes.total) == (1252, 0, 0)
    found = {one["name"]: one for one in stix_of(reading)}
    assert found.keys() == entries.keys()
    for cve, stix in found.items():
        assert stix["x_kev"]["required_action"] == entries[cve]["requiredAction"]
        assert stix["x_kev"]["due_date"] == entries[cve]["dueDate"]
        assert ("ransomware" in stix["labels"]) == (entries[cve]["knownRansomwareCampaignUse"] == "Known")
