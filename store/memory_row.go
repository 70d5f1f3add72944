package store

import (
	"bytes"
	"maps"
	"time"
)

// transfer is what Memory keeps of one transfer. Its files are the rows first to first+Files-1.
type transfer struct {
	Transfer
	first     int64
	createdAt micros
	queue     *queue
	rule      *group // nil: none
	counts    counts

	older, newer *transfer // with the same follow id
}

// clone returns a copy that shares nothing that could be changed.
func clone(t Transfer) Transfer {
	t.RequestHash = bytes.Clone(t.RequestHash)
	t.Spec = bytes.Clone(t.Spec)
	t.Metadata = maps.Clone(t.Metadata)
	return t
}

// counts is how many files there are in each state.
type counts [Done + 1]int64

// of returns how many files there are in the states that q selects.
func (c *counts) of(q *Query) int64 {
	n := int64(0)
	for _, s := range q.states() {
		n += c[s]
	}
	return n
}

// add adds what another counts in the states that q selects.
func (c *counts) add(other *counts, q *Query) {
	for _, s := range q.states() {
		c[s] += other[s]
	}
}

func (c *counts) byState() map[State]int64 {
	m := make(map[State]int64)
	for s, n := range c {
		if n != 0 {
			m[State(s)] = n
		}
	}
	return m
}

// row is one file, packed: what all files of a transfer have in common is in the transfer, times are numbers, and
// bytes are strings, which can be handed in and out only by copying.
type row struct {
	id        int64
	transfer  *transfer
	direction Direction
	state     State
	wanted    State // 0, or Paused or Cancelled while Running
	phase     Phase
	skipped   bool
	leased    bool // it is in its queue's leases, not in ready
	priority  Priority
	position  int32 // in the one or the other
	attempts  int32
	failures  int32
	task      int32

	partner    *group // nil: none
	sourcePath string
	targetPath string
	worker     string
	checkpoint string
	sha256     string
	failure    *Failure // nil: none

	size      int64
	offset    int64
	blockSize int64
	rank      int64
	token     int64
	parent    int64

	startAt    micros
	readyAt    micros
	startedAt  micros
	updatedAt  micros
	finishedAt micros
	leaseUntil micros
}

// since is the moment from which the file can be claimed. While the file is in a heap, only that heap's owner may
// change what it depends on.
func (r *row) since() micros {
	if r.state == Running {
		return r.leaseUntil
	}
	return r.readyAt
}

func (r *row) setProgress(p Progress) {
	r.phase, r.skipped, r.failures, r.task = p.Phase, p.Skipped, int32(p.Failures), int32(p.Task)
	r.size, r.offset, r.blockSize, r.rank = p.Size, p.Offset, p.BlockSize, p.Rank
	r.checkpoint, r.sha256 = string(p.Checkpoint), string(p.SHA256)
}

func (r *row) setFailure(f Failure) {
	r.failure = nil
	if f != (Failure{}) {
		r.failure = &f
	}
}

// file writes the row to f.
func (r *row) file(f *File) {
	r.share(f)
	f.Metadata = maps.Clone(f.Metadata)
	f.Checkpoint, f.SHA256 = nil, nil
	if r.checkpoint != "" {
		f.Checkpoint = []byte(r.checkpoint)
	}
	if r.sha256 != "" {
		f.SHA256 = []byte(r.sha256)
	}
}

// share writes the row to f without Checkpoint and SHA256; the metadata stays the store's.
func (r *row) share(f *File) {
	t := r.transfer
	f.ID = r.id
	f.TransferID, f.ConnectorID, f.FollowID, f.RuleName = t.ID, t.ConnectorID, t.FollowID, t.RuleName
	f.Metadata = t.Metadata
	f.Direction, f.Partner, f.SourcePath, f.TargetPath = r.direction, r.partner.value(), r.sourcePath, r.targetPath
	f.StartAt, f.Parent, f.Priority = r.startAt.time(), r.parent, r.priority
	f.State, f.Wanted = r.state, r.wanted
	f.Phase, f.Skipped, f.Failures, f.Task = r.phase, r.skipped, int(r.failures), int(r.task)
	f.Size, f.Offset, f.BlockSize, f.Rank = r.size, r.offset, r.blockSize, r.rank
	f.Failure = Failure{}
	if r.failure != nil {
		f.Failure = *r.failure
	}
	f.Attempts = int(r.attempts)
	f.ReadyAt, f.CreatedAt, f.StartedAt = r.readyAt.time(), t.CreatedAt, r.startedAt.time()
	f.UpdatedAt, f.FinishedAt = r.updatedAt.time(), r.finishedAt.time()
	f.Worker, f.Token, f.LeaseUntil = r.worker, r.token, r.leaseUntil.time()
}

const chunkRows = 256

// table holds the rows by id, from 1. Chunks never move, so that a row's address is good until the row is removed.
type table struct {
	chunks []*rowChunk // nil: all of its rows were removed
	n      int64       // the last id given
}

type rowChunk struct {
	rows    [chunkRows]row
	removed int
}

// add returns a new row, zero but for its id.
func (t *table) add() *row {
	if t.n%chunkRows == 0 {
		t.chunks = append(t.chunks, new(rowChunk))
	}
	t.n++
	r := &t.chunks[(t.n-1)/chunkRows].rows[(t.n-1)%chunkRows]
	r.id = t.n
	return r
}

// get returns the row with this id, or nil.
func (t *table) get(id int64) *row {
	if id < 1 || id > t.n {
		return nil
	}
	c := t.chunks[(id-1)/chunkRows]
	if c == nil || c.rows[(id-1)%chunkRows].id == 0 {
		return nil
	}
	return &c.rows[(id-1)%chunkRows]
}

// remove forgets a row, and its chunk with the last one in it.
func (t *table) remove(r *row) {
	at := (r.id - 1) / chunkRows
	c := t.chunks[at]
	*r = row{}
	if c.removed++; c.removed == chunkRows {
		t.chunks[at] = nil
	}
}

// micros is a point in time in microseconds since 1970, a third of a time.Time.
type micros int64

// never is the zero time.Time.
var never = microsOf(time.Time{})

func microsOf(t time.Time) micros { return micros(t.UnixMicro()) }

func (m micros) time() time.Time { return time.UnixMicro(int64(m)).UTC() }

func (m micros) add(d time.Duration) micros { return m + micros(d.Microseconds()) }
