package transfer_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
)

func TestFilesArriveWholeBothWays(t *testing.T) {
	t.Parallel()
	b := setup(t)
	sizes := []int{0, 1, 999, 1000, 1001, 4000, 33_333}
	var outbound, inbound []string
	for i, size := range sizes {
		name := fmt.Sprintf("%d.bin", size)
		b.local.WriteFile("/outbox/"+name, content(uint64(i), size))
		b.remote.WriteFile("/pickup/"+name, content(uint64(100+i), size))
		outbound = append(outbound, "/outbox/"+name)
		inbound = append(inbound, "/pickup/"+name)
	}
	sent := b.run(transfer.StartFileTransferInput{SendFilePaths: outbound, RemoteDirectoryPath: "/in"})
	retrieved := b.run(transfer.StartFileTransferInput{RetrieveFilePaths: inbound, LocalDirectoryPath: "/inbox"})

	for i, size := range sizes {
		name := fmt.Sprintf("%d.bin", size)
		for _, way := range []struct {
			result transfer.ConnectorFileTransferResult
			source string
			at     *transfer.Memory
			target string
			want   []byte
		}{
			{sent[i], outbound[i], b.remote, "/in/" + name, content(uint64(i), size)},
			{retrieved[i], inbound[i], b.local, "/inbox/" + name, content(uint64(100+i), size)},
		} {
			got, err := way.at.ReadFile(way.target)
			require.NoError(t, err)
			require.True(t, bytes.Equal(way.want, got), way.target)
			sum := sha256.Sum256(way.want)
			r := way.result
			require.Equal(t, way.source, r.FilePath, "results come in the order of the request")
			require.Equal(t, way.target, r.TargetPath)
			require.Equal(t, transfer.TransferTableStatusCompleted, r.StatusCode)
			require.Equal(t, store.Done, r.State)
			require.NoError(t, r.Err())
			require.Equal(t, int64(size), r.BytesTransferred)
			require.Equal(t, int64(size), r.Size)
			require.Equal(t, int64(1000), r.BlockSize)
			require.Equal(t, int64((size+999)/1000), r.Rank)
			require.Equal(t, hex.EncodeToString(sum[:]), r.SHA256)
			require.Equal(t, 1, r.Attempts)
			require.False(t, r.CreatedAt.After(r.StartedAt))
			require.False(t, r.StartedAt.After(r.FinishedAt))
		}
	}
	require.LessOrEqual(t, b.partner.PeakRemotes(), 4, "the connector's limit")
}

func TestSendWithoutRemoteDirectoryGoesHome(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.local.WriteFile("/outbox/a.csv", []byte("a"))
	r := b.run(transfer.StartFileTransferInput{SendFilePaths: []string{"outbox/a.csv"}})
	require.Equal(t, "a.csv", r[0].TargetPath, "relative, so that the server puts it into the home directory")
	require.Equal(t, transfer.TransferTableStatusCompleted, r[0].StatusCode)
}

