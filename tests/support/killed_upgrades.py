"""Upgrades that are killed (SIGKILL) at a drawn write of theirs, each in a process of its own, a copy of one store after another.

`python killed_upgrades.py STORE ROOMS SEED DRAWS` prints one JSON line for each: the moment, the file's number, what is wrong with it, whether
the rows of before are there, and the number after another try. A process for each would load the program each time; these are forks of one.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
from next_schema import NEXT, bring_forward, use_rooms

from p2pshare.database import upgrade_copies


class KillingFile(apsw.VFSFile):
    def __init__(self, disk: KillingDisk, name: Any, flags: Any) -> None:
        self._disk = disk
        super().__init__("unix", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.writes += 1
        if self._disk.writes == self._disk.last:
            super().xWrite(data[: len(data) // 2], offset)  # half of it
            os.kill(os.getpid(), signal.SIGKILL)
        super().xWrite(data, offset)


class KillingDisk(apsw.VFS):
    """The real disk, until the write `last`; every connection has it, also those that make the copy."""

    def __init__(self) -> None:
        self.writes, self.last = 0, -1
        super().__init__("killing-disk", "unix", makedefault=True)

    def xOpen(self, name: Any, flags: Any) -> apsw.VFSFile:
        return KillingFile(self, name, flags)


def rows_of(path: Path) -> list[Any]:
    with closing(apsw.Connection(str(path))) as connection:
        return [
            connection.execute(sql).fetchall()
            for sql in (
                "SELECT id, partner_id, name FROM organisation ORDER BY id",
                "SELECT name, value FROM setting ORDER BY name",
                "SELECT count(*) FROM envelope",
            )
        ]


def main(store: Path, rooms: Path, seed: int, draws: int) -> None:
    use_rooms(rooms)
    disk = KillingDisk()
    rounds = store.parent / "rounds"
    before = rows_of(store)
    counted = copied(store, rounds / "counted")
    disk.writes = 0
    bring_forward(counted)
    drawn = random.Random(seed)
    moments = [1, disk.writes, *(drawn.randint(1, disk.writes) for _ in range(draws))]
    for number, moment in enumerate(moments):
        path = copied(store, rounds / str(number))
        child = os.fork()
        if child == 0:
            disk.writes, disk.last = 0, moment
            bring_forward(path)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        with closing(apsw.Connection(str(path))) as connection:
            found = connection.pragma("user_version")
            faults = [row[0] for row in connection.execute("PRAGMA integrity_check")]
        kept = rows_of(path) == before
        bring_forward(path)
        with closing(apsw.Connection(str(path))) as connection:
            after = connection.pragma("user_version")
        copies = sorted(one.name for one in path.parent.glob("*.schema-*"))
        whole = found == NEXT.number or rows_of(upgrade_copies.copy_path(path, NEXT.number - 1)) == before
        print(
            json.dumps({
                "moment": moment, "killed": os.WIFSIGNALED(status), "found": found, "faults": faults, "kept": kept and rows_of(path) == before,
                "after": after, "copies": copies, "whole": whole,
            }),
            flush=True,
        )  # fmt: skip
        shutil.rmtree(path.parent)


def copied(store: Path, folder: Path) -> Path:
    folder.mkdir(parents=True)
    return Path(shutil.copy(store, folder / store.name))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
