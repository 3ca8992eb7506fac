"""What a node notes of invitations: one guest a line, a person's yes, and nothing believed before it. On a real store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from store_rows import rows
from whole_nodes import NOW, World, befriend

from p2pshare.envelope.card import fingerprint, split_versions
from p2pshare.envelope.invitation import (
    GuestIntroduced,
    JoinState,
    Meeting,
    commitment_to,
    decode_line,
    sign_as_guest,
)
from p2pshare.envelope.keys import Identity, create_identity, reissue_card
from p2pshare.errors import AuthorError, NotFoundError, PeerError, RefusedError, ShareError
from p2pshare.node.node import Node
from p2pshare.operations.inviting import ShowInvitation
from p2pshare.operations.pending import AcceptPending, ListPending, PendingPartner, RefusePending
from p2pshare.partners.invited import (
    KEPT_MAX,
    KEPT_SECONDS,
    PINNED_MAX,
    Invitation,
    InvitationState,
    JoinedGuest,
    Joining,
    ask_pause,
)
from p2pshare.queries.alarms import alarms
from p2pshare.sharing import inviting
from p2pshare.sharing.partners import load_roster, remove_partner

VECTORS = json.loads(
    (Path(__file__).parent.parent / "vectors" / "invitation.json").read_text(encoding="ascii")
)
DAY = 86_400
NONCE, HOST_NONCE = bytes(range(32)), bytes(32)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture
def alpha(world: World) -> Node:
    return world.found("alpha")


@pytest.fixture(scope="module")
def identities() -> dict[str, Identity]:
    return {
        name: create_identity(f"{name} CERT", ["https://guest.example:8443"], NOW)
        for name in ("bravo", "mallory", "charlie")
    }


def invite(node: Node, name: str = "bravo", now: int = NOW) -> str:
    return inviting.invite(node, name, now).line


def come(
    node: Node, text: str, guest: Identity, *, nonce: bytes = NONCE, now: int = NOW, committed: bytes = b""
) -> JoinState:
    """All that the host does for one guest."""
    line = decode_line(text)
    certificate = line.key().certificate
    inviting.begin_join(node, certificate, now)
    meeting = Meeting(
        line.host,
        certificate,
        node.identity.operational.tls.certificate,
        node.card.raw,
        guest.card.raw,
        commitment_to(committed or nonce, guest.card.raw),
        HOST_NONCE,
        nonce,
    )
    said = GuestIntroduced(nonce, guest.card.raw, sign_as_guest(guest.operational.sign, meeting))
    card = inviting.believe_guest(node, meeting, said, now)
    return inviting.admit_guest(node, meeting, card, "192.0.2.7", now)


def pending(node: Node, now: int = NOW) -> list[PendingPartner]:
    return ListPending().run(node, now, lambda *_: None).each


def accept(node: Node, who: str, now: int = NOW, **compared: str) -> Any:
    return AcceptPending(who, **compared).run(node, now, lambda *_: None)


def refuse(node: Node, who: str) -> None:
    RefusePending(who).run(node, NOW, lambda *_: None)


def shown(node: Node, name: str = "bravo", now: int = NOW) -> Any:
    return ShowInvitation(name).run(node, now, lambda *_: None)


def words_of(node: Node, name: str = "bravo") -> str:
    return shown(node, name).words


def told_alarms(node: Node) -> list[tuple[str, str]]:
    found = alarms(node.store, own_card=node.card, is_running=True, now=NOW)
    return [(one.partner, one.partner_id) for one in found if one.word == "invitation-used"]


# --- the state machine --------------------------------------------------------------------------------


@pytest.mark.parametrize("story", VECTORS["states"], ids=lambda story: story["name"])
def test_states_of_the_page(story: dict[str, Any], identities: dict[str, Identity]) -> None:
    invitation, now = Invitation("bravo", b"certificate", NOW, NOW + DAY), NOW
    for step, came in story["steps"]:
        word, _, who = step.partition(" ")
        try:
            match word:
                case "begin":
                    invitation = invitation.beginning(now)
                case "join":
                    guest = JoinedGuest(identities[who].partner_id, b"card", "words", "", now)
                    invitation = invitation.joined(guest)
                    if not invitation.is_of(guest.partner_id):
                        raise PeerError("x", reason="invitation-used")
                case "yes" | "no":
                    invitation = invitation.decided(is_confirmed=word == "yes")
                case "end":
                    now = invitation.expires
            outcome: Any = int(inviting.STATES[invitation.state]) if word == "ask" else invitation.state.value
        except ShareError as error:
            outcome = error.reason
        assert outcome == came, step
    later = None if invitation.later is None else [invitation.later, invitation.later_count]
    expected = story["later"]
    assert later == (None if expected is None else [identities[expected[0]].partner_id, expected[1]])


# --- inviting -----------------------------------------------------------------------------------------


def test_a_line_says_who_invites_and_the_store_does_not_hold_its_secret(alpha: Node) -> None:
    line = decode_line(invite(alpha))
    assert (line.host, line.expires) == (alpha.card.partner_id, NOW + DAY)
    assert line.url == alpha.card.urls[0]
    [row] = rows(alpha.home / "store.sqlite", "SELECT * FROM invitation")
    assert all(
        line.secret.reveal() not in (one if isinstance(one, bytes) else str(one).encode()) for one in row
    )
    [one] = inviting.pinned_invitations(alpha.store, NOW)
    assert one.certificate == line.key().certificate
    assert inviting.pinned_invitations(alpha.store, NOW + DAY) == []


def test_two_lines_have_two_secrets(alpha: Node) -> None:
    assert (
        len({decode_line(invite(alpha, name)).secret.reveal() for name in ("bravo", "charlie", "delta")}) == 3
    )


@pytest.mark.parametrize("name", ["", "-x", "a b", "x" * 65, "ä"])
def test_a_name_that_can_be_nobodys_is_refused(alpha: Node, name: str) -> None:
    with pytest.raises(AuthorError) as caught:
        invite(alpha, name)
    assert caught.value.reason == "bad-alias"


def test_a_partners_name_is_taken(world: World, alpha: Node) -> None:
    befriend(alpha, world.found("bravo"))
    with pytest.raises(AuthorError) as caught:
        invite(alpha, "bravo")
    assert caught.value.reason == "alias-taken"


def test_a_node_that_only_dials_invites_nobody(alpha: Node) -> None:
    alpha.identity = create_identity("Alpha", [], NOW)
    with pytest.raises(RefusedError) as caught:
        invite(alpha)
    assert caught.value.reason == "no-address"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://[2001:db8::7]:8443", "[2001:db8::7]:8443"),
        ("https://alpha.example", "alpha.example:443"),
        ("https://192.0.2.7:1", "192.0.2.7:1"),
    ],
)
def test_the_address_in_a_line_is_that_of_the_card(alpha: Node, url: str, address: str) -> None:
    alpha.identity = create_identity("Alpha", [url, "https://second.example:1"], NOW)
    line = decode_line(invite(alpha))
    assert line.address == address


def test_inviting_a_name_again_ends_the_older_line(alpha: Node, identities: dict[str, Identity]) -> None:
    older, newer = invite(alpha), invite(alpha)
    with pytest.raises(PeerError) as caught:
        come(alpha, older, identities["bravo"])
    assert caught.value.reason == "invitation-used"
    assert come(alpha, newer, identities["bravo"]) == JoinState.WAITING
    with pytest.raises(RefusedError) as refused:
        invite(alpha)
    assert refused.value.reason == "already-joined"


def test_thirty_two_are_open_and_who_was_accepted_or_refused_makes_room(
    alpha: Node, identities: dict[str, Identity]
) -> None:
    lines = [invite(alpha, f"name-{number}") for number in range(PINNED_MAX)]
    with pytest.raises(RefusedError) as caught:
        invite(alpha, "one-more")
    assert caught.value.reason == "too-many-invitations"
    come(alpha, lines[5], identities["bravo"])
    accept(alpha, identities["bravo"].partner_id.text, words=words_of(alpha, "name-5"))
    invite(alpha, "one-more")
    assert len(inviting.pinned_invitations(alpha.store, NOW)) == PINNED_MAX
    invite(alpha, "name-3")
    assert len(inviting.pinned_invitations(alpha.store, NOW)) == PINNED_MAX, (
        "it took the place of its older line"
    )
    invite(alpha, "next-day", NOW + DAY)


def test_what_is_over_is_forgotten_after_a_week_and_never_too_much_is_kept(alpha: Node) -> None:
    for number in range(KEPT_MAX + 10):
        alpha.store.invitations.put(
            Invitation(f"n{number}", bytes([number % 256, number // 256]), NOW, NOW + DAY)
        )
    alpha.store.invitations.forget_old(NOW)
    assert len(alpha.store.invitations.given_out()) == KEPT_MAX
    alpha.store.invitations.forget_old(NOW + DAY + KEPT_SECONDS + 1)
    assert alpha.store.invitations.given_out() == []


# --- one guest ----------------------------------------------------------------------------------------


def test_who_joined_waits_and_is_no_partner(alpha: Node, identities: dict[str, Identity]) -> None:
    line = invite(alpha)
    assert come(alpha, line, identities["bravo"]) == JoinState.WAITING
    [one] = pending(alpha)
    assert (one.partner_id, one.name, one.source) == (
        identities["bravo"].partner_id.text,
        "bravo CERT",
        "invitation",
    )
    assert (one.url, one.address, one.words) == ("https://guest.example:8443", "192.0.2.7", True)
    assert len(load_roster(alpha)) == 0


def test_a_yes_adds_the_partner_under_the_name_of_the_invitation(
    alpha: Node, identities: dict[str, Identity]
) -> None:
    line, bravo = invite(alpha, "our-bravo"), identities["bravo"]
    come(alpha, line, bravo)
    accepted = accept(alpha, bravo.partner_id.text[:8], words=words_of(alpha, "our-bravo").upper())
    assert (accepted.alias, accepted.state) == ("our-bravo", "partner")
    [entry] = load_roster(alpha)
    assert (entry.alias, entry.has_link, entry.card.raw) == ("our-bravo", True, bravo.card.raw)
    assert entry.circles
    assert pending(alpha) == []
    certificate = decode_line(line).key().certificate
    assert inviting.told_state(alpha, certificate) == JoinState.CONFIRMED


def test_the_fingerprint_confirms_as_well_as_the_words(alpha: Node, identities: dict[str, Identity]) -> None:
    come(alpha, invite(alpha), identities["bravo"])
    who = identities["bravo"].partner_id
    with pytest.raises(RefusedError) as caught:
        accept(alpha, who.text, fingerprint=fingerprint(identities["mallory"].partner_id))
    assert caught.value.reason == "fingerprint-mismatch"
    accept(alpha, who.text, fingerprint=fingerprint(who))
    assert len(load_roster(alpha)) == 1


@pytest.mark.parametrize(
    "typed", ["", "abacus", "abacus abdomen abide ability ablaze able", "not words at all, is it?"]
)
def test_wrong_words_add_nobody(alpha: Node, identities: dict[str, Identity], typed: str) -> None:
    come(alpha, invite(alpha), identities["bravo"])
    with pytest.raises(RefusedError) as caught:
        accept(alpha, identities["bravo"].partner_id.text, words=typed)
    assert (caught.value.reason, caught.value.exit_code) == ("wrong-words", 5)
    assert len(load_roster(alpha)) == 0 and len(pending(alpha)) == 1


def test_nobody_waits_under_another_id(alpha: Node, identities: dict[str, Identity]) -> None:
    come(alpha, invite(alpha), identities["bravo"])
    with pytest.raises(NotFoundError):
        accept(alpha, identities["mallory"].partner_id.text, words=words_of(alpha))


def test_a_no_uses_the_line_up_and_adds_nobody(alpha: Node, identities: dict[str, Identity]) -> None:
    line = invite(alpha)
    come(alpha, line, identities["bravo"])
    refuse(alpha, identities["bravo"].partner_id.text)
    assert pending(alpha) == [] and len(load_roster(alpha)) == 0
    assert inviting.told_state(alpha, decode_line(line).key().certificate) == JoinState.REFUSED
    with pytest.raises(PeerError) as caught:
        come(alpha, line, identities["bravo"])
    assert caught.value.reason == "invitation-used"


def test_a_stranger_that_joins_first_is_seen_by_words_fingerprint_and_alarm(
    alpha: Node, identities: dict[str, Identity]
) -> None:
    """The line was read on its way: mallory comes before bravo."""
    line, bravo, mallory = invite(alpha), identities["bravo"], identities["mallory"]
    come(alpha, line, mallory)
    assert told_alarms(alpha) == []
    with pytest.raises(PeerError) as caught:
        come(alpha, line, bravo)
    assert caught.value.reason == "invitation-used"
    assert told_alarms(alpha) == [("bravo", bravo.partner_id.text)]
    [one] = [
        one
        for one in alarms(alpha.store, own_card=alpha.card, is_running=True, now=NOW)
        if one.word == "invitation-used"
    ]
    assert fingerprint(mallory.partner_id) in one.message and fingerprint(bravo.partner_id) in one.message
    assert [one.partner_id for one in pending(alpha)] == [mallory.partner_id.text]
    refuse(alpha, mallory.partner_id.text)
    come(alpha, invite(alpha), bravo)
    assert told_alarms(alpha) == [], "inviting anew ends the alarm"


def test_a_stranger_that_comes_second_is_refused_which_ends_the_alarm(
    alpha: Node, identities: dict[str, Identity]
) -> None:
    """bravo has joined and is confirmed; mallory has read the line as well."""
    line, bravo, mallory = invite(alpha), identities["bravo"], identities["mallory"]
    come(alpha, line, bravo)
    accept(alpha, bravo.partner_id.text, words=words_of(alpha))
    with pytest.raises(PeerError):
        come(alpha, line, mallory)
    assert told_alarms(alpha) == [("bravo", mallory.partner_id.text)]
    [hint] = [
        one.hint
        for one in alarms(alpha.store, own_card=alpha.card, is_running=True, now=NOW)
        if one.word == "invitation-used"
    ]
    assert f"p2pshare partner refuse {mallory.partner_id.short}" in hint
    with pytest.raises(NotFoundError):
        accept(alpha, mallory.partner_id.text, fingerprint=fingerprint(mallory.partner_id))
    refuse(alpha, mallory.partner_id.short)
    assert told_alarms(alpha) == [] and len(load_roster(alpha)) == 1
    with pytest.raises(PeerError):
        come(alpha, line, mallory)
    assert told_alarms(alpha) == [("bravo", mallory.partner_id.text)], "once more is a new alarm"


def test_a_stranger_that_was_confirmed_is_removed_and_the_next_invitation_ends_the_alarm(
    alpha: Node, identities: dict[str, Identity]
) -> None:
    line, bravo, mallory = invite(alpha), identities["bravo"], identities["mallory"]
    come(alpha, line, mallory)
    accept(alpha, mallory.partner_id.text, words=words_of(alpha))
    with pytest.raises(PeerError):
        come(alpha, line, bravo)
    with pytest.raises(AuthorError) as caught:
        invite(alpha)
    assert "--alias" not in caught.value.hint, "invite has no such option"
    remove_partner(alpha, "bravo")
    invite(alpha)
    assert told_alarms(alpha) == []


def test_a_line_that_somebody_tries_out_is_used_up_and_alarmed(
    alpha: Node, identities: dict[str, Identity]
) -> None:
    certificate = decode_line(invite(alpha)).key().certificate
    for _ in range(16):
        assert told_alarms(alpha) == []
        inviting.begin_join(alpha, certificate, NOW)
    with pytest.raises(PeerError) as caught:
        inviting.begin_join(alpha, certificate, NOW)
    assert caught.value.reason == "invitation-used"
    assert told_alarms(alpha) == [("bravo", alpha.card.partner_id.text)]


def test_the_same_guest_comes_again_with_other_words(alpha: Node, identities: dict[str, Identity]) -> None:
    """Its connection had broken before it heard the host's signature."""
    line, bravo = invite(alpha), identities["bravo"]
    come(alpha, line, bravo)
    before = words_of(alpha)
    come(alpha, line, bravo, nonce=bytes(reversed(NONCE)))
    assert words_of(alpha) != before
    with pytest.raises(RefusedError):
        accept(alpha, bravo.partner_id.text, words=before)
    accept(alpha, bravo.partner_id.text, words=words_of(alpha))
    assert come(alpha, line, bravo) == JoinState.CONFIRMED
    assert told_alarms(alpha) == []


