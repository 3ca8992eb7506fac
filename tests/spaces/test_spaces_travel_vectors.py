"""The committed vectors of how entries travel: what frames say, and frames that are refused (docs/spaces.md, "How entries travel")."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from p2pshare.envelope.entry import REAL, decode_entry
from p2pshare.envelope.payload import compress_frame
from p2pshare.errors import PeerError
from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.limits import ENTRY_BYTES_MAX, FRAME_BYTES_MAX
from p2pshare.spaces.entry_frames import (
    HEADS_BYTES_MAX,
    decode_entry_frame,
    decode_heads_frame,
    encode_entry_frame,
    frames_of,
)
from p2pshare.spaces.heads import HEADS_LISTED_MAX, AuthorHead, SpaceHeads, decode_heads

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).resolve().parent.parent / "vectors" / "travel.json").read_text(encoding="ascii")
)


def named(cases: list[dict[str, Any]]) -> dict[str, Any]:
    return {"argvalues": cases, "ids": [case["name"] for case in cases]}


def inflated(case: dict[str, Any]) -> bytes:
    return base64.b64decode(case["frame"], validate=True)


@pytest.mark.parametrize("case", **named(VECTORS["heads"]["golden"]))
def test_golden_heads(case: dict[str, Any]) -> None:
    heads = decode_heads_frame(compress_frame(inflated(case)))
    assert heads.encode() == inflated(case)
    assert (heads.realm.text, heads.space.text, heads.asks) == (case["realm"], case["space"], case["asks"])
    assert [[h.author.text, h.number, h.entry_id.text, h.shown] for h in heads.heads] == case["heads"]
    assert [[author.text, version] for author, version in heads.cards] == case["cards"]
    assert [one.text for one in heads.wanted] == case["wanted"]
    assert [one.text for one in heads.wanted_bodies] == case["wanted_bodies"]
    assert [one.text for one in heads.partners] == case["partners"]


@pytest.mark.parametrize("case", **named(VECTORS["heads"]["negative"]))
def test_heads_that_are_refused(case: dict[str, Any]) -> None:
    with pytest.raises(PeerError) as refusal:
        decode_heads_frame(compress_frame(inflated(case)))
    assert refusal.value.reason == case["reason"]


@pytest.mark.parametrize("case", **named(VECTORS["entries"]["golden"]))
def test_golden_entries(case: dict[str, Any]) -> None:
    frame = decode_entry_frame(compress_frame(inflated(case)))
    assert len(frame.cards) == case["cards"]
    assert [decode_entry(wire, REAL).entry_id.text for wire in frame.entries] == case["entries"]
    assert encode_entry_frame(frame.cards, frame.entries) == compress_frame(inflated(case))


@pytest.mark.parametrize("case", **named(VECTORS["entries"]["negative"]))
def test_entry_frames_that_are_refused(case: dict[str, Any]) -> None:
    with pytest.raises(PeerError) as refusal:
        decode_entry_frame(compress_frame(inflated(case)))
    assert refusal.value.reason == case["reason"]


def test_a_frame_that_would_inflate_beyond_its_limit_is_not_inflated() -> None:
    for decode, most in ((decode_entry_frame, FRAME_BYTES_MAX), (decode_heads_frame, HEADS_BYTES_MAX)):
        bomb = compress_frame(bytes(most + 1))
        assert len(bomb) < 2_000
        with pytest.raises(PeerError) as refusal:
            decode(bomb)  # type: ignore[operator]
        assert refusal.value.reason == "inflated-too-large"
        with pytest.raises(PeerError) as refusal:
            decode(b"not zstd")  # type: ignore[operator]
        assert refusal.value.reason == "bad-frame"


def test_lists_of_heads_and_entries_at_their_limits_and_one_above() -> None:
    space, author = EntryId(bytes([9]) * 32), PartnerId(bytes([1]) * 32)
    for count in (HEADS_LISTED_MAX, HEADS_LISTED_MAX + 1):
        ids = [EntryId(bytes(30) + number.to_bytes(2, "big")) for number in range(count)]
        heads = SpaceHeads(REAL, space, tuple(AuthorHead(author, 1, one) for one in ids))
        if count == HEADS_LISTED_MAX:
            assert decode_heads(heads.encode()) == heads
            assert len(heads.encode()) < HEADS_BYTES_MAX
        else:
            with pytest.raises(PeerError):
                decode_heads(heads.encode())
    assert decode_entry_frame(encode_entry_frame([], [bytes(ENTRY_BYTES_MAX)])).entries
    with pytest.raises(PeerError):
        decode_entry_frame(encode_entry_frame([], [bytes(ENTRY_BYTES_MAX + 1)]))


def test_what_fits_a_frame_is_in_one_and_the_cards_are_in_the_first() -> None:
    entries = [bytes([number]) * 200_000 for number in range(12)]
    frames = [decode_entry_frame(one) for one in frames_of([b"card"], entries)]
    assert [wire for frame in frames for wire in frame.entries] == entries
    assert [len(frame.cards) for frame in frames] == [1, *[0] * (len(frames) - 1)]
    assert len(frames) == 3
