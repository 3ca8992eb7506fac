"""Readers of the formats people have: each file reads one of them, or a part of it, into values or STIX
objects (docs/intelligence.md).

`formats` tells them apart; `sharing.drafting` has the table of their readers. `intel`, below (values,
markings, patterns, checks), knows nothing of them.
"""
