"""A case folder: its inventories, sources and VEX in one store, and what `expect.json` says of the answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from p2pshare.errors import ShareError
from p2pshare.risk.risk_store import RiskStore

NOW = 1_796_000_000  # 2026-11-29
_SOURCES = {".csaf.json": "csaf", ".osv.json": "osv", "vex.cdx.json": "vex"}


def kind_of(path: Path) -> str:
    """Returns `inventory`, the kind of a source, or '' for what is neither."""
    for ending, kind in _SOURCES.items():
        if path.name.endswith(ending):
            return kind
    if path.suffix in (".csv", ".xml") or path.name.endswith(".cdx.json"):
        return "inventory"
    return ""


class CaseRun:
    """What came of a folder: answers by file, files that were refused whole, sentences that were told."""

    def __init__(self, folder: Path, store: RiskStore, files: list[Path] | None = None) -> None:
        self.expected: dict[str, Any] = json.loads((folder / "expect.json").read_text())
        self.store = store
        self.answers: dict[str, Any] = {}
        self.refused_files: list[str] = []
        for path in files or sorted(folder.iterdir()):
            if kind := kind_of(path):
                self._take(path, kind)
        for vendor, product in self.expected.get("confirm", ()):
            store.decide_aliases(vendor=vendor, product=product, status="confirmed", by="a person", now=NOW)

    def _take(self, path: Path, kind: str) -> None:
        try:
            if kind == "inventory":
                self.answers[path.name] = self.store.import_inventory(path, now=NOW)
            else:
                self.answers[path.name] = self.store.add_source(kind, path, now=NOW)
        except ShareError:
            self.refused_files.append(path.name)

    @property
    def told(self) -> list[str]:
        return [
            one["why"] if isinstance(one, dict) else one.why
            for answer in self.answers.values()
            for one in answer.told
        ]

    def findings(self, wanted: dict[str, Any]) -> list[dict[str, Any]]:
        """Returns the findings, of any state, that `wanted` names."""
        rows = [one.as_json() for one in self.store.rank(now=NOW, with_all=True)]
        return [
            row
            for row in rows
            if row["match"] != "candidate-name"
            and wanted.get("asset", row["asset"]) == row["asset"]
            and wanted.get("component", row["component"]["ref"]) == row["component"]["ref"]
            and wanted.get("vulnerability", row["vulnerability"]) == row["vulnerability"]
        ]

    def faults(self) -> Iterator[str]:
        """Yields what is not as expected."""
        for wanted in self.expected.get("rank", ()):
            states = wanted["state"] if isinstance(wanted["state"], list) else [wanted["state"]]
            found = self.findings(wanted)
            if not found or any(row["state"] not in states for row in found):
                yield f"{wanted} is {[row['state'] for row in found]}"
            for row in found:
                if "disagreement" in wanted and bool(row["disagreement"]) != wanted["disagreement"]:
                    yield f"{wanted}: {row['disagreement']}"
                if "justification" in wanted and row["justification"] != wanted["justification"]:
                    yield f"{wanted}: {row['justification']}"
        for wanted in self.expected.get("never", ()):
            if any(row["state"] == wanted["state"] for row in self.findings(wanted)):
                yield f"{wanted} is there"
        if sorted(self.expected.get("refused_files", [])) != self.refused_files:
            yield f"refused whole: {self.refused_files}"
        yield from self._import_faults()

    def _import_faults(self) -> Iterator[str]:
        wanted = self.expected.get("components", [])
        refs = [ref for (ref,) in self.store.fetch("SELECT bom_ref FROM asset_component ORDER BY bom_ref")]
        if wanted and sorted(wanted) != refs:
            yield f"components are {refs}"
        for one in self.expected.get("told", []):
            if isinstance(one, str):
                if one not in self.told:
                    yield f"{one!r} is not among {self.told}"
            elif not any(told.row == one["row"] for answer in self.answers.values() for told in answer.told):
                yield f"nothing is told of row {one['row']}"
        for one in self.expected.get("refused", []):
            if not any(each.row == one["row"] for answer in self.answers.values() for each in answer.refused):
                yield f"row {one['row']} is not refused"
        if "read" in self.expected:
            (answer,) = self.answers.values()
            if answer.read != self.expected["read"] or answer.assets not in self.expected["assets"]:
                yield f"{answer}"
