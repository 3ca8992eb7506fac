-- What a person decided, and what is done.

-- kind: 'mitigate', 'accept', 'transfer', 'avoid'. asset, component: NULL for all of them. until: when it comes back, NULL never.
CREATE TABLE decision (
    id INTEGER PRIMARY KEY,
    vulnerability INTEGER NOT NULL REFERENCES vulnerability (id),
    asset INTEGER REFERENCES asset (id) ON DELETE CASCADE,
    component INTEGER REFERENCES component (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    decided_by TEXT NOT NULL,
    because TEXT NOT NULL,
    decided_at INTEGER NOT NULL,
    until INTEGER
);
CREATE INDEX decision_by_vulnerability ON decision (vulnerability);

-- kind: 'patch', 'config', 'segment', 'detection-rule', 'playbook'. status: 'planned', 'in-place', 'verified'.
-- reference: a D3FEND, ATT&CK mitigation or course-of-action id.
CREATE TABLE measure (
    id INTEGER PRIMARY KEY,
    vulnerability INTEGER REFERENCES vulnerability (id),
    asset INTEGER REFERENCES asset (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    text TEXT NOT NULL,
    reference TEXT NOT NULL DEFAULT '',
    evidence TEXT NOT NULL DEFAULT '',
    owner TEXT NOT NULL DEFAULT '',
    due INTEGER,
    added_at INTEGER NOT NULL,
    verified_at INTEGER,
    verified_by TEXT NOT NULL DEFAULT ''
);
CREATE INDEX measure_by_vulnerability ON measure (vulnerability);

-- What `risk diff` compares: each day's sum of what was due. One row for a day, table and outcome.
CREATE TABLE daily_count (
    day INTEGER NOT NULL,
    deciding TEXT NOT NULL,
    outcome INTEGER NOT NULL,
    findings INTEGER NOT NULL,
    late INTEGER NOT NULL,
    PRIMARY KEY (day, deciding, outcome)
) WITHOUT ROWID;

-- What changed, for `risk diff`: a hit that came, went, or changed its state. before, after: NULL for none.
CREATE TABLE hit_change (
    id INTEGER PRIMARY KEY,
    changed_at INTEGER NOT NULL,
    component INTEGER NOT NULL,
    asset_component INTEGER NOT NULL,
    vulnerability INTEGER NOT NULL,
    before INTEGER,
    after INTEGER
);
CREATE INDEX hit_change_by_time ON hit_change (changed_at);

-- What `risk exposure --share` answered, so that the same is answered for 24 hours. answer: the JSON that left.
CREATE TABLE exposure_answer (
    id INTEGER PRIMARY KEY,
    space TEXT NOT NULL,
    vulnerability TEXT NOT NULL,
    answered_at INTEGER NOT NULL,
    answer TEXT NOT NULL
);
CREATE INDEX exposure_answer_by_question ON exposure_answer (space, vulnerability, answered_at);
