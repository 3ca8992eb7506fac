"""The audit log: what is taken out, put in, cut off or grown too long is seen, and what people wrote is never in it."""

from __future__ import annotations

import fcntl
import json
import multiprocessing
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pshare import audit_log
from p2pshare.audit_log import (
    AUDIT_FOLDER,
    REMOVED,
    AuditFault,
    AuditReading,
    AuditRecord,
    append_record,
    require_auditable,
    subject_of,
)
from p2pshare.errors import OperatorError

NOW = 1_800_000_000


def told(home: Path, count: int, action: str = "publish") -> None:
    for number in range(count):
        append_record(home, NOW + number, 0, action, f"publication={number:08x}")


def the_file(home: Path) -> Path:
    [path] = sorted((home / AUDIT_FOLDER).glob("*.log"))
    return path


def faults(home: Path) -> list[AuditFault]:
    return [one for one in AuditReading(home).records() if isinstance(one, AuditFault)]


def records(home: Path) -> list[AuditRecord]:
    return [one for one in AuditReading(home).records() if isinstance(one, AuditRecord)]


def test_each_record_follows_the_one_before_it_and_the_files_are_the_owners_alone(tmp_path: Path) -> None:
    told(tmp_path, 5)
    assert [one.number for one in records(tmp_path)] == [1, 2, 3, 4, 5]
    assert faults(tmp_path) == []
    assert (tmp_path / AUDIT_FOLDER).stat().st_mode & 0o777 == 0o700
    assert the_file(tmp_path).stat().st_mode & 0o777 == 0o600
    assert records(tmp_path)[0].user == "root" and records(tmp_path)[0].uid == 0


@pytest.mark.parametrize("number", [1, 2, 4], ids=["first", "second", "last-but-one"])
@pytest.mark.parametrize("how", ["taken-out", "changed", "put-in", "spoilt"])
def test_a_line_that_is_not_as_it_was_written_is_seen(tmp_path: Path, number: int, how: str) -> None:
    told(tmp_path, 5)
    path = the_file(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    match how:
        case "taken-out":
            del lines[number - 1]
        case "changed":
            lines[number - 1] = lines[number - 1].replace(b"publish", b"lookups")
        case "put-in":
            lines.insert(number - 1, lines[number - 1])
        case "spoilt":
            lines[number - 1] = b"\xff\x00[[[\n"
    path.write_bytes(b"".join(lines))
    assert faults(tmp_path)


def test_an_end_that_was_cut_off_is_seen_by_a_place_that_the_journal_has(tmp_path: Path) -> None:
    told(tmp_path, 5)
    journal = AuditReading(tmp_path).last_place()
    assert journal is not None and journal.number == 5
    path = the_file(tmp_path)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:3]))
    assert faults(tmp_path) == []
    assert AuditReading(tmp_path).place_of(5) is None
    told(tmp_path, 2)
    again = AuditReading(tmp_path).place_of(5)
    assert again is not None and again.digest != journal.digest


def test_a_write_that_a_crash_cut_off_spoils_no_later_record_and_is_told(tmp_path: Path) -> None:
    told(tmp_path, 3)
    path = the_file(tmp_path)
    path.write_bytes(path.read_bytes()[:-20])
    told(tmp_path, 2)
    assert [one.number for one in records(tmp_path)] == [1, 2, 3, 4]
    [fault] = faults(tmp_path)
    assert "cut off" in fault.what


def test_the_log_keeps_a_bounded_number_of_files_and_says_which_records_went(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_log, "AUDIT_FILE_BYTES", 2_000)
    monkeypatch.setattr(audit_log, "AUDIT_FILES_MAX", 3)
    told(tmp_path, 100)
    kept = sorted((tmp_path / AUDIT_FOLDER).glob("*.log"))
    assert 2 <= len(kept) <= 4
    assert all(one.stat().st_size < 4_000 for one in kept)
    assert faults(tmp_path) == []
    left = records(tmp_path)
    assert left[0].number == int(kept[0].stem) > 1
    assert any(one.action == REMOVED for one in left)
    assert [one.number for one in left] == list(range(left[0].number, left[-1].number + 1))
    kept[0].unlink()  # somebody who wants older records to be gone
    assert faults(tmp_path)


def _append_many(home: Path) -> None:
    told(home, 25)


def test_processes_that_append_at_once_wait_for_each_other(tmp_path: Path) -> None:
    several = multiprocessing.get_context("spawn")
    begun = [several.Process(target=_append_many, args=(tmp_path,)) for _ in range(2)]
    for one in begun:
        one.start()
    for one in begun:
        one.join(60)
    assert [one.number for one in records(tmp_path)] == list(range(1, 51))
    assert faults(tmp_path) == []


def test_a_log_that_cannot_be_written_is_said_before_anything_is_done(tmp_path: Path) -> None:
    (tmp_path / AUDIT_FOLDER).write_text("no folder")
    with pytest.raises(OperatorError) as refusal:
        require_auditable(tmp_path)
    assert refusal.value.reason == "audit-not-writable"


@given(st.text(max_size=300))
def test_what_people_typed_is_in_a_subject_only_where_it_is_an_id(typed: str) -> None:
    for subject in (subject_of([("id", typed)]), subject_of(objects=[("what", typed)])):
        word = subject.partition("=")[2]
        assert word in ("", "?") or set(typed) <= set("0123456789abcdefghijklmnopqrstuvwxyz-")


