-- What durable steps keep: shared states, attempts, what each thread is doing, and what was used.
-- An empty thread_key stands for no thread. Texts that a database could not keep as they are, and no
-- others, are JSON strings.

CREATE TABLE holdfast_breakers (
  thread_key BLOB NOT NULL,
  key BLOB NOT NULL,
  name TEXT NOT NULL,
  state TEXT NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (thread_key, key)
);
CREATE TABLE holdfast_limits (
  thread_key BLOB NOT NULL,
  key BLOB NOT NULL,
  name TEXT NOT NULL,
  state TEXT NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (thread_key, key)
);
CREATE TABLE holdfast_budgets (
  thread_key BLOB NOT NULL,
  key BLOB NOT NULL,
  name TEXT NOT NULL,
  state TEXT NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (thread_key, key)
);

-- Tasks that were tried without success so far.
CREATE TABLE holdfast_attempts (
  thread_key BLOB NOT NULL,
  checkpoint_ns BLOB NOT NULL,
  checkpoint_id BLOB NOT NULL,
  task_id BLOB NOT NULL,
  failed INTEGER NOT NULL,
  next_attempt_at INTEGER,
  data BLOB NOT NULL,
  PRIMARY KEY (thread_key, checkpoint_ns, checkpoint_id, task_id)
) WITHOUT ROWID;

-- What each thread is doing. `noted` has a bit for each column that the last note set.
CREATE TABLE holdfast_runs (
  thread_key BLOB NOT NULL PRIMARY KEY,
  thread_id TEXT NOT NULL,
  thread_name BLOB,
  run_id TEXT,
  workflow_name TEXT,
  current_step TEXT,
  attempt INTEGER,
  started_at INTEGER NOT NULL,
  last_heartbeat INTEGER NOT NULL,
  progress_percent REAL,
  progress_note BLOB,
  status TEXT NOT NULL,
  error_message BLOB,
  waited INTEGER NOT NULL,
  noted INTEGER NOT NULL
);
CREATE INDEX holdfast_runs_status ON holdfast_runs (status, last_heartbeat);

CREATE VIEW holdfast_workflow_status AS
SELECT thread_id, workflow_name, current_step,
  strftime('%Y-%m-%dT%H:%M:%fZ', started_at / 1000.0, 'unixepoch') AS started_at,
  strftime('%Y-%m-%dT%H:%M:%fZ', last_heartbeat / 1000.0, 'unixepoch') AS last_heartbeat,
  progress_percent, status,
  CASE WHEN typeof(error_message) = 'blob' THEN '(sealed)' ELSE error_message END AS error_message
FROM holdfast_runs;

CREATE TABLE holdfast_usage (
  id BLOB NOT NULL UNIQUE,
  thread_key BLOB NOT NULL,
  run_id TEXT,
  node TEXT,
  model TEXT NOT NULL,
  input_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  usd REAL,
  estimated INTEGER NOT NULL,
  failed INTEGER NOT NULL,
  at INTEGER NOT NULL
);
CREATE INDEX holdfast_usage_thread ON holdfast_usage (thread_key, at);
CREATE INDEX holdfast_usage_run ON holdfast_usage (run_id) WHERE run_id IS NOT NULL;
CREATE INDEX holdfast_usage_at ON holdfast_usage (at);
