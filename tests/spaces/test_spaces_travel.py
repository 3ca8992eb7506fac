"""Members that hand each other entries and heads: all come to the same, nobody gets what is not for it, and nobody is made to do much."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest
from space_histories import partner
from space_travellers import World, unsigned

from p2pshare.envelope.entry import REAL, EntryDraft, without_body
from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.spaces import travel
from p2pshare.spaces.acts import Ack as AckAct
from p2pshare.spaces.acts import Plain, Takeover
from p2pshare.spaces.heads import HEADS_LISTED_MAX, WANTED_MAX, AuthorHead, SpaceHeads, heads_of
from p2pshare.spaces.vertex import SpaceEntry


def agree(world: World, *names: str) -> None:
    canons = {world[name].canonical() for name in names or world.members}
    assert len(canons) == 1


def all_hold(world: World, names: str, *ids: EntryId) -> bool:
    return all(world[name].holds(one) for name in names for one in ids)


# --- it arrives --------------------------------------------------------------------------------------


def test_a_note_is_with_every_partner_at_once() -> None:
    world = World("L", "A", "B")
    world.link_all()
    world.joined("L", "A", "B")
    note = world["A"].note()
    world.run(1)
    assert all_hold(world, "LAB", note)
    agree(world)


def test_three_in_a_line_hold_the_same_though_the_ends_are_no_partners() -> None:
    world = World("L", "A", "B")
    world.link("LA", "LB")
    world.joined("L", "A", "B")
    note = world["A"].note()
    world.run(2)
    assert world["B"].holds(note), (
        "the middle is the first among the partners of the end: it hands on at once"
    )
    other = world["B"].note()
    world.run(2)
    assert all_hold(world, "LAB", note, other)
    agree(world)


def test_four_in_a_line_where_the_lead_stands_at_one_end() -> None:
    world = World("L", "A", "B", "C")
    world.link("LA", "AB", "BC")
    world.joined("L", "A", "B", "C")
    world.run(600)
    notes = [world["C"].note(), world["L"].note()]
    world.run(120)
    assert all_hold(world, "LABC", *notes)
    agree(world)


def test_what_two_wrote_while_they_were_apart_is_exchanged_when_they_meet() -> None:
    world = World("L", "A")
    world.link_all()
    world.joined("L", "A")
    world.carries = lambda sender, to: False
    notes = [world[name].note() for name in "LALAA"]
    world.run(8_000)
    assert not world["A"].holds(notes[0])
    world.carries = lambda sender, to: True
    world.run(4_000)  # heads go hourly
    assert all_hold(world, "LA", *notes)
    agree(world)


def test_who_is_connected_again_is_told_within_seconds() -> None:
    world = World("L", "A")
    world.link_all()
    world.joined("L", "A")
    for one in world.members.values():
        one.linked = set()
        one.run()
    world.carries = lambda sender, to: False
    note = world["L"].note()
    world.run(7_300)
    world.carries = lambda sender, to: True
    for one in world.members.values():
        one.linked = None
        one.run()
    world.run(40)
    assert world["A"].holds(note)


def test_a_late_joiner_gets_the_whole_history_in_several_envelopes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(travel, "PARCEL_ENTRIES_MAX", 16)
    world = World("L", "A", "B")
    world.link_all()
    world.joined("L", "A")
    notes = [world["LA"[number % 2]].note(str(number)) for number in range(90)]
    world.run(100)
    world["L"].invite("B")
    world.run(5)
    assert not world["B"].holds(notes[0])
    world["B"].hear_entries(world["L"].id, [world["L"].entries[world.space]])
    world.run(200)
    join = write_own_join(world)
    world.run(200)
    assert all_hold(world, "LAB", *notes, join)
    agree(world)
    to_joiner = [one for one in world["L"].sent if one[1] == world["B"].id and one[2] in notes]
    assert len(to_joiner) <= len(notes) + 2, "nothing twice, but for the last of each author"


def write_own_join(world: World) -> EntryId:
    """B answers the invitation that it holds though its past is missing, as a node does that is not in the graph."""
    invitation = next(
        one for one in world.written if one.header.kind == "invite" and world["B"].id in _named(one)
    )
    draft = EntryDraft(
        REAL, world.space, world["B"].id, 1, (invitation.entry_id,), invitation.header.depth + 1, 0, "join", 1
    )
    join = unsigned(draft, Plain().encode())
    me = world["B"]
    me.entries[join.entry_id] = join
    me.hear_entries(world["L"].id, [invitation])
    me.hear_entries(me.id, [join])
    me.engine.join_goes_out(
        world.space, (join.entry_id, 1), [world["L"].id], invitation.header.parents, world.now
    )
    me.run()
    return join.entry_id


def _named(entry: object) -> dict[PartnerId, str]:
    vertex_act = SpaceEntry.of(entry)  # type: ignore[arg-type]
    from p2pshare.spaces.acts import Inviting, decode_act

    act = decode_act(vertex_act.header.kind, vertex_act.content or b"")
    assert isinstance(act, Inviting)
    return dict(act.names)


@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_lost_all_come_to_the_same(seed: int) -> None:
    """A fifth of the envelopes is lost, the members are a random connected graph, and everybody writes."""
    chance = random.Random(seed)
    names = "LABCD"
    world = World(*names)
    for number in range(1, len(names)):
        world.link(names[chance.randrange(number)] + names[number])
    for left, right in itertools.combinations(names, 2):
        if chance.random() < 0.3:
            world.link(left + right)
    world.joined(*names)
    world.carries = lambda sender, to: chance.random() < 0.8
    for _ in range(40):
        writer = world[chance.choice(names)]
        if writer.intake is not None and writer.fold.state().members.get(writer.id) == "joined":
            writer.note()
        world.run(chance.choice([0.1, 3, 30]))
    world.carries = lambda sender, to: True
    world.run(12_000)
    agree(world)
    assert len({len(world[name].fold) for name in names}) == 1
    assert len(world["L"].fold) == len(world.written) + 1, "and the opening"


def test_an_old_lead_that_removed_everybody_hears_that_it_was_replaced() -> None:
    """Its neighbours are no members by what it holds, and it asks them all the same: they name what it lacks."""
    world = World("L", "A", "B")
    world.link_all()
    world.joined("L", "A", "B")
    world.carries = lambda sender, to: False
    world["L"].remove("A", "B")
    proposal = world["A"].say("takeover", Takeover(1, 1).encode())
    world.run(60)
    world.carries = lambda sender, to: world["L"].id not in (sender, to)
    world.run(4_000)
    assert world["B"].holds(proposal)
    world["B"].say("ack", AckAct(proposal).encode())
    world.run(60)
    world.carries = lambda sender, to: True
    note = world["B"].note("news")
    world.run(8_000)
    assert world["L"].holds(note)
    assert world["L"].fold.state().lead == world["A"].id
    agree(world)


def test_branches_of_a_fork_reach_everybody() -> None:
    """A restored backup wrote its second number again; each half of the members knew another branch."""
    world = World("L", "A", "B", "C")
    world.link("LA", "AB", "LC", "BC")
    world.joined("L", "A", "B", "C")
    forker = world["C"]
    after = world["C"].fold.graph.get(
        next(iter(h.entry_id for h in heads_of(forker.fold.graph, {}) if h.author == forker.id))
    )
    assert after is not None
    twins = []
    for text in ("one", "two"):
        draft = EntryDraft(
            REAL, world.space, forker.id, after.number + 1, (after.entry_id,), after.depth + 1, 0, "note", 1
        )
        twins.append(unsigned(draft, text.encode()))
    world["L"].hear_entries(forker.id, [twins[0]])
    world["B"].hear_entries(forker.id, [twins[1]])
    world.run(4_000)
    assert all_hold(world, "LABC", *(one.entry_id for one in twins))
    agree(world)
    assert world["A"].fold.state().members[forker.id] == "forked"


# --- who gets what ---------------------------------------------------------------------------------


def test_who_is_invited_gets_the_opening_and_its_invitation_and_no_more() -> None:
    world = World("L", "A", "B")
    world.link_all()
    space = world.joined("L", "A")
    note = world["A"].note()
    world.run(60)
    invitation = world["L"].invite("B")
    world.run(8_000)
    got = {entry_id for one in "LA" for _, to, entry_id, _ in world[one].sent if to == world["B"].id}
    assert got == {space, invitation}
    world["L"].engine.heads_came(world["B"].id, SpaceHeads(REAL, space, wanted=(note,), asks=True), world.now)
    world["L"].run()
    world.run(100)
    got = {entry_id for one in "LA" for _, to, entry_id, _ in world[one].sent if to == world["B"].id}
    assert got == {space, invitation}, "asking gives no right"


def test_a_partner_that_is_no_member_asks_with_heads_and_gets_nothing() -> None:
    world = World("L", "A", "M")
    world.link_all()
    space = world.joined("L", "A")
    notes = [world["A"].note() for _ in range(5)]
    world.run(30)
    before = world.envelopes
    for wanted in (tuple(sorted(notes)), ()):
        asked = SpaceHeads(REAL, space, wanted=wanted, wanted_bodies=wanted, asks=True)
        world["L"].engine.heads_came(world["M"].id, asked, world.now)
        world["L"].run()
        world.run(200)
    assert [one for one in world["L"].sent + world["A"].sent if one[1] == world["M"].id] == []
    assert [one for one in world["L"].heads_sent + world["A"].heads_sent if one[1] == world["M"].id] == []
    assert world.envelopes - before < 12


def test_a_removed_member_is_told_and_hears_nothing_after() -> None:
    world = World("L", "A", "B")
    world.link_all()
    space = world.joined("L", "A", "B")
    before = world["A"].note("before")
    world.run(60)
    removal = world["L"].remove("B")
    world.run(2)
    after = [world["A"].note("after"), world["L"].note("after")]
    world.run(8_000)
    assert all_hold(world, "LAB", before, removal)
    assert world["B"].fold.state().members[world["B"].id] == "removed"
    assert not any(world["B"].holds(one) for one in after)
    for name in "LA":
        asked = SpaceHeads(
            REAL, space, wanted=tuple(sorted(after)), wanted_bodies=tuple(sorted(after)), asks=True
        )
        world[name].engine.heads_came(world["B"].id, asked, world.now)
        world[name].run()
    world.run(200)
    assert not any(world["B"].holds(one) for one in after)
    told = [
        one
        for name in "LA"
        for _, to, one in world[name].heads_sent
        if to == world["B"].id and _ > world.now - 200
    ]
    assert all(head.entry_id not in after for one in told for head in one.heads), (
        "nor the ids of what came after"
    )


def test_a_member_outside_an_audience_holds_the_header_alone_whoever_hands_it_on() -> None:
    world = World("L", "A", "B", "C")
    world.link("LA", "LB", "LC")
    world.joined("L", "A", "B", "C")
    sealed = world["A"].note("for C", tlp=4, audience=["A", "C", "L"])  # type: ignore[arg-type]
    world.run(4_000)
    assert all_hold(world, "LABC", sealed)
    assert world["C"].has_body(sealed) and not world["B"].has_body(sealed)
    agree(world)
    asked = SpaceHeads(
        REAL, world.space, heads_of(world["B"].fold.graph, {}), wanted=(sealed,), wanted_bodies=(sealed,)
    )
    world["L"].engine.heads_came(world["B"].id, asked, world.now)
    world["L"].run()
    world.run(100)
    assert not world["B"].has_body(sealed)
    assert all(
        not body
        for one in world.members.values()
        for _, to, e, body in one.sent
        if e == sealed and to == world["B"].id
    )


def test_a_body_that_was_missing_is_asked_for_and_comes() -> None:
    world = World("L", "A")
    world.link_all()
    world.joined("L", "A")
    world.carries = lambda sender, to: False
    note = world["L"].note("text")
    world.carries = lambda sender, to: True
    world["A"].hear_entries(world["L"].id, [without_body(world["L"].entries[note])])
    assert not world["A"].has_body(note)
    world.run(4_000)
    assert world["A"].has_body(note)


def test_a_redacted_body_goes_to_nobody() -> None:
    from p2pshare.spaces.acts import Redaction

    world = World("L", "A", "B")
    world.link_all()
    world.joined("L", "A")
    note = world["A"].note("a mistake")
    world.run(60)
    world["A"].say("redact", Redaction(note).encode())
    world.run(60)
    world["L"].invite("B")
    world.run(2)
    world["B"].hear_entries(world["L"].id, [world["L"].entries[world.space]])
    write_own_join(world)
    world.run(400)
    assert world["B"].holds(note) and not world["B"].has_body(note)
    agree(world)


# --- when ------------------------------------------------------------------------------------------


def test_heads_go_at_most_once_a_minute_on_a_link_however_much_is_written() -> None:
    world = World("L", "A", "B")
    world.link_all()
    world.joined("L", "A", "B")
    world.run(100)
    began = world.now
    for number in range(150):
        world["LAB"[number % 3]].note()
        world.run(2)
    for one in world.members.values():
        for peer in one.partners:
            times = [at for at, to, _ in one.heads_sent if to == peer and at >= began]
            assert len(times) <= 6
            assert all(
                later - earlier >= travel.HEADS_SECONDS for earlier, later in itertools.pairwise(times)
            )


def test_an_idle_space_is_told_hourly() -> None:
    world = World("L", "A")
    world.link_all()
    world.joined("L", "A")
    world.run(200)
    began = world.now
    world.run(5 * 3_600)
    assert 4 <= len([at for at, _, _ in world["L"].heads_sent if at > began]) <= 6


def test_a_join_goes_out_every_two_minutes_until_heads_show_it() -> None:
    world = World("L", "A")
    world.link_all()
    world["L"].open("A")
    world.run(2)
    world.carries = lambda sender, to: to != world["L"].id
    join = world["A"].join()
    world.run(1_000)
    tries = [at for at, _, entry_id, _ in world["A"].sent if entry_id == join]
    assert 8 <= len(tries) <= 9
    world.carries = lambda sender, to: True
    world.run(400)
    assert world["L"].fold.state().members[world["A"].id] == "joined"
    count = len([one for one in world["A"].sent if one[2] == join])
    world.run(2_000)
    assert len([one for one in world["A"].sent if one[2] == join]) == count


def test_what_everybody_has_is_handed_on_by_nobody() -> None:
    """The author reaches all itself: heads show it before anybody's turn to hand on comes."""
    world = World("L", "A", "B", "C")
    world.link_all()
    world.joined("L", "A", "B", "C")
    world.run(200)
    note = world["A"].note()
    world.run(1_000)
    senders = [name for name in "LABC" for _, _, entry_id, _ in world[name].sent if entry_id == note]
    assert senders == ["A", "A", "A"]


