"""A home goes into a backup and comes out whole; a hostile one is refused with a reason, and nothing is left of it."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import stat
import subprocess
import sys
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest
from copies import copy_of
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pshare.envelope.age_format import AgeIdentity, AgeWriter, read_age, recipient_of
from p2pshare.envelope.keys import Secret
from p2pshare.errors import DiskFull, OperatorError, PeerError, ShareError
from p2pshare.identifiers import PartnerId
from p2pshare.node import backup as backup_module
from p2pshare.node import restore as restore_module
from p2pshare.node.backup import PART_NAME, write_backup
from p2pshare.node.backup_archive import MANIFEST_NAME, ArchiveReader, BackupManifest
from p2pshare.node.init import found_home
from p2pshare.node.restore import RESTORE_PART_NAME, Restored, restore_home
from p2pshare.node.store import open_store, reading_store
from p2pshare.partners.invited import Invitation, JoinedGuest

NOW = 1_800_000_000
IDENTITY = AgeIdentity(Secret(bytes(range(32))))
Members = list[tuple[tarfile.TarInfo, bytes]]


def quiet(what: str, done: int, of: int) -> None:
    """Progress that nobody looks at."""


def make_home(home: Path) -> None:
    """A home with a file of every kind that one may have."""
    found_home(home, name="ALPHA", url="https://127.0.0.1:1", listen="", passphrase=None, now=NOW)
    for name, raw in {
        "duties/our-law.json": b"{}",
        "training/secret": b"s" * 32,
        "samples/lab/" + "a" * 64: os.urandom(300_000),
        "a name of more than a hundred letters, " + "x" * 100: b"long",
        "audit.log": b"one line\n",
    }.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(raw)
    for name in ("spool", "risk"):
        (home / name).mkdir()
    (home / "spool" / "TOKEN.held").write_bytes(b"prepared")
    inventory = apsw.Connection(str(home / "risk" / "inventory.sqlite"))
    inventory.execute("CREATE TABLE asset (name); INSERT INTO asset VALUES ('mail server')")
    inventory.close()
    (home / "lock").write_bytes(b"1")
    (home / "old.age").write_bytes(b"age-encryption.org/v1\n")
    os.mkfifo(home / "fifo")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    copied = copy_of("home", lambda made: make_home(made) or (made / "fifo").unlink(), tmp_path / "home")
    os.mkfifo(copied / "fifo")
    return copied


def backed_up(home: Path, **how: Any) -> tuple[bytes, BackupManifest]:
    out = io.BytesIO()
    manifest = write_backup(
        home, out.write, now=NOW, progress=quiet, recipients=[recipient_of(IDENTITY)], **how
    )
    return out.getvalue(), manifest


def restored(raw: bytes, home: Path, now: int = NOW + 60) -> Restored:
    return restore_home(home, io.BytesIO(raw).read, now=now, progress=quiet, identities=[IDENTITY])[0]


def files_of(home: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(home)): path.read_bytes()
        for path in home.rglob("*")
        if path.is_file() and ".sqlite" not in path.name
    }


def test_all_but_what_is_derived_comes_back_byte_for_byte(home: Path, tmp_path: Path) -> None:
    raw, manifest = backed_up(home)
    restored(raw, tmp_path / "new")
    gone = {"spool/TOKEN.held", "lock", "old.age", "feed.mark"}
    before = {name: content for name, content in files_of(home).items() if name not in gone}
    after = files_of(tmp_path / "new")
    assert before == {name: content for name, content in after.items() if name != "feed.mark"}
    assert not {PART_NAME, RESTORE_PART_NAME, "risk", "spool"} & set(os.listdir(tmp_path / "new"))
    assert PART_NAME not in os.listdir(home)
    for name in ("identity.p2pkey", "store.sqlite"):
        assert stat.S_IMODE((tmp_path / "new" / name).stat().st_mode) == 0o600
    left = {one.partition(":")[0] for one in manifest.left_out}
    assert left == {"risk", "old.age", "fifo"}


def test_the_inventory_is_in_it_when_it_is_named(home: Path, tmp_path: Path) -> None:
    raw, manifest = backed_up(home, with_risk=True)
    assert manifest.has_risk and not backed_up(home)[1].has_risk
    restored(raw, tmp_path / "new")
    inventory = apsw.Connection(str(tmp_path / "new" / "risk" / "inventory.sqlite"))
    assert inventory.execute("SELECT name FROM asset").fetchall() == [("mail server",)]


def test_a_restored_home_has_a_feed_and_an_incarnation_of_its_own(home: Path, tmp_path: Path) -> None:
    raw, _ = backed_up(home)
    told = [restored(raw, tmp_path / name, now) for name, now in (("one", NOW + 60), ("two", NOW + 90))]
    assert len({one.feed_id for one in told}) == 2 and told[0].incarnation < told[1].incarnation
    with reading_store(tmp_path / "one" / "store.sqlite") as store:
        ((feed,),) = store.database.fetch("SELECT feed_id FROM v1_feed")
        assert feed == told[0].feed_id
        assert store.partners.restored_at() == NOW + 60


def test_a_clock_that_is_behind_uses_no_number_twice(home: Path, tmp_path: Path) -> None:
    raw, _ = backed_up(home)
    later = restored(raw, tmp_path / "one", NOW + 1_000)
    raw_again, _ = backed_up(tmp_path / "one")
    behind = restored(raw_again, tmp_path / "two", NOW + 10)
    assert behind.incarnation > later.incarnation


def test_what_may_have_been_done_since_is_not_done_again(home: Path, tmp_path: Path) -> None:
    """An invitation that was used since would let a second guest in; a history would leave twice, to a partner that was removed, say."""
    guest = PartnerId(b"g" * 32)
    with closing(open_store(home / "store.sqlite", free_space_bytes_min=0)) as store:
        store.invitations.put(Invitation("BRAVO", b"certificate", NOW, NOW + 86_400))
        used = Invitation("CHARLIE", b"another", NOW, NOW + 86_400)
        store.invitations.put(used.joined(JoinedGuest(guest, b"", "", "", NOW)))
        store.knowledge.begin_forwarding(guest, 0, 5)
        with store.transaction() as writer:
            writer.execute("INSERT INTO forwarding_due SELECT partner, 7 FROM forwarding")
    raw, _ = backed_up(home)
    told = restored(raw, tmp_path / "new")
    assert {(one.what, one.count) for one in told.missing} >= {("invitations", 1), ("histories", 1)}
    with reading_store(tmp_path / "new" / "store.sqlite") as store:
        assert [one.state.value for one in store.invitations.given_out()] == ["refused", "waiting"]
        with pytest.raises(PeerError):
            store.invitations.given_out()[0].beginning(NOW)
        assert [(one.is_under_way, one.has_due) for one in store.knowledge.forwardings()] == [(False, False)]


def test_tar_and_age_take_it_apart(home: Path, tmp_path: Path) -> None:
    """Without this program: what tar unpacks is the home."""
    raw, _ = backed_up(home)
    plain = b"".join(read_age(io.BytesIO(raw).read, identities=[IDENTITY]))
    subprocess.run(["tar", "xf", "-", "-C", str(tmp_path)], input=plain, check=True)
    assert (tmp_path / "config.toml").read_bytes() == (home / "config.toml").read_bytes()
    assert (tmp_path / MANIFEST_NAME).exists()


def test_a_backup_while_the_store_is_written_is_one_moment_of_it(home: Path, tmp_path: Path) -> None:
    """Two tables that a writer changes together in each of its transactions are equal in the copy."""
    writing = """
