"""Introductions: a partner's word that it has compared others, accepted by a person (docs/introductions.md).

Rules (the page has all of them, with reasons):

1. A list counts only from a partner that a person compared, under its newest card; its number never goes back. Two lists of one
   number are kept as evidence.
2. A person accepts each member, or all that are offered. What is wrong with one costs those beside it nothing.
3. What introductions come to is reviewed whenever a list, a card or the roster changes, and as time passes (`review`): who is
   introduced by nobody any more is suspended, and who by one partner alone is one voice with it.
4. Our own list names those whom we compared. The daemon takes out who left, and renews it; who is new waits for a person.

Runs in the writer thread, but for what takes a `NodeReading`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from msgspec import Struct

from p2pshare.envelope.card import (
    Card,
    CardFork,
    DecodedCard,
    accept_first,
    fingerprint,
    parse_fingerprint,
    safety_number,
)
from p2pshare.envelope.member_list import (
    ListedMember,
    MemberList,
    by_owner,
    card_of,
    check_listed,
    pack_file,
    read_file,
    read_list,
    sign_list,
    verify_list,
)
from p2pshare.errors import AuthorError, NotFoundError, PeerError, RefusedError
from p2pshare.gossip.moment import Moment
from p2pshare.identifiers import CircleId, KeyId, PartnerId
from p2pshare.intel.instants import SECOND_US, format_instant
from p2pshare.limits import INTRODUCTION_BYTES_MAX, MEMBER_LIST_SECONDS_MAX, MEMBERS_MAX
from p2pshare.lookalikes import notes_on, skeleton
from p2pshare.node.node import Node, NodeReading
from p2pshare.partners.interface import PartnerRow
from p2pshare.partners.introductions import (
    IN_CARDS,
    IN_ENVELOPES,
    IN_LISTS,
    AcceptedIntroduction,
    HeldList,
    ListFork,
)
from p2pshare.partners.roster import Roster, RosterEntry
from p2pshare.policy.admission import carries
from p2pshare.policy.introductions import Introduction
from p2pshare.policy.introductions import review as reviewed
from p2pshare.sharing.partners import (
    alias_for,
    apply_card_update,
    find_partner,
    load_roster,
    names_here,
    skeletons_taken,
)

FILE_FRAME_BYTES = 16  # of a file of introductions, and of each thing in it
STRANGERS_SECONDS = 90 * 86_400  # after which somebody who is seen no more is no member any longer
NEW, HELD, REFUSED = "new", "held", "refused"


class ReasonedName(Struct, frozen=True, forbid_unknown_fields=True):
    """A member, and why it was not accepted. The name is what its card says, or its id where none is known."""

    name: str
    reason: str


class OfferedMember(Struct, frozen=True, forbid_unknown_fields=True):
    """A member of a list that was offered: `verdict` is `new`, `held` (a partner already, or ourselves) or `refused`, with the reason."""

    partner_id: str
    name: str
    fingerprint: str
    verdict: str
    reason: str


class OfferedList(Struct, frozen=True, forbid_unknown_fields=True):
    """A list that was found good, and what there is to say of each member; card files that are of nobody on it are told too."""

    introducer: str
    introducer_id: str
    circle: str
    number: int
    expires: str
    members: list[OfferedMember]
    strays: list[ReasonedName]


class AcceptedMembers(Struct, frozen=True, forbid_unknown_fields=True):
    """The names under which members are partners now, and those that were refused after all."""

    accepted: list[str]
    refused: list[ReasonedName]


class ExportedIntroductions(Struct, frozen=True, forbid_unknown_fields=True):
    """Our own list with its file; `left_out` are members whose cards found no room in it."""

    circle: str
    number: int
    expires: str
    members: list[str]
    left_out: list[str]
    file: bytes


class ShownList(Struct, frozen=True, forbid_unknown_fields=True):
    """A list that is held, ours or another's: how many are on it, who is a partner by it, who is suspended, and who waits for a
    person. `trouble`: why a newer one was refused."""

    introducer: str
    introducer_id: str
    is_own: bool
    circle: str
    number: int
    created: str
    expires: str
    members: int
    accepted: list[str]
    suspended: list[str]
    waiting: list[str]
    trouble: str


class ConfirmedPartner(Struct, frozen=True, forbid_unknown_fields=True):
    """A partner whose fingerprint a person compared; `is_new` where nobody had before."""

    alias: str
    partner_id: str
    is_new: bool


# --- another's list --------------------------------------------------------------------------------


@dataclass(frozen=True)
class TakenList:
    """A list that was found good and is held, with the card files that came beside it. `known` are those that are partners here."""

    members: MemberList
    introducer: RosterEntry
    card_files: Sequence[bytes]
    known: frozenset[PartnerId]


@dataclass(frozen=True)
class CardsRead:
    """Card files beside a list: by whose they say that they are, by place why one cannot be read, and what those of members who are no
    partners come to: the card, or the reason why it is refused."""

    files: Mapping[PartnerId, bytes]
    unreadable: Mapping[int, str]
    believed: Mapping[PartnerId, Card | str]


def offer(node: Node, raw: bytes, now: int) -> OfferedList:
    """Look at a file of introductions at once, as `operations.introducing` does in steps."""
    taken = take_offered(node, raw, now)
    read = read_cards(taken.members.members, taken.card_files, taken.known, now)
    judged: dict[PartnerId, MemberJudgement] = {}
    for _ in judge_held(node, taken, read, judged, now):
        pass
    return tell_offered(node, taken, read, judged, now)


def take_offered(node: Node, raw: bytes, now: int) -> TakenList:
    """Take a file of introductions: hold its list. `now` in unix seconds. Raises PeerError with the reason when the list is refused."""
    file = read_file(raw)
    members, introducer = _take_list(node, read_list(file.list_raw), now)
    return TakenList(members, introducer, file.cards, _known_here(node))


def _known_here(node: Node) -> frozenset[PartnerId]:
    return frozenset({node.card.partner_id, *load_roster(node).entries})


def read_cards(
    members: Iterable[ListedMember], card_files: Sequence[bytes], known: Collection[PartnerId], now: int
) -> CardsRead:
    """Read the card files beside a list, and verify those of members that are not `known`. Pure: the costly part needs no store."""
    files, unreadable = by_owner(card_files)
    believed: dict[PartnerId, Card | str] = {}
    for one in members:
        if one.partner_id in files and one.partner_id not in known:
            try:
                believed[one.partner_id] = card_of(one, files[one.partner_id], now)
            except PeerError as error:
                believed[one.partner_id] = error.reason
    return CardsRead(files, unreadable, believed)


HELD_AT_ONCE = (
    32  # members that are partners, whose newer cards are taken between two looks at who else wants to write
)


def judge_held(
    node: Node, taken: TakenList, read: CardsRead, judged: dict[PartnerId, MemberJudgement], now: int
) -> Iterator[None]:
    """Take the newer cards of members who are partners already, some at a time, and put into `judged` what is to be said of each."""
    held = [one for one in taken.members.members if one.partner_id in taken.known]
    for start in range(0, len(held), HELD_AT_ONCE):
        roster = load_roster(node)
        for one in held[start : start + HELD_AT_ONCE]:
            judged[one.partner_id] = _judge(node, roster, taken.members, one, read, now)
        yield None


def tell_offered(
    node: Node, taken: TakenList, read: CardsRead, judged: dict[PartnerId, MemberJudgement], now: int
) -> OfferedList:
    """Note and count what there is to say of each member; `judged` has those who are partners. Who was removed meanwhile is none."""
    members, introducer = taken.members, taken.introducer
    judged = _judge_all(node, members, read, now, judged=judged)
    strays = [
        ReasonedName(f"card file {place + 1}", reason) for place, reason in sorted(read.unreadable.items())
    ]
    for owner in sorted(read.files.keys() - {one.partner_id for one in members.members}):
        strays.append(ReasonedName(owner.text, "card-not-listed"))
    reasons = [*(one.reason for one in judged.values()), *(one.reason for one in strays)]
    refusals = Counter(reason for reason in reasons if reason not in _NO_FAULT)
    with node.store.transaction():
        node.store.partners.count_refusals(introducer.partner_id, refusals)
        for one in members.members:
            if judged[one.partner_id].verdict != HELD and one.partner_id != node.card.partner_id:
                node.store.introductions.note_stranger(
                    one.partner_id,
                    introducer.partner_id,
                    members.circle,
                    IN_LISTS,
                    now,
                    judged[one.partner_id].card_name,
                )
        review(node, now)
    return OfferedList(
        introducer=introducer.alias,
        introducer_id=introducer.partner_id.text,
        circle=_circle_name(node, members.circle),
        number=members.number,
        expires=_instant(members.expires),
        members=[
            OfferedMember(
                one.partner_id.text,
                judged[one.partner_id].name,
                fingerprint(one.partner_id),
                judged[one.partner_id].verdict,
                judged[one.partner_id].reason,
            )
            for one in members.members
        ],
        strays=strays,
    )


def accept(
    node: Node, list_raw: bytes, cards: Sequence[bytes], wanted: Collection[PartnerId], now: int
) -> AcceptedMembers:
    """Make partners of the members that a person accepted, by their cards. All of them in one transaction; one that is refused costs
    the others nothing. Raises PeerError when the list is refused."""
    members, introducer = _take_list(node, read_list(list_raw), now)
    chosen = [one for one in members.members if one.partner_id in wanted]
    judged = _judge_all(node, members, read_cards(chosen, cards, _known_here(node), now), now, wanted)
    accepted: list[str] = []
    refused: list[ReasonedName] = []
    roster = load_roster(node)
    taken = skeletons_taken(node, roster)
    with node.store.transaction():
        for one in members.members:
            if one.partner_id not in judged:
                continue
            judgement = judged[one.partner_id]
            if judgement.verdict == REFUSED or judgement.reason in (ALREADY_PARTNER, OURSELVES):
                refused.append(ReasonedName(judgement.name, judgement.reason))
                continue
            alias = judgement.name
            if judgement.verdict == NEW:
                assert judgement.card is not None
                alias = alias_for(roster, judgement.card, taken)
                node.store.partners.put(_row_of(node, judgement.card, alias, now))
                entry = RosterEntry(one.partner_id, alias, judgement.card, has_link=False)
                taken.add(skeleton(alias))
                roster = Roster.of(roster.own_id, [*roster.entries.values(), entry], roster.groups)
            introduction = AcceptedIntroduction(one.partner_id, introducer.partner_id, members.circle)
            node.store.introductions.accept(introduction, now)
            accepted.append(alias)
        review(node, now)
        node.store.knowledge.recount_voices()
    return AcceptedMembers(accepted, refused)


def _row_of(node: Node, card: Card, alias: str, now: int) -> PartnerRow:
    return PartnerRow(
        partner_id=card.partner_id,
        alias=alias,
        card=card.raw,
        card_version=card.version,
        has_link=False,  # a person says so (`put_link`)
        circles=node.config.gossip.circles,
        is_frozen=False,
        added_at=now,
        is_compared=False,
    )


def take_fetched(
    node: Node,
    introducer: PartnerId,
    circle: CircleId,
    raw: bytes,
    now: int,
    moment: Moment | None = None,
) -> bool:
    """Take the list that a linked introducer gave out; returns whether it is a new one. A refusal is counted and noted, and the list
    before holds. `moment` says what is in doubt of `now` (unix seconds)."""
    store = node.store
    held = store.introductions.list_of(introducer, circle)
    try:
        members = read_list(raw)
        if (members.introducer, members.circle) != (introducer, circle):
            raise PeerError("a member list is another one than was asked for", reason="wrong-author")
        _take_list(node, members, now, moment)
    except PeerError as error:
        with store.transaction():
            store.introductions.note_trouble(introducer, circle, error.reason, now)
        return False
    if held is not None and held.raw == raw:
        if held.trouble:
            store.introductions.note_trouble(introducer, circle, "", now)
        return False
    with store.transaction():
        for one in members.members:
            store.introductions.note_stranger(one.partner_id, introducer, circle, IN_LISTS, now)
        review(node, now)
    return True


def _take_list(
    node: Node, members: MemberList, now: int, moment: Moment | None = None
) -> tuple[MemberList, RosterEntry]:
    """Verify a list and hold it, in the place of an older one; returns it with its introducer. Raises PeerError, counted."""
    introducer = load_roster(node).get(members.introducer)
    try:
        return _verified(node, members, introducer, now, moment), _known(introducer)
    except PeerError as error:
        if introducer is not None:
            node.store.partners.count_refusals(introducer.partner_id, {error.reason: 1})
        raise


def _known(introducer: RosterEntry | None) -> RosterEntry:
    assert introducer is not None  # else `_verified` raised
    return introducer


def _verified(
    node: Node, members: MemberList, introducer: RosterEntry | None, now: int, moment: Moment | None
) -> MemberList:
    if members.introducer == node.card.partner_id:
        raise PeerError(
            "that is our own member list", hint="give it to your partners", reason="introducer-unknown"
        )
    if introducer is None:
        raise PeerError(
            "a member list of somebody who is no partner here",
            hint=f"add its introducer first, whose fingerprint is {fingerprint(members.introducer)}: `p2pshare partner add`",
            reason="introducer-unknown",
        )
    if introducer.is_frozen:
        raise PeerError("a member list of a partner that is frozen", reason="author-frozen")
    if not introducer.is_compared:
        raise PeerError(
            f"{introducer.alias} was introduced itself, and nobody here has compared its fingerprint",
            hint=f"compare it, and `p2pshare partner confirm {introducer.alias}`",
            reason="introducer-not-compared",
        )
    if introducer.partner_id in node.store.partners.distrusted():
        raise PeerError(
            f"{introducer.alias} is not believed here",
            hint=f"`p2pshare partner trust {introducer.alias}`, if it should be",
            reason="introducer-distrusted",
        )
    if members.circle not in node.config.circle_ids:
        raise PeerError("a member list of a circle that is none of ours", reason="wrong-circle")
    time = moment or Moment.certain(now)
    verify_list(members, introducer.card, int(time.earliest), int(time.latest))
    store = node.store.introductions
    held = store.list_of(members.introducer, members.circle)
    if held is not None and introducer.card.revocation(read_list(held.raw).key_id) is not None:
        held = None  # a thief chose its number, and the highest one would mute the owner
    if held is not None and members.number < held.number:
        raise PeerError(
            f"an older member list of {introducer.alias}: number {members.number}, and {held.number} is held",
            hint="ask for the newest one",
            reason="list-rollback",
        )
    if held is not None and members.number == held.number:
        if members.body_raw != read_list(held.raw).body_raw:  # signed anew it says the same
            store.put_fork(
                ListFork(members.introducer, members.circle, members.number, held.raw, members.raw, now)
            )
            raise PeerError(
                f"{introducer.alias} has signed two member lists of number {members.number}: both are kept",
                hint="ask by telephone who has its keys",
                reason="list-fork",
            )
        return members
    store.put_list(
        HeldList(
            members.introducer,
            members.circle,
            members.number,
            members.created,
            members.expires,
            members.raw,
            now,
        )
    )
    return members


# --- its members -----------------------------------------------------------------------------------

ALREADY_PARTNER, ALREADY_INTRODUCED, OURSELVES = "already-partner", "already-introduced", "own-card"
_NO_FAULT = frozenset({"", ALREADY_PARTNER, ALREADY_INTRODUCED, OURSELVES})


@dataclass(frozen=True)
class MemberJudgement:
    """What is to be said of one member. `card` where it may be accepted; `card_name` where its card was verified."""

    name: str
    verdict: str
    reason: str = ""
    card: Card | None = None
    card_name: str = ""


def _judge_all(
    node: Node,
    members: MemberList,
    read: CardsRead,
    now: int,
    only: Collection[PartnerId] | None = None,
    judged: Mapping[PartnerId, MemberJudgement] | None = None,
) -> dict[PartnerId, MemberJudgement]:
    """Returns what is to be said of each member, or of those in `only`; `judged` has what was said of partners already."""
    roster = load_roster(node)
    said = {
        who: one for who, one in (judged or {}).items() if who in roster.entries or one.reason == OURSELVES
    }
    found = {
        one.partner_id: said.get(one.partner_id) or _judge(node, roster, members, one, read, now)
        for one in members.members
        if only is None or one.partner_id in only
    }
    taken = Counter(skeleton(one.card.name) for one in found.values() if one.card is not None)
    taken.update({skeleton(name) for name in names_here(node, roster)})
    return {
        partner: MemberJudgement(one.name, REFUSED, "name-imitates", card_name=one.card_name)
        if one.card is not None and (taken[skeleton(one.card.name)] > 1 or notes_on(one.card.name))
        else one
        for partner, one in found.items()
    }


def _judge(
    node: Node,
    roster: Roster,
    members: MemberList,
    one: ListedMember,
    read: CardsRead,
    now: int,
) -> MemberJudgement:
    known = roster.get(one.partner_id)
    if one.partner_id == node.card.partner_id:
        return MemberJudgement(node.config.name, HELD, OURSELVES)
    if one.partner_id == members.introducer:
        return MemberJudgement(known.alias if known else one.partner_id.text, REFUSED, "is-introducer")
    if known is not None:
        return _judge_held(node, known, one, read.files.get(one.partner_id), now)
    if node.store.partners.newest_card(one.partner_id) is not None:
        name = node.store.partners.names().get(one.partner_id)
        return MemberJudgement(name or one.partner_id.text, REFUSED, "removed-partner")
    card = read.believed.get(one.partner_id, "card-missing")
    if isinstance(card, str):
        return MemberJudgement(one.partner_id.text, REFUSED, card)
    return MemberJudgement(card.name, NEW, card=card, card_name=card.name)


def _judge_held(
    node: Node, known: RosterEntry, one: ListedMember, card_file: bytes | None, now: int
) -> MemberJudgement:
    """A newer card beside the list is taken like any; one that contradicts what is known is evidence."""
    try:
        if card_file is not None and not known.is_frozen:
            check_listed(one, card_file)
            if card_file != known.card.raw:
                apply_card_update(node, one.partner_id, card_file, now)
        if one.version <= known.card.version:
            check_listed(one, known.card.raw)
    except CardFork as fork:  # the proof is kept
        return MemberJudgement(known.alias, REFUSED, fork.reason)
    except PeerError as error:
        if error.reason not in ("card-rollback", "card-older"):
            return MemberJudgement(known.alias, REFUSED, error.reason)
    return MemberJudgement(known.alias, HELD, ALREADY_PARTNER if known.is_compared else ALREADY_INTRODUCED)


def note_stranger(
    node: Node,
    roster: Roster,
    author: PartnerId,
    circle: CircleId,
    received_from: PartnerId | None,
    now: int,
    card: object = None,
) -> None:
    """Note that a partner handed over something of somebody who is no partner here, in a circle that its link carries: its card is
    missing. `card`: the content of a notice, whose first version alone can be verified."""
    link = None if received_from is None else roster.get(received_from)
    if link is None or not carries(link, circle):
        return
    name, seen_in = "", IN_ENVELOPES
    if isinstance(card, DecodedCard):
        seen_in = IN_CARDS
        try:
            name = accept_first(card.raw, now).name
        except PeerError:
            name = ""  # a later version: nobody can tell whose it is
    node.store.introductions.note_stranger(author, link.partner_id, circle, seen_in, now, name)


class MissingCard(Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody in a circle who is no partner here. `name`: what its card says, empty where none came, and verified by nobody here;
    `seen_in`: `envelopes`, `cards`, `lists`."""

    partner_id: str
    name: str
    seen_in: list[str]


