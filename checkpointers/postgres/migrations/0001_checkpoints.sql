-- Threads, checkpoints and what they are made of. Runs with the schema as the search path.
-- Where a value may be text or bytes (of a custom serde), one of two columns holds it.

CREATE TABLE threads (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  key bytea NOT NULL UNIQUE,
  name text,
  name_bytes bytea,
  hash_key bytea NOT NULL,
  generation bigint NOT NULL DEFAULT 0,
  revision bigint NOT NULL DEFAULT 0,
  metadata text,
  metadata_bytes bytea,
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX threads_created ON threads (created_at);

CREATE TABLE checkpoints (
  thread_id bigint NOT NULL,
  checkpoint_ns bytea NOT NULL,
  checkpoint_id bytea NOT NULL,
  parent_id bytea,
  manifest text NOT NULL,
  consumed text,
  run_id bytea,
  created_at bigint NOT NULL,
  header text,
  header_bytes bytea,
  PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id)
);
CREATE INDEX checkpoints_run ON checkpoints (run_id) WHERE run_id IS NOT NULL;

CREATE SEQUENCE channel_version_ids;
CREATE TABLE channel_versions (
  id bigint PRIMARY KEY,
  thread_id bigint NOT NULL,
  channel bytea NOT NULL,
  base_id bigint,
  data text,
  data_bytes bytea
);
CREATE INDEX channel_versions_thread ON channel_versions (thread_id);

CREATE TABLE payloads (
  thread_id bigint NOT NULL,
  hash text COLLATE "C" NOT NULL,
  kind smallint NOT NULL,
  data text,
  data_bytes bytea,
  PRIMARY KEY (thread_id, hash)
);

-- No foreign key: a task's writes may arrive before the checkpoint that they belong to.
CREATE TABLE pending_writes (
  thread_id bigint NOT NULL,
  checkpoint_ns bytea NOT NULL,
  checkpoint_id bytea NOT NULL,
  task_id bytea NOT NULL,
  idx integer NOT NULL,
  branch bigint NOT NULL,
  channel bytea NOT NULL,
  base_id bigint,
  data text,
  data_bytes bytea,
  PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, branch)
);
