-- Accepted runs: what waits for a worker, works, or has ended. What a thread is doing, which is one row
-- for each thread, gets a name of its own; the view follows it.

ALTER TABLE {schema}.{prefix}runs RENAME TO {prefix}thread_status;
ALTER INDEX {schema}.{prefix}runs_pkey RENAME TO {prefix}thread_status_pkey;
ALTER INDEX {schema}.{prefix}runs_status RENAME TO {prefix}thread_status_status;

CREATE TABLE {schema}.{prefix}runs (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  run_id text COLLATE "C" NOT NULL UNIQUE,
  thread_key bytea NOT NULL,
  graph text NOT NULL,
  status text NOT NULL,
  priority integer NOT NULL,
  start_at bigint,
  deadline_at bigint,
  enqueued_at bigint NOT NULL,
  started_at bigint,
  ended_at bigint,
  attempt integer NOT NULL,
  crashes integer NOT NULL,
  stop text,
  reason text,
  trace_context text,
  details text,
  details_bytes bytea,
  outcome text,
  outcome_bytes bytea
) WITH (fillfactor = 70);
CREATE INDEX {prefix}runs_thread ON {schema}.{prefix}runs (thread_key, seq);
CREATE INDEX {prefix}runs_due ON {schema}.{prefix}runs (status, start_at);
CREATE UNIQUE INDEX {prefix}runs_one_writer ON {schema}.{prefix}runs (thread_key)
  WHERE status IN ('running', 'compensating');
