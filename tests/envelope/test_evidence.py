"""P9: two envelopes for one place in an author's chain are evidence that anybody can verify."""

from __future__ import annotations

from dataclasses import replace

import pytest
from envelope_forge import NOW, forge, request, sign_parts

from p2pshare.envelope.encoding import pack
from p2pshare.envelope.envelope import DecodedEnvelope, decode_envelope, encode_core
from p2pshare.envelope.evidence import PROOF_MAGIC, decode_fork, encode_fork, fork_of, verify_fork
from p2pshare.envelope.keys import Identity
from p2pshare.envelope.sealing import seal
from p2pshare.errors import PeerError


def published(author: Identity, reader: Identity, payload: bytes, sequence: int = 1) -> DecodedEnvelope:
    return decode_envelope(seal(author, request([reader.card], payload, sequence=sequence)).wire)


@pytest.fixture
def pair(alpha: Identity, bravo: Identity) -> tuple[DecodedEnvelope, DecodedEnvelope]:
    return published(alpha, bravo, b"to you"), published(alpha, bravo, b"to the others")


def test_p9_a_proof_is_small_portable_and_the_same_from_either_side(alpha: Identity, pair) -> None:
    raw = encode_fork(fork_of(*pair))
    assert raw == encode_fork(fork_of(*reversed(pair)))
    assert len(raw) < 12_000
    proof = decode_fork(raw)
    assert verify_fork(proof, alpha.card) is None
    assert {proof.first.envelope_id, proof.second.envelope_id} == {entry.envelope_id for entry in pair}


def test_p9_every_flip_and_truncation_of_a_proof_is_refused(alpha: Identity, pair) -> None:
    raw = encode_fork(fork_of(*pair))

    def is_refused(changed: bytes) -> bool:
        try:
            verify_fork(decode_fork(changed), alpha.card)
        except PeerError:
            return True
        return False

    assert not is_refused(raw)
    for at in (*range(700), *range(700, len(raw), 29)):
        assert is_refused(raw[:at] + bytes([raw[at] ^ 4]) + raw[at + 1 :]), at
    assert all(is_refused(raw[:size]) for size in range(0, len(raw), 11))


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
            fork_of(first, other)


def test_nobody_can_frame_an_author(alpha: Identity, bravo: Identity, mallory: Identity, pair) -> None:
    one, other = pair
    invented = replace(other.core, nonce=bytes(16))
    forged = decode_envelope(sign_parts(mallory, encode_core(invented), other.wraps, other.body))
    with pytest.raises(PeerError) as caught:
        verify_fork(fork_of(one, forged), alpha.card)
    assert caught.value.reason == "bad-signature"
    with pytest.raises(PeerError) as caught:
        verify_fork(fork_of(one, other), mallory.card)
    assert caught.value.reason == "wrong-author"


def test_one_statement_twice_or_two_places_prove_nothing(alpha: Identity, bravo: Identity) -> None:
    def statement(entry: DecodedEnvelope) -> list[bytes]:
        return [entry.core_raw, entry.digests[48:96], entry.digests[96:], entry.signatures]

    one, two = published(alpha, bravo, b"one"), published(alpha, bravo, b"two", sequence=2)
    for pair_of in (
        (one, one),
        *(sorted([one, two], key=lambda entry: order * int(entry.envelope_id.text, 16)) for order in (1, -1)),
    ):
        with pytest.raises(PeerError) as caught:
            decode_fork(pack([PROOF_MAGIC, 1, *map(statement, pair_of)]))
        assert caught.value.reason == "not-a-fork"
