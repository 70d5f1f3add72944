package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"
)

// Storage is a place that files are read from and delivered to: a directory ([Dir]), memory ([Memory]), S3 (package
// s3x), several of them under path prefixes ([Mount]), or a partner's server (a [Remote]).
//
// Methods MUST be safe for concurrent use and MUST return promptly once ctx has ended. Paths are slash-separated.
// Errors MUST carry their cause where it is known: a standard error (fs.ErrNotExist, fs.ErrPermission, fs.ErrExist,
// syscall.ENOSPC) or an [Error]; CodeOf tells which. storagetest.Run checks an implementation.
type Storage interface {
	// Open pins one version of the file at path for reading. A missing file is FileNotFound, a directory
	// IsDirectory.
	Open(ctx context.Context, path string) (Source, error)

	// Create begins the delivery of a file of o.Size bytes to path. Until Commit nobody sees anything at path that
	// was not there before. If o.Overwrite does not allow to replace a file that is there, Create MUST fail with
	// FileExists. A missing parent directory is DirectoryNotFound where the storage does not create it.
	Create(ctx context.Context, path string, o CreateOptions) (Sink, error)

	// Discard removes what an unfinished delivery of o.Key left behind, as Abort of its Sink would have: the temporary
	// file, or the upload that o.Checkpoint names (nil where none is known). It makes nothing, it does not look at what
	// was written, and where nothing is left it does nothing. It MUST NOT touch what was published at path. A storage
	// whose deliveries are under their final names from the beginning does nothing.
	Discard(ctx context.Context, path string, o CreateOptions) error
}

// Source is one pinned version of one file.
type Source interface {
	// Info is what was known of the file before it was opened. It MUST NOT change.
	Info() FileInfo

	// ReadWindow fills p wholly with the bytes from off on, or fails. It never reads past Info().Size. If the file
	// is no longer the pinned version it MUST fail, with SourceChanged where the storage can tell, or SizeMismatch
	// where bytes are missing.
	ReadWindow(ctx context.Context, p []byte, off int64) error

	// Concurrency is how many ReadWindow calls may run at once, at least 1. With 1, windows are asked for in
	// order.
	Concurrency() int

	// Close frees what the source holds. The caller closes it once, after the last ReadWindow has returned.
	Close() error
}

// Sink receives one file. The caller ends it with Commit or Abort, or with neither if a later Create with its
// Checkpoint shall go on, and then always with Close.
type Sink interface {
	// WriteWindow writes p at off. It returns nil once the far end has acknowledged all of p.
	// Windows start at multiples of CreateOptions.WindowSize and all but the last are that long; an empty file has
	// none. A window may come again, with the same bytes, after an interruption. A sink may hold
	// the window of a file that has only one: p stays unchanged until Close has returned in that case, and only
	// until WriteWindow has returned in all others. With UnknownSize the window at 0 is known to be the only one if it is
	// shorter than WindowSize; and a sink MUST refuse what lies behind a window that is shorter, with SizeMismatch.
	WriteWindow(ctx context.Context, p []byte, off int64) error

	// Concurrency is how many WriteWindow calls may run at once, at least 1. With 1, windows come in order.
	Concurrency() int

	// Checkpoint returns what a later Create needs to go on with this delivery: it covers at least every window
	// that was acknowledged before the call. Nil means that there is nothing to go on with. It may be called while
	// WriteWindow, Commit or Abort runs, and MUST NOT wait for the far end. With UnknownSize it is for Discard alone.
	Checkpoint() []byte

	// Commit checks that Size bytes have arrived and publishes the file whole, under CreateOptions.Overwrite. sum
	// is the SHA-256 of the content. With UnknownSize the file ends where the last window did, and Commit checks that
	// there is no gap. After a failed Commit the caller calls Abort.
	Commit(ctx context.Context, sum [sha256.Size]byte) error

	// Abort removes what was written so far. After a successful Commit it MUST do nothing.
	Abort(ctx context.Context) error

	// Close frees what the sink holds in this process and leaves the rest as it is.
	Close() error
}

// FileInfo is the size and identity of one version of a file.
type FileInfo struct {
	Size    int64     // bytes
	ModTime time.Time // zero if the storage does not say
	ETag    string    // changes with the content; empty if the storage has none
	// ContentType is the MIME type that the storage keeps with the file, if it does; it is no part of the identity.
	ContentType string
}

