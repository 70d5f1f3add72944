-- Definitions of connectors, and single requests to partners.

-- Few, and read as a whole. Deleted ones stay, without url and definition: their ids are not used again.
CREATE TABLE connectors (
    id         TEXT    PRIMARY KEY,
    revision   INTEGER NOT NULL UNIQUE, -- of its last change; grows over all of them
    url        TEXT    NOT NULL,
    definition BLOB,
    deleted    INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE operations (
    id          TEXT    PRIMARY KEY,
    connector   TEXT    NOT NULL,
    spec        BLOB,
    created_at  INTEGER NOT NULL,
    until       INTEGER NOT NULL,
    finished_at INTEGER,
    code        TEXT    NOT NULL DEFAULT '',
    detail      TEXT    NOT NULL DEFAULT '',
    message     TEXT    NOT NULL DEFAULT '',
    result      BLOB
) STRICT;

-- Purge: what began first.
CREATE INDEX operations_created ON operations (created_at);
