"""Envelopes with real frames, read by the real extraction, for the tests of the store."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from copies import copy_of
from stored_envelopes import ReadEnvelope

from p2pshare.envelope.envelope import Core, Mode, SealedEnvelope
from p2pshare.envelope.payload import compress_frame
from p2pshare.envelope.recipient_number import RecipientNumber
from p2pshare.identifiers import CircleId, EnvelopeId, KeyId, PartnerId
from p2pshare.intel.extraction import extract
from p2pshare.intel.marking import TLP2_IDS, Tlp
from p2pshare.knowledge.interface import NewFrame
from p2pshare.log.interface import ContentState
from p2pshare.node.store import Store, StoreReading, open_store, reading_store

NOW = 1_800_000_000
US = 1_000_000
MAIN = CircleId.of("main")
OURSELVES = PartnerId(b"o" * 32)
ALPHA, BRAVO, CHARLIE = (PartnerId(letter * 32) for letter in (b"a", b"b", b"c"))


class Material:
    """Makes what the store takes. Same arguments, same bytes."""

    now = NOW
    main = MAIN
    ourselves, alpha, bravo, charlie = OURSELVES, ALPHA, BRAVO, CHARLIE

    @staticmethod
    def indicator(
        value: str = "198.51.100.7", *, name: str = "", tlp: Tlp = Tlp.GREEN, **more: Any
    ) -> dict[str, Any]:
        """A STIX indicator for one IPv4 address; `name` picks its id."""
        return {
            "type": "indicator",
            "spec_version": "2.1",
            "id": f"indicator--{uuid.uuid5(uuid.NAMESPACE_URL, name or value)}",
            "created": "2026-01-01T00:00:00.000Z",
            "modified": "2026-01-01T00:00:00.000Z",
            "pattern": f"[ipv4-addr:value = '{value}']",
            "pattern_type": "stix",
            "valid_from": "2026-01-01T00:00:00Z",
            "object_marking_refs": [TLP2_IDS[tlp]],
        } | more

    @staticmethod
    def frame(objects: Sequence[dict[str, Any]], floor: Tlp = Tlp.CLEAR) -> NewFrame:
        text = json.dumps(objects).encode()
        extraction = extract(text, floor=floor)
        assert not extraction.refusals.counts, extraction.refusals.counts
        return NewFrame(compress_frame(text), extraction.objects)

    @classmethod
    def envelope(
        cls,
        *objects: dict[str, Any],
        author: PartnerId = ALPHA,
        incarnation: int = 1,
        sequence: int = 1,
        received_from: PartnerId | None = BRAVO,
        mode: Mode = Mode.RELAY,
        created: int = NOW,
        ttl_class: int = 4,
        opened: bool = True,
        recipient_sequence: int | RecipientNumber | None = None,
        received_at: int = NOW,
        salt: str = "",
        floor: Tlp = Tlp.CLEAR,
        previous: bytes = bytes(32),
        **more: Any,
    ) -> ReadEnvelope:
        core = Core(
            1, author, KeyId(bytes(16)), incarnation, sequence, previous, MAIN, mode, created, ttl_class,
            bytes(16), bytes(32), 1, 256,
        )  # fmt: skip
        seed = repr((author, incarnation, sequence, created, mode, salt, objects))
        envelope_id = EnvelopeId(hashlib.sha256(seed.encode()).digest())
        return ReadEnvelope(
            SealedEnvelope(envelope_id, core, b"wire of " + seed.encode()),
            received_from,
            received_at,
            content=ContentState.READ if opened else ContentState.NOT_OURS,
            recipient_sequence=recipient_sequence,
            frames=(cls.frame(objects, floor),) if opened else None,
            **more,
        )

    @classmethod
    def envelope_of(cls, frame_json: bytes, **more: Any) -> ReadEnvelope:
        """An envelope with one frame of exactly these bytes."""
        extraction = extract(frame_json, floor=Tlp.CLEAR)
        frame = NewFrame(compress_frame(frame_json), extraction.objects)
        return replace(cls.envelope(salt=frame_json.decode(), **more), frames=(frame,))


@pytest.fixture(scope="session")
def make() -> type[Material]:
    return Material


@pytest.fixture
def store_path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


@pytest.fixture
def open_at(store_path: Path) -> Iterator[Callable[..., Store]]:
    """Opens the test's store (again); whatever is left open is closed at the end."""
    opened: list[Store] = []

    def open_it(**options: Any) -> Store:
        store = open_store(store_path, **({"free_space_bytes_min": 0} | options))
        opened.append(store)
        return store

    yield open_it
    for store in opened:
        store.close()


@pytest.fixture
def open_reading(store_path: Path) -> Iterator[Callable[[], StoreReading]]:
    """Opens the test's store read-only."""
    with ExitStack() as opened:
        yield lambda: opened.enter_context(reading_store(store_path))


@pytest.fixture
def store(open_at: Callable[..., Store], store_path: Path) -> Store:
    copy_of("our store", _make_store, store_path.parent)
    return open_at()


def _make_store(folder: Path) -> None:
    folder.mkdir()
    with closing(open_store(folder / "store.sqlite", free_space_bytes_min=0)) as store:
        store.partners.put_own(OURSELVES, "Ourselves")
