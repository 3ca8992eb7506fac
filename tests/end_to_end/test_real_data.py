"""Real third-party lists and bundles: charlie, two hops away, shows what a few lines compute from the same files.

The computations here share no code with p2pshare: regular expressions, `ipaddress` and `json` only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Partner

    Chain = tuple[Partner, Partner, Partner]

pytestmark = pytest.mark.end_to_end

DOMAIN = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\.)+[a-z][a-z0-9-]*[a-z0-9]")
HASH = re.compile(r"[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{128}")
COMPARISON = re.compile(r"\[(domain-name|ipv4-addr):value ?= ?'([^']+)'\]")
FILE_HASH = re.compile(r"\[file:hashes\.[^=]+= ?'([0-9A-Fa-f]+)'\]")


def lines_of(path: Path) -> list[str]:
    """Lines without comments and blanks, in lower case."""
    lines = (
        re.split(r"(?:^|\s)#", line)[0].strip().lower() for line in path.read_text("utf-8-sig").splitlines()
    )
    return [line for line in lines if line]


def is_address(text: str) -> bool:
    try:
        return str(ip_address(text)) == text
    except ValueError:
        return False


def plain_values(path: Path) -> set[str]:
    """The lines that are nothing but an address, a domain or a hash."""
    return {
        line for line in lines_of(path) if is_address(line) or DOMAIN.fullmatch(line) or HASH.fullmatch(line)
    }


def pattern_values(path: Path) -> set[str]:
    """The values of single comparisons in a bundle's indicators."""
    objects = json.loads(path.read_text())["objects"]
    patterns = [one["pattern"] for one in objects if one["type"] == "indicator" and not one.get("revoked")]
    found = {match[1].lower() for pattern in patterns for match in COMPARISON.findall(pattern)}
    return found | {value.lower() for pattern in patterns for value in FILE_HASH.findall(pattern)}


LISTS = (
    "lists/ipsum/levels/4.txt",
    "lists/maltrail/malware/nivdort.txt",
    "lists/maltrail/malware/netsupport.txt",
    "lists/unit42/lotusblossom/c2_ips.txt",
    "lists/unit42/lotusblossom/elise_hashes.txt",
    "lists/unit42/gorgon/domains.txt",
    "stix21/amnesty/2021-12-16_cytrox/domains.txt",
    "stix21/amnesty/2020-06-15_india/sha256.txt",
)
BUNDLES = (
    "stix21/amnesty/2021-12-16_cytrox/cytrox.stix2",
    "stix21/amnesty/2024-05-02_wintego_helios/wintego_helios.stix2",
    "stix20/unit42/NOBELIUM.json",
    "stix20/unit42/qakbotmalware.json",
    "stix20/unit42/Phobos_TA.json",
)
ATTACK = "stix21/attack"
READING_SECONDS = 90  # sixteen publications of one author, who rests longer the longer reading him takes


@pytest.fixture(scope="module")
def published(chain: Chain, shared_data: Path, eventually: Callable[..., Any]) -> Chain:
    """alpha published all of them, and the others have as much as alpha."""
    alpha, *others = chain
    for name in LISTS + BUNDLES:
        publish(alpha, shared_data / name)
    values = alpha.values()
    for other in others:  # each reads after a pause of its own, and lets an author rest who sends so much
        eventually(lambda other=other: values <= other.values(), f"{other.name} has it all", READING_SECONDS)
    return chain


def publish(alpha: Partner, path: Path) -> None:
    """Real files hold what is no value: partly done (6) is a good answer, with everything accounted for."""
    said = alpha.cli("publish", str(path), "--tlp", "green", "--yes", "--json", codes=(0, 6))
    answer = json.loads(said.out)
    refused = sum(refusal["count"] for refusal in answer["refused"])
    assert answer["read"] == answer["published"] + answer["merged"] + refused, path.name
    assert said.code == (6 if refused else 0)


def test_charlie_shows_the_very_set_that_alpha_shows(published: Chain) -> None:
    alpha, bravo, charlie = published
    assert alpha.values() == charlie.values() == bravo.values()


@pytest.mark.parametrize("name", LISTS)
def test_a_real_list_gives_the_set_that_a_few_lines_compute(
    published: Chain, shared_data: Path, name: str
) -> None:
    expected = plain_values(shared_data / name)
    assert len(expected) > 3
    missing = expected - published[2].values()
    assert not missing, sorted(missing)[:10]


@pytest.mark.parametrize("name", BUNDLES)
def test_a_real_bundle_gives_the_set_that_a_few_lines_compute(
    published: Chain, shared_data: Path, name: str
) -> None:
    expected = pattern_values(shared_data / name)
    assert len(expected) > 3
    missing = expected - published[2].values()
    assert not missing, sorted(missing)[:10]


def test_nothing_is_there_that_stands_in_no_file(published: Chain, shared_data: Path) -> None:
    text = "\n".join((shared_data / name).read_text("utf-8-sig").lower() for name in LISTS + BUNDLES)
    plain = [
        row[0]
        for row in published[2].query(
            "SELECT value FROM v1_indicators WHERE type IN ('domain', 'ipv4', 'sha256', 'md5', 'sha1')"
        )
    ]
    invented = [value for value in plain if value not in text and "xn--" not in value]
    assert not invented, invented[:10]


def test_txt_and_stix_of_one_case_are_the_same_domains(shared_data: Path, published: Chain) -> None:
    case = shared_data / "stix21/amnesty/2021-12-16_cytrox"
    domains = plain_values(case / "domains.txt")
    assert domains == {value for value in pattern_values(case / "cytrox.stix2") if DOMAIN.fullmatch(value)}
    assert domains <= published[2].values()


def test_attack_travels_whole_though_it_holds_no_observables(published: Chain, shared_data: Path) -> None:
    alpha, _, charlie = published
    [path] = (shared_data / ATTACK).rglob("*.json")
    objects = json.loads(path.read_text())["objects"]
    answer = json.loads(
        alpha.cli("publish", str(path), "--tlp", "clear", "--yes", "--json", codes=(0, 6)).out
    )
    refused = sum(refusal["count"] for refusal in answer["refused"])
    assert answer["read"] == answer["published"] + answer["merged"] + refused == len(objects)
    assert answer["published"] > 700
    assert charlie.status()["envelopes"]["held"] > 0
