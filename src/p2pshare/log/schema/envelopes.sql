-- The arrival log: envelopes as they were received, how much of them is carried, and what waits for its time.

-- last_lsn: the highest lsn ever given. author_quota_bytes: what one author may fill in one circle (limits.author_mib).
INSERT INTO setting VALUES ('last_lsn', 0), ('author_quota_bytes', 1073741824);

-- One row an envelope; `lsn` is its place in the arrival log and is never used again (setting last_lsn).
-- stage: 0 carried, 1 expired (wire dropped, key still listed for an hour), 2 content only, 3 content only of one that a partner
-- handed on and that never came by gossip: it counts as not seen.
-- content: what became of its content here (log.interface.ContentState); 0 is unread.
-- key_id: the sign key of its author. is_out: 1 where its author does not stand for it any more (docs/card.md, "Revocation"),
-- 2 while that is being applied to its content; it is neither compared, nor handed on, nor counted.
-- cost: what it takes of us, in bytes (policy.content_cost): its size, and more once its content is read.
CREATE TABLE envelope (
    lsn INTEGER PRIMARY KEY,
    envelope_id BLOB NOT NULL UNIQUE,
    author INTEGER NOT NULL REFERENCES organisation (id),
    incarnation INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    previous BLOB NOT NULL,
    circle BLOB NOT NULL,
    mode INTEGER NOT NULL,
    created INTEGER NOT NULL,
    ttl_class INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    size INTEGER NOT NULL,
    received_from INTEGER REFERENCES organisation (id),
    received_at INTEGER NOT NULL,
    content INTEGER NOT NULL,
    awaits_first_hop INTEGER NOT NULL,
    stage INTEGER NOT NULL DEFAULT 0,
    cost INTEGER NOT NULL,
    key_id BLOB NOT NULL,
    is_out INTEGER NOT NULL DEFAULT 0
);
-- What reconciliation compares: the shard's keys in order. Direct envelopes (mode 0) are in no shard.
CREATE INDEX envelope_key ON envelope (circle, ttl_class, created, envelope_id)
WHERE mode = 1 AND stage < 2 AND is_out = 0;
CREATE INDEX envelope_chain ON envelope (author, incarnation, sequence);
-- What follows an envelope in its author's chain: two that do are a fork of it (chain_fork).
CREATE INDEX envelope_previous ON envelope (author, previous);
CREATE INDEX envelope_expires ON envelope (expires) WHERE stage < 2;
CREATE INDEX envelope_first_hop ON envelope (lsn) WHERE awaits_first_hop = 1;
-- The reader's queue: authors take turns, small envelopes first.
CREATE INDEX envelope_unread ON envelope (author, size, lsn) WHERE content = 0 AND is_out = 0;
-- Evidence of what a thief did: bounded an author.
CREATE INDEX envelope_out ON envelope (author, lsn) WHERE is_out = 1 AND stage = 0;
-- What waits until its author takes less room.
CREATE INDEX envelope_no_room ON envelope (author) WHERE content = 4;

-- How often reading an unread envelope was tried, and the place from which it goes on (opaque; NULL: from its beginning).
-- Only envelopes of which reading began have a row.
CREATE TABLE reading (
    lsn INTEGER PRIMARY KEY REFERENCES envelope (lsn),
    attempts INTEGER NOT NULL,
    place BLOB
);

CREATE TABLE wire (
    lsn INTEGER PRIMARY KEY REFERENCES envelope (lsn),
    bytes BLOB NOT NULL
);

-- How much of each author is carried here in each circle: what its quota is compared with (limits.author_mib). `bytes` on
-- the wire decide whether another envelope is taken in, which must not depend on whether we can read it; `cost` decides whether
-- it is read. Direct envelopes are counted together, under the circle of sixteen zero bytes: the one they name says nothing.
CREATE TABLE carried (
    author INTEGER NOT NULL REFERENCES organisation (id),
    circle BLOB NOT NULL,
    bytes INTEGER NOT NULL,
    cost INTEGER NOT NULL,
    PRIMARY KEY (author, circle)
) WITHOUT ROWID;

CREATE TRIGGER envelope_carried AFTER INSERT ON envelope WHEN new.stage = 0 BEGIN
    INSERT INTO carried VALUES (new.author, iif(new.mode = 1, new.circle, zeroblob(16)), new.size, new.cost)
    ON CONFLICT (author, circle) DO UPDATE SET bytes = bytes + new.size, cost = cost + new.cost;
END;
CREATE TRIGGER envelope_read AFTER UPDATE OF cost ON envelope WHEN new.stage = 0 AND new.is_out = 0 AND old.cost != new.cost BEGIN
    UPDATE carried SET cost = cost + new.cost - old.cost
    WHERE author = new.author AND circle = iif(new.mode = 1, new.circle, zeroblob(16));
END;
CREATE TRIGGER envelope_dropped AFTER UPDATE OF stage ON envelope WHEN old.stage = 0 AND new.stage > 0 AND new.is_out = 0 BEGIN
    UPDATE carried SET bytes = bytes - old.size, cost = cost - old.cost
    WHERE author = old.author AND circle = iif(old.mode = 1, old.circle, zeroblob(16));
END;

CREATE TRIGGER envelope_came_after AFTER UPDATE OF stage ON envelope WHEN old.stage = 3 AND new.stage = 0 BEGIN
    INSERT INTO carried VALUES (new.author, iif(new.mode = 1, new.circle, zeroblob(16)), new.size, new.cost)
    ON CONFLICT (author, circle) DO UPDATE SET bytes = bytes + new.size, cost = cost + new.cost;
END;

CREATE TRIGGER envelope_went_out AFTER UPDATE OF is_out ON envelope
WHEN new.stage = 0 AND (old.is_out = 0) != (new.is_out = 0) BEGIN
    UPDATE carried SET
        bytes = bytes + iif(new.is_out = 0, new.size, -new.size), cost = cost + iif(new.is_out = 0, new.cost, -new.cost)
    WHERE author = new.author AND circle = iif(new.mode = 1, new.circle, zeroblob(16));
END;

-- Envelopes of the near future; how often taking them in was tried, since they are due.
CREATE TABLE deferred (
    envelope_id BLOB PRIMARY KEY,
    received_from INTEGER REFERENCES organisation (id),
    created INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    wire BLOB NOT NULL
);
