"""A home that was put back from before its newest card: it makes no second card of one version, goes on from what partners have, and a
partner that was frozen for a fork is believed again once a person has compared."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from whole_nodes import NOW, World, befriend, quiet, send, take_in, wire_of

from p2pshare.envelope.card import CardFork, believe_chain, fingerprint
from p2pshare.envelope.keys import SigningKey, reissue_card
from p2pshare.envelope.notice import notice_of
from p2pshare.envelope.unfinished_card import read_unfinished
from p2pshare.errors import AuthorError, KeyFileError, NotFoundError, PeerError, RefusedError
from p2pshare.identifiers import CircleId
from p2pshare.node.card_issuing import issue_apart, issue_card
from p2pshare.node.node import Node
from p2pshare.operations.cards import NewerCard, RenewOverNewer, RotateCard, SetCard, SetRoots
from p2pshare.operations.partners import PartnerCard, UnfreezePartner
from p2pshare.queries.alarms import alarms
from p2pshare.sharing import own_card
from p2pshare.sharing.intake import Arrival
from p2pshare.sharing.notices import list_cards, take_in_chain
from p2pshare.sharing.own_card import RESTORED_SECONDS
from p2pshare.sharing.partners import apply_card_update, load_roster

MAIN = CircleId.of("main")
Restored = tuple[Node, Node, Node]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def issued_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cards are issued in this process: a child for each would be most of what these tests cost. One test has the child."""
    monkeypatch.setattr(
        own_card,
        "issue_apart",
        lambda key_path, card_path, change: issue_card(key_path, card_path, change, None),
    )


@pytest.fixture
def restored(world: World, tmp_path: Path) -> Restored:
    """alpha as it went on after the backup, bravo, and alpha as the backup had it: at version 1, where bravo has version 3."""
    alpha, bravo = world.found("alpha"), world.found("bravo")
    befriend(alpha, bravo)
    befriend(bravo, alpha)
    alpha.store.database.checkpoint()
    shutil.copytree(tmp_path / "alpha", tmp_path / "restored")
    back = world.open("restored")
    for now in (NOW + 5, NOW + 6):
        RotateCard().run(alpha, now, quiet)
        apply_card_update(bravo, alpha.identity.partner_id, alpha.card.raw, now)
    list_cards(bravo)
    return alpha, bravo, back


def hear_of_newer(back: Node, bravo: Node, version: bytes) -> None:
    """As a daemon does: a notice comes, and what it lacks is fetched from who handed it over."""
    [verdict] = take_in(back, [Arrival(notice_of(MAIN, version), bravo.identity.partner_id)], NOW + 10)
    assert verdict.reason == "own-card-newer" and verdict.notice is not None
    assert verdict.notice.missing == (back.identity.partner_id, MAIN)
    take_in_chain(back, back.identity.partner_id, MAIN, held(bravo, "alpha"), NOW + 10)


def held(node: Node, name: str) -> bytes:
    return PartnerCard(name).run(node, NOW, quiet).card


def words(node: Node) -> list[str]:
    return [one.word for one in alarms(node.store, node.card, is_running=True, now=NOW + 20)]


def over(back: Node, raw: bytes = b"", now: int = NOW + 12) -> None:
    RenewOverNewer(NewerCard(raw).run(back, now, quiet).body, raw).run(back, now, quiet)


