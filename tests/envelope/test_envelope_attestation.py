"""Attestations of training: the vectors, and everything that must not count as one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import unicodedata
import uuid
from pathlib import Path
from typing import Any

import msgpack
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, mldsa
from envelope_forge import DAY, NOW, named_identity, named_keys, next_body
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pshare.envelope.attestation import (
    ATTESTATION_MAGIC,
    FORMAT_VERSION,
    PSEUDONYMS_MAX,
    AttestedTraining,
    check_signer,
    decode_attestation,
    sign_attestation,
    verify_signature,
)
from p2pshare.envelope.card import Card, Revocation, accept_update, believe_chain
from p2pshare.envelope.card_format import NOTHING_VOUCHED, sign_card
from p2pshare.envelope.encoding import pack
from p2pshare.envelope.keys import Identity
from p2pshare.errors import PeerError
from p2pshare.identifiers import PartnerId


@pytest.fixture(scope="module")
def alpha() -> Identity:
    return named_identity("alpha")


@pytest.fixture(scope="module")
def said(alpha: Identity) -> AttestedTraining:
    return AttestedTraining(
        author=alpha.partner_id,
        key_id=alpha.operational.sign.key_id,
        created=NOW,
        course_hash=b"\x11" * 32,
        course_author=PartnerId(b"\x22" * 32),
        course="first-warning",
        version="1.0.0",
        title="Sharing your first warning",
        provider="A provider",
        completed=2,
        pseudonyms=(b"\x01" * 16, b"\x02" * 16),
    )


@pytest.fixture(scope="module")
def raw(alpha: Identity, said: AttestedTraining) -> bytes:
    return sign_attestation(said, alpha.operational.sign)


def verify(raw: bytes, card: Card, now: int = NOW) -> AttestedTraining:
    attestation = decode_attestation(raw)
    verify_signature(attestation, check_signer(attestation.training, card, now))
    return attestation.training


def reason_of(raw: bytes, card: Card, now: int = NOW) -> str:
    with pytest.raises(PeerError) as refused:
        verify(raw, card, now)
    return refused.value.reason


def vectors() -> Any:
    return json.loads((Path(__file__).parents[1] / "vectors" / "training.json").read_text())


def bytes_of(case: dict[str, Any], golden: dict[str, bytes]) -> bytes:
    """Returns the bytes of a negative, which is a golden one that was changed, or stands in full."""
    if "file" in case:
        return base64.b64decode(case["file"])
    whole = bytearray(golden[case["of"]])
    if "replace" in case:
        place, piece = case["replace"][0], base64.b64decode(case["replace"][1])
        whole[place : place + len(piece)] = piece
    return (
        bytes(whole[: case.get("cut", len(whole))])
        + base64.b64decode(case.get("append", ""))
        + bytes(case.get("zeros", 0))
    )


def test_the_golden_vectors_are_accepted_and_say_what_they_say() -> None:
    for case in vectors()["golden"]:
        card = believe_chain(base64.b64decode(vectors()["cards"][case["card"]]))
        found = verify(base64.b64decode(case["file"]), card, case["now"])
        told = {
            "author": found.author.text,
            "key_id": found.key_id.text,
            "created": found.created,
            "course_hash": found.course_hash.hex(),
            "course_author": found.course_author.text,
            "course": found.course,
            "version": found.version,
            "title": found.title,
            "provider": found.provider,
            "completed": found.completed,
            "pseudonyms": [one.hex() for one in found.pseudonyms],
        }
        assert told == case["says"], case["name"]


def test_the_negative_vectors_are_refused_with_their_reason() -> None:
    loaded = vectors()
    golden = {case["name"]: base64.b64decode(case["file"]) for case in loaded["golden"]}
    seen = set()
    for case in loaded["negative"]:
        card = believe_chain(base64.b64decode(loaded["cards"][case["card"]]))
        assert reason_of(bytes_of(case, golden), card, case["now"]) == case["reason"], case["name"]
        seen.add(case["reason"])
    assert seen >= {
        "malformed", "not-canonical", "unknown-version", "oversized", "wrong-author", "revoked-key", "unknown-key", "expired-key",
        "from-the-future", "bad-signature",
    }  # fmt: skip


def test_each_byte_that_is_changed_is_noticed(alpha: Identity, raw: bytes) -> None:
    """Every place outside the signature, and every tenth in it; two ways each: all of it is covered by a signature or a shape."""
    places = [*range(len(raw) - 4_691), *range(len(raw) - 4_691, len(raw), 97), len(raw) - 1]
    for place in places:
        for mask in (0x01, 0x80):
            changed = bytearray(raw)
            changed[place] ^= mask
            assert reason_of(bytes(changed), alpha.card), place


def test_each_beginning_and_each_byte_behind_the_end_is_refused(alpha: Identity, raw: bytes) -> None:
    for length in range(0, len(raw), 53):
        assert reason_of(raw[:length], alpha.card) == "malformed"
    assert reason_of(raw + b"\x00", alpha.card) == "malformed"


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_splice_of_two_attestations_or_of_noise_counts(
    alpha: Identity, raw: bytes, said: AttestedTraining, data: Any
) -> None:
    """Beginnings of one and ends of another, pieces doubled, cut out or drawn: whatever it is, it is not what was signed."""
    other = sign_attestation(said._replace(completed=1, pseudonyms=()), alpha.operational.sign)
    first, second = data.draw(st.sampled_from([(raw, raw), (raw, other), (other, raw)]))
    start = data.draw(st.integers(0, len(first)))
    end = data.draw(st.integers(0, len(second)))
    spliced = first[:start] + data.draw(st.binary(max_size=8)) + second[end:]
    if spliced not in (raw, other):
        assert reason_of(spliced, alpha.card)


def test_another_program_reads_it_by_the_page_alone() -> None:
    """docs/training.md and docs/card.md, written down once more with other libraries and none of ours."""
    loaded = vectors()
    for case in loaded["golden"]:
        magic, version, statement, signature = msgpack.unpackb(base64.b64decode(case["file"]))
        fields = msgpack.unpackb(statement, strict_map_key=False)
        assert (magic, version, sorted(fields)) == (b"p2pt", 1, list(range(11)))
        signed = b"p2pshare/v1/training-attestation\0" + hashlib.sha384(statement).digest()
        card = believe_chain(base64.b64decode(loaded["cards"]["card"]))  # how cards are read is another page
        key = next(one.key.raw for one in card.sign_keys if one.key.key_id == fields[1])
        ed25519.Ed25519PublicKey.from_public_bytes(key[:32]).verify(signature[:64], signed)
        mldsa.MLDSA87PublicKey.from_public_bytes(key[32:]).verify(signature[64:], signed)
        assert len(fields[10]) in (0, 16 * fields[9])
    stated = loaded["course"]
    raw = stated["canonical"].encode()
    assert hashlib.sha384(b"p2pshare/v1/course\0" + raw).digest()[:32].hex() == stated["hash"]
    course = json.loads(raw)
    [question] = course["quiz"]["questions"]
    asked = [
        course["id"],
        course["version"],
        question["id"],
        question["text"],
        question["choices"],
        question["several"],
    ]
    text = json.dumps(asked, separators=(",", ":"), ensure_ascii=False).encode()
    numbers = bytes(stated["right_choices"])
    right = hashlib.sha384(b"p2pshare/v1/course-answer\0" + text + b"\0" + numbers).hexdigest()[:32]
    assert right == question["right"] == stated["right"]
    ns = uuid.uuid5(uuid.NAMESPACE_URL, "https://p2pshare/intel/v1")
    named = uuid.uuid5(ns, "course:" + stated["author"] + ":" + course["id"])
    assert stated["object_id"] == f"p2pshare-course--{named}"
    told = loaded["pseudonyms"]
    for name, pseudonym in told["names"].items():
        folded = " ".join(unicodedata.normalize("NFKC", name).casefold().split()).encode()
        made = hmac.new(
            bytes.fromhex(told["secret"]), b"p2pshare/v1/training-pseudonym\0" + folded, hashlib.sha384
        )
        assert made.hexdigest()[:32] == pseudonym


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.booleans())
def test_nothing_that_anybody_may_hand_over_breaks_the_reader(noise: bytes, has_head: bool) -> None:
    head = pack([ATTESTATION_MAGIC, FORMAT_VERSION, b"", b""])[:7] if has_head else b""
    with pytest.raises(PeerError):
        decode_attestation(head + noise)


def test_an_attestation_outlives_the_key_that_the_newest_card_lists(
    alpha: Identity, said: AttestedTraining, raw: bytes
) -> None:
    """Daily keys are replaced every month and fall off the card in the end: an older version in the card's file has them still."""
    card = alpha.card
    for month in range(1, 11):
        body = next_body(card, not_before=NOW, sign_keys=next_keys(card, f"month {month}"))
        card = accept_update(card, sign_card(body, alpha.roots), NOW)
    assert said.key_id not in {entry.key.key_id for entry in card.sign_keys}
    assert verify(raw, card) == said


