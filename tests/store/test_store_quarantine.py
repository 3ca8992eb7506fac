"""Quarantine: what may not be acted upon is in no export and not active, whoever claims it, until the last mark goes."""

from __future__ import annotations

import pytest
from store_rows import rows
from stored_envelopes import store_envelopes

from p2pshare.intel.marking import Pap, Tlp
from p2pshare.intel.observable import Observable

BAD, GOOD, UNKNOWN = (Observable("ipv4", f"198.51.100.{n}") for n in (7, 8, 9))


def viewed(store):
    sql = "SELECT value, active, status, reason FROM v1_indicators ORDER BY value"
    return {value: tuple(more) for value, *more in rows(store.database.path, sql)}


def exported(store, make):
    now_us = make.now * 1_000_000
    lines = "".join(store.knowledge.indicator_lines(now_us, tlp_max=Tlp.RED))
    values = [value for _, value in store.knowledge.values(now_us, tlp_max=Tlp.RED, pap_max=Pap.RED)]
    rows = [row.value for row in store.knowledge.indicators(now_us, tlp_max=Tlp.RED)]
    assert values == rows
    assert all((value in lines) == (value in values) for value in (BAD.value, GOOD.value))
    return set(values)


@pytest.fixture
def claimed(store, make):
    for n, author in enumerate([make.alpha, make.bravo], start=1):
        objects = [make.indicator(one.value) for one in (BAD, GOOD)]
        store_envelopes(store, [make.envelope(*objects, author=author, sequence=n)])
    return store


def test_what_is_quarantined_is_inactive_in_every_exit(claimed, make):
    assert exported(claimed, make) == {BAD.value, GOOD.value}
    assert claimed.knowledge.quarantine([BAD], "warning-list", "public resolvers", make.now) == 1
    assert viewed(claimed) == {
        BAD.value: (0, "delisted", "warning-list"),
        GOOD.value: (1, "active", None),
    }
    assert exported(claimed, make) == {GOOD.value}
    assert [
        row.is_active for row in claimed.knowledge.indicators(0, is_active_only=False, tlp_max=Tlp.RED)
    ] == [
        False,
        False,
    ]


def test_a_claim_that_comes_later_does_not_lift_it(claimed, make):
    claimed.knowledge.quarantine([BAD], "allow-list", "ours", make.now)
    newer = make.indicator(BAD.value, modified="2026-03-01T00:00:00Z", confidence=100)
    store_envelopes(claimed, [make.envelope(newer, sequence=3), make.envelope(newer, author=make.charlie)])
    assert viewed(claimed)[BAD.value] == (0, "delisted", "allow-list")


def test_it_counts_again_when_the_last_mark_goes(claimed, make):
    for source in ("warning-list", "false-positive"):
        claimed.knowledge.quarantine([BAD], source, "", make.now)
    assert claimed.knowledge.release([BAD, GOOD, UNKNOWN], "warning-list") == 1
    assert viewed(claimed)[BAD.value] == (0, "delisted", "false-positive")
    assert claimed.knowledge.release([BAD], "warning-list") == 0
    assert claimed.knowledge.release([BAD], "false-positive") == 1
    assert viewed(claimed)[BAD.value] == (1, "active", None)
    assert claimed.knowledge.quarantined([BAD, GOOD]) == {}


def test_marking_again_renews_the_reason_and_keeps_the_time(claimed, make):
    assert claimed.knowledge.quarantine([BAD, GOOD, UNKNOWN], "warning-list", "one list", make.now) == 2
    assert claimed.knowledge.quarantine([BAD], "warning-list", "two lists", make.now + 9) == 0
    (row,) = claimed.knowledge.quarantined([BAD, UNKNOWN])[BAD]
    assert (row.source, row.reason, row.noted_at) == ("warning-list", "two lists", make.now)


def test_what_is_claimed_again_and_quarantined_at_once_is_no_conflict(claimed, make):
    with claimed.transaction():
        store_envelopes(claimed, [make.envelope(make.indicator(BAD.value), author=make.charlie)])
        claimed.knowledge.quarantine([BAD, GOOD], "warning-list", "", make.now)
        claimed.knowledge.quarantine([BAD], "allow-list", "", make.now)
    assert viewed(claimed)[BAD.value] == (0, "delisted", "allow-list")