import apsw, sys
store = apsw.Connection(sys.argv[1]); store.set_busy_timeout(5000)
store.execute("CREATE TABLE one (n, b); CREATE TABLE two (n, b)")
for n in range(10**9):
    with store:
        store.execute("INSERT INTO one VALUES (?, randomblob(3000))", (n,))
        store.execute("INSERT INTO two VALUES (?, randomblob(3000))", (n,))
    if n == 20:
        print("begun", flush=True)
"""
    path = home / "notes.sqlite"
    made = apsw.Connection(str(path))
    made.pragma("journal_mode", "wal")
    made.close()
    path.chmod(0o600)
    with subprocess.Popen([sys.executable, "-c", writing, str(path)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None and writer.stdout.readline()
        try:
            raw, _ = backed_up(home)
        finally:
            writer.kill()
    restored(raw, tmp_path / "new")
    copy = apsw.Connection(str(tmp_path / "new" / "notes.sqlite"))
    one, two = (copy.execute(f"SELECT count(*), max(n) FROM {name}").fetchall() for name in ("one", "two"))
    assert one == two and one[0][0] > 0
    assert copy.pragma("integrity_check") == "ok"


def test_two_backups_at_once_are_refused_and_what_a_kill_left_is_swept(home: Path) -> None:
    (home / PART_NAME).mkdir()
    (home / PART_NAME / "left").write_bytes(b"key")
    second: list[str] = []

    def put(_: bytes) -> None:
        if not second:
            second.append("begun")
            with pytest.raises(OperatorError) as caught:
                backed_up(home)
            second.append(caught.value.reason)

    write_backup(home, put, now=NOW, progress=quiet, recipients=[recipient_of(IDENTITY)])
    assert second == ["begun", "backup-runs"] and not (home / PART_NAME).exists()


@pytest.mark.parametrize("name", ["identity.p2pkey", "card.p2pcard", "config.toml", "store.sqlite"])
def test_a_home_without_what_makes_it_one_is_not_backed_up(home: Path, name: str) -> None:
    (home / name).unlink()
    with pytest.raises(OperatorError) as caught:
        backed_up(home)
    assert caught.value.reason == "backup-file" and name in caught.value.message


def test_a_damaged_store_is_not_backed_up(home: Path) -> None:
    damage_page(home / "store.sqlite")
    with pytest.raises(OperatorError) as caught:
        backed_up(home)
    assert caught.value.reason == "store-damaged" and not (home / PART_NAME).exists()


def damage_page(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.seek(40 * 4096)
        stream.write(b"\xff" * 4096)


def test_a_disk_without_room_is_told_before_anything_is_copied(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw, _ = backed_up(home)
    for module in (backup_module, restore_module):
        monkeypatch.setattr(module, "free_space_bytes", lambda path: 1_000_000)
    with pytest.raises(DiskFull):
        backed_up(home)
    with pytest.raises(DiskFull):
        restored(raw, tmp_path / "new")
    assert not (home / PART_NAME).exists() and not (tmp_path / "new").exists()


# --- what a hostile or damaged backup does ---------------------------------------------------------


def taken_apart(raw: bytes) -> Members:
    plain = b"".join(read_age(io.BytesIO(raw).read, identities=[IDENTITY]))
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        return [(one, archive.extractfile(one).read()) for one in archive]  # type: ignore[union-attr]


def put_together(members: Members, *, format: int = tarfile.GNU_FORMAT, end: bytes = bytes(1024)) -> bytes:
    out = io.BytesIO()
    writer = AgeWriter(out.write, recipients=[recipient_of(IDENTITY)])
    for info, content in members:
        writer.write(info.tobuf(format))
        writer.write(content + bytes(-len(content) % 512))
    writer.write(end)
    writer.finish()
    return out.getvalue()


def listing(members: Members) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(members[0][1])
    return found


def relisted(members: Members, change: Callable[[dict[str, Any]], None]) -> Members:
    """The members under a list that was changed."""
    told = listing(members)
    change(told)
    raw = msgspec.json.encode(told)
    members[0][0].size = len(raw)
    return [(members[0][0], raw), *members[1:]]


def renamed(name: str) -> Callable[[Members], Members]:
    """Names the first file so, in the list and in the archive."""

    def change(members: Members) -> Members:
        members[1][0].name = name
        return relisted(members, lambda told: told["files"][0].update(path=name))

    return change


def retyped(kind: bytes) -> Callable[[Members], Members]:
    def change(members: Members) -> Members:
        members[1][0].type, members[1][0].linkname = kind, "/etc/passwd"
        return members

    return change


def another_content(members: Members) -> Members:
    info, content = members[2]
    members[2] = (info, bytes([content[0] ^ 1]) + content[1:])
    return members


def twice(members: Members) -> Members:
    return relisted([*members, members[1]], lambda told: told["files"].append(told["files"][0]))


def with_size(members: Members) -> Members:
    members[1][0].size += 1
    return members


HOSTILE: dict[str, tuple[Callable[[Members], Members], str]] = {
    "a name above the home": (renamed("../evil"), "bad-backup"),
    "a name from the root": (renamed("/tmp/evil"), "bad-backup"),
    "a name within": (renamed("duties/../../evil"), "bad-backup"),
    "a name with a zero": (renamed("a\0b"), "bad-backup"),
    "a folder that is not listed": (renamed("none/card"), "bad-backup"),
    "a file as a folder": (renamed("card.p2pcard/x"), "bad-backup"),
    "an empty name": (renamed(""), "bad-backup"),
    "a name of a folder": (renamed("duties"), "bad-backup"),
    "a symbolic link": (retyped(tarfile.SYMTYPE), "bad-backup"),
    "a hard link": (retyped(tarfile.LNKTYPE), "bad-backup"),
    "a device": (retyped(tarfile.CHRTYPE), "bad-backup"),
    "a folder": (retyped(tarfile.DIRTYPE), "bad-backup"),
    "a sparse file": (retyped(tarfile.GNUTYPE_SPARSE), "bad-backup"),
    "a head of another kind": (retyped(tarfile.XHDTYPE), "bad-backup"),
    "a file twice": (twice, "bad-backup"),
    "a file more": (lambda members: [*members, members[1]], "bad-backup"),
    "a file less": (lambda members: members[:-1], "bad-backup"),
    "no list": (lambda members: members[1:], "bad-backup"),
    "another order": (lambda members: [members[0], members[2], members[1], *members[3:]], "bad-backup"),
    "another size": (with_size, "bad-backup"),
    "another content": (another_content, "bad-backup"),
    "nothing": (lambda members: [], "bad-backup"),
    "a list that is none": (
        lambda members: relisted(members, lambda told: told.update(files=3)),
        "bad-backup",
    ),
    "a file that says it is huge": (
        lambda members: relisted(members, lambda told: told["files"][3].update(size=1 << 62)),
        "disk-full",
    ),
    "a card of gigabytes": (
        lambda members: relisted(members, lambda told: told["files"][0].update(size=1 << 33)),
        "bad-backup",
    ),
    "a negative size": (
        lambda members: relisted(members, lambda told: told["files"][1].update(size=-1)),
        "bad-backup",
    ),
    "a file that runs as its owner": (
        lambda members: relisted(members, lambda told: told["files"][1].update(mode=0o4755)),
        "bad-backup",
    ),
    "a file that anybody writes": (
        lambda members: relisted(members, lambda told: told["files"][1].update(mode=0o666)),
        "bad-backup",
    ),
    "a mode that is none": (
        lambda members: relisted(members, lambda told: told["folders"][0].update(mode=-1)),
        "bad-backup",
    ),
    "a time that is none": (
        lambda members: relisted(members, lambda told: told.update(created="soon")),
        "bad-backup",
    ),
    "a later format": (
        lambda members: relisted(members, lambda told: told.update(version=2)),
        "backup-newer",
    ),
    "a newer schema": (
        lambda members: relisted(members, lambda told: told.update(schema=999)),
        "schema-newer",
    ),
    "another partner": (
        lambda members: relisted(members, lambda told: told.update(partner_id="ab" * 32)),
        "key-and-card-differ",
    ),
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A backup of a small home."""
    folder = tmp_path_factory.mktemp("plain") / "home"
    found_home(folder, name="ALPHA", url="https://127.0.0.1:1", listen="", passphrase=None, now=NOW)
    (folder / "duties").mkdir()
    return backed_up(folder)[0]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_backup_is_refused_and_leaves_nothing(plain: bytes, tmp_path: Path, name: str) -> None:
    change, reason = HOSTILE[name]
    refused(put_together(change(taken_apart(plain))), tmp_path, reason)


