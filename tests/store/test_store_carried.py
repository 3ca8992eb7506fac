"""What is carried of each author: the sum is right after whatever comes, comes again, and expires."""

from __future__ import annotations

import sqlite3
import tempfile
from collections import Counter
from contextlib import closing
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from p2pshare.envelope.envelope import Mode
from p2pshare.identifiers import CircleId
from p2pshare.limits import EXPIRED_KEY_KEEP_SECONDS, TTL_SECONDS_BY_CLASS
from p2pshare.store.sqlite import open_store

DAY = 86_400
steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("come"),
            st.integers(0, 1),  # whose
            st.integers(1, 6),  # a number that may come twice
            st.sampled_from([1, 2]),  # ttl class
            st.sampled_from([Mode.RELAY, Mode.DIRECT]),
            st.booleans(),
        ),
        st.tuples(st.just("wait"), st.sampled_from([1, DAY, DAY + EXPIRED_KEY_KEEP_SECONDS, 8 * DAY])),
    ),
    max_size=14,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(steps=steps)
def test_the_sum_is_what_the_unexpired_envelopes_take(make, steps):
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "store.sqlite", free_space_bytes_min=0)
        now, sizes = make.now, {}
        for step in steps:
            if step[0] == "wait":
                now += step[1]
                store.expire(now)
            else:
                _, whose, number, ttl_class, mode, is_opened = step
                author = (make.alpha, make.bravo)[whose]
                one = make.envelope(
                    author=author,
                    sequence=number,
                    created=now,
                    ttl_class=ttl_class,
                    mode=mode,
                    opened=is_opened,
                )
                store.add_envelopes([one])
                circle = make.main if mode is Mode.RELAY else CircleId(bytes(16))
                key = (author, circle)
                sizes[one.envelope_id] = (key, len(one.wire), now + TTL_SECONDS_BY_CLASS[ttl_class])
            wanted = Counter()
            for key, size, expires in sizes.values():
                wanted[key] += size if expires > now else 0
            assert +Counter(store.carried()) == +wanted
        store.close()


def test_a_store_of_the_version_before_counts_what_it_carries(store_path, open_at, make):
    store = open_at()
    store.add_envelopes([make.envelope(sequence=1), make.envelope(sequence=2, author=make.bravo)])
    store.add_envelopes([make.envelope(sequence=3, ttl_class=1, created=make.now - DAY)])
    store.expire(make.now)
    wanted = store.carried()
    assert set(wanted) == {(make.alpha, make.main), (make.bravo, make.main)} and all(wanted.values())
    store.close()
    with closing(sqlite3.connect(store_path)) as old, old:
        old.executescript(
            """DROP TRIGGER envelope_carried; DROP TRIGGER envelope_dropped; DROP TABLE carried;
            DELETE FROM setting WHERE name = 'author_quota_bytes'; PRAGMA user_version = 14;"""
        )
    again = open_at()
    assert again.carried() == wanted
    assert again.setting("author_quota_bytes") == 1024 * 1024 * 1024
