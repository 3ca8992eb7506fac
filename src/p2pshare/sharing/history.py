"""History: what we published before a partner came, sealed anew for it. Reads our own objects as they stand and cuts them into
parts, which are prepared and sealed like any publication (`publishing`, `staging`).

Rules:

1. The version in effect goes, and no other: what was replaced, or fell with what it stems from, does not.
2. An audience is not widened. What was for all partners may be told a later one; so may what was for a group that it is in now. What
   was for named partners stays with them, and so does what nobody noted the audience of.
3. The marking decides as at publishing: the same gate, for one partner that is named.
4. A withdrawal goes where the partner was sent what it takes back, and was not told.
5. What the partner was sent in the version that stands is not sent again.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from p2pshare.envelope.payload import compress_frame
from p2pshare.identifiers import PartnerId, PublicationId
from p2pshare.intel.assessing import TYPES as ASSESSMENT_TYPES
from p2pshare.intel.authoring import identity_id, identity_object
from p2pshare.intel.grouping import DEFINITION
from p2pshare.intel.marking import Tlp
from p2pshare.intel.withdrawing import WITHDRAWAL, WithdrawalFacts, withdrawal_object
from p2pshare.knowledge.interface import OwnEnvelope, OwnVersion
from p2pshare.limits import (
    ENVELOPE_OBJECTS_TARGET,
    ENVELOPE_PAYLOAD_BYTES_TARGET,
    FRAME_BYTES_MAX,
    FRAME_OBJECTS_MAX,
)
from p2pshare.node.node import NodeReading
from p2pshare.partners.roster import Roster, RosterEntry
from p2pshare.policy.audience import why_not_for
from p2pshare.sharing.drafting import DraftPart
from p2pshare.sharing.partners import load_roster

ENVELOPES_AT_ONCE = 256  # rows of our own log that are fetched together

ALREADY_SENT = "already-sent"
LIMITED = "audience-limited"
UNKNOWN = "audience-unknown"
WITHDRAWN = "withdrawn"
FALLEN = "origin-withdrawn"


@dataclass
class _Batch:
    """Objects of one marking that are still to be put into frames, and the frames of the next part."""

    elements: list[bytes] = field(default_factory=list)
    size: int = 0
    frames: list[bytes] = field(default_factory=list)
    objects: int = 0
    repeats: int = 0
    frames_bytes: int = 0

    def take(self, raw: bytes, *, is_repeat: bool = False) -> None:
        if len(self.elements) >= FRAME_OBJECTS_MAX or self.size + len(raw) + 2 > FRAME_BYTES_MAX:
            self.close_frame()
        self.elements.append(raw)
        self.size += len(raw) + 1
        self.objects += 1
        self.repeats += is_repeat

    def close_frame(self) -> None:
        if self.elements:
            self.frames.append(compress_frame(b"[" + b",".join(self.elements) + b"]"))
            self.frames_bytes += len(self.frames[-1])
        self.elements, self.size = [], 0

    @property
    def is_full(self) -> bool:
        return self.objects >= ENVELOPE_OBJECTS_TARGET or self.frames_bytes >= ENVELOPE_PAYLOAD_BYTES_TARGET


class OwnHistory:
    """A walk over our own envelopes, for one partner; `since` in unix seconds."""

    def __init__(self, node: NodeReading, partner: RosterEntry, since: int, now: int) -> None:
        self.refused: Counter[str] = Counter()
        """Objects that are not told, by reason."""
        self.ttl_class = 0
        """The longest that any of the envelopes had: what is told anew is carried as long."""
        self.place = 0
        """The lsn up to which was looked."""
        self._node = node
        self._store = node.store
        self._partner = partner
        self._since = since
        self._now = now
        self._roster: Roster = load_roster(node)
        self._batches: dict[Tlp, _Batch] = defaultdict(_Batch)
        self._taken_back: set[str] = set()
        self._identity = identity_id(self._roster.own_id)

    def parts(self) -> Iterator[DraftPart | None]:
        """Yields parts, and None after every envelope that was looked at. Walked once. Raises StoreError."""
        while envelopes := self._store.knowledge.own_envelopes(self.place, self._since, ENVELOPES_AT_ONCE):
            for one in envelopes:
                yield from self._look_at(one)
                self.place = one.lsn
                yield None
        yield from self._close_all()

    def _look_at(self, one: OwnEnvelope) -> Iterator[DraftPart]:
        reason = self._why_not(one)
        frames = self._store.knowledge.own_versions(one.lsn, self._partner.partner_id)
        chosen: list[OwnVersion] = []
        definitions: list[OwnVersion] = []
        for frame in frames:
            for version in frame:
                if version.type == DEFINITION:
                    definitions.append(version)
                elif not self._is_left_out(version, reason):
                    chosen.append(version)
        if not chosen:
            return
        self.ttl_class = max(self.ttl_class, one.ttl_class)
        if definitions:  # what an envelope defines holds for what is beside it, and for nothing else
            yield from self._close_all()
        for tlp in sorted({version.tlp for version in chosen}):
            for definition in definitions:
                self._batches[tlp].take(definition.raw, is_repeat=True)
            if definitions:
                self._batches[tlp].take(self._identity_under(tlp), is_repeat=True)
        for version in chosen:
            raw = version.raw
            batch = self._batches[version.tlp]
            if not batch.objects:
                batch.take(self._identity_under(version.tlp), is_repeat=True)
            if version.is_revoked and (taken_back := self._withdrawal(version)) is not None:
                raw = taken_back
            batch.take(raw)
            if batch.is_full:
                yield from self._close(version.tlp)
        if definitions:
            yield from self._close_all()

    def _identity_under(self, tlp: Tlp) -> bytes:
        """Returns our identity: it goes with each part, as with everything that is published, and counts for nothing."""
        return identity_object(self._roster.own_id, self._node.card.name, created=self._now, tlp=tlp)

    def _close_all(self) -> Iterator[DraftPart]:
        for tlp in sorted(self._batches):
            yield from self._close(tlp)

    def _close(self, tlp: Tlp) -> Iterator[DraftPart]:
        batch = self._batches.pop(tlp)
        batch.close_frame()
        if batch.objects > batch.repeats:
            yield DraftPart(tlp, tuple(batch.frames), batch.objects, batch.repeats)

    def _why_not(self, one: OwnEnvelope) -> str:
        """Returns the reason for which nothing in an envelope of ours is told the partner; empty where its marking decides (rule 2)."""
        if self._partner.partner_id in self._store.log.audience(one.envelope_id):
            return ALREADY_SENT
        if one.publication is None:
            return UNKNOWN
        try:
            groups = self._store.log.audience_named(PublicationId(one.publication))
        except LookupError:
            return UNKNOWN
        is_meant = groups is None or any(
            self._partner.alias in self._roster.groups.get(name, ()) for name in groups
        )
        return "" if is_meant else LIMITED

    def _is_left_out(self, version: OwnVersion, reason: str) -> bool:
        """Returns whether an object is not told, and counts why."""
        if version.type == WITHDRAWAL or version.object_id == self._identity:
            return True  # said where it is needed, beside what it takes back; ours goes with each part
        if version.is_revoked:
            if self._needs_withdrawal(version, reason):
                return False
            self.refused[WITHDRAWN] += 1
            return True
        if version.type in ASSESSMENT_TYPES:
            reason = reason or LIMITED
        elif not reason and version.is_fallen:
            reason = FALLEN
        elif not reason and version.was_sent_again:
            reason = ALREADY_SENT
        reason = reason or why_not_for(version.tlp, self._partner, self._now)
        if reason:
            self.refused[reason] += 1
        return bool(reason)

    def _needs_withdrawal(self, version: OwnVersion, reason: str) -> bool:
        """Rule 4."""
        partner: PartnerId = self._partner.partner_id
        if version.object_id in self._taken_back or version.type in ASSESSMENT_TYPES:
            return False
        was_sent = reason == ALREADY_SENT or any(
            partner in (one.recipients or ()) for one in self._store.knowledge.carriers(version.object_id)
        )
        if not was_sent or self._store.knowledge.was_withdrawal_sent(version.object_id, partner):
            return False
        if self._said(version.object_id) is None and reason == ALREADY_SENT:
            return False  # the version that says `revoked` is the withdrawal, and was sent
        self._taken_back.add(version.object_id)
        return True

    def _said(self, object_id: str) -> WithdrawalFacts | None:
        said = self._store.knowledge.withdrawals(object_id).get(self._roster.own_id)
        if said is None:
            return None
        return WithdrawalFacts(
            object_id, said.incarnation, said.sequence, said.up_to_us, said.reason, said.replaced_by
        )

    def _withdrawal(self, version: OwnVersion) -> bytes | None:
        """Returns the withdrawal of an object as an object; None where its own version says `revoked`."""
        facts = self._said(version.object_id)
        if facts is None:
            return None
        return withdrawal_object(facts, author=self._roster.own_id, now=self._now, tlp=version.tlp)


def in_order(refused: Counter[str]) -> Sequence[tuple[str, int]]:
    """Returns the counts, the most frequent reason first."""
    return sorted(refused.items(), key=lambda pair: (-pair[1], pair[0]))
