package transfertest

import (
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// statusError is an error with the status that the client gets.
type statusError struct {
	status  SFTPStatus
	message string
}

// Error returns what the client is told.
func (e *statusError) Error() string {
	if e.message != "" {
		return e.message
	}
	return e.status.String()
}

var (
	errUnsupported = &statusError{status: StatusOpUnsupported}
	errBadHandle   = &statusError{StatusFailure, "Invalid handle"}
)

// status answers err as OpenSSH does, or StatusOK if it is nil.
func (s *sftpSession) status(id uint32, err error) {
	var known *statusError
	switch {
	case err == nil:
		s.statusCode(id, StatusOK, "")
	case errors.As(err, &known):
		s.statusCode(id, known.status, known.message)
	case errors.Is(err, io.EOF):
		s.statusCode(id, StatusEOF, "")
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ELOOP):
		s.statusCode(id, StatusNoSuchFile, "")
	case errors.Is(err, fs.ErrPermission):
		s.statusCode(id, StatusPermissionDenied, "")
	case errors.Is(err, errors.ErrUnsupported):
		s.statusCode(id, StatusOpUnsupported, "")
	case errors.Is(err, fs.ErrInvalid), errors.Is(err, syscall.ENAMETOOLONG):
		s.statusCode(id, StatusBadMessage, "")
	default:
		s.statusCode(id, StatusFailure, "")
	}
}

// perform does what was asked and builds the reply.
func (s *sftpSession) perform(q *request, f *SFTPFaults) {
	files := s.server.files
	switch q.Op {
	case SFTPOpen:
		s.open(q)
	case SFTPOpendir:
		s.openDir(q, f)
	case SFTPClose, SFTPRead, SFTPWrite, SFTPFstat, SFTPFsetstat, SFTPReaddir, SFTPFsync:
		s.performOnHandle(q, f)
	case SFTPStat:
		s.attrs(q)(files.stat(q.Path))
	case SFTPLstat:
		s.attrs(q)(files.lstat(q.Path))
	case SFTPSetstat:
		s.status(q.id, files.setAttrs(q.Path, q.attrs))
	case SFTPRemove, SFTPRmdir:
		s.status(q.id, s.remove(q))
	case SFTPMkdir:
		s.status(q.id, files.mkdir(q.Path, q.attrs.modeOr(0o755)))
	case SFTPRename, SFTPPosixRename:
		s.status(q.id, s.rename(q, f))
	case SFTPRealpath:
		s.name(q.id, q.Path)
	case SFTPReadlink:
		target, err := files.readlink(q.Path)
		if err != nil {
			s.status(q.id, err)
			return
		}
		s.name(q.id, target)
	case SFTPSymlink:
		s.status(q.id, files.symlink(q.Target, q.Path))
	case SFTPStatVFS:
		s.statVFS(q, f)
	default:
		s.status(q.id, errUnsupported)
	}
}

func (s *sftpSession) performOnHandle(q *request, f *SFTPFaults) {
	h := q.handle
	switch {
	case h == nil:
		s.status(q.id, errBadHandle)
	case q.Op == SFTPClose:
		s.status(q.id, s.closeHandle(q, f))
	case q.Op == SFTPReaddir:
		s.readDir(q)
	case h.file == nil, q.Op == SFTPRead && !h.reads(), q.Op == SFTPWrite && !h.writes():
		s.status(q.id, errBadHandle)
	case q.Op == SFTPRead:
		s.read(q, f)
	case q.Op == SFTPWrite:
		s.status(q.id, s.write(q, f))
	case q.Op == SFTPFstat:
		s.attrs(q)(h.file.Stat())
	case q.Op == SFTPFsetstat:
		s.status(q.id, s.server.files.setAttrs(h.path, q.attrs))
	case q.Op == SFTPFsync:
		s.status(q.id, nil)
	}
}

func (a attributes) modeOr(mode fs.FileMode) fs.FileMode {
	if a.flags&attrMode != 0 {
		return a.mode
	}
	return mode
}

