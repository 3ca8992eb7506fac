"""P1 only recipients read, P3 the author cannot be replaced, P4 one plaintext, and what an author may not do."""

from __future__ import annotations

import os
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from envelope_forge import DAY, NOW, body_of, forge, next_body, request, sign_parts

from p2pshare.envelope import sealing
from p2pshare.envelope.card import accept_first, accept_update
from p2pshare.envelope.card_format import NOTHING_VOUCHED, OperationalKey, Revocation, sign_card
from p2pshare.envelope.encoding import INTEGER_MAX
from p2pshare.envelope.envelope import decode_envelope, encode_core, encode_envelope, hints_of
from p2pshare.envelope.keys import (
    Identity,
    create_identity,
    generate_operational_keys,
    reissue_card,
)
from p2pshare.envelope.payload import pad
from p2pshare.envelope.recipient_number import RecipientNumber
from p2pshare.envelope.sealing import OpenedPayload, Recipient, open_envelope, seal
from p2pshare.envelope.verification import (
    TimeVerdict,
    VerifiedEnvelope,
    check_time,
    time_verdict,
    verified_before,
    verify_envelope,
)
from p2pshare.errors import AuthorError, OperatorError, PeerError, RefusedError
from p2pshare.limits import ENVELOPE_BYTES_MAX, OWN_ROWS_MAX, SLOTS_MAX, TTL_SECONDS_BY_CLASS

# The promise is proven on 10,000 audiences: P2PSHARE_AUDIENCES=10000 (two minutes). The suite takes a sample.
AUDIENCES = int(os.environ.get("P2PSHARE_AUDIENCES", "200"))


def verified(wire: bytes, author: Identity, now: int = NOW) -> VerifiedEnvelope:
    return verify_envelope(decode_envelope(wire), author.card, now)


def opened(wire: bytes, author: Identity, reader: Identity) -> OpenedPayload | None:
    return open_envelope(reader, verified(wire, author), author.card)


def verify_reason(wire: bytes, author: Identity, now: int = NOW) -> str:
    with pytest.raises(PeerError) as caught:
        verified(wire, author, now)
    return caught.value.reason


def open_reason(wire: bytes, author: Identity, reader: Identity) -> str:
    with pytest.raises(PeerError) as caught:
        opened(wire, author, reader)
    return caught.value.reason


# --- P1 --------------------------------------------------------------------------------------------


def test_p1_only_listed_recipients_read_whatever_the_audience() -> None:
    partners = [create_identity(f"Partner {number}", [], NOW) for number in range(7)]
    chance = random.Random(20300317)
    for round_number in range(AUDIENCES):
        author = chance.choice(partners)
        audience = chance.sample(partners, chance.randint(1, len(partners)))
        payload = chance.randbytes(chance.choice([0, 1, 251, 252, 253, 2000]))
        sealed = seal(
            author, request([partner.card for partner in audience], payload, sequence=round_number + 1)
        )
        readers = {
            partner.partner_id: result.number.sequence
            for partner in partners
            if (result := opened(sealed.wire, author, partner)) is not None and result.payload == payload
        }
        expected = {partner.partner_id: number for number, partner in enumerate(audience, 1)}
        assert readers == expected, f"round {round_number}"


def test_p1_the_author_reads_only_when_listed(alpha: Identity, bravo: Identity) -> None:
    assert opened(seal(alpha, request([bravo.card])).wire, alpha, alpha) is None
    assert opened(seal(alpha, request([bravo.card, alpha.card])).wire, alpha, alpha) is not None


def test_p1_a_hundred_recipients_each_with_their_own_number(alpha: Identity, bravo: Identity) -> None:
    readers = [create_identity(f"Reader {number}", [], NOW) for number in range(40)]
    sealed = seal(alpha, request([reader.card for reader in readers]))
    assert sealed.core.slots == 48
    for number in (1, 17, 40):
        assert opened(sealed.wire, alpha, readers[number - 1]) == OpenedPayload(
            b"payload", RecipientNumber(number)
        )
    assert opened(sealed.wire, alpha, bravo) is None


# --- P3 --------------------------------------------------------------------------------------------


def test_p3_stripped_and_signed_again_by_another_nobody_can_open_it(
    alpha: Identity, bravo: Identity, mallory: Identity
) -> None:
    parts = decode_envelope(seal(alpha, request([bravo.card])).wire)
    claimed = replace(parts.core, author=mallory.partner_id, key_id=mallory.operational.sign.key_id)
    stolen = sign_parts(mallory, encode_core(claimed), parts.wraps, parts.body)
    assert verified(stolen, mallory), "mallory may sign anything"
    assert opened(stolen, mallory, bravo) is None


