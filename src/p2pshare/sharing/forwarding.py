"""Handing on: envelopes of others, marked CLEAR or GREEN and read here, go to a partner that came later, each with its content key.

Rules (docs/envelope.md, "Forwarded", has those of who reads):

1. What was sealed for us, relayed, for all its author's partners and not above GREEN in any object is handed on, as it was received. What
   was handed on to us is not: we have no row in it. Nor is what was shared in a circle that our link to the partner does not carry, and
   what its author has taken back since, unless the word that takes it back goes, too.
2. A person asks once (`begin`). What is held by then is walked over in steps, from a place that the store keeps.
3. What is read later is handed on to the same partner where it is about an object that was: a newer version, a withdrawal, a word about
   it that is not above GREEN. That does not end when its author reaches the partner: an author tells those whom it sent an object to, and
   does not know of whom we handed it to. What comes twice is read once.
4. It ends when the partner is removed. OBJECTS_MAX bounds what is kept of each partner.
5. Each step seals one envelope for that partner alone; it, the place and the objects change in one transaction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from msgspec import Struct

from p2pshare.envelope.envelope import Mode, decode_envelope
from p2pshare.envelope.forwarded import encode_forwarded
from p2pshare.envelope.payload import decode_payload
from p2pshare.envelope.sealing import content_key_of, open_with_key
from p2pshare.envelope.verification import check_time, verified_before
from p2pshare.errors import NotFoundError, PeerError, RefusedError
from p2pshare.identifiers import PartnerId
from p2pshare.intel.extraction import ObjectFacts
from p2pshare.intel.grouping import DEFINITION, IDENTITY
from p2pshare.intel.marking import Tlp
from p2pshare.intel.withdrawing import withdrawal_id
from p2pshare.knowledge.forwarding import object_hash
from p2pshare.knowledge.interface import Forwardable, Forwarding, SharedObject
from p2pshare.limits import FORWARDED_ENVELOPES_MAX, MIB, TTL_SECONDS_BY_CLASS
from p2pshare.node.node import Node
from p2pshare.node.store import StoreReading
from p2pshare.partners.roster import Roster
from p2pshare.policy.audience import why_not_for
from p2pshare.sharing.forwarded_reader import (
    FORWARDED_MARKING,
    FORWARDED_TLP_MAX,
    is_distrusted,
    is_forwardable,
    looked_at,
)
from p2pshare.sharing.partners import load_roster
from p2pshare.sharing.payload_kinds import FORWARDED, NAMED, STIX, receive
from p2pshare.sharing.publishing import SealedContent
from p2pshare.sharing.revocation_walk import is_read
from p2pshare.sharing.sending import send
from p2pshare.sharing.stix_reader import StixReader

LOOKED_BYTES_AT_ONCE = 2 * MIB  # of envelopes that one step opens and reads: some 0.2 s
WIRE_BYTES_MAX = 12 * MIB  # of an envelope that fits into another: padding adds an eighth
OBJECTS_MAX = 1_000_000  # that are kept of one partner: 15 MB

BESIDE_EVERYTHING = frozenset({DEFINITION, IDENTITY})

NOT_HISTORY = ""
"""The reason of what was never to be handed on, and is not counted: entries of spaces and the like."""
DIRECT, EXPIRED, LIMITED, MARKING = "direct", "expired", "audience-limited", "marking"
OTHER_CIRCLE, WITHDRAWN = "circle-not-on-link", "withdrawn"
TOO_LARGE, TOO_MANY = "too-large", "too-many-objects"


@dataclass(frozen=True)
class HandedOn:
    """An envelope that may be handed on: its frame, the strictest marking in it, when it was created and expires (unix seconds), and
    what stands for the objects that it is about."""

    frame: bytes
    tlp: Tlp
    created: int
    expires: int
    objects: frozenset[int]


@dataclass(frozen=True)
class ForwardingStep:
    """How far it is: looked at up to the lsn `place` of `up_to`, and why envelopes of this step were left out."""

    place: int
    up_to: int
    refused: Counter[str]
    is_finished: bool


def judge(node: Node, roster: Roster, partner: PartnerId, one: Forwardable, now: int) -> HandedOn | str:
    """Returns an envelope as it may be handed on to a partner, or the reason why it may not (rule 1). Raises StoreError."""
    if one.mode == Mode.DIRECT:
        return DIRECT
    if one.size > WIRE_BYTES_MAX:
        return TOO_LARGE
    wire = node.store.log.wire(one.envelope_id) if one.is_carried else None
    if wire is None:
        return EXPIRED
    try:
        return _judge(node, roster, partner, wire, now)
    except PeerError as error:
        return error.reason


def _judge(node: Node, roster: Roster, partner: PartnerId, wire: bytes, now: int) -> HandedOn | str:
    decoded = decode_envelope(wire)
    core = decoded.core
    check_time(core, now)
    recipient = roster.get(partner)
    if recipient is None or core.circle not in recipient.circles:
        return OTHER_CIRCLE
    entry = roster.get(core.author)
    if entry is None or entry.is_frozen:
        return "author-frozen" if entry is not None else "author-unknown"
    if entry.is_suspended(now):
        return "author-suspended"
    if is_distrusted(node, core.author):
        return "author-distrusted"
    may_read = is_read(node, core, decoded.envelope_id, entry.card, now, now)
    verified = verified_before(decoded, entry.card, is_in_effect=may_read)
    content_key = content_key_of(node.identity, verified, entry.card)
    if content_key is None:
        return "no-row"
    raw = open_with_key(content_key, verified)
    header, _ = decode_payload(raw)
    if header.type == NAMED.name:
        return LIMITED
    if header.type != STIX.name:
        return NOT_HISTORY
    payload = receive(verified, raw, {STIX.name: StixReader}, now)
    if not is_forwardable(payload):
        return MARKING
    objects: set[int] = set()
    tlp = Tlp.CLEAR
    try:
        for frame in looked_at(payload):
            objects.update(_about(core.author, frame))
            tlp = max([tlp, *(fact.tlp for fact in frame)])
            if _is_taken_back(node.store, core.author, frame):
                return WITHDRAWN
    except PeerError as error:
        return MARKING if error.reason == FORWARDED_MARKING else "not-whole"
    handed = encode_forwarded(wire, content_key)
    return HandedOn(handed, tlp, core.created, core.expires, frozenset(objects))


def _is_taken_back(store: StoreReading, author: PartnerId, facts: Sequence[ObjectFacts]) -> bool:
    """Returns whether an object of a frame was taken back by a word that is not handed on: who reads it would never hear of that."""
    reached = store.knowledge.withdrawn_up_to(author, {fact.object_id for fact in facts})
    gone = [
        fact.object_id
        for fact in facts
        if fact.object_id in reached and (fact.modified_us or 0) <= reached[fact.object_id]
    ]
    words = {
        one: {withdrawal_id(author, one, tlp) for tlp in Tlp if tlp <= FORWARDED_TLP_MAX} for one in gone
    }
    held = store.knowledge.shared_objects({word for each in words.values() for word in each})
    return any(not any(_says(held, author, word) for word in each) for each in words.values())


def _says(held: Mapping[str, Sequence[SharedObject]], author: PartnerId, object_id: str) -> bool:
    return any(one.author == author for one in held.get(object_id, ()))


def _about(author: PartnerId, facts: Iterable[ObjectFacts]) -> Iterable[int]:
    """Yields what stands for the objects of a frame; of a withdrawal or an assessment, for what that is about: it is never another
    version of itself alone. What is said beside everything, its author's identity and markings, is nothing to follow."""
    for fact in facts:
        if fact.withdrawal is not None:
            yield object_hash(author, fact.withdrawal.target)
        elif fact.assessment is not None and fact.assessment.author is not None:
            yield object_hash(fact.assessment.author, fact.assessment.target)
        elif fact.type not in BESIDE_EVERYTHING:
            yield object_hash(author, fact.object_id)