def test_writing_waits_after_a_start_until_linked_members_have_answered() -> None:
    world = World("L", "A", "B")
    world.link_all()
    space = world.joined("L", "A", "B")
    heads = {one.id: SpaceHeads(REAL, space) for one in (world["A"], world["B"])}
    for linked, answering, least in (("AB", "A", 59.0), ("AB", "AB", 0.0), ("", "", 5.0), ("A", "A", 0.0)):
        engine = travel.SpaceTravel(world["L"].id, world.now)
        peers = {partner("A"), partner("B")}
        engine.begin(space, None, heads, world.now)
        engine.follow_partners(peers, {partner(one) for one in linked}, world.now)
        for one in answering:
            engine.heads_came(partner(one), heads[partner(one)], world.now)
        assert engine.seconds_before_writing(world.now) >= least
        assert engine.seconds_before_writing(world.now) <= 60.0
        if not least:
            assert engine.seconds_before_writing(world.now) == 0.0
        assert engine.seconds_before_writing(world.now + 60.0) == 0.0


# --- what a peer can make us do --------------------------------------------------------------------


def test_a_million_asks_are_answered_once_in_ten_seconds_and_nothing_goes_twice() -> None:
    world = World("L", "A")
    world.link_all()
    space = world.joined("L", "A")
    for number in range(50):
        world["L"].note(str(number))
    world.run(100)
    begun = len(world["L"].sent)
    world.carries = lambda sender, to: False
    for _ in range(300):
        world["L"].engine.heads_came(world["A"].id, SpaceHeads(REAL, space, asks=True), world.now)
        world["L"].run()
        world.run(0.1)
    assert len(world["L"].sent) - begun <= 60, "all that is held, once"
    replies = [at for at, _, _ in world["L"].heads_sent if at > world.now - 30]
    assert len(replies) <= 4


