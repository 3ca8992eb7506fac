"""The want table: envelopes that some peer has and this node lacks, once for push and repair alike.

Rules this file keeps:

1. One entry an id; at most one fetch of it is under way, and none while intake verifies its body.
2. An entry is kept while a peer that announced it can be asked; when the last of these is gone it is removed,
   and the next comparison brings it back. So a peer that is away costs nothing.
3. Bounded in all and for each announcer, so that one peer's inventions never crowd out another's envelopes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum

from p2pshare.gossip.messages import AnnounceItem
from p2pshare.identifiers import EnvelopeId, PartnerId
from p2pshare.limits import ANNOUNCE_ITEMS_MAX, WANT_ENTRIES_MAX, WANT_ENTRIES_PER_PEER_MAX


class Stage(Enum):
    """The stage of an entry between an announcement and intake's decision."""

    WANTED = "nobody was asked yet"
    ASKED = "one peer was asked"
    IN_INTAKE = "a body came, intake verifies it"


@dataclass(slots=True)
class Want:
    """The entry of an id. `announcers` are in the order to be asked; `item` is as untrusted as its announcers."""

    item: AnnounceItem
    stage: Stage = Stage.WANTED
    asked: PartnerId | None = None
    announcers: dict[PartnerId, None] = field(default_factory=dict)


