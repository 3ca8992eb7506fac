"""A made-up next schema of the store: the tables of now with a change of each sort, and the step that leads there.

The program's own steps come one after another, and each is as simple as it can be. This one has what steps may ever need: a column, a table made
anew that others refer to, a new table with its first row, an index and a trigger.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from p2pshare.database import schema as schemas
from p2pshare.database.schema import RISK, STORE, WARNING_INDEX, Schema

NEXT = replace(STORE, number=STORE.number + 1)

STEP = """
-- a column
ALTER TABLE notice ADD COLUMN put_at INTEGER;
-- a table that others refer to, made anew
CREATE TABLE new_organisation (
    id INTEGER PRIMARY KEY,
    partner_id BLOB NOT NULL UNIQUE,
    name TEXT,
    note TEXT NOT NULL DEFAULT 'none'
);
INSERT INTO new_organisation (id, partner_id, name) SELECT id, partner_id, name FROM organisation;
DROP TABLE organisation;
ALTER TABLE new_organisation RENAME TO organisation;
-- a table with its first row, an index, a trigger
CREATE TABLE colour (id INTEGER PRIMARY KEY, word TEXT NOT NULL);
INSERT INTO colour VALUES (1, 'green');
CREATE INDEX colour_word ON colour (word);
CREATE TRIGGER colour_stays BEFORE DELETE ON colour BEGIN SELECT RAISE(ABORT, 'stays'); END;
"""

ORGANISATIONS = """
CREATE TABLE organisation (
    id INTEGER PRIMARY KEY, -- as before
    partner_id BLOB NOT NULL UNIQUE,
    name TEXT,
    note TEXT NOT NULL DEFAULT 'none'
);
CREATE TABLE colour (id INTEGER PRIMARY KEY, word TEXT NOT NULL);
INSERT INTO colour VALUES (1, 'green');
CREATE INDEX colour_word ON colour (word);
CREATE TRIGGER colour_stays BEFORE DELETE ON colour BEGIN SELECT RAISE(ABORT, 'stays'); END;
"""
PUT_AT = ("    pages INTEGER\n)", "    pages INTEGER,\n    put_at INTEGER\n)")


def make_rooms(folder: Path, step: str = STEP) -> Path:
    """Copies the tables of all rooms to `folder`, as the next schema has them."""
    for room in (*STORE.rooms, *WARNING_INDEX.rooms, *RISK.rooms):
        shutil.copytree(Path(schemas.__file__).parents[1] / room / "schema", folder / room / "schema")
    own = folder / "database" / "schema"
    (own / "organisations.sql").write_text(ORGANISATIONS)
    notices = folder / "partners" / "schema" / "notices.sql"
    assert PUT_AT[0] in notices.read_text()
    notices.write_text(notices.read_text().replace(*PUT_AT))
    (own / "steps").mkdir(exist_ok=True)
    (own / "steps" / f"{NEXT.number:04}.sql").write_text(step)
    return folder


def use_rooms(folder: Path) -> None:
    """Lets the program read tables and steps from there. What was read of others is forgotten."""
    schemas._folder = lambda room: folder / room / "schema"
    forget()


def forget() -> None:
    schemas._wanted_tables.cache_clear()
    schemas._wanted_views.cache_clear()


def bring_forward(path: Path, schema: Schema = NEXT) -> None:
    schemas.bring_forward(path, schema)
