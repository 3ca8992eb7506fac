"""Which cards are believed: rollback (P8), forks with portable evidence (P9), gaps, thresholds, expiry, strangers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from envelope_forge import DAY, NOW, body_of, next_body
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.envelope.card import (
    Card,
    CardFork,
    accept_first,
    accept_update,
    believe_chain,
    fingerprint,
    parse_fingerprint,
    safety_number,
    verify_fork,
)
from p2pshare.envelope.card_format import (
    CARD_MAGIC,
    DOMAIN_CARD,
    NO_PREVIOUS,
    NOTHING_VOUCHED,
    Revocation,
    decode_card,
    encode_body,
    encode_versions,
    partner_id_of,
    sign_card,
    signed_message,
)
from p2pshare.envelope.encoding import pack
from p2pshare.envelope.keys import (
    Identity,
    SigningKey,
    create_identity,
    generate_operational_keys,
    reissue_card,
)
from p2pshare.errors import AuthorError, KeyFileError, PeerError
from p2pshare.identifiers import PartnerId
from p2pshare.limits import CARD_LIFE_SECONDS_MAX


def reason_of(raw: bytes, *, current: Card | None = None, now: int = NOW) -> str:
    with pytest.raises(PeerError) as caught:
        if current is None:
            accept_first(raw, now)
        else:
            accept_update(current, raw, now)
    return caught.value.reason


def renamed(identity: Identity, name: str) -> Identity:
    return reissue_card(identity, NOW, name=name)


# --- first contact ---------------------------------------------------------------------------------


def test_a_first_card_is_believed_with_all_its_fields(alpha: Identity) -> None:
    card = accept_first(alpha.card.raw, NOW)
    assert (card.partner_id, card.version, card.name) == (alpha.partner_id, 1, "Alpha CERT")
    assert card.urls == ("https://alpha.example:8443",)
    assert card.verify_key(alpha.operational.sign.key_id, NOW) == alpha.operational.sign.verify_key
    assert card.kem == alpha.operational.kem.public
    assert card.hint == alpha.operational.hint.public
    assert card.tls_certificates == (alpha.operational.tls.certificate,)
    assert card.is_current(NOW)


def test_first_contact_with_a_later_version_needs_the_chain(alpha: Identity) -> None:
    later = renamed(alpha, "Alpha Two")
    assert reason_of(later.card.version_raw) == "card-gap"
    assert accept_first(later.card.raw, NOW).version == 2


def test_roots_that_are_not_those_of_the_id_are_refused(alpha: Identity, mallory: Identity) -> None:
    """Mallory signs a card for alpha's id with her own roots."""
    stolen = replace(body_of(alpha.card), roots=mallory.card.roots)
    assert reason_of(sign_card(stolen, mallory.roots)) == "card-identity"


def test_the_threshold_is_part_of_the_identity(board: Identity) -> None:
    weakened = replace(body_of(board.card), threshold=1)
    assert reason_of(sign_card(weakened, board.roots[:1])) == "card-identity"


def test_an_expired_or_future_card_is_refused(alpha: Identity) -> None:
    raw, expires = alpha.card.raw, alpha.card.expires
    assert accept_first(raw, expires - 1).version == 1
    assert reason_of(raw, now=expires) == "card-expired"
    assert accept_first(raw, NOW - 600).version == 1
    assert reason_of(raw, now=NOW - 601) == "card-from-the-future"
    assert believe_chain(raw).expires == expires, "its owner can still read it, to renew it"


# --- thresholds ------------------------------------------------------------------------------------


def test_two_of_three_roots_are_enough_and_one_is_not(board: Identity) -> None:
    body = body_of(board.card)
    assert accept_first(sign_card(body, board.roots[1:]), NOW).threshold == 2
    assert reason_of(sign_card(body, board.roots[:1])) == "card-threshold"


def test_one_key_cannot_be_counted_twice(board: Identity) -> None:
    body_raw = encode_body(body_of(board.card))
    root = board.roots[0]
    pairs = [[root.key_id, root.sign(DOMAIN_CARD, signed_message(body_raw))] for _ in range(2)]
    assert reason_of(pack([CARD_MAGIC, 1, body_raw, pairs])) == "malformed"


