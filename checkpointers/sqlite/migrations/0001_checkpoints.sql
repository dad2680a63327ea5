-- Threads, checkpoints and what they are made of.

CREATE TABLE holdfast_threads (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  key BLOB NOT NULL UNIQUE,
  name BLOB,
  hash_key BLOB NOT NULL,
  generation INTEGER NOT NULL DEFAULT 0,
  revision INTEGER NOT NULL DEFAULT 0,
  metadata BLOB,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
);
CREATE INDEX holdfast_threads_created ON holdfast_threads (created_at);

CREATE TABLE holdfast_checkpoints (
  thread_id INTEGER NOT NULL,
  checkpoint_ns BLOB NOT NULL,
  checkpoint_id BLOB NOT NULL,
  parent_id BLOB,
  manifest TEXT NOT NULL,
  consumed TEXT,
  run_id BLOB,
  created_at INTEGER NOT NULL,
  header BLOB NOT NULL,
  PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id)
);
CREATE INDEX holdfast_checkpoints_run ON holdfast_checkpoints (run_id) WHERE run_id IS NOT NULL;

CREATE TABLE holdfast_channel_versions (
  id INTEGER PRIMARY KEY,
  thread_id INTEGER NOT NULL,
  channel BLOB NOT NULL,
  base_id INTEGER,
  data BLOB NOT NULL
);
CREATE INDEX holdfast_channel_versions_thread ON holdfast_channel_versions (thread_id);

CREATE TABLE holdfast_payloads (
  thread_id INTEGER NOT NULL,
  hash TEXT NOT NULL,
  kind INTEGER NOT NULL,
  data BLOB NOT NULL,
  PRIMARY KEY (thread_id, hash)
);

-- No foreign key: a task's writes may arrive before the checkpoint that they belong to.
CREATE TABLE holdfast_pending_writes (
  thread_id INTEGER NOT NULL,
  checkpoint_ns BLOB NOT NULL,
  checkpoint_id BLOB NOT NULL,
  task_id BLOB NOT NULL,
  idx INTEGER NOT NULL,
  branch INTEGER NOT NULL,
  channel BLOB NOT NULL,
  base_id INTEGER,
  data BLOB NOT NULL,
  PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, branch)
) WITHOUT ROWID;

CREATE TABLE holdfast_sequences (
  name TEXT PRIMARY KEY,
  next INTEGER NOT NULL
);
INSERT INTO holdfast_sequences (name, next) VALUES ('channel_versions', 1);
