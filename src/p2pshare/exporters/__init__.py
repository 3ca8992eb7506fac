"""Formats out: one file a format, one row in `registry`.

Reads through the store's reading side and the one gate, writes to a stream it is given; opens nothing itself.
"""