def test_a_signature_by_a_stranger_is_refused_beside_good_ones(alpha: Identity, mallory: Identity) -> None:
    raw = sign_card(body_of(alpha.card), [*alpha.roots, *mallory.roots])
    assert reason_of(raw) == "card-signature"


def test_a_bad_signature_is_refused_beside_enough_good_ones(board: Identity) -> None:
    card = decode_card(sign_card(body_of(board.card), board.roots))
    pairs = [list(pair) for pair in card.signatures]
    pairs[0][1] = pairs[1][1]
    assert reason_of(pack([CARD_MAGIC, 1, card.body_raw, pairs])) == "bad-signature"


def test_roots_rotate_with_the_old_and_the_new_threshold(board: Identity) -> None:
    fresh = SigningKey.generate()
    kept = board.roots[1:]
    body = next_body(board.card, roots=tuple(key.verify_key for key in (*kept, fresh)))
    updated = accept_update(board.card, sign_card(body, kept), NOW)
    assert updated.partner_id == board.partner_id, "the id never changes"
    assert updated.version == 2
    # The root that left no longer counts.
    third = sign_card(next_body(updated), [board.roots[0], fresh])
    assert reason_of(third, current=updated) == "card-signature"
    assert accept_update(updated, sign_card(next_body(updated), [kept[0], fresh]), NOW).version == 3


def test_a_stolen_root_cannot_take_over(board: Identity, mallory: Identity) -> None:
    body = next_body(board.card, roots=(mallory.card.roots[0],), threshold=1)
    raw = sign_card(body, [board.roots[0], *mallory.roots])
    assert reason_of(raw, current=board.card) == "card-threshold"


def test_new_roots_must_sign_themselves(board: Identity, mallory: Identity) -> None:
    """Otherwise a card could name roots whose owner has never seen it."""
    body = next_body(board.card, roots=(mallory.card.roots[0],), threshold=1)
    assert reason_of(sign_card(body, board.roots[:2]), current=board.card) == "card-threshold"


# --- P8: rollback ----------------------------------------------------------------------------------


def test_p8_an_older_card_is_refused(alpha: Identity) -> None:
    second = renamed(alpha, "Alpha Two")
    third = renamed(second, "Alpha Three")
    for older in (alpha.card.raw, second.card.raw, second.card.version_raw):
        assert reason_of(older, current=third.card) == "card-rollback"


def test_the_same_card_again_changes_nothing(alpha: Identity) -> None:
    second = renamed(alpha, "Alpha Two")
    assert accept_update(second.card, second.card.raw, NOW) is second.card
    assert accept_update(second.card, second.card.version_raw, NOW) is second.card


def test_an_update_may_bring_one_version_or_several(alpha: Identity) -> None:
    third = renamed(renamed(alpha, "Alpha Two"), "Alpha Three")
    updated = accept_update(alpha.card, third.card.raw, NOW)
    assert (updated.version, updated.name) == (3, "Alpha Three")
    assert updated.raw == third.card.raw, "the file holds every version, for the next first contact"


def test_a_missing_version_is_refused(alpha: Identity) -> None:
    third = renamed(renamed(alpha, "Alpha Two"), "Alpha Three")
    assert reason_of(third.card.version_raw, current=alpha.card) == "card-gap"


def test_a_version_that_follows_another_history_is_refused(alpha: Identity) -> None:
    raw = sign_card(next_body(alpha.card, previous=b"\x01" * 32), alpha.roots)
    assert reason_of(raw, current=alpha.card) == "card-gap"


def test_an_expired_update_is_refused_but_old_versions_may_have_expired(alpha: Identity) -> None:
    later = alpha.card.expires + DAY
    stale = sign_card(next_body(alpha.card, name="Stale"), alpha.roots)
    assert reason_of(stale, current=alpha.card, now=later) == "card-expired"
    renewed = reissue_card(alpha, later)
    assert accept_first(renewed.card.raw, later).version == 2


def test_a_card_of_another_partner_is_refused(alpha: Identity, bravo: Identity) -> None:
    assert reason_of(bravo.card.raw, current=alpha.card) == "card-other-partner"
    theirs = {"partner_id": bravo.partner_id, "tls_certificates": bravo.card.tls_certificates}
    changed = sign_card(next_body(alpha.card, **theirs), alpha.roots)
    assert reason_of(changed, current=alpha.card) == "card-other-partner"
    hidden = encode_versions([alpha.card.raw, changed])
    assert reason_of(hidden) == "card-other-partner"


