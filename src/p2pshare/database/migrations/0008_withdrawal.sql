-- What authors took back, and who our own envelopes were for (docs/store.md, "Withdrawal").

-- One row for each object of one author: how far its withdrawals reach together, and the reason of the furthest.
-- object_key and type (object_type.id) are those of the table `object`; a claim's type is "indicator", or "" for an id
-- that is kept as text. A version is withdrawn when its envelope's (incarnation, sequence) is not above these, or its
-- modified_us not above up_to_us. Rows are never deleted: what they withdraw may still arrive.
CREATE TABLE withdrawal (
    object_key NOT NULL,
    type INTEGER NOT NULL,
    author INTEGER NOT NULL,
    incarnation INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    up_to_us INTEGER,
    reason TEXT NOT NULL,
    replaced_by TEXT,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (object_key, type, author)
) WITHOUT ROWID;

-- For whom each envelope of ours was sealed, and who has said that it holds it. Not there for envelopes that were
-- published by an earlier version of this program.
CREATE TABLE envelope_recipient (
    lsn INTEGER NOT NULL,
    recipient INTEGER NOT NULL,
    is_acknowledged INTEGER NOT NULL,
    PRIMARY KEY (lsn, recipient)
) WITHOUT ROWID;

-- Envelopes of ours that carried an object without giving it a row: the same version, sent once more, or a content too
-- many of a fork. Its recipients must hear of a withdrawal like all others.
CREATE TABLE carried_again (
    object_key NOT NULL,
    type INTEGER NOT NULL,
    lsn INTEGER NOT NULL,
    tlp INTEGER NOT NULL,
    PRIMARY KEY (object_key, type, lsn)
) WITHOUT ROWID;
