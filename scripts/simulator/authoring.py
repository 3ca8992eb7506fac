"""Envelopes of simulated partners: in the product's wire form, signed, with bytes from the seed for content.

Nobody can open them, for nothing was sealed in them: how envelopes travel does not depend on what is inside,
and sealing draws keys that no seed may decide. Direct ones have true hints, by which an author that was set back knows to
whom they are owed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from types import SimpleNamespace
from unittest import mock

from p2pshare.envelope import vouch
from p2pshare.envelope.card import Card
from p2pshare.envelope.envelope import (
    BODY_TAG_BYTES,
    COMMITMENT_BYTES,
    DOMAIN_SIGNATURE,
    NONCE_BYTES,
    SUITE_XWING,
    WRAP_BYTES,
    Core,
    DecodedEnvelope,
    Mode,
    SealedEnvelope,
    decode_envelope,
    digests_of,
    encode_core,
    encode_envelope,
    slots_for,
)
from p2pshare.envelope.keys import Identity
from p2pshare.envelope.payload import padded_size
from p2pshare.envelope.sizes import HINT_BYTES
from p2pshare.envelope.vouch import Scope, Vouch
from p2pshare.identifiers import CircleId, EnvelopeId, KeyId, PartnerId
from p2pshare.log import sequences
from p2pshare.log.interface import NewEnvelope
from p2pshare.node.store import Store


@dataclass(frozen=True)
class Wish:
    """An envelope to be published. `direct_to` empty: relayed."""

    circle: CircleId
    body_bytes: int
    ttl_class: int = 4
    direct_to: tuple[PartnerId, ...] = ()

    @property
    def mode(self) -> Mode:
        return Mode.DIRECT if self.direct_to else Mode.RELAY


def write_envelope(
    identity: Identity,
    wish: Wish,
    *,
    incarnation: int,
    sequence: int,
    previous: bytes,
    created: int,
    random: Random,
    recipients: Sequence[Card] = (),
) -> DecodedEnvelope:
    """Returns a signed envelope, as its receiver would decode it, with the true hints of `recipients`: by them an author that was
    set back knows for whom it was. `created` in unix seconds."""
    body = random.randbytes(padded_size(wish.body_bytes) + BODY_TAG_BYTES)
    core = Core(
        suite=SUITE_XWING,
        author=identity.partner_id,
        key_id=identity.operational.sign.key_id,
        incarnation=incarnation,
        sequence=sequence,
        previous=previous,
        circle=wish.circle,
        mode=wish.mode,
        created=created,
        ttl_class=wish.ttl_class,
        nonce=random.randbytes(NONCE_BYTES),
        commitment=random.randbytes(COMMITMENT_BYTES),
        slots=slots_for(max(1, len(recipients))),
        body_bytes=len(body),
    )
    core_raw = encode_core(core)
    key = identity.operational.hint
    hints = [key.hint(card.hint, identity.partner_id, card.partner_id, core.nonce) for card in recipients]
    hints += [random.randbytes(HINT_BYTES) for _ in range(core.slots - len(hints))]
    wraps = b"".join(sorted(hints)) + random.randbytes(core.slots * WRAP_BYTES)
    digests = digests_of(core_raw, wraps, body)
    signatures = identity.operational.sign.sign(DOMAIN_SIGNATURE, digests)
    return decode_envelope(encode_envelope(core_raw, wraps, body, signatures))


def vouch_for(
    identity: Identity, key_id: KeyId, listed: Mapping[Scope, Collection[EnvelopeId]], random: Random
) -> Vouch:
    """Returns the vouch for these envelopes, its salts and filling drawn from the seed."""
    drawn = SimpleNamespace(token_bytes=random.randbytes)
    with mock.patch.object(vouch, "secrets", drawn):
        return vouch.vouch(identity.partner_id, key_id, listed)


@contextmanager
def numbers_drawn(random: Random) -> Iterator[None]:
    """Draw incarnations from the seed."""
    with mock.patch.object(sequences, "secrets", SimpleNamespace(randbelow=random.randrange)):
        yield


def publish(
    store: Store,
    identity: Identity,
    wish: Wish,
    recipients: Sequence[Card],
    now: int,
    random: Random,
    note: Callable[[DecodedEnvelope], None],
) -> DecodedEnvelope:
    """Store an envelope in our own store, on our own chain, in one transaction, as `sharing.publishing` does it; `recipients`
    are the cards of `wish.direct_to`. `note` is told of it before it is stored: a disk that fails may have kept it all the same.
    Raises StoreError."""
    with numbers_drawn(random):
        state = store.log.author_state(now)
    envelope = write_envelope(
        identity,
        wish,
        incarnation=state.incarnation,
        sequence=state.sequence + 1,
        previous=state.previous,
        created=now,
        random=random,
        recipients=recipients,
    )
    note(envelope)
    row = NewEnvelope(
        SealedEnvelope(envelope.envelope_id, envelope.core, envelope.wire),
        received_from=None,
        received_at=now,
        audience=wish.direct_to,
        awaits_first_hop=not wish.direct_to,
    )
    store.log.add([row])
    return envelope
