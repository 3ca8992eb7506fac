-- What we publish in many parts, on its way out (log/staging.py). Its envelopes are sealed one by one, under numbers that count
-- from the release on, and wait here, where neither gossip nor a view nor a comparison sees them. Then all of them leave.

-- state: log.interface.StagingState. token: the file that holds what was prepared. base_*: our own chain when its sealing began
-- (NULL: it has not), key_id: the sign key that it is sealed with. moved, stored: how many envelopes are in the log, and how many of
-- these with their content. reason: why it was given up.
CREATE TABLE staged_publication (
    id INTEGER PRIMARY KEY,
    publication BLOB NOT NULL UNIQUE,
    token TEXT NOT NULL,
    parts INTEGER NOT NULL,
    began_at INTEGER NOT NULL,
    state INTEGER NOT NULL,
    reason TEXT NOT NULL,
    base_incarnation INTEGER,
    base_sequence INTEGER,
    base_previous BLOB,
    key_id BLOB NOT NULL,
    moved INTEGER NOT NULL,
    stored INTEGER NOT NULL
);

-- audience: partner ids, one after another. own_number: its number for ourselves. lsn: its place in the arrival log, NULL until
-- it has one; from then on the wire is NULL, for it is there. place: of its part in what was prepared, and that of the next
-- part; frames: how many of its frames are stored.
CREATE TABLE staged_envelope (
    publication INTEGER NOT NULL REFERENCES staged_publication (id),
    number INTEGER NOT NULL,
    envelope_id BLOB NOT NULL,
    place INTEGER NOT NULL,
    next_place INTEGER NOT NULL,
    frames INTEGER NOT NULL,
    awaits_first_hop INTEGER NOT NULL,
    audience BLOB NOT NULL,
    own_number INTEGER NOT NULL,
    lsn INTEGER,
    wire BLOB,
    PRIMARY KEY (publication, number)
);
CREATE INDEX staged_envelope_lsn ON staged_envelope (publication, number) WHERE lsn IS NOT NULL;

-- The last number of each recipient among what is sealed.
CREATE TABLE staged_recipient (
    publication INTEGER NOT NULL REFERENCES staged_publication (id),
    recipient INTEGER NOT NULL REFERENCES organisation (id),
    last INTEGER NOT NULL,
    PRIMARY KEY (publication, recipient)
) WITHOUT ROWID;
