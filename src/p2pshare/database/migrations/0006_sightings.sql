-- What partners say about objects (docs/store.md, "Assessments").

-- One row for each assessment: kind 1 sighting, 2 false positive, 3 opinion, 4 note, 5 proposal. `target` is the assessed
-- object as in claim.object_key, `target_author` whose object is meant (NULL: not said), `type` and `value` which of its
-- observables. is_waiting: a sighting or false positive about something that is not held yet.
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
    is_waiting INTEGER NOT NULL
);
CREATE INDEX assessment_target ON assessment (target);
CREATE INDEX assessment_waiting ON assessment (target) WHERE is_waiting = 1;

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

-- How many organisations must call a value a false positive before it is quarantined (lifecycle.false_positive_reports).
INSERT INTO setting VALUES ('false_positive_reports', 2);

CREATE VIEW v1_sightings AS
SELECT
    t.name AS type,
    o.value AS value,
    lower(hex(a.partner_id)) AS reporter,
    a.name AS reporter_name,
    g.count AS count,
    replace(datetime(g.first_seen, 'unixepoch'), ' ', 'T') || 'Z' AS first_seen,
    replace(datetime(g.last_seen, 'unixepoch'), ' ', 'T') || 'Z' AS last_seen,
    replace(datetime(g.not_seen_at, 'unixepoch'), ' ', 'T') || 'Z' AS not_seen_at,
    g.is_false_positive AS false_positive,
    g.reports AS reports,
    replace(datetime(g.received_at, 'unixepoch'), ' ', 'T') || 'Z' AS received_at
FROM observable o
JOIN sighting g ON g.observable = o.id
JOIN standing s ON s.observable = o.id
JOIN observable_type t ON t.id = o.type
JOIN organisation a ON a.id = g.reporter
WHERE s.status < 5 AND max(s.tlp, g.tlp) <= (SELECT m.value FROM setting m WHERE m.name = 'siem_tlp_max');
