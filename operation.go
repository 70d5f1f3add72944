package transfer

import "time"

// StartDirectoryListingInput asks for the names in a directory of the partner.
type StartDirectoryListingInput struct {
	ConnectorID         string // required
	RemoteDirectoryPath string // absolute, or relative to the home directory; required
	OutputDirectoryPath string // where the listing file goes in our storage; required
	MaxItems            int32  // files and directories together: 1 to 200,000; default 1,000
}

// StartDirectoryListingOutput answers a StartDirectoryListing.
type StartDirectoryListingOutput struct {
	ListingID      string
	OutputFileName string // of the listing file: "<connector id>-<listing id>.json"
}

// StartRemoteDeleteInput asks to remove one file, or one directory that is empty.
type StartRemoteDeleteInput struct {
	ConnectorID string // required
	DeletePath  string // absolute, or relative to the home directory; required
}

// StartRemoteDeleteOutput answers a StartRemoteDelete.
type StartRemoteDeleteOutput struct {
	DeleteID string
}

// StartRemoteMoveInput asks to rename one file or directory.
type StartRemoteMoveInput struct {
	ConnectorID string // required
	SourcePath  string // absolute, or relative to the home directory; required
	TargetPath  string // likewise; required. What is there already is not replaced
}

// StartRemoteMoveOutput answers a StartRemoteMove.
type StartRemoteMoveOutput struct {
	MoveID string
}

// DescribeRemoteOperationInput names a listing, a removal or a move.
type DescribeRemoteOperationInput struct {
	OperationID string // a ListingID, DeleteID or MoveID; required
}

// RemoteOperationKind is what an operation does.
type RemoteOperationKind string

// Kinds of operations.
const (
	RemoteList   RemoteOperationKind = "LIST"
	RemoteDelete RemoteOperationKind = "DELETE"
	RemoteMove   RemoteOperationKind = "MOVE"
)

// DescribeRemoteOperationOutput tells how an operation goes. AWS has no such call.
type DescribeRemoteOperationOutput struct {
	OperationID string
	ConnectorID string
	Kind        RemoteOperationKind
	Path        string // what is listed, removed or moved
	TargetPath  string // of RemoteMove; of RemoteList where the listing file is

	StatusCode     TransferTableStatus // IN_PROGRESS, COMPLETED or FAILED
	FailureCode    Code
	FailureMessage string // host, path and cause
	FailureDetail  Code   // the finer cause; may be empty

	Items      int       // of RemoteList: in the listing file
	LeftOut    int       // of RemoteList: names that are not, because no request could name them
	Truncated  bool      // of RemoteList: there were more
	CreatedAt  time.Time // UTC
	FinishedAt time.Time // zero until final
}
