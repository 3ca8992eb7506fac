"""A store that an older version wrote: brought forward whole or not at all, after a copy; and the way back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import next_schema
import pytest
from next_schema import NEXT, bring_forward, make_rooms
from store_rows import rows
from stored_envelopes import store_envelopes

from p2pshare.database import schema as schemas
from p2pshare.database import upgrading
from p2pshare.database.database import open_database
from p2pshare.database.exercise_schema import exercise_schema
from p2pshare.database.schema import RISK, STORE, WARNING_INDEX, Schema, create_or_check
from p2pshare.database.upgrade_copies import copy_path
from p2pshare.errors import DiskFull, StoreError
from p2pshare.node.bringing_forward import forget_copies, upgrade_home
from p2pshare.node.home import STORE_NAME
from p2pshare.node.store import open_store, reading_store

BEFORE = STORE.number
DAY = 86_400


@pytest.fixture
def rooms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The program reads the next schema's tables and steps; its own come back afterwards."""
    folder = make_rooms(tmp_path / "rooms")
    monkeypatch.setattr(schemas, "_folder", lambda room: folder / room / "schema")
    next_schema.forget()
    yield folder
    monkeypatch.undo()
    next_schema.forget()


@pytest.fixture
def old(store_path: Path, make: Any) -> Path:
    """A store of now with content, closed."""
    store = open_store(store_path, free_space_bytes_min=0)
    store_envelopes(
        store,
        [make.envelope(make.indicator(f"198.51.100.{number}"), sequence=number) for number in range(1, 9)],
    )
    store.close()
    return store_path


def number_of(path: Path) -> int:
    return int(rows(path, "PRAGMA user_version")[0][0])


def all_of(path: Path) -> dict[str, list[Any]]:
    names = [
        name
        for (name,) in rows(
            path, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
        )
    ]
    return {name: sorted(rows(path, f'SELECT * FROM "{name}"'), key=repr) for name in names}


# --- forward -------------------------------------------------------------------------------------------


def test_what_the_steps_make_is_what_a_new_file_has_and_nothing_of_the_content_is_lost(
    old: Path, rooms: Path, tmp_path: Path
) -> None:
    before, was = all_of(old), old.read_bytes()
    bring_forward(old)
    new = tmp_path / "new.sqlite"
    bring_forward(new)
    with closing(apsw.Connection(str(old))) as upgraded, closing(apsw.Connection(str(new))) as made:
        assert upgrading.tables(upgraded) == upgrading.tables(made)
        assert schemas.views(upgraded) == schemas.views(made)
    assert number_of(old) == NEXT.number
    after = all_of(old)
    assert {name: found for name, found in after.items() if name not in ("organisation", "colour")} == {
        name: found for name, found in before.items() if name != "organisation"
    }
    assert [row[:3] for row in after["organisation"]] == before["organisation"]
    assert after["colour"] == [(1, "green")]
    copy = copy_path(old, BEFORE)
    assert (copy.stat().st_mode & 0o777, all_of(copy)) == (0o600, before)
    assert len(was) and number_of(copy) == BEFORE


def test_a_second_opening_finds_nothing_to_do(old: Path, rooms: Path) -> None:
    bring_forward(old)
    copy_path(old, BEFORE).unlink()
    bring_forward(old)
    assert not copy_path(old, BEFORE).exists()


