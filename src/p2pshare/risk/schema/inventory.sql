-- What is ours: assets, what runs on them, and where that was read. Nothing of it leaves; the file has mode 0600.
-- Instants are seconds since 1970 (UTC), days are days since 1970. '' is "not said" in text columns.

-- name: as the person calls it, unique. kind: STIX asset-type-ov or ''. exposure: 0 small, 1 controlled, 2 open, 3 unknown.
-- human_impact: 0 low, 1 medium, 2 high, 3 very high, 4 unknown. safety: 0 negligible, 1 marginal, 2 critical,
-- 3 catastrophic, NULL unknown. mission: 0 degraded, 1 crippled, 2 essential function fails, 3 mission fails, NULL unknown.
-- data_classes, controls: JSON arrays of text. retired_at: NULL while in use.
CREATE TABLE asset (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    model TEXT NOT NULL DEFAULT '',
    hardware_revision TEXT NOT NULL DEFAULT '',
    serial TEXT NOT NULL DEFAULT '',
    kind TEXT NOT NULL DEFAULT '',
    site TEXT NOT NULL DEFAULT '',
    owner TEXT NOT NULL DEFAULT '',
    exposure INTEGER NOT NULL DEFAULT 3 CHECK (exposure BETWEEN 0 AND 3),
    human_impact INTEGER NOT NULL DEFAULT 4 CHECK (human_impact BETWEEN 0 AND 4),
    safety INTEGER CHECK (safety BETWEEN 0 AND 3),
    mission INTEGER CHECK (mission BETWEEN 0 AND 3),
    data_classes TEXT NOT NULL DEFAULT '[]',
    controls TEXT NOT NULL DEFAULT '[]',
    added_at INTEGER NOT NULL,
    retired_at INTEGER
);

-- A model of ours, as a person reads it: one side of an alias.
-- is_compared: the name matcher has held it against all products of advisories.
CREATE TABLE own_model (
    id INTEGER PRIMARY KEY,
    vendor TEXT NOT NULL,
    product TEXT NOT NULL,
    model TEXT NOT NULL,
    is_compared INTEGER NOT NULL DEFAULT 0,
    UNIQUE (vendor, product, model)
);

-- Stored once for each distinct value. model: the order or catalogue number. own_model: NULL where neither a product nor a model is named.
CREATE TABLE component (
    id INTEGER PRIMARY KEY,
    purl TEXT NOT NULL,
    cpe TEXT NOT NULL,
    vendor TEXT NOT NULL,
    product TEXT NOT NULL,
    model TEXT NOT NULL,
    version TEXT NOT NULL,
    own_model INTEGER REFERENCES own_model (id),
    UNIQUE (purl, cpe, vendor, product, model, version)
);
CREATE INDEX component_of_own_model ON component (own_model);

-- By what a component can be found: risk/match_keys.py says how keys are written.
CREATE TABLE component_key (
    key TEXT NOT NULL,
    component INTEGER NOT NULL REFERENCES component (id) ON DELETE CASCADE,
    PRIMARY KEY (key, component)
) WITHOUT ROWID;
CREATE INDEX component_key_of_component ON component_key (component);

-- A file that was imported. serial_number and version: of the BOM, for BOM-Link. asset: the one that the whole file is
-- about, NULL for a list of assets. imports: how often it was imported. name: the file's name without its folder; a file of this name replaces it.
CREATE TABLE inventory_file (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    sha256 TEXT NOT NULL,
    format TEXT NOT NULL,
    serial_number TEXT NOT NULL DEFAULT '',
    version INTEGER,
    asset INTEGER REFERENCES asset (id),
    imports INTEGER NOT NULL DEFAULT 1,
    imported_at INTEGER NOT NULL
);
CREATE INDEX inventory_file_by_serial ON inventory_file (serial_number) WHERE serial_number <> '';

-- bom_ref: the component's name in that BOM, '' outside one. seen: the import (of its file) that named it last.
CREATE TABLE asset_component (
    id INTEGER PRIMARY KEY,
    asset INTEGER NOT NULL REFERENCES asset (id) ON DELETE CASCADE,
    component INTEGER NOT NULL REFERENCES component (id),
    file INTEGER NOT NULL REFERENCES inventory_file (id),
    bom_ref TEXT NOT NULL,
    added_at INTEGER NOT NULL,
    seen INTEGER NOT NULL DEFAULT 0,
    UNIQUE (asset, component, file, bom_ref)
);
-- All that ranking reads of a place, so that two million findings are ranked without a look at the table.
CREATE INDEX asset_component_by_component ON asset_component (component, asset, added_at);
CREATE INDEX asset_component_by_file ON asset_component (file, bom_ref);
CREATE INDEX component_by_product ON component (product COLLATE NOCASE) WHERE product <> '';
