package transfer

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"
)

// EventBridgeSource is what events in AWS's form say of where they come from, beside the file.
type EventBridgeSource struct {
	Region       string // default "us-east-1"
	AccountID    string // default "000000000000"
	ConnectorURL string // of the file's connector, such as "sftp://partner.example"; left out if empty
}

// ErrNotFinished says that AWS has no event for this: it has them for files that were completed or have failed.
var ErrNotFinished = errors.New("transfer: AWS has an event only for a file that is COMPLETED or FAILED")

// EventBridge returns the event that AWS Transfer Family sends to Amazon EventBridge when a file of an SFTP connector has
// ended, as JSON, so that rules and targets written for AWS's work on it: "SFTP Connector File Send Completed", … Failed,
// and the same with Retrieve. There is one for each file. The event of a file has the same id each time.
//
// The bucket of a file in our storage is the first part of its path, whatever the storage is. Directories in an event
// are those of the file, cleaned, where AWS has them as requested. file-transfer-id is "<transfer id>/<FileID>".
//
// AWS has no event for a whole transfer. EventTransferFinished has the same envelope with the source "transfer", the
// detail-type "File Transfer Finished", and the Event itself as its detail. All others are ErrNotFinished.
func (e *Event) EventBridge(from EventBridgeSource) ([]byte, error) {
	fill(&from.Region, "us-east-1")
	fill(&from.AccountID, "000000000000")
	envelope := bridgeEvent{
		Version: "0", ID: e.ID, Account: from.AccountID, Time: e.Time.UTC().Format(time.RFC3339), Region: from.Region,
		Resources: []string{"arn:aws:transfer:" + from.Region + ":" + from.AccountID + ":connector/" + e.ConnectorID},
	}
	switch {
	case e.Type == EventTransferFinished:
		envelope.Source, envelope.DetailType, envelope.Detail = "transfer", "File Transfer Finished", e
	case !e.Type.final():
		return nil, ErrNotFinished
	default:
		envelope.Source, envelope.DetailType, envelope.Detail = "aws.transfer", e.detailType(), e.bridgeDetail(from)
	}
	text, err := json.Marshal(envelope)
	if err != nil {
		return nil, fmt.Errorf("encode event: %w", err)
	}
	return text, nil
}

func (e *Event) detailType() string {
	direction, outcome := "Retrieve", "Completed"
	if e.Operation == operationSend {
		direction = "Send"
	}
	if e.StatusCode == TransferTableStatusFailed {
		outcome = "Failed"
	}
	return "SFTP Connector File " + direction + " " + outcome
}

// bridgeEvent is the envelope that all events of EventBridge have.
type bridgeEvent struct {
	Version    string   `json:"version"`
	ID         string   `json:"id"`
	DetailType string   `json:"detail-type"`
	Source     string   `json:"source"`
	Account    string   `json:"account"`
	Time       string   `json:"time"`
	Region     string   `json:"region"`
	Resources  []string `json:"resources"`
	Detail     any      `json:"detail"`
}

// bridgeDetail is what AWS's user guide has for files of SFTP connectors ("EventBridge events detail reference").
type bridgeDetail struct {
	Operation           string          `json:"operation"`
	ConnectorID         string          `json:"connector-id"`
	TransferID          string          `json:"transfer-id"`
	FileTransferID      string          `json:"file-transfer-id"`
	URL                 string          `json:"url,omitempty"`
	FilePath            string          `json:"file-path"`
	StatusCode          string          `json:"status-code"`
	FailureCode         string          `json:"failure-code,omitempty"`
	FailureMessage      string          `json:"failure-message,omitempty"`
	StartTimestamp      string          `json:"start-timestamp,omitempty"`
	EndTimestamp        string          `json:"end-timestamp"`
	LocalDirectoryPath  *string         `json:"local-directory-path,omitempty"`
	RemoteDirectoryPath *string         `json:"remote-directory-path,omitempty"`
	Bytes               int64           `json:"bytes"`
	EgressType          string          `json:"egress-type"`
	LocalFileLocation   *bridgeLocation `json:"local-file-location,omitempty"`
}

type bridgeLocation struct {
	Domain string `json:"domain"`
	Bucket string `json:"bucket"`
	Key    string `json:"key"`
}

// bridgeTime is a time of a detail: six digits, as AWS's samples have.
const bridgeTime = "2006-01-02T15:04:05.000000Z"

func (e *Event) bridgeDetail(from EventBridgeSource) bridgeDetail {
	d := bridgeDetail{
		Operation:      e.Operation,
		ConnectorID:    e.ConnectorID,
		TransferID:     e.TransferID,
		FileTransferID: fileEventName(e.TransferID, e.FileID),
		URL:            from.ConnectorURL,
		FilePath:       e.FilePath,
		StatusCode:     string(e.StatusCode),
		EndTimestamp:   e.Time.UTC().Format(bridgeTime),
		EgressType:     "SERVICE_MANAGED",
	}
	if !e.StartedAt.IsZero() {
		d.StartTimestamp = e.StartedAt.UTC().Format(bridgeTime)
	}
	local, directory := e.TargetPath, path.Dir(e.TargetPath)
	if e.Operation == operationSend {
		local = e.FilePath
		if directory == "." {
			directory = "" // the home directory
		}
		d.RemoteDirectoryPath = &directory
	} else {
		d.LocalDirectoryPath = &directory
	}
	if e.StatusCode == TransferTableStatusFailed {
		d.FailureCode, d.FailureMessage = string(e.FailureCode), e.FailureMessage
		return d
	}
	d.Bytes, d.LocalFileLocation = e.BytesTransferred, newBridgeLocation(local)
	return d
}

// newBridgeLocation takes the first part of a path for the bucket.
func newBridgeLocation(file string) *bridgeLocation {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(file, "/"), "/")
	return &bridgeLocation{Domain: "S3", Bucket: bucket, Key: key}
}
