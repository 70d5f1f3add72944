package transfertest

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"io/fs"
	"path"
	"strconv"
	"time"
)

const (
	// maxPacket bounds a packet; OpenSSH takes 256 KiB.
	maxPacket = 1 << 20
	// maxData bounds the bytes of one READ, as OpenSSH does.
	maxData = 255 << 10
	// maxNames is how many names one READDIR returns.
	maxNames = 100
)

// sftpSession serves one SFTP subsystem, a request at a time.
type sftpSession struct {
	server  *SFTPServer
	conn    *serverConn
	ctx     context.Context // ends with the connection
	in      *bufio.Reader
	out     *bufio.Writer
	ahead   chan struct{} // closed once in may be used again; nil if it may
	handles map[string]*sftpHandle
	opened  int
	reply   []byte // the packet being built; its first four bytes are the length
}

// sftpHandle is an open file or directory.
type sftpHandle struct {
	path   string
	file   file // nil for a directory
	names  []fs.FileInfo
	flags  uint32 // of OPEN
	cursor int64  // where the next byte is read or written
	begun  bool   // something was read
}

func (h *sftpHandle) reads() bool  { return h.file != nil && h.flags&flagRead != 0 }
func (h *sftpHandle) writes() bool { return h.file != nil && h.flags&flagWrite != 0 }

// mailbox reports whether it is read and not written.
func (h *sftpHandle) mailbox() bool { return h.reads() && !h.writes() }

// request is a request with all that the server needs.
type request struct {
	SFTPRequest
	id     uint32
	handle *sftpHandle
	key    string // of the handle
	flags  uint32
	attrs  attributes
	data   []byte
}

func newSFTPSession(ctx context.Context, c *serverConn, ch io.ReadWriter) *sftpSession {
	return &sftpSession{
		server: c.server, conn: c, ctx: ctx, handles: map[string]*sftpHandle{},
		in: bufio.NewReaderSize(ch, 64<<10), out: bufio.NewWriterSize(ch, 64<<10),
	}
}

func (s *sftpSession) close() {
	for key, h := range s.handles {
		_ = s.release(key, h)
	}
}

func (s *sftpSession) release(key string, h *sftpHandle) error {
	delete(s.handles, key)
	s.server.opened(h, -1)
	if h.file == nil {
		return nil
	}
	return h.file.Close()
}

// serve answers until the client goes or talks nonsense.
func (s *sftpSession) serve() {
	if text := s.server.Faults().Greeting; text != "" {
		_, _ = s.out.WriteString(text)
	}
	var packet []byte
	for {
		if s.ahead != nil {
			<-s.ahead
			s.ahead = nil
		}
		head, err := s.in.Peek(4)
		if err != nil {
			return
		}
		n := int(binary.BigEndian.Uint32(head))
		if n < 1 || n > maxPacket {
			return
		}
		_, _ = s.in.Discard(4)
		if cap(packet) < n {
			packet = make([]byte, n)
		}
		packet = packet[:n]
		if _, err := io.ReadFull(s.in, packet); err != nil {
			return
		}
		if !s.handle(packet) {
			return
		}
		if !s.more() && s.out.Flush() != nil {
			return
		}
	}
}

// more reports whether the next request is here already, so that its answer may share a packet with this one.
func (s *sftpSession) more() bool {
	if s.ahead != nil || s.in.Buffered() < 4 {
		return false
	}
	head, err := s.in.Peek(4)
	return err == nil && s.in.Buffered()-4 >= int(binary.BigEndian.Uint32(head))
}

// handle answers one packet and reports whether to go on.
func (s *sftpSession) handle(packet []byte) bool {
	if packet[0] == fxpInit {
		return s.version()
	}
	q, err := s.parse(packet)
	if err != nil {
		return false
	}
	faults, rules := s.server.arrived(q.Op)
	answer, alive := s.strike(q, rules)
	switch {
	case !alive:
		return false
	case answer == nil:
		if err := s.quirk(q, &faults); err != nil {
			s.status(q.id, err)
			break
		}
		s.perform(q, &faults)
	case answer.Cut:
		if answer.Done {
			s.perform(q, &faults)
		}
		s.conn.Cut()
		return false
	case answer.Mute:
		return true
	case answer.Pretend:
		s.statusCode(q.id, StatusOK, "")
	default:
		if answer.Done || q.Op == SFTPClose {
			s.perform(q, &faults)
		}
		s.statusCode(q.id, answer.Status, answer.Message)
	}
	return s.send()
}

// strike lets the rules have their way and returns the one that answers, or nil. A request whose connection ended
// meanwhile is not to be done.
func (s *sftpSession) strike(q *request, rules []*sftpRule) (answer *sftpRule, alive bool) {
	for _, r := range rules {
		if !r.matches(&q.SFTPRequest) || !r.strikes() {
			continue
		}
		_ = s.out.Flush() // what was answered before must not wait for this
		if r.Do != nil {
			r.Do(q.SFTPRequest)
		}
		if s.wait(r); s.over() {
			return nil, false
		}
		if r.answers() {
			return r, true
		}
	}
	return nil, true
}

// over reports whether the connection has ended, from either side.
func (s *sftpSession) over() bool {
	select {
	case <-s.conn.done:
		return true
	case <-s.ctx.Done():
		return true
	default:
		return false
	}
}

func (s *sftpSession) wait(r *sftpRule) {
	if r.Delay > 0 {
		timer := time.NewTimer(r.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-s.ctx.Done():
		}
	}
	if r.Hold != nil {
		select {
		case <-r.Hold:
		case <-s.ctx.Done():
		}
	}
}

// begin starts a reply packet.
func (s *sftpSession) begin(kind byte, id uint32) {
	s.reply = append(s.reply[:0], 0, 0, 0, 0, kind)
	s.reply = binary.BigEndian.AppendUint32(s.reply, id)
}

func (s *sftpSession) send() bool {
	binary.BigEndian.PutUint32(s.reply, uint32(len(s.reply)-4))
	_, err := s.out.Write(s.reply)
	return err == nil
}

func (s *sftpSession) version() bool {
	faults := s.server.Faults()
	s.begin(fxpVersion, 3)
	if !faults.NoPosixRename && !faults.NoRename {
		s.reply = appendString(appendString(s.reply, extPosixRename), "1")
	}
	s.reply = appendString(appendString(s.reply, extStatVFS), "2")
	s.reply = appendString(appendString(s.reply, extFsync), "1")
	return s.send()
}

func (s *sftpSession) statusCode(id uint32, code SFTPStatus, message string) {
	if message == "" {
		message = code.String()
	}
	s.begin(fxpStatus, id)
	s.reply = binary.BigEndian.AppendUint32(s.reply, uint32(code))
	s.reply = appendString(appendString(s.reply, message), "en")
}

// clean returns the absolute path that a client means.
func (s *sftpSession) clean(p string) string {
	if !path.IsAbs(p) {
		p = path.Join(s.server.home, p)
	}
	return path.Clean(p)
}

func (s *sftpSession) keep(h *sftpHandle) string {
	s.opened++
	key := strconv.Itoa(s.opened)
	s.handles[key] = h
	s.server.opened(h, 1)
	return key
}
