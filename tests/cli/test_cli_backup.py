"""`backup` and `restore` as a person types them: where the file goes, who may read it, what is refused, and what a full disk leaves."""

from __future__ import annotations

import getpass
import io
import json
import os
import resource
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import Home, Said
from copies import copy_of

from p2pshare.cli import console
from p2pshare.cli.program import run_program
from p2pshare.envelope import age_format
from p2pshare.envelope.age_format import recipient_of
from p2pshare.node import restore as restore_module

RECIPIENT = "age13aqvttdk3ujkyjh9kg2w5an6dmy5mq5a84a4uxk3hfhnugfc9p0sy5p2wh"
IDENTITY = "AGE-SECRET-KEY-1QQQSYQCYQ5RQWZQFPG9SCRGWPUGPZYSNZS23V9CCRYDPK8QARC0SWRYDWG"


@pytest.fixture
def home(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Home]:
    """A home, its person's folder with a passphrase in it, and passphrases that cost nothing to try."""
    monkeypatch.setattr(age_format, "SCRYPT_LOG_N", 4)
    monkeypatch.chdir(tmp_path)

    def make(place: Path) -> None:
        said = Home(place, capsys, monkeypatch)("init", "--name", "ALPHA", "--url", "https://127.0.0.1:1")
        assert said.code == 0

    copy_of("cli-backup", make, tmp_path / "home")
    write("pass", "five random words are here\n")
    write("identity", f"# created: today\n{IDENTITY}\n")
    mask = os.umask(0o022)
    yield Home(tmp_path / "home", capsys, monkeypatch)
    os.umask(mask)  # as it was before a test that changes it


def write(name: str, text: str) -> None:
    Path(name).write_text(text)
    Path(name).chmod(0o600)


def reason_of(said: Said) -> str:
    """Of an error that was told as JSON; the file is none."""
    assert said.out == ""
    return str(json.loads(said.err.strip().splitlines()[-1])["error"]["reason"])


def test_the_identity_of_this_test_is_that_of_its_recipient() -> None:
    [identity] = age_format.parse_identities(IDENTITY.encode())
    assert recipient_of(identity) == age_format.parse_recipient(RECIPIENT)


@pytest.mark.parametrize(
    ("how", "back"),
    [
        (("--passphrase-file", "pass"), ("--passphrase-file", "pass")),
        (("--recipient", RECIPIENT), ("--identity", "identity")),
    ],
)
def test_a_backup_is_its_owners_alone_and_says_what_it_is(
    home: Home, how: tuple[str, ...], back: tuple[str, ...]
) -> None:
    os.umask(0)
    said = home("backup", "node.age", *how, "--json")
    assert said.code == 0 and said.json.keys() == {"file", "bytes", "created", "partner_id"}
    assert said.json["bytes"] == Path("node.age").stat().st_size
    assert stat.S_IMODE(Path("node.age").stat().st_mode) == 0o600
    home.path = home.path.with_name("new")
    answer = home("restore", "node.age", *back, "--json")
    assert answer.code == 0, answer
    assert answer.json.keys() == {"feed_id", "incarnation", "coming_home", "missing"}
    assert home("card", "show", "--json").json["partner_id"] == said.json["partner_id"]
    checks = home("doctor").out
    assert "fail" not in checks


def test_a_backup_goes_through_a_pipe_both_ways(home: Home) -> None:
    command = [sys.executable, "-m", "p2pshare", "--home", str(home.path)]
    made = subprocess.run(
        [*command, "backup", "-", "--recipient", RECIPIENT, "--json"], capture_output=True, check=True
    )
    assert made.stdout.startswith(b"age-encryption.org/v1\n")
    home.path = home.path.with_name("new")
    back = subprocess.run(
        [*command[:-1], str(home.path), "restore", "-", "--identity", "identity", "--json"],
        input=made.stdout,
        capture_output=True,
        check=False,
    )
    assert back.returncode == 0, back.stderr
    assert json.loads(back.stdout)["feed_id"]


