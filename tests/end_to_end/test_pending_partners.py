"""Pending partners between real daemons: who knocks is shown, accepted by a person, and linked; nothing it says is believed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.end_to_end


def state(of: Any, other: str) -> str:
    [row] = [row for row in of.cli_json("partner", "list", "--json") if row["alias"] == other]
    return str(row["state"])


def test_who_knocks_is_shown_accepted_and_linked_by_its_fingerprint(
    company: Any, eventually: Callable[..., Any]
) -> None:
    alpha, bravo = company.found("alpha"), company.found("bravo")
    alpha.trust(bravo)
    bravo.start()
    assert bravo.cli("partner", "pending", "--json", code=3).out.strip() == "[]"
    alpha.start()
    [row] = eventually(
        lambda: (
            bravo.cli("partner", "pending", codes=(0, 3)).code == 0
            and bravo.cli_json("partner", "pending", "--json")
        ),
        "alpha is shown",
    )
    assert row["partner_id"] == alpha.partner_id and row["fingerprint"] == alpha.fingerprint
    eventually(lambda: state(alpha, "bravo") == "not-accepted-yet", "told so")
    assert "not accepted yet" in alpha.cli("partner", "list").out
    bravo.cli("partner", "accept", alpha.partner_id, "--fingerprint", bravo.fingerprint, code=5)
    said = bravo.cli_json(
        "partner", "accept", alpha.partner_id[:10], "--fingerprint", alpha.fingerprint, "--json"
    )
    assert said["state"] == "accepted"
    bravo.cli("partner", "pending", code=3)
    eventually(lambda: state(alpha, "bravo") == "connected", "linked", seconds=60)
    alpha.publish("first.example")
    bravo.wait_for("first.example")
