-- Events: what nodes, runs and the world outside told, the waits for them, and who starts runs by them.

CREATE TABLE holdfast_events (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  thread_key BLOB,
  run_id TEXT,
  created_at INTEGER NOT NULL,
  -- True until the waits that were open when it came have been looked at.
  pending INTEGER NOT NULL DEFAULT 1,
  data BLOB NOT NULL
);
CREATE INDEX holdfast_events_name ON holdfast_events (name, created_at, seq);
CREATE INDEX holdfast_events_age ON holdfast_events (created_at, seq);
CREATE INDEX holdfast_events_pending ON holdfast_events (seq) WHERE pending;

CREATE TABLE holdfast_event_waits (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  thread_key BLOB NOT NULL,
  checkpoint_ns BLOB NOT NULL,
  checkpoint_id BLOB NOT NULL,
  task_id BLOB NOT NULL,
  name TEXT NOT NULL,
  -- The paths that must match, and a hash of the values there.
  paths TEXT NOT NULL,
  match_hash TEXT NOT NULL,
  run_id TEXT,
  since INTEGER NOT NULL,
  -- The one that began its run.
  except_id TEXT,
  created_at INTEGER NOT NULL,
  deadline_at INTEGER,
  -- Whether events that came before it have been looked through.
  is_looked INTEGER NOT NULL DEFAULT 0,
  -- Until its node has been given the event, or was told that the time is up.
  is_open INTEGER NOT NULL DEFAULT 1,
  event_seq INTEGER,
  event_id TEXT,
  event_at INTEGER,
  event_data BLOB,
  -- Waits that began later are not given the same event.
  taken_before INTEGER
);
CREATE INDEX holdfast_event_waits_match ON holdfast_event_waits (name, paths, match_hash) WHERE is_open;
CREATE INDEX holdfast_event_waits_thread ON holdfast_event_waits (thread_key, seq);

CREATE TABLE holdfast_event_listeners (
  name TEXT PRIMARY KEY,
  event TEXT NOT NULL,
  graph TEXT NOT NULL,
  -- The last event that it has handed out.
  seq INTEGER NOT NULL,
  seen_at INTEGER NOT NULL
) WITHOUT ROWID;
