package transfertest

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"time"
)

// quirk returns why the faults refuse a request, or nil.
func (s *sftpSession) quirk(q *request, f *SFTPFaults) error {
	if f.OneRequest && s.crowded() {
		return &statusError{StatusFailure, "One request at a time"}
	}
	switch q.Op {
	case SFTPOpen, SFTPOpendir:
		return s.quirkOfOpen(q, f)
	case SFTPRead, SFTPWrite:
		return s.quirkOfData(q, f)
	case SFTPRename:
		if f.NoRename {
			return errUnsupported
		}
	case SFTPPosixRename:
		if f.NoRename || f.NoPosixRename {
			return errUnsupported
		}
	case SFTPSetstat, SFTPFsetstat:
		if f.NoSetstat {
			return errUnsupported
		}
	case SFTPStat, SFTPLstat, SFTPFstat:
		return s.quirkOfStat(q, f)
	}
	return nil
}

func (s *sftpSession) quirkOfOpen(q *request, f *SFTPFaults) error {
	writes := q.flags&flagWrite != 0
	switch {
	case f.MaxHandles > 0 && len(s.handles) >= f.MaxHandles:
		return &statusError{StatusFailure, "Too many open files"}
	case q.Op == SFTPOpendir:
		return nil
	case f.NoReadWrite && q.flags&(flagRead|flagWrite) == flagRead|flagWrite:
		return &statusError{StatusOpUnsupported, "Opening for reading and writing is not supported"}
	case f.WriteOnly && q.flags&flagRead != 0:
		return fs.ErrPermission
	case f.OpenOnce && !writes && s.server.consumed(q.Path):
		return fs.ErrNotExist
	case f.NoReopen && writes && q.flags&flagTruncate == 0:
		if _, err := s.server.files.stat(q.Path); err == nil {
			return &statusError{StatusFailure, "Backend does not support resume"}
		}
	}
	return nil
}

func (s *sftpSession) quirkOfStat(q *request, f *SFTPFaults) error {
	reading := s.server.beingRead(q.Path)
	switch {
	case f.ReadOnce && reading, f.OpenOnce && s.server.consumed(q.Path):
		return fs.ErrNotExist
	case f.StatConsumes && reading:
		s.server.consume(q.Path)
	case f.WriteOnly:
		if info, err := s.server.files.stat(q.Path); err == nil && !info.IsDir() {
			return fs.ErrPermission
		}
	}
	return nil
}

func (s *sftpSession) quirkOfData(q *request, f *SFTPFaults) error {
	if f.MaxPacket > 0 && q.Length > f.MaxPacket {
		return &statusError{StatusBadMessage, "Packet too large"}
	}
	if h := q.handle; f.Sequential && h != nil && q.Offset != h.cursor {
		return &statusError{StatusFailure, fmt.Sprintf("seek %d not supported with cursor %d", q.Offset, h.cursor)}
	}
	if f.StatConsumes && q.Op == SFTPRead && s.server.consumed(q.Path) {
		return &statusError{StatusFailure, "Message was extracted already"}
	}
	if q.Op == SFTPWrite && f.DiskSpace != 0 && s.server.space.Add(-int64(q.Length)) < 0 {
		s.server.space.Add(int64(q.Length))
		if f.Quota {
			return &statusError{status: StatusQuotaExceeded}
		}
		return &statusError{status: StatusFailure}
	}
	return nil
}

// oneRequestWait is how long a server that takes one request at a time looks out for another one.
const oneRequestWait = 2 * time.Millisecond

// crowded reports whether another request comes before this one is answered.
func (s *sftpSession) crowded() bool {
	if s.in.Buffered() > 0 {
		return true
	}
	ahead := make(chan struct{})
	s.ahead = ahead
	s.conn.wg.Go(func() {
		defer close(ahead)
		_, _ = s.in.Peek(1)
	})
	timer := time.NewTimer(oneRequestWait)
	defer timer.Stop()
	select {
	case <-ahead:
		return s.in.Buffered() > 0
	case <-timer.C:
		return false
	}
}

// opened counts handles, and those of each file that are open to read it.
func (s *SFTPServer) opened(h *sftpHandle, change int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Handles += change
	if !h.mailbox() {
		return
	}
	if s.reading[h.path] += change; s.reading[h.path] == 0 {
		delete(s.reading, h.path)
	}
	if change > 0 && s.faults.OpenOnce {
		s.extracted[h.path] = true
	}
}

// consume notes that nobody may read the file any more.
func (s *SFTPServer) consume(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.extracted[name] = true
}

// consumed reports whether nobody may read the file any more.
func (s *SFTPServer) consumed(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.extracted[name]
}

// beingRead reports whether a client holds the file open to read it.
func (s *SFTPServer) beingRead(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reading[name] > 0
}

func (s *sftpSession) closeHandle(q *request, f *SFTPFaults) error {
	h := q.handle
	if err := s.release(q.key, h); err != nil {
		return err
	}
	if f.ReadOnce && h.begun && h.mailbox() {
		return s.server.files.remove(h.path)
	}
	if h.writes() {
		if f.LosesFiles {
			return s.server.files.remove(h.path)
		}
		return s.server.take(h.path, f.Take)
	}
	return nil
}

func (s *sftpSession) rename(q *request, f *SFTPFaults) error {
	files := s.server.files
	if q.Op == SFTPPosixRename && f.LyingRename {
		return nil
	}
	if q.Op == SFTPRename || f.NoReplace {
		if _, err := files.lstat(q.Path); err != nil {
			return err
		}
		if _, err := files.lstat(q.Target); err == nil {
			return &statusError{status: StatusFailure}
		}
	}
	if err := files.rename(q.Path, q.Target); err != nil {
		return err
	}
	return s.server.take(q.Target, f.Take)
}

// take moves a delivered file out of sight.
func (s *SFTPServer) take(name, pattern string) error {
	if pattern == "" || !match(pattern, name) {
		return nil
	}
	data, err := s.ReadFile(name)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.taken[name] = data
	s.mu.Unlock()
	return s.files.remove(name)
}

// statVFS answers as statvfs(2) would: a disk of 1 TiB, or what DiskSpace says.
func (s *sftpSession) statVFS(q *request, f *SFTPFaults) {
	if _, err := s.server.files.stat(q.Path); err != nil {
		s.status(q.id, err)
		return
	}
	const block, all = 4096, 1 << 40
	free := uint64(all / 2 / block)
	if f.DiskSpace != 0 && !f.Quota {
		free = uint64(max(s.server.space.Load(), 0)) / block
	}
	s.begin(fxpReply, q.id)
	for _, v := range [...]uint64{block, block, all / block, free, free, 1 << 20, 1 << 19, 1 << 19, 1, 0, 255} {
		s.reply = binary.BigEndian.AppendUint64(s.reply, v)
	}
}
