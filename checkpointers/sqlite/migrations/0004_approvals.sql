-- Questions to people, and their answers.

CREATE TABLE holdfast_approvals (
  id TEXT PRIMARY KEY,
  thread_key BLOB NOT NULL,
  version INTEGER NOT NULL,
  status TEXT NOT NULL,
  deadline_at INTEGER,
  created_at INTEGER NOT NULL,
  data BLOB NOT NULL
);
CREATE INDEX holdfast_approvals_status ON holdfast_approvals (status, created_at);
CREATE INDEX holdfast_approvals_thread ON holdfast_approvals (thread_key);
