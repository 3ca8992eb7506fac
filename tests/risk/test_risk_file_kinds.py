"""BOMs and catalogues of the same kinds as others write them: marks of bytes, tools beside parts, names that are not unique."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from p2pshare.errors import AuthorError
from p2pshare.risk.risk_store import RiskStore

NOW = 1_796_000_000
SERIAL = "7b1c7a0e-0000-4000-8000-0000000000d2"

Json = dict[str, Any]


def put(folder: Path, name: str, content: Json | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def part(reference: str, version: str, purl: str = "") -> Json:
    made = {"type": "library", "bom-ref": reference, "name": reference, "version": version}
    return {**made, "purl": purl} if purl else made


def bom(*parts: Json, **head: Any) -> Json:
    about = {"component": {"type": "device", "name": "Cart", "version": "1", "bom-ref": "root"}}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{SERIAL}",
        "metadata": about,
        "components": list(parts),
        **head,
    }


def osv(affected: Json, ecosystem: str = "npm", **more: Any) -> Json:
    package = {"ecosystem": ecosystem, "name": "inner"}
    return {
        "id": "GHSA-x",
        "modified": "2026-01-01T00:00:00Z",
        "aliases": ["CVE-2026-82001"],
        "affected": [{"package": package, **affected}],
        **more,
    }


def events(*pairs: tuple[str, str], kind: str = "SEMVER") -> Json:
    return {"ranges": [{"type": kind, "events": [{name: version} for name, version in pairs]}]}


def states(store: RiskStore) -> dict[str, str]:
    rows = [one.as_json() for one in store.rank(now=NOW, with_all=True)]
    return {row["component"]["ref"]: row["state"] for row in rows}


def components(store: RiskStore) -> list[str]:
    return [ref for (ref,) in store.fetch("SELECT bom_ref FROM asset_component ORDER BY bom_ref")]


def test_a_bom_with_a_byte_order_mark_is_read(store: RiskStore, tmp_path: Path) -> None:
    raw = b"\xef\xbb\xbf" + json.dumps(bom(part("a", "1"))).encode()
    store.import_inventory(put(tmp_path, "b.cdx.json", raw), now=NOW)
    assert components(store) == ["a", "root"]


def test_json_in_utf_16_is_refused_with_what_to_do(store: RiskStore, tmp_path: Path) -> None:
    with pytest.raises(AuthorError) as caught:
        store.import_inventory(put(tmp_path, "b.json", json.dumps(bom()).encode("utf-16")), now=NOW)
    assert caught.value.reason == "bad-encoding"


XML = """<?xml version="1.0" encoding="{encoding}"?>
{before}<bom xmlns="http://cyclonedx.org/schema/bom/1.5" version="1"><metadata>
<tools><components><component type="application" bom-ref="tool"><name>tool</name></component></components></tools>
<component type="device" bom-ref="root"><name>Cart</name><version>1</version>
<components><component type="library" bom-ref="a"><name>ä</name><version>1</version>
<pedigree><ancestors><component type="library" bom-ref="old"><name>old</name>
<components><component type="library" bom-ref="older"><name>older</name></component></components></component></ancestors></pedigree>
</component></components></component></metadata></bom>"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
def test_tools_and_ancestors_are_no_parts(encoding: str, store: RiskStore, tmp_path: Path) -> None:
    raw = XML.format(encoding=encoding, before="").encode(encoding)
    store.import_inventory(put(tmp_path, "b.xml", raw), now=NOW)
    assert components(store) == ["a", "root"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_document_type_is_refused_in_any_encoding(encoding: str, store: RiskStore, tmp_path: Path) -> None:
    raw = XML.format(encoding=encoding, before="<!-- --><!DOCTYPE bom SYSTEM 'file:///x'>").encode(encoding)
    with pytest.raises(AuthorError) as caught:
        store.import_inventory(put(tmp_path, "b.xml", raw), now=NOW)
    assert caught.value.reason == "dtd-refused" and not components(store)


def test_an_spdx_document_may_begin_with_a_long_comment(store: RiskStore, tmp_path: Path) -> None:
    document = {
        "creationInfo": {"comment": "x" * 9_000},
        "spdxVersion": "SPDX-2.3",
        "name": "Cart",
        "packages": [{"SPDXID": "a", "name": "a", "supplier": "Organization: Fenn (psirt@fenn.example)"}],
    }
    store.import_inventory(put(tmp_path, "s.json", document), now=NOW)
    assert store.fetch("SELECT vendor FROM component") == [("Fenn",)]


def test_a_vex_about_a_name_of_two_components_makes_neither_safe(store: RiskStore, tmp_path: Path) -> None:
    inner = [part("a", "1.0", "pkg:npm/inner@1.0"), {**part("a", "2.0", "pkg:npm/other@2.0"), "name": "o"}]
    answer = store.import_inventory(put(tmp_path, "b.cdx.json", bom(*inner)), now=NOW)
    assert [one.why for one in answer.told] == ["2 components are called 'a': a VEX cannot tell them apart"]
    vex = {
        "bomFormat": "CycloneDX",
        "vulnerabilities": [
            {
                "id": "CVE-2026-82001",
                "analysis": {"state": "not_affected"},
                "affects": [{"ref": f"urn:cdx:{SERIAL}/1#a"}],
            }
        ],
    }
    store.add_source("vex", put(tmp_path, "vex.cdx.json", vex), now=NOW)
    assert states(store) == {"a": "possible"}


@pytest.mark.parametrize(
    ("affected", "versions", "expected"),
    [
        (events(("fixed", "2.0.0"), ("introduced", "1.0.0")), ["0.9.0", "1.5.0", "2.5.0"], ["", "affected", ""]),
        (
            events(("introduced", "2.0.0"), ("introduced", "0"), ("fixed", "2.5.0"), ("fixed", "1.0.0")),
            ["0.5.0", "1.5.0", "2.1.0"],
            ["affected", "", "affected"],
        ),
        (events(("introduced", "1.0.0"), ("limit", "2.0.0")), ["1.5.0", "2.0.0", "3.0.0"], ["affected", "", ""]),
        (events(("introduced", "1.0.0"), ("limit", "*")), ["1.5.0", "0.5.0"], ["affected", ""]),
        (events(("introduced", "0"), ("fixed", "abc"), kind="GIT"), ["1.5.0"], ["possible"]),
        ({"versions": ["1.0", "v1.1.0"]}, ["1.0.0", "1.1.0", "1.2"], ["affected", "affected", ""]),
    ],
)  # fmt: skip
def test_osv_ranges_hold_whatever_the_order_of_their_events(
    affected: Json, versions: list[str], expected: list[str], store: RiskStore, tmp_path: Path
) -> None:
    parts = [part(one, one, f"pkg:npm/inner@{one}") for one in versions]
    store.import_inventory(put(tmp_path, "b.cdx.json", bom(*parts)), now=NOW)
    store.add_source("osv", put(tmp_path, "x.osv.json", osv(affected)), now=NOW)
    found = states(store)
    assert [found.get(one, "") for one in versions] == expected


def test_a_distributions_record_is_of_what_it_names_as_upstream(store: RiskStore, tmp_path: Path) -> None:
    store.import_inventory(put(tmp_path, "b.cdx.json", bom(part("a", "1", "pkg:npm/inner@1"))), now=NOW)
    record = osv(events(("introduced", "0")), aliases=[], upstream=["CVE-2026-82001"])
    store.add_source("osv", put(tmp_path, "x.osv.json", record), now=NOW)
    assert [one.as_json()["vulnerability"] for one in store.rank(now=NOW)] == ["CVE-2026-82001"]


def test_an_empty_catalogue_says_of_nothing_that_it_is_not_listed(store: RiskStore, tmp_path: Path) -> None:
    with pytest.raises(AuthorError) as caught:
        store.add_source("kev", put(tmp_path, "k.json", {"vulnerabilities": []}), now=NOW)
    assert caught.value.reason == "not-kev"


def test_an_older_day_than_the_one_that_is_held_is_told(store: RiskStore, tmp_path: Path) -> None:
    for day in ("2026-11-02", "2026-11-01"):
        raw = f"#model_version:v1,score_date:{day}T00:00:00Z\nCVE;score;percentile\nCVE-2026-82001;0,5;0,9\n"
        answer = store.add_source("epss", put(tmp_path, "epss.csv", raw.encode()), now=NOW)
    assert (answer.read, answer.kept) == (1, 1)
    assert any("older than that of 2026-11-02" in one["why"] for one in answer.told)


@pytest.mark.parametrize(
    "options",
    [{"Exploitation": "POC", "technicalImpact": "Total"}, [{"exploitation": "Public PoC"}, {"Technical Impact": "TOTAL"}]],
)  # fmt: skip
def test_points_are_read_in_any_spelling(options: object, store: RiskStore, tmp_path: Path) -> None:
    content = {"timestamp": "2026-10-01T00:00:00Z", "options": options}
    record = {
        "cveMetadata": {"cveId": "CVE-2026-82001"},
        "containers": {"adp": [{"metrics": [{"other": {"type": "ssvc", "content": content}}]}]},
    }
    store.add_source("vulnrichment", put(tmp_path, "c.json", record), now=NOW)
    assert store.fetch("SELECT ssvc_exploitation, technical_impact FROM vulnerability") == [(1, 1)]
