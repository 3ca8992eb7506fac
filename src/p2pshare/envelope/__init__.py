"""How a publication is sealed and proved: keys, cards, the canonical wire form, sealing and verification.

The only room (with `keyfile` and `peering.tls`) that touches cryptography. Pure: time is an argument;
randomness for keys and nonces comes from `secrets` and is never seeded.
"""
