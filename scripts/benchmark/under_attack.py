"""What a partner feels while another one asks the same node the dearest questions there are, as fast as it is let.

The node compares a million keys. The attacker opens comparison after comparison, each a full frame of fingerprints
that differ, and never waits when it is told to. An honest partner says hello fifty times a second meanwhile; the
measure is what its slowest hellos take, beside the same without the attack.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import multiprocessing
import random
import time
from pathlib import Path

from measuring import Report, percentile
from spreading import Whole

from p2pshare.errors import ShareError
from p2pshare.gossip import events
from p2pshare.gossip.messages import Hello, Shard, Sync, SyncPart
from p2pshare.gossip.negentropy.key_index import SortedKeys, key_of
from p2pshare.gossip.negentropy.negentropy_wire import Bound, MessageWriter, RangeMode
from p2pshare.gossip.protocol import HELLO, SYNC
from p2pshare.identifiers import CircleId, Epoch
from p2pshare.limits import SYNC_FRAME_BYTES_MAX
from p2pshare.node.home import CARD_FILE_NAME, KEY_FILE_NAME
from p2pshare.node.keyfile import read_identity
from p2pshare.peering.client import PeerAddress, PeerClient
from p2pshare.peering.tls import TlsGate

MAIN = Shard(CircleId.of("main"), 5)
ATTACKERS_TASKS = 8
HELLO_SECONDS = 0.02


def measure(report: Report, folder: Path, *, keys: int, hellos: int) -> None:
    quiet, attacked, sessions = asyncio.run(_measure(folder, keys, hellos))
    report.add("hello while nobody attacks, p99", "ms", [percentile(quiet, 0.99) * 1e3])
    report.add("hello while 8 tasks ask for all differences, p99", "ms", [percentile(attacked, 0.99) * 1e3])
    report.add("... comparisons the attacker opened meanwhile", "", [sessions])
    ratio = percentile(attacked, 0.99) / percentile(quiet, 0.99)
    report.gate("an honest partner's p99 under attack / alone", ratio, 2, is_at_least=False)


async def _measure(folder: Path, keys: int, hellos: int) -> tuple[list[float], list[float], int]:
    node, honest, attacker = (Whole(folder, name) for name in ("asked", "honest", "attacker"))
    for other in (honest, attacker):
        await node.trust(other)
    await node.start()
    index = _index(keys)
    node.driver._give(events.KeysLoaded(MAIN, index))
    gc.collect()
    gc.freeze()
    question = _dear_question(index)
    client = _client(honest.node.home, _address(node))
    await _hellos(client, 50)  # warm
    quiet = await _hellos(client, hellos)
    home, address = attacker.node.home, client.address
    process = multiprocessing.get_context("spawn").Process(
        target=_attack, args=(home, address, question), daemon=True
    )
    process.start()
    before = node.requests_seen
    while node.requests_seen < before + 10:  # noqa: ASYNC110 another process sets what is waited for
        await asyncio.sleep(0.05)
    seen = node.requests_seen
    attacked = await _hellos(client, hellos)
    seen = node.requests_seen - seen - hellos
    process.kill()
    await client.close()
    await node.end()
    gc.unfreeze()
    return quiet, attacked, seen


def _index(count: int) -> SortedKeys:
    chance, now = random.Random(1), int(time.time())
    return SortedKeys(
        sorted(key_of(now - chance.randrange(90 * 86_400), chance.randbytes(32)) for _ in range(count))
    )


def _dear_question(index: SortedKeys) -> bytes:
    """Ranges of 64 keys, each with a fingerprint that is not theirs."""
    writer = MessageWriter()
    for rank in range(64, len(index), 64):
        if len(writer.raw) > SYNC_FRAME_BYTES_MAX - 100:
            break
        writer.add(
            Bound.between(index.key_at(rank - 1), index.key_at(rank)), RangeMode.FINGERPRINT, bytes(16)
        )
    return bytes(writer.raw)


def _address(node: Whole) -> PeerAddress:
    card = node.node.identity.card
    return PeerAddress(card.partner_id, f"https://127.0.0.1:{node.port}", card.tls_certificates)


def _client(home: Path, address: PeerAddress) -> PeerClient:
    identity = read_identity(home / KEY_FILE_NAME, home / CARD_FILE_NAME)
    return PeerClient(TlsGate(identity.operational.tls), address)


async def _hellos(client: PeerClient, count: int) -> list[float]:
    seconds = []
    for _ in range(count):
        began = time.perf_counter()
        await client.ask(HELLO, Hello(Epoch(bytes(16)), int(time.time()), 1))
        seconds.append(time.perf_counter() - began)
        await asyncio.sleep(HELLO_SECONDS)
    return seconds


def _attack(home: Path, address: PeerAddress, question: bytes) -> None:
    """In a process of its own, as a partner is."""
    asyncio.run(_ask_for_ever(home, address, question))


async def _ask_for_ever(home: Path, address: PeerAddress, question: bytes) -> None:
    client = _client(home, address)
    await asyncio.gather(*(_ask(client, question) for _ in range(ATTACKERS_TASKS)))


async def _ask(client: PeerClient, question: bytes) -> None:
    while True:
        with contextlib.suppress(ShareError):
            await client.ask(SYNC, Sync(int(time.time()), b"", (SyncPart(MAIN, question),)))