def refused(raw: bytes, folder: Path, *reasons: str) -> None:
    with pytest.raises(ShareError) as caught:
        restored(raw, folder / "new")
    assert caught.value.reason in reasons, caught.value
    assert os.listdir(folder) == [], "something is left"


def test_what_was_put_together_again_unchanged_is_restored(plain: bytes, tmp_path: Path) -> None:
    """So those above are refused for what was changed in them."""
    restored(put_together(taken_apart(plain), end=bytes(10_240)), tmp_path / "new")


@pytest.mark.parametrize("end", [b"", b"\1" * 1024, bytes(1024) + b"more", bytes(2 << 20)])
def test_an_end_that_is_none_is_refused(plain: bytes, tmp_path: Path, end: bytes) -> None:
    refused(put_together(taken_apart(plain), end=end), tmp_path, "bad-backup")


def test_a_pax_head_of_gigabytes_is_not_read(plain: bytes, tmp_path: Path) -> None:
    head = tarfile.TarInfo("././@LongLink")
    head.type, head.size = tarfile.GNUTYPE_LONGNAME, 1 << 40
    members = taken_apart(plain)
    refused(put_together([members[0], (head, b""), *members[1:]]), tmp_path, "bad-backup")


@given(st.data())
@settings(max_examples=25)
def test_a_cut_or_changed_backup_is_refused(plain: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(plain) - 1))
    changed = data.draw(
        st.sampled_from([plain[:place], plain[:place] + bytes([plain[place] ^ 1]) + plain[place + 1 :]])
    )
    with pytest.raises(ShareError):
        reader = ArchiveReader(read_age(io.BytesIO(changed).read, identities=[IDENTITY]))
        for _, content in reader.files():
            for _ in content:
                pass


