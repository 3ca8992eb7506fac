"""A partner that a person does not believe: what it says leaves all that counts, in steps, and comes back as if nothing had been."""

from __future__ import annotations

import json
from typing import Any

import pytest
from stolen_key import MAIN, THEN, Theft
from store_rows import rows
from whole_nodes import NOW, World, befriend, raw_draft, seal_unchecked, take_in

from p2pshare.errors import AuthorError, NotFoundError
from p2pshare.intel.assessing import Target, false_positive_object, sighting_object
from p2pshare.intel.authoring import indicator_object
from p2pshare.intel.marking import Tlp
from p2pshare.intel.observable import detect
from p2pshare.knowledge import out_of_effect
from p2pshare.log.interface import ContentState
from p2pshare.node.node import Node
from p2pshare.partners.notices import ENDED
from p2pshare.sharing import distrusting
from p2pshare.sharing.exchange import Exchange
from p2pshare.sharing.intake import Arrival
from p2pshare.sharing.partners import remove_partner
from p2pshare.sharing.payload_kinds import OF_SPACES, PAYLOAD_KINDS
from p2pshare.sharing.reading import read_all
from p2pshare.sharing.stix_reader import StixReader

VALUES = [f"value-{number}.example" for number in range(4)]


@pytest.fixture
def charlie(theft: Theft, world: World) -> Node:
    made = world.found("charlie")
    for node in (theft.alpha, theft.bravo):
        befriend(node, made)
        befriend(made, node)
    return made


def shown(node: Node) -> dict[str, list[tuple[Any, ...]]]:
    """All that a SIEM sees, but for the numbers of the feed."""
    path = node.store.database.path
    return {
        "indicators": rows(path, "SELECT * FROM v1_indicators ORDER BY value"),
        "claims": rows(path, "SELECT * FROM v1_claims ORDER BY value, author"),
        "sightings": rows(path, "SELECT * FROM v1_sightings ORDER BY value, reporter"),
    }


def feed(node: Node, *values: str) -> list[tuple[Any, ...]]:
    changes = rows(node.store.database.path, "SELECT op, value, reason FROM v1_changes ORDER BY value")
    return [change for change in changes if change[1] in values]


def do(node: Node, name: str, *, trusts: bool = False, now: int = NOW + 100) -> None:
    partner_id = distrusting.trust(node, name) if trusts else distrusting.distrust(node, name, now)
    for _ in distrusting.steps(node, partner_id, now):
        pass


def target(author: Node, value: str) -> Target:
    stix = json.loads(
        indicator_object(detect(value), author=author.identity.partner_id, created=NOW, tlp=Tlp.GREEN)
    )
    return Target(stix["id"], author.identity.partner_id)


def say(theft: Theft, charlie: Node) -> None:
    """Alpha and charlie claim values, the second one both; alpha saw charlie's, and calls one false."""
    theft.take_in([theft.seal(*VALUES[:2], at=NOW + 10)], NOW + 20)
    objects = [
        json.loads(
            indicator_object(detect(value), author=charlie.identity.partner_id, created=NOW, tlp=Tlp.GREEN)
        )
        for value in VALUES[1:]
    ]
    wire = seal_unchecked(charlie, raw_draft(objects), theft.bravo, NOW + 10)
    take_in(theft.bravo, [Arrival(wire, charlie.identity.partner_id)], NOW + 20)
    alpha = theft.alpha.identity.partner_id
    words = [
        sighting_object(target(charlie, VALUES[2]), reporter=alpha, count=3, now=NOW + 15, tlp=Tlp.GREEN),
        false_positive_object(target(charlie, VALUES[3]), reporter=alpha, now=NOW + 15, tlp=Tlp.GREEN),
    ]
    said = seal_unchecked(
        theft.alpha, raw_draft([json.loads(one) for one in words]), theft.bravo, NOW + 15, ahead=2
    )
    theft.take_in([said], NOW + 20)


