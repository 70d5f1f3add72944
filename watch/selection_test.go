package watch

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
)

func resolved(t *testing.T, s *site, selection Selection) []string {
	t.Helper()
	selection.ConnectorID, selection.Direction = "acme", store.Send
	if selection.Directory == "" {
		selection.Directory = "/out"
	}
	var paths []string
	for f, err := range s.node("one", nil).Resolve(t.Context(), selection) {
		require.NoError(t, err)
		paths = append(paths, f.Path)
	}
	return paths
}

func TestResolve(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := newSite(t)
	for i, name := range []string{
		"b.csv", "a.csv", "A.CSV", "c.txt", ".hidden", "d.PART", "e.filepart", ".dir/f.csv", "sub/g.csv", "sub/h.txt", "sub/deep/i.csv", "[x].csv",
	} {
		s.entries = append(s.entries, entry{rel: name, size: int64(i * 100), modTime: now.Add(-time.Duration(i) * time.Hour)})
	}
	s.entries = append(s.entries, entry{rel: "unknown.csv", size: -1})
	for _, test := range []struct {
		name string
		Selection
		want string
	}{
		{"by default what is complete and not below", Selection{}, "unknown.csv [x].csv c.txt A.CSV a.csv b.csv"},
		{"by name", Selection{Order: ByName}, "A.CSV [x].csv a.csv b.csv c.txt unknown.csv"},
		{"a pattern", Selection{Patterns: []string{"*.csv"}, Order: ByName}, "[x].csv a.csv b.csv unknown.csv"},
		{"several", Selection{Patterns: []string{"*.csv", "sub/*.txt"}, Order: ByName}, "[x].csv a.csv b.csv sub/h.txt unknown.csv"},
		{"all below", Selection{Patterns: []string{"**/*.csv"}, Order: ByName}, "[x].csv a.csv b.csv sub/deep/i.csv sub/g.csv unknown.csv"},
		{"excluded", Selection{Patterns: []string{"**"}, Exclude: []string{"sub/**", "?.csv"}, Order: ByName}, "A.CSV [x].csv c.txt unknown.csv"},
		{"either", Selection{Patterns: []string{"{a,b}.csv"}, Order: ByName}, "a.csv b.csv"},
		{"a bracket itself", Selection{Patterns: []string{`\[x\].csv`}}, "[x].csv"},
		{"temporary ones, too", Selection{Patterns: []string{"**/*"}, IncludeTemporary: true, Exclude: []string{"**/*.csv", "*.CSV"}, Order: ByName}, ".hidden c.txt d.PART e.filepart sub/h.txt"},
		{"sizes", Selection{MinSize: 100, MaxSize: 300, Order: ByName}, "A.CSV a.csv c.txt"},
		{"a largest size alone", Selection{MaxSize: 50}, "b.csv"},
		{"at least so old", Selection{MinAge: 90 * time.Minute, Order: ByName}, "A.CSV [x].csv c.txt"},
		{"not too old", Selection{MaxAge: 90 * time.Minute, Order: ByName}, "a.csv b.csv"},
		{"not too many", Selection{MaxFiles: 2}, "unknown.csv [x].csv"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var want []string
			for _, name := range strings.Fields(test.want) {
				want = append(want, "/out/"+name)
			}
			require.Equal(t, want, resolved(t, s, test.Selection))
		})
	}
}

func TestDepthFollowsFromPatterns(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		patterns []string
		max      int
		want     int
	}{
		{[]string{"*"}, 16, 0}, {[]string{"a/*", "*.x"}, 16, 1}, {[]string{"a/b/*"}, 1, 1}, {[]string{"**"}, 7, 7}, {[]string{"a/**/b"}, 16, 16},
	} {
		require.Equal(t, test.want, Selection{Patterns: test.patterns, MaxDepth: test.max}.depth())
	}
}

// What the other side calls its files is passed over where it would do harm, and the others are started all the same.
func TestHostileNames(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t)
		for _, name := range []string{
			"good", "line\nbreak", "bell\a", "\xff\xfe", "../out", "a/../b", "..", "nul\x00", "\u2028", strings.Repeat("x", 1100), "a//b", "./c", "esc\x1b[2J", "ü ok",
		} {
			s.entries = append(s.entries, entry{rel: name, size: 1})
		}
		n := s.node("one", outbox(func(w *Watch) { w.Patterns = []string{"**"}; w.IncludeTemporary = true })).start(s)
		time.Sleep(time.Second)
		require.Equal(t, []string{"/out/good", "/out/ü ok"}, sorted(s.paths()))
		status, err := n.Status(t.Context(), "outbox")
		require.NoError(t, err)
		require.Equal(t, 12, status.PassedOver)
		require.Empty(t, status.LastError)
	})
}

