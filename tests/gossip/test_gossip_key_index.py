"""The chunked list of keys against a plain sorted list, for random histories."""

from __future__ import annotations

import hashlib
from bisect import bisect_left

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pshare.gossip.index import Index
from p2pshare.gossip.messages import Shard
from p2pshare.gossip.negentropy.key_index import LOAD_KEYS, SortedKeys, expiry_cut, key_of
from p2pshare.gossip.negentropy.negentropy_wire import CREATED_END, fingerprint
from p2pshare.identifiers import CircleId

# Few instants and few ids, so that keys share seconds and prefixes and come twice.
keys = st.builds(
    key_of,
    st.integers(0, 40),
    st.integers(0, 40).map(lambda number: bytes([number % 3]) * 31 + bytes([number])),
)


def many_keys(count: int, created: int = 1_700_000_000) -> list[bytes]:
    """Reproducible keys, a hundred in a second, ascending."""
    ids = (hashlib.sha256(number.to_bytes(4, "big")).digest() for number in range(count))
    return sorted(key_of(created + number // 100, envelope_id) for number, envelope_id in enumerate(ids))


def sum_fingerprint(chosen: list[bytes]) -> bytes:
    """The specification's words, with nothing cached."""
    return fingerprint(sum(int.from_bytes(key[8:], "little") for key in chosen), len(chosen))


def assert_same(index: SortedKeys, model: list[bytes]) -> None:
    assert list(index) == model
    assert len(index) == len(model)
    assert index.root() == sum_fingerprint(model)
    assert b"".join(index.chunks()) == b"".join(model)


@given(st.lists(st.one_of(keys, st.integers(0, 45), keys.map(lambda key: (key,))), max_size=400))
def test_any_history_of_adding_removing_and_expiring_equals_a_sorted_list(
    history: list[bytes | int | tuple[bytes]],
) -> None:
    index, model = SortedKeys(), list[bytes]()
    for step in history:
        if isinstance(step, tuple):
            assert index.remove(step[0]) is (step[0] in model)
            model = [key for key in model if key != step[0]]
        elif isinstance(step, int):
            kept = [key for key in model if int.from_bytes(key[:8], "big") >= step]
            assert index.expire(step) == len(model) - len(kept)
            model = kept
        else:
            assert index.add(step) is (step not in model)
            model = sorted({*model, step})
    assert_same(index, model)


def test_what_was_removed_leaves_whole_chunks_and_ranks_that_fit() -> None:
    model = many_keys(5 * LOAD_KEYS)
    index = SortedKeys(model)
    assert index.rank(model[-1]) == len(model) - 1  # positions are cached
    for key in model[LOAD_KEYS : 3 * LOAD_KEYS] + model[:1] + model[-1:]:
        assert index.remove(key)
        assert not index.remove(key)
    model = model[1:LOAD_KEYS] + model[3 * LOAD_KEYS : -1]
    assert_same(index, model)
    assert [index.rank(key) for key in model] == list(range(len(model)))
    assert index.fingerprint(10, len(model) - 10) == sum_fingerprint(model[10:-10])


@settings(max_examples=40)
@given(st.integers(0, 700), st.randoms(use_true_random=False), st.data())
def test_every_question_is_answered_as_a_sorted_list_would(
    count: int, order: object, data: st.DataObject
) -> None:
    model = many_keys(count)
    shuffled = list(model)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    grown = SortedKeys()
    for key in shuffled:
        grown.add(key)
    for index in (grown, SortedKeys(iter(model))):
        assert_same(index, model)
        for _ in range(10):
            lower = data.draw(st.integers(0, count))
            upper = data.draw(st.integers(lower, count))
            assert index.fingerprint(lower, upper) == sum_fingerprint(model[lower:upper])
            assert b"".join(index.pieces(lower, upper)) == b"".join(model[lower:upper])
            assert index.ids(lower, upper) == b"".join(key[8:] for key in model[lower:upper])
            probe = model[lower] if lower < count else key_of(2**40, bytes(32))
            assert index.rank(probe) == lower
            assert index.rank(probe[:-1] + b"\xff") == bisect_left(model, probe[:-1] + b"\xff")
            assert (probe in index) is (lower < count)
            if lower < count:
                assert index.key_at(lower) == probe


def test_questions_between_additions_see_each_of_them() -> None:
    model = many_keys(1_200)
    kept, coming = model[::2], model[1::2]
    index = SortedKeys(kept)
    for number, key in enumerate(coming):
        assert index.add(coming[number * 7 % 600])
        assert index.key_at(index.rank(model[600])) == model[600]
        assert index.rank(key) == sum(1 for held in index if held < key)
    assert list(index) == model


def test_appending_newest_keys_leaves_full_chunks_behind() -> None:
    index = SortedKeys()
    for key in many_keys(10 * 2 * LOAD_KEYS):
        index.add(key)
    assert [len(chunk) // 40 for chunk in index.chunks()] == [2 * LOAD_KEYS] * 10


def test_root_of_what_is_not_yet_expired_equals_the_root_after_expiring() -> None:
    model = many_keys(1000)
    index = SortedKeys(model)
    cut = 1_700_000_004
    before = index.root(cut)
    assert index.expire(cut) == 400
    assert index.root() == before


def test_keys_loaded_out_of_order_or_twice_are_refused() -> None:
    model = many_keys(200)
    for wrong in ([*model[:100], model[5]], [*model, model[-1]], [model[1], model[0]]):
        with pytest.raises(ValueError, match="do not ascend"):
            SortedKeys(wrong)


@pytest.mark.parametrize("key", [b"", bytes(39), bytes(41), key_of(CREATED_END, bytes(32))])
def test_what_is_no_key_is_refused(key: bytes) -> None:
    with pytest.raises(ValueError, match="40 bytes"):
        SortedKeys().add(key)
    with pytest.raises(ValueError, match="40 bytes"):
        SortedKeys([key])


@pytest.mark.parametrize("rank", [-1, 3])
def test_a_rank_outside_the_index_is_refused(rank: int) -> None:
    with pytest.raises(IndexError):
        SortedKeys(many_keys(3)).key_at(rank)


def test_an_empty_index_answers_everything() -> None:
    index = SortedKeys()
    assert index.root() == fingerprint(0, 0) == index.fingerprint(0, 0)
    assert index.rank(bytes(40)) == 0
    assert index.expire(2**40) == 0
    assert bytes(40) not in index


@pytest.mark.parametrize(
    ("now", "ttl_seconds", "cut"),
    [(7_199, 3_600, 0), (7_200, 3_600, 3_600), (10_799, 3_600, 3_600), (100, 3_600, 0)],
)
def test_the_cut_falls_on_full_hours_and_never_below_zero(now: int, ttl_seconds: int, cut: int) -> None:
    assert expiry_cut(now, ttl_seconds) == cut


def test_an_index_takes_over_sorted_keys_and_adds_to_those_it_has() -> None:
    """The same object: a million keys are not sorted in again in the event loop."""
    shard, (first, *others) = Shard(CircleId(bytes(16)), 4), many_keys(50)
    index, sorted_keys = Index(), SortedKeys([first])
    index.load(shard, sorted_keys)
    assert index[shard] is sorted_keys
    index.load(shard, SortedKeys(others))
    assert index[shard] is sorted_keys and list(sorted_keys) == [first, *others]