func TestFailuresCarryCodeDetailAndMessage(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	rule := func(op transfertest.Op, err error) transfertest.Rule { return transfertest.Rule{Op: op, Err: err} }
	for name, test := range map[string]struct {
		atPartner   bool
		rule        transfertest.Rule
		send, fetch transfer.Code // for either direction; empty: not tried
		detail      transfer.Code
		message     []string
	}{
		"missing file": {
			send: transfer.SendFileNotFound, fetch: transfer.RetrieveFileNotFound, message: []string{"open source"},
		},
		"unknown host": {
			atPartner: true, rule: rule(transfertest.OpConnect, &transfer.Error{Op: "dial", Path: "partner.example:22", Code: transfer.HostNotFound, Err: boom}),
			send: transfer.ConnectionError, fetch: transfer.ConnectionError, detail: transfer.HostNotFound,
			message: []string{"connect", "sftp://alice@partner.example", "boom"},
		},
		"wrong host key": {
			atPartner: true, rule: rule(transfertest.OpConnect, transfer.HostKeyMismatch),
			send: transfer.ConnectionError, fetch: transfer.ConnectionError, detail: transfer.HostKeyMismatch,
		},
		"connect takes too long": {
			atPartner: true, rule: rule(transfertest.OpConnect, transfer.ConnectTimeout),
			send: transfer.TimeoutError, fetch: transfer.TimeoutError, detail: transfer.ConnectTimeout,
		},
		"no permission to read here": {
			rule: rule(transfertest.OpReadWindow, syscall.EACCES), send: transfer.ReadFileError, detail: transfer.PermissionDenied,
			message: []string{"read source", "on storage", "permission denied"},
		},
		"no permission to read there": {
			atPartner: true, rule: rule(transfertest.OpOpen, syscall.EACCES), fetch: transfer.ReadFileError, detail: transfer.PermissionDenied,
		},
		"no permission to write there": {
			atPartner: true, rule: rule(transfertest.OpCreate, syscall.EACCES), send: transfer.WriteFileError, detail: transfer.PermissionDenied,
			message: []string{"create target /in/", "sftp://alice@partner.example"},
		},
		"disk full here": {
			rule: rule(transfertest.OpWriteWindow, syscall.ENOSPC), fetch: transfer.WriteFileError, detail: transfer.NoSpace,
			message: []string{"write target /inbox/", "on storage"},
		},
		"disk full there": {
			atPartner: true, rule: rule(transfertest.OpCommit, syscall.ENOSPC), send: transfer.WriteFileError, detail: transfer.NoSpace,
		},
		"no such directory there": {
			atPartner: true, rule: rule(transfertest.OpCreate, transfer.DirectoryNotFound), send: transfer.DirectoryNotFound,
		},
		"rename refused": {
			atPartner: true, rule: rule(transfertest.OpCommit, transfer.RenameError), send: transfer.RenameError,
		},
		"source changed": {
			atPartner: true, rule: transfertest.Rule{Op: transfertest.OpReadWindow, Nth: 2, Err: transfer.SourceChanged}, fetch: transfer.ReadFileError, detail: transfer.SourceChanged,
		},
		"stalled": {
			atPartner: true, rule: transfertest.Rule{Op: transfertest.OpWriteWindow, Nth: 2, Err: transfer.Stalled}, send: transfer.TimeoutError, detail: transfer.Stalled,
		},
		"cause unknown": {
			atPartner: true, rule: rule(transfertest.OpWriteWindow, boom), send: transfer.WriteFileError,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, way := range []struct {
				name string
				want transfer.Code
				in   transfer.StartFileTransferInput
			}{
				{"send", test.send, transfer.StartFileTransferInput{SendFilePaths: []string{"/outbox/a.csv"}, RemoteDirectoryPath: "/in"}},
				{"retrieve", test.fetch, transfer.StartFileTransferInput{RetrieveFilePaths: []string{"/pickup/a.csv"}, LocalDirectoryPath: "/inbox"}},
			} {
				if way.want == "" {
					continue
				}
				b := setup(t)
				if name != "missing file" {
					b.local.WriteFile("/outbox/a.csv", content(1, 2500))
					b.remote.WriteFile("/pickup/a.csv", content(1, 2500))
				}
				if test.atPartner {
					b.partner.Inject(test.rule)
				} else {
					b.storage.Inject(test.rule)
				}
				r := b.run(way.in)[0]
				require.Equal(t, transfer.TransferTableStatusFailed, r.StatusCode)
				require.Equal(t, way.want, r.FailureCode, r.FailureMessage)
				require.Equal(t, test.detail, r.FailureDetail)
				require.ErrorIs(t, r.Err(), way.want)
				if test.detail != "" {
					require.ErrorIs(t, r.Err(), test.detail)
				}
				for _, part := range append(test.message, "a.csv") {
					require.Contains(t, r.FailureMessage, part)
				}
				require.Empty(t, append(b.local.Partials(), b.remote.Partials()...), "no temporary file is left")
				require.NotContains(t, append(b.local.Paths(), b.remote.Paths()...), "in/a.csv")
			}
		})
	}
}

func TestMissingFileDoesNotBotherThePartner(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.run(transfer.StartFileTransferInput{SendFilePaths: []string{"/outbox/none.csv"}})
	require.Zero(t, b.partner.Calls(transfertest.OpConnect))
}

func TestOneBadFileHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var paths []string
	for i := range 50 {
		path := fmt.Sprintf("/outbox/%d.bin", i)
		b.local.WriteFile(path, content(uint64(i), 3500))
		paths = append(paths, path)
	}
	b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Path: "0.bin", Block: true})
	id := b.start(transfer.StartFileTransferInput{SendFilePaths: append(paths, "/outbox/missing.bin"), RemoteDirectoryPath: "/in"})

	require.Eventually(t, func() bool {
		done := 0
		for _, r := range b.results(id) {
			if r.StatusCode == transfer.TransferTableStatusCompleted || r.StatusCode == transfer.TransferTableStatusFailed {
				done++
			}
		}
		return done == 50
	}, 10*time.Second, 5*time.Millisecond)
	r := b.results(id)
	require.Equal(t, transfer.TransferTableStatusInProgress, r[0].StatusCode)
	require.Equal(t, transfer.SendFileNotFound, r[50].FailureCode)

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, b.client.Shutdown(ended), context.Canceled, "the stuck file is cut off")
	require.Equal(t, store.Interrupted, b.results(id)[0].State)
}

func TestOverwritePolicies(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		policy  transfer.Overwrite
		status  transfer.TransferTableStatus
		detail  transfer.Code
		skipped bool
		content string
	}{
		{"", transfer.TransferTableStatusCompleted, "", false, "new"},
		{transfer.OverwriteReplace, transfer.TransferTableStatusCompleted, "", false, "new"},
		{transfer.OverwriteFail, transfer.TransferTableStatusFailed, transfer.FileExists, false, "old"},
		{transfer.OverwriteSkip, transfer.TransferTableStatusCompleted, "", true, "old"},
	} {
		t.Run("policy "+string(test.policy), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.local.WriteFile("a.csv", []byte("new"))
			b.remote.WriteFile("in/a.csv", []byte("old"))
			r := b.run(transfer.StartFileTransferInput{SendFilePaths: []string{"a.csv"}, RemoteDirectoryPath: "in", Overwrite: test.policy})[0]
			require.Equal(t, test.status, r.StatusCode)
			require.Equal(t, test.detail, r.FailureDetail)
			require.Equal(t, test.skipped, r.Skipped)
			if test.skipped {
				require.Zero(t, r.BytesTransferred)
				require.Empty(t, r.SHA256)
			}
			got, err := b.remote.ReadFile("in/a.csv")
			require.NoError(t, err)
			require.Equal(t, test.content, string(got))
		})
	}
}

func TestTargetThatAppearsMeanwhileIsNotReplaced(t *testing.T) {
	t.Parallel()
	for _, policy := range []transfer.Overwrite{transfer.OverwriteFail, transfer.OverwriteSkip} {
		b := setup(t)
		b.local.WriteFile("a.csv", content(1, 2500))
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpCommit, Do: func(transfertest.Call) {
			b.remote.WriteFile("a.csv", []byte("theirs"))
		}})
		r := b.run(transfer.StartFileTransferInput{SendFilePaths: []string{"a.csv"}, Overwrite: policy})[0]
		require.Equal(t, policy == transfer.OverwriteSkip, r.Skipped)
		got, err := b.remote.ReadFile("a.csv")
		require.NoError(t, err)
		require.Equal(t, "theirs", string(got))
		require.Empty(t, b.remote.Partials())
	}
}

func TestProgressIsVisibleWhileAFileMoves(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.local.WriteFile("a.bin", content(1, 10_000))
	gate := make(chan struct{})
	b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Nth: 5, Hold: gate, Times: -1})
	id := b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}})

	var r transfer.ConnectorFileTransferResult
	require.Eventually(t, func() bool {
		r = b.results(id)[0]
		return r.BytesTransferred > 0
	}, 10*time.Second, time.Millisecond)
	require.Equal(t, transfer.TransferTableStatusInProgress, r.StatusCode)
	require.Equal(t, int64(10_000), r.Size)
	require.Equal(t, int64(1000), r.BlockSize)
	require.Equal(t, r.Rank*1000, r.BytesTransferred)
	close(gate)
	_, err := b.client.Wait(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, int64(10_000), b.results(id)[0].BytesTransferred)
}

