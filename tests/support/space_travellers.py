"""Members of one space who hand each other entries and heads by the engine (`spaces.travel`), on virtual time, without signatures and stores.

What travels here is decoded and judged by the same graph and intake as in a node. Loss and parting are the test's: `World.carries` says what arrives.
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
import math
from collections.abc import Callable, Iterable

from space_histories import partner

from p2pshare.envelope.entry import (
    NO_SPACE,
    REAL,
    DecodedEntry,
    EntryDraft,
    EntryHeader,
    VerifiedEntry,
    encode_header,
    entry_id_of,
    without_body,
)
from p2pshare.identifiers import EntryId, KeyId, PartnerId
from p2pshare.spaces.acts import Inviting, Opening, Plain, Removal
from p2pshare.spaces.canonical import canonical
from p2pshare.spaces.entry_frames import decode_heads_frame, encode_heads_frame
from p2pshare.spaces.fold import SpaceFold
from p2pshare.spaces.heads import SpaceHeads
from p2pshare.spaces.taking_in import Awaited, Held, SpaceIntake, TurnedAway
from p2pshare.spaces.travel import EntriesParcel, HeadsParcel, SpaceTravel, SpaceView
from p2pshare.spaces.vertex import SpaceEntry
from p2pshare.spaces.writing import SpaceStatement, write, write_join

NOW = 1_900_000_000
NO_SIGNATURES = bytes(4_691)
_salts = itertools.count()


def unsigned(draft: EntryDraft, content: bytes) -> VerifiedEntry:
    """An entry as `sign_entry` makes it, but that nobody has signed."""
    body = next(_salts).to_bytes(16, "big") + content
    header = EntryHeader(
        draft.realm,
        draft.space,
        draft.author,
        KeyId(bytes(16)),
        draft.number,
        draft.parents,
        draft.depth,
        draft.created,
        draft.kind,
        draft.tlp,
        draft.audience,
        hashlib.sha384(body).digest(),
        len(body),
    )
    raw = encode_header(header)
    return VerifiedEntry(DecodedEntry(header, raw, body, NO_SIGNATURES, entry_id_of(raw)))


class Traveller:
    """One member: its entries, what waits, and its engine. `sent` and `heads_sent` are what left it, with when and to whom."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name, self.id = world, name, partner(name)
        self.partners: set[PartnerId] = set()
        self.linked: set[PartnerId] | None = None
        self.entries: dict[EntryId, VerifiedEntry] = {}
        self.fold = SpaceFold()
        self.intake: SpaceIntake | None = None
        self.engine = SpaceTravel(self.id, world.now)
        self.stray: list[VerifiedEntry] = []
        """What came before the opening."""
        self.sent: list[tuple[float, PartnerId, EntryId, bool]] = []
        self.heads_sent: list[tuple[float, PartnerId, SpaceHeads]] = []
        self.versions: dict[PartnerId, int] = {}

    # --- writing ---

    def open(self, *invited: str, title: str = "t") -> EntryId:
        names = tuple(sorted((partner(name), "") for name in (*invited, self.name)))
        draft = EntryDraft(REAL, NO_SPACE, self.id, 1, (), 1, NOW, "open", 1)
        opening = unsigned(draft, Opening(1, "note", title, names).encode())
        self._begin(opening)
        return opening.entry_id

    def say(
        self, kind: str, content: bytes = Plain().encode(), *, tlp: int = 1, audience: Iterable[str] = ()
    ) -> EntryId:
        said = SpaceStatement(kind, content, tlp, tuple(sorted(map(partner, audience))))
        written = write(self.fold, self.id, said, NOW, unsigned)
        self._put(written)
        return written[-1].entry_id

    def note(self, text: str = "a note", **how: Iterable[str]) -> EntryId:
        return self.say("note", text.encode(), **how)  # type: ignore[arg-type]

    def invite(self, *names: str) -> EntryId:
        return self.say("invite", Inviting(tuple(sorted((partner(one), "") for one in names))).encode())

    def remove(self, *names: str) -> EntryId:
        return self.say("remove", Removal(tuple(sorted(map(partner, names)))).encode())

    def join(self) -> EntryId:
        """Accept the newest invitation that is held."""
        state = self.fold.state()
        named = [
            one
            for one in state.timeline
            if isinstance(one.act, Opening | Inviting) and self.id in dict(one.act.names)
        ]
        entry = write_join(self.fold, self.id, named[-1].entry_id, NOW, unsigned)
        self._put([entry])
        self.engine.join_goes_out(
            self.world.space, (entry.entry_id, entry.header.number), (), (), self.world.now
        )
        return entry.entry_id

    def _put(self, written: list[VerifiedEntry]) -> None:
        for entry in written:
            self.entries[entry.entry_id] = entry
            self.world.written.append(entry)
        self.engine.entries_held(self.world.space, [one.entry_id for one in written], self.world.now)
        self.world.at(self.world.now, self.run)

    def _begin(self, opening: VerifiedEntry) -> None:
        self.fold.add(SpaceEntry.of(opening))
        self.intake = SpaceIntake(self.fold)
        self.entries[opening.entry_id] = opening
        self.world.space = opening.entry_id
        self.engine.entries_held(opening.entry_id, [opening.entry_id], self.world.now)
        self.world.at(self.world.now, self.run)

    # --- hearing ---

    def hear_entries(self, sender: PartnerId, entries: list[VerifiedEntry]) -> None:
        missing: list[EntryId] = []
        held: list[EntryId] = []
        for entry in entries:
            if self.intake is None and entry.header.kind != "open":
                self.stray.append(entry)
                continue
            if self.intake is None:
                self._begin(entry)
                assert self.intake is not None
                for one in list(self.stray):
                    held += self._take(one)
                continue
            held += self._take(entry)
            missing += [one for one in entry.header.parents if one not in self.fold]
        if held:
            self.engine.entries_held(self.world.space, held, self.world.now)
        ids = [one.entry_id for one in entries]
        self.engine.entries_handed(sender, self.world.space, ids, missing, self.world.now)
        self.run()

    def _take(self, entry: VerifiedEntry) -> list[EntryId]:
        assert self.intake is not None
        found = []
        was_held = entry.entry_id in self.fold
        for outcome in self.intake.take_in(entry):
            match outcome:
                case Held(held):
                    self.entries[held.entry_id] = held
                    if not (was_held and held.entry_id == entry.entry_id):
                        found.append(held.entry_id)
                case Awaited() | TurnedAway():
                    pass
        return found

    def hear_heads(self, sender: PartnerId, heads: SpaceHeads) -> None:
        if self.intake is not None:
            self.engine.heads_came(sender, heads, self.world.now)
            self.run()

    # --- going ---

    def view(self, space: EntryId) -> SpaceView | None:
        if self.intake is None:
            return None
        self.fold.state()
        return SpaceView(self.fold, self.intake.wanted, self.versions)

    def run(self) -> None:
        now = self.world.now
        self.engine.follow_partners(self.partners, self.partners if self.linked is None else self.linked, now)
        for _ in range(10_000):
            parcels = self.engine.due(now, self.view)
            for parcel in parcels:
                self._leave(parcel)
            wake = self.engine.next_wakeup()
            if wake > now:
                break
        else:
            raise AssertionError("the engine is never done")
        if wake < math.inf:
            self.world.at(wake, self.run)

    def _leave(self, parcel: EntriesParcel | HeadsParcel) -> None:
        if isinstance(parcel, HeadsParcel):
            for heads in parcel.heads:
                self.heads_sent.append((self.world.now, parcel.to, heads))
                came = decode_heads_frame(encode_heads_frame(heads))
                assert came == heads
                self.world.carry(self.id, parcel.to, lambda to, came=came: to.hear_heads(self.id, came))
            return
        entries = [
            self.entries[one] if with_body else without_body(self.entries[one])
            for one, with_body in parcel.entries
        ]
        for peer in parcel.to:
            assert peer in self.partners
            for entry_id, with_body in parcel.entries:
                self.sent.append((self.world.now, peer, entry_id, with_body))
            self.world.carry(self.id, peer, lambda to: to.hear_entries(self.id, entries))

    # --- asking ---

    def holds(self, entry_id: EntryId) -> bool:
        return entry_id in self.fold

    def has_body(self, entry_id: EntryId) -> bool:
        vertex = self.fold.graph.get(entry_id)
        return vertex is not None and vertex.content is not None

    def canonical(self) -> bytes:
        return canonical(self.fold.state())


