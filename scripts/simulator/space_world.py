"""A world of members that write one space together, on virtual time: drawn from a seed, played, and then left in peace.

Not all members are partners of each other, so entries go through others. Messages are lost, doubled, late and out of order; members are
cut off, restart, are set back to a backup; a lead dies, or comes back after it was replaced; one forks and tells each half of its partners
another story, one keeps what it was given. Persons write notes, invite, remove, hand over, vote (`SpacePersons`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from random import Random

from p2pshare.envelope.entry import EntryDraft, VerifiedEntry
from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.spaces.acts import Inviting, Opening, Removal
from p2pshare.spaces.entry_graph import past_of
from p2pshare.spaces.fold import SpaceFold, fold
from p2pshare.spaces.heads import decode_heads
from p2pshare.spaces.vertex import SpaceEntry
from simulator.event_queue import EventQueue
from simulator.space_member import GREEN, Delivery, SpaceMember, partner_id, unsigned
from simulator.space_persons import SpacePersons
from simulator.trace import Trace

LATENCY_SECONDS = 0.05, 0.3
LATE_SECONDS_MEAN = 20.0  # of what is late
SETTLE_SECONDS = 6 * 3_600.0
LOOK_SECONDS = 600.0


@dataclass(frozen=True)
class SpaceFaults:
    """What befalls a world. Each number is drawn from the seed where a world is made (`drawn_faults`)."""

    loss: float = 0.0
    doubles: float = 0.0
    late: float = 0.0
    keeps: bool = True
    """What is for somebody who cannot be reached waits, as envelopes do for a week; else it is lost."""
    partitions: int = 0
    restarts: int = 0
    restores: int = 0
    lead_dies: bool = False
    lead_is_zombie: bool = False
    forker: bool = False
    withholder: bool = False


def drawn_faults(draw: Random) -> SpaceFaults:
    """Returns the faults of a world: each is missing from many."""
    lead = draw.choice(["", "", "dies", "zombie", "zombie"])
    return SpaceFaults(
        loss=draw.choice([0.0, 0.02, 0.1]),
        doubles=draw.choice([0.0, 0.05]),
        late=draw.choice([0.0, 0.1]),
        keeps=draw.random() < 0.5,
        partitions=draw.choice([0, 0, 1, 3]),
        restarts=draw.choice([0, 0, 2]),
        restores=draw.choice([0, 0, 0, 1]),
        lead_dies=lead == "dies",
        lead_is_zombie=lead == "zombie",
        forker=draw.random() < 0.3,
        withholder=draw.random() < 0.2,
    )


@dataclass
class SpaceTally:
    """What went over the network."""

    heads: dict[tuple[PartnerId, PartnerId], list[float]] = field(default_factory=dict)
    """When each sent an envelope with heads to the other."""
    entries: Counter[str] = field(default_factory=Counter)
    """Copies of entries `sent` and `lost`."""


class SpaceWorld:
    """A world of one seed. `run` plays it; `leaks` and the members say afterwards what became of it (`space_invariants`)."""

    def __init__(
        self,
        seed: int,
        *,
        faults: SpaceFaults | None = None,
        report: Callable[[str], None] | None = None,
        members: int | None = None,
        is_mesh: bool = False,
        seconds: float | None = None,
    ) -> None:
        self.seed = seed
        self.draw = draw = Random(seed)
        self.queue = EventQueue()
        self.trace = Trace(self.queue, report)
        self.faults = drawn_faults(draw) if faults is None else faults
        self.seconds = draw.choice([1_800.0, 3_600.0]) if seconds is None else seconds
        self.tally = SpaceTally()
        self.leaks: list[str] = []
        self.written: dict[EntryId, tuple[PartnerId, float, frozenset[PartnerId]]] = {}
        """Notes of honest members: by whom, when, and who had joined then."""
        self.is_peace = False
        self.settled_after: float | None = None
        self.lead_gone: PartnerId | None = None
        self.restored: set[PartnerId] = set()
        self.restarted: set[PartnerId] = set()
        count = draw.randint(3, 7) if members is None else members
        names = [f"m{number}" for number in range(count)]
        outsiders = [f"x{number}" for number in range(draw.randint(1, 2))]
        loses_lead = self.faults.lead_dies or self.faults.lead_is_zombie
        is_mesh = is_mesh or (loses_lead and draw.random() < 0.5)  # most can vote then
        links = dict(_links(names, outsiders, draw, is_mesh=is_mesh))
        self.names = {partner_id(name): name for name in (*names, *outsiders)}
        self.outsiders = frozenset(map(partner_id, outsiders))
        self.members = {
            partner_id(name): SpaceMember(
                name, map(partner_id, links[name]), Random(f"{seed} {name}"), self._send, self.queue.now
            )
            for name in (*names, *outsiders)
        }
        self.cut: Counter[frozenset[PartnerId]] = Counter()
        """Pairs that are cut off from each other, and by how many faults."""
        self._woken: dict[PartnerId, float] = {}
        self._kept: list[tuple[PartnerId, PartnerId, Delivery | tuple[bytes, ...]]] = []
        self._follow_all()
        self.opener = self.members[partner_id(names[0])]
        suspects = names[1:]
        draw.shuffle(suspects)
        self.forker = self.members[partner_id(suspects[0])] if self.faults.forker else None
        self.withholder = self.members[partner_id(suspects[1])] if self.faults.withholder else None
        self.liars = frozenset(one.id for one in (self.forker, self.withholder) if one is not None)
        self._twins: list[VerifiedEntry] = []
        invited = [one for one in self.opener.partners if one not in self.outsiders]
        self.space = self.opener.open("a simulated notebook", sorted(invited), self.queue.now)
        self.wanted_members = frozenset(map(partner_id, names))
        self.persons = SpacePersons(self)
        self.touch(self.opener)

    # --- playing -----------------------------------------------------------------------------------

    def run(self) -> None:
        """Play until all that can be the same is the same, or no time is left."""
        start = self.queue.now
        self.persons.begin()
        self._plan_faults()
        self.queue.run_until(start + self.seconds)
        self._make_peace()
        while self.queue.now < start + self.seconds + SETTLE_SECONDS:
            self.queue.run_until(self.queue.now + LOOK_SECONDS)
            if not self.persons.is_voting() and self.is_settled():
                self.settled_after = self.queue.now - start - self.seconds
                break
        for member in self.members.values():
            member.folded(self.space, self.queue.now + 60)
        self.trace.note("end", b"".join(sorted(self.held_by_all())))

    def is_settled(self) -> bool:
        return all(len({frozenset(self.held(one)) for one in group}) == 1 for group in self.groups())

    def touch(self, member: SpaceMember) -> None:
        """Have a member do what is due, and wake it when more is."""
        if not member.is_up:
            return
        wake = member.work(self.queue.now)
        if (
            wake < self._woken.get(member.id, float("inf"))
            or self._woken.get(member.id, 0.0) <= self.queue.now
        ):
            self._woken[member.id] = wake
            if wake < float("inf"):
                self.queue.after(wake - self.queue.now, lambda: self._wake(member, wake))

    def _wake(self, member: SpaceMember, at: float) -> None:
        if self._woken.get(member.id) == at:
            self.touch(member)

    # --- who holds what ----------------------------------------------------------------------------

    def held(self, member: SpaceMember) -> Iterable[EntryId]:
        disk = member.disks.get(self.space)
        return () if disk is None else disk.entries.keys()

    def held_by_all(self) -> dict[EntryId, VerifiedEntry]:
        """Returns every entry that anybody holds, with its body where anybody has that."""
        found: dict[EntryId, VerifiedEntry] = {}
        for member in self.members.values():
            for entry_id, entry in (
                member.disks[self.space].entries.items() if self.space in member.disks else ()
            ):
                if entry_id not in found or entry.body_fits():
                    found[entry_id] = entry
        return found

    def groups(self) -> list[list[SpaceMember]]:
        """Returns the honest members that can reach each other: in each group all are members by what the group holds together,
        and linked by honest ones of it."""
        honest = [one for one in self.members.values() if not one.is_dead and one.id not in self.liars]
        todo = [[one for one in honest if self.space in one.loaded]]
        found = []
        while todo:
            group = todo.pop()
            joined = self._joined_by(group)
            parts = list(_parts([one for one in group if one.id in joined]))
            if len(parts) == 1 and len(parts[0]) == len(group):
                found.append(group)
            else:
                todo += parts
        return found

    def _joined_by(self, group: Iterable[SpaceMember]) -> set[PartnerId]:
        together: dict[EntryId, VerifiedEntry] = {}
        for member in group:
            together |= member.disks[self.space].entries
        if not together:
            return set()
        state = fold(SpaceEntry.of(entry) for entry in together.values())
        return {member for member, status in state.members.items() if status in ("joined", "forked")}

    # --- network -----------------------------------------------------------------------------------

    def _send(self, sender: SpaceMember, to: PartnerId, message: Delivery | tuple[bytes, ...]) -> None:
        if isinstance(message, Delivery) and sender.id not in self.liars:
            self._look_for_leaks(sender, to, message)
        if sender is self.withholder and isinstance(message, Delivery):
            own = tuple(entry for entry in message.entries if entry.header.author == sender.id)
            message = Delivery(message.space, (), own)
        self.deliver(sender, to, message)

    def deliver(self, sender: SpaceMember, to: PartnerId, message: Delivery | tuple[bytes, ...]) -> None:
        """Have a message arrive: once, twice, late or never."""
        draw = self.draw
        if isinstance(message, Delivery):
            what = f"{len(message.entries)} entries"
            self.tally.entries["sent"] += len(message.entries)
        else:
            what = f"{len(message)} heads"
            self.tally.heads.setdefault((sender.id, to), []).append(self.queue.now)
        self.trace.note(f"{sender.name} > {self.names[to]} {what}")
        if self.cut[frozenset((sender.id, to))]:
            self._keep_back(sender.id, to, message)
            return
        if not self.is_peace and draw.random() < self.faults.loss:
            return
        times = 2 if not self.is_peace and draw.random() < self.faults.doubles else 1
        for _ in range(times):
            delay = draw.uniform(*LATENCY_SECONDS)
            if not self.is_peace and draw.random() < self.faults.late:
                delay += draw.expovariate(1 / LATE_SECONDS_MEAN)
            self.queue.after(delay, lambda: self._arrive(sender.id, self.members[to], message))

    def _arrive(self, sender: PartnerId, member: SpaceMember, message: Delivery | tuple[bytes, ...]) -> None:
        if member.is_up:
            member.hear(sender, message, decode_heads, self.queue.now)
            self.touch(member)
        elif not member.is_dead:
            self._keep_back(sender, member.id, message)

    def _keep_back(self, sender: PartnerId, to: PartnerId, message: Delivery | tuple[bytes, ...]) -> None:
        """Keep what cannot arrive until it can, or lose it."""
        if self.faults.keeps:
            self._kept.append((sender, to, message))
        elif isinstance(message, Delivery):
            self.tally.entries["lost"] += len(message.entries)

    def _hand_over_kept(self) -> None:
        """Have what was kept arrive, where nothing is in its way any more."""
        kept, self._kept = self._kept, []
        for sender, to, message in kept:
            if self.cut[frozenset((sender, to))] or not self.members[to].is_up:
                self._kept.append((sender, to, message))
            else:
                delay = self.draw.uniform(*LATENCY_SECONDS)
                self.queue.after(
                    delay,
                    lambda one=(sender, to, message): self._arrive(one[0], self.members[one[1]], one[2]),  # type: ignore[misc]
                )

    def _look_for_leaks(self, sender: SpaceMember, to: PartnerId, delivery: Delivery) -> None:
        """Ask of each entry whether it may go there, by the sender's own state, in words of their own."""
        loaded = sender.loaded.get(delivery.space)
        part: set[EntryId] | None = set() if loaded is None else _part_of(loaded.fold, to)
        for entry in delivery.entries:
            header = entry.header
            if entry.body_fits() and header.audience and to not in (*header.audience, header.author):
                self.leaks.append(f"{sender.name} hands {self.names[to]} the body of {entry.entry_id.short}")
            if header.author == sender.id and header.kind == "join" and to not in self.outsiders:
                continue  # answers an invitation, of which its author may know nothing else yet
            if part is not None and entry.entry_id not in part:
                self.leaks.append(f"{sender.name} hands {self.names[to]}, who may not have it, {header.kind}")

    # --- faults ------------------------------------------------------------------------------------

    def _follow_all(self) -> None:
        for member in self.members.values():
            linked = [
                one
                for one in member.partners
                if one in self.members
                and self.members[one].is_up
                and member.id in self.members[one].partners
                and not self.cut[frozenset((one, member.id))]
            ]
            if member.is_up and frozenset(linked) != member.linked:
                member.follow(linked, self.queue.now)

    def cut_off(self, side: Iterable[PartnerId], seconds: float) -> None:
        """Cut some from all others for a while."""
        some = set(side)
        pairs = [frozenset((one, other)) for one in some for other in self.members if other not in some]
        self.trace.note("cut off " + " ".join(sorted(self.names[one] for one in some)))
        for pair in pairs:
            self.cut[pair] += 1
        self._follow_all()
        self.queue.after(seconds, lambda: self._mend(pairs))

    def _mend(self, pairs: Iterable[frozenset[PartnerId]]) -> None:
        if self.is_peace:
            return
        for pair in pairs:
            self.cut[pair] -= 1
        self.trace.note("mended")
        self._follow_all()
        self._hand_over_kept()
        for member in self.members.values():
            self.touch(member)

    def stop(self, member: SpaceMember, seconds: float | None) -> None:
        """End a process; it is started again after so many seconds, or never."""
        if not member.is_up:
            return
        self.trace.note(f"stop {member.name}")
        member.is_up = False
        member.is_dead = seconds is None
        self._follow_all()
        if seconds is not None:
            self.queue.after(seconds, lambda: self._start(member))

    def _start(self, member: SpaceMember) -> None:
        self.trace.note(f"start {member.name}")
        member.is_up = True
        self._woken.pop(member.id, None)
        member.linked = frozenset()
        self.restarted.add(member.id)
        member.start(self.queue.now)
        self._follow_all()
        self._hand_over_kept()
        self.touch(member)

    def _restore(self, member: SpaceMember) -> None:
        """Note a backup now, and set the disk back to it later."""
        kept = {space: disk.copy() for space, disk in member.disks.items()}

        def set_back() -> None:
            if member.is_up:
                self.restored.add(member.id)
                self.stop(member, 30.0)
                member.disks = {space: disk.copy() for space, disk in kept.items()}

        self.queue.after(self.draw.uniform(300, 1_200), set_back)

    def _plan_faults(self) -> None:
        draw, faults, ids = self.draw, self.faults, sorted(self.members)
        ordinary = [one for one in ids if one not in self.liars and one not in self.outsiders]

        def at(act: Callable[[], None], first: float = 0.1, last: float = 0.9) -> None:
            self.queue.after(draw.uniform(first, last) * self.seconds, act)

        for _ in range(faults.partitions):
            side = draw.sample(ids, draw.randint(1, len(ids) // 2))
            at(lambda side=side: self.cut_off(side, draw.uniform(120, 900)))  # type: ignore[misc]
        for _ in range(faults.restarts):
            member = self.members[draw.choice(ids)]
            at(lambda member=member: self.stop(member, draw.uniform(5, 300)))  # type: ignore[misc]
        for _ in range(faults.restores):
            member = self.members[draw.choice(ordinary)]
            at(lambda member=member: self._restore(member), last=0.6)  # type: ignore[misc]
        if faults.forker:
            for _ in range(draw.randint(1, 3)):
                at(self._fork)
        if faults.lead_dies:
            at(lambda: self._lose_lead(for_good=True), first=0.4, last=0.7)
        if faults.lead_is_zombie:
            at(lambda: self._lose_lead(for_good=False), first=0.4, last=0.6)

    def _lose_lead(self, *, for_good: bool) -> None:
        lead = self.persons.lead_by_most()
        if lead is None or self.lead_gone is not None:
            return
        self.lead_gone = lead
        self.trace.note(f"the lead is gone: {self.names[lead]}")
        if for_good:
            self.stop(self.members[lead], None)
        else:
            self.cut_off([lead], 2_000.0)
            self.queue.after(
                self.draw.uniform(60, 600), lambda: self.persons.remove_everybody(self.members[lead])
            )

    def _fork(self) -> None:
        """Write two entries under one number, and tell each half of the partners another one."""
        liar = self.forker
        assert liar is not None
        if not liar.is_up or self.space not in liar.loaded:
            return
        one = liar.say(self.space, "note", b"one story", self.queue.now)
        if one is None:
            return
        header = one.header
        follows = [
            twin for twin in self._twins if twin.entry_id in header.parents or self.draw.random() < 0.5
        ][-1:]
        draft = EntryDraft(
            header.realm,
            header.space,
            liar.id,
            header.number,
            header.parents,
            header.depth,
            header.created,
            "note",
            GREEN,
        )
        twin = unsigned(draft, b"another story", self.draw.randbytes(16))
        if follows:  # the other branch goes on
            before = follows[0].header
            draft = EntryDraft(
                header.realm, header.space, liar.id, before.number + 1, (follows[0].entry_id,), before.depth + 1,
                header.created, "note", GREEN,
            )  # fmt: skip
            twin = unsigned(draft, b"it goes on", self.draw.randbytes(16))
        self._twins.append(twin)
        partners = sorted(one for one in liar.partners if one not in self.outsiders)
        for partner in partners[: (len(partners) + 1) // 2]:
            self.deliver(liar, partner, Delivery(self.space, (), (twin,)))
        self.touch(liar)

    def _make_peace(self) -> None:
        self.is_peace = True
        self.trace.note("peace")
        self.cut.clear()
        for member in self.members.values():
            if not member.is_up and not member.is_dead:
                self._start(member)
        self._follow_all()
        self._hand_over_kept()
        for member in self.members.values():
            self.touch(member)


def _links(
    names: list[str], outsiders: list[str], draw: Random, *, is_mesh: bool
) -> Iterator[tuple[str, set[str]]]:
    """Yields each name with its partners: the members are connected, in a line, a tree with some links more, or all with all."""
    pairs: set[frozenset[str]] = set()
    shape = "mesh" if is_mesh else draw.choice(["line", "some", "some", "mesh"])
    for number, name in enumerate(names[1:], start=1):
        before = names[number - 1] if shape == "line" else draw.choice(names[:number])
        pairs.add(frozenset((name, before)))
        for other in names[:number]:
            if shape == "mesh" or (shape == "some" and draw.random() < 0.3):
                pairs.add(frozenset((name, other)))
    for name in outsiders:
        pairs |= {frozenset((name, other)) for other in draw.sample(names, min(2, len(names)))}
    for name in (*names, *outsiders):
        yield name, {other for pair in pairs if name in pair for other in pair if other != name}


def _part_of(fold: SpaceFold, to: PartnerId) -> set[EntryId] | None:
    """Returns what a partner may have that has not joined, or no more; None: it may have all."""
    state = fold.newest_state
    if state is None or to not in state.members:
        return set()
    if state.members[to] in ("joined", "forked"):
        return None
    part = {state.opening.entry_id}
    for vertex in state.timeline:
        if isinstance(vertex.act, Opening | Inviting) and to in dict(vertex.act.names):
            part.add(vertex.entry_id)
        is_end = vertex.author == to and vertex.kind in ("leave", "decline")
        if is_end or (isinstance(vertex.act, Removal) and to in vertex.act.members):
            before = past_of(vertex.parents)
            part.add(vertex.entry_id)
            if any(one.kind == "join" and one.author == to for one in before) or to == state.opening.author:
                part |= {one.entry_id for one in before}
    return part


def _parts(members: list[SpaceMember]) -> Iterator[list[SpaceMember]]:
    """Yields the members that partnerships connect."""
    left = {one.id: one for one in members}
    while left:
        stack = [left.pop(min(left))]
        part = []
        while stack:
            one = stack.pop()
            part.append(one)
            stack += [left.pop(other) for other in sorted(one.partners & left.keys())]
        yield part
