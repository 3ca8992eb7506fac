"""A disk that fails to sync ends the daemon: nothing is retried on a store whose content is unknown."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from p2pshare.daemon.run import WriterThread
from p2pshare.database.connection import StoreFailed
from p2pshare.errors import DiskFull


def fail() -> None:
    raise StoreFailed("fsync failed")


def be_full() -> None:
    raise DiskFull("no room")


async def test_a_failed_sync_sets_stop_and_keeps_the_first_error() -> None:
    stop = asyncio.Event()
    with ThreadPoolExecutor(1) as pool:
        writer = WriterThread(pool, stop)
        with pytest.raises(StoreFailed):
            await writer(fail)
        first = writer.failure
        with pytest.raises(StoreFailed):
            await writer(fail)
    assert stop.is_set()
    assert first is not None
    assert writer.failure is first


async def test_a_full_disk_is_no_reason_to_end() -> None:
    stop = asyncio.Event()
    with ThreadPoolExecutor(1) as pool:
        writer = WriterThread(pool, stop)
        with pytest.raises(DiskFull):
            await writer(be_full)
        assert await writer(int, 3) == 3
    assert not stop.is_set()
    assert writer.failure is None
