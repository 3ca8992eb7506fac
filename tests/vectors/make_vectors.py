"""Writes the vectors of docs/envelope.md and docs/card.md; run by `scripts/make-vectors`.

Every file holds `golden` (must be accepted, with what comes out) and `negative` (must be refused, at which step and
with which reason). Bytes are base64. A negative that is a golden one (for cards: one of `files`) with a few bytes
changed is written as `{"of": name, "replace": [offset, base64], "cut": length, "append": base64, "zeros": how many zero bytes follow}`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgpack
import zstandard
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA224
from cryptography.x509 import DNSName
from entry_forge import BODY, forge_entry, header_of, sign_header
from envelope_forge import (
    CIRCLE,
    DAY,
    NOW,
    body_of,
    certificate,
    forge,
    named_identity,
    named_keys,
    next_body,
    request,
    sign_parts,
    uris,
)

from p2pshare.envelope import sealing
from p2pshare.envelope.card import accept_first, accept_update, fingerprint, safety_number
from p2pshare.envelope.card_format import (
    CARD_MAGIC,
    NOTHING_VOUCHED,
    VERSIONS_MAGIC,
    Revocation,
    decode_card,
    encode_body,
    encode_versions,
    sign_card,
)
from p2pshare.envelope.encoding import pack
from p2pshare.envelope.entry import REAL, EntryDraft, VerifiedEntry, encode_header, sign_entry, without_body
from p2pshare.envelope.envelope import decode_envelope, encode_core
from p2pshare.envelope.evidence import PROOF_MAGIC, card_fork, encode_proof, envelope_fork
from p2pshare.envelope.forwarded import encode_forwarded
from p2pshare.envelope.guest import invitation_key, knock_key
from p2pshare.envelope.hybrid import Secret
from p2pshare.envelope.keys import Identity, reissue_card
from p2pshare.envelope.knock import (
    CardAsked,
    CardHanded,
    KnockGreeting,
    PlaceAsked,
    encode_card_given,
    encode_greeting,
    encode_knock,
    place_asked,
)
from p2pshare.envelope.member_list import (
    DOMAIN_MEMBERS,
    FILE_MAGIC,
    MEMBERS_MAGIC,
    ListedMember,
    card_of,
    pack_file,
    read_list,
    sign_list,
    verify_list,
)
from p2pshare.envelope.notice import NOTICE_MAGIC, circle_of_page, notice_of, read_notice
from p2pshare.envelope.payload import (
    ALONE,
    PartPlace,
    PayloadHeader,
    compress_frame,
    encode_payload,
    pad,
    padded_size,
)
from p2pshare.envelope.recipient_number import RecipientNumber
from p2pshare.envelope.verification import verified_before
from p2pshare.envelope.vouch import Scope, check_page, decode_page, vouch
from p2pshare.identifiers import CircleId, EntryId, EnvelopeId, KeyId, PartnerId, PublicationId, Realm
from p2pshare.intel.authoring import indicator_object
from p2pshare.intel.marking import Tlp
from p2pshare.intel.observable import detect
from p2pshare.limits import (
    CARD_BYTES_MAX,
    CARD_CHAIN_BYTES_MAX,
    INTRODUCTION_BYTES_MAX,
    MEMBER_LIST_BYTES_MAX,
    NOTICE_BYTES_MAX,
    VOUCH_PAGE_BYTES_MAX,
)
from p2pshare.spaces.acts import Opening, Plain
from p2pshare.spaces.heads import AuthorHead, SpaceHeads

FOLDER = Path(__file__).resolve().parent
PUBLICATION = PublicationId(bytes(range(16)))
Json = dict[str, Any]


def text_of(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def secrets_of(identity: Any) -> Json:
    """The secrets of a test partner, in the forms of docs/card.md."""
    keys = identity.operational
    return {
        "name": identity.card.name,
        "partner_id": identity.partner_id.text,
        "roots": [text_of(root.secret().reveal()) for root in identity.roots],
        "sign": text_of(keys.sign.secret().reveal()),
        "sign_key_id": keys.sign.key_id.text,
        "kem": text_of(keys.kem.secret().reveal()),
        "hint": text_of(keys.hint.secret().reveal()),
        "card": text_of(identity.card.raw),
    }


def edited(of: str, **edit: Any) -> Json:
    return {"of": of, **edit}


def flip(of: str, raw: bytes, offset: int) -> Json:
    return edited(of, replace=[offset, text_of(bytes([raw[offset] ^ 1]))])


# --- envelopes -------------------------------------------------------------------------------------


def envelope_vectors() -> Json:
    alpha, bravo, charlie, mallory = (
        named_identity(name) for name in ("alpha", "bravo", "charlie", "mallory")
    )
    header = PayloadHeader("stix", NOW, "TLP:GREEN", 1, PUBLICATION, ALONE)
    payload = encode_payload(header, [compress_frame(b'[{"type":"indicator"}]')])
    one = sealing.seal(alpha, request([bravo.card], payload))
    three = sealing.seal(
        alpha, request([bravo.card, charlie.card, alpha.card], b"", sequence=2, previous=one.envelope_id)
    )
    direct = sealing.seal(charlie, request([bravo.card], bytes(300), mode=sealing.Mode.DIRECT, ttl_class=1))
    restarted = sealing.seal(
        alpha,
        replace(
            request([], b"", incarnation=NOW + 60, previous=three.envelope_id),
            recipients=[
                sealing.Recipient(bravo.card, RecipientNumber(1, NOW, 2)),
                sealing.Recipient(charlie.card, RecipientNumber(1)),
            ],
        ),
    )
    ahead = sealing.seal(alpha, request([bravo.card], b"", incarnation=NOW + 2 * DAY))

    def golden(
        name: str, sealed: sealing.SealedEnvelope, content: bytes, opens: dict[str, list[int]]
    ) -> Json:
        core = sealed.core
        fields = {
            "suite": core.suite,
            "author": core.author.text,
            "key_id": core.key_id.text,
            "incarnation": core.incarnation,
            "sequence": core.sequence,
            "previous": core.previous.hex(),
            "circle": core.circle.text,
            "mode": int(core.mode),
            "created": core.created,
            "ttl_class": core.ttl_class,
            "expires": core.expires,
            "slots": core.slots,
            "body_bytes": core.body_bytes,
        }
        return {
            "name": name,
            "wire": text_of(sealed.wire),
            "envelope_id": sealed.envelope_id.text,
            "core": fields,
            "payload": text_of(content),
            "opens_with_number": opens,
        }

    parts = decode_envelope(one.wire)
    core_at, wraps_at = one.wire.index(parts.core_raw), one.wire.index(parts.wraps)
    body_at, signatures_at = one.wire.index(parts.body), one.wire.index(parts.signatures)
    claimed = replace(parts.core, author=mallory.partner_id, key_id=mallory.operational.sign.key_id)

    def case(name: str, step: str, reason: str, wire: bytes | Json, now: int = NOW) -> Json:
        form = {"wire": text_of(wire)} if isinstance(wire, bytes) else wire
        return {"name": name, "step": step, "reason": reason, "now": now, "author": "alpha", **form}

    plain = "one recipient"
    negative = [
        case("empty", "decode", "malformed", b""),
        case("cut in the header", "decode", "malformed", edited(plain, cut=core_at + 40)),
        case("cut in the signatures", "decode", "malformed", edited(plain, cut=len(one.wire) - 1)),
        case("a byte more", "decode", "malformed", edited(plain, append=text_of(b"\x00"))),
        case("another magic", "decode", "malformed", flip(plain, one.wire, 3)),
        case("format version 0", "decode", "unknown-version", flip(plain, one.wire, 7)),
        case("flipped author", "verify", "wrong-author", flip(plain, one.wire, core_at + 10)),
        case(
            "flipped nonce",
            "verify",
            "bad-signature",
            flip(plain, one.wire, one.wire.index(parts.core.nonce)),
        ),
        case("flipped hint", "verify", "bad-signature", flip(plain, one.wire, wraps_at)),
        case("flipped wrap", "verify", "bad-signature", flip(plain, one.wire, wraps_at + 500)),
        case("flipped body", "verify", "bad-signature", flip(plain, one.wire, body_at + 5)),
        case("flipped Ed25519 signature", "verify", "bad-signature", flip(plain, one.wire, signatures_at)),
        case(
            "flipped ML-DSA signature", "verify", "bad-signature", flip(plain, one.wire, signatures_at + 64)
        ),
        case("a day and a second too early", "time", "from-the-future", edited(plain), NOW - DAY - 1),
        case("eleven minutes too early", "time", "deferred", edited(plain), NOW - 660),
        case("after its 90 days", "time", "expired", edited(plain), NOW + 90 * DAY),
        case(
            "an incarnation two days and a second beyond created",
            "time",
            "incarnation-ahead",
            forge(alpha, [bravo.card], incarnation=NOW + 2 * DAY + 1),
        ),
        case(
            "the highest incarnation there is, a day too early",
            "time",
            "incarnation-ahead",
            forge(alpha, [bravo.card], incarnation=(1 << 53) - 1),
            NOW - DAY - 1,
        ),
        case(
            "signed with an expired key", "verify", "unknown-key", forge(alpha, [bravo.card], created=NOW - 1)
        ),
        case("unknown suite", "decode", "unknown-suite", forge(alpha, [bravo.card], suite=2)),
        case("unknown mode", "decode", "malformed", forge(alpha, [bravo.card], mode=2)),
        case("unknown ttl class", "decode", "malformed", forge(alpha, [bravo.card], ttl_class=7)),
        case("sequence 0", "decode", "malformed", forge(alpha, [bravo.card], sequence=0)),
        case("sequence 2^53", "decode", "malformed", forge(alpha, [bravo.card], sequence=1 << 53)),
        case("two slots for one row", "decode", "bad-lengths", forge(alpha, [bravo.card], slots=2)),
        case("an unpadded body", "decode", "bad-lengths", forge(alpha, [bravo.card], padded=bytes(257))),
        case(
            "an integer in a longer form",
            "decode",
            "not-canonical",
            forge(alpha, [bravo.card], encode=lambda core: b"\x8e\x00\xcc\x01" + encode_core(core)[3:]),
        ),
        case(
            "a header with a field more",
            "decode",
            "malformed",
            forge(alpha, [bravo.card], encode=lambda core: b"\x8f" + encode_core(core)[1:] + b"\x0e\x00"),
        ),
        case(
            "rows out of order",
            "decode",
            "bad-lengths",
            _rows_swapped(alpha, forge(alpha, [bravo.card, charlie.card])),
        ),
        case(
            "signed by another",
            "verify",
            "bad-signature",
            sign_parts(mallory, parts.core_raw, parts.wraps, parts.body),
        ),
        {
            **case(
                "stripped and signed again: not addressed to anybody",
                "open",
                "not-addressed",
                sign_parts(mallory, encode_core(claimed), parts.wraps, parts.body),
            ),
            "author": "mallory",
        },
        case(
            "two keys (salamander): charlie gets another",
            "open",
            "commitment-mismatch",
            forge(alpha, [charlie.card], wrapped_keys={charlie.partner_id: bytes(32)}),
        ),
        case(
            "a false commitment",
            "open",
            "commitment-mismatch",
            forge(alpha, [charlie.card], commitment=bytes(32)),
        ),
        case(
            "a body of another key",
            "open",
            "body-tampered",
            _body_flipped(alpha, forge(alpha, [charlie.card])),
        ),
        *(
            case(
                f"a number for the recipient {name}",
                "open",
                "bad-wrap",
                forge(alpha, [charlie.card], number=number),
            )
            for name, number in {
                "of 0": RecipientNumber(0),
                "of 2^53": RecipientNumber(1 << 53),
                "that is no first one, with one before": RecipientNumber(2, NOW - 9, 1),
                "with the incarnation before alone": RecipientNumber(1, NOW - 9, 0),
                "with the last number before alone": RecipientNumber(1, 0, 9),
                "whose incarnation before is its own": RecipientNumber(1, NOW, 9),
            }.items()
        ),
        case(
            "padding that is not zero",
            "open",
            "bad-padding",
            forge(alpha, [charlie.card], padded=pad(b"payload")[:-1] + b"\x01"),
        ),
        case(
            "padding to the wrong size",
            "open",
            "bad-padding",
            forge(alpha, [charlie.card], padded=pad(b"payload") + bytes(256)),
        ),
        case(
            "a length beyond the end",
            "open",
            "bad-padding",
            forge(alpha, [charlie.card], padded=(253).to_bytes(4, "big") + bytes(252)),
        ),
    ]
    return {
        "about": "docs/envelope.md. Test keys: never use them. `open` cases are opened by charlie.",
        "now": NOW,
        "partners": [secrets_of(identity) for identity in (alpha, bravo, charlie, mallory)],
        "golden": [
            golden(plain, one, payload, {"bravo": [1, 0, 0]}),
            golden(
                "three recipients, one of them the author, and a dummy",
                three,
                b"",
                {"bravo": [1, 0, 0], "charlie": [2, 0, 0], "alpha": [3, 0, 0]},
            ),
            golden("direct, one day", direct, bytes(300), {"bravo": [1, 0, 0]}),
            golden("the highest incarnation of its time", ahead, b"", {"bravo": [1, 0, 0]}),
            golden(
                "the first of an incarnation names the last of the one before, where there was one",
                restarted,
                b"",
                {"bravo": [1, NOW, 2], "charlie": [1, 0, 0]},
            ),
        ],
        "negative": negative,
    }


def _rows_swapped(author: Any, wire: bytes) -> bytes:
    parts = decode_envelope(wire)
    wraps = parts.wraps[8:16] + parts.wraps[:8] + parts.wraps[16:]
    return sign_parts(author, parts.core_raw, wraps, parts.body)


def _body_flipped(author: Any, wire: bytes) -> bytes:
    parts = decode_envelope(wire)
    return sign_parts(author, parts.core_raw, parts.wraps, parts.body[:-1] + bytes([parts.body[-1] ^ 1]))


# --- cards -----------------------------------------------------------------------------------------


def _revocations_of(count: int, reason: int = 1) -> tuple[Revocation, ...]:
    return tuple(Revocation(KeyId(bytes([number]) * 16), NOW, reason) for number in range(count))


def card_vectors() -> Json:
    """Shapes are shown with one root (small cards), thresholds with two of three."""
    solo, board, mallory = named_identity("solo"), named_identity("board", 3, 2), named_identity("mallory")
    second = reissue_card(board, NOW + DAY, name="Board of Three")
    revocation = Revocation(board.operational.sign.key_id, NOW + DAY, 1, bytes(range(32)))
    third = reissue_card(
        second,
        NOW + 2 * DAY,
        operational=named_keys("board, later", board.partner_id),
        revoked=[revocation],
    )
    other_second = reissue_card(board, NOW + DAY, name="Another Story")
    files = {
        "solo": solo.card.raw,
        "mallory": mallory.card.raw,
        "board 1": board.card.raw,
        "board 1 to 2": second.card.raw,
        "board 2": second.card.version_raw,
        "board 2, another": other_second.card.version_raw,
        "board 3": third.card.version_raw,
        "board 1 to 3": encode_versions([board.card.raw, second.card.version_raw, third.card.version_raw]),
    }
    now = NOW + 3 * DAY
    body, board_body = body_of(solo.card), body_of(board.card)
    pairs = [list(pair) for pair in decode_card(sign_card(board_body, board.roots)).signatures]
    board_raw = encode_body(board_body)

    def golden(name: str, file: str, current: str | None = None) -> Json:
        raw = files[file]
        card = (
            accept_first(raw, now)
            if current is None
            else accept_update(accept_first(files[current], now), raw, now)
        )
        return {
            "name": name,
            "now": now,
            "file": file,
            **({} if current is None else {"current": current}),
            "partner_id": card.partner_id.text,
            "fingerprint": fingerprint(card.partner_id),
            "version": card.version,
            "display_name": card.name,
            "urls": list(card.urls),
            "expires": card.expires,
            "threshold": card.threshold,
            "roots": [key.key_id.text for key in card.roots],
            "sign_keys": [entry.key.key_id.text for entry in card.sign_keys],
            "revoked": [
                [entry.key_id.text, entry.since, entry.reason, entry.vouch_root.hex()]
                for entry in card.revoked
            ],
            "body_digest": card.body_digest.hex(),
        }

    def case(
        name: str, reason: str, card: bytes | str | Json, current: str | None = None, at: int = now
    ) -> Json:
        form = (
            {"card": text_of(card)}
            if isinstance(card, bytes)
            else {"file": card}
            if isinstance(card, str)
            else card
        )
        return {
            "name": name,
            "reason": reason,
            "now": at,
            **({} if current is None else {"current": current}),
            **form,
        }

    def solo_with(**changes: Any) -> bytes:
        return sign_card(replace(body, **changes), solo.roots)

    raw = files["solo"]
    taken = next_body(board.card, roots=mallory.card.roots, threshold=1)
    negative = [
        case("empty", "malformed", b""),
        case("cut", "malformed", edited("solo", cut=len(raw) - 1)),
        case("a byte more", "malformed", edited("solo", append=text_of(b"\x00"))),
        case("flipped address", "bad-signature", flip("solo", raw, raw.index(b"solo.example"))),
        case("flipped signature", "bad-signature", flip("solo", raw, len(raw) - 1)),
        case("one signature of two", "card-threshold", sign_card(board_body, board.roots[:1])),
        case("one key twice", "malformed", pack([CARD_MAGIC, 1, board_raw, [pairs[0], pairs[0]]])),
        case("signatures out of order", "malformed", pack([CARD_MAGIC, 1, board_raw, pairs[1::-1]])),
        case("a stranger signed too", "card-signature", sign_card(body, [*solo.roots, *mallory.roots])),
        case(
            "another's roots under this id",
            "card-identity",
            sign_card(replace(body, roots=mallory.card.roots), mallory.roots),
        ),
        case(
            "a lower threshold under this id",
            "card-identity",
            sign_card(replace(board_body, threshold=1), board.roots[:1]),
        ),
        case("a card of 128 KiB and more", "oversized", edited("solo", zeros=CARD_BYTES_MAX)),
        case("a file of 4 MiB and more", "oversized", edited("board 1 to 2", zeros=CARD_CHAIN_BYTES_MAX)),
        case("257 versions", "malformed", pack([VERSIONS_MAGIC, 1, [b"0"] * 257])),
        case("format version 2", "unknown-version", edited("solo", replace=[7, text_of(b"\x02")])),
        case(
            "format version 2 of a file",
            "unknown-version",
            edited("board 1 to 2", replace=[7, text_of(b"\x02")]),
        ),
        case("a number in a longer form", "not-canonical", raw[:7] + b"\xcc" + raw[7:]),
        *(
            case(f"{what}", "bad-key", edited("solo", replace=[raw.index(key) + at, text_of(piece)]))
            for what, key, at, piece in (
                ("a root whose Ed25519 point is the neutral one", body.roots[0].raw, 0, b"\x01" + bytes(31)),
                ("a sign key whose Ed25519 point is of order 4", body.sign_keys[0].key.raw, 0, bytes(32)),
                ("a kem key that fails the modulus check", body.kem_keys[0].key.raw, 0, b"\xff\xff"),
                ("a kem key whose X25519 point is 0", body.kem_keys[0].key.raw, 1_184, bytes(32)),
                ("a hint key whose X25519 point is 1", body.hint_keys[0].key.raw, 0, b"\x01" + bytes(31)),
                ("a hint key with the top bit set", body.hint_keys[0].key.raw, 31, b"\xff"),
            )
        ),
        case("revocations out of order", "malformed", solo_with(revoked=_revocations_of(2)[::-1])),
        case("a key revoked twice", "malformed", solo_with(revoked=_revocations_of(1) * 2)),
        case("a reason 4 of a revocation", "malformed", solo_with(revoked=_revocations_of(1, reason=4))),
        case("version 2 alone", "card-gap", "board 2"),
        case("expired", "card-expired", "solo", at=solo.card.expires),
        case("from the future", "card-from-the-future", "solo", at=NOW - 601),
        case("a life of 401 days", "malformed", solo_with(expires=NOW + 401 * DAY)),
        case("threshold 0", "malformed", solo_with(threshold=0)),
        case("a name with a bidi control", "malformed", solo_with(name="a\u202eb")),
        case("an http address", "malformed", solo_with(urls=("http://a.example",))),
        case("a certificate that is none", "bad-certificate", solo_with(tls_certificates=(b"0",))),
        *(
            case(f"a certificate {what}", "bad-certificate", solo_with(tls_certificates=(der,)))
            for what, der in _bad_certificates(solo.partner_id, mallory.card.tls_certificates[0]).items()
        ),
        case(
            "versions with a hole",
            "malformed",
            pack([VERSIONS_MAGIC, 1, [files["board 1"], files["board 3"]]]),
        ),
        case("rollback", "card-rollback", "board 1", "board 1 to 2"),
        case("a version left out", "card-gap", "board 3", "board 1"),
        case(
            "another history",
            "card-gap",
            sign_card(next_body(solo.card, previous=b"\x01" * 32), solo.roots),
            "solo",
        ),
        case("fork", "card-fork", "board 2, another", "board 1 to 2"),
        case("another partner", "card-other-partner", "mallory", "solo"),
        case(
            "old threshold not met",
            "card-threshold",
            sign_card(taken, [board.roots[0], *mallory.roots]),
            "board 1",
        ),
        case("new roots did not sign", "card-threshold", sign_card(taken, board.roots[:2]), "board 1"),
        case("an expired update", "card-expired", "board 2", "board 1", at=second.card.expires),
    ]
    return {
        "about": "docs/card.md. Without `current` it is first contact; with it an update of that trusted file.",
        "safety_number": {
            "of": [board.partner_id.text, mallory.partner_id.text],
            "number": safety_number(board.partner_id, mallory.partner_id),
        },
        "files": {name: text_of(content) for name, content in files.items()},
        "golden": [
            golden("one root", "solo"),
            golden("two of three roots", "board 1"),
            golden("file of three versions", "board 1 to 3"),
            golden("update by one version", "board 2", "board 1"),
            golden("update by a file of versions", "board 1 to 3", "board 1"),
            golden("the same again", "board 2", "board 1 to 2"),
        ],
        "negative": negative,
    }


def _bad_certificates(of: PartnerId, others: bytes) -> dict[str, bytes]:
    """Certificates that are wrong in one thing each, by what it is."""
    good, named = certificate(of), f"p2pshare:{of.text}"
    return {
        "of another partner": others,
        "that names nobody": certificate(of, names=[]),
        "that names its partner twice": certificate(of, names=uris(named, named)),
        "that names its partner and another": certificate(of, names=uris(named, f"p2pshare:{'0' * 64}")),
        "that names its partner in capitals": certificate(of, names=uris(f"p2pshare:{of.text.upper()}")),
        "that names its partner as a host": certificate(of, names=[DNSName(of.text)]),
        "whose signature is broken": good[:-1] + bytes([good[-1] ^ 1]),
        "signed with another key": certificate(of, signer=generate_private_key(SECP256R1())),
        "issued by another": certificate(of, issuer="another"),
        "signed over SHA-224": certificate(of, hash_algorithm=SHA224()),
        "that could sign others": certificate(of, is_ca=True),
    }


# --- proofs ----------------------------------------------------------------------------------------


def proof_vectors() -> Json:
    alpha, bravo, mallory = named_identity("alpha"), named_identity("bravo"), named_identity("mallory")
    one, other = (
        decode_envelope(sealing.seal(alpha, request([bravo.card], payload)).wire)
        for payload in (b"to you", b"to the others")
    )
    invented = encode_core(replace(other.core, nonce=bytes(16)))
    forged = decode_envelope(sign_parts(mallory, invented, other.wraps, other.body))
    cards = [reissue_card(alpha, NOW, name=name).card for name in ("For you", "For the others")]
    framed = sign_card(next_body(alpha.card, name="Framed"), mallory.roots)
    envelopes = encode_proof(envelope_fork(alpha.card.raw, one, other))
    second = cards[0].version_raw

    def golden(name: str, raw: bytes, claims: str) -> Json:
        return {
            "name": name,
            "proof": text_of(raw),
            "fingerprint": fingerprint(alpha.partner_id),
            "claims": claims,
        }

    def case(name: str, reason: str, raw: bytes) -> Json:
        return {"name": name, "reason": reason, "proof": text_of(raw)}

    def shown(card: bytes, *pair: Any) -> bytes:
        return encode_proof(envelope_fork(card, *pair))

    return {
        "about": "docs/envelope.md, Proofs. Test keys: never use them.",
        "golden": [
            golden(
                "two envelopes",
                envelopes,
                f"two different envelopes under incarnation {NOW}, sequence 1",
            ),
            golden(
                "two cards",
                encode_proof(card_fork(*(card.raw for card in cards))),
                "two different cards of version 2",
            ),
        ],
        "negative": [
            case("cut", "malformed", envelopes[:-1]),
            case("a statement signed by another", "bad-signature", shown(alpha.card.raw, one, forged)),
            case("another's card", "wrong-author", shown(mallory.card.raw, one, other)),
            case("a card without its history", "card-gap", shown(second, one, other)),
            case(
                "a card of another's roots",
                "card-threshold",
                pack(
                    [
                        PROOF_MAGIC,
                        1,
                        2,
                        *_in_order(
                            cards[0].raw,
                            encode_versions(
                                [
                                    alpha.card.raw,
                                    sign_card(next_body(alpha.card, roots=mallory.card.roots), mallory.roots),
                                ]
                            ),
                        ),
                    ]
                ),
            ),
            case(
                "a card signed by another",
                "card-signature",
                pack(
                    [PROOF_MAGIC, 1, 2, *_in_order(cards[0].raw, encode_versions([alpha.card.raw, framed]))]
                ),
            ),
            case("one card twice", "not-a-fork", pack([PROOF_MAGIC, 1, 2, cards[0].raw, cards[0].raw])),
            case(
                "two versions of one card",
                "not-a-fork",
                pack([PROOF_MAGIC, 1, 2, alpha.card.raw, cards[0].raw]),
            ),
        ],
    }


def _in_order(*files: bytes) -> list[bytes]:
    return sorted(files, key=lambda raw: decode_card(raw).body_digest)


# --- vouch pages -----------------------------------------------------------------------------------


def vouch_vectors() -> Json:
    """Three pages that one card vouches for, two of them of one circle, and pages that it does not."""
    alpha, bravo, mallory = named_identity("alpha"), named_identity("bravo"), named_identity("mallory")
    key_id, ids = alpha.operational.sign.key_id, [_id_of(number) for number in range(2_005)]
    owners, thiefs = (sealing.seal(alpha, request([bravo.card], b"", sequence=number)) for number in (1, 2))
    listed = [*ids[:2_000], owners.envelope_id]
    scopes: dict[Scope, list[EnvelopeId]] = {CIRCLE: listed, bravo.partner_id: ids[2_001:]}
    made, evil = vouch(alpha.partner_id, key_id, scopes), vouch(alpha.partner_id, key_id, {CIRCLE: ids[:1]})
    fresh = named_keys("alpha, later", alpha.partner_id)
    card, others = (
        reissue_card(alpha, NOW + DAY, operational=fresh, revoked=[Revocation(key_id, NOW, 1, root)]).card
        for root in (made.root, NOTHING_VOUCHED)
    )
    full, rest, direct = (raw for _, raw in made.pages())
    names = {"a full page": full, "the last page of a circle": rest, "a partner's page": direct}
    parts = msgpack.unpackb(direct)

    def golden(name: str, raw: bytes) -> Json:
        page = decode_page(raw)
        check_page(page, card)
        return {
            "name": name,
            "page": text_of(raw),
            "author": page.author.text,
            "key_id": page.key_id.text,
            "scope": page.scope.text,
            "number": page.number,
            "ids": len(page.ids),
            "first": page.ids[0].text,
            "last": page.ids[-1].text,
        }

    def case(name: str, reason: str, page: bytes | Json, card: str = "card") -> Json:
        form = {"page": text_of(page)} if isinstance(page, bytes) else page
        return {"name": name, "reason": reason, "card": card, **form}

    def with_part(place: int, value: Any) -> bytes:
        return pack([*parts[:place], value, *parts[place + 1 :]])

    small = "a partner's page"
    entries = [parts[8][at : at + 32] for at in range(0, len(parts[8]), 32)]
    shelves = [parts[10][at : at + 32] for at in range(0, len(parts[10]), 32)]
    return {
        "about": "docs/card.md, Vouch pages. `card` names one of `cards`. Test keys: never use them.",
        "cards": {
            "card": text_of(card.raw),
            "nothing vouched for": text_of(others.raw),
            "before": text_of(alpha.card.raw),
            "another's": text_of(mallory.card.raw),
        },
        "key_id": key_id.text,
        "root": made.root.hex(),
        "notices": [
            {
                "notice": text_of(raw),
                "notice_id": read_notice(raw).notice_id.text,
                "circle": read_notice(raw).circle.text,
                "author": alpha.partner_id.text,
                "created": created,
            }
            for raw, created in (
                (notice_of(CIRCLE, card.version_raw), NOW + DAY),
                (notice_of(circle_of_page(alpha.partner_id, bravo.partner_id), direct), NOW),
            )
        ],
        "now": NOW + DAY,
        "envelopes": [
            {"name": name, "card": of, "wire": text_of(sealed.wire), **({"reason": reason} if reason else {})}
            for name, of, sealed, reason in (
                ("one that the golden pages list", "card", owners, ""),
                ("one that they do not list", "card", thiefs, "not-vouched"),
                ("one where nothing is vouched for", "nothing vouched for", owners, "revoked-key"),
            )
        ],
        "golden": [golden(name, raw) for name, raw in names.items()],
        "bad_notices": [
            {
                "name": name,
                "reason": reason,
                **(form if isinstance(form, dict) else {"notice": text_of(form)}),
            }
            for name, reason, form in _bad_notices(alpha, bravo, card.version_raw, rest, direct)
        ],
        "negative": [
            case("empty", "malformed", b""),
            case("a page of 144 KiB and more", "oversized", edited(small, zeros=VOUCH_PAGE_BYTES_MAX)),
            case("a number in a longer form", "not-canonical", direct[:7] + b"\xcc" + direct[7:]),
            case("cut", "malformed", edited(small, cut=len(direct) - 1)),
            case("a byte more", "malformed", edited(small, append=text_of(b"\x00"))),
            case("another magic", "malformed", with_part(0, b"p2pv")),
            case("format version 2", "unknown-version", with_part(1, 2)),
            case("another author", "bad-vouch", with_part(2, bytes(mallory.partner_id))),
            case("another key", "bad-vouch", with_part(3, bytes(16))),
            case("kind 2", "malformed", with_part(4, 2)),
            case("a circle of 32 bytes", "malformed", with_part(4, 0)),
            case("another partner", "bad-vouch", with_part(5, bytes(mallory.partner_id))),
            case("another salt", "bad-vouch", with_part(6, bytes(16))),
            case("page 1 of 1", "bad-vouch", with_part(7, 1)),
            case("page 512", "malformed", with_part(7, 512)),
            case("an id more", "bad-vouch", with_part(8, parts[8] + b"\xff" * 32)),
            case("an id less", "bad-vouch", with_part(8, parts[8][:-32])),
            case("another id", "bad-vouch", with_part(8, b"".join(sorted([*entries[1:], _id_of(9_999)])))),
            case("ids out of order", "bad-vouch", with_part(8, b"".join(entries[::-1]))),
            case("no id", "malformed", with_part(8, b"")),
            case("half an id", "malformed", with_part(8, parts[8][:-1])),
            case("2,001 ids", "malformed", with_part(8, bytes(2_001 * 32))),
            case("another page's hash", "bad-vouch", with_part(9, bytes(32))),
            case("shelves out of order", "bad-vouch", with_part(10, b"".join(shelves[::-1]))),
            case("63 shelves", "bad-vouch", with_part(10, b"".join(shelves[1:]))),
            case("no shelf", "malformed", with_part(10, b"")),
            case("the thief's own", "bad-vouch", next(raw for _, raw in evil.pages())),
            case("a card that does not revoke the key", "bad-vouch", edited(small), "before"),
            case("a card that vouches for nothing", "bad-vouch", edited(small), "nothing vouched for"),
            case("another's card", "bad-vouch", edited(small), "another's"),
        ],
    }


def _bad_notices(
    alpha: Any, bravo: Any, card: bytes, page: bytes, direct: bytes
) -> list[tuple[str, str, bytes | Json]]:
    """(name, reason, bytes or how a good one is edited). A good one is the first of `notices`."""
    good, other = notice_of(CIRCLE, card), CircleId.of("other")
    return [
        ("empty", "malformed", b""),
        ("cut", "malformed", {"cut": len(good) - 1}),
        ("a byte more", "malformed", {"append": text_of(b"\x00")}),
        ("too large", "oversized", {"zeros": NOTICE_BYTES_MAX}),
        ("another magic", "malformed", {"replace": [3, text_of(b"p2pm")]}),
        ("format version 2", "unknown-version", {"replace": [7, text_of(b"\x02")]}),
        ("a number in a longer form", "not-canonical", good[:7] + b"\xcc" + good[7:]),
        ("a circle of 15 bytes", "malformed", pack([NOTICE_MAGIC, 1, bytes(15), card])),
        ("no content", "malformed", pack([NOTICE_MAGIC, 1, CIRCLE, b""])),
        ("content of neither kind", "malformed", pack([NOTICE_MAGIC, 1, CIRCLE, good])),
        (
            "a file of several versions",
            "malformed",
            notice_of(CIRCLE, encode_versions([alpha.card.raw, card])),
        ),
        ("a card that is cut", "malformed", notice_of(CIRCLE, card[:-1])),
        (
            "a page whose ids are others",
            "bad-vouch",
            notice_of(CIRCLE, page.replace(decode_page(page).ids[0], bytes(32), 1)),
        ),
        ("a page in another circle", "wrong-circle", notice_of(other, page)),
        ("a partner's page in a circle", "wrong-circle", notice_of(CIRCLE, direct)),
        (
            "a partner's page between another pair",
            "wrong-circle",
            notice_of(CircleId.of_pair(bravo.partner_id, PartnerId(bytes(32))), direct),
        ),
    ]


def _id_of(number: int) -> EnvelopeId:
    return EnvelopeId(hashlib.sha256(f"p2pshare test vector envelope {number}".encode()).digest())


# --- guest keys ------------------------------------------------------------------------------------


def guest_vectors() -> Json:
    alpha = named_identity("alpha")
    host = PartnerId(bytes(range(32)))
    second = reissue_card(alpha, NOW + DAY, name="Alpha Two").card

    def invitation(secret: bytes, host: PartnerId, expires: int) -> Json:
        key = invitation_key(Secret(secret), host, expires)
        return {
            "secret": secret.hex(),
            "host": host.text,
            "expires": expires,
            "certificate": text_of(key.certificate),
        }

    return {
        "about": "docs/card.md, Guest keys. Test keys: never use them.",
        "invitations": [
            invitation(bytes(range(16)), host, NOW + 3 * DAY),
            invitation(bytes(range(16)), alpha.partner_id, NOW + 3 * DAY),
            invitation(bytes(16), host, 2_524_608_000 + 7 * DAY),
        ],
        "knocks": [
            {"card": text_of(card), "certificate": text_of(knock_key(card).certificate)}
            for card in (alpha.card.raw, second.raw)
        ],
        "negative": [
            {
                "name": "an invitation until the year 10000",
                "reason": "malformed",
                "secret": bytes(16).hex(),
                "host": host.text,
                "expires": 253_402_300_800,
            },
            {
                "name": "a host's second version alone",
                "reason": "card-gap",
                "card": text_of(second.version_raw),
            },
        ],
        "messages": knock_messages(alpha),
        "places": knock_places(alpha, host),
    }


def knock_messages(alpha: Identity) -> Json:
    """Messages of a knock, each as it stands in its frame: `says` is what a reader has of it, or the reason of its refusal."""
    card, nonce = alpha.card.raw, bytes(range(32))
    place = place_asked(
        alpha.partner_id,
        "Alpha CERT",
        "https://alpha.example:8443",
        alpha.operational.tls,
        host=PartnerId(nonce),
        nonce=nonce,
    )
    host = [
        ("greeting", encode_greeting(KnockGreeting(nonce, 300)), [1, nonce.hex(), 300]),
        ("card given", encode_card_given(card), [3, text_of(card)]),
    ]
    guest = [
        ("card handed over", encode_knock(CardHanded(card)), [2, text_of(card)]),
        ("card asked for", encode_knock(CardAsked()), [3]),
        ("place asked for", encode_knock(place), place_says(place)),
        (
            "place asked for by one that only dials",
            encode_knock(replace(place, url="")),
            place_says(replace(place, url="")),
        ),
        ("a place without a name", encode_knock(replace(place, name="")), "malformed"),
        (
            "a place under a name that turns its reading",
            encode_knock(replace(place, name="Al\u202epha")),
            "malformed",
        ),
        ("a place under an invisible name", encode_knock(replace(place, name="\u3164\u200b")), "malformed"),
        (
            "a place at an address that is none",
            encode_knock(replace(place, url="http://alpha.example")),
            "malformed",
        ),
        (
            "a place with too long a certificate",
            encode_knock(replace(place, certificate=bytes(4_097))),
            "malformed",
        ),
        ("a place with no signature", encode_knock(replace(place, signature=b"")), "malformed"),
        ("a place with one more field", b"\x97" + encode_knock(place)[1:] + b"\x00", "malformed"),
        ("a place of a shorter id", pack([4, bytes(31), "Alpha", "", b"x", bytes(70)]), "malformed"),
        ("no card file", pack([2, b""]), "malformed"),
        ("a longer form", bytes.fromhex("9202c5000178"), "not-canonical"),
        ("something behind", encode_knock(CardAsked()) + b"x", "malformed"),
        ("the host's greeting", encode_greeting(KnockGreeting(nonce, 1)), "malformed"),
        ("unknown", pack([5]), "malformed"),
    ]

    def entry(name: str, message: bytes, says: Any) -> Json:
        return {"name": name, "frame": text_of(len(message).to_bytes(4, "big") + message), "says": says}

    return {"host": [entry(*one) for one in host], "guest": [entry(*one) for one in guest]}


def place_says(place: PlaceAsked) -> Json:
    return [
        4,
        place.partner_id.text,
        place.name,
        place.url,
        text_of(place.certificate),
        place.signature.hex(),
    ]


def knock_places(alpha: Identity, host: PartnerId) -> Json:
    """Messages that ask for a place, whose form is right, and what their host makes of them in a conversation with this nonce."""
    nonce, key = bytes(range(32)), alpha.operational.tls
    mallory = named_identity("mallory")
    good = place_asked(alpha.partner_id, "Alpha CERT", "", key, host=host, nonce=nonce)
    cases = [
        ("good", good, ""),
        (
            "its holder has another name this time",
            place_asked(alpha.partner_id, "Alpha", "", key, host=host, nonce=nonce),
            "",
        ),
        ("a changed name", replace(good, name="Alpha Cert"), "bad-signature"),
        ("a changed address", replace(good, url="https://mallory.example"), "bad-signature"),
        (
            "said to another host",
            place_asked(alpha.partner_id, "Alpha CERT", "", key, host=mallory.partner_id, nonce=nonce),
            "bad-signature",
        ),
        (
            "said in another conversation",
            place_asked(alpha.partner_id, "Alpha CERT", "", key, host=host, nonce=bytes(32)),
            "bad-signature",
        ),
        (
            "another one's certificate",
            place_asked(alpha.partner_id, "Alpha CERT", "", mallory.operational.tls, host=host, nonce=nonce),
            "bad-certificate",
        ),
        (
            "another one's id",
            place_asked(mallory.partner_id, "Alpha CERT", "", key, host=host, nonce=nonce),
            "bad-certificate",
        ),
        ("a certificate that is none", replace(good, certificate=b"certificate"), "bad-certificate"),
        ("a signature that is none", replace(good, signature=bytes(64)), "bad-signature"),
    ]
    return [
        {
            "name": name,
            "host": host.text,
            "nonce": nonce.hex(),
            "message": text_of(encode_knock(place)),
            "reason": reason,
        }
        for name, place, reason in cases
    ]


# --- parts -----------------------------------------------------------------------------------------


def payload_vectors() -> Json:
    frame = compress_frame(b'[{"type":"indicator"}]')
    hidden = zstandard.ZstdCompressor(write_content_size=False).compress(b"[]")
    header = PayloadHeader("stix", NOW, "TLP:AMBER+STRICT", 1, PUBLICATION, PartPlace(2, 300))
    skippable = bytes.fromhex("502a4d18 04000000 736b6970")
    fields = {0: "stix", 1: NOW, 2: "TLP:GREEN", 3: 0, 4: bytes(16), 5: [1, 1]}

    def golden(name: str, header: PayloadHeader, frames: list[bytes], texts: list[str]) -> Json:
        return {
            "name": name,
            "payload": text_of(encode_payload(header, frames)),
            "type": header.type,
            "created": header.created,
            "marking": header.marking,
            "objects": header.objects,
            "publication": header.publication.text,
            "part": [header.part.number, header.part.of],
            "frames": texts,
        }

    def refused(name: str, payload: bytes | object, reason: str = "malformed") -> Json:
        raw = payload if isinstance(payload, bytes) else pack(payload)
        return {"name": name, "payload": text_of(raw), "reason": reason}

    return {
        "about": "docs/envelope.md, payload and padding.",
        "padded_size": [
            [size, padded_size(size)]
            for size in (0, 1, 255, 256, 257, 300, 513, 1000, 65_537, 10**6, 2**24 - 1)
        ],
        "golden": [
            golden("one frame, the second of 300", header, [frame], ['[{"type":"indicator"}]']),
            golden("no frame", PayloadHeader("stix", NOW, "TLP:GREEN", 1, PUBLICATION, ALONE), [], []),
            golden(
                "the last place, of a type that comes later",
                PayloadHeader("later", NOW, "", 0, PublicationId(bytes(16)), PartPlace(65_535, 65_535)),
                [],
                [],
            ),
        ],
        "negative": [
            {"name": "no size declared", "frame": text_of(hidden), "reason": "bad-frame"},
            {
                "name": "a bomb",
                "frame": text_of(compress_frame(bytes(65 << 20))),
                "reason": "inflated-too-large",
            },
            {"name": "two frames", "frame": text_of(frame + frame), "reason": "bad-frame"},
            {"name": "a byte more", "frame": text_of(frame + b"\x00"), "reason": "bad-frame"},
            {"name": "cut", "frame": text_of(frame[:-1]), "reason": "bad-frame"},
            {"name": "a skippable frame", "frame": text_of(skippable), "reason": "bad-frame"},
            {"name": "not zstd", "frame": text_of(b"[]"), "reason": "bad-frame"},
            refused("four entries", [{0: "stix", 1: NOW, 2: "TLP:GREEN", 3: 0}, []]),
            refused("no part", [{0: "stix", 1: NOW, 2: "TLP:GREEN", 3: 0, 4: bytes(16)}, []]),
            refused("a seventh entry", [fields | {6: 0}, []]),
            refused("a publication of 15 bytes", [fields | {4: bytes(15)}, []]),
            refused("a publication that is a text", [fields | {4: "x" * 16}, []]),
            refused("part 0 of 1", [fields | {5: [0, 1]}, []]),
            refused("part 2 of 1", [fields | {5: [2, 1]}, []]),
            refused("part 1 of 65,536", [fields | {5: [1, 65_536]}, []]),
            refused("a part of three numbers", [fields | {5: [1, 1, 1]}, []]),
            refused("a part that is a map", [fields | {5: {0: 1, 1: 1}}, []]),
            refused(
                "a place in a longer form",
                pack([fields, []]).replace(b"\x05\x92\x01\x01", b"\x05\x92\x01\xcc\x01"),
                "not-canonical",
            ),
            refused("part before publication", _fields_swapped(pack([fields, []]))),
            refused("an empty frame", [fields, [b""]]),
            refused("a byte more", pack([fields, []]) + b"\x00"),
        ],
    }


def forwarded_vectors() -> Json:
    alpha, bravo, charlie = (named_identity(name) for name in ("alpha", "bravo", "charlie"))
    dora = named_identity("dora")

    def said(
        type_: str = "stix", marking: Tlp = Tlp.GREEN, says: Tlp | None = None, text: bytes = b""
    ) -> bytes:
        """A payload of alpha's with one indicator of this marking, under a header that may say another."""
        one = indicator_object(detect("evil.example"), author=alpha.partner_id, created=NOW, tlp=marking)
        header = PayloadHeader(type_, NOW, (says or marking).label, 1, PUBLICATION, ALONE)
        return encode_payload(header, [compress_frame(text or b"[" + one + b"]")])

    def sealed(payload: bytes, author: Any = alpha, **changes: Any) -> tuple[bytes, bytes]:
        """The wire of an envelope for bravo, and its content key."""
        wire = sealing.seal(author, request([bravo.card], payload, **changes)).wire
        verified = verified_before(decode_envelope(wire), author.card)
        key = sealing.content_key_of(bravo, verified, author.card)
        assert key is not None
        return wire, key

    def frame(payload: bytes, **more: Any) -> bytes:
        return encode_forwarded(*sealed(payload, **more))

    wire, key = sealed(said())
    parts = decode_envelope(wire)
    other_core = encode_core(replace(parts.core, created=NOW + 60))
    resigned = sign_parts(bravo, other_core, parts.wraps, parts.body)
    self_wire = sealing.seal(bravo, request([charlie.card], said())).wire
    self_key = sealing.content_key_of(
        charlie, verified_before(decode_envelope(self_wire), bravo.card), bravo.card
    )
    assert self_key is not None
    rotten = said(text=b'[{"type":"indicator"}]')
    # one body that opens to two texts is what a second key would be for: the header commits to the first
    two = forge(alpha, [bravo.card], padded=pad(said()), commitment=bytes(32))

    def refused(name: str, raw: bytes, reason: str, now: int = NOW) -> Json:
        return {"name": name, "frame": text_of(raw), "now": now, "reason": reason}

    return {
        "about": "docs/envelope.md, Forwarded. Handed on by bravo to a reader who has the cards of alpha, bravo and charlie.",
        "now": NOW,
        "partners": [
            {"name": one.card.name, "card": text_of(one.card.raw)} for one in (alpha, bravo, charlie)
        ],
        "forwarder": "bravo",
        "golden": [
            {
                "name": f"an envelope of alpha under {tlp.label}",
                "frame": text_of(encode_forwarded(*one)),
                "author": "alpha",
                "envelope_id": decode_envelope(one[0]).envelope_id.text,
                "value": "evil.example",
            }
            for tlp in (Tlp.CLEAR, Tlp.GREEN)
            for one in [sealed(said(marking=tlp))]
        ],
        "negative": [
            refused("another key", encode_forwarded(wire, bytes(32)), "commitment-mismatch"),
            refused("a header that commits to no key", encode_forwarded(two, key), "commitment-mismatch"),
            refused("a key of 31 bytes", pack([wire, key[:31]]), "malformed"),
            refused("a third element", pack([wire, key, 0]), "malformed"),
            refused("a byte more", encode_forwarded(wire, key) + b"\x00", "malformed"),
            refused("a wire that is cut", encode_forwarded(wire[:-1], key), "malformed"),
            refused("another core, signed by who hands on", encode_forwarded(resigned, key), "bad-signature"),
            refused("expired", encode_forwarded(wire, key), "expired", NOW + 90 * DAY),
            refused("from its author alone", frame(said(), mode=sealing.Mode.DIRECT), "forwarded-direct"),
            refused("of who hands on", encode_forwarded(self_wire, self_key), "forwarded-self"),
            refused("of nobody who is known", frame(said(), author=dora), "author-unknown"),
            refused("for named readers", frame(said("named")), "forwarded-kind"),
            refused("a forwarded in a forwarded", frame(said("forwarded")), "forwarded-kind"),
            refused("marked AMBER", frame(said(marking=Tlp.AMBER)), "forwarded-marking"),
            refused(
                "an object marked AMBER under a header of GREEN",
                frame(said(marking=Tlp.AMBER, says=Tlp.GREEN)),
                "forwarded-marking",
            ),
            refused(
                "a marking that nobody knows",
                frame(_marked(said(), b"TLP:GREEN", b"TLP:GREAN")),
                "forwarded-marking",
            ),
            refused("an object that cannot be read", frame(rotten), "forwarded-not-whole"),
        ],
    }