class World:
    """Members, who is whose partner, and a clock. Envelopes take a tenth of a second."""

    def __init__(self, *names: str) -> None:
        self.now = float(NOW)
        self.space = NO_SPACE
        self.written: list[VerifiedEntry] = []
        self.carries: Callable[[PartnerId, PartnerId], bool] = lambda sender, to: True
        self.envelopes = 0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self.members = {name: Traveller(self, name) for name in names}
        self._by_id = {one.id: one for one in self.members.values()}

    def __getitem__(self, name: str) -> Traveller:
        return self.members[name]

    def link(self, *pairs: str) -> None:
        """Each pair of letters are partners."""
        for left, right in pairs:
            self[left].partners.add(self[right].id)
            self[right].partners.add(self[left].id)

    def link_all(self) -> None:
        self.link(*(left + right for left, right in itertools.combinations(self.members, 2)))

    def at(self, when: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when, next(self._order), what))

    def carry(self, sender: PartnerId, to: PartnerId, deliver: Callable[[Traveller], None]) -> None:
        self.envelopes += 1
        if self.carries(sender, to):
            self.at(self.now + 0.1, lambda: deliver(self._by_id[to]))

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self._events and self._events[0][0] <= end:
            when, _, what = heapq.heappop(self._events)
            self.now = max(self.now, when)
            what()
        self.now = end

    def joined(self, *names: str) -> EntryId:
        """The first of these opens, names the others, and all join."""
        first, *others = (self[name] for name in names)
        space = first.open(*(one.name for one in others))
        self.run(5)
        for one in others:
            if one.intake is None:  # no partner of who opened: it is handed the opening by hand
                one.hear_entries(first.id, [first.entries[space]])
            one.join()
        self.run(200)
        return space
