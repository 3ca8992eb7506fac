"""Formats of the change feed: one file a format, one row in `change_formats`; each writes a change as one line."""
