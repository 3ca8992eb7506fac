-- The first schema. docs/store.md explains each table; only the views v1_* are promised to others.
--
-- No STRICT tables, generated columns or newer JSON operators: the file must open in the SQLite of an old
-- distribution (3.26). Integers that end in _us are microseconds since the epoch, other times unix seconds.
-- The two tables that take a row for each indicator have no foreign keys: their parents are written in the
-- same transaction by the same code and never deleted, and the check costs a look-up a row.

CREATE TABLE setting (
    name TEXT PRIMARY KEY,
    value NOT NULL
) WITHOUT ROWID;
INSERT INTO setting VALUES ('siem_tlp_max', 3), ('last_lsn', 0);

-- Interned: whoever wrote or handed over something, or is a partner. `name` is the last alias we gave it.
CREATE TABLE organisation (
    id INTEGER PRIMARY KEY,
    partner_id BLOB NOT NULL UNIQUE,
    name TEXT
);

CREATE TABLE partner (
    organisation INTEGER PRIMARY KEY REFERENCES organisation (id),
    alias TEXT NOT NULL UNIQUE,
    card BLOB NOT NULL,
    card_version INTEGER NOT NULL,
    has_link INTEGER NOT NULL,
    circles TEXT NOT NULL,
    is_frozen INTEGER NOT NULL,
    added_at INTEGER NOT NULL
);

CREATE TABLE last_exchange (
    organisation INTEGER PRIMARY KEY REFERENCES organisation (id),
    at INTEGER NOT NULL
);

CREATE TABLE card (
    id INTEGER PRIMARY KEY,
    organisation INTEGER NOT NULL REFERENCES organisation (id),
    version INTEGER NOT NULL,
    raw BLOB NOT NULL,
    UNIQUE (organisation, version)
);

CREATE TABLE card_fork (
    id INTEGER PRIMARY KEY,
    organisation INTEGER NOT NULL REFERENCES organisation (id),
    first BLOB NOT NULL,
    second BLOB NOT NULL,
    noted_at INTEGER NOT NULL
);

-- One row an envelope; `lsn` is its place in the arrival log and is never used again (setting last_lsn).
-- stage: 0 carried, 1 expired (wire dropped, key still listed for an hour), 2 content only.
CREATE TABLE envelope (
    lsn INTEGER PRIMARY KEY,
    envelope_id BLOB NOT NULL UNIQUE,
    author INTEGER NOT NULL REFERENCES organisation (id),
    incarnation INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    previous BLOB NOT NULL,
    circle BLOB NOT NULL,
    mode INTEGER NOT NULL,
    created INTEGER NOT NULL,
    ttl_class INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    size INTEGER NOT NULL,
    from_partner INTEGER REFERENCES organisation (id),
    received_at INTEGER NOT NULL,
    is_opened INTEGER NOT NULL,
    awaits_first_hop INTEGER NOT NULL,
    stage INTEGER NOT NULL DEFAULT 0
);
-- What reconciliation compares: the shard's keys in order. Direct envelopes (mode 0) are in no shard.
CREATE INDEX envelope_key ON envelope (circle, ttl_class, created, envelope_id) WHERE mode = 1 AND stage < 2;
CREATE INDEX envelope_chain ON envelope (author, incarnation, sequence);
CREATE INDEX envelope_expires ON envelope (expires) WHERE stage < 2;
CREATE INDEX envelope_first_hop ON envelope (lsn) WHERE awaits_first_hop = 1;

CREATE TABLE wire (
    lsn INTEGER PRIMARY KEY REFERENCES envelope (lsn),
    bytes BLOB NOT NULL
);

CREATE TABLE outbox (
    recipient INTEGER NOT NULL REFERENCES organisation (id),
    lsn INTEGER NOT NULL REFERENCES envelope (lsn),
    PRIMARY KEY (recipient, lsn)
) WITHOUT ROWID;
CREATE INDEX outbox_envelope ON outbox (lsn);

-- Our own chain: one row.
CREATE TABLE own_chain (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    incarnation INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    previous BLOB NOT NULL
);
INSERT INTO own_chain VALUES (1, 0, 0, zeroblob(32));

-- The last number used inside the wraps for each recipient.
CREATE TABLE recipient_sequence (
    recipient INTEGER PRIMARY KEY REFERENCES organisation (id),
    last INTEGER NOT NULL
);