def test_it_goes_on_from_the_card_that_a_partner_shows_and_nothing_is_forked(restored: Restored) -> None:
    alpha, bravo, back = restored
    [lost] = send(alpha, ["lost.example"], to=["bravo"], now=NOW + 8).envelopes
    with pytest.raises(NotFoundError):
        NewerCard().run(back, NOW + 9, quiet)
    hear_of_newer(back, bravo, alpha.card.version_raw)
    assert "own-card-newer" in words(back)
    for refused in (RotateCard(), SetCard(name="Other")):
        with pytest.raises(RefusedError) as caught:
            refused.run(back, NOW + 11, quiet)
        assert caught.value.reason == "own-card-newer"
    told = NewerCard().run(back, NOW + 11, quiet)
    assert told.version == 3 and sum("not in this home" in line for line in told.changes) == 2
    over(back)
    assert back.card.version == 4 and "own-card-newer" not in words(back)
    assert apply_card_update(bravo, back.identity.partner_id, back.card.raw, NOW + 13)
    assert not load_roster(bravo).entries[back.identity.partner_id].is_frozen
    [verdict] = take_in(bravo, [Arrival(wire_of(alpha, lost), alpha.identity.partner_id)], NOW + 14)
    assert (verdict.status.value, verdict.reason) == ("held", ""), (
        "what was sealed with a lost key is believed"
    )
    [new] = send(back, ["new.example"], to=["bravo"], now=NOW + 15).envelopes
    [verdict] = take_in(bravo, [Arrival(wire_of(back, new), alpha.identity.partner_id)], NOW + 16)
    assert verdict.status.value == "held"


def test_after_a_restart_it_is_what_it_was(restored: Restored, world: World) -> None:
    alpha, bravo, back = restored
    hear_of_newer(back, bravo, alpha.card.version_raw)
    over(back)
    again = world.reopen("restored")
    assert (again.card.version, again.card.sign_keys[0].key.key_id) == (
        4,
        again.identity.operational.sign.key_id,
    )


def test_a_card_out_of_a_file_does_the_same(restored: Restored, monkeypatch: pytest.MonkeyPatch) -> None:
    alpha, bravo, back = restored
    monkeypatch.setattr(own_card, "issue_apart", issue_apart)
    over(back, held(bravo, "alpha"))
    assert back.card.version == 4
    assert apply_card_update(bravo, back.identity.partner_id, back.card.raw, NOW + 13)
    for raw, reason in (
        (held(bravo, "alpha"), "not-newer"),
        (bravo.card.raw, "card-other-partner"),
        (b"nothing", "malformed"),
        (alpha.card.version_raw, "card-gap"),
    ):
        with pytest.raises(AuthorError) as caught:
            NewerCard(raw).run(back, NOW + 14, quiet)
        assert caught.value.reason == reason


def test_another_card_than_the_one_shown_is_not_gone_on_from(restored: Restored) -> None:
    _, bravo, back = restored
    with pytest.raises(RefusedError) as caught:
        RenewOverNewer(bytes(32), held(bravo, "alpha")).run(back, NOW + 12, quiet)
    assert (caught.value.reason, back.card.version) == ("card-changed", 1)


def test_roots_that_were_changed_since_are_said_and_nothing_is_written(
    restored: Restored, world: World
) -> None:
    alpha, _, back = restored
    root = SigningKey.generate()
    old = [key.key_id.text for key in alpha.card.roots]
    issued = SetRoots(1, (root.verify_key.raw,), tuple(old)).run(alpha, NOW + 7, quiet)
    signed = read_unfinished(issued.unfinished).signed_by([root])
    before = (world.folder / "restored" / "identity.p2pkey").read_bytes()
    with pytest.raises(KeyFileError) as caught:
        over(back, signed.raw)
    assert (caught.value.reason, back.card.version) == ("roots-offline", 1)
    assert (world.folder / "restored" / "identity.p2pkey").read_bytes() == before


def test_no_card_is_issued_before_a_partner_could_show_a_newer_one(restored: Restored) -> None:
    """The daemon renews by itself, at once where the backup is a month old: it would fork its own card."""
    _, bravo, back = restored
    back.store.partners.note_restored(NOW + 10)
    back.store.partners.touch(bravo.identity.partner_id, NOW + 11)
    with pytest.raises(RefusedError) as caught:
        RotateCard().run(back, NOW + 200, quiet)
    assert (caught.value.reason, back.card.version) == ("own-card-unsure", 1)
    back.store.partners.touch(bravo.identity.partner_id, NOW + 10 + RESTORED_SECONDS)
    RotateCard().run(back, NOW + 200, quiet)
    assert (back.card.version, back.store.partners.restored_at()) == (2, 0)


