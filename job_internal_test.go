package transfer

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store"
)

// plain is a partner that is a Memory.
type plain struct{ *Memory }

type plainRemote struct{ *Memory }

func (p plain) Connect(context.Context) (Remote, error) { return plainRemote(p), nil }
func (p plain) Info() ConnectorInfo                     { return ConnectorInfo{URL: "sftp://partner", MaxFiles: 1} }
func (plainRemote) Features() Features                  { return Features{Resume: true} }
func (plainRemote) Close() error                        { return nil }

// FuzzCheckpoint delivers a file whose store has a checkpoint of anybody's making: that costs time at worst.
func FuzzCheckpoint(f *testing.F) {
	for _, text := range []string{
		"", "{}", "null", `{"identity":"x","size":2500,"window":1000,"rank":1}`, `{"ended":1,"published":true}`,
		`{"identity":"x","size":9223372036854775807,"window":9223372036854775807,"rank":9223372036854775807}`, `{"window":-1}`, `{"rank":1,"hash":"aGFzaA=="}`,
	} {
		f.Add([]byte(text), 2)
	}
	data := bytes.Repeat([]byte("0123456789"), 250)
	f.Fuzz(func(t *testing.T, text []byte, attempts int) {
		local, remote := NewMemory(), NewMemory()
		local.WriteFile("a.bin", data)
		e := newEngine(Config{
			Storage: local, Connectors: map[string]Connector{"acme": plain{remote}}, WindowSize: 1000, MemoryBudget: 10_000,
		}.withDefaults())
		var cutOff context.CancelCauseFunc
		e.cut, cutOff = context.WithCancelCause(t.Context())
		defer cutOff(nil)
		j := newJob(e.cut, &store.Claimed{Spec: []byte("{}"), File: store.File{
			ID: 1, TransferID: "t", ConnectorID: "acme", Attempts: attempts, State: store.Running, Token: 1,
			NewFile:  store.NewFile{Direction: store.Send, SourcePath: "a.bin", TargetPath: "in/a.bin"},
			Progress: store.Progress{Size: -1, Checkpoint: text},
		}}, time.Now())
		j.partner = e.partners.acquire("acme")
		go func() { // as record does
			for e.cut.Err() == nil {
				select {
				case <-e.flush:
					j.change(time.Second)
					j.renewed(time.Now())
				case <-e.cut.Done():
				}
			}
		}()
		require.NoError(t, e.deliver(j))
		e.settle(j, nil)
		require.Empty(t, j.change(time.Second).Checkpoint)
		got, err := remote.ReadFile("in/a.bin")
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, got))
		require.Empty(t, remote.Partials())
	})
}

// What a node wrote that died when it was about to leave the file out says nothing of the next attempt.
func TestAnAttemptBeginsUnskipped(t *testing.T) {
	t.Parallel()
	f := &store.Claimed{File: store.File{Attempts: 2, Progress: store.Progress{Skipped: true}}}
	j := newJob(t.Context(), f, time.Now())
	require.False(t, j.wasSkipped())
	j.skipped()
	require.True(t, j.wasSkipped())
}
