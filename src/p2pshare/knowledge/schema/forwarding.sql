-- What is handed on to a partner of others' envelopes (docs/store.md, "Handed on"), and what partners handed on to us.

-- One row for each partner that others' envelopes are handed on to. since: none that was created before (unix seconds). place: up to
-- where (lsn) what was held when it began has been looked at; up_to: where that ends. What is read behind it is handed on where it is
-- about an object that was. began_lsn: the last lsn when it was asked for; objects: rows of forwarded_object.
CREATE TABLE forwarding (
    partner INTEGER PRIMARY KEY REFERENCES organisation (id),
    since INTEGER NOT NULL,
    place INTEGER NOT NULL,
    up_to INTEGER NOT NULL,
    began_lsn INTEGER NOT NULL,
    objects INTEGER NOT NULL
);

-- What was read since and is still to be looked at.
CREATE TABLE forwarding_due (
    partner INTEGER NOT NULL,
    envelope INTEGER NOT NULL,
    PRIMARY KEY (partner, envelope)
) WITHOUT ROWID;

-- The objects that were handed on, each the first 63 bits of a hash of author and id: two that are alike cost one envelope too many.
CREATE TABLE forwarded_object (
    partner INTEGER NOT NULL,
    object INTEGER NOT NULL,
    PRIMARY KEY (partner, object)
) WITHOUT ROWID;

-- Our envelopes in which others' are handed on, and how many each has.
CREATE TABLE forwarded_out (
    envelope INTEGER PRIMARY KEY,
    partner INTEGER NOT NULL,
    count INTEGER NOT NULL
);
CREATE INDEX forwarded_out_partner ON forwarded_out (partner, envelope);

-- Envelopes of others that were read because a partner handed them on, and which one that was.
CREATE TABLE forwarded_in (
    envelope INTEGER PRIMARY KEY,
    forwarder INTEGER NOT NULL
);
