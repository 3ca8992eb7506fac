"""Real files, end to end inside this room: what a few plain lines compute is what the readers find."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from p2pshare.importers.interface import ListValue
from p2pshare.importers.values import read_list
from p2pshare.intel.bundle import frames, read_stix
from p2pshare.intel.extraction import Extraction, extract
from p2pshare.intel.grouping import split_by_marking
from p2pshare.intel.marking import Tlp


def extractions(path: Path) -> list[Extraction]:
    grouping = split_by_marking(read_stix(path.read_bytes()).objects, Tlp.GREEN)
    return [extract(frame, floor=group.tlp) for group in grouping.groups for frame in frames(group.objects)]


def claimed(path: Path) -> set[tuple[str, str]]:
    return {
        (claim.type, claim.value)
        for one in extractions(path)
        for facts in one.objects
        for claim in facts.claims
    }


def listed(path: Path) -> set[tuple[str, str]]:
    with path.open("rb") as stream:
        return {
            (one.observable.type, one.observable.value)
            for one in read_list(stream)
            if isinstance(one, ListValue)
        }


@pytest.mark.parametrize(
    ("case", "stix", "domains"),
    [("2021-12-16_cytrox", "cytrox.stix2", 336), ("2024-05-02_wintego_helios", "wintego_helios.stix2", 175)],
)
def test_list_and_bundle_of_one_case_give_the_same_set(
    shared_data: Path, case: str, stix: str, domains: int
) -> None:
    folder = shared_data / "stix21/amnesty" / case
    from_list = listed(folder / "domains.txt")
    assert {pair for pair in claimed(folder / stix) if pair[0] == "domain"} == from_list
    assert len(from_list) == domains


def test_unit42_bundles_give_what_their_patterns_equal(shared_data: Path) -> None:
    """An independent reading: quoted strings of simple patterns, lower-cased where the type allows."""
    expected, found = set(), set()
    for path in (shared_data / "stix20/unit42").glob("*.json"):
        found |= {pair for pair in claimed(path) if pair[0] in ("domain", "ipv4", "sha256", "md5")}
        for one in json.loads(path.read_text())["objects"]:
            if one["type"] == "indicator" and " AND " not in one["pattern"]:
                for kind, value in re.findall(r"(\S+?)\s*=\s*'([^'\\]*)'", one["pattern"]):
                    expected |= simple(kind.lstrip("["), value)
    assert found == expected
    assert len(found) > 900


def simple(path: str, value: str) -> set[tuple[str, str]]:
    if path == "domain-name:value":
        return {("domain", value.lower().strip().rstrip("."))}
    if path == "ipv4-addr:value":
        return {("ipv4", value)}
    if path.startswith("file:hashes."):
        type_ = {32: "md5", 64: "sha256"}.get(len(value))
        return {(type_, value.lower())} if type_ else set()
    return set()


def test_nothing_of_attack_is_lost(shared_data: Path) -> None:
    path = shared_data / "stix21/attack/ics-attack-9.0.json"
    kept = sum(len(one.objects) for one in extractions(path))
    assert kept == len(json.loads(path.read_text())["objects"])
    assert all(not one.refusals and not one.notes for one in extractions(path))
