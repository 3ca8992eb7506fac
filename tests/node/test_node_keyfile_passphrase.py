"""Where a key file's passphrase comes from: paths in the environment, never the passphrase itself."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from p2pshare.cli.program import run_program
from p2pshare.envelope.keys import Secret
from p2pshare.errors import KeyFileError
from p2pshare.node import keyfile
from p2pshare.node.init import found_home
from p2pshare.node.keyfile import (
    CREDENTIAL_NAME,
    PASSPHRASE_BYTES_MAX,
    PASSPHRASE_CHARACTERS_MIN,
    PASSPHRASE_FILE_VARIABLE,
    find_passphrase,
    read_identity,
    read_passphrase_file,
    write_key_file,
)


def put(path: Path, raw: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(raw)
    path.chmod(mode)
    return path


def reason_of(path: Path) -> str:
    with pytest.raises(KeyFileError) as caught:
        read_passphrase_file(path)
    assert caught.value.hint
    return caught.value.reason


def test_the_named_file_wins_over_the_credential_and_neither_means_none(tmp_path: Path) -> None:
    put(tmp_path / CREDENTIAL_NAME, b"from systemd\n")
    named = put(tmp_path / "named", b"from a file\r\nsecond line")
    credentials = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert find_passphrase({}) is None
    assert find_passphrase({"CREDENTIALS_DIRECTORY": str(tmp_path / "empty")}) is None
    found = find_passphrase(credentials)
    assert found is not None and found.reveal() == b"from systemd"
    found = find_passphrase(credentials | {PASSPHRASE_FILE_VARIABLE: str(named)})
    assert found is not None and found.reveal() == b"from a file"


@pytest.mark.parametrize("raw", [b"", b"\n", b"\r\nlate", b"x" * (PASSPHRASE_BYTES_MAX + 1)])
def test_no_passphrase_on_the_first_line_is_refused(tmp_path: Path, raw: bytes) -> None:
    assert reason_of(put(tmp_path / "passphrase", raw)) == "passphrase-file"
    assert read_passphrase_file_of(tmp_path, b"x" * PASSPHRASE_BYTES_MAX) == b"x" * PASSPHRASE_BYTES_MAX


def read_passphrase_file_of(folder: Path, raw: bytes) -> bytes:
    return read_passphrase_file(put(folder / "good", raw)).reveal()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o644, 0o666, 0o777])
def test_a_passphrase_file_that_others_can_touch_is_refused(tmp_path: Path, mode: int) -> None:
    """The key file is refused for the same modes: an open passphrase makes it an open key file."""
    assert reason_of(put(tmp_path / "passphrase", b"correct horse", mode)) == "passphrase-file-permissions"


def test_a_link_is_judged_by_the_file_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(put(tmp_path / "target", b"correct horse", 0o644))
    assert reason_of(tmp_path / "link") == "passphrase-file-permissions"
    (tmp_path / "target").chmod(0o400)
    assert read_passphrase_file(tmp_path / "link").reveal() == b"correct horse"


@pytest.mark.skipif(os.geteuid() != 0, reason="skipped: only root gives files away")
@pytest.mark.parametrize(
    ("owner", "mode", "reason"),
    [
        (1234, 0o600, None),
        (1234, 0o640, "passphrase-file-permissions"),
        (0, 0o400, None),
        (0, 0o440, None),  # systemd's credential: root's, with an access list for the service's user
        (0, 0o640, None),
        (0, 0o444, "passphrase-file-permissions"),
        (0, 0o460, "passphrase-file-permissions"),
        (4321, 0o400, "passphrase-file-owner"),
    ],
)
def test_a_service_reads_its_own_passphrase_and_roots_and_nobody_elses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: int, mode: int, reason: str | None
) -> None:
    path = put(tmp_path / CREDENTIAL_NAME, b"correct horse", mode)
    os.chown(path, owner, -1)
    monkeypatch.setattr(keyfile.os, "geteuid", lambda: 1234)
    if reason is None:
        found = find_passphrase({"CREDENTIALS_DIRECTORY": str(tmp_path)})
        assert found is not None and found.reveal() == b"correct horse"
    else:
        assert reason_of(path) == reason


def test_a_pipe_from_a_shell_is_read(tmp_path: Path) -> None:
    """`--passphrase-file <(pass show p2pshare)`."""
    reading, writing = os.pipe()
    os.write(writing, b"correct horse\n")
    os.close(writing)
    assert read_passphrase_file(Path(f"/dev/fd/{reading}")).reveal() == b"correct horse"
    os.close(reading)


@pytest.mark.parametrize("weak", ["x", "elevenchars", "a" * 40, "ababababababab", "ÄÖÜäöüÄÖÜäö"])
def test_init_refuses_a_passphrase_that_is_guessed_at_once_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], weak: str
) -> None:
    chosen = put(tmp_path / "chosen", weak.encode())
    made = ["--home", str(tmp_path / "home"), "init", "--name", "a", "--dial-only"]
    assert run_program([*made, "--passphrase-file", str(chosen)]) == 66
    said = capsys.readouterr().err
    assert "easy to guess" in said
    assert "\nhint: " in said
    assert weak == "x" or weak not in said
    assert not (tmp_path / "home").exists()


def test_twelve_characters_are_enough_and_are_not_counted_in_bytes(tmp_path: Path) -> None:
    for number, good in enumerate(("abcdefghijkl", "Äbcdéfghîjkl")):
        assert len(good) == PASSPHRASE_CHARACTERS_MIN
        home = tmp_path / str(number)
        made = found_home(
            home, name="a", url="", listen="", passphrase=Secret(good.encode()), now=1_800_000_000
        )
        back = read_identity(home / "identity.p2pkey", home / "card.p2pcard", Secret(good.encode()))
        assert back.partner_id == made.partner_id


def test_a_key_file_with_a_short_passphrase_still_opens_and_is_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever chose one before the rule must get at its node."""
    home = tmp_path / "home"
    made = found_home(home, name="a", url="", listen="", passphrase=None, now=1_800_000_000)
    write_key_file(home / "identity.p2pkey", made, Secret(b"x"), scrypt_log_n=10)
    monkeypatch.setenv(PASSPHRASE_FILE_VARIABLE, str(put(tmp_path / "pass", b"x")))
    assert run_program(["--home", str(home), "status", "--json"]) == 0


def test_init_says_that_the_key_file_is_not_encrypted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = put(tmp_path / "chosen", b"correct horse")
    for more, is_encrypted in (([], False), (["--passphrase-file", str(chosen)], True)):
        for as_json in (False, True):
            home = tmp_path / f"home-{is_encrypted}-{as_json}"
            made = ["--home", str(home), "init", "--name", "a", "--dial-only", *more]
            assert run_program([*made, *["--json"] * as_json]) == 0
            said = capsys.readouterr()
            warnings = [line for line in said.err.splitlines() if line.startswith("warning: ")]
            assert len(warnings) == (not is_encrypted), said.err
            assert all("is not encrypted" in one and "passphrase set" in one for one in warnings)
            if as_json:
                assert json.loads(said.out)["key_file_encrypted"] is is_encrypted


def test_a_home_with_a_passphrase_opens_only_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """P16: what lies on the disk holds no key in the clear."""
    home, right, wrong = tmp_path / "home", tmp_path / "right", tmp_path / "wrong"
    put(right, b"correct horse\n")
    put(wrong, b"battery staple\n")
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
