-- What the statements of version 1 leave behind: two transfers whose files are in every state that version 1 knew, and
-- in Paused and Cancelled, which it knew how to read. Run with search_path set, after 0001_files.sql.

INSERT INTO transfers (id, connector_id, client_token, request_hash, follow_id, rule_name, metadata, spec, files, created_at)
VALUES
	('old-1', 'acme', 'token', '\x01', 'follow', 'rule', '{"k": "v"}', '\x02', 8, '2024-05-01 10:00:00+00'),
	('old-2', 'acme', NULL, NULL, '', '', NULL, NULL, 1, '2024-05-02 10:00:00+00');

INSERT INTO files (transfer_id, connector_id, follow_id, rule_name, direction, partner, source_path, target_path,
	start_at, ready_at, created_at, updated_at)
SELECT t.id, t.connector_id, t.follow_id, t.rule_name, n.direction, n.partner, n.source_path, n.target_path,
	n.start_at, greatest(n.start_at, t.created_at), t.created_at, t.created_at
FROM transfers t, unnest('{1,1,2,1,1,1,1,2}'::smallint[], '{p,p,p,p,q,q,q,q}'::text[],
	'{/out/1,/out/2,/out/3,/out/4,/out/5,/out/6,/out/7,/out/8}'::text[],
	'{/in/1,/in/2,/in/3,/in/4,/in/5,/in/6,/in/7,/in/8}'::text[],
	'{2024-05-01 11:00:00+00,NULL,NULL,NULL,NULL,NULL,NULL,NULL}'::timestamptz[])
	WITH ORDINALITY AS n (direction, partner, source_path, target_path, start_at, position)
WHERE t.id = 'old-1'
ORDER BY n.position;

INSERT INTO files (transfer_id, connector_id, follow_id, rule_name, direction, partner, source_path, target_path,
	ready_at, created_at, updated_at)
SELECT t.id, t.connector_id, t.follow_id, t.rule_name, 1, 'p', '/out/9', '/in/9', t.created_at, t.created_at, t.created_at
FROM transfers t WHERE t.id = 'old-2';

-- The files 2 to 8 are claimed, and written by their workers; 2 still runs, under a lease that has expired.
UPDATE files SET state = 2, phase = 1, attempts = attempts + 1, token = token + 1, worker = 'old',
	started_at = '2024-05-01 10:01:00+00', updated_at = '2024-05-01 10:01:00+00', lease_until = '2024-05-01 10:02:00+00'
WHERE source_path BETWEEN '/out/2' AND '/out/8';

UPDATE files f SET state = c.state, phase = 3, size = 9, acknowledged = 5, block_size = 4, rank = 1,
	checkpoint = CASE WHEN c.state IN (6, 8) THEN NULL ELSE '\x03'::bytea END,
	code = c.code, updated_at = c.at, worker = CASE WHEN c.state = 2 THEN f.worker ELSE '' END,
	lease_until = CASE WHEN c.state = 2 THEN f.lease_until END,
	ready_at = CASE WHEN c.state IN (3, 5) THEN c.at ELSE f.ready_at END,
	finished_at = CASE WHEN c.state IN (6, 7, 8) THEN c.at END
FROM (VALUES
	('/out/2', 2, '', '2024-05-01 10:01:02+00'::timestamptz),
	('/out/3', 3, 'CONNECTION_LOST', '2024-05-01 10:01:03+00'),
	('/out/4', 4, '', '2024-05-01 10:01:04+00'),
	('/out/5', 5, '', '2024-05-01 10:01:05+00'),
	('/out/6', 6, 'PERMISSION_DENIED', '2024-05-01 10:01:06+00'),
	('/out/7', 7, 'CANCELLED', '2024-05-01 10:01:07+00'),
	('/out/8', 8, '', '2024-05-01 10:01:08+00')
) AS c (source_path, state, code, at)
WHERE f.source_path = c.source_path;
