"""Time that a start may take: a store of an older version is brought forward in it, and systemd would give up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from p2pshare.daemon.service_manager import notify

PATIENCE_SECONDS = (
    30.0  # asked for at once, and again well before it is over; systemd gives up after TimeoutStartSec= else
)
PATIENCE_SECONDS_MAX = (
    6 * 3_600.0
)  # by then a start has hung: the largest store is brought forward in minutes


@asynccontextmanager
async def asked_for_patience() -> AsyncIterator[None]:
    """Have the service manager wait for what runs inside, in another thread, as long as the event loop lives; the first request goes out
    after a third of PATIENCE_SECONDS, so that a quick start asks for nothing."""
    asking = asyncio.create_task(_ask_for_patience())
    try:
        yield
    finally:
        asking.cancel()


async def _ask_for_patience() -> None:
    for _ in range(int(3 * PATIENCE_SECONDS_MAX / PATIENCE_SECONDS)):
        await asyncio.sleep(PATIENCE_SECONDS / 3)
        notify(f"EXTEND_TIMEOUT_USEC={int(PATIENCE_SECONDS * 1_000_000)}\nSTATUS=opening the store")
