"""Anti-entropy: two stores find their difference. This makes the system correct; all else makes it fast.

*When* is decided here: after each link up, another epoch, a gap in the peer's announcements, roots that go on
differing, and periodically, with a pause that doubles while nothing is found. Roots travel in every hello,
both ways, so a comparison begins only where they differ, and being in sync costs no request of its own. Once
a day and link everything is compared by fingerprints that nobody could have planned for (`audit`).

*How* is one session a link, Negentropy in rounds (`negentropy`), all shards that differ side by side. The one
who asks does the work for both: what it lacks goes into the want table, what the other lacks it announces
as a repair. The one who answers keeps nothing (`responder`).

After a session every difference is transferred, or unavailable on this link, or refused by the peer. Where only
the latter two are left the pair of roots is remembered, and is as good as equal roots.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

from p2pshare.errors import PeerError
from p2pshare.gossip.actions import SendAnnounce, SendSync
from p2pshare.gossip.engine_state import EngineState
from p2pshare.gossip.index import created_of, cut_of, id_of, key_of
from p2pshare.gossip.link import NEVER, Link, Unavailable
from p2pshare.gossip.messages import (
    NONCE_BYTES,
    Announce,
    AnnounceItem,
    Hello,
    Shard,
    ShardRoot,
    Sync,
    SyncAnswer,
    SyncPart,
)
from p2pshare.gossip.negentropy.audit import AuditView
from p2pshare.gossip.negentropy.negentropy import Initiator, KeySource, _Steps
from p2pshare.gossip.protocol import ANNOUNCE, GET, PUT, SYNC
from p2pshare.gossip.scheduler import Scheduler
from p2pshare.identifiers import EnvelopeId, PartnerId
from p2pshare.limits import (
    ANNOUNCE_ITEMS_MAX,
    AUDIT_ANSWER_SECONDS_MIN,
    AUDIT_SECONDS,
    CLOCK_AHEAD_SECONDS_MAX,
    LINK_UP_JITTER_SECONDS_MAX,
    PUSHES_WAITING_PER_PEER_MAX,
    SYNC_DIFFERENCES_MAX,
    SYNC_FRAME_BYTES_MAX,
    SYNC_PARTS_MAX,
    SYNC_QUIET_SECONDS,
    SYNC_QUIET_WAIT_SECONDS_MAX,
    SYNC_SESSION_SECONDS_MAX,
    SYNC_SESSION_STEPS_MAX,
    SYNC_SESSIONS_MAX,
)

JITTER_SECONDS_PER_LINK = 0.1  # few links need little spreading out
BUSY_PAUSE_SECONDS = 5.0  # before looking again whether a link has fallen quiet, or a session is free
SUM_MODULUS = 1 << 64
IDS_PER_STEP = 256  # put into the want table between two yields: 1 to 2 ms
PAUSES_MAX = 10  # of one session: a peer that is always busy is compared with later

RootPair = tuple[bytes, bytes]
"""The roots of a shard, ours and the peer's; b"" for a shard that one side does not have."""


@dataclass(slots=True)
class SyncSession:
    """A comparison with one peer."""

    began_at: float
    clock: int
    nonce: bytes
    shards: list[Shard]
    """Shards still to be begun."""
    pairs: dict[Shard, RootPair]
    awaited: dict[Shard, list[EnvelopeId]]
    """Own envelopes not acknowledged when the session began: those that are not found missing have arrived."""
    initiators: dict[Shard, Initiator] = field(default_factory=dict)
    messages: dict[Shard, bytes] = field(default_factory=dict)
    repairs: list[tuple[Shard, bytes]] = field(default_factory=list)
    """Keys that the peer lacks, to be announced."""
    is_working: bool = False
    steps: int = 0
    pauses: int = 0
    is_cut: bool = False
    needs: int = 0
    offered_sum: int = 0


