"""The reader of payloads `forwarded`: others' envelopes that a partner hands on, each with its content key (docs/envelope.md,
"Forwarded"; `payload_kinds` has the contract).

Rules:

1. Each is checked as if gossip had brought it, save the wrap; nothing of it is stored before it passed all checks. What does not
   pass is left out and counted against who handed it on; those beside it are read.
2. What passes is its author's: claims, source, envelope id. No number and no quota of its author moves. Who handed it on pays, by
   what this reader returns.
3. No object above GREEN: one in it, and nothing of that envelope is read.
4. What was read before, or waits to be read, is not read for this; what was handed on before and is read in part is.
5. Whether its author and key are believed is asked again in each transaction: a person, or a card, may say otherwise amid an envelope.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

from p2pshare.envelope.card import Card
from p2pshare.envelope.envelope import Core, Mode, decode_envelope
from p2pshare.envelope.forwarded import decode_forwarded
from p2pshare.envelope.payload import decode_payload
from p2pshare.envelope.sealing import open_envelope, open_with_key
from p2pshare.envelope.verification import VerifiedEnvelope, signing_key, verify_envelope
from p2pshare.errors import PeerError
from p2pshare.identifiers import EnvelopeId, PartnerId
from p2pshare.intel.extraction import ObjectFacts
from p2pshare.intel.marking import Tlp
from p2pshare.knowledge.interface import PublicationPart
from p2pshare.log.interface import ContentState, EnvelopeOrigin
from p2pshare.node.node import Node
from p2pshare.partners.roster import Roster
from p2pshare.policy.content_cost import INFLATION, ROW_COST_BYTES
from p2pshare.sharing.content import Content
from p2pshare.sharing.partners import load_roster
from p2pshare.sharing.payload_kinds import STIX, Place, ReceivedPayload, Steps, receive
from p2pshare.sharing.revocation_walk import is_vouched
from p2pshare.sharing.stix_reader import StixReader

FORWARDED_TLP_MAX = (
    Tlp.GREEN
)  # what one of its readers may hand on: TLP 2.0 lets GREEN go round in the community
LOOKING = -1
FORWARDED_MARKING = "forwarded-marking"
"""The reason for which nothing of an envelope is read that is marked above it."""
TOO_LARGE = "inflated-too-large"
NOT_READ = frozenset({ContentState.UNREAD, ContentState.NOT_OURS})
"""What may be read because it was handed on; anything else was read, or waits to be."""


@dataclass(frozen=True)
class _HandedOn:
    """An envelope that was handed on, verified and opened."""

    verified: VerifiedEnvelope
    payload: ReceivedPayload


@dataclass
class _Progress:
    """How far a payload has been read: which frame comes next, and what those before it came to."""

    number: int = 0
    rows: int = 0
    inflated: int = 0

    @property
    def place(self) -> Place:
        return self.number, self.rows, self.inflated


class ForwardedReader:
    """Reads the envelopes in payloads `forwarded`, and what is in them as `StixReader` does."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._stix = StixReader(node)
        self._now = self._turn = 0

    def begin(self, now: int, *, is_hurried: bool) -> None:
        self._now = now
        self._turn += 1
        self._stix.begin(now, is_hurried=True)  # "no step ends where it began"

    def finish(self) -> None:
        self._stix.finish()

    def read(
        self, source: EnvelopeOrigin, payload: ReceivedPayload, refused: Counter[str], place: Place
    ) -> Steps:
        """A place is (envelopes that were read, rows and inflated bytes of those), and behind it the place in the next one: of STIX,
        or (LOOKING, frames that were looked at). No step ends where it began: what fails each time is left aside.

        Looking at a frame of an envelope is a step, and then each of the steps of STIX.
        """
        if payload.header.objects != len(payload.frames):
            raise PeerError("a payload does not hold as many envelopes as it says", reason="malformed")
        done = _Progress(*place[:3]) if place else _Progress()
        inner = place[3:]
        while done.number < len(payload.frames):
            here = done.place
            try:
                is_looking = not inner or inner[0] == LOOKING
                one = self._opened(payload.frames[done.number], payload, is_begun=not is_looking)
                if one is not None:
                    self._charge(one.payload, payload, done)
                    if is_looking:
                        looked = inner[1] if inner else 0
                        for _ in looked_at(one.payload, looked):
                            looked += 1
                            yield (*here, LOOKING, looked)
                        inner = ()
                    done.rows += yield from self._read_on(one, payload, refused, inner, here)
            except PeerError as error:
                refused[error.reason] += 1
                if error.reason == TOO_LARGE:
                    break
            done.number, inner = done.number + 1, ()
            yield done.place
        return max(done.rows, done.inflated // (INFLATION * ROW_COST_BYTES))

    def _read_on(
        self, one: _HandedOn, outer: ReceivedPayload, refused: Counter[str], place: Place, here: Place
    ) -> Generator[Place, float | None, int]:
        """The steps of one envelope that passed all checks; returns its rows. `here`: the place that it has as a whole."""
        store, envelope_id = self._node.store, one.verified.envelope_id
        if place:
            origin = store.log.origin_of(envelope_id)
        else:
            origin = store.log.add_forwarded(
                one.verified, outer.author, outer.received_at, is_in_part=self._is_in_part(envelope_id)
            )
            if origin is not None:
                store.knowledge.note_forwarder(origin, outer.author)
        if origin is None:
            return 0
        steps = self._stix.read(origin, one.payload, refused, place)
        seconds: float | None = None
        turn = self._turn
        while True:
            if self._turn != turn:
                turn = self._turn
                self._require_believed(one.verified, outer)
            try:
                inner = steps.send(seconds)
            except StopIteration as end:
                header = one.payload.header
                store.knowledge.put_part(origin, PublicationPart(header.publication, header.part))
                return int(end.value or 0)
            seconds = yield (*here, *inner)

    def _charge(self, inner: ReceivedPayload, outer: ReceivedPayload, done: _Progress) -> None:
        """Count what an envelope inflates to, before anything of it is. Raises PeerError."""
        if done.inflated + inner.stated_bytes > outer.kind.inflated_bytes_max:
            raise PeerError("what is handed on inflates to more than it may", reason=TOO_LARGE)
        done.inflated += inner.stated_bytes

    def _opened(self, frame: bytes, outer: ReceivedPayload, *, is_begun: bool) -> _HandedOn | None:
        """Returns an envelope that was handed on, verified and opened; None where it is not to be read for this (rule 4). Nothing of it
        is inflated or stored. Raises PeerError."""
        wire, content_key = decode_forwarded(frame)
        decoded = decode_envelope(wire)
        core, identity = decoded.core, self._node.identity
        card = self._author_card(load_roster(self._node), core, outer)
        record = self._node.store.log.record(decoded.envelope_id)
        was_read = record is not None and record.content not in NOT_READ and not is_begun
        if was_read and not self._is_in_part(decoded.envelope_id):
            return None
        exercises = self._node.exercises
        if exercises is not None and core.circle in exercises.circles():
            raise PeerError("an envelope of an exercise was handed on", reason="wrong-circle")
        vouched = is_vouched(self._node, core, decoded.envelope_id, card)
        verified = verify_envelope(decoded, card, self._now, is_vouched=vouched)
        is_waiting = record is not None and record.content is ContentState.UNREAD
        if is_waiting and open_envelope(identity, verified, card) is not None:
            return None  # it is for us as well, and read in its turn
        raw = open_with_key(content_key, verified)
        header, _ = decode_payload(raw)
        if header.type != STIX.name:
            raise PeerError("what is handed on is not STIX for all", reason="forwarded-kind")
        inner = receive(verified, raw, {STIX.name: StixReader}, outer.received_at)
        if not is_forwardable(inner):
            raise PeerError("what is handed on is marked stricter than GREEN", reason=FORWARDED_MARKING)
        return _HandedOn(verified, inner)

    def _is_in_part(self, envelope_id: EnvelopeId) -> bool:
        """Returns whether an envelope was handed on before, and reading it came to no end: its forwarder is not believed any more, say."""
        origin = self._node.store.log.origin_of(envelope_id)
        return origin is not None and self._node.store.knowledge.is_handed_on_in_part(origin.lsn)

    def _require_believed(self, verified: VerifiedEnvelope, outer: ReceivedPayload) -> None:
        """Rule 5. Raises PeerError."""
        core = verified.core
        card = self._author_card(load_roster(self._node), core, outer)
        signing_key(core, card, is_vouched=is_vouched(self._node, core, verified.envelope_id, card))

    def _author_card(self, roster: Roster, core: Core, outer: ReceivedPayload) -> Card:
        """Checks 2 and 3 of docs/envelope.md, "Forwarded"."""
        if core.mode is Mode.DIRECT:
            raise PeerError("what goes from its author alone was handed on", reason="forwarded-direct")
        if core.author == roster.own_id:
            raise PeerError("an envelope of ours was handed on to us", reason="forwarded-own")
        if core.author == outer.author:
            raise PeerError("who hands on is the author", reason="forwarded-self")
        entry = roster.get(core.author)
        if entry is None:
            raise PeerError("the author of what is handed on is no partner here", reason="author-unknown")
        if entry.is_frozen:
            raise PeerError("the author of what is handed on is frozen", reason="author-frozen")
        if entry.is_suspended(self._now):
            raise PeerError("nobody introduces the author of what is handed on", reason="author-suspended")
        if is_distrusted(self._node, core.author):
            raise PeerError(
                "the author of what is handed on is not believed here", reason="author-distrusted"
            )
        return entry.card


def is_distrusted(node: Node, author: PartnerId) -> bool:
    """Returns whether a person does not believe an author here (`sharing.distrusting`)."""
    return author in node.store.partners.distrusted()


def is_forwardable(payload: ReceivedPayload) -> bool:
    """Returns whether an envelope may be handed on by what its payload says of all that is in it."""
    marking = Tlp.from_label(payload.header.marking)
    return marking is not None and marking <= FORWARDED_TLP_MAX


def looked_at(payload: ReceivedPayload, begin: int = 0) -> Iterator[Sequence[ObjectFacts]]:
    """Yields the objects of a payload frame by frame, from `begin` on, none of which is stored: whether it may be handed on is judged
    over all of them.

    Raises PeerError `forwarded-marking` for one above GREEN, `forwarded-not-whole` where one cannot be read: nobody knows how
    it is marked.
    """
    floor = Tlp.from_label(payload.header.marking) or Tlp.RED
    content = Content(payload.frames, floor, begin=begin)
    for frame in content:
        _require_whole(content)
        if any(fact.tlp > FORWARDED_TLP_MAX for fact in frame.objects):
            raise PeerError("an object is marked stricter than GREEN", reason=FORWARDED_MARKING)
        yield frame.objects
    _require_whole(content)


def _require_whole(content: Content) -> None:
    if content.refused:
        raise PeerError("an object cannot be read, nor how it is marked", reason="forwarded-not-whole")
