"""What partners said and say no more: their evidence and documents leave, and what hung on them is added up anew."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from p2pshare.database.fetching import fetch
from p2pshare.risk.matching import Matching
from p2pshare.risk.risk_file import RiskFile

EvidenceKey = tuple[str, str, str]
"""Name of the vulnerability, organisation, kind."""
DocumentKey = tuple[str, str]
"""Namespace and tracking id."""


def drop_withdrawn(
    file: RiskFile, evidence: Collection[EvidenceKey], documents: Collection[DocumentKey], *, now: int
) -> int:
    """Remove what partners said but for `evidence` and `documents`; returns how much that was."""
    with file.transaction() as writer:
        names: dict[int, set[str]] = defaultdict(set)
        for number, name in fetch(
            writer,
            """SELECT v.id, v.name FROM partner_evidence e JOIN vulnerability v ON v.id = e.vulnerability
            UNION SELECT n.vulnerability, n.name FROM partner_evidence e
            JOIN vulnerability_name n ON n.vulnerability = e.vulnerability""",
        ):
            names[number].add(name)
        kept = set(evidence)
        held = fetch(writer, "SELECT vulnerability, organisation, kind FROM partner_evidence")
        gone = [row for row in held if not any((name, row[1], row[2]) in kept for name in names[row[0]])]
        writer.executemany(
            "DELETE FROM partner_evidence WHERE vulnerability = ? AND organisation = ? AND kind = ?", gone
        )
        # none is left to be counted: `RiskStore.refresh` counts those that have some
        writer.executemany(
            """UPDATE vulnerability SET organisations = 0, partner_last_seen = NULL WHERE id = ?
            AND NOT EXISTS (SELECT 1 FROM partner_evidence e WHERE e.vulnerability = vulnerability.id)""",
            {(number,) for number, _, _ in gone},
        )
        lost = [
            number
            for number, *key in writer.execute(
                "SELECT id, namespace, tracking_id FROM document WHERE partner <> ''"
            ).fetchall()
            if tuple(key) not in set(documents)
        ]
        touched: set[int] = set()
        for number in lost:
            touched.update(
                one
                for (one,) in writer.execute("SELECT component FROM verdict WHERE document = ?", (number,))
            )
            writer.execute("DELETE FROM document WHERE id = ?", (number,))
        if touched:
            Matching(writer, now).match_documents([], touched)
    return len(gone) + len(lost)
