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

-- Playbooks of frameworks (docs/siem.md, "Playbooks"), under the same ceiling.
CREATE VIEW v1_playbooks AS
SELECT
    json_extract(p.row, '$.playbook') AS id,
    json_extract(p.row, '$.name') AS name,
    json_extract(p.row, '$.version') AS version,
    json_extract(p.row, '$.hash') AS hash,
    json_extract(p.row, '$.approvals') AS approvals,
    json_extract(p.row, '$.quorum') AS quorum,
    json_extract(p.row, '$.adopted') AS adopted,
    json_extract(p.row, '$.forked') AS forked,
    json_extract(p.row, '$.in_force') AS in_force,
    json_extract(p.row, '$.template') AS template,
    json_extract(p.row, '$.is_held') AS is_held,
    json_extract(p.row, '$.bad_signatures') AS bad_signatures,
    json_extract(p.row, '$.owner') AS owner,
    json_extract(p.row, '$.review') AS review,
    coalesce(json_extract(p.row, '$.review') < strftime('%Y-%m-%dT%H:%M:%SZ', 'now'), 0) AS review_due,
    lower(hex(s.space_id)) AS framework,
    s.title AS framework_title,
    tlp.label AS tlp,
    coalesce(v.changes = s.changes, 0) AS is_current
FROM framework_playbook p
JOIN space s ON s.id = p.space
LEFT JOIN framework_view v ON v.space = s.id
LEFT JOIN tlp_label tlp ON tlp.level = s.tlp
WHERE
    s.tlp <= (SELECT m.value FROM setting m WHERE m.name = 'siem_tlp_max')
    AND s.space_id NOT IN (SELECT g.space_id FROM space_purged g);
