"""Each rule of a kind of space as a story, in several orders, at once and entry by entry; and the vectors that are made of them."""

from __future__ import annotations

import base64
import json
import random
from pathlib import Path
from typing import Any

import pytest
from drawn_spaces import orders
from exercise_stories import EXERCISE_STORIES
from framework_stories import FRAMEWORK_STORIES
from incident_stories import INCIDENT_STORIES
from kind_stories import KindCheck, KindStory, at
from lab_stories import LAB_STORIES

from p2pshare.envelope.entry import decode_header, encode_header, entry_id_of
from p2pshare.spaces.canonical import canonical
from p2pshare.spaces.fold import SpaceFold
from p2pshare.spaces.vertex import SpaceEntry

KINDS = {
    "exercise": EXERCISE_STORIES,
    "framework": FRAMEWORK_STORIES,
    "incident": INCIDENT_STORIES,
    "lab": LAB_STORIES,
}
CASES = [
    pytest.param(story, number, id=f"{kind}: {story.name} [{number + 1}]")
    for kind, stories in KINDS.items()
    for story in stories
    for number in range(len(story.checks))
]
VECTORS: dict[str, dict[str, Any]] = {
    kind: json.loads(
        (Path(__file__).resolve().parent.parent / "vectors" / f"{kind}.json").read_text(encoding="ascii")
    )
    for kind in KINDS
}
WRITTEN = [
    pytest.param(story, id=f"{kind}: {story['name']}")
    for kind, vectors in VECTORS.items()
    for story in vectors["stories"]
]


def told_in_order(story: KindStory, check: KindCheck, draw: random.Random) -> SpaceFold:
    space = SpaceFold()
    for entry in orders({one: story.teller.entries[one] for one in check.known}, draw):
        space.add(entry)
        if draw.random() < 0.5:
            space.state()
    return space


@pytest.mark.parametrize(("story", "number"), CASES)
def test_a_story_is_told_as_written(story: KindStory, number: int) -> None:
    check = story.checks[number]
    wanted = None
    for seed in range(4):
        space = told_in_order(story, check, random.Random(seed))
        output = canonical(space.state())
        assert wanted in (None, output), "the same in any order"
        wanted = output
        state = json.loads(output)["state"]
        assert {place: at(state, place) for place in check.state} == check.state
        assert {one: code for one in check.known if (code := space.effect_of(one))} == check.void


@pytest.mark.parametrize("story", WRITTEN)
def test_golden_stories(story: dict[str, Any]) -> None:
    entries = []
    for row in story["entries"]:
        raw = base64.b64decode(row["header"], validate=True)
        content = None if row["content"] is None else base64.b64decode(row["content"], validate=True)
        entries.append(SpaceEntry(entry_id_of(raw), decode_header(raw), content))
    for check in story["checks"]:
        space = SpaceFold()
        for place in check["known"]:
            space.add(entries[place])
        assert canonical(space.state()).decode() == check["canonical"]
        void = {
            str(place): code for place in check["known"] if (code := space.effect_of(entries[place].entry_id))
        }
        assert void == check["void"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_vectors_are_the_stories(kind: str) -> None:
    stories = KINDS[kind]
    assert [story["name"] for story in VECTORS[kind]["stories"]] == [story.name for story in stories]
    for written, story in zip(VECTORS[kind]["stories"], stories, strict=True):
        headers = [base64.b64decode(row["header"]) for row in written["entries"]]
        assert headers == [encode_header(entry.header) for entry in story.teller.entries.values()]
