"""Bills of materials: streamed, nested, cyclic, broken off, with a DTD, imported again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from advisories_made import written
from risk_cases import NOW

from p2pshare.errors import AuthorError
from p2pshare.risk.risk_store import RiskStore

SHARED = Path(__file__).parents[3] / "shared" / "data" / "vuln"
SERIAL = "urn:uuid:7b1c7a0e-0000-4000-8000-0000000000aa"


def bom(*components: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": SERIAL,
        "version": 1,
        "metadata": {"component": {"type": "device", "name": "pump", "bom-ref": "root"}},
        "components": list(components),
        **members,
    }


def lib(name: str, version: str = "1.0.0", **members: Any) -> dict[str, Any]:
    return {
        "type": "library",
        "name": name,
        "version": version,
        "bom-ref": name,
        "purl": f"pkg:npm/{name}@{version}",
        **members,
    }


def refs(store: RiskStore, asset: str = "pump") -> list[str]:
    return sorted(one.ref for one in store.components_of(asset))


def test_components_inside_components_count_and_the_rest_is_passed_over(
    store: RiskStore, tmp_path: Path
) -> None:
    inner = lib("inner", components=[lib("innermost")])
    licences = [{"license": {"id": f"L-{number}"}} for number in range(100_000)]
    content = bom(
        lib(
            "outer", components=[inner], licenses=licences, properties=[{"name": "components", "value": "x"}]
        ),
        dependencies=[{"ref": "outer", "dependsOn": ["inner"]}, {"ref": "inner", "dependsOn": ["outer"]}],
        services=[{"name": "no component", "components": [lib("never")]}],
    )
    answer = store.import_inventory(written(tmp_path, "a.cdx.json", content), now=NOW)
    assert refs(store) == ["inner", "innermost", "outer", "root"] and answer.read == answer.components == 4


def test_metadata_behind_the_components_still_names_the_asset(store: RiskStore, tmp_path: Path) -> None:
    content = bom(lib("x"))
    metadata, serial = content.pop("metadata"), content.pop("serialNumber")
    store.import_inventory(
        written(tmp_path, "a.cdx.json", content | {"metadata": metadata, "serialNumber": serial}), now=NOW
    )
    assert refs(store) == ["root", "x"]
    assert store.fetch("SELECT serial_number, version FROM inventory_file") == [(SERIAL, 1)]


def test_what_names_nothing_or_no_version_is_told_and_the_rest_kept(store: RiskStore, tmp_path: Path) -> None:
    odd = [
        {"type": "library", "bom-ref": "nameless"},
        "text",
        {"type": "library", "name": "nov", "bom-ref": "nov"},
        lib("bad") | {"purl": "no purl"},
    ]
    answer = store.import_inventory(written(tmp_path, "a.cdx.json", bom(lib("good"), *odd)), now=NOW)  # type: ignore[arg-type]
    assert refs(store) == ["bad", "good", "nov", "root"]
    assert len(answer.refused) == 2 and answer.read == 6
    assert any("no version" in one.why for one in answer.told) and any(
        "package-url" in one.why for one in answer.told
    )


def test_a_file_that_breaks_off_is_told_and_takes_nothing_away(store: RiskStore, tmp_path: Path) -> None:
    path = written(tmp_path, "a.cdx.json", bom(lib("one"), lib("two"), lib("three")))
    store.import_inventory(path, now=NOW)
    text = path.read_text()
    path.write_text(text[: text.index('"three"')])
    answer = store.import_inventory(path, now=NOW)
    assert refs(store) == ["one", "root", "three", "two"]
    assert "breaks off" in answer.refused[0].why


def test_a_bom_again_updates_and_tells_what_is_gone(store: RiskStore, tmp_path: Path) -> None:
    store.import_inventory(written(tmp_path, "a.cdx.json", bom(lib("one"), lib("two"))), now=NOW)
    newer = written(tmp_path, "other-name.cdx.json", bom(lib("one", "2.0.0"), version=2))
    answer = store.import_inventory(newer, now=NOW)
    assert sorted((one.ref, one.version) for one in store.components_of("pump")) == [
        ("one", "2.0.0"),
        ("root", ""),
    ]
    assert sorted(one.why for one in answer.told if one.why.startswith("gone")) == [
        "gone: pump: pkg:npm/one@1.0.0", "gone: pump: pkg:npm/two@1.0.0", "gone: pump: pump",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "{}", "[]", "[1, 2]", "nonsense {", '{"bomFormat": "CycloneDX"', '{"bomFormat": "Other", "components": []}',
        '{"spdxVersion": "SPDX-1.2"}', "<bom/>", "<html></html>", "<bom", "", "\x00\x01\x02",
    ],
)  # fmt: skip
def test_what_is_no_inventory_is_refused_whole(store: RiskStore, tmp_path: Path, text: str) -> None:
    with pytest.raises(AuthorError):
        store.import_inventory(written(tmp_path, "file", text), now=NOW)
    assert store.assets() == [] and store.fetch("SELECT count(*) FROM inventory_file") == [(0,)]


NAMESPACE = 'xmlns="http://cyclonedx.org/schema/bom/1.4"'
GOOD = f'<bom {NAMESPACE} version="1"><components><component type="library" bom-ref="a"><name>a</name><version>1</version></component></components></bom>'


@pytest.mark.parametrize(
    "dtd",
    [
        "<!DOCTYPE bom>",
        '<!DOCTYPE bom SYSTEM "file:///etc/passwd">',
        '<!DOCTYPE bom [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>',
        '<!DOCTYPE bom [<!ENTITY % p SYSTEM "http://127.0.0.1:1/x">%p;]>',
    ],
)
def test_a_dtd_is_refused_whole(store: RiskStore, tmp_path: Path, dtd: str) -> None:
    with pytest.raises(AuthorError) as caught:
        store.import_inventory(written(tmp_path, "a.xml", f'<?xml version="1.0"?>{dtd}{GOOD}'), now=NOW)
    assert caught.value.reason == "dtd-refused" and store.assets() == []
    assert store.import_inventory(written(tmp_path, "a.xml", GOOD), now=NOW).components == 1


def test_xml_that_breaks_off_keeps_what_was_good(store: RiskStore, tmp_path: Path) -> None:
    answer = store.import_inventory(
        written(tmp_path, "a.xml", GOOD[: GOOD.index("</components>")] + "<component><na"), now=NOW
    )
    assert refs(store, "a") == ["a"] and "breaks off" in answer.refused[0].why


def test_xml_that_nests_without_end_is_refused(store: RiskStore, tmp_path: Path) -> None:
    nested = "<component type='library'><name>x</name><components>" * 200
    for inside in (nested, "<x>" * 5_000):
        with pytest.raises(AuthorError) as caught:
            store.import_inventory(
                written(tmp_path, "a.xml", f"<bom {NAMESPACE}><components>{inside}"), now=NOW
            )
        assert caught.value.reason == "too-deep"


def test_json_that_nests_without_end_costs_only_itself(store: RiskStore, tmp_path: Path) -> None:
    nested = lib("deepest")
    for number in range(200):
        nested = lib(f"n{number}", components=[nested])
    answer = store.import_inventory(written(tmp_path, "a.cdx.json", bom(lib("good"), nested)), now=NOW)
    assert "good" in refs(store) and any("nest" in one.why for one in answer.refused)


def test_spdx_packages_are_read_and_noassertion_is_nothing(store: RiskStore, tmp_path: Path) -> None:
    content = {
        "spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "name": "cart", "documentNamespace": "https://x.example/cart",
        "packages": [
            {"SPDXID": "SPDXRef-a", "name": "libx", "versionInfo": "1.2", "supplier": "Organization: Fenn",
             "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": "pkg:deb/debian/libx@1.2"},
                              {"referenceCategory": "SECURITY", "referenceType": "cpe23Type", "referenceLocator": "cpe:2.3:a:fenn:libx:1.2:*:*:*:*:*:*:*"}]},
            {"SPDXID": "SPDXRef-b", "name": "liby", "versionInfo": "NOASSERTION", "supplier": "NOASSERTION"},
            {"SPDXID": "SPDXRef-c", "name": "libz"},
        ],
    }  # fmt: skip
    answer = store.import_inventory(written(tmp_path, "a.spdx.json", content), now=NOW)
    places = {one.ref: one for one in store.components_of("cart")}
    assert set(places) == {"SPDXRef-a", "SPDXRef-b", "SPDXRef-c"}
    assert places["SPDXRef-a"].purl == "pkg:deb/debian/libx@1.2" and places["SPDXRef-a"].cpe.startswith(
        "cpe:2.3:a:fenn"
    )
    assert places["SPDXRef-b"].version == "" and places["SPDXRef-b"].vendor == ""
    assert sum("no version" in one.why for one in answer.told) == 2


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real data lies beside the repository")
@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("dropwizard-1.3.15.cdx.json", 167),
        ("laravel-7.12.0.cdx.json", 71),
        ("pcie-sata-board.hbom.cdx.json", None),
    ],
)
def test_real_boms_are_read_whole(store: RiskStore, name: str, count: int | None) -> None:
    path = SHARED / "sbom" / name
    content = json.loads(path.read_text())
    answer = store.import_inventory(path, now=NOW)
    expected = len(content["components"]) + bool(content.get("metadata", {}).get("component"))
    assert answer.components >= expected - len(answer.refused) and answer.read >= expected
    assert count is None or len(content["components"]) in range(count - 60, count + 60)


def test_a_large_bom_takes_no_more_memory_than_a_small_one(tmp_path: Path) -> None:
    """25 MB with forty thousand licences at each of a few components; held whole it would be 300 MB."""
    path = tmp_path / "large.cdx.json"
    licence = ",".join(
        json.dumps({"license": {"name": f"a licence with a long name {one:06}"}}) for one in range(40_000)
    )
    with path.open("w") as file:
        file.write('{"bomFormat":"CycloneDX","specVersion":"1.5","components":[')
        for number in range(10):
            file.write(
                f'{"," if number else ""}{{"type":"library","name":"x{number}","version":"1","licenses":[{licence}]}}'
            )
        file.write("]}")
    program = f"""
import resource, sys
from pathlib import Path
from p2pshare.risk.risk_store import open_risk
store = open_risk(Path({str(tmp_path)!r}) / "risk.sqlite")
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
answer = store.import_inventory(Path({str(path)!r}), now={NOW})
assert answer.components == 10, answer
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base) // 1024)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert path.stat().st_size > 20_000_000
    assert int(done.stdout) < 25, "MiB above where it stood"
