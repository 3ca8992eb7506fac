"""Proof that an author signed two different things under one number: two envelopes of one place in its chain, or two
cards of one version.

A proof is a file (docs/envelope.md, "Proofs") that anybody can check with nothing else: it carries the author's card,
and that card's partner id is the hash of its own roots. A person knows by its fingerprint whose id that is. A proof shows
no content and no audience. It cannot show whether the author held the keys, or a thief of them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from p2pshare.envelope.card import Card, ForkProof, believe_chain
from p2pshare.envelope.card import verify_fork as verify_card_fork
from p2pshare.envelope.card_format import decode_versions
from p2pshare.envelope.encoding import Reader, pack, refusal
from p2pshare.envelope.envelope import DOMAIN_SIGNATURE, Core, DecodedEnvelope, decode_core, id_of
from p2pshare.envelope.sizes import SIGNATURE_BYTES
from p2pshare.envelope.verification import IsListed, lists_nothing, signing_key
from p2pshare.errors import PeerError
from p2pshare.identifiers import EnvelopeId, PartnerId
from p2pshare.limits import CARD_CHAIN_BYTES_MAX, CORE_BYTES_MAX

PROOF_MAGIC = b"p2pf"
FORMAT_VERSION = 1
ENVELOPES, CARDS = 1, 2  # the kinds of proof
_DIGEST_BYTES = 48


@dataclass(frozen=True, slots=True)
class Statement:
    """A signed envelope without its bulk: the header, the digests (48 bytes each) of wraps and body, the signatures."""

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
        """Returns (author, incarnation, sequence): its place in the author's chain, where only one envelope may stand."""
        return self.core.author, self.core.incarnation, self.core.sequence


@dataclass(frozen=True, slots=True)
class EnvelopeFork:
    """Two statements for one place, the one with the smaller envelope id first, and the author's card file."""

    card_raw: bytes = field(repr=False)
    first: Statement
    second: Statement


Proof = EnvelopeFork | ForkProof


def envelope_fork(card_raw: bytes, one: DecodedEnvelope, other: DecodedEnvelope) -> EnvelopeFork:
    """Returns the proof from two envelopes and a card file of their author. Raises ValueError when they are no fork."""
    statements = [_statement_of(one), _statement_of(other)]
    if statements[0].place != statements[1].place or one.envelope_id == other.envelope_id:
        raise ValueError("these two envelopes do not contradict one another")
    first, second = sorted(statements, key=lambda statement: statement.envelope_id)
    return EnvelopeFork(card_raw, first, second)


def card_fork(one: bytes, other: bytes) -> ForkProof:
    """Returns the proof from two card files from version 1 on, the one with the smaller digest of its newest body first.

    Checks the shape only. Raises PeerError `not-a-fork` unless they are alike up to a last version with another body.
    """
    first, second = sorted((one, other), key=lambda raw: decode_versions(raw)[-1].body_digest)
    histories = [[version.body_digest for version in decode_versions(raw)] for raw in (first, second)]
    newest = decode_versions(first)[-1].body
    if histories[0][:-1] != histories[1][:-1] or histories[0][-1] == histories[1][-1]:
        raise refusal("not-a-fork", "the two cards do not contradict one another in their last version alone")
    return ForkProof(newest.partner_id, newest.version, known=first, other=second)


def encode_proof(proof: Proof) -> bytes:
    """Returns the canonical bytes of a proof."""
    if isinstance(proof, ForkProof):
        return pack([PROOF_MAGIC, FORMAT_VERSION, CARDS, proof.known, proof.other])
    statements = [
        [entry.core_raw, entry.wraps_digest, entry.body_digest, entry.signatures]
        for entry in (proof.first, proof.second)
    ]
    return pack([PROOF_MAGIC, FORMAT_VERSION, ENVELOPES, proof.card_raw, *statements])


def decode_proof(raw: bytes) -> Proof:
    """Decode a proof; check its shape, and that its two parts contradict one another. No signature is verified here.

    Raises PeerError `malformed`, `not-canonical`, `unknown-version`, `not-a-fork` and those of cards and headers.
    """
    reader = Reader(raw)
    count = reader.array(5, 6)
    if reader.blob(4, 4) != PROOF_MAGIC:
        raise refusal("malformed", "not a proof")
    if reader.integer() != FORMAT_VERSION:
        raise refusal("unknown-version", "a proof has a format that this program does not know")
    if reader.integer() != {6: ENVELOPES, 5: CARDS}[count]:
        raise refusal("malformed", "a proof is of a kind that has another number of parts")
    return _decode_envelopes(reader) if count == 6 else _decode_cards(reader)


def verify_proof(proof: Proof) -> Card:
    """Returns the card of the author that is proved to have signed both. Raises PeerError when it proves nothing.

    An envelope's key is looked up in the card of the proof, at the instant of the envelope's creation.
    """
    if isinstance(proof, ForkProof):
        verify_card_fork(proof)
        return believe_chain(proof.known)
    card = believe_chain(proof.card_raw)
    if proof.first.place != proof.second.place or proof.first.envelope_id == proof.second.envelope_id:
        raise refusal("not-a-fork", "the two statements do not contradict one another")
    for statement in (proof.first, proof.second):
        key = signing_key(statement.core, card)
        key.verify(DOMAIN_SIGNATURE, statement.digests, statement.signatures)
    return card


def check_not_revoked(proof: Proof, newest: Card, is_listed: IsListed = lists_nothing) -> None:
    """Require that the keys of a proof are not revoked by `newest`, a card of the author that is trusted here, or that the
    author stands for both envelopes all the same (`is_listed`).

    A thief may have signed with a key that its owner has revoked since. A key that `newest` does not name any more was
    not revoked. Raises PeerError `revoked-key`, `not-vouched`.
    """
    if isinstance(proof, ForkProof):
        return
    for statement in (proof.first, proof.second):
        try:
            signing_key(statement.core, newest, is_vouched=is_listed(statement.core, statement.envelope_id))
        except PeerError as error:
            if error.reason in ("revoked-key", "not-vouched"):
                raise


def _decode_envelopes(reader: Reader) -> EnvelopeFork:
    fork = EnvelopeFork(
        reader.blob(1, CARD_CHAIN_BYTES_MAX), _decode_statement(reader), _decode_statement(reader)
    )
    reader.end()
    decode_versions(fork.card_raw)
    if fork.first.envelope_id >= fork.second.envelope_id or fork.first.place != fork.second.place:
        raise refusal("not-a-fork", "the two statements do not contradict one another")
    return fork


def _decode_cards(reader: Reader) -> ForkProof:
    known, other = (reader.blob(1, CARD_CHAIN_BYTES_MAX) for _ in range(2))
    reader.end()
    fork = card_fork(known, other)
    if fork.known != known:
        raise refusal("not-canonical", "the two cards of a proof stand in the wrong order")
    return fork


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
