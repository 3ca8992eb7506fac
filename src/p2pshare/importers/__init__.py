"""Readers of the formats people have: each file reads one of them, or a part of it, into values or STIX
objects (docs/intelligence.md).

One file a format, one row in `registry`; `interface` is the contract, `detection` tells them apart. `intel`, below
(values, markings, patterns, checks), knows nothing of them.
"""
