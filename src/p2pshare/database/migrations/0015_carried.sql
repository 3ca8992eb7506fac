-- How much of each author is carried here in each circle: what its quota is compared with (limits.author_mib).
-- Direct envelopes are counted together, under the circle of sixteen zero bytes: the one they name says nothing.
CREATE TABLE carried (
    author INTEGER NOT NULL REFERENCES organisation (id),
    circle BLOB NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (author, circle)
) WITHOUT ROWID;
INSERT INTO carried
SELECT author, iif(mode = 1, circle, zeroblob(16)), sum(size) FROM envelope WHERE stage = 0 GROUP BY 1, 2;
INSERT INTO setting VALUES ('author_quota_bytes', 1073741824);

CREATE TRIGGER envelope_carried AFTER INSERT ON envelope WHEN new.stage = 0 BEGIN
    INSERT INTO carried VALUES (new.author, iif(new.mode = 1, new.circle, zeroblob(16)), new.size)
    ON CONFLICT (author, circle) DO UPDATE SET bytes = bytes + new.size;
END;
CREATE TRIGGER envelope_dropped AFTER UPDATE OF stage ON envelope WHEN old.stage = 0 AND new.stage > 0 BEGIN
    UPDATE carried SET bytes = bytes - old.size
    WHERE author = old.author AND circle = iif(old.mode = 1, old.circle, zeroblob(16));
END;
