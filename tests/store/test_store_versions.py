"""Versions of objects: only the author's own order decides, forks are kept, and nothing loosens a marking."""

from __future__ import annotations

import itertools
import json
from uuid import NAMESPACE_URL, uuid5

import pytest
from stored_envelopes import store_envelopes

from p2pshare.intel.marking import Tlp
from p2pshare.intel.observable import Observable
from p2pshare.intel.withdrawing import Reason, WithdrawalFacts, withdrawal_object
from p2pshare.knowledge import known_versions
from p2pshare.knowledge.interface import Wanted
from p2pshare.knowledge.versions import TWINS_MAX
from p2pshare.node.store import open_store

ONE, OTHER = Observable("ipv4", "198.51.100.1"), Observable("ipv4", "198.51.100.2")
LATER = "2026-02-01T00:00:00.000Z"
EARLIER = "2025-06-01T00:00:00.000Z"


def _current(store, *observables):
    found = store.knowledge.lookup(observables)
    return {one.value: [claim.confidence for claim in found.get(one, ())] for one in observables}


def test_a_newer_version_replaces_the_older_one(store, make):
    store_envelopes(store, [make.envelope(make.indicator(ONE.value, name="x", confidence=10))])
    newer = make.indicator(OTHER.value, name="x", confidence=20, modified=LATER)
    store_envelopes(store, [make.envelope(newer, sequence=2)])
    assert _current(store, ONE, OTHER) == {ONE.value: [], OTHER.value: [20]}


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))), ids=str)
@pytest.mark.parametrize("batched", [False, True], ids=["apart", "one-batch"])
def test_the_order_of_arrival_does_not_matter(store, make, order, batched):
    """Sequence decides, though the author's clock went back between the second and the third."""
    modified = [
        "2026-01-01T00:00:00Z",
        "2026-03-01T00:00:00Z",
        "2026-02-01T00:00:00Z",
        "2026-01-15T00:00:00Z",
    ]
    places = [(1, 1), (1, 2), (2, 1), (2, 2)]
    envelopes = [
        make.envelope(
            make.indicator(ONE.value, name="x", confidence=n, modified=modified[n]),
            incarnation=places[n][0],
            sequence=places[n][1],
        )
        for n in range(4)
    ]
    arrivals = [envelopes[n] for n in order]
    for batch in [arrivals] if batched else [[one] for one in arrivals]:
        store_envelopes(store, batch)
    assert _current(store, ONE) == {ONE.value: [3]}
    versions = store.knowledge.object_versions(make.indicator(name="x")["id"])
    assert len(versions) == 4
    assert [one.is_current for one in versions].count(True) == 1


def test_within_one_envelope_modified_decides_whatever_the_place(store, make):
    newer = make.indicator(ONE.value, name="x", confidence=2, modified=LATER)
    older = make.indicator(ONE.value, name="x", confidence=1)
    store_envelopes(store, [make.envelope(newer, older)])
    assert _current(store, ONE) == {ONE.value: [2]}


def test_another_author_cannot_replace_or_withdraw(store, make):
    store_envelopes(store, [make.envelope(make.indicator(ONE.value, name="x", confidence=10))])
    forged = make.indicator(ONE.value, name="x", confidence=99, modified=LATER, revoked=True)
    store_envelopes(store, [make.envelope(forged, author=make.bravo, sequence=9)])
    claims = store.knowledge.lookup([ONE])[ONE]
    assert [(claim.author, claim.confidence, claim.is_revoked) for claim in claims] == [
        (make.alpha, 10, False),
        (make.bravo, 99, True),
    ]


def test_the_same_version_again_adds_nothing(store, make):
    indicator = make.indicator(ONE.value)
    store_envelopes(store, [make.envelope(indicator)])
    respelled = dict(reversed(indicator.items()))
    for sequence, again in enumerate([indicator, respelled], start=2):
        store_envelopes(store, [make.envelope(again, sequence=sequence)])
    assert len(store.knowledge.lookup([ONE])[ONE]) == 1
    assert len(store.knowledge.object_versions(indicator["id"])) == 1
    assert store.knowledge.object_forks() == []


