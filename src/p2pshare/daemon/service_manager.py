"""A few words with systemd, when it started us: sd_notify(3) and the watchdog's period.

`Type=notify` waits for READY=1; a reload is RELOADING=1 with the monotonic clock and READY=1 again; the
watchdog kills what does not ping. Elsewhere NOTIFY_SOCKET is unset and every call does nothing.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

PATIENCE_SECONDS = (
    30.0  # asked for at once, and again well before it is over; systemd gives up after TimeoutStartSec= else
)
PATIENCE_SECONDS_MAX = (
    6 * 3_600.0
)  # by then a start has hung: the largest store is brought forward in minutes


def notify(state: str) -> None:
    """Tell the service manager `state` (lines of KEY=VALUE). A manager that is gone is no error of ours."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):  # the abstract namespace: sd_notify(3)
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as connection:
        try:
            connection.sendto(state.encode(), address)
        except OSError:
            return


def notify_reloading() -> None:
    """Tell the service manager that a reload began; `notify("READY=1")` ends it."""
    notify(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")


def watchdog_seconds() -> float | None:
    """Returns how often the watchdog wants a ping (half its period), or None where none watches this process."""
    period, watched = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not period.isdigit() or (watched and watched != str(os.getpid())):
        return None
    return int(period) / 2_000_000


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
