-- Under which version of its graph a run was begun, and since when it waits for a person.

ALTER TABLE holdfast_runs ADD COLUMN fingerprint TEXT;
ALTER TABLE holdfast_runs ADD COLUMN waiting_since INTEGER;
