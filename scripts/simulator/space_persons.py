"""What the persons of a simulated space do: write, invite their partners, hand over, remove, and vote when the lead is silent.

Each decides by what its own node shows it, and by nothing else; that the lead is silent all know by other ways.
"""

from __future__ import annotations

from random import Random
from typing import Protocol

from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.spaces.acts import Ack, Handover, Inviting, Plain, Redaction, Removal, Takeover
from p2pshare.spaces.fold import SpaceState
from p2pshare.spaces.vertex import Vertex
from simulator.event_queue import EventQueue
from simulator.space_member import SpaceMember
from simulator.trace import Trace

NOTE_SECONDS_MEAN = 150.0
LEAD_SECONDS_MEAN = 240.0
JOIN_SECONDS = 5.0, 60.0
VOTE_SECONDS = 60.0, 180.0
SILENT_SECONDS = 240.0  # before somebody proposes itself
ROUND_SECONDS = 600.0  # before a proposal without its majority is followed by a higher round
VOTING_SECONDS_MAX = 4 * 3_600.0
NOTHING = Plain().encode()


class PersonsWorld(Protocol):
    """What persons live in (`space_world`): its clock and chance, its members, and what befell them."""

    draw: Random
    queue: EventQueue
    trace: Trace
    members: dict[PartnerId, SpaceMember]
    outsiders: frozenset[PartnerId]
    liars: frozenset[PartnerId]
    wanted_members: frozenset[PartnerId]
    space: EntryId
    is_peace: bool
    lead_gone: PartnerId | None
    written: dict[EntryId, tuple[PartnerId, float, frozenset[PartnerId]]]

    def touch(self, member: SpaceMember) -> None: ...

    def groups(self) -> list[list[SpaceMember]]: ...


