"""Floods of a space by its members, against a real node with its store: orphans whose parents never come, and thousands of entries at once.

What `scripts/flood-spaces` measures with 100,000 and the suite bounds with some hundred. Everything is signed, for that is what it costs to be refused.
"""

from __future__ import annotations

import hashlib
import resource
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from shared_spaces import hand_over, id_of, run
from whole_nodes import NOW, World, befriend

from p2pshare.envelope.entry import REAL, EntryDraft, sign_entry
from p2pshare.identifiers import EntryId
from p2pshare.intel.marking import Tlp
from p2pshare.limits import ENTRY_NUMBER_MAX
from p2pshare.node.node import Node
from p2pshare.operations.space_membership import JoinSpace
from p2pshare.operations.spaces import NoteInSpace, OpenSpace
from p2pshare.spaces.reading_entries import SLICE_ENTRIES
from p2pshare.spaces.space_exchange import exchange_of
from p2pshare.spaces.space_store import SpaceReading

HONEST_EVERY = 64  # slices of the flood between two entries of an honest member


@dataclass
class Flooded:
    """What became of a flood. Times are CPU seconds of the writer's thread, of one slice of 16 each as a reader takes them in."""

    handed_over: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    slices: list[float] = field(default_factory=list)
    honest: list[float] = field(default_factory=list)
    """Of an honest member's entry in between, with the state that follows from it."""
    waiting_most: int = 0
    waiting_bytes_most: int = 0
    disk_before: int = 0
    disk_most: int = 0
    memory_before: int = 0
    memory_after: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    """As the node counted it to its partners."""


class FloodedSpace:
    """`alpha` with a notebook; `bravo` is honest, `liars` are members and partners that flood it."""

    def __init__(self, world: World, liars: int) -> None:
        names = [f"liar{number}" for number in range(liars)]
        self.alpha, self.bravo = world.found("alpha"), world.found("bravo")
        self.liars = [world.found(name) for name in names]
        for other in (self.bravo, *self.liars):
            befriend(self.alpha, other)
            befriend(other, self.alpha)
        self.space = run(self.alpha, OpenSpace("note", "flooded", Tlp.GREEN, ("bravo", *names))).space
        for other in (self.bravo, *self.liars):
            hand_over(self.space, self.alpha, other)
            run(other, JoinSpace(self.space))
            hand_over(self.space, other, self.alpha)
        self._noted = 0

    def orphans(self, count: int, *, is_nearer_each_time: bool) -> Iterator[tuple[Node, bytes]]:
        """Yields (who hands it over, entry): of each liar in turn, handed over by the next one, so that no one's own count stops it. Nearer each time:
        the newest pushes the one before out."""
        for number in range(count):
            author = self.liars[number % len(self.liars)]
            giver = self.liars[(number + 1) % len(self.liars)]
            depth = 3 + (count - number if is_nearer_each_time else number)
            parent = EntryId(hashlib.sha256(b"nobody wrote %d" % number).digest())
            draft = EntryDraft(
                REAL,
                EntryId.parse(self.space),
                id_of(author),
                2 + number % 9_000,
                (parent,),
                depth,
                NOW,
                "note",
                1,
            )
            yield giver, sign_entry(draft, b"an orphan", author.identity.operational.sign).wire

    def burst(self, count: int) -> Iterator[tuple[Node, bytes]]:
        """Yields (who hands it over, entry): notes of one member, each right, written within one second."""
        author = self.liars[0]
        graph = exchange_of(self.alpha).spaces.fold_of(EntryId.parse(self.space)).graph
        [parent] = graph.by_author(id_of(author))
        depth, last = parent.depth, parent.entry_id
        for number in range(min(count, ENTRY_NUMBER_MAX - 1)):
            depth += 1
            draft = EntryDraft(
                REAL, EntryId.parse(self.space), id_of(author), 2 + number, (last,), depth, NOW, "note", 1
            )
            entry = sign_entry(draft, b"one of many", author.identity.operational.sign)
            last = entry.entry_id
            yield author, entry.wire

    def flood(
        self, entries: Iterator[tuple[Node, bytes]], told: Callable[[Flooded], None] = lambda _: None
    ) -> Flooded:
        """Hand entries over as a reader does, a slice a call, with what the daemon does in between; and an honest entry now and then."""
        done = Flooded(disk_before=self._disk(), memory_before=_resident(), disk_most=self._disk())
        slices: dict[int, list[bytes]] = {}
        givers: dict[int, Node] = {}
        for giver, wire in entries:
            waiting = slices.setdefault(id(giver), [])
            givers[id(giver)] = giver
            waiting.append(wire)
            if len(waiting) == SLICE_ENTRIES:
                self._hand(givers[id(giver)], slices.pop(id(giver)), done)
                if len(done.slices) % HONEST_EVERY == 0:
                    self._between(done)
                    told(done)
        for key, waiting in slices.items():
            self._hand(givers[key], waiting, done)
        self._between(done)
        done.memory_after = _resident()
        done.refused = self.alpha.store.partners.refusals()
        return done

    def _hand(self, giver: Node, wires: Sequence[bytes], done: Flooded) -> None:
        exchange = exchange_of(self.alpha)
        start = time.thread_time()
        verdicts = exchange.entries_came(id_of(giver), wires, {}, NOW)
        done.slices.append(time.thread_time() - start)
        done.handed_over += len(wires)
        done.verdicts.update(one.reason or one.status for one in verdicts)
        done.verdicts["later"] += len(wires) - len(verdicts)  # not one of those that are admitted unasked

    def _between(self, done: Flooded) -> None:
        """What the daemon does besides, an honest note, and the bounds at this moment."""
        self._noted += 1
        now = NOW + 20 * self._noted
        hand_over(self.space, self.alpha, self.bravo, now=now) if self._noted == 1 else None
        entry = run(self.bravo, NoteInSpace(self.space, f"honest {self._noted}"), now).entry
        reading = SpaceReading(self.bravo.store.database)
        told = reading.entry(EntryId.parse(entry))
        assert told is not None
        exchange, space = exchange_of(self.alpha), EntryId.parse(self.space)
        start = time.thread_time()
        [verdict] = exchange.entries_came(id_of(self.bravo), [told.wire], {}, now)
        assert verdict.status == "held", verdict
        while exchange.spaces.go_on(now):
            pass
        done.honest.append(time.thread_time() - start)
        assert exchange.spaces.effect_of(space, told.entry_id) == "", "it counts"
        waiting = SpaceReading(self.alpha.store.database).waiting()
        done.waiting_most = max(done.waiting_most, len(waiting))
        done.waiting_bytes_most = max(done.waiting_bytes_most, sum(one.size for one in waiting))
        done.disk_most = max(done.disk_most, self._disk())

    def _disk(self) -> int:
        path = self.alpha.store.database.path
        files = (path, path.with_name(path.name + "-wal"))
        return sum(one.stat().st_size for one in files if one.exists())


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