def test_no_liar_makes_heads_more_than_one_a_minute_and_six() -> None:
    """It asks all the time, and lists other ids each time, so that there is always a question that was not asked before."""
    world = World("L", "A", "B")
    world.link_all()
    space = world.joined("L", "A", "B")
    world.run(100)
    world.carries = lambda sender, to: to != world["A"].id
    for number in range(720):
        invented = AuthorHead(partner("A"), 9_000, EntryId(number.to_bytes(32, "big")))
        liar = SpaceHeads(REAL, space, (invented,), asks=True)
        world["L"].engine.heads_came(world["A"].id, liar, world.now)
        world["L"].run()
        if number % 60 == 0:
            world["B"].note()
        world.run(5)
    for one in world.members.values():
        for peer in one.partners:
            times = [at for at, to, _ in one.heads_sent if to == peer]
            for first, begin in enumerate(times):
                assert all(
                    number <= (at - begin) / travel.HEADS_SECONDS + travel.HEADS_AT_ONCE_MAX
                    for number, at in enumerate(times[first:], start=1)
                )
    liars = [at for at, to, _ in world["L"].heads_sent if to == world["A"].id]
    assert len(liars) > 50, "it is still told once a minute"


def test_heads_with_ids_that_nobody_has_are_asked_for_ever_more_seldom() -> None:
    world = World("L", "A")
    world.link_all()
    space = world.joined("L", "A")
    world.run(100)
    began = len(world["L"].heads_sent)
    invented = tuple(
        AuthorHead(partner("A"), 9_000 + number, EntryId(number.to_bytes(32, "big"))) for number in range(900)
    )
    liar = SpaceHeads(REAL, space, tuple(sorted(invented)))
    world.carries = lambda sender, to: False
    for _ in range(360):
        world["L"].engine.heads_came(world["A"].id, liar, world.now)
        world["L"].run()
        world.run(10)
    asked = world["L"].heads_sent[began:]
    assert len(asked) <= 3_600 / travel.HEADS_SECONDS + 3
    assert max(len(heads.wanted) for _, _, heads in asked) <= WANTED_MAX


