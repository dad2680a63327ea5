-- Threads, checkpoints and what they are made of.
-- {schema} and {prefix} stand for where the tables are, and what their names begin with.
-- Where a value may be text or bytes (of a custom serde), one of two columns holds it.

CREATE TABLE {schema}.{prefix}threads (
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
CREATE INDEX {prefix}threads_created ON {schema}.{prefix}threads (created_at);

CREATE TABLE {schema}.{prefix}checkpoints (
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
CREATE INDEX {prefix}checkpoints_run ON {schema}.{prefix}checkpoints (run_id) WHERE run_id IS NOT NULL;

CREATE SEQUENCE {schema}.{prefix}channel_version_ids;
CREATE TABLE {schema}.{prefix}channel_versions (
  id bigint PRIMARY KEY,
  thread_id bigint NOT NULL,
  channel bytea NOT NULL,
  base_id bigint,
  data text,
  data_bytes bytea
);
CREATE INDEX {prefix}channel_versions_thread ON {schema}.{prefix}channel_versions (thread_id);

CREATE TABLE {schema}.{prefix}payloads (
  thread_id bigint NOT NULL,
  hash text COLLATE "C" NOT NULL,
  kind smallint NOT NULL,
  data text,
  data_bytes bytea,
  PRIMARY KEY (thread_id, hash)
);

-- No foreign key: a task's writes may arrive before the checkpoint that they belong to.
CREATE TABLE {schema}.{prefix}pending_writes (
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
