-- Numbers that prove something: where our own chain stands, and what the numbers of other authors say.

-- Our own chain: one row.
CREATE TABLE own_chain (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    incarnation INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    previous BLOB NOT NULL
);
INSERT INTO own_chain VALUES (1, 0, 0, zeroblob(32));

-- The last number used inside the wraps for each recipient, and the incarnation of ours in which it was.
CREATE TABLE recipient_sequence (
    recipient INTEGER PRIMARY KEY REFERENCES organisation (id),
    incarnation INTEGER NOT NULL,
    last INTEGER NOT NULL
);

-- The highest number that an author is known to have used for us in each of its incarnations, and the ranges below it that
-- never came, with the time since when each is known to be missing.
CREATE TABLE sequence_seen (
    author INTEGER NOT NULL REFERENCES organisation (id),
    incarnation INTEGER NOT NULL,
    highest INTEGER NOT NULL,
    PRIMARY KEY (author, incarnation)
) WITHOUT ROWID;
CREATE TABLE sequence_gap (
    author INTEGER NOT NULL REFERENCES organisation (id),
    incarnation INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    noted_at INTEGER NOT NULL,
    PRIMARY KEY (author, incarnation, first)
) WITHOUT ROWID;

CREATE TABLE sequence_fork (
    author INTEGER NOT NULL REFERENCES organisation (id),
    incarnation INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    first BLOB NOT NULL,
    second BLOB NOT NULL,
    noted_at INTEGER NOT NULL,
    PRIMARY KEY (author, incarnation, sequence, second)
) WITHOUT ROWID;

-- Two envelopes of an author, in two incarnations, that follow the same one: what a restored backup leaves, and a home that was
-- copied and started twice. The newest of each author.
CREATE TABLE chain_fork (
    id INTEGER PRIMARY KEY,
    author INTEGER NOT NULL REFERENCES organisation (id),
    first BLOB NOT NULL,
    second BLOB NOT NULL,
    UNIQUE (author, first, second)
);
