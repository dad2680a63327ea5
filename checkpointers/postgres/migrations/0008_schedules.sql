-- Schedules, which begin runs at the instants of a cron expression; a run knows the one that began it.

CREATE TABLE {schema}.{prefix}schedules (
  key bytea PRIMARY KEY,
  name text NOT NULL,
  revision text NOT NULL,
  cron text NOT NULL,
  zone text NOT NULL,
  graph text NOT NULL,
  missed text NOT NULL,
  paused boolean NOT NULL,
  next_at bigint,
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL,
  last_at bigint,
  last_run text,
  details text,
  details_bytes bytea
) WITH (fillfactor = 70);
CREATE INDEX {prefix}schedules_next ON {schema}.{prefix}schedules (next_at) WHERE NOT paused;

ALTER TABLE {schema}.{prefix}runs ADD COLUMN schedule text;
