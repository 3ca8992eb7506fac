"""Members that write, lose, double, delay and spoil what they hand each other, with real signatures: all end with the same space."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
from entry_forge import sign_header
from envelope_forge import NOW, named_identity

from p2pshare.envelope.entry import (
    NO_SPACE,
    REAL,
    EntryDraft,
    VerifiedEntry,
    decode_entry,
    encode_header,
    key_of,
    sign_entry,
    verify_entry,
    without_body,
)
from p2pshare.envelope.keys import Identity
from p2pshare.errors import PeerError
from p2pshare.identifiers import EntryId
from p2pshare.spaces import taking_in
from p2pshare.spaces.acts import Opening, Plain
from p2pshare.spaces.canonical import canonical
from p2pshare.spaces.fold import SpaceFold
from p2pshare.spaces.taking_in import Awaited, Held, SpaceIntake, TurnedAway
from p2pshare.spaces.vertex import SpaceEntry
from p2pshare.spaces.writing import SpaceStatement, write


class Member:
    """A node with one space: what it holds, what it wrote, what waits."""

    def __init__(self, identity: Identity, opening: VerifiedEntry, **limits: int) -> None:
        self.identity = identity
        self.space = SpaceFold()
        self.space.add(SpaceEntry.of(opening))
        self.intake = SpaceIntake(self.space, **limits)
        self.sign: Callable[[EntryDraft, bytes], VerifiedEntry] = partial(
            sign_entry, key=identity.operational.sign
        )

    def say(self, kind: str, content: bytes = b"\x80", **how: object) -> list[VerifiedEntry]:
        said = SpaceStatement(kind, content, 1, **{k: v for k, v in how.items() if k == "audience"})  # type: ignore[arg-type]
        rest = {k: v for k, v in how.items() if k != "audience"}
        return write(self.space, self.identity.partner_id, said, NOW, self.sign, **rest)  # type: ignore[arg-type]

    def hear(self, wire: bytes, cards: list[Identity]) -> list[object]:
        """As a node does: decode, find the key, verify, take in."""
        decoded = decode_entry(wire, REAL)
        key = key_of(decoded.header, [one.card for one in cards])
        assert key is not None
        return list(self.intake.take_in(verify_entry(decoded, key)))


@pytest.fixture(scope="module")
def identities() -> list[Identity]:
    return [named_identity(name) for name in ("alpha", "bravo", "charlie")]


@pytest.fixture
def opening(identities: list[Identity]) -> VerifiedEntry:
    names = tuple(sorted((one.partner_id, "") for one in identities))
    first = identities[0]
    draft = EntryDraft(REAL, NO_SPACE, first.partner_id, 1, (), 1, NOW, "open", 1)
    return sign_entry(draft, Opening(1, "note", "ours", names).encode(), first.operational.sign)


@pytest.fixture
def members(identities: list[Identity], opening: VerifiedEntry) -> list[Member]:
    return [Member(one, opening) for one in identities]


@pytest.mark.parametrize("seed", range(5))
def test_whatever_is_lost_doubled_and_late_all_end_with_the_same_space(
    seed: int, members: list[Member], identities: list[Identity]
) -> None:
    draw = random.Random(seed)
    written: list[VerifiedEntry] = []
    post: list[tuple[Member, bytes]] = []
    for member in members[1:]:
        written += member.say("join")
    for round_ in range(12):
        member = draw.choice(members)
        kind = draw.choice(["note", "note", "note", "merge", "reopen"])
        written += member.say(kind, f"note {round_}".encode() if kind == "note" else b"\x80")
        post += [(other, entry.wire) for entry in written for other in members if draw.random() < 0.5]
        draw.shuffle(post)
        for _ in range(draw.randint(0, len(post))):
            other, wire = post.pop()
            if draw.random() < 0.8:
                other.hear(wire, identities)
    while any(len(member.space) <= len(written) for member in members):
        draw.shuffle(written)
        for member in members:
            for entry in written:
                member.hear(entry.wire, identities)
    outputs = {canonical(member.space.state()) for member in members}
    assert len(outputs) == 1 and [member.intake.waiting for member in members] == [0, 0, 0]


def test_an_entry_waits_for_its_parents_and_brings_its_children(
    members: list[Member], identities: list[Identity]
) -> None:
    a, b = members[:2]
    one, two, three = (a.say("note", text)[-1] for text in (b"one", b"two", b"three"))
    assert b.hear(three.wire, identities) == [Awaited(three.entry_id, (two.entry_id,))]
    assert b.hear(two.wire, identities) == [Awaited(two.entry_id, (one.entry_id,))]
    assert list(b.intake.wanted()) == [one.entry_id]
    assert b.hear(one.wire, identities) == [Held(one), Held(two), Held(three)]
    assert list(b.intake.wanted()) == [] and b.intake.waiting == 0
    assert b.hear(one.wire, identities) == [TurnedAway(one.entry_id, "held")]


def test_a_spoilt_body_of_a_deciding_entry_takes_nothing_away(
    members: list[Member], identities: list[Identity]
) -> None:
    """Who passes it on spoils it, or leaves it out: the true copy is taken in later, and so is what follows it."""
    a, b = members[:2]
    (merge,) = a.say("merge")
    (note,) = a.say("note", b"after it")
    spoilt = VerifiedEntry(replace(merge.decoded, body=merge.decoded.body[:-1] + b"\x81"))
    for copy in (spoilt, without_body(merge)):
        assert b.hear(copy.wire, identities) == [TurnedAway(merge.entry_id, "body-mismatch")]
    assert b.hear(note.wire, identities) == [Awaited(note.entry_id, (merge.entry_id,))]
    assert b.hear(merge.wire, identities) == [Held(merge), Held(note)]


def test_a_stripped_copy_does_not_replace_the_good_one_that_waits(
    members: list[Member], identities: list[Identity]
) -> None:
    """Who passes it on a second time without its body, or with another, takes nothing from the copy that is here."""
    a, b = members[:2]
    (first,) = a.say("note", b"first")
    (merge,) = a.say("merge")
    spoilt = VerifiedEntry(replace(merge.decoded, body=merge.decoded.body[:-1] + b"\x81"))
    for copy in (spoilt, merge, without_body(merge), spoilt):
        assert b.hear(copy.wire, identities) == [Awaited(merge.entry_id, (first.entry_id,))]
    assert b.hear(first.wire, identities) == [Held(first), Held(merge)]


def test_content_is_held_without_its_body_and_gets_it_later(
    members: list[Member], identities: list[Identity]
) -> None:
    a, b = members[:2]
    (note,) = a.say("note", b"text")
    spoilt = VerifiedEntry(replace(note.decoded, body=bytes(len(note.decoded.body))))
    assert b.hear(spoilt.wire, identities) == [Held(spoilt)]
    assert canonical(a.space.state()) != canonical(b.space.state())
    assert b.hear(without_body(note).wire, identities) == [TurnedAway(note.entry_id, "held")]
    assert b.hear(note.wire, identities) == [Held(note)]
    assert canonical(a.space.state()) == canonical(b.space.state())
    assert b.hear(spoilt.wire, identities) == [TurnedAway(note.entry_id, "held")]


def test_what_follows_a_refused_entry_is_refused_and_the_rest_goes_on(
    members: list[Member], identities: list[Identity]
) -> None:
    """Alpha signs a wrong depth: that entry, and all that cites it, is refused at every node alike."""
    a, b = members[:2]
    (good,) = a.say("note", b"good")
    header = replace(good.header, number=3, depth=9, parents=(good.entry_id,))
    wrong = decode_entry(sign_header(identities[0], REAL, encode_header(header), good.decoded.body), REAL)
    behind = replace(header, number=4, depth=10, parents=(wrong.entry_id,))
    child = decode_entry(sign_header(identities[0], REAL, encode_header(behind), good.decoded.body), REAL)
    wires = [sign_header(identities[0], REAL, one.header_raw, one.body) for one in (wrong, child)]
    assert b.hear(wires[1], identities) == [Awaited(child.entry_id, (wrong.entry_id,))]
    assert b.hear(wires[0], identities) == [Awaited(wrong.entry_id, (good.entry_id,))]
    assert b.hear(good.wire, identities) == [
        Held(good),
        TurnedAway(wrong.entry_id, "wrong-depth"),
        TurnedAway(child.entry_id, "bad-parent"),
    ]
    assert b.hear(wires[1], identities) == [TurnedAway(child.entry_id, "bad-parent")]
    (after,) = b.say("join")
    assert a.hear(after.wire, identities) == [Held(after)]


def test_orphans_are_bounded_and_whoever_has_most_loses_its_farthest(
    identities: list[Identity], opening: VerifiedEntry
) -> None:
    victim = Member(identities[2], opening, waiting_max=8)
    honest = Member(identities[1], opening)
    first, second = honest.say("join")[-1], honest.say("note", b"mine")[-1]
    victim.hear(second.wire, identities)
    plain = second.header
    orphans = []
    for number in range(30):
        header = replace(
            plain,
            author=identities[0].partner_id,
            key_id=identities[0].operational.sign.key_id,
            number=2,
            depth=3 + number,
            parents=(EntryId(number.to_bytes(32, "big")),),
        )
        orphans.append(sign_header(identities[0], REAL, encode_header(header), second.decoded.body))
    outcomes = [victim.hear(wire, identities)[0] for wire in orphans]
    assert victim.intake.waiting == 8
    assert [isinstance(one, Awaited) for one in outcomes] == [True] * 7 + [False] * 23
    assert {one.reason for one in outcomes if isinstance(one, TurnedAway)} == {"later"}
    near = decode_entry(orphans[0], REAL).header
    nearer = sign_header(
        identities[0],
        REAL,
        encode_header(replace(near, parents=(EntryId(b"z" * 32),))),
        second.decoded.body,
    )
    told = victim.hear(nearer, identities)
    assert isinstance(told[0], Awaited) and len(told) == 2, "who has to make room is told"
    assert told[1] == TurnedAway(decode_entry(orphans[6], REAL).entry_id, "later")
    assert victim.hear(first.wire, identities) == [Held(first), Held(second)]


def test_a_liar_fills_its_own_branch_and_what_others_need_is_taken(
    members: list[Member], identities: list[Identity], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bravo forks, and goes on: what nobody cites is left aside beyond the limit, until Charlie's entry needs it."""
    monkeypatch.setattr(taking_in, "SPACE_UNCITED_MAX", 5)
    a, b, c = members
    (join,) = b.say("join")
    (also,) = c.say("join")
    for wire in (join.wire, also.wire):
        a.hear(wire, identities)
    twin = replace(join.header, kind="note", number=2, depth=3, parents=(join.entry_id,))
    a.hear(sign_header(identities[1], REAL, encode_header(twin), join.decoded.body), identities)
    story = [b.say("note", b"%d" % number)[-1] for number in range(8)]
    outcomes = []
    for entry in story:
        outcomes += a.hear(entry.wire, identities)
        a.space.state()
    taken = [entry for entry in story if Held(entry) in outcomes]
    assert taken == story[:4], "the twin is the fifth"
    assert outcomes[4] == TurnedAway(story[4].entry_id, "later")
    for entry in [join, *story]:
        c.hear(entry.wire, identities)
    (citing,) = c.say("note", b"I heard them all")
    assert citing.entry_id not in a.space
    a.hear(citing.wire, identities)
    for entry in reversed(story[4:]):  # asked for one by one, the newest first
        a.hear(entry.wire, identities)
    assert citing.entry_id in a.space and a.intake.waiting == 0
    a.space.state()
    assert {a.space.effect_of(one.entry_id) for one in story} == {""}, "confirmed"