def test_a_backup_of_a_store_that_is_damaged_or_anothers_is_refused(plain: bytes, tmp_path: Path) -> None:
    def with_store(change: Callable[[Path], None]) -> bytes:
        members, place = taken_apart(plain), tmp_path / "store.sqlite"
        number = next(n for n, (info, _) in enumerate(members) if info.name == "store.sqlite")
        place.write_bytes(members[number][1])
        place.chmod(0o600)
        change(place)
        raw = place.read_bytes()
        place.unlink()
        members[number][0].size = len(raw)
        members[number] = (members[number][0], raw)

        def relist(told: dict[str, Any]) -> None:
            told["files"][number - 1].update(size=len(raw), sha256=hashlib.sha256(raw).hexdigest())

        return put_together(relisted(members, relist))

    def numbered(pragma: str, number: int) -> Callable[[Path], None]:
        def change(path: Path) -> None:
            store = apsw.Connection(str(path))
            store.pragma(pragma, number)
            store.close()

        return change

    def of_another(path: Path) -> None:
        store = apsw.Connection(str(path))
        store.execute("INSERT OR REPLACE INTO setting VALUES ('own_id', zeroblob(32))")
        store.close()

    refused(with_store(damage_page), tmp_path, "store-damaged")
    refused(with_store(numbered("user_version", 9_999)), tmp_path, "schema-newer")
    refused(with_store(numbered("user_version", 1)), tmp_path, "schema-older")
    refused(with_store(numbered("application_id", 7)), tmp_path, "not-a-store")
    refused(with_store(of_another), tmp_path, "key-and-card-differ")
    refused(with_store(lambda path: path.write_bytes(b"")), tmp_path, "store-empty")
    refused(with_store(lambda path: path.write_bytes(b"no database" * 99)), tmp_path, "store-damaged")


