-- Version 3: definitions of connectors, and single requests to partners.

-- Few, and read as a whole. Deleted ones stay, without url and definition: their ids are not used again.
CREATE TABLE connectors (
    id         text COLLATE "C" PRIMARY KEY,
    revision   bigint NOT NULL, -- of its last change
    url        text NOT NULL,
    definition bytea,
    deleted    boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

-- One row. Who changes a connector holds it, so that revisions become visible in their order.
CREATE TABLE connectors_revision (
    revision bigint NOT NULL
);
INSERT INTO connectors_revision (revision) VALUES (0);

CREATE TABLE operations (
    id           text COLLATE "C" PRIMARY KEY,
    connector_id text COLLATE "C" NOT NULL,
    spec         bytea,
    created_at   timestamptz NOT NULL,
    until        timestamptz NOT NULL,
    finished_at  timestamptz,
    code         text NOT NULL DEFAULT '',
    detail       text NOT NULL DEFAULT '',
    message      text NOT NULL DEFAULT '',
    result       bytea
);

-- Purge: what began first.
CREATE INDEX operations_created ON operations (created_at);

INSERT INTO schema_version (version) VALUES (3);
