"""The verbs of spaces on whole nodes: what each writes, who may, and what a vote would void before it is given."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest
from shared_spaces import Company, hand_over, held, id_of, partners, run
from store_rows import rows
from whole_nodes import NOW, World, befriend

from p2pshare.envelope.card import fingerprint
from p2pshare.envelope.entry import REAL
from p2pshare.errors import AuthorError, DiskFull, NotFoundError, RefusedError
from p2pshare.identifiers import EntryId
from p2pshare.intel.marking import Tlp
from p2pshare.node.home import STORE_NAME
from p2pshare.node.node import Node, close_node, open_node
from p2pshare.operations.cards import RevokeKey
from p2pshare.operations.space_entries import NOTHING, RedactEntry, RekeySpace, SeenInSpace
from p2pshare.operations.space_membership import (
    AcceptLead,
    DeclineSpace,
    HandOverSpace,
    InviteIntoSpace,
    JoinSpace,
    LeaveSpace,
    PreviewRemoval,
    RemoveFromSpace,
    ShowMemberCard,
    TrustMember,
)
from p2pshare.operations.space_takeover import (
    HIGHER_ROUND_SECONDS,
    AckTakeover,
    PreviewTakeover,
    TakeOver,
)
from p2pshare.operations.spaces import (
    AmbiguousId,
    CloseNotebook,
    ListSpaces,
    MarkShown,
    NoteInSpace,
    OpenSpace,
    PurgeSpace,
    ReopenNotebook,
    ShowSpace,
    TakeSpaceAgain,
    caught_up,
)
from p2pshare.sharing.partners import load_roster
from p2pshare.spaces import space_store
from p2pshare.spaces.heads import SpaceHeads, heads_of
from p2pshare.spaces.space_exchange import exchange_of, spaces_of
from p2pshare.spaces.space_store import SpaceReading
from p2pshare.spaces.spaces import REFUSED

LATER = NOW + HIGHER_ROUND_SECONDS


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Node]]:
    """Partners of each other; each test opens spaces of its own among them."""
    world = World(tmp_path_factory.mktemp("spaces"))
    yield partners(world, "alpha", "bravo", "charlie", "delta", "echo")
    world.close()


@pytest.fixture
def three(nodes: list[Node]) -> Company:
    return Company(*nodes[:3])


def refused(node: Node, request: object, now: int = NOW) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        run(node, request, now)  # type: ignore[arg-type]
    assert caught.value.exit_code == 5
    return caught.value


# --- who may -------------------------------------------------------------------------------------------


def test_what_the_lead_alone_may_names_the_lead_to_everybody_else(three: Company) -> None:
    alpha, bravo, charlie = three.nodes
    note = run(charlie, NoteInSpace(three.space, "mine")).entry
    three.meet()
    for request in (
        InviteIntoSpace(three.space, ("delta",)),
        RemoveFromSpace(three.space, ("charlie",)),
        HandOverSpace(three.space, "charlie"),
        CloseNotebook(three.space),
    ):
        error = refused(bravo, request)
        assert error.reason == "not-lead" and "alpha" in error.hint, request
    assert refused(bravo, RedactEntry(three.space, note)).reason in ("not-lead", "not-member")
    assert refused(bravo, AcceptLead(three.space)).reason == "not-handed"
    assert refused(alpha, LeaveSpace(three.space)).reason == "is-lead"
    assert refused(alpha, TakeOver(three.space)).reason == "is-lead"
    assert refused(alpha, RemoveFromSpace(three.space, ("alpha",))).reason == "is-lead"
    assert len(held(bravo, three.space)) == 4, "nothing of it was written"


def test_who_has_not_joined_writes_nothing_and_is_told_how_to(nodes: list[Node]) -> None:
    two = Company(*nodes[:2], are_joined=False)
    bravo = two.nodes[1]
    error = refused(bravo, NoteInSpace(two.space, "hello"))
    assert error.reason == "not-member" and "space join" in error.hint
    assert refused(bravo, LeaveSpace(two.space)).reason == "not-joined"
    run(bravo, JoinSpace(two.space[:6]))
    assert refused(bravo, JoinSpace(two.space)).reason == "joined"
    assert refused(bravo, DeclineSpace(two.space)).reason == "joined"
    run(bravo, NoteInSpace(two.space, "hello"))


def test_an_invitation_is_declined_with_and_without_its_opening(nodes: list[Node]) -> None:
    two = Company(*nodes[:2], are_joined=False)
    alpha, bravo = two.nodes
    run(bravo, DeclineSpace(two.space))
    two.meet()
    assert two.status_at(alpha, bravo) == "declined"
    charlie = nodes[2]
    other = run(alpha, InviteIntoSpace(two.space, ("charlie",))).entry
    [wire] = [entry.wire for entry in held(alpha, two.space) if entry.entry_id.text == other]
    spaces_of(charlie).take_in([wire], id_of(alpha), NOW)
    [listed] = [one for one in run(charlie, ListSpaces()).each if one.space == two.space]
    assert (listed.status, listed.kind, listed.opener, listed.entries) == ("invited", "", "alpha", 0)
    run(charlie, DeclineSpace(two.space[:8]))
    hand_over(two.space, alpha, charlie)
    assert two.status_at(charlie, charlie) == "declined"


def test_the_lead_goes_by_agreement_to_a_member_that_has_joined(three: Company) -> None:
    alpha, bravo, charlie = three.nodes
    run(charlie, LeaveSpace(three.space))
    three.meet()
    assert refused(alpha, HandOverSpace(three.space, "charlie")).reason == "not-joined"
    with pytest.raises(NotFoundError):
        run(alpha, HandOverSpace(three.space, "nobody"))
    run(alpha, HandOverSpace(three.space, id_of(bravo).text[:6]))
    three.meet()
    assert three.lead_of(alpha) == id_of(alpha).text, "an offer moves nothing"
    run(bravo, AcceptLead(three.space))
    three.meet()
    assert {three.lead_of(node) for node in three.nodes} == {id_of(bravo).text}
    run(bravo, CloseNotebook(three.space))
    run(alpha, LeaveSpace(three.space))


def test_a_notebook_is_closed_by_its_lead_and_opened_again_by_anybody(three: Company) -> None:
    alpha, bravo, _ = three.nodes
    run(alpha, CloseNotebook(three.space))
    three.meet()
    assert '"closed":true' in run(bravo, ShowSpace(three.space)).canonical
    run(bravo, ReopenNotebook(three.space))
    assert '"closed":false' in run(bravo, ShowSpace(three.space)).canonical


# --- ids -----------------------------------------------------------------------------------------------


def test_entries_and_members_are_called_by_six_digits_or_more(
    three: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    alpha, bravo, _ = three.nodes
    note = run(alpha, NoteInSpace(three.space, "mine")).entry
    with pytest.raises(AuthorError) as short:
        run(alpha, RedactEntry(three.space, note[:5]))
    assert short.value.reason == "bad-id"
    with pytest.raises(NotFoundError):
        run(alpha, RedactEntry(three.space, "0" * 63 + ("1" if note[0] == "0" else "0")))
    real = SpaceReading.entries_begin_with
    monkeypatch.setattr(
        SpaceReading, "entries_begin_with", lambda reading, row, digits: real(reading, row, "")
    )
    with pytest.raises(AmbiguousId) as several:
        run(alpha, RedactEntry(three.space, note))
    assert several.value.exit_code == 2 and note in str(several.value)
    monkeypatch.undo()
    for other in ("incident", "lab"):
        with pytest.raises(NotFoundError):
            run(bravo, LeaveSpace(three.space, only=other))


# --- the lead by a vote --------------------------------------------------------------------------------


def test_a_silent_lead_is_replaced_and_what_it_wrote_beside_the_vote_is_named_before(three: Company) -> None:
    alpha, bravo, charlie = three.nodes
    asked = run(bravo, PreviewTakeover(three.space))
    assert (asked.does, asked.needed, asked.voters, asked.lead, asked.lead_then) == (
        "propose",
        1,
        3,
        "alpha",
        "bravo",
    )
    assert asked.void == [] and asked.members_then == {}
    first = run(bravo, TakeOver(three.space))
    assert (first.does, first.needed, first.lead) == ("propose", 1, "alpha")
    removal = run(alpha, RemoveFromSpace(three.space, ("charlie",))).entry  # beside it
    three.meet()
    with pytest.raises(RefusedError) as caught:
        run(charlie, AckTakeover(three.space))
    assert f"--leave-out {removal[:10]}" in caught.value.hint
    shown = run(charlie, PreviewTakeover(three.space, is_ack=True, left_out=(removal,)))
    assert [(one.id, one.kind, one.reason) for one in shown.void] == [(removal, "remove", "cut")]
    assert shown.members_then == {"charlie": "joined"} and shown.needed == 0
    voted = run(charlie, AckTakeover(three.space, first.proposal[:6], (removal[:6],)))
    assert (voted.does, voted.needed, voted.lead) == ("back", 0, "bravo")
    three.meet()
    assert {three.lead_of(node) for node in three.nodes} == {id_of(bravo).text}
    assert three.status_at(alpha, charlie) == "joined"
    assert spaces_of(alpha).effect_of(EntryId.parse(three.space), EntryId.parse(removal)) == "cut"


def test_what_the_preview_says_is_what_the_vote_does(three: Company) -> None:
    """Whatever the lead writes beside the proposal: void and standing are what changes once the votes are there."""
    alpha, bravo, charlie = three.nodes
    run(bravo, TakeOver(three.space))
    run(alpha, NoteInSpace(three.space, "beside"))
    run(alpha, CloseNotebook(three.space))
    run(alpha, RemoveFromSpace(three.space, ("bravo",)))
    run(bravo, NoteInSpace(three.space, "mine"))
    three.meet()
    space = EntryId.parse(three.space)

    def codes() -> dict[str, str]:
        return {
            entry.entry_id.text: spaces_of(charlie).effect_of(space, entry.entry_id)
            for entry in held(charlie, three.space)
        }

    told = run(charlie, PreviewTakeover(three.space, is_ack=True))
    before = codes()
    run(charlie, AckTakeover(three.space))
    after = codes()
    assert {one.id for one in told.void} == {one for one in before if not before[one] and after[one]}
    assert {one.id for one in told.standing} == {one for one in before if before[one] and not after[one]}
    assert told.void and told.standing, "else nothing is shown"
    state = spaces_of(charlie).state(space)
    assert told.members_then == {"bravo": state.members[id_of(bravo)]}


def test_two_who_take_over_at_once_come_to_one_lead(nodes: list[Node]) -> None:
    five = Company(*nodes)
    _, bravo, charlie, delta, echo = five.nodes
    proposals = {node: run(node, TakeOver(five.space)).proposal for node in (bravo, charlie)}
    five.meet(bravo, charlie, delta, echo)
    first = min((bravo, charlie), key=id_of)
    for node in (delta, echo):
        voted = run(node, TakeOver(five.space))
        assert (voted.does, voted.proposal) == ("back", proposals[first]), "the first in the members' list"
        five.meet(bravo, charlie, delta, echo)
    assert five.lead_of(delta) == id_of(first).text


def test_a_split_vote_waits_ten_minutes_and_goes_on_in_a_higher_round(nodes: list[Node]) -> None:
    four = Company(*nodes[:4])
    _, bravo, charlie, delta = four.nodes
    for node in (bravo, charlie):
        run(node, TakeOver(four.space))
    four.meet(bravo, charlie, delta)
    error = refused(bravo, TakeOver(four.space), LATER - 1)
    assert error.reason == "voted"
    assert run(bravo, PreviewTakeover(four.space), LATER - 1).does == "wait"
    again = run(bravo, TakeOver(four.space), LATER)
    assert again.does == "propose"
    four.meet(bravo, charlie, delta)
    for node in (charlie, delta):
        assert run(node, TakeOver(four.space), LATER).proposal == again.proposal
        four.meet(bravo, charlie, delta)
    assert four.lead_of(delta) == id_of(bravo).text


def test_a_lead_that_removed_everybody_is_voted_out_by_those_who_leave_that_out(three: Company) -> None:
    alpha, bravo, charlie = three.nodes
    note = run(charlie, NoteInSpace(three.space, "before")).entry
    three.meet()
    removal = run(alpha, RemoveFromSpace(three.space, ("bravo", "charlie"))).entry
    run(alpha, NoteInSpace(three.space, "after"))
    three.meet()
    assert refused(bravo, TakeOver(three.space)).reason == "not-member"
    left_out = (removal[:10],)
    asked = run(bravo, PreviewTakeover(three.space, left_out=left_out))
    assert (asked.does, asked.lead_then) == ("propose", "bravo")
    assert asked.members_then == {"bravo": "joined", "charlie": "joined"}
    proposed = run(bravo, TakeOver(three.space, left_out))
    [takeover] = [one for one in held(bravo, three.space) if one.entry_id.text == proposed.entry]
    assert EntryId.parse(note) in takeover.header.parents, "what stood beside the removal stays in its past"
    three.meet()
    run(charlie, AckTakeover(three.space, left_out=left_out))
    three.meet()
    assert {three.lead_of(node) for node in three.nodes} == {id_of(bravo).text}
    assert {three.status_at(alpha, node) for node in three.nodes} == {"joined"}


def test_what_an_own_entry_follows_cannot_be_left_out(three: Company) -> None:
    alpha, bravo, _ = three.nodes
    note = run(alpha, NoteInSpace(three.space, "mine")).entry
    three.meet()
    run(bravo, NoteInSpace(three.space, "behind it"))
    assert refused(bravo, TakeOver(three.space, (note,))).reason == "in-own-past"
    assert refused(bravo, PreviewTakeover(three.space, left_out=(note,))).reason == "in-own-past"


def test_nothing_to_vote_for_is_not_found_and_another_entry_is_no_proposal(three: Company) -> None:
    bravo = three.nodes[1]
    with pytest.raises(NotFoundError):
        run(bravo, AckTakeover(three.space))
    assert refused(bravo, AckTakeover(three.space, three.space)).reason == "no-proposal"


# --- entries -------------------------------------------------------------------------------------------


def test_a_redacted_body_leaves_the_store_and_does_not_come_back(three: Company) -> None:
    alpha, bravo, charlie = three.nodes
    secret = "the-name-of-a-victim" * 8
    note = run(bravo, NoteInSpace(three.space, secret)).entry
    [whole] = [one for one in held(bravo, three.space) if one.entry_id.text == note]
    three.meet()
    run(charlie, ShowSpace(three.space))
    spaces_of(charlie).canonical(EntryId.parse(three.space))  # the text is in the checkpoint, too
    run(alpha, RedactEntry(three.space, note))
    three.meet(now=NOW + 60)
    for node in three.nodes:
        assert secret not in run(node, ShowSpace(three.space)).canonical
        [verdict] = spaces_of(node).take_in([whole.wire], id_of(alpha), NOW + 120).verdicts
        assert verdict.status == "already-held"
        assert rows(
            node.home / STORE_NAME,
            "SELECT body IS NULL FROM space_entry WHERE entry_id = ?",
            bytes(whole.entry_id),
        ) == [(1,)]
        while spaces_of(node).go_on(NOW + 180):  # as the daemon does: nobody asks a member to cut its log
            pass
        assert secret.encode() not in bytes_of(node)


def test_a_deciding_entry_and_an_unknown_one_are_not_redacted(three: Company) -> None:
    assert refused(three.nodes[0], RedactEntry(three.space, three.space)).reason == "no-entry"


def test_a_thiefs_entries_are_disowned_after_the_key_was_revoked(world: World) -> None:
    three = Company(*partners(world, "alpha", "bravo"))
    bravo = three.nodes[1]
    good = run(bravo, NoteInSpace(three.space, "mine")).entry
    bad = run(bravo, NoteInSpace(three.space, "the thief's")).entry
    old = bravo.identity.operational.sign.key_id
    assert refused(bravo, RekeySpace(three.space, good)).reason == "not-revoked"
    assert refused(bravo, RekeySpace(three.space, good, old.text)).reason == "not-revoked"
    run(bravo, RevokeKey(old.text, "lost"))
    with pytest.raises(AuthorError) as caught:
        run(bravo, RekeySpace(three.space, ""))
    assert bad in caught.value.hint
    assert refused(bravo, RekeySpace(three.space, three.space)).reason == "not-own"
    run(bravo, RekeySpace(three.space, good[:8]))
    shown = run(bravo, ShowSpace(three.space)).canonical
    assert "mine" in shown and "the thief's" not in shown
    run(bravo, RekeySpace(three.space, NOTHING, old.text))
    assert "mine" not in run(bravo, ShowSpace(three.space)).canonical


def test_seen_says_what_is_known_and_marks_what_a_person_was_shown(three: Company) -> None:
    alpha, bravo, charlie = three.nodes
    note = run(bravo, NoteInSpace(three.space, "mine")).entry
    three.meet()
    told = run(alpha, SeenInSpace(three.space, 1))
    [entry] = told.entries
    assert (entry.id, entry.here, told.total) == (note, "held", 4)
    assert entry.members == {id_of(bravo).text: "shown", id_of(charlie).text: "not-known"}
    numbers = run(alpha, ShowSpace(three.space)).numbers
    with pytest.raises(AuthorError):
        run(alpha, MarkShown(three.space, {"no id": 7}))
    run(alpha, MarkShown(three.space, numbers))
    assert run(alpha, SeenInSpace(three.space, 1)).entries[0].here == "shown"
    run(alpha, MarkShown(three.space, dict.fromkeys(numbers, 1)))
    assert run(alpha, SeenInSpace(three.space, 1)).entries[0].here == "shown", "what was shown stays shown"
    reading = SpaceReading(alpha.store.database)
    row = reading.find(EntryId.parse(three.space))
    assert row is not None and reading.shown(row).keys() == {id_of(node) for node in three.nodes}


def test_what_members_showed_in_their_heads_is_told_of_each_entry(three: Company) -> None:
    alpha, bravo, charlie = three.nodes
    note = run(alpha, NoteInSpace(three.space, "mine")).entry
    space = EntryId.parse(three.space)

    def word() -> dict[str, str]:
        return run(alpha, SeenInSpace(three.space, 1)).entries[0].members

    def shows(node: Node) -> None:
        reading = SpaceReading(node.store.database)
        row = reading.find(space)
        assert row is not None
        graph = spaces_of(node).fold_of(space).graph
        partners = tuple(sorted(id_of(one) for one in three.nodes if one is not node))
        heads = SpaceHeads(REAL, space, heads_of(graph, reading.shown(row)), (), (), (), partners, asks=False)
        exchange_of(alpha).heads_came(id_of(node), heads, NOW)

    shows(bravo)
    assert word() == {id_of(bravo).text: "not-known", id_of(charlie).text: "not-known"}, "before it had it"
    row = SpaceReading(alpha.store.database).find(space)
    assert row is not None
    store = space_store.SpaceStore(alpha.store.database)
    [last] = [one for one in held(alpha, three.space) if one.entry_id.text == note]
    store.note_handed(row, id_of(charlie), {id_of(alpha): last.header.number}, NOW)
    assert word()[id_of(charlie).text] == "sent"
    hand_over(three.space, alpha, bravo)
    shows(bravo)
    assert word()[id_of(bravo).text] == "held"
    run(bravo, MarkShown(three.space, run(bravo, ShowSpace(three.space)).numbers))
    shows(bravo)
    assert word() == {id_of(bravo).text: "shown", id_of(charlie).text: "sent"}
    assert run(alpha, ShowSpace(three.space)).links.parted_by == []
    assert run(charlie, PurgeSpace(three.space)).left == 0
    assert charlie.space_exchange is not None, "and travel forgets it"


# --- members that are no partners ----------------------------------------------------------------------


@pytest.fixture
def apart(world: World) -> Iterator[tuple[str, Node, Node, Node]]:
    """A space of alpha's, whose partners bravo and charlie are none of each other; bravo has charlie's card beside entries."""
    alpha, bravo, charlie = (world.found(name) for name in ("alpha", "bravo", "charlie"))
    for other in (bravo, charlie):
        befriend(alpha, other)
        befriend(other, alpha)
    space = run(alpha, OpenSpace("note", "ours", Tlp.GREEN, ("bravo", "charlie"))).space
    for node in (bravo, charlie):
        hand_over(space, alpha, node)
        run(node, JoinSpace(space))
        hand_over(space, node, alpha)
    hand_over(space, alpha, bravo)
    yield space, alpha, bravo, charlie


def test_a_member_that_is_no_partner_is_introduced_until_somebody_compares(
    apart: tuple[str, Node, Node, Node],
) -> None:
    space, alpha, bravo, charlie = apart
    member = id_of(charlie).text
    assert run(bravo, ShowSpace(space)).members[member].card == "none"
    with pytest.raises(NotFoundError):
        run(bravo, ShowMemberCard(space, member[:6]))
    card = charlie.identity.card
    spaces_of(bravo).take_card(card.raw, id_of(alpha), NOW)
    shown = run(bravo, ShowSpace(space)).members[member]
    assert (shown.card, shown.introduced_by, shown.name) == ("introduced", "alpha", None)
    assert run(bravo, ShowMemberCard(space, member[:6])).card == card.raw
    wrong = fingerprint(id_of(alpha))
    assert refused(bravo, TrustMember(space, member, wrong)).reason == "fingerprint-mismatch"
    assert run(bravo, ShowSpace(space)).members[member].card == "introduced", "nothing was added"
    added = run(bravo, TrustMember(space, member[:8], fingerprint(id_of(charlie)), has_link=False))
    assert added.partner_id == member and not added.has_link
    assert run(bravo, ShowSpace(space)).members[member].card == "partner"
    assert refused(bravo, ShowMemberCard(space, "alpha")).reason == "is-partner"
    with pytest.raises(NotFoundError):
        run(bravo, TrustMember(space, "0" * 6, wrong))


def test_open_and_remove_name_whose_loss_parts_the_members(apart: tuple[str, Node, Node, Node]) -> None:
    space, alpha, bravo, charlie = apart
    assert run(alpha, ShowSpace(space)).links.parted_by == ["alpha"]
    links = run(bravo, ShowSpace(space)).links
    assert links.not_known == [id_of(charlie).text] and links.parted_by == []
    without = run(alpha, PreviewRemoval(space, ("bravo",)))
    assert without.parted_by == [] and without.cut_off == []
    assert run(alpha, RemoveFromSpace(space, ("bravo",))).links == without


def test_what_is_to_be_done_before_somebody_writes_is_done_in_slices(nodes: list[Node]) -> None:
    """The daemon asks slice by slice, so that a person who writes into a large space holds up nobody."""
    two = Company(*nodes[:2])
    alpha, space = two.nodes[0], EntryId.parse(two.space)
    for number in range(20):
        run(alpha, NoteInSpace(two.space, f"note {number}"))
    run(alpha, CloseNotebook(two.space))
    alpha.spaces = None  # as after a start
    request = ReopenNotebook(two.space[:8])
    slices = 0
    while not caught_up(alpha, request, NOW):
        slices += 1
    assert slices > 3 and spaces_of(alpha).fold_of(space).is_current
    run(alpha, InviteIntoSpace(two.space, ("charlie",)))
    assert not spaces_of(alpha).fold_of(space).is_current
    while not caught_up(alpha, request, NOW):  # the pause of ten seconds is not kept
        slices += 1
    assert spaces_of(alpha).fold_of(space).is_current
    for unknown in (ReopenNotebook("0" * 64), ReopenNotebook("no id"), ListSpaces()):
        assert caught_up(alpha, unknown, NOW), "the request itself says what is wrong"


# --- keeping -------------------------------------------------------------------------------------------


def test_a_copy_of_the_home_has_every_space_whole(three: Company, tmp_path: Path) -> None:
    """What stands for a backup today: the store by VACUUM INTO, beside a writer, and the files of the home."""
    bravo = three.nodes[1]
    run(bravo, NoteInSpace(three.space, "kept"))
    home = tmp_path / "restored"
    shutil.copytree(bravo.home, home, ignore=shutil.ignore_patterns(f"{STORE_NAME}*", "run"))
    with closing(apsw.Connection(str(bravo.home / STORE_NAME), flags=apsw.SQLITE_OPEN_READONLY)) as store:
        store.execute("VACUUM INTO ?", (str(home / STORE_NAME),)).fetchall()
    (home / STORE_NAME).chmod(0o600)
    node = open_node(home)
    try:
        assert run(node, ShowSpace(three.space)) == run(bravo, ShowSpace(three.space))
        run(node, NoteInSpace(three.space, "and goes on"))
    finally:
        close_node(node)


# --- purging -------------------------------------------------------------------------------------------


def bytes_of(node: Node) -> bytes:
    """All bytes of the store and its log."""
    return b"".join(path.read_bytes() for path in sorted(node.home.glob(f"{STORE_NAME}*")))


def test_a_purged_space_leaves_no_byte_of_its_bodies_and_does_not_come_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space_store, "PURGED_AT_ONCE", 4)
    three = Company(*partners(world, "alpha", "charlie"))
    alpha, charlie = three.nodes
    marks = [f"<<{number:04}-secret>>" for number in range(12)]
    for mark in marks[:8]:
        run(alpha, NoteInSpace(three.space, mark * 3 + "x" * (50 if len(mark) % 2 else 9_000)))
    kept = run(charlie, OpenSpace("note", "kept", Tlp.GREEN)).space
    run(charlie, NoteInSpace(kept, "stays"))
    lost = run(alpha, NoteInSpace(three.space, marks[8])).entry
    waits = [run(alpha, NoteInSpace(three.space, mark)).entry for mark in marks[9:]]
    for entry in held(alpha, three.space):
        if entry.entry_id.text != lost:
            spaces_of(charlie).take_in([entry.wire], id_of(alpha), NOW)
    assert len(SpaceReading(charlie.store.database).waiting()) == len(waits)
    spaces_of(charlie).canonical(EntryId.parse(three.space))
    run(charlie, MarkShown(three.space, run(charlie, ShowSpace(three.space)).numbers))
    assert all(mark.encode() in bytes_of(charlie) for mark in [*marks[:8], *marks[9:]])
    path, left = charlie.home / STORE_NAME, []
    while not left or left[-1]:
        purged = run(charlie, PurgeSpace(three.space[:6]))
        left.append(purged.left)
        assert [one.space for one in run(charlie, ListSpaces()).each] == [kept], "gone from the first step on"
    assert len(left) > 2 and left == sorted(left, reverse=True)
    assert purged.is_overwritten
    found = bytes_of(charlie)
    assert [mark for mark in marks if mark.encode() in found] == []
    assert b"stays" in found
    assert rows(path, "SELECT count(*) FROM space_entry") == [(2,)]
    assert rows(path, "SELECT count(*) FROM space_parent") == [(1,)]
    hand_over(three.space, alpha, charlie)
    assert rows(path, "SELECT count(*) FROM space_entry") == [(2,)]
    assert charlie.store.partners.refusals()["not-a-member"]
    with pytest.raises(NotFoundError):
        run(charlie, ShowSpace(three.space))
    run(charlie, TakeSpaceAgain(three.space[:6]))
    hand_over(three.space, alpha, charlie)
    assert len(held(charlie, three.space)) == len(held(alpha, three.space))


def test_a_purge_that_was_interrupted_is_ended_by_the_same_command(
    three: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space_store, "PURGED_AT_ONCE", 1)
    charlie = three.nodes[2]
    assert run(charlie, PurgeSpace(three.space)).left == 2
    charlie.spaces = None  # another process
    with pytest.raises(NotFoundError):
        run(charlie, NoteInSpace(three.space, "late"))
    with pytest.raises(NotFoundError):
        run(charlie, TakeSpaceAgain(three.space))
    hand_over(three.space, three.nodes[0], charlie)
    assert [run(charlie, PurgeSpace(three.space)).left for _ in range(2)] == [1, 0]
    with pytest.raises(NotFoundError):
        run(charlie, PurgeSpace("0" * 64))


def test_what_is_written_after_a_purge_leaves_though_it_has_the_places_of_what_was_purged(
    world: World,
) -> None:
    """SQLite gives the numbers of deleted rows again: what travel has told by number would hide what comes next."""
    two = Company(*partners(world, "alpha", "bravo"))
    alpha, bravo = two.nodes
    spare = run(alpha, OpenSpace("note", "spare", Tlp.GREEN)).space
    for number in range(5):
        run(alpha, NoteInSpace(spare, f"note {number}"))
    exchange, roster = exchange_of(alpha), load_roster(alpha)

    def sent(now: int) -> int:
        while exchange.step(now, roster, {id_of(bravo)}) == 0.0:
            pass
        return alpha.store.log.counts().held

    settled = sent(NOW + 100)
    assert sent(NOW + 101) == settled
    assert run(alpha, PurgeSpace(spare)).left == 0
    run(alpha, NoteInSpace(two.space, "goes out"))
    assert sent(NOW + 102) > settled


def test_an_invitation_is_purged_before_its_opening_came(nodes: list[Node]) -> None:
    alpha, bravo = nodes[:2]
    space = run(alpha, OpenSpace("note", "ours", Tlp.GREEN)).space
    run(alpha, InviteIntoSpace(space, ("bravo",)))
    invite = held(alpha, space)[-1]
    spaces_of(bravo).take_in([invite.wire], id_of(alpha), NOW)
    assert run(bravo, PurgeSpace(space[:6])).left == 0
    [verdict] = spaces_of(bravo).take_in([invite.wire], id_of(alpha), NOW).verdicts
    assert (verdict.status, verdict.reason) == (REFUSED, "not-a-member")
    assert space not in [one.space for one in run(bravo, ListSpaces()).each]


def test_a_full_disk_keeps_nobody_from_purging(three: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    charlie = three.nodes[2]
    monkeypatch.setattr(charlie.store.database, "free_space_bytes_min", 1 << 60)
    with pytest.raises(DiskFull):
        run(charlie, NoteInSpace(three.space, "no room"))
    assert run(charlie, PurgeSpace(three.space)).left == 0
