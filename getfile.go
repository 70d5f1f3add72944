package transfer

import (
	"context"
	"strconv"

	"github.com/seed62b9dc43/transfer/store"
)

// GetFile returns the row of one file by its FileID.
//
// Errors: ResourceNotFoundException (ResourceType "File") for an id that no file has, ServiceUnavailableException when
// the Store failed.
func (c *Client) GetFile(ctx context.Context, fileID int64) (*TransferRow, error) {
	unknown := func() error {
		id := strconv.FormatInt(fileID, 10)
		return &ResourceNotFoundException{Message: "file " + id + " is not known", Resource: id, ResourceType: "File"}
	}
	if fileID < 1 {
		return nil, unknown()
	}
	found, err := c.cfg.Store.ListFiles(ctx, store.Query{After: store.Cursor{ID: fileID - 1}, Limit: 1})
	if err != nil {
		return nil, storeFailure("get file", err)
	}
	if len(found) == 0 || found[0].ID != fileID {
		return nil, unknown()
	}
	row := c.ListTransfers().row(&found[0])
	return &row, nil
}
