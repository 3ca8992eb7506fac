"""KEV, EPSS, CVE records, OSV and CycloneDX VEX: read whole, counted, with their age; what was not looked at is never "no"."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import pytest
from advisories_made import csaf, written
from risk_cases import NOW

from p2pshare.errors import AuthorError
from p2pshare.risk.risk_store import PartnerVulnerability, RiskRules, RiskStore, open_risk
from p2pshare.risk.sources.cyclonedx_vex import read_cyclonedx_vex

SHARED = Path(__file__).parents[3] / "shared" / "data" / "vuln"
DAY = 86_400
CVE = "CVE-2026-1000"


def osv(
    *events: dict[str, str],
    ecosystem: str = "npm",
    name: str = "x",
    cve: str = CVE,
    kind: str = "SEMVER",
    **members: Any,
) -> dict[str, Any]:
    affected: dict[str, Any] = {"package": {"ecosystem": ecosystem, "name": name}}
    if events:
        affected["ranges"] = [{"type": kind, "events": list(events)}]
    return {
        "id": "G-1",
        "modified": "2026-11-01T00:00:00Z",
        "aliases": [cve],
        "affected": [affected | members.pop("affected", {})],
        **members,
    }


def state_of(store: RiskStore, folder: Path, purl: str, record: dict[str, Any]) -> str:
    store.import_inventory(
        written(folder, "list.csv", f"asset,purl,exposure,human_impact\na,{purl},open,high\n"), now=NOW
    )
    store.add_source("osv", written(folder, "o.json", record), now=NOW)
    found = store.rank(now=NOW, with_all=True)
    return found[0].state if found else "absent"


def why(store: RiskStore, now: int = NOW) -> dict[str, tuple[str, str]]:
    return {one.input: (one.value, one.status) for one in store.rank(now=now)[0].why}


KEV_ENTRY = {
    "cveID": CVE,
    "dateAdded": "2026-11-20",
    "vulnerabilityName": "x",
    "dueDate": "2026-12-11",
    "knownRansomwareCampaignUse": "Known",
}


def kev(*entries: dict[str, str], day: str = "2026-11-28") -> dict[str, Any]:
    return {
        "catalogVersion": day.replace("-", "."),
        "dateReleased": f"{day}T15:00:57.5282Z",
        "count": len(entries),
        "vulnerabilities": list(entries),
    }


def test_kev_is_not_checked_until_it_is_and_stale_when_it_is_old(store: RiskStore, tmp_path: Path) -> None:
    state_of(store, tmp_path, "pkg:npm/x@1.0.0", osv({"introduced": "0"}))
    assert why(store)["kev"] == ("unknown", "not-checked")
    assert {one.kind: one.status for one in store.sources(now=NOW)}["kev"] == "not-checked"
    store.add_source("kev", written(tmp_path, "kev.json", kev()), now=NOW)
    assert why(store)["kev"] == ("not listed", "checked") and why(store)["exploitation"] == (
        "unknown",
        "not-checked",
    )
    assert why(store, NOW + 30 * DAY)["kev"] == ("not listed", "stale")
    answer = store.add_source("kev", written(tmp_path, "kev.json", kev(KEV_ENTRY)), now=NOW)
    assert (answer.read, answer.kept, answer.as_of) == (1, 1, "2026-11-28")
    assert why(store)["kev"] == ("listed since 2026-11-20", "checked") and why(store)["exploitation"] == (
        "active",
        "checked",
    )
    store.add_source("kev", written(tmp_path, "kev.json", kev()), now=NOW)
    assert why(store)["kev"] == ("not listed", "checked"), "what the catalogue took out is listed no more"


def test_kev_as_csv_and_bad_entries_beside_good_ones(store: RiskStore, tmp_path: Path) -> None:
    text = f"cveID,vendorProject,product,vulnerabilityName,dateAdded,dueDate\n{CVE},v,p,n,2026-11-20,2026-12-11\nnonsense,v,p,n,2026-11-21,\nCVE-2026-1001,v,p,n,soon,\n"
    answer = store.add_source("kev", written(tmp_path, "kev.csv", text), now=NOW)
    assert (answer.read, answer.kept, answer.as_of) == (3, 1, "2026-11-20")
    assert [(one["row"], one["why"]) for one in answer.refused] == [
        ("3", "no CVE id"),
        ("4", "no day in dateAdded"),
    ]
    for bad in ("", "{}", "a,b\n1,2\n", json.dumps(kev({"cveID": "x"}))):
        with pytest.raises(AuthorError):
            store.add_source("kev", written(tmp_path, "bad", bad), now=NOW)
    assert store.fetch("SELECT name FROM vulnerability WHERE is_in_kev") == [(CVE,)], (
        "a file that is none takes nothing away"
    )


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real data lies beside the repository")
def test_the_real_catalogue_is_kept_whole(store: RiskStore) -> None:
    path = SHARED / "kev-2025-01" / "known_exploited_vulnerabilities.json"
    answer = store.add_source("kev", path, now=NOW)
    assert (
        answer.read == answer.kept == json.loads(path.read_text())["count"] and answer.as_of == "2025-01-24"
    )


EPSS = "CVE-2026-1000,0.50000,0.90000\nCVE-2026-1001,0.10000,0.40000\n"
HEAD = "#model_version:v2025.03.14,score_date:2026-11-27T00:00:00+0000\ncve,epss,percentile\n"


@pytest.mark.parametrize(
    ("name", "content", "day"),
    [
        ("epss.csv", HEAD + EPSS, "2026-11-27"),
        ("epss.csv.gz", gzip.compress((HEAD + EPSS).encode(), mtime=0), "2026-11-27"),
        ("epss_scores-2026-11-26.csv", EPSS.replace(",", ";"), "2026-11-26"),
        ("epss.csv", EPSS, ""),
        ("epss.csv", "\ufeffcve,percentile,epss\nCVE-2026-1000,0.9,0.5\nCVE-2026-1001,0.4,0.1\n", ""),
        ("epss.csv", HEAD + EPSS + "CVE-2026-1002,2,0\nx\n", "2026-11-27"),
    ],
)
def test_epss_with_and_without_its_first_lines(
    store: RiskStore, tmp_path: Path, name: str, content: str | bytes, day: str
) -> None:
    answer = store.add_source("epss", written(tmp_path, name, content), now=NOW)
    assert (answer.kept, answer.as_of, answer.read - answer.kept) == (2, day, len(answer.refused))
    assert store.fetch("SELECT name, epss, epss_percentile FROM vulnerability ORDER BY name") == [
        (CVE, 0.5, 0.9),
        ("CVE-2026-1001", 0.1, 0.4),
    ]


def test_another_days_epss_replaces_it_and_another_day_than_kevs_is_told(
    store: RiskStore, tmp_path: Path
) -> None:
    store.add_source("epss", written(tmp_path, "epss.csv", HEAD + EPSS), now=NOW)
    store.add_source("epss", written(tmp_path, "epss.csv", HEAD + EPSS.splitlines()[1]), now=NOW)
    assert store.fetch("SELECT epss FROM vulnerability WHERE name = ?", (CVE,)) == [(None,)]
    answer = store.add_source("kev", written(tmp_path, "kev.json", kev()), now=NOW)
    assert [one["why"] for one in answer.told] == ["kev is of 2026-11-28, epss is of 2026-11-27"]


@pytest.mark.parametrize(
    "content",
    [b"", b"\x1f\x8b", gzip.compress(b"x" * 100, mtime=0)[:-9], b"no scores at all\n", b"<html>\n</html>"],
)
def test_what_is_no_epss_is_refused_and_takes_nothing_away(
    store: RiskStore, tmp_path: Path, content: bytes
) -> None:
    store.add_source("epss", written(tmp_path, "epss.csv", HEAD + EPSS), now=NOW)
    with pytest.raises(AuthorError):
        store.add_source("epss", written(tmp_path, "bad", content), now=NOW)
    assert store.fetch("SELECT count(*) FROM vulnerability WHERE epss IS NOT NULL") == [(2,)]


def record(*options: dict[str, str], cve: str = CVE, **cna: Any) -> dict[str, Any]:
    content = {
        "id": cve,
        "role": "CISA Coordinator",
        "timestamp": "2026-11-01T14:44:23.000Z",
        "options": list(options),
        "version": "2.0.3",
    }
    adp = {"title": "CISA ADP Vulnrichment", "metrics": [{"other": {"type": "ssvc", "content": content}}]}
    return {
        "dataType": "CVE_RECORD",
        "dataVersion": "5.1",
        "cveMetadata": {"cveId": cve, "state": "PUBLISHED"},
        "containers": {"cna": {"title": "t", **cna}, "adp": [adp]},
    }


def test_ssvc_points_are_read_in_any_case_and_what_is_not_understood_is_told(
    store: RiskStore, tmp_path: Path
) -> None:
    state_of(store, tmp_path, "pkg:npm/x@1.0.0", osv({"introduced": "0"}))
    vector = {"metrics": [{"cvssV3_1": {"vectorString": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}}]}
    answer = store.add_source(
        "vulnrichment",
        written(
            tmp_path,
            "c.json",
            record({"Exploitation": "PoC"}, {"Automatable": "YES"}, {"Technical Impact": "Total"}, **vector),
        ),
        now=NOW,
    )
    assert (answer.read, answer.kept, answer.as_of) == (1, 1, "2026-11-01")
    assert why(store)["exploitation"] == ("poc", "checked") and why(store)["automatable"] == (
        "yes",
        "checked",
    )
    assert why(store, NOW + 365 * DAY)["automatable"] == ("yes", "stale")
    assert store.rank(now=NOW)[0].cvss == 9.8
    answer = store.add_source(
        "vulnrichment",
        written(tmp_path, "d.json", record({"Automatable": "perhaps"}, cve="CVE-2026-1009")),
        now=NOW,
    )
    assert any("perhaps" in one["why"] for one in answer.told)
    for bad in (
        {},
        {"cveMetadata": {"cveId": "x"}},
        record() | {"cveMetadata": {"cveId": CVE, "state": "REJECTED"}},
    ):
        with pytest.raises(AuthorError):
            store.add_source("vulnrichment", written(tmp_path, "e.json", bad), now=NOW)


@pytest.mark.parametrize(
    ("purl", "made", "expected"),
    [
        ("pkg:npm/x@1.9.0", osv({"introduced": "1.0.0"}, {"fixed": "1.10.0"}), "affected"),
        ("pkg:npm/x@1.10.0", osv({"introduced": "1.0.0"}, {"fixed": "1.10.0"}), "absent"),
        ("pkg:npm/x@0.9.0", osv({"introduced": "1.0.0"}, {"fixed": "1.10.0"}), "absent"),
        ("pkg:npm/x@2.1.0", osv({"introduced": "1.0.0"}, {"fixed": "1.5.0"}, {"introduced": "2.0.0"}, {"last_affected": "2.1.0"}), "affected"),
        ("pkg:npm/x@1.7.0", osv({"introduced": "1.0.0"}, {"fixed": "1.5.0"}, {"introduced": "2.0.0"}, {"fixed": "2.1.0"}), "absent"),
        ("pkg:npm/x@1.0.0-rc.1", osv({"introduced": "0"}, {"fixed": "1.0.0"}), "affected"),
        ("pkg:npm/x", osv({"introduced": "0"}, {"fixed": "1.0.0"}), "possible"),
        ("pkg:npm/x@1.0.0", osv(affected={"versions": ["1.0.0", "1.0.1"]}), "affected"),
        ("pkg:npm/x@1.0.2", osv(affected={"versions": ["1.0.0", "1.0.1"]}), "absent"),
        ("pkg:pypi/x-y@1.0rc1", osv({"introduced": "0"}, {"fixed": "1.0"}, ecosystem="PyPI", name="X_Y", kind="ECOSYSTEM"), "affected"),
        ("pkg:maven/org.x/y@1.0", osv({"introduced": "0"}, {"fixed": "1.0.1"}, ecosystem="Maven", name="org.x:y", kind="ECOSYSTEM"), "affected"),
        ("pkg:deb/debian/x@1.0~rc1?distro=debian-12", osv({"introduced": "0"}, {"fixed": "1.0"}, ecosystem="Debian:12", kind="ECOSYSTEM"), "affected"),
        ("pkg:deb/debian/x@1.0~rc1?distro=debian-11", osv({"introduced": "0"}, {"fixed": "1.0"}, ecosystem="Debian:12", kind="ECOSYSTEM"), "absent"),
        ("pkg:npm/x@1.0.0", osv({"introduced": "0"}, withdrawn="2026-11-02T00:00:00Z"), "absent"),
        ("pkg:npm/x@1.0.0", osv({"introduced": "0"}, ecosystem="Unheard of"), "absent"),
    ],
)  # fmt: skip
def test_osv_ranges_follow_the_ecosystems_order(
    store: RiskStore, tmp_path: Path, purl: str, made: dict[str, Any], expected: str
) -> None:
    assert state_of(store, tmp_path, purl, made) == expected


def test_a_vulnerability_is_one_under_all_its_names(store: RiskStore, tmp_path: Path) -> None:
    state_of(store, tmp_path, "pkg:npm/x@1.0.0", osv({"introduced": "0"}))
    assert [one.vulnerability for one in store.rank(now=NOW, vulnerability="G-1")] == [CVE]


BOM = {
    "bomFormat": "CycloneDX", "specVersion": "1.5", "serialNumber": "urn:uuid:7B1C7A0E-0000-4000-8000-0000000000D6", "version": 2,
    "metadata": {"component": {"type": "device", "name": "cart", "bom-ref": "root"}},
    "components": [{"type": "library", "bom-ref": "in#ner", "name": "x", "version": "1.0.0", "purl": "pkg:npm/x@1.0.0"}],
}  # fmt: skip


def vex(
    state: str,
    version: int = 2,
    reference: str = "in#ner",
    serial: str = "7b1c7a0e-0000-4000-8000-0000000000d6",
    **affects: Any,
) -> dict[str, Any]:
    item = {
        "id": CVE,
        "analysis": {"state": state, "justification": "code_not_reachable"},
        "affects": [{"ref": f"urn:cdx:{serial}/{version}#{reference}", **affects}],
    }
    return {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "vulnerabilities": [item]}


def linked(
    store: RiskStore, folder: Path, document: dict[str, Any], *, is_first: bool = False
) -> tuple[str, list[str]]:
    """Returns (state of the component, what was told)."""
    told: list[str] = []
    if not is_first:
        store.import_inventory(written(folder, "b.cdx.json", BOM), now=NOW)
        store.add_source("osv", written(folder, "o.json", osv({"introduced": "0"})), now=NOW)
    told += [one["why"] for one in store.add_source("vex", written(folder, "v.json", document), now=NOW).told]
    if is_first:
        store.add_source("osv", written(folder, "o.json", osv({"introduced": "0"})), now=NOW)
        store.import_inventory(written(folder, "b.cdx.json", BOM), now=NOW)
    (found,) = store.rank(now=NOW, with_all=True)
    return found.state, told


def as_xml(document: dict[str, Any]) -> bytes:
    """The same VEX as XML, by the schema's element names; values are escaped."""
    items = {
        "components": "component",
        "vulnerabilities": "vulnerability",
        "ratings": "rating",
        "affects": "target",
    }
    items |= {"versions": "version"}

    def element(name: str, value: Any) -> str:
        if isinstance(value, list):
            return f"<{name}>{''.join(element(items[name], one) for one in value)}</{name}>"
        if not isinstance(value, dict):
            return f"<{name}>{escape(str(value))}</{name}>"
        reference = f" bom-ref={quoteattr(value['bom-ref'])}" if "bom-ref" in value else ""
        below = "".join(element(key, one) for key, one in value.items() if key != "bom-ref")
        return f"<{name}{reference}>{below}</{name}>"

    head = {key: document[key] for key in ("serialNumber", "version") if key in document}
    attributes = "".join(f" {key}={quoteattr(str(one))}" for key, one in head.items())
    ours = [key for key in document if key not in ("bomFormat", "specVersion", "serialNumber", "version")]
    below = "".join(element(key, document[key]) for key in ours)
    foreign = '<x:vulnerabilities xmlns:x="urn:x"><x:vulnerability/></x:vulnerabilities>'
    return f'<bom xmlns="http://cyclonedx.org/schema/bom/1.5"{attributes}>{foreign}{below}</bom>'.encode()


