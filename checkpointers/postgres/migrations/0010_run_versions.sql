-- Under which version of its graph a run was begun, and since when it waits for a person; and which turn
-- a thread's runs had last.

ALTER TABLE {schema}.{prefix}runs ADD COLUMN fingerprint text;
ALTER TABLE {schema}.{prefix}runs ADD COLUMN waiting_since bigint;
ALTER TABLE {schema}.{prefix}threads ADD COLUMN turn text;
