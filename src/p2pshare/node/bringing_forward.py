"""The files of a home on their way to this version of the program: which are behind, and bringing them forward.

Whoever opens a file for writing brings it forward (`database.upgrading`). `upgrade_home` does so for all of them at once, for an upgrade that
wants to know before the daemon starts. The inventory of `p2pshare risk` is none of them: its own commands open it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext, suppress
from pathlib import Path

from msgspec import Struct

from p2pshare.database.exercise_schema import exercise_schema
from p2pshare.database.schema import STORE, WARNING_INDEX, Schema, bring_forward, number_to_bring_forward
from p2pshare.database.upgrade_copies import UPGRADE_COPY_SECONDS, copy_path, remove_copies
from p2pshare.errors import StoreError
from p2pshare.node.exercise_file import exercise_path, realms_held
from p2pshare.node.home import STORE_NAME, WARNING_INDEX_NAME


class Upgraded(Struct, frozen=True, forbid_unknown_fields=True):
    """A file that was brought forward, and the name of the copy from before, beside it."""

    file: str
    from_schema: int
    to_schema: int
    copy: str

    @property
    def told(self) -> str:
        """Returns what the audit log says of it."""
        return f"file={self.file} from={self.from_schema} to={self.to_schema}"


def files_behind(home: Path) -> Iterator[tuple[Path, Schema, int]]:
    """Yields (place, its schema of now, the number it has) of each file that is to be brought forward. An exercise whose file is damaged is left
    out: a node starts without it. Raises StoreError for the others."""
    for path, schema in _files(home):
        with suppress(StoreError) if path.parent != home else nullcontext():
            if path.exists() and (number := number_to_bring_forward(path, schema)) is not None:
                yield path, schema, number


def upgrade_home(home: Path) -> list[Upgraded]:
    """Bring every file of `home` forward that is behind, and say which; the caller holds the home's lock.

    A file that fails is as it was, and so are those after it. Raises StoreError, DiskFull.
    """
    done = []
    for path, schema, number in list(files_behind(home)):
        bring_forward(path, schema)
        done.append(
            Upgraded(str(path.relative_to(home)), number, schema.number, copy_path(path, number).name)
        )
    return done


def forget_copies(home: Path, now: float) -> list[str]:
    """Remove the copies of before an upgrade that are UPGRADE_COPY_SECONDS old; returns their names. Raises StoreError."""
    return [
        name
        for path, _ in _files(home)
        for name in remove_copies(path, older_than=now - UPGRADE_COPY_SECONDS)
    ]


def _files(home: Path) -> Iterator[tuple[Path, Schema]]:
    yield home / STORE_NAME, STORE
    yield home / WARNING_INDEX_NAME, WARNING_INDEX
    for realm in realms_held(home):
        yield exercise_path(home, realm), exercise_schema(realm)