def test_a_guest_that_chose_its_nonce_late_is_refused(alpha: Node, identities: dict[str, Identity]) -> None:
    """Or it would try nonces until the words are those that it wants."""
    with pytest.raises(PeerError) as caught:
        come(alpha, invite(alpha), identities["mallory"], committed=bytes(32))
    assert caught.value.reason == "join-commitment"
    assert pending(alpha) == []


def test_a_guest_after_the_end_is_told_so(alpha: Node, identities: dict[str, Identity]) -> None:
    line = invite(alpha)
    with pytest.raises(PeerError) as caught:
        come(alpha, line, identities["bravo"], now=NOW + DAY)
    assert caught.value.reason == "invitation-expired"
    assert shown(alpha, now=NOW + DAY).here == "ended"


def test_a_name_that_imitates_a_partner_is_shown_as_such(world: World, alpha: Node) -> None:
    befriend(alpha, world.found("charlie"))
    name = next(iter(load_roster(alpha))).card.name
    lookalike = create_identity(name.replace("l", "1").replace("i", "l"), [], NOW)
    come(alpha, invite(alpha, "new"), lookalike)
    [one] = pending(alpha)
    assert any("charlie" in note for note in one.notes)


def test_a_guest_whose_card_is_no_card_or_old_is_refused(
    alpha: Node, identities: dict[str, Identity]
) -> None:
    bravo = identities["bravo"]
    renewed = reissue_card(bravo, NOW, name="Bravo Two")
    come(alpha, invite(alpha), renewed)
    accept(alpha, bravo.partner_id.text, words=words_of(alpha))
    second = invite(alpha, "again")
    for guest, reason in (
        (bravo, "card-rollback"),
        (reissue_card(bravo, NOW, name="Bravo Fork"), "card-fork"),
    ):
        with pytest.raises(PeerError) as caught:
            come(alpha, second, guest)
        assert caught.value.reason == reason
    gap = replace(renewed, card=replace(renewed.card, raw=split_versions(renewed.card.raw)[-1]))
    third = create_identity("Third", [], NOW)
    for guest, reason in (
        (replace(third, card=replace(third.card, raw=b"no card")), "malformed"),
        (replace(third, card=replace(third.card, raw=b"")), "malformed"),
        (alpha.identity, "own-card"),
    ):
        with pytest.raises(PeerError) as caught:
            come(alpha, second, guest)
        assert caught.value.reason == reason
    assert come(alpha, second, gap) == JoinState.WAITING, "the rest of its chain is known here"


