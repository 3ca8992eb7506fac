"""CVE records (JSON 5.x): the SSVC points that CISA's ADP container (Vulnrichment) gives, scores, and the title.

The decision points are written in mixed case and as `poc`, where the decision table says `Public PoC`.
"""

from __future__ import annotations

import re
from typing import Any

from p2pshare.errors import AuthorError
from p2pshare.risk.extra import base_score
from p2pshare.risk.sources.source_files import cve_or_none, day_of, list_in, parse_json, text_in
from p2pshare.risk.statements import VulnerabilitySaid

EXPLOITATION = {"none": 0, "poc": 1, "public poc": 1, "active": 2}
AUTOMATABLE = {"no": 0, "yes": 1}
TECHNICAL_IMPACT = {"partial": 0, "total": 1}
_NO_LETTER = re.compile(r"[^a-z]+")
TITLE_CHARACTERS_MAX = 500


def read_cve_record(raw: bytes) -> tuple[VulnerabilitySaid, list[str]]:
    """Returns what a record says, and sentences about points that are not understood.

    Raises AuthorError `not-cve`, `rejected`, and as `parse_json` does.
    """
    record = parse_json(raw)
    cve = cve_or_none(text_in(record, "cveMetadata", "cveId"))
    if cve is None or not isinstance(record.get("containers"), dict):
        raise AuthorError("the file is no CVE record", hint="CVE JSON 5", reason="not-cve")
    if text_in(record, "cveMetadata", "state").upper() == "REJECTED":
        raise AuthorError(f"{cve} was rejected", reason="rejected")
    told: list[str] = []
    points: dict[str, Any] = {}
    containers = [record["containers"].get("cna"), *list_in(record, "containers", "adp")]
    for container in containers:
        for metric in list_in(container, "metrics"):
            if text_in(metric, "other", "type").lower() == "ssvc":
                newer = _points(metric["other"].get("content"), cve, told)
                if (newer.get("ssvc_day") or 0) >= (points.get("ssvc_day") or 0):
                    points = newer
    score, vector = highest_score(
        metric for container in containers for metric in list_in(container, "metrics")
    )
    said = VulnerabilitySaid(
        cve,
        title=text_in(containers[0], "title")[:TITLE_CHARACTERS_MAX],
        cvss=score,
        cvss_vector=vector,
        **points,
    )
    return said, told


def _points(content: object, cve: str, told: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"ssvc_day": day_of(text_in(content, "timestamp"))}
    names = {
        "exploitation": ("ssvc_exploitation", EXPLOITATION),
        "automatable": ("automatable", AUTOMATABLE),
        "technicalimpact": ("technical_impact", TECHNICAL_IMPACT),
    }
    options = content.get("options") if isinstance(content, dict) else None
    for option in [options] if isinstance(options, dict) else list_in(content, "options"):
        for point, value in option.items() if isinstance(option, dict) else ():
            field, values = names.get(_NO_LETTER.sub("", str(point).lower()), ("", {}))
            number = values.get(str(value).strip().lower())
            if field and number is None:
                told.append(f"{cve}: {point} '{str(value)[:40]}' is not understood and stays unknown")
            elif field:
                found[field] = number
    return found


def highest_score(metrics: Any) -> tuple[float | None, str]:
    """Returns the highest base score among CVE metrics (cvssV4_0, cvssV3_1, ...), computed from its vector, and the vector."""
    best: tuple[float | None, str] = (None, "")
    for metric in metrics:
        for name, value in metric.items() if isinstance(metric, dict) else ():
            if str(name).lower().startswith("cvss"):
                vector = text_in(value, "vectorString")[:200]
                score = base_score(vector) if vector else None
                if score is not None and (best[0] is None or score > best[0]):
                    best = (score, vector)
    return best
