-- What authors took back, and which of our envelopes repeated an object (docs/store.md, "Withdrawal"). For whom our
-- envelopes were is the log's (recipients.sql there).

-- One row for each object of one author: how far its withdrawals reach together, and the reason of the furthest.
-- object_key and type (object_type.id) are those of the table `object`; a claim's type is "indicator", or "" for an id
-- that is kept as text. A version is withdrawn when its envelope's (incarnation, sequence) is not above these, or its
-- modified_us not above up_to_us. Rows stay as long as anything
-- that says so is in effect: what they withdraw may still arrive.
-- What is in effect of the rows of withdrawal_said: put together anew where one of them goes out of effect.
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

-- What each envelope says of it: one row for each (object, envelope). is_out: 1 where its author does not stand for the
-- envelope any more (out_of_effect).
CREATE TABLE withdrawal_said (
    object_key NOT NULL,
    type INTEGER NOT NULL,
    author INTEGER NOT NULL,
    lsn INTEGER NOT NULL,
    incarnation INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    up_to_us INTEGER,
    reason TEXT NOT NULL,
    replaced_by TEXT,
    received_at INTEGER NOT NULL,
    is_out INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (object_key, type, author, lsn)
) WITHOUT ROWID;

-- A claim that its author has withdrawn in favour of another object is replaced (docs/siem.md, "Status"). What replaces
-- it may be said after the withdrawal itself, when no claim changes any more.
CREATE TRIGGER withdrawal_added AFTER INSERT ON withdrawal BEGIN
    INSERT INTO dirty
    SELECT DISTINCT c.observable FROM claim c
    WHERE c.object_key = new.object_key AND c.author = new.author AND c.status < 2
    AND NOT EXISTS (SELECT 1 FROM dirty u WHERE u.observable = c.observable);
END;
CREATE TRIGGER withdrawal_changed AFTER UPDATE ON withdrawal
WHEN (old.replaced_by IS NULL) != (new.replaced_by IS NULL) BEGIN
    INSERT INTO dirty
    SELECT DISTINCT c.observable FROM claim c
    WHERE c.object_key = new.object_key AND c.author = new.author AND c.status < 2
    AND NOT EXISTS (SELECT 1 FROM dirty u WHERE u.observable = c.observable);
END;

-- Envelopes of ours that carried an object without giving it a row: the same version, sent once more, or a content too
-- many of a fork. Its recipients must hear of a withdrawal like all others.
CREATE TABLE carried_again (
    object_key NOT NULL,
    type INTEGER NOT NULL,
    lsn INTEGER NOT NULL,
    tlp INTEGER NOT NULL,
    PRIMARY KEY (object_key, type, lsn)
) WITHOUT ROWID;
