"""Faults of honest partners, as a literal table. Each function begins one, and returns how it ends.

Two faults may befall one partner at once; the state that they share is counted, so that the first to end does not end the
other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from p2pshare.identifiers import PartnerId
from simulator.memory_store import MemoryDisk
from simulator.simulated_node import SimulatedNode
from simulator.world import World

SKEW_SECONDS = 7_200.0
JUMPS_SECONDS = (
    8_640_000.0,
    90_000.0,
    7_200.0,
    -7_200.0,
    -90_000.0,
    -8_640_000.0,
)  # 100 days, 25 and 2 hours
ROOM_BYTES_MAX = 60_000  # left on a disk that fills up: less than one commit of a few bodies writes

Undo = Callable[[], None]
Begin = Callable[[World, SimulatedNode], Undo]


def _crash(world: World, node: SimulatedNode) -> Undo:
    """Stop the node in the middle of anything, and start it again from what was committed."""
    node.downs += 1
    world.stop(node)
    return lambda: _up(world, node)


def _lose_power(world: World, node: SimulatedNode) -> Undo:
    """Stop the machine: what was not synced is gone, or some of it is."""
    node.downs += 1
    world.stop(node, loses_power=True)
    return lambda: _up(world, node)


def _up(world: World, node: SimulatedNode) -> None:
    node.downs -= 1
    world.start(node)


def _restore(world: World, node: SimulatedNode) -> Undo:
    """Make a backup now; when the fault ends, set the disk back to it."""
    if node.opened is None or isinstance(node.disk, MemoryDisk):
        return _nothing
    name = node.disk.snapshot()

    def undo() -> None:
        world.set_back(node, name)

    return undo


def _skew(world: World, node: SimulatedNode) -> Undo:
    """Set the node's clock two hours off, one way or the other, while the node is down."""
    node.skew_seconds = world.random.choice([SKEW_SECONDS, -SKEW_SECONDS])
    world.stop(node)
    world.start(node)

    def undo() -> None:
        node.skew_seconds = 0.0
        world.stop(node)
        world.start(node)

    return undo


def _clock_jump(world: World, node: SimulatedNode) -> Undo:
    """Set the clock of a running node, some hours or days off, and later back again."""
    jump = world.random.choice(JUMPS_SECONDS)
    node.skew_seconds += jump

    def undo() -> None:
        node.skew_seconds -= jump

    return undo


def _disk_full(world: World, node: SimulatedNode) -> Undo:
    node.fulls += 1
    world.set_room(node)

    def undo() -> None:
        node.fulls -= 1
        world.set_room(node)

    return undo


def _fill_disk(world: World, node: SimulatedNode) -> Undo:
    """Leave room for a few writes more: one in the middle of a transaction finds none."""
    if node.disk.watched is None:
        return _nothing
    node.fillings += 1
    node.disk.watched.room_bytes = world.random.randrange(ROOM_BYTES_MAX)

    def undo() -> None:
        node.fillings -= 1
        if not node.fillings and node.disk.watched is not None:
            node.disk.watched.room_bytes = None

    return undo


def _fail_disk(world: World, node: SimulatedNode) -> Undo:
    """Have the next sync fail. The process has to end, what it had written since the last one may be lost, and the next life has
    a disk that is well again."""
    if node.disk.watched is None:
        return _nothing
    node.disk.watched.is_failing = True

    def undo() -> None:
        if node.disk.watched is not None:
            node.disk.watched.is_failing = False

    return undo


def _storm(world: World, node: SimulatedNode) -> Undo:
    """Answer everybody 429."""
    world.network.stormy[node.partner_id] += 1

    def undo() -> None:
        world.network.stormy[node.partner_id] -= 1

    return undo


def _cut(world: World, node: SimulatedNode) -> Undo:
    """Cut the node and one of its partners off from each other."""
    peer = _some_peer(world, node)
    return _count(world.network.cuts, [(node.partner_id, peer), (peer, node.partner_id)])


def _cut_one_way(world: World, node: SimulatedNode) -> Undo:
    """Keep the node from dialling one of its partners, which can dial it."""
    return _count(world.network.cuts, [(node.partner_id, _some_peer(world, node))])


def _isolate(world: World, node: SimulatedNode) -> Undo:
    """Cut the node off from all its partners."""
    here = node.partner_id
    pairs = [pair for peer in node.rows for pair in ((here, peer), (peer, here))]
    return _count(world.network.cuts, pairs)


def _slow(world: World, node: SimulatedNode) -> Undo:
    """Put two seconds and 10 kB/s between the node and one of its partners."""
    return _count(world.network.slow, [(node.partner_id, _some_peer(world, node))])


def _unlink(world: World, node: SimulatedNode) -> Undo:
    """Take one of the node's links out of its configuration, and put it back."""
    peer = _some_peer(world, node)
    return _reconfigured(world, node, peer, lambda row: replace(row, has_link=False))


def _drop_circle(world: World, node: SimulatedNode) -> Undo:
    """Have one of the node's links carry one circle less for a while."""
    peer = _some_peer(world, node)
    if peer not in node.rows:
        return _nothing
    dropped = world.random.choice(node.rows[peer].circles or ("main",))
    return _reconfigured(
        world,
        node,
        peer,
        lambda row: replace(row, circles=tuple(name for name in row.circles if name != dropped)),
    )


def _stranger(world: World, node: SimulatedNode) -> Undo:
    """Remove one partner from the node for a while: envelopes of that author are refused, and must come later all the same."""
    peer = world.random.choice(sorted(node.founded_rows))
    if peer not in node.rows:
        return _nothing
    world.forget(node, peer)
    return lambda: world.configure(node, peer, node.founded_rows[peer])


def _some_peer(world: World, node: SimulatedNode) -> PartnerId:
    linked = sorted(peer for peer, row in node.founded_rows.items() if row.has_link)
    return world.random.choice(linked)


def _reconfigured(world: World, node: SimulatedNode, peer: PartnerId, change: Callable[..., object]) -> Undo:
    if peer not in node.rows:
        return _nothing
    world.configure(node, peer, change(node.rows[peer]))  # type: ignore[arg-type]
    return lambda: world.configure(node, peer, node.founded_rows[peer])


def _count(counter: dict[tuple[PartnerId, PartnerId], int], pairs: list[tuple[PartnerId, PartnerId]]) -> Undo:
    for pair in pairs:
        counter[pair] += 1

    def undo() -> None:
        for pair in pairs:
            counter[pair] -= 1

    return undo


def _nothing() -> None:
    """Undo nothing: the fault could not begin."""


FAULTS: Mapping[str, Begin] = MappingProxyType(
    {
        "crash": _crash,
        "restore": _restore,
        "skew": _skew,
        "clock-jump": _clock_jump,
        "disk-full": _disk_full,
        "disk-fills": _fill_disk,
        "disk-fails": _fail_disk,
        "power-loss": _lose_power,
        "storm": _storm,
        "cut": _cut,
        "cut-one-way": _cut_one_way,
        "isolate": _isolate,
        "slow": _slow,
        "unlink": _unlink,
        "drop-circle": _drop_circle,
        "stranger": _stranger,
    }
)
