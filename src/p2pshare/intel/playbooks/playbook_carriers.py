"""What carries a playbook in other formats: names that writing and reading share."""

from __future__ import annotations

MISP_OBJECT = "security-playbook"
STIX_EXTENSION = "extension-definition--1e1c1bd7-c527-4215-8e18-e199e74da57c"
STIX_CONTENTS = ("playbook_bin", "playbook_base64")
"""The published schema's word, and the roaster's."""