def test_a_known_partner_that_joins_keeps_its_alias(world: World, alpha: Node) -> None:
    bravo = world.found("bravo")
    befriend(alpha, bravo)
    come(alpha, invite(alpha, "other-name"), bravo.identity)
    assert [one.notes for one in pending(alpha)] == [["is your partner 'bravo' already"]]
    assert accept(alpha, bravo.card.partner_id.text, words=words_of(alpha, "other-name")).alias == "bravo"
    assert len(load_roster(alpha)) == 1


def test_who_came_by_two_lines_waits_once_and_one_yes_is_enough(
    alpha: Node, identities: dict[str, Identity]
) -> None:
    bravo = identities["bravo"]
    for name in ("one", "two"):
        come(alpha, invite(alpha, name), bravo)
    assert len(pending(alpha)) == 1
    assert accept(alpha, bravo.partner_id.text, words=words_of(alpha, "one")).alias == "two"
    assert pending(alpha) == []
    assert {shown(alpha, name).here for name in ("one", "two")} == {"confirmed"}


def test_two_that_have_invited_one_another_wait_once(world: World, alpha: Node) -> None:
    bravo = world.found("bravo")
    joined(bravo, alpha)
    come(bravo, invite(bravo, "alpha"), alpha.identity)
    assert len(pending(bravo)) == 1
    accept(bravo, alpha.card.partner_id.text, words="one two three")
    assert pending(bravo) == [] and len(load_roster(bravo)) == 1