def test_kinds_of_this_space_are_asked_for_their_audience(
    members: list[Member], identities: list[Identity]
) -> None:
    a, b = members[:2]
    (reopen,) = a.say("reopen", audience=(identities[0].partner_id,))
    assert b.hear(reopen.wire, identities) == [TurnedAway(reopen.entry_id, "audience-not-allowed")]
    red = replace(a.say("note", b"red")[-1].header, tlp=4)
    wire = sign_header(identities[0], REAL, encode_header(red), reopen.decoded.body)
    (outcome,) = b.hear(wire, identities)
    assert isinstance(outcome, TurnedAway) and outcome.reason == "names-needed"


def test_more_than_sixteen_heads_are_merged_before_anything_is_said(
    members: list[Member], identities: list[Identity], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("p2pshare.spaces.writing.BRANCHES_CITED_MAX", 64)
    a, b = members[:2]
    (join,) = b.say("join")
    a.hear(join.wire, identities)
    branches = []
    for number in range(40):  # of one author, and no content: that of a fork would be void, and not cited
        draft = EntryDraft(
            REAL,
            join.header.space,
            a.identity.partner_id,
            2,
            (join.header.space,),
            2,
            NOW + number,
            "reopen",
            1,
        )
        branches.append(sign_entry(draft, b"\x80", identities[0].operational.sign))
    for branch in branches:
        b.hear(branch.wire, identities)
    written = b.say("note", b"all seen")
    assert [entry.header.kind for entry in written] == ["merge", "merge", "note"]
    assert all(len(entry.header.parents) <= 16 for entry in written)
    heads = b.space.state().heads
    assert {vertex.entry_id for vertex in heads} == {written[-1].entry_id}
    for entry in [*branches, *written]:
        a.hear(entry.wire, identities)
    assert canonical(a.space.state()) == canonical(b.space.state())


def test_content_of_a_fork_is_not_cited_by_whoever_knows_of_the_fork(
    members: list[Member], identities: list[Identity]
) -> None:
    a, b = members[:2]
    (join,) = b.say("join")
    for number in range(2):
        draft = EntryDraft(
            REAL,
            join.header.space,
            a.identity.partner_id,
            2,
            (join.header.space,),
            2,
            NOW + number,
            "note",
            1,
        )
        b.hear(sign_entry(draft, b"a branch", identities[0].operational.sign).wire, identities)
    (note,) = b.say("note", b"mine")
    assert note.header.parents == (join.entry_id,)


def test_a_vote_may_leave_a_removal_out(members: list[Member], identities: list[Identity]) -> None:
    """The lead removes everybody: who proposes without that head in its past is heard, who cites it is no member."""
    from p2pshare.spaces.acts import Ack, Removal, Takeover

    a, b, c = members
    for joined in (b.say("join"), c.say("join")):
        for member in members:
            member.hear(joined[-1].wire, identities)
    removed = tuple(sorted(one.identity.partner_id for one in (b, c)))
    removal = a.say("remove", Removal(removed).encode())[-1]
    b.hear(removal.wire, identities)
    proposal = b.say("takeover", Takeover(1, 1).encode(), left_out=[removal.entry_id])[-1]
    c.hear(proposal.wire, identities)
    vote = c.say("ack", Ack(proposal.entry_id).encode())[-1]
    for member in members:
        for entry in (proposal, vote, removal):
            member.hear(entry.wire, identities)
    states = [member.space.state() for member in members]
    assert {state.lead for state in states} == {b.identity.partner_id}
    assert all(set(state.members.values()) == {"joined"} for state in states)


def test_what_breaks_a_rule_is_not_signed(members: list[Member]) -> None:
    with pytest.raises(PeerError) as caught:
        members[0].say("join", Plain().encode(), audience=(members[0].identity.partner_id,))
    assert caught.value.reason == "audience-not-allowed"
    assert len(members[0].space) == 1
