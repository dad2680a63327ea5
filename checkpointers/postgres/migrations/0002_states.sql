-- What durable steps keep: shared states, attempts, what each thread is doing, and what was used.
-- An empty thread_key stands for no thread. Texts that a database could not keep as they are, and no
-- others, are JSON strings. Where a custom serde is used, the bytes columns hold what it made.

CREATE TABLE {schema}.{prefix}breakers (
  thread_key bytea NOT NULL,
  key bytea NOT NULL,
  name text NOT NULL,
  state text NOT NULL,
  updated_at bigint NOT NULL,
  PRIMARY KEY (thread_key, key)
) WITH (fillfactor = 50);
CREATE TABLE {schema}.{prefix}limits (
  thread_key bytea NOT NULL,
  key bytea NOT NULL,
  name text NOT NULL,
  state text NOT NULL,
  updated_at bigint NOT NULL,
  PRIMARY KEY (thread_key, key)
) WITH (fillfactor = 50);
CREATE TABLE {schema}.{prefix}budgets (
  thread_key bytea NOT NULL,
  key bytea NOT NULL,
  name text NOT NULL,
  state text NOT NULL,
  updated_at bigint NOT NULL,
  PRIMARY KEY (thread_key, key)
) WITH (fillfactor = 50);

-- Tasks that were tried without success so far.
CREATE TABLE {schema}.{prefix}attempts (
  thread_key bytea NOT NULL,
  checkpoint_ns bytea NOT NULL,
  checkpoint_id bytea NOT NULL,
  task_id bytea NOT NULL,
  failed integer NOT NULL,
  next_attempt_at bigint,
  data text,
  data_bytes bytea,
  PRIMARY KEY (thread_key, checkpoint_ns, checkpoint_id, task_id)
);

-- What each thread is doing. `noted` has a bit for each column that the last note set.
CREATE TABLE {schema}.{prefix}runs (
  thread_key bytea PRIMARY KEY,
  thread_id text NOT NULL,
  thread_name bytea,
  run_id text,
  workflow_name text,
  current_step text,
  attempt integer,
  started_at bigint NOT NULL,
  last_heartbeat bigint NOT NULL,
  progress_percent double precision,
  progress_note text,
  progress_note_bytes bytea,
  status text NOT NULL,
  error_message text,
  error_message_bytes bytea,
  waited bigint NOT NULL,
  noted integer NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX {prefix}runs_status ON {schema}.{prefix}runs (status, last_heartbeat);

CREATE VIEW {schema}.{prefix}workflow_status AS
SELECT thread_id, workflow_name, current_step,
  to_timestamp(started_at / 1000.0) AS started_at,
  to_timestamp(last_heartbeat / 1000.0) AS last_heartbeat,
  progress_percent, status,
  CASE WHEN error_message_bytes IS NULL THEN error_message ELSE '(sealed)' END AS error_message
FROM {schema}.{prefix}runs;

CREATE TABLE {schema}.{prefix}usage (
  id bytea PRIMARY KEY,
  thread_key bytea NOT NULL,
  run_id text,
  node text,
  model text NOT NULL,
  input_tokens bigint NOT NULL,
  output_tokens bigint NOT NULL,
  usd double precision,
  estimated boolean NOT NULL,
  failed boolean NOT NULL,
  at bigint NOT NULL
);
CREATE INDEX {prefix}usage_thread ON {schema}.{prefix}usage (thread_key, at);
CREATE INDEX {prefix}usage_run ON {schema}.{prefix}usage USING hash (run_id);
CREATE INDEX {prefix}usage_at ON {schema}.{prefix}usage (at);
