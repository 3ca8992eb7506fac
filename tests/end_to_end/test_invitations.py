"""Invitations between real daemons: from a line to the first indicator, and what a line is worth in other hands."""

from __future__ import annotations

from typing import Any


def found_running(company: Any, name: str, **options: Any) -> Any:
    partner = company.found(name, **options)
    partner.start()
    return partner


def test_from_a_line_to_the_first_indicator(company: Any, eventually: Any) -> None:
    alpha, bravo = found_running(company, "alpha"), found_running(company, "bravo")
    invited = alpha.cli_json("invite", "bravo", "--json")
    assert set(invited) == {"line", "partner", "expires"}
    joined = bravo.cli_json("join", "-", "--json", stdin=invited["line"].encode())
    assert (joined["partner_id"], joined["name"], joined["state"]) == (alpha.partner_id, "ALPHA", "waiting")
    [waiting] = alpha.cli_json("partner", "pending", "--json")
    assert waiting["partner_id"] == bravo.partner_id
    for one, other in ((alpha, bravo), (bravo, alpha)):
        one.cli_json("partner", "accept", other.partner_id, "--words", joined["words"], "--json")
    bravo.publish("198.51.100.7\n", "--to", "alpha")
    alpha.wait_for("198.51.100.7")
