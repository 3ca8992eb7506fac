"""Files that were asked for: nothing is replaced but a regular file, and that one whole, with its owner and mode."""

from __future__ import annotations

import ast
import errno
import hashlib
import os
import pty
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from command_line import Home, Said
from whole_nodes import World, befriend, quiet, send

from p2pshare.cli import output
from p2pshare.cli.output import open_output, write_output
from p2pshare.cli.rejects import rejects_file
from p2pshare.envelope.keys import reissue_card
from p2pshare.errors import OperatorError, PeerError
from p2pshare.intel.marking import Tlp
from p2pshare.operations.incidents import OpenIncident
from p2pshare.operations.labs import OpenLab, PutInLab
from p2pshare.operations.spaces import OpenSpace
from p2pshare.sharing.partners import apply_card_update
from p2pshare.spaces.lab_entries import RuleVersion, encode_lab

NEEDS_ROOT = pytest.mark.skipif(
    os.getuid() != 0, reason="skipped: needs root to make devices and to change users"
)
STRANGER = 12_345  # a user and group that nobody is
OLD = b"old content, longer than nothing\n"
SIGMA = b"title: a rule\nlogsource: {product: windows}\ndetection: {one: {a: b}, condition: one}\n"
ENVIRONMENT = {name: text for name, text in os.environ.items() if name != "PYTHONUNBUFFERED"}

# every command that writes a file, with what it needs to say something
WRITERS = {
    "export": "export --format list -o FILE",
    "export ndjson": "export --format ndjson --output FILE",
    "card": "card export FILE",
    "partner": "partner export FILE",
    "introduce": "introduce export FILE",
    "envelope": "envelope export ENVELOPE FILE",
    "proof": "doctor proof alpha FILE",
    "support-bundle": "support-bundle FILE",
    "rejects": "publish - --format list --tlp green --to charlie --dry-run --rejects FILE",
    "space": "space export SPACE -o FILE",
    "incident": "incident export INCIDENT --format markdown -o FILE",
    "lab": "lab export LAB --status experimental -o FILE",
    "training": "training report --format csv -o FILE",
    "partner card": "partner card charlie FILE",
}


class Asked(NamedTuple):
    """A command that writes a file, on bravo's home."""

    home: Home
    names: dict[str, str]
    command: str

    def __call__(self, target: Path | str) -> Said:
        words = {"FILE": str(target)} | self.names
        arguments = [words.get(word, word) for word in self.command.split()]
        return self.home(*arguments, stdin=b"nonsense line here\nnew.example\n")


