"""A chain that was followed twice: a copied home is told, a restored backup and a clock that was set are not."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stored_envelopes import store_envelopes

from p2pshare.log.chain_forks import CHAIN_FORKS_PER_AUTHOR_MAX
from p2pshare.node.store import Store, open_store


class Home:
    """A home of one author: where its chain stands. Starts, publishes, is copied; `published` is shared with its copies."""

    def __init__(
        self, make: Any, published: list[Any], incarnation: int = 0, previous: bytes = bytes(32)
    ) -> None:
        self._make, self.published = make, published
        self._incarnation, self._sequence, self._previous = incarnation, 0, previous

    def start(self, now: int) -> Home:
        self._incarnation, self._sequence = max(now, self._incarnation + 1), 0
        return self

    def publish(self, now: int) -> Any:
        self._sequence += 1
        envelope = self._make.envelope(
            incarnation=self._incarnation,
            sequence=self._sequence,
            previous=self._previous,
            created=now,
            opened=False,
        )
        self._previous = bytes(envelope.envelope_id)
        self.published.append(envelope)
        return envelope

    def copy(self) -> Home:
        return Home(self._make, self.published, self._incarnation, self._previous)


@pytest.fixture
def home(make: Any) -> Home:
    one = Home(make, []).start(make.now)
    one.publish(make.now)
    one.publish(make.now + 1)
    return one


def told(store: Store, envelopes: list[Any]) -> list[Any]:
    store_envelopes(store, envelopes)
    return store.log.used_twice()


def test_two_that_run_at_once_are_told_whatever_comes_first(store: Store, make: Any, home: Home) -> None:
    now = make.now + 100
    copy = home.copy().start(now)
    a = home.publish(now + 1)
    b = copy.publish(now + 2)
    assert told(store, home.published) == []
    home.publish(now + 3)
    random.Random(3).shuffle(home.published)
    [proof] = told(store, home.published)
    assert (proof.author, proof.first, proof.second) == (make.alpha, a.envelope_id, b.envelope_id)
    assert (proof.since, proof.until) == (now + 2, now + 2)


def test_two_nodes_without_a_daemon_begin_an_incarnation_with_each_command_and_are_told(
    store: Store, make: Any, home: Home
) -> None:
    copy, now = home.copy(), make.now + 100
    for n in range(2):
        home.start(now + 10 * n).publish(now + 10 * n)
        copy.start(now + 10 * n + 5).publish(now + 10 * n + 5)
    [proof] = told(store, home.published)
    assert (proof.since, proof.until) == (now + 5, now + 10)


def test_a_home_that_was_copied_before_it_ever_published(store: Store, make: Any) -> None:
    one = Home(make, [])
    copy = one.copy().start(make.now + 1)
    one.start(make.now)
    one.publish(make.now)
    copy.publish(make.now + 2)
    one.publish(make.now + 3)
    assert len(told(store, one.published)) == 1


def test_a_restored_backup_is_none_however_often(store: Store, make: Any, home: Home) -> None:
    now = make.now + 100
    running, backup = home, home
    for n in range(4):
        backup = running.copy() if n % 2 == 0 else backup
        running.publish(now + 10 * n)
        running.publish(now + 10 * n + 1)
        running = backup.copy().start(now + 10 * n + 5)
        running.publish(now + 10 * n + 6)
    assert told(store, home.published) == []


def test_an_older_backup_and_then_a_newer_one_are_none(store: Store, make: Any, home: Home) -> None:
    now = make.now + 100
    old = home.copy()
    home.publish(now)
    new = home.copy()
    for n, backup in enumerate((old, new), start=1):
        backup.start(now + 10 * n).publish(now + 10 * n)
        backup.publish(now + 10 * n + 1)
    assert told(store, home.published) == []


def test_a_store_that_was_lost_and_begun_anew_is_none(store: Store, make: Any, home: Home) -> None:
    Home(make, home.published).start(make.now + 100).publish(make.now + 100)
    assert told(store, home.published) == []


@settings(max_examples=60)
@given(st.lists(st.tuples(st.booleans(), st.integers(-90_000, 90_000)), max_size=12))
def test_a_clock_that_is_set_leaves_no_fork(
    make: Any, tmp_path_factory: Any, acts: list[tuple[bool, int]]
) -> None:
    folder = tmp_path_factory.mktemp("clock")
    store = open_store(folder / "store.sqlite", free_space_bytes_min=0)
    store.partners.put_own(make.ourselves, "Ourselves")
    one = Home(make, []).start(make.now)
    for is_start, ahead in acts:
        if is_start:
            one.start(make.now + ahead)
        one.publish(make.now + ahead)
    assert told(store, one.published) == []
    store.close()


def test_an_author_whose_envelopes_all_follow_the_same_one_makes_no_later_one_dear(
    store: Store, make: Any
) -> None:
    """Each looks for those that follow what it follows: of 4,000 it looks at 16."""
    store_envelopes(store, [make.envelope(sequence=n, opened=False) for n in range(1, 4_000)])
    steps: list[int] = []
    with store.database.transaction() as writer:
        writer.set_progress_handler(lambda: bool(steps.append(1)), 100)
        store_envelopes(store, [make.envelope(sequence=n, opened=False) for n in range(4_000, 4_010)])
        writer.set_progress_handler(None)
    assert len(steps) < 200, "hundreds of SQLite's steps"


def test_an_author_that_forks_its_chain_with_each_envelope_costs_little(store: Store, make: Any) -> None:
    """Only the newest are kept, and a circle of incarnations ends."""
    envelopes = [make.envelope(incarnation=n, opened=False, created=make.now + n) for n in range(1, 300)]
    store_envelopes(store, envelopes)
    [(kept,)] = store.database.fetch("SELECT count(*) FROM chain_fork")
    assert kept == CHAIN_FORKS_PER_AUTHOR_MAX
    first, second = (make.envelope(author=make.charlie, incarnation=n, opened=False) for n in (1, 2))
    circle = [
        make.envelope(
            author=make.charlie, incarnation=n, sequence=2, opened=False, previous=bytes(one.envelope_id)
        )
        for n, one in ((2, first), (1, second))
    ]
    for envelope in itertools.chain((first, second), circle):
        store_envelopes(store, [envelope])
    assert store.log.used_twice() is not None