WHOLE_VEX = vex("not_affected", versions=[{"range": "vers:npm/>=1.0.0|<2.0.0", "status": "unaffected"}]) | {
    "serialNumber": "urn:uuid:11111111-0000-4000-8000-000000000001",
    "version": 7,
    "metadata": {
        "timestamp": "2026-11-01T00:00:00Z",
        "component": {"type": "device", "bom-ref": "root", "name": "cart <x> & more"},
        "supplier": {"name": "Maker"},
    },
    "components": [
        {
            "type": "library", "bom-ref": "a", "name": "a", "version": "1", "purl": "pkg:npm/a@1",
            "components": [{"type": "library", "bom-ref": "b", "name": "b", "version": "2", "supplier": {"name": "S"}}],
        }
    ],
}  # fmt: skip
WHOLE_VEX["vulnerabilities"].append(
    {
        "id": "CVE-2026-2",
        "ratings": [{"score": "9.8", "method": "CVSSv31", "vector": "AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
        "analysis": {"state": "exploitable", "detail": "yes"},
        "affects": [{"ref": "a"}, {"ref": "b"}, {"ref": "nobody"}],
    }
)


def test_a_vex_as_xml_says_what_it_says_as_json() -> None:
    spoken, written_ = (
        read_cyclonedx_vex(json.dumps(WHOLE_VEX).encode()),
        read_cyclonedx_vex(as_xml(WHOLE_VEX)),
    )
    assert len(spoken.statements) == 3 and spoken.vulnerabilities[1].cvss == 9.8 and len(spoken.told) == 1
    assert written_ == spoken
    utf16 = read_cyclonedx_vex(as_xml(WHOLE_VEX).decode().encode("utf-16"))
    assert utf16.statements == spoken.statements


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (
            b'<!DOCTYPE bom [<!ENTITY a "b">]><bom xmlns="http://cyclonedx.org/schema/bom/1.5"/>',
            "dtd-refused",
        ),
        (b'<bom xmlns="http://cyclonedx.org/schema/bom/1.5"><vulnerabilities>', "not-xml"),
        (b'<bom xmlns="http://cyclonedx.org/schema/bom/1.5"/>', "not-vex"),
        (b'<bom xmlns="urn:other"/>', "not-vex"),
        (b"<a>" * 1_000_000, "not-vex"),
        (b'<bom xmlns="http://cyclonedx.org/schema/bom/1.5">' + b"<a>" * 1_000_000, "too-deep"),
        (b'<bom xmlns="http://cyclonedx.org/schema/bom/1.5">' + b"<a/>" * 2_000_001, "too-many-objects"),
    ],
    ids=["dtd", "cut", "bom", "other", "no-bom", "deep", "many"],
)
def test_xml_that_is_no_vex_or_made_to_hurt_is_refused(raw: bytes, reason: str) -> None:
    with pytest.raises(AuthorError) as refused:
        read_cyclonedx_vex(raw)
    assert refused.value.reason == reason


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("not_affected", "not_affected"),
        ("false_positive", "not_affected"),
        ("in_triage", "affected"),
        ("exploitable", "affected"),
        ("resolved", "affected"),
        ("other", "affected"),
    ],
)
def test_a_vex_of_this_bom_is_believed(
    store: RiskStore, tmp_path: Path, state: str, expected: str, is_first: bool
) -> None:
    """Only "not affected" of the maker goes before what a third party says; of the rest the worst holds."""
    assert linked(store, tmp_path, vex(state), is_first=is_first)[0] == expected


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        (vex("not_affected", version=1), "is about version 1 of this BOM, version 2 is imported"),
        (vex("not_affected", serial="ffffffff-0000-4000-8000-000000000000"), "names a BOM that is not here"),
        (vex("not_affected", reference="other"), "which is no component of this BOM"),
    ],
)
def test_a_vex_of_something_else_changes_nothing_and_is_told(
    store: RiskStore, tmp_path: Path, document: dict[str, Any], sentence: str
) -> None:
    state, told = linked(store, tmp_path, document)
    assert state == "affected" and len(told) == 1 and sentence in told[0]


