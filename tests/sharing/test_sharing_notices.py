"""Cards and vouch pages that go round a circle: what is taken in, from whom, what it pushes out, and who is handed it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from whole_nodes import NOW, World, befriend, seal_unchecked, take_in
from whole_nodes import draft as draft_of

from p2pshare.envelope.card import decode_card
from p2pshare.envelope.card_format import Revocation, sign_card
from p2pshare.envelope.hybrid import SigningKey
from p2pshare.envelope.keys import generate_operational_keys, reissue_card
from p2pshare.envelope.notice import circle_of_page, notice_of
from p2pshare.envelope.vouch import Scope, Vouch, vouch
from p2pshare.errors import PeerError, RefusedError
from p2pshare.gossip.messages import PutVerdict, Shard
from p2pshare.gossip.moment import Moment
from p2pshare.identifiers import CircleId, EnvelopeId
from p2pshare.limits import NOTICE_CLASS
from p2pshare.node.node import Node
from p2pshare.queries.alarms import alarms
from p2pshare.sharing import intake, notices
from p2pshare.sharing.exchange import Exchange, Outcome, ReceivedBody
from p2pshare.sharing.intake import Arrival, IntakeVerdict
from p2pshare.sharing.notices import list_cards
from p2pshare.sharing.own_card import renew
from p2pshare.sharing.partners import apply_card_update, freeze_partner, load_roster, remove_partner

MAIN = CircleId.of("main")
OTHER = CircleId.of("other")
Chain = tuple[Node, Node, Node]
IDS = [EnvelopeId(bytes([number]) * 32) for number in range(3)]


@pytest.fixture
def chain(world: World) -> Chain:
    """alpha - bravo - charlie; alpha and charlie know one another without a link."""
    alpha, bravo, charlie = (world.found(name) for name in ("alpha", "bravo", "charlie"))
    for left, right, has_link in ((alpha, bravo, True), (bravo, charlie, True), (alpha, charlie, False)):
        befriend(left, right, has_link=has_link)
        befriend(right, left, has_link=has_link)
    return alpha, bravo, charlie


def renewed(node: Node, now: int = NOW + 5, name: str | None = None, **changes: object) -> Node:
    """The node with a newer card, as one that has just issued it."""
    return replace(node, identity=reissue_card(node.identity, now, name=name or "later", **changes))  # type: ignore[arg-type]


def card_notice(node: Node, circle: CircleId = MAIN) -> bytes:
    return notice_of(circle, node.card.version_raw)


def bear(node: Node, raw: bytes, by: Node, now: int = NOW + 10) -> IntakeVerdict:
    [verdict] = take_in(node, [Arrival(raw, by.identity.partner_id)], now)
    return verdict


def words(verdict: IntakeVerdict) -> tuple[str, str]:
    return verdict.status.value, verdict.reason


def version_at(node: Node, of: Node) -> int:
    return load_roster(node).entries[of.identity.partner_id].card.version


def ids_in(node: Node, circle: CircleId) -> set[bytes]:
    loaded = [one for one in Exchange(node).keys([circle]) if one.shard == Shard(circle, NOTICE_CLASS)]
    return {bytes(key[8:]) for one in loaded for key in one.keys}


def revoking(node: Node, listed: Mapping[Scope, list[EnvelopeId]], now: int = NOW + 5) -> tuple[Node, Vouch]:
    """The node after it revoked the key it signs with, and what it vouches for."""
    key_id = node.identity.operational.sign.key_id
    made = vouch(node.identity.partner_id, key_id, listed)
    fresh = generate_operational_keys(node.identity.partner_id, now)
    return renewed(node, now, operational=fresh, revoked=[Revocation(key_id, NOW, 1, made.root)]), made


def page_notices(node: Node, made: Vouch) -> list[bytes]:
    own = node.identity.partner_id
    return [notice_of(circle_of_page(own, scope), raw) for scope, raw in made.pages()]


# --- cards -----------------------------------------------------------------------------------------


def test_a_newer_card_reaches_a_partner_two_hops_away_and_pushes_the_older_out(chain: Chain) -> None:
    alpha, bravo, charlie = chain
    list_cards(alpha)
    first = ids_in(alpha, MAIN)
    assert len(first) == 2  # its own, and that of bravo, with whom it is linked; not charlie's
    for node in (bravo, charlie):
        assert words(bear(node, card_notice(alpha), bravo if node is charlie else alpha)) == ("held", "")
    alpha = renewed(alpha)
    dropped = list_cards(alpha)
    assert [one.created for one in dropped] == [NOW - 86_400 + 86_400]
    for node, by in ((bravo, alpha), (charlie, bravo)):
        verdict = bear(node, card_notice(alpha), by)
        assert words(verdict) == ("held", "")
        assert verdict.notice is not None and len(verdict.notice.dropped) == 1
        assert version_at(node, alpha) == 2
        assert {bytes(verdict.envelope_id or b"")} <= ids_in(node, MAIN)
        assert words(bear(node, card_notice(alpha), by)) == ("already-held", "")


@pytest.mark.parametrize("jump", [-7_200, -100 * 86_400, 500 * 86_400], ids=["behind", "far behind", "ahead"])
def test_a_revocation_is_believed_in_the_hour_after_our_clock_was_set(chain: Chain, jump: int) -> None:
    """By the new clock alone it began in the future, or had expired: whoever had the stolen key had an hour, or 100 days, more."""
    alpha, bravo, _ = chain
    alpha, _ = revoking(alpha, {})
    before = NOW + 10
    now = before + jump
    moment = Moment(now, min(now, before), max(now, before))
    [verdict] = intake.take_in(bravo, [Arrival(card_notice(alpha), alpha.identity.partner_id)], now, moment)
    assert words(verdict) == ("held", "")
    author, third = alpha.identity.partner_id, renewed(alpha, before + 1)
    exchange = Exchange(bravo)
    assert exchange.sift_card(third.card.raw, author, now, moment)[0] == author
    assert exchange.apply_card(author, third.card.raw, now, moment)
    with pytest.raises(PeerError) as caught:  # once nobody doubts it any more
        exchange.apply_card(author, renewed(third, before + 2).card.raw, now)
    assert caught.value.reason == ("card-expired" if jump > 0 else "card-from-the-future")


def test_an_older_card_neither_comes_back_nor_stays_in_the_comparison(chain: Chain) -> None:
    alpha, bravo, _ = chain
    before = alpha
    alpha = renewed(alpha)
    assert words(bear(bravo, card_notice(alpha), alpha)) == ("held", "")
    held = ids_in(bravo, MAIN)
    assert words(bear(bravo, card_notice(before), alpha)) == ("refused", "card-rollback")
    assert ids_in(bravo, MAIN) == held
    assert version_at(bravo, alpha) == 2


def test_the_known_version_under_other_signatures_is_no_news(chain: Chain) -> None:
    """Its signatures were not looked at, so nobody may be given them."""
    alpha, bravo, charlie = chain
    list_cards(bravo)
    good, raw = card_notice(alpha), alpha.card.version_raw
    bad = notice_of(MAIN, raw[:-64] + bytes(64))
    for node, by in ((bravo, alpha), (charlie, bravo)):
        assert words(bear(node, bad, by)) == ("already-held", "")
        assert {bytes(notices.notice_id_of(good))} <= ids_in(node, MAIN)
        assert bytes(notices.notice_id_of(bad)) not in ids_in(node, MAIN)
    assert words(bear(charlie, card_notice(renewed(alpha)), bravo)) == ("held", "")


def test_a_forged_card_is_not_believed_and_spares_the_batch(chain: Chain) -> None:
    alpha, bravo, charlie = chain
    body = decode_card(renewed(alpha).card.version_raw).body
    forged = notice_of(MAIN, sign_card(body, [SigningKey.generate()]))
    good = card_notice(renewed(alpha))
    envelope = seal_unchecked(alpha, draft_of(alpha, ["good.example"]), bravo, NOW)
    verdicts = take_in(
        bravo, [Arrival(raw, charlie.identity.partner_id) for raw in (forged, good, envelope)], NOW + 10
    )
    assert [words(one) for one in verdicts] == [
        ("refused", "card-signature"),
        ("held", ""),
        ("held", ""),
    ]


def test_two_cards_of_one_version_freeze_their_partner_wherever_they_meet(chain: Chain) -> None:
    """A thief of the roots can only fork."""
    alpha, bravo, charlie = chain
    one, other = renewed(alpha, name="one"), renewed(alpha, name="other")
    assert words(bear(charlie, card_notice(one), bravo)) == ("held", "")
    verdict = bear(charlie, card_notice(other), bravo)
    assert words(verdict) == ("refused", "card-fork")
    assert verdict.notice is not None and verdict.notice.has_changed_roster
    assert load_roster(charlie).entries[alpha.identity.partner_id].is_frozen
    assert words(bear(charlie, card_notice(renewed(one, NOW + 6)), bravo)) == ("refused", "author-frozen")


def test_new_roots_wait_for_a_person(chain: Chain) -> None:
    alpha, bravo, _ = chain
    body = decode_card(renewed(alpha).card.version_raw).body
    fresh = [SigningKey.generate()]
    taken = sign_card(
        replace(body, roots=tuple(one.verify_key for one in fresh)), [*alpha.identity.roots, *fresh]
    )
    assert words(bear(bravo, notice_of(MAIN, taken), alpha)) == ("refused", "card-roots-changed")
    assert version_at(bravo, alpha) == 1


def test_no_notice_crosses_a_link_that_does_not_carry_its_circle(chain: Chain, world: World) -> None:
    alpha, bravo, charlie = chain
    alpha = renewed(alpha)
    assert words(bear(bravo, card_notice(alpha, OTHER), alpha)) == ("refused", "circle-not-on-link")
    stranger = world.found("stranger")
    assert words(bear(bravo, card_notice(alpha), stranger)) == ("refused", "circle-not-on-link")
    assert words(bear(bravo, card_notice(stranger), alpha)) == ("refused", "author-unknown")
    assert words(bear(renewed(alpha), card_notice(alpha), bravo)) == ("refused", "own-card")
    freeze_partner(bravo.store, alpha.identity.partner_id, evidence=(b"a", b"b"), now=NOW)
    assert words(bear(bravo, card_notice(alpha), charlie)) == ("refused", "author-frozen")


def test_a_home_set_back_to_before_its_newest_card_forks_none(chain: Chain) -> None:
    """Nobody could lift the freeze again: partners take two cards of one version for stolen roots."""
    alpha, bravo, _ = chain
    newer = renewed(alpha)
    unsigned = sign_card(decode_card(newer.card.version_raw).body, [SigningKey.generate()])
    assert words(bear(alpha, notice_of(MAIN, unsigned), bravo)) == ("refused", "card-signature")
    renew(alpha, NOW + 11)
    assert alpha.card.version == newer.card.version, "who hands over what no root signed stops nobody"
    assert words(bear(alpha, card_notice(newer), bravo)) == ("refused", "own-card")

    newest = renewed(newer, NOW + 6)
    assert words(bear(alpha, card_notice(newest), bravo)) == ("refused", "own-card-newer")
    with pytest.raises(RefusedError) as caught:
        renew(alpha, NOW + 12)
    assert (caught.value.reason, alpha.card.version) == ("own-card-newer", newer.card.version)
    told = [alarms(alpha.store, card, is_running=True, now=NOW + 12) for card in (alpha.card, newest.card)]
    assert ["own-card-newer" in [alarm.word for alarm in each] for each in told] == [True, False]


def test_a_card_goes_round_only_where_its_partner_is_known_to_be(chain: Chain) -> None:
    """bravo's link with charlie carries another circle as well: nobody there hears of alpha."""
    alpha, bravo, charlie = chain
    [row] = [row for row in bravo.store.partners.all() if row.alias == "charlie"]
    bravo.store.partners.put(replace(row, circles=("main", "other")))
    bear(bravo, card_notice(alpha), alpha)
    list_cards(bravo)
    of = {one.notice_id: one.author for one in bravo.store.notices.cards()}
    assert {of[one] for one in ids_in(bravo, OTHER)} == {  # type: ignore[index]
        bravo.identity.partner_id,
        charlie.identity.partner_id,
    }
    assert alpha.identity.partner_id in {of[one] for one in ids_in(bravo, MAIN)}  # type: ignore[index]
    exchange = Exchange(bravo)
    [hidden] = [
        one.notice_id
        for one in bravo.store.notices.cards([charlie.identity.partner_id])
        if one.circle == OTHER
    ]
    assert exchange.wire(alpha.identity.partner_id, EnvelopeId(hidden)) is None
    assert exchange.wire(charlie.identity.partner_id, EnvelopeId(hidden)) is not None