def test_both_are_in_the_audit_log_which_goes_on_where_the_backup_ends(home: Home) -> None:
    assert home("backup", "first.age", "--recipient", RECIPIENT).code == 0
    assert home("backup", "second.age", "--recipient", RECIPIENT).code == 0
    assert home("restore", "second.age", "--identity", "identity").code != 0, "a home is there"
    home.path = home.path.with_name("new")
    assert home("restore", "second.age", "--identity", "identity").code == 0
    found = json.loads(home("audit", "list", "--json").out)
    acts = [(one["action"], one["result"]) for one in found]
    assert acts == [("init", "done"), ("backup", "done"), ("restore", "done")], (
        "the second backup ended after its own copy"
    )
    assert json.loads(home("audit", "check", "--json").out)["faults"] == []
    home.path = home.path.with_name("home")
    refused = json.loads(home("audit", "list", "--json").out)[-1]
    assert (refused["action"], refused["result"]) == ("restore", "home-exists")


def test_what_is_there_is_not_replaced_unless_that_is_said(home: Home) -> None:
    write("node.age", "a letter")
    Path("node.age").chmod(0o644)
    said = home("backup", "node.age", "--recipient", RECIPIENT, "--json")
    assert reason_of(said) == "backup-exists" and Path("node.age").read_text() == "a letter"
    assert home("backup", "node.age", "--recipient", RECIPIENT, "--force").code == 0
    assert Path("node.age").read_bytes().startswith(b"age-encryption.org/v1\n")
    assert stat.S_IMODE(Path("node.age").stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["short\n", "aaaaaaaaaaaaaaaa\n", "\n", ""])
def test_a_passphrase_that_is_easy_to_guess_is_refused(home: Home, text: str) -> None:
    write("weak", text)
    said = home("backup", "node.age", "--passphrase-file", "weak", "--json")
    assert reason_of(said) in {"passphrase-weak", "passphrase-file"} and not Path("node.age").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("backup", "node.age"),
        ("backup", "node.age", "--passphrase-file", "pass", "--recipient", RECIPIENT),
        ("backup", "node.age", "--recipient", "age1nothing"),
        ("backup", "node.age", "--passphrase-file", "none"),
        ("backup", "none/node.age", "--recipient", RECIPIENT),
        ("restore", "none.age", "--passphrase-file", "pass"),
        ("restore", "node.age"),
        ("restore", "node.age", "--passphrase-file", "pass", "--identity", "identity"),
        ("restore", "node.age", "--identity", "pass"),
    ],
)
def test_what_is_typed_wrong_is_told_and_makes_nothing(home: Home, arguments: tuple[str, ...]) -> None:
    before = sorted(os.listdir())
    said = home(*arguments, "--json")
    assert said.code and json.loads(said.err)["error"]["reason"]
    assert sorted(os.listdir()) == before and ".backup.part" not in os.listdir(home.path)


def test_the_wrong_key_leaves_no_home(home: Home) -> None:
    assert home("backup", "node.age", "--passphrase-file", "pass").code == 0
    assert home("backup", "to.age", "--recipient", RECIPIENT).code == 0
    write("other", "another five words were here\n")
    write("stranger", "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX\n")
    home.path = home.path.with_name("new")
    for words, reason in (
        (("node.age", "--passphrase-file", "other"), "passphrase-wrong"),
        (("to.age", "--identity", "stranger"), "age-no-match"),
        (("to.age", "--passphrase-file", "pass"), "age-passphrase"),
        (("node.age", "--identity", "identity"), "age-passphrase"),
        (("pass", "--identity", "identity"), "not-age"),
    ):
        said = home("restore", *words, "--json")
        assert (said.code, reason_of(said), home.path.exists()) == (1, reason, False)


