"""The campaign of rewrites across the wall of an exercise (docs/exercises.md, "Walls"): signed and sealed once, rewritten many times."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from unittest import mock

from exercise_rewrites import Side, rewritten_entries, rewritten_envelopes
from players import Players, ids_held
from whole_nodes import READERS, World

from p2pshare.envelope.encoding import pack
from p2pshare.envelope.entry import DecodedEntry, VerifiedEntry
from p2pshare.envelope.payload import ALONE, PayloadHeader, compress_frame
from p2pshare.identifiers import CircleId, EntryId, EnvelopeId, PublicationId
from p2pshare.log.interface import EnvelopeOrigin
from p2pshare.node.node import Node
from p2pshare.sharing import intake
from p2pshare.sharing.intake import Arrival
from p2pshare.sharing.payload_kinds import PAYLOAD_KINDS, ReceivedPayload
from p2pshare.spaces.entry_frames import encode_entry_frame, encode_exercise_entries
from p2pshare.spaces.space_exchange import spaces_of
from p2pshare.spaces.space_store import SpaceReading
from p2pshare.spaces.writing import SpaceStatement

AT_ONCE = 32  # handed over in one transaction


@dataclass
class Rewritten:
    """What came of a campaign: how many rewrites were tried, those that were taken in, and the reasons of the others."""

    tried: int = 0
    taken_as_real: list[str] = field(default_factory=list)
    taken_as_play: list[str] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    whole: bool = False
    """Whether both sides hold what they held before."""


class Wall:
    """alpha and bravo write in a real space and in an exercise; bravo is lied to, on both sides."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder)
        self.players = players = Players(self.world, "alpha", "bravo")
        self.real_space = (
            spaces_of(players["alpha"])
            .open("note", "real", 1, [(players.id("bravo"), "")], players.now)
            .entry_id
        )
        players.run(2)
        spaces_of(players["bravo"]).join(self.real_space, players.now)
        players.run(2)
        self.lead = players.exercise("alpha", "bravo")
        assert self.lead.ground.exercise is not None
        self.exercise: EntryId = self.lead.ground.exercise
        self.played = players.played("bravo", self.exercise)
        self.real = players["bravo"]
        for number in range(8):
            self._say(players["alpha"], self.real_space, number)
            self._say(self.lead, self.exercise, number)
            self._say(self.real, self.real_space, number)
            self._say(self.played, self.exercise, number)
        players.run(2)
        # of these bravo has nothing: what is rewritten is new to it on either side
        self.new_real = [self._say(players["alpha"], self.real_space, number) for number in range(20, 30)]
        self.new_played = [self._say(self.lead, self.exercise, number) for number in range(20, 30)]
        self.wires = self._sealed()

    def _say(self, node: Node, space: EntryId, number: int) -> VerifiedEntry:
        said = SpaceStatement("note", f"number {number}".encode(), 1)
        return spaces_of(node).say(space, said, self.players.now)[-1]

    def _sealed(self) -> list[bytes]:
        """Returns what alpha seals for bravo of what is new, and bravo never gets: of both sides."""
        lead = self.players["alpha"]
        before = lead.store.log.last_lsn()
        for ground in (lead, self.lead):
            self.players.do(lead, ground)
        self.players.skip("alpha")
        found = [lead.store.log.wire(one.envelope_id) for one in lead.store.log.entries(before, 100)]
        assert len(found) >= 2
        return [wire for wire in found if wire is not None]

    def side(self, node: Node, space: EntryId) -> Side:
        alpha, bravo = self.players["alpha"].identity, self.players["bravo"].identity
        return Side(
            bytes(node.ground.realm),
            [bytes(space)],
            [bytes(one) for one in sorted(ids_held(node))],
            sorted([bytes(alpha.partner_id), bytes(bravo.partner_id)]),
            [bytes(alpha.operational.sign.key_id), bytes(bravo.operational.sign.key_id)],
            self._last(node, space),
        )

    def _last(self, node: Node, space: EntryId) -> dict[bytes, tuple[int, bytes, int]]:
        reading, found = SpaceReading(node.store.database), dict[bytes, tuple[int, bytes, int]]()
        row = reading.find(space)
        assert row is not None
        for entry in reading.entries(row):
            header = entry.header
            number = found.get(bytes(header.author), (0, b"", 0))[0]
            if header.number > number:
                found[bytes(header.author)] = (header.number, bytes(entry.entry_id), header.depth)
        return found

    def close(self) -> None:
        self.world.close()


def rewrite(wall: Wall, count: int, seed: int, *, has_hole: bool = False) -> Rewritten:
    """Try `count` rewrites. `has_hole`: no signature is asked, as it must not be."""
    rng, found = random.Random(seed), Rewritten()
    before = ids_held(wall.real), ids_held(wall.played)
    with _hole() if has_hole else nullcontext():
        each = count // 5
        _entries(wall, found, each, rng, is_to_real=True)
        _entries(wall, found, each, rng, is_to_real=False)
        _payloads(wall, found, each, rng)
        _envelopes(wall, found, count - found.tried, rng)
    found.whole = (ids_held(wall.real), ids_held(wall.played)) == before
    return found


