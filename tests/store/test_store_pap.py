"""PAP: read with an object, kept with its claims, shown in the views, and in the way of block lists only."""

from __future__ import annotations

import pytest
from store_rows import rows
from stored_envelopes import store_envelopes

from p2pshare.exporters.interface import Selection
from p2pshare.exporters.registry import load_exporter
from p2pshare.intel.marking import PAP_EXTENSION, PAP_IDS, TLP2_IDS, Pap, Tlp
from p2pshare.intel.observable import detect

US = 1_000_000
IDS = {level: id_ for id_, level in PAP_IDS.items()}
VALUE = "198.51.100.7"
UNKNOWN = "marking-definition--00000000-0000-4000-8000-000000000001"


def marked(make, *refs, value=VALUE, tlp=Tlp.GREEN, **more):
    refs = [TLP2_IDS[tlp], *refs]
    return make.indicator(value, object_marking_refs=refs, **more)


def exported(store, make, name):
    selection = Selection(make.now * US, Tlp.AMBER_STRICT)
    return b"".join(load_exporter(name).render(store.knowledge, selection)).decode()


@pytest.mark.parametrize("pap", [None, *Pap])
def test_what_may_not_be_acted_upon_is_in_no_block_list_and_is_there_for_detection(
    store, store_path, make, pap
):
    store_envelopes(store, [make.envelope(marked(make, *([] if pap is None else [IDS[pap]])))])
    label = None if pap is None else f"PAP:{pap.name}"
    assert rows(store_path, "SELECT pap FROM v1_claims") == [(label,)]
    assert rows(store_path, "SELECT pap FROM v1_indicators") == [(label,)]
    assert [claim.pap for claim in store.knowledge.lookup([detect(VALUE)])[detect(VALUE)]] == [pap]
    is_listed = pap in (None, Pap.CLEAR, Pap.GREEN)
    assert exported(store, make, "list") == (f"{VALUE}\n" if is_listed else "")
    assert VALUE in exported(store, make, "ndjson")
    for tlp_max in (Tlp.AMBER_STRICT, Tlp.RED):  # ready in the table, and evaluated for another marking
        values = list(store.knowledge.values(make.now * US, tlp_max=tlp_max, pap_max=Pap.GREEN))
        assert bool(values) is is_listed


def test_the_strictest_claim_decides_about_use_also_when_it_comes_later(store, make):
    store_envelopes(store, [make.envelope(marked(make, IDS[Pap.GREEN]))])
    assert exported(store, make, "list") == f"{VALUE}\n"
    other = marked(make, IDS[Pap.AMBER], name="another author's")
    store_envelopes(store, [make.envelope(other, author=make.bravo)])
    assert exported(store, make, "list") == ""


def test_granular_own_and_unknown_markings_count(store, make):
    definition = {
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": UNKNOWN,
        "created": "2026-01-01T00:00:00.000Z",
        "name": "PAP:RED",
        "extensions": {PAP_EXTENSION: {"extension_type": "property-extension", "pap": "red"}},
    }
    granular = marked(make) | {
        "granular_markings": [{"marking_ref": IDS[Pap.AMBER], "selectors": ["pattern"]}]
    }
    strictest = marked(make, IDS[Pap.GREEN], IDS[Pap.RED], value="192.0.2.1")
    own = marked(make, UNKNOWN, value="192.0.2.2")
    store_envelopes(store, [make.envelope(definition, granular, strictest, own)])
    assert exported(store, make, "list") == ""
    not_understood = marked(make, UNKNOWN, value="192.0.2.3")
    store_envelopes(store, [make.envelope(not_understood, sequence=2)])
    [claim] = store.knowledge.lookup([detect("192.0.2.3")])[detect("192.0.2.3")]
    assert (claim.tlp, claim.pap) == (Tlp.RED, Pap.RED)
