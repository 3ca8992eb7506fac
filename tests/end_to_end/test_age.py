"""Time passes: what nobody has said or seen again leaves the SIEM of a running daemon, and the feed says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Company

pytestmark = pytest.mark.end_to_end
Eventually = Callable[[Callable[[], Any], str], Any]


def test_a_daemon_sweeps_away_what_is_over(company: Company, eventually: Eventually) -> None:
    alpha, bravo = company.pair()
    alpha.publish("198.51.100.32\nold-but-not-over.example\n")
    bravo.wait_for("198.51.100.32", "old-but-not-over.example")
    bravo.stop()
    bravo.start(clock_ahead_seconds=33 * 86_400)
    gone = "SELECT op, value, reason, score FROM v1_changes ORDER BY seq"
    wanted = {("remove", "198.51.100.32", "decay", 0), ("update", "old-but-not-over.example", None, 45)}
    eventually(lambda: wanted <= set(bravo.query(gone)), "bravo has swept")
    shown = bravo.query("SELECT value, status FROM v1_claims ORDER BY value")
    assert shown == [("198.51.100.32", "expired"), ("old-but-not-over.example", "active")]
    assert "198.51.100.32" in alpha.cli("export", "--format", "list").out
