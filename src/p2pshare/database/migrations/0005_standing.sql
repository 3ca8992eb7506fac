-- What each observable counts for now, and the change feed (docs/store.md, "Standing"; docs/decisions/0037).

-- One row an observable, from all its claims that the SIEM may see. Score, status and feed position change in one
-- statement. `seq` is its place in the change feed, NULL while it never was active; `op`: 1 add, 2 update, 3 remove.
-- `status`: 0 active, 1 pending, 2 expired, 3 replaced, 4 delisted, 5 no claim that may be shown.
-- The row holds from `at` until before `due` (unix seconds; NULL: for ever).
CREATE TABLE standing (
    observable INTEGER PRIMARY KEY,
    seq INTEGER,
    op INTEGER,
    status INTEGER NOT NULL,
    reason TEXT,
    score INTEGER,
    confidence INTEGER,
    tlp INTEGER,
    pap INTEGER,
    first_seen INTEGER,
    last_seen INTEGER,
    valid_from INTEGER,
    valid_until INTEGER,
    authors INTEGER NOT NULL,
    claims INTEGER NOT NULL,
    at INTEGER NOT NULL,
    due INTEGER,
    sighted_at INTEGER
);
CREATE UNIQUE INDEX standing_seq ON standing (seq) WHERE seq IS NOT NULL;
CREATE INDEX standing_due ON standing (due) WHERE due IS NOT NULL;

-- How many seconds after its start a claim about such a value is over (intel.decay; written when the store is opened).
ALTER TABLE observable_type ADD COLUMN ages_seconds INTEGER NOT NULL DEFAULT 0;

-- last_change: the highest seq ever given. settled_at: the time of the latest judgement.
INSERT INTO setting VALUES ('last_change', 0), ('settled_at', 0);

-- Observables of which something changed in the transaction that is under way; its end judges them. Whoever changes a
-- claim or a quarantine need not know of standings.
CREATE TABLE unsettled (
    observable INTEGER PRIMARY KEY
);
CREATE TRIGGER claim_changed AFTER UPDATE OF status, tlp ON claim BEGIN
    INSERT OR IGNORE INTO unsettled VALUES (new.observable);
END;
CREATE TRIGGER quarantine_added AFTER INSERT ON quarantine BEGIN
    INSERT OR IGNORE INTO unsettled VALUES (new.observable);
END;
CREATE TRIGGER quarantine_lifted AFTER DELETE ON quarantine BEGIN
    INSERT OR IGNORE INTO unsettled VALUES (old.observable);
END;

-- Stores of an earlier version: each observable is judged by the next transaction that tells a time.
INSERT INTO standing (observable, status, score, authors, claims, at) SELECT id, 5, 0, 0, 0, 0 FROM observable;
INSERT INTO unsettled SELECT id FROM observable;

DROP VIEW v1_claims;
DROP VIEW v1_indicators;

-- A claim's status is that of the latest judgement, like everything else in the views.
CREATE VIEW v1_claims AS
SELECT
    type, value, author, author_name, object_id, tlp, confidence, labels, valid_from, valid_until, revoked, envelope_id,
    received_at,
    CASE
        WHEN revoked OR quarantined IS NOT NULL THEN 'delisted'
        WHEN until_us <= now_us THEN 'expired'
        WHEN from_us > now_us THEN 'pending'
        WHEN max(sealed_us, from_us, sighted_us) + ages_us <= now_us THEN 'expired'
        ELSE 'active'
    END AS status,
    CASE
        WHEN revoked THEN 'withdrawn'
        WHEN quarantined IS NOT NULL THEN quarantined
        WHEN until_us <= now_us THEN 'validity'
        WHEN from_us > now_us THEN NULL
        WHEN max(sealed_us, from_us, sighted_us) + ages_us <= now_us THEN 'decay'
    END AS reason
