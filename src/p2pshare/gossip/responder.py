"""Responder: answers a peer's sync questions from the index. Nothing is kept between two questions.

A question can be small and its answer costly (5 bytes ask for everything), so the answer is bounded in bytes
by the frame, in time by a measure of work, in number by one a peer and a few of all, and the work that a peer
costs in a minute is counted. Above any of these limits the answer is 429.

Only an audit leaves something behind: the tags of its session key, for as long as it goes on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from p2pshare.errors import PeerError
from p2pshare.gossip.actions import Reply, ReplyBusy, ReplyRefused
from p2pshare.gossip.engine_state import EngineState
from p2pshare.gossip.events import SyncAsked
from p2pshare.gossip.index import HOUR_SECONDS, cut_of
from p2pshare.gossip.link import Link
from p2pshare.gossip.messages import Shard, Sync, SyncAnswer, SyncPart
from p2pshare.gossip.negentropy.audit import AuditView
from p2pshare.gossip.negentropy.key_index import SortedKeys
from p2pshare.gossip.negentropy.negentropy import KeySource, _Steps, respond
from p2pshare.gossip.scheduler import Scheduler
from p2pshare.identifiers import PartnerId
from p2pshare.limits import (
    AUDIT_ANSWER_SECONDS_MIN,
    AUDIT_KEPT_SECONDS,
    AUDITS_ANSWERED_MAX,
    CLOCK_AHEAD_SECONDS_MAX,
    EXPIRED_KEY_KEEP_SECONDS,
    SYNC_ANSWER_WORK_MAX,
    SYNC_ANSWERS_MAX,
    SYNC_FRAME_BYTES_MAX,
    SYNC_STEPS_PER_MINUTE_MAX,
)

BUSY_SECONDS = 1.0  # an answer takes a quarter of a second
MINUTE_SECONDS = 60


@dataclass(slots=True)
class _Audit:
    """An audit of a peer that is under way."""

    nonce: bytes
    began_at: float
    views: dict[Shard, AuditView] = field(default_factory=dict)


class Responder:
    """The responder's side of reconciliation."""

    def __init__(self, state: EngineState, scheduler: Scheduler) -> None:
        self._state = state
        self._scheduler = scheduler
        self._tickets: dict[PartnerId, int] = {}
        self._audits: dict[PartnerId, _Audit] = {}

    def asked(self, link: Link, event: SyncAsked) -> bool:
        """Take a question of a linked peer: refuse it, put it off (429), or answer it after some steps of work (True)."""
        state, message = self._state, event.message
        reason = self._wrong(link, message)
        if reason:
            state.note(link.peer, reason)
            state.act(ReplyRefused(event.ticket, reason))
            return False
        pause = self._pause_seconds(link, message)
        if pause:
            state.act(ReplyBusy(event.ticket, pause))
            return False
        self._tickets[link.peer] = event.ticket
        steps = self._answer(link, message)
        answered, failed = partial(self._answered, link), partial(self._failed, link)
        self._scheduler.add(link.peer, steps, answered, failed, partial(self._count_step, link))
        return True

    def drop(self, peer: PartnerId) -> None:
        """Refuse the question of a peer whose link is gone, or carries other circles now."""
        self._audits.pop(peer, None)
        if peer in self._tickets:
            self._state.act(ReplyRefused(self._tickets.pop(peer)))

    def _count_step(self, link: Link) -> None:
        """Count a step of work that was done for a question of this peer."""
        minute = int(self._state.now // MINUTE_SECONDS)
        used = link.sync_steps[1] if link.sync_steps[0] == minute else 0
        link.sync_steps = (minute, used + 1)

    def _wrong(self, link: Link, message: Sync) -> str:
        """Returns the reason code to refuse a question with, "" for none.

        With a clock further back than expired keys are kept, or a day ahead, the two sides would compare different sets.
        """
        hour = message.clock // HOUR_SECONDS
        moment = self._state.moment
        is_behind = hour < (int(moment.earliest) - EXPIRED_KEY_KEEP_SECONDS) // HOUR_SECONDS
        if is_behind or message.clock > int(moment.latest) + CLOCK_AHEAD_SECONDS_MAX:
            return "clock-skew"
        if not message.nonce or self._is_under_way(link, message.nonce):
            return ""
        is_too_soon = self._state.now < link.audit_answered_at + AUDIT_ANSWER_SECONDS_MIN
        return "audit-too-soon" if is_too_soon else ""

    def _is_under_way(self, link: Link, nonce: bytes) -> bool:
        """Returns whether the question goes on with an audit; one that was kept for AUDIT_KEPT_SECONDS begins anew, if at all."""
        audit = self._audits.get(link.peer)
        return (
            audit is not None
            and audit.nonce == nonce
            and self._state.now <= audit.began_at + AUDIT_KEPT_SECONDS
        )

    def _pause_seconds(self, link: Link, message: Sync) -> float:
        """Returns the seconds that the peer has to wait, 0.0 for none."""
        if message.nonce and not self._is_under_way(link, message.nonce):
            kept = [
                one.began_at + AUDIT_KEPT_SECONDS for peer, one in self._audits.items() if peer != link.peer
            ]
            kept = [until for until in kept if until > self._state.now]
            if len(kept) >= AUDITS_ANSWERED_MAX:
                return min(kept) - self._state.now + BUSY_SECONDS
        if link.peer in self._tickets or len(self._tickets) >= SYNC_ANSWERS_MAX:
            return BUSY_SECONDS
        minute, used = link.sync_steps
        if minute == int(self._state.now // MINUTE_SECONDS) and used >= SYNC_STEPS_PER_MINUTE_MAX:
            return MINUTE_SECONDS - self._state.now % MINUTE_SECONDS
        return 0.0

    def _answer(self, link: Link, message: Sync) -> _Steps[SyncAnswer]:
        parts = []
        for part in message.parts:
            keys: KeySource = SortedKeys()  # what the link does not carry is an empty shard
            if part.shard.circle in link.config.compared:
                keys = self._state.index[part.shard]
                if message.nonce:
                    keys = yield from self._view(link, message.nonce, part.shard)
            answer = yield from respond(
                keys,
                part.message,
                created_min=cut_of(part.shard, message.clock),
                frame_bytes_max=SYNC_FRAME_BYTES_MAX // len(message.parts),
                work_max=SYNC_ANSWER_WORK_MAX / len(message.parts),
            )
            parts.append(SyncPart(part.shard, answer))
        return SyncAnswer(tuple(parts))

    def _view(self, link: Link, nonce: bytes, shard: Shard) -> _Steps[AuditView]:
        """Returns the shard as seen by an audit: fingerprints over tags of this session's key. Raises PeerError."""
        now = self._state.now
        for peer in [peer for peer, one in self._audits.items() if now > one.began_at + AUDIT_KEPT_SECONDS]:
            del self._audits[peer]
        audit = self._audits.get(link.peer)
        if audit is None or audit.nonce != nonce:
            if len(self._audits.keys() - {link.peer}) >= AUDITS_ANSWERED_MAX:
                raise PeerError("too many audits at once", reason="audit-too-soon")
            link.audit_answered_at = now
            audit = self._audits[link.peer] = _Audit(nonce, now)
        if shard not in audit.views:
            view = AuditView(self._state.index[shard], nonce)
            yield from view.warm()
            audit.views[shard] = view
        return audit.views[shard]

    def _answered(self, link: Link, answer: SyncAnswer) -> None:
        self._state.act(Reply(self._tickets.pop(link.peer), answer))

    def _failed(self, link: Link, error: PeerError) -> None:
        self._state.note(link.peer, error.reason)
        self._state.act(ReplyRefused(self._tickets.pop(link.peer), error.reason))