def test_a_parent_that_never_comes_is_asked_for_twelve_times() -> None:
    world = World("L", "A")
    world.link_all()
    world.joined("L", "A")
    world.run(100)
    own = next(one for one in heads_of(world["A"].fold.graph, {}) if one.author == world["A"].id)
    ghost = EntryId(b"\x07" * 32)
    parents = tuple(sorted((own.entry_id, ghost)))
    draft = EntryDraft(REAL, world.space, world["A"].id, own.number + 1, parents, 9, 0, "note", 1)
    world["L"].hear_entries(world["A"].id, [unsigned(draft, b"orphan")])
    world.carries = lambda sender, to: False
    world.run(200_000)
    asked = [at for at, _, heads in world["L"].heads_sent if ghost in heads.wanted]
    hourly = 200_000 // 3_600 + 2
    assert 12 <= len(asked) <= 12 + hourly
    assert asked[1] - asked[0] >= 10


def test_entries_without_end_make_no_list_longer_than_it_may_be() -> None:
    """A liar with 5,000 branches: heads name 16 of them, and what waits to be handed on stays bounded."""
    world = World("L", "A")
    world.link_all()
    world.joined("L", "A")
    own = next(one for one in heads_of(world["A"].fold.graph, {}) if one.author == world["A"].id)
    vertex = world["A"].fold.graph.get(own.entry_id)
    assert vertex is not None
    twins = []
    for _number in range(3_000):
        draft = EntryDraft(
            REAL, world.space, world["A"].id, own.number + 1, (own.entry_id,), vertex.depth + 1, 0, "merge", 1
        )
        twins.append(unsigned(draft, Plain().encode()))
    world["L"].hear_entries(world["A"].id, twins)
    world.run(100)
    listed = heads_of(world["L"].fold.graph, {})
    assert len([one for one in listed if one.author == world["A"].id]) == 16
    assert len(listed) < HEADS_LISTED_MAX


