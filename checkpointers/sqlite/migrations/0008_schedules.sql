-- Schedules, which begin runs at the instants of a cron expression; a run knows the one that began it.

CREATE TABLE holdfast_schedules (
  key BLOB PRIMARY KEY,
  name TEXT NOT NULL,
  revision TEXT NOT NULL,
  cron TEXT NOT NULL,
  zone TEXT NOT NULL,
  graph TEXT NOT NULL,
  missed TEXT NOT NULL,
  paused INTEGER NOT NULL,
  next_at INTEGER,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  last_at INTEGER,
  last_run TEXT,
  details BLOB NOT NULL
);
CREATE INDEX holdfast_schedules_next ON holdfast_schedules (next_at) WHERE paused = 0;

ALTER TABLE holdfast_runs ADD COLUMN schedule TEXT;