// Names that no request could name come to no request, and to the counts all the same.
func TestNamesThatListingsLeaveOut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t)
		for _, name := range []string{"good", "two\nlines", "\xff\xfe", "x/" + strings.Repeat("x", 1020)} {
			s.local.WriteFile("/out/"+name, nil)
		}
		n := s.node("one", outbox(func(w *Watch) { w.Patterns = []string{"**"} })).start(s)
		time.Sleep(time.Second)
		require.Equal(t, []string{"/out/good"}, s.paths())
		status, err := n.Status(t.Context(), "outbox")
		require.NoError(t, err)
		require.Equal(t, 3, status.PassedOver)
		require.Equal(t, 4, status.Listed)
		require.Empty(t, status.LastError)
	})
}

// A hundred thousand files are started once each, and what is remembered of them stays small.
func TestHundredThousandFiles(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	now := time.Now()
	s.entries = make([]entry, 100_000)
	for i := range s.entries {
		s.entries[i] = entry{rel: fmt.Sprintf("orders/%06d.csv", i), size: int64(i), modTime: now.Add(-time.Duration(i) * time.Second)}
	}
	n := s.node("one", outbox(func(w *Watch) { w.Patterns = []string{"**"}; w.MaxFiles = 100 }))
	require.True(t, n.register(t.Context()))
	watch := n.watches["outbox"]
	before := heap()
	require.NoError(t, n.runWatch(t.Context(), watch, 1).err)
	require.Less(t, heap()-before, int64(32<<20))
	paths := s.paths()
	require.Len(t, paths, 100)
	require.Equal(t, "/out/orders/099999.csv", paths[0], "the oldest first")

	watch.MaxFiles = maxListed
	require.NoError(t, n.runWatch(t.Context(), watch, 2).err)
	require.Len(t, uniq(s.paths()), 100_000)
	require.Len(t, s.paths(), 100_000)
	d, err := n.find(t.Context(), stateName("outbox"))
	require.NoError(t, err)
	require.Less(t, len(d.State), 3<<20)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// What a look did not come to is remembered, and nothing more than there is room for.
func TestTruncatedLookForgetsNothing(t *testing.T) {
	t.Parallel()
	s := &survey{known: table{}, next: table{}}
	for i := range key(10) {
		s.known[i] = known{version: 1, started: true}
	}
	s.next[3] = known{version: 2, started: true}
	s.keepUnseen()
	require.Len(t, s.next, 10)
	require.Equal(t, key(2), s.next[3].version)
}

func TestMarkers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ pattern, marker, of, file string }{
		{"{name}.done", "a.csv.done", "a.csv", "a.csv"},
		{"{base}.ok", "sub/a.ok", "sub/a", "sub/a.csv"},
		{"ready_{name}", "sub/ready_a.csv", "sub/a.csv", "sub/a.csv"},
		{"{base}.ok", ".x.ok", ".x", ".x"},
	} {
		m, ok := parseMarker(test.pattern)
		require.True(t, ok)
		of, is := m.marks(test.marker)
		require.True(t, is)
		require.Equal(t, test.of, of)
		require.Equal(t, of, m.of(test.file))
	}
	m, _ := parseMarker("{name}.done")
	for _, name := range []string{".done", "a.csv", "a.done/b"} {
		_, is := m.marks(name)
		require.False(t, is, name)
	}
	for _, pattern := range []string{"done", "{name}", "{base}", "d/{name}.x", "{name}{base}", "{name}\n"} {
		_, ok := parseMarker(pattern)
		require.False(t, ok, pattern)
	}
}

func TestFlattenKeepsNamesApart(t *testing.T) {
	t.Parallel()
	for _, flat := range []bool{false, true} {
		s := newSite(t)
		s.entries = []entry{{rel: "a/x"}, {rel: "b/x"}, {rel: "b/y"}}
		n := s.node("one", outbox(func(w *Watch) { w.Patterns = []string{"**"}; w.Flatten = flat; w.Order = ByName }))
		require.True(t, n.register(t.Context()))
		require.NoError(t, n.runWatch(t.Context(), n.watches["outbox"], 1).err)
		files, err := s.store.ListFiles(t.Context(), store.Query{})
		require.NoError(t, err)
		var targets []string
		for _, f := range files {
			targets = append(targets, f.TargetPath)
		}
		want := []string{"/in/a/x", "/in/b/x", "/in/b/y"}
		if flat {
			want = []string{"/in/x", "/in/x", "/in/y"}
			require.NotEqual(t, files[0].TransferID, files[1].TransferID)
		}
		require.Equal(t, want, sorted(targets))
	}
}

