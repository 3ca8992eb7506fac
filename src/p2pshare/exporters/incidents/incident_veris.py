"""VERIS (Vocabulary for Event Recording and Incident Sharing, schema 1.4.1 of the VERIS community): an incident as one JSON record.

Required there are `actor`, `action`, `asset`, `discovery_method`, `incident_id`, `schema_version`, `security_incident`, `summary` and
the year of the incident; and a confirmed incident has `attribute`. What an incident here does not say is Unknown, VERIS's own word:
nothing is guessed. Organisations are not named: VERIS asks that victims are not.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from p2pshare.intel.display import escaped_json
from p2pshare.intel.incident_record import IncidentRecord

SCHEMA_VERSION = "1.4.1"
SUMMARY_CHARACTERS_MAX = 4_000  # a few paragraphs: VERIS asks for several sentences
INDICATORS_MAX = 10_000  # listed of one incident
YEAR_MIN, YEAR_MAX = 1950, 2050  # of the schema
NOT_STATED = "not stated in the incident"  # the schema wants a note where actor or action are unknown

_SECURITY_INCIDENT: Mapping[str | None, str] = {
    "confirmed": "Confirmed",
    "suspected": "Suspected",
    "blocked": "Near miss",
    "failed-attempt": "Near miss",
    "false-positive": "False positive",
    None: "Suspected",
}
_UNKNOWN = {"variety": ["Unknown"], "vector": ["Unknown"]}
# word of STIX's event types -> part of VERIS's `action`, where both mean the same
_ACTIONS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "ransomware": ("malware", {"variety": ["Ransomware"], "vector": ["Unknown"]}),
    "known-malware": ("malware", _UNKNOWN),
    "denial-of-service": ("hacking", {"variety": ["DoS"], "vector": ["Unknown"]}),
    "sql-injection": ("hacking", {"variety": ["SQLi"], "vector": ["Unknown"]}),
    "exploit": ("hacking", {"variety": ["Exploit vuln"], "vector": ["Unknown"]}),
    "dissemination-phishing-emails": (
        "social",
        {"variety": ["Phishing"], "vector": ["Email"], "target": ["Unknown"]},
    ),
    "phishing": ("social", {"variety": ["Phishing"], "vector": ["Email"], "target": ["Unknown"]}),
    "misconfiguration": ("error", {"variety": ["Misconfiguration"], "vector": ["Unknown"]}),
    "natural": ("environmental", {"variety": ["Unknown"]}),
}
_DISCLOSED: Mapping[str, str] = {
    "confirmed-loss": "Yes",
    "exploited-loss": "Yes",
    "contained": "Potentially",
    "suspected-loss": "Potentially",
    "none": "No",
}


def render(record: IncidentRecord) -> bytes:
    """Returns the record as JSON."""
    return escaped_json(msgspec.json.format(msgspec.json.encode(veris_of(record)), indent=2)) + b"\n"


def veris_of(record: IncidentRecord) -> dict[str, Any]:
    """Returns the record as parsed JSON."""
    action = _action(record)
    found: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "incident_id": record.incident,
        "security_incident": _SECURITY_INCIDENT.get(record.determination, "Suspected"),
        "summary": _summary(record),
        "timeline": {"incident": _began(record)},
        "actor": {"unknown": {"notes": NOT_STATED}},
        "action": action,
        "asset": {"assets": _assets(record), "cloud": ["Unknown"]},
        "discovery_method": {"unknown": True},
        "plus": {},
    }
    attribute = _attribute(record, action)
    if attribute:
        found["attribute"] = attribute
    if record.objects:
        found["ioc"] = [
            {"indicator": one.value, "comment": f"{one.type} {one.text}".strip()}
            for one in record.objects[:INDICATORS_MAX]
        ]
    return found


def _summary(record: IncidentRecord) -> str:
    parts = [record.title, record.determination_text, *(event.text for event in record.events)]
    return ". ".join(part for part in parts if part)[:SUMMARY_CHARACTERS_MAX]


def _began(record: IncidentRecord) -> dict[str, Any]:
    """Returns the first begin that anybody stated of what took place, else when the incident was opened: its year alone."""
    starts = [
        event.start
        for event in record.events
        if event.start is not None and event.status in ("occurred", "ongoing")
    ]
    if not starts:
        return {"year": _year(datetime.fromtimestamp(record.opened, UTC).year)}
    first = datetime.fromtimestamp(min(starts), UTC)
    return {"year": _year(first.year), "month": first.month, "day": first.day}


def _year(year: int) -> int:
    return max(YEAR_MIN, min(year, YEAR_MAX))


def _action(record: IncidentRecord) -> dict[str, Any]:
    words = (*record.types, *(word for event in record.events for word in event.types))
    found: dict[str, Any] = {}
    for word in words:
        if word in _ACTIONS:
            name, part = _ACTIONS[word]
            found.setdefault(name, part)
    return found or {"unknown": {"notes": NOT_STATED}}


def _assets(record: IncidentRecord) -> list[dict[str, Any]]:
    """Returns VERIS's assets for what impacts count; one that is not known where nothing is counted."""
    names = {
        "computers-server": "S - Unknown",
        "computers-personal": "U - Unknown",
        "computers-mobile": "U - Mobile phone",
        "network-device": "N - Unknown",
        "individual": "P - Unknown",
        "employee": "P - Unknown",
    }
    amounts: dict[str, int] = {}
    for impact in record.impacts:
        for what, number in impact.counts:
            if what in names:
                amounts[names[what]] = max(amounts.get(names[what], 0), number)
    return [{"variety": name, "amount": amount} for name, amount in sorted(amounts.items())] or [
        {"variety": "Unknown"}
    ]


def _attribute(record: IncidentRecord, action: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for impact in record.impacts:
        details = dict(impact.details)
        match impact.category:
            case "availability":
                found.setdefault("availability", {"variety": ["Interruption"]})
            case "integrity" if details.get("alteration", "none") != "none":
                found.setdefault("integrity", {"variety": ["Modify data"]})
            case "confidentiality":
                disclosed = _DISCLOSED.get(details.get("loss_type", ""), "Unknown")
                known = found.get("confidentiality", {}).get("data_disclosure", "No")
                order = ("No", "Unknown", "Potentially", "Yes")
                worst = max(known, disclosed, key=order.index)
                found["confidentiality"] = {"data_disclosure": worst}
    if "malware" in action:
        varieties = found.setdefault("integrity", {"variety": []})["variety"]
        varieties.append("Software installation")
    if "social" in action:
        found.setdefault("integrity", {"variety": []})["variety"].append("Alter behavior")
    if not found and record.determination == "confirmed":
        found["confidentiality"] = {"data_disclosure": "Unknown"}
    return found