func TestShutdownStopsAtAWindowAndTheNextClientGoesOnFromThere(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]transfer.StartFileTransferInput{
		"send":     {SendFilePaths: []string{"a.bin"}, RemoteDirectoryPath: "in"},
		"retrieve": {RetrieveFilePaths: []string{"a.bin"}, LocalDirectoryPath: "in"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			data := content(1, 60_000)
			reader, target := b.storage, b.remote
			b.local.WriteFile("a.bin", data)
			if name == "retrieve" {
				b.remote.WriteFile("a.bin", data)
				target = b.local
			}
			var once sync.Once
			reached := make(chan struct{})
			writes := transfertest.Rule{Op: transfertest.OpWriteWindow, Nth: 10, Times: -1, Do: func(transfertest.Call) {
				once.Do(func() { close(reached) })
			}, Delay: time.Millisecond}
			b.partner.Inject(writes)
			if name == "retrieve" {
				b.storage.Inject(writes)
			}
			id := b.start(in)
			<-reached
			require.NoError(t, b.client.Shutdown(t.Context()))

			r := b.results(id)[0]
			require.Equal(t, store.Interrupted, r.State)
			require.Equal(t, transfer.TransferTableStatusInProgress, r.StatusCode, "AWS's status never moves backwards")
			require.GreaterOrEqual(t, r.Rank, int64(1))
			require.Less(t, r.Rank, int64(60))
			require.NotContains(t, target.Paths(), "in/a.bin", "nothing is visible before the end")
			before := b.storage.Calls(transfertest.OpReadWindow) + b.partner.Calls(transfertest.OpReadWindow)

			b.client = b.newClient()
			require.NoError(t, b.client.Start(context.WithoutCancel(t.Context())))
			_, err := b.client.Wait(t.Context(), id)
			require.NoError(t, err)

			again := b.results(id)[0]
			require.Equal(t, transfer.TransferTableStatusCompleted, again.StatusCode, again.FailureMessage)
			require.Equal(t, 2, again.Attempts)
			sum := sha256.Sum256(data)
			require.Equal(t, hex.EncodeToString(sum[:]), again.SHA256)
			got, err := target.ReadFile("in/a.bin")
			require.NoError(t, err)
			require.True(t, bytes.Equal(data, got))
			reads := reader.Calls(transfertest.OpReadWindow) + b.partner.Calls(transfertest.OpReadWindow) - before
			require.Equal(t, 60-int(r.Rank), reads, "acknowledged windows are not read again")
		})
	}
}

func TestAChangedSourceStartsAgainAtZero(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.local.WriteFile("a.bin", content(1, 60_000))
	var once sync.Once
	reached := make(chan struct{})
	b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Nth: 10, Times: -1, Delay: time.Millisecond, Do: func(transfertest.Call) {
		once.Do(func() { close(reached) })
	}})
	id := b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}})
	<-reached
	require.NoError(t, b.client.Shutdown(t.Context()))
	require.NotEmpty(t, b.remote.Partials())
	changed := content(2, 61_000)
	b.local.WriteFile("a.bin", changed)

	b.client = b.newClient()
	require.NoError(t, b.client.Start(context.WithoutCancel(t.Context())))
	_, err := b.client.Wait(t.Context(), id)
	require.NoError(t, err)
	got, err := b.remote.ReadFile("a.bin")
	require.NoError(t, err)
	require.True(t, bytes.Equal(changed, got), "never a mix of two versions")
	require.Empty(t, b.remote.Partials(), "what was delivered of the old version is removed")
}

func TestAPanicInAStorageFailsOnlyItsFile(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.local.WriteFile("a.bin", content(1, 3000))
	b.local.WriteFile("b.bin", content(2, 3000))
	b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Path: "a.bin", Nth: 2, Do: func(transfertest.Call) { panic("bug") }})
	r := b.run(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin", "b.bin"}})
	require.Equal(t, transfer.InternalError, r[0].FailureCode)
	require.Equal(t, transfer.TransferTableStatusCompleted, r[1].StatusCode)
	require.Empty(t, b.remote.Partials())
}

func TestStartAtIsNotEarly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.local.WriteFile("a.bin", nil)
	at := time.Now().Add(300 * time.Millisecond)
	r := b.run(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}, StartAt: at})
	require.False(t, r[0].StartedAt.Before(at.Truncate(time.Microsecond)))
}

func TestAClientThatOnlySubmitsIsServedByAnother(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.local.WriteFile("a.bin", content(1, 3000))
	submitter := b.newClient()
	out, err := submitter.StartFileTransfer(t.Context(), &transfer.StartFileTransferInput{ConnectorID: "acme", SendFilePaths: []string{"a.bin"}})
	require.NoError(t, err)
	summary, err := submitter.Wait(t.Context(), out.TransferID)
	require.NoError(t, err)
	require.Equal(t, 1, summary.Completed)
}
