"""Spaces in `status`, `doctor` and the alarms: what waits for a person's answer, and what is not as it should be.

====================  ==============================================================================
space-contested       several lead a space at once, until a vote of the next epoch
space-vote            a takeover is open, and our vote is not given
space-taken-over      a vote has made another member the lead, in the last week
space-forked          a member wrote two entries under one number
space-waits           entries wait for others, or for a card, longer than they should
space-damaged         an entry was changed on this disk, by a fault of it or by somebody
space-cut-off         members are cut off from each other, by what they told of their partners
====================  =====================================================================================

They stand here and not in `queries.alarms`, for the rooms of that floor know nothing of each other.
"""

from __future__ import annotations

from collections.abc import Iterator

from p2pshare.errors import PeerError
from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.intel.display import clip
from p2pshare.intel.instants import SECOND_US, format_instant
from p2pshare.limits import GAP_ALARM_SECONDS
from p2pshare.node.beside import NodeBeside
from p2pshare.node.node import NodeReading
from p2pshare.node.store import StoreReading
from p2pshare.operations.space_links import links_among, news_of
from p2pshare.operations.space_standing import Standing, standing_of
from p2pshare.queries.alarms import ALARMS, Alarm, AlarmFunction, Situation, alarm_about
from p2pshare.queries.doctor import Looking
from p2pshare.queries.doctor_words import OK, Finding, fault
from p2pshare.queries.status import DAY_SECONDS, SpaceInvitation, SpacesStatus
from p2pshare.spaces.acts import Ack, Takeover, decode_act
from p2pshare.spaces.space_store import SpaceReading

TAKEN_OVER_ALARM_SECONDS = 7 * DAY_SECONDS  # so long a person who was away for a week is told
SPACES_NAMED_MAX = 5  # in one message

_IN_IT = frozenset({"joined", "invited", "forked"})


def standings(store: StoreReading) -> Iterator[Standing]:
    """Yields how each space stands that somebody has folded, or that is small."""
    for row in SpaceReading(store.database).all():
        standing = standing_of(store, row)
        if standing is not None:
            yield standing


def _about(standing: Standing) -> str:
    return f"'{clip(standing.row.title)}' ({standing.row.space.short})"


def _contested(seen: Situation) -> Iterator[Alarm]:
    for one in standings(seen.store):
        if one.is_contested and one.status_of(seen.own_id) in _IN_IT:
            yield alarm_about(
                "space-contested",
                one.row.opener,
                seen.names,
                None,
                f"several members lead the space {_about(one)} at once: nobody's invitations and removals are safe there",
                f"agree with the others who shall lead, who then runs `p2pshare space takeover {one.row.space.short}`",
                space=one.row.space.text,
            )


class _Vote:
    """The proposals of the next epoch in a space, by who voted for each."""

    def __init__(self, reading: SpaceReading, standing: Standing) -> None:
        epoch = standing.output["term"][0] + 1
        self.first_at = 0
        self.proposer: PartnerId | None = None
        self.rounds: dict[EntryId, int] = {}
        self.voted_in: dict[PartnerId, int] = {}
        """The highest round in which a member has voted."""
        for one in standing.output["timeline"]:  # a takeover comes before its votes
            if one["kind"] not in ("takeover", "ack"):
                continue
            entry = reading.entry(EntryId.parse(one["id"]))
            if entry is None:
                continue
            try:
                act = decode_act(one["kind"], entry.content())
            except PeerError:
                continue
            author = entry.header.author
            if isinstance(act, Takeover) and act.epoch == epoch:
                self.rounds[entry.entry_id] = act.round
                self.proposer = author
                self.first_at = self.first_at or reading.received_at(entry.entry_id)
                self._vote(author, act.round)
            elif isinstance(act, Ack) and act.takeover in self.rounds:
                self._vote(author, self.rounds[act.takeover])

    def _vote(self, author: PartnerId, round_: int) -> None:
        self.voted_in[author] = max(self.voted_in.get(author, 0), round_)

    def waits_for(self, member: PartnerId) -> bool:
        return bool(self.rounds) and self.voted_in.get(member, 0) < max(self.rounds.values())


