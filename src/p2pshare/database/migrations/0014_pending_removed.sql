-- As in 0005, and a removal always says why: what was active and is still to begin again has been moved by its author.
DROP VIEW v1_changes;
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
    CASE s.status WHEN 1 THEN 'pending' ELSE s.reason END AS reason,
    replace(datetime(s.at, 'unixepoch'), ' ', 'T') || 'Z' AS at
FROM standing s
JOIN observable o ON o.id = s.observable
JOIN observable_type t ON t.id = o.type
WHERE s.seq IS NOT NULL AND coalesce(s.tlp, 0) <= (SELECT m.value FROM setting m WHERE m.name = 'siem_tlp_max');
