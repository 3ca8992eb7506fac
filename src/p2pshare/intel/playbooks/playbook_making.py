"""Playbooks to begin with: one derived from another's, and the least that is valid. Who makes it gives ids and the time."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from p2pshare.errors import AuthorError
from p2pshare.intel.authoring import named_id
from p2pshare.intel.playbooks.playbook_text import Playbook

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def cacao_instant(unix_us: int) -> str:
    """Returns an instant (microseconds since 1970) as CACAO and STIX write it, to the millisecond; what is finer is cut off."""
    moment = (_EPOCH + timedelta(microseconds=unix_us)).replace(tzinfo=None)
    return moment.isoformat(timespec="milliseconds") + "Z"


def derive(playbook: Playbook, *, playbook_id: str, created_by: str, at: str) -> bytes:
    """Returns a playbook of one's own that says what another says (CACAO 2.0 section 3.1, `derived_from`).

    `playbook_id` is `playbook--UUID`, `created_by` `identity--UUID`, `at` an instant as `cacao_instant` writes it. Its first ancestor
    is the one it is made from; that one's own follow. Signatures, and that the other was revoked, are not its. Raises AuthorError
    `schema` for what has no id: nothing could say from what it is derived.
    """
    document = playbook.document
    if not isinstance(document.get("id"), str):
        raise AuthorError(
            "the playbook has no id to derive from",
            hint="p2pshare playbook lint FILE says what is wrong with it",
            reason="schema",
        )
    named = document.get("derived_from")
    earlier = [one for one in named if isinstance(one, str)] if isinstance(named, list) else []
    own: dict[str, Any] = {
        "id": playbook_id,
        "created_by": created_by,
        "created": at,
        "modified": at,
        "derived_from": list(dict.fromkeys([document["id"], *earlier])),
    }
    told = {
        name: own.pop(name, value)
        for name, value in document.items()
        if name not in ("signatures", "revoked")
    }
    return _written(told | own)


def new_playbook(name: str, *, playbook_id: str, created_by: str, at: str) -> bytes:
    """Returns a playbook of one manual step, valid and without a warning, to write on from; arguments as `derive`."""

    def made(kind: str) -> str:
        return f"{kind}--{named_id(f'new-playbook:{playbook_id}:{kind}')}"

    return _written(
        {
            "type": "playbook",
            "spec_version": "cacao-2.0",
            "id": playbook_id,
            "name": name,
            "description": "For whom it is, when it begins, and what it is to reach",
            "playbook_types": ["mitigation"],
            "created_by": created_by,
            "created": at,
            "modified": at,
            "playbook_variables": {
                "__duty_phone__": {
                    "type": "string",
                    "description": "Number of the officer on duty in office hours",
                    "external": True,
                },
                "__duty_out_of_hours_phone__": {
                    "type": "string",
                    "description": "Number of the officer on duty at night, at weekends and on holidays",
                    "external": True,
                },
            },
            "workflow_start": made("start"),
            "workflow": {
                made("start"): {"type": "start", "name": "Begin", "on_completion": made("action")},
                made("action"): {
                    "type": "action",
                    "name": "Call the officer on duty",
                    "commands": [
                        {
                            "type": "manual",
                            "command": "Call __duty_phone__:value, out of hours __duty_out_of_hours_phone__:value. "
                            "Say what was seen, by whom, where and when.",
                        }
                    ],
                    "agent": made("individual"),
                    "targets": [made("organization")],
                    "on_completion": made("end"),
                },
                made("end"): {"type": "end", "name": "End"},
            },
            "agent_definitions": {
                made("individual"): {"type": "individual", "name": "Who sees it first"},
            },
            "target_definitions": {
                made("organization"): {"type": "organization", "name": "Our organisation"},
            },
        }
    )


def _written(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False).encode() + b"\n"