def test_an_old_version_sent_again_does_not_come_back(store, make):
    old = make.indicator(ONE.value, name="x", confidence=1)
    new = make.indicator(ONE.value, name="x", confidence=2, modified=LATER)
    store_envelopes(store, [make.envelope(old)])
    store_envelopes(store, [make.envelope(new, sequence=2)])
    store_envelopes(store, [make.envelope(old, sequence=3)])
    assert _current(store, ONE) == {ONE.value: [2]}
    assert len(store.knowledge.object_versions(old["id"])) == 2


@pytest.mark.parametrize("batched", [False, True], ids=["apart", "one-batch"])
def test_other_content_under_the_same_modified_is_a_fork(store, make, batched):
    contents = [
        make.indicator(ONE.value, name="x", description=text, tlp=tlp)
        for text, tlp in (("a", Tlp.CLEAR), ("b", Tlp.AMBER), ("c", Tlp.GREEN), ("a", Tlp.CLEAR))
    ]
    envelopes = [make.envelope(one, sequence=n) for n, one in enumerate(contents, start=1)]
    for batch in [envelopes] if batched else [[one] for one in envelopes]:
        store_envelopes(store, batch)
    claims = store.knowledge.lookup([ONE])[ONE]
    assert [claim.tlp for claim in claims] == [
        Tlp.AMBER,
        Tlp.AMBER,
    ]  # two are proof; the strictest holds for both
    (fork,) = store.knowledge.object_forks()
    assert (fork.author, fork.object_id, fork.times) == (make.alpha, contents[0]["id"], 2)
    assert (fork.first, fork.second) == (envelopes[0].envelope_id, envelopes[1].envelope_id)


def test_a_fork_ends_with_a_newer_version(store, make):
    for n, text in enumerate("ab", start=1):
        store_envelopes(
            store, [make.envelope(make.indicator(ONE.value, name="x", description=text), sequence=n)]
        )
    newer = make.indicator(ONE.value, name="x", modified=LATER, confidence=7)
    store_envelopes(store, [make.envelope(newer, sequence=3)])
    assert _current(store, ONE) == {ONE.value: [7]}


def test_a_marking_tightens_and_never_loosens(store, make):
    indicator = make.indicator(ONE.value, tlp=Tlp.GREEN)
    for sequence, (floor, expected) in enumerate(
        [(Tlp.CLEAR, Tlp.GREEN), (Tlp.RED, Tlp.RED), (Tlp.CLEAR, Tlp.RED)], start=1
    ):
        store_envelopes(store, [make.envelope(indicator, sequence=sequence, floor=floor)])
        (claim,) = store.knowledge.lookup([ONE])[ONE]
        assert claim.tlp is expected
    assert store.knowledge.object_forks() == []


def test_an_author_may_loosen_by_a_newer_version(store, make):
    store_envelopes(store, [make.envelope(make.indicator(ONE.value, name="x", tlp=Tlp.RED))])
    newer = make.indicator(ONE.value, name="x", tlp=Tlp.CLEAR, modified=LATER)
    store_envelopes(store, [make.envelope(newer, sequence=2)])
    assert store.knowledge.lookup([ONE])[ONE][0].tlp is Tlp.CLEAR


def test_a_withdrawal_takes_only_its_authors_claim(store, make):
    store_envelopes(store, [make.envelope(make.indicator(ONE.value, name="x"))])
    store_envelopes(store, [make.envelope(make.indicator(ONE.value, name="y"), author=make.bravo)])
    store_envelopes(
        store, [make.envelope(make.indicator(ONE.value, name="x", modified=LATER, revoked=True), sequence=2)]
    )
    assert [(one.author, one.is_revoked) for one in store.knowledge.lookup([ONE])[ONE]] == [
        (make.bravo, False),
        (make.alpha, True),
    ]


