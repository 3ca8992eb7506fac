"""The child that opens the key file: what it hands over, how it fails, and what does not end it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from p2pshare.envelope.keys import Identity, Secret, create_identity
from p2pshare.errors import KeyFileError
from p2pshare.node import keys_apart
from p2pshare.node.keyfile import (
    PASSPHRASE_FILE_VARIABLE,
    KeyMaterial,
    read_all_keys,
    read_operational_keys,
    write_key_file,
)
from p2pshare.node.keys_apart import PROGRAM, read_operational_keys_apart

NOW = 1_900_000_000
FAST = 10


@pytest.fixture(scope="module")
def identity() -> Identity:
    return create_identity("Alpha CERT", [], NOW, roots=3, threshold=2)


@pytest.fixture
def key_path(tmp_path: Path, identity: Identity, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(PASSPHRASE_FILE_VARIABLE, raising=False)
    path = tmp_path / "identity.p2pkey"
    write_key_file(path, identity)
    return path


def give_passphrase(path: Path, raw: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    path.touch(0o600)
    path.write_bytes(raw)
    monkeypatch.setenv(PASSPHRASE_FILE_VARIABLE, str(path))


def error_of(read: Callable[[Path], KeyMaterial], path: Path) -> KeyFileError:
    with pytest.raises(KeyFileError) as caught:
        read(path)
    return caught.value


@pytest.mark.parametrize("is_encrypted", [False, True])
def test_the_daily_keys_come_and_the_roots_stay(
    key_path: Path, identity: Identity, monkeypatch: pytest.MonkeyPatch, is_encrypted: bool
) -> None:
    if is_encrypted:
        give_passphrase(key_path.with_name("pass"), b"correct horse", monkeypatch)
        write_key_file(key_path, identity, Secret(b"correct horse"), scrypt_log_n=FAST)
    assert len(read_all_keys(key_path).roots) == 3
    here, apart = read_operational_keys(key_path), read_operational_keys_apart(key_path)
    assert here == apart == KeyMaterial(identity.partner_id, (), (identity.operational,), identity.playbook)
    for one in (here, apart):
        assert one.sets[0].sign.secret().reveal() == identity.operational.sign.secret().reveal()
        assert one.sets[0].kem.secret().reveal() == identity.operational.kem.secret().reveal()


@pytest.mark.parametrize("fault", ["missing", "open", "damaged", "no passphrase", "wrong", "open passphrase"])
def test_each_error_is_told_as_if_the_file_had_been_opened_here(
    key_path: Path, identity: Identity, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    given = key_path.with_name("pass")
    if fault == "missing":
        key_path.unlink()
    elif fault == "open":
        key_path.chmod(0o644)
    elif fault == "damaged":
        key_path.write_bytes(key_path.read_bytes()[:-1])
    else:
        write_key_file(key_path, identity, Secret(b"correct horse"), scrypt_log_n=FAST)
    if fault in ("wrong", "open passphrase"):
        give_passphrase(given, b"wrong horse", monkeypatch)
    if fault == "open passphrase":
        given.chmod(0o644)
    here, apart = error_of(read_operational_keys, key_path), error_of(read_operational_keys_apart, key_path)
    assert (apart.message, apart.hint, apart.reason) == (here.message, here.hint, here.reason)


def test_a_path_that_is_no_text_is_told_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9")
    assert error_of(read_operational_keys_apart, path).reason == "key-file-missing"


@pytest.mark.parametrize(
    ("program", "how"),
    [
        (f"import os; os.kill(os.getpid(), {int(signal.SIGKILL)})", "ended with -9"),
        ("import sys; sys.exit(66)", "ended with 66"),
        ("print('nonsense'); import sys; sys.exit(66)", "ended with 66"),
        ("pass", "did not answer"),
        ("print('nonsense')", "did not answer"),
    ],
)
def test_a_child_that_does_not_end_well_is_an_error_with_a_hint(
    key_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, how: str
) -> None:
    monkeypatch.setattr(keys_apart, "PROGRAM", program)
    error = error_of(read_operational_keys_apart, key_path)
    assert error.reason == "key-process"
    assert how in error.message
    assert error.hint


def test_an_interpreter_that_is_not_there_is_an_error(
    key_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(key_path.with_name("nowhere")))
    assert error_of(read_operational_keys_apart, key_path).reason == "key-process"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_ends_a_daemon_does_not_end_the_child_beneath_it(
    key_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """Ctrl-C reaches the terminal's whole group, and systemd ends the whole unit: the daemon ends in its order."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    monkeypatch.setattr(keys_apart, "PROGRAM", f"import os; os.kill(os.getpid(), {int(number)}); {PROGRAM}")
    assert read_operational_keys_apart(key_path).sets
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before


def test_a_passphrase_comes_through_a_descriptor_of_the_shell(
    key_path: Path, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_key_file(key_path, identity, Secret(b"correct horse"), scrypt_log_n=FAST)
    reading, writing = os.pipe()
    os.write(writing, b"correct horse\n")
    os.close(writing)
    os.set_inheritable(reading, True)
    monkeypatch.setenv(PASSPHRASE_FILE_VARIABLE, f"/dev/fd/{reading}")
    assert read_operational_keys_apart(key_path).sets
    os.close(reading)


def test_a_folder_of_the_moment_says_nothing_about_what_the_child_runs(
    key_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The child holds root secrets: it imports what the daemon has, whatever lies in the folder it was started in."""
    for name in ("json", "cryptography", "p2pshare"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(99)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONSTARTUP", str(tmp_path / "json.py"))
    monkeypatch.setattr(sys, "path", [one for one in sys.path if one])
    assert read_operational_keys_apart(key_path).sets
