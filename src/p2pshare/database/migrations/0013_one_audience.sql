-- Who an envelope of ours was for, and who has said that it holds it, stands in one table. The outbox is again only what
-- still waits: a row goes when it is acknowledged (0003 had kept it, marked, before there was this table).
INSERT OR IGNORE INTO envelope_recipient SELECT lsn, recipient, is_acknowledged FROM outbox;
DELETE FROM outbox WHERE is_acknowledged = 1;
ALTER TABLE outbox DROP COLUMN is_acknowledged;
-- Direct envelopes of one recipient are asked for when its link comes up.
CREATE INDEX envelope_recipient_by ON envelope_recipient (recipient, lsn);
