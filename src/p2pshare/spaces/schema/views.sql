-- The SIEM contract of incidents (docs/siem.md, "Incidents"): columns are only ever added, at the end. What is marked more strictly
-- than the setting siem_tlp_max is in none of them, and without that setting nothing is.
CREATE VIEW v1_incidents AS
SELECT
    lower(hex(s.space_id)) AS id,
    s.title AS title,
    json_extract(v.types, '$[0]') AS type,
    v.status AS status,
    v.determination AS determination,
    v.criticality AS criticality,
    lower(hex(l.partner_id)) AS lead,
    v.members AS members,
    v.opened AS opened,
    v.closed AS closed,
    v.late AS late,
    tlp.label AS tlp,
    l.name AS lead_name,
    v.types AS types,
    EXISTS (SELECT 1 FROM space_archived a WHERE a.space = s.id) AS archived,
    coalesce(v.changes = s.changes, 0) AS is_current
FROM space s
LEFT JOIN incident_view v ON v.space = s.id
LEFT JOIN organisation l ON l.id = v.lead
LEFT JOIN tlp_label tlp ON tlp.level = s.tlp
WHERE
    s.kind = 'incident' AND s.tlp <= (SELECT m.value FROM setting m WHERE m.name = 'siem_tlp_max')
    AND s.space_id NOT IN (SELECT p.space_id FROM space_purged p);

CREATE VIEW v1_incident_timeline AS
SELECT
    lower(hex(s.space_id)) AS incident,
    lower(hex(e.entry_id)) AS entry,
    t.kind AS kind,
    lower(hex(a.partner_id)) AS author,
    a.name AS author_name,
    coalesce(t.stated_at, t.claimed_at) AS at,
    t.claimed_at AS claimed_at,
    replace(datetime(e.received_at, 'unixepoch'), ' ', 'T') || 'Z' AS received_at,
    tlp.label AS tlp,
    t.text AS text,
    t.badges AS badges
FROM incident_timeline t
JOIN space_entry e ON e.id = t.entry
JOIN space s ON s.id = t.space
JOIN organisation a ON a.id = t.author
LEFT JOIN tlp_label tlp ON tlp.level = t.tlp
WHERE
    max(t.tlp, s.tlp) <= (SELECT m.value FROM setting m WHERE m.name = 'siem_tlp_max')
    AND s.space_id NOT IN (SELECT p.space_id FROM space_purged p);

CREATE VIEW v1_tasks AS
SELECT
    lower(hex(s.space_id)) AS incident,
    p.key AS task,
    json_extract(p.row, '$.title') AS title,
    json_extract(p.row, '$.text') AS text,
    json_extract(p.row, '$.owner') AS owner,
    json_extract(p.row, '$.claim') AS claim,
    json_extract(p.row, '$.outcome') AS outcome,
    json_extract(p.row, '$.due') AS due,
    json_extract(p.row, '$.conflict') AS conflict,
    json_extract(p.row, '$.disputed') AS disputed,
    json_extract(p.row, '$.outcome') IN ('pending', 'ongoing', 'unknown')
    AND coalesce(json_extract(p.row, '$.due') < strftime('%Y-%m-%dT%H:%M:%SZ', 'now'), 0) AS overdue
FROM incident_part p
JOIN space s ON s.id = p.space
WHERE
    p.part = 'task' AND s.tlp <= (SELECT m.value FROM setting m WHERE m.name = 'siem_tlp_max')
    AND s.space_id NOT IN (SELECT g.space_id FROM space_purged g);

CREATE VIEW v1_duties AS
SELECT
    lower(hex(s.space_id)) AS incident,
    json_extract(p.row, '$.organisation') AS organisation,
    json_extract(p.row, '$.template') AS template,
    json_extract(p.row, '$.stage') AS stage,
    json_extract(p.row, '$.duty') AS duty,
    json_extract(p.row, '$.from') AS from_event,
    json_extract(p.row, '$.from_at') AS from_at,
    json_extract(p.row, '$.due') AS due,
    CASE
        WHEN json_extract(p.row, '$.state') = 'running'
        AND json_extract(p.row, '$.due') < strftime('%Y-%m-%dT%H:%M:%SZ', 'now') THEN 'overdue'
        ELSE json_extract(p.row, '$.state')
    END AS state,
    json_extract(p.row, '$.submitted_at') AS submitted_at,
    json_extract(p.row, '$.note') AS note
