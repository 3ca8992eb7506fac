"""What the suite costs, by file: CPU seconds of the test process and of what it started and waited for.

CPU, for four processes share two cores: how long a test took says more about its neighbours.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence

import pytest

SHOWN = 10
FILES_MIN = 20  # below it somebody looks at a few tests, and knows which
LONGEST_FIRST = (
    "simulation/test_simulation_slice.py",
    "bench/test_bench.py",
    "end_to_end/test_publishing_streamed.py",
    "end_to_end/test_own_card.py",
    "end_to_end/test_behind_one_hub.py",
    "end_to_end/test_real_data.py",
    "sharing/test_sharing_worst_envelope.py",
    "simulation/test_simulation_planted_bugs.py",
    "bench/test_bench_siege.py",
    "test_nightly.py",
    "test_wheel.py",
    "booted/test_booted_service.py",
    "bench/test_bench_peers.py",
    "end_to_end/test_operations_pages_backup.py",
    "end_to_end/test_federation.py",
    "end_to_end/test_operations_pages.py",
    "end_to_end/test_doctor_partners.py",
    "cli/test_cli_hostile_values.py",
    "sharing/test_sharing_no_echo.py",
    "store/test_store_property.py",
    "test_plug_ins.py",
    "end_to_end/test_stolen_keys.py",
    "end_to_end/test_introductions.py",
    "end_to_end/test_invitations.py",
    "end_to_end/test_proxies.py",
    "spaces/test_spaces_naive_fold.py",
)
"""Below tests/: what takes longest, by CPU or by waiting, when this was last looked at. A run prints what it is now."""

_before = 0.0


def begin() -> None:
    """Counts from here: what collecting took is no test's."""
    global _before
    _before = _spent()


def note(report: pytest.TestReport) -> None:
    """Writes into `report` what was spent since the one before; a report may have been made in another process."""
    global _before
    now = _spent()
    report.cpu_seconds, _before = now - _before, now  # type: ignore[attr-defined]


def _spent() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def told(reports: Sequence[pytest.TestReport]) -> str:
    """Returns the SHOWN files that cost most, and how long before the last each process was done; "" for few files."""
    cost: dict[str, float] = defaultdict(float)
    took: dict[str, float] = defaultdict(float)
    ended: dict[str, tuple[float, str]] = {}
    for report in reports:
        file = report.nodeid.partition("::")[0]
        cost[file] += getattr(report, "cpu_seconds", 0.0)
        took[file] += report.duration
        worker = getattr(report, "worker_id", "")
        ended[worker] = max(ended.get(worker, (0.0, "")), (report.stop, file))
    if len(cost) < FILES_MIN:
        return ""
    dearest = sorted(cost, key=lambda file: -cost[file])[:SHOWN]
    lines = [f"{sum(cost.values()):.0f} CPU s in {len(cost)} files; the dearest, with the seconds they took:"]
    lines += [f"  {cost[file]:6.1f} {took[file]:6.1f}  {file}" for file in dearest]
    last = max(ended.values())[0]
    lines += [f"  done {last - stop:.0f} s before the last: {file}" for stop, file in sorted(ended.values())]
    return "\n".join(lines) + "\n"
