"""Places of those who knocked: few, drawn at random in the crowd, and nobody's to take but of one's own network."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.daemon.driver import AWAITED_ADDRESSES_MAX
from p2pshare.daemon.knocks import ASKING_PAUSES, PLACE_SECONDS
from p2pshare.errors import RefusedError
from p2pshare.identifiers import PartnerId
from p2pshare.node.store import Store, open_store
from p2pshare.partners.pending import (
    ACCEPTED_MAX,
    PENDING_MAX,
    PENDING_PER_GROUP_MAX,
    REFUSED_MAX,
    PendingDecision,
    PendingRow,
    who_makes_room,
)

NOW = 1_800_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path / "store.sqlite")
    yield opened
    opened.close()


def row(number: int, group: int | None = None, certificate: bytes = b"c", at: int = NOW) -> PendingRow:
    network = f"10.{(number if group is None else group) // 256}.{(number if group is None else group) % 256}"
    return PendingRow(
        PartnerId(number.to_bytes(32, "big")),
        certificate,
        f"N{number}",
        "",
        f"{network}.1",
        f"{network}.0/24",
        at,
        at,
    )


def test_a_knock_that_comes_again_is_counted_in_its_row(store: Store) -> None:
    store.pending.note(row(1), random.choice)
    store.pending.note(replace(row(1, at=NOW + 60), name="Another"), random.choice)
    assert store.pending.all() == [replace(row(1), name="Another", last_at=NOW + 60, knocks=2)]


def test_who_claims_another_ones_id_has_a_row_beside_it_and_changes_nothing_of_the_other(
    store: Store,
) -> None:
    store.pending.note(row(1, certificate=b"owner"), random.choice)
    for number in range(10):
        store.pending.note(row(1, group=99, certificate=b"thief" + bytes([number])), random.choice)
    rows = store.pending.all()
    assert row(1, certificate=b"owner") in rows
    assert len(rows) == 1 + PENDING_PER_GROUP_MAX


def test_a_flood_from_one_network_drops_its_own(store: Store) -> None:
    for number in range(20):
        store.pending.note(row(number), random.choice)
    with store.transaction():
        for number in range(100, 300):
            store.pending.note(row(number, group=100), random.choice)
    groups = Counter(one.address_group for one in store.pending.all())
    assert groups.pop("10.0.100.0/24") == PENDING_PER_GROUP_MAX
    assert len(groups) == 20 and set(groups.values()) == {1}


def test_a_flood_from_many_networks_takes_no_more_than_there_is_and_draws_in_the_largest(
    store: Store,
) -> None:
    with store.transaction():
        for number in range(3 * PENDING_MAX):
            store.pending.note(row(number, group=number % 30), random.choice)
    store.pending.note(row(1_000), random.choice)
    groups = Counter(one.address_group for one in store.pending.all())
    assert sum(groups.values()) == PENDING_MAX
    assert groups["10.3.232.0/24"] == 1, "the newcomer finds a place, and is alone in its network"
    with store.transaction():
        for number in range(2_000, 2_030):
            store.pending.note(row(number, group=number % 29), random.choice)
            assert len(store.pending.all()) == PENDING_MAX


def test_one_that_moves_into_a_crowded_network_makes_room_there_as_any_newcomer(store: Store) -> None:
    for number in range(PENDING_PER_GROUP_MAX):
        store.pending.note(row(number, group=1), random.choice)
    store.pending.note(row(50, group=2), random.choice)
    store.pending.note(row(50, group=1), random.choice)
    rows = store.pending.all()
    assert Counter(one.address_group for one in rows) == {"10.0.1.0/24": PENDING_PER_GROUP_MAX}
    assert [one.knocks for one in rows if one.partner_id == row(50).partner_id] == [2]


@given(
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 40)), max_size=300),
    st.randoms(use_true_random=False),
)
def test_places_are_never_more_and_the_newcomer_always_has_one(
    knocks: list[tuple[int, int]], chance: random.Random
) -> None:
    rows: list[PendingRow] = []
    for number, group in knocks:
        newcomer = row(number, group)
        rows = [one for one in rows if one.partner_id != newcomer.partner_id]
        dropped = who_makes_room(rows, newcomer.address_group, chance.choice)
        if dropped is not None:
            sizes = Counter(one.address_group for one in rows)
            full = sizes[newcomer.address_group] >= PENDING_PER_GROUP_MAX
            assert (
                dropped.address_group == newcomer.address_group
                if full
                else (sizes[dropped.address_group] == max(sizes.values()) and len(rows) == PENDING_MAX)
            )
            rows.remove(dropped)
        rows.append(newcomer)
        assert len(rows) <= PENDING_MAX
        assert max(Counter(one.address_group for one in rows).values()) <= PENDING_PER_GROUP_MAX


def test_every_one_of_the_crowd_may_be_drawn() -> None:
    rows = [row(number, group=7) for number in range(PENDING_PER_GROUP_MAX)]
    seen: list[list[PendingRow]] = []
    who_makes_room(rows, rows[0].address_group, lambda crowd: seen.append(list(crowd)) or crowd[0])
    assert seen == [rows]


def test_what_a_person_decided_outlives_floods_and_restarts(store: Store, tmp_path: Path) -> None:
    yes, no = row(1).partner_id, row(2).partner_id
    store.pending.note(row(1), random.choice)
    store.pending.note(row(2), random.choice)
    store.pending.decide(PendingDecision(yes, True, "one", "N1", NOW))
    store.pending.decide(PendingDecision(no, False, "", "N2", NOW))
    assert [one.partner_id for one in store.pending.all()] == [yes, no], (
        "they may be dialled when a person says yes"
    )
    for number in range(10, 200):
        store.pending.note(row(number), random.choice)
    store.close()
    again = open_store(tmp_path / "store.sqlite")
    try:
        decided = again.pending.decisions()
        assert decided[yes].is_accepted and decided[yes].alias == "one" and not decided[no].is_accepted
        assert len(again.pending.all()) == PENDING_MAX
        again.pending.decide(PendingDecision(no, True, "", "N2", NOW + 1))
        assert {one.partner_id for one in again.pending.accepted()} == {yes, no}
        again.pending.forget(yes)
        assert yes not in again.pending.decisions()
    finally:
        again.close()


def test_one_that_was_refused_makes_room_before_others(store: Store) -> None:
    for number in range(PENDING_PER_GROUP_MAX):
        store.pending.note(row(number, group=1), random.choice)
    no = row(2).partner_id
    store.pending.decide(PendingDecision(no, False, "", "", NOW))
    store.pending.note(row(9, group=1), random.choice)
    rows = [one.partner_id for one in store.pending.all()]
    assert no not in rows and len(rows) == PENDING_PER_GROUP_MAX


def test_decisions_are_bounded(store: Store) -> None:
    with store.transaction():
        for number in range(REFUSED_MAX + 10):
            store.pending.decide(PendingDecision(row(number).partner_id, False, "", "", NOW + number))
    kept = store.pending.decisions()
    assert (
        len(kept) == REFUSED_MAX and row(0).partner_id not in kept and row(REFUSED_MAX + 9).partner_id in kept
    )
    with store.transaction():
        for number in range(1_000, 1_000 + ACCEPTED_MAX):
            store.pending.decide(PendingDecision(row(number).partner_id, True, "", "", NOW))
    with pytest.raises(RefusedError) as caught:
        store.pending.decide(PendingDecision(row(5_000).partner_id, True, "", "", NOW))
    assert caught.value.reason == "too-many-accepted"
    store.pending.decide(PendingDecision(row(1_000).partner_id, True, "again", "", NOW))
    assert len(store.pending.accepted()) == ACCEPTED_MAX


def test_the_numbers_of_the_page_are_the_limits(repository: Path) -> None:
    page = " ".join((repository / "docs" / "card.md").read_text().split())
    for told in (
        f"{PENDING_MAX} places, {PENDING_PER_GROUP_MAX} for an address group",
        f"the {REFUSED_MAX} newest refusals are kept",
        f"most {ACCEPTED_MAX} accepted ids wait for their card",
        f"{AWAITED_ADDRESSES_MAX} at most, once".replace("3", "three"),
        f"`{PLACE_SECONDS:.0f}`".replace("`3600`", "again after an hour"),
    ):
        assert told in page, told
    assert ASKING_PAUSES == ((600, 30.0), (3_600, 60.0), (86_400, 600.0))
    assert (
        "each half minute in the first ten, each minute in the first hour, every ten minutes in the first day, then each hour"
        in page
    )
