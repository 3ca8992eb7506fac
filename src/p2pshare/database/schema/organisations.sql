-- Each organisation that wrote or handed over something, or is a partner: a small integer, to which every room refers; never
-- deleted. `name` is the last alias we gave it.
CREATE TABLE organisation (
    id INTEGER PRIMARY KEY,
    partner_id BLOB NOT NULL UNIQUE,
    name TEXT
);