-- The highest number an author used for us, and the ranges below it that never came.
CREATE TABLE sequence_seen (
    author INTEGER PRIMARY KEY REFERENCES organisation (id),
    highest INTEGER NOT NULL
);
CREATE TABLE sequence_gap (
    author INTEGER NOT NULL REFERENCES organisation (id),
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (author, first)
) WITHOUT ROWID;

CREATE TABLE sequence_fork (
    author INTEGER NOT NULL REFERENCES organisation (id),
    incarnation INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    first BLOB NOT NULL,
    second BLOB NOT NULL,
    noted_at INTEGER NOT NULL,
    PRIMARY KEY (author, incarnation, sequence, second)
) WITHOUT ROWID;

CREATE TABLE deferred (
    envelope_id BLOB PRIMARY KEY,
    bearer INTEGER REFERENCES organisation (id),
    created INTEGER NOT NULL,
    wire BLOB NOT NULL
);

-- What each partner handed over: came_in = stored + already_held + deferred + refused (scope 'envelope').
CREATE TABLE account (
    organisation INTEGER PRIMARY KEY,
    came_in INTEGER NOT NULL DEFAULT 0,
    stored INTEGER NOT NULL DEFAULT 0,
    already_held INTEGER NOT NULL DEFAULT 0,
    deferred INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE refusal (
    organisation INTEGER NOT NULL,
    scope TEXT NOT NULL,
    reason TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (organisation, scope, reason)
) WITHOUT ROWID;

-- zstd frames of STIX objects as they were sealed; an object is found by (frame, position). received_at is the
-- envelope's, here so that the views need not look there for each claim.
CREATE TABLE frame (
    id INTEGER PRIMARY KEY,
    envelope INTEGER NOT NULL REFERENCES envelope (lsn),
    received_at INTEGER NOT NULL,
    bytes BLOB NOT NULL
);
CREATE INDEX frame_envelope ON frame (envelope);

CREATE TABLE observable_type (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    count INTEGER NOT NULL DEFAULT 0
);

-- One row a canonical value: the dedup key.
CREATE TABLE observable (
    id INTEGER PRIMARY KEY,
    type INTEGER NOT NULL,
    value TEXT NOT NULL
);
CREATE UNIQUE INDEX observable_value ON observable (value, type);

-- Interned sets of labels, as a JSON array.
CREATE TABLE label_set (
    id INTEGER PRIMARY KEY,
    labels TEXT NOT NULL UNIQUE
);

-- One author's statement about one observable, from one version of one indicator object.
-- object_key: the 16 bytes of "indicator--UUID", else the id as text.
-- status: 0 current, 1 current and revoked by its author, 2 superseded by a later version.
-- from_after_us and until_after_us count from modified_us: most claims begin when they are written, and SQLite
-- keeps a 0 in no bytes and half a year in six, where an instant takes eight.
CREATE TABLE claim (
    id INTEGER PRIMARY KEY,
    observable INTEGER NOT NULL,
    author INTEGER NOT NULL,
    object_key BLOB NOT NULL,
    frame INTEGER NOT NULL,
    position INTEGER NOT NULL,
    status INTEGER NOT NULL,
    tlp INTEGER NOT NULL,
    confidence INTEGER,
    label_set INTEGER,
    modified_us INTEGER NOT NULL,
    from_after_us INTEGER NOT NULL,
    until_after_us INTEGER
);
CREATE INDEX claim_observable ON claim (observable);
-- Two partial indexes, so that an object with very many versions costs no more to replace than one with two.
CREATE INDEX claim_current ON claim (object_key, author) WHERE status < 2;
CREATE INDEX claim_superseded ON claim (object_key, author, modified_us) WHERE status = 2;

CREATE TABLE object_type (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);

-- Versions of objects that give no claims: everything that is not an indicator, and opaque patterns.
-- object_key: the 16 bytes of "TYPE--UUID" where TYPE is the object's type, else the id as text.
CREATE TABLE object (
    id INTEGER PRIMARY KEY,
    type INTEGER NOT NULL,
    author INTEGER NOT NULL,
    object_key BLOB NOT NULL,
    frame INTEGER NOT NULL,
    position INTEGER NOT NULL,
    status INTEGER NOT NULL,
    tlp INTEGER NOT NULL,
    modified_us INTEGER
);
CREATE INDEX object_current ON object (object_key, author) WHERE status < 2;
CREATE INDEX object_superseded ON object (object_key, author, modified_us) WHERE status = 2;

CREATE TABLE object_fork (
    author INTEGER NOT NULL REFERENCES organisation (id),
    object_id TEXT NOT NULL,
    modified_us INTEGER NOT NULL,
    first_frame INTEGER NOT NULL,
    second_frame INTEGER NOT NULL,
    times INTEGER NOT NULL,
    noted_at INTEGER NOT NULL,
    PRIMARY KEY (author, object_id, modified_us)
) WITHOUT ROWID;

-- --- the SIEM contract (docs/siem.md): columns are only ever added ------------------------------------

-- Claims that may be shown. Without the setting nothing is (fail closed); RED is there only when it is 4.
CREATE VIEW v1_claims AS
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
    replace(datetime(f.received_at, 'unixepoch'), ' ', 'T') || 'Z' AS received_at
FROM claim c
JOIN observable o ON o.id = c.observable
JOIN observable_type t ON t.id = o.type
JOIN organisation a ON a.id = c.author
JOIN frame f ON f.id = c.frame
JOIN envelope e ON e.lsn = f.envelope
LEFT JOIN label_set l ON l.id = c.label_set
WHERE +c.status < 2 AND c.tlp <= (SELECT s.value FROM setting s WHERE s.name = 'siem_tlp_max');

-- The effective view: one row an observable that has at least one claim which may be shown.
-- "Live" = not revoked, begun, not ended; 9223372036854775807 stands for a live claim without end. Grouping by value
-- and type too lets a filter on them reach the index; CROSS JOIN and the unary + keep the planner from walking claims
-- in the order of an index on something else.
CREATE VIEW v1_indicators AS
SELECT
    type,
    value,
    live_until_us IS NOT NULL AS active,
    CASE WHEN live_until_us IS NOT NULL THEN live_confidence ELSE any_confidence END AS confidence,
    CASE tlp
        WHEN 0 THEN 'TLP:CLEAR' WHEN 1 THEN 'TLP:GREEN' WHEN 2 THEN 'TLP:AMBER'
        WHEN 3 THEN 'TLP:AMBER+STRICT' ELSE 'TLP:RED'
    END AS tlp,
    replace(datetime(first_seen, 'unixepoch'), ' ', 'T') || 'Z' AS first_seen,
    replace(datetime(last_seen, 'unixepoch'), ' ', 'T') || 'Z' AS last_seen,
    replace(datetime(coalesce(live_from_us, any_from_us) / 1000000, 'unixepoch'), ' ', 'T') || 'Z' AS valid_from,
    replace(
        datetime(nullif(coalesce(live_until_us, any_until_us), 9223372036854775807) / 1000000, 'unixepoch'), ' ', 'T'
    ) || 'Z' AS valid_until,
    authors,
    claims
FROM (
    SELECT
        t.name AS type,
        o.value AS value,
        max(CASE WHEN c.is_live THEN c.confidence END) AS live_confidence,
        max(c.confidence) AS any_confidence,
        max(c.tlp) AS tlp,
        min(f.received_at) AS first_seen,
        max(f.received_at) AS last_seen,
        min(CASE WHEN c.is_live THEN c.from_us END) AS live_from_us,
        min(c.from_us) AS any_from_us,
        max(CASE WHEN c.is_live THEN coalesce(c.until_us, 9223372036854775807) END) AS live_until_us,
        max(c.until_us) AS any_until_us,
        count(DISTINCT c.author) AS authors,
        count(*) AS claims
    FROM observable o
    CROSS JOIN observable_type t ON t.id = o.type
    CROSS JOIN (
        SELECT
            k.observable, k.author, k.frame, k.tlp, k.confidence,
            k.modified_us + k.from_after_us AS from_us,
            k.modified_us + k.until_after_us AS until_us,
            k.status = 0
            AND k.modified_us + k.from_after_us <= (SELECT CAST(strftime('%s', 'now') AS INTEGER) * 1000000)
            AND coalesce(k.modified_us + k.until_after_us, 9223372036854775807)
                > (SELECT CAST(strftime('%s', 'now') AS INTEGER) * 1000000) AS is_live
        FROM claim k
        WHERE +k.status < 2 AND k.tlp <= (SELECT s.value FROM setting s WHERE s.name = 'siem_tlp_max')
    ) c ON c.observable = o.id
    CROSS JOIN frame f ON f.id = c.frame
    GROUP BY o.id, o.value, t.name
);