@pytest.mark.parametrize("is_first", [True, False])
def test_a_percent_encoded_bom_link_is_read(store: RiskStore, tmp_path: Path, is_first: bool) -> None:
    state, told = linked(store, tmp_path, vex("not_affected", reference="in%23ner"), is_first=is_first)
    assert state == "not_affected"
    assert is_first or told == []


@pytest.mark.parametrize("reference", ["pkg:npm/%40a/x@1.0.0", "pkg%3Anpm%2F%2540a%2Fx%401.0.0"])
def test_a_bom_link_to_a_name_with_percent_signs_is_read_encoded_and_as_it_is(
    store: RiskStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference: str
) -> None:
    monkeypatch.setitem(BOM["components"][0], "bom-ref", "pkg:npm/%40a/x@1.0.0")
    assert linked(store, tmp_path, vex("not_affected", reference=reference)) == ("not_affected", [])


def test_a_percent_encoded_bom_link_to_nothing_is_told_once_as_it_is_written(
    store: RiskStore, tmp_path: Path
) -> None:
    state, told = linked(store, tmp_path, vex("not_affected", reference="oth%23er"))
    assert state == "affected" and len(told) == 1 and "'oth%23er', which is no component" in told[0]


def test_a_vex_holds_for_the_versions_that_it_names(store: RiskStore, tmp_path: Path) -> None:
    assert (
        linked(store, tmp_path, vex("not_affected", versions=[{"version": "9.9", "status": "unaffected"}]))[0]
        == "affected"
    )
    named = vex("not_affected", versions=[{"range": "vers:npm/>=1.0.0|<2.0.0", "status": "unaffected"}])
    assert linked(store, tmp_path, named)[0] == "not_affected"


