-- The ledger of effects: what was claimed, performed and undone, and what became of it.
-- `call` holds arguments, key and the whole of ids; the columns beside it are what rows are found by.

CREATE TABLE holdfast_effects (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  identity BLOB NOT NULL,
  generation INTEGER NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  scope TEXT NOT NULL,
  idempotency_key TEXT NOT NULL,
  thread_key BLOB,
  root_checkpoint BLOB,
  task_id BLOB,
  execution TEXT NOT NULL,
  state TEXT NOT NULL,
  version TEXT NOT NULL,
  process TEXT NOT NULL,
  lease_token INTEGER,
  expires_at INTEGER,
  attempts INTEGER NOT NULL,
  sent_at INTEGER,
  claimed_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  undoable INTEGER NOT NULL,
  call BLOB NOT NULL,
  result BLOB,
  notes BLOB,
  UNIQUE (identity, generation)
);
CREATE INDEX holdfast_effects_thread ON holdfast_effects (thread_key, seq);
CREATE INDEX holdfast_effects_task ON holdfast_effects (thread_key, task_id) WHERE task_id IS NOT NULL;
CREATE INDEX holdfast_effects_state ON holdfast_effects (state, seq)
  WHERE state IN ('claimed', 'unknown', 'stuck');
CREATE INDEX holdfast_effects_requests ON holdfast_effects (expires_at) WHERE kind = 'request';

-- Branches whose keyed effects are not simply those of their thread.
CREATE TABLE holdfast_effect_forks (
  thread_key BLOB NOT NULL,
  checkpoint_id BLOB NOT NULL,
  effects TEXT NOT NULL,
  PRIMARY KEY (thread_key, checkpoint_id)
) WITHOUT ROWID;
