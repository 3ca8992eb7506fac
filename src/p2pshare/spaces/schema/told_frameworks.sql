-- What the view of playbooks shows (docs/siem.md, "Playbooks"): made from the fold after it, and never read by it.

-- changes: of the space (`space.changes`) when these rows were made; others are due.
CREATE TABLE framework_view (
    space INTEGER PRIMARY KEY REFERENCES space (id),
    changes INTEGER NOT NULL
);

-- One row an entry `playbook` that counts: `row` is what the view shows, a JSON object. key: the id of the entry.
CREATE TABLE framework_playbook (
    space INTEGER NOT NULL REFERENCES space (id),
    key TEXT NOT NULL,
    row TEXT NOT NULL,
    PRIMARY KEY (space, key)
) WITHOUT ROWID;
