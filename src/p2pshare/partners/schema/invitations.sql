-- Invitations (docs/invitations.md, "States"): those that this node gave out, and those of others by which it joined.

-- `certificate` is the guest's, which the door pins; the secret it follows from is in no file of ours. `guest` .. `joined_at` are
-- of whoever joined, NULL before; `later` .. `later_count` of whoever came by the same line after it.
CREATE TABLE invitation (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    certificate BLOB NOT NULL UNIQUE,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    state TEXT NOT NULL,
    begun INTEGER NOT NULL,
    guest BLOB,
    card BLOB,
    words TEXT,
    address TEXT,
    joined_at INTEGER,
    later BLOB,
    later_at INTEGER NOT NULL,
    later_count INTEGER NOT NULL
);

-- One row a host. `secret` asks how it stands: used, it joins nobody any more.
CREATE TABLE joining (
    host BLOB PRIMARY KEY,
    alias TEXT NOT NULL,
    card BLOB NOT NULL,
    words TEXT NOT NULL,
    address TEXT NOT NULL,
    secret BLOB NOT NULL,
    expires INTEGER NOT NULL,
    joined_at INTEGER NOT NULL,
    here TEXT NOT NULL,
    there TEXT NOT NULL
) WITHOUT ROWID;