def test_a_removed_partner_takes_its_notices_along(chain: Chain) -> None:
    alpha, bravo, _ = chain
    bear(bravo, card_notice(alpha), alpha)
    remove_partner(bravo, "alpha")
    dropped = list_cards(bravo)
    assert [one.author for one in dropped] == [alpha.identity.partner_id]
    assert list_cards(bravo) == []


# --- missing versions ------------------------------------------------------------------------------


def test_versions_between_are_asked_for_where_the_known_roots_signed_the_newest(chain: Chain) -> None:
    alpha, bravo, charlie = chain
    second = renewed(alpha)
    third = renewed(second, NOW + 6)
    exchange = Exchange(charlie)
    exchange.begin()
    bravo_id = bravo.identity.partner_id

    def hand(raw: bytes) -> Outcome:
        notice_id = EnvelopeId(notices.notice_id_of(raw))
        return exchange.commit([ReceivedBody(bravo_id, notice_id, raw)], NOW + 10)

    outcome = hand(card_notice(third))
    assert [(one.verdict, one.reason) for one in outcome.decided] == [(PutVerdict.REFUSED, "card-gap")]
    [missing] = outcome.missing
    assert (missing.peer, missing.partner, missing.circle) == (bravo_id, alpha.identity.partner_id, MAIN)
    forged = sign_card(decode_card(third.card.version_raw).body, [SigningKey.generate()])
    outcome = hand(notice_of(MAIN, forged))  # anybody could make us ask for chains of megabytes
    assert [one.reason for one in outcome.decided] == ["card-signature"]
    assert outcome.missing == ()
    apply_card_update(bravo, alpha.identity.partner_id, third.card.raw, NOW + 10)
    list_cards(bravo)
    file = Exchange(bravo).chain(charlie.identity.partner_id, alpha.identity.partner_id)
    assert file == third.card.raw
    is_changed, _ = exchange.apply_chain(alpha.identity.partner_id, MAIN, file, NOW + 10)
    assert is_changed
    assert version_at(charlie, alpha) == 3
    assert [one.author for one in exchange.commit([], NOW + 10).held] == [alpha.identity.partner_id]


