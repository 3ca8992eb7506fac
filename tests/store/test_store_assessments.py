"""Sightings and false positives: organisations are counted, not messages; nothing from a wrong clock or a stranger counts."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_rows import named_rows
from stored_envelopes import store_envelopes

from p2pshare.identifiers import PartnerId
from p2pshare.intel.assessing import (
    Assessment,
    Proposal,
    Target,
    false_positive_object,
    opinion_object,
    proposal_object,
    sighting_object,
)
from p2pshare.intel.marking import Tlp
from p2pshare.intel.observable import Observable
from p2pshare.knowledge.assessments import most_apart
from p2pshare.partners.interface import PartnerRow
from p2pshare.sharing.partners import drop_partner, freeze_partner, put_partner

DAY = 86_400
VALUE = Observable("ipv4", "198.51.100.7")
OTHER = Observable("ipv4", "198.51.100.8")


class Village:
    """A store with partners, in which things are said one after the other."""

    def __init__(self, store, make):
        self.store, self.make, self.now = store, make, make.now
        self._sequence = 0
        for name, partner in (("alpha", make.alpha), ("bravo", make.bravo), ("charlie", make.charlie)):
            put_partner(store, PartnerRow(partner, name, b"card", 1, True, (), False, make.now))
        self.indicator = make.indicator(VALUE.value)
        self.target = Target(self.indicator["id"], make.alpha)

    def publish(self, *objects, by=None):
        self._sequence += 1
        parsed = [json.loads(one) if isinstance(one, bytes) else one for one in objects]
        envelope = self.make.envelope(
            *parsed,
            author=by or self.make.alpha,
            sequence=self._sequence,
            created=self.now,
            received_at=self.now,
        )
        store_envelopes(self.store, [envelope])

    def sight(self, by, *, count=1, target=None, at=None, tlp=Tlp.AMBER):
        now = self.now if at is None else at
        self.publish(
            sighting_object(target or self.target, reporter=by, count=count, now=now, tlp=tlp), by=by
        )

    def call_false(self, by, *, target=None, salt=0):
        now = self.now + salt
        self.publish(false_positive_object(target or self.target, reporter=by, now=now, tlp=Tlp.AMBER), by=by)

    def row(self, observable=VALUE):
        found = self.store.knowledge.effective_states([observable], self.now * 1_000_000, tlp_max=Tlp.RED)
        return found.get(observable)

    def view(self, sql):
        return named_rows(self.store.database.path, sql)


@pytest.fixture
def village(store, make):
    return Village(store, make)


def test_a_sighting_starts_the_clock_again(village, make):
    village.publish(village.indicator)
    village.now += 20 * DAY
    village.sight(make.bravo)
    village.now += 20 * DAY
    assert village.row().is_active
    assert village.row().score == 25
    village.now += 12 * DAY
    assert (village.row().status, village.row().reason) == ("expired", "decay")
    village.sight(make.charlie)
    assert village.row().is_active


def test_looked_and_not_seen_keeps_nothing_alive(village, make):
    village.publish(village.indicator)
    village.now += 20 * DAY
    village.sight(make.bravo, count=0)
    (seen,) = village.store.knowledge.sightings([VALUE])[VALUE]
    assert (seen.count, seen.last_seen, seen.not_seen_at) == (0, None, village.now)
    village.now += 12 * DAY
    assert village.row().reason == "decay"


def test_a_sighting_from_the_future_counts_from_when_it_came(village, make):
    village.publish(village.indicator)
    village.sight(make.bravo, at=village.now + 4_000 * DAY)
    (seen,) = village.store.knowledge.sightings([VALUE])[VALUE]
    assert seen.last_seen == village.now
    village.now += 32 * DAY
    assert village.row().reason == "decay"


def test_a_sighting_of_long_ago_takes_nothing_away(village, make):
    village.publish(village.indicator)
    village.sight(make.bravo, at=village.now - 400 * DAY)
    assert village.row().score == 50


def test_a_thousand_reports_of_one_partner_are_one(village, make):
    village.publish(village.indicator)
    reports = [
        false_positive_object(village.target, reporter=make.bravo, now=village.now + n, tlp=Tlp.AMBER)
        for n in range(1_000)
    ]
    village.publish(*reports, by=make.bravo)
    assert village.row().is_active
    (seen,) = village.store.knowledge.sightings([VALUE])[VALUE]
    assert (seen.reports, seen.is_false_positive) == (1_000, True)
    assert len(village.view("SELECT * FROM v1_sightings")) == 1


def test_k_organisations_quarantine_and_one_fewer_does_not(village, make):
    village.publish(village.indicator)
    village.call_false(make.bravo)
    assert village.row().is_active
    village.call_false(make.charlie)
    assert (village.row().status, village.row().reason) == ("delisted", "false-positive")
    (mark,) = village.store.knowledge.quarantined([VALUE])[VALUE]
    assert (mark.source, mark.reason) == ("false-positive", "2 organisations")
    village.store.knowledge.set_false_positive_reports(3)
    assert village.row().is_active
    village.store.knowledge.set_false_positive_reports(2)
    assert not village.row().is_active


def test_our_own_word_counts_as_one_organisation(village, make):
    village.publish(village.indicator)
    village.call_false(make.ourselves)
    assert village.row().is_active
    village.call_false(make.charlie)
    assert not village.row().is_active


def test_a_stranger_is_kept_but_never_counts(village, make):
    strangers = [PartnerId(bytes([n]) * 32) for n in range(1, 9)]
    village.publish(village.indicator)
    for stranger in strangers:
        village.call_false(stranger)
        village.sight(stranger, at=village.now)
        village.call_false(stranger, salt=1)
    village.now += 32 * DAY
    assert village.row().reason == "decay"
    assert not village.store.knowledge.quarantined([VALUE])
    assert not any(one.is_trusted for one in village.store.knowledge.sightings([VALUE])[VALUE])


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from("abcde")), max_size=9))
def test_the_most_that_have_nothing_in_common(said: list[tuple[int, str]]) -> None:
    """Against every set of them."""
    pairs = sorted(set(said))
    best = max(
        len(some)
        for size in range(len(pairs) + 1)
        for some in itertools.combinations(pairs, size)
        if len({word for word, _ in some}) == len({voice for _, voice in some}) == size
    )
    assert most_apart(said) == best


def test_a_thousand_that_each_share_with_the_next_are_counted() -> None:
    chain = [pair for n in range(1_000) for pair in ((n, n), (n, n + 1))]
    assert most_apart(chain) == 1_000


def introduce(village, partner, introducer):
    """`partner` is no voice of its own any more, but that of its introducer, or (None) one again."""
    store = village.store
    row = next(row for row in store.partners.all() if row.partner_id == partner)
    store.partners.put(replace(row, is_compared=False))
    store.introductions.put_review(
        partner, until=village.now, suspended="", now=village.now, voice=introducer
    )
    store.knowledge.recount_voices()
    while store.knowledge.go_on(village.now):
        pass


def test_an_introducer_and_whom_it_alone_introduced_are_one_voice(village, make):
    village.publish(village.indicator)
    village.call_false(make.bravo)
    village.call_false(make.charlie)
    assert village.row().status == "delisted"
    introduce(village, make.charlie, make.bravo)
    assert village.row().is_active, "two of one voice are one organisation"
    introduce(village, make.charlie, None)
    assert not village.row().is_active, "introduced by two whom we compared: a voice of its own"


def test_voices_and_objects_that_cross_count_as_the_most_that_have_nothing_in_common(village, make):
    """Whoever says the object of one and is the voice of the other adds nobody, and takes nobody away."""
    village.publish(village.indicator)
    village.store.knowledge.set_false_positive_reports(2)
    first = false_positive_object(village.target, reporter=make.bravo, now=village.now, tlp=Tlp.AMBER)
    village.publish(first, by=make.bravo)
    village.publish(first, by=make.charlie)
    assert village.row().is_active, "the same object of two is one"
    village.call_false(make.alpha, salt=5)
    assert not village.row().is_active
    introduce(village, make.charlie, make.alpha)
    assert not village.row().is_active, "bravo and alpha have nothing in common"
    introduce(village, make.bravo, make.alpha)
    assert village.row().is_active, "all three are one voice"


@pytest.mark.parametrize("leaves", ["removed", "frozen"])
def test_who_leaves_the_roster_stops_counting(village, make, leaves):
    village.publish(village.indicator)
    for partner in (make.bravo, make.charlie):
        village.call_false(partner)
    assert not village.row().is_active
    if leaves == "removed":
        drop_partner(village.store, make.bravo)
    else:
        freeze_partner(village.store, make.bravo, evidence=(b"1", b"2"), now=village.now)
    assert village.row().is_active


def test_the_latest_word_of_an_organisation_holds(village, make):
    village.publish(village.indicator)
    for partner in (make.bravo, make.charlie):
        village.call_false(partner)
    village.sight(make.bravo, count=0)
    assert not village.row().is_active
    village.sight(make.bravo)
    assert village.row().is_active


def test_an_assessment_that_comes_first_waits_and_applies(village, make):
    for partner in (make.bravo, make.charlie):
        village.call_false(partner)
    village.sight(make.bravo, target=Target(make.indicator("203.0.113.1")["id"], make.alpha))
    assert village.store.knowledge.sightings([VALUE]) == {}
    village.publish(village.indicator)
    assert village.row().reason == "false-positive"
    village.publish(make.indicator("203.0.113.1"))
    assert len(village.store.knowledge.sightings([Observable("ipv4", "203.0.113.1")])) == 1


def test_another_partners_object_of_the_same_id_is_not_meant(village, make):
    """Whoever takes the id of an object that is called false must not have a true value quarantined by it."""
    village.publish(village.indicator)
    stolen = make.indicator(OTHER.value) | {"id": village.indicator["id"]}
    village.publish(stolen, by=make.charlie)
    for partner in (make.bravo, make.charlie):
        village.call_false(partner)
    assert not village.row().is_active
    assert village.row(OTHER).is_active


def test_an_assessment_that_names_no_author_needs_an_id_of_one_author(village, make):
    def plain(n):
        made = json.loads(sighting_object(village.target, reporter=make.bravo, count=1, now=n, tlp=Tlp.AMBER))
        del made["extensions"]
        return made

    village.publish(village.indicator)
    village.publish(plain(village.now), by=make.bravo)
    assert village.store.knowledge.sightings([VALUE])[VALUE][0].reports == 1
    village.publish(make.indicator(OTHER.value) | {"id": village.indicator["id"]}, by=make.charlie)
    village.publish(plain(village.now + 1), by=make.bravo)
    assert village.store.knowledge.sightings([VALUE, OTHER])[VALUE][0].reports == 1
    assert OTHER not in village.store.knowledge.sightings([VALUE, OTHER])


def test_only_the_value_that_is_meant_is_called_false(village, make):
    both = make.indicator(
        name="both", pattern=f"[ipv4-addr:value = '{VALUE.value}' OR ipv4-addr:value = '{OTHER.value}']"
    )
    village.publish(both)
    for partner in (make.bravo, make.charlie):
        village.call_false(partner, target=Target(both["id"], make.alpha, OTHER))
    assert village.row().is_active
    assert not village.row(OTHER).is_active


def test_another_version_of_an_assessment_says_nothing_new(village, make):
    village.publish(village.indicator)
    said = json.loads(
        sighting_object(village.target, reporter=make.bravo, count=1, now=village.now, tlp=Tlp.AMBER)
    )
    village.publish(said, by=make.bravo)
    for version in ({"count": 100}, {"count": 1_000, "modified": "2029-01-01T00:00:00Z"}):
        village.publish(said | version, by=make.bravo)
    (seen,) = village.store.knowledge.sightings([VALUE])[VALUE]
    assert (seen.reports, seen.count) == (1, 1)


def test_a_strict_sighting_is_in_no_view(village, make):
    village.publish(village.indicator)
    village.sight(make.bravo, tlp=Tlp.RED)
    assert village.view("SELECT * FROM v1_sightings") == []
    village.sight(make.charlie)
    (row,) = village.view("SELECT * FROM v1_sightings")
    assert (row["value"], row["reporter_name"], row["count"]) == (VALUE.value, "charlie", 1)


def test_opinions_and_proposals_are_found_by_their_object(village, make):
    proposal = proposal_object(
        village.target,
        Proposal(confidence=10, note="seen in tests"),
        reporter=make.bravo,
        now=village.now,
        tlp=Tlp.AMBER,
    )
    opinion = opinion_object(
        village.target, reporter=make.bravo, opinion="disagree", text="why", now=village.now, tlp=Tlp.AMBER
    )
    village.publish(proposal, opinion, by=make.bravo)
    found = village.store.knowledge.assessments(village.target.object_id, 10)
    assert {one.kind for one in found} == {Assessment.PROPOSAL, Assessment.OPINION}
    (ours,) = village.store.knowledge.proposals_to(make.alpha, 10)
    assert json.loads(ours.raw)["proposed"] == {"confidence": 10, "note": "seen in tests"}
    assert ours.target == village.target.object_id
    assert village.store.knowledge.proposals_to(make.bravo, 10) == []
