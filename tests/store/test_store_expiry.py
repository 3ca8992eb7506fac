"""Expiry in batches: an author can let everything it ever sent expire in one second."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from stored_envelopes import store_envelopes

from p2pshare.envelope.envelope import SealedEnvelope
from p2pshare.identifiers import EnvelopeId
from p2pshare.log import expiry
from p2pshare.log.interface import EXPIRY_BEGINS

DAY = 86_400
LONGEST_SECONDS = 2.0
"""No call may keep other writers waiting for longer, whatever came; on a busy machine a batch takes a tenth of it."""


def sent(store, make, count, **more):
    """Envelopes that expire in one second, as an author seals them who means harm."""
    envelopes = [make.envelope(sequence=n, opened=False, ttl_class=1, **more) for n in range(1, count + 1)]
    with store.transaction():
        for start in range(0, count, 1_000):
            store_envelopes(store, envelopes[start : start + 1_000])
    return envelopes


def steps_until_done(store, now, after=EXPIRY_BEGINS):
    """Each step of one round, and the seconds that the longest of them took."""
    steps, longest, place = [], 0.0, after
    while not steps or steps[-1].is_more:
        began = time.perf_counter()
        steps.append(store.log.expire(now, place))
        longest = max(longest, time.perf_counter() - began)
        place = steps[-1].place
    return steps, longest


def test_all_that_expires_in_one_second_goes_in_batches_and_nothing_is_left_out(store, make, monkeypatch):
    monkeypatch.setattr(expiry, "EXPIRED_AT_ONCE", 10)
    sent(store, make, 25)
    steps, _ = steps_until_done(store, make.now + DAY)
    assert [step.dropped for step in steps] == [10, 10, 5]
    assert store.log.counts().held == 0
    assert len(list(store.log.keys(make.main, 1))) == 25, "the keys stay listed for an hour"
    assert store.log.carried()[make.alpha, make.main] == 0


def test_what_expired_before_does_not_stand_in_the_way_of_what_expires_now(store, make, monkeypatch):
    """For an hour the rows of the first stay in the index that is walked."""
    monkeypatch.setattr(expiry, "EXPIRED_AT_ONCE", 10)
    sent(store, make, 25, salt="first")
    before, _ = steps_until_done(store, make.now + DAY)
    store_envelopes(store, [make.envelope(sequence=99, created=make.now + 60, ttl_class=1, opened=False)])
    (step,) = steps_until_done(store, make.now + DAY + 60, before[-1].place)[0]
    assert step.dropped == 1


def test_a_clock_that_was_set_back_makes_expiry_miss_nothing(store, make):
    sent(store, make, 3, salt="first")
    ahead = store.log.expire(make.now + 3 * DAY)
    store_envelopes(store, [make.envelope(sequence=99, created=make.now + 60, ttl_class=1, opened=False)])
    assert store.log.expire(make.now + DAY + 60, ahead.place).dropped == 1


def test_one_that_was_missed_goes_with_its_key(store, make):
    """It was taken in while the clock was back, and the clock was right again before the next sweep."""
    sent(store, make, 3, salt="first")
    ahead = store.log.expire(make.now + DAY + 1_000)
    store_envelopes(store, [make.envelope(sequence=99, created=make.now + 60, ttl_class=1, opened=False)])
    assert store.log.expire(make.now + DAY + 1_000, ahead.place).dropped in (0, 1)
    store.log.expire(make.now + DAY + 60 + 3_600, ahead.place)
    assert store.database.fetch("SELECT count(*) FROM wire") == [(0,)]


def test_the_keys_go_in_batches_as_well(store, make, monkeypatch):
    monkeypatch.setattr(expiry, "EXPIRED_AT_ONCE", 10)
    sent(store, make, 25)
    steps_until_done(store, make.now + DAY)
    assert store.log.expire(make.now + DAY + 3_600).is_more
    steps_until_done(store, make.now + DAY + 3_600)
    assert store.database.fetch("SELECT count(*) FROM envelope") == [(0,)]


def test_a_daemon_that_was_down_for_long_drops_wires_and_keys_in_one_round(store, make, monkeypatch):
    monkeypatch.setattr(expiry, "EXPIRED_AT_ONCE", 10)
    envelopes = sent(store, make, 25)
    store_envelopes(store, [make.envelope(make.indicator(), sequence=50, ttl_class=1)])
    steps, _ = steps_until_done(store, make.now + 30 * DAY)
    assert sum(step.dropped for step in steps) == 26
    assert store.database.fetch("SELECT count(*), sum(stage) FROM envelope") == [(1, 2)], (
        "what was read stays"
    )
    assert store.database.fetch("SELECT count(*) FROM wire") == [(0,)]
    assert store.log.is_seen([one.envelope_id for one in envelopes]) == set()


def test_a_batch_ends_at_its_bytes(store, make, monkeypatch):
    monkeypatch.setattr(expiry, "EXPIRED_BYTES_AT_ONCE", 1_000)
    large = [
        replace(one, envelope=SealedEnvelope(EnvelopeId(bytes([n]) * 32), one.envelope.core, bytes(600)))
        for n, one in enumerate(make.envelope(sequence=n, opened=False, ttl_class=1) for n in range(4))
    ]
    store_envelopes(store, large)
    steps, _ = steps_until_done(store, make.now + DAY)
    assert [step.dropped for step in steps] == [1, 1, 1, 1]


def test_an_envelope_above_the_bytes_of_a_batch_goes_alone(store, make, monkeypatch):
    monkeypatch.setattr(expiry, "EXPIRED_BYTES_AT_ONCE", 1)
    sent(store, make, 3)
    steps, _ = steps_until_done(store, make.now + DAY)
    assert [step.dropped for step in steps] == [1, 1, 1]


def test_the_proofs_of_an_author_stay_wherever_in_the_batches_they_stand(store, make, monkeypatch):
    monkeypatch.setattr(expiry, "EXPIRED_AT_ONCE", 2)
    forks = [
        make.envelope(sequence=1 + n // 2, salt=str(n), opened=False, ttl_class=1) for n in range(2 * 20)
    ]
    store_envelopes(store, forks)
    steps_until_done(store, make.now + 30 * DAY)
    assert [store.log.evidence(one.envelope_id) is not None for one in forks] == [True] * 32 + [False] * 8


@pytest.mark.parametrize("is_forked", [False, True], ids=["apart", "all-of-one-number"])
def test_however_many_expire_at_once_no_batch_keeps_others_from_writing(store, make, is_forked):
    """20,000 here; docs/store.md has the figures of 100,000. All of one number is an author that forks its own chain."""
    envelopes = [
        make.envelope(sequence=1 if is_forked else n, salt=str(n), opened=False, ttl_class=1)
        for n in range(20_000)
    ]
    with store.transaction():
        store_envelopes(store, envelopes)
    for late in (DAY, DAY + 3_600):
        _, longest = steps_until_done(store, make.now + late)
        assert longest < LONGEST_SECONDS
    assert store.log.counts().held == 0
