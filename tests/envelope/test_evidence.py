"""P9: two different things under one number are evidence that anybody can verify, and nobody can make up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from envelope_forge import NOW, body_of, forge, next_body, request, sign_parts
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from p2pshare.envelope.card import believe_chain
from p2pshare.envelope.card_format import Revocation, sign_card
from p2pshare.envelope.encoding import pack
from p2pshare.envelope.envelope import DecodedEnvelope, decode_envelope, encode_core
from p2pshare.envelope.evidence import (
    PROOF_MAGIC,
    EnvelopeFork,
    card_fork,
    check_not_revoked,
    decode_proof,
    encode_proof,
    envelope_fork,
    verify_proof,
)
from p2pshare.envelope.inspection import Inspection, InspectionVerdict, inspect
from p2pshare.envelope.keys import Identity, generate_operational_keys, reissue_card
from p2pshare.envelope.sealing import seal
from p2pshare.errors import PeerError

Pair = tuple[DecodedEnvelope, DecodedEnvelope]


def published(author: Identity, reader: Identity, payload: bytes, sequence: int = 1) -> DecodedEnvelope:
    return decode_envelope(seal(author, request([reader.card], payload, sequence=sequence)).wire)


def statement(entry: DecodedEnvelope) -> list[bytes]:
    return [entry.core_raw, entry.digests[48:96], entry.digests[96:], entry.signatures]


def proof_of(card: bytes, pair: Sequence[DecodedEnvelope]) -> bytes:
    """What `encode_proof` refuses to make."""
    return pack([PROOF_MAGIC, 1, 1, card, *map(statement, pair)])


def reason_of(raw: bytes) -> str:
    """Why a proof is refused; empty when it holds."""
    try:
        verify_proof(decode_proof(raw))
    except PeerError as error:
        return error.reason
    return ""


@pytest.fixture(scope="module")
def pair(alpha: Identity, bravo: Identity) -> Pair:
    return published(alpha, bravo, b"to you"), published(alpha, bravo, b"to the others")


@pytest.fixture(scope="module")
def cards(alpha: Identity) -> tuple[bytes, bytes]:
    """Two second versions of one card."""
    return tuple(reissue_card(alpha, NOW, name=name).card.raw for name in ("For you", "For others"))  # type: ignore[return-value]


@pytest.fixture(scope="module")
def proofs(alpha: Identity, pair: Pair, cards: tuple[bytes, bytes]) -> dict[str, bytes]:
    return {
        "envelopes": encode_proof(envelope_fork(alpha.card.raw, *pair)),
        "cards": encode_proof(card_fork(*cards)),
    }


def test_p9_a_proof_of_envelopes_is_small_portable_and_the_same_from_either_side(
    alpha: Identity, pair: Pair, proofs: dict[str, bytes]
) -> None:
    raw = proofs["envelopes"]
    assert raw == encode_proof(envelope_fork(alpha.card.raw, *reversed(pair)))
    assert len(raw) < 30_000
    proof = decode_proof(raw)
    assert verify_proof(proof).partner_id == alpha.partner_id
    assert encode_proof(proof) == raw
    assert {proof.first.envelope_id, proof.second.envelope_id} == {entry.envelope_id for entry in pair}


def test_p9_a_proof_of_cards_is_portable_and_the_same_from_either_side(
    alpha: Identity, cards: tuple[bytes, bytes], proofs: dict[str, bytes]
) -> None:
    raw = proofs["cards"]
    assert raw == encode_proof(card_fork(*reversed(cards)))
    proof = decode_proof(raw)
    assert verify_proof(proof).partner_id == alpha.partner_id
    assert (proof.version, encode_proof(proof)) == (2, raw)


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_p9_every_flip_cut_and_addition_of_a_proof_is_refused(
    proofs: dict[str, bytes], data: st.DataObject
) -> None:
    raw = proofs[data.draw(st.sampled_from(sorted(proofs)))]
    at = data.draw(st.integers(0, len(raw) - 1) | st.integers(0, 400))
    changed = data.draw(
        st.sampled_from(
            [
                raw[:at] + bytes([raw[at] ^ data.draw(st.integers(1, 255))]) + raw[at + 1 :],
                raw[:at],
                raw + raw[:at] + bytes(1),
                raw[:at] + raw[at + 1 :],
            ]
        )
    )
    if changed != raw:
        assert reason_of(changed)
        assert not inspect(changed, NOW).is_sound


def test_honest_envelopes_are_no_fork(alpha: Identity, bravo: Identity, mallory: Identity) -> None:
    first = published(alpha, bravo, b"one")
    others = [
        published(alpha, bravo, b"two", sequence=2),
        published(mallory, bravo, b"one"),
        decode_envelope(sign_parts(alpha, first.core_raw, first.wraps, first.body)),  # only signed again
        decode_envelope(forge(alpha, [bravo.card], incarnation=NOW + 1)),
    ]
    for other in others:
        with pytest.raises(ValueError, match="contradict"):
            envelope_fork(alpha.card.raw, first, other)


def test_honest_cards_are_no_fork(alpha: Identity, cards: tuple[bytes, bytes]) -> None:
    one = cards[0]
    third = reissue_card(reissue_card(alpha, NOW, name="For you"), NOW, name="Three").card.raw
    for other in (one, alpha.card.raw, third):
        assert reason_of(pack([PROOF_MAGIC, 1, 2, one, other])) == "not-a-fork"
        with pytest.raises(PeerError):
            card_fork(one, other)
    thirds = [
        reissue_card(reissue_card(alpha, NOW, name=name), NOW, name="Three").card.raw for name in ("A", "B")
    ]
    with pytest.raises(PeerError, match="last version"):
        card_fork(*thirds)  # they contradict one another, and did so before: the proof is of version 2
    in_order = decode_proof(encode_proof(card_fork(*cards)))
    assert reason_of(pack([PROOF_MAGIC, 1, 2, in_order.other, in_order.known])) == "not-canonical"


def test_nobody_can_frame_an_author(alpha: Identity, bravo: Identity, mallory: Identity, pair: Pair) -> None:
    one, other = pair
    invented = replace(other.core, nonce=bytes(16))
    forged = decode_envelope(sign_parts(mallory, encode_core(invented), other.wraps, other.body))
    assert reason_of(encode_proof(envelope_fork(alpha.card.raw, one, forged))) == "bad-signature"
    assert reason_of(encode_proof(envelope_fork(mallory.card.raw, one, other))) == "wrong-author"
    own_keys = sign_card(replace(body_of(alpha.card), sign_keys=mallory.card.sign_keys), mallory.roots)
    assert reason_of(encode_proof(envelope_fork(own_keys, one, other))) == "card-signature"
    own_roots = replace(body_of(alpha.card), roots=mallory.card.roots, sign_keys=mallory.card.sign_keys)
    mine = sign_card(own_roots, mallory.roots)
    assert reason_of(encode_proof(envelope_fork(mine, one, other))) == "card-identity"
    framed = sign_card(replace(body_of(alpha.card), name="Framed"), mallory.roots)
    assert reason_of(encode_proof(card_fork(alpha.card.raw, framed))) == "card-signature"


def test_a_card_without_its_history_is_an_incomplete_proof(alpha: Identity, pair: Pair) -> None:
    second = reissue_card(alpha, NOW, name="Two").card
    assert reason_of(encode_proof(envelope_fork(second.version_raw, *pair))) == "card-gap"
    assert reason_of(encode_proof(envelope_fork(second.raw, *pair))) == ""
    other = sign_card(next_body(alpha.card, name="Other"), alpha.roots)
    assert reason_of(encode_proof(card_fork(second.version_raw, other))) == "card-gap"


def test_one_statement_twice_or_two_places_prove_nothing(
    alpha: Identity, bravo: Identity, pair: Pair
) -> None:
    one, two = published(alpha, bravo, b"one"), published(alpha, bravo, b"two", sequence=2)
    for shown in ((one, one), (one, two), (two, one)):
        assert reason_of(proof_of(alpha.card.raw, shown)) == "not-a-fork"
    in_order = sorted(pair, key=lambda entry: entry.envelope_id)
    assert reason_of(proof_of(alpha.card.raw, in_order)) == ""
    assert reason_of(proof_of(alpha.card.raw, in_order[::-1])) == "not-a-fork"


def test_a_proof_by_a_key_that_was_revoked_since_is_refused_where_that_is_known(
    alpha: Identity, pair: Pair, proofs: dict[str, bytes]
) -> None:
    """Whoever stole the key shows an older card; who trusts the newest one is not fooled."""
    stolen = Revocation(alpha.operational.sign.key_id, NOW, 1)
    fresh = generate_operational_keys(alpha.partner_id, NOW)
    newest = reissue_card(alpha, NOW, operational=fresh, revoked=[stolen]).card
    proof = decode_proof(proofs["envelopes"])
    with pytest.raises(PeerError) as caught:
        check_not_revoked(proof, newest)
    assert caught.value.reason == "revoked-key"
    assert check_not_revoked(proof, alpha.card) is None
    assert check_not_revoked(proof, reissue_card(alpha, NOW).card) is None
    assert reason_of(encode_proof(envelope_fork(newest.raw, *pair))) == "revoked-key"
    report = inspect(proofs["envelopes"], NOW, {alpha.partner_id: newest}.get)
    assert [check.verdict for check in report.checks] == [
        InspectionVerdict.PASSED,
        InspectionVerdict.PASSED,
        InspectionVerdict.FAILED,
    ]


def test_a_proof_by_a_revoked_key_holds_where_its_owner_stands_for_both_envelopes(
    alpha: Identity, proofs: dict[str, bytes]
) -> None:
    """Its vouch pages are asked, as for what comes in; one of the two may be a thief's."""
    stolen = Revocation(alpha.operational.sign.key_id, NOW, 1, b"r" * 32)
    fresh = generate_operational_keys(alpha.partner_id, NOW)
    newest = reissue_card(alpha, NOW, operational=fresh, revoked=[stolen]).card
    proof = decode_proof(proofs["envelopes"])
    assert isinstance(proof, EnvelopeFork)
    both = {proof.first.envelope_id, proof.second.envelope_id}
    for listed, verdict in (
        (both, InspectionVerdict.PASSED),
        *(({one}, InspectionVerdict.FAILED) for one in both),
    ):
        is_listed = lambda core, envelope_id, listed=listed: envelope_id in listed  # noqa: E731
        report = inspect(proofs["envelopes"], NOW, {alpha.partner_id: newest}.get, is_listed)
        assert [(check.verdict, check.reason) for check in report.checks][2] == (
            verdict,
            "" if verdict is InspectionVerdict.PASSED else "not-vouched",
        )


