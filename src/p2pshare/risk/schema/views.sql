-- Nothing here is stored: a new EPSS day, an exposure or a sighting rewrites no finding.

-- One row for each place and vulnerability, with the numbers of all inputs (matching.sql says what they mean).
-- A hit of one place alone stands in for the hit of its component everywhere.
CREATE VIEW exposed AS
SELECT
    hit.component, hit.asset_component AS scope, hit.vulnerability, hit.state, hit.match, hit.disagree,
    place.id AS asset_component, place.bom_ref, asset.id AS asset,
    max(hit.first_seen, place.added_at) AS first_seen,
    asset.exposure, asset.human_impact,
    CASE
        WHEN vulnerability.is_in_kev THEN 2
        WHEN rule.partners_mean_active AND vulnerability.organisations >= rule.partners_mean_active THEN 2
        WHEN vulnerability.ssvc_exploitation IS NOT NULL THEN vulnerability.ssvc_exploitation
        WHEN rule.kev_is_checked THEN rule.kev_absence
        ELSE 3
    END AS exploitation,
    CASE WHEN vulnerability.is_in_kev THEN 1 WHEN rule.kev_is_checked THEN 0 ELSE 2 END AS kev,
    CASE asset.exposure WHEN 2 THEN 1 WHEN 3 THEN 2 ELSE 0 END AS exposed,
    coalesce(vulnerability.automatable, 2) AS automatable,
    coalesce(vulnerability.technical_impact, 2) AS technical_impact,
    vulnerability.organisations, vulnerability.epss, vulnerability.cvss
FROM hit
CROSS JOIN rule
CROSS JOIN vulnerability ON vulnerability.id = hit.vulnerability
CROSS JOIN asset_component AS place ON place.component = hit.component
CROSS JOIN asset ON asset.id = place.asset
WHERE asset.retired_at IS NULL
AND (
    hit.asset_component = place.id
    OR (
        hit.asset_component = 0
        AND (hit.is_refined = 0 OR NOT EXISTS (
            SELECT 1 FROM hit AS own WHERE own.asset_component = place.id AND own.asset_component > 0
            AND own.vulnerability = hit.vulnerability
        ))
    )
);

CREATE VIEW finding_by_deployer AS
SELECT decision_row.worst, decision_row.best, decision_row.matters, exposed.*
FROM exposed CROSS JOIN decision_row
ON decision_row.id = ((exposed.exploitation * 4 + exposed.exposure) * 3 + exposed.automatable) * 5 + exposed.human_impact;

CREATE VIEW finding_by_bod AS
SELECT decision_row.worst, decision_row.best, decision_row.matters, exposed.*
FROM exposed CROSS JOIN decision_row
ON decision_row.id = 1000 + ((exposed.kev * 3 + exposed.exposed) * 3 + exposed.automatable) * 3 + exposed.technical_impact;

-- Both tables; ask for one by `deciding`.
CREATE VIEW finding AS
SELECT 'ssvc-deployer' AS deciding, * FROM finding_by_deployer
UNION ALL
SELECT 'cisa-bod-26-04' AS deciding, * FROM finding_by_bod;

-- What the own SIEM reads: published as a contract (docs/risk.md). Names of decisions and days in ISO 8601.
CREATE VIEW v1_exposure AS
SELECT
    vulnerability.name AS vulnerability,
    asset.name AS asset,
    component.vendor, component.product, component.version, component.purl, component.cpe,
    finding.deciding AS decision_table,
    outcome.name AS outcome,
    best.name AS best_outcome,
    CASE finding.state WHEN 5 THEN 'affected' ELSE 'possible' END AS state,
    date(finding.first_seen, 'unixepoch') AS first_seen,
    date(finding.first_seen + outcome.days * 86400, 'unixepoch') AS due,
    CASE WHEN outcome.is_own_rule THEN 'own rule' ELSE 'table' END AS due_by,
    vulnerability.is_in_kev,
    vulnerability.organisations AS partners,
    date(vulnerability.partner_last_seen, 'unixepoch') AS partner_last_seen,
    vulnerability.epss, vulnerability.cvss,
    CASE finding.exploitation
        WHEN 0 THEN 'no exploitation known' WHEN 1 THEN 'a public proof of concept' WHEN 4 THEN 'not listed in KEV'
        WHEN 2 THEN CASE WHEN vulnerability.is_in_kev THEN 'exploited (KEV)' ELSE 'exploited' END ELSE 'exploitation unknown'
    END
    || ', exposure ' || CASE finding.exposure WHEN 0 THEN 'small' WHEN 1 THEN 'controlled' WHEN 2 THEN 'open' ELSE 'unknown' END
    || ', automatable ' || CASE finding.automatable WHEN 0 THEN 'no' WHEN 1 THEN 'yes' ELSE 'unknown' END
    || ', human impact ' || CASE finding.human_impact
        WHEN 0 THEN 'low' WHEN 1 THEN 'medium' WHEN 2 THEN 'high' WHEN 3 THEN 'very high' ELSE 'unknown'
    END
    || CASE WHEN vulnerability.organisations THEN ', seen by ' || vulnerability.organisations || ' partners in 30 days' ELSE '' END
    AS reason,
    (
        SELECT group_concat(told.organisation) FROM (
            SELECT DISTINCT e.organisation AS organisation FROM partner_evidence AS e
            WHERE e.vulnerability = vulnerability.id ORDER BY e.organisation
        ) AS told
    ) AS told_by,
    asset.site, asset.owner
FROM finding
JOIN vulnerability ON vulnerability.id = finding.vulnerability
JOIN asset ON asset.id = finding.asset
JOIN component ON component.id = finding.component
JOIN outcome ON outcome.deciding = finding.deciding AND outcome.number = finding.worst
JOIN outcome AS best ON best.deciding = finding.deciding AND best.number = finding.best
WHERE finding.state >= 4 AND finding.match > 0;
