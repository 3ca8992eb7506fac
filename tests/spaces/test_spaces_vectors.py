"""The committed vectors of spaces: stories as a fold reads them, and headers that rules 13 to 16 refuse (docs/spaces.md)."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from space_stories import STORIES

from p2pshare.envelope.entry import (
    REAL,
    VerifiedEntry,
    decode_entry,
    decode_header,
    encode_header,
    entry_id_of,
)
from p2pshare.spaces.canonical import canonical
from p2pshare.spaces.entry_graph import EntryGraph
from p2pshare.spaces.fold import SpaceFold
from p2pshare.spaces.vertex import SpaceEntry

FOLDER = Path(__file__).resolve().parent.parent / "vectors"
SPACES: dict[str, Any] = json.loads((FOLDER / "space.json").read_text(encoding="ascii"))
ENTRIES: dict[str, Any] = json.loads((FOLDER / "entry.json").read_text(encoding="ascii"))


def bytes_of(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def entry_of(row: dict[str, Any]) -> SpaceEntry:
    header_raw = bytes_of(row["header"])
    content = None if row["content"] is None else bytes_of(row["content"])
    return SpaceEntry(entry_id_of(header_raw), decode_header(header_raw), content)


@pytest.mark.parametrize("story", SPACES["stories"], ids=[story["name"] for story in SPACES["stories"]])
def test_golden_stories(story: dict[str, Any]) -> None:
    entries = [entry_of(row) for row in story["entries"]]
    for check in story["checks"]:
        space = SpaceFold()
        for place in check["known"]:  # told in an order in which parents come first
            space.add(entries[place])
        state = space.state()
        assert (None if state.lead is None else state.lead.text) == check["lead"]
        assert list(state.term) == check["term"]
        assert {member.text: status for member, status in state.members.items()} == check["members"]
        assert canonical(state).decode() == check["canonical"]
        assert json.loads(check["canonical"])["state"]["closed"] == check["closed"]
        void = {
            str(place): code for place in check["known"] if (code := space.effect_of(entries[place].entry_id))
        }
        assert void == check["void"]


def test_the_vectors_are_the_stories() -> None:
    assert [story["name"] for story in SPACES["stories"]] == [story.name for story in STORIES]
    for written, story in zip(SPACES["stories"], STORIES, strict=True):
        headers = [bytes_of(row["header"]) for row in written["entries"]]
        assert headers == [encode_header(entry.header) for entry in story.teller.entries.values()]


@pytest.fixture
def short_space() -> EntryGraph:
    graph = EntryGraph()
    for case in ENTRIES["golden"][:3]:
        graph.add(SpaceEntry.of(VerifiedEntry(decode_entry(bytes_of(case["wire"]), REAL))))
    return graph


@pytest.mark.parametrize("case", ENTRIES["places"], ids=[case["name"] for case in ENTRIES["places"]])
def test_headers_that_follow_a_space_or_do_not(case: dict[str, Any], short_space: EntryGraph) -> None:
    assert short_space.refusal_of(decode_header(bytes_of(case["header"]))) == case["reason"]
