-- Member lists, and whom they introduced (docs/introductions.md).

-- The newest list of each introducer in a circle, ours among them, as it was signed. It stays when its introducer is removed: a number
-- never comes again. `trouble`: why a newer one was refused when it was fetched last, empty when none was; since when.
CREATE TABLE member_list (
    introducer INTEGER NOT NULL REFERENCES organisation (id),
    circle BLOB NOT NULL,
    number INTEGER NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    raw BLOB NOT NULL,
    noted_at INTEGER NOT NULL,
    trouble TEXT NOT NULL DEFAULT '',
    trouble_at INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (introducer, circle)
) WITHOUT ROWID;

-- Two lists of one number, the first such pair of each introducer and circle: evidence.
CREATE TABLE member_list_fork (
    introducer INTEGER NOT NULL REFERENCES organisation (id),
    circle BLOB NOT NULL,
    number INTEGER NOT NULL,
    first BLOB NOT NULL,
    second BLOB NOT NULL,
    noted_at INTEGER NOT NULL,
    PRIMARY KEY (introducer, circle)
) WITHOUT ROWID;

-- Whose introduction of whom a person accepted, in which circle.
CREATE TABLE introduction (
    organisation INTEGER NOT NULL REFERENCES organisation (id),
    introducer INTEGER NOT NULL REFERENCES organisation (id),
    circle BLOB NOT NULL,
    accepted_at INTEGER NOT NULL,
    PRIMARY KEY (organisation, introducer, circle)
) WITHOUT ROWID;

-- Authors in our circles who are no partners here, as what is handed over names them: nothing of it is verified. `name` is what a card
-- said of itself, empty where none came; `seen_in`: 1 envelopes, 2 cards, 4 member lists. Bounded for each partner that hands over (`via`).
CREATE TABLE stranger (
    partner_id BLOB PRIMARY KEY,
    via INTEGER NOT NULL REFERENCES organisation (id),
    circle BLOB NOT NULL,
    name TEXT NOT NULL,
    seen_in INTEGER NOT NULL,
    seen_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX stranger_via ON stranger (via, seen_at);
