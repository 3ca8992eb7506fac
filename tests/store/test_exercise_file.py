"""The file of an exercise: nobody who opens a store opens it, nor the other way round; and nothing of another realm gets in."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
from whole_nodes import World

from p2pshare.database.database import open_database
from p2pshare.database.exercise_schema import EXERCISE_APPLICATION_ID, exercise_schema
from p2pshare.errors import StoreError
from p2pshare.identifiers import Realm
from p2pshare.node.exercise_file import (
    delete_exercise_file,
    exercise_path,
    files_of,
    open_exercise_node,
    realms_held,
)
from p2pshare.node.home import STORE_NAME
from p2pshare.node.node import Node
from p2pshare.node.store import open_store, reading_store

REALM, OTHER = Realm(bytes([7]) * 16), Realm(bytes([8]) * 16)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    world = World(tmp_path_factory.mktemp("homes"))
    yield world.found("alpha")
    world.close()


@pytest.fixture(scope="module")
def file(node: Node) -> Path:
    """The file of an exercise that was made and closed."""
    open_exercise_node(node, REALM).store.close()
    return exercise_path(node.home, REALM)


def test_it_is_for_its_owner_alone_with_an_id_of_its_own_and_no_view(node: Node, file: Path) -> None:
    assert file.stat().st_mode & 0o777 == 0o600 and file.parent.stat().st_mode & 0o777 == 0o700
    connection = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READONLY)
    assert connection.pragma("application_id") == EXERCISE_APPLICATION_ID
    assert list(connection.execute("SELECT name FROM sqlite_schema WHERE type = 'view'")) == []
    connection.close()
    assert list(realms_held(node.home)) == [REALM]


def test_who_opens_a_store_refuses_it(file: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(file, tmp_path / STORE_NAME))
    with pytest.raises(StoreError, match="not a p2pshare store"):
        open_store(copy, free_space_bytes_min=0)
    with pytest.raises(StoreError, match="not a p2pshare store"), reading_store(copy):
        pass


def test_who_opens_an_exercise_refuses_a_store_and_the_file_of_another(
    node: Node, file: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store.sqlite"
    open_store(store, free_space_bytes_min=0).close()
    with pytest.raises(StoreError, match="not a p2pshare store"):
        open_database(store, schema=exercise_schema(REALM))
    copy = Path(shutil.copy(file, tmp_path / "copy.sqlite"))
    with pytest.raises(StoreError, match="another exercise") as refused:
        open_database(copy, schema=exercise_schema(OTHER))
    assert refused.value.reason == "wrong-realm"
    open_database(copy, schema=exercise_schema(REALM)).close()
    for realm in (bytes(16), b"short"):
        with pytest.raises(ValueError):
            exercise_schema(realm)


@pytest.mark.parametrize("is_real", [True, False])
def test_the_tables_themselves_refuse_what_is_of_another_realm(
    tmp_path: Path, file: Path, is_real: bool
) -> None:
    """Whatever the program above them does."""
    path = tmp_path / "one.sqlite"
    if is_real:
        open_store(path, free_space_bytes_min=0).close()
    else:
        shutil.copy(file, path)
    connection = apsw.Connection(str(path))
    own, foreign = (bytes(16), bytes(REALM)) if is_real else (bytes(REALM), bytes(16))
    connection.execute("INSERT INTO organisation (partner_id) VALUES (?)", (bytes(32),))
    space = "INSERT INTO space VALUES (1, ?, ?, 'note', 'x', 1, 1, 1, 1, 0)"
    entry = "INSERT INTO space_entry VALUES (NULL, 1, ?, ?, NULL, x'00', 1)"
    for realm in (foreign, bytes(OTHER)):
        with pytest.raises(apsw.ConstraintError):
            connection.execute(space, (realm, bytes(32)))
    connection.execute(space, (own, bytes(32)))
    before = b"\x8d\x00\xc4\x10"  # a map of 13, its first key, and 16 bytes
    for realm in (foreign, bytes(OTHER)):
        with pytest.raises(apsw.ConstraintError):
            connection.execute(entry, (bytes(32), before + realm + b"more"))
    connection.execute(entry, (bytes(32), before + own + b"more"))
    connection.close()


def test_what_stands_in_the_folder_and_is_none_of_ours_is_left_alone(node: Node, file: Path) -> None:
    for name in ("notes.txt", "f" * 31 + ".sqlite", "0" * 32 + ".sqlite", REALM.hex().upper() + ".SQLITE"):
        (file.parent / name).write_bytes(b"not ours")
    (file.parent / f"{OTHER.hex()}.sqlite").symlink_to(file)
    assert list(realms_held(node.home)) == [REALM]
    for path in file.parent.iterdir():
        if path != file:
            path.unlink()


def test_deleting_one_leaves_nothing_that_has_its_name(node: Node, file: Path) -> None:
    for suffix in ("-wal", "-shm"):
        file.with_name(file.name + suffix).write_bytes(b"left by a crash")
    assert delete_exercise_file(node.home, REALM) == [file.name, f"{file.name}-wal", f"{file.name}-shm"]
    assert files_of(node.home, REALM) == [] and list(file.parent.iterdir()) == []
    beside = file.with_name(file.name + ".bak")
    beside.write_bytes(b"a copy that somebody made")
    with pytest.raises(StoreError, match=r"is left: .*\.bak") as refused:
        delete_exercise_file(node.home, REALM)
    assert refused.value.reason == "exercise-left"
    beside.unlink()
