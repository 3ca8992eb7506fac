"""A hospital that does not exist: its list of devices, a bill of materials, and what others say about its products.

Vendors, products and vulnerabilities are made up; nothing here accuses anyone. The numbers of the CVEs are none that were given.
"""

from __future__ import annotations

import json
from typing import Any

DAY = "2026-11-30"
NOW = f"{DAY}T06:00:00.000Z"

PUMP, VPN, MONITOR, LABORATORY, TEMPLATES, VIEWER, HELPER = (
    f"CVE-2026-9700{number}" for number in range(1, 8)
)
"""One vulnerability each: an infusion pump, the VPN gateway, a patient monitor, the laboratory's analyser, a library of the
patient portal, the picture archive, another library of the portal."""

VECTORS = {
    9.8: "AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
    8.8: "AV:N/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H",
    8.1: "AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:H/A:H",
    7.5: "AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H",
    5.5: "AV:L/AC:L/PR:L/UI:N/S:U/C:N/I:N/A:H",
}
"""Base vectors of CVSS 3.1 by their score."""

# As the technicians of the hospital keep it: semicolons, umlauts in CP1252, a device that is known by its order number.
COLUMNS = (
    "asset",
    "vendor",
    "product",
    "model",
    "version",
    "site",
    "owner",
    "exposure",
    "human_impact",
    "data",
)
DEVICES = (
    ("pump-ics-1", "Halvor Medical", "Infuva 300", "HM-300-EU", "4.1.2", "Intensivstation", "Medizintechnik", "controlled", "very high", ""),
    ("pump-ics-2", "Halvor Medical", "Infuva 300", "HM-300-EU", "4.1.2", "Intensivstation", "Medizintechnik", "controlled", "very high", ""),
    ("pump-ward-3", "Halvor Medical", "Infuva 300", "HM-300-EU", "4.2.0", "Station 3", "Medizintechnik", "controlled", "high", ""),
    ("vpn-1", "Torhus", "Edge Gateway", "TH-900", "9.1.4", "Rechenzentrum", "Netzwerke", "open", "high", ""),
    ("monitor-12", "Corvia", "Vigil M40", "", "M.04.01", "Überwachung", "Medizintechnik", "controlled", "very high", "Patientendaten"),
    ("monitor-13", "Corvia", "Vigil M40", "", "", "Überwachung", "Medizintechnik", "controlled", "very high", "Patientendaten"),
    ("analyser-1", "Chemora", "Analytica 7", "CA7-0100", "7.3", "Labor Süd", "Labor", "small", "medium", "Patientendaten, Laborwerte"),
    ("archive-1", "Nordlys Imaging", "Radview Server", "", "8.1", "Rechenzentrum", "Radiologie", "controlled", "high", "Patientendaten, Bilder"),
    ("printer-40", "Papyra", "Office Jet 40", "", "2.0", "Küche", "IT-Service", "small", "low", ""),
)  # fmt: skip


def files() -> dict[str, bytes]:
    """Returns what config/demo/risk/ holds, by name."""
    return {
        "devices.csv": ("\r\n".join(";".join(row) for row in (COLUMNS, *DEVICES)) + "\r\n").encode("cp1252"),
        "portal.cdx.json": _json(portal()),
        "portal.vex.cdx.json": _json(portal_vex()),
        "kev.json": _json(kev()),
        "epss.csv": epss().encode(),
        f"ssvc/{PUMP}.json": _json(cve_record(PUMP, "poc", "yes", "total")),
        f"ssvc/{VPN}.json": _json(cve_record(VPN, "active", "yes", "total")),
        f"ssvc/{LABORATORY}.json": _json(cve_record(LABORATORY, "none", "no", "partial")),
        "csaf/halvor.csaf.json": _json(
            advisory(
                "Halvor Medical", "HM-2026-07", PUMP, "Infuva 300", "<4.2", ["HM-300-EU", "HM-300-US"], 8.1
            )
        ),
        "csaf/torhus.csaf.json": _json(
            advisory("Torhus", "TH-26-11", VPN, "Edge Gateway", "<9.1.5", ["TH-900"], 9.8)
        ),
        "csaf/corvia.csaf.json": _json(
            advisory("Corvia", "CV-26-002", MONITOR, "Vigil M40 Patient Monitor", "<=M.04.02", [], 7.5)
        ),
        "csaf/chemora.csaf.json": _json(
            advisory("Chemora", "CH-5", LABORATORY, "Analytica 7", "7.3", ["CA7-0100"], 5.5)
        ),
        "nordlys.csaf.json": _json(
            advisory("Nordlys Imaging", "NI-2026-3", VIEWER, "Radview Server", "<8.3", [], 8.8)
        ),
        "osv/templates.osv.json": _json(osv("GHSA-demo-0005", TEMPLATES, "PyPI", "tplkit", "2.0", "2.4.1")),
        "osv/helper.osv.json": _json(osv("GHSA-demo-0007", HELPER, "npm", "left-wall", "1.0.0", "1.3.0")),
    }