@pytest.mark.parametrize(
    ("step", "told"),
    [
        (next_schema.STEP.replace("put_at INTEGER", "put_at TEXT"), "notice"),
        (
            next_schema.STEP.replace("CREATE INDEX", "CREATE INDEX other ON colour (word); CREATE INDEX"),
            "other",
        ),
        (next_schema.STEP + "DELETE FROM organisation;", "refer to nothing"),
        (next_schema.STEP + "SELECT nonsense;", "nonsense"),
    ],
    ids=["another-column", "an-index-too-many", "rows-that-refer-to-nothing", "a-mistake"],
)
def test_a_step_that_is_wrong_changes_nothing(
    old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, told: str
) -> None:
    folder = make_rooms(tmp_path / "rooms", step)
    monkeypatch.setattr(schemas, "_folder", lambda room: folder / room / "schema")
    next_schema.forget()
    before = all_of(old)
    with pytest.raises((StoreError, apsw.SQLError), match=told):
        bring_forward(old)
    monkeypatch.undo()
    next_schema.forget()
    assert (number_of(old), all_of(old)) == (BEFORE, before)
    open_store(old, free_space_bytes_min=0).close()  # the version of before goes on


def test_an_upgrade_that_is_killed_leaves_the_old_store_or_the_new_one(
    store_path: Path, make: Any, tmp_path: Path
) -> None:
    """SIGKILL in the middle of a drawn write: to the copy, to the log of the store, to the store."""
    store = open_store(store_path, free_space_bytes_min=0)
    store_envelopes(store, [make.envelope(make.indicator())])
    with store.transaction() as writer:
        writer.executemany(
            "INSERT INTO organisation (partner_id) VALUES (?)",
            [(number.to_bytes(32, "big"),) for number in range(3_000)],
        )
    store.close()
    rooms = make_rooms(tmp_path / "rooms")
    seed, draws = 20261201, int(os.environ.get("P2PSHARE_KILLS", "24"))
    support = Path(next_schema.__file__).parent
    done = subprocess.run(
        [sys.executable, str(support / "killed_upgrades.py"), str(store_path), str(rooms), str(seed), str(draws)],
        capture_output=True, text=True, timeout=600, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(schemas.__file__).parents[2]), str(support)])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2_000:]
    rounds = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rounds) == draws + 2
    for one in rounds:
        assert one["found"] in (BEFORE, NEXT.number), one
        assert (one["faults"], one["kept"], one["whole"], one["after"]) == (
            ["ok"],
            True,
            True,
            NEXT.number,
        ), one
        assert one["copies"] == [f"store.sqlite.schema-{BEFORE}"], one
    assert all(one["killed"] for one in rounds)
    assert {one["found"] for one in rounds} == {BEFORE, NEXT.number}


