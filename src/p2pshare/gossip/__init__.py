"""How envelopes spread between stores, as a machine without input or output.

Sees ids, sizes and expiries, never an object, a key or a card; no clock, no network, no thread: *now* and
the random generator are arguments. `engine` is the door; docs/gossip.md is the protocol.
"""
