-- Priorities and tasks of files; duties, the journal and the ledger; lists of operations.

ALTER TABLE files ADD COLUMN priority INTEGER NOT NULL DEFAULT 0; -- -1 low, 0 normal, 1 high
ALTER TABLE files ADD COLUMN task     INTEGER NOT NULL DEFAULT 0;

-- As before, with the priority. Claims read a range of each: in one of them all, files of a higher priority that are not
-- ready yet would stand before those that are.
DROP INDEX files_ready;
CREATE INDEX files_ready ON files (connector, priority, ready_at) WHERE state <> 2 AND state <> 4 AND state < 6;
DROP INDEX files_leased;
CREATE INDEX files_leased ON files (connector, priority, lease_until, id, partner, rule, start, updated_at) WHERE state = 2;

-- Few, and claimed by one look at all.
CREATE TABLE duties (
    name        TEXT    PRIMARY KEY,
    spec        BLOB,
    state       BLOB,
    due_at      INTEGER NOT NULL,
    worker      TEXT    NOT NULL DEFAULT '',
    token       INTEGER NOT NULL DEFAULT 0,
    lease_until INTEGER,          -- of one that is held
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;

-- Few: every transaction that has something to tell reads them.
CREATE TABLE streams (
    id         INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE,
    progressed INTEGER NOT NULL, -- whether it receives these events
    finished   INTEGER NOT NULL
) STRICT;

CREATE TABLE events (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT, -- never given out twice
    stream   INTEGER NOT NULL,                  -- streams.id
    kind     INTEGER NOT NULL,                  -- 1 progressed, 2 finished, 3 noted
    at       INTEGER NOT NULL,
    transfer TEXT    NOT NULL,                  -- its id: events outlive transfers
    file     INTEGER NOT NULL,                  -- 0: none
    state    INTEGER NOT NULL DEFAULT 0,
    acked    INTEGER NOT NULL DEFAULT 0,
    size     INTEGER NOT NULL DEFAULT 0,
    note     BLOB
) STRICT;

-- Lists in the order of seq, which every index has at its end; of all, of a transfer and of a file; and by time.
CREATE INDEX events_stream ON events (stream);
CREATE INDEX events_transfer ON events (stream, transfer);
CREATE INDEX events_file ON events (stream, file);
CREATE INDEX events_at ON events (stream, at);

CREATE TABLE ledger (
    scope    TEXT    NOT NULL,
    path     TEXT    NOT NULL,
    identity TEXT    NOT NULL,
    size     INTEGER NOT NULL,
    sha256   BLOB,
    file     INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (scope, path)
) STRICT, WITHOUT ROWID;

-- Purge: what was written first.
CREATE INDEX ledger_at ON ledger (at);

-- Lists of one connector's operations, the newest first.
CREATE INDEX operations_connector ON operations (connector, id);
