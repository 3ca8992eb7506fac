"""What a partner may cost: content made to burn time or memory, the room for the deferred, many cards."""

from __future__ import annotations

import json
import random
import tracemalloc
import uuid
from typing import Any

import pytest
import zstandard
from whole_nodes import (
    NOW,
    World,
    befriend,
    publish,
    quiet,
    raw_draft,
    seal_unchecked,
    send,
    take_in,
    wire_of,
)

from p2pshare.database import interned
from p2pshare.envelope.keys import reissue_card
from p2pshare.envelope.payload import compress_frame
from p2pshare.errors import DiskFull
from p2pshare.identifiers import EnvelopeId
from p2pshare.intel.extraction import extract
from p2pshare.intel.marking import TLP2_IDS, Tlp
from p2pshare.knowledge import knowledge
from p2pshare.knowledge.chunk import Chunk
from p2pshare.limits import FRAME_CLAIMS_MAX, INFLATED_BYTES_MAX, MIB, PATTERN_OBSERVABLES_MAX
from p2pshare.node.node import Node
from p2pshare.policy import content_cost
from p2pshare.sharing import partners, stix_reader, storing
from p2pshare.sharing.content import Content
from p2pshare.sharing.drafting import DraftPart
from p2pshare.sharing.exchange import Exchange
from p2pshare.sharing.intake import Arrival, IntakeStatus, retry_deferred
from p2pshare.sharing.partners import apply_card_update, load_roster


def pattern_of(values: int) -> dict[str, Any]:
    """An indicator whose pattern names this many values in few bytes."""
    names = ",".join(f"'m{number}'" for number in range(values))
    return {
        "type": "indicator",
        "spec_version": "2.1",
        "id": f"indicator--{uuid.uuid4()}",
        "created": "2026-01-01T00:00:00Z",
        "modified": "2026-01-01T00:00:00Z",
        "pattern": f"[mutex:name IN ({names})]",
        "pattern_type": "stix",
        "valid_from": "2026-01-01T00:00:00Z",
    }


def linked(world: World, *names: str) -> list[Node]:
    """The first partner trusts all others, and each of them the first."""
    first, *others = [world.found(name) for name in names]
    for other in others:
        befriend(first, other)
        befriend(other, first)
    return [first, *others]


# --- time ------------------------------------------------------------------------------------------