def next_keys(card: Card, name: str) -> tuple[Any, ...]:
    from dataclasses import replace

    newest = replace(card.sign_keys[0], key=named_keys(name, card.partner_id).sign.verify_key)
    return (newest, *card.sign_keys)[:8]


def test_a_revoked_key_counts_for_none_whatever_day_it_bears(alpha: Identity, raw: bytes) -> None:
    """A thief of the key writes any day into it: also the day before the key was stolen."""
    later = NOW + 10 * DAY
    revocation = Revocation(alpha.operational.sign.key_id, later, 1, NOTHING_VOUCHED)
    body = next_body(alpha.card, not_before=NOW, revoked=(revocation,))
    card = accept_update(alpha.card, sign_card(body, alpha.roots), NOW)
    assert reason_of(raw, card) == "revoked-key"
    assert verify(raw, alpha.card), "whoever holds the older card cannot know: ask for the newest"


def test_another_organisations_card_is_told_apart(raw: bytes) -> None:
    assert reason_of(raw, named_identity("bravo").card) == "wrong-author"


def test_a_key_out_of_its_time_does_not_count(alpha: Identity, said: AttestedTraining) -> None:
    early = sign_attestation(said._replace(created=NOW - 3 * DAY), alpha.operational.sign)
    late = sign_attestation(said._replace(created=NOW + 200 * DAY), alpha.operational.sign)
    assert reason_of(early, alpha.card) == reason_of(late, alpha.card) == "expired-key"
    ahead = sign_attestation(said._replace(created=NOW + DAY), alpha.operational.sign)
    assert reason_of(ahead, alpha.card) == "from-the-future"
    assert verify(ahead, alpha.card, NOW + DAY)


