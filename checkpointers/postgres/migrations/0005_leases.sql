-- Who may write to a thread.

ALTER TABLE {schema}.{prefix}threads ADD COLUMN lease_owner text;
ALTER TABLE {schema}.{prefix}threads ADD COLUMN lease_token bigint NOT NULL DEFAULT 0;
ALTER TABLE {schema}.{prefix}threads ADD COLUMN lease_expires_at bigint;