def test_a_disk_that_fills_up_leaves_neither_copy_nor_file(home: Home) -> None:
    """A limit of 400 KB a file stands for the disk: first the copy of the store meets it, then the backup itself."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))

    def run(*arguments: str) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "p2pshare", "--home", str(home.path), *arguments, "--json"]
        return subprocess.run(command, capture_output=True, check=False, preexec_fn=limited)

    done = run("backup", "node.age", "--recipient", RECIPIENT)
    assert json.loads(done.stderr)["error"]["reason"] == "disk-full", done
    assert not Path("node.age").exists() and ".backup.part" not in os.listdir(home.path)
    assert home("backup", "node.age", "--recipient", RECIPIENT).code == 0
    home.path = home.path.with_name("new")
    done = run("restore", "node.age", "--identity", "identity")
    assert json.loads(done.stderr)["error"]["reason"] == "disk-full", done
    assert not home.path.exists()


def test_a_full_output_is_told_and_no_copy_is_left(home: Home) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("skipped: no devices here")
    said = home("backup", "/dev/full", "--recipient", RECIPIENT, "--json")
    assert said.code == 1 and "no space left" in said.err
    assert ".backup.part" not in os.listdir(home.path)


def test_a_passphrase_is_typed_twice_and_asked_once_at_the_restore(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = ["five random words are here", "five random words are hear"]
    monkeypatch.setattr(console, "can_ask", lambda: True)
    monkeypatch.setattr(getpass, "getpass", lambda question, stream: typed.pop(0))
    assert reason_of(home("backup", "node.age", "--json")) == "passphrase-differs"
    typed[:] = ["five random words are here"] * 3
    assert home("backup", "node.age").code == 0 and len(typed) == 1
    home.path = home.path.with_name("new")
    assert home("restore", "node.age").code == 0 and not typed


def test_a_configuration_that_lies_elsewhere_is_in_it(home: Home) -> None:
    (home.path / "config.toml").rename("p2pshare.toml")
    (home.path / "config.toml").symlink_to(Path("p2pshare.toml").absolute())
    assert home("backup", "node.age", "--recipient", RECIPIENT).code == 0
    home.path = home.path.with_name("new")
    assert home("restore", "node.age", "--identity", "identity").code == 0
    copied = home.path / "config.toml"
    assert not copied.is_symlink() and copied.read_bytes() == Path("p2pshare.toml").read_bytes()


def test_hostile_names_in_a_home_are_left_out_and_shown_harmless(home: Home) -> None:
    for name in (b"\x1b[31mred", b"\xff\xfe", b"two\nlines", "\u202egnp.exe".encode()):
        (Path(os.fsdecode(bytes(home.path) + b"/" + name))).write_bytes(b"1")
    said = home("backup", "node.age", "--recipient", RECIPIENT)
    assert said.code == 0 and said.err.count("not in it:") == 4
    home.path = home.path.with_name("new")
    for told in (said, home("restore", "node.age", "--identity", "identity")):
        assert told.code == 0 and not {"\x1b", "\u202e"} & set(told.out + told.err)
        (told.out + told.err).encode()


@pytest.mark.skipif(os.geteuid() != 0, reason="skipped: only root gives files away")
def test_root_works_as_the_user_whose_home_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, home: Home
) -> None:
    """That user would lead it elsewhere with a link: into the backup what only root reads, out of it files that root writes anywhere."""
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        top.chmod(0o755)
        theirs = Home(top / "home", capsys, monkeypatch)
        shutil.copytree(home.path, theirs.path)
        (top / "back").mkdir()
        for path in (theirs.path, *theirs.path.rglob("*"), top / "back"):
            os.chown(path, 4_242, 4_243)
        write(str(theirs.path / "of-root"), "secret")
        said = theirs("backup", "out", "--passphrase-file", "pass")
        assert said.code != 0 and not Path("out").exists()
        (theirs.path / "of-root").unlink()
        assert theirs("backup", "out", "--passphrase-file", "pass").code == 0
        users = []
        real = restore_module._begin_life

        def begin(*arguments: Any) -> Any:
            users.append(os.geteuid())
            return real(*arguments)

        monkeypatch.setattr(restore_module, "_begin_life", begin)
        back = Home(top / "back", capsys, monkeypatch)
        assert back("restore", "out", "--passphrase-file", "pass").code == 0
        assert (users, os.geteuid(), os.stat("out").st_uid) == ([4_242], 0, 0)
        assert {path.stat().st_uid for path in back.path.rglob("*")} == {4_242}


def test_a_terminal_gets_no_bytes(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdout", Terminal())
    assert run_program(["--home", str(home.path), "backup", "-", "--recipient", RECIPIENT]) == 2


def test_a_key_file_under_a_passphrase_is_backed_up_as_it_is_and_checked_where_that_is_given(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("key-pass", "the key file has another one\n")
    assert home("passphrase", "set", "--new-file", "key-pass").code == 0
    assert home("backup", "node.age", "--passphrase-file", "pass").code == 0
    raw = (home.path / "identity.p2pkey").read_bytes()
    home.path = home.path.with_name("new")
    monkeypatch.setenv("P2PSHARE_PASSPHRASE_FILE", "pass")
    assert reason_of(home("restore", "node.age", "--passphrase-file", "pass", "--json")) == "passphrase-wrong"
    assert not home.path.exists()
    monkeypatch.setenv("P2PSHARE_PASSPHRASE_FILE", "key-pass")
    assert home("restore", "node.age", "--passphrase-file", "pass").code == 0
    assert (home.path / "identity.p2pkey").read_bytes() == raw
