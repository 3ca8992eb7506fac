"""Histories of spaces, drawn from a seed: what members, liars and outsiders write who hold different parts of the graph.

Every entry could be taken in (docs/spaces.md, "What is taken in"): parents, depth, number, marking and audience fit. What it
says need not make sense: `WrittenSpace` writes whatever it is told, and `history` draws both sense and nonsense. Nothing
is signed; a fold does not ask for it.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Collection, Iterable
from typing import Any

import msgpack
from naive_fold import DECIDING, NOTE_DECIDING, ZEROS, NaiveFold, PlainEntry, plain_entry

PARENTS_MAX = 16
STRICT = 3  # AMBER+STRICT: from here on, content has an audience


class WrittenSpace:
    """One space as it is written, each entry upon any parents; all that was written so far is held in `fold`."""

    def __init__(self, rng: random.Random, realm: bytes = bytes(16)) -> None:
        self.rng = rng
        self.realm = realm
        self.space = ZEROS
        self.tlp = 0
        self.fold = NaiveFold()
        self.wire: dict[bytes, tuple[bytes, bytes]] = {}  # header and body by id; parents first
        self.keys: dict[bytes, list[bytes]] = {}

    @property
    def entries(self) -> list[PlainEntry]:
        return list(self.fold.entries.values())

    def key(self, author: bytes, which: int = 0) -> bytes:
        """Returns one of the author's three sign keys."""
        if author not in self.keys:
            self.keys[author] = [self.rng.randbytes(16) for _ in range(3)]
        return self.keys[author][which]

    def open(
        self,
        author: bytes,
        members: Collection[bytes],
        *,
        kind: str = "note",
        title: str = "A space",
        tlp: int = 0,
        rules: int = 1,
        role: str = "",
    ) -> bytes:
        """Write the opening. `members` may lack the author: then it is no good."""
        self.tlp = tlp
        content = {0: rules, 1: kind, 2: title, 3: [[m, role] for m in sorted(members)]}
        self.space = self._written(author, 0, "open", msgpack.packb(content), (), tlp, (), True)
        return self.space

    def write(
        self,
        author: bytes,
        kind: str,
        content: Any,
        parents: Iterable[bytes],
        *,
        key: int = 0,
        tlp: int | None = None,
        audience: Iterable[bytes] = (),
        held: bool = True,
    ) -> bytes:
        """Write one entry and return its id. `content` is packed unless it is bytes; `held`: with its body."""
        raw = content if isinstance(content, bytes) else msgpack.packb(content)
        named = tuple(sorted(set(audience)))
        marking = self.tlp if tlp is None else tlp
        return self._written(author, key, kind, raw, tuple(sorted(set(parents))), marking, named, held)

    def past_of(self, parents: Iterable[bytes]) -> frozenset[bytes]:
        parents = list(parents)
        return frozenset(parents).union(*(self.fold.past[parent] for parent in parents))

    def heads(self, view: Iterable[bytes]) -> list[bytes]:
        view = set(view)
        return sorted(view.difference(*(self.fold.past[x] for x in view)))

    def _written(
        self,
        author: bytes,
        key: int,
        kind: str,
        content: bytes,
        parents: tuple[bytes, ...],
        tlp: int,
        audience: tuple[bytes, ...],
        held: bool,
    ) -> bytes:
        known = self.fold.entries
        body = self.rng.randbytes(16) + content
        before = [known[x].number for x in self.past_of(parents) if known[x].author == author]
        fields: list[Any] = [
            self.realm,
            self.space,
            author,
            self.key(author, key),
            1 + max(before, default=0),
            list(parents),
            1 + max((known[x].depth for x in parents), default=0),
            1_790_000_000 + self.rng.randrange(100_000),
            kind,
            tlp,
            list(audience),
            hashlib.sha384(body).digest(),
            len(body),
        ]
        header = msgpack.packb(dict(enumerate(fields)))
        entry = plain_entry(header, body if held else b"")
        self.fold.add(entry)
        self.wire[entry.id] = (header, entry.body)
        return entry.id


