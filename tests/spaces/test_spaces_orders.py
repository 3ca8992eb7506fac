"""Histories in which anybody writes anything: equal sets give equal bytes, and what a minority adds afterwards moves nobody.

Few seeds here; `scripts/attack-spaces` runs as many as one has time for.
"""

from __future__ import annotations

import random

import pytest
from drawn_spaces import drawn_history, orders, settled_and_attacked
from space_campaign import differs_by_order, moved_by_attack

SEEDS = 60
ORDERS = 6
FOUND = (100_145, 100_247, 100_294)
"""Histories that once differed: a fork came to light late, and bits that its entries had before were believed."""


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_history_folds_alike_in_any_order_at_once_and_entry_by_entry(seed: int) -> None:
    assert differs_by_order(seed, ORDERS) == ""


@pytest.mark.parametrize("seed", FOUND)
def test_a_history_that_once_differed_folds_alike(seed: int) -> None:
    assert differs_by_order(seed, 20) == ""


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_minority_that_writes_afterwards_moves_neither_lead_nor_members(seed: int) -> None:
    assert moved_by_attack(seed) == ""


def test_the_histories_have_what_they_are_for() -> None:
    """Otherwise nothing is proven: forks, terms of all kinds, void entries of all codes, attacks that have an effect."""
    codes: set[str] = set()
    terms: set[tuple[int, int, int]] = set()
    from p2pshare.spaces.fold import SpaceFold

    for seed in range(SEEDS):
        told = drawn_history(seed)
        space = SpaceFold()
        for entry in orders(told.entries, random.Random(seed)):
            space.add(entry)
        terms.add(space.state().term)
        codes |= {space.effect_of(one) for one in told.entries}
    assert {term[0] for term in terms} >= {0, 1, 2} and {term[2] for term in terms} >= {0, 1}
    assert codes >= {
        "", "bad-body", "bad-rekey", "cut", "disowned", "forked", "is-lead", "no-entry", "no-proposal", "not-handed",
        "not-lead", "not-member", "settled", "unconfirmed", "voted", "wrong-round",
    }  # fmt: skip
    added = 0
    for seed in range(20):
        settled, attack = settled_and_attacked(seed)
        added += len(attack.entries) - len(settled.entries)
    assert added > 100