def portal() -> dict[str, Any]:
    """Returns the bill of materials of the patient portal (CycloneDX 1.5)."""
    libraries = (("tplkit", "2.3.0", "pypi"), ("left-wall", "1.2.9", "npm"), ("chartlib", "5.0.1", "npm"))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": "urn:uuid:2f6c9f2e-6d2b-4c55-9e51-0d6d5a4b9701",
        "version": 3,
        "metadata": {
            "timestamp": NOW,
            "component": {
                "type": "application",
                "bom-ref": "portal",
                "name": "patient-portal",
                "version": "26.2",
            },
        },
        "components": [
            {
                "type": "library",
                "bom-ref": name,
                "name": name,
                "version": version,
                "purl": f"pkg:{kind}/{name}@{version}",
            }
            for name, version, kind in libraries
        ],
    }


def portal_vex() -> dict[str, Any]:
    """Returns what the portal's maker says of one of its libraries (CycloneDX VEX)."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "vulnerabilities": [
            {
                "id": HELPER,
                "analysis": {
                    "state": "not_affected",
                    "justification": "code_not_reachable",
                    "detail": "the portal never calls it",
                },
                "affects": [{"ref": "urn:cdx:2f6c9f2e-6d2b-4c55-9e51-0d6d5a4b9701/3#left-wall"}],
            }
        ],
    }


def kev() -> dict[str, Any]:
    """Returns a catalogue in the form of CISA's KEV, with the VPN gateway in it."""
    return {
        "title": "A catalogue made for the demo, in the form of CISA's",
        "catalogVersion": "2026.11.30",
        "dateReleased": NOW,
        "count": 1,
        "vulnerabilities": [
            {
                "cveID": VPN,
                "vendorProject": "Torhus",
                "product": "Edge Gateway",
                "vulnerabilityName": "Torhus Edge Gateway Authentication Bypass",
                "dateAdded": "2026-11-28",
                "shortDescription": "A stranger becomes its administrator.",
                "requiredAction": "Apply updates per vendor instructions.",
                "dueDate": "2026-12-01",
                "knownRansomwareCampaignUse": "Known",
                "notes": "",
                "cwes": ["CWE-287"],
            }
        ],
    }


def epss() -> str:
    """Returns scores in the form of FIRST's daily EPSS file."""
    scores = {
        PUMP: (0.06, 0.91),
        VPN: (0.94, 0.999),
        MONITOR: (0.004, 0.55),
        LABORATORY: (0.0009, 0.2),
        TEMPLATES: (0.31, 0.97),
        HELPER: (0.01, 0.7),
    }
    lines = [f"#model_version:v2025.03.14,score_date:{DAY}T00:00:00+0000", "cve,epss,percentile"]
    return "\n".join([*lines, *(f"{cve},{score},{rank}" for cve, (score, rank) in scores.items())]) + "\n"