def test_p3_not_even_with_a_correct_mark_for_the_recipient(
    alpha: Identity, bravo: Identity, mallory: Identity
) -> None:
    parts = decode_envelope(seal(alpha, request([bravo.card])).wire)
    claimed = replace(parts.core, author=mallory.partner_id, key_id=mallory.operational.sign.key_id)
    mark = mallory.operational.hint.hint(
        bravo.card.hint, mallory.partner_id, bravo.partner_id, parts.core.nonce
    )
    stolen = sign_parts(mallory, encode_core(claimed), mark + parts.wraps[8:], parts.body)
    assert open_reason(stolen, mallory, bravo) == "bad-wrap"


@pytest.mark.parametrize(
    ("rows", "tried"), [(OWN_ROWS_MAX, OWN_ROWS_MAX), (2 * OWN_ROWS_MAX, 0), (SLOTS_MAX, 0)]
)
def test_rows_that_are_all_marked_for_one_recipient_are_not_all_tried(
    alpha: Identity, bravo: Identity, monkeypatch: pytest.MonkeyPatch, rows: int, tried: int
) -> None:
    """An author who marks 1,024 rows of junk for us made us decapsulate 1,024 times for one envelope."""
    parts = decode_envelope(forge(alpha, [bravo.card]))
    core = replace(parts.core, slots=rows)
    mark = alpha.operational.hint.hint(bravo.card.hint, alpha.partner_id, bravo.partner_id, core.nonce)
    wire = sign_parts(alpha, encode_core(core), mark * rows + parts.wraps[8:] * rows, parts.body)
    attempts: list[bytes] = []
    monkeypatch.setattr(sealing, "_unwrap", lambda keys, wrap, info: attempts.append(wrap))
    assert open_reason(wire, alpha, bravo) == "bad-wrap"
    assert len(attempts) == tried


def test_p3_the_author_in_the_header_must_have_signed(
    alpha: Identity, bravo: Identity, mallory: Identity
) -> None:
    parts = decode_envelope(seal(alpha, request([bravo.card])).wire)
    forged = sign_parts(mallory, parts.core_raw, parts.wraps, parts.body)
    assert verify_reason(forged, alpha) == "bad-signature"
    assert verify_reason(forged, mallory) == "wrong-author"
    with_her_key = replace(parts.core, key_id=mallory.operational.sign.key_id)
    forged = sign_parts(mallory, encode_core(with_her_key), parts.wraps, parts.body)
    assert verify_reason(forged, alpha) == "unknown-key"


def test_signatures_cannot_be_moved_to_another_envelope(alpha: Identity, bravo: Identity) -> None:
    one, other = (decode_envelope(seal(alpha, request([bravo.card], sequence=n)).wire) for n in (1, 2))
    mixed = encode_envelope(one.core_raw, one.wraps, one.body, other.signatures)
    assert verify_reason(mixed, alpha) == "bad-signature"
    halves = one.signatures[:64] + other.signatures[64:]
    assert verify_reason(encode_envelope(one.core_raw, one.wraps, one.body, halves), alpha) == "bad-signature"


# --- P4 --------------------------------------------------------------------------------------------


def test_p4_two_keys_for_two_recipients_are_noticed(
    alpha: Identity, bravo: Identity, charlie: Identity
) -> None:
    """The salamander: a dishonest author wraps another content key for charlie."""
    other = {charlie.partner_id: b"another key".ljust(32)}
    wire = forge(alpha, [bravo.card, charlie.card], wrapped_keys=other)
    assert opened(wire, alpha, bravo) == OpenedPayload(b"payload", RecipientNumber(1))
    assert open_reason(wire, alpha, charlie) == "commitment-mismatch"


def test_p4_a_body_sealed_with_another_key_than_committed_is_refused(
    alpha: Identity, bravo: Identity
) -> None:
    parts = decode_envelope(forge(alpha, [bravo.card]))
    body = parts.body[:-1] + bytes([parts.body[-1] ^ 1])
    wire = sign_parts(alpha, parts.core_raw, parts.wraps, body)
    assert open_reason(wire, alpha, bravo) == "body-tampered"


