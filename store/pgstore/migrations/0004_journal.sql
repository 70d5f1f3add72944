-- Version 4: priorities and tasks of files; duties, the journal and the ledger; lists of operations.

ALTER TABLE files
    ADD COLUMN priority   smallint NOT NULL DEFAULT 0, -- -1 low, 0 normal, 1 high
    ADD COLUMN task       bigint NOT NULL DEFAULT 0,
    ADD COLUMN progressed boolean NOT NULL DEFAULT false; -- whether the last update brought it further: what it was before is known while its row is locked

-- As before, with the priority. Claims read a range of each: in one of them all, files of a higher priority that are not
-- ready yet would stand before those that are.
DROP INDEX files_ready;
CREATE INDEX files_ready ON files (connector_id, priority, ready_at, id) WHERE state IN (1, 3, 5);

-- Few, and claimed by one look at all.
CREATE TABLE duties (
    name        text COLLATE "C" PRIMARY KEY,
    spec        bytea,
    state       bytea,
    due_at      timestamptz NOT NULL,
    worker      text NOT NULL DEFAULT '',
    token       bigint NOT NULL DEFAULT 0,
    lease_until timestamptz, -- of one that is held
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL
);

-- Few: every update reads them.
CREATE TABLE streams (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text COLLATE "C" NOT NULL UNIQUE,
    progressed boolean NOT NULL, -- whether it receives these events
    finished   boolean NOT NULL
);

-- There is no foreign key: its check would have all nodes lock the few rows of streams.
CREATE TABLE events (
    stream       bigint NOT NULL, -- streams.id
    seq          bigint GENERATED ALWAYS AS IDENTITY,
    at           timestamptz NOT NULL,
    file_id      bigint NOT NULL, -- 0: none
    acknowledged bigint NOT NULL DEFAULT 0,
    size         bigint NOT NULL DEFAULT 0,
    kind         smallint NOT NULL, -- 1 progressed, 2 finished, 3 noted
    state        smallint NOT NULL DEFAULT 0,
    transfer_id  text COLLATE "C" NOT NULL,
    note         bytea,
    PRIMARY KEY (stream, seq)
);

-- Lists of a transfer's and of a file's, and by time.
CREATE INDEX events_transfer ON events (stream, transfer_id, seq);
CREATE INDEX events_file ON events (stream, file_id, seq);
CREATE INDEX events_at ON events (stream, at);

CREATE TABLE ledger (
    key      bytea PRIMARY KEY, -- a hash of scope and path: a whole path may be too long for an index
    scope    text NOT NULL,
    path     text COLLATE "C" NOT NULL,
    identity text NOT NULL,
    size     bigint NOT NULL,
    sha256   bytea,
    file_id  bigint NOT NULL,
    at       timestamptz NOT NULL
);

-- Purge: what was written first.
CREATE INDEX ledger_at ON ledger (at);

-- Lists of all operations are read by their key; those of one connector by this.
CREATE INDEX operations_connector ON operations (connector_id, id);

INSERT INTO schema_version (version) VALUES (4);