# --- what `verify` says of it ----------------------------------------------------------------------


def claims(report: Inspection) -> tuple[object, object, object]:
    return report.identifier, report.facts["name"], report.facts["claims"]


def test_the_report_names_who_is_proven_to_have_signed_what(
    alpha: Identity, proofs: dict[str, bytes]
) -> None:
    card = inspect(alpha.card.raw, NOW)
    envelopes, cards = (inspect(proofs[kind], NOW + 10**9) for kind in ("envelopes", "cards"))
    assert envelopes.is_complete
    assert cards.is_complete, "a proof does not expire"
    assert claims(envelopes) == (
        card.identifier,
        "Alpha CERT",
        f"two different envelopes under incarnation {NOW}, sequence 1",
    )
    assert cards.identifier == card.identifier
    assert cards.facts["claims"] == "two different cards of version 2"
    assert inspect(proofs["cards"], NOW, {alpha.partner_id: believe_chain(alpha.card.raw)}.get).is_complete


@pytest.mark.parametrize("count", [4, 5, 6, 7])
def test_a_proof_with_another_number_of_parts_is_malformed(alpha: Identity, count: int) -> None:
    for kind in (0, 1, 2, 3):
        raw = pack([PROOF_MAGIC, 1, kind, *[b"x"] * (count - 3)])
        assert reason_of(raw) == "malformed"
    assert reason_of(pack([PROOF_MAGIC, 2, 1, b"", b"", b""])) == "unknown-version"