def test_what_it_says_leaves_all_views_and_the_feed_and_comes_back(theft: Theft, charlie: Node) -> None:
    bravo = theft.bravo
    say(theft, charlie)
    before, alpha = shown(bravo), theft.alpha.identity.partner_id.text
    assert len(before["indicators"]) == 4 and len(before["sightings"]) == 2
    assert feed(bravo, VALUES[0]) == [("add", VALUES[0], None)]
    do(bravo, "alpha")
    out = shown(bravo)
    assert {row[1] for row in out["indicators"]} == set(VALUES[1:])
    assert [row for row in out["claims"] if row[2] == alpha] == out["sightings"] == []
    (op, _, reason) = feed(bravo, VALUES[0])[0]
    assert (op, bool(reason)) == ("remove", True)
    assert feed(bravo, VALUES[1])[0][0] == "update", "charlie says it, too"
    do(bravo, "alpha", trusts=True, now=NOW + 200)
    assert shown(bravo) == before
    assert feed(bravo, VALUES[0]) == [("add", VALUES[0], None)]
    assert bravo.store.partners.distrusts() == {}


def test_what_comes_meanwhile_is_carried_and_waits_unread(theft: Theft) -> None:
    bravo = theft.bravo
    do(bravo, "alpha")
    theft.take_in([theft.seal(VALUES[0], at=NOW + 10)], NOW + 20)
    assert not theft.known(VALUES[0])
    assert theft.ask("SELECT content, stage, is_out FROM envelope") == [(ContentState.DISTRUSTED, 0, 0)]
    do(bravo, "alpha", trusts=True, now=NOW + 200)
    read_all(bravo, {"stix": StixReader}, NOW + 200)
    assert theft.known(VALUES[0])


def test_what_waits_of_one_that_was_removed_is_read_when_it_is_a_partner_again(theft: Theft) -> None:
    """It is trusted while it is removed: nothing that came meanwhile is given up, in either order."""
    bravo, alpha = theft.bravo, theft.alpha.identity.partner_id
    do(bravo, "alpha")
    theft.take_in([theft.seal(VALUES[0], at=NOW + 10)], NOW + 20)
    remove_partner(bravo, "alpha")
    do(bravo, "alpha", trusts=True, now=NOW + 200)
    read_all(bravo, {"stix": StixReader}, NOW + 200)
    assert not distrusting.described(bravo, alpha).distrusted
    assert theft.ask("SELECT content FROM envelope") == [(ContentState.DISTRUSTED,)]
    with pytest.raises(NotFoundError):
        distrusting.trust(bravo, "alpha")
    befriend(bravo, theft.alpha)
    settle(bravo, NOW + 300)
    read_all(bravo, {"stix": StixReader}, NOW + 300)
    assert theft.known(VALUES[0]) and bravo.store.partners.distrusts() == {}


def test_nothing_of_it_is_read_that_others_hand_on(theft: Theft) -> None:
    from p2pshare.errors import PeerError

    do(theft.bravo, "alpha")
    theft.take_in([theft.seal(VALUES[0], at=NOW + 10)], NOW + 20)
    [(lsn, author)] = theft.ask("SELECT lsn, author FROM envelope")

    class Source:
        pass

    source: Any = Source()
    source.lsn, source.author = lsn, author
    with pytest.raises(PeerError) as caught:
        next(StixReader(theft.bravo).read(source, None, None, ()))  # type: ignore[arg-type]
    assert caught.value.reason == "author-distrusted"


def test_votes_and_entries_of_spaces_are_read_on() -> None:
    assert {one.name for one in OF_SPACES} == {"entries", "heads", "exercise"} <= set(PAYLOAD_KINDS)


def settle(node: Node, now: int) -> None:
    exchange = Exchange(node)
    exchange.begin()
    for _ in range(1_000):
        if not exchange.sweep(now).is_more_due:
            return
    raise AssertionError("it never ends")


