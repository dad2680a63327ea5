-- What runs stream: kept for those that asked for it, and only for a while.

CREATE TABLE holdfast_run_events (
  run_seq INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  n INTEGER NOT NULL,
  event TEXT NOT NULL,
  path TEXT,
  created_at INTEGER NOT NULL,
  data BLOB NOT NULL,
  PRIMARY KEY (run_seq, attempt, n)
) WITHOUT ROWID;