def cve_record(cve: str, exploitation: str, automatable: str, impact: str) -> dict[str, Any]:
    """Returns a CVE record 5.1 with the container in which CISA's Vulnrichment says its SSVC points."""
    points = [{"Exploitation": exploitation}, {"Automatable": automatable}, {"Technical Impact": impact}]
    ssvc = {"id": cve, "timestamp": NOW, "options": points, "role": "CISA Coordinator", "version": "2.0.3"}
    about = {"orgId": "00000000-0000-4000-8000-000000000000", "dateUpdated": NOW}
    return {
        "dataType": "CVE_RECORD",
        "dataVersion": "5.1",
        "cveMetadata": {"cveId": cve, "state": "PUBLISHED", "dateUpdated": NOW, "assignerShortName": "demo"},
        "containers": {
            "cna": {
                "providerMetadata": about | {"shortName": "demo"},
                "descriptions": [{"lang": "en", "value": "made up for the demo"}],
                "affected": [],
                "references": [],
            },
            "adp": [
                {
                    "title": "CISA ADP Vulnrichment",
                    "providerMetadata": about | {"shortName": "CISA-ADP"},
                    "metrics": [{"other": {"type": "ssvc", "content": ssvc}}],
                }
            ],
        },
    }


def advisory(
    vendor: str, name: str, cve: str, product: str, versions: str, models: list[str], score: float
) -> dict[str, Any]:
    """Returns a CSAF 2.0 advisory of a vendor about one product, TLP:GREEN by the label of TLP 1."""
    address = f"https://{vendor.split()[0].lower()}.example"
    leaf: dict[str, Any] = {"name": f"{vendor} {product} {versions}", "product_id": "P1"}
    if models:
        leaf["product_identification_helper"] = {"model_numbers": models}
    is_range = versions[0] in "<>"
    return {
        "document": {
            "category": "csaf_security_advisory",
            "csaf_version": "2.0",
            "distribution": {"tlp": {"label": "GREEN", "url": "https://www.first.org/tlp/"}},
            "lang": "en",
            "notes": [{"category": "summary", "text": "made up for the demo", "title": "Summary"}],
            "publisher": {"category": "vendor", "name": f"{vendor} PSIRT", "namespace": address},
            "title": f"{vendor} {product}: {cve}",
            "references": [{"category": "self", "summary": "self", "url": f"{address}/{name.lower()}.json"}],
            "tracking": {
                "current_release_date": NOW,
                "id": name,
                "initial_release_date": NOW,
                "revision_history": [{"date": NOW, "number": "1", "summary": "first"}],
                "status": "final",
                "version": "1",
            },
        },
        "product_tree": {
            "branches": [
                {
                    "category": "vendor",
                    "name": vendor,
                    "branches": [
                        {
                            "category": "product_name",
                            "name": product,
                            "branches": [
                                {
                                    "category": "product_version_range" if is_range else "product_version",
                                    "name": versions,
                                    "product": leaf,
                                }
                            ],
                        }
                    ],
                }
            ]
        },
        "vulnerabilities": [
            {
                "cve": cve,
                "notes": [
                    {"category": "description", "text": "made up for the demo", "title": "Description"}
                ],
                "product_status": {"known_affected": ["P1"]},
                "scores": [
                    {
                        "products": ["P1"],
                        "cvss_v3": {
                            "version": "3.1",
                            "vectorString": f"CVSS:3.1/{VECTORS[score]}",
                            "baseScore": score,
                            "baseSeverity": "CRITICAL" if score >= 9 else "HIGH" if score >= 7 else "MEDIUM",
                        },
                    }
                ],
                "remediations": [
                    {
                        "category": "vendor_fix",
                        "details": "install the vendor's update",
                        "product_ids": ["P1"],
                    }
                ],
            }
        ],
    }


def osv(name: str, cve: str, ecosystem: str, package: str, introduced: str, fixed: str) -> dict[str, Any]:
    """Returns an OSV record about one package."""
    kind = "SEMVER" if ecosystem == "npm" else "ECOSYSTEM"
    return {
        "schema_version": "1.6.0",
        "id": name,
        "modified": NOW,
        "published": NOW,
        "aliases": [cve],
        "summary": "made up for the demo",
        "affected": [
            {
                "package": {"ecosystem": ecosystem, "name": package},
                "ranges": [{"type": kind, "events": [{"introduced": introduced}, {"fixed": fixed}]}],
            }
        ],
    }


def _json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()
