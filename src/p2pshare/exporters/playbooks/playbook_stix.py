"""A STIX 2.1 bundle: the playbook as a course of action with the extension for security playbooks, version 3.0.0.

1. The extension has the whole playbook in base64 twice: as `playbook_bin`, which its published schema names, and as `playbook_base64`,
   which the roaster writes; its published schema does not know that one. Both decode to the bytes that `p2pshare playbook export` writes.
2. The id is that of the playbook, whatever its version. `modified` is that of the playbook or of its newest signature: a version
   of an object has one content.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import msgspec

from p2pshare.exporters.playbooks.playbook_record import (
    PlaybookHeading,
    PlaybookRecord,
    cacao_text,
    heading_of,
    score_of,
    texts_of,
)
from p2pshare.intel.authoring import named_id
from p2pshare.intel.marking import TLP2_IDS, definition_object
from p2pshare.intel.playbooks.playbook_carriers import STIX_EXTENSION
from p2pshare.intel.playbooks.playbook_making import cacao_instant
from p2pshare.intel.playbooks.playbook_standing import EXECUTABLE, TEMPLATE, is_template

STANDARD = "CACAO"
# As its authors published it (cyentific-rni/stix2.1-coa-playbook-extension).
EXTENSION_DEFINITION: dict[str, Any] = {
    "type": "extension-definition",
    "spec_version": "2.1",
    "id": STIX_EXTENSION,
    "created_by_ref": "identity--ae82a5e5-ec07-4863-ad88-6504b29f24e9",
    "created": "2022-01-18T23:22:03.933931Z",
    "modified": "2022-08-25T19:15:25.577633Z",
    "name": "Course of Action extension for Security Playbooks",
    "description": "This extension definition extends the Course of Action SDO with additional properties for representing, "
    "managing, and sharing machine-readable security playbooks.",
    "schema": "https://raw.githubusercontent.com/fovea-research/stix2.1-coa-playbook-extension/main/schema/course-of-action_playbook.json",
    "version": "3.0.0",
    "extension_types": ["property-extension"],
    "external_references": [
        {
            "source_name": "GitHub",
            "description": "Documentation of the Extension Definition.",
            "url": "https://github.com/fovea-research/stix2.1-coa-playbook-extension",
        }
    ],
}


def render(record: PlaybookRecord) -> bytes:
    """Returns the bundle. Raises AuthorError `schema` as `heading_of`."""
    heading = heading_of(record)
    objects = [EXTENSION_DEFINITION, _course_of_action(record, heading)]
    if heading.tlp is not None:
        objects.insert(0, definition_object(heading.tlp))
    bundle = {"type": "bundle", "id": f"bundle--{_uuid(heading, 'bundle')}", "objects": objects}
    return msgspec.json.encode(bundle) + b"\n"


def _course_of_action(record: PlaybookRecord, heading: PlaybookHeading) -> dict[str, Any]:
    document = record.playbook.document
    modified = cacao_instant(heading.changed_us)
    stix: dict[str, Any] = {
        "type": "course-of-action",
        "spec_version": "2.1",
        "id": f"course-of-action--{_uuid(heading, 'course-of-action')}",
        "created_by_ref": heading.created_by,
        "created": heading.created,
        "modified": modified,
        "name": heading.name,
        "description": document.get("description"),
        "labels": texts_of(document, "labels"),
        "revoked": True if document.get("revoked") is True else None,
        "object_marking_refs": None if heading.tlp is None else [TLP2_IDS[heading.tlp]],
        "extensions": {STIX_EXTENSION: _extension(record, heading, modified)},
    }
    return _said(stix)


def _extension(record: PlaybookRecord, heading: PlaybookHeading, modified: str) -> dict[str, Any]:
    document = record.playbook.document
    text = b64encode(cacao_text(record)).decode()
    sectors = texts_of(document, "industry_sectors")
    return _said(
        {
            "extension_type": "property-extension",
            "playbook_id": heading.playbook_id,
            "created": heading.created,
            "modified": modified,
            "playbook_creation_time": heading.created,
            "playbook_modification_time": heading.modified,
            "playbook_creator": heading.created_by,
            "revoked": document.get("revoked"),
            "playbook_valid_from": document.get("valid_from"),
            "playbook_valid_until": document.get("valid_until"),
            "description": document.get("description"),
            "labels": texts_of(document, "labels"),
            "playbook_impact": score_of(document, "impact"),
            "playbook_severity": score_of(document, "severity"),
            "playbook_priority": score_of(document, "priority"),
            # The schema takes one text: of several none is the one.
            "organization_type": sectors[0] if len(sectors) == 1 else None,
            "playbook_type": texts_of(document, "playbook_types"),
            "playbook_standard": STANDARD,
            "playbook_abstraction": TEMPLATE if is_template(document) else EXECUTABLE,
            "playbook_bin": text,
            "playbook_base64": text,
        }
    )


def _said(members: dict[str, Any]) -> dict[str, Any]:
    """Returns the members that are said: STIX has no null, no empty list and no empty text."""
    return {name: value for name, value in members.items() if value is not None and value not in ("", [])}


def _uuid(heading: PlaybookHeading, place: str) -> str:
    return named_id(
        f"stix-playbook:{heading.playbook_id}:{place}:{heading.changed_us if place == 'bundle' else ''}"
    )
