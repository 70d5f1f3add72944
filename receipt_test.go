package transfer_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
)

// confirming is a partner that takes files and confirms them later.
type confirming struct {
	transfer.Connector

	mu     sync.Mutex // guards all below
	word   error      // on all files; nil confirms them
	asked  []transfer.CreateOptions
	sent   []transfer.Origin
	failed []transfer.FailedFile
}

func (c *confirming) Info() transfer.ConnectorInfo {
	info := c.Connector.Info()
	info.CustomHeaders = true
	return info
}

func (c *confirming) Connect(ctx context.Context) (transfer.Remote, error) {
	r, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return confirmingRemote{r, c}, nil
}

func (c *confirming) ReportFailure(_ context.Context, f transfer.FailedFile) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = append(c.failed, f)
	return errors.New("the report is lost")
}

func (c *confirming) say(word error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.word = word
}

type confirmingRemote struct {
	transfer.Remote
	partner *confirming
}

func (r confirmingRemote) Create(ctx context.Context, path string, o transfer.CreateOptions) (transfer.Sink, error) {
	r.partner.mu.Lock()
	r.partner.sent = append(r.partner.sent, o.Origin)
	r.partner.mu.Unlock()
	s, err := r.Remote.Create(ctx, path, o)
	if err != nil {
		return nil, err
	}
	return confirmingSink{s}, nil
}

func (r confirmingRemote) Receipt(_ context.Context, _ string, o transfer.CreateOptions) error {
	r.partner.mu.Lock()
	defer r.partner.mu.Unlock()
	r.partner.asked = append(r.partner.asked, o)
	return r.partner.word
}

type confirmingSink struct{ transfer.Sink }

func (s confirmingSink) Checkpoint() []byte { return []byte("ask me") }

func (s confirmingSink) Commit(ctx context.Context, sum [sha256.Size]byte) error {
	if err := s.Sink.Commit(ctx, sum); err != nil {
		return err
	}
	return transfer.Outstanding{Again: time.Hour}
}

// waiting returns a client with a partner that confirms later, and the file that waits for it.
func waiting(t *testing.T, size int) (*bench, *confirming, string) {
	t.Helper()
	partner := &confirming{word: transfer.Outstanding{Again: time.Hour}}
	b := setup(t, policy(transfer.RetryPolicy{MaxAttempts: 1}), func(c *transfer.Config) {
		partner.Connector = c.Connectors["acme"]
		c.Connectors["acme"] = partner
	})
	b.local.WriteFile("/out/a.csv", content(1, size))
	id := b.start(transfer.StartFileTransferInput{
		SendFilePaths: []string{"/out/a.csv"}, CustomHTTPHeaders: []transfer.CustomHTTPHeader{{Key: "X-Route", Value: "7"}},
	})
	time.Sleep(time.Minute)
	return b, partner, id
}

func TestReceipt(t *testing.T) {
	for name, size := range map[string]int{"empty": 0, "one window": 900, "several windows": 2500} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b, partner, id := waiting(t, size)
				r := b.results(id)[0]
				require.Equal(t, transfer.TransferTableStatusInProgress, r.StatusCode)
				require.Equal(t, store.Waiting, r.State)
				require.Empty(t, r.FailureCode)
				require.EqualValues(t, size, r.BytesTransferred)
				require.Equal(t, []transfer.Origin{{
					TransferID: id, FileID: r.FileID, ConnectorID: "acme", FilePath: "/out/a.csv", Attempt: 1,
					Headers: []transfer.CustomHTTPHeader{{Key: "X-Route", Value: "7"}},
				}}, partner.sent)

				b.local.Remove("/out/a.csv") // whoever sent it has no more use for it
				time.Sleep(5 * time.Hour)
				require.Equal(t, transfer.TransferTableStatusInProgress, b.results(id)[0].StatusCode)
				require.Zero(t, b.results(id)[0].Failures)
				partner.say(nil)
				time.Sleep(2 * time.Hour)
				r = b.results(id)[0]
				require.Equal(t, transfer.TransferTableStatusCompleted, r.StatusCode)
				require.NotEmpty(t, r.SHA256)
				require.EqualValues(t, size, r.BytesTransferred)
				require.Len(t, partner.sent, 1)
				require.GreaterOrEqual(t, len(partner.asked), 5)
				require.Equal(t, "ask me", string(partner.asked[0].Checkpoint))
				require.EqualValues(t, size, partner.asked[0].Size)
				require.Empty(t, partner.failed)
			})
		})
	}
}

