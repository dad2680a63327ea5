-- The ledger of effects: what was claimed, performed and undone, and what became of it.
-- `call` holds arguments, key and the whole of ids; the columns beside it are what rows are found by.

CREATE TABLE {schema}.{prefix}effects (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  identity bytea NOT NULL,
  generation bigint NOT NULL,
  kind text NOT NULL,
  name text NOT NULL,
  scope text NOT NULL,
  idempotency_key text NOT NULL,
  thread_key bytea,
  root_checkpoint bytea,
  task_id bytea,
  execution text NOT NULL,
  state text NOT NULL,
  version text NOT NULL,
  process text NOT NULL,
  lease_token bigint,
  expires_at bigint,
  attempts bigint NOT NULL,
  sent_at bigint,
  claimed_at bigint NOT NULL,
  updated_at bigint NOT NULL,
  undoable boolean NOT NULL,
  call text,
  call_bytes bytea,
  result text,
  result_bytes bytea,
  notes text,
  notes_bytes bytea,
  UNIQUE (identity, generation)
) WITH (fillfactor = 50);
CREATE INDEX {prefix}effects_thread ON {schema}.{prefix}effects (thread_key, seq);
CREATE INDEX {prefix}effects_task ON {schema}.{prefix}effects (thread_key, task_id) WHERE task_id IS NOT NULL;
CREATE INDEX {prefix}effects_state ON {schema}.{prefix}effects (state, seq)
  WHERE state IN ('claimed', 'unknown', 'stuck');
CREATE INDEX {prefix}effects_requests ON {schema}.{prefix}effects (expires_at) WHERE kind = 'request';

-- Branches whose keyed effects are not simply those of their thread.
CREATE TABLE {schema}.{prefix}effect_forks (
  thread_key bytea NOT NULL,
  checkpoint_id bytea NOT NULL,
  effects text NOT NULL,
  PRIMARY KEY (thread_key, checkpoint_id)
);
