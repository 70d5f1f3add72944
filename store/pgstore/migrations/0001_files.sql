-- Version 1. Run with search_path set to the schema of the store; the last line is what Open reads.
--
-- Texts are compared byte by byte (COLLATE "C"). The numbers of states, phases and directions are those of package
-- store. Nothing is ever removed from here by the library.

CREATE TABLE schema_version (
    version    integer PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE transfers (
    id           text COLLATE "C" PRIMARY KEY,
    connector_id text COLLATE "C" NOT NULL,
    client_token text COLLATE "C" UNIQUE, -- null: none. The index makes concurrent calls with one token one transfer.
    request_hash bytea,
    follow_id    text COLLATE "C" NOT NULL,
    rule_name    text COLLATE "C" NOT NULL,
    metadata     jsonb, -- an object of strings
    spec         bytea,
    files        bigint NOT NULL,
    created_at   timestamptz NOT NULL
);

-- connector_id, follow_id, rule_name and created_at are copies of the transfer's, so that one index serves a filter and
-- an order. There is no foreign key: both tables are written by one statement, and the check would cost each file.
CREATE TABLE files (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- also the order of every page
    transfer_id  text COLLATE "C" NOT NULL,
    connector_id text COLLATE "C" NOT NULL,
    follow_id    text COLLATE "C" NOT NULL,
    rule_name    text COLLATE "C" NOT NULL,
    partner      text COLLATE "C" NOT NULL,
    source_path  text COLLATE "C" NOT NULL,
    target_path  text COLLATE "C" NOT NULL,
    worker       text COLLATE "C" NOT NULL DEFAULT '',
    code         text COLLATE "C" NOT NULL DEFAULT '',
    detail       text COLLATE "C" NOT NULL DEFAULT '',
    message      text COLLATE "C" NOT NULL DEFAULT '',
    checkpoint   bytea,
    sha256       bytea,
    size         bigint NOT NULL DEFAULT -1, -- -1: unknown
    acknowledged bigint NOT NULL DEFAULT 0,  -- bytes; File.Offset
    block_size   bigint NOT NULL DEFAULT 0,
    rank         bigint NOT NULL DEFAULT 0,
    token        bigint NOT NULL DEFAULT 0,
    attempts     bigint NOT NULL DEFAULT 0,
    start_at     timestamptz, -- as asked for; null: at once
    ready_at     timestamptz NOT NULL,
    created_at   timestamptz NOT NULL,
    started_at   timestamptz,
    updated_at   timestamptz NOT NULL,
    finished_at  timestamptz,
    lease_until  timestamptz,
    state        smallint NOT NULL DEFAULT 1,
    phase        smallint NOT NULL DEFAULT 0,
    direction    smallint NOT NULL,
    skipped      boolean NOT NULL DEFAULT false
);

-- Claim: what waits, by connector, the longest ready first. Finished files are not in it.
CREATE INDEX files_ready ON files (connector_id, ready_at, id) WHERE state IN (1, 3, 5);

-- Claim: live leases, to be counted against the limit, and expired ones, to be taken over.
CREATE INDEX files_leased ON files (connector_id, lease_until, id) WHERE state = 2;

-- The files of one transfer, which every caller asks for.
CREATE INDEX files_transfer ON files (transfer_id, id);

-- Pages in the order of start, and bounds of it. The expression is File.Start.
CREATE INDEX files_start ON files ((coalesce(started_at, greatest(start_at, created_at))), id);

-- Pages in the order of the last event, and what changed since a moment.
CREATE INDEX files_updated ON files (updated_at, id);

-- Files by their path in our storage, exactly or by prefix (File.LocalPath). A whole path may be too long for an index.
CREATE INDEX files_local ON files (left((CASE direction WHEN 2 THEN target_path ELSE source_path END), 256));

-- What failed, which is looked for most and rare. Other files do not pay for it.
CREATE INDEX files_failed ON files (id) WHERE state = 6;

-- The files of a follow id, by way of their transfers: an index of files is paid for at every write of every file,
-- this one once for a transfer.
CREATE INDEX transfers_follow ON transfers (follow_id);

INSERT INTO schema_version (version) VALUES (1);
