"""Ranks an inventory of 10,000 assets against 50,000 vulnerabilities, in a process of its own whose memory is looked at."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from measuring import Report

SIZE = (10_000, 200_000, 50_000)  # assets, components, vulnerabilities


def measure(report: Report, folder: Path, *, size: tuple[int, int, int] = SIZE) -> None:
    folder.mkdir()
    program = [sys.executable, str(Path(__file__).parent / "risk_figures.py"), str(folder), *map(str, size)]
    done = subprocess.run(program, stdout=subprocess.PIPE, text=True, check=True)
    figures = json.loads(done.stdout)
    for name, figure in figures.items():
        unit = "MiB" if name.endswith("MiB") else "" if name in ("findings", "places") else "s"
        report.add(f"risk: {name}", unit, [figure])
    report.gate("risk: rank, cold, s", figures["rank, cold"], 60, is_at_least=False)
    report.gate("risk: one document and rank, s", figures["one document and rank"], 2, is_at_least=False)
    report.gate("risk: peak memory of all of it, MiB", figures["peak MiB"], 500, is_at_least=False)