@pytest.fixture(scope="module")
def bravo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The home of a node that published, holds the proof of a fork and leads two spaces; the ids of its envelope and of these."""
    folder, now = tmp_path_factory.mktemp("output"), int(time.time())
    world = World(folder, now)
    alpha, bravo, charlie = (world.found(name) for name in ("alpha", "bravo", "charlie"))
    befriend(bravo, alpha, now=now)
    befriend(bravo, charlie, now=now)
    envelope = send(bravo, ["evil.example"], to=["charlie"], now=now).envelopes[0].text
    one, other = (reissue_card(alpha.identity, now, name=name).card.raw for name in ("One", "Other"))
    apply_card_update(bravo, alpha.identity.partner_id, one, now)
    with pytest.raises(PeerError):
        apply_card_update(bravo, alpha.identity.partner_id, other, now)
    space = OpenSpace("note", "notes", Tlp.GREEN, ()).run(bravo, now, quiet).space
    incident = OpenIncident("a case", ("ransomware",), Tlp.GREEN, ()).run(bravo, now, quiet).incident
    lab = OpenLab("a lab", "which?", 100, Tlp.GREEN).run(bravo, now, quiet).lab
    rule = RuleVersion(
        b"", "sigma", hashlib.sha256(SIGMA).digest(), len(SIGMA), "a rule", "Alice", "DRL-1.1", "", (), ""
    )
    PutInLab(lab, "rule", encode_lab(rule), SIGMA).run(bravo, now, quiet)
    world.close()
    return folder / "bravo", {"ENVELOPE": envelope, "SPACE": space, "INCIDENT": incident, "LAB": lab}


@pytest.fixture(params=WRITERS)
def asked(
    request: pytest.FixtureRequest,
    bravo: tuple[Path, dict[str, str]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Asked:
    home, names = bravo
    return Asked(Home(home, capsys, monkeypatch), names, WRITERS[request.param])


def is_done(said: Said) -> bool:
    return said.code in (0, 6)  # 6: the refusals that --rejects is there for


class Reader:
    """Reads a FIFO to its end, in a thread."""

    def __init__(self, fifo: Path) -> None:
        self.raw = b""
        self._thread = threading.Thread(target=self._read, args=(fifo,))

    def _read(self, fifo: Path) -> None:
        self.raw = fifo.read_bytes()

    def __enter__(self) -> Reader:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(30)


# --- links, regular files ----------------------------------------------------------------------------


def test_a_link_is_followed_and_whoever_reads_the_real_file_gets_the_new_content(
    asked: Asked, tmp_path: Path
) -> None:
    (tmp_path / "deep").mkdir()
    real, link, relative = tmp_path / "deep" / "real", tmp_path / "link", tmp_path / "relative"
    real.write_bytes(OLD)
    real.chmod(0o640)
    link.symlink_to(real)
    relative.symlink_to("deep/../link")
    for target in (link, relative):
        real.write_bytes(OLD)
        assert is_done(asked(target))
        assert (link.is_symlink(), relative.is_symlink(), real.is_symlink()) == (True, True, False)
        assert real.read_bytes() not in (b"", OLD)
        assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert sorted(one.name for one in tmp_path.rglob("*")) == ["deep", "link", "real", "relative"]


def test_a_link_that_leads_nowhere_yet_makes_the_file_it_names(asked: Asked, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "link").symlink_to("deep/new")
    assert is_done(asked(tmp_path / "link"))
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "deep" / "new").stat().st_size > 0


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o600, 0o755])
def test_a_file_that_was_there_keeps_its_mode(asked: Asked, tmp_path: Path, mode: int) -> None:
    target = tmp_path / "file"
    target.write_bytes(OLD)
    target.chmod(mode)
    assert is_done(asked(target))
    assert (stat.S_IMODE(target.stat().st_mode), target.read_bytes() == OLD) == (mode, False)
    assert os.listdir(tmp_path) == ["file"]


def test_a_new_file_has_the_mode_of_every_new_file_and_what_is_not_for_all_is_its_owners_alone(
    asked: Asked, tmp_path: Path
) -> None:
    mask = os.umask(0o026)
    try:
        assert is_done(asked(tmp_path / "file"))
    finally:
        os.umask(mask)
    is_owners = (
        asked.command.split()[0] in ("space", "incident", "lab", "training", "support-bundle")
        or "--rejects" in asked.command
    )
    expected = 0o600 if is_owners else 0o640
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == expected


@NEEDS_ROOT
def test_a_file_that_was_there_keeps_its_owner(asked: Asked, tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(OLD)
    target.chmod(0o640)
    os.chown(target, STRANGER, STRANGER + 1)
    assert is_done(asked(target))
    now = target.stat()
    assert (now.st_uid, now.st_gid, stat.S_IMODE(now.st_mode)) == (STRANGER, STRANGER + 1, 0o640)
    assert target.read_bytes() not in (b"", OLD)


def test_an_access_list_is_kept_and_its_mask_lets_no_group_in(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(OLD)
    # acl(5): the owner rw, one user r, the group nothing, the mask r, others nothing
    entries = ((0x01, 6, -1), (0x02, 4, STRANGER), (0x04, 0, -1), (0x10, 4, -1), (0x20, 0, -1))
    rules = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)
    try:
        os.setxattr(target, "system.posix_acl_access", rules)
    except OSError:
        pytest.skip("skipped: this file system has no access lists")
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    write_output(str(target), b"new")
    assert os.getxattr(target, "system.posix_acl_access") == rules
    assert (target.read_bytes(), stat.S_IMODE(target.stat().st_mode)) == (b"new", 0o640)


def test_a_reader_of_a_regular_file_never_meets_half_of_it(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(OLD)
    target.chmod(0o640)
    with pytest.raises(KeyboardInterrupt), open_output(str(target)) as stream:
        stream.write(b"half")
        stream.flush()
        assert target.read_bytes() == OLD
        [beside] = set(tmp_path.iterdir()) - {target}
        assert stat.S_IMODE(beside.stat().st_mode) == 0o600
        raise KeyboardInterrupt
    assert target.read_bytes() == OLD
    assert os.listdir(tmp_path) == ["file"]


def test_a_file_with_the_longest_name_is_written(tmp_path: Path) -> None:
    target = tmp_path / ("n" * os.pathconf(tmp_path, "PC_NAME_MAX"))
    for raw in (b"one", b"two"):
        write_output(str(target), raw)
        assert target.read_bytes() == raw


def test_a_feed_is_written_into_the_folder_that_a_link_names(
    bravo: tuple[Path, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    home = Home(bravo[0], capsys, monkeypatch)
    for name in ("there", "missing"):
        real, link = tmp_path / name, tmp_path / f"link-{name}"
        link.symlink_to(real)
        if name == "there":
            real.mkdir()
            (tmp_path / "manifest").write_bytes(OLD)
            (real / "manifest.json").symlink_to("../manifest")
        assert home("export", "--format", "misp-feed", "-o", str(link)).code == 0
        assert link.is_symlink()
        assert (real / "hashes.csv").is_file()
    assert (tmp_path / "there" / "manifest.json").is_symlink()
    assert (tmp_path / "manifest").read_bytes() != OLD
    (tmp_path / "file").write_bytes(OLD)
    said = home("export", "--format", "misp-feed", "-o", str(tmp_path / "file"))
    assert (said.code, (tmp_path / "file").read_bytes()) == (1, OLD)


# --- what is no regular file -------------------------------------------------------------------------


def test_a_fifo_is_written_into_and_stays(asked: Asked, tmp_path: Path) -> None:
    fifo, link = tmp_path / "fifo", tmp_path / "link"
    os.mkfifo(fifo, 0o640)
    link.symlink_to(fifo)
    for target in (fifo, link):
        with Reader(fifo) as reader:
            assert is_done(asked(target))
        assert reader.raw
        assert stat.S_ISFIFO(fifo.stat().st_mode)
        assert stat.S_IMODE(fifo.stat().st_mode) == 0o640
    assert sorted(os.listdir(tmp_path)) == ["fifo", "link"]


def test_a_fifo_that_nobody_reads_is_refused_and_stays(
    asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "READER_SECONDS_MAX", 0.1)
    os.mkfifo(tmp_path / "fifo")
    said = asked(tmp_path / "fifo")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith(f"error: cannot write {tmp_path / 'fifo'}: nobody reads it\nhint: ")
    assert (tmp_path / "fifo").is_fifo()


def test_a_slow_reader_of_a_fifo_gets_everything(tmp_path: Path) -> None:
    fifo, got = tmp_path / "fifo", []
    os.mkfifo(fifo)

    def read_late() -> None:
        with fifo.open("rb") as stream:
            time.sleep(0.3)  # the pipe is full long before
            got.append(len(stream.read()))

    thread = threading.Thread(target=read_late)
    thread.start()
    write_output(str(fifo), bytes(1_000_000))
    thread.join(30)
    assert got == [1_000_000]


def test_a_reader_of_a_fifo_that_goes_away_is_an_error_and_not_silence(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    def read_a_byte() -> None:
        with fifo.open("rb", buffering=0) as stream:
            stream.read(1)

    thread = threading.Thread(target=read_a_byte)
    thread.start()
    with pytest.raises(OperatorError, match="broken pipe"):
        write_output(str(fifo), bytes(4_000_000))
    thread.join(30)


def test_a_terminal_is_written_into_and_stays(asked: Asked) -> None:
    ours, theirs = pty.openpty()
    name = os.ttyname(theirs)
    before = os.stat(name)
    shown = b""

    def read() -> None:  # a terminal takes no more than a few kilobytes that nobody reads
        nonlocal shown
        try:
            while piece := os.read(ours, 65_536):
                shown += piece
        except OSError:  # a terminal without another end answers EIO (pty(7))
            pass

    thread = threading.Thread(target=read)
    thread.start()
    said = asked(name)
    after = os.stat(name)
    os.close(theirs)
    thread.join(30)
    os.close(ours)
    assert is_done(said)
    assert shown
    assert (after.st_ino, after.st_rdev, after.st_mode) == (before.st_ino, before.st_rdev, before.st_mode)


@NEEDS_ROOT
def test_a_device_that_is_full_is_told_and_never_replaced(asked: Asked, tmp_path: Path) -> None:
    """/dev/full and /dev/null under other names: a fault here must not cost the machine its own."""
    full, link, null = tmp_path / "full", tmp_path / "link", tmp_path / "null"
    try:
        os.mknod(full, stat.S_IFCHR | 0o640, os.makedev(1, 7))
        os.mknod(null, stat.S_IFCHR | 0o640, os.makedev(1, 3))
        null.write_bytes(b"x")
    except PermissionError:
        pytest.skip("skipped: no devices here")
    link.symlink_to(full)
    before = [one.stat() for one in (full, null)]
    for target in (full, link):
        said = asked(target)
        assert said.code == 1
        assert f"error: cannot write {target}: no space left on device\nhint: make room" in said.err
    assert is_done(asked(null))
    after = [one.stat() for one in (full, null)]
    assert [(one.st_ino, one.st_rdev, one.st_mode) for one in after] == [
        (one.st_ino, one.st_rdev, one.st_mode) for one in before
    ]
    assert sorted(os.listdir(tmp_path)) == ["full", "link", "null"]


def test_what_stands_in_shared_memory_is_written_where_it_stands() -> None:
    if not os.access("/dev/shm", os.W_OK):
        pytest.skip("skipped: no /dev/shm")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        target = Path(folder, "file")
        with open_output(str(target), mode=0o600) as stream:
            stream.write(OLD)
        assert stat.S_IMODE(target.stat().st_mode) == 0o600, "what was not shared is its owner's alone"
        before = target.stat().st_ino
        write_output(str(target), b"new")
        assert (target.read_bytes(), target.stat().st_ino) == (b"new", before)
        os.mkfifo(Path(folder, "fifo"))
        with Reader(Path(folder, "fifo")) as reader:
            write_output(f"{folder}/fifo", b"new")
        assert reader.raw == b"new"


def test_a_mistyped_device_does_not_become_a_file() -> None:
    target = Path("/dev/p2pshare-no-such-device")
    try:
        with pytest.raises(OperatorError, match="no such file"):
            write_output(str(target), b"new")
        assert not target.exists()
    finally:
        target.unlink(missing_ok=True)


# --- descriptors -------------------------------------------------------------------------------------


def run_writing(bravo: tuple[Path, str], target: str, stdout: int) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "p2pshare", "export", "--home", str(bravo[0]), "--format", "list"]
    return subprocess.run(
        [*command, "-o", target], stdout=stdout, stderr=subprocess.PIPE, env=ENVIRONMENT, check=False
    )


@pytest.fixture(params=["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "/proc/thread-self/fd/1", "link"])
def own_stdout(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Names of the stdout of a process to be started."""
    if request.param != "link":
        return str(request.param)
    (tmp_path / "link").symlink_to("/dev/stdout")
    return str(tmp_path / "link")


