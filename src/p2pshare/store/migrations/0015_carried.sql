-- How much of each author is carried here in each circle: what its quota is compared with (limits.author_mib).
CREATE TABLE carried (
    author INTEGER NOT NULL REFERENCES organisation (id),
    circle BLOB NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (author, circle)
) WITHOUT ROWID;
INSERT INTO carried SELECT author, circle, sum(size) FROM envelope WHERE stage = 0 GROUP BY author, circle;
INSERT INTO setting VALUES ('author_quota_bytes', 1073741824);

CREATE TRIGGER envelope_carried AFTER INSERT ON envelope WHEN new.stage = 0 BEGIN
    INSERT INTO carried VALUES (new.author, new.circle, new.size)
    ON CONFLICT (author, circle) DO UPDATE SET bytes = bytes + new.size;
END;
CREATE TRIGGER envelope_dropped AFTER UPDATE OF stage ON envelope WHEN old.stage = 0 AND new.stage > 0 BEGIN
    UPDATE carried SET bytes = bytes - old.size WHERE author = old.author AND circle = old.circle;
END;