def test_a_vex_for_one_bom_says_nothing_of_the_same_library_elsewhere(
    store: RiskStore, tmp_path: Path
) -> None:
    store.import_inventory(written(tmp_path, "l.csv", "asset,purl\nother,pkg:npm/x@1.0.0\n"), now=NOW)
    store.import_inventory(written(tmp_path, "b.cdx.json", BOM), now=NOW)
    store.add_source("osv", written(tmp_path, "o.json", osv({"introduced": "0"})), now=NOW)
    store.add_source("vex", written(tmp_path, "v.json", vex("not_affected")), now=NOW)
    assert {one.asset: one.state for one in store.rank(now=NOW, with_all=True)} == {
        "cart": "not_affected",
        "other": "affected",
    }


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real data lies beside the repository")
def test_the_examples_of_cyclonedx_are_read(store: RiskStore, tmp_path: Path) -> None:
    for path in sorted((SHARED / "cyclonedx-vex").rglob("bom-*.json")):
        store.import_inventory(path, asset=path.stem, now=NOW)
    for path in sorted((SHARED / "cyclonedx-vex").rglob("vex*.json")):
        assert store.add_source("vex", path, now=NOW).read == 1


TREE = {
    "branches": [
        {
            "category": "product_version",
            "name": "1.0.0",
            "product": {
                "product_id": "P",
                "name": "x",
                "product_identification_helper": {"purl": "pkg:npm/%40fenn/x@1.0.0"},
            },
        }
    ]
}


