"""KEV: CISA's catalogue of known exploited vulnerabilities, as STIX vulnerabilities.

Each entry is one vulnerability of ours with `x_kev`: the day it was added, the day by which it has to be mended, the
action required, the product, and whether ransomware uses it. The properties that the catalogue's schema requires are
asked for; one bad entry costs itself. The catalogue carries no marking: the person who publishes it gives one.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from p2pshare.errors import AuthorError
from p2pshare.importers.advisories import (
    JsonMembers,
    elements,
    filled,
    keep,
    lacking,
    members_of,
    object_of_ours,
    outermost_members,
    tell_once,
    text_of,
    words_of,
)
from p2pshare.importers.interface import InputSource, ObjectFormat
from p2pshare.importers.rules import instant_of, marking_refs
from p2pshare.intel.artefacts import canonical_cve
from p2pshare.intel.bundle import BundleObject, Reading, object_of
from p2pshare.intel.json_rescue import has_maskable, mask_faulty, unmask
from p2pshare.intel.json_text import Fault, is_shallow, parse_object, without_bom
from p2pshare.intel.marking_words import MarkingWords, words_of_members
from p2pshare.intel.refusals import InvalidValue

REQUIRED = (
    "cveID",
    "vendorProject",
    "product",
    "vulnerabilityName",
    "dateAdded",
    "shortDescription",
    "requiredAction",
    "dueDate",
)
CATALOGUE_URL = "https://www.cisa.gov/known-exploited-vulnerabilities-catalog"
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_URL = re.compile(r"https?://[^\s;]{1,2000}")


def read_kev(raw: bytes, source: InputSource) -> Reading:
    """Returns the entries of a catalogue. Raises AuthorError, as `outermost_members` does, missing-property
    and wrong-type."""
    members, faults = _open(raw)
    for name in ("catalogVersion", "vulnerabilities"):
        if name not in members:
            raise lacking(f"/{name}")
    try:
        version = msgspec.json.decode(members["catalogVersion"], type=str)
    except msgspec.ValidationError:
        raise AuthorError(
            "/catalogVersion is no text", hint="is it the right file?", reason="wrong-type"
        ) from None
    entries = list(unmask(elements(bytes(members["vulnerabilities"]), "/vulnerabilities"), faults))
    reading = Reading()
    around = tell_once(words_of_members(members, frozenset({"vulnerabilities"})), "the catalogue", reading)
    seen: dict[str, BundleObject] = {}
    for position, entry in enumerate(entries):
        found = entry if isinstance(entry, Fault) else _read_entry(entry, version, around, source)
        keep(reading, seen, found, f"vulnerabilities[{position}]")
    count = bytes(members.get("count", b""))
    if count and count != str(len(entries)).encode():
        stated = count[:20].decode(errors="replace")  # cut, maybe through a character
        reading.notes.add("count-differs", f"the catalogue says {stated}, it holds {len(entries)}")
    return reading


def _open(raw: bytes) -> tuple[JsonMembers, dict[int, Fault]]:
    """Returns the members, in which each entry that no parser takes is masked, and the faults of those by number."""
    try:
        return outermost_members(raw), {}
    except AuthorError as error:
        text = without_bom(raw)
        if is_shallow(text) and not has_maskable(text):
            raise
        try:
            masked, faults = mask_faulty(text)
            return outermost_members(masked), faults
        except AuthorError:
            raise error from None


def _read_entry(raw: bytes, version: str, around: MarkingWords, source: InputSource) -> BundleObject | Fault:
    entry, fault = parse_object(raw)
    if entry is None:
        return fault or Fault("not-json", "")
    for name in REQUIRED:
        if not entry.get(name):
            return Fault("missing-property", f"/{name}")
        if not isinstance(entry[name], str):
            return Fault("wrong-type", f"/{name}")
    for name in ("dateAdded", "dueDate"):
        if _DAY.fullmatch(entry[name]) is None:
            return Fault("bad-timestamp", f"/{name}")
    try:
        cve = canonical_cve(entry["cveID"].strip())
    except InvalidValue as invalid:
        return Fault(invalid.reason, "/cveID")
    words = around.merged(words_of(raw, entry).without_spoken())
    return object_of(_vulnerability(entry, cve, version, source), around=words)


def _vulnerability(entry: dict[str, Any], cve: str, version: str, source: InputSource) -> dict[str, Any]:
    weaknesses = [one for one in members_of(entry, "cwes") if isinstance(one, str) and one]
    is_ransomware = text_of(entry, "knownRansomwareCampaignUse") == "Known"
    created = instant_of(entry["dateAdded"], source.now)
    stix = object_of_ours(
        "vulnerability", f"kev:{cve}", source, created, marking_refs(source.tlp), CATALOGUE_URL
    )
    stix |= {
        "name": cve,
        "description": f"{entry['vulnerabilityName']}. {entry['shortDescription']}",
        "labels": ["known-exploited", *(["ransomware"] if is_ransomware else [])],
        "external_references": [
            {"source_name": "cve", "external_id": cve},
            {"source_name": "CISA KEV", "external_id": version, "url": CATALOGUE_URL},
            *({"source_name": "cwe", "external_id": one} for one in weaknesses),
            *({"source_name": "reference", "url": url} for url in _URL.findall(text_of(entry, "notes"))),
        ],
        "x_kev": filled(
            {
                "date_added": entry["dateAdded"],
                "due_date": entry["dueDate"],
                "required_action": entry["requiredAction"],
                "vendor_project": entry["vendorProject"],
                "product": entry["product"],
                "known_ransomware_campaign_use": text_of(entry, "knownRansomwareCampaignUse"),
                "notes": text_of(entry, "notes"),
            }
        ),
    }
    return filled(stix)


FORMAT = ObjectFormat(read_kev)
