-- What version 1 of the schema holds after a while: files in every state, with a rule and without.

INSERT INTO transfers (id, connector, client_token, request_hash, follow_id, rule, metadata, spec, first_file, files, created_at) VALUES
    ('first', 'acme', 'token', x'0102', 'follow', 'payroll', '{"k":"v"}', x'7b7d', 1, 9, 1700000000000000),
    ('second', 'acme', NULL, NULL, 'second', '', NULL, x'7b7d', 10, 1, 1700000001000000);

INSERT INTO files (id, transfer, connector, direction, state, start, ready_at, updated_at, start_at, partner, source_path, target_path) VALUES
    (1, 1, 'acme', 1, 1, 1700000000000000, 1700000000000000, 1700000000000000, NULL, 'bank', '/out/1', '/in/1'),
    (2, 1, 'acme', 1, 1, 1700000000000000, 1700000000000000, 1700000000000000, NULL, 'bank', '/out/2', '/in/2'),
    (3, 1, 'acme', 1, 1, 1700000000000000, 1700000000000000, 1700000000000000, NULL, 'bank', '/out/3', '/in/3'),
    (4, 1, 'acme', 1, 1, 1700000000000000, 1700000000000000, 1700000000000000, NULL, 'bank', '/out/4', '/in/4'),
    (5, 1, 'acme', 1, 1, 1700000000000000, 1700000000000000, 1700000000000000, NULL, 'bank', '/out/5', '/in/5'),
    (6, 1, 'acme', 1, 1, 1700000000000000, 1700000000000000, 1700000000000000, NULL, 'bank', '/out/6', '/in/6'),
    (7, 1, 'acme', 1, 1, 1700000000000000, 1700000000000000, 1700000000000000, NULL, 'bank', '/out/7', '/in/7'),
    (8, 1, 'acme', 1, 1, 1700000000000000, 1700000000000000, 1700000000000000, NULL, 'bank', '/out/8', '/in/8'),
    (9, 1, 'acme', 1, 1, 1700000000000000, 1700000000000000, 1700000000000000, NULL, 'bank', '/out/9', '/in/9'),
    (10, 2, 'acme', 2, 1, 9000000000000000, 9000000000000000, 1700000001000000, 9000000000000000, 'bank', '/out/10', '/in/10');

UPDATE files SET attempts = 1, token = 1, phase = 3, started_at = 1700000002000000, start = 1700000002000000,
    updated_at = 1700000002000000 + id, size = 10, acked = 5, block_size = 1, rank = 5, checkpoint = x'0a' WHERE id BETWEEN 2 AND 9;
UPDATE files SET state = 2, worker = 'live', lease_until = 9000000000000000 WHERE id = 2;
UPDATE files SET state = 3, ready_at = 9000000000000000, code = 'TIMEOUT_ERROR', message = 'slow' WHERE id = 3;
UPDATE files SET state = 4 WHERE id = 4;
UPDATE files SET state = 5, ready_at = 1700000002000005 WHERE id = 5;
UPDATE files SET state = 6, finished_at = updated_at, checkpoint = NULL, code = 'READ_FILE_ERROR', message = 'why' WHERE id = 6;
UPDATE files SET state = 7, finished_at = updated_at, checkpoint = x'' WHERE id = 7;
UPDATE files SET state = 8, finished_at = updated_at, checkpoint = NULL, sha256 = x'01' WHERE id = 8;
UPDATE files SET state = 2, worker = 'dead', lease_until = 1700000003000000 WHERE id = 9;