@pytest.mark.parametrize(
    ("own", "third", "expected"),
    [
        ("known_not_affected", "known_affected", "not_affected"),
        ("under_investigation", "known_not_affected", "under_investigation"),
        ("fixed", "known_affected", "affected"),
        ("known_affected", "known_not_affected", "affected"),
        (None, "known_not_affected", "not_affected"),
    ],
)
@pytest.mark.parametrize("is_own_first", [True, False])
def test_documents_that_disagree_are_all_shown_and_the_own_vendor_rule_holds(
    store: RiskStore, tmp_path: Path, own: str | None, third: str, expected: str, is_own_first: bool
) -> None:
    documents = (
        [
            (
                "v",
                csaf(
                    {own: ["P"]},
                    TREE,
                    tracking="F-1",
                    publisher="Fenn",
                    category="vendor",
                    date="2026-01-01T00:00:00Z",
                ),
            )
        ]
        if own
        else []
    )
    documents.append(("t", csaf({third: ["P"]}, TREE, tracking="C-1", publisher="CERT")))
    store.import_inventory(
        written(
            tmp_path, "l.csv", "asset,vendor,product,version,purl\na,Fenn,X,1.0.0,pkg:npm/%40fenn/x@1.0.0\n"
        ),
        now=NOW,
    )
    for name, document in documents if is_own_first else reversed(documents):
        store.add_source("csaf", written(tmp_path, f"{name}.json", document), now=NOW)
    (found,) = store.rank(now=NOW, with_all=True)
    assert found.state == expected
    if own in ("known_not_affected", "fixed", "known_affected"):
        assert [
            (one["document"], one["publisher"]) for one in found.disagreement if one["own_vendor"] == "yes"
        ] == [("F-1", "Fenn")]
        assert len(found.disagreement) == 2 and all(one["date"] for one in found.disagreement)


