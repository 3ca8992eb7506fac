-- Where both sides meet.

-- id: 12 hexadecimal digits of both sides. status: 'proposed', 'confirmed', 'rejected'. evidence: JSON array of sentences.
-- decided_by and decided_at: who confirmed or rejected it. A decided alias is never proposed again.
CREATE TABLE alias (
    id TEXT PRIMARY KEY,
    own_model INTEGER NOT NULL REFERENCES own_model (id),
    their_model INTEGER NOT NULL REFERENCES their_model (id),
    score REAL NOT NULL,
    evidence TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'proposed',
    proposed_at INTEGER NOT NULL,
    decided_by TEXT NOT NULL DEFAULT '',
    decided_at INTEGER,
    UNIQUE (own_model, their_model)
) WITHOUT ROWID;
CREATE INDEX alias_of_their_model ON alias (their_model, status);

-- What one document says of one component and one vulnerability. asset_component: 0, or the only place it speaks of.
-- state and match: numbers of risk/words.py, the worst and the surest highest. is_own_vendor: who says it makes the product.
CREATE TABLE verdict (
    component INTEGER NOT NULL REFERENCES component (id) ON DELETE CASCADE,
    asset_component INTEGER NOT NULL,
    vulnerability INTEGER NOT NULL REFERENCES vulnerability (id),
    document INTEGER NOT NULL REFERENCES document (id) ON DELETE CASCADE,
    state INTEGER NOT NULL,
    match INTEGER NOT NULL,
    is_own_vendor INTEGER NOT NULL,
    justification TEXT NOT NULL,
    because TEXT NOT NULL,
    PRIMARY KEY (component, vulnerability, asset_component, document)
) WITHOUT ROWID;
CREATE INDEX verdict_by_document ON verdict (document);
CREATE INDEX verdict_of_place ON verdict (asset_component) WHERE asset_component > 0;

-- What all documents together come to. is_refined: of a hit everywhere: some places have one of their own. first_seen: kept when the row is made anew. disagree: documents that say different things.
CREATE TABLE hit (
    component INTEGER NOT NULL REFERENCES component (id) ON DELETE CASCADE,
    asset_component INTEGER NOT NULL,
    vulnerability INTEGER NOT NULL REFERENCES vulnerability (id),
    state INTEGER NOT NULL,
    match INTEGER NOT NULL,
    disagree INTEGER NOT NULL,
    is_refined INTEGER NOT NULL,
    first_seen INTEGER NOT NULL,
    PRIMARY KEY (component, vulnerability, asset_component)
) WITHOUT ROWID;
CREATE INDEX hit_by_vulnerability ON hit (vulnerability);
CREATE INDEX hit_of_place ON hit (asset_component, vulnerability) WHERE asset_component > 0;

-- The only row: what the configuration says that the view needs. kev_is_checked: a KEV file was read. kev_absence: 3, or 4 where
-- not being listed means "none or PoC". partners_mean_active: so many partners count as active exploitation, 0 never.
CREATE TABLE rule (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    kev_is_checked INTEGER NOT NULL,
    kev_absence INTEGER NOT NULL,
    partners_mean_active INTEGER NOT NULL
);
INSERT INTO rule VALUES (1, 0, 3, 0);

-- A decision table, expanded: each input may also be unknown (240 rows and 81; 60 more of "none or PoC"). id is made of the inputs' numbers:
-- ssvc-deployer: ((exploitation * 4 + exposure) * 3 + automatable) * 5 + human_impact; exploitation 3 unknown, 4 none or PoC;
-- cisa-bod-26-04: 1000 + ((kev * 3 + exposed) * 3 + automatable) * 3 + technical_impact; each 2 unknown.
-- worst and best: numbers of outcomes, the most urgent highest. matters: a bit for each input whose not being known changes the
-- outcome, the first input lowest.
CREATE TABLE decision_row (
    id INTEGER PRIMARY KEY,
    deciding TEXT NOT NULL,
    worst INTEGER NOT NULL,
    best INTEGER NOT NULL,
    matters INTEGER NOT NULL
);

-- days: NULL where the outcome has no due date. is_own_rule: the days are of the configuration, not of the table.
CREATE TABLE outcome (
    deciding TEXT NOT NULL,
    number INTEGER NOT NULL,
    name TEXT NOT NULL,
    days INTEGER,
    is_own_rule INTEGER NOT NULL,
    PRIMARY KEY (deciding, number)
) WITHOUT ROWID;
