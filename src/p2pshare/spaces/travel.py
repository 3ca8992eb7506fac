"""Travel: which entries and heads go to whom, and when (docs/spaces.md, "How entries travel"). Pure: time is handed in, envelopes go out as parcels.

The rules, with the numbers of that page:

1. Who may have what: `spaces.entitlement`, asked again of each entry in the moment in which it goes out.
2. Heads tell what is held. They go to each partner that has joined 10 s after a change, then once a minute, hourly without one; at once where another's
   show what is lacking here, then 10 s apart, and slower each time for the same. All spaces of a link share an envelope.
   In any time they are one a minute, and `HEADS_AT_ONCE_MAX`. They are answered once: with what their sender lacks by them, and what it wants.
3. Wants go to whoever named an id, with the next heads to it.
4. New entries are handed on: our own at once, others' after the pause that their author, or a better placed member, needs to do so.
5. A join goes out again until heads show it.

Heads make it right, handing on makes it fast: what is handed on too much for memory, or to somebody who was away, is found by heads.

What a peer can make us do is bounded: an answer each 10 s, nothing twice in 10 minutes (what waits there is wanted again, ever more seldom),
`ANSWERED_BYTES_PER_HOUR_MAX` an hour and `ANSWERED_BYTES_PER_WEEK_MAX` a week; an envelope with heads each 10 s, however many ids it names.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from p2pshare.envelope.entry import REAL
from p2pshare.identifiers import EntryId, PartnerId, Realm
from p2pshare.limits import MIB
from p2pshare.spaces.entitlement import Entitlement
from p2pshare.spaces.fold import SpaceFold
from p2pshare.spaces.heads import WANTED_MAX, AuthorHead, HeldElsewhere, SpaceHeads, heads_of
from p2pshare.spaces.vertex import Vertex

HEADS_AFTER_CHANGE_SECONDS = 10.0  # what comes together is told together
HEADS_SECONDS = 60.0  # between two envelopes of heads to one partner
HEADS_AT_ONCE_MAX = (
    6  # before their minute, questions among them: so in any time they are one a minute and six at most
)
HEADS_IDLE_SECONDS = 3_600.0  # without a change
ASK_SECONDS = 10.0  # between two questions to one partner, and between two answers to it
ASK_SECONDS_MAX = 3_600.0  # for what it names again and again and never delivers
WANT_SECONDS = 5.0  # before a missing parent is asked for: mostly it is under way
WANT_AGAIN_SECONDS = 15.0  # doubled each time ...
WANT_TRIES_MAX = 12  # ... so many times: 17 hours
WANTS_MAX = 4_096  # of one space at once
NAMERS_MAX = 4  # remembered of one id
AUTHOR_SECONDS = 60.0  # that the author of an entry has to hand it to its own partner
RANK_SECONDS = 20.0  # that each better placed member has to hand it on
HANDING_ON_MAX = (
    512  # entries that wait to be handed to one partner; what is beyond goes as answer to its heads
)
KNOWN_MAX = 8_192  # ids that a partner handed over, remembered until its next heads: else they are handed to it in vain
RESEND_SECONDS = 600.0  # before an entry goes to the same partner again
ANSWERED_BYTES_PER_HOUR_MAX = 512 * MIB  # to one partner: two full spaces
ANSWERED_BYTES_PER_WEEK_MAX = 2_048 * MIB  # as long: an answer stays in our own log until it expires, 7 days
JOIN_SECONDS = 120.0  # before a join goes out again ...
JOIN_TRIES_MAX = 30  # ... so many times; then hourly: envelopes to who is away would pile up
INVITE_SECONDS = (
    6 * 86_400.0
)  # before an invitation of ours goes out again: an envelope is carried for a day longer
PARCEL_BYTES = 2 * MIB  # entries of one envelope, before they are compressed: some 400 without large bodies
PARCEL_ENTRIES_MAX = 512
ENTRY_OVERHEAD_BYTES = 5_600  # of an entry besides its body: its signatures mostly
WRITING_WAITS_SECONDS_MAX = 60.0  # for the heads of all linked members, after a start
WRITING_WAITS_SECONDS_ALONE = 5.0  # ... where nobody is linked
NOT_READY_SECONDS = 0.2  # before a space that is still folded is looked at again

NEVER = -math.inf

_HOUR = 3_600.0
_WEEK_HOURS = 168


_Entries = tuple[tuple[EntryId, bool], ...]


@dataclass(frozen=True, slots=True)
class EntriesParcel:
    """Entries for one envelope, parents first, each with its body or the header alone; `cards` go beside them."""

    space: EntryId
    to: tuple[PartnerId, ...]
    entries: _Entries
    cards: tuple[PartnerId, ...] = ()


@dataclass(frozen=True, slots=True)
class HeadsParcel:
    """Heads of one or several spaces for one envelope."""

    to: PartnerId
    heads: tuple[SpaceHeads, ...]


Parcel = EntriesParcel | HeadsParcel


@dataclass(frozen=True, slots=True)
class SpaceView:
    """A space as travel reads it, with a state that is up to date."""

    fold: SpaceFold
    wanted: Callable[[], Iterable[EntryId]]
    """What entries wait for (`SpaceIntake.wanted`)."""
    cards: Mapping[PartnerId, int] = field(default_factory=dict)
    """The newest version of the card of each member that is held here."""
    shown: Mapping[PartnerId, int] = field(default_factory=dict)
    """Up to which number a person was shown the entries of each author."""


OpenView = Callable[[EntryId], SpaceView | None]
"""Returns a space with its state up to date; None where that takes longer, or its opening is not here."""


@dataclass(slots=True)
class _Want:
    """An id for which an entry waits: who named it, when it is asked for next, and how often it was."""

    next_at: float
    namers: list[PartnerId] = field(default_factory=list)
    tries: int = 0


@dataclass(slots=True)
class _Join:
    """Our join, until heads show it."""

    entry_id: EntryId
    number: int
    to: tuple[PartnerId, ...]
    next_at: float
    wanted: tuple[EntryId, ...]
    tries: int = 0


@dataclass(slots=True)
class _Side:
    """What is known of one partner in one space."""

    heads: SpaceHeads | None = None
    is_answer_due: bool = False
    is_unread: bool = False
    """Whether its heads have come and were not compared yet."""
    had_all: bool = False
    answered_at: float = NEVER
    queue: deque[EntryId] = field(default_factory=deque)
    pending: dict[EntryId, float] = field(default_factory=dict)
    sent: dict[EntryId, float] = field(default_factory=dict)
    bodies_sent: dict[EntryId, float] = field(default_factory=dict)
    wanted_again: Counter[EntryId] = field(default_factory=Counter)
    """How often entries went because they were wanted."""
    cards_sent: dict[PartnerId, tuple[int, float]] = field(default_factory=dict)
    """The version of each card that went beside entries, and when: it may have been lost on the way."""
    known: set[EntryId] = field(default_factory=set)
    """What it handed over itself since its heads."""
    invite_at: float = math.inf
    """When our invitation goes to it again."""
    told: tuple[AuthorHead, ...] | None = None
    due_at: float = math.inf
    """When it is told our heads next."""
    ask_at: float = math.inf
    """The same, without the pause of a minute."""
    lacking: frozenset[EntryId] = frozenset()
    lacking_asked: int = 0


@dataclass(slots=True)
class _Journey:
    """What is known of one space besides its entries."""

    space: EntryId
    sides: dict[PartnerId, _Side] = field(default_factory=dict)
    own: SpaceHeads | None = None
    is_opened: bool = False
    """Whether the opening is here."""
    is_dirty: bool = False
    """Whether `own` is older than the last change."""
    changed_at: float = math.inf
    """When the first change came that `own` does not have."""
    new: list[EntryId] = field(default_factory=list)
    wants: dict[EntryId, _Want] = field(default_factory=dict)
    join: _Join | None = None
    entitlement: Entitlement | None = None
    state: object = None
    members: frozenset[PartnerId] = frozenset()
    """Our partners that may have all."""
    named: frozenset[PartnerId] = frozenset()
    """Our partners that are members, joined or not."""
    is_ours: bool = True
    """Whether we have joined."""
    wake: float = NEVER

    def side(self, peer: PartnerId) -> _Side:
        return self.sides.setdefault(peer, _Side())


@dataclass(slots=True)
class _Line:
    """What one partner was sent, over all spaces."""

    told_at: float = NEVER
    asked_at: float = NEVER
    told_until: float = NEVER
    """Until when the envelopes with heads that went would last, one a minute."""
    answered: dict[int, int] = field(default_factory=dict)
    """Bytes of answers in each hour of the last week."""

    def may_tell_at(self) -> float:
        """Returns when the next envelope with heads may go, whatever is in it."""
        before_their_time = self.told_until - HEADS_SECONDS * (HEADS_AT_ONCE_MAX - 1)
        return max(before_their_time, self.asked_at + ASK_SECONDS)

    def count_heads(self, now: float) -> None:
        self.asked_at = now
        self.told_until = max(self.told_until, now) + HEADS_SECONDS

    def count_answer(self, size: int, now: float) -> None:
        hour = int(now // _HOUR)
        self.answered[hour] = self.answered.get(hour, 0) + size

    def may_answer_at(self, now: float) -> float:
        """Returns when it may be answered: at once, or in the next hour where it had all of this one, or of the week."""
        hour = int(now // _HOUR)
        self.answered = {one: size for one, size in self.answered.items() if one > hour - _WEEK_HOURS}
        is_too_much = (
            self.answered.get(hour, 0) >= ANSWERED_BYTES_PER_HOUR_MAX
            or sum(self.answered.values()) >= ANSWERED_BYTES_PER_WEEK_MAX
        )
        return (hour + 1) * _HOUR if is_too_much else now


class SpaceTravel:
    """The travel of all spaces of one node on one ground, whose id is `own`. Times are seconds of one clock; `began_at` is that of the start."""

    def __init__(self, own: PartnerId, began_at: float, realm: Realm = REAL) -> None:
        self._own = own
        self._realm = realm
        self._began_at = began_at
        self._journeys: dict[EntryId, _Journey] = {}
        self._lines: defaultdict[PartnerId, _Line] = defaultdict(_Line)
        self._partners: frozenset[PartnerId] = frozenset()
        self._linked: frozenset[PartnerId] = frozenset()
        self._asked_at_start: set[PartnerId] = set()
        self._heard: set[PartnerId] = set()

    # --- what happens ------------------------------------------------------------------------------

    def follow_partners(
        self, partners: Collection[PartnerId], linked: Collection[PartnerId], now: float
    ) -> None:
        """Follow the partners for whom envelopes can be sealed, and which of them are connected."""
        changed = frozenset(partners) != self._partners
        come = frozenset(linked) - self._linked
        self._partners, self._linked = frozenset(partners), frozenset(linked)
        for journey in self._journeys.values():
            if changed:
                journey.state = None
                self._wake(journey, now)
            for peer in come & journey.members:  # two that were apart
                side = journey.side(peer)
                side.due_at = min(side.due_at, now + HEADS_AFTER_CHANGE_SECONDS)
                self._wake(journey, side.due_at)

    def begin(
        self, space: EntryId, own: SpaceHeads | None, heads: Mapping[PartnerId, SpaceHeads], now: float
    ) -> None:
        """Go on with a space after a start: `own` are our heads as they were last told, `heads` what others showed.

        Partners among the members are asked for theirs at once, and writing waits for them (`seconds_before_writing`).
        """
        journey = self._journey(space)
        journey.own = own
        journey.is_opened = journey.is_dirty = True
        journey.changed_at = now
        for peer, one in heads.items():
            journey.side(peer).heads = one
        for peer in heads if own is None else own.partners:
            self._asked_at_start.add(peer)
            side = journey.side(peer)
            side.ask_at, side.had_all = now, True
        self._wake(journey, now)

    def entries_held(self, space: EntryId, ids: Iterable[EntryId], now: float) -> None:
        """Note entries that are new here, our own and others', in the order in which they were stored."""
        journey = self._journey(space)
        journey.is_opened = True
        if len(journey.new) < HANDING_ON_MAX:
            journey.new += ids
        self.space_changed(space, now)
        self._wake(journey, now)

    def space_changed(self, space: EntryId, now: float) -> None:
        """Note that heads are to be told anew: an entry, a body or a card came, or a person was shown some."""
        journey = self._journey(space)
        journey.is_dirty = True
        journey.changed_at = min(journey.changed_at, now)
        self._wake(journey, journey.changed_at + HEADS_AFTER_CHANGE_SECONDS)

    def entries_handed(
        self, peer: PartnerId, space: EntryId, ids: Iterable[EntryId], missing: Iterable[EntryId], now: float
    ) -> None:
        """Note what a partner handed over: it holds it; and which parents of it are not here: it named them."""
        journey = self._journey(space)
        side = journey.side(peer)
        if len(side.known) > KNOWN_MAX:
            side.known.clear()
        side.known |= set(ids)
        for entry_id in ids:
            side.pending.pop(entry_id, None)
        for entry_id in missing:
            want = journey.wants.get(entry_id)
            if want is None:
                if len(journey.wants) >= WANTS_MAX:
                    continue
                want = journey.wants[entry_id] = _Want(now + WANT_SECONDS)
            if peer not in want.namers:
                want.namers = [*want.namers[1 - NAMERS_MAX :], peer]
        self._wake(journey, now)

    def heads_came(self, peer: PartnerId, heads: SpaceHeads, now: float) -> None:
        """Note the heads that a partner showed of a space that is known here; nothing of them is believed but that it said so."""
        journey = self._journey(heads.space)
        side = journey.side(peer)
        side.heads, side.known = heads, set()
        side.cards_sent.clear()  # it lists those that came
        side.is_answer_due = side.is_unread = True
        self._heard.add(peer)
        join = journey.join
        is_listed = join is not None and any(
            one.author == self._own and one.number >= join.number for one in heads.heads
        )
        if join is not None and is_listed and (peer in join.to or peer in journey.named):
            journey.join = None
        if heads.asks:
            side.ask_at = min(side.ask_at, now)
        self._wake(journey, now)

    def join_goes_out(
        self,
        space: EntryId,
        join: tuple[EntryId, int],
        to: Collection[PartnerId],
        wanted: Collection[EntryId],
        now: float,
    ) -> None:
        """Have our join (its id and number) go to these until heads show it; `wanted` is what its invitation waits for."""
        entry_id, number = join
        journey = self._journey(space)
        journey.join = _Join(entry_id, number, tuple(sorted(to)), now, tuple(sorted(wanted))[:WANTED_MAX])
        self._wake(journey, now)

    def forget(self, space: EntryId) -> None:
        """Forget a space that is not kept here any more."""
        self._journeys.pop(space, None)

    # --- what is asked -----------------------------------------------------------------------------

    def knows(self, space: EntryId) -> bool:
        return space in self._journeys

    def next_wakeup(self) -> float:
        """Returns when something is due next; infinity: never."""
        return min((journey.wake for journey in self._journeys.values()), default=math.inf)

    def seconds_before_writing(self, now: float) -> float:
        """Returns how long writing has to wait after a start, 0 when it need not: what we wrote before and have lost would be a fork."""
        waited = now - self._began_at
        asked = self._asked_at_start & self._partners
        if not asked or waited >= WRITING_WAITS_SECONDS_MAX:
            return 0.0
        linked = asked & self._linked
        if not linked:
            return max(0.0, WRITING_WAITS_SECONDS_ALONE - waited)
        return WRITING_WAITS_SECONDS_MAX - waited if linked - self._heard else 0.0

    def own_heads(self, space: EntryId) -> SpaceHeads | None:
        """Returns our heads of a space as they were last reckoned."""
        journey = self._journeys.get(space)
        return None if journey is None else journey.own

    def was_asked(self, peer: PartnerId, space: EntryId, author: PartnerId, number: int) -> bool:
        """Returns whether an entry is one that a partner showed in its heads: then our heads ask for it, and it is no burden of its author."""
        journey = self._journeys.get(space)
        side = None if journey is None else journey.sides.get(peer)
        if side is None or side.heads is None or side.told is None:
            return False
        return any(one.author == author and number <= one.number for one in side.heads.heads)

    # --- what is due -------------------------------------------------------------------------------

    def due(self, now: float, view_of: OpenView) -> list[Parcel]:
        """Returns what is to leave at `now`, in order. A long answer goes on at the next call: each has at most one envelope of it."""
        parcels: list[Parcel] = []
        views: dict[EntryId, SpaceView | None] = {}

        def opened(space: EntryId) -> SpaceView | None:
            if space not in views:
                views[space] = view_of(space)
            return views[space]

        for journey in [one for one in self._journeys.values() if one.wake <= now]:
            parcels += self._work(journey, opened, now)
        parcels += self._heads_due(opened, now)
        for journey in self._journeys.values():
            if journey.wake <= now:
                is_ready = views.get(journey.space) is not None or not self._needs_view(journey, now)
                journey.wake = max(self._wake_of(journey, now), now if is_ready else now + NOT_READY_SECONDS)
        return parcels

    def _journey(self, space: EntryId) -> _Journey:
        return self._journeys.setdefault(space, _Journey(space))

    def _wake(self, journey: _Journey, at: float) -> None:
        journey.wake = min(journey.wake, at)

    def _needs_view(self, journey: _Journey, now: float) -> bool:
        """Returns whether something is due for which the entries are needed: an idle space is told from memory."""
        return journey.is_opened and (
            self._must_reckon(journey, now)
            or bool(journey.new)
            or journey.state is None
            or any(want.next_at <= now for want in journey.wants.values())
            or any(
                side.is_unread
                or side.is_answer_due
                or side.queue
                or side.ask_at <= now
                or side.invite_at <= now
                or any(at <= now for at in side.pending.values())
                for peer, side in journey.sides.items()
                if peer in self._partners
            )
        )

    def _must_reckon(self, journey: _Journey, now: float) -> bool:
        """Returns whether our heads are needed and are not those of now."""
        return journey.is_dirty and (
            journey.changed_at + HEADS_AFTER_CHANGE_SECONDS <= now
            or any(
                side.ask_at <= now or side.due_at <= now or side.is_answer_due
                for side in journey.sides.values()
            )
        )

    def _wake_of(self, journey: _Journey, now: float) -> float:
        """Returns when something of a space is due next."""
        times = [] if journey.join is None else [journey.join.next_at]
        if not journey.is_opened:
            return min(times, default=math.inf)
        times += [want.next_at for want in journey.wants.values()]
        if journey.is_dirty:
            times.append(journey.changed_at + HEADS_AFTER_CHANGE_SECONDS)
        if journey.new or journey.state is None:
            times.append(now)
        for peer, side in journey.sides.items():
            if peer in self._partners:
                times += self._times_of(side, self._lines[peer], now)
        return min(times, default=math.inf)

    def _times_of(self, side: _Side, line: _Line, now: float) -> Iterator[float]:
        yield from side.pending.values()
        yield side.invite_at
        if side.is_unread:
            yield now
        if side.is_answer_due:
            yield side.answered_at + ASK_SECONDS
        if side.queue:
            yield line.may_answer_at(now)
        yield max(side.ask_at, line.may_tell_at())
        yield max(side.due_at, line.told_at + HEADS_SECONDS, line.may_tell_at())

    # --- one space ---------------------------------------------------------------------------------

    def _work(self, journey: _Journey, opened: OpenView, now: float) -> Iterator[Parcel]:
        if not self._needs_view(journey, now):
            yield from self._joins_due(journey, now)
            return
        view = opened(journey.space)
        if view is None:
            return
        self._look_at_members(journey, view, now)
        yield from self._joins_due(journey, now)
        for entry_id in journey.new:
            self._plan(journey, view, entry_id, now)
        journey.new = []
        self._ask_for_wants(journey, view, now)
        for peer, side in journey.sides.items():
            if peer in self._partners:
                self._compare(view, side, now)
                self._invite_again(journey, peer, side, now)
        if self._must_reckon(journey, now):
            self._reckon_own(journey, view)
        yield from self._hand_on(journey, view, now)
        for peer in sorted(journey.sides):
            if peer in self._partners:
                yield from self._answer(journey, view, peer, now)

    def _joins_due(self, journey: _Journey, now: float) -> Iterator[Parcel]:
        join = journey.join
        if join is None or join.next_at > now:
            return
        join.tries += 1
        join.next_at = now + (JOIN_SECONDS if join.tries < JOIN_TRIES_MAX else HEADS_IDLE_SECONDS)
        # also to who is invited by what is held here: it may have joined, and then only our join opens its mouth
        to = tuple(sorted(self._partners & {*join.to, *journey.named}))
        if not to:
            return
        yield EntriesParcel(journey.space, to, ((join.entry_id, True),))
        if journey.own is not None:  # the opening is here, so heads go as ever
            for peer in to:
                side = journey.side(peer)
                side.ask_at = min(side.ask_at, now)
            return
        heads = SpaceHeads(self._realm, journey.space, wanted=join.wanted, partners=to, asks=True)
        for peer in to:
            self._lines[peer].told_at = now
            self._lines[peer].count_heads(now)
            yield HeadsParcel(peer, (heads,))

    def _look_at_members(self, journey: _Journey, view: SpaceView, now: float) -> None:
        """Follow who may have what, where that has changed: who may have more now is answered again."""
        if journey.state is view.fold.newest_state:
            return
        journey.state = view.fold.newest_state
        journey.entitlement = entitlement = Entitlement(view.fold)
        journey.is_ours = entitlement.has_all(self._own)
        journey.members = frozenset(
            peer for peer in self._partners if peer != self._own and entitlement.has_all(peer)
        )
        journey.named = frozenset(
            peer
            for peer in self._partners & entitlement.members.keys()
            if entitlement.members[peer] in ("joined", "forked", "invited")
        )
        journey.is_dirty = True
        journey.changed_at = min(journey.changed_at, now)
        for peer in journey.members:
            side = journey.side(peer)
            if not side.had_all:
                side.had_all = True
                side.is_answer_due |= side.heads is not None
                side.due_at = min(side.due_at, now + HEADS_AFTER_CHANGE_SECONDS)
        for peer, side in journey.sides.items():
            if peer not in journey.members:
                side.had_all, side.due_at = False, math.inf
        for peer in self._partners & entitlement.members.keys():
            side = journey.side(peer)
            if entitlement.members[peer] == "invited" and entitlement.was_invited_by(peer, self._own):
                side.invite_at = now if side.invite_at == math.inf else side.invite_at
            else:
                side.invite_at = math.inf

    def _invite_again(self, journey: _Journey, peer: PartnerId, side: _Side, now: float) -> None:
        if side.invite_at <= now and journey.entitlement is not None:
            side.invite_at = now + INVITE_SECONDS
            side.pending |= {vertex.entry_id: now for vertex in journey.entitlement.part_of(peer)}

    def _reckon_own(self, journey: _Journey, view: SpaceView) -> None:
        journey.is_dirty = False
        wanted_bodies: list[EntryId] = []
        for vertex in view.fold.graph.vertices:
            if not vertex.has_body and len(wanted_bodies) < WANTED_MAX and self._wants_body(journey, vertex):
                wanted_bodies.append(vertex.entry_id)
        opening = view.fold.graph.opening
        journey.own = SpaceHeads(
            opening.header.realm,
            journey.space,
            heads_of(view.fold.graph, view.shown),
            tuple(sorted(view.cards.items())),
            (),
            tuple(sorted(wanted_bodies)),
            tuple(sorted(journey.members)),
        )
        if journey.is_ours:
            for peer in journey.members:
                side = journey.side(peer)
                if side.told != journey.own.heads:
                    side.due_at = min(side.due_at, journey.changed_at + HEADS_AFTER_CHANGE_SECONDS)
        journey.changed_at = math.inf

    def _wants_body(self, journey: _Journey, vertex: Vertex) -> bool:
        return journey.entitlement is not None and journey.entitlement.may_have_body(self._own, vertex)

    def _plan(self, journey: _Journey, view: SpaceView, entry_id: EntryId, now: float) -> None:
        """Plan when a new entry is handed to each partner (rule 4)."""
        vertex = view.fold.graph.get(entry_id)
        entitlement = journey.entitlement
        if vertex is None or entitlement is None:
            return
        if journey.join is not None and journey.join.entry_id == entry_id:
            return
        for peer in self._partners & entitlement.members.keys():
            if peer == vertex.author:
                continue
            side = journey.side(peer)
            if (
                entry_id in side.known
                or len(side.pending) >= HANDING_ON_MAX
                or not entitlement.may_have(peer, vertex)
            ):
                continue
            side.pending[entry_id] = now + self._pause(entitlement, side, peer, vertex)

    def _pause(self, entitlement: Entitlement, side: _Side, peer: PartnerId, vertex: Vertex) -> float:
        if vertex.author == self._own:
            return 0.0
        if side.heads is None:
            return RANK_SECONDS
        if vertex.author in side.heads.partners:
            return AUTHOR_SECONDS
        return RANK_SECONDS * self._rank(entitlement, side.heads)

    def _rank(self, entitlement: Entitlement, heads: SpaceHeads) -> int:
        """Returns our place among the partners of a member, from 0: the lead, then by id."""
        others = [one for one in heads.partners if one != self._own and entitlement.has_all(one)]
        if entitlement.lead == self._own:
            return 0
        return sum(one == entitlement.lead or one < self._own for one in others)

    def _ask_for_wants(self, journey: _Journey, view: SpaceView, now: float) -> None:
        if not journey.wants:
            return
        wanted = set(view.wanted())
        for entry_id, want in list(journey.wants.items()):
            if entry_id not in wanted:
                del journey.wants[entry_id]
            elif want.next_at <= now:
                if want.tries >= WANT_TRIES_MAX:
                    del journey.wants[entry_id]
                    continue
                want.next_at = now + WANT_AGAIN_SECONDS * 2**want.tries
                want.tries += 1
                for peer in want.namers:
                    if peer in self._partners:
                        side = journey.side(peer)
                        side.ask_at = min(side.ask_at, now)

    def _compare(self, view: SpaceView, side: _Side, now: float) -> None:
        """Find out whether the heads of a partner show what is lacking here: then it is asked at once (rule 2)."""
        if not side.is_unread or side.heads is None:
            side.lacking = frozenset(one for one in side.lacking if one not in view.fold)
            return
        side.is_unread = False
        elsewhere = HeldElsewhere(view.fold.graph, side.heads.heads)
        lacking = frozenset(elsewhere.unknown())
        if not lacking:
            side.lacking, side.lacking_asked = lacking, 0
            return
        if lacking != side.lacking:
            side.lacking, side.lacking_asked = lacking, 0
        pause = 0.0 if not side.lacking_asked else ASK_SECONDS * 2**side.lacking_asked
        side.lacking_asked = min(side.lacking_asked + 1, 16)
        side.ask_at = min(side.ask_at, now + min(pause, ASK_SECONDS_MAX))

    # --- entries -----------------------------------------------------------------------------------

    def _hand_on(self, journey: _Journey, view: SpaceView, now: float) -> Iterator[EntriesParcel]:
        """Yields what is new and due, one parcel for all partners that get the same."""
        together: defaultdict[tuple[_Entries, tuple[PartnerId, ...]], list[PartnerId]] = defaultdict(list)
        for peer in sorted(journey.sides):
            side = journey.sides[peer]
            ids = [entry_id for entry_id, at in side.pending.items() if at <= now]
            if not ids:
                continue
            for entry_id in ids:
                del side.pending[entry_id]
            if peer not in self._partners:
                continue
            chosen = self._chosen(journey, view, peer, ids)
            if side.heads is not None:
                elsewhere = HeldElsewhere(view.fold.graph, side.heads.heads)
                chosen = [vertex for vertex in chosen if not elsewhere.holds(vertex)]
            for piece in _pieces(chosen):
                entries = self._with_bodies(journey, peer, piece)
                side.bodies_sent |= {entry_id: now for entry_id, with_body in entries if with_body}
                together[entries, self._cards_beside(view, peer, side, piece, now)].append(peer)
                for vertex in piece:
                    side.sent[vertex.entry_id] = now
        for (entries, cards), peers in together.items():
            yield EntriesParcel(journey.space, tuple(peers), entries, cards)

    def _answer(
        self, journey: _Journey, view: SpaceView, peer: PartnerId, now: float
    ) -> Iterator[EntriesParcel]:
        """Yields at most one envelope of what a partner lacks by its heads, or wants."""
        side, line = journey.sides[peer], self._lines[peer]
        if side.is_answer_due and side.answered_at + ASK_SECONDS <= now and side.heads is not None:
            side.is_answer_due, side.answered_at = False, now
            side.queue = deque(self._lacked(journey, view, side, side.heads, now))
        if not side.queue or line.may_answer_at(now) > now:
            return
        ids = [side.queue.popleft() for _ in range(min(len(side.queue), PARCEL_ENTRIES_MAX))]
        chosen = self._chosen(journey, view, peer, ids)
        pieces = list(_pieces(chosen))
        for piece in pieces[1:][::-1]:
            side.queue.extendleft(vertex.entry_id for vertex in reversed(piece))
        if not pieces:
            return
        piece = pieces[0]
        line.count_answer(sum(map(_size, piece)), now)
        for vertex in piece:
            side.sent[vertex.entry_id] = now
            side.pending.pop(vertex.entry_id, None)
        entries = self._with_bodies(journey, peer, piece)
        side.bodies_sent |= {entry_id: now for entry_id, with_body in entries if with_body}
        yield EntriesParcel(journey.space, (peer,), entries, self._cards_beside(view, peer, side, piece, now))

    def _lacked(
        self, journey: _Journey, view: SpaceView, side: _Side, heads: SpaceHeads, now: float
    ) -> list[EntryId]:
        """Returns what answers heads, parents first: what is lacked by them and was not sent lately, and what is wanted."""
        side.sent = _lately(side.sent, now)
        side.bodies_sent = _lately(side.bodies_sent, now)
        side.wanted_again = Counter({one: side.wanted_again[one] for one in side.sent})
        graph = view.fold.graph
        elsewhere = HeldElsewhere(graph, heads.heads)
        found: set[Vertex] = set()
        if journey.own is None or heads.heads != journey.own.heads:
            found.update(vertex for vertex in elsewhere.lacked() if vertex.entry_id not in side.sent)
        wanted = set(heads.wanted)
        for one in elsewhere.past_of_wanted(heads.wanted, WANTED_MAX):
            is_wanted = one.entry_id in wanted  # the rest is under way
            pause = ASK_SECONDS * 2 ** side.wanted_again[one.entry_id] if is_wanted else RESEND_SECONDS
            if now - side.sent.get(one.entry_id, NEVER) >= min(pause, RESEND_SECONDS):
                found.add(one)
                side.wanted_again[one.entry_id] += is_wanted
        for entry_id in heads.wanted_bodies:
            vertex = graph.get(entry_id)
            if vertex is not None and vertex.has_body and entry_id not in side.bodies_sent:
                found.add(vertex)
        return [vertex.entry_id for vertex in sorted(found, key=lambda vertex: vertex.place)]

    def _chosen(
        self, journey: _Journey, view: SpaceView, peer: PartnerId, ids: Iterable[EntryId]
    ) -> list[Vertex]:
        """Returns the entries of these that a partner may have, as it is now (rule 1), parents first."""
        entitlement = journey.entitlement
        assert entitlement is not None
        found = []
        for entry_id in ids:
            vertex = view.fold.graph.get(entry_id)
            if vertex is not None and entitlement.may_have(peer, vertex):
                found.append(vertex)
        return sorted(found, key=lambda vertex: vertex.place)

    def _with_bodies(self, journey: _Journey, peer: PartnerId, vertices: Iterable[Vertex]) -> _Entries:
        entitlement = journey.entitlement
        assert entitlement is not None
        return tuple(
            (
                vertex.entry_id,
                vertex.has_body and entitlement.may_have_body(peer, vertex),
            )
            for vertex in vertices
        )

    def _cards_beside(
        self, view: SpaceView, peer: PartnerId, side: _Side, vertices: Iterable[Vertex], now: float
    ) -> tuple[PartnerId, ...]:
        """Returns whose cards a partner needs with entries: authors that are no partners of it, by its own word."""
        theirs = dict(side.heads.cards) if side.heads is not None else {}
        partners = side.heads.partners if side.heads is not None else ()
        beside = []
        for author in sorted({vertex.author for vertex in vertices} - {peer, self._own, *partners}):
            version = view.cards.get(author, 0)
            sent, sent_at = side.cards_sent.get(author, (0, NEVER))
            if now - sent_at >= RESEND_SECONDS:
                sent = 0
            if version > max(theirs.get(author, 0), sent):
                side.cards_sent[author] = (version, now)
                beside.append(author)
        return tuple(beside)

    # --- heads -------------------------------------------------------------------------------------

    def _heads_due(self, opened: OpenView, now: float) -> Iterator[HeadsParcel]:
        """Yields the heads that are due, one envelope a partner: regular ones once a minute, questions 10 s apart."""
        due: defaultdict[PartnerId, list[_Journey]] = defaultdict(list)
        questions: Counter[PartnerId] = Counter()
        for journey in self._journeys.values():
            if journey.wake > now:
                continue
            for peer, side in journey.sides.items():
                if peer not in self._partners:
                    side.ask_at = side.due_at = math.inf
                elif side.ask_at <= now or side.due_at <= now:
                    due[peer].append(journey)
                    questions[peer] += side.ask_at <= now
        for peer, journeys in sorted(due.items()):
            line = self._lines[peer]
            is_regular = line.told_at + HEADS_SECONDS <= now
            if line.may_tell_at() > now or not (questions[peer] or is_regular):
                continue
            told = [one for one in (self._told(journey, peer, opened, now) for journey in journeys) if one]
            if not told:
                continue
            line.count_heads(now)
            if is_regular:
                line.told_at = now
            yield HeadsParcel(peer, tuple(told))

    def _told(self, journey: _Journey, peer: PartnerId, opened: OpenView, now: float) -> SpaceHeads | None:
        """Returns what a partner is told of a space: all heads where it may have all, those of its part else."""
        side, own = journey.sides[peer], journey.own
        is_question = side.ask_at <= now
        wants: list[EntryId] = sorted(
            entry_id for entry_id, want in journey.wants.items() if peer in want.namers
        )
        wants = sorted({*wants, *side.lacking})[:WANTED_MAX]
        if own is None:
            return None
        if not (is_question or journey.is_ours):
            side.due_at = math.inf
            return None
        heads: tuple[AuthorHead, ...] = own.heads
        if not side.had_all:
            view = opened(journey.space)
            if view is None or journey.entitlement is None:
                return None
            part = journey.entitlement.part_of(peer)
            is_whole = all(parent in part for vertex in part for parent in vertex.parents)
            within = part if is_whole else {view.fold.graph.opening} & set(part)
            heads = heads_of(view.fold.graph, {}, within)
            if not heads and not wants:
                side.ask_at = side.due_at = math.inf
                return None
        asks = side.heads is None and side.had_all
        asks |= peer in self._asked_at_start and peer not in self._heard
        side.told = own.heads
        side.ask_at = math.inf
        side.due_at = now + HEADS_IDLE_SECONDS if side.had_all and journey.is_ours else math.inf
        return SpaceHeads(
            own.realm,
            journey.space,
            heads,
            own.cards if side.had_all else (),
            tuple(wants),
            own.wanted_bodies if side.had_all else (),
            own.partners if side.had_all else (),
            asks=bool(asks),
        )


def _lately(sent: Mapping[EntryId, float], now: float) -> dict[EntryId, float]:
    return {entry_id: at for entry_id, at in sent.items() if now - at < RESEND_SECONDS}


def _size(vertex: Vertex) -> int:
    return vertex.header.body_bytes + ENTRY_OVERHEAD_BYTES


def _pieces(vertices: Iterable[Vertex]) -> Iterator[list[Vertex]]:
    """Yields runs of entries that fit one envelope each."""
    piece: list[Vertex] = []
    size = 0
    for vertex in vertices:
        if piece and (size + _size(vertex) > PARCEL_BYTES or len(piece) >= PARCEL_ENTRIES_MAX):
            yield piece
            piece, size = [], 0
        piece.append(vertex)
        size += _size(vertex)
    if piece:
        yield piece
