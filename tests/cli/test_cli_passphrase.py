"""The passphrase of the key file: set and changed, never lost, and never weak."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Home

from p2pshare.daemon.home_lock import hold_home
from p2pshare.node.keyfile import is_encrypted

FIRST, SECOND = "correct horse battery", "staple that to the door"


@pytest.fixture
def alpha(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.delenv("P2PSHARE_PASSPHRASE_FILE", raising=False)
    home = Home(tmp_path / "alpha", capsys, monkeypatch)
    assert home("init", "--name", "alpha", "--dial-only").code == 0
    return home


def secret(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.touch(0o600)
    path.write_text(text)
    return str(path)


def test_a_key_file_in_the_clear_is_encrypted_and_then_changed(
    alpha: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / "alpha" / "identity.p2pkey"
    first, second = secret(tmp_path, "first", FIRST), secret(tmp_path, "second", SECOND)
    assert alpha("passphrase", "set", "--new-file", first, "--json").json == {"key_file_encrypted": True}
    assert is_encrypted(key)
    assert alpha("card", "rotate").code == 66, "it needs the passphrase now"
    assert alpha("passphrase", "set", "--new-file", second).code == 66
    monkeypatch.setenv("P2PSHARE_PASSPHRASE_FILE", first)
    assert alpha("passphrase", "set", "--new-file", second).code == 0
    assert alpha("card", "rotate").code == 66
    monkeypatch.setenv("P2PSHARE_PASSPHRASE_FILE", second)
    assert alpha("card", "rotate", "--json").json["version"] == 2, "the root key is still in it"


def test_a_weak_one_and_a_home_in_use_change_nothing(
    alpha: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("p2pshare.daemon.home_lock.HOME_WAIT_SECONDS", 0.1)
    key = tmp_path / "alpha" / "identity.p2pkey"
    before = key.read_bytes()
    assert alpha("passphrase", "set", "--new-file", secret(tmp_path, "weak", "aaaaaaaaaaaaaaa")).code == 66
    assert alpha("passphrase", "set").code == 2, "nothing is asked without a terminal"
    with hold_home(tmp_path / "alpha"):
        assert alpha("passphrase", "set", "--new-file", secret(tmp_path, "good", FIRST)).code == 1
    assert key.read_bytes() == before