def test_a_knock_of_who_has_joined_is_no_second_row(alpha: Node, identities: dict[str, Identity]) -> None:
    from p2pshare.envelope.knock import place_asked
    from p2pshare.sharing.pending import hear_place, note_place

    bravo = identities["bravo"]
    come(alpha, invite(alpha), bravo)
    place = place_asked(
        bravo.partner_id, "bravo", "", bravo.operational.tls, host=alpha.card.partner_id, nonce=NONCE
    )
    assert hear_place(alpha, place, NONCE)
    note_place(alpha, place, "192.0.2.7", "192.0.2.0/24", lambda each: each[0], NOW)
    assert [one.source for one in pending(alpha)] == ["invitation"]
    accept(alpha, bravo.partner_id.text, words=words_of(alpha))
    note_place(alpha, place, "192.0.2.7", "192.0.2.0/24", lambda each: each[0], NOW)
    assert pending(alpha) == [], "nor is one that was heard before the yes, and noted after it"


# --- the guest's side ---------------------------------------------------------------------------------


def joined(node: Node, host: Node, *, state: JoinState = JoinState.WAITING, alias: str = "") -> Joining:
    line = decode_line(invite(host, "guest"))
    return inviting.note_joined(node, line, host.card, "one two three", alias, state, NOW)


