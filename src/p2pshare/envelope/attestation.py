"""Attestations of training: an organisation says how many of its people completed a course (docs/training.md, "Attestations").

::

    file      = [magic "p2pt", 1, statement (bin), signature (bin 4,691)]
    statement = {0 partner id, 1 key id, 2 created, 3 course hash, 4 course author, 5 course id, 6 version, 7 title, 8 provider,
                 9 completed, 10 pseudonyms (bin, 16 bytes each)}

It names no person: a pseudonym is a keyed digest whose key stays with the organisation, and may be left out. Whoever has the file and a card of
the organisation verifies it offline. What a thief of a sign key writes can bear any date, so a revoked key counts for no attestation: the
organisation issues it again, for what it rests on is still at hand.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Sequence
from typing import NamedTuple

from p2pshare.envelope.card import Card
from p2pshare.envelope.card_format import decode_versions, is_good_name
from p2pshare.envelope.encoding import Reader, pack, refusal
from p2pshare.envelope.hybrid import SigningKey, VerifyKey
from p2pshare.envelope.sizes import SIGNATURE_BYTES
from p2pshare.identifiers import KeyId, PartnerId
from p2pshare.limits import CARD_NAME_BYTES_MAX, FUTURE_DEFER_SECONDS, KIB

ATTESTATION_MAGIC = b"p2pt"
FORMAT_VERSION = 1
DOMAIN_ATTESTATION = b"p2pshare/v1/training-attestation\x00"
COURSE_HASH_BYTES = 32
PSEUDONYM_BYTES = 16
ATTESTATION_BYTES_MAX = 256 * KIB  # with 10,000 pseudonyms it is 166 KiB
STATEMENT_BYTES_MAX = ATTESTATION_BYTES_MAX - SIGNATURE_BYTES - 32
COMPLETED_MAX = 1_000_000  # people of one organisation that completed one course
PSEUDONYMS_MAX = 10_000  # listed in one; a larger organisation leaves them out
_FIELDS = 11
_HEAD = b"\x94\xc4\x04" + ATTESTATION_MAGIC  # array of 4, bin of 4
_COURSE_ID = re.compile("[a-z0-9][a-z0-9-]{0,63}")
_COURSE_VERSION = re.compile(r"(0|[1-9][0-9]{0,3})([.](0|[1-9][0-9]{0,3})){0,2}")


class AttestedTraining(NamedTuple):
    """What an attestation says. `created` in unix seconds; `pseudonyms` ascending, none twice: none, or as many as `completed`."""

    author: PartnerId
    key_id: KeyId
    created: int
    course_hash: bytes
    course_author: PartnerId
    course: str
    version: str
    title: str
    provider: str
    completed: int
    pseudonyms: tuple[bytes, ...]


class Attestation(NamedTuple):
    """An attestation of the right form; no card has verified it."""

    training: AttestedTraining
    statement: bytes
    signature: bytes


def sign_attestation(training: AttestedTraining, key: SigningKey) -> bytes:
    """Returns the file. Raises PeerError as `decode_attestation` for a statement that could not be read again."""
    statement = pack(
        {
            0: training.author,
            1: training.key_id,
            2: training.created,
            3: training.course_hash,
            4: training.course_author,
            5: training.course,
            6: training.version,
            7: training.title,
            8: training.provider,
            9: training.completed,
            10: b"".join(training.pseudonyms),
        }
    )
    raw = pack(
        [ATTESTATION_MAGIC, FORMAT_VERSION, statement, key.sign(DOMAIN_ATTESTATION, _digest(statement))]
    )
    decode_attestation(raw)
    return raw


def is_attestation(raw: bytes) -> bool:
    """Returns whether bytes are to be read as an attestation, whatever is wrong with them."""
    return raw.startswith(_HEAD)


def decode_attestation(raw: bytes) -> Attestation:
    """Returns an attestation. Checks the form only. Raises PeerError `oversized`, `malformed`, `not-canonical`, `unknown-version`."""
    if len(raw) > ATTESTATION_BYTES_MAX:
        raise refusal("oversized", "an attestation is too large")
    reader = Reader(raw)
    reader.array(4, 4)
    if reader.blob(4, 4) != ATTESTATION_MAGIC:
        raise refusal("malformed", "not an attestation of training")
    if reader.integer() != FORMAT_VERSION:
        raise refusal("unknown-version", "an attestation has a format that this program does not know")
    statement = reader.blob(1, STATEMENT_BYTES_MAX)
    signature = reader.blob(SIGNATURE_BYTES, SIGNATURE_BYTES)
    reader.end()
    return Attestation(_decode_statement(statement), statement, signature)


def _decode_statement(raw: bytes) -> AttestedTraining:
    reader = Reader(raw)
    reader.map(_FIELDS)
    training = AttestedTraining(
        PartnerId(_at(reader, 0).blob(32, 32)),
        KeyId(_at(reader, 1).blob(16, 16)),
        _at(reader, 2).integer(),
        _at(reader, 3).blob(COURSE_HASH_BYTES, COURSE_HASH_BYTES),
        PartnerId(_at(reader, 4).blob(32, 32)),
        _at(reader, 5).text(1, 64),
        _at(reader, 6).text(1, 14),
        _at(reader, 7).text(1, CARD_NAME_BYTES_MAX),
        _at(reader, 8).text(1, CARD_NAME_BYTES_MAX),
        _at(reader, 9).integer(COMPLETED_MAX),
        _pseudonyms(_at(reader, 10)),
    )
    reader.end()
    if not _COURSE_ID.fullmatch(training.course) or not _COURSE_VERSION.fullmatch(training.version):
        raise refusal("malformed", "an attestation names no course")
    if not is_good_name(training.title) or not is_good_name(training.provider):
        raise refusal("malformed", "a title in an attestation has characters that cannot be read")
    if training.completed == 0 or len(training.pseudonyms) not in (0, training.completed):
        raise refusal("malformed", "an attestation lists other people than it counts")
    return training


def _at(reader: Reader, number: int) -> Reader:
    reader.key(number)
    return reader


def _pseudonyms(reader: Reader) -> tuple[bytes, ...]:
    joined = reader.blob(0, PSEUDONYMS_MAX * PSEUDONYM_BYTES)
    if len(joined) % PSEUDONYM_BYTES:
        raise refusal("malformed", "a list in an attestation is not of whole entries")
    found = [joined[start : start + PSEUDONYM_BYTES] for start in range(0, len(joined), PSEUDONYM_BYTES)]
    if not is_ascending(found):
        raise refusal("malformed", "pseudonyms in an attestation are out of order, or stand twice")
    return tuple(found)


def is_ascending(pseudonyms: Sequence[bytes]) -> bool:
    """Returns whether each is greater than the one before it."""
    return all(before < after for before, after in itertools.pairwise(pseudonyms))


def check_signer(training: AttestedTraining, card: Card, now: int) -> VerifyKey:
    """Returns the key that must have signed, by `card`, a card of the organisation with all its versions. `now` in unix seconds.

    A key that has left the card since is found in the version that had it. Raises PeerError `wrong-author`, `revoked-key`, `unknown-key`,
    `expired-key`, `from-the-future`.
    """
    if training.author != card.partner_id:
        raise refusal("wrong-author", "an attestation is of another organisation than the card")
    if card.revocation(training.key_id) is not None:
        raise refusal("revoked-key", "the key of an attestation was revoked: ask for one under another key")
    dated = [
        entry
        for version in (card, *(one.body for one in decode_versions(card.raw)))
        for entry in version.sign_keys
        if entry.key.key_id == training.key_id
    ]
    if not dated:
        raise refusal("unknown-key", "no version of the card has the key of an attestation")
    if not any(entry.is_valid(training.created) for entry in dated):
        raise refusal("expired-key", "the key of an attestation was not in its time when that was made")
    if training.created > now + FUTURE_DEFER_SECONDS:
        raise refusal("from-the-future", "an attestation is of a time to come: compare the clocks")
    return dated[0].key


def verify_signature(attestation: Attestation, key: VerifyKey) -> None:
    """Verify both signatures. Raises PeerError `bad-signature`."""
    key.verify(DOMAIN_ATTESTATION, _digest(attestation.statement), attestation.signature)


def _digest(statement: bytes) -> bytes:
    return hashlib.sha384(statement).digest()
