"""Issuing a card in a process that ends: what is written in which order, what a crash leaves, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from p2pshare.envelope.card import accept_update, believe_chain
from p2pshare.envelope.keys import Identity, Secret, create_identity
from p2pshare.errors import AuthorError, KeyFileError
from p2pshare.node import card_issuing
from p2pshare.node.card_issuing import CardChange, issue_apart, issue_card
from p2pshare.node.keyfile import (
    PASSPHRASE_FILE_VARIABLE,
    is_encrypted,
    read_all_keys,
    read_identity,
    read_key_file,
    write_card_file,
    write_key_file,
)

NOW = 1_900_000_000
DAY = 86_400
FAST = 10


@pytest.fixture(autouse=True)
def no_passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PASSPHRASE_FILE_VARIABLE, raising=False)


def home_of(folder: Path, identity: Identity) -> tuple[Path, Path]:
    key, card = folder / "identity.p2pkey", folder / "card.p2pcard"
    write_key_file(key, identity)
    write_card_file(card, identity.card)
    return key, card


@pytest.fixture
def alpha() -> Identity:
    return create_identity("Alpha CERT", ["https://alpha.example:8443"], NOW)


def test_new_keys_come_back_without_roots_and_the_card_names_them(tmp_path: Path, alpha: Identity) -> None:
    key, card = home_of(tmp_path, alpha)
    issued = issue_apart(key, card, CardChange(NOW + DAY, has_new_keys=True))
    assert (issued.missing, issued.material.roots) == (0, ())
    renewed = read_identity(key, card)
    assert renewed.card.version == 2
    assert renewed.card.raw == issued.card == accept_update(alpha.card, issued.card, NOW + DAY).raw
    assert renewed.operational == issued.material.sets[0] != alpha.operational
    assert renewed.retired == (alpha.operational,)
    assert len(renewed.roots) == 1, "the key file keeps its root"


def test_a_passphrase_still_guards_the_file_that_is_written(
    tmp_path: Path, alpha: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, card = home_of(tmp_path, alpha)
    write_key_file(key, alpha, Secret(b"correct horse"), scrypt_log_n=FAST)
    given = tmp_path / "pass"
    given.touch(0o600)
    given.write_bytes(b"correct horse")
    monkeypatch.setenv(PASSPHRASE_FILE_VARIABLE, str(given))
    issue_apart(key, card, CardChange(NOW, has_new_keys=True))
    assert is_encrypted(key)
    assert len(read_all_keys(key).sets) == 2
    monkeypatch.delenv(PASSPHRASE_FILE_VARIABLE)
    with pytest.raises(KeyFileError) as caught:
        issue_apart(key, card, CardChange(NOW, has_new_keys=True))
    assert caught.value.reason == "passphrase-missing"
    assert believe_chain(card.read_bytes()).version == 2


def test_a_passphrase_that_is_set_and_not_needed_does_not_encrypt_the_file(
    tmp_path: Path, alpha: Identity
) -> None:
    key, card = home_of(tmp_path, alpha)
    issue_card(key, card, CardChange(NOW, has_new_keys=True), Secret(b"correct horse"))
    assert not is_encrypted(key)


def test_a_crash_between_key_file_and_card_leaves_the_old_card_with_its_keys(
    tmp_path: Path, alpha: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, card = home_of(tmp_path, alpha)

    def crash(*_: object) -> None:
        raise InterruptedError

    with monkeypatch.context() as crashing:
        crashing.setattr(card_issuing, "replace_file", crash)
        with pytest.raises(InterruptedError):
            issue_card(key, card, CardChange(NOW, has_new_keys=True), None)
    left = read_identity(key, card)
    assert (left.card.version, left.operational) == (1, alpha.operational)
    orphan = read_key_file(key).sets[0]
    assert orphan != alpha.operational

    issue_card(key, card, CardChange(NOW, has_new_keys=True), None)
    assert orphan not in read_key_file(key).sets, "keys that no card named take up no place"
    assert read_identity(key, card).retired == (alpha.operational,)


def test_too_few_roots_change_no_card_and_say_how_many_are_missing(tmp_path: Path) -> None:
    board = create_identity("Board", [], NOW, roots=3, threshold=2)
    key, card = home_of(tmp_path, Identity(board.partner_id, board.roots[:1], board.operational, board.card))
    issued = issue_apart(key, card, CardChange(NOW, has_new_keys=True))
    assert issued.missing == 1
    assert believe_chain(card.read_bytes()).version == 1
    assert read_identity(key, card).operational == board.operational
    assert len(read_key_file(key).sets) == 2, "the keys wait for their card"


def test_a_renewal_without_a_person_writes_nothing_where_others_must_sign(tmp_path: Path) -> None:
    """Each day's try would else replace the keys of the card that is on its way to the signers."""
    board = create_identity("Board", [], NOW, roots=3, threshold=2)
    key, card = home_of(tmp_path, Identity(board.partner_id, board.roots[:1], board.operational, board.card))
    before = key.read_bytes()
    with pytest.raises(KeyFileError) as caught:
        issue_apart(key, card, CardChange(NOW, has_new_keys=True, must_finish=True))
    assert caught.value.reason == "roots-offline"
    assert key.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (CardChange(NOW, name="\u202eAlpha"), "bad-name"),
        (CardChange(NOW, urls=("http://alpha.example",)), "bad-url"),
        (CardChange(NOW, threshold=2), "bad-threshold"),
        (CardChange(NOW, roots=(b"no key",)), "bad-key"),
        (CardChange(NOW - 2 * DAY, has_new_keys=True), "malformed"),
    ],
)
def test_what_no_partner_would_accept_is_refused_with_nothing_written(
    tmp_path: Path, alpha: Identity, change: CardChange, reason: str
) -> None:
    key, card = home_of(tmp_path, alpha)
    before = key.read_bytes(), card.read_bytes()
    with pytest.raises(AuthorError) as caught:
        issue_apart(key, card, change)
    assert caught.value.reason == reason
    assert (key.read_bytes(), card.read_bytes()) == before


def test_the_key_file_keeps_as_many_sets_as_a_card_can_name(tmp_path: Path, alpha: Identity) -> None:
    key, card = home_of(tmp_path, alpha)
    for number in range(1, 12):
        issue_card(key, card, CardChange(NOW + number * DAY, has_new_keys=True), None)
    assert len(read_key_file(key).sets) == 8
    assert read_identity(key, card).card.version == 12


def test_the_certificate_that_is_shown_stays_on_the_card_beside_the_newest(
    tmp_path: Path, alpha: Identity
) -> None:
    """Two places: a partner that was away through two rotations still meets the one it knows."""
    key, card = home_of(tmp_path, alpha)
    shown = alpha.operational.tls.certificate
    for number in (1, 2):
        issue_card(key, card, CardChange(NOW + number, has_new_keys=True, shown=shown), None)
    identity = read_identity(key, card)
    assert identity.card.tls_certificates == (identity.operational.tls.certificate, shown)
