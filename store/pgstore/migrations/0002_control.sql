-- Version 2: files can be paused, cancelled and removed, and pages cost the same at any depth.
--
-- The table is written anew, which takes some seconds for each million files; nobody reads or writes it meanwhile.

-- The columns that PostgreSQL computes are there to be indexed. None of them changes while a file stays Running, and no
-- index may name a column that does, in its condition neither: then writing progress touches no index (HOT), given room
-- on the page.
ALTER TABLE files
    ADD COLUMN wanted   smallint NOT NULL DEFAULT 0, -- 4 or 7 of a running file that a user wants paused or cancelled
    ADD COLUMN parent   bigint NOT NULL DEFAULT 0,   -- the file that this one repeats; 0: none
    ADD COLUMN failures bigint NOT NULL DEFAULT 0,
    ADD COLUMN start    timestamptz GENERATED ALWAYS AS (coalesce(started_at, greatest(start_at, created_at))) STORED,
    ADD COLUMN stop     timestamptz GENERATED ALWAYS AS (CASE WHEN state <> 2 THEN updated_at END) STORED,
    ADD COLUMN litter   boolean GENERATED ALWAYS AS (state IN (6, 7, 8) AND checkpoint <> '') STORED,
    SET (fillfactor = 70);

DROP INDEX files_leased, files_transfer, files_start, files_updated, files_local, files_failed;

-- Claim: live leases, to be counted against the limit, and expired ones, to be taken over. Also the running files of
-- every list: they are few, and in none of the indexes below, so that a claim writes to this one and the primary key.
CREATE INDEX files_running ON files (connector_id) WHERE state = 2;

-- The files of one transfer, which every caller asks for. Equal keys are stored once.
CREATE INDEX files_transfer ON files (transfer_id) WHERE state <> 2;

-- Pages in the order of ids, of start and of the last event, each state by itself; lists merge the states.
CREATE INDEX files_id ON files (state, id) WHERE state <> 2;
CREATE INDEX files_start ON files (state, start, id) WHERE state <> 2;
CREATE INDEX files_stop ON files (state, stop, id) WHERE state <> 2;

-- The same of one partner.
CREATE INDEX files_partner_id ON files (partner, state, id) WHERE state <> 2;
CREATE INDEX files_partner_start ON files (partner, state, start, id) WHERE state <> 2;
CREATE INDEX files_partner_stop ON files (partner, state, stop, id) WHERE state <> 2;

-- The same of one rule. Files without a rule do not pay for it.
CREATE INDEX files_rule_id ON files (rule_name, state, id) WHERE state <> 2 AND rule_name <> '';
CREATE INDEX files_rule_start ON files (rule_name, state, start, id) WHERE state <> 2 AND rule_name <> '';
CREATE INDEX files_rule_stop ON files (rule_name, state, stop, id) WHERE state <> 2 AND rule_name <> '';

-- Files by their path in our storage, exactly or by prefix (File.LocalPath). A whole path may be too long for an index.
CREATE INDEX files_local ON files (left((CASE direction WHEN 2 THEN target_path ELSE source_path END), 256)) WHERE state <> 2;

-- That few files have one path: PostgreSQL does not learn that from a partial index.
CREATE STATISTICS files_local_few ON (left((CASE direction WHEN 2 THEN target_path ELSE source_path END), 256)) FROM files;

-- Finished files that left something behind. Other files do not pay for it.
CREATE INDEX files_litter ON files (id) WHERE litter;

-- The table was written anew: PostgreSQL would know little of it for a while. Of an empty one it had better know nothing.
DO $$ BEGIN
    IF EXISTS (SELECT FROM files) THEN
        ANALYZE files;
    END IF;
END $$;

INSERT INTO schema_version (version) VALUES (2);
