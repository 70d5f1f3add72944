-- What the statements of version 3 left behind, as pg_dump has it, with times some years earlier: files in every state, one of
-- them to be paused, connectors and operations. Run with search_path set, after the first three migrations.

INSERT INTO transfers (id, connector_id, client_token, request_hash, follow_id, rule_name, metadata, spec, files, created_at)
VALUES
	('first', 'acme', 'token', '\x0102', 'follow', 'payroll', '{"k": "v"}', '\x7b7d', 9, '2024-11-22 10:12:11.69031+00'),
	('second', 'acme', NULL, NULL, 'second', '', NULL, '\x7b7d', 1, '2024-11-22 10:12:11.719296+00');

INSERT INTO files (id, transfer_id, connector_id, follow_id, rule_name, partner, source_path, target_path, worker, code, detail, message, checkpoint, sha256, size, acknowledged, block_size, rank, token,
	attempts, start_at, ready_at, created_at, started_at, updated_at, finished_at, lease_until, state, phase, direction, skipped, wanted, parent, failures) OVERRIDING SYSTEM VALUE
VALUES
	(9, 'first', 'acme', 'follow', 'payroll', 'bank', '/out/9', '/in/9', '', '', '', '', NULL, NULL, -1, 0, 0, 0, 0, 0, NULL, '2024-11-22 10:12:11.69031+00', '2024-11-22 10:12:11.69031+00', NULL, '2024-11-22 10:12:11.69031+00', NULL, NULL, 1, 0, 1, false, 0, 0, 0),
	(2, 'first', 'acme', 'follow', 'payroll', 'bank', '/out/2', '/in/2', '', '', '', '', '\x03', NULL, 9, 5, 4, 1, 1, 1, NULL, '2226-10-05 10:12:11.712656+00', '2024-11-22 10:12:11.69031+00', '2024-11-22 10:12:11.705448+00', '2024-11-22 10:12:11.712656+00', NULL, NULL, 3, 3, 1, false, 0, 0, 1),
	(4, 'first', 'acme', 'follow', 'payroll', 'bank', '/out/4', '/in/4', '', '', '', '', '\x03', NULL, 9, 5, 4, 1, 1, 1, NULL, '2024-11-22 10:12:11.712656+00', '2024-11-22 10:12:11.69031+00', '2024-11-22 10:12:11.705448+00', '2024-11-22 10:12:11.712656+00', NULL, NULL, 5, 3, 1, false, 0, 0, 1),
	(5, 'first', 'acme', 'follow', 'payroll', 'bank', '/out/5', '/in/5', '', 'PERMISSION_DENIED', 'd', 'm', '\x03', NULL, 9, 5, 4, 1, 1, 1, NULL, '2024-11-22 10:12:11.69031+00', '2024-11-22 10:12:11.69031+00', '2024-11-22 10:12:11.705448+00', '2024-11-22 10:12:11.712656+00', '2024-11-22 10:12:11.712656+00', NULL, 6, 3, 1, false, 0, 0, 1),
	(7, 'first', 'acme', 'follow', 'payroll', 'bank', '/out/7', '/in/7', '', '', '', '', NULL, '\x07', 9, 9, 4, 1, 1, 1, NULL, '2024-11-22 10:12:11.69031+00', '2024-11-22 10:12:11.69031+00', '2024-11-22 10:12:11.705448+00', '2024-11-22 10:12:11.712656+00', '2024-11-22 10:12:11.712656+00', NULL, 8, 3, 1, false, 0, 0, 1),
	(8, 'first', 'acme', 'follow', 'payroll', 'bank', '/out/8', '/in/8', 'live', '', '', '', '\x03', NULL, 9, 5, 4, 1, 1, 1, NULL, '2024-11-22 10:12:11.69031+00', '2024-11-22 10:12:11.69031+00', '2024-11-22 10:12:11.705448+00', '2024-11-22 10:12:11.712656+00', NULL, '2024-11-22 10:12:11.713656+00', 2, 3, 1, false, 0, 0, 1),
	(1, 'first', 'acme', 'follow', 'payroll', 'bank', '/out/1', '/in/1', 'live', '', '', '', '\x03', NULL, 9, 5, 4, 1, 1, 1, NULL, '2024-11-22 10:12:11.69031+00', '2024-11-22 10:12:11.69031+00', '2024-11-22 10:12:11.705448+00', '2024-11-22 10:12:11.715214+00', NULL, '2226-10-05 10:12:11.712656+00', 2, 3, 1, false, 4, 0, 1),
	(3, 'first', 'acme', 'follow', 'payroll', 'bank', '/out/3', '/in/3', '', '', '', '', '\x03', NULL, 9, 5, 4, 1, 1, 1, NULL, '2024-11-22 10:12:11.712656+00', '2024-11-22 10:12:11.69031+00', '2024-11-22 10:12:11.705448+00', '2024-11-22 10:12:11.715214+00', NULL, NULL, 4, 3, 1, false, 0, 0, 1),
	(6, 'first', 'acme', 'follow', 'payroll', 'bank', '/out/6', '/in/6', '', 'CANCELLED', '', 'cancelled on request', '\x03', NULL, 9, 5, 4, 1, 1, 1, NULL, '2024-11-22 10:12:11.712656+00', '2024-11-22 10:12:11.69031+00', '2024-11-22 10:12:11.705448+00', '2024-11-22 10:12:11.718686+00', '2024-11-22 10:12:11.718686+00', NULL, 7, 3, 1, false, 0, 0, 1),
	(10, 'second', 'acme', 'second', '', 'bank', '/out/10', '/in/10', '', '', '', '', NULL, NULL, -1, 0, 0, 0, 0, 0, '2200-01-01 00:00:00+00', '2200-01-01 00:00:00+00', '2024-11-22 10:12:11.719296+00', NULL, '2024-11-22 10:12:11.719296+00', NULL, NULL, 1, 0, 2, false, 0, 5, 0);

INSERT INTO connectors (id, revision, url, definition, deleted, created_at, updated_at)
VALUES
	('acme', 1, 'sftp://acme', '\x646566', false, '2024-11-22 10:12:11.721315+00', '2024-11-22 10:12:11.721315+00'),
	('gone', 3, '', NULL, true, '2024-11-22 10:12:11.721769+00', '2024-11-22 10:12:11.722524+00');

INSERT INTO operations (id, connector_id, spec, created_at, until, finished_at, code, detail, message, result)
VALUES
	('op-2', 'other', '\x6c697374', '2024-11-22 10:12:11.725096+00', '2024-11-22 11:12:11.725096+00', NULL, '', '', '', NULL),
	('op-3', 'acme', '\x6c697374', '2024-11-22 10:12:11.725229+00', '2024-11-22 11:12:11.725229+00', NULL, '', '', '', NULL),
	('op-1', 'acme', '\x6c697374', '2024-11-22 10:12:11.724643+00', '2024-11-22 11:12:11.724643+00', '2024-11-22 10:12:11.726267+00', 'C', '', '', '\x72');

UPDATE connectors_revision SET revision = 3;

SELECT setval('files_id_seq', 10);
