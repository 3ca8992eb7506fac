"""Keys that were seen: each is new once, in memory and on the disk alike."""

from __future__ import annotations

import os
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.database.seen_keys import SeenKeys

KEYS = st.binary(min_size=1, max_size=2)


@given(st.lists(st.tuples(st.lists(KEYS, max_size=20), st.booleans()), max_size=20), st.integers(0, 30))
def test_a_key_is_new_once_wherever_it_lies(
    batches: list[tuple[list[bytes], bool]], in_memory_max: int
) -> None:
    seen: set[bytes] = set()
    with closing(SeenKeys(bytes, in_memory_max)) as keys:
        for batch, is_asked in batches:
            expected = []
            for key in batch:
                expected.append(key not in seen)
                seen.add(key)
            if is_asked:
                assert keys.add(batch) == expected
            else:
                keys.update(batch)
            assert len(keys) == len(seen)


def test_what_lies_on_the_disk_has_no_name_and_is_gone_with_it() -> None:
    before = set(os.listdir("/var/tmp")) | set(os.listdir("/tmp"))
    with closing(SeenKeys(bytes, 10)) as keys:
        batch = [number.to_bytes(16, "big") for number in range(5_000)]
        assert all(keys.add(batch))
        assert not any(keys.add(batch))
        new = (set(os.listdir("/var/tmp")) | set(os.listdir("/tmp"))) - before
        assert not [name for name in new if name.startswith("etilqs")]


def test_it_grows_no_further_in_memory_than_it_is_told() -> None:
    with closing(SeenKeys(bytes, 1_000)) as keys:
        for begin in range(0, 20_000, 1_000):
            keys.add([number.to_bytes(16, "big") for number in range(begin, begin + 1_000)])
        assert len(keys) == 20_000
        assert keys.is_on_disk


@pytest.mark.parametrize("count", [0, 1])
def test_a_batch_of_none_or_one_is_no_special_case(count: int) -> None:
    with closing(SeenKeys(bytes, 0)) as keys:
        keys.add([b"a", b"b"])
        assert keys.add([b"c"][:count]) == [True][:count]
        assert keys.add([b"a"][:count]) == [False][:count]
