"""The key file: who may read it, what a damaged one does, what a passphrase protects, what a crash leaves."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from p2pshare.envelope.keys import Identity, Secret, create_identity, generate_operational_keys, reissue_card
from p2pshare.errors import KeyFileError
from p2pshare.node import keyfile
from p2pshare.node.keyfile import (
    is_encrypted,
    read_completed_keys,
    read_identity,
    read_key_file,
    write_card_file,
    write_key_file,
)

NOW = 1_900_000_000
FAST = 10  # scrypt's log2 N; the real figure costs 0.4 s a test


@pytest.fixture(scope="module")
def identity() -> Identity:
    return create_identity("Alpha CERT", ["https://alpha.example:8443"], NOW, roots=3, threshold=2)


@pytest.fixture
def key_path(tmp_path: Path, identity: Identity) -> Path:
    path = tmp_path / "identity.p2pkey"
    write_key_file(path, identity)
    write_card_file(tmp_path / "card.p2pcard", identity.card)
    return path


def reason_of(path: Path, passphrase: Secret | None = None) -> str:
    with pytest.raises(KeyFileError) as caught:
        read_key_file(path, passphrase)
    return caught.value.reason


def test_an_identity_comes_back(key_path: Path, identity: Identity) -> None:
    back = read_identity(key_path, key_path.with_name("card.p2pcard"))
    assert back == identity
    assert back.operational.sign.secret().reveal() == identity.operational.sign.secret().reveal()
    assert back.operational.tls.secret().reveal() == identity.operational.tls.secret().reveal()


@pytest.mark.parametrize("passphrase", [None, Secret(b"correct horse")])
def test_a_file_of_a_version_before_the_key_for_playbooks_is_given_one_once(
    key_path: Path, identity: Identity, passphrase: Secret | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_key_file(key_path, replace(identity, playbook=None), passphrase, scrypt_log_n=FAST)
    if passphrase is not None:
        secret = key_path.with_name("pass")
        secret.write_bytes(passphrase.reveal())
        secret.chmod(0o600)
        monkeypatch.setenv("P2PSHARE_PASSPHRASE_FILE", str(secret))
    assert read_key_file(key_path, passphrase).playbook is None
    first = read_completed_keys(key_path)
    assert first.playbook is not None and first.roots == ()
    again = read_key_file(key_path, passphrase)
    assert (again.playbook, again.roots, again.sets) == (first.playbook, identity.roots, first.sets)
    assert read_completed_keys(key_path) == first and is_encrypted(key_path) is (passphrase is not None)


def test_the_file_is_for_its_owner_only_whatever_the_umask(tmp_path: Path, identity: Identity) -> None:
    before = os.umask(0)
    try:
        write_key_file(tmp_path / "open", identity)
        os.umask(0o777)
        write_key_file(tmp_path / "closed", identity)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "open").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "closed").stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o666, 0o777])
def test_a_file_that_others_can_touch_is_refused(key_path: Path, mode: int) -> None:
    key_path.chmod(mode)
    assert reason_of(key_path) == "key-file-permissions"


def test_a_read_only_file_is_fine(key_path: Path) -> None:
    key_path.chmod(0o400)
    assert read_key_file(key_path).sets


def test_a_file_of_another_user_is_refused(key_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = os.geteuid() + 1
    monkeypatch.setattr(keyfile.os, "geteuid", lambda: other)
    assert reason_of(key_path) == "key-file-owner"


def test_a_symbolic_link_is_refused_even_to_a_good_file(key_path: Path) -> None:
    link = key_path.with_name("link")
    link.symlink_to(key_path)
    assert reason_of(link) == "key-file-symlink"


def test_a_missing_file_a_folder_and_a_pipe_are_refused_without_waiting(tmp_path: Path) -> None:
    assert reason_of(tmp_path / "nothing") == "key-file-missing"
    assert reason_of(tmp_path) == "key-file-unreadable"
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert reason_of(tmp_path / "pipe") == "key-file-unreadable"


def test_every_truncation_and_flip_is_refused(key_path: Path) -> None:
    raw = key_path.read_bytes()
    for size in range(len(raw)):
        key_path.write_bytes(raw[:size])
        assert reason_of(key_path) == "key-file-damaged", size
    for at in range(len(raw)):
        key_path.write_bytes(raw[:at] + bytes([raw[at] ^ 1 << at % 8]) + raw[at + 1 :])
        assert reason_of(key_path) in {"key-file-damaged", "passphrase-missing"}, at


def test_an_endless_file_is_refused(key_path: Path) -> None:
    key_path.write_bytes(key_path.read_bytes() + bytes(keyfile.KEY_FILE_BYTES_MAX))
    assert reason_of(key_path) == "key-file-damaged"


def test_the_passphrase_is_needed_and_must_be_right(tmp_path: Path, identity: Identity) -> None:
    path = tmp_path / "identity.p2pkey"
    write_key_file(path, identity, Secret(b"correct horse"), scrypt_log_n=FAST)
    assert read_key_file(path, Secret(b"correct horse")).partner_id == identity.partner_id
    assert reason_of(path) == "passphrase-missing"
    assert reason_of(path, Secret(b"wrong horse")) == "passphrase-wrong"


def test_a_stolen_disk_reveals_no_key(tmp_path: Path, identity: Identity) -> None:
    path = tmp_path / "identity.p2pkey"
    write_key_file(path, identity, Secret(b"correct horse"), scrypt_log_n=FAST)
    raw = path.read_bytes()
    keys = identity.operational
    for secret in (keys.sign, keys.kem, keys.hint, keys.tls, *identity.roots):
        assert secret.secret().reveal()[:32] not in raw
    for at in range(0, len(raw), 7):
        path.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
        if raw[:at].endswith(b"p2pk\x01"):
            continue  # the scrypt cost itself: another key, after a longer wait
        assert reason_of(path, Secret(b"correct horse")) in {"key-file-damaged", "passphrase-wrong"}, at


def test_two_files_with_one_passphrase_share_nothing(tmp_path: Path, identity: Identity) -> None:
    paths = [tmp_path / "one", tmp_path / "two"]
    for path in paths:
        write_key_file(path, identity, Secret(b"same"), scrypt_log_n=FAST)
    one, two = (path.read_bytes() for path in paths)
    assert one[:60] != two[:60]
    assert one[-64:] != two[-64:]


def test_a_file_that_asks_for_endless_memory_is_refused(tmp_path: Path, identity: Identity) -> None:
    path = tmp_path / "identity.p2pkey"
    write_key_file(path, identity, Secret(b"x"), scrypt_log_n=FAST)
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"p2pk\x01" + bytes([FAST]), b"p2pk\x01\x15", 1))
    assert reason_of(path, Secret(b"x")) == "key-file-damaged"


def test_roots_kept_offline_leave_the_rest_usable(tmp_path: Path, identity: Identity) -> None:
    path = tmp_path / "identity.p2pkey"
    write_key_file(path, replace(identity, roots=()))
    assert read_key_file(path).roots == ()
    assert read_key_file(path).sets[0].sign.key_id == identity.operational.sign.key_id


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(
    key_path: Path, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = key_path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keyfile.os, "fsync", full)
    with pytest.raises(KeyFileError) as caught:
        write_key_file(key_path, replace(identity, roots=()))
    assert caught.value.reason == "key-file-unwritable"
    assert key_path.read_bytes() == before
    assert sorted(path.name for path in key_path.parent.iterdir()) == ["card.p2pcard", "identity.p2pkey"]


def test_writing_replaces_a_link_and_does_not_follow_it(tmp_path: Path, identity: Identity) -> None:
    target, link = tmp_path / "target", tmp_path / "identity.p2pkey"
    target.write_bytes(b"of somebody else")
    link.symlink_to(target)
    write_key_file(link, identity)
    assert target.read_bytes() == b"of somebody else"
    assert not link.is_symlink()


def test_keys_and_card_of_two_partners_do_not_go_together(key_path: Path) -> None:
    card_path = key_path.with_name("card.p2pcard")
    write_card_file(card_path, create_identity("Other", [], NOW).card)
    with pytest.raises(KeyFileError) as caught:
        read_identity(key_path, card_path)
    assert caught.value.reason == "key-and-card-differ"


def test_a_missing_or_damaged_card_is_named(key_path: Path) -> None:
    card_path = key_path.with_name("card.p2pcard")
    card_path.write_bytes(card_path.read_bytes()[:-1])
    with pytest.raises(KeyFileError) as caught:
        read_identity(key_path, card_path)
    assert caught.value.reason == "card-file-damaged"
    card_path.unlink()
    with pytest.raises(KeyFileError) as caught:
        read_identity(key_path, card_path)
    assert caught.value.reason == "card-file-missing"


def test_a_crash_between_new_keys_and_new_card_leaves_a_working_identity(
    key_path: Path, identity: Identity
) -> None:
    rotated = reissue_card(identity, NOW, operational=generate_operational_keys(identity.partner_id, NOW))
    card_path = key_path.with_name("card.p2pcard")
    write_key_file(key_path, rotated)
    before = read_identity(key_path, card_path)
    assert before.operational.sign.key_id == identity.operational.sign.key_id
    write_card_file(card_path, rotated.card)
    after = read_identity(key_path, card_path)
    assert after.operational.sign.key_id == rotated.operational.sign.key_id
    assert [keys.sign.key_id for keys in after.retired] == [identity.operational.sign.key_id]