@pytest.mark.parametrize(("publisher", "category"), [("Fenn", "coordinator"), ("Reseller", "vendor")])
def test_a_reseller_and_a_republisher_are_third_parties(
    store: RiskStore, tmp_path: Path, publisher: str, category: str
) -> None:
    store.import_inventory(
        written(
            tmp_path, "l.csv", "asset,vendor,product,version,purl\na,Fenn,X,1.0.0,pkg:npm/%40fenn/x@1.0.0\n"
        ),
        now=NOW,
    )
    store.add_source(
        "csaf",
        written(
            tmp_path,
            "1.json",
            csaf({"known_not_affected": ["P"]}, TREE, publisher=publisher, category=category, tracking="R-1"),
        ),
        now=NOW,
    )
    store.add_source(
        "csaf", written(tmp_path, "2.json", csaf({"known_affected": ["P"]}, TREE, publisher="Other")), now=NOW
    )
    assert store.rank(now=NOW)[0].state == "affected"


def test_what_a_partner_hands_on_under_a_vendors_name_is_no_vendors_word(
    store: RiskStore, tmp_path: Path
) -> None:
    """A forged document neither replaces the vendor's own nor closes what it says."""
    genuine = csaf({"known_affected": ["P"]}, TREE, tracking="F-1", publisher="Fenn", category="vendor")
    forged = csaf(
        {"known_not_affected": ["P"]},
        TREE,
        tracking="F-1",
        version="999",
        publisher="Fenn",
        category="vendor",
    )
    store.import_inventory(
        written(
            tmp_path, "l.csv", "asset,vendor,product,version,purl\na,Fenn,X,1.0.0,pkg:npm/%40fenn/x@1.0.0\n"
        ),
        now=NOW,
    )
    store.add_source("csaf", written(tmp_path, "1.json", genuine), now=NOW)
    store.take_document(json.dumps(forged).encode(), "csaf", partner="mallory", now=NOW)
    (found,) = store.rank(now=NOW)
    assert found.state == "affected" and {one["state"] for one in found.disagreement} == {
        "affected",
        "not_affected",
    }
    assert store.forget_documents(["F-1"], partner="mallory", now=NOW) == 1
    (found,) = store.rank(now=NOW)
    assert found.state == "affected" and found.disagreement == ()
    store.take_document(json.dumps(vex("not_affected")).encode(), "vex", partner="mallory", now=NOW)


