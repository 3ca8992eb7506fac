-- Which envelopes are one publication, as their authors say inside them: known once the content was read. `number` of `parts`.
CREATE TABLE publication_part (
    envelope INTEGER PRIMARY KEY REFERENCES envelope (lsn),
    author INTEGER NOT NULL REFERENCES organisation (id),
    publication BLOB NOT NULL,
    number INTEGER NOT NULL,
    parts INTEGER NOT NULL
);
CREATE INDEX publication_part_by ON publication_part (publication, author, number);