def test_a_card_is_given_to_nobody_in_whose_circles_it_does_not_go_round(chain: Chain) -> None:
    alpha = chain[0]
    exchange = Exchange(alpha)
    list_cards(alpha)
    alpha_id, bravo_id, charlie_id = (one.identity.partner_id for one in chain)
    assert exchange.chain(bravo_id, alpha_id) == alpha.card.raw
    assert exchange.chain(bravo_id, charlie_id) is None  # known by hand, and met in no circle
    assert exchange.chain(charlie_id, alpha_id) is None  # no link


# --- vouch pages -----------------------------------------------------------------------------------


def test_a_page_is_held_by_the_card_alone_and_relays_read_what_it_lists(chain: Chain) -> None:
    alpha, bravo, charlie = chain
    key_id = alpha.identity.operational.sign.key_id
    alpha, made = revoking(alpha, {MAIN: IDS})
    [page] = page_notices(alpha, made)
    assert words(bear(charlie, page, bravo)) == ("refused", "bad-vouch")  # the card has not come yet
    verdicts = take_in(
        charlie,
        [Arrival(raw, bravo.identity.partner_id) for raw in (page, card_notice(alpha))],
        NOW + 10,
    )
    assert [words(one) for one in verdicts] == [("held", ""), ("held", "")]  # whichever comes first
    wanted = [*IDS, EnvelopeId(b"x" * 32)]
    assert charlie.store.notices.is_vouched(alpha.identity.partner_id, key_id, wanted) == set(IDS)
    assert not charlie.store.notices.is_vouched(bravo.identity.partner_id, key_id, wanted)
    again = renewed(alpha, NOW + 6)  # as a renewal does, with the revocation still in it
    assert words(bear(charlie, card_notice(again), bravo)) == ("held", "")
    assert len(charlie.store.notices.pages()) == 1
    other = reissue_card(
        again.identity, NOW + 7, revoked=[replace(again.card.revoked[0], vouch_root=bytes(32))]
    )
    verdict = bear(charlie, notice_of(MAIN, other.card.version_raw), bravo)
    assert verdict.notice is not None and len(verdict.notice.dropped) == 2
    assert charlie.store.notices.pages() == []
    assert not charlie.store.notices.is_vouched(alpha.identity.partner_id, key_id, wanted)