class MissingCards(Struct, frozen=True, forbid_unknown_fields=True):
    """How many members of a circle are known here whose cards are missing, and the first of them, those with a name before others."""

    count: int
    named: list[MissingCard]


MISSING_SHOWN_MAX = 20
_SEEN_IN = ((IN_ENVELOPES, "envelopes"), (IN_CARDS, "cards"), (IN_LISTS, "lists"))


def missing_cards(node: NodeReading, circle: CircleId, now: int) -> MissingCards:
    """Returns who was seen in a circle in the last STRANGERS_SECONDS and is no partner here: nothing can be sealed for it, and what
    it seals is refused (`author-unknown`). Whom a person removed is left out."""
    found = [
        one
        for one in node.store.introductions.strangers()
        if one.circle == circle and now - one.seen_at < STRANGERS_SECONDS
    ]
    found.sort(key=lambda one: (not one.name, one.name, one.partner_id))
    named = [
        MissingCard(one.partner_id.text, one.name, [word for bit, word in _SEEN_IN if one.seen_in & bit])
        for one in found[:MISSING_SHOWN_MAX]
    ]
    return MissingCards(len(found), named)


# --- what it comes to ------------------------------------------------------------------------------


def review(node: Node, now: int) -> bool:
    """Review what introductions come to at `now` (unix seconds); returns whether anything changed. Writes only then."""
    store = node.store
    if any(one.seen_at < now - STRANGERS_SECONDS for one in store.introductions.strangers()):
        store.introductions.drop_strangers(now - STRANGERS_SECONDS)
    rows = {row.partner_id: row for row in store.partners.all() if not row.is_compared}
    if not rows:
        return False
    roster, distrusted = load_roster(node), store.partners.distrusted()
    held = {(one.introducer, one.circle): _Spoken.of(one) for one in store.introductions.lists()}
    by_partner: dict[PartnerId, list[Introduction]] = {partner: [] for partner in rows}
    for one in store.introductions.accepted():
        if one.partner_id in rows:
            spoken = held.get((one.introducer, one.circle))
            introduction = _introduction(roster, one, spoken, is_distrusted=one.introducer in distrusted)
            by_partner[one.partner_id].append(introduction)
    voices = store.introductions.voices()
    changed = False
    for partner, introductions in by_partner.items():
        row, found = rows[partner], reviewed(introductions, now)
        is_same_voice = bool(found.suspended) or voices.get(partner) == found.voice
        if (row.introduced_until, row.suspended) == (found.until, found.suspended) and is_same_voice:
            continue
        changed = True
        with store.transaction():
            store.introductions.put_review(
                partner, until=found.until, suspended=found.suspended, now=now, voice=found.voice
            )
            if not is_same_voice:
                store.knowledge.recount_voices()
    return changed