def test_p4_a_false_commitment_is_refused(alpha: Identity, bravo: Identity) -> None:
    assert (
        open_reason(forge(alpha, [bravo.card], commitment=bytes(32)), alpha, bravo) == "commitment-mismatch"
    )


# --- padding, by a dishonest author ----------------------------------------------------------------


@pytest.mark.parametrize(
    "padded",
    [
        (253).to_bytes(4, "big") + bytes(252),  # longer than what is there
        (7).to_bytes(4, "big") + b"payload" + bytes(244) + b"\x01",  # padding that hides something
        (7).to_bytes(4, "big") + b"payload" + bytes(501),  # 512 bytes where 256 are due
        b"\xff" * 256,
    ],
)
def test_padding_that_is_not_the_one_form_is_refused(alpha: Identity, bravo: Identity, padded: bytes) -> None:
    assert open_reason(forge(alpha, [bravo.card], padded=padded), alpha, bravo) == "bad-padding"


def test_the_forge_makes_good_envelopes_when_asked(alpha: Identity, bravo: Identity) -> None:
    """So that the refusals above are due to what was forged, not to the forge."""
    assert opened(forge(alpha, [bravo.card], padded=pad(b"honest")), alpha, bravo) == OpenedPayload(
        b"honest", RecipientNumber(1)
    )


@pytest.mark.parametrize(
    "number",
    [
        RecipientNumber(0),
        RecipientNumber(INTEGER_MAX + 1),
        RecipientNumber(2**64 - 1),
        RecipientNumber(2, NOW - 9, 1),
        RecipientNumber(1, NOW - 9, 0),
        RecipientNumber(1, 0, 9),
        RecipientNumber(1, NOW, 9),
        RecipientNumber(1, INTEGER_MAX + 1, 9),
        RecipientNumber(1, NOW - 9, INTEGER_MAX + 1),
    ],
    ids=repr,
)
def test_a_number_that_no_honest_author_gives_is_refused(
    alpha: Identity, bravo: Identity, number: RecipientNumber
) -> None:
    """Else it would be noted as a gap that nothing ever closes, or hide one."""
    assert open_reason(forge(alpha, [bravo.card], number=number), alpha, bravo) == "bad-wrap"


@pytest.mark.parametrize(
    "number",
    [
        RecipientNumber(INTEGER_MAX),
        RecipientNumber(1, NOW - 9, 9),
        RecipientNumber(1, NOW + 9, INTEGER_MAX),  # an author whose clock was ahead goes back
    ],
    ids=repr,
)
def test_numbers_at_their_limits_are_read(alpha: Identity, bravo: Identity, number: RecipientNumber) -> None:
    read = opened(forge(alpha, [bravo.card], number=number), alpha, bravo)
    assert read == OpenedPayload(b"payload", number)


# --- time and keys ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ahead", "verdict"),
    [
        (0, TimeVerdict.CURRENT),
        (600, TimeVerdict.CURRENT),
        (601, TimeVerdict.DEFERRED),
        (DAY, TimeVerdict.DEFERRED),
        (DAY + 1, TimeVerdict.FROM_THE_FUTURE),
        (-TTL_SECONDS_BY_CLASS[1] + 1, TimeVerdict.CURRENT),
        (-TTL_SECONDS_BY_CLASS[1], TimeVerdict.EXPIRED),
    ],
)
def test_the_time_window_at_its_limits(
    alpha: Identity, bravo: Identity, ahead: int, verdict: TimeVerdict
) -> None:
    core = decode_envelope(forge(alpha, [bravo.card], created=NOW + ahead, ttl_class=1)).core
    assert time_verdict(core, NOW) is verdict
    if verdict is TimeVerdict.CURRENT:
        assert check_time(core, NOW) is None
    else:
        with pytest.raises(PeerError) as caught:
            check_time(core, NOW)
        assert caught.value.reason == verdict.value


@pytest.mark.parametrize(
    ("incarnation", "reason"),
    [(NOW + 2 * DAY, None), (NOW + 2 * DAY + 1, "incarnation-ahead"), ((1 << 53) - 1, "incarnation-ahead")],
)
def test_an_incarnation_from_which_its_author_could_not_go_on_is_refused(
    alpha: Identity, bravo: Identity, incarnation: int, reason: str | None
) -> None:
    """One envelope with the highest number there is muted an identity for good: no later one could be larger."""
    wire = forge(alpha, [bravo.card], incarnation=incarnation)
    if reason is None:
        assert verify_envelope(decode_envelope(wire), alpha.card, NOW).core.incarnation == incarnation
    else:
        for now in (NOW, NOW - 3600, NOW - 2 * DAY, NOW + 365 * DAY):
            assert verify_reason(wire, alpha, now) == reason, "whatever the reader's clock says"


