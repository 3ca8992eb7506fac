"""Draws histories of spaces: honest ones, and ones in which anybody writes anything from any past. One seed, one history."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from space_histories import Teller, key_of_partner, partner

from p2pshare.identifiers import EntryId
from p2pshare.spaces.canonical import canonical
from p2pshare.spaces.fold import SpaceFold, fold
from p2pshare.spaces.vertex import SpaceEntry

NAMES = "LABCDEFG"
KINDS = {
    "note": 20,
    "join": 7,
    "invite": 7,
    "remove": 6,
    "leave": 3,
    "decline": 2,
    "handover": 6,
    "accept": 8,
    "takeover": 14,
    "ack": 22,
    "rekey": 4,
    "redact": 3,
    "close": 4,
    "reopen": 3,
    "merge": 2,
    "other": 1,
    "spoilt": 2,
}
LED_KINDS = {"invite", "remove", "handover", "close", "takeover", "redact", "rekey"}
PARENTS_MAX = 16


class Drawn(Teller):
    """A teller that draws what is written next, by whom and from where."""

    def __init__(self, draw: random.Random, members: str, outsiders: str = "XY", *, wildness: float) -> None:
        """`wildness`: the part of entries that are written from a drawn past, not from all that is there."""
        super().__init__(members, are_joined=draw.random() < 0.8)
        self.draw = draw
        self.wildness = wildness
        self.members = members
        self.everybody = members + outsiders

    def go_on(self, entries: int) -> None:
        for _ in range(entries):
            kind = self.draw.choices(list(KINDS), weights=list(KINDS.values()))[0]
            self.next(kind, self.drawn_past())

    def drawn_past(self) -> list[EntryId]:
        """Parents: all heads, or a few entries drawn from anywhere, the newest more often, none in the past of another."""
        heads = sorted(self.heads())
        if len(heads) <= PARENTS_MAX and self.draw.random() >= self.wildness:
            return heads
        everything = list(self.entries)
        few = {
            everything[-1 - min(int(self.draw.expovariate(0.2)), len(everything) - 1)]
            if self.draw.random() < 0.8
            else self.draw.choice(everything)
            for _ in range(self.draw.randint(1, 4))
        }
        covered = {one for some in few for one in self.past(self.entries[some].header.parents)}
        return sorted(few - covered)

    def next(self, kind: str, after: list[EntryId]) -> EntryId | None:
        """Write an entry of a kind, by an author who may well have a right to it, or not."""
        draw = self.draw
        past = [self.entries[one] for one in self.past(after)]
        past.sort(key=lambda entry: (entry.header.depth, entry.entry_id))
        how: dict[str, object] = {"after": after, "key": 2 if draw.random() < 0.08 else 1}
        anybody = draw.choice(self.members if draw.random() < 0.9 else self.everybody)
        lead, epoch = anybody, 0
        if kind in LED_KINDS:
            state = fold(past)
            epoch = state.term[0]
            if state.lead is not None and draw.random() < 0.85:
                lead = self.names[state.lead]
            joined = [self.names[one] for one, status in state.members.items() if status == "joined"]
            rivals = [name for name in joined if name != lead]
            if kind == "takeover" and rivals and draw.random() < 0.9:
                anybody = draw.choice(rivals)
        others = draw.sample(self.everybody, draw.randint(1, 2))
        takeovers = [entry for entry in past if entry.header.kind == "takeover"]
        match kind:
            case "note":
                sealed = others if draw.random() < 0.1 else ()
                return self.note(anybody, f"note {len(self.entries)}", audience=sealed, **how)
            case "invite":
                return self.invite(lead, others, **how)
            case "remove":
                return self.remove(lead, others, **how)
            case "handover":
                return self.hand_over(lead, anybody, **how)
            case "accept":
                return self.accept(self._offered(past) or anybody, **how)
            case "takeover":
                return self._propose(anybody, takeovers, epoch, how)
            case "ack":
                named = takeovers if takeovers and draw.random() < 0.95 else list(self.entries.values())
                return self.ack(anybody, draw.choice(named[-2:]).entry_id, **how)
            case "rekey":
                return self._rekey(anybody if draw.random() < 0.6 else lead, past, how)
            case "redact":
                named = [entry.entry_id for entry in past if entry.header.kind == "note"]
                target = draw.choice(named or list(self.entries))
                return self.redact(draw.choice([anybody, lead]), target, **how)
            case "close":
                return self.close(lead, **how)
            case "other":
                return self.write(anybody, draw.choice(["part", "later-kind"]), b"\x80", **how)  # type: ignore[arg-type]
            case "spoilt":
                spoilt = draw.choice(["join", "invite", "ack", "takeover", "remove", "note", "close"])
                return self.write(anybody, spoilt, b"\xc1", **how)  # type: ignore[arg-type]
            case "join":
                invitations = [entry for entry in past if entry.header.kind in ("open", "invite")]
                cited = [draw.choice(invitations).entry_id] if draw.random() < 0.5 else after
                return self.join(anybody, **{**how, "after": cited})
            case _:
                write: Callable[..., EntryId] = getattr(self, kind)
                return write(anybody, **how)

    def _propose(
        self, author: str, takeovers: list[SpaceEntry], epoch: int, how: dict[str, object]
    ) -> EntryId:
        """Propose, mostly rightly; mostly some members vote at once, each seeing the proposal and what else it may."""
        draw = self.draw
        epoch = epoch + 1 if draw.random() < 0.9 else draw.randint(1, 3)
        rounds = [0]
        for entry in takeovers:
            content = entry.content or b""
            if len(content) == 5 and content[2] == epoch:
                rounds.append(content[4])
        number = max(rounds) + 1 if draw.random() < 0.85 else draw.randint(1, 4)
        proposal = self.take_over(author, epoch, min(number, 127), **how)
        for voter in draw.sample(self.members, draw.randint(0, len(self.members))):
            seen = sorted(self.heads()) if draw.random() < 0.5 else [proposal]
            if len(seen) <= PARENTS_MAX and voter != author:
                self.ack(voter, proposal, after=seen)
        return proposal

    def _rekey(self, author: str, past: list[SpaceEntry], how: dict[str, object]) -> EntryId:
        own = [entry.entry_id for entry in past if entry.header.author == partner(author)]
        good = self.draw.choice([*own, EntryId(bytes(32))])
        if self.draw.random() < 0.1:
            good = self.draw.choice(list(self.entries))
        named = self.draw.choice([1, 1, 1, 2])
        how = {**how, "key": 3 - named if self.draw.random() < 0.9 else named}
        return self.rekey(author, {key_of_partner(author, named): good}, **how)

    def _offered(self, past: list[SpaceEntry]) -> str | None:
        for entry in reversed(past):
            if entry.header.kind == "handover" and entry.content and self.draw.random() < 0.8:
                for member, name in self.names.items():
                    if entry.content.endswith(member):
                        return name
        return None


def drawn_history(seed: int, entries: int = 40) -> Drawn:
    """Returns a history in which much is wrong and much counts."""
    draw = random.Random(seed)
    told = Drawn(draw, NAMES[: draw.randint(2, 6)], wildness=draw.choice([0.0, 0.2, 0.2, 0.5, 0.9]))
    told.go_on(draw.randint(entries // 2, entries))
    return told


def orders(entries: dict[EntryId, SpaceEntry], draw: random.Random) -> Iterator[SpaceEntry]:
    """Yields entries in a drawn order, parents first."""
    waiting = {one: set(entry.header.parents) for one, entry in entries.items()}
    children: dict[EntryId, list[EntryId]] = {}
    for one, parents in waiting.items():
        for parent in parents:
            children.setdefault(parent, []).append(one)
    ready = sorted(one for one, parents in waiting.items() if not parents)
    while ready:
        one = ready.pop(draw.randrange(len(ready)))
        yield entries[one]
        for child in children.get(one, ()):
            waiting[child].discard(one)
            if not waiting[child]:
                ready.append(child)


class Settled(Drawn):
    """A space that its members wrote honestly, seeing all there is: led, handed over, taken over, and nothing left open.

    `minority` are members who were never the lead, were never offered it, and are fewer than half of the voters of any past. No
    ballot is open that their votes could complete.
    """

    def __init__(self, draw: random.Random) -> None:
        members = NAMES[: draw.randint(3, 8)]
        super().__init__(draw, members, "", wildness=0.0)
        for name in members[1:]:
            if partner(name) not in {entry.header.author for entry in self.entries.values()}:
                self.join(name)
        few = draw.randint(1, (len(members) - 1) // 2)
        self.minority = "".join(draw.sample(members[1:], few))
        self.honest = [name for name in members if name not in self.minority]
        for _ in range(draw.randint(3, 15)):
            self._act_honestly()

    def _act_honestly(self) -> None:
        draw = self.draw
        state = fold(self.entries.values())
        assert state.lead is not None
        lead = self.names[state.lead]
        others = [name for name in self.honest if name != lead]
        match draw.choice(
            ["note", "note", "election", "handover", "invite", "remove", "close", "reopen", "merge"]
        ):
            case "note":
                self.note(draw.choice(self.members))
            case "election" if others:
                self._elect(others, state.term[0] + 1)
            case "handover" if others:
                to = draw.choice(others)
                self.hand_over(lead, to)
                self.accept(to)
            case "invite" if len(self.members) > 4:  # three more who do not vote leave the others a majority
                guest = draw.choice("XYZ")
                invitation = self.invite(lead, [guest])
                if draw.random() < 0.7:
                    self.join(guest, invitation)
            case "remove":
                self.remove(lead, [draw.choice(self.minority + "XYZ")])
            case "close":
                self.close(lead)
            case "reopen":
                self.reopen(draw.choice(self.members))
            case "merge":
                self.merge(draw.choice(self.members))

    def _elect(self, others: list[str], epoch: int) -> None:
        """Propose in one round after the other, until one has its majority."""
        for number in range(1, 17):
            proposer = self.draw.choice(others)
            proposal = self.take_over(proposer, epoch, number)
            voters = [name for name in self.members if name != proposer]
            least = 0 if number < 3 else len(voters)
            for voter in self.draw.sample(voters, self.draw.randint(least, len(voters))):
                self.ack(voter, proposal)
            if fold(self.entries.values()).term[0] == epoch:
                return
        raise AssertionError("all voted, and it was no majority")


class Attack(Drawn):
    """What a few of a space write afterwards, from any past, in any number and of any kind; always under their own names."""

    def __init__(self, settled: Settled) -> None:
        self.__dict__.update(settled.__dict__)
        self.entries = dict(settled.entries)
        self.before = settled
        self.hands = settled.minority
        self.wildness = 0.9

    def write(self, author: str, kind: str, content: bytes | None, **how: object) -> EntryId:
        hand = author if author in self.hands else self.draw.choice(self.hands)
        return super().write(hand, kind, content, **how)  # type: ignore[arg-type]


def settled_and_attacked(seed: int, entries: int = 25) -> tuple[Settled, Attack]:
    """Returns a settled space, and the same with what its minority added later."""
    draw = random.Random(seed)
    settled = Settled(draw)
    attack = Attack(settled)
    attack.go_on(draw.randint(3, entries))
    return settled, attack


def folded_in_order(told: Teller, draw: random.Random) -> SpaceFold:
    """Returns the fold of a history in a drawn order. What is asked between two entries is kept, and must not be kept too long: so all is asked."""
    space, looking = SpaceFold(), draw.choice([0.1, 0.5, 1.0])
    for entry in orders(told.entries, draw):
        space.add(entry)
        if draw.random() < looking:
            canonical(space.state())
    return space
