"""A member of simulated spaces: the product's travel, intake and fold, and what a person does at them.

What it keeps of a space is `SpaceDisk`, which a crash leaves and a backup holds; all else is made from that, as after a start. Entries
have no signatures: a world would spend its time on them, and no rule here asks for more than who wrote what.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random

from p2pshare.envelope.entry import (
    NO_SPACE,
    REAL,
    DecodedEntry,
    EntryDraft,
    VerifiedEntry,
    complete_header,
    encode_header,
    entry_id_of,
    without_body,
)
from p2pshare.errors import PeerError
from p2pshare.identifiers import EntryId, KeyId, PartnerId
from p2pshare.limits import SPACE_WAITING_MAX
from p2pshare.spaces.acts import RULES, Inviting, Opening, decode_act
from p2pshare.spaces.fold import SpaceState
from p2pshare.spaces.heads import SpaceHeads
from p2pshare.spaces.space_store import SpaceRow
from p2pshare.spaces.spaces import LoadedSpace
from p2pshare.spaces.taking_in import Held
from p2pshare.spaces.travel import EntriesParcel, HeadsParcel, SpaceTravel, SpaceView
from p2pshare.spaces.vertex import SpaceEntry
from p2pshare.spaces.writing import SpaceStatement, join_draft, write, write_join

KEY = KeyId(bytes(16))
NO_SIGNATURE = b""
GREEN = 1
DUE_ROUNDS_MAX = 1_000  # in which an engine must have said all that is due at one moment


@dataclass
class SpaceDisk:
    """What a node keeps of one space: entries in the order of storing, what waits, its own heads, and those of others."""

    entries: dict[EntryId, VerifiedEntry] = field(default_factory=dict)
    waiting: dict[EntryId, VerifiedEntry] = field(default_factory=dict)
    """For parents, or for the opening."""
    heads: dict[PartnerId, SpaceHeads] = field(default_factory=dict)
    own_heads: SpaceHeads | None = None

    def copy(self) -> SpaceDisk:
        return SpaceDisk(dict(self.entries), dict(self.waiting), dict(self.heads), self.own_heads)


@dataclass(frozen=True)
class Delivery:
    """Entries on their way, and whose cards are beside them."""

    space: EntryId
    cards: tuple[PartnerId, ...]
    entries: tuple[VerifiedEntry, ...]


class SpaceMember:
    """A node, and the person at it. `send` gives a parcel to the network; time is handed in."""

    def __init__(
        self,
        name: str,
        partners: Iterable[PartnerId],
        draw: Random,
        send: Callable[[SpaceMember, PartnerId, Delivery | tuple[bytes, ...]], None],
        now: float,
    ) -> None:
        self.name = name
        self.id = partner_id(name)
        self.partners = frozenset(partners)
        self.draw = draw
        self.disks: dict[EntryId, SpaceDisk] = {}
        self.cards = {self.id, *self.partners}
        """Whose cards are here."""
        self.is_up = True
        self.is_dead = False
        self.linked: frozenset[PartnerId] = frozenset()
        self.held_at: dict[EntryId, float] = {}
        self.copies = 0
        """Entries that came and were held already, with their bodies."""
        self._send = send
        self._salt = 0
        self.start(now)

    # --- lives -------------------------------------------------------------------------------------

    def start(self, now: float) -> None:
        """Begin a life with what is on the disks."""
        self.loaded: dict[EntryId, LoadedSpace] = {}
        self.waiting_for_card: dict[EntryId, tuple[VerifiedEntry, PartnerId]] = {}
        self.travel = SpaceTravel(self.id, now)
        self.travel.follow_partners(self.partners, self.linked, now)
        for space, disk in self.disks.items():
            self._load(space)
            if space in self.loaded:
                self.travel.begin(space, disk.own_heads, disk.heads, now)

    def _load(self, space: EntryId) -> None:
        disk = self.disks[space]
        if not disk.entries:
            return
        loaded = LoadedSpace(_row(space))
        for entry in disk.entries.values():
            loaded.put_back(SpaceEntry.of(entry))
        for entry in disk.waiting.values():
            loaded.intake.take_in(entry)
        self.loaded[space] = loaded

    def follow(self, linked: Iterable[PartnerId], now: float) -> None:
        self.linked = frozenset(linked) & self.partners
        self.travel.follow_partners(self.partners, self.linked, now)

    # --- what comes --------------------------------------------------------------------------------

    def hear(
        self,
        sender: PartnerId,
        message: Delivery | tuple[bytes, ...],
        heads_of: Callable[[bytes], SpaceHeads],
        now: float,
    ) -> None:
        if isinstance(message, Delivery):
            self._hear_entries(sender, message, now)
        else:
            for raw in message:
                heads = heads_of(raw)
                if heads.space in self.disks:
                    self.disks[heads.space].heads[sender] = heads
                    self.travel.heads_came(sender, heads, now)

    def _hear_entries(self, sender: PartnerId, delivery: Delivery, now: float) -> None:
        for author in sorted(set(delivery.cards) - self.cards):
            self.cards.add(author)
            for entry_id, (entry, handed_by) in list(self.waiting_for_card.items()):
                if entry.header.author == author:
                    del self.waiting_for_card[entry_id]
                    self._take(entry, handed_by, now)
        for entry in delivery.entries:
            self._take(entry, sender, now)
        disk, loaded = self.disks.get(delivery.space), self.loaded.get(delivery.space)
        if disk is None:
            return
        known = disk.waiting.keys() | disk.entries.keys() | self.waiting_for_card.keys()
        missing = {
            parent
            for entry in delivery.entries
            if entry.entry_id in disk.waiting
            for parent in entry.header.parents
            if parent not in known
        }
        ids = [entry.entry_id for entry in delivery.entries if entry.entry_id in known]
        if loaded is not None:
            self.travel.entries_handed(sender, delivery.space, ids, sorted(missing), now)

    def _take(self, entry: VerifiedEntry, sender: PartnerId, now: float) -> None:
        """Rules 8 to 10, and then the product's own."""
        header = entry.header
        space = entry.entry_id if header.kind == "open" else header.space
        loaded, disk = self.loaded.get(space), self.disks.get(space)
        if disk is None and not (header.author in self.partners and self._is_named_by(entry)):
            return
        if header.author not in self.cards:
            if len(self.waiting_for_card) < SPACE_WAITING_MAX:
                self.waiting_for_card[entry.entry_id] = (entry, sender)
            return
        if disk is None:
            disk = self.disks[space] = SpaceDisk()
        if loaded is not None:
            self._take_in(loaded, entry, now)
        elif header.kind == "open":
            self._begin(entry, now)
        else:
            disk.waiting.setdefault(entry.entry_id, entry)

    def _begin(self, opening: VerifiedEntry, now: float) -> None:
        space = opening.entry_id
        disk = self.disks.setdefault(space, SpaceDisk())
        self.loaded[space] = loaded = LoadedSpace(_row(space))
        loaded.put_back(SpaceEntry.of(opening))
        self._keep(space, opening, now)
        self.travel.entries_held(space, [opening.entry_id], now)
        for entry in list(disk.waiting.values()):
            self._take_in(loaded, entry, now)

    def _take_in(self, loaded: LoadedSpace, entry: VerifiedEntry, now: float) -> None:
        space, disk = loaded.row.space, self.disks[loaded.row.space]
        was_held = entry.entry_id in loaded.fold
        if was_held and not loaded.fold.lacks_body(entry.entry_id):
            self.copies += 1
        new = []
        for outcome in loaded.intake.take_in(entry):
            if isinstance(outcome, Held):
                if outcome.entry.entry_id not in disk.entries:
                    loaded.count(outcome.entry)
                    new.append(outcome.entry.entry_id)
                self._keep(space, outcome.entry, now)
                disk.waiting.pop(outcome.entry.entry_id, None)
        if loaded.intake.awaited(entry.entry_id) is not None:
            disk.waiting.setdefault(entry.entry_id, entry)
        if new:
            self.travel.entries_held(space, new, now)
        elif was_held and entry.body_fits():
            self.travel.space_changed(space, now)

    def _keep(self, space: EntryId, entry: VerifiedEntry, now: float) -> None:
        entries = self.disks[space].entries
        held = entries.get(entry.entry_id)
        if held is None or (entry.body_fits() and not held.body_fits()):
            entries[entry.entry_id] = entry
        self.held_at.setdefault(entry.entry_id, now)

    def _is_named_by(self, entry: VerifiedEntry) -> bool:
        if entry.header.kind not in ("open", "invite") or not entry.body_fits():
            return False
        try:
            act = decode_act(entry.header.kind, entry.content())
        except PeerError:
            return False
        return isinstance(act, Opening | Inviting) and self.id in dict(act.names)

    # --- what is due -------------------------------------------------------------------------------

    def work(self, now: float) -> float:
        """Hand out all that is due; returns when something is due next."""
        if not self.is_up:
            return float("inf")
        for _ in range(DUE_ROUNDS_MAX):
            parcels = self.travel.due(now, lambda space: self._view(space, now))
            for parcel in parcels:
                self._dispatch(parcel)
            for space, disk in self.disks.items():
                disk.own_heads = self.travel.own_heads(space) or disk.own_heads
            wake = self.travel.next_wakeup()
            if wake > now:
                return wake
        raise AssertionError(f"the travel of {self.name} has something due at once, for ever")

    def _view(self, space: EntryId, now: float) -> SpaceView | None:
        loaded = self.loaded.get(space)
        if loaded is None or self.folded(space, now) is None:
            return None
        return SpaceView(loaded.fold, loaded.intake.wanted, dict.fromkeys(sorted(self.cards), 1))

    def folded(self, space: EntryId, now: float) -> SpaceState | None:
        """Returns the state of a space, by the pace at which a node folds; None where it is to be folded later."""
        loaded = self.loaded.get(space)
        if loaded is None:
            return None
        while loaded.is_due(int(now)):
            loaded.step(int(now))
        return loaded.fold.newest_state if loaded.fold.is_current else None

    def _dispatch(self, parcel: EntriesParcel | HeadsParcel) -> None:
        if isinstance(parcel, HeadsParcel):
            self._send(self, parcel.to, tuple(heads.encode() for heads in parcel.heads))
            return
        disk = self.disks[parcel.space]
        entries = []
        for entry_id, with_body in parcel.entries:
            entry = disk.entries.get(entry_id) or disk.waiting[entry_id]
            entries.append(entry if with_body else without_body(entry))
        for peer in parcel.to:
            self._send(self, peer, Delivery(parcel.space, parcel.cards, tuple(entries)))

    # --- what the person does ----------------------------------------------------------------------

    def open(self, title: str, invited: Iterable[PartnerId], now: float) -> EntryId:
        names = tuple(sorted((member, "") for member in {self.id, *invited}))
        draft = EntryDraft(REAL, NO_SPACE, self.id, 1, (), 1, int(now), "open", GREEN)
        opening = self._sealed(draft, Opening(RULES, "note", title, names).encode())
        self._begin(opening, now)
        return opening.entry_id

    def may_write(self, now: float) -> bool:
        return self.is_up and self.travel.seconds_before_writing(now) == 0

    def say(
        self,
        space: EntryId,
        kind: str,
        content: bytes,
        now: float,
        *,
        audience: tuple[PartnerId, ...] = (),
        left_out: Iterable[EntryId] = (),
    ) -> VerifiedEntry | None:
        """Write an entry, as the product does; None where it would have no effect, or has to wait."""
        if space not in self.loaded or not self.may_write(now):
            return None
        loaded = self.loaded[space]
        said = SpaceStatement(kind, content, GREEN, audience)
        written = write(loaded.fold, self.id, said, int(now), self._sealed, left_out=tuple(left_out))
        return self._put_own(space, written, now)

    def join(self, space: EntryId, now: float) -> None:
        """Accept the newest invitation, if there is one that is not answered."""
        if not self.may_write(now):
            return
        loaded, disk = self.loaded.get(space), self.disks[space]
        if loaded is not None:
            state = loaded.fold.state()
            named = [
                vertex
                for vertex in state.timeline
                if isinstance(vertex.act, Opening | Inviting) and self.id in dict(vertex.act.names)
            ]
            if state.members.get(self.id) != "invited" or not named:
                return
            join = write_join(loaded.fold, self.id, named[-1].entry_id, int(now), self._sealed)
            inviter, wanted = named[-1].author, set(loaded.intake.wanted())
            if self._put_own(space, [join], now) is None:
                return
        else:
            invitations = [entry for entry in disk.waiting.values() if entry.header.kind == "invite"]
            if not invitations or any(entry.header.author == self.id for entry in disk.waiting.values()):
                return
            newest = max(invitations, key=lambda entry: (entry.header.depth, entry.entry_id))
            join = self._sealed(join_draft(newest.header, newest.entry_id, self.id, int(now)), b"\x80")
            disk.waiting[join.entry_id] = join
            inviter, wanted = newest.header.author, {*newest.header.parents} - disk.waiting.keys()
        to = [inviter] if inviter in self.partners else []
        self.travel.join_goes_out(space, (join.entry_id, join.header.number), to, sorted(wanted), now)

    def _put_own(self, space: EntryId, written: list[VerifiedEntry], now: float) -> VerifiedEntry | None:
        loaded = self.loaded[space]
        if loaded.fold.effect_of_newest() not in ("", "unconfirmed"):
            self._load(space)  # the fold forgets it
            return None
        for entry in written:
            loaded.count(entry)
            self._keep(space, entry, now)
        self.travel.entries_held(space, [entry.entry_id for entry in written], now)
        return written[-1]

    def _sealed(self, draft: EntryDraft, content: bytes) -> VerifiedEntry:
        self._salt += 1
        return unsigned(draft, content, self.draw.randbytes(16))


def partner_id(name: str) -> PartnerId:
    return PartnerId(hashlib.sha256(f"member {name}".encode()).digest())


def unsigned(draft: EntryDraft, content: bytes, salt: bytes) -> VerifiedEntry:
    """Returns the entry of a draft, without signatures."""
    body = salt + content
    header = complete_header(draft, body, KEY)
    raw = encode_header(header)
    return VerifiedEntry(DecodedEntry(header, raw, body, NO_SIGNATURE, entry_id_of(raw)))


def _row(space: EntryId) -> SpaceRow:
    nobody = PartnerId(bytes(PartnerId.length))
    return SpaceRow(0, space, "note", "", GREEN, nobody, nobody, 0, 0)