def _marked(payload: bytes, before: bytes, after: bytes) -> bytes:
    """The payload with another marking in its header."""
    assert payload.count(before) == 1
    return payload.replace(before, after)


def _fields_swapped(payload: bytes) -> bytes:
    """Entry 5 before entry 4; the payload ends with both and no frame."""
    four, five = payload[-24:-5], payload[-5:-1]
    return payload[:-24] + five + four + payload[-1:]


def derivation_vectors() -> Json:
    """Every value that follows from keys alone, so that an implementer finds a slip before the first signature."""
    alpha, bravo = named_identity("alpha"), named_identity("bravo")
    key, nonce = bytes(range(32)), bytes(range(16))
    hint = alpha.operational.hint.hint(bravo.card.hint, alpha.partner_id, bravo.partner_id, nonce)
    root = alpha.roots[0]
    return {
        "about": "docs/envelope.md and docs/card.md: derivations. The wrap opens to 40 bytes with info.",
        "sign_secret": text_of(root.secret().reveal()),
        "verify_key": text_of(root.verify_key.raw),
        "key_id": root.key_id.text,
        "partner_id_1_of_1": alpha.partner_id.text,
        "fingerprint": fingerprint(alpha.partner_id),
        "kem_secret": text_of(alpha.operational.kem.secret().reveal()),
        "kem_public": text_of(alpha.operational.kem.public.raw),
        "wrap": text_of(alpha.operational.kem.public.wrap(bytes(range(40)), b"info")),
        "hint_secret_author": text_of(alpha.operational.hint.secret().reveal()),
        "hint_secret_recipient": text_of(bravo.operational.hint.secret().reveal()),
        "author": alpha.partner_id.text,
        "recipient": bravo.partner_id.text,
        "nonce": text_of(nonce),
        "hint": hint.hex(),
        "content_key": text_of(key),
        "commitment": sealing._commitment(key).hex(),
        "body_key": sealing._body_key(key).hex(),
    }


