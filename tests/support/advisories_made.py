"""Advisories as tests need them: CSAF documents of a few products, small and whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Leaf = dict[str, Any]


def leaf(identifier: str, version: str, *, category: str = "product_version", **helper: Any) -> Leaf:
    """Returns a branch with a product; `helper` are members of its identification helper."""
    product: dict[str, Any] = {"product_id": identifier, "name": f"{identifier} {version}"}
    if helper:
        product["product_identification_helper"] = helper
    return {"category": category, "name": version, "product": product}


def branches(vendor: str, **products: list[Leaf]) -> list[Leaf]:
    """Returns a vendor with its products; `_` in a product's name is a blank."""
    return [
        {
            "category": "vendor",
            "name": vendor,
            "branches": [
                {"category": "product_name", "name": name.replace("_", " "), "branches": leaves}
                for name, leaves in products.items()
            ],
        }
    ]


def csaf(
    status: dict[str, list[str]],
    tree: dict[str, Any],
    *,
    vulnerability: str = "CVE-2026-1001",
    tracking: str = "T-1",
    version: str = "1",
    publisher: str = "CERT",
    category: str = "coordinator",
    csaf_version: str = "2.0",
    date: str = "2026-11-01T08:00:00Z",
    **members: Any,
) -> dict[str, Any]:
    """Returns a document about one vulnerability; `members` are further ones of the vulnerability."""
    return {
        "document": {
            "category": "csaf_vex",
            "csaf_version": csaf_version,
            "title": "made for a test",
            "publisher": {
                "category": category,
                "name": publisher,
                "namespace": f"https://{publisher.lower()}.example",
            },
            "tracking": {"id": tracking, "version": version, "status": "final", "current_release_date": date},
        },
        "product_tree": tree,
        "vulnerabilities": [{"cve": vulnerability, "product_status": status, **members}],
    }


def written(folder: Path, name: str, content: object) -> Path:
    """Returns the path of a file with `content`: text, bytes, or what becomes JSON."""
    path = folder / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path
