-- What partners say about objects (docs/store.md, "Assessments").

-- How many organisations must call a value a false positive before it is quarantined (lifecycle.false_positive_reports).
INSERT INTO setting VALUES ('false_positive_reports', 2);

-- One row for each assessment: kind 1 sighting, 2 false positive, 3 opinion, 4 note, 5 proposal. `target` is the assessed
-- object as in claim.object_key, `target_author` whose object is meant (NULL: not said), `type` and `value` which of its
-- observables. is_waiting: 1 a sighting or false positive about something that is not held yet, 2 one that waits no more and
-- was never counted. is_out: its author does not stand for it any more (out_of_effect).
CREATE TABLE assessment (
    object INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,
    reporter INTEGER NOT NULL,
    target NOT NULL,
    target_author BLOB,
    type TEXT,
    value TEXT,
    count INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    tlp INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    is_waiting INTEGER NOT NULL,
    is_out INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX assessment_target ON assessment (target, reporter);
CREATE INDEX assessment_waiting ON assessment (target, reporter) WHERE is_waiting = 1;

-- What one organisation says about one observable, summed up: never a row a message. is_false_positive is its latest word.
CREATE TABLE sighting (
    observable INTEGER NOT NULL,
    reporter INTEGER NOT NULL,
    reports INTEGER NOT NULL,
    count INTEGER NOT NULL,
    first_seen INTEGER,
    last_seen INTEGER,
    not_seen_at INTEGER,
    is_false_positive INTEGER NOT NULL,
    tlp INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (observable, reporter)
) WITHOUT ROWID;
CREATE INDEX sighting_reporter ON sighting (reporter) WHERE is_false_positive = 1;
CREATE INDEX sighting_of ON sighting (reporter);

-- Organisations whose rows of `sighting` are being summed up anew, and the observable behind which that goes on.
CREATE TABLE recounting (
    reporter INTEGER PRIMARY KEY,
    place INTEGER NOT NULL
);
