package awsapi

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/seed62b9dc43/transfer"
)

// EventSource is what events say of where they come from, beside the file.
type EventSource struct {
	Region       string // default "us-east-1"
	AccountID    string // default "000000000000"
	ConnectorURL string // of the file's connector, such as "sftp://partner.example"; left out if empty
}

// ErrNotFinished says that there is no event for a file yet: AWS has them for files that were completed or have failed.
var ErrNotFinished = errors.New("awsapi: the file is neither COMPLETED nor FAILED")

// Event returns the event that AWS Transfer Family sends to Amazon EventBridge when a file of an SFTP connector has
// ended, as JSON, so that rules and targets written for AWS's work on it: "SFTP Connector File Send Completed", … Failed,
// and the same with Retrieve. There is one for each file and none for a transfer as a whole. The event of a file has the
// same id each time.
//
// The bucket of a file in our storage is the first part of its path, whatever the storage is. Directories in an event
// are those of the file, cleaned, where AWS has them as requested. file-transfer-id is "<transfer id>/<FileID>".
//
// The error is ErrNotFinished for a file that is still on its way.
func Event(row *transfer.TransferRow, from EventSource) ([]byte, error) {
	if row.StatusCode != transfer.TransferTableStatusCompleted && row.StatusCode != transfer.TransferTableStatusFailed {
		return nil, ErrNotFinished
	}
	fill(&from.Region, defaultRegion)
	fill(&from.AccountID, defaultAccountID)
	outcome := "Completed"
	detail := newDetail(row, from)
	if row.StatusCode == transfer.TransferTableStatusFailed {
		outcome = "Failed"
	}
	direction := "Retrieve"
	if row.Sent {
		direction = "Send"
	}
	text, err := json.Marshal(event{
		Version:    "0",
		ID:         eventID(detail.FileTransferID),
		DetailType: "SFTP Connector File " + direction + " " + outcome,
		Source:     "aws.transfer",
		Account:    from.AccountID,
		Time:       row.FinishedAt.UTC().Format(time.RFC3339),
		Region:     from.Region,
		Resources:  []string{connectorARN(from.Region, from.AccountID, row.ConnectorID)},
		Detail:     detail,
	})
	if err != nil {
		return nil, fmt.Errorf("encode event: %w", err)
	}
	return text, nil
}

// event is the envelope that all events of EventBridge have.
type event struct {
	Version    string   `json:"version"`
	ID         string   `json:"id"`
	DetailType string   `json:"detail-type"`
	Source     string   `json:"source"`
	Account    string   `json:"account"`
	Time       string   `json:"time"`
	Region     string   `json:"region"`
	Resources  []string `json:"resources"`
	Detail     detail   `json:"detail"`
}

// detail is what AWS's user guide has for files of SFTP connectors ("EventBridge events detail reference").
type detail struct {
	Operation           string    `json:"operation"`
	ConnectorID         string    `json:"connector-id"`
	TransferID          string    `json:"transfer-id"`
	FileTransferID      string    `json:"file-transfer-id"`
	URL                 string    `json:"url,omitempty"`
	FilePath            string    `json:"file-path"`
	StatusCode          string    `json:"status-code"`
	FailureCode         string    `json:"failure-code,omitempty"`
	FailureMessage      string    `json:"failure-message,omitempty"`
	StartTimestamp      string    `json:"start-timestamp,omitempty"`
	EndTimestamp        string    `json:"end-timestamp"`
	LocalDirectoryPath  *string   `json:"local-directory-path,omitempty"`
	RemoteDirectoryPath *string   `json:"remote-directory-path,omitempty"`
	Bytes               int64     `json:"bytes"`
	EgressType          string    `json:"egress-type"`
	LocalFileLocation   *location `json:"local-file-location,omitempty"`
}

type location struct {
	Domain string `json:"domain"`
	Bucket string `json:"bucket"`
	Key    string `json:"key"`
}

// eventTime is a time of a detail: six digits, as AWS's samples have.
const eventTime = "2006-01-02T15:04:05.000000Z"

func newDetail(row *transfer.TransferRow, from EventSource) detail {
	d := detail{
		Operation:      "RETRIEVE",
		ConnectorID:    row.ConnectorID,
		TransferID:     row.TransferID,
		FileTransferID: row.TransferID + "/" + strconv.FormatInt(row.FileID, 10),
		URL:            from.ConnectorURL,
		FilePath:       row.FilePath,
		StatusCode:     string(row.StatusCode),
		EndTimestamp:   row.FinishedAt.UTC().Format(eventTime),
		EgressType:     "SERVICE_MANAGED",
	}
	if !row.StartedAt.IsZero() {
		d.StartTimestamp = row.StartedAt.UTC().Format(eventTime)
	}
	local, directory := row.TargetPath, path.Dir(row.TargetPath)
	if row.Sent {
		d.Operation, local = "SEND", row.FilePath
		if directory == "." {
			directory = "" // the home directory
		}
		d.RemoteDirectoryPath = &directory
	} else {
		d.LocalDirectoryPath = &directory
	}
	if row.StatusCode == transfer.TransferTableStatusFailed {
		d.FailureCode, d.FailureMessage = string(row.FailureCode), row.FailureMessage
		return d
	}
	d.Bytes, d.LocalFileLocation = row.BytesTransferred, newLocation(local)
	return d
}

// newLocation takes the first part of a path for the bucket.
func newLocation(file string) *location {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(file, "/"), "/")
	return &location{Domain: "S3", Bucket: bucket, Key: key}
}

// eventID is a UUID (RFC 9562, version 8) that depends on the file only: whoever gets an event twice can tell.
func eventID(fileTransferID string) string {
	u := sha256.Sum256([]byte("event of " + fileTransferID))
	u[6], u[8] = u[6]&0x0f|0x80, u[8]&0x3f|0x80
	return formatUUID(u[:])
}

func formatUUID(u []byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:16])
}

// connectorARN is the Amazon Resource Name of a connector.
func connectorARN(region, accountID, connectorID string) string {
	return "arn:aws:transfer:" + region + ":" + accountID + ":connector/" + connectorID
}
