package transfer

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

// Status is the status of a file in Waarp's vocabulary (Waarp R66 REST v2, "status").
type Status string

// Waarp's statuses.
const (
	StatusToSubmit    Status = "TOSUBMIT"    // not started, or waiting for its next attempt
	StatusNotUpdated  Status = "NOTUPDATED"  // published, and never that of a file: a filter finds nothing
	StatusRunning     Status = "RUNNING"     // being moved
	StatusInterrupted Status = "INTERRUPTED" // paused by the user, or its node stopped
	StatusDone        Status = "DONE"        // delivered
	StatusInError     Status = "INERROR"     // failed or cancelled: final
	StatusUnknown     Status = "UNKNOWN"     // of a row that this version cannot read
)

// statuses lists them in the published order.
var statuses = []Status{StatusToSubmit, StatusNotUpdated, StatusRunning, StatusInterrupted, StatusDone, StatusInError, StatusUnknown}

func (s Status) known() bool { return slices.Contains(statuses, s) }

// waarpStatus is a pure function of the row, total over all states.
func waarpStatus(f *store.File) Status {
	switch f.State {
	case store.Queued, store.Waiting:
		return StatusToSubmit
	case store.Running:
		return StatusRunning
	case store.Paused, store.Interrupted:
		return StatusInterrupted
	case store.Failed, store.Cancelled:
		return StatusInError
	case store.Done:
		return StatusDone
	}
	return StatusUnknown
}

// statesOf is the inverse image of waarpStatus.
func statesOf(s Status) []store.State {
	var states []store.State
	for _, state := range store.States() {
		if waarpStatus(&store.File{State: state}) == s {
			states = append(states, state)
		}
	}
	return states
}

// GlobalStep is the part of its work that a file is in, in Waarp's vocabulary (globalStep and globalLastStep).
type GlobalStep string

// Waarp's global steps.
const (
	StepNoTask       GlobalStep = "NOTASK"
	StepPreTask      GlobalStep = "PRETASK"
	StepTransferTask GlobalStep = "TRANSFERTASK"
	StepPostTask     GlobalStep = "POSTTASK"
	StepAllDoneTask  GlobalStep = "ALLDONETASK"
	StepErrorTask    GlobalStep = "ERRORTASK"
)

// TransferRecord is a file in the shape of Waarp R66 REST v2: the seventeen published fields, and no other. Where the
// published text and Waarp's server differ, the text counts.
type TransferRecord struct {
	ID               int64      `json:"id"`
	GlobalStep       GlobalStep `json:"globalStep"`
	GlobalLastStep   GlobalStep `json:"globalLastStep"` // the last step entered that is not ERRORTASK: where a retry goes on
	Step             int        `json:"step"`           // index of the task in the step's chain; 0 without tasks
	Rank             int64      `json:"rank"`           // blocks acknowledged
	Status           Status     `json:"status"`
	StepStatus       string     `json:"stepStatus"` // the name of Waarp's error code, such as "FileNotFound"
	OriginalFilename string     `json:"originalFilename"`
	Filename         string     `json:"filename"`
	RuleName         string     `json:"ruleName"`
	BlockSize        int64      `json:"blockSize"`    // bytes; 0 until known
	FileInfo         string     `json:"fileInfo"`     // the metadata as a JSON object
	TransferInfo     string     `json:"transferInfo"` // why it failed, or empty
	Start            string     `json:"start"`        // RFC 3339 in UTC with milliseconds
	Stop             string     `json:"stop"`         // time of the last event, in the same form
	Requester        string     `json:"requester"`    // our side
	Requested        string     `json:"requested"`    // the partner
}

// waarpTime is RFC 3339 in UTC with exactly three digits of milliseconds.
const waarpTime = "2006-01-02T15:04:05.000Z"

func newRecord(f *store.File, requester string) TransferRecord {
	info := []byte("{}")
	if len(f.Metadata) > 0 {
		info, _ = json.Marshal(f.Metadata) // strings only
	}
	last := lastStep(f)
	return TransferRecord{
		ID:               f.ID,
		GlobalStep:       globalStep(f, last),
		GlobalLastStep:   last,
		Step:             taskStep(f),
		Rank:             f.Rank,
		Status:           waarpStatus(f),
		StepStatus:       stepStatus(f),
		OriginalFilename: f.SourcePath,
		Filename:         f.LocalPath(),
		RuleName:         f.RuleName,
		BlockSize:        f.BlockSize,
		FileInfo:         string(info),
		TransferInfo:     f.Message,
		Start:            waarpTimeOf(f.Start()),
		Stop:             waarpTimeOf(f.UpdatedAt),
		Requester:        requester,
		Requested:        f.Partner,
	}
}

