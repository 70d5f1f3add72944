package main

import (
	"bytes"
	"io"
	"log"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/seed62b9dc43/transfer/internal/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestRun measures a few rows in every store; what they answer is what a scan finds.
func TestRun(t *testing.T) {
	t.Parallel()
	for _, stores := range []string{"memory,sqlite,sqlite-full", "postgres,postgres-fsync"} {
		t.Run(stores, func(t *testing.T) {
			t.Parallel()
			if stores == "postgres,postgres-fsync" {
				testenv.Postgres(t) // skips where there is none
			}
			b, _, err := parse([]string{"-rows", "400", "-files", "50", "-repeat", "1", "-stores", stores})
			require.NoError(t, err)
			b.log = log.New(io.Discard, "", 0)
			var written []string
			err = b.run(t.Context(), func(section, text string) error {
				written = append(written, section)
				require.Contains(t, text, "| ")
				return nil
			})
			require.NoError(t, err)
			require.ElementsMatch(t, sections, written)
		})
	}
}

// TestRunSaysWhatIsWrong adds a row to a store that the scans do not know.
func TestRunSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	b, _, err := parse([]string{"-rows", "200", "-repeat", "1", "-stores", "memory"})
	require.NoError(t, err)
	var said bytes.Buffer
	b.log = log.New(&said, "", 0)
	b.openers = []opener{memoryOpener{}}
	stores, err := b.loadAll(t.Context())
	require.NoError(t, err)
	g := newGenerator(1, time.Now())
	g.random.Uint64() // other ids
	transfer, files, _ := g.next()
	_, err = stores[0].CreateTransfer(t.Context(), transfer, files)
	require.NoError(t, err)
	_, err = b.measureCounts(t.Context(), stores)
	require.NoError(t, err)
	require.Positive(t, b.wrong)
	require.Contains(t, said.String(), "WRONG: memory: count of none is 201, by a scan 200")
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ flag, value, want string }{
		{"-stores", "memory,mysql", `-stores has "mysql" (try some of memory, `},
		{"-sections", "lives", `-sections has "lives" (try some of pages, counts, life, sizes)`},
		{"-rows", "0", "-rows is 0 (try 1 or more)"},
	} {
		_, _, err := parse([]string{test.flag, test.value})
		require.ErrorContains(t, err, test.want)
	}
}
