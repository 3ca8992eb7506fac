"""Sizes in bytes of the keys, signatures and wraps of the one suite there is (docs/envelope.md).

Whoever takes an envelope apart needs them and nothing else of `hybrid` and `agreement`: a look into the store, which does
so too, loads no cryptography.
"""

from __future__ import annotations

ED25519_PUBLIC_BYTES = 32
ED25519_SIGNATURE_BYTES = 64
MLDSA_PUBLIC_BYTES = 2592
MLDSA_SIGNATURE_BYTES = 4627
VERIFY_KEY_BYTES = ED25519_PUBLIC_BYTES + MLDSA_PUBLIC_BYTES
SIGNATURE_BYTES = ED25519_SIGNATURE_BYTES + MLDSA_SIGNATURE_BYTES

MLKEM_PUBLIC_BYTES = 1184
X25519_PUBLIC_BYTES = 32
KEM_PUBLIC_BYTES = MLKEM_PUBLIC_BYTES + X25519_PUBLIC_BYTES
KEM_ENCAPSULATION_BYTES = 1088 + 32
HPKE_TAG_BYTES = 16
HINT_BYTES = 8
