"""What must hold at the end of every simulated space, whatever befell it. Each returns what speaks against it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from types import MappingProxyType

from p2pshare.envelope.entry import VerifiedEntry
from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.spaces.acts import Inviting, Opening, decode_act
from p2pshare.spaces.canonical import canonical
from p2pshare.spaces.fold import fold
from p2pshare.spaces.travel import ASK_SECONDS
from p2pshare.spaces.vertex import SpaceEntry
from simulator.space_world import SpaceWorld

MINUTE = 60.0
COPIES_MAX = 3.0  # of an entry that was held already, for each that was new, in the worst world
COPIES_SPARE = 150  # ... and so many in a world in which little is written


def all_hold_the_same(world: SpaceWorld) -> list[str]:
    """Members that can reach each other hold the same entries."""
    found = []
    for group in world.groups():
        everything = set().union(*(set(world.held(one)) for one in group))
        for member in group:
            missing = everything - set(world.held(member))
            if missing:
                kinds = sorted(world.held_by_all()[one].header.kind for one in missing)
                found.append(f"{member.name} lacks {len(missing)}: {', '.join(kinds[:6])}")
    return found


def folds_are_equal(world: SpaceWorld) -> list[str]:
    """... and read the same in them, byte for byte; so does a fold of the set at once."""
    found = []
    for group in world.groups():
        outputs = {canonical(one.loaded[world.space].fold.state()) for one in group}
        if len(outputs) > 1:
            found.append(f"{len(outputs)} outputs of {' '.join(one.name for one in group)}")
        entries = [SpaceEntry.of(entry) for entry in group[0].disks[world.space].entries.values()]
        if canonical(fold(entries)) not in outputs:
            found.append(f"{group[0].name} folds otherwise at once")
    return found


def nothing_leaks(world: SpaceWorld) -> list[str]:
    """Who is no member holds nothing, who is outside an audience no body."""
    found = list(world.leaks)
    named = _ever_named(world.held_by_all())
    for member in world.members.values():
        for entry in member.disks[world.space].entries.values() if world.space in member.disks else ():
            header = entry.header
            if member.id not in named:
                found.append(f"{member.name}, whom nobody named, holds {header.kind}")
            if entry.body_fits() and header.audience and member.id not in (*header.audience, header.author):
                found.append(f"{member.name} holds the body of {entry.entry_id.short}")
    return found


def _ever_named(entries: Mapping[EntryId, VerifiedEntry]) -> set[PartnerId]:
    named: set[PartnerId] = set()
    for entry in entries.values():
        if entry.header.kind in ("open", "invite") and entry.body_fits():
            act = decode_act(entry.header.kind, entry.content())
            assert isinstance(act, Opening | Inviting)
            named |= dict(act.names).keys()
    return named


def the_living_lead(world: SpaceWorld) -> list[str]:
    """A majority that lives and is linked has another lead than the one that is gone, and all of it agree."""
    if world.lead_gone is None:
        return []
    leads = {one.loaded[world.space].fold.state().lead for one in world.persons.majority()}
    if len(leads) > 1 or world.lead_gone in leads or None in leads:
        return [f"the lead {world.names[world.lead_gone]} is gone, and the others have {len(leads)} leads"]
    return []


def the_removed_are_told(world: SpaceWorld) -> list[str]:
    """Who had joined and was removed, lives, and is a partner of a member, knows it, where nothing that was sent is lost."""
    if world.faults.loss or not world.faults.keeps:
        return []
    found = []
    for group in world.groups():
        members = {one.id for one in group}
        state = group[0].loaded[world.space].fold.state()
        joined = {vertex.author for vertex in state.timeline if vertex.kind == "join"}
        for member in world.members.values():
            if (
                member.id not in joined
                or member.is_dead
                or member.id in world.liars
                or state.members.get(member.id) != "removed"
            ):
                continue
            near = [one for one in group if member.id in one.partners]
            if not near or member.id in members or world.space not in member.loaded:
                continue
            if not any(
                vertex.kind == "remove" and vertex.has_effect and member.id in vertex.act.members  # type: ignore[union-attr]
                for vertex in member.loaded[world.space].fold.state().timeline
            ):
                found.append(f"{member.name} does not know that it was removed")
    return found


def heads_are_few(world: SpaceWorld) -> list[str]:
    """At most an envelope each 10 s from one to another, and one a minute but for questions."""
    found = []
    for (sender, to), times in world.tally.heads.items():
        pauses = [later - earlier for earlier, later in pairwise(times)]
        if pauses and min(pauses) < ASK_SECONDS - 0.001 and sender not in world.restarted:
            found.append(f"{world.names[sender]} told {world.names[to]} its heads after {min(pauses):.1f} s")
    return found


def little_comes_twice(world: SpaceWorld) -> list[str]:
    """Two that were apart send each other what is lacking, not everything."""
    new = sum(len(set(world.held(one))) for one in world.members.values())
    copies = sum(one.copies for one in world.members.values())
    return [f"{copies} copies for {new} entries"] if copies > COPIES_SPARE + COPIES_MAX * new else []


def the_honest_do_not_fork(world: SpaceWorld) -> list[str]:
    """But for who was set back to a backup."""
    numbers: dict[tuple[PartnerId, int], set[str]] = {}
    for entry in world.held_by_all().values():
        kinds = numbers.setdefault((entry.header.author, entry.header.number), set())
        kinds.add("join" if entry.header.kind == "join" else entry.entry_id.short)
    return [
        f"{world.names[author]} forked its number {number}"
        for (author, number), ids in numbers.items()
        if len(ids) > 1 and author not in world.liars and author not in world.restored
    ]


INVARIANTS: Mapping[str, Callable[[SpaceWorld], list[str]]] = MappingProxyType(
    {
        one.__name__: one
        for one in (
            all_hold_the_same,
            folds_are_equal,
            nothing_leaks,
            the_living_lead,
            the_removed_are_told,
            heads_are_few,
            little_comes_twice,
            the_honest_do_not_fork,
        )
    }
)