def test_what_a_shell_appends_to_stays_before_what_is_appended(
    bravo: tuple[Path, str], tmp_path: Path, own_stdout: str
) -> None:
    log = tmp_path / "log"
    log.write_bytes(OLD)
    before = log.stat().st_ino
    with log.open("ab") as stream:
        assert run_writing(bravo, own_stdout, stream.fileno()).returncode == 0
        stream.write(b"and on\n")
    assert log.read_bytes() == OLD + b"evil.example\nand on\n"
    assert log.stat().st_ino == before


def test_stdout_by_name_is_written_where_it_is_no_file(bravo: tuple[Path, str], own_stdout: str) -> None:
    assert run_writing(bravo, own_stdout, subprocess.PIPE).stdout == b"evil.example\n"
    ours, theirs = socket.socketpair()  # which cannot be opened again by its name
    with ours, theirs:
        done = run_writing(bravo, own_stdout, theirs.fileno())
        assert (done.returncode, ours.recv(100)) == (0, b"evil.example\n")


def test_a_descriptor_that_was_not_handed_over_is_none_of_the_callers(tmp_path: Path) -> None:
    """A shell's mistake must not hit the store, which is open under some number meanwhile."""
    target = tmp_path / "store"
    target.write_bytes(OLD)
    descriptor = os.open(target, os.O_RDWR)
    try:
        with pytest.raises(OperatorError, match="bad file descriptor"):
            write_output(f"/dev/fd/{descriptor}", b"new")
        assert target.read_bytes() == OLD
        os.set_inheritable(descriptor, True)
        write_output(f"/dev/fd/{descriptor}", b"new")
        assert target.read_bytes() == b"new" + OLD[3:]
    finally:
        os.close(descriptor)
    with pytest.raises(OperatorError, match="bad file descriptor"):
        write_output("/dev/fd/9999", b"new")


