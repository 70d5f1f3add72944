package awsapi

import (
	"fmt"

	"github.com/seed62b9dc43/transfer"
)

// EventSource is what events say of where they come from, beside the file.
type EventSource = transfer.EventBridgeSource

// ErrNotFinished says that there is no event for a file yet: AWS has them for files that were completed or have failed.
var ErrNotFinished = transfer.ErrNotFinished

// Event returns the event that AWS Transfer Family sends to Amazon EventBridge when the file of a row has ended, as
// [transfer.Event.EventBridge] says. The error is ErrNotFinished for a file that is still on its way.
func Event(row *transfer.TransferRow, from EventSource) ([]byte, error) {
	e := row.Event()
	return e.EventBridge(from)
}

func formatUUID(u []byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:16])
}

// connectorARN is the Amazon Resource Name of a connector.
func connectorARN(region, accountID, connectorID string) string {
	return "arn:aws:transfer:" + region + ":" + accountID + ":connector/" + connectorID
}
