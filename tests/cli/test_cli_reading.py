"""What publishing an input did in silence, once: each case as a person would run it, and what is right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import Home, Said, found_pair


@pytest.fixture
def alpha(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Home:
    return found_pair(tmp_path, capsys, monkeypatch)["alpha"]


def indicator(number: int, **changes: str) -> dict[str, str]:
    return {
        "type": "indicator",
        "spec_version": "2.1",
        "id": f"indicator--00000000-0000-4000-8000-{number:012x}",
        "created": "2026-01-01T00:00:00.000Z",
        "modified": "2026-01-01T00:00:00.000Z",
        "pattern": "[domain-name:value = 'evil.example']",
        "pattern_type": "stix",
        "valid_from": "2026-02-01T00:00:00Z",
    } | changes


BROKEN = [
    indicator(1, pattern="[domain-name:value = 'evil.example'"),
    indicator(2, valid_until="2026-01-01T00:00:00Z"),
    indicator(3, valid_until="2026-02-01T00:00:00Z"),
    indicator(4, valid_until="2026-02-01T00:00:01Z"),
    indicator(5, pattern="[domain-name:value LIKE '%.example']"),
    indicator(6, pattern="[file:size = 3] AND [file:size = 4]"),
]


def dry(alpha: Home, tmp_path: Path, name: str, text: str, *options: str) -> Said:
    path = tmp_path / name
    path.write_bytes(text.encode())
    return alpha("publish", str(path), "--tlp", "green", "--dry-run", *options)


def counted(told: list[dict[str, object]]) -> dict[object, object]:
    return {one["reason"]: one["count"] for one in told}


# file -> observables, refused, notes
READ: dict[str, tuple[str, int, dict[str, int], dict[str, int]]] = {
    "f1.txt": ("http://shared.evil.example/;x=1\nhttp://other.evil.example/;x=2\n", 2, {}, {}),
    "f1.csv": ("http://shared.evil.example/,1\nhttp://other.evil.example/,2\n", 2, {}, {}),
    "f9.json": (
        json.dumps({"type": "bundle", "objects": BROKEN}),
        1,
        {"already-over": 2, "bad-pattern": 1},
        {"opaque-pattern": 2, "expired": 1},
    ),
    "k5-ranges.txt": (
        "192.0.2.0-255\n198.51.100.1-5\n192.0.2.0/255.255.255.0\n198.51.100.0/24/\n203.0.113.77\n",
        2,
        {"address-range": 2, "bad-network": 1},
        {"netmask": 1},
    ),
    "k5-dash.txt": ("192.0.2.0-192.0.2.255\n198.51.100.4 - 198.51.100.7\n192.0.2.77\n", 1, {"address-range": 2}, {}),
    "k6-dashes.txt": ("evil\u2013host.example\nevil\u2010host2.example\nevil\u2212host3.example\nplain-host.example\n", 1, {"typography": 3}, {}),
    "k6-quotes.txt": ("evil.example\u201d\n\xabbad.example\xbb\nugly.example\xb9\nhttp://evil.example\u201d\nfine.example\n", 1, {"typography": 4}, {}),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_what_is_read_is_what_was_written_and_the_rest_is_told(
    alpha: Home, tmp_path: Path, name: str
) -> None:
    text, observables, refused, notes = READ[name]
    said = dry(alpha, tmp_path, name, text, "--json")
    answer = said.json
    assert said.code == (6 if refused else 0)
    assert (answer["observables"], counted(answer["refused"])) == (observables, refused)
    assert counted(answer["notes"]) == notes
    assert answer["read"] == answer["published"] + answer["merged"] + sum(refused.values())


ASKED = {
    "k2-advisories.csv": "cve,cvss,advisory\nCVE-2026-10001,9.8,https://psirt.example.com/a1\n",
    "k2-dshield.csv": "Start\tEnd\tNetmask\tAttacks\tName\tCountry\temail\n192.0.2.0\t192.0.2.255\t24\t3121\tEXAMPLE-NET\tUS\tabuse@provider.example\n",
    "k2-inventory.csv": "hostname,os,owner\nws1.hospital.example.org,Win11,jd\n",
    "k2-people.csv": "name,organisation,mail\nA. Analyst,Example Hospital,analyst@hospital.example.org\n",
    "k2-victims.csv": "victim_ip,port,seen\n192.0.2.61,3389,2026-01-08\n",
    "k4-scan.csv": 'timestamp,ip,port,protocol,hostname,tag,asn,geo,naics,sector\n"2026-01-08 00:00:03","192.0.2.10",3389,"tcp","cust1.isp.example","rdp",64500,"DE",0,""\n',
}  # fmt: skip


@pytest.mark.parametrize("name", ASKED)
def test_a_table_of_somebody_is_asked_about_and_nothing_of_it_leaves(
    alpha: Home, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    path.write_text(ASKED[name])
    said = alpha("publish", str(path), "--tlp", "green", "--yes")
    assert (said.code, said.out) == (1, "")
    assert "these columns hold values: column " in said.err
    assert "hint: --column" in said.err
    assert alpha("status", "--json").json["envelopes"]["held"] == 0


def test_a_list_of_ranges_with_names_is_no_report_without_values(alpha: Home, tmp_path: Path) -> None:
    text = "Bad Org, Inc:192.0.2.0-192.0.2.255\nSome University - Lab:198.51.100.4-198.51.100.7\n"
    said = dry(alpha, tmp_path, "k5-p2p.txt", text)
    assert said.code == 1
    assert "2 address-range" in said.err


def test_the_first_values_of_each_column_are_shown_on_a_dry_run(alpha: Home, tmp_path: Path) -> None:
    rows = "".join(f"host-{number}.example,198.51.100.{number},x\n" for number in range(9))
    text = "domain,ip,note\nhost-0.example,,\n" + rows + "\x1b[31m.example,198.51.100.77,\n"
    said = dry(alpha, tmp_path, "x.csv", text)
    assert said.out.splitlines() == [
        "column 1 (domain): host-0.example, host-1.example, host-2.example, host-3.example, host-4.example",
        "column 2 (ip): 198.51.100.0, 198.51.100.1, 198.51.100.2, 198.51.100.3, 198.51.100.4",
    ]
    told = dry(alpha, tmp_path, "x.csv", text, "--json").json["columns"]
    assert [one["column"] for one in told] == ["column 1 (domain)", "column 2 (ip)"]
    assert told[1]["values"][0] == {"type": "ipv4", "value": "198.51.100.0"}
    assert "columns" not in dry(alpha, tmp_path, "x.txt", "evil.example\n", "--json").json


def test_a_column_that_a_person_names_is_read_and_shown(alpha: Home, tmp_path: Path) -> None:
    said = dry(alpha, tmp_path, "x.csv", ASKED["k2-victims.csv"], "--column", "victim_ip")
    assert (said.code, said.out) == (0, "column 1 (victim_ip): 192.0.2.61\n")
