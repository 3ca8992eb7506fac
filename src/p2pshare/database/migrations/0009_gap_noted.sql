-- Since when a number of an author is known to be missing; 0 for gaps that an earlier version noted.
ALTER TABLE sequence_gap ADD COLUMN noted_at INTEGER NOT NULL DEFAULT 0;
