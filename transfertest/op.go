package transfertest

import (
	"fmt"
	"math/bits"
	"strings"
)

// SFTPOp is a set of SFTP requests: SFTPStat | SFTPLstat is both kinds of stat by path.
type SFTPOp uint32

// The requests of SFTP version 3 (draft-ietf-secsh-filexfer-02, section 3) and the extensions that the server knows.
const (
	SFTPOpen SFTPOp = 1 << iota
	SFTPClose
	SFTPRead
	SFTPWrite
	SFTPLstat
	SFTPFstat
	SFTPSetstat
	SFTPFsetstat
	SFTPOpendir
	SFTPReaddir
	SFTPRemove
	SFTPMkdir
	SFTPRmdir
	SFTPRealpath
	SFTPStat
	SFTPRename
	SFTPReadlink
	SFTPSymlink
	SFTPPosixRename // posix-rename@openssh.com
	SFTPStatVFS     // statvfs@openssh.com
	SFTPFsync       // fsync@openssh.com
	SFTPOther       // extensions that the server does not know
	sftpOps         = iota
)

var sftpOpNames = [sftpOps]string{
	"OPEN", "CLOSE", "READ", "WRITE", "LSTAT", "FSTAT", "SETSTAT", "FSETSTAT", "OPENDIR", "READDIR", "REMOVE", "MKDIR",
	"RMDIR", "REALPATH", "STAT", "RENAME", "READLINK", "SYMLINK", extPosixRename, extStatVFS, extFsync, "other",
}

// String names the requests as the draft does, such as "STAT|LSTAT".
func (o SFTPOp) String() string {
	if o == 0 {
		return "any"
	}
	var names []string
	for rest := o; rest != 0; rest &= rest - 1 {
		if i := bits.TrailingZeros32(uint32(rest)); i < sftpOps {
			names = append(names, sftpOpNames[i])
		}
	}
	return strings.Join(names, "|")
}

func (o SFTPOp) matches(one SFTPOp) bool { return o == 0 || o&one != 0 }

// SFTPStatus is a status code of SFTP. Servers in the field send codes of later versions too; any number will do.
type SFTPStatus uint32

// Status codes of SFTP version 3, and those of later versions that servers send nevertheless.
const (
	StatusOK               SFTPStatus = 0
	StatusEOF              SFTPStatus = 1
	StatusNoSuchFile       SFTPStatus = 2
	StatusPermissionDenied SFTPStatus = 3
	StatusFailure          SFTPStatus = 4
	StatusBadMessage       SFTPStatus = 5
	StatusNoConnection     SFTPStatus = 6
	StatusConnectionLost   SFTPStatus = 7
	StatusOpUnsupported    SFTPStatus = 8
	StatusFileExists       SFTPStatus = 11
	StatusNoSpace          SFTPStatus = 14
	StatusQuotaExceeded    SFTPStatus = 15
)

var statusTexts = map[SFTPStatus]string{
	StatusOK: "Success", StatusEOF: "End of file", StatusNoSuchFile: "No such file",
	StatusPermissionDenied: "Permission denied", StatusFailure: "Failure", StatusBadMessage: "Bad message",
	StatusNoConnection: "No connection", StatusConnectionLost: "Connection lost",
	StatusOpUnsupported: "Operation unsupported", StatusFileExists: "File already exists",
	StatusNoSpace: "No space on filesystem", StatusQuotaExceeded: "Quota exceeded",
}

// String returns the text that OpenSSH's server sends with the code.
func (s SFTPStatus) String() string {
	if text, ok := statusTexts[s]; ok {
		return text
	}
	return fmt.Sprintf("Status %d", uint32(s))
}
