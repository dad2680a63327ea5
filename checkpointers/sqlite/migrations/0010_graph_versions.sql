-- Under which version of its graph a run was begun.

ALTER TABLE holdfast_runs ADD COLUMN fingerprint TEXT;
