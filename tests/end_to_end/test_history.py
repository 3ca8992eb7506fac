"""A partner that came later is given what was shared before, and hears of what becomes of it. Real daemons."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Company, Partner, link, wait_until

GREEN_BEFORE, AMBER_BEFORE, NAMED_BEFORE = "before.example", "amber.example", "named.example"
THEIRS, THEIRS_NAMED, THEIRS_AMBER = "theirs.example", "theirs-named.example", "theirs-amber.example"


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    made = Company(tmp_path_factory.mktemp("history"))
    try:
        yield made
    finally:
        for one in made.partners:
            one.end()


@pytest.fixture(scope="module")
def late(company: Company) -> tuple[Partner, Partner, Partner]:
    """alpha has published to bravo, and bravo to alpha; charlie comes later and is linked with bravo alone, and knows alpha."""
    alpha, bravo = company.pair()
    bravo.publish(GREEN_BEFORE)
    bravo.publish(AMBER_BEFORE, "--tlp", "amber", "--to", "alpha")
    bravo.publish(NAMED_BEFORE, "--to", "alpha")
    alpha.publish(THEIRS)
    alpha.publish(THEIRS_NAMED, "--to", "bravo")
    alpha.publish(THEIRS_AMBER, "--tlp", "amber", "--to", "bravo")
    bravo.wait_for(THEIRS, THEIRS_NAMED, THEIRS_AMBER)
    charlie = company.found("charlie")
    link(bravo, charlie)
    charlie.trust(alpha, "--no-link")
    charlie.start()
    return alpha, bravo, charlie


def test_a_late_partner_reads_what_was_for_all_and_hears_of_what_becomes_of_it(
    late: tuple[Partner, Partner, Partner],
) -> None:
    alpha, bravo, charlie = late
    dry = bravo.cli_json("share", "history", "charlie", "--dry-run", "--json")
    refused = {one["reason"]: one["count"] for one in dry["refused"]}
    assert dry["own"] == 2  # a value and our identity
    assert dry["forwarded"] == 1
    assert dry["envelopes"] == []
    assert refused["audience-limited"] >= 2
    assert refused["marking"] == 1
    told = bravo.cli_json("share", "history", "charlie", "--json")
    assert (told["own"], told["forwarded"], len(told["envelopes"])) == (2, 1, 2)
    charlie.wait_for(GREEN_BEFORE, THEIRS)
    print(charlie.query("select * from v1_claims"))
    assert charlie.values() == {GREEN_BEFORE, THEIRS}
    # a newer version, and a withdrawal, of ours and of theirs
    bravo.cli("withdraw", GREEN_BEFORE, "--reason", "mistake", "--yes")
    alpha.cli("withdraw", THEIRS, "--reason", "mistake", "--yes")
    def gone() -> bool:
        rows = charlie.query("SELECT count(*) FROM v1_indicators WHERE status = 'active'")
        return rows == [(0,)]
    wait_until(gone, "charlie hears of both withdrawals")