def test_a_home_without_partners_waits_for_nobody(world: World) -> None:
    alone = world.found("alone")
    alone.store.partners.note_restored(NOW + 10)
    RotateCard().run(alone, NOW + 11, quiet)
    assert alone.card.version == 2


# --- a fork that was made all the same -------------------------------------------------------------


@pytest.fixture
def frozen(restored: Restored) -> Restored:
    """The restored home issued a card before it heard of the newer ones, and bravo saw it."""
    _, bravo, back = restored
    RotateCard().run(back, NOW + 9, quiet)
    with pytest.raises(CardFork):
        apply_card_update(bravo, back.identity.partner_id, back.card.raw, NOW + 10)
    assert load_roster(bravo).entries[back.identity.partner_id].is_frozen and "card-fork" in words(bravo)
    return restored


def unfreeze(bravo: Node, raw: bytes, told: str = "", name: str = "alpha") -> None:
    of = fingerprint(believe_chain(raw).partner_id)
    UnfreezePartner(name, raw, told or of).run(bravo, NOW + 30, quiet)


def test_the_owner_goes_on_from_theirs_and_a_person_lifts_the_freeze(frozen: Restored) -> None:
    _, bravo, back = frozen
    forked = back.card.raw
    over(back, held(bravo, "alpha"), NOW + 20)
    assert back.card.version == 4
    unfreeze(bravo, back.card.raw)
    entry = load_roster(bravo).entries[back.identity.partner_id]
    assert (entry.is_frozen, entry.card.version) == (False, 4) and "card-fork" not in words(bravo)
    with pytest.raises(PeerError) as caught:  # a relay that has it still freezes nobody a second time
        apply_card_update(bravo, back.identity.partner_id, forked, NOW + 31)
    assert caught.value.reason == "card-rollback"
    assert not load_roster(bravo).entries[back.identity.partner_id].is_frozen


def test_a_partner_that_took_the_other_side_takes_the_one_that_goes_on(
    frozen: Restored, world: World
) -> None:
    _, bravo, back = frozen
    charlie = world.found("charlie")
    befriend(charlie, back)
    assert load_roster(charlie).entries[back.identity.partner_id].card.version == 2
    over(back, held(bravo, "alpha"), NOW + 20)
    with pytest.raises(CardFork):
        apply_card_update(charlie, back.identity.partner_id, back.card.raw, NOW + 21)
    [name] = [one.alias for one in load_roster(charlie) if one.partner_id == back.identity.partner_id]
    unfreeze(charlie, back.card.raw, name=name)
    assert load_roster(charlie).entries[back.identity.partner_id].card.version == 4


def test_what_lifts_no_freeze(frozen: Restored) -> None:
    _, bravo, back = frozen
    good = held(bravo, "alpha")
    for raw, told, reason in (
        (good, fingerprint(bravo.identity.partner_id), "fingerprint-mismatch"),
        (bravo.card.raw, fingerprint(bravo.identity.partner_id), "fingerprint-mismatch"),
        (back.card.raw, "", "card-rollback"),  # version 2, and 3 is known
    ):
        with pytest.raises((RefusedError, PeerError)) as caught:
            unfreeze(bravo, raw, told)
        assert caught.value.reason == reason  # type: ignore[union-attr]
    assert load_roster(bravo).entries[back.identity.partner_id].is_frozen
    unfreeze(bravo, good)
    with pytest.raises(RefusedError) as again:
        unfreeze(bravo, good)
    assert again.value.reason == "not-frozen"


def test_another_fork_after_that_freezes_again_with_its_own_proof(frozen: Restored, world: World) -> None:
    _, bravo, _ = frozen
    unfreeze(bravo, held(bravo, "alpha"))
    again = world.reopen("alpha")
    one, other = (reissue_card(again.identity, NOW + 40, name=name) for name in ("one", "other"))
    assert apply_card_update(bravo, one.partner_id, one.card.raw, NOW + 41)
    with pytest.raises(CardFork):
        apply_card_update(bravo, one.partner_id, other.card.raw, NOW + 42)
    [proof] = bravo.store.partners.card_forks()
    assert believe_chain(proof.second).version == 4
