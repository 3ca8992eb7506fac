-- What a person did with a space beside writing in it (docs/store.md, "Spaces").

-- Up to which number of each author a person was shown it here: members are told.
CREATE TABLE space_shown (
    space INTEGER NOT NULL REFERENCES space (id),
    author INTEGER NOT NULL REFERENCES organisation (id),
    number INTEGER NOT NULL,
    PRIMARY KEY (space, author)
) WITHOUT ROWID;

-- Spaces that were purged here: members go on handing them over, and they are not taken in again. Rows of the others may still be on
-- their way out.
CREATE TABLE space_purged (
    space_id BLOB PRIMARY KEY,
    purged_at INTEGER NOT NULL
) WITHOUT ROWID;

-- A purge goes from the newest entry to the oldest, and each that goes is asked for who cites it.
CREATE INDEX space_parent_parent ON space_parent (parent);
