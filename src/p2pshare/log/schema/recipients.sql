-- For whom our own envelopes are.

-- Direct envelopes that still wait: a row goes when it is acknowledged, or with the wire.
CREATE TABLE outbox (
    recipient INTEGER NOT NULL REFERENCES organisation (id),
    lsn INTEGER NOT NULL REFERENCES envelope (lsn),
    PRIMARY KEY (recipient, lsn)
) WITHOUT ROWID;
CREATE INDEX outbox_envelope ON outbox (lsn);

-- For whom each envelope of ours was sealed, and which of them have said that they hold it. The rows stay: they say who
-- must hear of a withdrawal, and to whom a direct envelope that was lost (a restored backup) can be handed again.
CREATE TABLE envelope_recipient (
    lsn INTEGER NOT NULL,
    recipient INTEGER NOT NULL,
    is_acknowledged INTEGER NOT NULL,
    PRIMARY KEY (lsn, recipient)
) WITHOUT ROWID;
-- Direct envelopes of one recipient are asked for when its link comes up.
CREATE INDEX envelope_recipient_by ON envelope_recipient (recipient, lsn);

-- Whom a person named for a publication of ours, as JSON: the groups among them; NULL: nobody, it was for all partners. So whoever comes
-- later may be told what is for all, or for a group that it is in, and nothing else.
CREATE TABLE publication_audience (
    publication BLOB PRIMARY KEY,
    named TEXT
) WITHOUT ROWID;
