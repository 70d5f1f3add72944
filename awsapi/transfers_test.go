package awsapi_test

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/transfer"
	"github.com/aws/aws-sdk-go-v2/service/transfer/types"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/awsapi"
)

// TestTransfers sends and retrieves with AWS's SDK.
func TestTransfers(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.local.WriteFile("/bucket/out/a.csv", []byte("to the partner"))
	s.remote.WriteFile("/out/b.csv", []byte("from the partner"))

	sent, err := s.sdk.StartFileTransfer(t.Context(), &sdk.StartFileTransferInput{
		ConnectorId: aws.String(acme), SendFilePaths: []string{"/bucket/out/a.csv", "bucket/out/none.csv"}, RemoteDirectoryPath: aws.String("/in"),
	})
	require.NoError(t, err)
	require.Regexp(t, `^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`, *sent.TransferId)
	s.wait(t, sent.TransferId)
	data, err := s.remote.ReadFile("/in/a.csv")
	require.NoError(t, err)
	require.Equal(t, "to the partner", string(data))

	results, err := s.sdk.ListFileTransferResults(t.Context(), &sdk.ListFileTransferResultsInput{ConnectorId: aws.String(acme), TransferId: sent.TransferId})
	require.NoError(t, err)
	require.Nil(t, results.NextToken)
	require.Len(t, results.FileTransferResults, 2)
	require.Equal(t, types.ConnectorFileTransferResult{FilePath: aws.String("/bucket/out/a.csv"), StatusCode: types.TransferTableStatusCompleted}, results.FileTransferResults[0])
	failed := results.FileTransferResults[1]
	require.Equal(t, types.TransferTableStatusFailed, failed.StatusCode)
	require.Equal(t, "SEND_FILE_NOT_FOUND", *failed.FailureCode)
	require.Contains(t, *failed.FailureMessage, "bucket/out/none.csv")

	got, err := s.sdk.StartFileTransfer(t.Context(), &sdk.StartFileTransferInput{
		ConnectorId: aws.String(acme), RetrieveFilePaths: []string{"/out/b.csv"}, LocalDirectoryPath: aws.String("/bucket/in"),
	})
	require.NoError(t, err)
	s.wait(t, got.TransferId)
	data, err = s.local.ReadFile("/bucket/in/b.csv")
	require.NoError(t, err)
	require.Equal(t, "from the partner", string(data))
}

// TestPaginator goes through more results than AWS would ever have, with the SDK's own paginator.
func TestPaginator(t *testing.T) {
	t.Parallel()
	s := setup(t)
	var paths []string
	for i := range 25 {
		paths = append(paths, fmt.Sprintf("/bucket/%02d.csv", i))
		s.local.WriteFile(paths[i], nil)
	}
	started, err := s.sdk.StartFileTransfer(t.Context(), &sdk.StartFileTransferInput{ConnectorId: aws.String(acme), SendFilePaths: paths})
	require.NoError(t, err)
	s.wait(t, started.TransferId)

	for _, limit := range []int32{0, 1, 5, 10, 24, 25, 1000} {
		pages := sdk.NewListFileTransferResultsPaginator(s.sdk, &sdk.ListFileTransferResultsInput{ConnectorId: aws.String(acme), TransferId: started.TransferId},
			func(o *sdk.ListFileTransferResultsPaginatorOptions) { o.Limit, o.StopOnDuplicateToken = limit, true })
		var listed []string
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			require.NoError(t, err)
			if limit > 0 {
				require.LessOrEqual(t, len(page.FileTransferResults), int(limit))
			}
			for _, r := range page.FileTransferResults {
				listed = append(listed, *r.FilePath)
				require.Equal(t, types.TransferTableStatusCompleted, r.StatusCode)
			}
		}
		require.Equal(t, paths, listed, "pages of %d", limit)
	}
}

func TestMoreThanTenPathsUnlessStrict(t *testing.T) {
	t.Parallel()
	in := &sdk.StartFileTransferInput{ConnectorId: aws.String(acme)}
	for i := range 11 {
		in.SendFilePaths = append(in.SendFilePaths, fmt.Sprint("/bucket/", i))
	}
	_, err := setup(t).sdk.StartFileTransfer(t.Context(), in)
	require.NoError(t, err)

	strict := setup(t, func(c *awsapi.Config) { c.Strict = true }).sdk
	_, err = strict.StartFileTransfer(t.Context(), in)
	var invalid *types.InvalidRequestException
	require.ErrorAs(t, err, &invalid)
	require.Equal(t, "1 validation error detected: Value [11 members] at 'sendFilePaths' failed to satisfy constraint: "+
		"Member must have length less than or equal to 10", *invalid.Message)
	in.SendFilePaths = in.SendFilePaths[:10]
	_, err = strict.StartFileTransfer(t.Context(), in)
	require.NoError(t, err)
}
