package awsapi_test

import (
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/transfer"
	"github.com/aws/aws-sdk-go-v2/service/transfer/types"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
)

// ended waits for the end of a listing, a removal or a move, for which AWS has events only.
func (s *service) ended(t *testing.T, id *string) *transfer.DescribeRemoteOperationOutput {
	t.Helper()
	var out *transfer.DescribeRemoteOperationOutput
	require.Eventually(t, func() bool {
		var err error
		out, err = s.client.DescribeRemoteOperation(t.Context(), &transfer.DescribeRemoteOperationInput{OperationID: *id})
		require.NoError(t, err)
		return out.StatusCode != transfer.TransferTableStatusInProgress
	}, 30*time.Second, time.Millisecond)
	return out
}

func TestStartDirectoryListing(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.remote.WriteFile("/in/a.csv", []byte("12345"))
	s.remote.WriteFile("/in/old/b.csv", nil)
	out, err := s.sdk.StartDirectoryListing(t.Context(), &sdk.StartDirectoryListingInput{
		ConnectorId: aws.String(acme), RemoteDirectoryPath: aws.String("/in"), OutputDirectoryPath: aws.String("/bucket/lists"),
	})
	require.NoError(t, err)
	require.Equal(t, acme+"-"+*out.ListingId+".json", *out.OutputFileName)
	require.Regexp(t, `^c-([0-9a-f]{17})-[0-9a-zA-Z./-]+.json$`, *out.OutputFileName)
	require.Equal(t, transfer.TransferTableStatusCompleted, s.ended(t, out.ListingId).StatusCode)
	listing, err := s.local.ReadFile("/bucket/lists/" + *out.OutputFileName)
	require.NoError(t, err)
	require.Regexp(t, `^\{"files":\[\{"filePath":"/in/a.csv",("modifiedTimestamp":"[^"]+",)?"size":5\}\],"paths":\[\{"path":"/in/old"\}\],"truncated":"false"\}\s*$`, string(listing))
}

func TestStartRemoteMoveAndDelete(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.remote.WriteFile("/in/a.csv", []byte("a"))
	moved, err := s.sdk.StartRemoteMove(t.Context(), &sdk.StartRemoteMoveInput{ConnectorId: aws.String(acme), SourcePath: aws.String("/in/a.csv"), TargetPath: aws.String("/done/a.csv")})
	require.NoError(t, err)
	require.Equal(t, transfer.TransferTableStatusCompleted, s.ended(t, moved.MoveId).StatusCode)
	require.Equal(t, []string{"done/a.csv"}, s.remote.Paths())

	for _, want := range []transfer.TransferTableStatus{transfer.TransferTableStatusCompleted, transfer.TransferTableStatusFailed} {
		deleted, err := s.sdk.StartRemoteDelete(t.Context(), &sdk.StartRemoteDeleteInput{ConnectorId: aws.String(acme), DeletePath: aws.String("/done/a.csv")})
		require.NoError(t, err)
		require.Equal(t, want, s.ended(t, deleted.DeleteId).StatusCode)
	}
	require.Empty(t, s.remote.Paths())
}

func TestRemoteOperationsOfNobody(t *testing.T) {
	t.Parallel()
	s := setup(t)
	nobody := aws.String("c-00000000000000000")
	_, errList := s.sdk.StartDirectoryListing(t.Context(), &sdk.StartDirectoryListingInput{ConnectorId: nobody, RemoteDirectoryPath: aws.String("/"), OutputDirectoryPath: aws.String("/out")})
	_, errDelete := s.sdk.StartRemoteDelete(t.Context(), &sdk.StartRemoteDeleteInput{ConnectorId: nobody, DeletePath: aws.String("/a")})
	_, errMove := s.sdk.StartRemoteMove(t.Context(), &sdk.StartRemoteMoveInput{ConnectorId: nobody, SourcePath: aws.String("/a"), TargetPath: aws.String("/b")})
	for _, err := range []error{errList, errDelete, errMove} {
		var missing *types.ResourceNotFoundException
		require.True(t, errors.As(err, &missing), "%v", err)
		require.Equal(t, *nobody, *missing.Resource)
	}
}
