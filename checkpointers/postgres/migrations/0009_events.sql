-- Events: what nodes, runs and the world outside told, the waits for them, and who starts runs by them.
-- A transaction may commit after one that began later, so readers with a cursor go by (xid, seq), below
-- all that are still under way.

CREATE TABLE {schema}.{prefix}events (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
  id text COLLATE "C" NOT NULL UNIQUE,
  name text COLLATE "C" NOT NULL,
  thread_key bytea,
  run_id text COLLATE "C",
  created_at bigint NOT NULL,
  -- True until the waits that were open when it came have been looked at.
  pending boolean NOT NULL DEFAULT true,
  data text,
  data_bytes bytea
);
CREATE INDEX {prefix}events_name ON {schema}.{prefix}events (name, created_at, seq);
CREATE INDEX {prefix}events_age ON {schema}.{prefix}events (created_at, seq);
CREATE INDEX {prefix}events_order ON {schema}.{prefix}events (name, xid, seq);
CREATE INDEX {prefix}events_pending ON {schema}.{prefix}events (seq) WHERE pending;

CREATE TABLE {schema}.{prefix}event_waits (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id text COLLATE "C" NOT NULL UNIQUE,
  thread_key bytea NOT NULL,
  checkpoint_ns bytea NOT NULL,
  checkpoint_id bytea NOT NULL,
  task_id bytea NOT NULL,
  name text COLLATE "C" NOT NULL,
  -- The paths that must match, and a hash of the values there.
  paths text COLLATE "C" NOT NULL,
  match_hash text COLLATE "C" NOT NULL,
  run_id text COLLATE "C",
  since bigint NOT NULL,
  -- The one that began its run.
  except_id text,
  created_at bigint NOT NULL,
  deadline_at bigint,
  -- Whether events that came before it have been looked through.
  is_looked boolean NOT NULL DEFAULT false,
  -- Until its node has been given the event, or was told that the time is up.
  is_open boolean NOT NULL DEFAULT true,
  event_seq bigint,
  event_id text,
  event_at bigint,
  event_data text,
  event_data_bytes bytea,
  -- Waits that began later are not given the same event.
  taken_before bigint
);
CREATE INDEX {prefix}event_waits_match ON {schema}.{prefix}event_waits (name, paths, match_hash) WHERE is_open;
CREATE INDEX {prefix}event_waits_thread ON {schema}.{prefix}event_waits (thread_key, seq);

CREATE TABLE {schema}.{prefix}event_listeners (
  name text COLLATE "C" PRIMARY KEY,
  event text COLLATE "C" NOT NULL,
  graph text NOT NULL,
  -- The last event that it has handed out.
  xid xid8 NOT NULL,
  seq bigint NOT NULL,
  seen_at bigint NOT NULL
);
