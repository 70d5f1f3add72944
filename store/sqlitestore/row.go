package sqlitestore

import (
	"database/sql"
	"encoding/json"
	"math"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

// micros is a point in time in microseconds since 1970.
type micros int64

func microsOf(t time.Time) micros { return micros(t.UnixMicro()) }

func (m micros) time() time.Time { return time.UnixMicro(int64(m)).UTC() }

func (m micros) add(d time.Duration) int64 { return int64(m) + d.Microseconds() }

// microsOrNull is NULL for the zero time.
func microsOrNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

func timeOrZero(n sql.NullInt64) time.Time {
	if !n.Valid {
		return time.Time{}
	}
	return micros(n.Int64).time()
}

// fileColumns are what scanner.file reads, of files f and transfers t.
const fileColumns = `f.id, f.transfer, f.connector, f.direction, f.state, f.phase, f.skipped, f.attempts, f.token, f.size, f.acked,
	f.block_size, f.rank, f.ready_at, f.updated_at, f.start_at, f.started_at, f.finished_at, f.lease_until, f.worker, f.partner,
	f.source_path, f.target_path, f.code, f.detail, f.message, f.sha256, f.checkpoint,
	f.wanted, f.parent, f.failures, f.priority, f.task, t.id, t.follow_id, t.rule, t.metadata, t.created_at`

// scanner reads rows, one after the other.
type scanner struct {
	seq                                     int64
	readyAt, updatedAt, createdAt           micros
	startAt, startedAt, finishedAt, leaseTo sql.NullInt64
	metadata                                sql.RawBytes
}

// file reads fileColumns, and what follows them into more.
func (s *scanner) file(rows *sql.Rows, f *store.File, more ...any) error {
	into := append([]any{
		&f.ID, &s.seq, &f.ConnectorID, &f.Direction, &f.State, &f.Phase, &f.Skipped, &f.Attempts, &f.Token, &f.Size, &f.Offset,
		&f.BlockSize, &f.Rank, &s.readyAt, &s.updatedAt, &s.startAt, &s.startedAt, &s.finishedAt, &s.leaseTo, &f.Worker, &f.Partner,
		&f.SourcePath, &f.TargetPath, &f.Code, &f.Detail, &f.Message, &f.SHA256, &f.Checkpoint,
		&f.Wanted, &f.Parent, &f.Failures, &f.Priority, &f.Task, &f.TransferID, &f.FollowID, &f.RuleName, &s.metadata, &s.createdAt,
	}, more...)
	if err := rows.Scan(into...); err != nil {
		return err
	}
	f.ReadyAt, f.UpdatedAt, f.CreatedAt = s.readyAt.time(), s.updatedAt.time(), s.createdAt.time()
	f.StartAt, f.StartedAt = timeOrZero(s.startAt), timeOrZero(s.startedAt)
	f.FinishedAt, f.LeaseUntil = timeOrZero(s.finishedAt), timeOrZero(s.leaseTo)
	return decodeMetadata(s.metadata, &f.Metadata)
}

// encodeMetadata returns JSON, or NULL for a nil map.
func encodeMetadata(m map[string]string) (any, error) {
	if m == nil {
		return nil, nil
	}
	text, err := json.Marshal(m)
	return string(text), err
}

func decodeMetadata(text []byte, m *map[string]string) error {
	if text == nil {
		return nil
	}
	return json.Unmarshal(text, m)
}

// floor and ceil are the last microsecond not after t and the first one not before it.
func floor(t time.Time) int64 { return t.UnixMicro() }

func ceil(t time.Time) int64 {
	if t.Nanosecond()%1000 == 0 {
		return t.UnixMicro()
	}
	return t.UnixMicro() + 1
}

// place is where a cursor stands among rows of whole microseconds: if its time is between two, behind the first.
func place(c store.Cursor) (at, id int64) {
	if c.Time.Nanosecond()%1000 == 0 {
		return floor(c.Time), c.ID
	}
	return floor(c.Time), math.MaxInt64
}
