"""Reading: the content of envelopes that are held, after they were acknowledged and announced.

Intake never opens an envelope, so nothing that a partner can time tells whether it was addressed to us (docs/gossip.md,
"Reading after the answer"). What is unread is a queue in the log, and this is its one consumer:

1. Authors take turns, small envelopes first: a withdrawal does not wait behind a list, nor one author behind another.
2. An attempt is counted before it is made. The second that fails, or takes the process with it, leaves the envelope
   aside as unreadable; a full disk is no attempt. What failed once is read alone: a fault costs the envelope that has it.
3. The log, the content and the place from which reading goes on change in one transaction: a crash loses nothing and
   reads nothing twice.
4. What an envelope costs (`policy.content_cost`) is counted against its author's quota, and what has no room waits for it
   unread: an author pays for what it makes us do, not for its bytes alone.
5. Work is done in steps of at most SLICE_SECONDS, by the clock: readers are told what each took. Steps share a transaction
   of at most TURN_SECONDS and TURN_ENVELOPES while nobody else waits for the writer, and are committed at once when
   somebody does.
6. Reading hardly adds to the wait of others. Not each turn can be cut short (one object may touch a thousand values), so while
   others wait an author rests after one of more than SHORT_SECONDS, for so long that whoever comes at any moment waits WAIT_SECONDS for
   that author on the average: of a turn of T seconds in each P it waits T * T / 2P. Twice as long a turn comes a quarter as often.
7. Reading waits where less than READING_SPACE_BYTES_MIN is free above the floor at which intake stops.

Everything here runs in the writer thread.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from p2pshare.envelope.envelope import decode_envelope
from p2pshare.envelope.sealing import OpenedPayload, open_envelope
from p2pshare.envelope.verification import VerifiedEnvelope, verified_before
from p2pshare.errors import DiskFull, OperatorError, PeerError
from p2pshare.identifiers import EnvelopeId
from p2pshare.knowledge.interface import PublicationPart
from p2pshare.limits import MIB, READING_SPACE_BYTES_MIN
from p2pshare.log.interface import ContentState, UnreadEnvelope
from p2pshare.node.node import Node
from p2pshare.partners.roster import Roster
from p2pshare.policy.content_cost import cost_bytes
from p2pshare.policy.quota import Quota, counted_under
from p2pshare.sharing.partners import load_roster
from p2pshare.sharing.payload_kinds import EXERCISE, OF_SPACES, PayloadReader, Place, Readers, Steps, receive
from p2pshare.sharing.revocation_walk import is_read

logger = logging.getLogger(__name__)

REVOKED = frozenset({"revoked-key", "not-vouched"})
NO_ROOM = "content-quota"
"""The reason that is counted when content waits because its author has filled its room here."""

TURN_SECONDS = 1.0  # of one transaction, while nobody else wants the writer
TURN_ENVELOPES = 8  # ... which shares its cost among so many
AUTHOR_SECONDS = 0.250  # of one author, where others wait
SHORT_SECONDS = 0.008  # of a turn after which nobody rests: a commit of bodies takes as long
WAIT_SECONDS = 0.0001  # that longer turns of an author add to the wait of others, on the average
REST_SECONDS_MAX = 60.0  # of an author: after a turn of 0.11 s
ATTEMPTS_MAX = 2  # one may have died of something else
WALKS_BYTES_MAX = (
    64 * MIB
)  # inflated, of payloads held open between two turns; what is beyond is opened again at its place


@dataclass
class _Walk:
    """An envelope on its way: its steps, how far they came, and the seconds that the last one took (None: none was made)."""

    envelope: UnreadEnvelope
    inflated_bytes: int
    """That its payload states."""
    steps: Steps
    place: Place
    part_of: PublicationPart
    seconds: float | None = None
    rows: int = 0
    """That it came to, once it is at its end."""
    refused: Counter[str] = field(default_factory=Counter)
    kept: bytes = b""
    """The place that is kept."""


class ContentReader:
    """One per life of whoever writes the store. `clock` in seconds, monotonic; `worked`, the same where it is not given, tells
    the seconds that the calling thread has worked: what an author rests for is what its content costs, on a busy machine too."""

    def __init__(
        self,
        node: Node,
        readers: Readers,
        clock: Callable[[], float],
        worked: Callable[[], float] | None = None,
    ) -> None:
        self._node = node
        self._readers = readers
        self._clock = clock
        self._worked = worked or clock
        self._last_author = 0
        self._made: dict[str, PayloadReader] = {}
        self._walks: dict[int, _Walk] = {}
        """Those that are not at their end, by lsn; the oldest first."""
        self._is_wanted = False
        """Whether somebody waited for the writer when the last turn ended."""
        self._is_hurried = False
        """Whether readers are to write as they go: somebody waits for the writer, what is read ended badly before, or does not fit
        beside what else is read."""
        self._is_crowded = False
        """Whether a walk was put aside when the last turn ended: what it had gathered is gathered again."""
        self._rests: dict[int, float] = {}
        """Until when authors rest, by their rows."""

    def read_on(self, now: int, is_wanted: Callable[[], bool], without: Sequence[int] = ()) -> bool:
        """Read for one transaction, at `now` (unix seconds), which ends early where `is_wanted` says that somebody else waits
        for the writer; the lsns `without` have to wait. Returns whether more is unread. Raises StoreError (a full disk) with
        nothing of it kept."""
        now_seconds, began = self._clock(), self._worked()
        self._rests = {author: until for author, until in self._rests.items() if until > now_seconds}
        chosen = self._choose(without)
        if not chosen:
            return False
        if self._node.store.database.lacks_space(READING_SPACE_BYTES_MIN):
            raise DiskFull("too little space is free to read what arrived", hint="free some space")
        others_wait = self._is_wanted or is_wanted()
        self._is_hurried = others_wait or self._is_crowded or chosen[0].attempts > 0
        self._node.store.log.begin_reading(one.source for one in chosen)
        seconds: dict[int, float] = {}
        try:
            self._read(chosen, now, is_wanted, seconds)
        except OperatorError:
            self._forget()
            self._node.store.log.forgive_reading(one.source for one in chosen)
            raise
        except Exception as error:  # noqa: BLE001 - a bug of ours in one envelope must not stop the others
            logger.error("content was not read: internal-error (%s)", type(error).__name__)
            self._forget()
        self._is_wanted = is_wanted()
        if self._is_wanted:
            self._let_rest(seconds, began)
        return True

    def seconds_left(self) -> float | None:
        """Returns the time until the first author that rests may be read again, None where none does."""
        return max(0.0, min(self._rests.values()) - self._clock()) if self._rests else None

    def _let_rest(self, seconds: Mapping[int, float], began: float) -> None:
        """Rule 6, after a turn since `began` of which `seconds` were spent on each author; what all share counts by these."""
        now, worked, spent = self._clock(), self._worked() - began, sum(seconds.values())
        for author, own in seconds.items():
            turn = own * worked / spent if spent else 0.0
            if turn > SHORT_SECONDS:
                period = turn * turn / (2 * WAIT_SECONDS)
                self._rests[author] = now + min(period - turn, REST_SECONDS_MAX)

    def _choose(self, without: Sequence[int]) -> list[UnreadEnvelope]:
        """Rules 1 and 2."""
        chosen: list[UnreadEnvelope] = []
        while len(chosen) < TURN_ENVELOPES:
            after = chosen[-1].source.author if chosen else self._last_author
            one = self._node.store.log.next_unread(
                after, [*without, *(held.source.lsn for held in chosen)], self._rests
            )
            if one is None or (chosen and one.attempts):
                break
            chosen.append(one)
            if one.attempts:
                break
        return chosen

    def _read(
        self,
        chosen: Sequence[UnreadEnvelope],
        now: int,
        is_wanted: Callable[[], bool],
        seconds: dict[int, float],
    ) -> None:
        """Read for one transaction, and count the `seconds` that each author took."""
        log, end = self._node.store.log, self._clock() + TURN_SECONDS
        walked: list[_Walk] = []
        with self._node.store.transaction():
            roster = load_roster(self._node)
            for reader in self._made.values():
                reader.begin(now, is_hurried=self._is_hurried)
            for number, one in enumerate(chosen):
                self._last_author = one.source.author
                author_began = self._worked()
                walk = self._walk_of(one, roster, now)
                if walk is not None:
                    walked.append(walk)
                    until = end if len(chosen) == 1 else min(end, self._clock() + AUTHOR_SECONDS)
                    if self._is_at_its_end(walk, until, is_wanted):
                        self._walks.pop(one.source.lsn, None)
                        log.put_content(one.source, ContentState.READ, _cost(walk))
                        self._node.store.knowledge.put_part(one.source, walk.part_of)
                own = self._worked() - author_began
                seconds[one.source.author] = seconds.get(one.source.author, 0.0) + own
                if is_wanted() or self._clock() >= end:
                    log.forgive_reading(left.source for left in chosen[number + 1 :])
                    break
            for reader in self._made.values():
                reader.finish()
            for walk in walked:
                self._node.store.partners.count_refusals(walk.envelope.author, walk.refused)
                walk.refused.clear()
                if walk.envelope.source.lsn in self._walks:
                    self._keep_place(walk)
        self._keep_few()

    def _keep_place(self, walk: _Walk) -> None:
        """Where a turn has come no further, the attempts before it stand: what takes the process with it twice on the way to the next
        place is left aside (rule 2)."""
        log, place = self._node.store.log, json.dumps(walk.place).encode() if walk.place else b""
        if place == walk.kept:
            log.forgive_reading([walk.envelope.source])
        else:
            log.put_place(walk.envelope.source, place)
            walk.kept = place

    def _is_at_its_end(self, walk: _Walk, until: float, is_wanted: Callable[[], bool]) -> bool:
        """Steps on; returns whether nothing is left."""
        try:
            now = self._clock()
            while True:
                began = now
                walk.place = walk.steps.send(walk.seconds)
                now = self._clock()
                walk.seconds = now - began
                if is_wanted() or now >= until:
                    return False
        except StopIteration as end:
            walk.rows = end.value or 0
        except PeerError as error:
            walk.refused[_left_aside(walk.envelope, error)] += 1
        return True

    def _keep_few(self) -> None:
        """Put aside what is too much to be held open. Readers write as they go after that: else no two that do not fit together would
        come to the end of what they gather."""
        self._is_crowded = False
        while len(self._walks) > TURN_ENVELOPES or (
            len(self._walks) > 1
            and sum(walk.inflated_bytes for walk in self._walks.values()) > WALKS_BYTES_MAX
        ):
            del self._walks[next(iter(self._walks))]
            self._is_crowded = True

    def _walk_of(self, one: UnreadEnvelope, roster: Roster, now: int) -> _Walk | None:
        """Returns the steps of what waits; None when there is nothing to read: then it is noted what became of it."""
        if one.source.lsn in self._walks and not self._node.store.partners.is_distrusted(one.source.author):
            return self._walks[one.source.lsn]
        self._walks.pop(one.source.lsn, None)
        log = self._node.store.log
        is_stranger = roster.get(one.author) is None and one.author != roster.own_id
        if is_stranger and self._node.store.partners.is_distrusted(one.source.author):
            log.set_aside(one.source)  # who was removed may be added again, and believed
            return None
        if one.attempts >= ATTEMPTS_MAX:
            self._give_up(one, PeerError("reading it failed twice", reason="gave-up"))
            return None
        try:
            verified = self._verified(one, roster, now)
            opened = open_envelope(self._node.identity, verified, verified.author_card)
            if self._was_handed_on(one, opened):
                return None
            if opened is None:
                log.put_content(one.source, ContentState.NOT_OURS)
                return None
            walk = self._begin(one, verified, opened, now)
        except PeerError as error:
            if error.reason in REVOKED:
                self._put_off(one, error)
            else:
                self._give_up(one, error)
            return None
        if walk is not None:
            self._walks[one.source.lsn] = walk
        return walk

    def _begin(
        self, one: UnreadEnvelope, verified: VerifiedEnvelope, opened: OpenedPayload, now: int
    ) -> _Walk | None:
        """Returns None when its author has no room. Raises PeerError when the payload is left aside; its number has come all
        the same: nobody withheld it."""
        self._node.store.log.note_recipient_number(one.source, opened.number)
        if one.author == self._node.identity.partner_id and self._has_come_home(one):
            self._node.store.knowledge.renew_feed(verified.core.incarnation)
        payload = receive(verified, opened.payload, self._readers, one.source.received_at)
        exercises = self._node.exercises
        if payload.kind is not EXERCISE and exercises is not None and payload.circle in exercises.circles():
            raise PeerError("what is no exercise's came in the circle of one", reason="wrong-circle")
        if payload.kind not in OF_SPACES and self._node.store.partners.is_distrusted(one.source.author):
            self._node.store.log.set_aside(one.source)
            return None
        if not self._has_room(one, verified, payload.stated_bytes):
            self._node.store.log.put_content(one.source, ContentState.NO_ROOM)
            self._node.store.partners.count_refusals(one.author, {NO_ROOM: 1})
            return None
        name = payload.kind.name
        if name not in self._made:
            self._made[name] = self._readers[name](self._node)
            self._made[name].begin(now, is_hurried=self._is_hurried)
        place: Place = tuple(json.loads(one.place)) if one.place else ()
        refused: Counter[str] = Counter()
        steps = self._made[name].read(one.source, payload, refused, place)
        header = payload.header
        part_of = PublicationPart(header.publication, header.part)
        return _Walk(one, payload.stated_bytes, steps, place, part_of, refused=refused, kept=one.place)

    def _was_handed_on(self, one: UnreadEnvelope, opened: OpenedPayload | None) -> bool:
        """Returns whether the content of what came by gossip was read before, because a partner had handed it on: then it is not
        read again, and its number for us has come."""
        knowledge, lsn = self._node.store.knowledge, one.source.lsn
        if knowledge.forwarder(lsn) is None or knowledge.is_handed_on_in_part(lsn):
            return False
        if opened is not None:
            self._node.store.log.note_recipient_number(one.source, opened.number)
        self._node.store.log.put_content(one.source, ContentState.READ)
        return True

    def _has_come_home(self, one: UnreadEnvelope) -> bool:
        """Returns whether a partner brought an envelope of ours: what is unread else is ours since it was sealed here
        (`sharing.staging`)."""
        record = self._node.store.log.record(EnvelopeId(one.source.envelope_id))
        return record is not None and record.received_from is not None

    def _has_room(self, one: UnreadEnvelope, verified: VerifiedEnvelope, inflated_bytes: int) -> bool:
        """Returns whether the author may cost us what is certain before a frame is inflated; what its rows come to is known
        after, and the next one is compared with it."""
        log, core = self._node.store.log, verified.core
        if one.author == self._node.identity.partner_id or one.place:
            return True
        more = cost_bytes(one.size, inflated_bytes=inflated_bytes, rows=0) - one.size
        shelf = counted_under(core.mode, core.circle)
        return Quota(log.quota_bytes(), log.costs()).has_room(one.author, shelf, one.size, more=more)

    def _verified(self, one: UnreadEnvelope, roster: Roster, now: int) -> VerifiedEnvelope:
        """Check 9 again, for cards change. Raises PeerError."""
        wire = self._node.store.log.wire(EnvelopeId(one.source.envelope_id))
        if wire is None:
            raise PeerError("an envelope has gone before it was read", reason="gone")
        entry = roster.get(one.author)
        if entry is None and one.author != roster.own_id:
            raise PeerError(
                "an envelope is of an author that is no partner any more", reason="unknown-author"
            )
        card = self._node.identity.card if entry is None else entry.card
        decoded = decode_envelope(wire)
        at = one.source.received_at
        may_read = is_read(self._node, decoded.core, decoded.envelope_id, card, at, now)
        return verified_before(decoded, card, is_in_effect=may_read)

    def _put_off(self, one: UnreadEnvelope, error: PeerError) -> None:
        """Take what its author does not stand for out of the queue; it comes back when a page lists it (`sharing.revocation_walk`)."""
        store, reason = self._node.store, _left_aside(one, error)
        store.log.set_out(one.source.lsn, None)
        for row in store.notices.revocations():
            if row.author == one.author:
                store.notices.look_again(row.author, row.key_id)
        store.partners.count_refusals(one.author, {reason: 1})

    def _give_up(self, one: UnreadEnvelope, error: PeerError) -> None:
        self._node.store.log.put_content(one.source, ContentState.UNREADABLE)
        self._node.store.partners.count_refusals(one.author, {_left_aside(one, error): 1})

    def _forget(self) -> None:
        """What was gathered for a transaction that was undone."""
        self._made.clear()
        self._walks.clear()


def read_all(node: Node, readers: Readers, now: int, clock: Callable[[], float] = lambda: 0.0) -> None:
    """Read everything that is unread, for a process that is alone with the store. Raises StoreError."""
    reader = ContentReader(node, readers, clock)
    while reader.read_on(now, lambda: False):
        pass


def _cost(walk: _Walk) -> int:
    return cost_bytes(walk.envelope.size, inflated_bytes=walk.inflated_bytes, rows=walk.rows)


def _left_aside(one: UnreadEnvelope, error: PeerError) -> str:
    """Log that content is not read; returns the reason it is counted under."""
    logger.warning(
        "content of %s by %s: %s", EnvelopeId(one.source.envelope_id).short, one.author.short, error.reason
    )
    return f"content-{error.reason}"