def parents_first(entries: Iterable[PlainEntry], rng: random.Random) -> list[PlainEntry]:
    """Returns the entries in a random order in which each comes after its parents."""
    waiting = {entry.id: entry for entry in entries}
    done: list[PlainEntry] = []
    while waiting:
        ready = [
            entry for entry in waiting.values() if not any(parent in waiting for parent in entry.parents)
        ]
        done.append(waiting.pop(rng.choice(ready).id))
    return done


def history(seed: int) -> WrittenSpace:
    """Returns the space of a seed: 1 to some 90 entries, and up to 211 of one seed in ten, which reaches for a limit."""
    return _Drawing(seed).drawn()


class _Drawing:
    """Actors with views of their own. How often each thing is done, and with how much sense, is drawn once for a history."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = random.Random(f"space {seed}")
        self.space = WrittenSpace(rng, realm=bytes(16) if rng.random() < 0.9 else rng.randbytes(16))
        self.actors = [rng.randbytes(32) for _ in range(rng.randint(2, 7))]
        self.strangers = [rng.randbytes(32) for _ in range(3)]  # named now and then; they never write
        self.views: dict[bytes, frozenset[bytes]] = {}
        self.sense = rng.choice((0.5, 0.8, 0.9, 0.97, 1.0))
        self.tidy = rng.choice((0.3, 0.7, 0.95, 1.0))  # how often an author cites its heads
        self.honest = rng.choice(
            (0.5, 0.9, 1.0, 1.0)
        )  # how often it cites its own last entry, and so does not fork
        self.met = rng.choice((0.1, 0.4, 0.8))  # how often two share what they hold
        self.breaks = rng.choice(
            (0.0, 0.02, 0.02, 0.2)
        )  # how often the content of a deciding kind is no good
        self.size = rng.choice((5, 15, 30, 45, 60, 80))
        self.reaching = rng.random() < 0.1
        usual: dict[Callable[[bytes], None], float] = {
            self.note: 3,
            self.take_over: 1,
            self.rivals: 0.5,
            self.contest: 0.15,
            self.acknowledge: 0.7,
            self.hand_over: 0.7,
            self.invite: 1,
            self.join: 1,
            self.remove: 0.7,
            self.end_own: 0.3,
            self.close: 0.7,
            self.redact: 0.7,
            self.rekey: 0.4,
            self.merge: 0.5,
            self.fork: 0.3,
            self.anything: 0.3,
        }
        self.acts = {act: weight * rng.expovariate(1) for act, weight in usual.items()}

    def drawn(self) -> WrittenSpace:
        rng = self.rng
        self.opening()
        if not self.space.fold.folds():
            return self.space
        acts, weights = zip(*self.acts.items(), strict=True)
        while len(self.space.wire) < self.size:
            author = rng.choice(self.actors)
            if rng.random() < self.met:
                other = rng.choice(self.actors)
                self.views[author] |= self.views[other]
            rng.choices(acts, weights)[0](author)
        if self.reaching:
            rng.choice((self.many_acts, self.many_members, self.many_takeovers, self.many_heads))()
        return self.space

    def opening(self) -> None:
        rng = self.rng
        named = {self.actors[0], *(m for m in self.actors if rng.random() < 0.6)}
        bad = rng.random()
        if bad < 0.01:
            named = set(self.actors[1:])
        opened = self.space.open(
            self.actors[0],
            named,
            kind="note" if rng.random() < 0.9 else rng.choice(("quest", "note-2", "notes")),
            title=rng.choice(("A space", "Ünïcode ☃ \U0001f9ea", 'quote " \\ / \x00\x1f\x7f\b\t\n\f\r', "\u2028<&>", "x" * 256)),
            tlp=rng.choice((0, 0, 1, 2, 3, 4)),
            rules=2 if 0.01 < bad < 0.02 else 1,
            role=rng.choice(("", "analyst", "ü" * 16)),
        )  # fmt: skip
        self.views = {m: frozenset({opened}) for m in self.actors}
        if self.space.fold.folds():
            joining = rng.random()
            for m in sorted(named - {self.actors[0]}):
                if rng.random() < joining:
                    self.put(m, "join", {}, [opened])

    # ------------------------------------------------------------------------------------------------ what acts share

    def sensible(self) -> bool:
        return self.rng.random() < self.sense

    def lead_or(self, author: bytes) -> bytes:
        """Returns mostly whom the author holds for the lead."""
        lead = self.space.fold.lead(self.views[author])
        if lead is None or not self.sensible():
            return author
        self.views[lead] |= self.views[author] if self.rng.random() < self.met else frozenset()
        return lead

    def anybody(self) -> bytes:
        return self.rng.choice(self.actors if self.rng.random() < 0.9 else self.strangers)

    def parents(self, author: bytes) -> list[bytes]:
        """Returns the heads that the author holds, or any entries that it holds: so it forks, or is late."""
        rng, view = self.rng, self.views[author]
        heads = self.space.heads(view)
        if rng.random() < self.tidy:
            own = [x for x in heads if self.space.fold.author(x) == author]
            rest = [x for x in heads if x not in own]
            return (own + rng.sample(rest, len(rest)))[:PARENTS_MAX]
        return self.with_own(author, rng.sample(sorted(view), min(len(view), rng.randint(1, 3))))

    def with_own(self, author: bytes, parents: list[bytes]) -> list[bytes]:
        """Returns the parents, and mostly with them the last entry that the author wrote."""
        fold = self.space.fold
        own = [x for x in self.views[author] if fold.author(x) == author]
        if not own or self.rng.random() >= self.honest:
            return parents
        return [*parents, max(own, key=lambda x: (fold.entries[x].number, x))]

    def member_or(self, author: bytes) -> bytes:
        """Returns mostly one who has joined, as the author sees it."""
        fold, view = self.space.fold, self.views[author]
        members = sorted(fold.named(view) & fold.joined(view) & set(self.actors))
        return self.rng.choice(members) if members and author not in members and self.sensible() else author

    def depth(self, x: bytes) -> int:
        return self.space.fold.entries[x].depth

    def put(
        self, author: bytes, kind: str, content: Any, parents: Iterable[bytes] | None = None, **more: Any
    ) -> bytes:
        """Write; the author holds it, and whom it meets. Now and then the content is no good."""
        rng = self.rng
        if kind in self.space.fold.deciding:
            if rng.random() < self.breaks:
                content = self.broken(content)
            more.setdefault("tlp", rng.randint(self.space.tlp, 4))
        more.setdefault("key", 0 if rng.random() < 0.7 else rng.randrange(3))
        x = self.space.write(
            author, kind, content, self.parents(author) if parents is None else parents, **more
        )
        self.views[author] |= self.space.fold.past[x] | {x}
        for other in self.actors:
            if rng.random() < self.met / 2:
                self.views[other] |= self.space.fold.past[x] | {x}
        return x

    def broken(self, content: Any) -> bytes:
        rng, raw = self.rng, msgpack.packb(content)
        match rng.randrange(6):
            case 0:
                return bytes(raw[:-1])
            case 1:
                return bytes(raw + b"\x00")
            case 2:
                return bytes(raw.replace(b"\x00", b"\xcc\x00", 1))  # 0 in a longer form, or another id
            case 3:
                return bytes(msgpack.packb({1: 1}))
            case 4:
                return bytes(
                    msgpack.packb(
                        {0: rng.choice(([], 0, -1, None, True, 1.0, "x", b"", [b"x"], [[b"x", ""]]))}
                    )
                )
        return rng.randbytes(rng.randint(0, 40))

    # ----------------------------------------------------------------------------------------------------------- acts

    def invite(self, author: bytes) -> None:
        lead = self.lead_or(author)
        named = {self.anybody() for _ in range(self.rng.randint(1, 3))}
        x = self.put(lead, "invite", {0: [[m, self.rng.choice(("", "lead"))] for m in sorted(named)]})
        for m in sorted(named & set(self.actors)):
            if self.rng.random() < 0.6:
                self.views[m] |= self.space.fold.past[x] | {x}
                self.put(m, "join", {}, self.with_own(m, [x]))

    def join(self, author: bytes) -> None:
        fold = self.space.fold
        invitations = [
            x
            for x in sorted(self.views[author])
            if fold.entries[x].kind in ("open", "invite") and not fold.void(x) and author in fold.names(x)
        ]
        if invitations and self.sensible():
            last = max(invitations, key=self.depth)
            self.put(
                author,
                "join",
                {},
                self.with_own(author, [last if self.sensible() else self.rng.choice(invitations)]),
            )
        elif not self.sensible():
            self.put(author, "join", {})

    def remove(self, author: bytes) -> None:
        named = {self.anybody() for _ in range(self.rng.randint(1, 2))}
        if self.rng.random() < 0.2:
            named = {self.actors[0]}  # who opened the space counts as joined for ever
        lead = self.lead_or(author)
        x = self.put(lead, "remove", {0: sorted(named)})
        if self.rng.random() < 0.25:
            again = [[m, ""] for m in sorted(named)]
            x = self.put(lead, "invite", {0: again}, [x] if self.rng.random() < 0.5 else None)
            for m in sorted(named & set(self.actors)):
                if self.rng.random() < 0.6:  # as if it had never been away
                    self.views[m] |= self.space.fold.past[x] | {x}
                    self.put(m, "note", b"on I go", tlp=4, audience=[m])

    def end_own(self, author: bytes) -> None:
        x = self.put(author, self.rng.choice(("leave", "decline")), {})
        lead = self.space.fold.lead(self.views[author])
        if lead in self.actors and self.rng.random() < 0.1:  # to one who is gone
            h = self.put(lead, "handover", {0: author}, self.with_own(lead, [x]))
            self.put(author, "accept", {}, [h])

    def hand_over(self, author: bytes) -> None:
        lead, to = self.lead_or(author), self.anybody()
        h = self.put(lead, "handover", {0: to})
        while (
            to in self.views and self.rng.random() < 0.6
        ):  # more than once: beside each other, or the second too late
            self.views[to] |= self.space.fold.past[h] | {h}
            self.put(to, "accept", {}, self.with_own(to, [h]) if self.rng.random() < 0.3 else None)
        if self.rng.random() < 0.1:
            self.put(author, "accept", {})

    def take_over(self, author: bytes) -> None:
        """A campaign: a proposal, and those of the others who hear of it."""
        t = self.propose(author)
        heard = 0.1 if self.space.fold.takeover_fault(t) else 0.6
        for other in self.actors:
            if self.rng.random() < heard:
                self.views[other] |= self.space.fold.past[t] | {t}
                self.put(other, "ack", {0: t}, self.with_own(other, [t]) if self.rng.random() < 0.2 else None)

    def rivals(self, author: bytes) -> None:
        """Two proposals beside each other; some vote for both: in turn, or in a fork."""
        rng, fold = self.rng, self.space.fold
        other = rng.choice(self.actors)
        self.views[other] = self.views[author] = self.views[other] | self.views[author]
        ones = [self.propose(author, alone=True), self.propose(other, alone=True)]
        for voter in self.actors:
            for t in rng.sample(ones, rng.choice((0, 1, 1, 2))):
                if rng.random() < 0.5:
                    self.put(voter, "ack", {0: t}, self.with_own(voter, [t]))
                else:
                    self.views[voter] |= fold.past[t] | {t}
                    self.put(voter, "ack", {0: t})

    def contest(self, author: bytes) -> None:
        """Two who propose themselves with the votes of liars, then act as leads, and at times are outvoted by all who saw it."""
        rng, fold = self.rng, self.space.fold
        view = frozenset().union(*(self.views[m] for m in self.actors))
        fit = sorted(
            (fold.named(view) - fold.forked(view)) & fold.joined(view) & set(self.actors) - {fold.lead(view)}
        )
        if len(fit) < 2:
            return
        honest, self.honest, tidy, self.tidy = self.honest, 0.0, self.tidy, 1.0
        ends: list[bytes] = []
        for rival in rng.sample(fit, 2):
            self.views[rival] |= view
            t = self.put(
                rival, "takeover", {0: fold.epoch(view) + 1, 1: 1}, self.space.heads(view)[:PARENTS_MAX]
            )
            acks = [self.put(m, "ack", {0: t}, [t]) for m in self.actors if m != rival and rng.random() < 0.8]
            self.views[rival] = self.space.past_of([t, *acks])
            for _ in range(rng.randrange(3)):
                self.views[rival] |= fold.past[self.lead_does(rival)]
            ends += self.space.heads(self.views[rival])
        self.honest, self.tidy = honest, tidy
        if rng.random() < 0.7:
            self.views[author] = self.space.past_of(ends)
            self.take_over(author)

    def lead_does(self, lead: bytes) -> bytes:
        """Write something that only a lead may."""
        kind = self.rng.choice(("invite", "remove", "handover", "close"))
        one = self.anybody()
        content = {"invite": {0: [[one, ""]]}, "remove": {0: [one]}, "handover": {0: one}, "close": {}}[kind]
        if kind not in self.space.fold.deciding:
            kind, content = "merge", {}
        return self.put(lead, kind, content)

    def propose(self, author: bytes, *, alone: bool = False) -> bytes:
        """Write the takeover that is next upon what the author holds, or a wrong one. `alone`: nobody hears of it at once."""
        rng, fold = self.rng, self.space.fold
        if self.sensible():
            view = self.views[author]
            fit = [
                m
                for m in self.actors
                if m in fold.named(view) & fold.joined(view) - fold.forked(view) and m != fold.lead(view)
            ]
            if fit and author not in fit:
                author = rng.choice(fit)
                self.views[author] |= view if rng.random() < self.met else frozenset()
        parents = self.parents(author)
        q = self.space.past_of(parents)
        epoch = fold.epoch(q) + 1
        proposed = [fold.said[s] for s in fold.within(q, "takeover") if not fold.takeover_fault(s)]
        round_ = 1 + max((its_round for its_epoch, its_round in proposed if its_epoch == epoch), default=0)
        if not self.sensible():
            epoch, round_ = max(1, epoch + rng.choice((-1, 0, 0, 1))), max(1, round_ + rng.choice((-1, 1, 0)))
        met, self.met = self.met, 0.0 if alone else self.met
        t = self.put(author, "takeover", {0: epoch, 1: round_}, parents)
        self.met = met
        return t

    def acknowledge(self, author: bytes) -> None:
        rng, fold = self.rng, self.space.fold
        view = sorted(self.views[author])
        proposals = [x for x in view if fold.entries[x].kind == "takeover"]
        if proposals and self.sensible():
            self.put(author, "ack", {0: rng.choice(proposals)})
        elif not self.sensible():
            others = [x for x in fold.entries if fold.entries[x].kind == "takeover"]
            self.put(author, "ack", {0: rng.choice([*others, rng.choice(view), rng.randbytes(32)])})

    def note(self, author: bytes) -> None:
        rng = self.rng
        sealed = rng.sample(self.actors, rng.randint(1, len(self.actors))) if rng.random() < 0.2 else []
        tlp = rng.randint(self.space.tlp, 4 if sealed else max(self.space.tlp, STRICT - 1))
        if tlp >= STRICT:
            sealed = sealed or [author]
        text = rng.choice(("a note", 'ü ☃ "\\/\x00\x1f\x7f\n', "\u2028", "x" * rng.randint(1, 300))).encode()
        if rng.random() < 0.1:
            text = rng.choice((b"", b"\xff", b"\xed\xa0\x80", b"\xc0\xaf", b"a\xe2\x82"))
        kind = "note" if rng.random() < 0.9 else rng.choice(("poll", "part", "note-2"))
        self.put(self.member_or(author), kind, text, tlp=tlp, audience=sealed, held=rng.random() < 0.9)

    def close(self, author: bytes) -> None:
        """Of a notebook; elsewhere the two kinds are content."""
        rng, fold = self.rng, self.space.fold
        kind = rng.choice(("close", "close", "reopen"))
        if kind not in fold.deciding:
            self.put(author, kind, {}, tlp=4, audience=[author])
        elif rng.random() < self.honest:
            self.put(self.lead_or(author) if kind == "close" else self.member_or(author), kind, {})
        else:  # one who closes twice, beside itself; a reopening beside the one is in the past of the other
            lead, member = self.lead_or(author), self.member_or(author)
            before = self.space.heads(self.views[lead])[:PARENTS_MAX]
            note = self.put(member, "note", b"before the first close", before, tlp=4, audience=[lead])
            self.put(lead, "close", {}, [note])
            again = self.put(self.member_or(author), "reopen", {}, before)
            self.put(lead, "close", {}, [again])

    def redact(self, author: bytes) -> None:
        rng, fold = self.rng, self.space.fold
        everything = self.views[author] if self.sensible() else fold.all
        content = sorted(x for x in everything if fold.entries[x].kind not in fold.deciding)
        own = [x for x in content if fold.author(x) == author]
        named = (
            rng.choice(own if own and rng.random() < 0.5 else content)
            if content and self.sensible()
            else None
        )
        if named is None:
            named = rng.choice([*sorted(everything), rng.randbytes(32)])
        self.put(author if named in own and self.sensible() else self.lead_or(author), "redact", {0: named})

    def rekey(self, author: bytes) -> None:
        rng, fold = self.rng, self.space.fold
        author = self.lead_or(author) if rng.random() < 0.5 else author
        acts = [
            x
            for x in fold.all
            if fold.entries[x].kind in ("invite", "remove", "handover") and fold.as_lead(x)
        ]
        if acts and rng.random() < 0.3:  # beside, before, or long after what was done with it
            act = fold.entries[rng.choice(sorted(acts))]
            self.put(act.author, "rekey", {0: [[act.key_id, ZEROS]]}, key=1)
            return
        own = sorted(x for x in self.views[author] if fold.author(x) == author)
        named = rng.sample(range(3), rng.randint(1, 2))
        rows = []
        for which in named:
            after = rng.choice(own) if own and rng.random() < 0.7 else ZEROS
            if not self.sensible():
                after = rng.choice([*sorted(fold.all), rng.randbytes(32)])
            rows.append([self.space.key(author, which), after])
        with_key = rng.choice(
            [which for which in range(3) if which not in named] if self.sensible() else named
        )
        self.put(author, "rekey", {0: sorted(rows)}, key=with_key)

    def merge(self, author: bytes) -> None:
        self.put(self.member_or(author), "merge", {})

    def anything(self, author: bytes) -> None:
        """A deciding kind with the content of another, by whoever it is."""
        kind = self.rng.choice(sorted((DECIDING | NOTE_DECIDING).keys() - {"open"}))
        content = self.rng.choice(
            ({}, {0: self.rng.choice(sorted(self.space.fold.all))}, {0: 1, 1: 1}, {0: [author]})
        )
        if kind in self.space.fold.deciding:
            self.put(author, kind, content)

    def fork(self, author: bytes) -> None:
        """The number of an entry of the author's, a second time, upon the same parents: the same again, or something else."""
        rng, fold = self.rng, self.space.fold
        own = [x for x in sorted(self.views[author]) if fold.author(x) == author and fold.entries[x].parents]
        if not own:
            return
        twin = fold.entries[rng.choice(own)]
        if twin.body and rng.random() < 0.5:
            more = {} if twin.kind in fold.deciding else {"tlp": twin.tlp, "audience": twin.audience}
            self.put(author, twin.kind, twin.body[16:], twin.parents, **more)
        else:
            kind = rng.choice(("merge", "leave", "decline", "close", "reopen"))
            self.put(author, kind if kind in fold.deciding else "merge", {}, twin.parents)

    # ------------------------------------------------------------------------------------------------ up to the limits

    def many_acts(self) -> None:
        """More authority entries than a member may write, or than one that was the lead for a while."""
        rng, fold = self.rng, self.space.fold
        author, other = rng.sample(self.actors, 2)
        lead = fold.lead(fold.all)
        if lead in self.actors and lead != other and rng.random() < 0.5:
            author = lead
            self.views[author] = fold.all
            for _ in range(rng.randint(1, 70)):
                self.some_act(author)
            offer = self.put(author, "handover", {0: other})
            self.views[other] = fold.all
            accepted = self.put(other, "accept", {}, [offer])
            self.views[author] |= fold.past[accepted] | {accepted}
        elif author == lead:
            author = other
        for _ in range(67):
            self.some_act(author)
        self.tidy = self.honest = 1.0
        for kind in ("leave", "decline"):
            self.put(author, kind, {})
        for act in (self.take_over, self.note, self.join):
            act(author)

    def some_act(self, author: bytes) -> None:
        """Write an authority entry that may have effect whoever leads."""
        rng, fold = self.rng, self.space.fold
        notes = [
            x
            for x in sorted(self.views[author])
            if fold.author(x) == author and fold.entries[x].kind == "note"
        ]
        acts: list[tuple[str, Any]] = [
            ("rekey", {0: [[self.space.key(author, 2), ZEROS]]}),
            ("redact", {0: rng.choice(notes) if notes else ZEROS}),
            ("join", {}),
            ("ack", {0: ZEROS}),
            ("accept", {}),
            ("handover", {0: author}),
        ]
        kind, content = rng.choices(acts, (6, 3, 3, 1, 1, 1))[0]
        self.put(author, kind, content, self.space.heads(self.views[author])[-PARENTS_MAX:], key=0)

    def many_members(self) -> None:
        """Invitations of more than may be named, one too many or just as many, beside and after each other."""
        rng, fold = self.rng, self.space.fold
        for _ in range(6):
            author = self.lead_or(rng.choice(self.actors))
            parents = self.parents(author)
            q = self.space.past_of(parents)
            room = 256 - len(
                {m for x in fold.within(q, "open", "invite") if fold.as_lead(x) for m in fold.names(x)}
            )
            known = sorted({m for x in fold.within(q, "open", "invite") for m in fold.names(x)})
            count = max(0, min(250, rng.choice((100, 200, room - 1, room, room, room + 1))))
            named = {rng.randbytes(32) for _ in range(count)} | set(rng.sample(known, min(len(known), 2)))
            self.put(author, "invite", {0: [[m, ""] for m in sorted(named)]}, parents)
        for author in self.actors:
            self.take_over(author)

    def many_takeovers(self) -> None:
        """One author proposes itself in each round of an epoch."""
        rng, fold = self.rng, self.space.fold
        author, self.sense, self.honest, self.breaks = rng.choice(self.actors), 0.95, 1.0, 0.0
        self.views[author] = fold.all
        for _ in range(18):
            author = fold.author(self.propose(author, alone=True))
        self.note(author)

    def many_heads(self) -> None:
        """Entries beside each other, more than one entry can cite."""
        authors = self.rng.sample(self.actors, self.rng.randint(1, len(self.actors)))
        for number in range(40):
            author = authors[number % len(authors)]
            self.note(author) if self.rng.random() < 0.8 else self.end_own(author)
            self.views[author] = self.space.past_of([self.rng.choice(sorted(self.views[author]))])
            self.views[author] |= {self.space.space}
        everything = self.space.fold.all
        for author in authors:
            self.views[author] = everything
            for _ in range(3):
                self.merge(author)
            self.note(author)