def begin(node: Node, partner: PartnerId, since: int) -> None:
    """Begin to hand on to `partner` what others created since (unix seconds). In the writer thread."""
    node.store.knowledge.begin_forwarding(partner, since, node.store.log.last_lsn())


def forwarding_to(store: StoreReading, partner: PartnerId) -> Forwarding:
    """Returns how far it is with a partner. Raises NotFoundError."""
    for one in store.knowledge.forwardings():
        if one.partner == partner:
            return one
    raise NotFoundError("nothing is handed on to this partner", hint="`p2pshare share history` begins it")


class HandingOn(Struct, frozen=True, forbid_unknown_fields=True):
    """A history that is being handed on: looked at up to the lsn `done` of `of`."""

    partner: str
    done: int
    of: int


def handing_on(store: StoreReading) -> list[HandingOn]:
    """Returns what is under way, by the names of partners."""
    under_way = [one for one in store.knowledge.forwardings() if one.is_under_way]
    names = store.partners.names() if under_way else {}
    return [HandingOn(names.get(one.partner, one.partner.text), one.place, one.up_to) for one in under_way]


def next_forwarding(store: StoreReading, without: Iterable[PartnerId] = ()) -> PartnerId | None:
    """Returns a partner for whom a step is to be done, None where there is none."""
    put_off = frozenset(without)
    for one in store.knowledge.forwardings():
        if (one.is_under_way or one.has_due) and one.partner not in put_off:
            return one.partner
    return None