def is_void(introducer: RosterEntry | None, held: HeldList, now: int) -> bool:
    """Returns whether a list that is held counts no more, whoever is on it: it has expired, or its key is revoked."""
    if now >= held.expires or introducer is None:
        return True
    return introducer.card.revocation(read_list(held.raw).key_id) is not None


@dataclass(frozen=True)
class _Spoken:
    """What a list that is held says: whom it names, by which key, and until when."""

    members: frozenset[PartnerId]
    key_id: KeyId
    expires: int

    @classmethod
    def of(cls, held: HeldList) -> _Spoken:
        listed = read_list(held.raw)
        return cls(frozenset(one.partner_id for one in listed.members), listed.key_id, held.expires)


def _introduction(
    roster: Roster, one: AcceptedIntroduction, held: _Spoken | None, *, is_distrusted: bool
) -> Introduction:
    introducer = roster.get(one.introducer)
    introducer_is = ""
    if introducer is None:
        introducer_is = "removed"
    elif introducer.is_frozen:
        introducer_is = "frozen"
    elif is_distrusted:
        introducer_is = "distrusted"
    elif not introducer.is_compared:
        introducer_is = "not-compared"
    if held is None:
        return Introduction(one.introducer, introducer_is, is_listed=False, is_key_good=True, expires=0)
    return Introduction(
        one.introducer,
        introducer_is,
        is_listed=one.partner_id in held.members,
        is_key_good=introducer is None or introducer.card.revocation(held.key_id) is None,
        expires=held.expires,
    )