def test_a_stranger_s_heads_do_not_end_our_join() -> None:
    world = World("L", "A", "M")
    world.link_all()
    world["L"].open("A")
    world.run(2)
    world.carries = lambda sender, to: False
    join = world["A"].join()
    shown = AuthorHead(world["A"].id, 1, join)
    world["A"].engine.heads_came(world["M"].id, SpaceHeads(REAL, world.space, (shown,)), world.now)
    world.run(500)
    assert len([one for one in world["A"].sent if one[2] == join]) >= 4


def test_a_member_beside_itself_is_never_asked_what_it_may_not_have() -> None:
    """Entitlement is asked in the moment of handing over: who is removed while an answer is under way gets no more of it."""
    world = World("L", "A", "B")
    world.link_all()
    space = world.joined("L", "A", "B")
    notes = [world["A"].note(str(number)) for number in range(5)]
    world.carries = lambda sender, to: world["B"].id not in (sender, to)
    late = [world["A"].note("late") for _ in range(5)]
    world.run(5)
    side_heads = replace(SpaceHeads(REAL, space), heads=heads_of(world["B"].fold.graph, {}))
    world["L"].remove("B")
    world["L"].engine.heads_came(world["B"].id, side_heads, world.now)
    world["L"].run()
    world.run(100)
    got = {entry_id for _, to, entry_id, _ in world["L"].sent if to == world["B"].id}
    after_removal = {one.entry_id for one in world.written if one.entry_id not in notes + late}
    assert after_removal, "the test is about something"
    removal = world.written[-1]
    vertex = world["L"].fold.graph.get(removal.entry_id)
    assert vertex is not None
    from p2pshare.spaces.entry_graph import past_of

    allowed = {one.entry_id for one in past_of(vertex.parents)} | {removal.entry_id}
    assert {one for one in got if one not in allowed} == set()


