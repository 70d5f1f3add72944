package transfertest

// parse takes a request apart and finds its handle.
func (s *sftpSession) parse(packet []byte) (*request, error) {
	d := &decoder{rest: packet[1:]}
	q := &request{id: d.u32()}
	switch packet[0] {
	case fxpOpen:
		q.Op, q.Path, q.flags, q.attrs = SFTPOpen, s.path(d), d.u32(), d.attrs()
	case fxpClose:
		s.byHandle(q, d, SFTPClose)
	case fxpRead:
		s.byHandle(q, d, SFTPRead)
		q.Offset, q.Length = int64(d.u64()), int(d.u32())
	case fxpWrite:
		s.byHandle(q, d, SFTPWrite)
		q.Offset, q.data = int64(d.u64()), d.bytes()
		q.Length = len(q.data)
	case fxpFstat:
		s.byHandle(q, d, SFTPFstat)
	case fxpFsetstat:
		s.byHandle(q, d, SFTPFsetstat)
		q.attrs = d.attrs()
	case fxpReaddir:
		s.byHandle(q, d, SFTPReaddir)
	case fxpSetstat, fxpMkdir:
		q.Op, q.Path, q.attrs = pathOps[packet[0]], s.path(d), d.attrs()
	case fxpRename:
		q.Op, q.Path, q.Target = SFTPRename, s.path(d), s.path(d)
	case fxpSymlink:
		// OpenSSH's order, which clients follow: the target comes first, as it is.
		q.Op, q.Target, q.Path = SFTPSymlink, d.string(), s.path(d)
	case fxpExtended:
		s.parseExtended(q, d)
	default:
		op, ok := pathOps[packet[0]]
		if !ok {
			q.Op = SFTPOther
			break
		}
		q.Op, q.Path = op, s.path(d)
	}
	return q, d.err
}

// pathOps are the requests that carry a path.
var pathOps = map[byte]SFTPOp{
	fxpLstat: SFTPLstat, fxpSetstat: SFTPSetstat, fxpOpendir: SFTPOpendir, fxpRemove: SFTPRemove, fxpMkdir: SFTPMkdir,
	fxpRmdir: SFTPRmdir, fxpRealpath: SFTPRealpath, fxpStat: SFTPStat, fxpReadlink: SFTPReadlink,
}

func (s *sftpSession) parseExtended(q *request, d *decoder) {
	switch d.string() {
	case extPosixRename:
		q.Op, q.Path, q.Target = SFTPPosixRename, s.path(d), s.path(d)
	case extStatVFS:
		q.Op, q.Path = SFTPStatVFS, s.path(d)
	case extFsync:
		s.byHandle(q, d, SFTPFsync)
	default:
		q.Op = SFTPOther
	}
}

func (s *sftpSession) path(d *decoder) string { return s.clean(d.string()) }

func (s *sftpSession) byHandle(q *request, d *decoder, op SFTPOp) {
	q.Op, q.key = op, d.string()
	if q.handle = s.handles[q.key]; q.handle != nil {
		q.Path = q.handle.path
	}
}
