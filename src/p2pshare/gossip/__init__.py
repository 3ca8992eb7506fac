"""How envelopes spread between two stores, as a machine without input or output.

Sees ids, sizes and expiries, never an object, a key or a card; no clock, no network; time and randomness are arguments.
"""
