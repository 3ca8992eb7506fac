"""The file of an exercise, and the node that works on it (docs/exercises.md, "Walls").

::

    HOME/exercises/                 0700
    HOME/exercises/<realm>.sqlite   0600, application id "p2px": the tables of the store for that realm alone, no view for a SIEM

The node of an exercise has the identity, configuration and partners of the real one, and tables of its own for all else. It seals nothing: what is
written in it leaves through the log of its `carrier`. This module is the one door to such files: the import contract
`exercises-behind-one-door` keeps exporters, queries and all that looks for what is real away from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from p2pshare.config import Config
from p2pshare.database.database import open_database
from p2pshare.database.exercise_schema import exercise_schema
from p2pshare.database.upgrade_copies import remove_copies
from p2pshare.envelope.keys import Identity
from p2pshare.errors import StoreError
from p2pshare.identifiers import Realm
from p2pshare.knowledge.knowledge import Knowledge
from p2pshare.limits import MIB
from p2pshare.log.envelope_log import EnvelopeLog
from p2pshare.node.ground import NodeGround
from p2pshare.node.home import EXERCISES_NAME
from p2pshare.node.node import Live, Node
from p2pshare.node.store import Store
from p2pshare.node.whole_files import FOLDER_MODE, sync_folder
from p2pshare.partners.notices import Notices
from p2pshare.warninglists.warning_index import WarningIndex

CACHE_BYTES = 4 * MIB  # an exercise has some thousand entries, and a node up to `EXERCISES_HELD_MAX` of them
_SUFFIX = ".sqlite"
_BESIDE = ("", "-wal", "-shm", "-journal")


class ExerciseNode(Node):
    """The node of one exercise. Whatever the real one gets anew in a daemon's life, an identity or a configuration, this one has as well."""

    def __init__(self, carrier: Node, store: Store, realm: Realm) -> None:
        assert carrier.ground.is_real, "an exercise is carried by the real node"
        self.carrier: Node = carrier
        self.home = carrier.home
        self.store = store
        self.preparing: dict[str, Any] = {}
        self.spaces = self.space_exchange = self.outlet = self.exercises = None
        self.ground = NodeGround(realm)

    @property
    def identity(self) -> Identity:
        return self.carrier.identity

    @identity.setter
    def identity(self, identity: Identity) -> None:
        raise AttributeError("an exercise's node has the identity of the real one")

    @property
    def config(self) -> Config:
        return self.carrier.config

    @config.setter
    def config(self, config: Config) -> None:
        raise AttributeError("an exercise's node has the configuration of the real one")

    @property
    def warning_index(self) -> WarningIndex | None:
        return self.carrier.warning_index

    @warning_index.setter
    def warning_index(self, index: WarningIndex | None) -> None:
        raise AttributeError("an exercise's node has the warning lists of the real one")

    @property
    def live(self) -> Live | None:
        return self.carrier.live

    @live.setter
    def live(self, live: Live | None) -> None:
        raise AttributeError("an exercise's node has the links of the real one")


def exercise_path(home: Path, realm: Realm) -> Path:
    return home / EXERCISES_NAME / f"{realm.hex()}{_SUFFIX}"


def realms_held(home: Path) -> Iterator[Realm]:
    """Yields the realms of the files that are there, in the order of their names; what has another name is none of ours."""
    folder = home / EXERCISES_NAME
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if path.suffix == _SUFFIX and path.is_file() and not path.is_symlink():
            with suppress(ValueError):
                realm = Realm.parse(path.stem)
                if path.name == f"{realm.hex()}{_SUFFIX}" and any(realm):
                    yield realm


def open_exercise_node(carrier: Node, realm: Realm) -> ExerciseNode:
    """Open the file of an exercise, and make it where there is none. Raises StoreError (`not-a-store`, `wrong-realm`, ...), DiskFull."""
    folder = carrier.home / EXERCISES_NAME
    try:
        folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
        folder.chmod(FOLDER_MODE)
    except OSError as error:
        raise StoreError(
            f"cannot make {folder}: {(error.strerror or 'unknown').lower()}",
            hint="check the home's owner and mode",
        ) from None
    database = open_database(
        exercise_path(carrier.home, realm),
        free_space_bytes_min=carrier.store.database.free_space_bytes_min,
        cache_bytes=CACHE_BYTES,
        schema=exercise_schema(realm),
    )
    try:
        store = Store(
            database,
            EnvelopeLog(database),
            Knowledge(database, has_feed=False),
            carrier.store.partners,
            Notices(database),
            carrier.store.introductions,
            carrier.store.invitations,
            carrier.store.pending,
        )
        return ExerciseNode(carrier, store, realm)
    except BaseException:
        database.close()
        raise


def delete_exercise_file(home: Path, realm: Realm) -> list[str]:
    """Delete the file of an exercise, which is closed, with what SQLite keeps beside it, and sync the folder. Returns the names of what was there.

    The file itself goes last: as long as anything is left, the next start finds it. Raises StoreError where anything of it is left.
    """
    path, gone = exercise_path(home, realm), list[str]()
    folder = path.parent
    try:
        remove_copies(path)
        for suffix in reversed(_BESIDE):
            one = path.with_name(path.name + suffix)
            if one.exists() or one.is_symlink():
                one.unlink()
                gone.insert(0, one.name)
        if folder.is_dir():
            sync_folder(folder)
    except OSError as error:
        raise StoreError(
            f"the exercise's file could not be deleted: {(error.strerror or 'unknown').lower()}",
            hint="check the owner and mode of the folder `exercises`",
        ) from None
    left = files_of(home, realm)
    if left:
        raise StoreError(f"of the exercise is left: {', '.join(left)}", reason="exercise-left")
    return gone


def files_of(home: Path, realm: Realm) -> list[str]:
    """Returns the names of all files in the folder that begin with the realm's: none, where the exercise is gone."""
    folder = home / EXERCISES_NAME
    return sorted(one.name for one in folder.glob(f"{realm.hex()}*")) if folder.is_dir() else []