def test_partners_count_for_thirty_days_and_as_active_only_where_that_is_configured(tmp_path: Path) -> None:
    for needed in (0, 2):
        store = open_risk(tmp_path / f"{needed}.sqlite", rules=RiskRules(partners_mean_active=needed))
        state_of(store, tmp_path, "pkg:npm/x@1.0.0", osv({"introduced": "0"}))
        seen = [
            PartnerVulnerability(CVE, "p1", NOW, "sighting"),
            PartnerVulnerability(CVE, "p2", NOW - 10 * DAY, "sighting"),
            PartnerVulnerability(CVE, "p3", NOW - 40 * DAY, "sighting"),
        ]
        assert (
            store.take_partner_vulnerabilities(seen, now=NOW) == 3
            and store.take_partner_vulnerabilities(seen, now=NOW) == 0
        )
        assert store.rank(now=NOW)[0].partner_evidence == {"organisations": 2, "last_seen": "2026-11-30"}
        assert why(store)["exploitation"] == (
            ("active (partner-reported)", "checked") if needed else ("unknown", "not-checked")
        )
        (later,) = store.rank(now=NOW + 25 * DAY)  # nothing came, and nothing was refreshed
        assert later.partner_evidence["organisations"] == 1
        ahead = [PartnerVulnerability(CVE, "p1", NOW + 400 * DAY, "sighting")]
        store.take_partner_vulnerabilities(ahead, now=NOW)
        assert store.rank(now=NOW)[0].partner_evidence == {"organisations": 2, "last_seen": "2026-11-30"}
        store.close()