def test_a_disk_without_room_for_copy_and_steps_is_said_before_anything_is_written(
    old: Path, rooms: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("p2pshare.database.upgrade_copies.free_space_bytes", lambda path: 1 << 20)
    with pytest.raises(DiskFull, match="nothing was changed"):
        bring_forward(old)
    assert number_of(old) == BEFORE
    assert not list(old.parent.glob("*.schema-*"))


def test_who_only_reads_is_told_who_brings_the_store_forward(
    old: Path, rooms: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("p2pshare.database.schema.STORE", NEXT)
    with pytest.raises(StoreError) as refusal, reading_store(old):
        pass
    assert refusal.value.reason == "schema-older"
    assert "start the daemon" in refusal.value.hint
    assert number_of(old) == BEFORE


def test_the_file_of_an_exercise_comes_forward_for_its_realm_alone(tmp_path: Path, rooms: Path) -> None:
    path, realm = tmp_path / "exercise.sqlite", bytes(range(1, 17))
    theirs = exercise_schema(realm)
    now = replace(theirs, number=NEXT.number)
    plain = schemas._folder
    with pytest.MonkeyPatch.context() as patch:
        patch.undo()
        patch.setattr(schemas, "_folder", lambda room: Path(schemas.__file__).parents[1] / room / "schema")
        next_schema.forget()
        open_database(path, schema=theirs, free_space_bytes_min=0).close()
    schemas._folder = plain
    next_schema.forget()
    with pytest.raises(StoreError) as refusal:
        bring_forward(path, replace(exercise_schema(bytes(range(2, 18))), number=NEXT.number))
    assert refusal.value.reason == "wrong-realm"
    bring_forward(path, now)
    assert number_of(path) == NEXT.number
    assert realm.hex() in rows(path, "SELECT sql FROM sqlite_schema WHERE name = 'space'")[0][0].lower()


# --- back ----------------------------------------------------------------------------------------------


def test_going_back_is_refused_with_the_copy_and_the_command_and_the_command_works(
    old: Path, rooms: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = all_of(old)
    bring_forward(old)
    monkeypatch.undo()
    next_schema.forget()
    with pytest.raises(StoreError) as refusal:
        open_store(old, free_space_bytes_min=0)
    assert refusal.value.reason == "schema-newer"
    assert str(copy_path(old, BEFORE)) in refusal.value.hint
    command = refusal.value.hint.split("`")[1]
    subprocess.run(["sh", "-c", command], check=True)
    assert all_of(old) == before
    open_store(old, free_space_bytes_min=0).close()


def test_a_newer_store_without_a_copy_names_none(old: Path) -> None:
    with closing(apsw.Connection(str(old))) as connection:
        connection.pragma("user_version", NEXT.number)
    with pytest.raises(StoreError) as refusal:
        open_store(old, free_space_bytes_min=0)
    assert refusal.value.reason == "schema-newer"
    assert "mv" not in refusal.value.hint


# --- copies --------------------------------------------------------------------------------------------


def test_copies_go_after_a_week_and_at_once_when_something_has_to_be_gone(old: Path, rooms: Path) -> None:
    home = old.parent
    assert old.name == STORE_NAME
    bring_forward(old)
    copy = copy_path(old, BEFORE)
    made = copy.stat().st_mtime
    assert forget_copies(home, made + 6 * DAY) == []
    assert forget_copies(home, made + 8 * DAY) == [copy.name]
    assert not copy.exists()
    copy.write_bytes(b"what was purged")
    left = copy.with_name(copy.name + ".part")  # of an upgrade that was killed
    left.write_bytes(b"half of it")
    database = open_database(old, schema=NEXT, free_space_bytes_min=0)
    assert database.cut_log()
    database.close()
    assert not copy.exists() and not left.exists()


def test_a_copy_that_root_made_is_the_stores_owners_who_goes_back_with_it(old: Path, rooms: Path) -> None:
    for one in old.parent.glob(f"{old.name}*"):
        os.chown(one, 65534, 65534)
    bring_forward(old)
    copy = copy_path(old, BEFORE).stat()
    assert (copy.st_uid, copy.st_gid, copy.st_mode & 0o777) == (65534, 65534, 0o600)


def test_every_file_of_a_home_is_brought_forward_at_once(
    old: Path, rooms: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("p2pshare.node.bringing_forward.STORE", NEXT)
    done = upgrade_home(old.parent)
    assert [(one.file, one.from_schema, one.to_schema, one.copy) for one in done] == [
        ("store.sqlite", BEFORE, NEXT.number, f"store.sqlite.schema-{BEFORE}")
    ]
    assert upgrade_home(old.parent) == []


# --- the program's own steps ---------------------------------------------------------------------------


@pytest.mark.parametrize("schema", [STORE, WARNING_INDEX, RISK], ids=lambda schema: schema.rooms[-1])
def test_each_number_since_the_first_release_has_its_step_and_no_other_number_has_one(schema: Schema) -> None:
    assert schema.released <= schema.number
    found = {
        int(step.stem)
        for room in schema.rooms
        for step in (Path(schemas.__file__).parents[1] / room / "schema" / "steps").glob("*.sql")
    }
    assert found == set(range(schema.released + 1, schema.number + 1))


def test_a_step_that_is_not_installed_is_missed_before_anything_is_done(old: Path) -> None:
    with closing(apsw.Connection(str(old))) as connection, pytest.raises(StoreError) as refusal:
        create_or_check(connection, NEXT)
    assert refusal.value.reason == "schema-step-missing"
    assert number_of(old) == BEFORE