def test_an_older_version_that_comes_late_does_not_undo_a_withdrawal(store, make):
    withdrawal = make.indicator(ONE.value, name="x", modified=LATER, revoked=True)
    store_envelopes(store, [make.envelope(withdrawal, sequence=2)])
    store_envelopes(store, [make.envelope(make.indicator(ONE.value, name="x"), sequence=1)])
    assert [one.is_revoked for one in store.knowledge.lookup([ONE])[ONE]] == [True]


def test_a_pattern_may_become_opaque_and_readable_again(store, make):
    opaque = {"pattern": "[ipv4-addr:value = '198.51.100.1' AND network-traffic:dst_port = 443]"}
    store_envelopes(store, [make.envelope(make.indicator(ONE.value, name="x"))])
    store_envelopes(store, [make.envelope(make.indicator(name="x", modified=LATER, **opaque), sequence=2)])
    assert store.knowledge.lookup([ONE]) == {}
    (row,) = store.knowledge.search(Wanted(text="DST_port"), lambda done, of: None)
    assert (row.author, json.loads(row.raw)["pattern"]) == (make.alpha, opaque["pattern"])
    assert list(store.knowledge.search(Wanted(text="nowhere"), lambda done, of: None)) == []
    last = make.indicator(OTHER.value, name="x", modified="2026-03-01T00:00:00Z")
    store_envelopes(store, [make.envelope(last, sequence=3)])
    assert list(store.knowledge.search(Wanted(text="dst_port"), lambda done, of: None)) == []
    assert len(store.knowledge.lookup([OTHER])[OTHER]) == 1


def test_a_pattern_of_many_observables_gives_a_claim_each(store, make):
    pattern = {"pattern": f"[ipv4-addr:value = '{ONE.value}' OR ipv4-addr:value = '{OTHER.value}']"}
    store_envelopes(store, [make.envelope(make.indicator(name="x", confidence=5, **pattern))])
    assert _current(store, ONE, OTHER) == {ONE.value: [5], OTHER.value: [5]}
    newer = make.indicator(OTHER.value, name="x", confidence=6, modified=LATER)
    store_envelopes(store, [make.envelope(newer, sequence=2)])
    assert _current(store, ONE, OTHER) == {ONE.value: [], OTHER.value: [6]}
    assert len(store.knowledge.object_versions(newer["id"])) == 2


def test_other_objects_are_kept_with_their_versions(store, make):
    def malware(name, modified, **more):
        return {
            "type": "malware",
            "spec_version": "2.1",
            "id": "malware--0b6a1e1c-7c5a-4a4a-9d0d-4f7b1c3a2e11",
            "created": EARLIER,
            "modified": modified,
            "name": name,
            "is_family": False,
        } | more

    for n, (name, modified) in enumerate(
        [("a", EARLIER), ("b", LATER), ("b", LATER), ("c", EARLIER)], start=1
    ):
        store_envelopes(store, [make.envelope(malware(name, modified), sequence=n)])
    versions = store.knowledge.object_versions("malware--0b6a1e1c-7c5a-4a4a-9d0d-4f7b1c3a2e11")
    assert [
        (b'"%s"' % name.encode() in one.raw, one.is_current)
        for name, one in zip("abc", versions, strict=True)
    ] == [
        (True, False),
        (True, True),
        (True, False),
    ]
    assert store.knowledge.object_versions("malware--00000000-0000-4000-8000-000000000000") == []
    assert len(store.knowledge.object_forks()) == 1  # "c" says it is the version "a" was


