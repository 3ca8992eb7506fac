"""10,000 rewrites across the wall: what is played made to look real, what is real made to look like play. `scripts/rewrite-exercises` draws others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rewriting_campaign import Wall, rewrite

REWRITES = 10_000  # some 3 CPU s; the script draws others


@pytest.fixture(scope="module")
def wall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wall]:
    wall = Wall(tmp_path_factory.mktemp("wall"))
    yield wall
    wall.close()


def test_nothing_that_was_played_is_taken_in_as_real_and_nothing_real_as_play(wall: Wall) -> None:
    found = rewrite(wall, REWRITES, seed=18)
    assert found.tried == REWRITES
    assert found.taken_as_real == [] and found.taken_as_play == []
    assert set(found.reasons) >= {"wrong-realm", "bad-signature", "malformed", "wrong-circle", "not-a-member"}
    assert found.whole, "what both sides held before they hold, and nothing more"


def test_the_campaign_sees_a_wall_with_a_hole(wall: Wall) -> None:
    """A check that cannot fail is none: where signatures do not cover the realm it counts."""
    found = rewrite(wall, 200, seed=3, has_hole=True)
    assert found.taken_as_real and found.taken_as_play
