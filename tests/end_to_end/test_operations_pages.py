"""The commands of pages in docs/operations/, run in order with real daemons: what a page promises is looked at after each."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from doctor_faults import read_findings
from page_commands import run_page

from p2pshare.cli import card as cli_card
from p2pshare.node.keyfile import PASSPHRASE_FILE_VARIABLE

if TYPE_CHECKING:
    from conftest import Company, Partner

DAY = 86_400
Wait = Callable[..., Any]
Run = Callable[[str, list[str]], object]


def page(repository: Path, name: str) -> Path:
    return repository / "docs" / "operations" / name


def on(homes: dict[str, Partner], codes: tuple[int, ...] = (0,)) -> Run:
    """Runs the program on the home of each machine."""

    def run(machine: str, arguments: list[str]) -> None:
        homes[machine].cli(*arguments, codes=codes)

    return run


def levels(partner: Partner, *checks: str) -> list[str]:
    found = read_findings(partner.cli("doctor", "--json", codes=(0, 1)).out)
    return [
        f"{one.check}: {one.message}"
        for one in found
        if one.check in checks and one.level in ("warn", "fail")
    ]


@pytest.fixture(scope="module")
def pair(shared_company: Company) -> tuple[Partner, Partner]:
    """alpha and bravo, linked and running, for one page after the other."""
    return shared_company.pair()


def test_employee_leaves(
    repository: Path,
    pair: tuple[Partner, Partner],
    tmp_path: Path,
    eventually: Wait,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alpha, bravo = pair
    alpha.publish("before.example\n")
    bravo.wait_for("before.example")
    new = tmp_path / "new.pass"
    new.write_text("five random words are better\n")
    new.chmod(0o600)
    before = alpha.cli_json("card", "show", "--json")
    (key,) = (one["key_id"] for one in before["keys"] if (one["kind"], one["state"]) == ("sign", "current"))
    left: list[list[str]] = []

    def systemctl(_: str, words: list[str]) -> None:
        if words == ["start", "p2pshare"]:
            monkeypatch.setenv(PASSPHRASE_FILE_VARIABLE, str(new))
            alpha.start()
        else:
            assert alpha.stop() == 0

    others: dict[str, Run] = {"systemctl": systemctl, "gpasswd": lambda _, words: left.append(words)}
    run_page(
        page(repository, "employee-leaves.md"), on({"": alpha}), others, {"KEY": key, "new.pass": str(new)}
    )
    assert left == [["--delete", "LEAVER", "p2pshare"]]
    after = alpha.cli_json("card", "show", "--json")
    assert [one["state"] for one in after["keys"] if one["key_id"] == key] == ["revoked"]
    alpha.publish("after.example\n")
    bravo.wait_for("before.example", "after.example")
    monkeypatch.delenv(PASSPHRASE_FILE_VARIABLE)
    assert alpha.stop() == 0
    alpha.run_refused(66)  # without the new passphrase nothing opens
    monkeypatch.setenv(PASSPHRASE_FILE_VARIABLE, str(new))
    alpha.cli("passphrase", "set", "--new-file", str(new))


def test_clock_wrong(
    repository: Path,
    pair: tuple[Partner, Partner],
    tmp_path: Path,
    eventually: Wait,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alpha, bravo = pair
    new = tmp_path / "new.pass"
    new.write_text("five random words are better\n")
    new.chmod(0o600)
    monkeypatch.setenv(PASSPHRASE_FILE_VARIABLE, str(new))
    values = tmp_path / "values.txt"
    values.write_text("again.example\n")
    alpha.start(faketime="+2h")
    eventually(lambda: levels(bravo, "clock"), "both see it")
    alpha.publish("again.example\n")

    def timedatectl(_: str, words: list[str]) -> None:
        assert words == ["set-ntp", "true"]
        assert any("ahead of that of bravo" in one for one in levels(alpha, "clock"))
        assert "again.example" not in bravo.values(), "it waits until its time has come"
        assert alpha.stop() == 0
        alpha.start()
        eventually(lambda: not levels(bravo, "partners"), "the clock is right again")

    run_page(
        page(repository, "clock-wrong.md"),
        on({"": alpha}, (0, 1)),
        {"timedatectl": timedatectl},
        {"values.txt": str(values)},
    )
    assert [one for one in levels(alpha, "clock") if " ahead of " in one or " behind that" in one] == []


def test_partner_leaves(repository: Path, pair: tuple[Partner, Partner], eventually: Wait) -> None:
    alpha, bravo = pair
    bravo.publish("theirs.example\n")
    alpha.wait_for("theirs.example")
    feed = "SELECT op FROM v1_changes WHERE value = 'theirs.example'"
    seen: list[tuple[str, list[tuple[Any, ...]]]] = []

    def run(_: str, arguments: list[str]) -> None:
        told = alpha.cli(*arguments)
        seen.append((" ".join(arguments), alpha.query(feed)))
        if arguments[-2:] == ["distrust", "bravo"]:
            assert "theirs.example" not in alpha.values()
            (row,) = alpha.cli_json("partner", "list", "--json")
            assert row["distrusted"] and row["state"] == "connected", "the link stays"
            assert "distrusted bravo: since" in alpha.cli("partner", "list").out
            bravo.publish("meanwhile.example\n")
            eventually(lambda: alpha.status()["envelopes"]["unread"] == 1, "it is carried, and waits")
        if arguments[-2:] == ["remove", "bravo"]:
            assert alpha.status()["partners"] == []
        assert told.code == 0

    card = {"bravo.p2pcard": str(bravo.home / "card.p2pcard"), "FINGERPRINT": bravo.fingerprint}
    run_page(page(repository, "partner-leaves.md"), run, {}, card)
    assert [one for one in seen if " add " not in one[0]] == [
        ("partner distrust bravo", [("remove",)]),
        ("partner remove bravo", [("remove",)]),
        ("status", [("remove",)]),
        ("partner trust bravo", [("add",)]),
    ]
    assert "theirs.example" in alpha.values()
    alpha.wait_for("meanwhile.example")


def test_certificate_ends(
    repository: Path, company: Company, eventually: Wait, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page at day 31, then a node and its partner that were both off until day 100."""
    alpha, bravo = company.linked("alpha", "bravo")
    apart, root = company.found("apart", is_dialable=False), tmp_path / "root.p2pkey"
    shutil.rmtree(apart.home)
    apart.cli("init", "--name", "Apart", "--dial-only", "--roots-to", str(root))
    true = time.time
    with monkeypatch.context() as later:
        later.setattr(time, "time", lambda: true() + 31 * DAY)
        later.setattr(cli_card, "now_seconds", lambda: int(time.time()))
        files = {name: str(tmp_path / name) for name in ("next.p2pcard", "signed.p2pcard", "alpha.p2pcard")}
        machines = {"": alpha, "apart": apart, "keeper": apart, "partner": bravo}
        run_page(
            page(repository, "certificate-ends.md"),
            on(machines, (0, 1, 6)),
            {},
            files | {"root.p2pkey": str(root), "FINGERPRINT": alpha.fingerprint},
        )
        for one in (alpha, apart):
            assert one.cli_json("card", "show", "--json")["version"] == 2, one.name
            assert levels(one, "card", "certificate", "roots") == []
        assert [row["card_version"] for row in bravo.cli_json("partner", "list", "--json")] == [2]
    alpha.start(faketime="+190d")
    bravo.start(faketime="+190d")
    eventually(
        lambda: all(one.status()["partners"][0]["state"] == "connected" for one in (alpha, bravo)),
        "each has renewed its keys, knocked at the other's door, and was let in",
        seconds=60,
    )
