-- What we stated as a finding of our own though another author's object says it, too (docs/store.md, "Own findings").
-- Known here only: nothing of it is signed or sent.

-- object_key, type and author: the other's object, as in the table `withdrawal`. own_key, own_type: our object.
-- noted_at: when we stated it last, unix seconds; what its author takes back afterwards is told.
CREATE TABLE own_finding (
    object_key NOT NULL,
    type INTEGER NOT NULL,
    author INTEGER NOT NULL,
    own_key NOT NULL,
    own_type INTEGER NOT NULL,
    noted_at INTEGER NOT NULL,
    PRIMARY KEY (object_key, type, author, own_key, own_type)
) WITHOUT ROWID;
