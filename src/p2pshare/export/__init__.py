"""Formats out, one file a format, one line in the registry.

Reads through the store and the gate, writes to a stream it is given.
"""
