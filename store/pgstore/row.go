package pgstore

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/seed62b9dc43/transfer/store"
)

// fileColumns are what a reader scans; metadata comes besides.
const fileColumns = `f.id, f.transfer_id, f.connector_id, f.follow_id, f.rule_name, f.direction, f.partner, f.source_path,
	f.target_path, f.start_at, f.state, f.phase, f.size, f.acknowledged, f.block_size, f.rank, f.checkpoint, f.sha256,
	f.skipped, f.code, f.detail, f.message, f.attempts, f.ready_at, f.created_at, f.started_at, f.updated_at,
	f.finished_at, f.worker, f.token, f.lease_until, f.wanted, f.parent, f.failures, f.priority, f.task`

// reader scans files. It decodes the metadata of neighbours, which are mostly of one transfer, once.
type reader struct {
	file                        store.File
	startAt, readyAt, createdAt pgtype.Timestamptz
	startedAt, updatedAt        pgtype.Timestamptz
	finishedAt, leaseUntil      pgtype.Timestamptz
	metadata, lastMetadata      []byte
	decoded                     map[string]string
	targets                     []any
}

// newReader returns a reader of fileColumns, metadata, and what more is scanned behind them.
func newReader(more ...any) *reader {
	r := &reader{}
	f := &r.file
	r.targets = append([]any{
		&f.ID, &f.TransferID, &f.ConnectorID, &f.FollowID, &f.RuleName, &f.Direction, &f.Partner, &f.SourcePath,
		&f.TargetPath, &r.startAt, &f.State, &f.Phase, &f.Size, &f.Offset, &f.BlockSize, &f.Rank, &f.Checkpoint, &f.SHA256,
		&f.Skipped, &f.Code, &f.Detail, &f.Message, &f.Attempts, &r.readyAt, &r.createdAt, &r.startedAt, &r.updatedAt,
		&r.finishedAt, &f.Worker, &f.Token, &r.leaseUntil, &f.Wanted, &f.Parent, &f.Failures, &f.Priority, &f.Task, &r.metadata,
	}, more...)
	return r
}

// read returns the row that rows stands on.
func (r *reader) read(rows pgx.Rows) (store.File, error) {
	r.file.Checkpoint, r.file.SHA256 = nil, nil
	if err := rows.Scan(r.targets...); err != nil {
		return store.File{}, err
	}
	f := r.file
	f.StartAt, f.ReadyAt, f.CreatedAt = utc(r.startAt), utc(r.readyAt), utc(r.createdAt)
	f.StartedAt, f.UpdatedAt = utc(r.startedAt), utc(r.updatedAt)
	f.FinishedAt, f.LeaseUntil = utc(r.finishedAt), utc(r.leaseUntil)
	if !bytes.Equal(r.metadata, r.lastMetadata) || (r.metadata == nil) != (r.lastMetadata == nil) {
		r.decoded = nil
		if r.metadata != nil {
			if err := json.Unmarshal(r.metadata, &r.decoded); err != nil {
				return store.File{}, fmt.Errorf("metadata of transfer %s: %w", f.TransferID, err)
			}
		}
		r.lastMetadata = r.metadata
	}
	f.Metadata = maps.Clone(r.decoded)
	return f, nil
}

// utc is the zero time for null.
func utc(t pgtype.Timestamptz) time.Time {
	if !t.Valid {
		return time.Time{}
	}
	return t.Time.UTC()
}
