-- Single values that live with the data. Each room inserts those it begins with beside its own tables.
--
-- For all tables of the store: no STRICT tables, generated columns or newer JSON operators, for the file must open in
-- the SQLite of an old distribution (3.26). Integers that end in _us are microseconds since the epoch, other times unix
-- seconds. docs/store.md says what each table holds; only the views v1_* are promised to others (knowledge/schema/views.sql).

CREATE TABLE setting (
    name TEXT PRIMARY KEY,
    value NOT NULL
) WITHOUT ROWID;
