"""What one change makes stale may be a million values: it is evaluated step by step, and never shown in between."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing

import pytest
from stored_envelopes import store_envelopes

from p2pshare.intel.marking import Pap, Tlp
from p2pshare.intel.observable import Observable
from p2pshare.knowledge import walks
from p2pshare.partners.interface import PartnerRow
from p2pshare.sharing.partners import drop_partner, put_partner

STEP = 5
VALUES = [f"198.51.100.{n}" for n in range(23)]


@pytest.fixture
def small_steps(monkeypatch):
    monkeypatch.setattr(walks, "STEP_OBSERVABLES", STEP)


def walk_to_the_end(store, now):
    """How many steps were left."""
    steps = 0
    while store.knowledge.go_on(now):
        steps += 1
    return steps


def shown(store, sql="SELECT value FROM v1_indicators WHERE active"):
    with closing(sqlite3.connect(f"file:{store.database.path}?mode=ro", uri=True)) as connection:
        return {value for (value,) in connection.execute(sql)}


def exported(store, make, tlp_max):
    now_us = make.now * 1_000_000
    rows = {row.value for row in store.knowledge.indicators(now_us, tlp_max=tlp_max)}
    lists = {value for _, value in store.knowledge.values(now_us, tlp_max=tlp_max, pap_max=Pap.RED)}
    lines = "".join(store.knowledge.indicator_lines(now_us, tlp_max=tlp_max))
    assert rows == lists == {value for value in VALUES if f'"{value}"' in lines}
    return rows


def called_false(store, make):
    """A store whose every value two partners call false."""
    for name, partner in (("alpha", make.alpha), ("bravo", make.bravo)):
        put_partner(store, PartnerRow(partner, name, b"card", 1, True, (), False, make.now))
    store_envelopes(store, [make.envelope(*map(make.indicator, VALUES))])
    with store.database.transaction() as writer:
        for partner in (make.alpha, make.bravo):
            writer.execute(
                "INSERT INTO sighting SELECT id, ?, 1, 1, 0, 0, NULL, 1, 2, 0, NULL FROM observable",
                (store.database.organisation(partner),),
            )
    store.knowledge.recount_reports()
    walk_to_the_end(store, make.now)
    assert shown(store) == set()


def test_a_change_of_the_roster_counts_a_step_at_once_and_the_others_one_by_one(store, make, small_steps):
    called_false(store, make)
    drop_partner(store, make.bravo)
    assert len(shown(store)) == STEP
    assert store.knowledge.go_on(make.now)
    assert len(shown(store)) == 2 * STEP
    assert walk_to_the_end(store, make.now) == 3
    assert shown(store) == set(VALUES)
    assert not store.knowledge.go_on(make.now)


def test_what_a_crash_left_goes_on_in_the_next_life(store, make, small_steps, open_at):
    called_false(store, make)
    drop_partner(store, make.bravo)
    store.close()
    again = open_at()
    walk_to_the_end(again, make.now)
    assert shown(again) == set(VALUES)


def test_a_second_change_begins_anew(store, make, small_steps):
    called_false(store, make)
    drop_partner(store, make.bravo)
    store.knowledge.go_on(make.now)
    put_partner(store, PartnerRow(make.bravo, "bravo", b"card", 1, True, (), False, make.now))
    walk_to_the_end(store, make.now)
    assert shown(store) == set()


def test_a_change_of_the_number_that_is_needed_walks_as_well(store, make, small_steps):
    called_false(store, make)
    store.knowledge.set_false_positive_reports(3)
    assert len(shown(store)) == STEP
    walk_to_the_end(store, make.now)
    assert shown(store) == set(VALUES)


def marked(store, make, *, red):
    """A store with half of the values RED alone, and one that is RED for one author and GREEN for another."""
    store.knowledge.set_siem_tlp_max(Tlp.RED)
    tlps = [Tlp.RED if value in red else Tlp.GREEN for value in VALUES]
    objects = [make.indicator(value, tlp=tlp) for value, tlp in zip(VALUES, tlps, strict=True)]
    green = make.indicator(sorted(red)[-1], name="also green")
    store_envelopes(store, [make.envelope(*objects), make.envelope(green, author=make.bravo)])
    walk_to_the_end(store, make.now)


def test_a_limit_that_was_tightened_holds_at_once_at_every_exit(store, make, small_steps):
    """The walk is not over, and nothing RED is told: neither by a view nor by an export."""
    red = set(VALUES[::2])
    marked(store, make, red=red)
    assert shown(store) == set(VALUES) == exported(store, make, Tlp.RED)
    store.knowledge.set_siem_tlp_max(Tlp.AMBER_STRICT)
    both = sorted(red)[-1]
    steps = 0
    while True:
        for view in ("v1_indicators", "v1_claims", "v1_changes WHERE op != 'remove' AND value IS NOT NULL"):
            told = shown(store, f"SELECT value FROM {view}")
            assert told & red <= {both}, view
        assert exported(store, make, Tlp.AMBER_STRICT) == set(VALUES) - red | {both}
        if not store.knowledge.go_on(make.now):
            break
        steps += 1
    assert steps >= len(VALUES) // STEP - 1
    assert shown(store) == set(VALUES) - red | {both}
    removed = shown(store, "SELECT value FROM v1_changes WHERE op = 'remove'")
    assert removed == red - {both}, "the feed says which are gone"


def test_a_limit_that_was_loosened_shows_more_with_each_step(store, make, small_steps):
    red = set(VALUES[::2])
    marked(store, make, red=red)
    store.knowledge.set_siem_tlp_max(Tlp.AMBER_STRICT)
    store.knowledge.set_siem_tlp_max(Tlp.RED)  # before the walk of the tightening has ended
    assert exported(store, make, Tlp.RED) == set(VALUES)
    walk_to_the_end(store, make.now)
    assert shown(store) == set(VALUES)
    row = store.knowledge.effective_states(
        [Observable("ipv4", sorted(red)[-1])], make.now * 1_000_000, tlp_max=Tlp.RED
    )
    assert [one.claims for one in row.values()] == [2]


@pytest.mark.parametrize("first", ["the sweep", "an arrival", "another call"])
def test_a_clock_that_was_set_back_is_forgiven_step_by_step_whoever_notices_first(
    store, make, small_steps, first
):
    """An arrival took the new time for granted, and what was evaluated in the other decade stayed over for good."""
    store_envelopes(store, [make.envelope(*map(make.indicator, VALUES))])
    while store.knowledge.reevaluate(make.now + 4_000 * 86_400, 100) == 100:
        pass
    assert shown(store) == set()
    if first == "the sweep":
        store.knowledge.reevaluate(make.now + 60, 100)
    elif first == "an arrival":
        other = make.envelope(make.indicator("203.0.113.1"), sequence=2, received_at=make.now + 60)
        store_envelopes(store, [other])
    else:
        store.knowledge.quarantine([Observable("ipv4", "203.0.113.1")], "allow-list", "", make.now + 60)
    assert len(shown(store) & set(VALUES)) == STEP
    assert walk_to_the_end(store, make.now + 60) >= 4
    assert shown(store) >= set(VALUES)


def test_a_call_that_waited_behind_another_sets_no_clock_back(store, make):
    store_envelopes(store, [make.envelope(make.indicator(VALUES[0]))])
    store.knowledge.reevaluate(make.now + 30, 100)
    store_envelopes(store, [make.envelope(make.indicator(VALUES[1]), sequence=2)])
    assert not store.knowledge.go_on(make.now + 30)


def test_no_step_over_many_values_keeps_others_from_writing(store, make):
    """20,000 values that two partners call false; docs/store.md has the figures of a million."""
    for name, partner in (("alpha", make.alpha), ("bravo", make.bravo)):
        put_partner(store, PartnerRow(partner, name, b"card", 1, True, (), False, make.now))
    for n in range(20):
        objects = [make.indicator(f"10.{n}.{m >> 8}.{m & 255}") for m in range(1_000)]
        store_envelopes(store, [make.envelope(*objects, sequence=n + 1)])
    with store.database.transaction() as writer:
        for partner in (make.alpha, make.bravo):
            writer.execute(
                "INSERT INTO sighting SELECT id, ?, 1, 1, 0, 0, NULL, 1, 2, 0, NULL FROM observable",
                (store.database.organisation(partner),),
            )
    longest = 0.0
    is_more = True
    began = time.perf_counter()
    store.knowledge.recount_reports()
    while is_more:
        longest, began = max(longest, time.perf_counter() - began), time.perf_counter()
        is_more = store.knowledge.go_on(make.now)
    assert longest < 2.0
    assert shown(store) == set()
