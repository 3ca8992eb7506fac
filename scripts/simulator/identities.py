"""Identities of simulated partners: real keys and cards, the same in every process, and signatures that cost nothing.

Keys are derived from the partner's number, so ids, and with them every order that depends on ids, are the same on any
machine. Only the TLS key is left to chance: nothing here shows it to anybody.

`cheap_signatures` puts a stand-in in the place of the two signatures (3 ms of Ed25519 and ML-DSA-87 an envelope): 4,691
bytes derived from key and message, which verification derives again. A signature of another kind goes to the real
verification, so corrupt bytes are refused as ever. A signature is outside the id of an envelope: the same seed gives the
same trace with real ones (tests/simulation holds that).
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Iterator

from p2pshare.envelope.card import accept_first
from p2pshare.envelope.card_format import (
    NO_PREVIOUS,
    AnyKey,
    CardBody,
    OperationalKey,
    partner_id_of,
    sign_card,
)
from p2pshare.envelope.hybrid import SIGNATURE_BYTES, Secret, SigningKey, VerifyKey
from p2pshare.envelope.keys import HintKey, Identity, KemKey, OperationalKeys, TlsKey
from p2pshare.limits import CARD_LIFE_SECONDS_MAX
from simulator.event_queue import START_SECONDS

_BEGIN = int(START_SECONDS) - 10 * 86_400
_END = _BEGIN + CARD_LIFE_SECONDS_MAX


@functools.lru_cache(maxsize=1024)
def identity_of(number: int, *, is_dialable: bool = True) -> Identity:
    """Returns the partner with this number; one that is not dialable has another card and so is another partner."""
    label = f"{number}/{is_dialable}"
    root = SigningKey.from_secret(_secret(label, "root", 64))
    partner_id = partner_id_of((root.verify_key,), 1)
    operational = OperationalKeys(
        SigningKey.from_secret(_secret(label, "sign", 64)),
        KemKey.from_secret(_secret(label, "kem", 32)),
        HintKey.from_secret(_secret(label, "hint", 32)),
        TlsKey.generate(partner_id, _BEGIN, 400),
    )
    body = CardBody(
        partner_id=partner_id,
        version=1,
        previous=NO_PREVIOUS,
        not_before=_BEGIN,
        expires=_END,
        roots=(root.verify_key,),
        threshold=1,
        sign_keys=(_dated(operational.sign.verify_key),),
        kem_keys=(_dated(operational.kem.public),),
        hint_keys=(_dated(operational.hint.public),),
        tls_certificates=(operational.tls.certificate,),
        name=f"simulated {number}",
        urls=(f"https://simulated{number}.example:8443",) if is_dialable else (),
        revoked=(),
    )
    card = accept_first(sign_card(body, (root,)), int(START_SECONDS))
    return Identity(partner_id, (root,), operational, card)


def _dated(key: AnyKey) -> OperationalKey[AnyKey]:
    return OperationalKey(key, _BEGIN, _END)


def _secret(label: str, purpose: str, length: int) -> Secret:
    return Secret(hashlib.shake_256(f"p2pshare simulation {label} {purpose}".encode()).digest(length))


@contextlib.contextmanager
def cheap_signatures() -> Iterator[None]:
    """Make signing and verifying cost microseconds inside the block; see above."""
    sign, verify = SigningKey.sign, VerifyKey.verify

    def cheap_sign(self: SigningKey, context: bytes, message: bytes) -> bytes:
        return _stand_in(self.verify_key, context, message)

    def cheap_verify(self: VerifyKey, context: bytes, message: bytes, signature: bytes) -> None:
        if signature != _stand_in(self, context, message):
            verify(self, context, message, signature)

    SigningKey.sign, VerifyKey.verify = cheap_sign, cheap_verify  # type: ignore[method-assign]
    try:
        yield
    finally:
        SigningKey.sign, VerifyKey.verify = sign, verify  # type: ignore[method-assign]


def _stand_in(key: VerifyKey, context: bytes, message: bytes) -> bytes:
    mark = hashlib.blake2b(context + message, key=key.key_id, person=b"simulated").digest()
    return mark * (SIGNATURE_BYTES // len(mark)) + mark[: SIGNATURE_BYTES % len(mark)]
