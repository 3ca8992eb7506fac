"""Who did what at a running daemon: each act, once, with the name that the kernel gives; never what people wrote."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from page_commands import run_page

if TYPE_CHECKING:
    from conftest import Company, Partner

pytestmark = pytest.mark.end_to_end
VALUE = "audited-value.example"


@pytest.fixture(scope="module")
def alpha(shared_company: Company) -> Partner:
    partner = shared_company.found("audited")
    partner.trust(shared_company.found("other"), "--alias", "other")
    partner.start()
    return partner


def listed(partner: Partner, *more: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = partner.cli_json("audit", "list", *more, "--json")
    return found


def raw_log(partner: Partner) -> bytes:
    return b"".join(one.read_bytes() for one in sorted((partner.home / "audit").glob("*.log")))


def test_publish_withdraw_configuration_and_export_are_in_the_log_and_the_journal_and_no_value_is(
    alpha: Partner,
) -> None:
    alpha.publish(f"{VALUE}\n")
    [shown] = alpha.cli_json("search", "--type", "domain", "--since", "1h", "--json")
    alpha.cli("withdraw", VALUE, "--reason", "mistake", "--yes")
    alpha.cli("withdraw", "unheard-of.example", "--reason", "mistake", "--yes", codes=(1, 3))
    alpha.cli("export", "--format", "stix", "-o", str(alpha.home / "out.json"))
    alpha.configure("watch_days", "90")
    alpha.signal(signal.SIGHUP)
    deadline = time.monotonic() + 20
    while not listed(alpha, "--action", "config-reload") and time.monotonic() < deadline:
        time.sleep(0.1)
    found = listed(alpha)
    acts = [(one["action"], one["result"]) for one in found]
    for act in ("init", "start", "partner-add", "publish", "withdraw", "export", "config-reload"):
        assert (act, "done") in acts, acts
    [failed] = [one for one in found if one["action"] == "withdraw" and one["result"] != "done"]
    assert failed["result"] == "not-found"
    [withdrawn] = [one for one in found if one["action"] == "withdraw" and one["result"] == "done"]
    assert shown["id"] in withdrawn["subject"]
    [reloaded] = [one for one in found if one["action"] == "config-reload"]
    assert (reloaded["subject"], reloaded["uid"], reloaded["user"]) == (
        "changed=incidents.watch_days",
        -1,
        "",
    )
    assert {one["uid"] for one in found if one["action"] != "config-reload"} == {os.getuid()}
    assert all(set(one) == {"at", "user", "uid", "action", "subject", "result"} for one in found)
    for word in (VALUE, "unheard-of"):
        assert word.encode() not in raw_log(alpha)
    for one in [json.loads(line) for line in raw_log(alpha).splitlines()]:
        if one["action"] in ("publish", "withdraw", "config-reload"):
            assert f"audit {one['number']}:" in alpha.log()


def test_a_log_that_cannot_be_written_keeps_acts_from_being_done_and_nobody_from_looking(
    alpha: Partner,
) -> None:
    folder = alpha.home / "audit"
    folder.rename(alpha.home / "away")
    folder.write_text("")
    try:
        said = alpha.cli("allow", "harmless.example", codes=(1,))
        assert "audit log" in said.err and "nothing was done" in said.err
        assert alpha.cli_json("allow", "--list", "--json") == []
        alpha.status()
    finally:
        folder.unlink()
        (alpha.home / "away").rename(folder)
    alpha.cli("allow", "harmless.example")
    assert listed(alpha)[-1]["action"] == "allow-add"
    assert alpha.cli_json("audit", "check", "--json")["faults"] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="skipped: only root asks as another user")
def test_a_member_of_the_group_is_named_as_the_kernel_names_it_whatever_its_environment_says(
    alpha: Partner,
) -> None:
    """The daemon runs as root here: `nobody` comes in by root's group, and the home's folders let that group pass."""
    alpha.configure("group", '"root"')
    alpha.stop()
    alpha.start()
    opened = [alpha.home, *alpha.home.parents]
    modes = {one: one.stat().st_mode & 0o7777 for one in opened if not one.stat().st_mode & 0o001}
    try:
        for one in modes:
            one.chmod(modes[one] | 0o011)
        command = [
            "setpriv",
            "--reuid=65534",
            "--regid=0",
            "--clear-groups",
            *alpha.command("allow", "theirs.example"),
        ]
        environment = {
            **os.environ,
            "USER": "root",
            "LOGNAME": "root",
            "SUDO_USER": "root",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=False, env=environment
        )
        if "Permission denied" in done.stderr and "python" in done.stderr:
            pytest.skip("skipped: the interpreter is not readable for other users here")
        assert done.returncode == 0, done.stderr
    finally:
        for one, mode in modes.items():
            one.chmod(mode)
    last = [one for one in listed(alpha) if one["action"] == "allow-add"][-1]
    assert (last["user"], last["uid"]) == ("nobody", 65534)


def test_a_chain_that_was_cut_is_told_by_check_and_by_a_place_of_the_journal(
    alpha: Partner, tmp_path: Path
) -> None:
    place = alpha.cli_json("audit", "check", "--json")["ends"]
    assert alpha.cli_json("audit", "check", "--at", place, "--json")["faults"] == []
    alpha.stop()
    [path] = sorted((alpha.home / "audit").glob("*.log"))
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    assert "audit-not-whole" in alpha.cli("audit", "check", "--at", place, "--json", codes=(1,)).err
    path.write_bytes(b"".join([*lines[:1], *lines[2:]]))
    assert "audit-not-whole" in alpha.cli("audit", "check", "--json", codes=(1,)).err
    path.write_bytes(whole)


@pytest.mark.parametrize("page", ["audit.md", "upgrading.md", "proxy.md"])
def test_each_command_of_the_page_can_be_typed(alpha: Partner, repository: Path, page: str) -> None:
    def typed(_: str, words: list[str]) -> None:
        alpha.cli(*words)

    assert run_page(repository / "docs" / "operations" / page, typed, {}, {})