def confirm(
    node: Node, name: str, *, told_fingerprint: str = "", told_safety_number: str = ""
) -> ConfirmedPartner:
    """Make a compared partner of an introduced one, because a person was told its fingerprint or safety number over another
    channel. Raises NotFoundError, AuthorError (unreadable), RefusedError `fingerprint-mismatch`."""
    entry = find_partner(node, name)
    if told_fingerprint:
        is_same = parse_fingerprint(told_fingerprint) == entry.partner_id
    else:
        is_same = _digits(told_safety_number) == _digits(
            safety_number(node.card.partner_id, entry.partner_id)
        )
    if not is_same:
        raise RefusedError(
            f"that is not the fingerprint or safety number of {entry.alias}: nothing was changed",
            hint="ask again over another channel; if it stays so, the card is somebody else's: `p2pshare partner remove`",
            reason="fingerprint-mismatch",
        )
    if entry.is_compared:
        return ConfirmedPartner(entry.alias, entry.partner_id.text, is_new=False)
    row = next(row for row in node.store.partners.all() if row.partner_id == entry.partner_id)
    with node.store.transaction():
        node.store.partners.put(
            replace(row, is_compared=True, introduced_until=0, suspended="", suspended_at=0)
        )
        node.store.introductions.forget(entry.partner_id)
        node.store.knowledge.recount_voices()
    return ConfirmedPartner(entry.alias, entry.partner_id.text, is_new=True)