def test_a_body_that_is_wanted_again_and_again_goes_once_in_ten_minutes() -> None:
    """Who asks pays little and who answers much: of 256 bodies 64 MiB for a question of some kilobytes."""
    world = World("L", "A")
    world.link_all()
    space = world.joined("L", "A")
    notes = [world["L"].note(str(number)) for number in range(5)]
    world.run(700)
    begun = len(world["L"].sent)
    world.carries = lambda sender, to: False
    asked = SpaceHeads(
        REAL,
        space,
        heads_of(world["A"].fold.graph, {}),
        wanted=(notes[0],),
        wanted_bodies=tuple(sorted(notes)),
    )
    for _ in range(300):
        world["L"].engine.heads_came(world["A"].id, asked, world.now)
        world["L"].run()
        world.run(1)
    sent = [entry_id for _, to, entry_id, body in world["L"].sent[begun:] if body]
    assert sorted(set(sent)) == sorted(notes)
    assert len(sent) <= 5 + 5, "a wanted entry ever more seldom, a wanted body once"


def test_answers_to_one_partner_are_bounded_over_a_week() -> None:
    """What is sealed stays in our own log until it expires: an hour's bound alone would fill a disk in a week."""
    world = World("L", "A")
    world.link_all()
    space = world.joined("L", "A")
    note = world["L"].note("x" * 200_000)
    world.run(700)
    world.carries = lambda sender, to: False
    begun = len(world["L"].sent)
    most = travel.ANSWERED_BYTES_PER_WEEK_MAX
    for _ in range(100):
        line = world["L"].engine._lines[world["A"].id]
        line.count_answer(most // 50, world.now)
        world["L"].engine.heads_came(world["A"].id, SpaceHeads(REAL, space, wanted_bodies=(note,)), world.now)
        world["L"].run()
        world.run(3_600)
    assert len(world["L"].sent) - begun <= 3 * 50, "three entries an answer, for fifty hours of a hundred"
