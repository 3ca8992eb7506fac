"""Proof that an author told two stories: two signed headers of one (author, incarnation, sequence).

A proof is small (11 KB) and portable: header, two digests and the signatures of each envelope, no content and no
audience. Whoever has the author's card can verify it without trust in who brought it (docs/envelope.md, "Forks").
Proofs about cards are `card.ForkProof`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from p2pshare.envelope.card import Card
from p2pshare.envelope.encoding import Reader, pack, refusal
from p2pshare.envelope.envelope import DOMAIN_SIGNATURE, Core, DecodedEnvelope, decode_core, id_of
from p2pshare.envelope.hybrid import SIGNATURE_BYTES
from p2pshare.envelope.verification import signing_key
from p2pshare.identifiers import EnvelopeId, PartnerId
from p2pshare.limits import CORE_BYTES_MAX

PROOF_MAGIC = b"p2pf"
FORMAT_VERSION = 1
_DIGEST_BYTES = 48


@dataclass(frozen=True, slots=True)
class Statement:
    """What an author signed, without its bulk: the header and the digests of wraps and body."""

    core: Core
    core_raw: bytes = field(repr=False)
    wraps_digest: bytes = field(repr=False)
    body_digest: bytes = field(repr=False)
    signatures: bytes = field(repr=False)

    @property
    def digests(self) -> bytes:
        return hashlib.sha384(self.core_raw).digest() + self.wraps_digest + self.body_digest

    @property
    def envelope_id(self) -> EnvelopeId:
        return id_of(self.digests)

    @property
    def place(self) -> tuple[PartnerId, int, int]:
        """Where it stands in the author's chain; there is one envelope for each place."""
        return self.core.author, self.core.incarnation, self.core.sequence


@dataclass(frozen=True, slots=True)
class EnvelopeFork:
    """Two statements for one place, the one with the smaller envelope id first."""

    first: Statement
    second: Statement


def fork_of(one: DecodedEnvelope, other: DecodedEnvelope) -> EnvelopeFork:
    """The proof from two envelopes. Raises ValueError when they are no fork."""
    statements = [_statement_of(one), _statement_of(other)]
    if statements[0].place != statements[1].place or one.envelope_id == other.envelope_id:
        raise ValueError("these two envelopes do not contradict one another")
    first, second = sorted(statements, key=lambda statement: statement.envelope_id)
    return EnvelopeFork(first, second)


def encode_fork(fork: EnvelopeFork) -> bytes:
    """The canonical bytes of a proof."""
    statements = [
        [entry.core_raw, entry.wraps_digest, entry.body_digest, entry.signatures]
        for entry in (fork.first, fork.second)
    ]
    return pack([PROOF_MAGIC, FORMAT_VERSION, *statements])


def decode_fork(raw: bytes) -> EnvelopeFork:
    """The proof in `raw`; its signatures are not verified. Raises PeerError."""
    reader = Reader(raw)
    reader.array(4, 4)
    if reader.blob(4, 4) != PROOF_MAGIC or reader.integer() != FORMAT_VERSION:
        raise refusal("malformed", "not a fork proof")
    fork = EnvelopeFork(_decode_statement(reader), _decode_statement(reader))
    reader.end()
    if fork.first.envelope_id >= fork.second.envelope_id or fork.first.place != fork.second.place:
        raise refusal("not-a-fork", "the two statements do not contradict one another")
    return fork


def verify_fork(fork: EnvelopeFork, author_card: Card) -> None:
    """Both statements were signed by the author. Raises PeerError."""
    if fork.first.place != fork.second.place or fork.first.envelope_id == fork.second.envelope_id:
        raise refusal("not-a-fork", "the two statements do not contradict one another")
    for statement in (fork.first, fork.second):
        key = signing_key(statement.core, author_card)
        key.verify(DOMAIN_SIGNATURE, statement.digests, statement.signatures)


def _statement_of(decoded: DecodedEnvelope) -> Statement:
    wraps_digest = decoded.digests[_DIGEST_BYTES : 2 * _DIGEST_BYTES]
    body_digest = decoded.digests[2 * _DIGEST_BYTES :]
    return Statement(decoded.core, decoded.core_raw, wraps_digest, body_digest, decoded.signatures)


def _decode_statement(reader: Reader) -> Statement:
    reader.array(4, 4)
    core_raw = reader.blob(1, CORE_BYTES_MAX)
    wraps_digest = reader.blob(_DIGEST_BYTES, _DIGEST_BYTES)
    body_digest = reader.blob(_DIGEST_BYTES, _DIGEST_BYTES)
    signatures = reader.blob(SIGNATURE_BYTES, SIGNATURE_BYTES)
    return Statement(decode_core(core_raw), core_raw, wraps_digest, body_digest, signatures)
