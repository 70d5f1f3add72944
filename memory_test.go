package transfer_test

import (
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/storagetest"
)

func TestMemoryStorage(t *testing.T) {
	t.Parallel()
	m := transfer.NewMemory()
	storagetest.Run(t, func(*testing.T) transfer.Storage { return m }, storagetest.Options{
		Resume:      true,
		Directories: true, Implied: true,
		Leftovers: func(*testing.T) []string { return unfinished(m) },
	})
}

func unfinished(m *transfer.Memory) []string {
	names := m.Partials()
	for i := range names {
		names[i] += " (unfinished)"
	}
	return names
}

func TestMemoryFiles(t *testing.T) {
	t.Parallel()
	m := transfer.NewMemory()
	require.Empty(t, m.Paths())
	data := []byte("content")
	m.WriteFile("/in//a.csv", data)
	m.WriteFile("b.csv", nil)
	data[0] = 'C'
	require.Equal(t, []string{"b.csv", "in/a.csv"}, m.Paths())

	got, err := m.ReadFile("in/./x/../a.csv")
	require.NoError(t, err)
	require.Equal(t, "content", string(got))
	got[0] = 'C'
	got, err = m.ReadFile("in/a.csv")
	require.NoError(t, err)
	require.Equal(t, "content", string(got))

	m.Remove("/in/a.csv")
	m.Remove("never/there")
	_, err = m.ReadFile("in/a.csv")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorIs(t, err, transfer.FileNotFound)
	require.Equal(t, []string{"b.csv"}, m.Paths())
}

func TestMemoryNewVersionOfSameContent(t *testing.T) {
	t.Parallel()
	m := transfer.NewMemory()
	m.WriteFile("a", []byte("content"))
	old, err := m.Open(t.Context(), "a")
	require.NoError(t, err)
	m.WriteFile("a", []byte("content"))
	now, err := m.Open(t.Context(), "a")
	require.NoError(t, err)
	require.NotEqual(t, old.Info().ETag, now.Info().ETag)
	m.Remove("a")
	p := make([]byte, 7)
	require.NoError(t, old.ReadWindow(t.Context(), p, 0))
	require.Equal(t, "content", string(p))
}

func TestMemoryPartials(t *testing.T) {
	t.Parallel()
	m := transfer.NewMemory()
	o := transfer.CreateOptions{Size: 1, WindowSize: 1, Key: storagetest.NewKey()}
	first, err := m.Create(t.Context(), "/in/a", o)
	require.NoError(t, err)
	again, err := m.Create(t.Context(), "in/a", o)
	require.NoError(t, err)
	require.Equal(t, []string{"in/a"}, m.Partials())
	require.NoError(t, first.Abort(t.Context()))
	require.Equal(t, []string{"in/a"}, m.Partials(), "a sink aborted the delivery of its successor")
	require.NoError(t, again.Abort(t.Context()))
	require.Empty(t, m.Partials())
}

func TestMemoryRefusesWrongOptions(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]transfer.CreateOptions{
		"Size":       {Size: -2, WindowSize: 1, Key: "0123456789abcdef"},
		"WindowSize": {Key: "0123456789abcdef"},
		"Key":        {WindowSize: 1, Key: "../../../../../etc/x"},
		"Overwrite":  {WindowSize: 1, Key: "0123456789abcdef", Overwrite: "MAYBE"},
	} {
		_, err := transfer.NewMemory().Create(t.Context(), "a", o)
		require.ErrorContains(t, err, "CreateOptions."+name)
		require.Equal(t, transfer.InternalError, transfer.CodeOf(err))
	}
	_, err := transfer.NewMemory().Create(t.Context(), "../a", transfer.CreateOptions{})
	require.ErrorIs(t, err, transfer.PathEscapes)
}
