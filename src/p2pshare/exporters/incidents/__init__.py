"""Formats of one incident: one file a format, one row in `incident_formats`; each a function from a record to bytes."""