def test_objects_without_modified_have_no_forks(store, make):
    def address(**more):
        return {"type": "ipv4-addr", "spec_version": "2.1", "id": "ipv4-addr--ff26c055-6336-5bc5-b98d-13d6226742dd", "value": "198.51.100.3"} | more  # fmt: skip

    for n, one in enumerate([address(), address(defanged=True), address(defanged=True)], start=1):
        store_envelopes(store, [make.envelope(one, sequence=n)])
    versions = store.knowledge.object_versions(address()["id"])
    assert [one.is_current for one in versions] == [False, True]
    assert store.knowledge.object_forks() == []
    assert (
        store.knowledge.lookup([Observable("ipv4", "198.51.100.3")]) == {}
    )  # a thing seen is no statement that it is bad


def test_an_object_is_shown_byte_for_byte(store, make):
    indicator = make.indicator(ONE.value, x_custom={"b": [1, 2.50], "a": "ü\u200b"})
    envelope = make.envelope(indicator)
    store_envelopes(store, [envelope])
    (version,) = store.knowledge.object_versions(indicator["id"])
    assert version.raw == json.dumps(indicator).encode()
    assert version.envelope_id == envelope.envelope_id


# --- the same envelopes in any order ---


class Telling:
    """One author's envelopes about one object, by their place in its chain."""

    def __init__(self, make):
        self.make = make

    def indicator(self, sequence, text="a", modified=EARLIER, **more):
        stix = self.make.indicator(ONE.value, name="x", modified=modified, description=text, **more)
        return self.make.envelope(stix, sequence=sequence)

    def address(self, sequence, **more):
        stix = {"type": "ipv4-addr", "spec_version": "2.1", "id": "ipv4-addr--ff26c055-6336-5bc5-b98d-13d6226742dd", "value": "198.51.100.3"}  # fmt: skip
        return self.make.envelope(stix | more, sequence=sequence)

    def withdrawal(self, sequence, target):
        facts = WithdrawalFacts(target, 1, sequence - 1, None, Reason.MISTAKE, None)
        said = withdrawal_object(facts, author=self.make.alpha, now=self.make.now, tlp=Tlp.GREEN)
        return self.make.envelope(json.loads(said), sequence=sequence)


INDICATOR, ADDRESS = (
    f"indicator--{uuid5(NAMESPACE_URL, 'x')}",
    "ipv4-addr--ff26c055-6336-5bc5-b98d-13d6226742dd",
)
TELLINGS = {
    # what was told: (envelopes in the author's order, what holds in the end as (text, revoked))
    "an old version again": (
        INDICATOR,
        lambda t: [t.indicator(1, "old"), t.indicator(2, "new", LATER), t.indicator(3, "old")],
        [("new", False)],
    ),
    "three contents of one version": (
        INDICATOR,
        lambda t: [t.indicator(n, text) for n, text in enumerate("abc", start=1)],
        [("a", False), ("b", False)],
    ),
    "a fork is as old as its first content": (
        INDICATOR,
        lambda t: [t.indicator(1, "a"), t.indicator(2, "new", LATER), t.indicator(3, "b")],
        [("new", False)],
    ),
    "a fork before a late copy": (
        INDICATOR,
        lambda t: [t.indicator(1, "a"), t.indicator(2, "b"), t.indicator(3, "c", LATER), t.indicator(4, "b")],
        [("c", False)],
    ),
    "revoked between two copies": (
        INDICATOR,
        lambda t: [t.indicator(1, "a"), t.indicator(2, "gone", LATER, revoked=True), t.indicator(3, "a")],
        [("gone", True)],
    ),
    "things without versions": (
        ADDRESS,
        lambda t: [t.address(1, x="a"), t.address(2, x="b"), t.address(3, x="a")],
        [("a", False)],
    ),
    "a thing seen again after it was withdrawn": (
        ADDRESS,
        lambda t: [t.address(1, x="a"), t.withdrawal(2, ADDRESS), t.address(3, x="a")],
        [("a", False)],
    ),
    "two envelopes in one place": (
        INDICATOR,
        lambda t: sorted([t.indicator(1, "a"), t.indicator(1, "b", LATER)], key=lambda one: one.envelope_id),
        None,
    ),
}


