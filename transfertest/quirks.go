package transfertest

import (
	"encoding/binary"
	"fmt"
	"io/fs"
)

// quirk returns why the faults refuse a request, or nil.
func (s *sftpSession) quirk(q *request, f *SFTPFaults) error {
	switch q.Op {
	case SFTPOpen, SFTPOpendir:
		if f.MaxHandles > 0 && len(s.handles) >= f.MaxHandles {
			return &statusError{StatusFailure, "Too many open files"}
		}
		if f.NoReadWrite && q.flags&(flagRead|flagWrite) == flagRead|flagWrite {
			return &statusError{StatusOpUnsupported, "Opening for reading and writing is not supported"}
		}
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
	case SFTPStat, SFTPLstat, SFTPFstat:
		if f.ReadOnce && s.server.beingRead(q.Path) {
			return fs.ErrNotExist
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
	if q.Op == SFTPWrite && f.DiskSpace != 0 && s.server.space.Add(-int64(q.Length)) < 0 {
		s.server.space.Add(int64(q.Length))
		return &statusError{status: StatusFailure}
	}
	return nil
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
		return s.server.take(h.path, f.Take)
	}
	return nil
}

func (s *sftpSession) rename(q *request, f *SFTPFaults) error {
	files := s.server.files
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
	if f.DiskSpace != 0 {
		free = uint64(max(s.server.space.Load(), 0)) / block
	}
	s.begin(fxpReply, q.id)
	for _, v := range [...]uint64{block, block, all / block, free, free, 1 << 20, 1 << 19, 1 << 19, 1, 0, 255} {
		s.reply = binary.BigEndian.AppendUint64(s.reply, v)
	}
}
