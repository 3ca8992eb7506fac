"""Member lists against whole stores: what is refused with which reason, counted and kept; who is suspended when; who is one voice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from whole_nodes import NOW, World, befriend, send, take_in, wire_of

from p2pshare.envelope.card import fingerprint, safety_number
from p2pshare.envelope.card_format import Revocation
from p2pshare.envelope.keys import Identity, create_identity, reissue_card
from p2pshare.envelope.member_list import ListedMember, pack_file, read_file, read_list, sign_list
from p2pshare.errors import AuthorError, NotFoundError, PeerError, RefusedError
from p2pshare.identifiers import CircleId, PartnerId
from p2pshare.intel.marking import Tlp
from p2pshare.intel.observable import Observable
from p2pshare.node.node import Node
from p2pshare.operations.interface import AsideWork
from p2pshare.operations.introducing import OfferIntroductions
from p2pshare.partners.introductions import STRANGERS_PER_PARTNER_MAX
from p2pshare.queries.alarms import alarms
from p2pshare.queries.lookup import look_up
from p2pshare.sharing import distrusting
from p2pshare.sharing.exchange import Exchange
from p2pshare.sharing.intake import Arrival
from p2pshare.sharing.introducing import (
    OfferedList,
    accept,
    confirm,
    export,
    missing_cards,
    offer,
    put_link,
    renew_own_lists,
    review,
    shown_lists,
    take_fetched,
)
from p2pshare.sharing.partners import (
    apply_card_update,
    describe,
    find_partner,
    freeze_partner,
    load_roster,
    remove_partner,
)

MAIN = CircleId.of("main")
DAY = 86_400


@pytest.fixture
def circle(world: World) -> dict[str, Node]:
    """hub, who has compared the others; each of them has compared the hub and nobody else."""
    nodes = {name: world.found(name) for name in ("hub", "alpha", "bravo", "charlie")}
    for name in ("alpha", "bravo", "charlie"):
        befriend(nodes["hub"], nodes[name])
        befriend(nodes[name], nodes["hub"])
    return nodes


def file_of(hub: Node, now: int = NOW, only: Sequence[str] = ()) -> bytes:
    return export(hub, "", only, now).file


def take(node: Node, raw: bytes, now: int = NOW) -> list[str]:
    """Accepts all that can be accepted; their names."""
    offered = offer(node, raw, now)
    file = read_file(raw)
    wanted = {m.partner_id for m in read_list(file.list_raw).members}
    able = {one.partner_id for one in offered.members if one.verdict == "new"}
    return accept(node, file.list_raw, file.cards, [one for one in wanted if one.text in able], now).accepted


def verdicts(offered: OfferedList) -> dict[str, tuple[str, str]]:
    return {one.name: (one.verdict, one.reason) for one in offered.members}


def why(node: Node, raw: bytes, now: int = NOW) -> str:
    with pytest.raises(PeerError) as caught:
        offer(node, raw, now)
    return caught.value.reason


def listed(*cards: Any) -> list[ListedMember]:
    return [ListedMember(card.partner_id, card.version, card.body_digest) for card in cards]


def by_hub(hub: Node, members: Sequence[ListedMember], cards: Sequence[bytes] = (), **more: Any) -> bytes:
    """A file whose list the hub signs, whatever it says."""
    fields = {"number": NOW + 1, "created": NOW, "expires": NOW + DAY, "circle": MAIN} | more
    circle = fields.pop("circle")
    number = fields.pop("number")
    signed = sign_list(
        hub.identity.operational.sign, hub.card.partner_id, circle, number, members=members, **fields
    )
    return pack_file(signed, cards)


def words(node: Node, now: int = NOW) -> set[str]:
    return {one.word for one in alarms(node.store, node.card, is_running=False, now=now)}


def standing(node: Node, name: str) -> tuple[str, str]:
    row = describe(find_partner(node, name))
    return row.standing, row.suspended


def test_a_person_accepts_and_they_are_authors_without_a_link(circle: dict[str, Node]) -> None:
    alpha, hub = circle["alpha"], circle["hub"]
    offered = offer(alpha, file_of(hub), NOW)
    assert verdicts(offered) == {
        "alpha": ("held", "own-card"),
        "bravo": ("new", ""),
        "charlie": ("new", ""),
    }
    assert len(load_roster(alpha)) == 1, "nobody is a partner before a person says so"
    assert sorted(take(alpha, file_of(hub))) == ["bravo", "charlie"]
    entry = find_partner(alpha, "bravo")
    assert (entry.is_compared, entry.has_link, entry.introduced_by) == (False, False, ("hub",))
    assert standing(alpha, "bravo") == ("introduced", "")
    assert verdicts(offer(alpha, file_of(hub), NOW))["bravo"] == ("held", "already-introduced")
    assert alpha.store.partners.refusals() == {}, "nothing was wrong"
    assert put_link(alpha, "bravo", has_link=True).has_link


def test_what_is_wrong_with_a_list_refuses_it_whole_counted(circle: dict[str, Node], world: World) -> None:
    alpha, hub, bravo = circle["alpha"], circle["hub"], circle["bravo"]
    cards = [bravo.card.raw]
    stranger = world.found("stranger")
    befriend(stranger, bravo)
    good = file_of(hub)
    assert why(alpha, good[:-1]) == "malformed"
    assert why(alpha, b"") == "malformed"
    assert why(alpha, export(stranger, "", (), NOW).file) == "introducer-unknown"
    assert why(hub, good) == "introducer-unknown", "our own list introduces nobody to us"
    cases = {
        "wrong-circle": by_hub(hub, listed(bravo.card), cards, circle=CircleId.of("other")),
        "list-expired": by_hub(hub, listed(bravo.card), cards, created=NOW - DAY, expires=NOW),
        "from-the-future": by_hub(hub, listed(bravo.card), cards, created=NOW + 601, expires=NOW + DAY),
        "bad-member-list": by_hub(hub, listed(bravo.card, bravo.card), cards),
        "too-many-members": by_hub(hub, listed(*[bravo.card] * 1_025), cards),
    }
    for reason, raw in cases.items():
        assert why(alpha, raw) == reason
    counted = alpha.store.partners.refusals()
    assert {counted.get(one) for one in ("wrong-circle", "list-expired", "from-the-future")} == {1}
    assert len(load_roster(alpha)) == 1


def test_a_lower_number_is_a_rollback_and_one_number_with_other_bytes_is_kept(
    circle: dict[str, Node],
) -> None:
    alpha, hub, bravo, charlie = (circle[name] for name in ("alpha", "hub", "bravo", "charlie"))
    newest = by_hub(hub, listed(bravo.card), [bravo.card.raw], number=5)
    assert take(alpha, newest) == ["bravo"]
    older = by_hub(hub, listed(bravo.card, charlie.card), [charlie.card.raw], number=4)
    other = by_hub(hub, listed(charlie.card), [charlie.card.raw], number=5)
    assert (why(alpha, older), why(alpha, other)) == ("list-rollback", "list-fork")
    (fork,) = alpha.store.introductions.forks()
    assert (fork.first, fork.second) == (read_file(newest).list_raw, read_file(other).list_raw)
    assert "member-list-fork" in words(alpha)
    assert standing(alpha, "bravo") == ("introduced", ""), "the first one counts"
    remove_partner(alpha, "hub")
    befriend(alpha, hub)
    assert why(alpha, older) == "list-rollback", "also when its introducer was away"


def test_what_is_wrong_with_a_member_costs_those_beside_it_nothing(
    circle: dict[str, Node], world: World
) -> None:
    alpha, hub, bravo, charlie = (circle[name] for name in ("alpha", "hub", "bravo", "charlie"))
    names = ("delta", "echo", "foxtrot", "golf", "hotel")
    delta, echo, foxtrot, golf, hotel = (world.found(name).card for name in names)
    befriend(alpha, charlie)
    remove_partner(alpha, "charlie")
    (of_golf,) = listed(golf)
    members = [
        *listed(hub.card, charlie.card, delta, echo, bravo.card),
        ListedMember(foxtrot.partner_id, 1, bytes(32)),
        ListedMember(of_golf.partner_id, 2, of_golf.digest),
    ]
    cards = [
        charlie.card.raw,
        delta.raw,
        delta.raw,
        bravo.card.raw,
        foxtrot.raw,
        golf.raw,
        hotel.raw,
        b"no card",
    ]
    offered = offer(alpha, by_hub(hub, members, cards), NOW)
    by_id = {one.partner_id: (one.verdict, one.reason) for one in offered.members}
    assert by_id == {
        hub.card.partner_id.text: ("refused", "is-introducer"),
        charlie.card.partner_id.text: ("refused", "removed-partner"),
        delta.partner_id.text: ("new", ""),
        echo.partner_id.text: ("refused", "card-missing"),
        bravo.card.partner_id.text: ("new", ""),
        foxtrot.partner_id.text: ("refused", "card-mismatch"),
        golf.partner_id.text: ("refused", "card-older"),
    }
    assert sorted(one.reason for one in offered.strays) == ["card-not-listed", "card-twice", "malformed"]
    assert alpha.store.partners.refusals()["card-mismatch"] == 1
    file = read_file(by_hub(hub, members, cards))
    every = [one.partner_id for one in members]
    answer = accept(alpha, file.list_raw, file.cards, every, NOW)
    assert sorted(answer.accepted) == ["bravo", "delta"]
    assert len(answer.refused) == 5


@pytest.mark.parametrize(
    "name", ["BRAVO", "B r a v o", "Brav0", "Br\u00e1vo", "Alpha", "Hub", "\u0420\u0410\u0423"]
)
def test_names_that_imitate_are_refused(circle: dict[str, Node], name: str) -> None:
    """bravo is a partner, alpha is this node, hub its introducer; the last one looks like a word of other letters."""
    alpha, hub, bravo = circle["alpha"], circle["hub"], circle["bravo"]
    befriend(alpha, bravo)
    imitator = create_identity(name, ["https://i.example:8443"], NOW).card
    offered = offer(alpha, by_hub(hub, listed(imitator), [imitator.raw]), NOW)
    assert verdicts(offered) == {name: ("refused", "name-imitates")}


def test_a_name_of_one_that_was_removed_is_refused(circle: dict[str, Node]) -> None:
    """What the first one said is still shown under that name."""
    alpha, hub, bravo = circle["alpha"], circle["hub"], circle["bravo"]
    befriend(alpha, bravo)
    remove_partner(alpha, "bravo")
    imitator = create_identity("Bravo", ["https://i.example:8443"], NOW).card
    offered = offer(alpha, by_hub(hub, listed(imitator), [imitator.raw]), NOW)
    assert verdicts(offered) == {"Bravo": ("refused", "name-imitates")}


def test_an_alias_imitates_nobody_and_leads_into_no_group(circle: dict[str, Node]) -> None:
    """The name does not, but what the alias keeps of it: Latin words alone. `clinic` stands in a group and is nobody yet."""
    alpha, hub, bravo = circle["alpha"], circle["hub"], circle["bravo"]
    befriend(alpha, bravo)
    alpha.config.groups["hospitals"] = ("clinic",)
    cards = [
        create_identity(name, ["https://i.example:8443"], NOW).card
        for name in ("\u5317\u4eac Brav0", "\u5317\u4eac Hospital", "Clinic")
    ]
    accepted = take(alpha, by_hub(hub, listed(*cards), [one.raw for one in cards]))
    del alpha.config.groups["hospitals"]
    assert sorted(accepted) == sorted(
        [f"partner-{cards[0].partner_id.short}", "hospital", f"partner-{cards[2].partner_id.short}"]
    )


def test_two_members_of_one_name_are_both_refused(circle: dict[str, Node]) -> None:
    alpha, hub = circle["alpha"], circle["hub"]
    twins = [create_identity(name, ["https://t.example:8443"], NOW).card for name in ("Clinic 1", "clinic-l")]
    offered = offer(alpha, by_hub(hub, listed(*twins), [one.raw for one in twins]), NOW)
    assert {one.reason for one in offered.members} == {"name-imitates"}


def test_a_newer_card_is_accepted_by_its_chain_and_a_contradicting_one_freezes(
    circle: dict[str, Node],
) -> None:
    alpha, hub, bravo = circle["alpha"], circle["hub"], circle["bravo"]
    before = listed(bravo.card)
    second = reissue_card(bravo.identity, NOW + 10, name="Bravo two").card
    other = reissue_card(bravo.identity, NOW + 11, name="Bravo too").card
    assert take(alpha, by_hub(hub, before, [second.raw]), NOW + 10) == ["bravo-two"]
    assert find_partner(alpha, "bravo-two").card.version == 2
    offered = offer(alpha, by_hub(hub, listed(other), [other.raw], number=NOW + 2), NOW + 11)
    assert verdicts(offered) == {"bravo-two": ("refused", "card-fork")}
    assert find_partner(alpha, "bravo-two").is_frozen
    assert "card-fork" in words(alpha, NOW + 11)


def test_an_introduced_one_introduces_nobody(circle: dict[str, Node]) -> None:
    alpha, hub, bravo, charlie = (circle[name] for name in ("alpha", "hub", "bravo", "charlie"))
    befriend(bravo, charlie)
    take(alpha, file_of(hub, only=["bravo"]))
    assert why(alpha, export(bravo, "", (), NOW).file) == "introducer-not-compared"
    assert alpha.store.partners.refusals()["introducer-not-compared"] == 1
    confirm(alpha, "bravo", told_fingerprint=fingerprint(bravo.card.partner_id))
    assert "charlie" in take(alpha, export(bravo, "", (), NOW).file)


def test_our_list_names_whom_we_compared_and_nobody_else(circle: dict[str, Node]) -> None:
    alpha, hub = circle["alpha"], circle["hub"]
    take(alpha, file_of(hub))
    assert export(alpha, "", (), NOW).members == ["hub"]
    with pytest.raises(RefusedError) as caught:
        export(alpha, "", ["bravo"], NOW)
    assert caught.value.reason == "not-compared"
    with pytest.raises(NotFoundError):
        export(alpha, "other", (), NOW)


def test_our_list_is_the_same_until_something_changes_and_is_renewed_at_half_its_life(
    circle: dict[str, Node],
) -> None:
    hub = circle["hub"]
    first = export(hub, "", (), NOW)
    assert export(hub, "", (), NOW + DAY).file == first.file
    assert not renew_own_lists(hub, NOW + DAY)
    assert renew_own_lists(hub, NOW + 45 * DAY)
    later = export(hub, "", (), NOW + 45 * DAY)
    assert later.number > first.number
    remove_partner(hub, "charlie")
    assert renew_own_lists(hub, NOW + 45 * DAY + 1), "who left is taken out by itself"
    assert export(hub, "", (), NOW + 45 * DAY + 2).members == ["alpha", "bravo"]


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ("missing", "not-listed"),
        ("expired", "list-expired"),
        ("removed", "introducer-removed"),
        ("frozen", "introducer-frozen"),
        ("distrusted", "introducer-distrusted"),
        ("revoked", "list-revoked"),
    ],
)
def test_what_suspends(circle: dict[str, Node], end: str, reason: str) -> None:
    alpha, hub, bravo = circle["alpha"], circle["hub"], circle["bravo"]
    take(alpha, by_hub(hub, listed(bravo.card), [bravo.card.raw], number=1))
    put_link(alpha, "bravo", has_link=True)
    now = NOW
    if end == "missing":
        assert take_fetched(
            alpha, hub.card.partner_id, MAIN, read_file(by_hub(hub, [], number=2)).list_raw, now
        )
    elif end == "expired":
        now = NOW + DAY
    elif end == "removed":
        remove_partner(alpha, "hub")
    elif end == "frozen":
        freeze_partner(alpha.store, hub.card.partner_id, evidence=(b"one", b"two"), now=now)
    elif end == "distrusted":
        distrusting.distrust(alpha, "hub", now)
        with pytest.raises(PeerError) as refused:
            take(alpha, by_hub(hub, listed(bravo.card), [bravo.card.raw], number=2))
        assert refused.value.reason == "introducer-distrusted"
    else:
        key_id = hub.identity.operational.sign.key_id
        fresh = create_identity("hub", [], NOW + 1).operational
        revoked = [Revocation(key_id, NOW + 1, 1)]
        new = reissue_card(
            hub.identity, NOW + 1, operational=_with_tls_of(hub.identity, fresh), revoked=revoked
        )
        assert apply_card_update(alpha, hub.card.partner_id, new.card.raw, NOW + 1)
    review(alpha, now)
    assert standing(alpha, "bravo") == ("suspended", reason)
    assert not find_partner(alpha, "bravo").has_link, "its link rests"
    assert "introduction-suspended" in words(alpha, now)
    wire = wire_of(bravo, _sealed(bravo, alpha, now))
    (verdict,) = take_in(alpha, [Arrival(wire, bravo.card.partner_id)], now)
    assert verdict.reason == "author-suspended"
    with pytest.raises(RefusedError) as caught:
        put_link(alpha, "bravo", has_link=True)
    assert caught.value.reason == "partner-suspended"
    confirm(alpha, "bravo", told_fingerprint=fingerprint(bravo.card.partner_id))
    assert standing(alpha, "bravo") == ("compared", "")
    assert "introduction-suspended" not in words(alpha, now)


def _with_tls_of(identity: Identity, fresh: Any) -> Any:
    from dataclasses import replace

    return replace(fresh, tls=identity.operational.tls)


def _sealed(author: Node, reader: Node, now: int) -> Any:
    if not any(entry.partner_id == reader.card.partner_id for entry in load_roster(author)):
        befriend(author, reader)
    return send(author, [f"at-{now}.example"], to=[], now=now).envelopes[0]


def test_a_new_list_lifts_the_suspension(circle: dict[str, Node]) -> None:
    alpha, hub, bravo = circle["alpha"], circle["hub"], circle["bravo"]
    take(alpha, by_hub(hub, listed(bravo.card), [bravo.card.raw], number=1))
    lists = [
        read_file(by_hub(hub, listed(*cards), number=number)).list_raw
        for number, cards in ((2, ()), (3, (bravo.card,)))
    ]
    for raw, found in zip(lists, ("suspended", "introduced"), strict=True):
        assert take_fetched(alpha, hub.card.partner_id, MAIN, raw, NOW)
        assert standing(alpha, "bravo")[0] == found
    assert not take_fetched(alpha, hub.card.partner_id, MAIN, lists[0], NOW)
    assert "member-list-refused" in words(alpha), "an older one than before: somebody must look"
    assert not take_fetched(alpha, hub.card.partner_id, MAIN, lists[1], NOW)
    assert "member-list-refused" not in words(alpha)


def test_who_is_new_on_a_fetched_list_waits_for_a_person(circle: dict[str, Node]) -> None:
    alpha, hub, bravo, charlie = (circle[name] for name in ("alpha", "hub", "bravo", "charlie"))
    take(alpha, by_hub(hub, listed(bravo.card), [bravo.card.raw], number=1))
    raw = read_file(by_hub(hub, listed(bravo.card, charlie.card), number=2)).list_raw
    assert take_fetched(alpha, hub.card.partner_id, MAIN, raw, NOW)
    assert [entry.alias for entry in load_roster(alpha)] == ["bravo", "hub"]
    (shown,) = shown_lists(alpha, NOW)
    assert (shown.accepted, shown.waiting) == (["bravo"], [charlie.card.partner_id.text])
    missing = missing_cards(alpha, MAIN, NOW)
    assert (missing.count, missing.named[0].seen_in) == (1, ["lists"])


def test_confirming_needs_the_right_fingerprint_or_safety_number(circle: dict[str, Node]) -> None:
    alpha, hub, bravo = circle["alpha"], circle["hub"], circle["bravo"]
    take(alpha, file_of(hub))
    for told in ({"told_fingerprint": fingerprint(hub.card.partner_id)}, {"told_safety_number": "1" * 60}):
        with pytest.raises(RefusedError) as caught:
            confirm(alpha, "bravo", **told)
        assert caught.value.reason == "fingerprint-mismatch"
    for slip in ({"told_fingerprint": "AAAA"}, {"told_safety_number": "12345"}):
        with pytest.raises(AuthorError):
            confirm(alpha, "bravo", **slip)
    assert standing(alpha, "bravo")[0] == "introduced"
    number = safety_number(alpha.card.partner_id, bravo.card.partner_id)
    assert confirm(alpha, "bravo", told_safety_number=number).is_new
    assert not confirm(alpha, "bravo", told_safety_number=number).is_new
    assert take_fetched(
        alpha, hub.card.partner_id, MAIN, read_file(by_hub(hub, [], number=NOW + 9)).list_raw, NOW
    )
    assert standing(alpha, "bravo")[0] == "compared", "no list changes anything about it any more"


def test_amber_is_not_sealed_for_an_introduced_one_by_whatever_way(circle: dict[str, Node]) -> None:
    alpha, hub = circle["alpha"], circle["hub"]
    take(alpha, file_of(hub))
    green = send(alpha, ["green.example"], to=[])
    assert green.recipients == {"bravo", "charlie", "hub"}
    refused = send(alpha, ["amber.example"], to=["bravo"], tlp=Tlp.AMBER)
    assert (refused.envelopes, refused.refuse and refused.refuse.reason) == ([], "not-compared")


def test_an_introducer_and_whom_it_alone_introduced_are_one_source(circle: dict[str, Node]) -> None:
    """Also once one of them is compared, and again when it is not: what was counted before is counted anew."""
    alpha, hub, bravo, charlie = (circle[name] for name in ("alpha", "hub", "bravo", "charlie"))
    for node in (bravo, charlie):
        take(alpha, file_of(hub))
        befriend(node, alpha)
    befriend(hub, alpha)
    for node in (hub, bravo, charlie):
        wire = wire_of(node, send(node, ["198.51.100.7"], to=["alpha"]).envelopes[0])
        take_in(alpha, [Arrival(wire, hub.card.partner_id)], NOW)
    assert sources(alpha) == (3, 1)
    confirm(alpha, "charlie", told_fingerprint=fingerprint(charlie.card.partner_id))
    assert sources(alpha) == (3, 2)
    confirm(alpha, "bravo", told_fingerprint=fingerprint(bravo.card.partner_id))
    assert sources(alpha) == (3, 3)


def sources(node: Node) -> tuple[int, int]:
    """(authors, sources) of the value, by the table that the SIEM reads and by the lookup, which must agree."""
    while node.store.knowledge.go_on(NOW):
        pass
    value = Observable("ipv4", "198.51.100.7")
    row = node.store.knowledge.effective_states([value], NOW * 1_000_000, tlp_max=Tlp.RED)[value]
    (answer,) = look_up(node.store, [value.value], NOW)
    found = (len(answer.authors), answer.sources)
    assert found == (row.authors, row.sources)
    return found


def test_a_list_is_given_to_those_whose_link_carries_its_circle_and_cards_of_those_on_it(
    circle: dict[str, Node], world: World
) -> None:
    alpha, hub, bravo = circle["alpha"], circle["hub"], circle["bravo"]
    apart = world.found("apart")
    befriend(hub, apart, has_link=False)
    exchange = Exchange(hub)
    members = [alpha.card.partner_id, bravo.card.partner_id]
    assert exchange.members(members[0], MAIN, NOW) is None, "nobody has made one"
    assert exchange.chain(members[0], apart.card.partner_id) is None
    raw = read_file(file_of(hub)).list_raw
    assert exchange.members(members[0], MAIN, NOW) == raw
    assert exchange.chain(members[0], apart.card.partner_id) == apart.card.raw, (
        "it is on the list, without a link"
    )
    assert exchange.members(members[0], CircleId.of("other"), NOW) is None
    for stranger in (apart, world.found("stranger")):
        assert exchange.members(stranger.card.partner_id, MAIN, NOW) is None
        assert exchange.chain(stranger.card.partner_id, members[1]) is None
    assert exchange.members(members[0], MAIN, NOW + 90 * DAY) is None, "it has expired"
    assert Exchange(alpha).cards_missing(raw) == sorted(
        [apart.card.partner_id, *members[1:], circle["charlie"].card.partner_id]
    )


def test_what_one_partner_names_fills_no_table(circle: dict[str, Node]) -> None:
    """Strangers are bounded for each partner that hands something over, and none takes another's place."""
    alpha, hub, bravo = circle["alpha"], circle["hub"], circle["bravo"]
    befriend(alpha, bravo)
    store = alpha.store.introductions
    with alpha.store.transaction():
        store.note_stranger(PartnerId(b"s" * 32), bravo.card.partner_id, MAIN, 1, NOW)
        for number in range(STRANGERS_PER_PARTNER_MAX + 40):
            one = PartnerId(number.to_bytes(32, "big"))
            store.note_stranger(one, hub.card.partner_id, MAIN, 1, NOW + number)
    found = store.strangers()
    assert len(found) == STRANGERS_PER_PARTNER_MAX + 1
    assert PartnerId(b"s" * 32) in {one.partner_id for one in found}
    answer = missing_cards(alpha, MAIN, NOW)
    assert (answer.count, len(answer.named)) == (STRANGERS_PER_PARTNER_MAX + 1, 20)
    assert missing_cards(alpha, MAIN, NOW + 91 * DAY).count == 0