def _digits(text: str) -> str:
    """Returns the 60 digits of a safety number. Raises AuthorError `bad-safety-number`."""
    digits = "".join(text.split()).replace("-", "")
    if len(digits) != SAFETY_NUMBER_DIGITS or not (digits.isascii() and digits.isdecimal()):
        raise AuthorError(
            "this is not a safety number: it has 60 digits",
            hint="`p2pshare partner confirm NAME` without an option shows it",
            reason="bad-safety-number",
        )
    return digits


SAFETY_NUMBER_DIGITS = 60


def put_link(node: Node, name: str, *, has_link: bool) -> RosterEntry:
    """Link a partner that has none, as a person says, or end its link. Raises NotFoundError, RefusedError."""
    entry = find_partner(node, name)
    if has_link and entry.suspended:
        raise RefusedError(
            f"nobody introduces {entry.alias} any more",
            hint=f"`p2pshare partner confirm {entry.alias}`",
            reason="partner-suspended",
        )
    node.store.partners.put_link(entry.partner_id, has_link=has_link, circles=node.config.gossip.circles)
    return find_partner(node, name)


# --- our own list ----------------------------------------------------------------------------------


def export(node: Node, circle_name: str, only: Sequence[str], now: int) -> ExportedIntroductions:
    """Sign the list of those whom we compared, unless the one that is held says the same and is young; returns it with the cards of
    all, or of those in `only`. `now` in unix seconds. Raises AuthorError, NotFoundError, RefusedError."""
    circle_name = circle_name or next(iter(node.config.gossip.circles), "")
    if circle_name not in node.config.gossip.circles:
        raise NotFoundError(
            f"'{circle_name}' is none of our circles", hint="see [gossip] circles", reason="wrong-circle"
        )
    circle = CircleId.of(circle_name)
    roster = load_roster(node)
    chosen = [find_partner(node, name) for name in only]
    entries = _compared(roster, circle, now)
    for entry in chosen:
        if entry.partner_id not in entries:
            reason = "not-compared" if not entry.is_compared else "not-in-circle"
            raise RefusedError(
                f"{entry.alias} is not introduced by us: {reason}",
                hint="only whom we compared ourselves, whose card is current and whose link is for that circle",
                reason=reason,
            )
    if len(entries) > MEMBERS_MAX:
        raise RefusedError(
            f"{len(entries)} members; {MEMBERS_MAX} fit on a list",
            hint="a second partner may introduce the others",
            reason="too-many-members",
        )
    held = node.store.introductions.list_of(node.card.partner_id, circle)
    if held is None or _is_stale(node, held, entries, now) or not _is_same(held, entries):
        held = _sign_own(node, circle, entries.values(), now)
    wanted = sorted(chosen or entries.values(), key=lambda entry: len(entry.card.raw))
    beside = _that_fit(held.raw, [entry.card.raw for entry in wanted])
    return ExportedIntroductions(
        circle=circle_name,
        number=held.number,
        expires=_instant(held.expires),
        members=sorted(entry.alias for entry in entries.values()),
        left_out=sorted(entry.alias for entry in wanted[len(beside) :]),
        file=pack_file(held.raw, beside),
    )


