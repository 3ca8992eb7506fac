"""Faults: what may befall an honest partner, as a literal table. Each begins, and gives back how it ends.

Two faults may befall one partner at once; whatever they share is counted, so that the first to end does not
end the other.
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

Undo = Callable[[], None]
Begin = Callable[[World, SimulatedNode], Undo]


def _crash(world: World, simulated: SimulatedNode) -> Undo:
    """Stops in the middle of whatever it does, and starts again from what was committed."""
    simulated.downs += 1
    world.stop(simulated)
    return lambda: _up(world, simulated)


def _up(world: World, simulated: SimulatedNode) -> None:
    simulated.downs -= 1
    world.start(simulated)


def _restore(world: World, simulated: SimulatedNode) -> Undo:
    """A backup is made now; when the fault ends, the disk is set back to it."""
    if simulated.node is None or isinstance(simulated.disk, MemoryDisk):
        return _nothing
    name = simulated.disk.snapshot()

    def undo() -> None:
        world.set_back(simulated, name)

    return undo


def _skew(world: World, simulated: SimulatedNode) -> Undo:
    """Its clock is two hours off, one way or the other. A clock is read anew at each start."""
    simulated.skew_seconds = world.random.choice([SKEW_SECONDS, -SKEW_SECONDS])
    world.stop(simulated)
    world.start(simulated)

    def undo() -> None:
        simulated.skew_seconds = 0.0
        world.stop(simulated)
        world.start(simulated)

    return undo


def _disk_full(world: World, simulated: SimulatedNode) -> Undo:
    simulated.fulls += 1
    world.report_room(simulated)

    def undo() -> None:
        simulated.fulls -= 1
        world.report_room(simulated)

    return undo


def _storm(world: World, simulated: SimulatedNode) -> Undo:
    """It answers everybody 429."""
    world.network.stormy[simulated.partner_id] += 1

    def undo() -> None:
        world.network.stormy[simulated.partner_id] -= 1

    return undo


def _cut(world: World, simulated: SimulatedNode) -> Undo:
    """Nobody reaches one of its partners, nor that partner it."""
    peer = _some_peer(world, simulated)
    return _count(world.network.cuts, [(simulated.partner_id, peer), (peer, simulated.partner_id)])


def _cut_one_way(world: World, simulated: SimulatedNode) -> Undo:
    """It cannot dial one of its partners, who can dial it."""
    return _count(world.network.cuts, [(simulated.partner_id, _some_peer(world, simulated))])


def _isolate(world: World, simulated: SimulatedNode) -> Undo:
    """Nobody reaches it, it reaches nobody."""
    here = simulated.partner_id
    pairs = [pair for peer in simulated.rows for pair in ((here, peer), (peer, here))]
    return _count(world.network.cuts, pairs)


def _slow(world: World, simulated: SimulatedNode) -> Undo:
    """Two seconds and 10 kB/s between it and one of its partners."""
    return _count(world.network.slow, [(simulated.partner_id, _some_peer(world, simulated))])


def _unlink(world: World, simulated: SimulatedNode) -> Undo:
    """It takes one of its links out of its configuration, and puts it back."""
    peer = _some_peer(world, simulated)
    return _reconfigured(world, simulated, peer, lambda row: replace(row, has_link=False))


def _drop_circle(world: World, simulated: SimulatedNode) -> Undo:
    """One of its links carries one circle less for a while."""
    peer = _some_peer(world, simulated)
    if peer not in simulated.rows:
        return _nothing
    dropped = world.random.choice(simulated.rows[peer].circles or ("main",))
    return _reconfigured(
        world,
        simulated,
        peer,
        lambda row: replace(row, circles=tuple(name for name in row.circles if name != dropped)),
    )


def _stranger(world: World, simulated: SimulatedNode) -> Undo:
    """It does not know one partner for a while: what that one wrote is refused, and must come later all the same."""
    peer = world.random.choice(sorted(simulated.founded_rows))
    if peer not in simulated.rows:
        return _nothing
    world.forget(simulated, peer)
    return lambda: world.configure(simulated, peer, simulated.founded_rows[peer])


def _some_peer(world: World, simulated: SimulatedNode) -> PartnerId:
    linked = sorted(peer for peer, row in simulated.founded_rows.items() if row.has_link)
    return world.random.choice(linked)


def _reconfigured(
    world: World, simulated: SimulatedNode, peer: PartnerId, change: Callable[..., object]
) -> Undo:
    if peer not in simulated.rows:
        return _nothing
    world.configure(simulated, peer, change(simulated.rows[peer]))  # type: ignore[arg-type]
    return lambda: world.configure(simulated, peer, simulated.founded_rows[peer])


def _count(counter: dict[tuple[PartnerId, PartnerId], int], pairs: list[tuple[PartnerId, PartnerId]]) -> Undo:
    for pair in pairs:
        counter[pair] += 1

    def undo() -> None:
        for pair in pairs:
            counter[pair] -= 1

    return undo


def _nothing() -> None:
    """It was not there to be befallen."""


FAULTS: Mapping[str, Begin] = MappingProxyType(
    {
        "crash": _crash,
        "restore": _restore,
        "skew": _skew,
        "disk-full": _disk_full,
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
