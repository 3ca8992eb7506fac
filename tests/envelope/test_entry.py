"""Entries of spaces: what is signed holds, sizes end where they should, and nothing hostile crashes the reader."""

from __future__ import annotations

import pytest
from entry_forge import forge_entry, header_of, sign_header
from envelope_forge import DAY, NOW, named_identity, named_keys, next_body
from hypothesis import given
from hypothesis import strategies as st

from p2pshare.envelope.card_format import OperationalKey
from p2pshare.envelope.entry import (
    NO_SPACE,
    REAL,
    EntryDraft,
    check_audience,
    decode_entry,
    encode_header,
    key_of,
    sign_entry,
    verify_entry,
    without_body,
)
from p2pshare.envelope.keys import Identity
from p2pshare.errors import PeerError
from p2pshare.identifiers import EntryId, Realm
from p2pshare.limits import ENTRY_BODY_BYTES_MAX, ENTRY_BYTES_MAX, ENTRY_HEADER_BYTES_MAX

PARENT = EntryId(bytes(range(32)))


@pytest.fixture(scope="module")
def alpha() -> Identity:
    return named_identity("alpha")


def draft(author: Identity, **changes: object) -> EntryDraft:
    plain = {
        "realm": REAL,
        "space": PARENT,
        "author": author.partner_id,
        "number": 2,
        "parents": (PARENT,),
        "depth": 2,
        "created": NOW,
        "kind": "note",
        "tlp": 1,
    }
    return EntryDraft(**{**plain, **changes})  # type: ignore[arg-type]


def reason_of(wire: bytes, realm: Realm = REAL) -> str:
    with pytest.raises(PeerError) as caught:
        decode_entry(wire, realm)
    return caught.value.reason


def test_what_was_signed_comes_back(alpha: Identity) -> None:
    entry = sign_entry(draft(alpha), b"a note", alpha.operational.sign)
    decoded = decode_entry(entry.wire, REAL)
    key = key_of(decoded.header, [alpha.card])
    assert key is not None
    assert verify_entry(decoded, key).content() == b"a note"
    assert decoded.entry_id == entry.entry_id


def test_the_same_words_twice_are_two_entries_and_two_bodies(alpha: Identity) -> None:
    one, other = (sign_entry(draft(alpha), b"a note", alpha.operational.sign) for _ in range(2))
    assert one.entry_id != other.entry_id
    assert one.header.body_digest != other.header.body_digest


def test_the_id_is_the_same_without_the_body(alpha: Identity) -> None:
    entry = sign_entry(draft(alpha), b"sealed", alpha.operational.sign)
    bare = without_body(entry)
    assert bare.entry_id == entry.entry_id
    assert len(bare.wire) < len(entry.wire)
    assert decode_entry(bare.wire, REAL).body == b""
    with pytest.raises(PeerError) as caught:
        bare.content()
    assert caught.value.reason == "body-mismatch"


def test_every_byte_of_an_entry_that_is_flipped_is_noticed(alpha: Identity) -> None:
    """A sample of each part; of the signatures one byte in a hundred, for each costs a verification."""
    wire = sign_entry(draft(alpha), b"a note", alpha.operational.sign).wire
    signatures_at = len(wire) - 4_691
    for at in [*range(signatures_at), *range(signatures_at, len(wire), 100)]:
        flipped = wire[:at] + bytes([wire[at] ^ 1]) + wire[at + 1 :]
        try:
            decoded = decode_entry(flipped, REAL)
            key = key_of(decoded.header, [alpha.card])
            if key is not None:
                verify_entry(decoded, key).content()
                raise AssertionError(f"byte {at} may be anything")
        except PeerError:
            pass


def test_a_real_entry_with_its_realm_changed_does_not_verify_in_an_exercise(alpha: Identity) -> None:
    exercise = Realm(bytes(range(100, 116)))
    played = sign_entry(draft(alpha, realm=exercise), b"a drill", alpha.operational.sign)
    header_raw = encode_header(
        header_of(alpha, played.decoded.body, space=PARENT, parents=(PARENT,), depth=2)
    )
    assert played.decoded.header_raw.replace(exercise, REAL) == header_raw
    relabelled = played.wire.replace(exercise, REAL)
    decoded = decode_entry(relabelled, REAL)
    key = key_of(decoded.header, [alpha.card])
    assert key is not None
    with pytest.raises(PeerError) as caught:
        verify_entry(decoded, key)
    assert caught.value.reason == "bad-signature"


