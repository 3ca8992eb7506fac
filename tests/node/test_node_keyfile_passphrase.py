"""Where a key file's passphrase comes from: paths in the environment, never the passphrase itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from p2pshare.cli.program import run_program
from p2pshare.errors import KeyFileError
from p2pshare.node.keyfile import (
    CREDENTIAL_NAME,
    PASSPHRASE_BYTES_MAX,
    PASSPHRASE_FILE_VARIABLE,
    find_passphrase,
    read_passphrase_file,
)


def test_the_named_file_wins_over_the_credential_and_neither_means_none(tmp_path: Path) -> None:
    (tmp_path / CREDENTIAL_NAME).write_text("from systemd\n")
    named = tmp_path / "named"
    named.write_bytes(b"from a file\r\nsecond line")
    credentials = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert find_passphrase({}) is None
    assert find_passphrase({"CREDENTIALS_DIRECTORY": str(tmp_path / "empty")}) is None
    found = find_passphrase(credentials)
    assert found is not None and found.reveal() == b"from systemd"
    found = find_passphrase(credentials | {PASSPHRASE_FILE_VARIABLE: str(named)})
    assert found is not None and found.reveal() == b"from a file"


@pytest.mark.parametrize("raw", [b"", b"\n", b"\r\nlate", b"x" * (PASSPHRASE_BYTES_MAX + 1)])
def test_no_passphrase_on_the_first_line_is_refused(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "passphrase"
    path.write_bytes(raw)
    with pytest.raises(KeyFileError) as caught:
        read_passphrase_file(path)
    assert caught.value.reason == "passphrase-file"
    assert read_passphrase_file_of(tmp_path, b"x" * PASSPHRASE_BYTES_MAX) == b"x" * PASSPHRASE_BYTES_MAX


def read_passphrase_file_of(folder: Path, raw: bytes) -> bytes:
    (folder / "good").write_bytes(raw)
    return read_passphrase_file(folder / "good").reveal()


def test_a_home_with_a_passphrase_opens_only_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """P16: what lies on the disk holds no key in the clear."""
    home, right, wrong = tmp_path / "home", tmp_path / "right", tmp_path / "wrong"
    right.write_text("correct horse\n")
    wrong.write_text("battery staple\n")
    monkeypatch.delenv(PASSPHRASE_FILE_VARIABLE, raising=False)
    made = ["--home", str(home), "init", "--name", "a", "--url", "https://a.example:1"]
    assert run_program([*made, "--passphrase-file", str(right)]) == 0
    status = ["--home", str(home), "status", "--json"]
    assert run_program(status) == 66
    monkeypatch.setenv(PASSPHRASE_FILE_VARIABLE, str(wrong))
    assert run_program(status) == 66
    monkeypatch.setenv(PASSPHRASE_FILE_VARIABLE, str(right))
    assert run_program(status) == 0
    assert "correct horse" not in "".join(capsys.readouterr())
