-- What objects say that they stem from, and what falls with it (docs/store.md, "Derivation").

-- One row for each version of an object that says so. type and object_key are those of `withdrawal`. `claims`: how many the
-- version has. derived_from: the origins as the views show them, a JSON array; NULL where there is a public source alone.
-- fell_us: when the latest of its origins was withdrawn, by its author's clock; NULL: they stand.
CREATE TABLE derivation (
    id INTEGER PRIMARY KEY,
    object_key NOT NULL,
    type INTEGER NOT NULL,
    author INTEGER NOT NULL,
    claims INTEGER NOT NULL,
    derived_from TEXT,
    public_source TEXT,
    fell_us INTEGER
);
CREATE INDEX derivation_object ON derivation (object_key, author);

-- One row for each origin that such a version names: at most eight. An origin need not be held, nor its author be known here.
CREATE TABLE derived_from (
    origin_key NOT NULL,
    origin_type INTEGER NOT NULL,
    origin_author BLOB NOT NULL,
    derivation INTEGER NOT NULL,
    PRIMARY KEY (origin_key, origin_type, origin_author, derivation)
) WITHOUT ROWID;
CREATE INDEX derived_from_derivation ON derived_from (derivation);

-- Origins that changed, and from which more stems than one transaction may look at: each is gone through a step at a time
-- (`knowledge/walks.py`), those behind `after` are still to come. The lowest turn is next.
CREATE TABLE origin_walk (
    turn INTEGER PRIMARY KEY,
    origin_key NOT NULL,
    origin_type INTEGER NOT NULL,
    origin_author BLOB NOT NULL,
    after INTEGER NOT NULL,
    UNIQUE (origin_key, origin_type, origin_author)
);
