-- The index of warning lists: a file of its own, so that lists are replaced without touching what partners said.
-- Everything but `action`, `is_enabled` and `allowed` can be imported again.

-- `changes` is raised whenever other observables may be blocked than before: stored ones are then evaluated again.
CREATE TABLE state (
    changes INTEGER NOT NULL
);
INSERT INTO state VALUES (0);

-- origin: 'builtin', 'imported' or 'allow'. types: a JSON array. action: 'block' or 'inform'.
CREATE TABLE warning_list (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    version INTEGER NOT NULL,
    description TEXT NOT NULL,
    kind TEXT NOT NULL,
    origin TEXT NOT NULL,
    types TEXT NOT NULL,
    action TEXT NOT NULL,
    is_enabled INTEGER NOT NULL,
    entries INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    imported_at INTEGER NOT NULL
);

-- Canonical values in lower case. covers_below: a domain that stands for all below it, too.
CREATE TABLE name_entry (
    value TEXT NOT NULL,
    list INTEGER NOT NULL,
    covers_below INTEGER NOT NULL,
    PRIMARY KEY (value, list, covers_below)
) WITHOUT ROWID;

-- first, last: the addresses as 4 or 16 bytes.
CREATE TABLE span_entry (
    list INTEGER NOT NULL,
    first BLOB NOT NULL,
    last BLOB NOT NULL,
    PRIMARY KEY (list, first, last)
) WITHOUT ROWID;

CREATE TABLE pattern_entry (
    list INTEGER NOT NULL,
    pattern TEXT NOT NULL,
    PRIMARY KEY (list, pattern)
) WITHOUT ROWID;

-- The own allow list, as a person wrote it; its row in warning_list is made from this.
CREATE TABLE allowed (
    type TEXT NOT NULL,
    value TEXT NOT NULL,
    covers_below INTEGER NOT NULL,
    reason TEXT NOT NULL,
    added_at INTEGER NOT NULL,
    PRIMARY KEY (type, value, covers_below)
) WITHOUT ROWID;
