-- Questions to people, and their answers.

CREATE TABLE {schema}.{prefix}approvals (
  id text COLLATE "C" PRIMARY KEY,
  thread_key bytea NOT NULL,
  version integer NOT NULL,
  status text NOT NULL,
  deadline_at bigint,
  created_at bigint NOT NULL,
  data text,
  data_bytes bytea
);
CREATE INDEX {prefix}approvals_status ON {schema}.{prefix}approvals (status, created_at);
CREATE INDEX {prefix}approvals_thread ON {schema}.{prefix}approvals (thread_key);
