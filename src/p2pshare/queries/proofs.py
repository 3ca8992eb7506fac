"""Proofs: evidence in our store that a partner signed two things under one number, put into one file for others
(docs/envelope.md, "Proofs")."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from p2pshare.envelope.card_format import decode_versions, encode_versions
from p2pshare.envelope.envelope import decode_envelope
from p2pshare.envelope.evidence import Proof, card_fork, encode_proof, envelope_fork, verify_proof
from p2pshare.errors import NotFoundError, PeerError
from p2pshare.identifiers import PartnerId
from p2pshare.log.interface import SequenceFork
from p2pshare.node.store import StoreReading

KINDS = ("card", "envelope")


def proof_about(store: StoreReading, own_card: bytes, name: str, kinds: Sequence[str] = KINDS) -> bytes:
    """Returns the file that proves a fork of the partner called `name` (alias or id, present or past): the first kind of
    `kinds` that there is. Raises NotFoundError.

    It was verified before it is returned: a proof that does not convince us convinces nobody.
    """
    partner_id = _partner_called(store, name)
    for kind in kinds:
        candidates = _card_proofs if kind == "card" else _envelope_proofs
        for proof in candidates(store, partner_id, own_card):
            try:
                verify_proof(proof)
            except PeerError:
                continue
            return encode_proof(proof)
    raise NotFoundError(
        f"nothing here proves two stories of '{name}'",
        hint="`p2pshare status` shows forks as alarms; of object forks there is no proof for others",
        reason="no-fork",
    )


def _partner_called(store: StoreReading, name: str) -> PartnerId:
    present = {row.partner_id: row.alias for row in store.partners.all()}
    for names in (present, store.partners.names()):  # who has the name now comes before who had it once
        for partner_id, known in names.items():
            if name in (known, partner_id.text):
                return partner_id
    raise NotFoundError(f"no partner is called '{name}'", hint="see `p2pshare partner list`")


def _card_proofs(store: StoreReading, partner_id: PartnerId, own_card: bytes) -> Iterator[Proof]:
    for fork in store.partners.card_forks():
        if fork.partner_id == partner_id:
            yield card_fork(fork.first, fork.second)


def _envelope_proofs(store: StoreReading, author: PartnerId, own_card: bytes) -> Iterator[Proof]:
    """Yields a proof with each card of the author, the newest first: an older one still names a key that has gone since."""
    versions = [one.raw for one in decode_versions(store.partners.newest_card(author) or own_card)]
    cards = [encode_versions(versions[:number]) for number in range(len(versions), 0, -1)]
    for fork in store.log.sequence_forks():
        wires = _wires(store, fork) if fork.author == author else None
        if wires is not None:
            for card in cards:
                yield envelope_fork(card, *map(decode_envelope, wires))


def _wires(store: StoreReading, fork: SequenceFork) -> tuple[bytes, bytes] | None:
    """Returns both envelopes, None when one is kept no more (limits.FORK_EVIDENCE_PER_AUTHOR_MAX)."""
    first, second = store.log.evidence(fork.first), store.log.evidence(fork.second)
    return None if first is None or second is None else (first, second)
