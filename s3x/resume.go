package s3x

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/seed62b9dc43/transfer"
)

// checkpoint is what Checkpoint returns, as JSON. It only says which upload to go on with and how many parts it must
// have; which ones it has is asked of the server.
type checkpoint struct {
	upload
	Size   int64 `json:"size"`
	Window int64 `json:"window"`
	Whole  int   `json:"whole"` // parts acknowledged below the first gap
}

func (k *uploadSink) Checkpoint() []byte {
	k.mu.Lock()
	whole, ended := k.whole, k.ended
	k.mu.Unlock()
	if ended {
		return nil
	}
	// a struct of strings and numbers
	data, _ := json.Marshal(checkpoint{upload: k.upload, Size: k.o.Size, Window: k.o.WindowSize, Whole: whole})
	return data
}

func parseCheckpoint(data []byte) (c checkpoint, err error) {
	if err = json.Unmarshal(data, &c); err != nil {
		return checkpoint{}, fmt.Errorf("not a checkpoint of S3: %w", err)
	}
	if c.ID == "" || c.Whole < 0 {
		return checkpoint{}, errors.New("not a checkpoint of S3: it names no upload")
	}
	return c, nil
}

// resume goes on with the upload of o.Checkpoint.
func (s *Storage) resume(ctx context.Context, at object, o transfer.CreateOptions) (transfer.Sink, error) {
	lost := func(err error) (transfer.Sink, error) {
		return nil, &transfer.Error{Op: "resume", Path: at.path, Code: transfer.CheckpointLost, Err: err}
	}
	c, err := parseCheckpoint(o.Checkpoint)
	if err != nil {
		return lost(err)
	}
	if c.Size != o.Size || c.Window != o.WindowSize {
		return lost(fmt.Errorf("the upload was begun for %d bytes in parts of %d, not for %d in parts of %d", c.Size, c.Window, o.Size, o.WindowSize))
	}
	k := s.sink(at, o, c.upload)
	pages := s3.NewListPartsPaginator(s.client, &s3.ListPartsInput{Bucket: &at.bucket, Key: &at.key, UploadId: &c.ID})
	for asked := 0; pages.HasMorePages(); asked++ {
		if asked > len(k.parts) {
			return lost(errors.New("the server's list of parts does not end"))
		}
		page, err := pages.NextPage(ctx, s.call...)
		if gone := httpStatus(err) == http.StatusNotFound && apiCode(err) != "NoSuchBucket"; gone {
			return lost(err)
		}
		if err != nil {
			return nil, fail("resume", at.path, err)
		}
		for _, p := range page.Parts {
			i := int(aws.ToInt32(p.PartNumber)) - 1
			if i < 0 || i >= len(k.parts) || aws.ToInt64(p.Size) != k.length(i) {
				return lost(fmt.Errorf("part %d has %d bytes", i+1, aws.ToInt64(p.Size)))
			}
			k.acknowledge(i, part{etag: p.ETag, sum: c.Checksum.ofPart(p)})
		}
	}
	if k.whole < c.Whole {
		return lost(fmt.Errorf("of %d acknowledged parts %d are left", c.Whole, k.whole))
	}
	return k, nil
}

// abandon aborts the upload of a checkpoint that nobody will go on with, as far as it can.
func (s *Storage) abandon(ctx context.Context, at object, data []byte) {
	c, err := parseCheckpoint(data)
	if err != nil {
		return
	}
	_ = s.abort(ctx, at, c.ID)
}