def test_frames_that_fail_at_their_last_byte_do_not_inflate_for_nothing() -> None:
    """4,096 of them in one envelope of 8 MiB took the only writing thread for 13 minutes."""
    compressor = zstandard.ZstdCompressor(write_content_size=True, write_checksum=True)
    whole = compressor.compress(
        random.Random(1).randbytes(INFLATED_BYTES_MAX // 128) + bytes(INFLATED_BYTES_MAX // 8)
    )
    damaged = whole[:-1] + bytes([whole[-1] ^ 1])
    read = Content([damaged] * 9, Tlp.GREEN)
    assert list(read) == []
    assert read.refused == {"content-bad-frame": 7, "content-inflated-too-large": 2}


def test_a_damaged_frame_costs_the_good_one_behind_it_nothing_but_its_own_size() -> None:
    compressor = zstandard.ZstdCompressor(write_content_size=True, write_checksum=True)
    whole = compressor.compress(bytes(MIB))
    read = Content([whole[:-1] + bytes([whole[-1] ^ 1]), raw_draft([pattern_of(1)]).frames[0]], Tlp.GREEN)
    assert [len(frame.objects) for frame in read] == [1]


def test_an_envelope_with_more_claims_than_any_honest_one_is_read_up_to_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(content_cost, "ENVELOPE_CLAIMS_MAX", 25)
    frames = [compress_frame(json.dumps([pattern_of(10)]).encode()) for _ in range(4)]
    frames += [compress_frame(json.dumps([pattern_of(1)]).encode())]
    read = Content(frames, Tlp.GREEN)
    assert [sum(len(one.claims) for one in frame.objects) for frame in read] == [10, 10, 0, 0, 1]
    assert read.refused == {"frame-too-many-claims": 2}


# --- marking -----------------------------------------------------------------------------------------


def test_rows_beyond_the_bounds_are_counted_once_however_often_their_frame_is_begun() -> None:
    frame = raw_draft([pattern_of(1)]).frames[0]
    counts = []
    for is_begun in (False, True):
        read = Content([frame], Tlp.GREEN, is_begun=is_begun)
        for _ in read:
            assert not read.take_rows(read.bounds.rows)
        counts.append(read.refused)
    assert counts == [{"content-too-many-claims": 1}, {}]


def test_a_part_labelled_looser_than_what_is_in_it_does_not_leave(world: World) -> None:
    """P19: parts come over the control socket, and their label decided alone who gets a TLP:RED object."""
    alpha, _ = linked(world, "alpha", "bravo")
    red = pattern_of(1) | {"object_marking_refs": [TLP2_IDS[Tlp.RED]]}
    for tlp in (Tlp.CLEAR, Tlp.AMBER_STRICT):
        part = raw_draft([pattern_of(1), red], tlp)
        report = publish(
            alpha, [part], names=["bravo"], ttl_class=4, is_dry_run=False, now=NOW, progress=quiet
        )
        assert (report.published, report.envelopes) == (0, [])
        assert report.refusals.counts == {"stricter-than-part": 2}
    assert alpha.store.log.counts().held == 0


# --- memory ----------------------------------------------------------------------------------------


def test_patterns_that_name_a_million_values_in_one_frame_are_refused_beyond_the_limit() -> None:
    full, left = divmod(FRAME_CLAIMS_MAX, PATTERN_OBSERVABLES_MAX)
    objects = [pattern_of(PATTERN_OBSERVABLES_MAX) for _ in range(full)]
    objects += [pattern_of(left), pattern_of(2), pattern_of(1)]
    extraction = extract(json.dumps(objects).encode(), floor=Tlp.GREEN)
    assert sum(len(one.claims) for one in extraction.objects) == FRAME_CLAIMS_MAX + 1  # one alone is no list
    assert extraction.refusals.counts == {"frame-too-many-claims": 1}


def test_a_chunk_is_measured_in_claims_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    chunks: list[int] = []

    class Noted(Chunk):
        def store(self) -> None:
            chunks.append(len(self._frames))
            super().store()

    monkeypatch.setattr(knowledge, "Chunk", Noted)
    monkeypatch.setattr(storing, "STORE_CHUNK_OBJECTS", 30)
    monkeypatch.setattr(stix_reader, "SLICE_ROWS", 30)
    alpha, bravo = linked(world, "alpha", "bravo")
    frames = tuple(raw_draft([pattern_of(20)]).frames[0] for _ in range(4))
    envelope = send_frames(alpha, frames)
    assert chunks == [2, 2], "what we publish"
    chunks.clear()
    arrival = Arrival(wire_of(alpha, envelope), alpha.identity.partner_id)
    assert take_in(bravo, [arrival], NOW)[0].status is IntakeStatus.HELD
    assert chunks == [2, 2], "what we read"


def send_frames(node: Node, frames: tuple[bytes, ...]) -> EnvelopeId:
    part = DraftPart(Tlp.GREEN, frames, len(frames))
    report = publish(node, [part], names=["bravo"], ttl_class=4, is_dry_run=False, now=NOW, progress=quiet)
    return report.envelopes[0]


def test_what_frames_inflate_to_is_not_held_until_there_is_enough_to_be_written(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames of blanks hold no object, so they never fill a chunk: an envelope of a few KB would take 256 MiB."""
    alpha, bravo = linked(world, "alpha", "bravo")
    size, count = 4 * MIB, 12
    monkeypatch.setattr(content_cost, "INFLATED_BYTES_MIN", size * count + 1024)
    part = DraftPart(Tlp.GREEN, (compress_frame(b"[" + b" " * size + b"]"),) * count, 0)
    arrival = Arrival(seal_unchecked(alpha, part, bravo), alpha.identity.partner_id)
    tracemalloc.start()
    try:
        [verdict] = take_in(bravo, [arrival], NOW)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert verdict.status is IntakeStatus.HELD
    assert not bravo.store.partners.refusals()
    assert size < peak < size * count / 2


def test_an_author_who_makes_every_type_its_own_does_not_fill_our_memory(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interned, "REMEMBERED_MAX", 4)
    (node,) = linked(world, "alpha")
    with node.store.transaction():
        types = node.store.database.interned(interned.Interned[str], "object_type", "name")
        first = [types.id_of(f"x-{number}") for number in range(11)]
        assert len(types._ids) <= 4
        assert [types.id_of(f"x-{number}") for number in range(11)] == first
        assert len(set(first)) == 11


# --- the room for what is deferred -----------------------------------------------------------------


def test_one_partner_cannot_fill_the_room_for_deferred_envelopes(world: World) -> None:
    alpha, bravo, charlie = linked(world, "alpha", "bravo", "charlie")
    store = alpha.store
    with store.transaction():
        for number in range(4):
            kept = store.log.defer(
                EnvelopeId(bytes([number]) * 32), bytes(6 * MIB), bravo.identity.partner_id, NOW + 3600
            )
            assert kept == (number < 2)
    early = send(charlie, ["198.51.100.7"], to=["alpha"], now=NOW + 900).envelopes[0]
    arrival = Arrival(wire_of(charlie, early), charlie.identity.partner_id)
    assert take_in(alpha, [arrival], NOW)[0].status is IntakeStatus.DEFERRED


def test_a_full_disk_when_deferred_envelopes_come_due_loses_none(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They were taken out in a transaction of their own: a failure behind it lost them for good."""
    alpha, bravo = linked(world, "alpha", "bravo")
    early = send(bravo, ["198.51.100.7"], to=["alpha"], now=NOW + 900).envelopes[0]
    arrival = Arrival(wire_of(bravo, early), bravo.identity.partner_id)
    assert take_in(alpha, [arrival], NOW)[0].status is IntakeStatus.DEFERRED
    monkeypatch.setattr(alpha.store.database, "free_space_bytes_min", 1 << 62)
    with pytest.raises(DiskFull):
        retry_deferred(alpha, NOW + 901)
    exchange = Exchange(alpha)
    assert exchange.sweep(NOW + 901).held == (), "it waits on, and the sweep does not fail"
    monkeypatch.setattr(alpha.store.database, "free_space_bytes_min", 0)
    assert [one.item.envelope_id for one in exchange.sweep(NOW + 902).held] == [early]


# --- cards -----------------------------------------------------------------------------------------


def test_a_partner_that_renews_its_card_again_and_again_is_remembered_once(world: World) -> None:
    alpha, mallory = linked(world, "alpha", "mallory")
    identity, before = mallory.identity, len(partners._believed)
    for number in range(1, 4):
        identity = reissue_card(identity, NOW + number, urls=[f"https://mallory{number}.example:8443"])
        assert apply_card_update(alpha, identity.partner_id, identity.card.raw, NOW + number)
        entry = load_roster(alpha).get(identity.partner_id)
        assert entry is not None and entry.card.version == number + 1
    assert len(partners._believed) == before