def test_the_order_is_outcome_partners_human_impact_epss_and_cvss(store: RiskStore, tmp_path: Path) -> None:
    store.import_inventory(
        written(
            tmp_path,
            "l.csv",
            "asset,purl,exposure,human_impact\nlow,pkg:npm/x@1.0.0,open,low\nhigh,pkg:npm/x@1.0.0,open,high\nsmall,pkg:npm/x@1.0.0,small,low\n",
        ),
        now=NOW,
    )
    for number in range(4):
        store.add_source(
            "osv",
            written(
                tmp_path,
                "o.json",
                osv({"introduced": "0"}, cve=f"CVE-2026-100{number}") | {"id": f"G-{number}"},
            ),
            now=NOW,
        )
        store.add_source(
            "vulnrichment",
            written(
                tmp_path,
                "c.json",
                record({"Exploitation": "none"}, {"Automatable": "no"}, cve=f"CVE-2026-100{number}"),
            ),
            now=NOW,
        )
    store.add_source("epss", written(tmp_path, "e.csv", HEAD + "CVE-2026-1002,0.9,0.9\n"), now=NOW)
    store.take_partner_vulnerabilities([PartnerVulnerability("CVE-2026-1001", "p", NOW, "sighting")], now=NOW)
    with store.transaction() as writer:
        writer.execute("UPDATE vulnerability SET cvss = 5 WHERE name = 'CVE-2026-1003'")
    ranked = [(one.outcome, one.vulnerability[-1], one.asset) for one in store.rank(now=NOW)]
    outcomes = ["immediate", "out-of-cycle", "scheduled", "defer"]
    assert [outcomes.index(one[0]) for one in ranked] == sorted(outcomes.index(one[0]) for one in ranked)
    for outcome in {one[0] for one in ranked}:
        group = [one[1:] for one in ranked if one[0] == outcome]
        key = {"1": 0, "2": 1, "3": 2, "0": 3}
        expected = sorted(group, key=lambda one: (one[0] != "1", one[1] != "high", key[one[0]]))
        assert group == expected
    assert len(ranked) == 12