# --- entries of spaces -----------------------------------------------------------------------------


EXERCISE = Realm(bytes(range(16)))


def entry_vectors() -> Json:
    """A short space, entries that each break one rule, and what rules 13 to 16 say of headers that follow the short space."""
    alpha, bravo, mallory = (named_identity(name) for name in ("alpha", "bravo", "mallory"))
    key = alpha.operational.sign

    def draft(kind: str, **changes: Any) -> EntryDraft:
        return EntryDraft(
            **{
                "realm": REAL,
                "space": EntryId(bytes(32)),
                "author": alpha.partner_id,
                "number": 1,
                "parents": (),
                "depth": 1,
                "created": NOW,
                "kind": kind,
                "tlp": 1,
                **changes,
            }
        )

    names = tuple(sorted([(alpha.partner_id, ""), (bravo.partner_id, "")]))
    content = Opening(1, "note", "Two of us", names).encode()
    opening = sign_entry(draft("open"), content, key)
    space = opening.entry_id
    join = sign_entry(
        draft("join", author=bravo.partner_id, space=space, parents=(space,), depth=2),
        Plain().encode(),
        bravo.operational.sign,
    )
    note = sign_entry(
        draft("note", space=space, parents=(space,), number=2, depth=2), "Zeichen: \u00e4".encode(), key
    )
    both = tuple(sorted([join.entry_id, note.entry_id]))
    sealed = sign_entry(
        draft(
            "note",
            space=space,
            parents=both,
            number=3,
            depth=3,
            tlp=4,
            audience=tuple(sorted([alpha.partner_id, bravo.partner_id])),
        ),
        b"for two",
        key,
    )
    played = sign_entry(draft("open", realm=EXERCISE), content, key)

    def golden(name: str, entry: VerifiedEntry, body: bytes | None, realm: Realm = REAL) -> Json:
        header = entry.header
        fields = {
            "realm": header.realm.text,
            "space": header.space.text,
            "author": header.author.text,
            "key_id": header.key_id.text,
            "number": header.number,
            "parents": [parent.text for parent in header.parents],
            "depth": header.depth,
            "created": header.created,
            "kind": header.kind,
            "tlp": header.tlp,
            "audience": [member.text for member in header.audience],
            "body_digest": header.body_digest.hex(),
            "body_bytes": header.body_bytes,
        }
        return {
            "name": name,
            "realm": realm.text,
            "wire": text_of(entry.wire),
            "entry_id": entry.entry_id.text,
            "header": fields,
            "content": None if body is None else text_of(body),
        }

    wire = note.wire
    header_at = wire.index(note.decoded.header_raw)
    signatures_at = wire.index(note.decoded.signatures)

    def case(name: str, step: str, reason: str, form: bytes | Json, realm: Realm = REAL) -> Json:
        edit = {"wire": text_of(form)} if isinstance(form, bytes) else form
        return {"name": name, "step": step, "reason": reason, "realm": realm.text, "author": "alpha", **edit}

    def broken(name: str, reason: str, **changes: Any) -> Json:
        return case(name, "decode", reason, forge_entry(alpha, **changes))

    audience = tuple(sorted([alpha.partner_id, bravo.partner_id]))
    parents = tuple(EntryId(hashlib.sha256(bytes([number])).digest()) for number in range(17))
    opened = {"kind": "open", "parents": (), "number": 1, "depth": 1, "space": EntryId(bytes(32))}
    plain = "a note"
    negative = [
        case("empty", "decode", "malformed", b""),
        case("cut in the header", "decode", "malformed", edited(plain, cut=header_at + 40)),
        case("cut in the signatures", "decode", "malformed", edited(plain, cut=len(wire) - 1)),
        case("a byte more", "decode", "malformed", edited(plain, append=text_of(b"\x00"))),
        case("another magic", "decode", "malformed", flip(plain, wire, 3)),
        case("format version 0", "decode", "unknown-version", flip(plain, wire, 7)),
        case(
            "a header of 12,289 bytes",
            "decode",
            "oversized",
            sign_header(alpha, REAL, encode_header(header_of(alpha)).ljust(12_289, b"\x00"), BODY),
        ),
        broken("a stated body of 262,145 bytes", "malformed", body_bytes=262_145),
        broken("a stated body without room for its random bytes", "malformed", body_bytes=15),
        case(
            "a number in a longer form",
            "decode",
            "not-canonical",
            forge_entry(
                alpha,
                encode=lambda header: encode_header(header).replace(b"\x04\x02\x05", b"\x04\xcc\x02\x05", 1),
            ),
        ),
        case(
            "a header with a field more",
            "decode",
            "malformed",
            forge_entry(alpha, encode=lambda header: b"\x8e" + encode_header(header)[1:] + b"\x0d\x00"),
        ),
        broken("number 0", "malformed", number=0),
        broken("depth 0", "malformed", depth=0),
        broken("TLP 5", "malformed", tlp=5),
        broken("a kind with a capital", "malformed", kind="Note"),
        broken("an empty kind", "malformed", kind=""),
        broken("a kind of 33 characters", "malformed", kind="n" * 33),
        broken("17 parents", "malformed", parents=tuple(sorted(parents))),
        broken("parents that descend", "malformed", parents=tuple(sorted(parents[:2], reverse=True))),
        broken("one parent twice", "malformed", parents=(parents[0], parents[0])),
        broken("no parent", "malformed", parents=()),
        broken("depth 1 with a parent", "malformed", depth=1),
        broken("a space of zeros", "malformed", space=EntryId(bytes(32))),
        broken("an opening with a parent", "malformed", **{**opened, "parents": parents[:1]}),
        broken("an opening of number 2", "malformed", **{**opened, "number": 2}),
        broken("an opening of depth 2", "malformed", **{**opened, "depth": 2}),
        broken("an opening in a space", "malformed", **{**opened, "space": parents[0]}),
        case("of an exercise, where real ones come in", "decode", "wrong-realm", played.wire),
        case("real, where an exercise's come in", "decode", "wrong-realm", edited(plain), EXERCISE),
        broken("an audience that descends", "malformed", audience=tuple(reversed(audience))),
        broken(
            "257 in the audience",
            "malformed",
            audience=tuple(
                sorted(PartnerId(hashlib.sha256(bytes([n % 256, n // 256])).digest()) for n in range(257))
            ),
        ),
        broken("a join with an audience", "audience-not-allowed", kind="join", audience=audience),
        broken("a part of AMBER+STRICT for all", "names-needed", kind="part", tlp=3),
        broken("a part of RED for all", "names-needed", kind="part", tlp=4),
        broken("number 10,001", "author-full", number=10_001),
        case("created a second before its key", "key", "key-time", forge_entry(alpha, created=NOW - 1)),
        case("created when its key ends", "key", "key-time", forge_entry(alpha, created=NOW + 90 * DAY)),
        case(
            "a key that no card lists waits",
            "key",
            "card",
            forge_entry(alpha, key_id=mallory.operational.sign.key_id),
        ),
        case("flipped number", "verify", "bad-signature", flip(plain, wire, wire.index(b"\x04\x02\x05") + 1)),
        case("flipped space", "verify", "bad-signature", flip(plain, wire, wire.index(note.header.space))),
        case("flipped Ed25519 signature", "verify", "bad-signature", flip(plain, wire, signatures_at)),
        case("flipped ML-DSA signature", "verify", "bad-signature", flip(plain, wire, signatures_at + 64)),
        case(
            "signed by another",
            "verify",
            "bad-signature",
            sign_header(mallory, REAL, note.decoded.header_raw, note.decoded.body),
        ),
        case(
            "signed for another realm",
            "verify",
            "bad-signature",
            sign_header(alpha, EXERCISE, note.decoded.header_raw, note.decoded.body),
        ),
        case(
            "a flipped body", "body", "body-mismatch", flip(plain, wire, wire.index(note.decoded.body) + 20)
        ),
        case("no body", "body", "body-mismatch", without_body(note).wire),
        case(
            "a body that is not as long as stated", "body", "body-mismatch", forge_entry(alpha, body_bytes=23)
        ),
    ]

    def following(name: str, reason: str, **changes: Any) -> Json:
        header = header_of(alpha, **{"space": space, "parents": both, "number": 3, "depth": 3, **changes})
        return {"name": name, "reason": reason, "header": text_of(encode_header(header))}

    return {
        "about": "docs/spaces.md. Test keys: never use them. `places` are headers after the first three golden entries, by rules 13 to 16.",
        "partners": [secrets_of(identity) for identity in (alpha, bravo, mallory)],
        "golden": [
            golden("an opening", opening, content),
            golden("a join", join, Plain().encode()),
            golden(plain, note, "Zeichen: \u00e4".encode()),
            golden("RED, for two", sealed, b"for two"),
            golden("RED, for two, handed on without its body", without_body(sealed), None),
            golden("the opening of an exercise", played, content, EXERCISE),
        ],
        "negative": negative,
        "places": [
            following("follows both", ""),
            following("follows its own alone", "", parents=(note.entry_id,)),
            following("RED in a space of GREEN", "", tlp=4, audience=audience),
            following("of another space", "bad-parent", space=EntryId(hashlib.sha256(b"other").digest())),
            following("of another realm", "bad-parent", realm=EXERCISE),
            following("deeper than its parents ask for", "wrong-depth", depth=4),
            following("not deeper than its parents", "wrong-depth", depth=2),
            following("a number left out", "broken-chain", number=4),
            following("a number used before, with that one in its past", "broken-chain", number=2),
            following("its own last entry not in its past", "broken-chain", parents=(join.entry_id,)),
            following("CLEAR in a space of GREEN", "looser-than-space", tlp=0),
        ],
    }


def space_vectors() -> Json:
    """Every story of authority (space_stories.py), as entries without signatures: what a fold reads."""
    from space_stories import STORIES, Story

    from p2pshare.spaces.canonical import canonical
    from p2pshare.spaces.fold import fold

    def told(story: Story) -> Json:
        places = {one: place for place, one in enumerate(story.teller.entries)}
        return {
            "name": story.name,
            "entries": [
                {
                    "header": text_of(encode_header(entry.header)),
                    "content": None if entry.content is None else text_of(entry.content),
                }
                for entry in story.teller.entries.values()
            ],
            "checks": [
                {
                    "known": sorted(places[one] for one in check.known),
                    "lead": None if check.lead is None else check.lead.text,
                    "term": list(check.term),
                    "members": {member.text: status for member, status in sorted(check.members.items())},
                    "void": {str(places[one]): code for one, code in check.void.items()},
                    "closed": check.is_closed,
                    "canonical": canonical(fold(story.teller.entries[one] for one in check.known)).decode(),
                }
                for check in story.checks
            ],
        }

    return {
        "about": "docs/spaces.md, Authority, Effect, The fold. `known` and `void` count entries of the story from 0.",
        "stories": [told(story) for story in STORIES],
    }


def travel_vectors() -> Json:
    """Frames of the payloads `entries` and `heads`, before they are compressed: what they say, and others that are refused."""
    entries = json.loads((FOLDER / "entry.json").read_text(encoding="ascii"))["golden"][:2]
    wires = [base64.b64decode(one["wire"]) for one in entries]
    one, other = (PartnerId(bytes([number]) * 32) for number in (1, 2))
    ids = [EntryId(bytes([number]) * 32) for number in range(16, 24)]
    space = EntryId(bytes([9]) * 32)
    full = SpaceHeads(
        REAL,
        space,
        (
            AuthorHead(one, 3, ids[0], 3),
            AuthorHead(one, 3, ids[1], 0),
            AuthorHead(other, 300, ids[2], 299),
        ),
        ((one, 4), (other, 1)),
        (ids[3], ids[4]),
        (ids[5],),
        (other,),
        asks=True,
    )
    fields = [
        REAL,
        space,
        [[head.author, head.number, head.entry_id, head.shown] for head in full.heads],
        [[author, version] for author, version in full.cards],
        list(full.wanted),
        list(full.wanted_bodies),
        list(full.partners),
        1,
    ]
    assert pack(fields) == full.encode()

    def changed(place: int, value: Any) -> bytes:
        return pack([*fields[:place], value, *fields[place + 1 :]])

    def refused(name: str, frame: bytes, reason: str = "malformed") -> Json:
        return {"name": name, "frame": text_of(frame), "reason": reason}

    first = fields[2][0]
    return {
        "about": "docs/spaces.md, How entries travel: one inflated frame each",
        "heads": {
            "golden": [
                {
                    "name": "of an author with two branches, and of another; it asks",
                    "frame": text_of(full.encode()),
                    "realm": REAL.text,
                    "space": space.text,
                    "heads": [[h.author.text, h.number, h.entry_id.text, h.shown] for h in full.heads],
                    "cards": [[author.text, version] for author, version in full.cards],
                    "wanted": [entry_id.text for entry_id in full.wanted],
                    "wanted_bodies": [entry_id.text for entry_id in full.wanted_bodies],
                    "partners": [partner.text for partner in full.partners],
                    "asks": True,
                },
                {
                    "name": "of who holds nothing",
                    "frame": text_of(SpaceHeads(REAL, space).encode()),
                    "realm": REAL.text,
                    "space": space.text,
                    "heads": [],
                    "cards": [],
                    "wanted": [],
                    "wanted_bodies": [],
                    "partners": [],
                    "asks": False,
                },
            ],
            "negative": [
                refused("seven elements", pack(fields[:7])),
                refused("nine elements", pack([*fields, 0])),
                refused("a byte behind", full.encode() + b"\x00"),
                refused("a byte short", full.encode()[:-1]),
                refused("a realm of 15 bytes", changed(0, REAL[:15])),
                refused("a space of 31 bytes", changed(1, space[:31])),
                refused("heads that do not ascend", changed(2, fields[2][::-1])),
                refused("a head twice", changed(2, [first, first])),
                refused("a head of three elements", changed(2, [first[:3]])),
                refused("number 0", changed(2, [[one, 0, ids[0], 0]])),
                refused("number 10,001", changed(2, [[one, 10_001, ids[0], 0]])),
                refused("shown 10,001", changed(2, [[one, 1, ids[0], 10_001]])),
                refused("cards that do not ascend", changed(3, fields[3][::-1])),
                refused("257 cards", changed(3, [[bytes(31) + bytes([n % 256]), 1] for n in range(257)])),
                refused("wanted that do not ascend", changed(4, [ids[4], ids[3]])),
                refused("257 wanted", changed(4, [bytes(30) + n.to_bytes(2, "big") for n in range(257)])),
                refused("a wanted body twice", changed(5, [ids[5], ids[5]])),
                refused("a partner of 31 bytes", changed(6, [other[:31]])),
                refused("asks 2", changed(7, 2)),
                refused("asks as a text", changed(7, "1")),
                refused(
                    "a number that is not in its shortest form",
                    full.encode()[:-1] + b"\xcc\x01",
                    "not-canonical",
                ),
            ],
        },
        "entries": {
            "golden": [
                {
                    "name": "two entries, parents first",
                    "frame": text_of(pack([[], wires])),
                    "cards": 0,
                    "entries": [one["entry_id"] for one in entries],
                }
            ],
            "negative": [
                refused("neither cards nor entries", pack([[], []])),
                refused("three elements", pack([[], wires, []])),
                refused("a byte behind", pack([[], wires]) + b"\x00"),
                refused("an empty entry", pack([[], [b""]])),
                refused("an entry as a text", pack([[], ["entry"]])),
                refused("an empty card", pack([[b""], []])),
                refused("65 cards", pack([[b"\x00"] * 65, []])),
                refused("1,025 entries", pack([[], [b"\x00"] * 1_025])),
            ],
        },
    }


def space_file_vectors() -> Json:
    """A space in a file, and what is wrong with it after each edit."""
    from p2pshare.spaces.canonical import canonical
    from p2pshare.spaces.fold import fold
    from p2pshare.spaces.space_file import write_space
    from p2pshare.spaces.vertex import SpaceEntry

    alpha, bravo = named_identity("alpha"), named_identity("bravo")
    names = tuple(sorted([(alpha.partner_id, ""), (bravo.partner_id, "")]))

    def draft(author: Any, kind: str, number: int, parents: tuple[EntryId, ...], depth: int) -> EntryDraft:
        space = opening.entry_id if parents else EntryId(bytes(32))
        return EntryDraft(REAL, space, author.partner_id, number, parents, depth, NOW, kind, 1)

    opening = sign_entry(
        EntryDraft(REAL, EntryId(bytes(32)), alpha.partner_id, 1, (), 1, NOW, "open", 1),
        Opening(1, "note", "Two of us", names).encode(),
        alpha.operational.sign,
    )
    join = sign_entry(
        draft(bravo, "join", 1, (opening.entry_id,), 2), Plain().encode(), bravo.operational.sign
    )
    note = sign_entry(
        draft(bravo, "note", 2, (join.entry_id,), 3), "Zeichen: \u00e4".encode(), bravo.operational.sign
    )
    dropped = without_body(
        sign_entry(draft(alpha, "note", 2, (join.entry_id,), 3), b"dropped", alpha.operational.sign)
    )
    entries = sorted([opening, join, note, dropped], key=lambda one: (one.header.depth, one.entry_id))
    cards = {one.partner_id: one.card.raw for one in (alpha, bravo)}

    def made(cards: Any, entries: Any, count: int | None = None) -> bytes:
        return b"".join(
            write_space(
                REAL, opening.entry_id, cards, iter(entries), len(entries) if count is None else count
            )
        )

    raw = made(cards, entries)
    output = canonical(fold(map(SpaceEntry.of, entries)))

    def case(name: str, verdict: str, fault: str, refused: Json, form: bytes | Json) -> Json:
        edit = {"file": text_of(form)} if isinstance(form, bytes) else form
        return {"name": name, "verdict": verdict, "fault": fault, "refused": refused, **edit}

    places = {one.entry_id: raw.index(one.wire) for one in entries}
    body_at = places[note.entry_id] + note.wire.index(note.decoded.body) + 20
    signature_at = places[note.entry_id] + note.wire.index(note.decoded.signatures)
    flips = [
        case("a flipped body", "bad", "wrong-digest", {"body-mismatch": 1}, flip("whole", raw, body_at)),
        case(
            "a flipped signature",
            "bad",
            "wrong-digest",
            {"bad-signature": 1},
            flip("whole", raw, signature_at),
        ),
        case("a flipped digest", "bad", "wrong-digest", {}, flip("whole", raw, len(raw) - 1)),
        case("another magic", "bad", "malformed", {}, flip("whole", raw, 4 + 3)),
        case("format version 0", "bad", "unknown-version", {}, flip("whole", raw, 4 + 7)),
    ]
    first, second = sorted(cards)
    swapped = [entries[0], entries[1], entries[3], entries[2]]
    return {
        "about": 'docs/spaces.md, "A space in a file". Test keys: never use them. `refused` counts entries by code.',
        "file": text_of(raw),
        "space": opening.entry_id.text,
        "canonical": output.decode(),
        "canonical_sha256": hashlib.sha256(output).hexdigest(),
        "cases": [
            case("whole", "good", "", {}, raw),
            *flips,
            case("cut in the digest", "bad", "truncated", {}, edited("whole", cut=len(raw) - 1)),
            case("cut in an entry", "bad", "truncated", {}, edited("whole", cut=places[note.entry_id] + 9)),
            case("empty", "bad", "truncated", {}, b""),
            case("a byte more", "bad", "malformed", {}, edited("whole", append=text_of(b"\x00"))),
            case("a frame too large", "bad", "oversized", {}, b"\x00\x00\x00\x51" + raw[4:]),
            case("entries in another order", "bad", "", {"not-canonical": 1}, made(cards, swapped)),
            case("one entry twice", "bad", "", {"not-canonical": 1}, made(cards, [*entries, entries[3]])),
            case(
                "no card of one author",
                "incomplete",
                "",
                {"card": 2, "parents": 1},
                made({alpha.partner_id: alpha.card.raw}, entries),
            ),
            case(
                "a parent left out",
                "bad",
                "",
                {"parents": 2},
                made(cards, [one for one in entries if one is not join]),
            ),
            case("no opening", "bad", "", {"parents": 3}, made(cards, entries[1:])),
            case(
                "a deciding entry without its body",
                "bad",
                "",
                {"body-mismatch": 1, "parents": 2},
                made(cards, [opening, without_body(join), *entries[2:]]),
            ),
            case(
                "fewer entries than stated",
                "bad",
                "truncated",
                {"malformed": 1},
                made(cards, entries, 9),
            ),
            case("no entry", "bad", "", {}, made(cards, [])),
            case("a card that is none", "bad", "", {}, made({first: b"no card", second: cards[second]}, [])),
        ],
    }


def incident_vectors() -> Json:
    """Every story of incidents (incident_stories.py), as entries without signatures."""
    from incident_stories import INCIDENT_STORIES

    about = "incident: docs/incidents.md; entries in an order in which parents come first, their content without the random bytes"
    return _kind_vectors(about, INCIDENT_STORIES)


def framework_vectors() -> Json:
    """Every story of frameworks (framework_stories.py), as those of incidents."""
    from framework_stories import FRAMEWORK_STORIES

    about = "framework: docs/frameworks.md; entries in an order in which parents come first, their content without the random bytes"
    return _kind_vectors(about, FRAMEWORK_STORIES)


def lab_vectors() -> Json:
    """Every story of labs (lab_stories.py), as those of incidents."""
    from lab_stories import LAB_STORIES

    about = "lab: docs/labs.md; entries in an order in which parents come first, their content without the random bytes"
    return _kind_vectors(about, LAB_STORIES)


def exercise_vectors() -> Json:
    """Every story of exercises (exercise_stories.py), as those of incidents."""
    from exercise_stories import EXERCISE_STORIES

    about = "exercise: docs/exercises.md; entries in an order in which parents come first, their content without the random bytes"
    return _kind_vectors(about, EXERCISE_STORIES)


def _kind_vectors(about: str, stories: Iterable[Any]) -> Json:
    from p2pshare.spaces.canonical import canonical
    from p2pshare.spaces.fold import fold

    def told(story: Any) -> Json:
        places = {one: place for place, one in enumerate(story.teller.entries)}
        return {
            "name": story.name,
            "entries": [
                {
                    "header": text_of(encode_header(entry.header)),
                    "content": None if entry.content is None else text_of(entry.content),
                }
                for entry in story.teller.entries.values()
            ],
            "checks": [
                {
                    "known": sorted(places[one] for one in check.known),
                    "void": {str(places[one]): code for one, code in check.void.items()},
                    "canonical": canonical(fold(story.teller.entries[one] for one in check.known)).decode(),
                }
                for check in story.checks
            ],
        }

    return {"about": about, "stories": [told(story) for story in stories]}


def training_vectors() -> Json:
    """Attestations of training, course hashes and pseudonyms (training_stories.py)."""
    from training_stories import training_vectors as made

    return made()


# --- member lists ----------------------------------------------------------------------------------


def member_vectors() -> Json:
    """Lists that alpha signs of bravo and charlie, the file of one with their cards, and what is wrong with others."""
    alpha, bravo, charlie = (named_identity(name) for name in ("alpha", "bravo", "charlie"))
    mallory, signer = named_identity("mallory"), named_identity("alpha").operational.sign
    later = reissue_card(bravo, NOW + DAY, operational=named_keys("bravo, later", bravo.partner_id)).card
    revoking = reissue_card(
        alpha,
        NOW + DAY,
        operational=named_keys("alpha, later", alpha.partner_id),
        revoked=[Revocation(signer.key_id, NOW + DAY, 1, NOTHING_VOUCHED)],
    ).card

    def member(card: Any) -> ListedMember:
        return ListedMember(card.partner_id, card.version, card.body_digest)

    both = [member(bravo.card), member(charlie.card)]

    def made(members: Any = both, number: int = 1, created: int = NOW, days: int = 90) -> bytes:
        return sign_list(
            signer,
            alpha.partner_id,
            CIRCLE,
            number,
            created=created,
            expires=created + days * DAY,
            members=members,
        )

    def signed(body: bytes) -> bytes:
        return pack([MEMBERS_MAGIC, 1, body, signer.sign(DOMAIN_MEMBERS, hashlib.sha384(body).digest())])

    good = made()
    fields = msgpack.unpackb(read_list(good).body_raw, strict_map_key=False)
    entries = fields[6]

    def body_with(key: int, value: Any) -> bytes:
        return signed(pack({**fields, key: value}))

    many = [ListedMember(PartnerId(bytes([1]) + _id_of(number)[1:]), 1, bytes(32)) for number in range(1_025)]
    lists = {
        "two members": good,
        "no member": made([]),
        "1,024 members": made(many[:1_024], number=7),
        "a life of a day": made(number=2, days=1),
    }

    def golden(name: str, raw: bytes) -> Json:
        read = read_list(raw)
        verify_list(read, alpha.card, NOW)
        return {
            "name": name,
            "list": text_of(raw),
            "introducer": read.introducer.text,
            "key_id": read.key_id.text,
            "circle": read.circle.text,
            "number": read.number,
            "created": read.created,
            "expires": read.expires,
            "members": [[one.partner_id.text, one.version, one.digest.hex()] for one in read.members[:2]],
            "count": len(read.members),
        }

    def case(name: str, reason: str, of: bytes | Json, card: str = "alpha", now: int = NOW) -> Json:
        form = {"list": text_of(of)} if isinstance(of, bytes) else of
        return {"name": name, "reason": reason, "card": card, "now": now, **form}

    def card_case(name: str, reason: str, one: ListedMember, file: bytes, now: int = NOW) -> Json:
        stated = {"member": [one.partner_id.text, one.version, one.digest.hex()], "card_file": text_of(file)}
        if not reason:
            card_of(one, file, now)
        return {"name": name, "reason": reason, "now": now, **stated}

    small = "two members"
    thiefs = pack(
        [
            MEMBERS_MAGIC,
            1,
            read_list(good).body_raw,
            mallory.operational.sign.sign(DOMAIN_MEMBERS, hashlib.sha384(read_list(good).body_raw).digest()),
        ]
    )
    file = pack_file(good, [bravo.card.raw, charlie.card.raw])
    return {
        "about": "docs/introductions.md. `card` names one of `cards`. Test keys: never use them.",
        "cards": {
            "alpha": text_of(alpha.card.raw),
            "alpha, who revokes the key": text_of(revoking.raw),
            "mallory": text_of(mallory.card.raw),
        },
        "now": NOW,
        "golden": [golden(name, raw) for name, raw in lists.items()],
        "negative": [
            case("empty", "malformed", b""),
            case("more than 96 KiB", "oversized", edited(small, zeros=MEMBER_LIST_BYTES_MAX)),
            case("cut", "malformed", edited(small, cut=len(good) - 1)),
            case("a byte more", "malformed", edited(small, append=text_of(b"\x00"))),
            case("a number in a longer form", "not-canonical", good[:7] + b"\xcc" + good[7:]),
            case("another magic", "malformed", edited(small, replace=[3, text_of(b"p2pc")])),
            case("format version 2", "unknown-version", edited(small, replace=[7, text_of(b"\x02")])),
            case("number 0", "malformed", body_with(3, 0)),
            case("a field more", "malformed", signed(pack({**fields, 7: 0}))),
            case("a member of four parts", "malformed", body_with(6, [[*entries[0], 0]])),
            case("1,025 members", "too-many-members", made(many)),
            case("a member twice", "bad-member-list", body_with(6, [entries[0], entries[0]])),
            case("members out of order", "bad-member-list", body_with(6, entries[::-1])),
            case("a life of 91 days", "bad-member-list", made(days=91)),
            case("no life", "bad-member-list", made(days=0)),
            case("another's card", "wrong-author", edited(small), "mallory"),
            case("90 days later", "list-expired", edited(small), now=NOW + 90 * DAY),
            case("601 s too early", "from-the-future", edited(small), now=NOW - 601),
            case("a key that is on no card", "unknown-key", body_with(1, bytes(16))),
            case(
                "made before the key's time",
                "unknown-key",
                made(created=NOW - 400 * DAY, days=1),
                now=NOW - 400 * DAY,
            ),
            case("a key that is revoked", "revoked-key", edited(small), "alpha, who revokes the key"),
            case("signed by another", "bad-signature", thiefs),
            case(
                "another member",
                "bad-signature",
                pack([MEMBERS_MAGIC, 1, pack({**fields, 6: entries[:1]}), read_list(good).signatures]),
            ),
        ],
        "file": {"file": text_of(file), "list": text_of(good), "cards": 2},
        "bad_files": [
            {"name": name, "reason": reason, **form}
            for name, reason, form in (
                ("another magic", "malformed", {"replace": [3, text_of(b"p2pv")]}),
                ("format version 2", "unknown-version", {"replace": [7, text_of(b"\x02")]}),
                ("cut", "malformed", {"cut": len(file) - 1}),
                ("a byte more", "malformed", {"append": text_of(b"\x00")}),
                (
                    "1,025 card files",
                    "too-many-members",
                    {"file": text_of(pack([FILE_MAGIC, 1, good, [b"c"] * 1_025]))},
                ),
                ("more than 16 MiB", "oversized", {"zeros": INTRODUCTION_BYTES_MAX}),
            )
        ],
        "members": [
            card_case("the listed version", "", member(bravo.card), bravo.card.raw),
            card_case("a newer version", "", member(bravo.card), later.raw, NOW + DAY),
            card_case("an older version", "card-older", member(later), bravo.card.raw),
            card_case(
                "other bytes in its place",
                "card-mismatch",
                replace(member(bravo.card), digest=bytes(32)),
                bravo.card.raw,
            ),
            card_case("version 0", "card-mismatch", replace(member(bravo.card), version=0), bravo.card.raw),
            card_case("another's card", "card-other-partner", member(bravo.card), charlie.card.raw),
            card_case(
                "a card that has expired", "card-expired", member(bravo.card), bravo.card.raw, NOW + 500 * DAY
            ),
            card_case(
                "the newer version alone", "card-mismatch", member(bravo.card), later.version_raw, NOW + DAY
            ),
        ],
    }


def invitation_vectors() -> Json:
    """Lines, meetings and messages of invitations (invitation_stories.py)."""
    from invitation_stories import invitation_vectors as made

    return made()


def main(wanted: list[str]) -> None:
    files = {
        "envelope.json": envelope_vectors,
        "card.json": card_vectors,
        "proof.json": proof_vectors,
        "vouch.json": vouch_vectors,
        "guest.json": guest_vectors,
        "members.json": member_vectors,
        "invitation.json": invitation_vectors,
        "payload.json": payload_vectors,
        "forwarded.json": forwarded_vectors,
        "derivation.json": derivation_vectors,
        "entry.json": entry_vectors,
        "space.json": space_vectors,
        "incident.json": incident_vectors,
        "framework.json": framework_vectors,
        "lab.json": lab_vectors,
        "exercise.json": exercise_vectors,
        "space-file.json": space_file_vectors,
        "training.json": training_vectors,
        "travel.json": travel_vectors,
    }
    for name in wanted or files:
        content = files[name]()
        (FOLDER / name).write_text(json.dumps(content, indent=1, ensure_ascii=True) + "\n", encoding="utf-8")
        print(f"{name}: {(FOLDER / name).stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main(sys.argv[1:])
