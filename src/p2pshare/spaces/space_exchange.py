"""How the entries of one node's spaces travel: the engine (`spaces.travel`) with the store, partners and envelopes around it.

Rules:

1. The engine says what goes to whom; here each parcel is sealed by the path of every envelope (`sharing.sending`) and noted as handed over. What it holds of a
   space is the store: entries are told to the engine in the order of storing, whoever wrote them.
2. What a partner hands over is taken in by `spaces.spaces`, and counted to it. Of its own new entries 600 an hour and space come in without having been
   asked for; what its heads showed before, ours ask for.
3. Heads are taken of partners that the space names, and kept over a restart. After one, all are asked, and writing waits (`seconds_before_writing`).
4. Our own envelopes that come home are read like others' and teach nothing but what was lost here.

Everything runs in the writer thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from p2pshare.envelope.entry import REAL, EntryHeader, VerifiedEntry, decode_entry, without_body
from p2pshare.errors import NotFoundError, PeerError, RefusedError, StoreError
from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.intel.marking import Tlp
from p2pshare.limits import INTRODUCED_CARD_BYTES_MAX, TTL_CLASS_BY_NAME
from p2pshare.node.duty_files import duty_templates_of
from p2pshare.node.node import Node
from p2pshare.partners.roster import Roster
from p2pshare.sharing.partners import load_roster
from p2pshare.sharing.payload_kinds import ENTRIES, HEADS
from p2pshare.sharing.publishing import SealedContent
from p2pshare.sharing.sending import send
from p2pshare.spaces.entry_frames import encode_heads_frame, frames_of
from p2pshare.spaces.framework_views import FrameworkViews
from p2pshare.spaces.heads import SpaceHeads
from p2pshare.spaces.incident_views import IncidentViews
from p2pshare.spaces.lab_views import LabViews
from p2pshare.spaces.parts import CONTENT_MISSING, PART, assemble, split
from p2pshare.spaces.space_store import WAITS_FOR_CARD, WAITS_FOR_PARENTS, SpaceStore, StoredEntry
from p2pshare.spaces.spaces import ALREADY_HELD, HELD, WAITS, EntryVerdict, Spaces
from p2pshare.spaces.travel import EntriesParcel, HeadsParcel, Parcel, SpaceTravel, SpaceView
from p2pshare.spaces.view_rounds import ViewRounds
from p2pshare.spaces.writing import SpaceStatement

UNASKED_PER_HOUR_MAX = 600  # new entries of its own that one partner may hand over of one space
NEW_ENTRIES_AT_ONCE = 512  # told to the engine in one step
VIEWS_LOOK_SECONDS = 1.0  # while rows of an incident are due: its fold keeps a pause
NOT_A_MEMBER = "not-a-member"
EARLY_CARDS_MAX = 32  # kept in memory, for the invitation that names their owner is under way: 8 MiB ...
EARLY_CARDS_EACH_MAX = 4  # ... of each who handed some over


@dataclass(frozen=True, slots=True)
class NoWay:
    """A member that cannot be handed entries from here, and why (`no-way-to`)."""

    member: PartnerId
    reason: str


class SpaceExchange:
    """One per node (`exchange_of`)."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._store = SpaceStore(node.store.database)
        self.spaces = spaces_of(node)
        self._views: tuple[ViewRounds, ...] = (
            IncidentViews(node.store.database, self.spaces, lambda: duty_templates_of(node.home).templates),
            LabViews(node.store.database, self.spaces),
            FrameworkViews(node.store.database, self.spaces, node.identity.partner_id),
        )
        self._travel: SpaceTravel | None = None
        self._cursor = 0
        self._parcels: deque[Parcel] = deque()
        self._unasked: dict[tuple[EntryId, PartnerId], tuple[int, int]] = {}
        self._roster: Roster | None = None
        self._versions: dict[PartnerId, int] = {}
        self._joins: set[EntryId] = set()
        self._no_way: dict[tuple[EntryId, PartnerId], str] = {}
        self._early_cards: dict[PartnerId, tuple[bytes, PartnerId]] = {}
        self._newest_heads: dict[tuple[EntryId, PartnerId], tuple[int, int]] = {}
        self.sealed = 0
        """Envelopes that were sealed in this life."""
        self.steady: Callable[[], float] | None = None
        """Seconds of a clock that is never set, for the intervals of travelling; without it `now` is that clock."""

    # --- life --------------------------------------------------------------------------------------

    def begin(self, now: float) -> None:
        """Begin a life at `now` (unix seconds): all that is held counts as told, and partners are asked what they hold."""
        own = self._own
        at = self._at(now)
        travel = self._travel = SpaceTravel(own, at)
        self._cursor = self._store.last_entry_row()
        for row in self._store.all():
            shown = {member: one.heads for member, one in self._store.heads_shown(row).items()}
            travel.begin(row.space, shown.pop(own, None), shown, at)

    def seconds_before_writing(self, now: float) -> float:
        """Returns how long nothing may be written in any space after the start; 0 from then on."""
        return self._engine(now).seconds_before_writing(self._at(now))

    def step(
        self, now: float, roster: Roster, linked: Iterable[PartnerId], is_doubtful: bool = False
    ) -> float:
        """Do the next small piece: a slice of a fold, hand one parcel over, or find out what is due. Returns in how many seconds there is more;
        infinity: when something happens. Raises StoreError with nothing of the piece kept."""
        travel = self._engine(now)
        if self.spaces.go_on(int(now), may_end=not is_doubtful):
            return 0.0
        if any(views.go_on(int(now)) for views in self._views):
            return 0.0
        pause = VIEWS_LOOK_SECONDS if any(views.is_due for views in self._views) else float("inf")
        if not self._parcels:
            self._follow(travel, roster, linked, now)
            is_more = self._tell_new(travel, now)
            self._tell_waiting_joins(travel, now)
            self._parcels += travel.due(self._at(now), self._view_of)
            if is_more:
                return 0.0
        if self._parcels:
            parcel = self._parcels.popleft()
            try:
                self._hand_over(parcel, roster, int(now))
            except StoreError:
                self._parcels.appendleft(
                    parcel
                )  # one that cannot be sealed for another reason is in nobody's way
                raise
            if self._parcels:
                return 0.0
        return min(max(0.0, travel.next_wakeup() - self._at(now)), pause)

    def _follow(self, travel: SpaceTravel, roster: Roster, linked: Iterable[PartnerId], now: float) -> None:
        if roster is not self._roster:
            self._roster = roster
            self._versions.clear()
        usable = {entry.partner_id for entry in roster if entry.is_usable(int(now))}
        travel.follow_partners(usable, usable.intersection(linked), self._at(now))

    def _tell_new(self, travel: SpaceTravel, now: float) -> bool:
        """Tell the engine what was stored since the last time; returns whether there may be more."""
        found = self._store.entries_after(self._cursor, NEW_ENTRIES_AT_ONCE)
        by_space: dict[EntryId, list[StoredEntry]] = {}
        for one in found:
            by_space.setdefault(one.space, []).append(one)
            self._cursor = one.row
        for space, entries in by_space.items():
            travel.entries_held(space, [one.entry_id for one in entries], self._at(now))
            for one in entries:
                if one.header.author == self._own and one.header.kind == "join":
                    self._joins.add(one.entry_id)
                    travel.join_goes_out(space, (one.entry_id, one.header.number), (), (), self._at(now))
        return len(found) == NEW_ENTRIES_AT_ONCE

    def _tell_waiting_joins(self, travel: SpaceTravel, now: float) -> None:
        """Have a join of ours go out that waits beside its invitation, to who invited us and who handed that over."""
        for one in self._store.waiting(author=self._own, reason=WAITS_FOR_PARENTS):
            wire = self._store.waiting_wire(one.row)
            if one.entry_id in self._joins or wire is None:
                continue
            join = decode_entry(wire, REAL).header
            if join.kind != "join":
                continue
            self._joins.add(one.entry_id)
            to: set[PartnerId] = set()
            wanted: set[EntryId] = set()
            for invitation in self._store.waiting(space=one.space, names_us=True):
                raw = self._store.waiting_wire(invitation.row)
                if raw is not None:
                    to |= {invitation.author, invitation.handed_by}
                    wanted |= set(decode_entry(raw, REAL).header.parents)
            travel.join_goes_out(
                one.space, (one.entry_id, join.number), to - {self._own}, wanted, self._at(now)
            )

    def space_changed(self, space: EntryId, now: float) -> None:
        """Have heads of a space told anew: a person was shown some of it."""
        self._engine(now).space_changed(space, self._at(now))

    def forget(self, space: EntryId) -> None:
        """Forget a space that leaves this node. What is stored next may have the places of what left."""
        if self._travel is not None:
            self._travel.forget(space)
        self._cursor = min(self._cursor, self._store.last_entry_row())
        self._parcels = deque(
            one for one in self._parcels if isinstance(one, HeadsParcel) or one.space != space
        )

    # --- what partners hand over -------------------------------------------------------------------

    def entries_came(
        self, handed_by: PartnerId, wires: Sequence[bytes], cards: Mapping[PartnerId, bytes], now: int
    ) -> list[EntryVerdict]:
        """Take in entries that a partner handed over; where one waits for a card that stands beside it, that is taken in, too."""
        travel = self._engine(now)
        came = [(wire, _header_of(wire)) for wire in wires]
        came = [one for one in came if self._is_admitted(travel, one[1], handed_by, now)]
        came.sort(key=lambda one: self._comes_later(one[1]))
        admitted, headers = [wire for wire, _ in came], [header for _, header in came]
        if len(admitted) < len(wires):
            self._node.store.partners.count_refusals(handed_by, {"later": len(wires) - len(admitted)})
        taken = self.spaces.take_in(admitted, handed_by, now)
        verdicts = list(taken.verdicts)
        for number, verdict in enumerate(verdicts):
            if verdict.status == WAITS and verdict.reason == WAITS_FOR_CARD:
                header = headers[number]
                if header is not None and header.author in cards:
                    self._take_card(cards[header.author], header.author, handed_by, now)
        self._note_handed(travel, handed_by, headers, verdicts, now)
        if self._early_cards and any(verdict.status == HELD for verdict in verdicts):
            for owner, (raw, came_from) in list(self._early_cards.items()):
                self._take_card(raw, owner, came_from, now)
        return verdicts

    def _comes_later(self, header: EntryHeader | None) -> bool:
        """Returns False for an invitation into a space that is not known here: its opening may name others, and is believed by it."""
        return header is None or header.kind != "invite" or self._store.find(header.space) is not None

    def cards_came(self, handed_by: PartnerId, cards: Mapping[PartnerId, bytes], now: int) -> None:
        """Take in newer versions of cards of members that are no partners, of which one is held already."""
        for owner, raw in cards.items():
            if self._store.introduced_card(owner) is not None:
                self._take_card(raw, owner, handed_by, now)

    def _take_card(self, raw: bytes, owner: PartnerId, handed_by: PartnerId, now: int) -> None:
        if raw == self._store.introduced_card(owner):
            return
        try:
            self.spaces.take_card(raw, handed_by, now)
        except PeerError as error:
            if error.reason == NOT_A_MEMBER and self._keep_early(raw, owner, handed_by):
                return
            if error.reason != "not-introduced":  # whoever sent it cannot know whose partner we are
                self._node.store.partners.count_refusals(handed_by, {error.reason: 1})
        self._early_cards.pop(owner, None)
        self._versions.pop(owner, None)

    def _keep_early(self, raw: bytes, owner: PartnerId, handed_by: PartnerId) -> bool:
        """Keep a card whose owner no space names yet: envelopes are read in any order. Returns False where there is no room."""
        if owner in self._early_cards:
            return True
        each = sum(came_from == handed_by for _, came_from in self._early_cards.values())
        if len(self._early_cards) >= EARLY_CARDS_MAX or each >= EARLY_CARDS_EACH_MAX:
            return False
        self._early_cards[owner] = (raw, handed_by)
        return True

    def _is_admitted(
        self, travel: SpaceTravel, header: EntryHeader | None, handed_by: PartnerId, now: int
    ) -> bool:
        """Returns whether an entry is not one too many of those that its author handed over unasked (rule 2)."""
        if header is None:
            return True  # it is refused with its reason
        if header.author != handed_by or handed_by == self._own:
            return True
        if travel.was_asked(handed_by, header.space, header.author, header.number):
            return True
        hour, key = int(self._at(now)) // 3_600, (header.space, handed_by)
        since, count = self._unasked.get(key, (hour, 0))
        if since != hour:
            self._unasked = {one: had for one, had in self._unasked.items() if had[0] == hour}
            count = 0
        self._unasked[key] = (hour, count + 1)
        return count < UNASKED_PER_HOUR_MAX

    def _note_handed(
        self,
        travel: SpaceTravel,
        handed_by: PartnerId,
        headers: Sequence[EntryHeader | None],
        verdicts: Sequence[EntryVerdict],
        now: int,
    ) -> None:
        held: dict[EntryId, list[EntryId]] = {}
        missing: dict[EntryId, list[EntryId]] = {}
        for header, verdict in zip(headers, verdicts, strict=True):
            if (
                header is None
                or verdict.entry_id is None
                or verdict.status not in (HELD, ALREADY_HELD, WAITS)
            ):
                continue
            space = verdict.entry_id if header.kind == "open" else header.space
            held.setdefault(space, []).append(verdict.entry_id)
            if verdict.status == WAITS and verdict.reason == WAITS_FOR_PARENTS:
                missing.setdefault(space, []).extend(header.parents)
        for space, ids in held.items():
            travel.entries_handed(handed_by, space, ids, missing.get(space, ()), self._at(now))

    def is_ready(self, wires: Iterable[bytes], now: int) -> bool:
        """Do a slice of reading the spaces of these entries into memory; returns whether that is done."""
        for space in {*map(_space_named, wires)}:
            if space is not None and not self.spaces.ready(space, now):
                return False
        return True

    def knows_members(self, sender: PartnerId, space: EntryId, now: int) -> bool:
        """Do a slice of what tells whether a space names who shows heads; returns whether that is done. It was told before of who has
        shown some already: then an idle space is not read for it."""
        row = self._store.find(space)
        return row is None or self._store.has_shown_heads(row, sender) or self.spaces.ready(space, now)

    def heads_came(
        self, handed_by: PartnerId, heads: SpaceHeads, now: int, order: tuple[int, int] = (0, 0)
    ) -> None:
        """Note what a partner showed of a space. `order` is the place of the envelope among its author's: they are read in any order, and what
        is older than the newest says nothing. Raises PeerError `wrong-realm`, `not-a-member`."""
        key = (heads.space, handed_by)
        if handed_by == self._own or order < self._newest_heads.get(key, order):
            return
        if heads.realm != REAL:
            raise PeerError("heads are of another realm than where they came in", reason="wrong-realm")
        row = self._store.find(heads.space)
        if row is None:
            if not self._store.waiting(space=heads.space, names_us=True):
                raise PeerError("heads are of no space that we know", reason=NOT_A_MEMBER)
        else:
            members = self.spaces.members_of(heads.space) or {}
            if not self._store.has_shown_heads(row, handed_by) and handed_by not in members:
                raise PeerError("heads are of a space that does not name their sender", reason=NOT_A_MEMBER)
            self._store.put_heads(row, handed_by, heads, now)
        self._newest_heads[key] = order
        self._engine(now).heads_came(handed_by, heads, self._at(now))

    # --- what is larger than an entry --------------------------------------------------------------

    def saying_whole(
        self, space: EntryId, whole: bytes, tlp: int, now: int, audience: tuple[PartnerId, ...] = ()
    ) -> Iterator[None]:
        """Write content of any size up to 16 MiB as entries `part`; yields between two of them. What names it by its SHA-256 is written directly
        behind: a redaction of that takes the parts along.

        Raises AuthorError `oversized`, RefusedError where there is no room for all, and as `Spaces.say`.
        """
        pieces = split(whole)
        reason = self.spaces.room_for(space, len(pieces) + 1, len(whole))
        if reason:
            raise RefusedError("there is no room in this space for all parts of it", reason=reason)
        for number, piece in enumerate(pieces):
            if number:
                yield
            self.spaces.say(space, SpaceStatement(PART, piece.encode(), tlp, audience), now)

    def whole(self, space: EntryId, digest: bytes) -> bytes:
        """Returns the content with that SHA-256. Raises NotFoundError `content-missing` until all its parts are held; `unknown-space`."""
        row = self._store.find(space)
        if row is None:
            raise NotFoundError("there is no such space here", reason="unknown-space")
        said = (
            (entry.header.author, entry.content())
            for entry in self._store.entries(row)
            if entry.header.kind == PART and entry.body_fits()
        )
        found = assemble(digest, said)
        if found is None:
            raise NotFoundError(
                "parts of it are not held here", hint="they are asked for", reason=CONTENT_MISSING
            )
        return found

    # --- what goes out -----------------------------------------------------------------------------

    def _view_of(self, space: EntryId) -> SpaceView | None:
        found = self.spaces.current(space)
        if found is None:
            return None
        fold, intake = found
        state = fold.newest_state
        assert state is not None
        cards = {member: self._version_of(member) for member in state.members}
        row = self._store.find(space)
        shown = {} if row is None else self._store.shown(row)
        return SpaceView(
            fold, intake.wanted, {one: version for one, version in cards.items() if version}, shown
        )

    def _version_of(self, member: PartnerId) -> int:
        """Returns the newest version of a member's card that is held here, 0 where there is none."""
        found = self._versions.get(member)
        if found is None:
            entry = None if self._roster is None else self._roster.get(member)
            if member == self._own:
                found = self._node.card.version
            elif entry is not None:
                found = entry.card.version
            else:
                found = self._store.introduced_version(member)
            self._versions[member] = found
        return found

    def _hand_over(self, parcel: Parcel, roster: Roster, now: int) -> None:
        """Seal one parcel. Raises StoreError."""
        if isinstance(parcel, HeadsParcel):
            self._hand_heads(parcel, roster, now)
        else:
            self._hand_entries(parcel, roster, now)

    def _hand_heads(self, parcel: HeadsParcel, roster: Roster, now: int) -> None:
        with self._node.store.transaction():
            strictest = Tlp.CLEAR
            for heads in parcel.heads:
                row = self._store.find(heads.space)
                if row is not None:
                    strictest = max(strictest, Tlp(row.tlp))
                    own = self._engine(now).own_heads(heads.space)
                    if own is not None:
                        self._store.put_heads(row, self._own, own, now)
            frames = [encode_heads_frame(heads) for heads in parcel.heads]
            content = SealedContent(strictest, len(frames), frames, TTL_CLASS_BY_NAME["1d"], HEADS.name)
            self._send(content, (parcel.to,), roster, (), now)

    def _hand_entries(self, parcel: EntriesParcel, roster: Roster, now: int) -> None:
        entries = [one for one in (self._entry(*each) for each in parcel.entries) if one is not None]
        if not entries:
            return
        row = self._store.find(parcel.space)
        with_bodies = [one.header.tlp for one in entries if one.body_fits()]
        strictest = max([row.tlp if row is not None else 0, *with_bodies])
        cards = [raw for raw in map(self._card_of, parcel.cards) if raw is not None]
        frames = list(frames_of(cards, [one.wire for one in entries]))
        with self._node.store.transaction():
            content = SealedContent(
                Tlp(strictest), len(entries), frames, TTL_CLASS_BY_NAME["7d"], ENTRIES.name
            )
            reached = self._send(content, parcel.to, roster, (parcel.space,), now)
            numbers: dict[PartnerId, int] = {}
            for one in entries:
                author = one.header.author
                numbers[author] = max(numbers.get(author, 0), one.header.number)
            if row is not None:
                for member in reached:
                    self._store.note_handed(row, member, numbers, now)

    def _send(
        self,
        content: SealedContent,
        to: Sequence[PartnerId],
        roster: Roster,
        spaces: Sequence[EntryId],
        now: int,
    ) -> list[PartnerId]:
        """Returns to whom it goes."""
        sent = send(self._node, roster, content, to, now)
        self.sealed += len(sent.envelopes)
        for space in spaces:
            for partner in to:
                self._no_way.pop((space, partner), None)
                if partner in sent.no_way:
                    self._no_way[space, partner] = sent.no_way[partner]
        return [partner for partner in to if partner not in sent.no_way]

    def _entry(self, entry_id: EntryId, with_body: bool) -> VerifiedEntry | None:
        """Returns an entry to be handed over: one that is held, or a join of ours that waits."""
        found = self._store.entry(entry_id)
        if found is None:
            for one in self._store.waiting(entry_id=entry_id, reason=WAITS_FOR_PARENTS):
                wire = self._store.waiting_wire(one.row)
                if one.author == self._own and wire is not None:
                    found = VerifiedEntry(decode_entry(wire, REAL))
        if found is None or with_body:
            return found
        return without_body(found)

    def _card_of(self, member: PartnerId) -> bytes | None:
        raw = self._node.store.partners.newest_card(member) or self._store.introduced_card(member)
        return raw if raw is not None and len(raw) <= INTRODUCED_CARD_BYTES_MAX else None

    # --- parts -------------------------------------------------------------------------------------

    @property
    def _own(self) -> PartnerId:
        return self._node.identity.partner_id

    def _at(self, now: float) -> float:
        """Returns the instant `now` on the clock of intervals."""
        return now if self.steady is None else self.steady()

    def _engine(self, now: float) -> SpaceTravel:
        if self._travel is None:
            self.begin(now)
        assert self._travel is not None
        return self._travel

    def no_ways(self, space: EntryId) -> list[NoWay]:
        """Returns the members of a space that cannot be handed entries from here: no partners, or the last envelope could not go."""
        members = self.spaces.members_of(space) or {}
        roster = self._roster or load_roster(self._node)
        found = []
        for member, status in sorted(members.items()):
            if member == self._own or status in ("removed", "left", "declined"):
                continue
            if roster.get(member) is None:
                found.append(NoWay(member, "no-partner"))
            elif (space, member) in self._no_way:
                found.append(NoWay(member, self._no_way[space, member]))
        return found


def _header_of(wire: bytes) -> EntryHeader | None:
    """Returns the header of an entry that came, None where it is none: whoever takes it in refuses it with its reason."""
    try:
        return decode_entry(wire, REAL).header
    except PeerError:
        return None


def _space_named(wire: bytes) -> EntryId | None:
    header = _header_of(wire)
    return None if header is None else header.space


def spaces_of(node: Node) -> Spaces:
    """Returns the spaces of a node, the same for everybody in the process."""
    if node.spaces is None:
        node.spaces = Spaces(node.store.database, node.store.partners, lambda: node.identity)
    found: Spaces = node.spaces
    return found


def exchange_of(node: Node) -> SpaceExchange:
    """Returns what has the entries of a node's spaces travel, the same for everybody in the process."""
    if node.space_exchange is None:
        node.space_exchange = SpaceExchange(node)
    found: SpaceExchange = node.space_exchange
    return found