def test_a_chain_ends_before_its_file_could_not_be_read_again(
    alpha: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    from p2pshare.envelope import card as card_module

    third = renamed(renamed(alpha, "Alpha Two"), "Alpha Three")
    for limit, at_limit in (("CARD_CHAIN_LENGTH_MAX", 3), ("CARD_CHAIN_BYTES_MAX", len(third.card.raw))):
        with monkeypatch.context() as patch:
            patch.setattr(card_module, limit, at_limit)
            assert accept_update(alpha.card, third.card.raw, NOW).version == 3
            patch.setattr(card_module, limit, at_limit - 1)
            assert reason_of(third.card.raw, current=alpha.card) == "oversized"


# --- P9: forks -------------------------------------------------------------------------------------


def fork_of(current: Card, raw: bytes) -> CardFork:
    with pytest.raises(CardFork) as caught:
        accept_update(current, raw, NOW)
    assert caught.value.reason == "card-fork"
    return caught.value


def test_p9_two_cards_of_one_version_are_portable_evidence(alpha: Identity) -> None:
    one, other = renamed(alpha, "For you"), renamed(alpha, "For the others")
    proof = fork_of(one.card, other.card.raw).proof
    assert (proof.partner_id, proof.version) == (alpha.partner_id, 2)
    assert verify_fork(proof) is None, "a third party, with nothing but the proof"
    assert verify_fork(fork_of(one.card, other.card.version_raw).proof) is None


def test_p9_two_first_cards_are_a_fork(alpha: Identity) -> None:
    other = sign_card(replace(body_of(alpha.card), name="Another story"), alpha.roots)
    assert verify_fork(fork_of(alpha.card, other).proof) is None


def test_p9_a_fork_in_the_past_is_found_in_a_longer_chain(alpha: Identity) -> None:
    one = renamed(renamed(alpha, "A2"), "A3")
    other = renamed(renamed(alpha, "B2"), "B3")
    assert fork_of(one.card, other.card.raw).proof.version == 2
    assert fork_of(one.card, renamed(alpha, "B2").card.version_raw).proof.version == 2


def test_nobody_can_frame_a_partner_with_a_forged_fork(alpha: Identity, mallory: Identity) -> None:
    second = renamed(alpha, "Alpha Two")
    forged = next_body(alpha.card, name="Framed")
    assert reason_of(sign_card(forged, mallory.roots), current=second.card) == "card-signature"
    taken = replace(forged, roots=mallory.card.roots)
    assert reason_of(sign_card(taken, mallory.roots), current=second.card) == "card-threshold"
    first = replace(body_of(alpha.card), roots=mallory.card.roots)
    assert reason_of(sign_card(first, mallory.roots), current=second.card) == "card-identity"


def test_a_proof_that_proves_nothing_is_refused(alpha: Identity, bravo: Identity) -> None:
    proof = fork_of(renamed(alpha, "One").card, renamed(alpha, "Other").card.raw).proof
    third = renamed(renamed(alpha, "One"), "Three").card.raw
    for empty in (
        replace(proof, other=proof.known),
        replace(proof, partner_id=bravo.partner_id),
        replace(proof, version=1),
        replace(proof, other=third),
    ):
        with pytest.raises(PeerError) as caught:
            verify_fork(empty)
        assert caught.value.reason == "not-a-fork"


# --- keys over time --------------------------------------------------------------------------------


def test_rotation_keeps_the_old_sign_key_for_what_it_signed(alpha: Identity) -> None:
    later = NOW + 30 * DAY
    rotated = reissue_card(alpha, later, operational=generate_operational_keys(alpha.partner_id, later))
    old, new = alpha.operational.sign.key_id, rotated.operational.sign.key_id
    assert rotated.card.verify_key(old, NOW) is not None
    assert rotated.card.verify_key(new, later) is not None
    assert rotated.card.verify_key(new, later - DAY - 1) is None, "not before its time"
    assert rotated.card.verify_key(old, NOW + 90 * DAY) is None, "not after its time"
    assert rotated.card.kem == rotated.operational.kem.public
    assert len(rotated.card.tls_certificates) == 2
    assert rotated.retired == (alpha.operational,)


def test_ten_rotations_stay_within_the_card(alpha: Identity) -> None:
    identity = alpha
    for month in range(1, 11):
        now = NOW + month * 30 * DAY
        identity = reissue_card(identity, now, operational=generate_operational_keys(alpha.partner_id, now))
    assert identity.card.version == 11
    assert (len(identity.card.sign_keys), len(identity.card.kem_keys), len(identity.card.hint_keys)) == (
        8,
        2,
        8,
    )
    assert accept_first(identity.card.raw, now).version == 11


def test_a_revoked_key_is_not_given_out_from_then_on(alpha: Identity) -> None:
    key_id = alpha.operational.sign.key_id
    revoked = revoking(alpha, [Revocation(key_id, NOW + 60, 1, b"r" * 32)])
    assert revoked.card.verify_key(key_id, NOW + 59) is not None
    assert revoked.card.verify_key(key_id, NOW + 60) is None


def revoking(identity: Identity, revoked: list[Revocation]) -> Identity:
    now = NOW + DAY
    fresh = generate_operational_keys(identity.partner_id, now)
    return reissue_card(identity, now, operational=fresh, revoked=revoked)


@pytest.mark.parametrize("is_in_use", [False, True])
@pytest.mark.parametrize("root", [NOTHING_VOUCHED, b"r" * 32])
def test_the_whole_set_of_a_revoked_key_leaves_the_card(
    alpha: Identity, is_in_use: bool, root: bytes
) -> None:
    """Certificate, kem and hint key stayed: the thief connected as alpha and read what was sealed for it."""
    rotated = reissue_card(alpha, NOW, operational=generate_operational_keys(alpha.partner_id, NOW))
    good, stolen = rotated.operational, alpha.operational
    if is_in_use:
        good, stolen = stolen, good
    card = revoking(rotated, [Revocation(stolen.sign.key_id, NOW, 1, root)]).card
    assert stolen.tls.certificate not in card.tls_certificates
    assert stolen.kem.public not in [entry.key for entry in card.kem_keys]
    assert stolen.hint.public not in [entry.key for entry in card.hint_keys]
    listed = [entry.key.key_id for entry in card.sign_keys]
    assert (stolen.sign.key_id in listed) == (root != NOTHING_VOUCHED), "to verify what is vouched for"
    assert good.sign.key_id in listed
    assert good.tls.certificate in card.tls_certificates


def test_the_keys_in_use_are_not_revoked_without_new_ones(alpha: Identity) -> None:
    with pytest.raises(AuthorError) as caught:
        reissue_card(alpha, NOW, revoked=[Revocation(alpha.operational.sign.key_id, NOW, 1, b"r" * 32)])
    assert caught.value.reason == "key-in-use"


def test_a_later_card_may_vouch_for_more_or_less_under_one_key(alpha: Identity) -> None:
    """What comes home after a restore is added, what has expired left out."""
    key_id = alpha.operational.sign.key_id
    first = revoking(alpha, [Revocation(key_id, NOW, 1, b"r" * 32)])
    second = reissue_card(first, NOW + DAY, revoked=[Revocation(key_id, NOW, 1, b"s" * 32)])
    assert [entry.vouch_root for entry in second.card.revoked] == [b"s" * 32]
    last = reissue_card(second, NOW + DAY, revoked=[Revocation(key_id, NOW, 1)])
    assert last.card.revoked == (Revocation(key_id, NOW, 1, NOTHING_VOUCHED),)
    assert key_id not in [entry.key.key_id for entry in last.card.sign_keys]


def test_too_few_roots_cannot_reissue(board: Identity) -> None:
    with pytest.raises(KeyFileError) as caught:
        reissue_card(replace(board, roots=board.roots[:1]), NOW, name="New")
    assert caught.value.reason == "roots-offline"
    assert reissue_card(replace(board, roots=board.roots[:2]), NOW, name="New").card.name == "New"


@pytest.mark.parametrize(
    ("name", "urls", "reason"),
    [
        ("", ["https://a.example"], "bad-name"),
        ("x" * 257, ["https://a.example"], "bad-name"),
        ("evil\x1b[31m", ["https://a.example"], "bad-name"),
        ("right\u202eleft", ["https://a.example"], "bad-name"),
        ("zero\u200bwidth", ["https://a.example"], "bad-name"),
        ("filler\u3164", ["https://a.example"], "bad-name"),
        ("br\u2800aille", ["https://a.example"], "bad-name"),
        ("\u0410lpha", ["https://a.example"], "bad-name"),  # a Cyrillic letter in a Latin word
        ("lone \ud800 surrogate", ["https://a.example"], "bad-name"),
        (" blank", ["https://a.example"], "bad-name"),
        ("ok", ["http://a.example"], "bad-url"),
        ("ok", ["https://user@a.example"], "bad-url"),
        ("ok", ["https://a.example/?q=1"], "bad-url"),
        ("ok", ["https://a.example:0"], "bad-url"),
        ("ok", ["https://a.example:65536"], "bad-url"),
        ("ok", ["https://a.example"] * 2, "bad-url"),
        ("ok", [f"https://a{n}.example" for n in range(9)], "bad-url"),
    ],
)
def test_a_name_or_address_that_would_mislead_is_refused(name: str, urls: list[str], reason: str) -> None:
    with pytest.raises(AuthorError) as caught:
        create_identity(name, urls, NOW)
    assert caught.value.reason == reason


@pytest.mark.parametrize(("roots", "threshold"), [(1, 0), (1, 2), (0, 0), (9, 1)])
def test_an_impossible_threshold_is_refused(roots: int, threshold: int) -> None:
    with pytest.raises(AuthorError) as caught:
        create_identity("ok", [], NOW, roots=roots, threshold=threshold)
    assert caught.value.reason == "bad-threshold"


def test_a_card_lives_at_most_four_hundred_days(alpha: Identity) -> None:
    body = body_of(alpha.card)
    assert body.expires == NOW + CARD_LIFE_SECONDS_MAX
    assert reason_of(sign_card(replace(body, expires=body.expires + 1), alpha.roots)) == "malformed"
    assert body.previous == NO_PREVIOUS


# --- for people ------------------------------------------------------------------------------------


@given(st.binary(min_size=32, max_size=32).map(PartnerId))
def test_a_fingerprint_comes_back_however_it_is_typed(partner_id: PartnerId) -> None:
    text = fingerprint(partner_id)
    assert len(text) == 14 * 4 + 13
    assert {len(group) for group in text.split("-")} == {4}
    for typed in (text, text.lower(), text.replace("-", " "), text.replace("-", ""), f"  {text}\n"):
        assert parse_fingerprint(typed) == partner_id


@given(st.binary(min_size=32, max_size=32).map(PartnerId), st.data())
def test_a_mistyped_character_is_noticed(partner_id: PartnerId, data: st.DataObject) -> None:
    letters = fingerprint(partner_id).replace("-", "")
    at = data.draw(st.integers(0, len(letters) - 1))
    other = data.draw(
        st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567").filter(lambda letter: letter != letters[at])
    )
    mistyped = letters[:at] + other + letters[at + 1 :]
    try:
        found = parse_fingerprint(mistyped)
    except AuthorError as error:
        assert error.reason == "bad-fingerprint"
    else:  # 20 check bits: one slip in a million passes, and then names nobody we know
        assert found != partner_id


@pytest.mark.parametrize("text", ["", "abc", "0" * 56, "A" * 55, "é" * 56, "A" * 57])
def test_what_is_no_fingerprint_is_refused(text: str) -> None:
    with pytest.raises(AuthorError) as caught:
        parse_fingerprint(text)
    assert caught.value.reason == "bad-fingerprint"


def test_a_safety_number_is_the_same_on_both_sides(
    alpha: Identity, bravo: Identity, charlie: Identity
) -> None:
    number = safety_number(alpha.partner_id, bravo.partner_id)
    assert number == safety_number(bravo.partner_id, alpha.partner_id)
    assert [len(group) for group in number.split(" ")] == [5] * 12
    assert number.replace(" ", "").isdigit()
    assert number != safety_number(alpha.partner_id, charlie.partner_id)


def test_the_partner_id_does_not_depend_on_the_order_of_roots(board: Identity) -> None:
    roots = [key.verify_key for key in board.roots]
    assert partner_id_of(roots, 2) == partner_id_of(roots[::-1], 2) == board.partner_id
    assert partner_id_of(roots, 3) != board.partner_id
