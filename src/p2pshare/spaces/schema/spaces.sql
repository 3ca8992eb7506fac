-- Spaces (docs/store.md, "Spaces"). What is in `space_entry` was verified and taken in; what is in `space_waiting` was not.

-- realm: zeros in the store, and what is an exercise's never gets in; in the file of an exercise its own in place of them. changes: counts what was stored since the opening.
-- introduced_by: who handed the opening over, ourselves where we opened it.
CREATE TABLE space (
    id INTEGER PRIMARY KEY,
    realm BLOB NOT NULL CHECK (realm = zeroblob(16)),
    space_id BLOB NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    title TEXT NOT NULL,
    tlp INTEGER NOT NULL,
    opener INTEGER NOT NULL REFERENCES organisation (id),
    introduced_by INTEGER NOT NULL REFERENCES organisation (id),
    noted_at INTEGER NOT NULL,
    changes INTEGER NOT NULL
);
CREATE INDEX space_opener ON space (opener);

-- id: in the order of storing, so parents come before children. body: with its random bytes; NULL where it is not held.
-- header: what was signed; its canonical encoding has the realm in bytes 5 to 20, so an entry of another ground cannot be stored.
CREATE TABLE space_entry (
    id INTEGER PRIMARY KEY,
    space INTEGER NOT NULL REFERENCES space (id),
    entry_id BLOB NOT NULL UNIQUE,
    header BLOB NOT NULL CHECK (substr(header, 5, 16) = zeroblob(16)),
    body BLOB,
    signatures BLOB NOT NULL,
    received_at INTEGER NOT NULL
);
CREATE INDEX space_entry_space ON space_entry (space, id);

-- What cites what. An entry whose parents are not all here is not stored.
CREATE TABLE space_parent (
    entry INTEGER NOT NULL REFERENCES space_entry (id),
    parent INTEGER NOT NULL REFERENCES space_entry (id),
    PRIMARY KEY (entry, parent)
) WITHOUT ROWID;

-- UNTRUSTED where the reason is 'card': nobody has verified it, so its author is no organisation of ours. names_us: it is an
-- invitation of ours by a partner, whose signatures held. The space may be one that is not held.
CREATE TABLE space_waiting (
    id INTEGER PRIMARY KEY,
    space_id BLOB NOT NULL,
    entry_id BLOB NOT NULL,
    author BLOB NOT NULL,
    depth INTEGER NOT NULL,
    reason TEXT NOT NULL CHECK (reason IN ('card', 'parents')),
    names_us INTEGER NOT NULL,
    handed_by INTEGER NOT NULL REFERENCES organisation (id),
    bytes INTEGER NOT NULL,
    wire BLOB NOT NULL,
    received_at INTEGER NOT NULL,
    UNIQUE (entry_id, reason, handed_by)
);
CREATE INDEX space_waiting_space ON space_waiting (space_id, reason);
CREATE INDEX space_waiting_handed_by ON space_waiting (handed_by, bytes);
CREATE INDEX space_waiting_author ON space_waiting (author, reason);

-- Cards of members that are no partners: they say which keys sign entries, and nothing else. The file has every version.
CREATE TABLE introduced_card (
    organisation INTEGER PRIMARY KEY REFERENCES organisation (id),
    version INTEGER NOT NULL,
    raw BLOB NOT NULL,
    introduced_by INTEGER NOT NULL REFERENCES organisation (id),
    noted_at INTEGER NOT NULL
);

-- The canonical output of a space as it was after so many changes: until there is another, nobody has to fold.
CREATE TABLE space_state (
    space INTEGER PRIMARY KEY REFERENCES space (id),
    changes INTEGER NOT NULL,
    canonical BLOB NOT NULL
);

-- What each member showed last that it holds, and what was handed to it: a canonical array of [author, number], the greatest of each.
-- Of ourselves: what we told last. heads is NULL where none came yet; they are believed no more than that they came.
CREATE TABLE space_heads (
    space INTEGER NOT NULL REFERENCES space (id),
    member INTEGER NOT NULL REFERENCES organisation (id),
    heads BLOB,
    noted_at INTEGER NOT NULL,
    handed BLOB NOT NULL,
    PRIMARY KEY (space, member)
) WITHOUT ROWID;

-- Up to which number of each author a person was shown it here: members are told.
CREATE TABLE space_shown (
    space INTEGER NOT NULL REFERENCES space (id),
    author INTEGER NOT NULL REFERENCES organisation (id),
    number INTEGER NOT NULL,
    PRIMARY KEY (space, author)
) WITHOUT ROWID;

-- Entries whose body on the disk was not the one that was signed, when it was read: it was dropped, and another copy may come.
CREATE TABLE space_damaged (
    entry INTEGER PRIMARY KEY REFERENCES space_entry (id)
);
-- Entries of ours that state a STIX object, until it is withdrawn: when the entry is redacted its text is gone.
CREATE TABLE space_stated (
    entry_id BLOB PRIMARY KEY,
    space INTEGER NOT NULL REFERENCES space (id),
    object_id TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX space_stated_space ON space_stated (space);

-- What was seen again of an entry's value after the close and does not tell of itself: it alerts here alone. The value is in the entry.
CREATE TABLE space_seen_again (
    entry_id BLOB PRIMARY KEY,
    space INTEGER NOT NULL REFERENCES space (id),
    how TEXT NOT NULL,
    seen_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX space_seen_again_space ON space_seen_again (space);

-- Spaces that were purged here: members go on handing them over, and they are not taken in again. Rows of the others may still be on
-- their way out.
CREATE TABLE space_purged (
    space_id BLOB PRIMARY KEY,
    purged_at INTEGER NOT NULL
) WITHOUT ROWID;

-- Exercises that a real event has stopped, in the store: the alarm that a person is shown says no more of them than this.
CREATE TABLE exercise_stopped (
    exercise BLOB PRIMARY KEY,
    since INTEGER NOT NULL
) WITHOUT ROWID;

-- A purge goes from the newest entry to the oldest, and each that goes is asked for who cites it.
CREATE INDEX space_parent_parent ON space_parent (parent);
