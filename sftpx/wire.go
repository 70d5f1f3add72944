package sftpx

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
)

// wire carries SFTP over one channel for two users: pkg/sftp, which reads and writes whole packets through it and makes
// the requests about names, and this package, which opens, reads, writes and closes files itself. Content goes straight
// between a window and the channel, many requests are under way at once, and none of them is worth a goroutine or an
// allocation.
//
// Whoever calls Read drives it: answers to our own requests are handled there, on the way to the next one that is not ours.
type wire struct {
	ch io.ReadWriter
	r  *bufio.Reader
	// head and rest are what is still to be read of a packet for pkg/sftp. Only Read uses them.
	head []byte
	room [headSize]byte
	rest int64

	queueing sync.Mutex // guards queue
	queue    []byte     // whole packets to be sent

	sending sync.Mutex // guards ch's Write and the fields below
	spare   []byte     // the queue that was sent last
	start   []byte     // the begin of a large packet
	lost    error      // why nothing can be sent any more

	foreign []byte // a packet of pkg/sftp that is not whole yet; only Write uses it

	mu     sync.Mutex // guards the fields below
	asked  map[uint32]request
	lastID uint32
	ended  error // why there are no more answers
}

// request is one that waits for its answer: either a part of a window, or whatever answer is for.
type request struct {
	part   part
	window *window
	answer chan<- reply // has room
}

// reply is the answer to a request without content.
type reply struct {
	kind byte
	body []byte // what follows the id
	err  error  // a status other than OK, or the end of the wire
}

const (
	fxpInit          = 1
	fxpOpen          = 3
	fxpClose         = 4
	fxpRead          = 5
	fxpWrite         = 6
	fxpStatus        = 101
	fxpHandle        = 102
	fxpData          = 103
	fxpExtended      = 200
	fxpExtendedReply = 201

	headSize = 9         // length, type and id of a packet
	ownIDs   = 1 << 31   // ours have this bit, those of pkg/sftp do not
	wireRead = 4 << 10   // read at once; an answer without content has no more, and content goes past that buffer
	oneWrite = 32 << 10  // what one packet of SSH carries
	maxQueue = 256 << 10 // kept for reuse
)

var errProtocol = errors.New("the server does not keep to the SFTP protocol")

func newWire(ch io.ReadWriter) *wire {
	return &wire{ch: ch, r: bufio.NewReaderSize(ch, wireRead), asked: make(map[uint32]request)}
}

// Read gives pkg/sftp its packets.
func (w *wire) Read(p []byte) (int, error) {
	for len(w.head) == 0 && w.rest == 0 {
		if err := w.receive(); err != nil {
			w.end(err)
			return 0, err
		}
	}
	if len(w.head) > 0 {
		n := copy(p, w.head)
		w.head = w.head[n:]
		return n, nil
	}
	n, err := w.r.Read(p[:min(int64(len(p)), w.rest)])
	w.rest -= int64(n)
	if err != nil {
		w.end(err)
	}
	return n, err
}

// receive reads one packet. One that is not an answer to us is left to Read.
func (w *wire) receive() error {
	head := w.room[:]
	if _, err := io.ReadFull(w.r, head); err != nil {
		return err
	}
	length, kind, id := binary.BigEndian.Uint32(head), head[4], binary.BigEndian.Uint32(head[5:])
	if length < headSize-4 {
		return fmt.Errorf("%w: a packet of %d bytes", errProtocol, length)
	}
	rest := int64(length) - (headSize - 4)
	if id&ownIDs == 0 || kind < fxpStatus { // the latter is the greeting
		w.head, w.rest = head, rest
		return nil
	}
	w.mu.Lock()
	q, ok := w.asked[id]
	delete(w.asked, id)
	w.mu.Unlock()
	if !ok {
		return fmt.Errorf("%w: an answer to nothing", errProtocol)
	}
	err := w.handle(q, kind, rest)
	if err != nil {
		q.lost(err)
	}
	return err
}

// handle reads the rest of an answer, length bytes. It fails if there can be no further one.
func (w *wire) handle(q request, kind byte, length int64) error {
	switch {
	case q.window != nil && kind == fxpData:
		return w.content(q, length)
	case kind == fxpName && q.window == nil && length <= maxNames:
		return w.names(q, length)
	case length > wireRead:
		return fmt.Errorf("%w: an answer of %d bytes", errProtocol, length)
	}
	body, err := w.r.Peek(int(length))
	if err != nil {
		return err
	}
	a := reply{kind: kind}
	if kind == fxpStatus {
		a.err = parseStatus(body)
	}
	switch {
	case errors.Is(a.err, errProtocol):
		return a.err
	case q.window == nil:
		a.body = bytes.Clone(body)
		q.answer <- a
	case kind == fxpStatus:
		q.window.answered(q.part, q.part.n, a.err)
	default:
		return fmt.Errorf("%w: an answer of type %d to a request for content", errProtocol, kind)
	}
	_, err = w.r.Discard(int(length))
	return err
}

// names reads the answer to a READDIR.
func (w *wire) names(q request, length int64) error {
	body := make([]byte, length)
	if _, err := io.ReadFull(w.r, body); err != nil {
		return err
	}
	q.answer <- reply{kind: fxpName, body: body}
	return nil
}

// content reads the answer to a READ into its place.
func (w *wire) content(q request, length int64) error {
	if length < 4 {
		return fmt.Errorf("%w: content of %d bytes", errProtocol, length)
	}
	head, err := w.r.Peek(4)
	if err != nil {
		return err
	}
	n := int64(binary.BigEndian.Uint32(head))
	if _, err = w.r.Discard(4); err != nil {
		return err
	}
	if n > int64(q.part.n) || n > length-4 {
		return fmt.Errorf("%w: %d bytes, where %d were asked for", errProtocol, n, q.part.n)
	}
	place := q.window.fill(q.part)
	if place == nil { // nobody wants it any more
		_, err = w.r.Discard(int(length - 4))
		return err
	}
	if _, err = io.ReadFull(w.r, place[:n]); err == nil {
		_, err = w.r.Discard(int(length - 4 - n))
	}
	q.window.filled()
	if err == nil {
		q.window.answered(q.part, int(n), nil)
	}
	return err
}

// end fails every request that waits for an answer.
func (w *wire) end(err error) {
	w.mu.Lock()
	if w.ended == nil {
		w.ended = wireLost{err}
	}
	left := w.asked
	w.asked = nil
	w.mu.Unlock()
	for _, q := range left {
		q.lost(err)
	}
}

// lost is the answer where none comes any more.
func (q request) lost(err error) {
	if q.window != nil {
		q.window.answered(q.part, 0, wireLost{err})
	} else {
		q.answer <- reply{err: wireLost{err}}
	}
}

// wireLost says that a channel is of no more use. What was asked on it may or may not have happened.
type wireLost struct{ err error }

func (l wireLost) Error() string { return "connection lost: " + l.err.Error() }
func (l wireLost) Unwrap() error { return l.err }

// note takes a request down and returns its id.
func (w *wire) note(q request) (id uint32, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended != nil {
		return 0, w.ended
	}
	w.lastID++
	id = w.lastID | ownIDs
	w.asked[id] = q
	return id, nil
}