def test_a_thief_cannot_vouch_for_itself(chain: Chain) -> None:
    alpha, bravo, charlie = chain
    key_id = alpha.identity.operational.sign.key_id
    alpha, _ = revoking(alpha, {MAIN: IDS})
    bear(charlie, card_notice(alpha), bravo)
    own = vouch(alpha.identity.partner_id, key_id, {MAIN: [EnvelopeId(b"e" * 32)]})
    assert words(bear(charlie, page_notices(alpha, own)[0], bravo)) == ("refused", "bad-vouch")


def test_a_partners_page_goes_from_its_author_to_that_partner_alone(chain: Chain) -> None:
    alpha, bravo, charlie = chain
    alpha, made = revoking(alpha, {bravo.identity.partner_id: IDS})
    [page] = page_notices(alpha, made)
    for node in (bravo, charlie):
        bear(node, card_notice(alpha), bravo if node is charlie else alpha)
    assert words(bear(bravo, page, charlie)) == ("refused", "direct-from-another")
    assert words(bear(charlie, page, bravo)) == ("refused", "direct-from-another")
    exchange = Exchange(bravo)
    exchange.begin()
    notice_id = EnvelopeId(notices.notice_id_of(page))
    outcome = exchange.commit([ReceivedBody(alpha.identity.partner_id, notice_id, page)], NOW + 10)
    assert [(one.direct_to, one.item.ttl_class) for one in outcome.held] == [((), NOTICE_CLASS)]
    for peer in (alpha, charlie):
        assert exchange.wire(peer.identity.partner_id, notice_id) is None
    pair = CircleId.of_pair(alpha.identity.partner_id, bravo.identity.partner_id)
    loaded = exchange.pair_keys(alpha.identity.partner_id)
    assert [(one.shard, len(one.keys)) for one in loaded] == [(Shard(pair, NOTICE_CLASS), 1)]


def test_the_pages_of_one_author_cannot_fill_the_store(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    alpha, bravo, charlie = chain
    monkeypatch.setattr(notices, "PAGE_BYTES_PER_AUTHOR_MAX", 80_000)
    many = [EnvelopeId(number.to_bytes(32, "big")) for number in range(4_001)]
    alpha, made = revoking(alpha, {MAIN: many})
    bear(charlie, card_notice(alpha), bravo)
    verdicts = [words(bear(charlie, raw, bravo)) for raw in page_notices(alpha, made)]
    assert verdicts[:2] == [("held", ""), ("refused", "quota")]


def test_many_versions_of_a_card_are_kept_once(chain: Chain) -> None:
    """256 versions of up to 4 MiB each would be half a gigabyte, were each kept with all before it."""
    alpha, bravo, _ = chain
    for number in range(20):
        alpha = renewed(alpha, NOW + 5 + number)
        assert words(bear(bravo, card_notice(alpha), alpha, NOW + 50)) == ("held", "")
    assert bravo.store.partners.newest_card(alpha.identity.partner_id) == alpha.card.raw
    ((stored,),) = bravo.store.database.fetch("SELECT sum(length(raw)) FROM card")
    assert stored < 2 * len(alpha.card.raw)
