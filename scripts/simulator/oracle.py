"""The oracle: sees everything that honest partners send, store and say, and writes down what must never happen.

It knows what no partner knows: the author and recipients of every envelope, and the circles that each link may carry. It
says from that alone, never from what policy or the engine answered.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from p2pshare.envelope.envelope import DecodedEnvelope, Mode
from p2pshare.gossip.events import BodyDecided
from p2pshare.gossip.messages import Announce, Hello, PollAnswer, PutVerdict, Sync, SyncAnswer, SyncPart
from p2pshare.gossip.negentropy.negentropy_wire import EMPTY_FINGERPRINT, read_ranges, split_ids
from p2pshare.gossip.negentropy.negentropy_wire import RangeMode as RangeMode
from p2pshare.identifiers import CircleId, EnvelopeId, PartnerId
from p2pshare.node.store import Store

COMPLAINTS_MAX = 50


@dataclass(frozen=True)
class Published:
    """An envelope that its author really signed."""

    envelope: DecodedEnvelope
    direct_to: tuple[PartnerId, ...] = ()
    at: float = 0.0

    @property
    def author(self) -> PartnerId:
        return self.envelope.core.author


@dataclass
class Account:
    """The fate of the bodies that came to one partner."""

    came: int = 0
    lost: int = 0
    undecided: int = 0
    verdicts: Counter[PutVerdict] = field(default_factory=Counter)

    @property
    def accounted(self) -> int:
        return self.undecided + self.lost + self.verdicts.total()

    unreported: int = 0
    """Bodies that were decided and committed by a life that ended before anybody heard of it; they count as lost, too."""


@dataclass
class Line:
    """Bodies that wait for the intake of one partner, by who handed them over; the order that a schedule should make of
    them."""

    waiting: dict[PartnerId, deque[Came]] = field(default_factory=dict)
    gone: Counter[PartnerId] = field(default_factory=Counter)
    """Bodies that were taken."""
    most_of_one: int = 0
    most_of_all: int = 0
    """Bytes that waited already when another body was read, of its own partner and of all."""

    def enter(self, received_from: PartnerId, envelope_id: EnvelopeId, size: int) -> None:
        """Note that a body was read and waits from here on."""
        sizes = {peer: sum(one.size for one in bodies) for peer, bodies in self.waiting.items()}
        self.most_of_one = max(self.most_of_one, sizes.get(received_from, 0))
        self.most_of_all = max(self.most_of_all, sum(sizes.values()))
        own = self.waiting.setdefault(received_from, deque())
        own.append(Came(envelope_id, size, len(own), self.gone.copy()))

    def leave(self, received_from: PartnerId, envelope_id: EnvelopeId) -> str:
        """Returns what was wrong with a body's turn, empty when nothing was."""
        came = self.waiting[received_from].popleft() if self.waiting.get(received_from) else None
        before = {} if came is None else self.gone - came.gone
        self.gone[received_from] += 1
        if came is None or came.envelope_id != envelope_id:
            return f"{envelope_id.short} is not the next one of {received_from.short}"
        if any(count > came.own_before + 1 for peer, count in before.items() if peer != received_from):
            return f"{envelope_id.short}, with {came.own_before} before it, waited for {max(before.values())} of another"
        return ""


@dataclass(frozen=True)
class Came:
    """One body in line: how many of its own partner stood before it, and what was gone when it came."""

    envelope_id: EnvelopeId
    size: int
    own_before: int
    gone: Counter[PartnerId]


