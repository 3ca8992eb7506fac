-- What the views of incidents show (docs/siem.md, "Incidents"): made from the fold after it, and never read by it. Instants are text.

-- changes: of the space (`space.changes`) when these rows were made; others are due. What is NULL is not known: its rules are not ours.
CREATE TABLE incident_view (
    space INTEGER PRIMARY KEY REFERENCES space (id),
    changes INTEGER NOT NULL,
    status TEXT,
    types TEXT,
    determination TEXT,
    criticality INTEGER,
    lead INTEGER REFERENCES organisation (id),
    members TEXT,
    opened TEXT,
    closed TEXT,
    late INTEGER
);
CREATE INDEX incident_view_lead ON incident_view (lead);

-- has_text: what an entry says was known here. text: the beginning of it.
CREATE TABLE incident_timeline (
    entry INTEGER PRIMARY KEY REFERENCES space_entry (id),
    space INTEGER NOT NULL REFERENCES space (id),
    kind TEXT NOT NULL,
    author INTEGER NOT NULL REFERENCES organisation (id),
    tlp INTEGER NOT NULL,
    stated_at TEXT,
    claimed_at TEXT,
    text TEXT,
    badges TEXT NOT NULL,
    has_text INTEGER NOT NULL
);
CREATE INDEX incident_timeline_space ON incident_timeline (space);
CREATE INDEX incident_timeline_author ON incident_timeline (author);

-- One row a task and a duty: `row` is what the view shows, a JSON object. key: the id of the task; who owes what under which template.
CREATE TABLE incident_part (
    space INTEGER NOT NULL REFERENCES space (id),
    part TEXT NOT NULL CHECK (part IN ('task', 'duty')),
    key TEXT NOT NULL,
    row TEXT NOT NULL,
    PRIMARY KEY (space, part, key)
) WITHOUT ROWID;

-- Values of a closed incident that are watched for until then (unix seconds), marked as the entry that names them.
CREATE TABLE incident_watch (
    space INTEGER NOT NULL REFERENCES space (id),
    value_type TEXT NOT NULL,
    value TEXT NOT NULL,
    tlp INTEGER NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (space, value_type, value)
) WITHOUT ROWID;
CREATE INDEX incident_watch_value ON incident_watch (value_type, value);

-- Spaces that a person put away here: lists leave them out. Nothing else follows from it.
CREATE TABLE space_archived (
    space INTEGER PRIMARY KEY REFERENCES space (id),
    archived_at INTEGER NOT NULL
);
