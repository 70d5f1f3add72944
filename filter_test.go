package transfer_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// listing is a client over 60 files: two thirds to acme, some of them missing, the rest from other.
func listing(t *testing.T) *bench {
	t.Helper()
	other := transfertest.NewConnector(nil, transfertest.ConnectorOptions{Partner: "other.example"})
	b := setup(t, func(c *transfer.Config) { c.Connectors["other"] = other; c.Name = "node-1" })
	var send, retrieve []string
	for i := range 40 {
		name := fmt.Sprintf("/outbox/%02d.csv", i)
		if i%4 != 0 {
			b.local.WriteFile(name, content(1, i*100))
		}
		send = append(send, name)
		if i < 20 {
			retrieve = append(retrieve, fmt.Sprintf("pickup/%02d.csv", i))
		}
	}
	b.run(transfer.StartFileTransferInput{SendFilePaths: send, RuleName: "payroll", FollowID: "f-1", Metadata: map[string]string{"order": "17", "day": "mon"}})
	out, err := b.client.StartFileTransfer(t.Context(), &transfer.StartFileTransferInput{
		ConnectorID: "other", RetrieveFilePaths: retrieve, LocalDirectoryPath: "/inbox", FollowID: "f-12", Metadata: map[string]string{"order": "18"},
	})
	require.NoError(t, err)
	_, err = b.client.Wait(t.Context(), out.TransferID)
	require.NoError(t, err)
	return b
}

func TestListTransfersFilters(t *testing.T) {
	t.Parallel()
	b := listing(t)
	all := b.client.ListTransfers()
	future, past := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	for name, test := range map[string]struct {
		query transfer.Query
		want  int64
	}{
		"nothing":           {all, 60},
		"rule":              {all.Rule("payroll"), 40},
		"partner":           {all.Partner("other.example"), 20},
		"partner by id":     {all.Partner("acme"), 40},
		"connector":         {all.Connector("other"), 20},
		"follow id":         {all.FollowID("f-1"), 40}, // and not f-12
		"status":            {all.Status(transfer.StatusDone), 30},
		"several statuses":  {all.Status(transfer.StatusDone, transfer.StatusInError), 60},
		"NOTUPDATED":        {all.Status(transfer.StatusNotUpdated), 0},
		"failure":           {all.FailureCode(transfer.SendFileNotFound), 10},
		"sent":              {all.Sent(), 40},
		"retrieved":         {all.Retrieved(), 20},
		"filename, sent":    {all.Filename("/outbox/07.csv"), 1},
		"filename, fetched": {all.Filename("/inbox/07.csv"), 1},
		"no wildcard":       {all.Filename("/outbox/%"), 0},
		"original name":     {all.OriginalFilename("pickup/07.csv"), 1},
		"prefix":            {all.PathPrefix("/outbox/1"), 10},
		"metadata":          {all.Metadata("order", "17"), 40},
		"two entries":       {all.Metadata("order", "17").Metadata("day", "tue"), 0},
		"started after":     {all.StartedAfter(past), 60},
		"started later":     {all.StartedAfter(future), 0},
		"started before":    {all.StartedBefore(future), 60},
		"start after stop":  {all.StartedAfter(future).StartedBefore(past), 0},
		"updated":           {all.UpdatedSince(past), 60},
		"combined":          {all.Rule("payroll").Status(transfer.StatusInError).PathPrefix("/outbox/0"), 3},
	} {
		t.Run(name, func(t *testing.T) {
			n, err := test.query.Count(t.Context())
			require.NoError(t, err)
			require.Equal(t, test.want, n)
			rows, err := test.query.All(t.Context())
			require.NoError(t, err)
			require.Len(t, rows, int(test.want))
			byStatus, err := test.query.CountByStatus(t.Context())
			require.NoError(t, err)
			sum := int64(0)
			for _, n := range byStatus {
				sum += n
			}
			require.Equal(t, n, sum)
		})
	}
}

func TestListTransfersPagesInEveryOrder(t *testing.T) {
	t.Parallel()
	b := listing(t)
	for _, order := range []transfer.Order{transfer.AscID, transfer.DescID, transfer.AscFile, transfer.DescFile,
		transfer.AscStart, transfer.DescStart, transfer.AscStop, transfer.DescStop} {
		t.Run(string(order), func(t *testing.T) {
			query := b.client.ListTransfers().OrderBy(order)
			whole, err := query.All(t.Context())
			require.NoError(t, err)
			require.Len(t, whole, 60)
			for _, size := range []int{1, 7, 59, 60, 61} {
				var byCursor, byOffset []int64
				for cursor := ""; ; {
					page, err := query.Limit(size).After(cursor).Page(t.Context())
					require.NoError(t, err)
					require.Equal(t, int64(60), page.Total)
					for _, r := range page.Rows {
						byCursor = append(byCursor, r.FileID)
					}
					if cursor = page.Cursor; cursor == "" {
						break
					}
				}
				for offset := int64(0); offset < 60; offset += int64(size) {
					page, err := query.Limit(size).Offset(offset).Page(t.Context())
					require.NoError(t, err)
					for _, r := range page.Rows {
						byOffset = append(byOffset, r.FileID)
					}
				}
				require.Equal(t, ids(whole), byCursor, "pages of %d lose and repeat nothing", size)
				require.Equal(t, ids(whole), byOffset)
			}
		})
	}
}