def file_of(list_raw: bytes, cards: Sequence[bytes]) -> bytes:
    """Returns the file of a list and of the first of these card files, as many as it has room for."""
    return pack_file(list_raw, _that_fit(list_raw, cards))


def _that_fit(list_raw: bytes, cards: Sequence[bytes]) -> Sequence[bytes]:
    size = len(list_raw) + 2 * FILE_FRAME_BYTES
    for number, card in enumerate(cards):
        size += len(card) + FILE_FRAME_BYTES
        if size > INTRODUCTION_BYTES_MAX:
            return cards[:number]
    return cards


def renew_own_lists(node: Node, now: int) -> bool:
    """Take out of our lists whom we do not stand for any more, and renew those whose life is half over; returns whether any was made
    anew. Who is new on none: a person exports."""
    roster = load_roster(node)
    is_changed = False
    for held in node.store.introductions.lists():
        if held.introducer != node.card.partner_id:
            continue
        entries = _compared(roster, held.circle, now)
        listed = read_list(held.raw).members
        staying = {one.partner_id: entries[one.partner_id] for one in listed if one.partner_id in entries}
        if len(staying) < len(listed) or _is_stale(node, held, staying, now):
            _sign_own(node, held.circle, staying.values(), now)
            is_changed = True
    return is_changed


