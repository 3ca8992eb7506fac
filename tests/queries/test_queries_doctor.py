"""The doctor's look at a node: each thing that is broken is a line with a mend, and hides no other."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from whole_nodes import NOW, World, befriend, raw_draft, seal_unchecked, take_in

from p2pshare.cli import installation
from p2pshare.config import Config
from p2pshare.envelope.keys import Secret
from p2pshare.limits import MIB
from p2pshare.node.keyfile import PASSPHRASE_FILE_VARIABLE, write_key_file
from p2pshare.node.node import Node
from p2pshare.queries import doctor
from p2pshare.queries.doctor import examine_node
from p2pshare.queries.doctor_words import Finding
from p2pshare.queries.own_door import look_at_listener
from p2pshare.queries.status import KEYS_WARNING_DAYS
from p2pshare.sharing.intake import Arrival

AT_THE_DOOR = {"listen", "url"}
"""Checks with tests of their own, which need real addresses."""
ALWAYS = {"warning-lists": "warn"}
"""What is said of each new node."""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for look in ("look_at_listener", "look_at_url"):
        monkeypatch.setattr(doctor, look, lambda *_, **__: iter(()))
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture
def alpha(world: World) -> Node:
    return world.found("alpha")


def findings(node: Node, now: int = NOW, *, is_running: bool = True) -> dict[str, Finding]:
    """By check, the worst of each; what is not ok has a hint, and every check is made whatever else is broken."""
    found: dict[str, Finding] = {}
    for one in sorted(examine_node(node.home, is_running=is_running, now=now), key=_severity):
        found[one.check] = one
        assert one.message
        assert one.mend or one.level == "ok"
    assert set(found) - AT_THE_DOOR == doctor.CHECKS - AT_THE_DOOR - {"spaces", "reachable"}
    return found


def _severity(finding: Finding) -> int:
    return ["ok", "skipped", "warn", "fail"].index(finding.level)


def levels(node: Node, now: int = NOW, *, is_running: bool = True) -> dict[str, str]:
    """Only what is wrong, and not so with every new node."""
    found = findings(node, now, is_running=is_running).values()
    levels = {one.check: one.level for one in found if one.level in ("warn", "fail")}
    assert ALWAYS.items() <= levels.items()
    return {check: level for check, level in levels.items() if check not in ALWAYS}


def test_a_new_node_is_well_and_each_check_has_its_line(alpha: Node) -> None:
    found = examine_node(alpha.home, is_running=True, now=NOW)
    assert len(found) == len(doctor.CHECKS - AT_THE_DOOR - {"spaces", "reachable"})
    assert levels(alpha) == {}
    assert levels(alpha, is_running=False) == {"daemon": "warn"}


@pytest.mark.parametrize(
    ("name", "mode", "level"),
    [
        ("", 0o750, None),
        ("", 0o755, "warn"),
        ("", 0o770, "fail"),
        ("config.toml", 0o664, None),
        ("config.toml", 0o666, "fail"),
        ("store.sqlite", 0o640, None),
        ("store.sqlite", 0o660, "fail"),
        ("store.sqlite", 0o604, "fail"),
    ],
)
def test_files_that_are_open_to_others_are_told_with_the_command_that_mends(
    alpha: Node, name: str, mode: int, level: str | None
) -> None:
    (alpha.home / name).chmod(mode)
    assert levels(alpha).get("permissions") == level
    if level:
        assert findings(alpha)["permissions"].mend.startswith("`chmod ")


def test_a_key_file_that_is_open_damaged_or_gone_fails(alpha: Node) -> None:
    key = alpha.home / "identity.p2pkey"
    key.chmod(0o644)
    assert levels(alpha) == {"keys": "fail"}
    key.chmod(0o600)
    key.write_bytes(key.read_bytes()[:-1])
    assert levels(alpha) == {"keys": "fail"}
    key.unlink()
    assert levels(alpha) == {"keys": "fail"}


def test_a_passphrase_that_is_open_weak_or_not_used_is_told(
    alpha: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, key = tmp_path / "given", alpha.home / "identity.p2pkey"
    given.write_text("correct horse")
    given.chmod(0o600)
    monkeypatch.setenv(PASSPHRASE_FILE_VARIABLE, str(given))
    assert levels(alpha) == {"passphrase": "warn"}
    assert "not encrypted" in findings(alpha)["passphrase"].message
    write_key_file(key, alpha.identity, Secret(b"correct horse"), scrypt_log_n=10)
    assert levels(alpha) == {}
    given.chmod(0o640)
    assert levels(alpha) == {"passphrase": "fail"}
    assert findings(alpha)["passphrase"].mend == f"chmod 600 {given}"
    key.chmod(0o644)
    assert levels(alpha) == {"keys": "fail", "passphrase": "fail"}, "one hides no other"
    write_key_file(key, alpha.identity, Secret(b"short"), scrypt_log_n=10)
    given.write_text("short")
    given.chmod(0o600)
    assert levels(alpha) == {"passphrase": "warn"}
    assert "5 of at least 12 characters" in findings(alpha)["passphrase"].message
    key.unlink()
    assert levels(alpha) == {"keys": "fail"}


def test_a_key_file_in_the_clear_is_no_fault_and_is_said(alpha: Node) -> None:
    assert "not encrypted" in findings(alpha)["keys"].message
    write_key_file(alpha.home / "identity.p2pkey", alpha.identity, Secret(b"correct horse"), scrypt_log_n=10)
    assert levels(alpha) == {}
    assert "not encrypted" not in findings(alpha)["keys"].message


def test_a_broken_config_hides_no_other_finding(alpha: Node) -> None:
    (alpha.home / "config.toml").write_text("nonsense")
    assert levels(alpha) == {"config": "fail"}


def test_a_card_that_ends_soon_warns_and_one_that_has_ended_fails(alpha: Node) -> None:
    end = alpha.identity.card.sign_keys[0].expires
    soon = end - KEYS_WARNING_DAYS * 86_400
    assert [levels(alpha, at).get("card") for at in (soon, soon + 1, end - 1, end)] == [
        None,
        "warn",
        "warn",
        "fail",
    ]
    (alpha.home / "card.p2pcard").write_bytes(b"no card")
    assert levels(alpha)["card"] == "fail"


@pytest.mark.parametrize(
    ("free_mib", "level"), [(63, "fail"), (64, "warn"), (255, "warn"), (256, None), (257, None)]
)
def test_the_disk_at_its_floor_and_at_four_times_that(
    alpha: Node, monkeypatch: pytest.MonkeyPatch, free_mib: int, level: str | None
) -> None:
    class Usage:
        f_bavail, f_frsize, f_flag = free_mib, MIB, 0

    monkeypatch.setattr(doctor.os, "statvfs", lambda _: Usage)
    assert levels(alpha).get("disk") == level


def test_a_damaged_store_fails_and_is_not_believed(world: World, alpha: Node) -> None:
    alpha.store.close()
    store = alpha.home / "store.sqlite"
    raw = bytearray(store.read_bytes())
    raw[8_192:16_384] = b"\xff" * 8_192
    store.write_bytes(raw)
    found = findings(alpha)
    assert found["store"].level == "fail"
    assert "backup" in found["store"].mend
    store.unlink()
    assert levels(alpha)["store"] == "fail"
    assert "start the daemon" in findings(alpha)["store"].mend


def test_a_clock_that_went_back_fails_and_a_partner_from_the_future_warns(world: World, alpha: Node) -> None:
    bravo = world.found("bravo")
    befriend(alpha, bravo)
    bravo_id = bravo.identity.partner_id
    alpha.store.partners.touch(bravo_id, NOW)
    now_at = {NOW - 600: None, NOW - 601: "fail", NOW: None}
    assert {now: levels(alpha, now).get("clock") for now in now_at} == now_at
    wire = seal_unchecked(bravo, raw_draft([]), alpha, now=NOW + 3_600)
    take_in(alpha, [Arrival(wire, bravo_id)], NOW)
    found: Any = findings(alpha)["clock"]
    assert (found.level, found.message) == ("warn", "envelopes from the future came by bravo")


def test_alarms_are_findings_and_forks_are_the_severe_ones(world: World, alpha: Node) -> None:
    bravo = world.found("bravo")
    befriend(alpha, bravo)
    assert levels(alpha, NOW + 3_600) == {"alarm": "warn"}
    twins = [seal_unchecked(bravo, raw_draft([]), alpha) for _ in range(2)]
    take_in(alpha, [Arrival(wire, bravo.identity.partner_id) for wire in twins], NOW)
    assert levels(alpha) == {"alarm": "fail"}
    assert "doctor proof bravo" in findings(alpha)["alarm"].mend


def test_a_port_that_the_service_manager_holds_for_the_daemon_is_not_taken_by_another_program() -> None:
    """Socket activation: systemd listens while no daemon runs. Anybody else at that port is another program."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        config = Config(name="A", url=f"https://127.0.0.1:{port}", listen=f"127.0.0.1:{port}")
        [right] = look_at_listener(config, [], is_running=False, held_ports=[port])
        assert (right.level, right.message) == (
            "ok",
            f"the service manager listens for the daemon at 127.0.0.1:{port}",
        )
        [taken] = look_at_listener(config, [], is_running=False, held_ports=[port + 1])
        assert taken.fault == "port-taken"


def test_the_ports_that_systemd_holds_are_read_as_systemctl_shows_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shown = {
        "ActiveState": ["ActiveState=active"],
        "Listen": ["Listen=[::]:443 (Stream)", "Listen=192.0.2.7:8443 (Stream)"],
    }
    monkeypatch.setattr(installation, "_shown", lambda unit, names: shown[names[0]])
    assert installation.held_ports(installation.SERVICE_HOME) == {443, 8443}
    assert installation.held_ports(tmp_path) == frozenset(), "another home than the service's"
    shown["ActiveState"] = ["ActiveState=inactive"]
    assert installation.held_ports(installation.SERVICE_HOME) == frozenset()