func waarpTimeOf(t time.Time) string { return t.UTC().Format(waarpTime) }

// lastStep is the last step entered that is not ERRORTASK. The rename comes before tasks that follow the transfer, and so
// belongs to TRANSFERTASK.
func lastStep(f *store.File) GlobalStep {
	if f.State == store.Done {
		return StepAllDoneTask
	}
	switch f.Phase &^ store.PhaseErrors {
	case store.PhaseBefore:
		return StepPreTask
	case store.PhaseData, store.PhaseFinalize:
		return StepTransferTask
	case store.PhaseAfter:
		return StepPostTask
	}
	return StepNoTask
}

// globalStep is where the file is, or goes on: ERRORTASK while its error-tasks run, and once it has failed.
func globalStep(f *store.File, last GlobalStep) GlobalStep {
	if f.State == store.Failed || f.State == store.Cancelled || f.State != store.Done && f.Phase&store.PhaseErrors != 0 {
		return StepErrorTask
	}
	return last
}

// taskStep is the index of the task that runs, or is next, in the chain of the file's step; of a file that failed, of the
// one that did. Waarp has -1 before the first one; the published minimum is 0.
func taskStep(f *store.File) int {
	if f.State == store.Done {
		return 0
	}
	switch {
	case f.Phase&store.PhaseErrors != 0, f.Phase == store.PhaseBefore, f.Phase == store.PhaseAfter:
		return max(0, f.Task)
	}
	return 0
}

// stepStatus is the name of Waarp's error code for the file.
func stepStatus(f *store.File) string {
	switch f.State {
	case store.Running:
		return "Running"
	case store.Done:
		return "CompleteOk"
	case store.Paused:
		return "StoppedTransfer"
	case store.Interrupted:
		return "Shutdown"
	case store.Cancelled:
		return "CanceledTransfer"
	case store.Failed, store.Waiting:
		if f.Code == "" && f.State == store.Waiting { // for the partner's receipt
			return "TransferOk"
		}
		return waarpCause(Code(f.Code), Code(f.Detail))
	}
	return "Unknown"
}

// waarpCause is the name of Waarp's error code for a failure: that of the finer cause, or else of the published code.
func waarpCause(code, detail Code) string {
	for _, c := range []Code{detail, code} {
		if name, ok := waarpCauses[c]; ok {
			return name
		}
		if name, ok := as2Codes[c]; ok {
			return name
		}
	}
	return "Unknown"
}

var waarpCauses = map[Code]string{
	HostNotFound: "NotKnownHost", ConnectorDeleted: "NotKnownHost", ConnectionRefused: "ConnectionImpossible", ConnectTimeout: "ConnectionImpossible", OutsideWindow: "ConnectionImpossible",
	KeyExchangeFailed: "ConnectionImpossible", ConnectionError: "ConnectionImpossible",
	HostKeyMismatch: "BadAuthent", AuthenticationFailed: "BadAuthent", AssumeRoleError: "BadAuthent",
	PartnerBusy: "ServerOverloaded", ConnectionLost: "Disconnection", OperationTimeout: "Disconnection", Stalled: "Disconnection",
	TimeoutError: "Disconnection", PermissionDenied: "FileNotAllowed", PathEscapes: "FileNotAllowed", FileExists: "FileNotAllowed",
	IsDirectory: "FileNotAllowed", AlreadyTransferred: "FileNotAllowed", SendFileNotFound: "FileNotFound", RetrieveFileNotFound: "FileNotFound",
	FileNotFound: "FileNotFound", DirectoryNotFound: "FileNotFound", PathNotFound: "FileNotFound", NoSpace: "SizeNotAllowed",
	QueueExpired: "TransferError", IntegrityError: "TransferError", SizeMismatch: "TransferError", SourceChanged: "TransferError", ReadFileError: "TransferError", WriteFileError: "TransferError",
	RenameError: "FinalOp", DeleteError: "ExternalOp", ListDirectoryError: "ExternalOp", UnsupportedOperationError: "Unimplemented",
	TaskFailed: "ExternalOp", TaskInterrupted: "ExternalOp", RuleNotFound: "IncorrectCommand", InternalError: "Internal", Cancelled: "CanceledTransfer",
}
