-- A claim that its author has withdrawn in favour of another object is replaced (docs/siem.md, "Status").

-- What replaces it may be said after the withdrawal itself, when no claim changes any more.
CREATE TRIGGER withdrawal_added AFTER INSERT ON withdrawal BEGIN
    INSERT OR IGNORE INTO unsettled
    SELECT c.observable FROM claim c WHERE c.object_key = new.object_key AND c.author = new.author AND c.status < 2;
END;
CREATE TRIGGER withdrawal_changed AFTER UPDATE ON withdrawal BEGIN
    INSERT OR IGNORE INTO unsettled
    SELECT c.observable FROM claim c WHERE c.object_key = new.object_key AND c.author = new.author AND c.status < 2;
END;

DROP VIEW v1_claims;
CREATE VIEW v1_claims AS
SELECT
    type, value, author, author_name, object_id, tlp, confidence, labels, valid_from, valid_until, revoked, envelope_id,
    received_at,
    CASE
        WHEN quarantined IS NOT NULL THEN 'delisted'
        WHEN revoked AND is_replaced THEN 'replaced'
        WHEN revoked THEN 'delisted'
        WHEN until_us <= now_us THEN 'expired'
        WHEN from_us > now_us THEN 'pending'
        WHEN max(sealed_us, from_us, sighted_us) + ages_us <= now_us THEN 'expired'
        ELSE 'active'
    END AS status,
    CASE
        WHEN quarantined IS NOT NULL THEN quarantined
        WHEN revoked AND is_replaced THEN 'replaced'
        WHEN revoked THEN 'withdrawn'
        WHEN until_us <= now_us THEN 'validity'
        WHEN from_us > now_us THEN NULL
        WHEN max(sealed_us, from_us, sighted_us) + ages_us <= now_us THEN 'decay'
    END AS reason,
    pap
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
        EXISTS (
            SELECT 1 FROM withdrawal w JOIN object_type y ON y.id = w.type
            WHERE w.object_key = c.object_key AND w.author = c.author AND y.name IN ('indicator', '')
            AND w.replaced_by IS NOT NULL
        ) AS is_replaced,
        lower(hex(e.envelope_id)) AS envelope_id,
        replace(datetime(f.received_at, 'unixepoch'), ' ', 'T') || 'Z' AS received_at,
        c.modified_us + c.from_after_us AS from_us,
        c.modified_us + c.until_after_us AS until_us,
        e.created * 1000000 AS sealed_us,
        coalesce(s.sighted_at, 0) * 1000000 AS sighted_us,
        t.ages_seconds * 1000000 AS ages_us,
        (SELECT n.value * 1000000 FROM setting n WHERE n.name = 'settled_at') AS now_us,
        (SELECT min(q.source) FROM quarantine q WHERE q.observable = o.id) AS quarantined,
        CASE c.pap
            WHEN 0 THEN 'PAP:CLEAR' WHEN 1 THEN 'PAP:GREEN' WHEN 2 THEN 'PAP:AMBER' WHEN 3 THEN 'PAP:RED'
        END AS pap
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