def _open_votes(store: StoreReading, own: PartnerId) -> Iterator[tuple[Standing, _Vote]]:
    """Yields the spaces in which a takeover is open and our vote is not given."""
    reading = SpaceReading(store.database)
    for one in standings(store):
        if one.output.get("term") and one.status_of(own) == "joined" and one.lead != own:
            vote = _Vote(reading, one)
            if vote.waits_for(own):
                yield one, vote


def _votes(seen: Situation) -> Iterator[Alarm]:
    for one, vote in _open_votes(seen.store, seen.own_id):
        assert vote.proposer is not None
        yield alarm_about(
            "space-vote",
            vote.proposer,
            seen.names,
            vote.first_at,
            f"{{name}} proposes itself as the lead of the space {_about(one)}, and our vote is not given",
            f"`p2pshare space ack {one.row.space.short}` shows what that would void, and asks",
            space=one.row.space.text,
        )


def _taken_over(seen: Situation) -> Iterator[Alarm]:
    reading = SpaceReading(seen.store.database)
    for one in standings(seen.store):
        term = one.output.get("term")
        if not term or term[0] == 0 or one.lead in (None, seen.own_id):
            continue
        held = _takeover_of(reading, one, term)
        if held is None or seen.now - held[1] >= TAKEN_OVER_ALARM_SECONDS:
            continue
        author, at = held
        yield alarm_about(
            "space-taken-over",
            author,
            seen.names,
            at,
            f"a majority of its members has made {{name}} the lead of the space {_about(one)}",
            f"`p2pshare space show {one.row.space.short}` has its members; if you know nothing of this vote, call those who voted: members that"
            " were silent since, or were removed, may have taken it from where they stood",
            space=one.row.space.text,
        )


def _takeover_of(reading: SpaceReading, standing: Standing, term: list[int]) -> tuple[PartnerId, int] | None:
    """Returns who proposed the takeover of a term, and when that came here."""
    for one in standing.output["timeline"]:
        if one["kind"] != "takeover":
            continue
        entry = reading.entry(EntryId.parse(one["id"]))
        if entry is None:
            continue
        try:
            act = decode_act("takeover", entry.content())
        except PeerError:
            continue
        author = entry.header.author
        is_its = isinstance(act, Takeover) and [act.epoch, act.round] == term[:2]
        if is_its and (term[2] or author == standing.lead):
            return author, reading.received_at(entry.entry_id)
    return None


def _forked(seen: Situation) -> Iterator[Alarm]:
    for one in standings(seen.store):
        for member, status in one.members.items():
            if status != "forked":
                continue
            hint = "call {name}: its home was restored or copied, or its keys are stolen; its lead may invite it again, which pardons"
            if member == seen.own_id:
                hint = "this home was restored or copied, or its keys are stolen: stop any copy of it, and ask the lead to invite us again"
            yield alarm_about(
                "space-forked",
                member,
                seen.names,
                None,
                f"{{name}} wrote two entries under one number in the space {_about(one)}",
                hint,
                space=one.row.space.text,
            )


def _waits(seen: Situation) -> Iterator[Alarm]:
    reading = SpaceReading(seen.store.database)
    by_space: dict[EntryId, list[tuple[int, PartnerId]]] = {}
    for waits in reading.waiting(names_us=False):
        by_space.setdefault(waits.space, []).append((waits.received_at, waits.handed_by))
    for space, waiting in by_space.items():
        since, handed_by = min(waiting)
        if seen.now - since < GAP_ALARM_SECONDS:
            continue
        yield alarm_about(
            "space-waits",
            handed_by,
            seen.names,
            since,
            f"{len(waiting)} entries of the space {space.short} wait for others, or for the cards of their authors; the oldest came by {{name}}",
            "somebody may withhold what they follow: link with more of its members (`p2pshare space show` names them)",
            count=len(waiting),
            space=space.text,
        )


