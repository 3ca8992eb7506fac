"""`(id, modified)` is no safe key: real files say different things under one, and both are kept, shown and never bumped."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from store_rows import rows
from stored_envelopes import store_envelopes

from p2pshare.intel.marking import TLP2_IDS, Tlp

ALTERED = 70  # as many as ATT&CK itself has with one `modified` and other content, over its releases


def objects_of(path: Path) -> list[dict]:
    return json.loads(path.read_bytes())["objects"]


def forked(*files: list[dict]) -> dict[tuple[str, str], int]:
    """Independent of the program: how many contents stand under each (id, modified) that has more than one."""
    contents = defaultdict(set)
    for stix in (one for objects in files for one in objects if "modified" in one):
        contents[stix["id"], stix["modified"]].add(json.dumps(stix, sort_keys=True))
    return {key: len(texts) for key, texts in contents.items() if len(texts) > 1}


def version_count(store) -> int:
    """Versions of objects that make no claims: ATT&CK has no indicators."""
    return rows(store.database.path, "SELECT count(*) FROM object")[0][0]


@pytest.fixture
def attack(shared_data: Path) -> list[dict]:
    return objects_of(shared_data / "stix21/attack/ics-attack-9.0.json")


def test_re_receipt_of_attack_adds_nothing(store, make, attack):
    texts = [make.envelope(*attack, sequence=1), make.envelope(*reversed(attack), sequence=2)]
    store_envelopes(store, texts[:1])
    assert version_count(store) == len({stix["id"] for stix in attack}) == len(attack)
    store_envelopes(store, texts[1:])
    store_envelopes(store, texts)
    assert version_count(store) == len(attack)
    assert store.knowledge.object_forks() == []


def test_seventy_objects_of_one_modified_and_other_content_are_seventy_forks(store, make, attack):
    """Of ATT&CK one release is here, so 70 of its objects of one `modified` are altered as its next release alters them."""
    (common, _), *_ = Counter(stix.get("modified") for stix in attack).most_common(1)
    chosen = sorted((one for one in attack if one.get("modified") == common), key=lambda one: one["id"])[
        :ALTERED
    ]
    marked = {"object_marking_refs": [TLP2_IDS[Tlp.AMBER]]}
    altered = [one | {"x_mitre_version": "9.9"} | marked for one in chosen]
    expected = forked(attack, altered)
    assert len(expected) == ALTERED
    store_envelopes(store, [make.envelope(*altered, sequence=2)])  # the later one arrives first
    store_envelopes(store, [make.envelope(*attack, sequence=1)])
    forks = store.knowledge.object_forks()
    assert {fork.object_id for fork in forks} == {object_id for object_id, _ in expected}
    assert [fork.times for fork in forks] == [1] * ALTERED
    assert version_count(store) == len(attack) + ALTERED
    for object_id, _ in list(expected)[::10]:
        versions = store.knowledge.object_versions(object_id)
        assert [one.is_current for one in versions] == [True, True]
        assert {one.tlp for one in versions} == {Tlp.AMBER}  # the stricter marking holds for both
        assert len({one.raw for one in versions}) == 2
    store_envelopes(store, [make.envelope(*attack, sequence=3), make.envelope(*altered, sequence=4)])
    assert store.knowledge.object_forks() == forks
    assert version_count(store) == len(attack) + ALTERED


def test_the_fork_among_the_reports_of_unit_42(store, make, shared_data):
    files = {
        path.name: objects_of(path)
        for path in sorted((shared_data / "stix20/unit42").glob("*.json"))
        if path.name in ("NOBELIUM.json", "test.json")
    }
    expected = forked(*files.values())
    for sequence, objects in enumerate(files.values(), start=1):
        store_envelopes(store, [make.envelope(*objects, sequence=sequence)])
    assert {fork.object_id for fork in store.knowledge.object_forks()} == {
        object_id for object_id, _ in expected
    }
    assert len(expected) == 1