class Reconciliation:
    """All sessions, at most one a link."""

    def __init__(self, state: EngineState, scheduler: Scheduler) -> None:
        self._state = state
        self._scheduler = scheduler
        self._sessions: dict[PartnerId, SyncSession] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    # --- when ---

    def link_up(self, link: Link) -> None:
        """Plan a comparison soon after a link came up, and the link's first audit."""
        link.pause_seconds = self._state.settings.reconcile_seconds
        link.compare_at = NEVER
        if link.audit_at == NEVER:
            link.audit_at = self._state.now + self._state.settings.audit_seconds * self._state.random.random()
        self.soon(link)

    def soon(self, link: Link) -> None:
        """Plan a comparison within a few seconds; with many links it is spread out."""
        spread = min(LINK_UP_JITTER_SECONDS_MAX, JITTER_SECONDS_PER_LINK * len(self._state.links))
        self._at(link, self._state.now + spread * self._state.random.random())

    def compare_all(self, link: Link) -> None:
        """Plan a comparison soon, of pairs of roots that nothing was left to compare of, too: the peer says that something is
        new, without saying what."""
        link.follow_sign((Unavailable.GONE,), self._state.now, offers_again=True)
        self.soon(link)

    def _at(self, link: Link, at: float) -> None:
        if at < link.compare_at:
            link.compare_at = at
        link.compare_by = min(link.compare_by, link.compare_at + SYNC_QUIET_WAIT_SECONDS_MAX)

    def is_due(self, link: Link) -> bool:
        """Returns whether a hello should leave so that a session may begin."""
        return min(link.compare_at, link.audit_at) <= self._state.now and link.peer not in self._sessions

    def due(self, link: Link) -> float:
        """Returns the next instant to look at this link for the sake of comparing."""
        session = self._sessions.get(link.peer)
        return (
            min(link.compare_at, link.audit_at)
            if session is None
            else session.began_at + SYNC_SESSION_SECONDS_MAX
        )

    def drop(self, peer: PartnerId) -> None:
        """Drop the session with a peer whose link went down, or is gone."""
        self._sessions.pop(peer, None)

    def hello_heard(self, link: Link, hello: Hello) -> None:
        """Use the roots of a hello that the peer sent: equal ones prove delivery, and that there is nothing to compare."""
        pairs = self._differing(link, hello)
        if not pairs:
            self._rest(link, is_found=False)
        elif link.is_open and link.peer not in self._sessions:
            self._at(link, self._state.now + SYNC_QUIET_SECONDS * self._jitter())

    def hello_answered(self, link: Link, hello: Hello) -> None:
        """Use the roots of an answer to our hello: different ones begin a session when one is due."""
        pairs = self._differing(link, hello)
        if link.peer in self._sessions:
            return
        now = self._state.now
        is_audit = link.audit_at <= now
        if not pairs and not is_audit:
            self._rest(link, is_found=False)
        elif not self.is_due(link):
            self._at(link, now + SYNC_QUIET_SECONDS * self._jitter())
        elif len(self._sessions) >= SYNC_SESSIONS_MAX or not (self._is_quiet(link) or link.compare_by <= now):
            link.compare_by = min(link.compare_by, now + SYNC_QUIET_WAIT_SECONDS_MAX)
            link.compare_at = now + BUSY_PAUSE_SECONDS * self._jitter()
            if is_audit:
                link.audit_at = link.compare_at
        else:
            self._begin(link, hello, pairs, is_audit=is_audit)

    def _differing(self, link: Link, hello: Hello) -> dict[Shard, RootPair]:
        """Returns the shards that are not in sync, ascending, and acknowledges the deliveries that equal roots prove."""
        heard = frozenset(one for one in hello.shards if one.shard.circle in link.config.compared)
        if heard != link.heard_roots:  # it may hold now what it could not hand over
            link.heard_roots = heard
            link.follow_sign((Unavailable.GONE,), self._state.now, offers_again=False)
        mine = {one.shard: one for one in self._state.index.roots(link.config.compared, hello.clock)}
        theirs = {one.shard: one for one in hello.shards if one.shard.circle in link.config.compared}
        equal = {shard for shard, one in mine.items() if theirs.get(shard) == one}
        self._state.acknowledged(link, self._delivered(link, equal))
        pairs = {
            shard: (_root_in(mine, shard), _root_in(theirs, shard))
            for shard in sorted(mine.keys() | theirs.keys())
        }
        return {
            shard: pair
            for shard, pair in pairs.items()
            if shard not in equal and link.exhausted.get(shard) != pair
        }

    def _is_quiet(self, link: Link) -> bool:
        """Returns whether nothing is under way on the link that the next comparison would find."""
        is_busy = any(link.has_pending(verb) for verb in (ANNOUNCE, PUT, GET))
        return not (is_busy or link.pushes or link.expected or self._state.want.count(link.peer))

    def _rest(self, link: Link, *, is_found: bool) -> None:
        """Plan the next comparison: soon while differences are found, with a pause that doubles while not."""
        settings = self._state.settings
        link.pause_seconds = (
            settings.reconcile_seconds
            if is_found
            else min(settings.reconcile_seconds_max, 2 * max(link.pause_seconds, settings.reconcile_seconds))
        )
        link.compare_at = self._state.now + link.pause_seconds * self._jitter()
        link.compare_by = NEVER

    def _jitter(self) -> float:
        return 0.75 + 0.5 * self._state.random.random()

    # --- a session ---

    def _begin(self, link: Link, hello: Hello, pairs: dict[Shard, RootPair], *, is_audit: bool) -> None:
        """Begin a session. Both sides cut at the later clock's hour: keys that one side has already expired neither compares."""
        state, moment = self._state, self._state.moment
        now, ahead_max = int(moment.now), moment.latest + CLOCK_AHEAD_SECONDS_MAX
        is_later = now < hello.clock <= ahead_max
        # in doubt of our own clock the peer's is as good
        clock = hello.clock if is_later or int(moment.earliest) < hello.clock <= moment.latest else now
        nonce = b""
        shards = list(pairs)
        if is_audit:
            link.audit_at = state.now + AUDIT_SECONDS * self._jitter()
            nonce = state.random.getrandbits(8 * NONCE_BYTES).to_bytes(NONCE_BYTES, "big")
            roots = state.index.roots(link.config.compared, clock)
            shards = sorted({*pairs, *(one.shard for one in roots)})
        awaited = {shard: self._delivered(link, {shard}) for shard in shards}
        session = SyncSession(state.now, clock, nonce, shards, pairs, awaited)
        self._sessions[link.peer] = session
        link.compare_at = link.compare_by = NEVER

    def drive(self, link: Link) -> None:
        """Do the next step of a session: send, compute or finish, one at a time."""
        state, session = self._state, self._sessions.get(link.peer)
        if session is None or session.is_working or link.has_pending(SYNC):
            return
        if state.now >= session.began_at + SYNC_SESSION_SECONDS_MAX:
            state.note(link.peer, "sync-takes-too-long")
            self.finish(link, is_whole=False)
        elif session.repairs:
            self._repair(link, session)
        elif session.messages:
            if link.may_send(SYNC):
                pending = state.begin(link, SYNC)
                parts = tuple(SyncPart(shard, raw) for shard, raw in sorted(session.messages.items()))
                state.act(SendSync(pending.number, link.peer, Sync(session.clock, session.nonce, parts)))
        elif session.shards and not session.is_cut:
            self._compute(link, session, self._first_messages(link, session))
        else:
            self.finish(link, is_whole=not session.is_cut)

    def declined(self, link: Link, reason: str) -> None:
        """End a session that the peer refused. An audit that came too soon for it is tried again in an hour."""
        if reason == "audit-too-soon":
            link.audit_at = self._state.now + AUDIT_ANSWER_SECONDS_MIN * (1 + self._state.random.random())
        self.finish(link, is_whole=False)

    def _repair(self, link: Link, session: SyncSession) -> None:
        """Announce items that the peer lacks; pushes that earlier repairs led to go first, so that they never pile up."""
        if not link.may_send(ANNOUNCE) or link.pushes:
            return
        items = tuple(self._item(*one) for one in session.repairs[:ANNOUNCE_ITEMS_MAX])
        del session.repairs[:ANNOUNCE_ITEMS_MAX]
        pending = self._state.begin(link, ANNOUNCE, [item.envelope_id for item in items])
        message = Announce(self._state.epoch, link.reported, link.reported, items)
        self._state.act(SendAnnounce(pending.number, link.peer, message))

    def _compute(self, link: Link, session: SyncSession, steps: _Steps[dict[Shard, bytes]]) -> None:
        """Run `steps` between other events; their result is the messages to send next."""
        session.is_working = True
        self._scheduler.add(
            link.peer,
            self._learning(link, session, steps),
            partial(self._computed, session),
            partial(self._failed, link, session),
            partial(self._count_step, link, session),
        )

    def _count_step(self, link: Link, session: SyncSession) -> None:
        """Count a step of this session; one that costs too much ends, and the next comes after a long pause."""
        session.steps += 1
        if session.steps > SYNC_SESSION_STEPS_MAX and self._sessions.get(link.peer) is session:
            self._state.note(link.peer, "sync-costs-too-much")
            self.drop(link.peer)
            self._rest(link, is_found=False)

    def _learning(
        self, link: Link, session: SyncSession, steps: _Steps[dict[Shard, bytes]]
    ) -> _Steps[dict[Shard, bytes]]:
        """Run `steps`, then take in the differences of the shards that came to an end with them."""
        messages = yield from steps
        for shard in [shard for shard in session.initiators if shard not in messages]:
            yield from self._learn(link, session, shard, session.initiators.pop(shard))
        return messages

    def _computed(self, session: SyncSession, messages: dict[Shard, bytes]) -> None:
        session.is_working, session.messages = False, messages

    def _failed(self, link: Link, session: SyncSession, error: PeerError) -> None:
        """End a session after a wrong answer. Differences found before are kept, as untrusted as any announcement."""
        if self._sessions.get(link.peer) is session:
            self._state.note(link.peer, error.reason)
            self.finish(link, is_whole=False)

    def _first_messages(self, link: Link, session: SyncSession) -> _Steps[dict[Shard, bytes]]:
        group, session.shards = session.shards[:SYNC_PARTS_MAX], session.shards[SYNC_PARTS_MAX:]
        room = min(SYNC_DIFFERENCES_MAX, self._state.want.room(link.peer)) // len(group)
        for shard in group:
            keys: KeySource = self._state.index[shard]
            if session.nonce:
                keys = view = AuditView(self._state.index[shard], session.nonce)
                yield from view.warm()
            session.initiators[shard] = Initiator(
                keys,
                created_min=cut_of(shard, session.clock),
                frame_bytes_max=SYNC_FRAME_BYTES_MAX // len(group),
                differences_max=max(1, room),
            )
            yield
        return {shard: one.begin() for shard, one in session.initiators.items()}

    def answered(self, link: Link, answer: SyncAnswer) -> None:
        """Take the answer of a round, and compute the next messages from it."""
        session = self._sessions.get(link.peer)
        if session is None:
            return
        if [part.shard for part in answer.parts] != sorted(session.messages):
            self._failed(
                link, session, PeerError("other shards than were asked for", reason="sync-other-shards")
            )
            return
        session.messages = {}
        self._compute(link, session, self._next_messages(session, answer.parts))

    def _next_messages(self, session: SyncSession, parts: Iterable[SyncPart]) -> _Steps[dict[Shard, bytes]]:
        messages = {}
        for part in parts:
            message = yield from session.initiators[part.shard].receive(part.message)
            if message is not None:
                messages[part.shard] = message
        return messages

    def put_off(self, link: Link) -> None:
        """Ask the same question again after a 429, at most PAUSES_MAX times a session."""
        session = self._sessions.get(link.peer)
        if session is not None:
            session.pauses += 1
            if session.pauses > PAUSES_MAX:
                self.finish(link, is_whole=False)

    # --- what was found ---

    def _learn(self, link: Link, session: SyncSession, shard: Shard, found: Initiator) -> _Steps[None]:
        """Take in the differences of a shard: want the ids missing here, offer those missing there, acknowledge all others."""
        state = self._state
        session.is_cut = session.is_cut or found.is_cut
        for number, one in enumerate(sorted(found.need), start=1):
            if number % IDS_PER_STEP == 0:
                yield
            if self._sessions.get(link.peer) is not session:
                return  # the link fell meanwhile
            envelope_id = EnvelopeId(one)
            if not state.is_needed(link, envelope_id):
                continue
            if not state.want.add(AnnounceItem(envelope_id, 0, shard.ttl_class, shard.circle, 0), link.peer):
                session.is_cut = True
                break
            session.needs += 1
        lacking = sorted(found.have.values())
        self._offer(link, session, shard, [key for key in lacking if state.is_current(shard.ttl_class, key)])
        numbers = (int.from_bytes(key[-8:], "big") for key in lacking)
        session.offered_sum = (session.offered_sum + sum(numbers)) % SUM_MODULUS
        if not found.is_cut:
            self._state.acknowledged(link, [one for one in session.awaited[shard] if one not in found.have])

    def _offer(self, link: Link, session: SyncSession, shard: Shard, keys: list[bytes]) -> None:
        """Offer keys that the peer lacks: announce relayed envelopes, push direct ones of the pair."""
        if shard.circle != link.config.pair:
            session.repairs += [(shard, key) for key in keys]
            return
        ids = [id_of(key) for key in keys]
        offered = [one for one in ids if one not in link.declined and one not in link.pushes]
        room = PUSHES_WAITING_PER_PEER_MAX - len(link.pushes)
        link.pushes.extend(offered[:room])
        session.is_cut = session.is_cut or len(offered) > room

    def _delivered(self, link: Link, shards: Collection[Shard]) -> list[EnvelopeId]:
        """Returns the own envelopes in these shards that were not acknowledged so far."""
        relayed = [one for one, shard in self._state.first_hops.items() if shard in shards]
        direct = [
            one
            for one, item in link.awaited.items()
            if (shard := Shard(link.config.pair or item.circle, item.ttl_class)) in shards
            and key_of(item.created, one) in self._state.index[shard]
        ]
        return relayed + direct

    def _item(self, shard: Shard, key: bytes) -> AnnounceItem:
        """Returns the item to announce for a key; its size is 0 once it is no longer in the arrival log."""
        envelope_id = EnvelopeId(key[-EnvelopeId.length :])
        known = self._state.arrivals.item(envelope_id)
        return known or AnnounceItem(envelope_id, created_of(key), shard.ttl_class, shard.circle, 0)

    def finish(self, link: Link, *, is_whole: bool) -> None:
        """End the session. Offering the same as last time counts as finding nothing: the peer does not want it."""
        session = self._sessions.pop(link.peer, None)
        if session is None:
            return
        self._state.touch(link)
        is_found = session.needs > 0 or session.offered_sum != link.offered_sum
        link.offered_sum = session.offered_sum
        if is_whole and not is_found:
            link.exhausted |= session.pairs
            link.give_up(self._state.now)
        self._rest(link, is_found=is_found)
        if session.is_cut:
            self.soon(link)

    # --- the other one asks ---

    def asked(self, link: Link) -> None:
        """Put off our own comparison: the peer compares for both. Of two sessions at once that of the lower epoch goes on."""
        if link.peer in self._sessions and link.epoch is not None and link.epoch < self._state.epoch:
            for pending in [one for one in link.pending.values() if one.verb is SYNC]:
                self._state.abandon(link, pending)
            self.drop(link.peer)
        if link.is_open and link.peer not in self._sessions:
            pause = max(link.pause_seconds, self._state.settings.reconcile_seconds)
            link.compare_at, link.compare_by = self._state.now + pause * self._jitter(), NEVER


def _root_in(roots: Mapping[Shard, ShardRoot], shard: Shard) -> bytes:
    return roots[shard].root if shard in roots else b""