// Identity tells versions of one file apart: the ETag, or else size and modification time. With neither ETag nor
// modification time there is no telling, and a delivery that was interrupted starts again at zero. It is one line of valid
// UTF-8 of up to 260 characters: an ETag that is not, from a strange server, is hashed.
func (i FileInfo) Identity() string {
	switch {
	case i.ETag == "":
	case validText(i.ETag, 1, maxNameLength):
		return "etag:" + i.ETag
	default:
		sum := sha256.Sum256([]byte(i.ETag))
		return "hash:" + hex.EncodeToString(sum[:])
	}
	text := append(make([]byte, 0, 48), "stat:"...)
	text = append(strconv.AppendInt(text, i.Size, 10), ':')
	return string(strconv.AppendInt(text, i.ModTime.UnixMicro(), 10))
}

// versioned reports whether Identity tells versions of equal size apart.
func (i FileInfo) versioned() bool { return i.ETag != "" || !i.ModTime.IsZero() }

// CreateOptions says what is going to be delivered.
type CreateOptions struct {
	Size       int64     // bytes, exactly, or UnknownSize
	WindowSize int64     // bytes of every window but the last; at least 1
	Overwrite  Overwrite // what to do if the target is there
	// Key names this delivery: 16 to 64 characters of [0-9a-f]. Temporary names are made from it, so that a second
	// attempt meets what the first one left, and two versions of the source never meet.
	Key string
	// Checkpoint, if not nil, is what an earlier Sink for the same path, Size, WindowSize and Key returned: windows
	// that it had acknowledged need not come again. If what it speaks of is gone or damaged, Create MUST fail with
	// CheckpointLost; the caller then starts at zero without it. With UnknownSize it MUST fail so in any case.
	Checkpoint []byte
	// ModTime is when the source was last changed, zero if that is not known. A storage that was asked to preserve it
	// gives it to the delivered file as well as it can; it never fails a delivery.
	ModTime time.Time
	// Origin says which file of which transfer this is. A storage may leave it aside; Discard gets none.
	Origin Origin
}

// UnknownSize is the Size of a delivery whose length is known only when it is committed, as that of content that is
// compressed on its way. It cannot go on after an interruption.
const UnknownSize int64 = -1

// CheckpointLost is the cause that Create reports when it cannot go on from a Checkpoint. It never reaches a result:
// the file starts again at zero.
const CheckpointLost Code = "CHECKPOINT_LOST"

// Verify says how sure a file must be before it is COMPLETED.
type Verify string

// Levels of Verify. The empty one is VerifySize. At each, the SHA-256 of the content is computed on the way and kept.
const (
	VerifySize Verify = "SIZE" // every byte was acknowledged, and the target has the size of the source
	// VerifyReadBack reads the target after it was published and compares its SHA-256. It costs the file once more. What
	// differs fails with WRITE_FILE_ERROR, detail INTEGRITY_ERROR, and stays where it is; so does, as READ_FILE_ERROR
	// or the like, what cannot be read back, as where a partner takes files away at once.
	VerifyReadBack Verify = "READ_BACK"
)

func (v Verify) valid() bool { return v == "" || v == VerifySize || v == VerifyReadBack }

// Overwrite says what happens if the target of a file is there already.
type Overwrite string

// Overwrite policies. The empty one is OverwriteReplace. If a node dies after a file was published and before that was
// recorded, the next attempt finds it there, compares the content, and is done, whatever the policy.
const (
	OverwriteReplace Overwrite = "REPLACE" // the new file takes its place
	OverwriteFail    Overwrite = "FAIL"    // the file fails with WRITE_FILE_ERROR, detail FILE_EXISTS
	OverwriteSkip    Overwrite = "SKIP"    // the file is completed without moving a byte; its result says Skipped
)

func (o Overwrite) valid() bool {
	return o == "" || o == OverwriteReplace || o == OverwriteFail || o == OverwriteSkip
}

// Replaces reports whether a file that is there may be replaced.
func (o Overwrite) Replaces() bool { return o == "" || o == OverwriteReplace }