func (s *sftpSession) open(q *request) {
	f, err := s.server.files.open(q.Path, osFlags(q.flags), q.attrs.modeOr(0o644))
	if err == nil {
		var info fs.FileInfo
		if info, err = f.Stat(); err == nil && info.IsDir() {
			err = syscall.EISDIR
		}
		if err != nil {
			_ = f.Close()
		}
	}
	if err != nil {
		s.status(q.id, err)
		return
	}
	key := s.keep(&sftpHandle{path: q.Path, file: f, flags: q.flags})
	s.begin(fxpHandle, q.id)
	s.reply = appendString(s.reply, key)
}

// osFlags leaves O_APPEND out: os.File refuses WriteAt with it.
func osFlags(flags uint32) int {
	f := os.O_RDONLY
	switch flags & (flagRead | flagWrite) {
	case flagWrite:
		f = os.O_WRONLY
	case flagRead | flagWrite:
		f = os.O_RDWR
	}
	if flags&flagCreate != 0 {
		f |= os.O_CREATE
		if flags&flagExclusive != 0 {
			f |= os.O_EXCL
		}
	}
	if flags&flagTruncate != 0 {
		f |= os.O_TRUNC
	}
	return f
}

func (s *sftpSession) openDir(q *request, f *SFTPFaults) {
	names, err := s.server.files.list(q.Path)
	if err != nil {
		s.status(q.id, err)
		return
	}
	for _, name := range f.ExtraNames {
		names = append(names, memInfo{name: name, mode: 0o644})
	}
	key := s.keep(&sftpHandle{path: q.Path, names: names})
	s.begin(fxpHandle, q.id)
	s.reply = appendString(s.reply, key)
}

func (s *sftpSession) readDir(q *request) {
	h := q.handle
	if h.file != nil {
		s.status(q.id, errBadHandle)
		return
	}
	if len(h.names) == 0 {
		s.status(q.id, io.EOF)
		return
	}
	n := min(len(h.names), maxNames)
	s.begin(fxpName, q.id)
	s.reply = binary.BigEndian.AppendUint32(s.reply, uint32(n))
	for _, info := range h.names[:n] {
		s.reply = appendString(appendString(s.reply, info.Name()), longName(info))
		s.reply = appendAttrs(s.reply, info)
	}
	h.names = h.names[n:]
}

// attrs returns what answers with attributes, or with the error.
func (s *sftpSession) attrs(q *request) func(fs.FileInfo, error) {
	return func(info fs.FileInfo, err error) {
		if err != nil {
			s.status(q.id, err)
			return
		}
		s.begin(fxpAttrs, q.id)
		s.reply = appendAttrs(s.reply, info)
	}
}

func (s *sftpSession) name(id uint32, name string) {
	s.begin(fxpName, id)
	s.reply = binary.BigEndian.AppendUint32(s.reply, 1)
	s.reply = appendString(appendString(s.reply, name), name)
	s.reply = binary.BigEndian.AppendUint32(s.reply, 0)
}

func (s *sftpSession) read(q *request, f *SFTPFaults) {
	n := min(q.Length, maxData)
	if f.MaxRead > 0 {
		n = min(n, f.MaxRead)
	}
	const head = 4 + 1 + 4 + 4
	s.begin(fxpData, q.id)
	if cap(s.reply) < head+n {
		s.reply = append(make([]byte, 0, head+n), s.reply...)
	}
	s.reply = s.reply[:head+n]
	got, err := q.handle.file.ReadAt(s.reply[head:], q.Offset)
	if got == 0 && n > 0 {
		s.status(q.id, err)
		return
	}
	s.reply = s.reply[:head+got]
	binary.BigEndian.PutUint32(s.reply[head-4:], uint32(got))
	q.handle.cursor = q.Offset + int64(got)
	q.handle.begun = true
}

func (s *sftpSession) write(q *request, f *SFTPFaults) error {
	h := q.handle
	off := q.Offset
	if h.flags&flagAppend != 0 || f.AppendOnly {
		info, err := h.file.Stat()
		if err != nil {
			return err
		}
		off = info.Size()
	}
	n, err := h.file.WriteAt(q.data, off)
	h.cursor = q.Offset + int64(n)
	return err
}

func (s *sftpSession) remove(q *request) error {
	info, err := s.server.files.lstat(q.Path)
	if err != nil {
		return err
	}
	if info.IsDir() != (q.Op == SFTPRmdir) {
		return &statusError{status: StatusFailure}
	}
	return s.server.files.remove(q.Path)
}