def test_the_largest_entry_there_may_be_is_taken(alpha: Identity) -> None:
    body = bytes(ENTRY_BODY_BYTES_MAX)
    assert decode_entry(forge_entry(alpha, body), REAL).body == body
    assert reason_of(forge_entry(alpha, body + b"\0", body_bytes=ENTRY_BODY_BYTES_MAX)) == "oversized"
    assert reason_of(bytes(ENTRY_BYTES_MAX + 1)) == "oversized"
    assert reason_of(bytes(ENTRY_BYTES_MAX)) == "malformed"
    with pytest.raises(PeerError) as caught:
        sign_entry(draft(alpha), bytes(ENTRY_BODY_BYTES_MAX - 15), alpha.operational.sign)
    assert caught.value.reason == "oversized"


def test_the_largest_header_there_may_be_is_read(alpha: Identity) -> None:
    header_raw = encode_header(header_of(alpha))
    at_most = header_raw.ljust(ENTRY_HEADER_BYTES_MAX, b"\0")
    assert reason_of(sign_header(alpha, REAL, at_most, bytes(22))) == "malformed"
    assert reason_of(sign_header(alpha, REAL, at_most + b"\0", bytes(22))) == "oversized"


def test_an_old_key_that_left_the_card_is_found_in_an_older_version(alpha: Identity) -> None:
    entry = sign_entry(draft(alpha), b"a note", alpha.operational.sign)
    later = named_keys("alpha, later", alpha.partner_id)
    second = next_body(
        alpha.card, sign_keys=(OperationalKey(later.sign.verify_key, NOW + DAY, NOW + 90 * DAY),)
    )
    assert key_of(entry.header, [second]) is None
    assert key_of(entry.header, [second, alpha.card]) == alpha.operational.sign.verify_key


def test_no_key_of_another_partner_signs_for_an_author(alpha: Identity) -> None:
    entry = sign_entry(draft(alpha), b"a note", alpha.operational.sign)
    other = named_identity("bravo")
    stolen_name = next_body(other.card, sign_keys=alpha.card.sign_keys)
    assert key_of(entry.header, [stolen_name]) is None
    with pytest.raises(PeerError) as caught:
        verify_entry(entry.decoded, other.operational.sign.verify_key)
    assert caught.value.reason == "bad-signature"


@pytest.mark.parametrize(
    ("is_deciding", "tlp", "has_audience", "reason"),
    [
        (True, 1, False, ""),
        (True, 4, False, ""),
        (True, 1, True, "audience-not-allowed"),
        (False, 2, False, ""),
        (False, 3, False, "names-needed"),
        (False, 4, False, "names-needed"),
        (False, 4, True, ""),
    ],
)
def test_audiences_by_kind_and_marking(
    alpha: Identity, is_deciding: bool, tlp: int, has_audience: bool, reason: str
) -> None:
    audience = (alpha.partner_id,) if has_audience else ()
    header = header_of(alpha, tlp=tlp, audience=audience)
    found = ""
    try:
        check_audience(header, is_deciding=is_deciding)
    except PeerError as error:
        found = error.reason
    assert found == reason


def test_one_opens_and_others_follow(alpha: Identity) -> None:
    opening = {"kind": "open", "space": NO_SPACE, "parents": (), "number": 1, "depth": 1}
    sign_entry(draft(alpha, **opening), b"", alpha.operational.sign)
    for name, value in {"space": PARENT, "parents": (PARENT,), "number": 2, "depth": 2}.items():
        assert reason_of(forge_entry(alpha, **{**opening, name: value})) == "malformed"


@given(st.binary(max_size=600))
def test_any_bytes_are_refused_and_nothing_else_happens(raw: bytes) -> None:
    assert reason_of(raw) in {"malformed", "not-canonical", "unknown-version"}