func TestNewNamesEveryWrongField(t *testing.T) {
	t.Parallel()
	_, err := New(Config{MaxRuns: -1, Lease: time.Millisecond, PollInterval: -1})
	for _, part := range []string{"Client is nil", "MaxRuns is -1", "Lease is 1ms", "PollInterval is -1ns"} {
		require.ErrorContains(t, err, part)
	}
	client, err := transfer.New(transfer.Config{Rules: map[string]transfer.Rule{"in": {Direction: store.Retrieve, SourceDirectory: "/x"}}})
	require.NoError(t, err)
	_, err = New(Config{Client: client, Watches: map[string]Watch{
		"a/b": {
			Selection: Selection{
				Direction: 7, Patterns: []string{"[", "a/../b", "/abs", "**/**/**/**", strings.Repeat("x", 1025), "*{*,b}/**/**/**"}, Exclude: slices.Repeat([]string{"x"}, 101),
				MinAge: -1, MaxAge: -1, MinSize: 5, MaxSize: 3, MaxFiles: -1, MaxDepth: 101, Order: "BIG",
			},
			Guard:    Guard{Unchanged: -1, Interval: time.Millisecond, Marker: "done"},
			Delivery: Delivery{RuleName: "x\n", Overwrite: "MAYBE", Verify: "NO", Ledger: "LOST", Metadata: map[string]string{"": "x"}, TargetDirectory: strings.Repeat("y", 1025)},
			Schedule: Schedule{Every: time.Second, Cron: "* * * * *", CatchUp: "SOME", Jitter: -1},
		},
		"leaves":   {Selection: Selection{ConnectorID: "acme", Direction: store.Send, Directory: "../y"}, Delivery: Delivery{RuleName: "in"}, Schedule: Schedule{Cron: "x"}},
		"retrieve": {Selection: Selection{ConnectorID: "acme", Direction: store.Retrieve, Directory: "/x"}, Schedule: Schedule{Every: time.Millisecond}},
	}})
	for _, part := range []string{
		`the name "a/b"`, "ConnectorID is", "Direction is 7", "Directory is", "Patterns[0]", "Patterns[1]", "Patterns[2]", "Patterns[3]", "Patterns[4]", "Patterns[5]", "Exclude has 101",
		"MinAge is", "MaxAge is", "MaxSize is 3", "MaxFiles is -1", "MaxDepth is 101", `Order is "BIG"`, "Guard.Unchanged is -1", "Guard.Interval is 1ms", "Guard.Marker is", "give one of them",
		"RuleName is", `Overwrite is "MAYBE"`, `Verify is "NO"`, `Ledger is "LOST"`, `Metadata[""]`, "TargetDirectory is \"yyy", "CatchUp is", "Jitter is", "leaves SourceDirectory", `rule "in" has store.Retrieve`, `Cron is "x"`, "TargetDirectory is empty", "Every is 1ms",
	} {
		require.ErrorContains(t, err, part)
	}
}

// Whatever the other side names its files and whatever patterns there are, a path that gets through is one that a request
// may name, and leads nowhere else.
func FuzzNames(f *testing.F) {
	f.Add("**/*.csv", "a/b.csv", "{base}.ok")
	f.Add("{a,b}/[!x]*", "../a", "{name}.done")
	f.Add("*", "\xff", "x{name}")
	f.Fuzz(func(t *testing.T, pattern, name, markerPattern string) {
		flow := flow{Selection: Selection{ConnectorID: "acme", Direction: store.Send, Directory: "/out", Patterns: []string{pattern}}.withDefaults(), listed: "/out", named: "/out", target: "/in", naming: transfer.Rule{}.TargetName}
		p := &problems{}
		flow.Selection.check(p.wrong)
		m, ok := parseMarker(markerPattern)
		if p.err() != nil || !ok {
			return
		}
		if flow.usable(&entry{rel: name}) == "" {
			require.True(t, utf8.ValidString(name))
			for _, path := range []string{flow.requested(name), flow.path(name)} {
				require.True(t, strings.HasPrefix(path, "/out/"))
				require.LessOrEqual(t, utf8.RuneCountInString(path), maxPathLength)
				require.False(t, strings.ContainsFunc(path, hostileRune))
			}
			require.True(t, flow.targetOf(name) == "/in" || strings.HasPrefix(flow.targetOf(name), "/in/"))
		}
		flow.selects(&entry{rel: name})
		if m != nil {
			m.marks(name)
			m.of(name)
		}
	})
}

func FuzzTable(f *testing.F) {
	now := time.Unix(1_700_000_000, 5000).UTC()
	f.Add(table{1: {version: 2, started: true}, 3: {version: 4, since: now, counted: now, checks: 7}}.marshal())
	f.Add([]byte{tagWaiting, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		read, err := parseTable(data)
		if err != nil {
			return
		}
		again, err := parseTable(read.marshal())
		require.NoError(t, err)
		require.Equal(t, read, again)
	})
}

func TestTableKeepsWhatItHas(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 5000).UTC()
	all := table{1: {version: 2, started: true}, 3: {version: 4, since: now, counted: now.Add(time.Second), checks: 7}}
	read, err := parseTable(all.marshal())
	require.NoError(t, err)
	require.Equal(t, all, read)
	_, err = parseTable(all.marshal()[:20])
	require.ErrorIs(t, err, errTable)
}
