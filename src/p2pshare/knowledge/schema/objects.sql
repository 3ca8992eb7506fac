-- What envelopes said: frames, objects, and one claim for each observable of an indicator. A frame refers to its envelope
-- in the log; nothing in the log refers here.
--
-- The two tables that take a row for each indicator have no foreign keys: their parents are written in the same
-- transaction by the same code and never deleted, and the check costs a look-up a row.

-- zstd frames of STIX objects as they were sealed; an object is found by (frame, position). received_at is the
-- envelope's, here so that the views need not look there for each claim.
CREATE TABLE frame (
    id INTEGER PRIMARY KEY,
    envelope INTEGER NOT NULL REFERENCES envelope (lsn),
    received_at INTEGER NOT NULL,
    bytes BLOB NOT NULL
);
CREATE INDEX frame_envelope ON frame (envelope);

-- One row a canonical value: the dedup key.
CREATE TABLE observable (
    id INTEGER PRIMARY KEY,
    type INTEGER NOT NULL,
    value TEXT NOT NULL
);
CREATE UNIQUE INDEX observable_value ON observable (value, type);

-- The prefix lengths that occur among networks, of each family (docs/store.md, "Networks"): looking up an address asks
-- for the networks around it by value, one for each length here. Lengths only come: observables are never deleted.
CREATE TABLE network_length (
    type INTEGER NOT NULL,
    length INTEGER NOT NULL,
    PRIMARY KEY (type, length)
) WITHOUT ROWID;

-- One author's statement about one observable, from one version of one indicator object.
-- object_key: the 16 bytes of "indicator--UUID", else the id as text.
-- status: 0 current, 1 current and revoked by its author, 2 superseded by a later version, 3 out of effect: its author does
-- not stand for the envelope any more.
-- from_after_us and until_after_us count from modified_us: most claims begin when they are written, and SQLite
-- keeps a 0 in no bytes and half a year in six, where an instant takes eight.
-- pap: what may be done with it (docs/intelligence.md, "Markings"), 0 CLEAR to 3 RED; NULL: none is stated.
-- is_aside: 1 where its author says more about the observable than counts here (docs/store.md, "Claims that stand aside").
-- derivation: what its object says that it stems from (derivations.sql), NULL where it says nothing. is_fallen: 1 while an
-- origin of it is withdrawn and it is not affirmed since. source: the author as whose statement it counts, NULL: its own.
CREATE TABLE claim (
    id INTEGER PRIMARY KEY,
    observable INTEGER NOT NULL,
    author INTEGER NOT NULL,
    object_key BLOB NOT NULL,
    frame INTEGER NOT NULL,
    position INTEGER NOT NULL,
    status INTEGER NOT NULL,
    tlp INTEGER NOT NULL,
    confidence INTEGER,
    label_set INTEGER,
    modified_us INTEGER NOT NULL,
    from_after_us INTEGER NOT NULL,
    until_after_us INTEGER,
    pap INTEGER,
    is_aside INTEGER NOT NULL DEFAULT 0,
    derivation INTEGER,
    is_fallen INTEGER NOT NULL DEFAULT 0,
    source INTEGER
);
-- Claims that count, and no others: however often a value was said, asking for it costs what counts.
CREATE INDEX claim_observable ON claim (observable) WHERE status < 2 AND is_aside = 0;
-- Those that may come back: the newest, and the strictest, of one author about one observable.
CREATE INDEX claim_aside ON claim (observable, author, modified_us)
    WHERE status = 0 AND is_aside = 1 AND is_fallen = 0;
CREATE INDEX claim_aside_tlp ON claim (observable, author, tlp)
    WHERE status = 0 AND is_aside = 1 AND is_fallen = 0;
CREATE INDEX claim_aside_pap ON claim (observable, author, pap)
    WHERE status = 0 AND is_aside = 1 AND is_fallen = 0;
-- Two partial indexes, so that an object with very many versions costs no more to replace than one with two.
CREATE INDEX claim_current ON claim (object_key, author) WHERE status < 2;
CREATE INDEX claim_superseded ON claim (object_key, author, modified_us) WHERE status = 2;
CREATE INDEX claim_out ON claim (object_key, author) WHERE status = 3;

-- Whatever changes what a claim says marks its observable (effective_states.sql, "dirty").
CREATE TRIGGER claim_changed AFTER UPDATE OF status, tlp, pap, is_fallen ON claim
WHEN NOT EXISTS (SELECT 1 FROM dirty u WHERE u.observable = new.observable) BEGIN
    INSERT INTO dirty VALUES (new.observable);
END;

-- Objects that name many values: a few bytes about one of them touch as many rows. `claims`: the most that a version had;
-- `modified_us`: of the newest of those.
CREATE TABLE wide_object (
    object_key BLOB NOT NULL,
    author INTEGER NOT NULL,
    claims INTEGER NOT NULL,
    modified_us INTEGER NOT NULL,
    PRIMARY KEY (object_key, author)
) WITHOUT ROWID;

-- Versions of objects that give no claims: everything that is not an indicator, and opaque patterns.
-- object_key: the 16 bytes of "TYPE--UUID" where TYPE is the object's type, else the id as text.
CREATE TABLE object (
    id INTEGER PRIMARY KEY,
    type INTEGER NOT NULL,
    author INTEGER NOT NULL,
    object_key BLOB NOT NULL,
    frame INTEGER NOT NULL,
    position INTEGER NOT NULL,
    status INTEGER NOT NULL,
    tlp INTEGER NOT NULL,
    modified_us INTEGER,
    derivation INTEGER
);
CREATE INDEX object_current ON object (object_key, author) WHERE status < 2;
CREATE INDEX object_superseded ON object (object_key, author, modified_us) WHERE status = 2;
CREATE INDEX object_out ON object (object_key, author) WHERE status = 3;

CREATE TABLE object_fork (
    author INTEGER NOT NULL REFERENCES organisation (id),
    object_id TEXT NOT NULL,
    modified_us INTEGER NOT NULL,
    first_frame INTEGER NOT NULL,
    second_frame INTEGER NOT NULL,
    times INTEGER NOT NULL,
    noted_at INTEGER NOT NULL,
    PRIMARY KEY (author, object_id, modified_us)
) WITHOUT ROWID;