def test_keys_of_another_home_are_refused(plain: bytes, home: Path, tmp_path: Path) -> None:
    members = taken_apart(plain)
    number = next(n for n, (info, _) in enumerate(members) if info.name == "identity.p2pkey")
    raw = (home / "identity.p2pkey").read_bytes()
    shutil.rmtree(home)
    members[number][0].size = len(raw)
    members[number] = (members[number][0], raw)
    changed = relisted(
        members,
        lambda told: told["files"][number - 1].update(size=len(raw), sha256=hashlib.sha256(raw).hexdigest()),
    )
    refused(put_together(changed), tmp_path, "key-and-card-differ")


def test_files_of_other_programs_are_refused(tmp_path: Path) -> None:
    out = io.BytesIO()
    writer = AgeWriter(out.write, recipients=[recipient_of(IDENTITY)])
    writer.write(b"a letter" * 1000)
    writer.finish()
    refused(out.getvalue(), tmp_path, "bad-backup")
    refused(b"PK\3\4" + bytes(1000), tmp_path, "not-age")
    refused(b"", tmp_path, "not-age")


def test_nothing_is_restored_over_anything(plain: bytes, home: Path, tmp_path: Path) -> None:
    before = files_of(home)
    with pytest.raises(OperatorError) as caught:
        restored(plain, home)
    assert caught.value.reason == "home-exists" and files_of(home) == before
    empty = tmp_path / "empty"
    (empty / RESTORE_PART_NAME).mkdir(parents=True)
    (empty / RESTORE_PART_NAME / "half").write_bytes(b"of a restore that was killed")
    restored(plain, empty)
    assert RESTORE_PART_NAME not in os.listdir(empty)


def test_what_root_restores_into_a_users_folder_is_the_users(plain: bytes, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("skipped: only root gives files away")
    service = tmp_path / "service"
    service.mkdir(mode=0o750)
    os.chown(service, 4_242, 4_243)
    restored(plain, service)
    for path in (service, *service.rglob("*")):
        assert (path.stat().st_uid, path.stat().st_gid) == (4_242, 4_243), path


def test_a_move_that_fails_half_way_is_undone(
    plain: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = 0

    def failing(source: Path, target: Path, rename: Any = os.rename) -> None:
        nonlocal moved
        moved += 1
        if moved == 3:
            raise OSError(28, "No space left on device")
        rename(source, target)

    monkeypatch.setattr(restore_module.os, "rename", failing)
    refused(plain, tmp_path, "disk-full")
