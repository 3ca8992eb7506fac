"""Sealing and proving a publication: keys, cards, the canonical wire form, sealing and verification.

The only room (with `keyfile` and `peering.tls`) that touches cryptography. Pure: time is an argument;
randomness for keys and nonces comes from `secrets` and is never seeded. Everything is immutable and may be used
from several threads at once.

Each file stands on those before it: `encoding` (the one canonical form) - `hybrid`, `agreement`, `certificate` (kinds of
keys) - `card_format`, `card` (the chain of trust) - `keys` (a partner's own) - `payload`, `envelope` (bytes) -
`verification` (numbered checks) - `sealing` (encrypt and decrypt) - `evidence`, `inspection`. The formats are
specified in docs/envelope.md and docs/card.md.
"""
