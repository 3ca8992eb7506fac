"""Search reads what was sealed: it finds what a plain look at every object finds, newest first, and nothing else."""

from __future__ import annotations

import json
import zlib

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from stored_envelopes import store_envelopes

from p2pshare.intel.marking import TLP2_IDS, Tlp
from p2pshare.knowledge.interface import Wanted
from p2pshare.limits import INFLATED_BYTES_MAX

WORDS = ("emotet", "Qak\u00dfot", "C:\\temp\\x.exe", 'say "x"', "\u0437\u043b\u043e", "a-b.c", "loader")


def quiet(done: int, of: int) -> None:
    """Nobody watches."""


def malware(name: str, **more: object) -> dict[str, object]:
    return {
        "type": "malware",
        "spec_version": "2.1",
        "id": f"malware--{zlib.crc32(name.encode()):08x}-0000-4000-8000-000000000000",
        "created": "2026-01-01T00:00:00.000Z",
        "modified": "2026-01-01T00:00:00.000Z",
        "is_family": True,
        "name": name,
        "object_marking_refs": [TLP2_IDS[Tlp.GREEN]],
    } | more


def ids(store, **wanted):
    return [json.loads(one.raw)["id"] for one in store.knowledge.search(Wanted(**wanted), quiet)]


@example(descriptions=[["Qak\u00dfot"]], text="QAKSSOT", is_ascii=False)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    descriptions=st.lists(st.lists(st.sampled_from(WORDS), max_size=3), min_size=1, max_size=8),
    text=st.sampled_from([*WORDS, "EMOTET", "QAKSSOT", "temp\\x", "\u0417\u041b\u041e", "nowhere", "nam"]),
    is_ascii=st.booleans(),
)
def test_it_finds_what_a_plain_look_finds(open_at, make, store_path, descriptions, text, is_ascii):
    for path in store_path.parent.glob(store_path.name + "*"):
        path.unlink()
    store = open_at()
    objects = [
        make.indicator(f"198.51.100.{n}", description=" ".join(words)) for n, words in enumerate(descriptions)
    ]
    for n, one in enumerate(objects):
        raw = json.dumps([one], ensure_ascii=is_ascii).encode()
        store_envelopes(store, [make.envelope_of(raw, sequence=n + 1)])
    found = ids(store, text=text)
    assert found == [
        one["id"] for one in reversed(objects) if text.casefold() in one["description"].casefold()
    ]
    store.close()


def test_every_filter_narrows_and_types_are_of_objects_or_of_values(store, make):
    one = make.indicator("198.51.100.1", labels=["Botnet"], name="first")
    two = make.indicator("198.51.100.2", name="second", tlp=Tlp.AMBER)
    opaque = make.indicator(name="third", pattern="title: x", pattern_type="sigma")
    store_envelopes(store, [make.envelope(one, malware("emotet"), received_at=make.now)])
    store_envelopes(store, [make.envelope(two, opaque, author=make.bravo, received_at=make.now + 60)])
    everything = [opaque["id"], two["id"], malware("emotet")["id"], one["id"]]
    assert ids(store) == everything
    assert ids(store, type="malware") == [everything[2]]
    assert set(ids(store, type="indicator")) == {everything[0], everything[1], everything[3]}
    assert ids(store, type="ipv4") == [two["id"], one["id"]]
    assert ids(store, type="domain") == []
    assert ids(store, author=make.bravo) == everything[:2]
    assert ids(store, tlp=Tlp.AMBER) == [two["id"]]
    assert ids(store, label="botnet") == [one["id"]]
    assert ids(store, label="net") == []
    assert ids(store, since=make.now + 1) == everything[:2]
    assert ids(store, since=make.now + 1, tlp=Tlp.GREEN) == [opaque["id"]]


def test_an_indicator_of_many_values_is_found_once_and_only_in_its_current_version(store, make):
    many = " OR ".join(f"ipv4-addr:value = '198.51.100.{n}'" for n in range(20))
    store_envelopes(store, [make.envelope(make.indicator(name="x", pattern=f"[{many}]", description="old"))])
    assert len(ids(store, text="old")) == 1
    newer = make.indicator(name="x", modified="2026-02-01T00:00:00.000Z", description="new")
    store_envelopes(store, [make.envelope(newer, sequence=2)])
    assert (ids(store, text="old"), len(ids(store, text="new"))) == ([], 1)


def test_identifiers_and_references_are_no_text(store, make):
    store_envelopes(
        store,
        [make.envelope(make.indicator(created_by_ref=f"identity--{'1' * 8}-1111-4111-8111-{'1' * 12}"))],
    )
    for text in ("identity--", "indicator--", "marking-definition", "2026-01-01"):
        assert ids(store, text=text) == []


@pytest.mark.parametrize("rows", [1, 3])
def test_slices_of_rows_lose_nothing_at_their_edges(store, make, monkeypatch, rows):
    monkeypatch.setattr("p2pshare.knowledge.searching.SLICE_ROWS", rows)
    objects = [make.indicator(f"198.51.100.{n}") for n in range(7)]
    store_envelopes(store, [make.envelope(*objects)])
    steps: list[tuple[int, int]] = []
    found = list(store.knowledge.search(Wanted(), lambda done, of: steps.append((done, of))))
    assert [json.loads(one.raw)["id"] for one in found] == [one["id"] for one in reversed(objects)]
    assert steps[-1] == (7, 7)


def test_every_version_is_shown_however_much_they_are_together(store, make):
    text = "x" * 900_000
    versions = [
        make.envelope(
            malware("big", description=text, modified=f"2026-01-01T{n // 60:02d}:{n % 60:02d}:00.000Z"),
            sequence=n + 1,
        )
        for n in range(80)  # more than one call may inflate elsewhere (INFLATED_BYTES_MAX)
    ]
    assert 80 * len(text) > INFLATED_BYTES_MAX
    store_envelopes(store, versions)
    found = store.knowledge.object_versions(malware("big")["id"])
    assert [one.is_current for one in found] == [False] * 79 + [True]
