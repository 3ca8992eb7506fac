-- Quarantine, and the words for what is not active (docs/store.md, "Quarantine"; docs/siem.md, "Status").

-- Why an observable may not be acted upon here, whoever claims it: one row a source ('warning-list', 'allow-list',
-- 'false-positive'). It is quarantined while it has a row; its claims stay as they are.
CREATE TABLE quarantine (
    observable INTEGER NOT NULL,
    source TEXT NOT NULL,
    reason TEXT NOT NULL,
    noted_at INTEGER NOT NULL,
    PRIMARY KEY (observable, source)
) WITHOUT ROWID;

DROP VIEW v1_claims;
DROP VIEW v1_indicators;

CREATE VIEW v1_claims AS
SELECT
    type, value, author, author_name, object_id, tlp, confidence, labels, valid_from, valid_until, revoked, envelope_id,
    received_at,
    CASE
        WHEN revoked OR quarantined IS NOT NULL THEN 'delisted'
        WHEN until_us <= now_us THEN 'expired'
        WHEN from_us > now_us THEN 'pending'
        ELSE 'active'
    END AS status,
    CASE
        WHEN revoked THEN 'withdrawn'
        WHEN quarantined IS NOT NULL THEN quarantined
        WHEN until_us <= now_us THEN 'validity'
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
        (SELECT CAST(strftime('%s', 'now') AS INTEGER) * 1000000) AS now_us,
        (SELECT min(q.source) FROM quarantine q WHERE q.observable = o.id) AS quarantined
    FROM claim c
    JOIN observable o ON o.id = c.observable
    JOIN observable_type t ON t.id = o.type
    JOIN organisation a ON a.id = c.author
    JOIN frame f ON f.id = c.frame
    JOIN envelope e ON e.lsn = f.envelope
    LEFT JOIN label_set l ON l.id = c.label_set
    WHERE +c.status < 2 AND c.tlp <= (SELECT s.value FROM setting s WHERE s.name = 'siem_tlp_max')
);

-- As in 0001, and: nothing quarantined is live. The status of a row without a live claim is that of the claim that
-- lasts longest: still to begin, else ended by time, else withdrawn.
CREATE VIEW v1_indicators AS
SELECT
    type,
    value,
    live_until_us IS NOT NULL AND quarantined IS NULL AS active,
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
    claims,
    CASE
        WHEN quarantined IS NOT NULL THEN 'delisted'
        WHEN live_until_us IS NOT NULL THEN 'active'
        WHEN has_pending THEN 'pending'
        WHEN has_expired THEN 'expired'
        ELSE 'delisted'
    END AS status,
    CASE
        WHEN quarantined IS NOT NULL THEN quarantined
        WHEN live_until_us IS NOT NULL OR has_pending THEN NULL
        WHEN has_expired THEN 'validity'
        ELSE 'withdrawn'
    END AS reason
FROM (
    SELECT
        t.name AS type,
        o.value AS value,
        (SELECT min(q.source) FROM quarantine q WHERE q.observable = o.id) AS quarantined,
        max(CASE WHEN c.is_live THEN c.confidence END) AS live_confidence,
        max(c.confidence) AS any_confidence,
        max(c.tlp) AS tlp,
        min(f.received_at) AS first_seen,
        max(f.received_at) AS last_seen,
        min(CASE WHEN c.is_live THEN c.from_us END) AS live_from_us,
        min(c.from_us) AS any_from_us,
        max(CASE WHEN c.is_live THEN coalesce(c.until_us, 9223372036854775807) END) AS live_until_us,
        max(c.until_us) AS any_until_us,
        max(c.status = 0 AND c.from_us > c.now_us) AS has_pending,
        max(c.status = 0 AND c.until_us <= c.now_us) AS has_expired,
        count(DISTINCT c.author) AS authors,
        count(*) AS claims
    FROM observable o
    CROSS JOIN observable_type t ON t.id = o.type
    CROSS JOIN (
        SELECT
            k.observable, k.author, k.frame, k.tlp, k.confidence, k.status,
            k.modified_us + k.from_after_us AS from_us,
            k.modified_us + k.until_after_us AS until_us,
            (SELECT CAST(strftime('%s', 'now') AS INTEGER) * 1000000) AS now_us,
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
