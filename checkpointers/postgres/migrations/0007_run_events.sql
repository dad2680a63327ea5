-- What runs stream: kept for those that asked for it, and only for a while.

CREATE TABLE {schema}.{prefix}run_events (
  run_seq bigint NOT NULL,
  attempt integer NOT NULL,
  n integer NOT NULL,
  event text NOT NULL,
  path text,
  created_at bigint NOT NULL,
  data text,
  data_bytes bytea,
  PRIMARY KEY (run_seq, attempt, n)
);