@pytest.mark.parametrize(
    "value",
    ["evil.example", "198.51.100.7", "2001:db8::7", "https://evil.example/x", "a@evil.example", "d" * 64],
)
def test_no_observable_is_taken_for_the_id_of_an_object(value: str) -> None:
    assert subject_of(objects=[("what", value)]) == "what=?"


@given(st.text(max_size=300))
def test_a_line_has_no_control_character_and_comes_back_as_it_was_written(name: str) -> None:
    subject = subject_of(names=[("alias", name)])
    assert subject.isprintable() and len(subject) <= 200
    raw = json.dumps({"subject": subject})
    assert raw.isascii() and json.loads(raw)["subject"] == subject


# --- root, in a folder of a user who means harm ---


@pytest.fixture
def hostile_home(tmp_path: Path) -> Path:
    """Somebody else's home, and beside it a folder of root's into which nothing of it may get."""
    (tmp_path / "roots").mkdir()
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, 65534, 65534)
    return home


def put_a_link(home: Path) -> None:
    folder = home / AUDIT_FOLDER
    folder.rename(home / f"was-{len(list(home.iterdir()))}")
    folder.symlink_to(home.parent / "roots")


def test_a_folder_that_becomes_a_link_while_root_waits_for_its_lock_leads_root_nowhere(
    hostile_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(hostile_home, 1)
    locked = fcntl.flock

    def lock(descriptor: int, how: int) -> None:
        put_a_link(hostile_home)
        locked(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", lock)
    append_record(hostile_home, NOW, 0, "publish")
    assert list((hostile_home.parent / "roots").iterdir()) == []


def test_root_gives_no_folder_away_but_the_one_it_made(
    hostile_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = os.mkdir

    def make(path: Path, mode: int = 0o777) -> None:
        made(path, mode)
        put_a_link(hostile_home)

    monkeypatch.setattr(os, "mkdir", make)
    with pytest.raises(OSError):
        append_record(hostile_home, NOW, 0, "publish")
    assert (hostile_home.parent / "roots").stat().st_uid == 0


def test_what_root_writes_is_the_owners(hostile_home: Path) -> None:
    told(hostile_home, 1)
    assert {one.stat().st_uid for one in [hostile_home / AUDIT_FOLDER, the_file(hostile_home)]} == {65534}


@pytest.mark.parametrize("name", ["0000000001.log", "0000000009.log"])
def test_a_pipe_in_the_place_of_a_file_keeps_nobody_waiting(hostile_home: Path, name: str) -> None:
    told(hostile_home, 1)
    path = hostile_home / AUDIT_FOLDER / name
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    waiting = threading.Thread(target=lambda: list(AuditReading(hostile_home).records()), daemon=True)
    waiting.start()
    waiting.join(10)
    assert not waiting.is_alive()


# --- a disk that is full, a rotation that is cut off, a reader beside a writer ---


def test_a_record_that_a_full_disk_cut_off_is_taken_back_and_the_log_stays_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(tmp_path, 2)
    written = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, raw: written(descriptor, raw[: len(raw) // 2]))
    with pytest.raises(OSError, match="No space"):
        append_record(tmp_path, NOW, 0, "publish")
    monkeypatch.undo()
    told(tmp_path, 2)
    assert faults(tmp_path) == []
    assert [one.number for one in records(tmp_path)] == [1, 2, 3, 4]


@pytest.mark.parametrize("call", ["_append", "unlink"])
def test_a_rotation_that_is_cut_off_anywhere_leaves_a_log_that_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setattr(audit_log, "AUDIT_FILE_BYTES", 1_000)
    monkeypatch.setattr(audit_log, "AUDIT_FILES_MAX", 2)

    class PowerCut(BaseException):
        pass

    def cut(*_: object, **__: object) -> None:
        raise PowerCut

    cuts = 0
    for number in range(20):
        with monkeypatch.context() as inside:
            if number % 3 == 0:
                begin = audit_log._begin_file

                def begin_and_cut(*given: object, begin: object = begin) -> object:
                    with monkeypatch.context() as deeper:
                        deeper.setattr(audit_log if call == "_append" else os, call, cut)
                        return begin(*given)  # type: ignore[operator]

                inside.setattr(audit_log, "_begin_file", begin_and_cut)
            try:
                append_record(tmp_path, NOW, 0, "publish")
            except PowerCut:
                cuts += 1
    assert cuts
    assert faults(tmp_path) == []
    told(tmp_path, 8)  # a rotation that is not cut off
    assert faults(tmp_path) == []
    assert len(list((tmp_path / AUDIT_FOLDER).iterdir())) <= 3


def test_who_reads_while_others_append_and_files_go_finds_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_log, "AUDIT_FILE_BYTES", 500)
    monkeypatch.setattr(audit_log, "AUDIT_FILES_MAX", 2)
    told(tmp_path, 1)
    writing = threading.Thread(target=told, args=(tmp_path, 30))
    writing.start()
    found = []
    while writing.is_alive():
        found += faults(tmp_path)
    writing.join()
    assert found == []
