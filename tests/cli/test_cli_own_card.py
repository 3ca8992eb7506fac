"""The commands about our own card: root keys that are kept elsewhere, signers one after the other, files that count once."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from command_line import Home, Said

from p2pshare.envelope.card import believe_chain
from p2pshare.errors import KeyFileError
from p2pshare.node.keyfile import read_key_file, read_roots

PASSPHRASE = "correct horse battery"


@pytest.fixture
def alpha(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Home:
    """alpha, whose three root keys are kept in files elsewhere, and two must sign."""
    home = Home(tmp_path / "alpha", capsys, monkeypatch)
    files = [str(tmp_path / f"root-{number}") for number in range(3)]
    said = home(
        "init",
        "--name",
        "alpha",
        "--dial-only",
        *(word for file in files for word in ("--roots-to", file)),
        "--json",
    )
    assert (said.code, said.json["root_files"]) == (0, files)
    return home


def own_version(folder: Path) -> int:
    return believe_chain((folder / "alpha" / "card.p2pcard").read_bytes()).version


def error_of(said: Said) -> dict[str, str]:
    """The error as JSON: the last line of stderr."""
    error: dict[str, str] = json.loads(said.err.splitlines()[-1])["error"]
    return error


def test_root_keys_that_are_kept_elsewhere_are_not_in_the_home(alpha: Home, tmp_path: Path) -> None:
    assert read_key_file(tmp_path / "alpha" / "identity.p2pkey").roots == ()
    card = believe_chain((tmp_path / "alpha" / "card.p2pcard").read_bytes())
    assert (len(card.roots), card.threshold) == (3, 2)
    held = {read_roots(tmp_path / f"root-{number}")[0].key_id for number in range(3)}
    assert held == {root.key_id for root in card.roots}
    assert all(stat.S_IMODE((tmp_path / f"root-{number}").stat().st_mode) == 0o600 for number in range(3))
    with pytest.raises(KeyFileError) as caught:
        read_key_file(tmp_path / "root-0")
    assert caught.value.reason == "root-file"


def test_a_root_file_never_overwrites_another(alpha: Home, tmp_path: Path) -> None:
    before = (tmp_path / "root-0").read_bytes()
    said = Home(tmp_path / "other", alpha._capture, alpha._patch)(
        "init", "--name", "other", "--dial-only", "--roots-to", str(tmp_path / "root-0")
    )
    assert said.code == 66
    assert (tmp_path / "root-0").read_bytes() == before
    assert not (tmp_path / "other").exists()


def test_a_card_goes_from_signer_to_signer_and_comes_home(alpha: Home, tmp_path: Path) -> None:
    first, second, third = (str(tmp_path / name) for name in ("first", "second", "third"))
    rotated = alpha("card", "rotate", "--unsigned", first, "--json")
    assert (rotated.code, rotated.json["signed"], rotated.json["version"]) == (6, False, 2)
    assert rotated.json["unsigned"] == first
    assert own_version(tmp_path) == 1

    unsigned = alpha("card", "install", first, "--json")
    assert (unsigned.code, error_of(unsigned)["reason"]) == (5, "card-threshold")
    assert "too few root keys have signed it, 2 more must" in error_of(unsigned)["message"]

    half = alpha("card", "sign", first, "--roots", str(tmp_path / "root-0"), "-o", second, "--json")
    assert (half.code, half.json["signed"]) == (6, False)
    assert "sign keys: 1 new, 0 taken off" in half.err
    early = alpha("card", "install", second)
    assert (early.code, "card-threshold" in early.err or "too few" in early.err) == (5, True)
    again = alpha("card", "sign", second, "--roots", str(tmp_path / "root-0"), "-o", third)
    assert again.code == 6, "one key counts once"
    whole = alpha("card", "sign", second, "--roots", str(tmp_path / "root-2"), "-o", third, "--json")
    assert (whole.code, whole.json["signed"]) == (0, True)

    installed = alpha("card", "install", third, "--json")
    assert (installed.code, installed.json["version"], installed.json["signed"]) == (0, 2, True)
    assert own_version(tmp_path) == 2
    assert alpha("card", "install", third).code == 0, "twice is once"
    assert alpha("status").code == 0


def test_a_newer_rotation_makes_the_file_on_its_way_void(alpha: Home, tmp_path: Path) -> None:
    first, signed = str(tmp_path / "first"), str(tmp_path / "signed")
    assert alpha("card", "rotate", "--unsigned", first).code == 6
    assert alpha("card", "rotate").code == 6
    for number in (0, 1):
        alpha("card", "sign", first, "--roots", str(tmp_path / f"root-{number}"), "-o", signed)
        first = signed
    said = alpha("card", "install", signed)
    assert said.code == 5
    assert "not in the key file" in said.err
    assert own_version(tmp_path) == 1


def test_a_changed_file_or_a_foreign_root_signs_nothing(alpha: Home, tmp_path: Path) -> None:
    first, signed = tmp_path / "first", tmp_path / "signed"
    alpha("card", "set", "--name", "Alpha Two", "--unsigned", str(first))
    alpha("card", "sign", str(first), "--roots", str(tmp_path / "root-0"), "-o", str(signed))
    changed = tmp_path / "changed"
    changed.write_bytes(signed.read_bytes().replace(b"Alpha Two", b"Alpha 666"))
    output = tmp_path / "out"
    assert (
        alpha("card", "sign", str(changed), "--roots", str(tmp_path / "root-1"), "-o", str(output)).code == 1
    )
    other = Home(tmp_path / "other", alpha._capture, alpha._patch)
    other("init", "--name", "other", "--dial-only")
    said = other("card", "sign", str(signed), "-o", str(output), "--json")
    assert json.loads(said.err.splitlines()[-1])["error"]["reason"] == "not-a-root"
    assert not output.exists()


def test_one_root_becomes_two_of_three_and_the_first_one_counts_no_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path / "alpha", capsys, monkeypatch)
    assert home("init", "--name", "alpha", "--dial-only").code == 0
    before = believe_chain((tmp_path / "alpha" / "card.p2pcard").read_bytes())
    files = [str(tmp_path / f"root-{number}") for number in range(3)]
    options = [word for file in files for word in ("--new-root", file)]
    said = home("card", "threshold", "2", *options, "--drop-root", before.roots[0].key_id.text[:8], "--json")
    assert (said.code, said.json["version"], said.json["signed"]) == (0, 2, True)
    card = believe_chain((tmp_path / "alpha" / "card.p2pcard").read_bytes())
    assert (card.partner_id, card.threshold, len(card.roots)) == (before.partner_id, 2, 3)
    assert before.roots[0] not in card.roots
    assert home("card", "set", "--name", "Alpha Two").code == 6, "the key file's root signs nothing any more"


def test_a_root_file_has_the_passphrase_of_init(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret"
    secret.touch(0o600)
    secret.write_text(PASSPHRASE)
    home = Home(tmp_path / "alpha", capsys, monkeypatch)
    root, unsigned = str(tmp_path / "root"), str(tmp_path / "unsigned")
    given = ("--passphrase-file", str(secret), "--roots-to", root)
    assert home("init", "--name", "alpha", "--dial-only", *given).code == 0
    monkeypatch.setenv("P2PSHARE_PASSPHRASE_FILE", str(secret))
    assert home("card", "rotate", "--unsigned", unsigned).code == 6
    assert home("card", "sign", unsigned, "--roots", root, "-o", unsigned).code == 0
    assert home("card", "install", unsigned).code == 0
    monkeypatch.delenv("P2PSHARE_PASSPHRASE_FILE")
    assert home("card", "sign", unsigned, "--roots", root, "-o", unsigned).code == 66


def test_a_file_that_is_no_card_is_named_with_what_to_do(alpha: Home, tmp_path: Path) -> None:
    file = tmp_path / "noise"
    file.write_bytes(b"\xc1 no card")
    output = tmp_path / "signed"
    root = str(tmp_path / "root-0")
    said = alpha("card", "sign", str(file), "--roots", root, "-o", str(output), "--json")
    assert (said.code, error_of(said)["reason"]) == (1, "malformed")
    assert str(file) in error_of(said)["message"]
    assert "card renew" in error_of(said)["hint"]
    assert not output.exists()
