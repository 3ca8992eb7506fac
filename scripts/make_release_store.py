"""Writes files of the schemas of now, with content of every sort, as SQL: what later versions must be able to bring forward.

    scripts/make-release-store [--again]

In `tests/store/released/` each file (store, an exercise's, the index of warning lists, the inventory) is a dump of gzipped SQL, named by its number, with its marks in
the first lines. A number that is there is not written again, unless `--again` says that it was not released yet.
"""

from __future__ import annotations

import gzip
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import apsw
from every_operation import told_node
from released_stores import FOLDER, dump
from whole_nodes import NOW, World, quiet

from p2pshare.database.schema import RISK, STORE, WARNING_INDEX
from p2pshare.node.exercise_file import exercise_path, realms_held
from p2pshare.node.home import STORE_NAME, WARNING_INDEX_NAME
from p2pshare.operations.warninglists import Allow, ImportList
from p2pshare.risk.risk_file import open_risk_file

LIST = b'{"name": "ours", "version": 1, "description": "", "type": "hostname", "list": ["listed.example"]}'


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--again"]):
        print(__doc__.strip())
        return 0 if arguments in (["-h"], ["--help"]) else 2
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="p2pshare-release-") as folder:
        home = made_home(Path(folder))
        realm = next(realms_held(home))
        risk = home / "risk.sqlite"
        open_risk_file(risk).close()
        for name, path, number in (
            ("store", home / STORE_NAME, STORE.number),
            ("exercise", exercise_path(home, realm), STORE.number),
            ("warninglists", home / WARNING_INDEX_NAME, WARNING_INDEX.number),
            ("risk", risk, RISK.number),
        ):
            target = FOLDER / f"{name}-{number:04}.sql.gz"
            if target.exists() and not arguments:
                print(
                    f"{target.name} is there already: a number that was released is not written again",
                    file=sys.stderr,
                )
                continue
            with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
                text = dump(connection, f"-- {name} of schema {number}, written at {commit}")
            target.write_bytes(gzip.compress(text.encode(), mtime=0))
            print(f"{target.name}: {target.stat().st_size} bytes")
    return 0


def made_home(folder: Path) -> Path:
    world = World(folder)
    node = told_node(world)
    Allow("allowed.example", "so that there is one").run(node, NOW, quiet)
    ImportList(LIST).run(node, NOW, quiet)
    if node.exercises is not None:
        node.exercises.close()
    world.close()
    return folder / "alpha"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
