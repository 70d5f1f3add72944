-- Pausing, cancelling, sweeping and purging; lists by rule; counts by state.

ALTER TABLE files ADD COLUMN wanted INTEGER NOT NULL DEFAULT 0;   -- 4 or 7: what a user wants a running file to be
ALTER TABLE files ADD COLUMN parent INTEGER NOT NULL DEFAULT 0;   -- the file that this one repeats
ALTER TABLE files ADD COLUMN failures INTEGER NOT NULL DEFAULT 0; -- attempts that failed
ALTER TABLE files ADD COLUMN rule TEXT NOT NULL DEFAULT '';       -- of the transfer

UPDATE files SET rule = (SELECT t.rule FROM transfers t WHERE t.seq = files.transfer)
    WHERE transfer IN (SELECT seq FROM transfers WHERE rule <> '');

-- As before, in words that SQLite computes faster: for a list of three values it builds a table, for each row and twice.
DROP INDEX files_ready;
CREATE INDEX files_ready ON files (connector, ready_at) WHERE state <> 2 AND state <> 4 AND state < 6;

-- As before, and with what lists and counts of all files, of a partner's and of a rule's ask for, so that they read no row
-- for a file that runs. Progress pays little for it: lease_until is in the index anyway. With id in third place, claims
-- get files in the order of lease and id without sorting.
DROP INDEX files_leased;
CREATE INDEX files_leased ON files (connector, lease_until, id, partner, rule, start, updated_at) WHERE state = 2;

-- Update: which of the running files are to stop. Nearly always empty.
CREATE INDEX files_wanted ON files (wanted) WHERE wanted <> 0;

-- The sweeper: what finished files left behind. Other files pay nothing for it.
CREATE INDEX files_litter ON files (id) WHERE state IN (6, 7) AND length(checkpoint) > 0;

-- Lists and counts of one rule's files, as of one partner's. Files without a rule pay nothing.
CREATE INDEX rule_by_id ON files (rule, state) WHERE state <> 2 AND rule <> '';
CREATE INDEX rule_by_start ON files (rule, state, start) WHERE state <> 2 AND rule <> '';
CREATE INDEX rule_by_stop ON files (rule, state, updated_at) WHERE state <> 2 AND rule <> '';
DROP INDEX transfers_rule;

-- How many files there are. Every transaction that changes that writes it here.
CREATE TABLE counts (
    state INTEGER PRIMARY KEY,
    files INTEGER NOT NULL
) STRICT;
INSERT INTO counts (state, files) VALUES (1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (6, 0), (7, 0), (8, 0);
UPDATE counts SET files = (SELECT count(*) FROM files f WHERE f.state = counts.state);
