-- What others say: vulnerabilities with what catalogues know of them, documents, and the products they speak of.
-- All of it can be read again.

-- kind: 'kev', 'epss', 'vulnrichment', 'osv', 'csaf', 'vex', 'partners'. as_of: the day the source itself names, NULL unknown.
CREATE TABLE source (
    kind TEXT PRIMARY KEY,
    path TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    as_of INTEGER,
    detail TEXT NOT NULL DEFAULT '',
    read INTEGER NOT NULL,
    kept INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    read_at INTEGER NOT NULL
) WITHOUT ROWID;

-- name: CVE-..., or the id of whoever named it where there is no CVE. Days: of KEV, of the SSVC points.
-- ssvc_exploitation: 0 none, 1 poc, 2 active. automatable: 0 no, 1 yes. technical_impact: 0 partial, 1 total. NULL: not said.
-- cvss: the highest base score, cvss_vector: its vector. organisations: distinct partners that saw it in 30 days.
CREATE TABLE vulnerability (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL DEFAULT '',
    is_in_kev INTEGER NOT NULL DEFAULT 0,
    kev_added INTEGER,
    kev_due INTEGER,
    kev_ransomware INTEGER,
    kev_action TEXT NOT NULL DEFAULT '',
    epss REAL,
    epss_percentile REAL,
    ssvc_exploitation INTEGER,
    automatable INTEGER,
    technical_impact INTEGER,
    ssvc_day INTEGER,
    cvss REAL,
    cvss_vector TEXT NOT NULL DEFAULT '',
    organisations INTEGER NOT NULL DEFAULT 0,
    partner_last_seen INTEGER
);
CREATE INDEX vulnerability_in_kev ON vulnerability (is_in_kev) WHERE is_in_kev;

-- Other names (GHSA-..., vendor ids) of a vulnerability.
CREATE TABLE vulnerability_name (
    name TEXT PRIMARY KEY,
    vulnerability INTEGER NOT NULL REFERENCES vulnerability (id)
) WITHOUT ROWID;

-- Which partner said or saw what, and when last: rows handed over from the store's views. kind: 'vulnerability', 'sighting'
-- (of it or of an indicator of it).
CREATE TABLE partner_evidence (
    vulnerability INTEGER NOT NULL REFERENCES vulnerability (id),
    organisation TEXT NOT NULL,
    kind TEXT NOT NULL,
    last_seen INTEGER NOT NULL,
    PRIMARY KEY (vulnerability, organisation, kind)
) WITHOUT ROWID;

-- One version of a document: the highest one of (publisher's namespace, tracking id) from one hand. What a partner hands on
-- under a vendor's name neither replaces what we read ourselves, nor counts as the vendor's own word. kind: 'csaf', 'osv', 'vex', 'cve'.
-- dated: the instant of its current release. partner: who sent it, '' for a file of ours.
CREATE TABLE document (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    namespace TEXT NOT NULL,
    tracking_id TEXT NOT NULL,
    tracking_version TEXT NOT NULL,
    publisher TEXT NOT NULL,
    publisher_category TEXT NOT NULL,
    title TEXT NOT NULL,
    dated INTEGER,
    sharing_group TEXT NOT NULL DEFAULT '',
    partner TEXT NOT NULL DEFAULT '',
    sha256 TEXT NOT NULL,
    read_at INTEGER NOT NULL,
    UNIQUE (kind, namespace, tracking_id, partner)
);

-- What an advisory calls a product: the other side of an alias.
CREATE TABLE their_model (
    id INTEGER PRIMARY KEY,
    vendor TEXT NOT NULL,
    product TEXT NOT NULL,
    variant TEXT NOT NULL,
    UNIQUE (vendor, product, variant)
);

-- A product that documents speak of, stored once for each distinct value (digest). versions: the statement as it is written
-- (CSAF's last leaf); ranges: JSON, as in statements.AdvisoryProduct, '' where there are none. models, skus, serials: JSON arrays of text.
-- host: the product that it is a component of.
CREATE TABLE advisory_product (
    id INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    their_model INTEGER REFERENCES their_model (id),
    name TEXT NOT NULL,
    versions TEXT NOT NULL,
    is_range INTEGER NOT NULL,
    ranges TEXT NOT NULL,
    purl TEXT NOT NULL,
    cpe TEXT NOT NULL,
    models TEXT NOT NULL,
    skus TEXT NOT NULL,
    serials TEXT NOT NULL,
    host INTEGER REFERENCES advisory_product (id)
);
CREATE INDEX advisory_product_of_their_model ON advisory_product (their_model);

CREATE TABLE product_key (
    key TEXT NOT NULL,
    product INTEGER NOT NULL REFERENCES advisory_product (id),
    PRIMARY KEY (key, product)
) WITHOUT ROWID;

-- status: 'affected', 'not_affected', 'fixed', 'under_investigation'. affects_below: this 'fixed' stands alone, so what is below
-- it is affected. link: the BOM-Link of a CycloneDX VEX, which names one component of one BOM ('' elsewhere; product is then NULL).
CREATE TABLE statement (
    id INTEGER PRIMARY KEY,
    document INTEGER NOT NULL REFERENCES document (id) ON DELETE CASCADE,
    vulnerability INTEGER NOT NULL REFERENCES vulnerability (id),
    product INTEGER REFERENCES advisory_product (id),
    link TEXT NOT NULL DEFAULT '',
    status TEXT NOT NULL,
    affects_below INTEGER NOT NULL DEFAULT 0,
    justification TEXT NOT NULL DEFAULT '',
    remedy TEXT NOT NULL DEFAULT '',
    remedy_kind TEXT NOT NULL DEFAULT ''
);
CREATE INDEX statement_by_document ON statement (document);
CREATE INDEX statement_by_product ON statement (product);
CREATE INDEX statement_by_link ON statement (link) WHERE link <> '';
