-- Partners, the cards of theirs that were accepted, and what each handed over.

-- is_compared 0: introduced; until when (unix seconds) the lists hold that say so, and why none does any more ('' while one does), since when.
-- voice: the organisation with which it is one voice where organisations are counted, NULL where it counts by itself.
CREATE TABLE partner (
    organisation INTEGER PRIMARY KEY REFERENCES organisation (id),
    alias TEXT NOT NULL UNIQUE,
    card BLOB NOT NULL,
    card_version INTEGER NOT NULL,
    has_link INTEGER NOT NULL,
    circles TEXT NOT NULL,
    is_frozen INTEGER NOT NULL,
    added_at INTEGER NOT NULL,
    is_compared INTEGER NOT NULL DEFAULT 1,
    introduced_until INTEGER NOT NULL DEFAULT 0,
    suspended TEXT NOT NULL DEFAULT '',
    suspended_at INTEGER NOT NULL DEFAULT 0,
    voice INTEGER REFERENCES organisation (id)
);

CREATE TABLE last_exchange (
    organisation INTEGER PRIMARY KEY REFERENCES organisation (id),
    at INTEGER NOT NULL
);

-- The newest card file of each that ever was one; it holds every version before.
CREATE TABLE card (
    organisation INTEGER PRIMARY KEY REFERENCES organisation (id),
    version INTEGER NOT NULL,
    raw BLOB NOT NULL
);

CREATE TABLE card_fork (
    id INTEGER PRIMARY KEY,
    organisation INTEGER NOT NULL REFERENCES organisation (id),
    first BLOB NOT NULL,
    second BLOB NOT NULL,
    noted_at INTEGER NOT NULL
);

-- What each partner handed over: came_in = stored + already_held + deferred + refused (scope 'envelope').
CREATE TABLE account (
    organisation INTEGER PRIMARY KEY,
    came_in INTEGER NOT NULL DEFAULT 0,
    stored INTEGER NOT NULL DEFAULT 0,
    already_held INTEGER NOT NULL DEFAULT 0,
    deferred INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE refusal (
    organisation INTEGER NOT NULL,
    scope TEXT NOT NULL,
    reason TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (organisation, scope, reason)
) WITHOUT ROWID;