def step(node: Node, partner: PartnerId, now: int) -> ForwardingStep:
    """Look at the next envelopes for a partner, and hand on what may be. `now` in unix seconds, in the writer thread.

    Raises NotFoundError where nothing is handed on to it, RefusedError where nothing can be sealed for it now, StoreError; in each
    case with nothing kept.
    """
    roster, store = load_roster(node), node.store
    at, recipient = forwarding_to(store, partner), roster.get(partner)
    reason = "unknown-recipient" if recipient is None else why_not_for(Tlp.CLEAR, recipient, now)
    if reason:
        raise _nothing_sealed(reason)  # before anything is opened for it
    refused: Counter[str] = Counter()
    node.store.log.author_state(now)  # a new incarnation is durable before anything is sealed in it
    with store.transaction():
        if at.is_under_way:
            own = roster.own_id
            found = store.knowledge.forwardable(
                partner, own, at.place, at.up_to, at.since, FORWARDED_ENVELOPES_MAX
            )
            some = some_of(found)
            _hand_on(node, roster, at, some, now, refused)
            place = (
                some[-1].lsn if len(some) < len(found) or len(found) == FORWARDED_ENVELOPES_MAX else at.up_to
            )
            store.knowledge.put_forwarding_place(partner, place)
        else:
            place = at.up_to
            some = some_of(store.knowledge.forwarding_due(partner, FORWARDED_ENVELOPES_MAX))
            _hand_on(node, roster, at, some, now, refused, is_later=True)
            store.knowledge.drop_forwarding_due(partner, [one.lsn for one in some])
    return ForwardingStep(place, at.up_to, refused, is_finished=place >= at.up_to)


def some_of(found: list[Forwardable]) -> list[Forwardable]:
    """Returns as many of the first as one step looks at; one at least where there is one."""
    size = 0
    for number, one in enumerate(found):
        size += one.size
        if number and size > LOOKED_BYTES_AT_ONCE:
            return found[:number]
    return found


def _hand_on(
    node: Node,
    roster: Roster,
    at: Forwarding,
    some: list[Forwardable],
    now: int,
    refused: Counter[str],
    *,
    is_later: bool = False,
) -> None:
    """Seal one envelope with those of `some` that may be handed on; `is_later`: that are about what was, too (rule 3)."""
    handed: list[HandedOn] = []
    objects: set[int] = set()
    for one in some:
        judged = judge(node, roster, at.partner, one, now)
        if isinstance(judged, str):
            refused.update([judged] if judged else [])
            continue
        if is_later and not _follows(node.store, at, one, judged):
            continue
        if not _has_room(node.store, at, objects | judged.objects):
            refused[TOO_MANY] += 1
            continue
        handed.append(judged)
        objects |= judged.objects
    if not handed:
        return
    content = SealedContent(
        max(one.tlp for one in handed),
        len(handed),
        [one.frame for one in handed],
        _ttl_class(max(one.expires for one in handed) - now),
        FORWARDED.name,
    )
    sent = send(node, roster, content, [at.partner], now)
    if sent.no_way:
        raise _nothing_sealed(sent.no_way[at.partner])
    node.store.knowledge.note_forwarded(at.partner, sent.envelopes[0], len(handed), objects)


def _nothing_sealed(reason: str) -> RefusedError:
    return RefusedError(
        f"nothing can be sealed for the partner: {reason}", hint="ask it for its newest card", reason=reason
    )


def _follows(store: StoreReading, at: Forwarding, one: Forwardable, judged: HandedOn) -> bool:
    """Returns whether what was read since is handed on: it is about what was (rule 3), or it was held when that began and only waited
    to be read."""
    if one.lsn <= at.up_to and judged.created >= at.since:
        return True
    return store.knowledge.count_forwarded(at.partner, judged.objects) > 0


def _has_room(store: StoreReading, at: Forwarding, objects: Collection[int]) -> bool:
    """Returns whether these may be kept, too: those that are kept already take no room, so what takes them back always follows."""
    if at.objects + len(objects) <= OBJECTS_MAX:
        return True
    return at.objects + len(objects) - store.knowledge.count_forwarded(at.partner, objects) <= OBJECTS_MAX


def _ttl_class(seconds: int) -> int:
    """Returns the class of an envelope that is carried as long as what it holds, so far as there is one."""
    fitting = [ttl for ttl, length in TTL_SECONDS_BY_CLASS.items() if length >= seconds]
    return min(fitting, default=max(TTL_SECONDS_BY_CLASS))