class SpacePersons:
    """The persons at the members of a world."""

    def __init__(self, world: PersonsWorld) -> None:
        self._world = world
        self._silent_since: float | None = None
        self._proposed_at: dict[PartnerId, float] = {}
        self.notes = 0

    def begin(self) -> None:
        for member in self._world.members.values():
            if member.id not in self._world.outsiders:
                self._again(member, self._write, NOTE_SECONDS_MEAN)
                self._again(member, self._lead, LEAD_SECONDS_MEAN)
                self._join_later(member)
                self._vote_later(member)

    # --- what is known to a person -----------------------------------------------------------------

    def _state(self, member: SpaceMember) -> SpaceState | None:
        return member.folded(self._world.space, self._world.queue.now)

    def lead_by_most(self) -> PartnerId | None:
        """Returns the lead by the members that have the most entries, where it is honest."""
        world = self._world
        members = [one for one in world.members.values() if world.space in one.loaded]
        most = max(members, key=lambda one: (len(one.loaded[world.space].fold), one.id))
        state = most.loaded[world.space].fold.newest_state
        lead = None if state is None else state.lead
        return None if lead is None or lead in world.liars else lead

    # --- what it does ------------------------------------------------------------------------------

    def _again(self, member: SpaceMember, act, mean: float) -> None:  # type: ignore[no-untyped-def]
        def do() -> None:
            if self._world.is_peace:
                return
            if member.is_up and self._world.space in member.loaded:
                act(member)
                self._world.touch(member)
            self._again(member, act, mean)

        self._world.queue.after(self._world.draw.expovariate(1 / mean), do)

    def _say(self, member: SpaceMember, kind: str, content: bytes = NOTHING, **how: object) -> EntryId | None:
        world = self._world
        entry = member.say(world.space, kind, content, world.queue.now, **how)  # type: ignore[arg-type]
        if entry is None:
            return None
        world.trace.note(f"{member.name} writes {kind} {entry.entry_id.short}")
        return entry.entry_id

    def _write(self, member: SpaceMember) -> None:
        draw, world = self._world.draw, self._world
        state = self._state(member)
        if state is None or state.members.get(member.id) not in ("joined", "forked"):
            return
        self.notes += 1
        audience: tuple[PartnerId, ...] = ()
        if draw.random() < 0.15:
            audience = tuple(sorted(draw.sample(sorted(state.members), min(2, len(state.members)))))
        own = [v for v in state.timeline if v.author == member.id and v.kind == "note"]
        if own and draw.random() < 0.04:
            self._say(member, "redact", Redaction(draw.choice(own).entry_id).encode())
            return
        if draw.random() < 0.02 and state.lead != member.id:
            self._say(member, "leave")
            return
        note = self._say(member, "note", f"note {self.notes} of {member.name}".encode(), audience=audience)
        if note is not None and member.id not in world.liars:
            joined = frozenset(one for one, how in state.members.items() if how == "joined")
            world.written[note] = member.id, world.queue.now, joined

    def _lead(self, member: SpaceMember) -> None:
        """Do what only a lead may: bring in partners, hand over to who has others, remove, close."""
        draw, world = self._world.draw, self._world
        state = self._state(member)
        if state is None or state.lead != member.id:
            if state is not None and self._offered(state, member) is not None:
                self._say(member, "accept")
            return
        missing = [
            one
            for one in sorted(member.partners & world.wanted_members)
            if state.members.get(one) not in ("joined", "invited")
            and (state.members.get(one) != "removed" or draw.random() < 0.4)
        ]
        joined = sorted(one for one, how in state.members.items() if how == "joined" and one != member.id)
        if missing and draw.random() < 0.8:
            self._say(member, "invite", Inviting(tuple((one, "") for one in missing)).encode())
        elif joined and draw.random() < 0.5:
            self._say(member, "handover", Handover(draw.choice(joined)).encode())
        elif joined and draw.random() < 0.3:
            self._say(member, "remove", Removal((draw.choice(joined),)).encode())
        else:
            self._say(member, draw.choice(["close", "reopen", "merge"]))

    def remove_everybody(self, lead: SpaceMember) -> None:
        """What a lead does that is cut off, and thinks that the others are against it."""
        state = self._state(lead)
        if state is None or not lead.is_up:
            return
        others = tuple(sorted(one for one in state.members if one != lead.id))
        if others:
            self._say(lead, "remove", Removal(others).encode())
        for _ in range(3):
            self._say(lead, "note", b"alone")
        self._world.touch(lead)

    def _offered(self, state: SpaceState, member: SpaceMember) -> Vertex | None:
        offers = [
            vertex
            for vertex in state.timeline
            if isinstance(vertex.act, Handover) and vertex.act.to == member.id and vertex.author == state.lead
        ]
        return offers[-1] if offers else None

    def _join_later(self, member: SpaceMember) -> None:
        world = self._world

        def join() -> None:
            if member.is_up and world.space in member.disks:
                state = self._state(member)
                if member.id not in world.outsiders and (
                    world.space not in member.loaded
                    or (state is not None and state.members.get(member.id) == "invited")
                ):
                    member.join(world.space, world.queue.now)
                    world.touch(member)
            if not world.is_peace:
                self._join_later(member)

        world.queue.after(world.draw.uniform(*JOIN_SECONDS), join)

    # --- voting ------------------------------------------------------------------------------------

    def is_voting(self) -> bool:
        """Returns whether the living members go on voting: they have a majority, and it has not led to a new lead everywhere."""
        world = self._world
        if world.lead_gone is None or not self.majority():
            return False
        if world.queue.now - (self._silent_since or world.queue.now) > VOTING_SECONDS_MAX:
            return False
        return any(self._leads(one) in (None, world.lead_gone) for one in self.majority())

    def majority(self) -> list[SpaceMember]:
        """Returns the members that can take over without the lead that is gone: honest, not forked (as one that was set back to a backup may
        be: it has no vote), linked to each other without it, and more than half of all that it, or anybody, ever named."""
        world = self._world
        gone = world.lead_gone
        for group in world.groups():
            forked = {
                id_
                for one in group
                for id_, status in one.loaded[world.space].fold.state().members.items()
                if status == "forked"
            }
            living = [one for one in group if one.id != gone and one.id not in forked]
            named = {one for member in living for one in member.loaded[world.space].fold.state().members} | {
                one.id for one in living
            }
            if len({one.id for one in living} & named) * 2 > len(named) and _is_connected(living):
                return living
        return []

    def _leads(self, member: SpaceMember) -> PartnerId | None:
        state = member.loaded[self._world.space].fold.newest_state
        return None if state is None else state.lead

    def _vote_later(self, member: SpaceMember) -> None:
        world = self._world

        def vote() -> None:
            if world.lead_gone is not None and member.is_up and world.space in member.loaded:
                self._vote(member, world.lead_gone)
                world.touch(member)
            self._vote_later(member)

        world.queue.after(world.draw.uniform(*VOTE_SECONDS), vote)

    def _vote(self, member: SpaceMember, gone: PartnerId) -> None:
        now = self._world.queue.now
        if self._silent_since is None:
            self._silent_since = now
        state = self._state(member)
        if member.id == gone or state is None or state.lead not in (None, gone):
            return
        if state.members.get(member.id) != "joined" or now - self._silent_since < SILENT_SECONDS:
            return
        if now - self._silent_since > VOTING_SECONDS_MAX:
            return
        epoch = state.term[0] + 1
        proposals = [
            (vertex, vertex.act)
            for vertex in state.timeline
            if isinstance(vertex.act, Takeover) and vertex.act.epoch == epoch
        ]
        votes = [vertex.act.takeover for vertex in state.timeline if isinstance(vertex.act, Ack)]
        newest = max((act.round for _, act in proposals), default=0)
        best = sorted(
            (vertex for vertex, act in proposals if act.round == newest),
            key=lambda vertex: (-votes.count(vertex.entry_id), vertex.author),
        )
        is_late = now - self._proposed_at.get(member.id, 0.0) > ROUND_SECONDS
        removals = [vertex.entry_id for vertex in state.heads if isinstance(vertex.act, Removal)]
        for vertex in best:
            voted = any(
                one.author == member.id
                for one in state.timeline
                if isinstance(one.act, Ack) and one.act.takeover == vertex.entry_id
            )
            if vertex.author == member.id or voted:
                break
            if self._say(member, "ack", Ack(vertex.entry_id).encode(), left_out=removals):
                return
        proposal = Takeover(epoch, newest + 1).encode()
        if (not best or is_late) and self._say(member, "takeover", proposal, left_out=removals):
            self._proposed_at[member.id] = now


def _is_connected(members: list[SpaceMember]) -> bool:
    left = {one.id: one for one in members}
    stack = [left.pop(min(left))] if left else []
    while stack:
        one = stack.pop()
        stack += [left.pop(other) for other in sorted(one.partners & left.keys())]
    return not left
