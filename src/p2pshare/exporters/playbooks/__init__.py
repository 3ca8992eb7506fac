"""Formats of one playbook: one file a format, one row in `playbook_formats`; each a function from a record to bytes."""
