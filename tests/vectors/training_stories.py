"""The vectors of docs/training.md, for `scripts/make-vectors`: attestations that hold and those that do not, and what stands behind their fields."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import msgpack
from envelope_forge import DAY, NOW, named_identity, named_keys
from msgspec.structs import replace

from p2pshare.envelope.attestation import (
    DOMAIN_ATTESTATION,
    AttestedTraining,
    check_signer,
    decode_attestation,
    sign_attestation,
    verify_signature,
)
from p2pshare.envelope.card_format import NOTHING_VOUCHED, Revocation
from p2pshare.envelope.encoding import pack
from p2pshare.envelope.keys import reissue_card
from p2pshare.intel.course import (
    Course,
    CourseExercise,
    CourseMaterial,
    CourseQuestion,
    CourseQuiz,
    answer_digest,
    course_bytes,
    course_hash,
    course_object_id,
)
from p2pshare.node.training_files import pseudonym_under

Json = dict[str, Any]


def text_of(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def training_vectors() -> Json:
    """Attestations that hold for a card, those that do not, and what stands behind their fields: course hashes, answers and pseudonyms."""
    alpha, mallory = named_identity("alpha"), named_identity("mallory")
    key = alpha.operational.sign
    plain = AttestedTraining(
        author=alpha.partner_id,
        key_id=key.key_id,
        created=NOW,
        course_hash=course_hash(course_bytes(COURSE_STATED)),
        course_author=mallory.partner_id,
        course=COURSE_STATED.id,
        version=COURSE_STATED.version,
        title=COURSE_STATED.title,
        provider=COURSE_STATED.provider,
        completed=12,
        pseudonyms=(),
    )
    secret = bytes(range(32))
    people = sorted(bytes.fromhex(pseudonym_under(secret, name)) for name in ("Ada Lovelace", "Grace Hopper"))
    listed = plain._replace(completed=2, pseudonyms=tuple(people))
    fresh = named_keys("alpha, later", alpha.partner_id)
    renewed = reissue_card(alpha, NOW + DAY, operational=fresh)
    cards = {
        "card": alpha.card,
        "renewed": renewed.card,
        "revoked": reissue_card(
            alpha,
            NOW + DAY,
            operational=fresh,
            revoked=[Revocation(key.key_id, NOW + DAY, 1, NOTHING_VOUCHED)],
        ).card,
        "another's": mallory.card,
    }
    golden = []
    for name, said, card in (
        ("a number", plain, "card"),
        ("pseudonyms", listed, "card"),
        ("under the card of later", plain, "renewed"),
    ):
        raw = sign_attestation(said, key)
        attestation = decode_attestation(raw)
        verify_signature(attestation, check_signer(attestation.training, cards[card], NOW))
        told = {
            "author": said.author.text,
            "key_id": said.key_id.text,
            "created": said.created,
            "course_hash": said.course_hash.hex(),
            "course_author": said.course_author.text,
            "course": said.course,
            "version": said.version,
            "title": said.title,
            "provider": said.provider,
            "completed": said.completed,
            "pseudonyms": [one.hex() for one in said.pseudonyms],
        }
        golden.append({"name": name, "card": card, "now": NOW, "file": text_of(raw), "says": told})
    number = base64.b64decode(golden[0]["file"])
    magic, version, statement, signature = msgpack.unpackb(number)
    fields = msgpack.unpackb(statement, strict_map_key=False)

    def signed(changes: dict[int, Any], by: Any = key) -> bytes:
        """Another statement, signed as it should be."""
        raw = pack(fields | changes)
        return pack([magic, version, raw, by.sign(DOMAIN_ATTESTATION, hashlib.sha384(raw).digest())])

    def case(name: str, reason: str, form: bytes | Json, card: str = "card", now: int = NOW) -> Json:
        written = {"file": text_of(form)} if isinstance(form, bytes) else form
        return {"name": name, "reason": reason, "card": card, "now": now, **written}

    longer = pack(fields).replace(b"\x09\x0c", b"\x09\xcc\x0c")
    negative = [
        case("cut in the middle", "malformed", {"of": "a number", "cut": 2_000}),
        case("a byte behind the end", "malformed", {"of": "a number", "append": text_of(b"\x00")}),
        case("another magic", "malformed", {"of": "a number", "replace": [3, text_of(b"p2ps")]}),
        case("another format", "unknown-version", {"of": "a number", "replace": [7, text_of(b"\x02")]}),
        case("larger than one may be", "oversized", {"of": "a number", "append": "", "zeros": 256 * 1024}),
        case("a number in a longer form", "not-canonical", pack([magic, version, longer, signature])),
        case(
            "one signature of another statement",
            "bad-signature",
            pack([magic, version, pack(fields | {9: 13}), signature]),
        ),
        case(
            "Ed25519 alone",
            "bad-signature",
            {"of": "a number", "replace": [len(number) - 100, text_of(bytes(100))]},
        ),
        case(
            "ML-DSA alone",
            "bad-signature",
            {"of": "a number", "replace": [len(number) - 4_691, text_of(bytes(64))]},
        ),
        case(
            "signed under the domain of envelopes",
            "bad-signature",
            _under_another_domain(key, magic, statement),
        ),
        case("the card of another organisation", "wrong-author", {"of": "a number"}, "another's"),
        case(
            "a thief's key under our name",
            "unknown-key",
            signed({1: mallory.operational.sign.key_id}, mallory.operational.sign),
        ),
        case("signed with another key than it names", "bad-signature", signed({}, mallory.operational.sign)),
        case("a key that was revoked later", "revoked-key", {"of": "a number"}, "revoked"),
        case("before its key", "expired-key", signed({2: NOW - DAY})),
        case("after its key", "expired-key", signed({2: NOW + 91 * DAY}), now=NOW + 92 * DAY),
        case("of a time to come", "from-the-future", signed({2: NOW + DAY})),
        case("nobody completed it", "malformed", signed({9: 0})),
        case("fewer pseudonyms than it counts", "malformed", signed({9: 3, 10: b"".join(people)})),
        case("pseudonyms out of order", "malformed", signed({9: 2, 10: b"".join(people[::-1])})),
        case("one pseudonym twice", "malformed", signed({9: 2, 10: people[0] * 2})),
        case("half a pseudonym", "malformed", signed({9: 1, 10: people[0][:8]})),
        case("no course", "malformed", signed({5: "../up"})),
        case("no version", "malformed", signed({6: "1.0-beta"})),
        case("a title that turns round", "malformed", signed({7: "a\u202eb"})),
        case("an empty provider", "malformed", signed({8: ""})),
        case("a field more", "malformed", signed({11: 0})),
    ]
    question = COURSE_STATED.quiz.questions[0] if COURSE_STATED.quiz else None
    assert question is not None
    return {
        "about": "docs/training.md. `card` names one of `cards`, `now` is the reader's clock. Test keys: never use them.",
        "cards": {name: text_of(card.raw) for name, card in cards.items()},
        "course": {
            "canonical": course_bytes(COURSE_STATED).decode(),
            "hash": course_hash(course_bytes(COURSE_STATED)).hex(),
            "object_id": course_object_id(alpha.partner_id, COURSE_STATED.id),
            "author": alpha.partner_id.text,
            "right_choices": [2],
            "right": question.right,
        },
        "pseudonyms": {
            "secret": secret.hex(),
            "names": {
                name: pseudonym_under(secret, name)
                for name in ("Ada Lovelace", "  ada   LOVELACE ", "Zo\u0065\u0308", "Zo\u00eb")
            },
        },
        "golden": golden,
        "negative": negative,
    }


def _under_another_domain(key: Any, magic: bytes, statement: bytes) -> bytes:
    return pack(
        [
            magic,
            1,
            statement,
            key.sign(b"p2pshare/v1/envelope-signature\x00", hashlib.sha384(statement).digest()),
        ]
    )


def _stated_course() -> Course:
    plain = Course(
        "p2pshare-course/1",
        "first-aid",
        "1.0.0",
        "First aid for a hospital\u2019s desk",
        "Hospital \u00d6st",
        "en",
        None,
        "2031-12-31",
        "Two lines,\nand no more.",
        (CourseMaterial("read.md", "11" * 32, 1_024),),
        None,
        CourseExercise("communication-check", "1.0.0", "22" * 32, 80),
    )
    question = CourseQuestion(
        "first", "Whom do you call first?", ("Nobody", "The desk"), several=False, right="0" * 32
    )
    right = answer_digest(plain.id, plain.version, question, [2])
    return replace(plain, quiz=CourseQuiz(80, (replace(question, right=right),)))


COURSE_STATED = _stated_course()
