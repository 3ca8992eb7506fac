"""The longest that anything held the only writer is known by its name: who waits must learn for what."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from p2pshare.daemon import run
from p2pshare.daemon.run import WriterThread
from p2pshare.database.connection import StoreFailed
from p2pshare.errors import DiskFull


def be_quick() -> None:
    """Takes no time."""


def take_long() -> None:
    time.sleep(0.05)


def fail_late() -> None:
    time.sleep(0.05)
    raise DiskFull("no room")


async def test_the_longest_call_is_told_by_its_name_whether_it_failed_or_not() -> None:
    with ThreadPoolExecutor(1) as pool:
        writer = WriterThread(pool, asyncio.Event())
        await writer(be_quick)
        assert writer.times.longest_call == "be_quick"
        with pytest.raises(DiskFull):
            await writer(fail_late)
        await writer(be_quick)
        assert writer.times.longest_call == "fail_late"
        assert writer.times.longest_seconds >= 0.05
        assert writer.times.over_limit == 0


async def test_a_call_above_the_limit_is_counted_and_logged_with_its_name_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(run, "WRITER_SECONDS_MAX", 0.01)
    with ThreadPoolExecutor(1) as pool, caplog.at_level(logging.WARNING):
        writer = WriterThread(pool, asyncio.Event())
        await writer.call("operation publish", lambda value: time.sleep(0.02), "secret.example")
        await writer(be_quick)
    assert (writer.times.over_limit, writer.times.longest_call) == (1, "operation publish")
    (line,) = (record.getMessage() for record in caplog.records)
    assert "operation publish" in line
    assert "secret" not in line


async def test_a_ping_waits_for_the_calls_before_it_and_its_round_trip_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(run, "WRITER_SECONDS_MAX", 0.08)
    held = threading.Event()
    with ThreadPoolExecutor(1) as pool, caplog.at_level(logging.WARNING):
        writer = WriterThread(pool, asyncio.Event())
        others = asyncio.gather(writer(held.wait), writer(take_long), writer(take_long))
        ping = asyncio.ensure_future(writer.ping(be_quick))
        await asyncio.sleep(0)
        held.set()
        await ping
        await others
    assert writer.times.longest_ping_seconds >= 0.1
    assert writer.times.over_limit == 0, "no call alone was too long"
    assert [record.getMessage().split(" came")[0] for record in caplog.records] == [
        "a ping of the store's writer"
    ]


async def test_what_was_before_the_start_is_not_told() -> None:
    with ThreadPoolExecutor(1) as pool:
        writer = WriterThread(pool, asyncio.Event())
        await writer(take_long)
        writer.forget_times()
        assert writer.times.longest_call == ""


async def test_a_disk_that_fails_beside_the_writer_ends_the_daemon_as_well() -> None:
    def fail() -> None:
        raise StoreFailed("the disk failed")

    stop = asyncio.Event()
    with ThreadPoolExecutor(1) as pool:
        writer = WriterThread(pool, stop)
        with pytest.raises(StoreFailed):
            await writer.beside(fail)
    assert stop.is_set()
    assert isinstance(writer.failure, StoreFailed)
