package sftpx

import (
	"fmt"
	"io/fs"
)

// Profile is how one partner's server is to be treated. The zero value suits servers that do what OpenSSH does, and finds
// out the rest by itself where that is safe. [Connector.TestConnection] suggests one; [Config] embeds it.
type Profile struct {
	// RenameMode is how a delivered file gets its name. 0 is RenameAuto.
	RenameMode RenameMode
	// TempName is the name of a file under way: %k stands for the delivery's key and must be in it, %n for the
	// target's own name. It is relative to the target's directory; with slashes it names another one, which must be
	// on the same file system. Listings leave such names out, unless there is nothing but %k and %n to know them by. Empty
	// means ".transfer-%k.part".
	TempName string
	// Verify is what is asked after a delivered file was closed. 0 is VerifySize.
	Verify Verify
	// MaxPacket is how many bytes one READ or WRITE carries at most. 0 is 32 KiB, which every server must take
	// (draft-ietf-secsh-filexfer-02, section 3), and 255 KiB for OpenSSH since 8.5, or what a server says to take
	// (limits@openssh.com). One that answers shorter is noticed, and asked for less from then on. At most 255 KiB.
	MaxPacket int

	// ReadOnce is for mailboxes, which hand out a file once. Nothing but READ is sent between OPEN and CLOSE (as
	// always). Once a byte was read, a failure is final: READ_FILE_ERROR, which is not retryable. Nothing goes on in
	// mid-file, so no modification time is reported: a file that was interrupted by a pause or a shutdown is asked
	// for from the start, and may be gone. Prefer not to interrupt.
	ReadOnce bool
	// Sequential sends one request at a time and waits for its answer, in order, for servers that know no better. It
	// costs a round trip for each packet, and makes 1 the default of FilesPerConnection; with more, each file has one
	// request under way.
	Sequential bool
	// NoResume starts a delivery that was interrupted again at zero, for servers that cannot open a file once more to
	// write in the middle of it. A server that refuses that is noticed, and remembered as long as the connector lives.
	NoResume bool

	// PreserveTimes gives a delivered file the time at which its source was last changed, in whole seconds. A server
	// that refuses does not fail the delivery.
	PreserveTimes bool
	// FileMode is the permissions of delivered files, such as 0o640. 0 leaves them to the server. A server that
	// refuses does not fail the delivery.
	FileMode fs.FileMode
}

// RenameMode is how a delivered file gets its name.
type RenameMode int

const (
	// RenameAuto writes to a temporary name and renames: in one step where the server has posix-rename@openssh.com,
	// else by removing an old file first.
	RenameAuto RenameMode = iota
	// RenameDirect writes to the final name, for servers that cannot rename. Others see the file grow, and a
	// delivery that fails has already destroyed an older file.
	RenameDirect
	// RenamePosix renames by posix-rename@openssh.com only, so that an old file is replaced in one step or not at all.
	// A server without it fails with UNSUPPORTED_OPERATION_ERROR before anything is moved.
	RenamePosix
	// RenamePlain renames by SFTP's own RENAME and never removes a file: one that is there at the target fails with
	// FILE_EXISTS, whatever the overwrite policy. It is for accounts that may not remove.
	RenamePlain
	// RenameReplace removes an old file first and then renames by SFTP's own RENAME, for servers that advertise
	// posix-rename and do it wrong. For a moment there is no file.
	RenameReplace

	renameModes = iota
)

// Verify is what is asked after every WRITE and the CLOSE of a delivered file were acknowledged.
type Verify int

const (
	// VerifySize compares the size that the server says before the file gets its name. A server that may not say it
	// (permission denied, unsupported) is believed. One that says that there is no file is believed only if the rename
	// that follows finds it.
	VerifySize Verify = iota
	// VerifyStrict compares the size, and a server that does not say it fails the delivery.
	VerifyStrict
	// VerifyLenient compares the size, and believes a server that says that there is no file: the partner may have
	// taken it already.
	VerifyLenient
	// VerifyNone asks nothing: the acknowledgements must do. It saves a round trip for each file.
	VerifyNone

	verifyModes = iota
)

func (p Profile) validate(wrong func(field, format string, args ...any)) {
	if p.RenameMode < 0 || p.RenameMode >= renameModes {
		wrong("RenameMode", "is %d (try sftpx.RenameAuto)", p.RenameMode)
	}
	if problem := tempNameProblem(p.TempName); problem != "" {
		wrong("TempName", "is %q: %s", shorten(p.TempName, 80), problem)
	}
	if p.Verify < 0 || p.Verify >= verifyModes {
		wrong("Verify", "is %d (try sftpx.VerifySize)", p.Verify)
	}
	if p.MaxPacket != 0 && (p.MaxPacket < smallPacket || p.MaxPacket > largePacket) {
		wrong("MaxPacket", "is %d (from %d to %d bytes; 0 is the default)", p.MaxPacket, smallPacket, largePacket)
	}
	if p.FileMode&^fs.ModePerm != 0 {
		wrong("FileMode", "is %#o: only permissions can be set (try 0o640)", uint32(p.FileMode))
	}
}

var renameNames = [renameModes]string{"RenameAuto", "RenameDirect", "RenamePosix", "RenamePlain", "RenameReplace"}

// String returns the constant's name.
func (m RenameMode) String() string {
	if m < 0 || m >= renameModes {
		return fmt.Sprintf("RenameMode(%d)", int(m))
	}
	return renameNames[m]
}

var verifyNames = [verifyModes]string{"VerifySize", "VerifyStrict", "VerifyLenient", "VerifyNone"}

// String returns the constant's name.
func (v Verify) String() string {
	if v < 0 || v >= verifyModes {
		return fmt.Sprintf("Verify(%d)", int(v))
	}
	return verifyNames[v]
}
