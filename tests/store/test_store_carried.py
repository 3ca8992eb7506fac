"""What is carried of each author: the sum is right after whatever comes, comes again, and expires."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

from copies import memory_folder
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from stored_envelopes import store_envelopes

from p2pshare.envelope.envelope import Mode
from p2pshare.identifiers import CircleId
from p2pshare.limits import EXPIRED_KEY_KEEP_SECONDS, TTL_SECONDS_BY_CLASS
from p2pshare.node.store import open_store

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
@example(
    steps=[("come", 0, 1, 1, Mode.RELAY, False), ("come", 0, 1, 2, Mode.RELAY, False), ("wait", DAY)]
).via("scripts/nightly")
@given(steps=steps)
def test_the_sum_is_what_the_unexpired_envelopes_take(make, steps):
    with tempfile.TemporaryDirectory(dir=memory_folder()) as folder:
        store = open_store(Path(folder) / "store.sqlite", free_space_bytes_min=0)
        now, sizes = make.now, {}
        for step in steps:
            if step[0] == "wait":
                now += step[1]
                store.log.expire(now)
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
                    salt=str(ttl_class),  # an id is of the whole content: two classes are two envelopes
                )
                store_envelopes(store, [one])
                circle = make.main if mode is Mode.RELAY else CircleId(bytes(16))
                key = (author, circle)
                sizes[one.envelope_id] = (key, len(one.wire), now + TTL_SECONDS_BY_CLASS[ttl_class])
            wanted = Counter()
            for key, size, expires in sizes.values():
                wanted[key] += size if expires > now else 0
            assert +Counter(store.log.carried()) == +wanted
        store.close()