def test_an_expired_or_future_envelope_is_refused(alpha: Identity, bravo: Identity) -> None:
    wire = seal(alpha, request([bravo.card])).wire
    assert verify_reason(wire, alpha, NOW + TTL_SECONDS_BY_CLASS[4]) == "expired"
    assert verify_reason(wire, alpha, NOW - 601) == "deferred"
    assert verify_reason(wire, alpha, NOW - DAY - 1) == "from-the-future"


def test_a_key_signs_only_in_its_time(alpha: Identity, bravo: Identity) -> None:
    after = NOW + 90 * DAY
    assert verify_reason(forge(alpha, [bravo.card], created=after), alpha, after) == "unknown-key"
    before = NOW - DAY - 1  # keys begin a day early, for a clock that is set back
    assert verify_reason(forge(alpha, [bravo.card], created=before), alpha) == "unknown-key"
    last = forge(alpha, [bravo.card], created=after - 1, ttl_class=6)
    assert verified(last, alpha, NOW + 800 * DAY), "an envelope outlives the key that signed it"


def test_we_do_not_sign_with_our_own_expired_key(alpha: Identity, bravo: Identity) -> None:
    fresh = reissue_card(
        bravo, NOW + 90 * DAY, operational=generate_operational_keys(bravo.partner_id, NOW + 90 * DAY)
    )
    with pytest.raises(OperatorError) as caught:
        seal(alpha, request([fresh.card], created=NOW + 90 * DAY))
    assert caught.value.reason == "own-key-expired"


@pytest.mark.parametrize(("root", "reason"), [(NOTHING_VOUCHED, "revoked-key"), (b"r" * 32, "not-vouched")])
def test_whatever_a_thief_writes_into_it_nothing_more_comes_under_a_revoked_key(
    alpha: Identity, bravo: Identity, root: bytes, reason: str
) -> None:
    """It back-dated `created` and took numbers below the last good one: 50 of 50 were taken in 20 days after the theft."""
    revocation = Revocation(alpha.operational.sign.key_id, NOW + 60, 1, root)
    revoked = _renewed(alpha, NOW + 60, [revocation])
    for changes in ({}, {"sequence": 2}, {"incarnation": 1}, {"created": NOW + 60}, {"created": NOW + 59}):
        wire = forge(alpha, [bravo.card], **changes)
        assert verify_reason(wire, revoked, NOW + 60) == reason


def test_what_was_held_before_its_key_was_revoked_is_read_where_it_is_in_effect(
    alpha: Identity, bravo: Identity
) -> None:
    key_id = alpha.operational.sign.key_id
    before, after = (
        decode_envelope(forge(alpha, [bravo.card], created=created)) for created in (NOW + 59, NOW + 60)
    )
    some, nothing = (
        _renewed(alpha, NOW + 60, [Revocation(key_id, NOW + 60, 1, root)]).card
        for root in (b"r" * 32, NOTHING_VOUCHED)
    )
    assert verified_before(before, some, is_in_effect=True).decoded is before
    assert verified_before(after, some, is_in_effect=True).decoded is after  # its owner lists it
    for decoded, card, reason in (
        (before, some, "not-vouched"),
        (after, some, "not-vouched"),
        (before, nothing, "revoked-key"),
        (after, nothing, "revoked-key"),
        (before, bravo.card, "wrong-author"),
    ):
        with pytest.raises(PeerError) as caught:
            verified_before(decoded, card)
        assert caught.value.reason == reason


def test_what_was_sealed_before_is_found_after_its_hint_key_left_the_card(
    alpha: Identity, bravo: Identity
) -> None:
    """The whole set goes with a revoked key; by the new card alone the envelope seemed to be for somebody else."""
    held = decode_envelope(seal(alpha, request([bravo.card])).wire)
    identity = alpha
    for number in range(3):
        key_id = identity.operational.sign.key_id
        identity = _renewed(identity, NOW + 60 + number, [Revocation(key_id, NOW + 60, 1, b"r" * 32)])
        verified = verified_before(held, identity.card, is_in_effect=True)
        assert open_envelope(bravo, verified, identity.card) == OpenedPayload(b"payload", RecipientNumber(1))
        assert alpha.operational.hint.public not in [entry.key for entry in identity.card.hint_keys]