def own_list(node: NodeReading, circle: CircleId, now: int) -> MemberList | None:
    """Returns our newest list of a circle, unless it has expired."""
    held = node.store.introductions.list_of(node.card.partner_id, circle)
    return None if held is None or now >= held.expires else read_list(held.raw)


def _compared(roster: Roster, circle: CircleId, now: int) -> dict[PartnerId, RosterEntry]:
    return {
        entry.partner_id: entry
        for entry in roster
        if entry.is_compared and entry.is_usable(now) and circle in entry.circles
    }


def _is_same(held: HeldList, entries: Mapping[PartnerId, RosterEntry]) -> bool:
    listed = {(one.partner_id, one.digest) for one in read_list(held.raw).members}
    return listed == {(entry.partner_id, entry.card.body_digest) for entry in entries.values()}


def _is_stale(node: Node, held: HeldList, entries: Mapping[PartnerId, RosterEntry], now: int) -> bool:
    """Returns whether a list is to be signed anew though it names the same: half of its life is over, or its key is not the newest
    or was revoked."""
    is_old = 2 * (now - held.created) >= held.expires - held.created
    return is_old or read_list(held.raw).key_id != node.identity.operational.sign.key_id


def _sign_own(node: Node, circle: CircleId, entries: Iterable[RosterEntry], now: int) -> HeldList:
    own = node.card.partner_id
    before = node.store.introductions.list_of(own, circle)
    # above all that a backup may have forgotten: numbers are seconds where the clock is not behind
    number = max(now, 1 if before is None else before.number + 1)
    expires = now + MEMBER_LIST_SECONDS_MAX
    raw = sign_list(
        node.identity.operational.sign,
        own,
        circle,
        number,
        created=now,
        expires=expires,
        members=[ListedMember(one.partner_id, one.card.version, one.card.body_digest) for one in entries],
    )
    held = HeldList(own, circle, number, now, expires, raw, now)
    node.store.introductions.put_list(held)
    return held


