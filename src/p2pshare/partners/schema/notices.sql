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

-- Revocations on the newest cards (of partners, and ours): since when each is known here, and how far what is held under the
-- key has been looked at. place: the lsn behind which that goes on, -1 once it has ended; frame, position: where in the next
-- envelope. is_late: whether it was looked at again after the day in which pages may come.
CREATE TABLE revocation (
    author INTEGER NOT NULL REFERENCES organisation (id),
    key_id BLOB NOT NULL,
    since INTEGER NOT NULL,
    root BLOB NOT NULL,
    noted_at INTEGER NOT NULL,
    is_late INTEGER NOT NULL DEFAULT 0,
    place INTEGER NOT NULL DEFAULT 0,
    frame INTEGER NOT NULL DEFAULT 0,
    position INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (author, key_id)
) WITHOUT ROWID;