def _renewed(identity: Identity, now: int, revoked: list[Revocation]) -> Identity:
    fresh = generate_operational_keys(identity.partner_id, now)
    return reissue_card(identity, now, operational=fresh, revoked=revoked)


def test_rotated_keys_still_open_and_are_still_believed(alpha: Identity, bravo: Identity) -> None:
    later = NOW + 30 * DAY
    old_wire = seal(alpha, request([bravo.card])).wire
    new_alpha = reissue_card(alpha, later, operational=generate_operational_keys(alpha.partner_id, later))
    new_bravo = reissue_card(bravo, later, operational=generate_operational_keys(bravo.partner_id, later))
    assert opened(old_wire, new_alpha, new_bravo) == OpenedPayload(b"payload", RecipientNumber(1))
    crossed = seal(new_alpha, request([bravo.card], created=later)).wire
    assert open_envelope(new_bravo, verified(crossed, new_alpha, later), new_alpha.card) is not None


# --- what sealing refuses --------------------------------------------------------------------------


def test_an_empty_or_too_large_audience_is_refused(alpha: Identity, bravo: Identity) -> None:
    with pytest.raises(AuthorError) as caught:
        seal(alpha, request([]))
    assert caught.value.reason == "empty-audience"
    with pytest.raises(AuthorError) as caught:
        seal(alpha, request([bravo.card] * 1025))
    assert caught.value.reason == "too-many-recipients"
    with pytest.raises(ValueError, match="twice"):
        seal(alpha, request([bravo.card] * 2))


def test_too_much_for_one_envelope_is_refused_not_truncated(alpha: Identity, bravo: Identity) -> None:
    with pytest.raises(AuthorError) as caught:
        seal(alpha, request([bravo.card], bytes(ENVELOPE_BYTES_MAX - 1000)))
    assert caught.value.reason == "oversized"


def test_nothing_is_sealed_for_an_expired_card_or_key(alpha: Identity, bravo: Identity) -> None:
    (kem,) = bravo.card.kem_keys
    brief = replace(body_of(bravo.card), kem_keys=(OperationalKey(kem.key, NOW, NOW + 1),))
    card = accept_first(sign_card(brief, bravo.roots), NOW)
    assert seal(alpha, request([card])).core.slots == 1
    with pytest.raises(RefusedError) as caught:
        seal(alpha, request([card], created=NOW + 1))
    assert caught.value.reason == "recipient-expired"
    ending = sign_card(next_body(bravo.card, expires=NOW + 1), bravo.roots)
    with pytest.raises(RefusedError):
        seal(alpha, request([accept_update(bravo.card, ending, NOW)], created=NOW + 1))


def test_two_envelopes_for_one_audience_share_no_mark_key_or_nonce(alpha: Identity, bravo: Identity) -> None:
    one, other = (decode_envelope(seal(alpha, request([bravo.card])).wire) for _ in range(2))
    assert not set(hints_of(one)) & set(hints_of(other))
    assert one.core.nonce != other.core.nonce
    assert one.core.commitment != other.core.commitment
    assert one.body != other.body


def test_p17_content_and_keys_do_not_stand_in_what_is_printed(alpha: Identity, bravo: Identity) -> None:
    plain = request([bravo.card], b"do not print this")
    sealed = seal(alpha, plain)
    result = verified(sealed.wire, alpha)
    shown = [plain, sealed, result, open_envelope(bravo, result, alpha.card), alpha, bravo.card]
    for text in map(repr, shown):
        assert "do not print" not in text
        assert len(text) < 5000, "no bulk in a log line"
        for key in (alpha.operational.sign, alpha.operational.kem, alpha.operational.tls, *alpha.roots):
            assert repr(key.secret().reveal())[2:40] not in text


def test_four_threads_seal_and_verify_at_once(alpha: Identity, bravo: Identity, charlie: Identity) -> None:
    def publish(number: int) -> bool:
        payload = number.to_bytes(4, "big") * 500
        plain = request([bravo.card, charlie.card], payload, sequence=number)
        numbered = replace(
            plain,
            recipients=[Recipient(card, RecipientNumber(number)) for card in (bravo.card, charlie.card)],
        )
        wire = seal(alpha, numbered).wire
        return all(
            opened(wire, alpha, reader) == OpenedPayload(payload, RecipientNumber(number))
            for reader in (bravo, charlie)
        )

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(publish, range(1, 81)))
