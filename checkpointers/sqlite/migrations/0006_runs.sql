-- Accepted runs: what waits for a worker, works, or has ended. What a thread is doing, which is one row
-- for each thread, gets a name of its own.

DROP VIEW holdfast_workflow_status;
DROP INDEX holdfast_runs_status;
ALTER TABLE holdfast_runs RENAME TO holdfast_thread_status;
CREATE INDEX holdfast_thread_status_status ON holdfast_thread_status (status, last_heartbeat);

CREATE VIEW holdfast_workflow_status AS
SELECT thread_id, workflow_name, current_step,
  strftime('%Y-%m-%dT%H:%M:%fZ', started_at / 1000.0, 'unixepoch') AS started_at,
  strftime('%Y-%m-%dT%H:%M:%fZ', last_heartbeat / 1000.0, 'unixepoch') AS last_heartbeat,
  progress_percent, status,
  CASE WHEN typeof(error_message) = 'blob' THEN '(sealed)' ELSE error_message END AS error_message
FROM holdfast_thread_status;

CREATE TABLE holdfast_runs (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  run_id TEXT NOT NULL UNIQUE,
  thread_key BLOB NOT NULL,
  graph TEXT NOT NULL,
  status TEXT NOT NULL,
  priority INTEGER NOT NULL,
  start_at INTEGER,
  deadline_at INTEGER,
  enqueued_at INTEGER NOT NULL,
  started_at INTEGER,
  ended_at INTEGER,
  attempt INTEGER NOT NULL,
  crashes INTEGER NOT NULL,
  stop TEXT,
  reason TEXT,
  trace_context TEXT,
  details BLOB NOT NULL,
  outcome BLOB
);
CREATE INDEX holdfast_runs_thread ON holdfast_runs (thread_key, seq);
CREATE INDEX holdfast_runs_due ON holdfast_runs (status, start_at);
CREATE UNIQUE INDEX holdfast_runs_one_writer ON holdfast_runs (thread_key)
  WHERE status IN ('running', 'compensating');
