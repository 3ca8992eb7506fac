-- The prefix lengths that occur among networks, of each family (docs/store.md, "Networks"): looking up an address asks
-- for the networks around it by value, one for each length here. Lengths only come: observables are never deleted.
CREATE TABLE network_length (
    type INTEGER NOT NULL,
    length INTEGER NOT NULL,
    PRIMARY KEY (type, length)
) WITHOUT ROWID;

INSERT INTO network_length
SELECT DISTINCT type, CAST(substr(value, instr(value, '/') + 1) AS INTEGER) FROM observable
WHERE type IN (SELECT id FROM observable_type WHERE name IN ('ipv4-net', 'ipv6-net'));