@pytest.mark.parametrize("trusts", [False, True])
def test_one_that_was_interrupted_anywhere_is_ended_by_the_daemons_sweep(
    theft: Theft, monkeypatch: pytest.MonkeyPatch, trusts: bool
) -> None:
    for constant in ("STEP_CLAIMS", "STEP_OBJECTS"):
        monkeypatch.setattr(out_of_effect, constant, 1)
    bravo = theft.bravo
    theft.take_in([theft.seal(*VALUES, at=NOW + 10)], NOW + 20)
    before = shown(bravo)
    if trusts:
        do(bravo, "alpha")
    alpha = theft.alpha.identity.partner_id
    begun = distrusting.trust(bravo, "alpha") if trusts else distrusting.distrust(bravo, "alpha", NOW + 100)
    steps = distrusting.steps(bravo, begun, NOW + 100)
    next(steps)
    next(steps)
    assert bravo.store.partners.distrusts()[alpha].place != ENDED
    assert 0 < len(shown(bravo)["claims"]) < len(VALUES), "some are done, and the others not yet"
    settle(bravo, NOW + 100)
    if trusts:
        assert shown(bravo) == before and bravo.store.partners.distrusts() == {}
    else:
        assert shown(bravo)["claims"] == [] and bravo.store.partners.distrusts()[alpha].place == ENDED


def test_a_mind_that_is_changed_halfway_leaves_no_half(theft: Theft, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(out_of_effect, "STEP_OBJECTS", 1)
    bravo = theft.bravo
    theft.take_in([theft.seal(*VALUES, at=NOW + 10)], NOW + 20)
    before = shown(bravo)
    begun = distrusting.distrust(bravo, "alpha", NOW + 100)
    next(distrusting.steps(bravo, begun, NOW + 100))
    do(bravo, "alpha", trusts=True)
    assert shown(bravo) == before
    distrusting.distrust(bravo, "alpha", NOW + 100)
    settle(bravo, NOW + 100)
    begun = distrusting.trust(bravo, "alpha")
    next(distrusting.steps(bravo, begun, NOW + 100))
    do(bravo, "alpha")
    assert shown(bravo)["claims"] == []


def test_what_a_thief_sealed_does_not_come_back_with_its_owner(theft: Theft) -> None:
    """A key of a partner that is not believed is revoked meanwhile: what it stands for comes back, and nothing else."""
    good, evil = theft.seal(VALUES[0], at=NOW + 10), theft.seal(VALUES[1], at=NOW + 10, ahead=2)
    theft.take_in([good, evil], NOW + 20)
    do(theft.bravo, "alpha")
    card, pages = theft.revoke({MAIN: [good]})
    theft.take_in([card], THEN)
    theft.settle(THEN)
    theft.take_in(pages, THEN + 10)
    theft.settle(THEN + 10)
    assert not theft.known(VALUES[0]) and not theft.known(VALUES[1])
    do(theft.bravo, "alpha", trusts=True, now=THEN + 20)
    assert theft.known(VALUES[0]) and not theft.known(VALUES[1])


def test_who_was_removed_can_be_distrusted_by_its_name_and_stays_so_when_it_comes_again(theft: Theft) -> None:
    bravo = theft.bravo
    theft.take_in([theft.seal(VALUES[0], at=NOW + 10)], NOW + 20)
    remove_partner(bravo, "alpha")
    do(bravo, "alpha")
    assert not theft.known(VALUES[0])
    befriend(bravo, theft.alpha)
    assert distrusting.described(bravo, theft.alpha.identity.partner_id).distrusted
    do(bravo, theft.alpha.identity.partner_id.text, trusts=True)
    assert theft.known(VALUES[0])


def test_nobody_ourselves_and_who_is_believed(theft: Theft) -> None:
    bravo = theft.bravo
    with pytest.raises(NotFoundError):
        distrusting.distrust(bravo, "nobody", NOW)
    with pytest.raises(AuthorError):
        distrusting.distrust(bravo, bravo.identity.partner_id.text, NOW)
    with pytest.raises(NotFoundError) as caught:
        distrusting.trust(bravo, "alpha")
    assert caught.value.reason == "not-distrusted"
