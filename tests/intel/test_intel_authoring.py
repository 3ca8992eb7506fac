"""Authoring: what we write is valid STIX, is read back to the same observable, and is one object however often."""

from __future__ import annotations

import json
from uuid import uuid5

import pytest
import stix2
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.errors import AuthorError
from p2pshare.identifiers import PartnerId
from p2pshare.intel.authoring import (
    NAMESPACE,
    PATTERN_PATHS,
    identity_id,
    identity_object,
    indicator_id,
    indicator_object,
    pattern_of,
)
from p2pshare.intel.bundle import read_stix
from p2pshare.intel.extraction import extract
from p2pshare.intel.marking import TLP2_IDS, Tlp
from p2pshare.intel.observable import TYPES, InvalidValue, Observable, canonical, detect
from p2pshare.intel.pattern import observables_of

ALPHA, BRAVO = PartnerId(b"a" * 32), PartnerId(b"b" * 32)
SAMPLES = {
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "ipv4-net": "192.0.2.0/24",
    "ipv6-net": "2001:db8::/32",
    "domain": "evil.example",
    "url": "http://evil.example/a'b?c=d",
    "email": "o'neil@evil.example",
    "md5": "a" * 32,
    "sha1": "a" * 40,
    "sha224": "a" * 56,
    "sha256": "a" * 64,
    "sha384": "a" * 96,
    "sha512": "a" * 128,
    "sha3-256": "a" * 64,
    "sha3-512": "a" * 128,
    "ssdeep": "3:AXGBicFlgVNhBGcL6wCrFQEv:AXGHsNhxLsr2C",
    "tlsh": "T1" + "A" * 70,
    "imphash": "a" * 32,
    "file-name": "it's evil.exe",
    "mutex": "Global\\it's \\'evil",
    "registry-key": "HKLM\\Software\\Evil",
    "user-agent": "Evil/1.0 (it's)",
    "asn": "64500",
    "mac": "00:1b:44:11:3a:b7",
}


def test_every_type_with_a_pattern_has_a_sample() -> None:
    assert set(SAMPLES) == set(PATTERN_PATHS) <= TYPES


@pytest.mark.parametrize("type_", sorted(SAMPLES))
def test_an_indicator_is_valid_stix_and_reads_back_as_itself(type_: str) -> None:
    observable = canonical(type_, SAMPLES[type_])
    raw = indicator_object(
        observable, author=ALPHA, created=1_700_000_000, tlp=Tlp.AMBER_STRICT, confidence=70, labels=["x"]
    )
    parsed = stix2.parse(raw.decode())
    assert parsed.object_marking_refs == [TLP2_IDS[Tlp.AMBER_STRICT]]
    assert read_stix(raw).refusals.total == 0
    (facts,) = extract(b"[" + raw + b"]", floor=Tlp.CLEAR).objects
    (claim,) = facts.claims
    assert (claim.type, claim.value) == (observable.type, observable.value)
    assert (facts.tlp, claim.confidence, claim.labels) == (Tlp.AMBER_STRICT, 70, ("x",))
    assert claim.valid_from_us == facts.modified_us == 1_700_000_000_000_000


@given(
    st.sampled_from(["mutex", "file-name", "user-agent", "registry-key"]),
    st.text("\\'[] =ORan\"é", max_size=20),
)
def test_no_value_breaks_out_of_its_pattern(type_: str, text: str) -> None:
    try:
        observable = canonical(type_, "HKLM\\" + text if type_ == "registry-key" else text)
    except InvalidValue:
        return
    assert observables_of(pattern_of(observable)) == (observable,)


@pytest.mark.parametrize("type_", sorted(TYPES - set(PATTERN_PATHS)))
def test_types_that_no_pattern_can_compare_are_told(type_: str) -> None:
    with pytest.raises(AuthorError) as caught:
        pattern_of(Observable(type_, "x"))
    assert caught.value.reason == "no-pattern"


def test_the_same_thing_said_twice_is_one_object() -> None:
    def id_of(author: PartnerId, observable: Observable, **more: int) -> str:
        raw = indicator_object(observable, author=author, created=1_700_000_000, tlp=Tlp.GREEN, **more)
        return str(json.loads(raw)["id"])

    domain, url = canonical("domain", "evil.example"), canonical("url", "http://evil.example/")
    first = id_of(ALPHA, domain)
    assert id_of(ALPHA, canonical("domain", "EVIL.example."), modified=1_700_000_001) == first
    assert len({first, id_of(BRAVO, domain), id_of(ALPHA, url)}) == 3
    # The id is a promise to other implementations: it must not change.
    assert first == "indicator--2fdabbdd-b774-54c3-97cd-11cf75e5217c"


def test_the_author_stands_as_an_identity() -> None:
    raw = identity_object(ALPHA, 'CERT "Ä"', created=1_700_000_000, tlp=Tlp.GREEN)
    parsed = stix2.parse(raw.decode())
    indicator = json.loads(
        indicator_object(canonical("domain", "a.example"), author=ALPHA, created=1, tlp=Tlp.GREEN)
    )
    assert (parsed.id, parsed.name) == (indicator["created_by_ref"], 'CERT "Ä"')
    assert read_stix(raw).refusals.total == 0


def test_ids_are_version_5_uuids_as_the_library_makes_them() -> None:
    for value in ("evil.example", "198.51.100.7", "https://evil.example/ü"):
        observable = detect(value)
        name = f"{ALPHA.text}:{observable.type}:{observable.value}"
        assert indicator_id(ALPHA, observable) == f"indicator--{uuid5(NAMESPACE, name)}"
    assert identity_id(ALPHA) == f"identity--{uuid5(NAMESPACE, f'identity:{ALPHA.text}')}"