def _entries(wall: Wall, found: Rewritten, count: int, rng: random.Random, *, is_to_real: bool) -> None:
    """Entries of one side, rewritten for the other, and handed over there."""
    if is_to_real:
        entries, to, space = wall.new_played, wall.real, wall.real_space
    else:
        entries, to, space = wall.new_real, wall.played, wall.exercise
    taken = found.taken_as_real if is_to_real else found.taken_as_play
    known, side = ids_held(to), wall.side(to, space)
    for some in _some(rewritten_entries(entries, side, count, rng)):
        wires = [wire for _, wire in some]
        verdicts = spaces_of(to).take_in(wires, wall.players.id("alpha"), wall.players.now).verdicts
        for (what, _), verdict in zip(some, verdicts, strict=True):
            found.tried += 1
            found.reasons[verdict.reason or verdict.status] += 1
            # what waits for a card is believed by nobody: no key of its author's card can have signed it
            is_believed = verdict.status == "held" or verdict.reason == "parents"
            if is_believed and verdict.entry_id not in known:
                taken.append(what)


def _some(rewrites: Iterator[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    """Yields rewrites a few at a time: each time is a transaction."""
    while some := list(islice(rewrites, AT_ONCE)):
        yield some


def _payloads(wall: Wall, found: Rewritten, count: int, rng: random.Random) -> None:
    """What a partner seals itself, in a kind, a circle or a realm in which it does not belong."""
    realm = bytes(wall.played.ground.realm)
    circles = [CircleId.of("main"), CircleId.of_realm(wall.played.ground.realm), CircleId(rng.randbytes(16))]
    for _ in range(count):
        found.tried += 1
        is_played = rng.random() < 0.5
        wires = [rng.choice(wall.new_played if is_played else wall.new_real).wire]
        how = rng.randrange(5)
        said = [realm, bytes(16), rng.randbytes(16)][rng.randrange(3)]
        circle = rng.choice(circles)
        if how == 0:  # played entries in the payload of real ones
            kind, frame = "entries", encode_entry_frame([], [one.wire for one in wall.new_played[:2]])
        elif how == 1:  # the frame of an exercise in the payload of real ones
            kind, frame = rng.choice(["entries", "heads"]), encode_exercise_entries(realm, [], wires)
        elif how == 2:  # real entries in the payload of an exercise
            kind, frame = (
                "exercise",
                encode_exercise_entries(said, [], [one.wire for one in wall.new_real[:2]]),
            )
        elif how == 3:  # the frame of real ones in the payload of an exercise
            kind, frame = "exercise", encode_entry_frame([], wires)
        else:  # of an exercise, in another realm, or another circle
            kind, circle = "exercise", circles[0] if said == realm else circle
            frame = compress_frame(pack([said, 0, [[], [rng.choice(wall.new_played).wire]]]))
        reasons = _read(wall, kind, frame, circle)
        found.reasons.update(reasons or ["nothing"])
    for one in ids_held(wall.real) & {one.entry_id for one in wall.new_played}:
        found.taken_as_real.append(f"payload {one.short}")
    for one in ids_held(wall.played) & {one.entry_id for one in wall.new_real}:
        found.taken_as_play.append(f"payload {one.short}")


def _read(wall: Wall, kind: str, frame: bytes, circle: CircleId) -> list[str]:
    """Returns the reasons for which something in a payload was refused: those of frames, and those of entries."""
    node, row = wall.real, PAYLOAD_KINDS[kind]
    before = wall.players.refused("bravo")
    header = PayloadHeader(kind, wall.players.now, "TLP:GREEN", 1, PublicationId(bytes(16)), ALONE)
    author = wall.players.id("alpha")
    payload = ReceivedPayload(
        row,
        EnvelopeId(bytes(32)),
        author,
        circle,
        wall.players.now,
        wall.players.now,
        header,
        (frame,),
        len(frame),
    )
    refused: Counter[str] = Counter()
    with node.store.transaction():
        reader = READERS[kind](node)
        reader.begin(wall.players.now, is_hurried=False)
        for _ in reader.read(_origin(), payload, refused, ()):
            pass
        reader.finish()
    counted = wall.players.refused("bravo") - before
    return [*refused.elements(), *counted.elements()]


def _origin() -> EnvelopeOrigin:
    return EnvelopeOrigin(1, 1, 1, 1, bytes(32), 1, 1, is_own=False)


def _envelopes(wall: Wall, found: Rewritten, count: int, rng: random.Random) -> None:
    """Sealed envelopes of both sides, rewritten on the way."""
    circles = [bytes(CircleId.of("main")), bytes(CircleId.of_realm(wall.played.ground.realm))]
    alpha = wall.players.id("alpha")
    for some in _some(rewritten_envelopes(wall.wires, circles, count, rng)):
        arrivals = [Arrival(wire, alpha) for _, wire in some]
        for (what, _), verdict in zip(
            some, intake.take_in(wall.real, arrivals, wall.players.now), strict=True
        ):
            found.tried += 1
            found.reasons[verdict.reason or verdict.status.value] += 1
            if verdict.status.value != "refused":
                found.taken_as_real.append(f"envelope {what}")


@contextmanager
def _hole() -> Iterator[None]:
    """What would be if signatures did not cover the realm: whatever it says, they hold."""

    def without_realm(decoded: DecodedEntry, key: object) -> VerifiedEntry:
        return VerifiedEntry(decoded)

    with mock.patch("p2pshare.spaces.spaces.verify_entry", without_realm):
        yield
