-- The SIEM contract (docs/siem.md): columns are only ever added, at the end. Without the setting siem_tlp_max nothing is
-- shown (fail closed); TLP:RED is there only when it is 4.
--
-- No part of the schema's number: each opening for writing makes the views anew where they differ from this file, and drops
-- any other view. Readers take those that are there.
--
-- Everything says what was evaluated last, not what the clock of the asker says. Labels of markings are joined with LEFT
-- JOIN, so that a query which asks for none does not look them up.

-- One row an observable that at least one claim which may be shown is about: its effective state.
CREATE VIEW v1_indicators AS
SELECT
    t.name AS type,
    o.value AS value,
    s.status = 0 AS active,
    s.confidence AS confidence,
    tlp.label AS tlp,
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
    pap.label AS pap,
    s.sources AS sources
FROM observable o
JOIN effective_state s ON s.observable = o.id
JOIN observable_type t ON t.id = o.type
LEFT JOIN tlp_label tlp ON tlp.level = s.tlp
LEFT JOIN pap_label pap ON pap.level = s.pap
WHERE s.status < 5 AND s.tlp <= (SELECT m.value FROM setting m WHERE m.name = 'siem_tlp_max');

-- Claims that count and may be shown.
CREATE VIEW v1_claims AS
SELECT
    type, value, author, author_name, object_id, tlp, confidence, labels, valid_from, valid_until, revoked, envelope_id,
    received_at,
    CASE
        WHEN quarantined IS NOT NULL THEN 'delisted'
        WHEN revoked AND is_replaced THEN 'replaced'
        WHEN revoked OR is_fallen THEN 'delisted'
        WHEN until_us <= now_us THEN 'expired'
        WHEN from_us > now_us THEN 'pending'
        WHEN max(sealed_us, from_us, sighted_us) + ages_us <= now_us THEN 'expired'
        ELSE 'active'
    END AS status,
    CASE
        WHEN quarantined IS NOT NULL THEN quarantined
        WHEN revoked AND is_replaced THEN 'replaced'
        WHEN revoked THEN 'withdrawn'
        WHEN is_fallen THEN 'origin-withdrawn'
        WHEN until_us <= now_us THEN 'validity'
        WHEN from_us > now_us THEN NULL
        WHEN max(sealed_us, from_us, sighted_us) + ages_us <= now_us THEN 'decay'
    END AS reason,
    pap, source, derived_from, public_source, possible_echo, publication
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
        tlp.label AS tlp,
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
        (SELECT n.value * 1000000 FROM setting n WHERE n.name = 'evaluated_at') AS now_us,
        (SELECT min(q.source) FROM quarantine q WHERE q.observable = o.id) AS quarantined,
        pap.label AS pap,
        c.is_fallen AS is_fallen,
        lower(hex(coalesce(z.partner_id, a.partner_id))) AS source,
        d.derived_from AS derived_from,
        d.public_source AS public_source,
        EXISTS (
            SELECT 1 FROM claim b WHERE b.object_key = c.object_key AND b.author != c.author AND b.status < 2
            AND b.observable = c.observable AND b.is_aside = 0
            AND b.tlp <= (SELECT s.value FROM setting s WHERE s.name = 'siem_tlp_max')
        ) AS possible_echo,
        CASE WHEN g.publication IS NOT NULL THEN lower(hex(g.publication)) END AS publication
    FROM claim c
    JOIN observable o ON o.id = c.observable
    JOIN observable_type t ON t.id = o.type
    JOIN organisation a ON a.id = c.author
    JOIN frame f ON f.id = c.frame
    JOIN envelope e ON e.lsn = f.envelope
    LEFT JOIN effective_state s ON s.observable = c.observable
    LEFT JOIN label_set l ON l.id = c.label_set
    LEFT JOIN organisation z ON z.id = c.source
    LEFT JOIN derivation d ON d.id = c.derivation
    LEFT JOIN tlp_label tlp ON tlp.level = c.tlp
    LEFT JOIN pap_label pap ON pap.level = c.pap
    LEFT JOIN publication_part g ON g.envelope = f.envelope
    WHERE c.status < 2 AND c.is_aside = 0 AND c.tlp <= (SELECT s.value FROM setting s WHERE s.name = 'siem_tlp_max')
);

-- The change feed as a whole: another feed_id is another feed, to be read from 0.
CREATE VIEW v1_feed AS
SELECT
    (SELECT lower(hex(s.value)) FROM setting s WHERE s.name = 'feed_id') AS feed_id,
    (SELECT s.value FROM setting s WHERE s.name = 'last_change') AS last_seq,
    (SELECT s.value FROM setting s WHERE s.name = 'complete_from') AS complete_from,
    (SELECT replace(datetime(s.value, 'unixepoch'), ' ', 'T') || 'Z' FROM setting s WHERE s.name = 'evaluated_at') AS settled_at,
    (SELECT l.label FROM setting s JOIN tlp_label l ON l.level = s.value WHERE s.name = 'siem_tlp_max') AS tlp_max;

-- The change feed: the newest change of each observable that ever was active. A row without marking is one that is gone.
-- A removal always says why: what was active and is still to begin again has been moved by its author.
CREATE VIEW v1_changes AS
SELECT
    s.seq AS seq,
    CASE s.op WHEN 1 THEN 'add' WHEN 2 THEN 'update' ELSE 'remove' END AS op,
    t.name AS type,
    o.value AS value,
    s.score AS score,
    s.confidence AS confidence,
    tlp.label AS tlp,
    pap.label AS pap,
    replace(datetime(s.valid_from, 'unixepoch'), ' ', 'T') || 'Z' AS valid_from,
    replace(datetime(s.valid_until, 'unixepoch'), ' ', 'T') || 'Z' AS valid_until,
    s.authors AS authors,
    CASE s.status WHEN 1 THEN 'pending' ELSE s.reason END AS reason,
    replace(datetime(s.at, 'unixepoch'), ' ', 'T') || 'Z' AS at,
    s.sources AS sources
FROM effective_state s
JOIN observable o ON o.id = s.observable
JOIN observable_type t ON t.id = o.type
LEFT JOIN tlp_label tlp ON tlp.level = s.tlp
LEFT JOIN pap_label pap ON pap.level = s.pap
WHERE s.seq IS NOT NULL AND coalesce(s.tlp, 0) <= (SELECT m.value FROM setting m WHERE m.name = 'siem_tlp_max');

-- One row for each observable and each organisation that said something about it.
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
JOIN effective_state s ON s.observable = o.id
JOIN observable_type t ON t.id = o.type
JOIN organisation a ON a.id = g.reporter
WHERE s.status < 5 AND max(s.tlp, g.tlp) <= (SELECT m.value FROM setting m WHERE m.name = 'siem_tlp_max');
