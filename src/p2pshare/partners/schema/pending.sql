-- Those who knocked and are no partners (docs/card.md, "Pending partners"): nothing here is believed. One row for each id and the
-- certificate (DER) it was claimed with; a row may be changed by the holder of that certificate's key alone.
CREATE TABLE pending_partner (
    partner_id BLOB NOT NULL,
    certificate BLOB NOT NULL,
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    address TEXT NOT NULL,
    address_group TEXT NOT NULL,
    since INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    knocks INTEGER NOT NULL,
    PRIMARY KEY (partner_id, certificate)
) WITHOUT ROWID;

-- What a person decided about an id: it is awaited, its card makes it a partner called `alias` ('' for one made from the card); or it is
-- not to be seen again. `name` is what it called itself when that was decided.
CREATE TABLE pending_decision (
    partner_id BLOB PRIMARY KEY,
    is_accepted INTEGER NOT NULL,
    alias TEXT NOT NULL,
    name TEXT NOT NULL,
    decided_at INTEGER NOT NULL
) WITHOUT ROWID;
