"""What the memory of a running daemon holds: the keys that it works with, and neither root secrets nor the passphrase."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from p2pshare.envelope.keys import Identity, Secret, SigningKey
from p2pshare.node.keyfile import PASSPHRASE_FILE_VARIABLE, read_identity, write_key_file

if TYPE_CHECKING:
    from conftest import Company

pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="skipped: no /proc here"),
]
PASSPHRASE = b"correct horse battery"
OVERLAP_BYTES = 256  # longer than what is looked for, which may lie across two reads
READ_BYTES = 16 * 1024 * 1024
DIES_OF_OPENING = """
import os, sys
def watch(event, arguments):
    if event == "open" and str(arguments[0]).endswith({names!r}):
        os.write(2, b"opened " + os.fsencode(str(arguments[0])))
        os._exit(99)
sys.addaudithook(watch)
"""


def memory_holds(pid: int, wanted: dict[str, bytes]) -> set[str]:
    """Which of the secrets stand anywhere in the readable memory of a process."""
    found = set()
    pattern = re.compile(rb"|".join(re.escape(secret) for secret in wanted.values()))
    names = {secret: name for name, secret in wanted.items()}
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            (start, end), mode = (int(one, 16) for one in line.split()[0].split("-")), line.split()[1]
            if "r" not in mode or line.endswith(("[vvar]", "[vsyscall]", "[vvar_vclock]")):
                continue
            for at in range(start, end, READ_BYTES):
                try:
                    piece = os.pread(memory.fileno(), min(READ_BYTES + OVERLAP_BYTES, end - at), at)
                except OSError:  # a mapping that went, or the end of a mapped file
                    continue
                found |= {names[secret] for secret in pattern.findall(piece)}
    return found


def seeds(kind: str, key: SigningKey) -> dict[str, bytes]:
    secret = key.secret().reveal()
    return {f"{kind}, Ed25519": secret[:32], f"{kind}, ML-DSA": secret[32:]}


def encrypt(key_path: Path, identity: Identity, given: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given.touch(0o600)
    given.write_bytes(PASSPHRASE)
    monkeypatch.setenv(PASSPHRASE_FILE_VARIABLE, str(given))
    write_key_file(key_path, identity, Secret(PASSPHRASE))


@pytest.mark.parametrize("is_encrypted", [False, True])
def test_a_running_daemon_holds_no_root_secret_and_no_passphrase(
    company: Company, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_encrypted: bool
) -> None:
    """Right after its start, when memory that was given back is not yet written over: later can only be less."""
    alpha = company.found("alpha")
    key_path = alpha.home / "identity.p2pkey"
    identity = read_identity(key_path, alpha.home / "card.p2pcard")
    if is_encrypted:
        encrypt(key_path, identity, tmp_path / "passphrase", monkeypatch)
    alpha.stay_in_sight()
    alpha.start()
    assert alpha.process is not None
    daily = seeds("sign", identity.operational.sign)
    wanted = seeds("root", identity.roots[0]) | daily | {"passphrase": PASSPHRASE}
    assert memory_holds(alpha.process.pid, wanted) == set(daily)
    alpha.status()
    assert memory_holds(alpha.process.pid, wanted) == set(daily)
    alpha.cli("card", "rotate")  # done by a child, which reads the key file anew
    assert memory_holds(alpha.process.pid, wanted) <= set(daily)


def test_the_daemons_own_process_opens_neither_key_file_nor_passphrase(
    company: Company, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory that was given back may keep a secret or not: it was never there."""
    alpha = company.found("alpha")
    key_path = alpha.home / "identity.p2pkey"
    identity = read_identity(key_path, alpha.home / "card.p2pcard")
    encrypt(key_path, identity, tmp_path / "passphrase", monkeypatch)
    alpha.preface = DIES_OF_OPENING.format(names=("card.p2pcard",))
    with pytest.raises(AssertionError, match=r"opened .*card\.p2pcard"):
        alpha.start()  # so the watch is awake
    alpha.preface = DIES_OF_OPENING.format(names=("identity.p2pkey", "passphrase"))
    alpha.start()
    assert alpha.status()["running"] is True
    assert alpha.cli_json("card", "rotate", "--json")["version"] == 2
    assert alpha.status()["running"] is True
