-- What the view of rules shows of labs (docs/siem.md, "v1_rules"): made from the fold after it, and never read by it.

-- changes: of the space (`space.changes`) when the rows of its rules were made; others are due.
CREATE TABLE lab_view (
    space INTEGER PRIMARY KEY REFERENCES space (id),
    changes INTEGER NOT NULL
);

-- A text of a rule that is shown: the one that the rule is now, and an older one that has come farther. rule, entry: ids of entries.
-- author: whose rule it is; rule_author: who wrote it, by its own word. techniques: a JSON array. counts_from: the
-- time (unix seconds) that the promotion which counts claims, where that was to come when it came here: until then the rule is `test` here. is_shared: another rule of the lab
-- has the same text.
CREATE TABLE lab_rule (
    space INTEGER NOT NULL REFERENCES space (id),
    rule BLOB NOT NULL,
    is_current INTEGER NOT NULL,
    entry BLOB NOT NULL,
    language TEXT NOT NULL,
    title TEXT NOT NULL,
    author INTEGER NOT NULL REFERENCES organisation (id),
    rule_author TEXT NOT NULL,
    licence TEXT NOT NULL,
    digest BLOB NOT NULL,
    tlp INTEGER NOT NULL,
    status TEXT NOT NULL,
    level TEXT,
    techniques TEXT NOT NULL,
    reviews INTEGER NOT NULL,
    runs INTEGER NOT NULL,
    counts_from INTEGER,
    is_shared INTEGER NOT NULL,
    PRIMARY KEY (space, rule, is_current)
) WITHOUT ROWID;
CREATE INDEX lab_rule_author ON lab_rule (author);

-- The texts of those rules, each once, put together from the parts that are held. tlp: the strictest of these.
CREATE TABLE lab_text (
    space INTEGER NOT NULL REFERENCES space (id),
    digest BLOB NOT NULL,
    tlp INTEGER NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (space, digest)
) WITHOUT ROWID;
