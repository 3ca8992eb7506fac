"""A partner that came later is given what was shared before, and hears of what becomes of it. Real daemons."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from page_commands import run_page

from p2pshare.cli import console

if TYPE_CHECKING:
    from conftest import Company, Partner

    Late = tuple[Partner, Partner, Partner]

pytestmark = pytest.mark.end_to_end
Eventually = Callable[[Callable[[], Any], str], Any]
GREEN_BEFORE, AMBER_BEFORE, NAMED_BEFORE = "before.example", "amber.example", "named.example"
THEIRS, THEIRS_NAMED, THEIRS_AMBER = "theirs.example", "theirs-named.example", "theirs-amber.example"
KEPT = "kept.example"


def active(partner: Partner) -> set[str]:
    return {value for (value,) in partner.query("SELECT value FROM v1_indicators WHERE active = 1")}


@pytest.fixture(scope="module")
def late(shared_company: Company) -> Late:
    """alpha has published to bravo, and bravo to alpha; charlie comes later, is linked with bravo alone, and knows nobody else."""
    alpha, bravo = shared_company.pair()
    bravo.publish(GREEN_BEFORE)
    bravo.publish(KEPT)
    bravo.publish(AMBER_BEFORE, "--tlp", "amber", "--to", "alpha")
    bravo.publish(NAMED_BEFORE, "--to", "alpha")
    alpha.publish(THEIRS)
    alpha.publish(THEIRS_NAMED, "--to", "bravo")
    alpha.publish(THEIRS_AMBER, "--tlp", "amber", "--to", "bravo")
    bravo.wait_for(THEIRS, THEIRS_NAMED, THEIRS_AMBER)
    charlie = shared_company.found("charlie")
    bravo.trust(charlie)
    charlie.trust(bravo)
    charlie.start()
    return alpha, bravo, charlie


def test_a_person_is_asked_once_and_a_no_leaves_nothing_behind(
    late: Late, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, bravo, _ = late
    asked: list[str] = []
    monkeypatch.setattr(console, "can_ask", lambda: True)
    monkeypatch.setattr(console, "ask", lambda question: asked.append(question) or False)
    refused = bravo.cli("share", "history", "charlie", code=5)
    assert "nothing was shared" in refused.err
    assert asked == ["share it?"]
    assert list((bravo.home / "spool").iterdir()) == []
    assert bravo.status()["handing_on"] == []


def test_a_late_partner_reads_what_was_for_all_and_hears_what_becomes_of_it(
    late: Late, eventually: Eventually
) -> None:
    alpha, bravo, charlie = late
    preview = bravo.cli_json("partner", "preview", "charlie", "--json")
    assert preview["handed_on"] == 0
    assert preview["can_read"].get("yes", 0) == 0
    dry = bravo.cli_json("share", "history", "charlie", "--dry-run", "--json")
    refused = {one["reason"]: one["count"] for one in dry["refused"]}
    assert (dry["own"], dry["forwarded"], dry["envelopes"]) == (2, 1, [])
    assert refused["audience-limited"] == 3, refused  # two values of ours, one envelope of alpha's
    assert refused["marking"] == 1
    told = bravo.cli_json("share", "history", "charlie", "--json")
    assert (told["own"], told["forwarded"], len(told["envelopes"])) == (2, 1, 2)
    charlie.wait_for(GREEN_BEFORE, KEPT)
    # of an author that charlie does not know nothing is read, and that is shown there
    eventually(lambda: charlie.status()["refused"].get("author-unknown", 0) >= 1, "it is counted")
    assert charlie.values() == {GREEN_BEFORE, KEPT}
    assert bravo.cli_json("partner", "preview", "charlie", "--json")["handed_on"] == 1
    charlie.trust(alpha, "--no-link")
    told = bravo.cli_json("share", "history", "charlie", "--json")
    assert (told["own"], told["forwarded"]) == (0, 1)
    charlie.wait_for(THEIRS)
    assert charlie.values() == {GREEN_BEFORE, KEPT, THEIRS}
    [(author,)] = charlie.query(f"SELECT author_name FROM v1_claims WHERE value = '{THEIRS}'")
    assert author == "alpha"

    bravo.cli("withdraw", GREEN_BEFORE, "--reason", "mistake", "--yes")
    alpha.cli("withdraw", THEIRS, "--reason", "mistake", "--yes")
    eventually(lambda: active(charlie) == {KEPT}, "charlie hears of both withdrawals")
    # said again, both count again there: alpha's newer version reaches charlie by bravo alone
    bravo.publish(KEPT)
    alpha.publish(THEIRS)
    eventually(lambda: active(charlie) == {KEPT, THEIRS}, "charlie has the newer version")
    again = bravo.cli_json("share", "history", "charlie", "--json")
    assert again["own"] == 0
    assert {one["reason"] for one in again["refused"]} >= {"already-sent", "audience-limited", "withdrawn"}


def test_the_commands_of_the_onboarding_page_do_what_it_says(late: Late, repository: Path) -> None:
    _, bravo, _ = late
    page = repository / "docs" / "onboarding.md"
    typed = run_page(page, lambda _, words: bravo.cli(*words), {}, {"bravo": "charlie"}, "History")
    assert [command.words[-1] for command in typed] == ["--json", "bravo"]


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("nobody",), 3, "no partner is called"),
        (("charlie", "--since", "yesterday"), 2, "--since is no time"),
        ((), 2, "NAME"),
    ],
)
def test_what_is_asked_for_wrongly_is_told(
    late: Late, arguments: tuple[str, ...], code: int, word: str
) -> None:
    assert word in late[1].cli("share", "history", *arguments, code=code).err