# --- what is shown ---------------------------------------------------------------------------------


def shown_lists(node: NodeReading, now: int) -> list[ShownList]:
    """Returns the lists that are held, ours first."""
    roster, names = load_roster(node), node.store.partners.names()
    own = node.card.partner_id
    strangers = {one.partner_id: one.name for one in node.store.introductions.strangers()}
    accepted: dict[tuple[PartnerId, CircleId], set[PartnerId]] = {}
    for one in node.store.introductions.accepted():
        accepted.setdefault((one.introducer, one.circle), set()).add(one.partner_id)
    shown = []
    for held in sorted(node.store.introductions.lists(), key=lambda one: one.introducer != own):
        members = read_list(held.raw).members
        entries = [
            entry
            for partner in sorted(accepted.get((held.introducer, held.circle), ()))
            if (entry := roster.get(partner)) is not None and not entry.is_compared
        ]
        waiting = [
            one.partner_id
            for one in members
            if held.introducer != own
            and one.partner_id not in (own, held.introducer)
            and node.store.partners.newest_card(one.partner_id) is None
        ]
        shown.append(
            ShownList(
                introducer=names.get(held.introducer) or held.introducer.text,
                introducer_id=held.introducer.text,
                is_own=held.introducer == own,
                circle=_circle_name(node, held.circle),
                number=held.number,
                created=_instant(held.created),
                expires=_instant(held.expires),
                members=len(members),
                accepted=[entry.alias for entry in entries if not entry.is_suspended(now)],
                suspended=[entry.alias for entry in entries if entry.is_suspended(now)],
                waiting=[strangers.get(one) or one.text for one in waiting],
                trouble=held.trouble,
            )
        )
    return shown


def waiting_members(node: NodeReading, now: int) -> int:
    """Returns how many stand on lists of others and wait for a person here, each counted once."""
    return len({one for shown in shown_lists(node, now) for one in shown.waiting})


def _circle_name(node: NodeReading, circle: CircleId) -> str:
    return next((name for name in node.config.gossip.circles if CircleId.of(name) == circle), circle.text)


def _instant(seconds: int) -> str:
    return format_instant(seconds * SECOND_US) or ""
