"""The age format: what `age` writes is read here, what is written here `age` reads, and the vectors of its authors hold."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import pty
import shutil
import subprocess
import tracemalloc
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pshare.envelope.age_format import (
    CHUNK_BYTES,
    SCRYPT_LOG_N_MAX,
    AgeIdentity,
    AgeWriter,
    parse_identities,
    parse_recipient,
    read_age,
    recipient_of,
)
from p2pshare.envelope.keys import Secret
from p2pshare.errors import AuthorError
from p2pshare.limits import MIB

TESTKIT = json.loads((Path(__file__).parent / "age_testkit.json").read_text())["vectors"]
REASONS = {
    "header failure": {"age-damaged", "age-version", "not-age"},
    "payload failure": {"age-damaged"},
    "HMAC failure": {"age-damaged"},
    "no match": {"age-no-match", "passphrase-wrong", "age-passphrase"},
}
IDENTITY = AgeIdentity(Secret(bytes(range(32))))
PASSPHRASE = Secret(b"one two three four five")
QUICK_LOG_N = 4


def sealed(payload: bytes, *, by_passphrase: bool = False, piece: int = 10_000) -> bytes:
    out = io.BytesIO()
    keys = {"passphrase": PASSPHRASE} if by_passphrase else {"recipients": [recipient_of(IDENTITY)]}
    writer = AgeWriter(out.write, scrypt_log_n=QUICK_LOG_N, **keys)  # type: ignore[arg-type]
    for start in range(0, len(payload), piece):
        writer.write(payload[start : start + piece])
    writer.finish()
    return out.getvalue()


def opened(raw: bytes, **keys: object) -> bytes:
    keys = keys or {"identities": [IDENTITY], "passphrase": PASSPHRASE}
    return b"".join(read_age(io.BytesIO(raw).read, **keys))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", TESTKIT)
def test_the_vectors_of_ages_authors_hold(name: str) -> None:
    vector = TESTKIT[name]
    raw = base64.b64decode(vector["file"])
    raw = zlib.decompress(raw) if vector["is_compressed"] else raw
    identities = [parse_identities(one.encode())[0] for one in vector["identities"]]
    passphrase = Secret(vector["passphrase"].encode()) if vector["passphrase"] else None
    if vector["expect"] == "success":
        payload = opened(raw, identities=identities, passphrase=passphrase)
        assert hashlib.sha256(payload).hexdigest() == vector["payload"]
        return
    with pytest.raises(AuthorError) as caught:
        opened(raw, identities=identities, passphrase=passphrase)
    assert caught.value.reason in REASONS[vector["expect"]]


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES])
def test_what_is_written_is_read_back_at_every_edge_of_a_chunk(size: int) -> None:
    payload = os.urandom(size)
    assert opened(sealed(payload)) == opened(sealed(payload, by_passphrase=True)) == payload


@given(st.data())
@settings(max_examples=60)
def test_one_changed_bit_or_a_cut_is_refused_and_nothing_false_comes_out(data: st.DataObject) -> None:
    payload = bytes(range(256)) * 600
    raw = sealed(payload)
    place = data.draw(st.integers(0, len(raw) - 1))
    damaged = data.draw(
        st.sampled_from(
            [raw[:place], raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :], raw + raw[: place + 1]]
        )
    )
    got = bytearray()
    with pytest.raises(AuthorError) as caught:
        for piece in read_age(io.BytesIO(damaged).read, identities=[IDENTITY]):
            got += piece
    assert payload.startswith(bytes(got))
    assert caught.value.reason in {"age-damaged", "age-no-match", "not-age", "age-version"}


@given(st.binary(max_size=400), st.booleans())
def test_bytes_of_anybody_are_refused_with_a_reason(raw: bytes, has_head: bool) -> None:
    with pytest.raises(AuthorError):
        opened((b"age-encryption.org/v1\n-> " if has_head else b"") + raw)


def test_a_header_without_an_end_is_left_after_its_bound() -> None:
    """A stanza of gigabytes would otherwise be held in memory before anybody is asked for a key."""
    read_bytes = 0

    def endless(size: int) -> bytes:
        nonlocal read_bytes
        piece = b"age-encryption.org/v1\n-> X25519 a\n" if read_bytes == 0 else (b"A" * 64 + b"\n") * 100
        read_bytes += len(piece)
        return piece

    with pytest.raises(AuthorError) as caught:
        list(read_age(endless, identities=[IDENTITY]))
    assert (caught.value.reason, read_bytes < 1 * MIB) == ("age-damaged", True)


def test_a_passphrase_that_asks_for_gigabytes_is_not_tried() -> None:
    raw = sealed(b"", by_passphrase=True).replace(b" 4\n", f" {SCRYPT_LOG_N_MAX + 1}\n".encode(), 1)
    with pytest.raises(AuthorError) as caught:
        opened(raw)
    assert caught.value.reason == "age-damaged"


def test_memory_does_not_grow_with_the_file() -> None:
    tracemalloc.start()
    try:
        writer = AgeWriter(lambda _: None, recipients=[recipient_of(IDENTITY)])
        for _ in range(64):
            writer.write(bytes(1 * MIB))
        writer.finish()
        assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "age1",
        "age1qqqq",
        "AGE1" + "Q" * 58,
        "x" * 1000,
        "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwk",
    ],
)
def test_a_mistyped_recipient_is_refused(text: str) -> None:
    with pytest.raises(AuthorError) as caught:
        parse_recipient(text)
    assert caught.value.reason == "bad-recipient"


# --- the real age ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def age() -> str:
    found = shutil.which("age")
    if found is None:
        pytest.skip("skipped: age not installed")
    return found


@pytest.fixture(scope="module")
def key_file(age: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("age") / "key.txt"
    subprocess.run([f"{age}-keygen", "-o", str(path)], check=True, capture_output=True)
    return path


def test_age_reads_what_is_written_here_and_we_read_what_age_writes(age: str, key_file: Path) -> None:
    payload = os.urandom(200_000)
    told = subprocess.run([f"{age}-keygen", "-y", str(key_file)], check=True, capture_output=True, text=True)
    recipient, (identity,) = parse_recipient(told.stdout.strip()), parse_identities(key_file.read_bytes())
    assert recipient_of(identity) == recipient
    out = io.BytesIO()
    writer = AgeWriter(out.write, recipients=[recipient_of(IDENTITY), recipient])
    writer.write(payload)
    writer.finish()
    read = subprocess.run(
        [age, "-d", "-i", str(key_file)], input=out.getvalue(), check=True, capture_output=True
    )
    assert read.stdout == payload
    theirs = subprocess.run([age, "-r", told.stdout.strip()], input=payload, check=True, capture_output=True)
    assert opened(theirs.stdout, identities=[IDENTITY, identity]) == payload


def test_age_reads_a_passphrase_of_ours_and_we_read_one_of_age(age: str, tmp_path: Path) -> None:
    """`age` asks for a passphrase on a terminal alone, so it is given one."""
    payload = os.urandom(70_000)
    (tmp_path / "ours.age").write_bytes(sealed(payload, by_passphrase=True))
    on_terminal([age, "-d", "-o", str(tmp_path / "read"), str(tmp_path / "ours.age")], answers=1)
    assert (tmp_path / "read").read_bytes() == payload
    on_terminal([age, "-p", "-o", str(tmp_path / "theirs.age"), str(tmp_path / "read")], answers=2)
    assert opened((tmp_path / "theirs.age").read_bytes(), passphrase=PASSPHRASE) == payload


def on_terminal(command: list[str], *, answers: int) -> None:
    process, terminal = pty.fork()
    if process == 0:
        os.execv(command[0], command)
    said = b""
    while True:
        try:
            said += os.read(terminal, 1000)
        except OSError:  # the other side is closed
            break
        if answers and said.rstrip().endswith(b":"):
            os.write(terminal, PASSPHRASE.reveal() + b"\n")
            answers, said = answers - 1, b""
    _, status = os.waitpid(process, 0)
    assert status == 0, said