def test_the_host_waits_on_the_guests_side_until_its_person_says_yes(world: World, alpha: Node) -> None:
    bravo = world.found("bravo")
    joined(bravo, alpha)
    [one] = pending(bravo)
    assert (one.partner_id, one.source, one.words) == (alpha.card.partner_id.text, "invitation", True)
    assert len(load_roster(bravo)) == 0
    accept(bravo, alpha.card.partner_id.text, words="one two three")
    assert [entry.partner_id for entry in load_roster(bravo)] == [alpha.card.partner_id]
    [followed] = inviting.followed(bravo.store, NOW)
    assert (followed.here, followed.there) == (InvitationState.CONFIRMED, InvitationState.WAITING)
    inviting.note_host_said(bravo, alpha.card.partner_id, followed.secret, JoinState.CONFIRMED)
    assert inviting.followed(bravo.store, NOW) == []
    assert (
        ShowInvitation(host=alpha.card.partner_id.text).run(bravo, NOW, lambda *_: None).there == "confirmed"
    )


def test_a_host_that_said_no_does_not_wait_and_is_not_asked(world: World, alpha: Node) -> None:
    bravo = world.found("bravo")
    joined(bravo, alpha, state=JoinState.REFUSED)
    assert pending(bravo) == [] and inviting.followed(bravo.store, NOW) == []


