"""Playbooks in CACAO 2.0: read byte for byte, checked, compared and drawn (docs/playbooks.md). Pure.

`cacao/` has the JSON schemas of CACAO 2.0 as they were published, with their licence and source.
"""
