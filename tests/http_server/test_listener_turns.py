"""How often a handshake may begin: strangers share a rate, each known address has its own."""

from __future__ import annotations

import asyncio

import pytest

from p2pshare.http_server.interface import ServerLimits
from p2pshare.http_server.listener import TURNS_KEPT_MAX, Turns

LIMITS = ServerLimits(
    connections_per_caller=1,
    requests_per_second=1,
    bytes_per_second=1,
    items_per_second=1,
    body_bytes_max=1,
    large_bodies_per_caller=1,
    strangers_per_second=10,
    known_per_second=5,
)


async def begun_at_once(turns: Turns, known_address: str | None, wanted: int) -> int:
    """How many of `wanted` handshakes begin within a twentieth of a second."""
    waiting = [asyncio.ensure_future(turns.wait(known_address)) for _ in range(wanted)]
    await asyncio.sleep(0.05)
    begun = sum(one.done() for one in waiting)
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    return begun


@pytest.mark.parametrize(("known_address", "burst"), [(None, 20), ("192.0.2.1", 10)])
async def test_a_crowd_waits_and_keeps_no_other_address_waiting(
    known_address: str | None, burst: int
) -> None:
    turns = Turns(LIMITS)
    assert await begun_at_once(turns, known_address, 100) in range(burst, burst + 2)
    assert await begun_at_once(turns, "192.0.2.2", 1) == 1
    assert await begun_at_once(turns, None if known_address else "192.0.2.3", 1) == 1


async def test_those_who_give_up_take_no_turn_from_those_who_wait() -> None:
    turns = Turns(LIMITS)
    for _ in range(5):
        await begun_at_once(turns, None, 100)
    async with asyncio.timeout(0.5):
        await turns.wait(None)


async def test_addresses_without_end_take_no_memory_without_end() -> None:
    turns = Turns(LIMITS)
    for number in range(TURNS_KEPT_MAX + 50):
        await turns.wait(f"10.0.{number // 256}.{number % 256}")
    assert len(turns._lines) == TURNS_KEPT_MAX
