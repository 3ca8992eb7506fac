"""An envelope under a stolen key: whatever time its thief writes into it, only what its owner lists, or what came before, counts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from p2pshare.envelope.card_format import NOTHING_VOUCHED
from p2pshare.policy.vouching import PAGES_SECONDS, KnownRevocation, is_in_effect

SINCE = 1_800_000_000
NOTED = SINCE + 1_000
instants = st.integers(-3, 3).map(lambda by: SINCE + by) | st.integers(0, 2 * SINCE)
nows = st.sampled_from([NOTED, NOTED + PAGES_SECONDS - 1, NOTED + PAGES_SECONDS, NOTED + 10 * PAGES_SECONDS])
roots = st.sampled_from([NOTHING_VOUCHED, b"r" * 32])


def judged(
    root: bytes, now: int, created: int, received_at: int, *, expired: bool, listed: bool, all_pages: bool
) -> bool:
    return is_in_effect(
        KnownRevocation(SINCE, root, NOTED),
        now,
        created=created,
        received_at=received_at,
        has_expired=expired,
        is_listed=listed,
        has_all_pages=all_pages,
    )


@given(roots, nows, instants, instants, st.booleans(), st.booleans())
def test_what_its_owner_lists_is_in_effect_whatever_its_time(
    root: bytes, now: int, created: int, received_at: int, expired: bool, all_pages: bool
) -> None:
    assert judged(root, now, created, received_at, expired=expired, listed=True, all_pages=all_pages)


@given(roots, nows, instants, st.integers(SINCE, 2 * SINCE), st.booleans())
def test_what_came_after_the_theft_and_has_expired_is_out_whatever_time_it_names(
    root: bytes, now: int, created: int, received_at: int, all_pages: bool
) -> None:
    assert not judged(root, now, created, received_at, expired=True, listed=False, all_pages=all_pages)


@given(roots, nows, st.integers(0, SINCE - 1), st.integers(0, SINCE - 1), st.booleans())
def test_what_came_before_the_theft_and_has_expired_stays(
    root: bytes, now: int, created: int, received_at: int, all_pages: bool
) -> None:
    assert judged(root, now, created, received_at, expired=True, listed=False, all_pages=all_pages)


@given(roots, nows, instants, instants, st.booleans())
def test_what_is_not_listed_waits_for_pages_that_may_still_come_and_no_longer(
    root: bytes, now: int, created: int, received_at: int, all_pages: bool
) -> None:
    waits = root != NOTHING_VOUCHED and not all_pages and now < NOTED + PAGES_SECONDS
    found = judged(root, now, created, received_at, expired=False, listed=False, all_pages=all_pages)
    assert found == (waits and created < SINCE)
