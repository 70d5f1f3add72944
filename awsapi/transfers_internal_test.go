package awsapi

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
)

// TestFailureOfAnAttempt: while a file is tried again it has not failed.
func TestFailureOfAnAttempt(t *testing.T) {
	t.Parallel()
	r := transfer.ConnectorFileTransferResult{FilePath: "/a", StatusCode: transfer.TransferTableStatusInProgress, FailureCode: transfer.ConnectionError, FailureMessage: "m"}
	require.Equal(t, fileResult{FilePath: "/a", StatusCode: "IN_PROGRESS"}, newFileResult(&r))
	r.StatusCode = transfer.TransferTableStatusFailed
	require.Equal(t, fileResult{FilePath: "/a", StatusCode: "FAILED", FailureCode: "CONNECTION_ERROR", FailureMessage: "m"}, newFileResult(&r))
}

// TestManyProblems: a message has an end.
func TestManyProblems(t *testing.T) {
	t.Parallel()
	id := acmeID
	for bad, want := range map[int]string{19: "19 validation errors detected: ", 20: "At least 20 validation errors detected: ", 100_000: "At least 20 validation errors detected: "} {
		err := check(&startFileTransferRequest{ConnectorID: &id, SendFilePaths: slices.Repeat([]string{""}, bad)}, false)
		var invalid *transfer.InvalidRequestException
		require.True(t, errors.As(err, &invalid))
		require.True(t, strings.HasPrefix(invalid.Message, want), invalid.Message)
		require.Equal(t, min(bad, maxProblems), strings.Count(invalid.Message, "at 'sendFilePaths."))
	}
}

const acmeID = "c-0123456789abcdef0"