def test_cards_are_verified_off_the_writer_and_what_changes_meanwhile_is_seen(
    circle: dict[str, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list of a thousand would hold the writer for seconds. Between two steps a person removes one that was a partner."""
    alpha, hub = circle["alpha"], circle["hub"]
    take(alpha, file_of(hub, only=["bravo"]))
    steps = OfferIntroductions(file_of(hub)).steps(alpha, NOW)
    reading = next(steps)
    assert isinstance(reading, AsideWork)
    with monkeypatch.context() as apart:
        apart.setattr("p2pshare.envelope.member_list.accept_first", lambda *_: pytest.fail("in the writer"))
        with pytest.raises(pytest.fail.Exception):
            reading.do()
    reading.do()
    assert next(steps) is None, "those who are partners, some at a time"
    remove_partner(alpha, "bravo")
    with monkeypatch.context() as apart:
        apart.setattr("p2pshare.envelope.member_list.accept_first", lambda *_: pytest.fail("in the writer"))
        offered = next(steps)
    assert isinstance(offered, OfferedList)
    assert verdicts(offered)["bravo"] == ("refused", "removed-partner")
    assert verdicts(offered)["charlie"] == ("new", "")


def test_whose_introducer_is_removed_while_its_list_is_looked_at_is_nobody(circle: dict[str, Node]) -> None:
    alpha, hub = circle["alpha"], circle["hub"]
    raw = file_of(hub)
    steps = OfferIntroductions(raw).steps(alpha, NOW)
    reading = next(steps)
    assert isinstance(reading, AsideWork)
    reading.do()
    remove_partner(alpha, "hub")
    offered = next(one for one in steps if one is not None)
    assert isinstance(offered, OfferedList)
    file = read_file(raw)
    wanted = [PartnerId.parse(one.partner_id) for one in offered.members]
    with pytest.raises(PeerError) as caught:
        accept(alpha, file.list_raw, file.cards, wanted, NOW)
    assert caught.value.reason == "introducer-unknown"
    assert len(load_roster(alpha)) == 0


def test_a_number_that_a_thief_gave_out_does_not_mute_the_owner(circle: dict[str, Node]) -> None:
    """It signs the highest number there is; the owner, who never heard of it, revokes the key and goes on from its own number."""
    alpha, hub, bravo = circle["alpha"], circle["hub"], circle["bravo"]
    take(alpha, by_hub(hub, listed(bravo.card), [bravo.card.raw], number=1))
    stolen = by_hub(hub, [], number=2**53 - 1)
    assert take_fetched(alpha, hub.card.partner_id, MAIN, read_file(stolen).list_raw, NOW)
    fresh = create_identity("hub", [], NOW + 1).operational
    new = reissue_card(
        hub.identity,
        NOW + 1,
        operational=_with_tls_of(hub.identity, fresh),
        revoked=[Revocation(hub.identity.operational.sign.key_id, NOW + 1, 1)],
    )
    assert apply_card_update(alpha, hub.card.partner_id, new.card.raw, NOW + 1)
    review(alpha, NOW + 1)
    assert standing(alpha, "bravo")[0] == "suspended"
    raw = sign_list(
        fresh.sign,
        hub.card.partner_id,
        MAIN,
        2,
        created=NOW + 1,
        expires=NOW + DAY,
        members=listed(bravo.card),
    )
    assert take_fetched(alpha, hub.card.partner_id, MAIN, raw, NOW + 1)
    assert standing(alpha, "bravo")[0] == "introduced"
    assert not take_fetched(alpha, hub.card.partner_id, MAIN, read_file(stolen).list_raw, NOW + 1)
    assert standing(alpha, "bravo")[0] == "introduced", "the stolen key's list is refused from now on"