def _damaged(seen: Situation) -> Iterator[Alarm]:
    for space, entry in SpaceReading(seen.store.database).damaged():
        yield alarm_about(
            "space-damaged",
            seen.own_id,
            seen.names,
            None,
            f"the entry {entry.text} of the space {space.short} was damaged on this disk, and does not count until another copy comes",
            "the disk or memory of this machine changes what is stored: look after it, and put the store back from a backup",
            space=space.text,
        )


def _cut_off(seen: Situation) -> Iterator[Alarm]:
    for one in standings(seen.store):
        pieces = _pieces(seen.store, seen.own_id, one)
        if pieces:
            yield alarm_about(
                "space-cut-off",
                one.row.opener,
                seen.names,
                None,
                f"members of the space {_about(one)} are cut off from us: {'; '.join(map(clip, map(', '.join, pieces)))}",
                "nobody of them is a partner of anybody whom our entries reach: one of us and one of them add each other (`p2pshare partner add`)",
                space=one.row.space.text,
            )


def _pieces(store: StoreReading, own: PartnerId, standing: Standing) -> list[list[str]]:
    members = [member for member, status in standing.members.items() if status in _IN_IT]
    if own not in members:
        return []
    return links_among(store, own, members, news_of(store, standing.row.space)).cut_off


SPACE_ALARMS: tuple[AlarmFunction, ...] = (
    _contested,
    _votes,
    _taken_over,
    _forked,
    _waits,
    _damaged,
    _cut_off,
)
EVERY_SPACE_ALARM: tuple[AlarmFunction, ...] = (*ALARMS, *SPACE_ALARMS)
"""Those of every node and those of spaces, in the order in which they are reported."""


def spaces_status(node: NodeReading) -> SpacesStatus:
    """Returns what `status` tells of spaces."""
    store, own = node.store, node.card.partner_id
    reading, found = SpaceReading(store.database), list(standings(store))
    pieces = {one.row.space.text: _pieces(store, own, one) for one in found}
    return SpacesStatus(
        held=len(reading.all()),
        invitations=_invitations(store, reading, found, own),
        contested=[one.row.space.text for one in found if one.is_contested],
        votes=[one.row.space.text for one, _ in _open_votes(store, own)],
        waiting=len(reading.waiting(names_us=False)),
        cut_off={space: [name for piece in cut for name in piece] for space, cut in pieces.items() if cut},
    )


def _invitations(
    store: StoreReading, reading: SpaceReading, found: list[Standing], own: PartnerId
) -> list[SpaceInvitation]:
    names = store.partners.names() | {row.partner_id: row.alias for row in store.partners.all()}

    def called(member: PartnerId) -> str:
        return names.get(member) or member.text

    invitations = {
        one.row.space: SpaceInvitation(
            one.row.space.text,
            called(one.row.opener),
            one.row.kind,
            one.row.title,
            _instant(one.row.noted_at),
        )
        for one in found
        if one.status_of(own) == "invited"
    }
    held = {row.space for row in reading.all()}
    for waits in reading.waiting(names_us=True):
        if waits.space not in held:
            invitations.setdefault(
                waits.space,
                SpaceInvitation(waits.space.text, called(waits.author), "", "", _instant(waits.received_at)),
            )
    return list(invitations.values())


def _instant(seconds: int) -> str | None:
    return format_instant(seconds * SECOND_US)


def examine_spaces(looking: Looking) -> Iterator[Finding]:
    """Yields what the doctor says of spaces; what is wrong with them are alarms."""
    if looking.live is not None:
        found = looking.live.spaces
    else:
        with looking.store() as store:
            found = spaces_status(NodeBeside(looking.home, store))
    if found.invitations:
        spaces = ", ".join(one.space[:10] for one in found.invitations[:SPACES_NAMED_MAX])
        more = ", ..." if len(found.invitations) > SPACES_NAMED_MAX else ""
        yield fault(
            "spaces",
            message=f"{len(found.invitations)} invitations into spaces are not answered: {spaces}{more}",
            hint="`p2pshare space join ID` accepts, `p2pshare space decline ID` declines",
        )
    if not found.invitations or found.held:
        yield Finding("spaces", OK, f"{found.held} held, {found.waiting} entries wait")
