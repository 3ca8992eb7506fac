"""The words of the doctor's faults, looked for in what it says."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from p2pshare.queries.doctor_words import FAULTS, Finding

BETWEEN_NODES = frozenset(
    {
        "clock-wrong",
        "clock-disputed",
        "clock-drifts",
        "from-the-future",
        "partner-unreached",
        "proxy-unreached",
        "not-accepted-yet",
        "removed-by-partner",
        "other-certificate",
        "partner-card-ended",
        "partner-frozen",
        "partner-clock",
        "partner-circles",
        "circles-of-before",
        "partners-unknown",
        "spaces",
    }
)
"""Faults that are planted between nodes, in tests/end_to_end/test_doctor_partners.py; the others in one home alone."""

DIALLED_BACK = frozenset({"not-reached", "reached-other", "dialled-before", "nobody-dialled"})
"""Faults that partners tell of who dial this node, in tests/end_to_end/test_pending_partners.py."""


def shape(name: str) -> re.Pattern[str]:
    """The words of a fault, with anything where they differ."""
    return re.compile(re.sub(r"\\\{\w+\\\}", ".+", re.escape(FAULTS[name].says)), re.DOTALL)


def said(findings: Sequence[Finding], name: str) -> list[Finding]:
    """The findings that say this fault."""
    fault = FAULTS[name]
    return [
        one
        for one in findings
        if one.level == fault.level
        and fault.check in (one.check, "any")
        and shape(name).fullmatch(one.message)
    ]


def read_findings(out: str) -> list[Finding]:
    """What `p2pshare doctor --json` wrote."""
    rows = json.loads(out)
    assert all(set(row) == {"check", "level", "message", "mend"} for row in rows)
    return [Finding(**row) for row in rows]
