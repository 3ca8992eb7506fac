"""Installing and removing the service as root: what belongs to others stays, and nobody else's file is run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from p2pshare.cli import installation
from p2pshare.cli.installation import FILES, WRAPPER, pip_of, require_roots_below
from p2pshare.errors import OperatorError

NOBODY = 65534


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine below `tmp_path` on which no systemd runs, with an environment, and the service installed."""
    place = tmp_path / "environment"
    for source in FILES:
        (place / source).parent.mkdir(parents=True, exist_ok=True)
        (place / source).write_text(source)
    monkeypatch.setattr(installation, "FILES", {source: source for source in FILES})
    monkeypatch.setattr(installation, "environment", lambda: place)
    monkeypatch.setattr(installation, "is_booted", lambda: False)
    monkeypatch.setattr(installation, "is_packaged", lambda: False)
    monkeypatch.setattr(installation, "LOCAL_PREFIX", tmp_path / "local")
    monkeypatch.setattr(installation, "SERVICE_HOME", tmp_path / "home")
    monkeypatch.setattr(installation, "USER", "p2pshare-of-a-test")
    monkeypatch.setattr(installation, "SYSTEMD_BOOTED", tmp_path / "none")
    for piece in installation.own_pieces():
        installation.write_piece(piece)
    home = tmp_path / "home"
    (home / "audit").mkdir(parents=True)
    (home / "identity.p2pkey").write_text("keys")
    return tmp_path


def uninstalled() -> dict[str, str]:
    return {step.what: step.done for step in installation.uninstall(dry_run=False)}


def test_it_takes_away_what_it_put_there(machine: Path) -> None:
    assert set(uninstalled().values()) == {"removed"}
    assert not [one for one in (machine / "local").rglob("*") if one.is_file()]
    installation.remove_home()
    assert not (machine / "home").exists()


def test_the_command_of_another_program_stays_when_the_service_goes(machine: Path) -> None:
    command = machine / "local" / WRAPPER
    command.write_text("#!/bin/sh\n# another program of that name\n")
    assert uninstalled()[f"{command}, which is another program's"] == "kept"
    assert command.exists()


def test_what_an_administrator_put_beside_our_files_stays_and_stops_nothing(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation, "USER", "p2pshare")  # the name of the folder
    notes = machine / "local" / "share" / "doc" / "p2pshare" / "notes.txt"
    notes.write_text("ours")
    assert set(uninstalled().values()) == {"removed"}
    assert notes.exists()


def test_keys_behind_a_link_go_with_a_purge(machine: Path) -> None:
    (machine / "home").rename(machine / "disk")
    (machine / "home").symlink_to(machine / "disk")
    installation.remove_home()
    assert not (machine / "home").is_symlink()
    assert list((machine / "disk").iterdir()) == []


def test_a_purge_follows_no_link_out_of_the_home(machine: Path) -> None:
    (machine / "others").mkdir()
    (machine / "others" / "kept").write_text("kept")
    (machine / "home" / "exercises").symlink_to(machine / "others")
    installation.remove_home()
    assert (machine / "others" / "kept").exists() and not (machine / "home").exists()


def test_a_home_of_another_user_is_not_purged(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "USER", "nobody")
    with pytest.raises(OperatorError) as refused:
        installation.require_home_ours()
    assert refused.value.reason == "home-owner"
    os.chown(machine / "home", NOBODY, NOBODY)
    with pytest.raises(OperatorError) as refused:  # a user that was there before, and is somebody's
        installation.require_home_ours()
    assert refused.value.reason == "other-user"


@pytest.mark.parametrize("how", ["writable", "owned", "group"])
def test_a_file_of_the_environment_that_others_can_change_is_not_run_by_the_service(
    machine: Path, how: str
) -> None:
    require_roots_below(machine / "environment")
    part = machine / "environment" / "share" / "doc" / "p2pshare" / "example.toml"
    (part.parent / "a-link").symlink_to("/nowhere")  # its mode says nothing
    match how:
        case "writable":
            part.chmod(0o666)
        case "owned":
            os.chown(part, NOBODY, 0)
        case _:
            os.chown(part, 0, NOBODY)
            part.chmod(0o664)
    with pytest.raises(OperatorError) as refused:
        require_roots_below(machine / "environment")
    assert refused.value.reason == "writable-by-others"


def test_pip_of_an_upgrade_is_not_taken_from_the_folder_in_which_root_stands(tmp_path: Path) -> None:
    (tmp_path / "pip").mkdir()
    for name in ("__init__.py", "__main__.py"):
        (tmp_path / "pip" / name).write_text(f"open({str(tmp_path / 'run')!r}, 'w')")
    subprocess.run([*pip_of(Path(sys.prefix)), "--version"], cwd=tmp_path, check=False, capture_output=True)
    assert not (tmp_path / "run").exists()
