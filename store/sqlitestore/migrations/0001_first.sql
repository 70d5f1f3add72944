-- All times are microseconds since 1970, UTC. NULL is "none".

CREATE TABLE transfers (
    seq          INTEGER PRIMARY KEY, -- grows in the order of creation
    id           TEXT    NOT NULL UNIQUE,
    connector    TEXT    NOT NULL,
    client_token TEXT    UNIQUE,
    request_hash BLOB,
    follow_id    TEXT    NOT NULL,
    rule         TEXT    NOT NULL,
    metadata     TEXT,             -- a JSON object of texts
    spec         BLOB,
    first_file   INTEGER NOT NULL, -- its files have the ids from here on, without a gap ...
    files        INTEGER NOT NULL, -- ... so many of them
    created_at   INTEGER NOT NULL
) STRICT;

CREATE TABLE files (
    id          INTEGER PRIMARY KEY AUTOINCREMENT, -- never given out twice
    transfer    INTEGER NOT NULL,                  -- transfers.seq
    connector   TEXT    NOT NULL,                  -- of the transfer
    direction   INTEGER NOT NULL,                  -- 1 send, 2 retrieve
    state       INTEGER NOT NULL,                  -- 1 queued, 2 running, 3 waiting, 4 paused, 5 interrupted, 6 failed, 7 cancelled, 8 done
    phase       INTEGER NOT NULL DEFAULT 0,
    skipped     INTEGER NOT NULL DEFAULT 0,
    attempts    INTEGER NOT NULL DEFAULT 0,
    token       INTEGER NOT NULL DEFAULT 0,
    size        INTEGER NOT NULL DEFAULT -1,
    acked       INTEGER NOT NULL DEFAULT 0,        -- bytes that the target has acknowledged
    block_size  INTEGER NOT NULL DEFAULT 0,
    rank        INTEGER NOT NULL DEFAULT 0,
    start       INTEGER NOT NULL,                  -- started_at, before that the earliest moment to begin
    ready_at    INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    start_at    INTEGER,                           -- as asked for
    started_at  INTEGER,
    finished_at INTEGER,
    lease_until INTEGER,
    worker      TEXT    NOT NULL DEFAULT '',
    partner     TEXT    NOT NULL,
    source_path TEXT    NOT NULL,
    target_path TEXT    NOT NULL,
    code        TEXT    NOT NULL DEFAULT '',
    detail      TEXT    NOT NULL DEFAULT '',
    message     TEXT    NOT NULL DEFAULT '',
    sha256      BLOB,
    checkpoint  BLOB,
    local_path  TEXT GENERATED ALWAYS AS (CASE direction WHEN 2 THEN target_path ELSE source_path END) VIRTUAL
) STRICT;

-- Every index is paid for at each write of its columns, so there are few.

-- Claim: what can be claimed, in its order. Rows leave it while they run and for good once they are final.
CREATE INDEX files_ready ON files (connector, ready_at) WHERE state IN (1, 3, 5);

-- Claim: how many live leases there are, and which have expired. As small as the fleet is.
CREATE INDEX files_leased ON files (connector, lease_until) WHERE state = 2;

-- Lists and counts of all files and of one partner's, in each order: SQLite merges the ranges of the states that are
-- asked for. Running files are left out, so that progress, by far the most frequent write, touches none of these; there
-- are never many, and files_leased has them all.
CREATE INDEX files_by_id ON files (state) WHERE state <> 2;
CREATE INDEX files_by_start ON files (state, start) WHERE state <> 2;
CREATE INDEX files_by_stop ON files (state, updated_at) WHERE state <> 2;
CREATE INDEX partner_by_id ON files (partner, state) WHERE state <> 2;
CREATE INDEX partner_by_start ON files (partner, state, start) WHERE state <> 2;
CREATE INDEX partner_by_stop ON files (partner, state, updated_at) WHERE state <> 2;

-- Lists of one file name; written once.
CREATE INDEX files_local ON files (local_path);

-- Lists by the caller's id, and counts by rule, through the range of ids of each transfer; written once per transfer.
CREATE INDEX transfers_follow ON transfers (follow_id);
CREATE INDEX transfers_rule ON transfers (rule);