FROM incident_part p
JOIN space s ON s.id = p.space
WHERE
    p.part = 'duty' AND s.tlp <= (SELECT m.value FROM setting m WHERE m.name = 'siem_tlp_max')
    AND s.space_id NOT IN (SELECT g.space_id FROM space_purged g);

CREATE VIEW v1_watch AS
SELECT
    lower(hex(s.space_id)) AS incident,
    w.value_type AS type,
    w.value AS value,
    replace(datetime(w.until, 'unixepoch'), ' ', 'T') || 'Z' AS until,
    w.until > CAST(strftime('%s', 'now') AS INTEGER) AS active
FROM incident_watch w
JOIN space s ON s.id = w.space
WHERE
    max(s.tlp, w.tlp) <= (SELECT m.value FROM setting m WHERE m.name = 'siem_tlp_max')
    AND s.space_id NOT IN (SELECT g.space_id FROM space_purged g);

-- Detection rules: those of labs that have come far enough for this node, and those that partners publish (status NULL).
CREATE VIEW v1_rules AS
SELECT
    lower(hex(r.rule)) AS rule,
    r.language AS type,
    r.title AS title,
    lower(hex(a.partner_id)) AS author,
    r.rule_author AS author_name,
    r.licence AS licence,
    lower(hex(r.digest)) AS hash,
    tlp.label AS tlp,
    r.shown AS status,
    t.text AS text,
    NULL AS envelope_id,
    lower(hex(s.space_id)) AS lab,
    r.level AS level,
    r.techniques AS attack,
    r.reviews AS reviews,
    r.runs AS runs,
    r.is_current AS is_current,
    lower(hex(r.entry)) AS entry,
    a.name AS partner_name,
    r.is_shared AS same_text
FROM (
    SELECT
        q.*,
        CASE
            WHEN q.status = 'stable' AND q.counts_from > CAST(strftime('%s', 'now') AS INTEGER) THEN 'test'
            ELSE q.status
        END AS shown
    FROM lab_rule q
) r
JOIN space s ON s.id = r.space
JOIN organisation a ON a.id = r.author
LEFT JOIN lab_text t ON t.space = r.space AND t.digest = r.digest
AND t.tlp <= (SELECT m.value FROM setting m WHERE m.name = 'siem_tlp_max')
LEFT JOIN tlp_label tlp ON tlp.level = max(r.tlp, s.tlp, coalesce(t.tlp, 0))
WHERE
    max(r.tlp, s.tlp) <= (SELECT m.value FROM setting m WHERE m.name = 'siem_tlp_max')
    AND CASE r.shown WHEN 'stable' THEN 2 WHEN 'test' THEN 1 WHEN 'experimental' THEN 0 ELSE -1 END
    >= (SELECT m.value FROM setting m WHERE m.name = 'lab_siem_status_min')
    AND (
        r.author IN (SELECT n.organisation FROM partner n)
        OR a.partner_id = (SELECT m.value FROM setting m WHERE m.name = 'own_id')
    )
    AND s.space_id NOT IN (SELECT g.space_id FROM space_purged g)
UNION ALL
SELECT
    CASE typeof(o.object_key)
        WHEN 'blob' THEN 'indicator--' || lower(
            substr(hex(o.object_key), 1, 8) || '-' || substr(hex(o.object_key), 9, 4) || '-'
            || substr(hex(o.object_key), 13, 4) || '-' || substr(hex(o.object_key), 17, 4) || '-'
            || substr(hex(o.object_key), 21)
        )
        ELSE o.object_key
    END,
    p.language,
    p.title,
    lower(hex(a.partner_id)),
    coalesce(p.rule_author, a.name),
    p.licence,
    lower(hex(p.digest)),
    tlp.label,
    NULL,
    p.text,
    lower(hex(e.envelope_id)),
    NULL,
    p.level,
    p.techniques,
    NULL,
    NULL,
    1,
    NULL,
    a.name,
    0
FROM published_rule p
JOIN object o ON o.id = p.object
JOIN organisation a ON a.id = o.author
JOIN frame f ON f.id = o.frame
JOIN envelope e ON e.lsn = f.envelope
LEFT JOIN tlp_label tlp ON tlp.level = o.tlp
WHERE o.status = 0 AND o.tlp <= (SELECT m.value FROM setting m WHERE m.name = 'siem_tlp_max');
