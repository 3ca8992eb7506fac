"""Spaces on the screens over all of them: what waits for a person, what is wrong, and nothing where all is well."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from shared_spaces import Company, hand_over, held, id_of, partners, run
from whole_nodes import NOW, World, seen_by_daemon

from p2pshare.envelope.entry import EntryDraft, sign_entry
from p2pshare.identifiers import EntryId, PartnerId
from p2pshare.limits import GAP_ALARM_SECONDS
from p2pshare.node.node import Node
from p2pshare.operations import space_alarms, space_links, space_standing
from p2pshare.operations.space_alarms import TAKEN_OVER_ALARM_SECONDS, examine_spaces
from p2pshare.operations.space_links import links_among
from p2pshare.operations.space_membership import DeclineSpace, InviteIntoSpace, JoinSpace
from p2pshare.operations.space_takeover import AckTakeover, TakeOver
from p2pshare.operations.spaces import NoteInSpace
from p2pshare.operations.status import ShowStatus
from p2pshare.queries.alarms import Alarm
from p2pshare.queries.doctor import Looking
from p2pshare.queries.doctor_words import OK, WARN
from p2pshare.queries.status import SpacesStatus
from p2pshare.spaces.seen import EntryPlace, HeldUpTo, NoNews, seen_by
from p2pshare.spaces.space_exchange import spaces_of


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Node]]:
    """Partners of each other; each test opens spaces of its own among them."""
    world = World(tmp_path_factory.mktemp("spaces"))
    yield partners(world, "alpha", "bravo", "charlie", "delta", "echo")
    world.close()


def told(node: Node, space: str, now: int = NOW) -> list[Alarm]:
    """The alarms about one space."""
    found = run(seen_by_daemon(node), ShowStatus(), now).alarms
    assert all(alarm.hint and alarm.message and "{" not in alarm.message + alarm.hint for alarm in found)
    return [alarm for alarm in found if alarm.space == space]


def screen(node: Node) -> SpacesStatus:
    return run(node, ShowStatus()).spaces


def test_a_space_in_which_all_is_well_is_no_alarm(nodes: list[Node]) -> None:
    three = Company(*nodes[:3])
    run(nodes[1], NoteInSpace(three.space, "mine"))
    three.meet()
    for node in three.nodes:
        assert told(node, three.space) == []
        assert three.space not in [*screen(node).contested, *screen(node).votes, *screen(node).cut_off]


def test_an_invitation_is_told_until_it_is_answered(nodes: list[Node]) -> None:
    two = Company(*nodes[:2], title="come in", are_joined=False)
    charlie = nodes[2]
    invite = run(nodes[0], InviteIntoSpace(two.space, ("charlie",))).entry
    [wire] = [one.wire for one in held(nodes[0], two.space) if one.entry_id.text == invite]
    spaces_of(charlie).take_in([wire], id_of(nodes[0]), NOW)
    for node, title in ((nodes[1], "come in"), (charlie, "")):
        [found] = [one for one in screen(node).invitations if one.space == two.space]
        assert (found.invited_by, found.title) == ("alpha", title)
        assert found.since == "2027-01-15T08:00:00Z"
        node.store.database.checkpoint()
        findings = list(examine_spaces(Looking(node.home, is_running=False, now=0)))
        assert [one.level for one in findings if two.space[:10] in one.message] == [WARN]
    run(nodes[1], JoinSpace(two.space))
    run(charlie, DeclineSpace(two.space))
    hand_over(two.space, nodes[0], charlie)
    for node in (nodes[1], charlie):
        assert two.space not in [one.space for one in screen(node).invitations]
    assert {one.level for one in examine_spaces(Looking(nodes[1].home, is_running=False, now=0))} == {OK}


def test_an_open_vote_is_told_to_those_whose_vote_is_missing(nodes: list[Node]) -> None:
    five = Company(*nodes)
    alpha, bravo, charlie, delta, echo = nodes
    run(bravo, TakeOver(five.space))
    five.meet()
    [alarm] = told(charlie, five.space)
    assert (alarm.word, alarm.partner) == ("space-vote", "bravo")
    assert five.space in screen(charlie).votes
    assert told(bravo, five.space) == [], "it has voted for itself"
    assert told(alpha, five.space) == [], "the lead loses by it: its vote is its own affair"
    run(charlie, AckTakeover(five.space))
    assert told(charlie, five.space) == []
    five.meet()
    run(delta, AckTakeover(five.space))
    five.meet()
    assert [one.word for one in told(echo, five.space)] == ["space-taken-over"], "it is over"


def test_a_space_that_was_taken_over_is_told_for_a_week_to_all_but_the_new_lead(nodes: list[Node]) -> None:
    three = Company(*nodes[:3])
    alpha, bravo, charlie = three.nodes
    run(bravo, TakeOver(three.space))
    three.meet()
    run(charlie, AckTakeover(three.space))
    three.meet()
    [alarm] = told(alpha, three.space, NOW + TAKEN_OVER_ALARM_SECONDS - 1)
    assert (alarm.word, alarm.partner) == ("space-taken-over", "bravo")
    assert told(bravo, three.space) == []
    assert told(alpha, three.space, NOW + TAKEN_OVER_ALARM_SECONDS) == []


def test_two_who_lead_at_once_are_an_alarm_until_the_next_vote(nodes: list[Node]) -> None:
    """An old lead invites puppets from where it stood, and has a second majority of the same number."""
    alpha, bravo, charlie, delta, echo = nodes
    three = Company(alpha, bravo, charlie)
    run(bravo, TakeOver(three.space))
    three.meet(bravo, charlie)
    run(charlie, AckTakeover(three.space))
    run(alpha, InviteIntoSpace(three.space, ("delta", "echo")))
    for node in (delta, echo):
        hand_over(three.space, alpha, node)
        run(node, JoinSpace(three.space))
    three.meet(alpha, delta, echo)
    run(delta, TakeOver(three.space))
    for node in (echo, alpha):
        three.meet(alpha, delta, echo)
        run(node, AckTakeover(three.space))
    three.meet(*nodes)
    words = [one.word for one in told(charlie, three.space)]
    assert words == ["space-contested"] and three.lead_of(charlie) is None
    assert three.space in screen(charlie).contested
    run(charlie, TakeOver(three.space))
    for node in (bravo, alpha):
        three.meet(*nodes)
        run(node, AckTakeover(three.space))
    three.meet(*nodes)
    assert three.lead_of(echo) == id_of(charlie).text
    assert [one.word for one in told(echo, three.space)] == ["space-taken-over"]


def test_a_member_that_forked_is_named_to_all_and_to_itself(nodes: list[Node]) -> None:
    two = Company(*nodes[:2])
    alpha, bravo = two.nodes
    note = run(bravo, NoteInSpace(two.space, "one")).entry
    [first] = [one for one in held(bravo, two.space) if one.entry_id.text == note]
    header = first.header
    draft = EntryDraft(
        header.realm, header.space, header.author, header.number, header.parents, header.depth, NOW, "note", 1
    )
    twin = sign_entry(draft, b"another", bravo.identity.operational.sign)
    spaces_of(alpha).take_in([first.wire, twin.wire], id_of(bravo), NOW)
    hand_over(two.space, alpha, bravo)
    for node, says in ((alpha, "call bravo"), (bravo, "stop any copy")):
        [alarm] = told(node, two.space)
        assert (alarm.word, alarm.partner) == ("space-forked", "bravo") and says in alarm.hint


@pytest.mark.parametrize("late", [-1, 0])
def test_what_waits_too_long_is_told(late: int, nodes: list[Node]) -> None:
    two = Company(*nodes[:2])
    alpha, bravo = two.nodes
    run(alpha, NoteInSpace(two.space, "never comes"))
    last = run(alpha, NoteInSpace(two.space, "waits")).entry
    [wire] = [one.wire for one in held(alpha, two.space) if one.entry_id.text == last]
    spaces_of(bravo).take_in([wire], id_of(alpha), NOW)
    found = told(bravo, two.space, NOW + GAP_ALARM_SECONDS + late)
    assert [(one.word, one.partner, one.count) for one in found] == [("space-waits", "alpha", 1)] * (late + 1)
    assert screen(bravo).waiting >= 1


# --- how members are linked ----------------------------------------------------------------------------


class Told(NoNews):
    """What members told of their partners."""

    def __init__(self, partners: Mapping[PartnerId, frozenset[PartnerId]]) -> None:
        self._partners = partners

    def partners_of(self, member: PartnerId) -> frozenset[PartnerId] | None:
        return self._partners.get(member)


def member(number: int) -> PartnerId:
    return PartnerId(bytes([0xF0 + number]) * 32)


def test_members_that_are_cut_off_and_those_who_part_others_are_named(
    nodes: list[Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    """alpha - bravo - one - two, and three - four apart; of five nothing is known."""
    alpha, bravo = nodes[:2]
    own, other = id_of(alpha), id_of(bravo)
    one, two, three, four, five = map(member, range(5))
    news = Told(
        {
            other: frozenset({own, one}),
            one: frozenset({other, two}),
            two: frozenset({one}),
            three: frozenset({four}),
            four: frozenset({three}),
        }
    )
    found = links_among(alpha.store, own, [own, other, one, two, three, four, five], news)
    assert found.parted_by == sorted(["bravo", one.text])
    assert found.cut_off == [sorted([three.text, four.text])]
    assert found.not_known == [five.text]
    assert not found.is_whole
    ring = Told({other: frozenset({own, one}), one: frozenset({other, own})})
    assert links_among(alpha.store, own, [own, other, one], ring).is_whole
    assert links_among(alpha.store, own, [own], NoNews()).is_whole
    two_of_us = Company(*nodes[:2])
    apart = Told({other: frozenset({one})})
    monkeypatch.setattr(space_alarms, "news_of", lambda store, space: apart)
    monkeypatch.setattr(space_links, "news_of", lambda store, space: apart)
    monkeypatch.setattr(type(alpha.store.partners), "all", lambda self: [])
    [alarm] = told(alpha, two_of_us.space)
    assert alarm.word == "space-cut-off" and alarm.message.endswith("cut off from us: bravo")
    assert screen(alpha).cut_off[two_of_us.space] == ["bravo"]


def test_the_word_for_an_entry_is_the_strongest_that_is_known() -> None:
    author, reader = member(0), member(1)
    entry = EntryPlace(EntryId(b"e" * 32), author, 5)

    class News(NoNews):
        def __init__(self, number: int, shown: int, *, sent: bool) -> None:
            self._told, self._sent = HeldUpTo(number, EntryId(b"h" * 32), shown), sent

        def heads_of(self, member: PartnerId) -> Mapping[PartnerId, HeldUpTo] | None:
            return {author: self._told}

        def was_sent(self, member: PartnerId, entry: EntryPlace) -> bool:
            return self._sent

    assert seen_by(entry, author, NoNews()) == "shown"
    assert seen_by(entry, reader, NoNews()) == "not-known"
    assert seen_by(entry, reader, News(4, 4, sent=False)) == "not-known"
    assert seen_by(entry, reader, News(4, 4, sent=True)) == "sent"
    assert seen_by(entry, reader, News(5, 4, sent=True)) == "held"
    assert seen_by(entry, reader, News(9, 5, sent=False)) == "shown"


def test_what_is_large_is_not_folded_for_a_screen(nodes: list[Node], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is listed by the output of before; who asks for it alone has it as it is."""
    two = Company(*nodes[:2])
    alpha = two.nodes[0]
    monkeypatch.setattr(space_standing, "FOLDED_ENTRIES_MAX", 1)
    row = next(
        row for row in space_standing.SpaceReading(alpha.store.database).all() if row.space.text == two.space
    )
    assert space_standing.standing_of(alpha.store, row) is None
    spaces_of(alpha).canonical(row.space)
    before = space_standing.standing_of(alpha.store, row)
    assert before is not None and before.is_current
    run(alpha, NoteInSpace(two.space, "more"))
    row = next(
        row for row in space_standing.SpaceReading(alpha.store.database).all() if row.space.text == two.space
    )
    after = space_standing.standing_of(alpha.store, row)
    assert after is not None and not after.is_current and after.raw == before.raw
    assert len(space_standing.standing_now(alpha.store, row).output["timeline"]) == 3