@pytest.mark.parametrize("case", TELLINGS)
@pytest.mark.parametrize("batched", [False, True], ids=["apart", "one-batch"])
def test_what_holds_depends_on_what_was_told_and_not_on_when_it_came(tmp_path, make, case, batched):
    target, tell, expected = TELLINGS[case]
    told = tell(Telling(make))
    for number, order in enumerate(itertools.permutations(told)):
        store = open_store(tmp_path / f"{number}.sqlite", free_space_bytes_min=0)
        for batch in [list(order)] if batched else [[one] for one in order]:
            store_envelopes(store, batch)
        current = [one for one in store.knowledge.object_versions(target) if one.is_current]
        store.close()
        found = sorted((text_of(one.raw), one.is_revoked) for one in current)
        expected = expected or found  # of two in one place either may hold, but it is the same one
        assert found == expected, [core.core.sequence for core in order]


def text_of(raw):
    stix = json.loads(raw)
    return stix.get("description") or stix.get("x")


def test_a_first_copy_that_comes_late_starts_the_clock_where_it_was_sealed(store, make):
    day = 86_400  # the SIEM's marking is asked for: what it may see is kept evaluated
    indicator = make.indicator(ONE.value)
    store_envelopes(store, [make.envelope(indicator, sequence=2, created=make.now)])
    assert [
        row.status for row in store.knowledge.indicators(make.now * 1_000_000, tlp_max=Tlp.AMBER_STRICT)
    ] == ["active"]
    store_envelopes(store, [make.envelope(indicator, sequence=1, created=make.now - 300 * day)])
    rows = store.knowledge.indicators(make.now * 1_000_000, is_active_only=False, tlp_max=Tlp.AMBER_STRICT)
    assert [(row.status, row.reason) for row in rows] == [("expired", "decay")]


def test_what_can_no_longer_be_compared_is_neither_called_different_nor_moved(store, make):
    first = make.envelope(make.indicator(ONE.value, description="a"), sequence=2)
    store_envelopes(store, [first])
    with store.database.transaction() as writer:
        writer.execute("UPDATE frame SET bytes = ?", (b"",))
    store_envelopes(store, [make.envelope(make.indicator(ONE.value, description="b"), sequence=1)])
    assert store.knowledge.object_forks() == []
    assert [claim.envelope_id for claim in store.knowledge.lookup([ONE])[ONE]] == [first.envelope_id]


@pytest.mark.parametrize("contents", [TWINS_MAX - 1, TWINS_MAX, TWINS_MAX + 1, TWINS_MAX + 9])
def test_a_fork_of_very_many_contents_that_come_last_first_stops_growing(store, make, contents):
    told = Telling(make)
    store_envelopes(store, [told.indicator(n, f"text {n}") for n in range(contents, 0, -1)])
    versions = store.knowledge.object_versions(INDICATOR)
    assert len(versions) == min(contents, TWINS_MAX)
    first_kept = max(1, contents - TWINS_MAX + 1)  # all later ones came before it
    expected = {f"text {first_kept}", f"text {first_kept + 1}"}
    assert {text_of(one.raw) for one in versions if one.is_current} == expected
    assert [fork.times for fork in store.knowledge.object_forks()] == [contents - 1]


def test_a_version_at_which_the_rows_were_cut_off_is_left_out_whole(monkeypatch):
    """Half of its claims would be set aside, and the other half would go on to count."""
    monkeypatch.setattr(known_versions, "COMPARED_ROWS_MAX", 4)
    rows = [(b"", None, number, modified) for number, modified in enumerate((9, 9, 8, 8))]
    assert known_versions._whole(rows) == rows[:2]
    assert known_versions._whole(rows[:3]) == rows[:3]
