"""Starting, stopping, reloading; and what is said when that cannot be."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

from p2pshare.envelope.inspection import inspect

if TYPE_CHECKING:
    from conftest import Company

pytestmark = pytest.mark.end_to_end


def test_sigterm_and_sigint_end_it_clean_and_after_sigkill_a_stale_socket_fools_nobody(
    company: Company,
) -> None:
    alpha = company.found("alpha")
    control = alpha.home / "run" / "control.sock"
    for number in (signal.SIGTERM, signal.SIGINT):
        alpha.start()
        assert alpha.status()["running"] is True
        alpha.signal(number)
        assert alpha.wait() == 0
        assert not control.exists()
        assert alpha.status()["running"] is False
    assert "error" not in alpha.log()
    alpha.start()
    alpha.kill()
    assert control.is_socket()
    assert alpha.status()["running"] is False
    alpha.start()
    assert alpha.status()["running"] is True


def test_a_second_daemon_on_one_home_refuses_and_the_first_goes_on(company: Company) -> None:
    alpha = company.found("alpha")
    alpha.start()
    said = alpha.run_refused(1)
    assert "is in use by process" in said
    assert "hint: " in said
    assert alpha.status()["running"] is True


def test_a_port_in_use_is_named(company: Company) -> None:
    alpha = company.found("alpha")
    with socket.create_server(("127.0.0.1", alpha.port)):
        said = alpha.run_refused(1)
    assert f"127.0.0.1:{alpha.port}" in said
    assert "hint: " in said
    assert "Traceback" not in said
    alpha.start()


def test_a_key_file_that_others_can_read_or_that_is_damaged_or_missing_is_refused_with_66(
    company: Company,
) -> None:
    alpha = company.found("alpha")
    key_file = alpha.home / "identity.p2pkey"
    raw = key_file.read_bytes()
    key_file.chmod(0o640)
    assert "identity.p2pkey" in alpha.run_refused(66)
    key_file.chmod(0o600)
    key_file.write_bytes(raw[:-1])
    assert "hint: " in alpha.run_refused(66)
    key_file.unlink()
    assert "hint: " in alpha.run_refused(66)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("nonsense = 1\n", "unknown key 'nonsense'"),
        ("name = [\n", "is not TOML"),
        ("[gossip]\nreconcile_seconds = 0\n", "reconcile_seconds"),
    ],
)
def test_a_bad_config_is_refused_with_78_by_run_and_config_check(
    company: Company, line: str, said: str
) -> None:
    alpha = company.found("alpha")
    (alpha.home / "config.toml").write_text(f'name = "A"\nurl = "https://127.0.0.1:1"\n{line}')
    assert said in alpha.run_refused(78)
    assert said in alpha.cli("config", "check", code=78).err


def test_a_home_that_is_none_is_told_by_every_command(company: Company) -> None:
    alpha = company.found("alpha")
    alpha.home = alpha.home / "nowhere"
    commands = (
        ["run"],
        ["status"],
        ["lookup", "x.example"],
        ["publish", "-", "--tlp", "green"],
        ["card", "show"],
    )
    for command in commands:
        said = alpha.cli(*command, stdin=b"x.example\n", codes=(1, 78))
        assert "hint: run `p2pshare init` first" in said.err
    assert not alpha.home.exists()


def test_sighup_and_config_reload_take_the_config_and_keep_the_old_one_when_the_new_is_bad(
    company: Company, eventually: Any
) -> None:
    alpha = company.found("alpha")
    alpha.start()
    text = (alpha.home / "config.toml").read_text()
    alpha.configure("name", '"RENAMED"')
    alpha.signal(signal.SIGHUP)
    eventually(lambda: alpha.status()["name"] == "RENAMED", "the new name")
    (alpha.home / "config.toml").write_text("nonsense = 1\n")
    alpha.signal(signal.SIGHUP)
    eventually(lambda: "unknown key" in alpha.log(), "the mistake is logged")
    said = alpha.cli("config", "reload", codes=(78,))
    assert "unknown key 'nonsense'" in said.err and "hint: " in said.err, "who asks is told"
    assert alpha.status()["name"] == "RENAMED"
    (alpha.home / "config.toml").write_text(text)
    alpha.configure("listen", '"127.0.0.1:1"')
    assert json.loads(alpha.cli("config", "reload", "--json").out)["needs_restart"] == ["listen"]
    assert alpha.status()["name"] != "RENAMED"
    alpha.stop()
    assert "no daemon runs" in alpha.cli("config", "reload", codes=(4,)).err


def test_the_service_manager_hears_ready_reloading_and_stopping(company: Company) -> None:
    alpha = company.found("alpha")
    alpha.start()
    alpha.signal(signal.SIGHUP)
    time.sleep(0.5)
    alpha.stop()
    told = alpha.told_manager()
    order = [told.index(word) for word in ("READY=1", "RELOADING=1", "STOPPING=1")]
    assert order == sorted(order)
    assert told.count("READY=1") == 2


def test_a_hung_daemon_is_not_reachable_and_says_so(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    alpha = company.found("alpha")
    monkeypatch.setattr("p2pshare.daemon.home_lock.HOME_WAIT_SECONDS", 0.2)
    with socket.socket(socket.AF_UNIX) as listener, open(alpha.home / "lock", "w") as lock:
        import fcntl

        fcntl.flock(lock, fcntl.LOCK_EX)
        (alpha.home / "run").mkdir(exist_ok=True)
        listener.bind(str(alpha.home / "run" / "control.sock"))
        said = alpha.cli("partner", "list", code=4).err
    assert "no daemon answers" in said


def test_logs_hold_no_values_and_no_keys(company: Company) -> None:
    alpha, bravo = company.pair()
    alpha.publish("in-no-log.example\n")
    bravo.wait_for("in-no-log.example")
    alpha.stop()
    bravo.stop()
    for log in (alpha.log(), bravo.log()):
        assert "in-no-log" not in log
        assert log.isprintable() or all(line.isprintable() for line in log.splitlines())


def test_the_home_keeps_its_modes(company: Company) -> None:
    alpha = company.found("alpha")
    alpha.start()
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in (alpha.home, *alpha.home.rglob("*"))}
    assert modes["alpha"] == "0o750"
    assert modes["identity.p2pkey"] == "0o600"
    assert modes["store.sqlite"] in ("0o600", "0o640")
    assert modes["run"] == "0o750"
    assert modes["control.sock"] == "0o660"
    assert inspect((alpha.home / "card.p2pcard").read_bytes(), int(time.time())).is_complete
    assert os.path.getsize(alpha.home / "identity.p2pkey") > 0