class WantTable:
    """All entries, and for each peer the entries that it announced and that no peer is being asked for."""

    def __init__(
        self, entries_max: int = WANT_ENTRIES_MAX, per_peer_max: int = WANT_ENTRIES_PER_PEER_MAX
    ) -> None:
        self._entries_max = entries_max
        self._per_peer_most = self._per_peer_max = per_peer_max
        self._wants: dict[EnvelopeId, Want] = {}
        self._by_peer: dict[PartnerId, dict[EnvelopeId, None]] = {}
        self._waiting: dict[PartnerId, dict[EnvelopeId, None]] = {}

    def share_between(self, peers: int) -> None:
        """Share half of the table out evenly between `peers` peers, so that several together never take the room of another."""
        fair = self._entries_max // max(1, 2 * peers)
        self._per_peer_max = min(self._per_peer_most, max(ANNOUNCE_ITEMS_MAX, fair))

    def __len__(self) -> int:
        return len(self._wants)

    def __contains__(self, envelope_id: EnvelopeId) -> bool:
        return envelope_id in self._wants

    def get(self, envelope_id: EnvelopeId) -> Want | None:
        return self._wants.get(envelope_id)

    def has_room(self, peer: PartnerId, count: int) -> bool:
        """Returns whether `count` more entries of this peer fit."""
        return count <= self.room(peer)

    def count(self, peer: PartnerId) -> int:
        """Returns the number of entries that this peer announced."""
        return len(self._by_peer.get(peer, ()))

    def room(self, peer: PartnerId) -> int:
        """Returns the number of entries of this peer that still fit."""
        return max(0, min(self._per_peer_max - self.count(peer), self._entries_max - len(self._wants)))

    def add(self, item: AnnounceItem, peer: PartnerId) -> bool:
        """Note that `peer` announced the item; returns False when there is no room for it."""
        want = self._wants.get(item.envelope_id)
        if want is not None and peer in want.announcers:
            return True
        if self.count(peer) >= self._per_peer_max or (want is None and not self.has_room(peer, 1)):
            return False
        if want is None:
            want = self._wants[item.envelope_id] = Want(item)
        elif not want.announcers:
            want.item = item  # it was pushed to us before anybody announced it
        elif 0 < item.size < want.item.size:
            want.item = replace(
                want.item, size=item.size
            )  # who claims more only wants to be waited for longer
        want.announcers[peer] = None
        self._by_peer.setdefault(peer, {})[item.envelope_id] = None
        if want.stage is Stage.WANTED:
            self._waiting.setdefault(peer, {})[item.envelope_id] = None
        return True

    def waiting(self, peer: PartnerId) -> int:
        """Returns the number of entries that this peer could be asked for."""
        return len(self._waiting.get(peer, ()))

    def take(self, peer: PartnerId, count: int, bytes_max: int, alone_bytes: int) -> list[AnnounceItem]:
        """Take entries to ask `peer` for and mark them ASKED: oldest first, at most `count` and about `bytes_max`.

        An entry above `alone_bytes` is taken alone. The caller asks for the smallest first.
        """
        taken: list[AnnounceItem] = []
        total = 0
        for envelope_id in self._waiting.get(peer, ()):
            item = self._wants[envelope_id].item
            is_large = item.size > alone_bytes
            if taken and (is_large or total + item.size > bytes_max):
                break
            taken.append(item)
            total += item.size
            if is_large or len(taken) == count:
                break
        for item in taken:
            self._ask(item.envelope_id, peer)
        return taken

    def ask(self, envelope_id: EnvelopeId, peer: PartnerId) -> bool:
        """Mark a WANTED entry as ASKED of `peer`; returns False when there is no such entry."""
        want = self._wants.get(envelope_id)
        if want is None or want.stage is not Stage.WANTED:
            return False
        self._ask(envelope_id, peer)
        return True

    def is_free(self, envelope_id: EnvelopeId) -> bool:
        """Returns whether a peer may be asked for the envelope, announced or not."""
        want = self._wants.get(envelope_id)
        return want is None or want.stage is Stage.WANTED

    def enter_intake(self, item: AnnounceItem, peer: PartnerId) -> None:
        """Mark the entry IN_INTAKE: a body came from `peer`, asked for or not. No peer is asked until intake has decided."""
        want = self._wants.setdefault(item.envelope_id, Want(item))
        want.stage, want.asked = Stage.IN_INTAKE, peer
        self._leave_waiting(want)

    def again(self, envelope_id: EnvelopeId, peer: PartnerId, *, is_over: bool) -> None:
        """Mark the entry WANTED again: the body that `peer` was asked for did not come, or was refused.

        `is_over`: this peer is not asked for it again.
        """
        want = self._wants.get(envelope_id)
        if want is None or want.asked != peer:
            return
        want.stage, want.asked = Stage.WANTED, None
        if peer in want.announcers:
            del want.announcers[peer]
            if is_over:
                self._by_peer[peer].pop(envelope_id, None)
            else:
                want.announcers[peer] = None
        if not want.announcers:
            self.done(envelope_id)
            return
        for announcer in want.announcers:
            self._waiting.setdefault(announcer, {})[envelope_id] = None

    def done(self, envelope_id: EnvelopeId) -> tuple[PartnerId, ...]:
        """Returns the peers that announced it and removes the entry."""
        want = self._wants.pop(envelope_id, None)
        if want is None:
            return ()
        self._leave_waiting(want)
        for peer in want.announcers:
            self._by_peer[peer].pop(envelope_id, None)
        return tuple(want.announcers)

    def drop_peer(self, peer: PartnerId) -> list[PartnerId]:
        """Remove a peer that went away, with the entries that only it announced; returns the peers to ask for the rest."""
        others: dict[PartnerId, None] = {}
        self._waiting.pop(peer, None)
        for envelope_id in self._by_peer.pop(peer, {}):
            want = self._wants[envelope_id]
            del want.announcers[peer]
            if want.stage is Stage.IN_INTAKE:
                continue
            if want.asked == peer:
                want.stage, want.asked = Stage.WANTED, None
            if not want.announcers:
                self.done(envelope_id)
                continue
            for other in want.announcers if want.stage is Stage.WANTED else ():
                self._waiting.setdefault(other, {})[envelope_id] = None
                others[other] = None
        return list(others)

    def _ask(self, envelope_id: EnvelopeId, peer: PartnerId) -> None:
        want = self._wants[envelope_id]
        want.stage, want.asked = Stage.ASKED, peer
        self._leave_waiting(want)

    def _leave_waiting(self, want: Want) -> None:
        for peer in want.announcers:
            waiting = self._waiting.get(peer)
            if waiting is not None:
                waiting.pop(want.item.envelope_id, None)
