"""A MISP event (core format) with one object `security-playbook`, version 3 of MISP's template.

1. `playbook-file` has the whole playbook as an attachment; `playbook-base64` says the same where MISP's database can hold it. Both decode
   to the bytes that `p2pshare playbook export` writes.
2. Ids are stable: each version of a playbook is in the event and the object of the same UUIDs, an attribute has one for its place.
3. Whom MISP may pass it on to follows the marking; without one it stays in its organisation.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import msgspec

from p2pshare.exporters.misp import DISTRIBUTIONS, OWN_ORGANISATION
from p2pshare.exporters.playbooks.playbook_record import (
    PlaybookHeading,
    PlaybookRecord,
    cacao_text,
    heading_of,
    score_of,
    texts_of,
)
from p2pshare.intel.authoring import named_id
from p2pshare.intel.instants import SECOND_US
from p2pshare.intel.playbooks.playbook_carriers import MISP_OBJECT
from p2pshare.intel.playbooks.playbook_standing import EXECUTABLE, TEMPLATE, is_template

TEMPLATE_UUID = "48894c92-447b-4abe-b093-360c4d823e9d"
TEMPLATE_VERSION = "3"
TEXT_BYTES_MAX = 65_535  # of a text attribute: the column `value1` of MISP's database is a TEXT
STANDARD = "CACAO 2.0"
INHERIT = "5"  # MISP's distribution of the event
# MISP's type -> its category where the template names none
_CATEGORIES = {"attachment": "External analysis", "text": "Other", "datetime": "Other", "boolean": "Other"}
_SCORES = ("impact", "severity", "priority")


def render(record: PlaybookRecord) -> bytes:
    """Returns `{"Event": ...}`. Raises AuthorError `schema` as `heading_of`."""
    heading = heading_of(record)
    # Attributes of one relation are told apart by their number.
    numbers: dict[str, int] = {}
    attributes = []
    for relation, type_, value, more in _attributes(record, heading):
        numbers[relation] = number = numbers.get(relation, -1) + 1
        attributes.append(
            {
                "uuid": _uuid(heading, f"{relation}:{number}"),
                "object_relation": relation,
                "type": type_,
                "category": _CATEGORIES[type_],
                "value": value,
                "to_ids": False,
                "disable_correlation": relation not in ("playbook-id", "playbook-file", "playbook-base64"),
                "distribution": INHERIT,
                "timestamp": _timestamp(heading),
            }
            | more
        )
    return msgspec.json.encode({"Event": _event(record, heading, attributes)}) + b"\n"


def _event(
    record: PlaybookRecord, heading: PlaybookHeading, attributes: list[dict[str, Any]]
) -> dict[str, Any]:
    tlp = heading.tlp
    return {
        "uuid": _uuid(heading, "event"),
        "info": f"Playbook: {heading.name}",
        "date": heading.created[:10],
        "timestamp": _timestamp(heading),
        "analysis": "2",
        "threat_level_id": "4",
        "published": False,
        "distribution": OWN_ORGANISATION if tlp is None else DISTRIBUTIONS.get(tlp, OWN_ORGANISATION),
        # MISP wants a name: where none is known, the id says at least whose it is.
        "Orgc": {
            "uuid": heading.created_by.partition("--")[2],
            "name": record.author or heading.created_by,
        },
        "Tag": [] if tlp is None else [{"name": tlp.label.lower()}],
        "Attribute": [],
        "Object": [
            {
                "uuid": _uuid(heading, "object"),
                "name": MISP_OBJECT,
                "meta-category": "misc",
                "description": "The security-playbook object provides meta-information and allows managing, storing, "
                "and sharing cybersecurity playbooks and orchestration workflows.",
                "template_uuid": TEMPLATE_UUID,
                "template_version": TEMPLATE_VERSION,
                "distribution": INHERIT,
                "timestamp": _timestamp(heading),
                "Attribute": attributes,
            }
        ],
    }


def _attributes(
    record: PlaybookRecord, heading: PlaybookHeading
) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Yields (relation, type, value, what else an attribute of the type has), in the order of the template's use."""
    document = record.playbook.document
    text = b64encode(cacao_text(record)).decode()
    yield "playbook-id", "text", heading.playbook_id, {}
    yield "playbook-standard", "text", STANDARD, {}
    yield "playbook-abstraction", "text", TEMPLATE if is_template(document) else EXECUTABLE, {}
    description = document.get("description")
    if isinstance(description, str) and 0 < len(description.encode()) <= TEXT_BYTES_MAX:
        yield "description", "text", description, {}
    yield "playbook-creator", "text", heading.created_by, {}
    yield "playbook-creation-time", "datetime", heading.created, {}
    yield "playbook-modification-time", "datetime", heading.modified, {}
    for property_ in ("valid_from", "valid_until"):
        if isinstance(said := document.get(property_), str) and said:
            yield f"playbook-{property_.replace('_', '-')}", "datetime", said, {}
    if isinstance(revoked := document.get("revoked"), bool):
        yield "revoked", "boolean", "1" if revoked else "0", {}
    for name in _SCORES:
        if (score := score_of(document, name)) is not None:
            yield f"playbook-{name}", "text", str(score), {}
    for relation, property_ in (
        ("playbook-type", "playbook_types"),
        ("organization-type", "industry_sectors"),
        ("labels", "labels"),
    ):
        for said in texts_of(document, property_):
            yield relation, "text", said, {}
    yield "playbook-file", "attachment", f"{heading.playbook_id}.json", {"data": text}
    if len(text) <= TEXT_BYTES_MAX:
        yield "playbook-base64", "text", text, {}


def _timestamp(heading: PlaybookHeading) -> str:
    return str(heading.changed_us // SECOND_US)


def _uuid(heading: PlaybookHeading, place: str) -> str:
    return named_id(f"misp-playbook:{heading.playbook_id}:{place}")
