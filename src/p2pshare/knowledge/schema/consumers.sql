-- Who follows the change feed under a name, and how far each has been told (docs/siem.md, "Consumers").
CREATE TABLE consumer (
    name TEXT PRIMARY KEY,
    feed_id BLOB NOT NULL,
    seq INTEGER NOT NULL,
    added_at INTEGER NOT NULL,
    moved_at INTEGER
) WITHOUT ROWID;

-- complete_from: the seq from which on nothing is missing in the feed.
INSERT INTO setting VALUES ('complete_from', 0);
