-- Rows of the outbox stay until their envelope expires, marked when acknowledged: they say for whom a direct
-- envelope is, so that a recipient who lost it (a restored backup) can be handed it again.
ALTER TABLE outbox ADD COLUMN is_acknowledged INTEGER NOT NULL DEFAULT 0;