FROM (
    SELECT
        t.name AS type,
        o.value AS value,
        lower(hex(a.partner_id)) AS author,
        a.name AS author_name,
        CASE typeof(c.object_key)
            WHEN 'blob' THEN 'indicator--' || lower(
                substr(hex(c.object_key), 1, 8) || '-' || substr(hex(c.object_key), 9, 4) || '-'
                || substr(hex(c.object_key), 13, 4) || '-' || substr(hex(c.object_key), 17, 4) || '-'
                || substr(hex(c.object_key), 21)
            )
            ELSE c.object_key
        END AS object_id,
        CASE c.tlp
            WHEN 0 THEN 'TLP:CLEAR' WHEN 1 THEN 'TLP:GREEN' WHEN 2 THEN 'TLP:AMBER'
            WHEN 3 THEN 'TLP:AMBER+STRICT' ELSE 'TLP:RED'
        END AS tlp,
        c.confidence AS confidence,
        coalesce(l.labels, '[]') AS labels,
        replace(datetime((c.modified_us + c.from_after_us) / 1000000, 'unixepoch'), ' ', 'T') || 'Z' AS valid_from,
        replace(datetime((c.modified_us + c.until_after_us) / 1000000, 'unixepoch'), ' ', 'T') || 'Z' AS valid_until,
        c.status = 1 AS revoked,
        lower(hex(e.envelope_id)) AS envelope_id,
        replace(datetime(f.received_at, 'unixepoch'), ' ', 'T') || 'Z' AS received_at,
        c.modified_us + c.from_after_us AS from_us,
        c.modified_us + c.until_after_us AS until_us,
        e.created * 1000000 AS sealed_us,
        coalesce(s.sighted_at, 0) * 1000000 AS sighted_us,
        t.ages_seconds * 1000000 AS ages_us,
        (SELECT n.value * 1000000 FROM setting n WHERE n.name = 'settled_at') AS now_us,
        (SELECT min(q.source) FROM quarantine q WHERE q.observable = o.id) AS quarantined
    FROM claim c
    JOIN observable o ON o.id = c.observable
    JOIN observable_type t ON t.id = o.type
    JOIN organisation a ON a.id = c.author
    JOIN frame f ON f.id = c.frame
    JOIN envelope e ON e.lsn = f.envelope
    LEFT JOIN standing s ON s.observable = c.observable
    LEFT JOIN label_set l ON l.id = c.label_set
    WHERE +c.status < 2 AND c.tlp <= (SELECT s.value FROM setting s WHERE s.name = 'siem_tlp_max')
);

CREATE VIEW v1_indicators AS
SELECT
    t.name AS type,
    o.value AS value,
    s.status = 0 AS active,
    s.confidence AS confidence,
    CASE s.tlp
        WHEN 0 THEN 'TLP:CLEAR' WHEN 1 THEN 'TLP:GREEN' WHEN 2 THEN 'TLP:AMBER'
        WHEN 3 THEN 'TLP:AMBER+STRICT' ELSE 'TLP:RED'
    END AS tlp,
    replace(datetime(s.first_seen, 'unixepoch'), ' ', 'T') || 'Z' AS first_seen,
    replace(datetime(s.last_seen, 'unixepoch'), ' ', 'T') || 'Z' AS last_seen,
    replace(datetime(s.valid_from, 'unixepoch'), ' ', 'T') || 'Z' AS valid_from,
    replace(datetime(s.valid_until, 'unixepoch'), ' ', 'T') || 'Z' AS valid_until,
    s.authors AS authors,
    s.claims AS claims,
    CASE s.status
        WHEN 0 THEN 'active' WHEN 1 THEN 'pending' WHEN 2 THEN 'expired' WHEN 3 THEN 'replaced' ELSE 'delisted'
    END AS status,
    s.reason AS reason,
    s.score AS score,
    CASE s.pap
        WHEN 0 THEN 'PAP:CLEAR' WHEN 1 THEN 'PAP:GREEN' WHEN 2 THEN 'PAP:AMBER' WHEN 3 THEN 'PAP:RED'
    END AS pap
FROM observable o
JOIN standing s ON s.observable = o.id
JOIN observable_type t ON t.id = o.type
WHERE s.status < 5 AND s.tlp <= (SELECT m.value FROM setting m WHERE m.name = 'siem_tlp_max');

-- The change feed: the newest change of each observable that ever was active. A row without marking is one that is gone.
CREATE VIEW v1_changes AS
SELECT
    s.seq AS seq,
    CASE s.op WHEN 1 THEN 'add' WHEN 2 THEN 'update' ELSE 'remove' END AS op,
    t.name AS type,
    o.value AS value,
    s.score AS score,
    s.confidence AS confidence,
    CASE s.tlp
        WHEN 0 THEN 'TLP:CLEAR' WHEN 1 THEN 'TLP:GREEN' WHEN 2 THEN 'TLP:AMBER'
        WHEN 3 THEN 'TLP:AMBER+STRICT' WHEN 4 THEN 'TLP:RED'
    END AS tlp,
    CASE s.pap
        WHEN 0 THEN 'PAP:CLEAR' WHEN 1 THEN 'PAP:GREEN' WHEN 2 THEN 'PAP:AMBER' WHEN 3 THEN 'PAP:RED'
    END AS pap,
    replace(datetime(s.valid_from, 'unixepoch'), ' ', 'T') || 'Z' AS valid_from,
    replace(datetime(s.valid_until, 'unixepoch'), ' ', 'T') || 'Z' AS valid_until,
    s.authors AS authors,
    s.reason AS reason,
    replace(datetime(s.at, 'unixepoch'), ' ', 'T') || 'Z' AS at
FROM standing s
JOIN observable o ON o.id = s.observable
JOIN observable_type t ON t.id = o.type
WHERE s.seq IS NOT NULL AND coalesce(s.tlp, 0) <= (SELECT m.value FROM setting m WHERE m.name = 'siem_tlp_max');