def test_a_host_is_asked_no_longer_than_its_invitation_lives(world: World, alpha: Node) -> None:
    bravo = world.found("bravo")
    joined(bravo, alpha)
    assert inviting.followed(bravo.store, NOW + DAY - 1) != []
    assert inviting.followed(bravo.store, NOW + DAY) == []
    refuse(bravo, alpha.card.partner_id.text)
    assert inviting.followed(bravo.store, NOW) == []


def test_a_host_that_was_removed_here_waits_again_when_its_line_is_read_again(
    world: World, alpha: Node
) -> None:
    """The yes of before went with the partner: `join` must not say that it is one."""
    bravo = world.found("bravo")
    line = decode_line(invite(alpha, "guest"))
    told = (alpha.card, "one two three", "", JoinState.CONFIRMED, NOW)
    inviting.note_joined(bravo, line, *told)
    accept(bravo, alpha.card.partner_id.text, words="one two three")
    assert inviting.note_joined(bravo, line, *told).here == InvitationState.CONFIRMED
    remove_partner(bravo, alpha.card.partner_id.text)
    assert inviting.note_joined(bravo, line, *told).here == InvitationState.WAITING
    assert [one.partner_id for one in pending(bravo)] == [alpha.card.partner_id.text]


def test_a_guest_that_was_removed_is_not_told_that_it_is_a_partner(
    alpha: Node, identities: dict[str, Identity]
) -> None:
    bravo = identities["bravo"]
    line = invite(alpha)
    come(alpha, line, bravo)
    accept(alpha, bravo.partner_id.text, words=words_of(alpha))
    certificate = decode_line(line).key().certificate
    assert come(alpha, line, bravo) == inviting.told_state(alpha, certificate) == JoinState.CONFIRMED
    remove_partner(alpha, "bravo")
    assert inviting.told_state(alpha, certificate) == JoinState.REFUSED
    assert come(alpha, line, bravo) == JoinState.REFUSED
    assert len(load_roster(alpha)) == 0 and pending(alpha) == []


def test_an_answer_to_an_older_line_changes_nothing(world: World, alpha: Node) -> None:
    bravo = world.found("bravo")
    before = joined(bravo, alpha)
    joined(bravo, alpha)
    inviting.note_host_said(bravo, alpha.card.partner_id, before.secret, JoinState.REFUSED)
    assert len(pending(bravo)) == 1


def test_the_pauses_between_questions_grow_and_end_at_five_minutes() -> None:
    pauses = [ask_pause(seconds) for seconds in (0, 10, 60, 600, 10_000, -5)]
    assert pauses == [2, 2, 6, 60, 300, 2]


@pytest.mark.parametrize("change", ["own", "ended"])
def test_a_line_that_is_not_for_us_is_refused_before_anything_is_sent(alpha: Node, change: str) -> None:
    now = NOW + DAY if change == "ended" else NOW
    with pytest.raises(RefusedError) as caught:
        inviting.read_line(alpha, invite(alpha), now)
    assert caught.value.reason == {"own": "own-card", "ended": "invitation-expired"}[change]


def test_an_invitation_and_who_joined_outlive_the_process(
    world: World, alpha: Node, identities: dict[str, Identity], tmp_path: Path
) -> None:
    from p2pshare.node.store import reading_store

    come(alpha, invite(alpha), identities["bravo"])
    with reading_store(alpha.home / "store.sqlite") as store:
        [one] = store.invitations.given_out()
        assert one == alpha.store.invitations.given_out()[0]
        assert (one.state, one.begun) == (InvitationState.WAITING, 1)
