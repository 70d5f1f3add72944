package transfertest

import "time"

// SFTPFaults says how a server differs from a perfect one; the zero value is perfect. Each field is something that
// partners' servers do.
type SFTPFaults struct {
	// Conn is wrong with each connection, seen from the server: it reads what the client sends. Latency delays every
	// reply without slowing the stream. Counts begin with each connection, and again with each SetFaults.
	Conn ConnFaults
	// ConnTimes is how many connections Conn's cuts and freezes strike; 0 means all.
	ConnTimes int

	Refuse         bool // new connections are closed at once; see also Stop, which refuses them in the kernel
	Silent         bool // new connections are accepted and hear nothing, until this ends
	RefuseLogin    bool // no user, password or key is right
	NoSubsystem    bool // the sftp subsystem is refused
	MaxConnections int  // more are closed at once, as OpenSSH's MaxStartups does; 0 means no limit
	MaxSessions    int  // more on one connection are "administratively prohibited"; 0 means no limit
	MaxHandles     int  // more open files and directories in one session fail; 0 means no limit

	MaxRead     int   // READ is answered with at most so many bytes, which truncates careless clients; 0 means no limit
	MaxPacket   int   // READ and WRITE of more bytes are answered with StatusBadMessage; 0 means no limit
	Sequential  bool  // files are read and written from 0 on without a gap or a step back: no resume either
	NoReadWrite bool  // a file is opened for reading or for writing, not both (AWS Transfer Family)
	DiskSpace   int64 // bytes from now until WRITE fails as on a full disk; 0 means no limit, -1 that it is full
	Quota       bool  // DiskSpace is a quota: WRITE fails with StatusQuotaExceeded, and statvfs knows nothing of it
	OneRequest  bool  // a request that arrives before the one ahead of it was answered fails
	NoReopen    bool  // a file that is there is opened for writing only to be emptied
	AppendOnly  bool  // WRITE appends, whatever its offset says
	NoSetstat   bool  // no attributes are set
	WriteOnly   bool  // a drop box: files are neither read nor described
	LosesFiles  bool  // every WRITE and CLOSE is acknowledged, and the file is gone

	NoPosixRename bool // posix-rename@openssh.com is neither advertised nor done
	NoRename      bool // neither rename is done
	NoReplace     bool // no rename replaces a file (without this, posix-rename does and RENAME does not, as in OpenSSH)
	LyingRename   bool // posix-rename is advertised and acknowledged, and does nothing

	// ReadOnce makes it a mailbox: a file that was read is gone with its CLOSE, and stat fails while it is open.
	ReadOnce bool
	// OpenOnce makes it a stricter one: a file that was opened for reading is not found by any later OPEN or stat,
	// however the first reader ended.
	OpenOnce bool
	// StatConsumes makes it one that takes any stat of a file that is open for reading as the end of it: READ fails.
	StatConsumes bool
	// Take is a pattern of paths, as in [SFTPRule]. The partner's software takes a matching file away as soon as it
	// has been delivered, by CLOSE or by a rename: stat finds nothing. See Taken.
	Take string
	// Greeting is text that a login script prints where SFTP packets are expected.
	Greeting string
	// ExtraNames are names that every listing contains, such as "../../etc/passwd".
	ExtraNames []string
}

// SFTPRule strikes single requests. Several rules may strike one request: all do what comes before the answer, and
// the first that has an answer gives it.
type SFTPRule struct {
	Op SFTPOp // which requests; 0 means all
	// Path is a pattern as in path.Match, of the whole path, or of the base name if it has no slash. READ, WRITE,
	// CLOSE and the like have the path of their handle; a rename matches with either path. Empty means all.
	Path  string
	Nth   int // the first matching request that it strikes, from 1 on; 0 means 1
	Times int // how many it strikes; 0 means one if Nth is set, else all; -1 means all

	// What comes before the answer. A request whose connection ends meanwhile is not done.
	Do    func(SFTPRequest) // may use the server, but not Stop or Close, which wait for it
	Delay time.Duration     // the request and all behind it in its session wait so long
	Hold  <-chan struct{}   // they wait until it is closed, or the connection is

	Status  SFTPStatus // the answer, in place of doing what was asked
	Message string     // with it; empty means the status's text
	Done    bool       // what was asked is done, and Status answered, or the connection cut, all the same
	Pretend bool       // StatusOK is answered and nothing done
	Mute    bool       // nothing is done nor answered
	Cut     bool       // the connection is cut in place of an answer
}

// SFTPRequest is a request as a rule sees it.
type SFTPRequest struct {
	Op     SFTPOp
	Path   string // absolute and clean; of the handle where the request has one
	Target string // of a rename or symbolic link
	Offset int64  // of READ and WRITE
	Length int    // of READ and WRITE
}

func (r *SFTPRule) matches(q *SFTPRequest) bool {
	return r.Op.matches(q.Op) && (match(r.Path, q.Path) || q.Target != "" && match(r.Path, q.Target))
}

func (r *SFTPRule) answers() bool { return r.Status != StatusOK || r.Pretend || r.Mute || r.Cut }

// sftpRule is a rule at work.
type sftpRule struct {
	SFTPRule
	*Injection
}
