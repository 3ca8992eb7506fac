-- Cards and vouch pages as they go round circles, beside the envelopes (docs/gossip.md, "Notices").

-- One row a notice, as it is handed on; `lsn` is its place in the arrival log. The rest is of a vouch page, NULL of a card:
-- the revoked key, the root that the author's newest card must have, and how many pages there are for this circle.
CREATE TABLE notice (
    lsn INTEGER PRIMARY KEY,
    notice_id BLOB NOT NULL UNIQUE,
    author INTEGER NOT NULL REFERENCES organisation (id),
    circle BLOB NOT NULL,
    created INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    key_id BLOB,
    root BLOB,
    pages INTEGER
);
-- One card of each author in a circle: the newest.
CREATE UNIQUE INDEX notice_card ON notice (author, circle) WHERE key_id IS NULL;
-- What reconciliation compares.
CREATE INDEX notice_key ON notice (circle, created, notice_id);

-- The envelopes that the pages held here list; `page` is the notice's lsn.
CREATE TABLE vouched (
    author INTEGER NOT NULL REFERENCES organisation (id),
    key_id BLOB NOT NULL,
    envelope_id BLOB NOT NULL,
    page INTEGER NOT NULL REFERENCES notice (lsn),
    PRIMARY KEY (author, key_id, envelope_id, page)
) WITHOUT ROWID;
CREATE INDEX vouched_page ON vouched (page);