func TestReceiptThatIsARefusal(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, partner, id := waiting(t, 900)
		partner.say(&transfer.Error{Op: "read MDN of", Path: "a.csv", Code: transfer.MDNDecryptionFailed})
		time.Sleep(2 * time.Hour)
		r := b.results(id)[0]
		require.Equal(t, transfer.TransferTableStatusFailed, r.StatusCode)
		require.Equal(t, transfer.MDNDecryptionFailed, r.FailureCode)
		require.Empty(t, r.FailureDetail)
		require.Len(t, partner.failed, 1)
		f := partner.failed[0]
		require.Equal(t, transfer.MDNDecryptionFailed, f.Code)
		require.ErrorIs(t, f.Err, transfer.MDNDecryptionFailed)
		require.Equal(t, id, f.TransferID)
		require.EqualValues(t, 900, f.Size)
	})
}

func TestReceiptOfAPausedFile(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, partner, id := waiting(t, 2500)
		_, err := b.client.PauseTransfer(t.Context(), &transfer.ControlInput{TransferID: id})
		require.NoError(t, err)
		partner.say(nil)
		time.Sleep(2 * time.Hour)
		require.Equal(t, store.Paused, b.results(id)[0].State)
		_, err = b.client.ResumeTransfer(t.Context(), &transfer.ControlInput{TransferID: id})
		require.NoError(t, err)
		time.Sleep(time.Minute)
		require.Equal(t, store.Done, b.results(id)[0].State)
		require.Len(t, partner.sent, 1)
	})
}

func TestReceiptOfACancelledFile(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, partner, id := waiting(t, 2500)
		_, err := b.client.CancelTransfer(t.Context(), &transfer.ControlInput{TransferID: id})
		require.NoError(t, err)
		time.Sleep(2 * time.Hour) // there is nothing to be swept either
		require.Equal(t, store.Cancelled, b.results(id)[0].State)
		litter, err := b.store.ListFiles(t.Context(), store.Query{Litter: true, Limit: 10})
		require.NoError(t, err)
		require.Empty(t, litter)
		require.Empty(t, partner.asked)
		require.Empty(t, partner.failed)
	})
}

func TestReceiptThatCannotBeAskedFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, partner, id := waiting(t, 900)
		partner.say(&transfer.Error{Op: "open", Code: transfer.ConnectionLost})
		time.Sleep(2 * time.Hour)
		r := b.results(id)[0]
		require.Equal(t, transfer.ConnectionError, r.FailureCode) // the policy allows one attempt
		require.Len(t, partner.failed, 1)
	})
}

func TestCustomHTTPHeadersAreChecked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	in := transfer.StartFileTransferInput{ConnectorID: "acme", SendFilePaths: []string{"/a"}}
	for _, test := range []struct {
		headers []transfer.CustomHTTPHeader
		field   string
	}{
		{[]transfer.CustomHTTPHeader{{Key: "a b", Value: "c"}}, "CustomHTTPHeaders[0].Key"},
		{[]transfer.CustomHTTPHeader{{Key: "a"}, {Key: "b", Value: "c\r\nd: e"}}, "CustomHTTPHeaders[1].Value"},
		{make([]transfer.CustomHTTPHeader, 51), "CustomHTTPHeaders"},
		{[]transfer.CustomHTTPHeader{{Key: "a", Value: "b"}}, "CustomHTTPHeaders"}, // the connector takes none
	} {
		in.CustomHTTPHeaders = test.headers
		_, err := b.client.StartFileTransfer(t.Context(), &in)
		var invalid *transfer.InvalidRequestException
		require.ErrorAs(t, err, &invalid)
		require.Equal(t, test.field, invalid.Fields[0].Name)
	}
}
