"""Each rule of labs as a story, in several orders, at once and entry by entry; and the vectors that are made of them."""

from __future__ import annotations

import base64
import json
import random
from pathlib import Path
from typing import Any

import pytest
from drawn_spaces import orders
from lab_stories import LAB_STORIES, LabCheck, LabStory

from p2pshare.envelope.entry import decode_header, encode_header, entry_id_of
from p2pshare.spaces.canonical import canonical
from p2pshare.spaces.fold import SpaceFold
from p2pshare.spaces.vertex import SpaceEntry

CASES = [(story, number) for story in LAB_STORIES for number in range(len(story.checks))]
VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).resolve().parent.parent / "vectors" / "lab.json").read_text(encoding="ascii")
)


def at(state: Any, place: str) -> Any:
    """Returns the value at a place like `rules.0.status`; None beyond the end of a list."""
    for key in place.split("."):
        if isinstance(state, list):
            state = state[int(key)] if int(key) < len(state) else None
        else:
            state = state[key]
    return state


def told_in_order(story: LabStory, check: LabCheck, draw: random.Random) -> SpaceFold:
    space = SpaceFold()
    for entry in orders({one: story.teller.entries[one] for one in check.known}, draw):
        space.add(entry)
        if draw.random() < 0.5:
            space.state()
    return space


@pytest.mark.parametrize(
    ("story", "number"), CASES, ids=[f"{story.name} [{number + 1}]" for story, number in CASES]
)
def test_a_story_of_a_lab_is_told_as_written(story: LabStory, number: int) -> None:
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


@pytest.mark.parametrize("story", VECTORS["stories"], ids=[story["name"] for story in VECTORS["stories"]])
def test_golden_stories_of_labs(story: dict[str, Any]) -> None:
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


def test_the_vectors_of_labs_are_the_stories() -> None:
    assert [story["name"] for story in VECTORS["stories"]] == [story.name for story in LAB_STORIES]
    for written, story in zip(VECTORS["stories"], LAB_STORIES, strict=True):
        headers = [base64.b64decode(row["header"]) for row in written["entries"]]
        assert headers == [encode_header(entry.header) for entry in story.teller.entries.values()]
