-- Under which version of its graph a run was begun.

ALTER TABLE {schema}.{prefix}runs ADD COLUMN fingerprint text;