func ids(rows []transfer.TransferRow) (all []int64) {
	for _, r := range rows {
		all = append(all, r.FileID)
	}
	return all
}

func TestListTransfersRows(t *testing.T) {
	t.Parallel()
	b := listing(t)
	rows, err := b.client.ListTransfers().Filename("/outbox/07.csv").All(t.Context())
	require.NoError(t, err)
	r := rows[0]
	require.Equal(t, transfer.TransferTableStatusCompleted, r.StatusCode)
	require.Equal(t, transfer.StatusDone, r.Status())
	require.Equal(t, "payroll", r.RuleName)
	require.True(t, r.Sent)
	record := r.Record()
	require.Equal(t, transfer.TransferRecord{
		ID: r.FileID, GlobalStep: transfer.StepAllDoneTask, GlobalLastStep: transfer.StepAllDoneTask, Rank: 1, Status: transfer.StatusDone,
		StepStatus: "CompleteOk", OriginalFilename: "/outbox/07.csv", Filename: "/outbox/07.csv", RuleName: "payroll", BlockSize: 1000,
		FileInfo: `{"day":"mon","order":"17"}`, Start: r.StartedAt.Format("2006-01-02T15:04:05.000Z"), Stop: r.UpdatedAt.Format("2006-01-02T15:04:05.000Z"),
		Requester: "node-1", Requested: "acme",
	}, record)

	rows, err = b.client.ListTransfers().Filename("/outbox/08.csv").All(t.Context())
	require.NoError(t, err)
	failed := rows[0].Record()
	require.Equal(t, transfer.StatusInError, failed.Status)
	require.Equal(t, transfer.StepErrorTask, failed.GlobalStep)
	require.Equal(t, transfer.StepNoTask, failed.GlobalLastStep)
	require.Equal(t, "FileNotFound", failed.StepStatus)
	require.NotEmpty(t, failed.TransferInfo)
}

func TestListTransfersLimits(t *testing.T) {
	t.Parallel()
	b := listing(t)
	all := b.client.ListTransfers()
	page, err := all.Page(t.Context())
	require.NoError(t, err)
	require.Len(t, page.Rows, 20, "the default")
	page, err = all.Limit(0).Page(t.Context())
	require.NoError(t, err)
	require.Empty(t, page.Rows)
	require.Equal(t, int64(60), page.Total, "the total is right all the same")
	rows, err := all.Limit(0).All(t.Context())
	require.NoError(t, err)
	require.Empty(t, rows)
	rows, err = all.Limit(25).Offset(50).All(t.Context())
	require.NoError(t, err)
	require.Len(t, rows, 10)
	n := 0
	for range all.Each(t.Context()) {
		if n++; n == 3 {
			break
		}
	}
	require.Equal(t, 3, n)
}

func TestListTransfersNamesEveryWrongArgument(t *testing.T) {
	t.Parallel()
	b := setup(t)
	good := b.client.ListTransfers()
	bad := good.Limit(-1).Offset(-2).OrderBy("sideways").Status("done").After("?")
	var fields []string
	for name, run := range map[string]func() error{
		"All":           func() error { _, err := bad.All(t.Context()); return err },
		"Page":          func() error { _, err := bad.Page(t.Context()); return err },
		"Count":         func() error { _, err := bad.Count(t.Context()); return err },
		"CountByStatus": func() error { _, err := bad.CountByStatus(t.Context()); return err },
	} {
		var wrong *transfer.InvalidRequestException
		require.ErrorAs(t, run(), &wrong, name)
		fields = nil
		for _, f := range wrong.Fields {
			fields = append(fields, f.Name)
		}
		require.Equal(t, []string{"Limit", "Offset", "OrderBy", "Status", "After"}, fields)
	}
	_, err := good.Count(t.Context())
	require.NoError(t, err, "a Query is never changed")
	_, err = transfer.Query{}.Count(t.Context())
	require.ErrorContains(t, err, "ListTransfers")

	base := good.Limit(-1)
	one, two := base.Offset(-1), base.OrderBy("x")
	_, err = one.Count(context.Background())
	require.NotContains(t, err.Error(), "OrderBy", "copies do not share their problems")
	_, err = two.Count(context.Background())
	require.NotContains(t, err.Error(), "Offset")
}
