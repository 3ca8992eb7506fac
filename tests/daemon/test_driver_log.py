"""A partner chooses how often it misbehaves, not how much we write about it."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from whole_nodes import READERS, World

from p2pshare.daemon.driver import NOTES_PER_MINUTE_MAX, Driver
from p2pshare.daemon.run import WriterThread
from p2pshare.identifiers import PartnerId


async def test_a_flood_of_notes_is_cut_and_its_rest_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, peer, other = World(tmp_path), PartnerId(b"p" * 32), PartnerId(b"o" * 32)
    with ThreadPoolExecutor(1) as pool, caplog.at_level(logging.INFO, "p2pshare.daemon.driver"):
        driver = Driver(world.found("alpha"), WriterThread(pool, asyncio.Event()), READERS)
        monkeypatch.setattr(driver, "_now", lambda: 600.0)
        for _ in range(1_000):
            driver._log_note(peer, "announce-malformed")
        driver._log_note(other, "another partner is still heard")
        assert len(caplog.records) == NOTES_PER_MINUTE_MAX + 1
        monkeypatch.setattr(driver, "_now", lambda: 660.0)
        driver._log_note(peer, "announce-malformed")
        assert f"{1_000 - NOTES_PER_MINUTE_MAX} more notes" in caplog.text
        assert len(caplog.records) == NOTES_PER_MINUTE_MAX + 3
    world.close()
