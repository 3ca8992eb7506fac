"""Patterns: what is read equals what the standard means, everything else is opaque, and nothing takes long."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stix2patterns.validator import run_validator

from p2pshare.intel import pattern as pattern_module
from p2pshare.intel.observable import Observable
from p2pshare.intel.pattern import PATHS, comparisons_of, observables_of
from p2pshare.limits import PATTERN_OBSERVABLES_MAX

SHA256 = "aec070645fe53ee3b3763059376134f058cc337247c978add178b6ccdfb0019f"
READ = [
    ("[ipv4-addr:value = '198.51.100.7']", ["ipv4 198.51.100.7"]),
    ("[ipv4-addr:value='198.51.100.7']", ["ipv4 198.51.100.7"]),
    (" [ ipv4-addr:value == '198.51.100.7' ] ", ["ipv4 198.51.100.7"]),
    ("[ipv4-addr:value = '198.51.100.7/24']", ["ipv4-net 198.51.100.0/24"]),
    ("[ipv4-addr:value ISSUBSET '198.51.100.0/24']", ["ipv4-net 198.51.100.0/24"]),
    ("[ipv6-addr:value = '2001:DB8::1']", ["ipv6 2001:db8::1"]),
    (
        "[network-traffic:dst_ref.value ISSUBSET '2001:0db8:dead:beef::/64']",
        ["ipv6-net 2001:db8:dead:beef::/64"],
    ),
    ("[network-traffic:dst_ref.value = 'Evil.Example']", ["domain evil.example"]),
    (
        "[domain-name:value = 'EVIL.example' OR ipv4-addr:value = '192.0.2.1']",
        ["domain evil.example", "ipv4 192.0.2.1"],
    ),
    (
        "[domain-name:value = 'a.example'] OR [domain-name:value = 'b.example']",
        ["domain a.example", "domain b.example"],
    ),
    ("[domain-name:value IN ('a.example','b.example')]", ["domain a.example", "domain b.example"]),
    ("[domain-name:value = 'a.example' OR domain-name:value = 'A.example']", ["domain a.example"]),
    ("[url:value = 'http://EVIL.example/a\\'b']", ["url http://evil.example/a'b"]),
    ("[email-addr:value = 'x@Evil.example']", ["email x@evil.example"]),
    (f"[file:hashes.'SHA-256' = '{SHA256.upper()}']", [f"sha256 {SHA256}"]),
    ("[file:hashes.MD5 = 'cead3f77f6cda6ec00f57d76c9a69faa']", ["md5 cead3f77f6cda6ec00f57d76c9a69faa"]),
    ("[file:hashes.md5 = 'cead3f77f6cda6ec00f57d76c9a69faa']", ["md5 cead3f77f6cda6ec00f57d76c9a69faa"]),
    ("[file:name = 'it\\'s \\\\ not.exe' OR file:size = 3]", []),
    ("[file:name = 'evil.exe' OR file:size = 3]", ["file-name evil.exe"]),
    ("[mutex:name = 'Global\\\\Evil']", ["mutex Global\\Evil"]),
    (
        "[windows-registry-key:key = 'HKLM\\\\Software\\\\Evil']",
        ["registry-key hkey_local_machine\\software\\evil"],
    ),
    ("[autonomous-system:number = 64500]", ["asn 64500"]),
    ("[mac-addr:value = '00-1b-44-11-3a-b7']", ["mac 00:1b:44:11:3a:b7"]),
    (
        "[network-traffic:extensions.'http-request-ext'.request_header.'User-Agent' = 'Evil/1.0']",
        ["user-agent Evil/1.0"],
    ),
    ("[domain-name:value = 'not a domain' OR domain-name:value = 'b.example']", ["domain b.example"]),
]
OPAQUE = [
    "[domain-name:value = 'a.example' AND ipv4-addr:value = '192.0.2.1']",
    "[domain-name:value = 'a.example'] AND [domain-name:value = 'b.example']",
    "[domain-name:value = 'a.example'] FOLLOWEDBY [domain-name:value = 'b.example']",
    "[domain-name:value = 'a.example'] REPEATS 5 TIMES",
    "[domain-name:value = 'a.example'] WITHIN 5 SECONDS",
    "[domain-name:value = 'a.example'] START t'2020-01-01T00:00:00Z' STOP t'2021-01-01T00:00:00Z'",
    "[domain-name:value != 'a.example']",
    "[domain-name:value NOT = 'a.example']",
    "[domain-name:value NOT IN ('a.example')]",
    "[NOT domain-name:value = 'a.example']",
    "[domain-name:value LIKE '%.example']",
    "[domain-name:value MATCHES 'a.example']",
    "[ipv4-addr:value ISSUPERSET '192.0.2.0/24']",
    "[domain-name:value ISSUBSET 'a.example']",
    "[domain-name:value = 'a.example' OR domain-name:value LIKE 'b%']",
    "[domain-name:value = 'a\\.example']",
    "[domain-name:value = 'a.example' or domain-name:value = 'b.example']",
    '[domain-name:value = "a.example"]',
    "[domain-name:value = 'a.example'",
    "domain-name:value = 'a.example'",
    "[domain-name:value = 'a.example']]",
    "[domain-name:value = 'a.example'] garbage",
    "[domain-name:value = 'a.example' /* no */]",
    "[domain-name:value IN ()]",
    "[file:hashes.SHA-256 = '" + SHA256 + "']",
    "",
    "[]",
    "[domain-name:value = 'a' = 'a.example']",
]


@pytest.mark.parametrize(("text", "expected"), READ)
def test_equalities_give_their_observables(text: str, expected: list[str]) -> None:
    assert [f"{one.type} {one.value}" for one in observables_of(text)] == expected
    assert run_validator(text, stix_version="2.1") == []


@pytest.mark.parametrize("text", OPAQUE)
def test_everything_else_is_opaque_and_never_guessed_at(text: str) -> None:
    assert observables_of(text) == ()


PIECES = st.sampled_from(
    [
        "[", "]", "(", ")", " ", " OR ", " AND ", " = ", "=", "==", " != ", " IN ", " NOT ", " LIKE ", " ISSUBSET ", ",",
        "domain-name:value", "ipv4-addr:value", "file:hashes.'SHA-256'", "file:hashes.MD5", "file:size", "x:y[*].z",
        "'a.example'", "'192.0.2.1'", "'b\\'c'", "'\\\\'", "'", "\\", "5", "true", "h'ff'", "t'2020-01-01T00:00:00Z'",
        "[domain-name:value = 'a.example']", "REPEATS 5 TIMES", "/**/", "//",
    ]
)  # fmt: skip


@given(st.lists(PIECES, max_size=14).map("".join))
def test_a_claim_is_only_read_from_what_the_reference_parser_accepts(text: str) -> None:
    if comparisons_of(text):
        assert run_validator(text, stix_version="2.1") == [], text


@given(st.sampled_from(sorted(PATHS)), st.text(max_size=20), st.sampled_from([" = ", "=", " ==  "]))
def test_fast_path_equals_the_reader(path: str, value: str, sign: str) -> None:
    text = f"[{path}{sign}'{value}']"
    try:
        slow = tuple(pattern_module._Reader(text).read())
    except pattern_module._Opaque:
        slow = ()
    assert comparisons_of(text) == slow


@given(st.text(max_size=200))
def test_no_text_raises(text: str) -> None:
    observables_of(text)


def test_alternatives_are_bounded() -> None:
    def joined(number: int) -> str:
        return "[" + " OR ".join(f"domain-name:value = 'h{n}.example'" for n in range(number)) + "]"

    assert len(observables_of(joined(PATTERN_OBSERVABLES_MAX))) == PATTERN_OBSERVABLES_MAX
    assert observables_of(joined(PATTERN_OBSERVABLES_MAX + 1)) == ()


def test_hostile_patterns_end_at_once() -> None:
    size = 200_000
    for text in (
        "[" * size,
        "'" * size,
        "[domain-name:value = '" + "\\'" * size,
        "[a:b" + ".c" * size + " = 'x']",
        "[a:b" + "[*]" * size,
        "[" + "a" * size + ":value = 'x']",
        " " * size + "]",
        "[a:b IN (" + "1," * size,
        "[a:'" + "x" * size,
    ):
        assert observables_of(text) == ()


def test_examples_of_the_specification(shared_data: Path) -> None:
    lines = (shared_data / "stix21/oasis-patterns/spec_examples.txt").read_text().splitlines()
    read = {line: observables_of(line) for line in lines if observables_of(line)}
    assert all(run_validator(line, stix_version="2.1") == [] for line in read)
    keys = ("cryptolocker\\files", "microsoft\\currentversion\\run\\cryptolocker_0388")
    assert set(read.values()) == {
        (Observable("sha256", SHA256),),
        (Observable("url", "http://example.com/foo"), Observable("url", "http://example.com/bar")),
        (Observable("ipv6-net", "2001:db8:dead:beef::/64"),),
        (Observable("md5", "cead3f77f6cda6ec00f57d76c9a69faa"),),
        tuple(Observable("registry-key", f"hkey_current_user\\software\\{key}") for key in keys),
    }


def test_every_real_pattern_that_is_read_is_valid(shared_data: Path) -> None:
    read = opaque = 0
    for path in [
        *(shared_data / "stix20").rglob("*.json"),
        *(shared_data / "stix21/amnesty").rglob("*.stix2"),
    ]:
        for one in json.loads(path.read_text())["objects"]:
            if one["type"] != "indicator":
                continue
            if not comparisons_of(one["pattern"]):
                opaque += 1
                continue
            read += 1
            if read % 10 == 0:  # the reference parser takes milliseconds for each
                assert run_validator(one["pattern"], stix_version="2.1") == []
    assert (read > 1_700, opaque < 30) == (True, True)
