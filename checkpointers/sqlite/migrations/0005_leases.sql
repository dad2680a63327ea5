-- Who may write to a thread.

ALTER TABLE holdfast_threads ADD COLUMN lease_owner TEXT;
ALTER TABLE holdfast_threads ADD COLUMN lease_token INTEGER NOT NULL DEFAULT 0;
ALTER TABLE holdfast_threads ADD COLUMN lease_expires_at INTEGER;