def test_what_could_not_be_read_again_is_not_signed(alpha: Identity, said: AttestedTraining) -> None:
    wrong = [
        said._replace(title="a\u202eb"),
        said._replace(title=""),
        said._replace(title="x" * 257),
        said._replace(provider="two\nlines"),
        said._replace(course="No-Word"),
        said._replace(version="1.0-beta"),
        said._replace(completed=0, pseudonyms=()),
        said._replace(completed=3),
        said._replace(pseudonyms=said.pseudonyms[::-1]),
        said._replace(pseudonyms=(b"\x01" * 16,) * 2),
        said._replace(pseudonyms=(b"\x01" * 15, b"\x02" * 16)),
    ]
    for one in wrong:
        with pytest.raises(PeerError):
            sign_attestation(one, alpha.operational.sign)


def test_ten_thousand_pseudonyms_fit_and_one_more_is_refused(alpha: Identity, said: AttestedTraining) -> None:
    def of(count: int) -> AttestedTraining:
        return said._replace(
            completed=count, pseudonyms=tuple(number.to_bytes(16, "big") for number in range(count))
        )

    assert (
        verify(sign_attestation(of(PSEUDONYMS_MAX), alpha.operational.sign), alpha.card).completed
        == PSEUDONYMS_MAX
    )
    with pytest.raises(PeerError):
        sign_attestation(of(PSEUDONYMS_MAX + 1), alpha.operational.sign)
