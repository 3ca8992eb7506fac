"""Files that released versions wrote, as `scripts/make-release-store` keeps them: a dump in SQL, made a file again for a test."""

from __future__ import annotations

import gzip
import io
import os
import re
from contextlib import closing
from pathlib import Path

import apsw
import apsw.shell

FOLDER = Path(__file__).parents[1] / "store" / "released"


def dump(connection: apsw.Connection, head: str) -> str:
    """All of the file as SQL, its marks included."""
    written = io.StringIO()
    shell = apsw.shell.Shell(stdout=written, db=connection)
    shell.process_command(".dump")
    marks = "".join(
        f"PRAGMA {name} = {connection.pragma(name)};\n" for name in ("application_id", "user_version")
    )
    text = re.sub(
        r"^-- .*\n", "", written.getvalue(), flags=re.MULTILINE
    )  # the shell's own words: a date, a path
    return f"{head}\n{marks}{text}"


def released(name: str) -> list[int]:
    """The schema numbers of which there is a file of that name, the oldest first."""
    return sorted(int(one.name.split("-")[1][:4]) for one in FOLDER.glob(f"{name}-*.sql.gz"))


def make_released(name: str, number: int, path: Path) -> Path:
    """Makes the file at `path` as that version left it."""
    text = gzip.decompress((FOLDER / f"{name}-{number:04}.sql.gz").read_bytes()).decode()
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute(text).fetchall()
        connection.pragma("journal_mode", "wal")
    return path