# --- refusals ----------------------------------------------------------------------------------------


def make_loop(folder: Path) -> Path:
    (folder / "a").symlink_to("b")
    (folder / "b").symlink_to("a")
    return folder / "a"


def make_loop_of_folders(folder: Path) -> Path:
    return make_loop(folder) / "file"


def make_socket(folder: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "s"))
    return folder / "s"


def make_link_to_folder(folder: Path) -> Path:
    (folder / "folder").mkdir()
    (folder / "link").symlink_to("folder")
    return folder / "link"


REFUSED: dict[str, tuple[Callable[[Path], Path | str], int]] = {
    "a loop of links": (make_loop, errno.ELOOP),
    "a loop of links on the way": (make_loop_of_folders, errno.ELOOP),
    "a folder": (lambda folder: folder, errno.EISDIR),
    "a link to a folder": (make_link_to_folder, errno.EISDIR),
    "the folder above": (lambda folder: f"{folder}/..", errno.EISDIR),
    "a name like a folder": (lambda folder: f"{folder}/new/", errno.EISDIR),
    "no name": (lambda _: "", errno.ENOENT),
    "a folder that is missing": (lambda folder: folder / "no" / "file", errno.ENOENT),
    "a file as a folder": (lambda _: f"{__file__}/file", errno.ENOTDIR),
    "a name too long": (lambda folder: folder / ("n" * 5000), errno.ENAMETOOLONG),
    "a socket": (make_socket, errno.ENXIO),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_written_is_told_with_a_mend_and_left_as_it_is(asked: Asked, case: str) -> None:
    make, number = REFUSED[case]
    with tempfile.TemporaryDirectory() as short:  # the name of a socket has 107 bytes at most
        target = make(Path(short))
        before = sorted((one.name, one.lstat().st_mode) for one in Path(short).iterdir())
        said = asked(target)
        assert (said.code, said.out) == (1, "")
        assert said.err.startswith(f"error: cannot write {target}: {os.strerror(number).lower()}\nhint: ")
        assert sorted((one.name, one.lstat().st_mode) for one in Path(short).iterdir()) == before


@contextmanager
def as_stranger() -> Iterator[None]:
    """This process as another user, without root's powers."""
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(STRANGER)
    os.seteuid(STRANGER)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder where everybody may make and replace files; below the test's own nobody else may go."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o777)
        yield Path(name)


@NEEDS_ROOT
def test_a_file_of_another_owner_is_overwritten_in_place_where_it_may_be_and_stays_theirs(
    open_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = open_folder / "file"
    target.write_bytes(OLD)
    target.chmod(0o666)
    before = target.stat()
    with as_stranger():
        write_output(str(target), b"new")
    now = target.stat()
    assert (target.read_bytes(), now.st_ino, now.st_uid) == (b"new", before.st_ino, 0)
    assert now.st_mode == before.st_mode
    assert "belongs to another user: overwritten in place" in capsys.readouterr().err
    with as_stranger(), pytest.raises(ZeroDivisionError), open_output(str(target)) as stream:
        stream.write(bytes(100_000))
        raise ZeroDivisionError
    assert (target.read_bytes(), os.listdir(open_folder)) == (b"new", ["file"])


@NEEDS_ROOT
def test_a_file_of_another_owner_that_may_not_be_written_is_not_replaced(open_folder: Path) -> None:
    target = open_folder / "file"
    target.write_bytes(OLD)
    target.chmod(0o644)
    with as_stranger(), pytest.raises(OperatorError, match="permission denied"):
        write_output(str(target), b"new")
    assert (target.read_bytes(), target.stat().st_uid, os.listdir(open_folder)) == (OLD, 0, ["file"])


@NEEDS_ROOT
@pytest.mark.parametrize("kind", ["file", "link", "fifo"])
def test_what_another_user_left_in_a_folder_of_everybodys_is_no_target(
    open_folder: Path, tmp_path: Path, kind: str
) -> None:
    """Through a link it would be any file of ours, and a file of theirs would stay theirs to read."""
    open_folder.chmod(0o1777)
    target, ours = open_folder / "target", tmp_path / "ours"
    ours.write_bytes(OLD)
    if kind == "link":
        target.symlink_to(ours)
    elif kind == "fifo":
        os.mkfifo(target)
    else:
        target.write_bytes(OLD)
    os.chown(target, STRANGER, STRANGER, follow_symlinks=False)
    before = target.lstat()
    (tmp_path / "way").symlink_to(target)
    for name in (target, tmp_path / "way"):
        with pytest.raises(OperatorError, match="permission denied"):
            write_output(str(name), b"new")
    assert (target.lstat(), ours.read_bytes(), os.listdir(open_folder)) == (before, OLD, ["target"])
    target.unlink()
    target.symlink_to(ours)  # our own
    write_output(str(target), b"new")
    assert ours.read_bytes() == b"new"


@NEEDS_ROOT
def test_a_folder_that_may_not_be_written_is_told(open_folder: Path) -> None:
    open_folder.chmod(0o755)
    with as_stranger(), pytest.raises(OperatorError, match="permission denied") as caught:
        write_output(str(open_folder / "new"), b"new")
    assert caught.value.hint == "write as a user who may, or choose another file"
    assert os.listdir(open_folder) == []


# --- refusals of a reader ----------------------------------------------------------------------------


def test_refusals_do_not_replace_what_stdin_reads(bravo: tuple[Path, str], tmp_path: Path) -> None:
    source, link = tmp_path / "input", tmp_path / "link"
    source.write_bytes(b"nonsense line here\n")
    link.symlink_to(source)
    for target in (source, link, Path("/dev/stdin")):
        command = [
            sys.executable,
            "-m",
            "p2pshare",
            "--home",
            str(bravo[0]),
            "publish",
            "-",
            "--tlp",
            "green",
        ]
        with source.open("r+b") as stream:
            done = subprocess.run(
                [*command, "--dry-run", "--rejects", str(target)],
                stdin=stream,
                capture_output=True,
                check=False,
            )
        assert (done.returncode, b"would replace the input" in done.stderr) == (2, True)
        assert source.read_bytes() == b"nonsense line here\n"


def test_an_error_of_the_work_is_not_blamed_on_the_file_of_refusals(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="the network") as caught, rejects_file(str(tmp_path / "file"), "-"):
        raise OSError(errno.ENETDOWN, "the network")
    assert not isinstance(caught.value, OperatorError)
    assert os.listdir(tmp_path) == ["file"]


def test_a_bug_of_the_work_leaves_nothing_beside(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(OLD)
    with pytest.raises(KeyError), rejects_file(str(tmp_path / "file"), "-"):
        raise KeyError
    assert ((tmp_path / "file").read_bytes(), os.listdir(tmp_path)) == (OLD, ["file"])


# --- every place -------------------------------------------------------------------------------------


def test_no_command_opens_a_file_for_writing_but_through_one_door(repository: Path) -> None:
    """A new command that writes a file must be in WRITERS above."""
    writing = {"write_bytes", "write_text", "replace", "rename", "mkstemp", "NamedTemporaryFile"}
    found = set()
    for path in (repository / "src" / "p2pshare" / "cli").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
                # str.replace, and dataclasses.replace with its fields by name; that of a path has one
                is_text = name == "replace" and (len(node.args) == 2 or node.keywords)
                opens = name == "open" and any(
                    isinstance(one, ast.Constant) and set(str(one.value)) & set("wax+") for one in node.args
                )
                is_raw = name == "open" and "os" in ast.dump(node.func)
                if (name in writing and not is_text) or opens or is_raw:
                    found.add((path.name, name))
    # console leads streams to /dev/null; incident hands a list to the reader of lists, in a folder that is gone behind it; service puts back
    # the environment of before, where the next one does not start
    assert found - {("incident.py", "write_text"), ("service.py", "rename")} <= {
        ("output.py", "open"), ("output.py", "replace"), ("console.py", "open"),
    }, found  # fmt: skip
    callers = {
        path.stem
        for path in (repository / "src" / "p2pshare" / "cli").rglob("*.py")
        if "write_output" in path.read_text() or "open_output" in path.read_text()
    }
    of_one_node = {
        "output",
        "export",
        "card",
        "partner",
        "introduce",
        "envelope",
        "doctor",
        "rejects",
        "show",
        "support_bundle",
    }
    of_spaces = {
        "exercise",
        "exercise_replay",
        "exercise_report",
        "incident",
        "lab",
        "playbook",
        "space_verbs",
    }
    of_a_home = {"backup"}  # it replaces nothing unless told to: test_cli_backup.py
    assert callers == of_one_node | of_a_home | of_spaces | {"board_report", "listing", "training"}
