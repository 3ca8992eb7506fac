"""Revoking a key of ours: what is vouched for, what a person must say, and what stays on the disk for partners."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from store_rows import rows
from whole_nodes import NOW, World, befriend, draft, quiet, seal_unchecked, send, take_in, wire_of

from p2pshare.envelope.card import CardFork
from p2pshare.envelope.card_format import NOTHING_VOUCHED
from p2pshare.envelope.envelope import decode_envelope
from p2pshare.envelope.hybrid import Secret
from p2pshare.envelope.keys import reissue_card
from p2pshare.envelope.sealing import open_envelope
from p2pshare.envelope.verification import verify_envelope
from p2pshare.errors import AuthorError, KeyFileError, NotFoundError
from p2pshare.identifiers import CircleId, EnvelopeId
from p2pshare.intel.marking import Tlp
from p2pshare.node.keyfile import read_identity, write_key_file
from p2pshare.node.node import Node
from p2pshare.node.vouch_pages import VOUCH_FOLDER, own_pages
from p2pshare.operations.cards import RevokeKey, RotateCard, SetCard
from p2pshare.sharing.intake import Arrival, IntakeStatus
from p2pshare.sharing.own_card import shown_by
from p2pshare.sharing.partners import apply_card_update
from p2pshare.sharing.revoking import RevokedKey

DAY = 86_400


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture
def alpha(world: World) -> Node:
    """alpha, who has published to bravo and carol: one for a day, one for longer, one direct."""
    alpha, bravo, carol = (world.found(name) for name in ("alpha", "bravo", "carol"))
    befriend(alpha, bravo)
    befriend(alpha, carol)
    return alpha


def revoked(node: Node, *, now: int = NOW + 60, **more: object) -> RevokedKey:
    key = node.identity.operational.sign.key_id.text
    return RevokeKey(key[:12], "compromised", **more).run(node, now, quiet)  # type: ignore[arg-type]


def vouched(node: Node) -> dict[bytes, set[EnvelopeId]]:
    """What the pages on the disk say, by scope."""
    found: dict[bytes, set[EnvelopeId]] = {}
    for page, _ in own_pages(node.home, node.card):
        found.setdefault(bytes(page.scope), set()).update(page.ids)
    return found


def test_what_this_store_sealed_and_has_not_expired_is_vouched_for_each_in_its_scope(alpha: Node) -> None:
    stolen = alpha.identity.operational
    send(alpha, ["short.example"], to=["bravo"], ttl_class=1)
    relayed = send(alpha, ["long.example"], to=["bravo", "carol"]).envelopes
    direct = send(alpha, ["direct.example"], to=["bravo"], tlp=Tlp.RED).envelopes
    answer = revoked(alpha, now=NOW + 2 * DAY)
    assert (answer.version, answer.signed, answer.vouched, answer.not_vouched) == (2, True, 2, 0)
    bravo = next(row.partner_id for row in alpha.store.partners.all() if row.alias == "bravo")
    assert vouched(alpha) == {bytes(CircleId.of("main")): set(relayed), bytes(bravo): set(direct)}
    [entry] = alpha.card.revoked
    assert (entry.key_id, entry.since, entry.reason) == (stolen.sign.key_id, NOW + 2 * DAY, 1)
    assert [key.key for key in alpha.card.sign_keys] == [
        alpha.identity.operational.sign.verify_key,
        stolen.sign.verify_key,
    ], "it is needed to verify what is vouched for"


def test_nobody_can_have_a_key_from_tomorrow_on(alpha: Node) -> None:
    """A year that was mistyped would else be taken as now in silence."""
    with pytest.raises(AuthorError) as caught:
        revoked(alpha, now=NOW, since="2999-01-01T00:00:00Z")
    assert caught.value.reason == "bad-argument"
    assert alpha.card.version == 1


def test_the_whole_set_leaves_the_card_and_its_certificate_is_shown_no_more(alpha: Node) -> None:
    """A thief of the set could go on connecting and reading as this partner."""
    stolen = alpha.identity.operational
    revoked(alpha)
    card = alpha.card
    assert stolen.tls.certificate not in card.tls_certificates
    assert stolen.kem.public not in [entry.key for entry in card.kem_keys]
    assert stolen.hint.public not in [entry.key for entry in card.hint_keys]
    assert stolen.sign.verify_key not in [entry.key for entry in card.sign_keys], "nothing was vouched for"
    assert card.revoked[0].vouch_root == NOTHING_VOUCHED
    assert shown_by(alpha, NOW + 60) == alpha.identity.operational.tls != stolen.tls
    assert stolen in alpha.identity.retired, "it still opens what was sealed for it"


def test_what_a_thief_sealed_in_our_name_is_not_vouched_for_unless_a_person_says_so(
    world: World, alpha: Node
) -> None:
    bravo = world.reopen("bravo")
    thief = replace(alpha)
    wire = seal_unchecked(thief, draft(alpha, ["stolen.example"]), bravo, NOW + 5, ahead=7)
    take_in(alpha, [Arrival(wire, bravo.identity.partner_id)], NOW + 6)
    own = send(alpha, ["own.example"], to=["bravo"], now=NOW + 7).envelopes
    theirs = decode_envelope(wire).envelope_id
    asked = revoked(alpha, dry_run=True)
    assert (asked.vouched, asked.not_vouched, asked.is_new, alpha.card.version) == (1, 1, False, 1)
    assert [one.envelope_id for one in asked.not_vouched_newest] == [theirs.text]
    assert not (alpha.home / VOUCH_FOLDER).exists()
    revoked(alpha, vouch=(theirs.text,))
    assert vouched(alpha) == {bytes(CircleId.of("main")): {*own, theirs}}


def test_what_is_not_ours_cannot_be_vouched_for_by_a_slip(alpha: Node) -> None:
    with pytest.raises(NotFoundError):
        revoked(alpha, vouch=("00" * 32,))
    assert alpha.card.version == 1


@pytest.mark.parametrize("key", ["", "00" * 16, "zz"])
def test_an_unknown_key_is_not_found(alpha: Node, key: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        RevokeKey(key, "lost").run(alpha, NOW, quiet)
    assert caught.value.reason == "key-unknown"


def test_an_older_key_is_revoked_without_new_ones(alpha: Node) -> None:
    older = alpha.identity.operational
    RotateCard().run(alpha, NOW + 5, quiet)
    in_use = alpha.identity.operational
    RevokeKey(older.sign.key_id.text, "superseded").run(alpha, NOW + 6, quiet)
    assert alpha.identity.operational == in_use
    assert alpha.card.tls_certificates == (in_use.tls.certificate,)
    SetCard("Alpha Two").run(alpha, NOW + 7, quiet)
    assert [entry.key_id for entry in alpha.card.revoked] == [older.sign.key_id], "it stays said"


def test_pages_stay_over_later_cards_and_go_with_another_vouch(alpha: Node) -> None:
    send(alpha, ["one.example"], to=["bravo"])
    revoked(alpha)
    [first] = (alpha.home / VOUCH_FOLDER).iterdir()
    assert first.stat().st_mode & 0o777 == 0o700
    SetCard("Alpha Two").run(alpha, NOW + 70, quiet)
    assert first.is_dir()
    again = alpha.card.revoked[0].key_id.text
    RevokeKey(again, "compromised").run(alpha, NOW + 80, quiet)
    assert not first.exists()
    assert vouched(alpha), "another salt, another root, its own pages"


def test_a_damaged_page_is_left_out_and_the_others_count(alpha: Node) -> None:
    send(alpha, ["one.example"], to=["bravo"])
    send(alpha, ["two.example"], to=["bravo"], tlp=Tlp.RED)
    revoked(alpha)
    pages = sorted((alpha.home / VOUCH_FOLDER).glob("*/*"))
    assert len(pages) == 2
    pages[0].write_bytes(pages[0].read_bytes()[:-1])
    assert len(list(own_pages(alpha.home, alpha.card))) == 1


# --- what a thief of the disk can do: README.md, "Who can do what" ---


def test_a_thief_of_the_disk_reads_the_store_and_with_plain_keys_all_that_was_sealed_for_it_or_by_it(
    world: World, alpha: Node
) -> None:
    bravo = world.reopen("bravo")
    befriend(bravo, alpha)
    wires = [
        wire_of(author, send(author, [value], to=[to], tlp=Tlp.AMBER).envelopes[0])
        for author, value, to in ((bravo, "for-alpha.example", "alpha"), (alpha, "by-alpha.example", "bravo"))
    ]
    take_in(alpha, [Arrival(wires[0], bravo.identity.partner_id)], NOW + 6)
    alpha.store.database.checkpoint()
    stolen = alpha.home.with_name("stolen")
    shutil.copytree(alpha.home, stolen)
    found = rows(stolen / "store.sqlite", "SELECT value FROM v1_indicators ORDER BY value")
    assert found == [("by-alpha.example",), ("for-alpha.example",)]
    identity = read_identity(stolen / "identity.p2pkey", stolen / "card.p2pcard")
    for author, wire in zip((bravo, alpha), wires, strict=True):
        verified = verify_envelope(decode_envelope(wire), author.card, NOW + 6)
        assert open_envelope(identity, verified, author.card) is not None
    encrypted = stolen / "encrypted.p2pkey"
    write_key_file(encrypted, identity, Secret(b"correct horse battery"), scrypt_log_n=4)
    for passphrase in (None, Secret(b"another one altogether")):
        with pytest.raises(KeyFileError):
            read_identity(encrypted, stolen / "card.p2pcard", passphrase)


def test_a_thief_of_the_disk_signs_as_the_partner_until_its_key_is_revoked(world: World, alpha: Node) -> None:
    bravo = world.reopen("bravo")
    befriend(bravo, alpha)
    thief, theirs = replace(alpha), alpha.identity.partner_id
    first = seal_unchecked(thief, draft(thief, ["first.example"]), bravo, NOW + 5)
    [verdict] = take_in(bravo, [Arrival(first, theirs)], NOW + 6)
    assert verdict.status is IntakeStatus.HELD
    revoked(alpha)
    assert apply_card_update(bravo, theirs, alpha.card.raw, NOW + 70)
    for created in (NOW + 7, NOW + 80):  # dated back, and not
        late = seal_unchecked(thief, draft(thief, ["late.example"]), bravo, created, ahead=created - NOW)
        [verdict] = take_in(bravo, [Arrival(late, theirs)], NOW + 81)
        assert (verdict.status, verdict.reason) == (IntakeStatus.REFUSED, "revoked-key")
    after = seal_unchecked(alpha, draft(alpha, ["after.example"]), bravo, NOW + 82)
    [verdict] = take_in(bravo, [Arrival(after, theirs)], NOW + 83)
    assert verdict.status is IntakeStatus.HELD


def test_a_thief_of_the_root_key_is_the_partner_for_good(world: World, alpha: Node) -> None:
    """Two cards of one version freeze the partner, and nobody can tell which one is its owner's."""
    bravo = world.reopen("bravo")
    befriend(bravo, alpha)
    rooted = read_identity(alpha.home / "identity.p2pkey", alpha.home / "card.p2pcard")
    stolen = reissue_card(rooted, NOW + 10, name="Alpha, says the thief")
    assert apply_card_update(bravo, rooted.partner_id, stolen.card.raw, NOW + 11)
    revoked(alpha)
    with pytest.raises(CardFork):
        apply_card_update(bravo, rooted.partner_id, alpha.card.raw, NOW + 70)
    [row] = [one for one in bravo.store.partners.all() if one.partner_id == rooted.partner_id]
    assert row.is_frozen