class Oracle:
    """The oracle of one world. `complaints` is what it saw, by the name of the invariant."""

    def __init__(self) -> None:
        self.honest: set[PartnerId] = set()
        self.links: dict[PartnerId, dict[PartnerId, frozenset[CircleId]]] = {}
        """The circles that each partner's links may carry now, by its own configuration."""
        self.published: dict[EnvelopeId, Published] = {}
        self.notices: dict[EnvelopeId, CircleId] = {}
        """Every card that its owner really issued and every page of what it vouched for, as a notice, and its circle."""
        self.accounts: dict[PartnerId, Account] = {}
        self.lines: dict[PartnerId, Line] = {}
        self.complaints: dict[str, list[str]] = {}
        self.ever_held: dict[PartnerId, set[EnvelopeId]] = {}
        self.acks: dict[tuple[PartnerId, EnvelopeId], PartnerId] = {}
        """(holder, id) -> the author that was told that it is held."""
        self.held_at: dict[EnvelopeId, dict[PartnerId, float]] = {}
        """The instants at which partners got it."""
        self.once_held: dict[PartnerId, set[EnvelopeId]] = {}
        """All that a partner's disk ever held, whatever it was set back to afterwards."""
        self.bodies_from_honest = 0
        """Bodies that honest partners handed to honest ones."""
        self.stored_from_honest = 0
        self.spare_from_honest = 0
        """Bodies that honest partners handed to honest ones and that were held already."""

    def complain(self, invariant: str, text: str) -> None:
        found = self.complaints.setdefault(invariant, [])
        if len(found) < COMPLAINTS_MAX:
            found.append(text)

    def account(self, partner: PartnerId) -> Account:
        return self.accounts.setdefault(partner, Account())

    # --- what leaves ---

    def message_leaves(
        self, origin: PartnerId, peer: PartnerId, message: object, store: Store, now: float
    ) -> None:
        """Check a question or an answer of `origin`; a Byzantine partner may say what it likes."""
        if origin not in self.honest:
            return
        match message:
            case Hello():
                self._compared_leave(origin, peer, (root.shard.circle for root in message.shards))
            case Sync():
                self._compared_leave(origin, peer, (part.shard.circle for part in message.parts))
                for part in message.parts:
                    self._part_leaves(origin, peer, part, store, now)
            case SyncAnswer():
                for part in message.parts:
                    self._part_leaves(origin, peer, part, store, now)
                    if part.shard.circle not in self._compared(origin, peer) and not _is_of_nothing(part):
                        self.complain(
                            "nothing_leaks", f"{origin.short} tells of a foreign circle to {peer.short}"
                        )
            case PollAnswer():
                self._circles_leave(origin, peer, (item.circle for item in message.items))
                self._ids_leave(origin, peer, [item.envelope_id for item in message.items], store, now)
                for envelope_id in message.direct:
                    self._may_leave(origin, peer, envelope_id, "offers")
            case Announce():
                self._circles_leave(origin, peer, (item.circle for item in message.items))
                self._ids_leave(origin, peer, [item.envelope_id for item in message.items], store, now)
            case _:
                pass

    def _compared_leave(self, origin: PartnerId, peer: PartnerId, circles: Iterable[CircleId]) -> None:
        if set(circles) - self._compared(origin, peer):
            self.complain("nothing_leaks", f"{origin.short} compares a foreign circle with {peer.short}")

    def _circles_leave(self, origin: PartnerId, peer: PartnerId, circles: Iterable[CircleId]) -> None:
        foreign = set(circles) - self._carried(origin, peer)
        if foreign:
            self.complain("nothing_leaks", f"{origin.short} names a foreign circle to {peer.short}")

    def _ids_leave(
        self, origin: PartnerId, peer: PartnerId, ids: Collection[EnvelopeId], store: Store, now: float
    ) -> None:
        if not ids:
            return
        for envelope_id in ids:
            self._may_leave(origin, peer, envelope_id, "tells")
            known = self.published.get(envelope_id)
            if known is not None and known.direct_to:
                self.complain("nothing_leaks", f"{origin.short} tells the direct {envelope_id.short}")
        self._unheld_leave(origin, ids, store, now)

    def _part_leaves(
        self, origin: PartnerId, peer: PartnerId, part: SyncPart, store: Store, now: float
    ) -> None:
        """Check a part of a comparison: it names direct envelopes between the two under the id of their pair, and nowhere
        else."""
        ids = _ids_in(part)
        if part.shard.circle != CircleId.of_pair(origin, peer):
            self._ids_leave(origin, peer, ids, store, now)
            return
        for envelope_id in ids:
            if self.notices.get(envelope_id) == part.shard.circle:
                continue
            known = self.published.get(envelope_id)
            ends = () if known is None else ({known.author, one} for one in known.direct_to)
            if {origin, peer} not in ends:
                self.complain(
                    "nothing_leaks", f"{origin.short} compares {envelope_id.short} with {peer.short}"
                )
        self._unheld_leave(origin, ids, store, now)

    def _unheld_leave(self, origin: PartnerId, ids: Collection[EnvelopeId], store: Store, now: float) -> None:
        unheld = set(ids) - store.log.is_seen(ids)
        for envelope_id in sorted(unheld):
            known = self.published.get(envelope_id)
            if envelope_id in self.notices and store.notices.entry(envelope_id) is not None:
                continue
            if known is not None and known.envelope.core.expires <= now:
                continue  # its key outlives it by an hour here and a little more there
            self.complain(
                "only_held_is_announced", f"{origin.short} tells {envelope_id.short}, and does not hold it"
            )

    def body_leaves(self, origin: PartnerId, peer: PartnerId, envelope_id: EnvelopeId) -> None:
        if origin in self.honest:
            self.bodies_from_honest += peer in self.honest
            self._may_leave(origin, peer, envelope_id, "hands over")

    def _may_leave(self, origin: PartnerId, peer: PartnerId, envelope_id: EnvelopeId, what: str) -> None:
        known = self.published.get(envelope_id)
        if envelope_id in self.notices:
            circle = self.notices[envelope_id]
            if circle not in self._carried(origin, peer) | {CircleId.of_pair(origin, peer)}:
                self.complain("nothing_leaks", f"{origin.short} {what} a notice of a foreign circle")
        elif known is None:
            self.complain(
                "only_verified_is_held", f"{origin.short} {what} {envelope_id.short}: nobody signed it"
            )
        elif known.envelope.core.mode is Mode.DIRECT:
            ends = ({known.author, one} for one in known.direct_to)  # it may come home, too
            if {origin, peer} not in ends:
                self.complain("nothing_leaks", f"{origin.short} {what} the direct {envelope_id.short}")
        elif known.envelope.core.circle not in self._carried(origin, peer):
            self.complain("nothing_leaks", f"{origin.short} {what} {envelope_id.short} of a foreign circle")

    def _carried(self, origin: PartnerId, peer: PartnerId) -> frozenset[CircleId]:
        return self.links[origin].get(peer, frozenset())

    def _compared(self, origin: PartnerId, peer: PartnerId) -> frozenset[CircleId]:
        """Returns the circles that may be compared; besides, nothing but the direct envelopes between the two."""
        carried = self.links[origin].get(peer)
        return frozenset() if carried is None else carried | {CircleId.of_pair(origin, peer)}

    # --- what comes ---

    def body_came(
        self, partner: PartnerId, received_from: PartnerId, envelope_id: EnvelopeId, size: int
    ) -> None:
        self.account(partner).came += 1
        self.lines.setdefault(partner, Line()).enter(received_from, envelope_id, size)

    def body_taken(self, partner: PartnerId, received_from: PartnerId, envelope_id: EnvelopeId) -> None:
        """Note that a body waits no longer: the commit that begins takes it in."""
        wrong = self.lines[partner].leave(received_from, envelope_id)
        if wrong and partner in self.honest:
            self.complain("turns_are_kept", f"at {partner.short} {wrong}")

    def body_decided(self, partner: PartnerId, decided: BodyDecided) -> None:
        self.account(partner).verdicts[decided.verdict] += 1
        if {partner, decided.peer} <= self.honest:
            self.stored_from_honest += decided.verdict is PutVerdict.HELD
            self.spare_from_honest += decided.verdict is PutVerdict.ALREADY_HELD

    def body_undecided(self, partner: PartnerId) -> None:
        self.account(partner).undecided += 1

    def bodies_lost(self, partner: PartnerId, unreported: int) -> None:
        """Note that a life ended: bodies that waited for intake are gone; `unreported` of them are committed all the same."""
        account = self.account(partner)
        account.unreported += unreported
        account.lost += account.came - account.accounted
        if partner in self.lines:
            self.lines[partner].waiting.clear()

    def held(self, partner: PartnerId, envelope_id: EnvelopeId, store: Store, now: float, at: float) -> None:
        """Note that the engine is told that the store holds it; `now` the earliest that it may be by the partner's own
        clock, `at` by the world's."""
        if partner not in self.honest or envelope_id in self.notices:
            return
        self.once_held.setdefault(partner, set()).add(envelope_id)
        ever = self.ever_held.setdefault(partner, set())
        if envelope_id in ever:
            self.complain("each_is_stored_once", f"{partner.short} stores {envelope_id.short} again")
        ever.add(envelope_id)
        self.held_at.setdefault(envelope_id, {}).setdefault(partner, at)
        known = self.published.get(envelope_id)
        if known is not None and known.envelope.core.expires <= now:
            self.complain("nothing_resurrects", f"{partner.short} stores {envelope_id.short} after its time")
        if store.log.entry(envelope_id) is None:
            self.complain(
                "only_held_is_announced",
                f"{partner.short} tells its engine of {envelope_id.short} before it is stored",
            )

    def begins(self, partner: PartnerId, store: Store) -> None:
        """Note what its store holds as a life begins: a life that ended between a commit and the word of it told of nothing."""
        seen = store.log.is_seen(list(self.published))
        for held in (self.once_held, self.ever_held):
            held.setdefault(partner, set()).update(seen)

    def dropped(self, partner: PartnerId, ids: Iterable[EnvelopeId]) -> None:
        """Note that these are out of effect, or pushed out by something newer: they may come back."""
        self.ever_held.setdefault(partner, set()).difference_update(ids)

    def delivered(
        self,
        partner: PartnerId,
        peer: PartnerId,
        ids: Iterable[EnvelopeId],
        first_hops: Collection[EnvelopeId],
    ) -> None:
        """Note that `partner` has written down that `peer` holds `ids`; `first_hops` wait for a first hop no longer."""
        named = set(ids)
        if {partner, peer} <= self.honest:
            for envelope_id in sorted(named - self.once_held.get(peer, set()) - self.notices.keys()):
                self.complain(
                    "what_is_delivered_was_held",
                    f"{partner.short} takes {envelope_id.short} for delivered to {peer.short}, which never held it",
                )
        for envelope_id in sorted(set(first_hops) - named):
            self.complain(
                "what_is_delivered_was_held",
                f"{partner.short} waits no longer for a first hop of {envelope_id.short}, of which nobody told",
            )

    def push_answered(
        self, partner: PartnerId, author: PartnerId, decided: BodyDecided, store: Store
    ) -> None:
        """Note that `partner` told `author` what became of its push."""
        is_held = decided.verdict is PutVerdict.HELD
        if partner not in self.honest or not is_held or decided.envelope_id in self.notices:
            return
        if store.log.entry(decided.envelope_id) is None:
            self.complain(
                "acknowledged_is_durable", f"{partner.short} acknowledges {decided.envelope_id.short} first"
            )
        self.acks[partner, decided.envelope_id] = author


def _ids_in(part: SyncPart) -> list[EnvelopeId]:
    """Returns the ids that a message names."""
    ranges = read_ranges(part.message)
    return [
        EnvelopeId(one) for each in ranges if each.mode is RangeMode.IDS for one in split_ids(each.payload)
    ]


def _is_of_nothing(part: SyncPart) -> bool:
    """Returns whether a message could come from a partner that holds nothing."""
    return all(
        each.mode is RangeMode.SKIP or each.payload in (b"", EMPTY_FINGERPRINT)
        for each in read_ranges(part.message)
    )
