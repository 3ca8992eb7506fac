"""What an object says it stems from: read as it was written, or the object is refused; never taken for its author's own."""

from __future__ import annotations

import json
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.errors import AuthorError
from p2pshare.identifiers import PartnerId
from p2pshare.intel.authoring import NAMESPACE
from p2pshare.intel.derivation import (
    EXTENSION,
    ORIGINS_MAX,
    PUBLIC_SOURCE_CHARACTERS_MAX,
    Derivation,
    ObjectOrigin,
    may_hold_derivation,
    read_derivation,
    restated_id,
    restating,
    with_derivation,
)
from p2pshare.intel.extraction import extract
from p2pshare.intel.marking import TLP2_IDS, Tlp

ALPHA, BRAVO = PartnerId(b"a" * 32), PartnerId(b"b" * 32)
ORIGIN = ObjectOrigin(ALPHA, "indicator--d81f86b9-975b-5c0b-875e-810c5ad45a4f")
ENTRY = {"author": ALPHA.text, "object": ORIGIN.object_id}


def indicator(**more):
    return {
        "type": "indicator",
        "spec_version": "2.1",
        "id": "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",
        "created": "2026-01-01T00:00:00Z",
        "modified": "2026-01-01T00:00:00Z",
        "pattern": "[domain-name:value = 'evil.example']",
        "pattern_type": "stix",
        "valid_from": "2026-01-01T00:00:00Z",
        "object_marking_refs": [TLP2_IDS[Tlp.GREEN]],
    } | more


def extracted(*objects, text=None):
    return extract(text or json.dumps(objects).encode(), floor=Tlp.CLEAR)


origins = st.builds(
    ObjectOrigin,
    st.binary(min_size=32, max_size=32).map(PartnerId),
    st.uuids().map(lambda it: f"indicator--{it}"),
)
derivations = st.builds(
    Derivation,
    st.lists(origins, min_size=1, max_size=ORIGINS_MAX, unique=True).map(tuple),
    st.none() | st.text("abc:/é", min_size=1, max_size=20),
)


@given(derivations)
def test_what_is_written_is_read(said):
    stix = with_derivation(indicator(), said)
    assert read_derivation(stix) == said
    found = extracted(stix, indicator())
    assert [one.derivation for one in found.objects] == [said, None]
    assert with_derivation(stix, None) == indicator()


@pytest.mark.parametrize(
    "said",
    [
        None,
        [],
        "derived",
        {},
        {"derived_from": []},
        {"derived_from": [ENTRY] * (ORIGINS_MAX + 1)},
        {"derived_from": {"author": ALPHA.text}},
        {"derived_from": [ENTRY, {"author": ALPHA.text}]},
        {"derived_from": [ENTRY | {"author": "alpha"}]},
        {"derived_from": [ENTRY | {"author": None}]},
        {"derived_from": [ENTRY | {"object": "indicator"}]},
        {"derived_from": [[ALPHA.text, ORIGIN.object_id]]},
        {"derived_from": [ENTRY], "public_source": ""},
        {"public_source": "x" * (PUBLIC_SOURCE_CHARACTERS_MAX + 1)},
        {"public_source": "kev\u202e"},
        {"public_source": 7},
    ],
    ids=repr,
)
def test_one_that_cannot_be_read_refuses_its_object_and_no_other(said):
    """As a statement of its author's own it would be a source that never was."""
    with pytest.raises(AuthorError) as refused:
        read_derivation({"extensions": {EXTENSION: said}})
    assert refused.value.reason == "bad-derivation"
    beside = indicator(id="indicator--00000000-0000-4000-8000-000000000001")
    for bad in (indicator(extensions={EXTENSION: said}), report(extensions={EXTENSION: said})):
        found = extracted(bad, beside)
        assert found.refusals.counts == {"bad-derivation": 1}
        assert [one.object_id for one in found.objects] == [beside["id"]]
        apart = extracted(bad, beside | {"confidence": "high"}, beside)
        assert apart.refusals.counts == {"bad-derivation": 1, "wrong-type": 1}


def report(**more):
    return {
        "type": "malware",
        "spec_version": "2.1",
        "id": "malware--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",
        "created": "2026-01-01T00:00:00Z",
        "modified": "2026-01-01T00:00:00Z",
        "name": "x",
        "is_family": False,
    } | more


def test_objects_of_every_type_may_say_it():
    said = Derivation((ORIGIN,), "https://example.org/list")
    found = extracted(
        with_derivation(report(), said), with_derivation(indicator(pattern="[a:b LIKE 'c']"), said)
    )
    assert [one.derivation for one in found.objects] == [said, said]


@pytest.mark.parametrize("escape", ["-", "c", "8", "e", "E"])
def test_an_id_that_is_written_with_escapes_is_found(escape):
    stix = with_derivation(indicator(), Derivation((ORIGIN,)))
    letter = escape.lower()
    code = f"\\u{ord(letter):04x}"
    code = code.upper().replace("U", "u") if escape.isupper() else code
    text = json.dumps([stix]).replace(EXTENSION, EXTENSION.replace(letter, code)).encode()
    assert may_hold_derivation(text)
    assert extracted(text=text).objects[0].derivation == Derivation((ORIGIN,))


def test_other_extensions_and_ordinary_escapes_are_not_looked_into():
    ordinary = indicator(name="caf\u00e9 <&>", extensions={"extension-definition--0": {"derived_from": 7}})
    text = json.dumps([ordinary]).replace("<", "\\u003c").replace("&", "\\u0026").encode()
    assert not may_hold_derivation(text)
    assert extracted(text=text).objects[0].derivation is None


def test_an_object_of_endless_brackets_is_refused_and_not_decoded():
    deep = indicator(extensions={EXTENSION: {"derived_from": [ENTRY], "x": [[]] * 400_000}})
    found = extracted(deep, indicator())
    assert found.refusals.counts.get("bad-derivation") == 1


def test_the_same_pair_twice_is_one_and_other_properties_are_left_alone():
    said = {"derived_from": [ENTRY | {"note": 1}, ENTRY], "later": {}}
    assert read_derivation({"extensions": {EXTENSION: said}}) == Derivation((ORIGIN,))


def test_a_chain_is_named_as_far_as_there_is_room():
    chain = tuple(
        ObjectOrigin(BRAVO, f"indicator--00000000-0000-4000-8000-{n:012}") for n in range(ORIGINS_MAX)
    )
    said = restating(ORIGIN, Derivation(chain, "kev"))
    assert said == Derivation((ORIGIN, *chain[: ORIGINS_MAX - 1]), "kev")
    assert restating(ORIGIN, None) == Derivation((ORIGIN,))
    assert restating(chain[0], Derivation(chain)) == Derivation(chain)


def test_restating_again_is_the_same_object_and_another_author_or_origin_another():
    other = ObjectOrigin(BRAVO, ORIGIN.object_id)
    ids = {restated_id(BRAVO, ORIGIN), restated_id(ALPHA, ORIGIN), restated_id(BRAVO, other)}
    assert len(ids) == 3
    named = uuid.uuid5(NAMESPACE, f"restated:{BRAVO.text}:{ALPHA.text}:{ORIGIN.object_id}")
    assert restated_id(BRAVO, ORIGIN) == f"indicator--{named}"
