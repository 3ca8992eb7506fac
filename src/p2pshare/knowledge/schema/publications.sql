-- Which envelopes are one publication, as their authors say inside them: known once the content was read. `number` of `parts`.
CREATE TABLE publication_part (
    envelope INTEGER PRIMARY KEY REFERENCES envelope (lsn),
    author INTEGER NOT NULL REFERENCES organisation (id),
    publication BLOB NOT NULL,
    number INTEGER NOT NULL,
    parts INTEGER NOT NULL
);
CREATE INDEX publication_part_by ON publication_part (publication, author, number);

-- A part is noted when its envelope was read: where others' are handed on (forwarding.sql) it is looked at for that, unless it was handed
-- on to us, for we have no row in it.
CREATE TRIGGER forwarding_read AFTER INSERT ON publication_part WHEN EXISTS (SELECT 1 FROM forwarding) BEGIN
    INSERT OR IGNORE INTO forwarding_due
    SELECT f.partner, new.envelope FROM forwarding f JOIN envelope e ON e.lsn = new.envelope
    WHERE e.mode = 1 AND e.stage = 0 AND e.received_from IS NOT NULL AND e.author != f.partner
    AND NOT EXISTS (SELECT 1 FROM forwarded_in i WHERE i.envelope = e.lsn);
END;
