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
from simulator.simulated_node import Site
from simulator.world import World

SKEW_SECONDS = 7_200.0

Undo = Callable[[], None]
Begin = Callable[[World, Site], Undo]


def _crash(world: World, site: Site) -> Undo:
    """Stops in the middle of whatever it does, and starts again from what was committed."""
    site.downs += 1
    world.stop(site)
    return lambda: _up(world, site)


def _up(world: World, site: Site) -> None:
    site.downs -= 1
    world.start(site)


def _restore(world: World, site: Site) -> Undo:
    """A backup is made now; when the fault ends, the disk is set back to it."""
    if site.node is None or isinstance(site.disk, MemoryDisk):
        return _nothing
    name = site.disk.snapshot()

    def undo() -> None:
        world.set_back(site, name)

    return undo


def _skew(world: World, site: Site) -> Undo:
    """Its clock is two hours off, one way or the other. A clock is read anew at each start."""
    site.skew_seconds = world.random.choice([SKEW_SECONDS, -SKEW_SECONDS])
    world.stop(site)
    world.start(site)

    def undo() -> None:
        site.skew_seconds = 0.0
        world.stop(site)
        world.start(site)

    return undo


def _disk_full(world: World, site: Site) -> Undo:
    site.fulls += 1
    world.tell_room(site)

    def undo() -> None:
        site.fulls -= 1
        world.tell_room(site)

    return undo


def _storm(world: World, site: Site) -> Undo:
    """It answers everybody 429."""
    world.wires.stormy[site.partner_id] += 1

    def undo() -> None:
        world.wires.stormy[site.partner_id] -= 1

    return undo


def _cut(world: World, site: Site) -> Undo:
    """Nobody reaches one of its partners, nor that partner it."""
    peer = _some_peer(world, site)
    return _count(world.wires.cuts, [(site.partner_id, peer), (peer, site.partner_id)])


def _cut_one_way(world: World, site: Site) -> Undo:
    """It cannot dial one of its partners, who can dial it."""
    return _count(world.wires.cuts, [(site.partner_id, _some_peer(world, site))])


def _isolate(world: World, site: Site) -> Undo:
    """Nobody reaches it, it reaches nobody."""
    here = site.partner_id
    pairs = [pair for peer in site.rows for pair in ((here, peer), (peer, here))]
    return _count(world.wires.cuts, pairs)


def _slow(world: World, site: Site) -> Undo:
    """Two seconds and 10 kB/s between it and one of its partners."""
    return _count(world.wires.slow, [(site.partner_id, _some_peer(world, site))])


def _unlink(world: World, site: Site) -> Undo:
    """It takes one of its links out of its configuration, and puts it back."""
    peer = _some_peer(world, site)
    return _reconfigured(world, site, peer, lambda row: replace(row, has_link=False))


def _drop_circle(world: World, site: Site) -> Undo:
    """One of its links carries one circle less for a while."""
    peer = _some_peer(world, site)
    if peer not in site.rows:
        return _nothing
    dropped = world.random.choice(site.rows[peer].circles or ("main",))
    return _reconfigured(
        world,
        site,
        peer,
        lambda row: replace(row, circles=tuple(name for name in row.circles if name != dropped)),
    )


def _stranger(world: World, site: Site) -> Undo:
    """It does not know one partner for a while: what that one wrote is refused, and must come later all the same."""
    peer = world.random.choice(sorted(site.founded_rows))
    if peer not in site.rows:
        return _nothing
    world.forget(site, peer)
    return lambda: world.configure(site, peer, site.founded_rows[peer])


def _some_peer(world: World, site: Site) -> PartnerId:
    linked = sorted(peer for peer, row in site.founded_rows.items() if row.has_link)
    return world.random.choice(linked)


def _reconfigured(world: World, site: Site, peer: PartnerId, change: Callable[..., object]) -> Undo:
    if peer not in site.rows:
        return _nothing
    world.configure(site, peer, change(site.rows[peer]))  # type: ignore[arg-type]
    return lambda: world.configure(site, peer, site.founded_rows[peer])


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
