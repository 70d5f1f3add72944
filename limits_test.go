package transfer_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// setupLimited is setup for a partner with limits and windows of n bytes.
func setupLimited(t *testing.T, window int64, limits transfer.Limits, change ...func(*transfer.Config)) *bench {
	t.Helper()
	b := &bench{t: t, local: transfer.NewMemory(), remote: transfer.NewMemory(), store: store.NewMemory()}
	b.storage = transfertest.NewStorage(b.local)
	b.partner = transfertest.NewConnector(b.remote, transfertest.ConnectorOptions{URL: "sftp://alice@partner.example", MaxFiles: 64, Limits: &limits})
	b.client = b.newClient(append([]func(*transfer.Config){func(c *transfer.Config) {
		c.WindowSize, c.MemoryBudget = window, max(100*window, 1<<20)
		c.PollInterval, c.ProgressInterval = time.Second, time.Second
		c.Retry = transfer.RetryPolicy{}
	}}, change...)...)
	require.NoError(t, b.client.Start(context.WithoutCancel(t.Context())))
	t.Cleanup(b.requireClean)
	return b
}

// meter adds up the bytes that the partner reads or writes.
type meter struct {
	mu     sync.Mutex // guards the fields below
	began  time.Time
	bytes  map[string]int // by path
	most   float64        // bytes in a second, over ten seconds at least
	counts []count
}

type count struct {
	at    time.Time
	total int
}

func (b *bench) meter() *meter {
	m := &meter{began: time.Now(), bytes: map[string]int{}}
	b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow | transfertest.OpReadWindow, Times: -1, Do: m.note})
	return m
}

func (m *meter) note(c transfertest.Call) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bytes[c.Path] += c.Length
	total := c.Length
	if n := len(m.counts); n > 0 {
		total += m.counts[n-1].total
	}
	m.counts = append(m.counts, count{time.Now(), total})
}

// between is how many bytes in a second came from one moment to another, in seconds since the beginning.
func (m *meter) between(from, to int) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := func(seconds int) (total int) {
		for _, c := range m.counts {
			if c.at.After(m.began.Add(time.Duration(seconds) * time.Second)) {
				break
			}
			total = c.total
		}
		return total
	}
	return float64(at(to)-at(from)) / float64(to-from)
}

// Whatever the direction, the size of windows and the time that requests take, what moves in any ten seconds is what the
// limit says, within 5 %.
func TestBytesPerSecondAreKept(t *testing.T) {
	t.Parallel()
	const perSecond = 100_000
	for _, window := range []int64{1000, 64 << 10, 5 << 20} {
		for _, direction := range []store.Direction{store.Send, store.Retrieve} {
			for _, delay := range []time.Duration{0, 100 * time.Millisecond} {
				t.Run(fmt.Sprintf("window=%d/direction=%d/delay=%v", window, direction, delay), func(t *testing.T) {
					if window == 1000 && delay > 0 {
						delay = time.Millisecond // more would be slower than the limit
					}
					bubble(t, func(t *testing.T) {
						b := setupLimited(t, window, transfer.Limits{BytesPerSecond: perSecond})
						keepsRate(b, direction, delay, perSecond)
					})
				})
			}
		}
	}
}

// keepsRate moves a file that takes a minute.
func keepsRate(b *bench, direction store.Direction, delay time.Duration, perSecond int) {
	t, data := b.t, content(1, 60*perSecond)
	m := b.meter()
	if delay > 0 {
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow | transfertest.OpReadWindow, Times: -1, Delay: delay})
	}
	began := time.Now()
	var r []transfer.ConnectorFileTransferResult
	if direction == store.Send {
		b.local.WriteFile("a.bin", data)
		r = b.run2(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}})
	} else {
		b.remote.WriteFile("a.bin", data)
		r = b.run2(transfer.StartFileTransferInput{RetrieveFilePaths: []string{"a.bin"}, LocalDirectoryPath: "in"})
	}
	took := time.Since(began)
	require.Equal(t, transfer.TransferTableStatusCompleted, r[0].StatusCode, r[0].FailureMessage)
	require.InEpsilon(t, 60.0, took.Seconds(), 0.02)
	for from := 0; from+10 <= 58; from++ {
		require.InEpsilon(t, perSecond, m.between(from, from+10), 0.05, "from second %d on", from)
	}
}

// run2 is run without a limit of time, for files that take long on the clock of a bubble.
func (b *bench) run2(in transfer.StartFileTransferInput) []transfer.ConnectorFileTransferResult {
	b.t.Helper()
	id := b.start(in)
	_, err := b.client.Wait(b.t.Context(), id)
	require.NoError(b.t, err)
	return b.results(id)
}

// Files of different sizes, both ways, have equal parts of the rate while they move.
func TestFilesShareARateEqually(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setupLimited(t, 5<<20, transfer.Limits{BytesPerSecond: 400_000})
		m := b.meter()
		for i, size := range []int{20_000_000, 12_000_000} {
			b.local.WriteFile(fmt.Sprint("out", i), make([]byte, size))
			b.remote.WriteFile(fmt.Sprint("in", i), make([]byte, size))
		}
		send := b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"out0", "out1"}})
		b.start(transfer.StartFileTransferInput{RetrieveFilePaths: []string{"in0", "in1"}, LocalDirectoryPath: "x"})
		time.Sleep(60 * time.Second)
		for path, n := range m.copy() {
			require.InEpsilon(t, 60*400_000/4, n, 0.05, path)
		}
		require.InEpsilon(t, 400_000, m.between(20, 50), 0.02)
		require.NoError(t, b.pause(send))
		require.NoError(t, b.client.Shutdown(t.Context()))
	})
}

func (m *meter) copy() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := map[string]int{}
	for path, n := range m.bytes {
		all[path] = n
	}
	return all
}

func (b *bench) pause(id string) error {
	_, err := b.client.PauseTransfer(b.t.Context(), &transfer.ControlInput{TransferID: id})
	return err
}

// The lowest of the limits of connector, rule and node counts, and the node's is one for all connectors.
func TestLimitsOfRuleAndNode(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		connector, rule, node int64
		seconds               float64
	}{
		"connector": {50_000, 100_000, 200_000, 20},
		"rule":      {100_000, 50_000, 200_000, 20},
		"node":      {100_000, 0, 50_000, 20},
		"none":      {0, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := setupLimited(t, 64<<10, transfer.Limits{BytesPerSecond: test.connector}, func(c *transfer.Config) {
					c.Rules = map[string]transfer.Rule{"slowly": {Limits: transfer.Limits{BytesPerSecond: test.rule}}}
					c.Limits = transfer.Limits{BytesPerSecond: test.node}
				})
				b.local.WriteFile("a.bin", content(1, 1_000_000))
				began := time.Now()
				require.Equal(t, transfer.TransferTableStatusCompleted, b.run2(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}, RuleName: "slowly"})[0].StatusCode)
				require.InDelta(t, test.seconds, time.Since(began).Seconds(), 0.5)
			})
		})
	}
}

// A file under a low rate stops at once when it is paused or the client ends, and goes on from its last window.
func TestAThrottledFileStopsSoon(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setupLimited(t, 1<<20, transfer.Limits{BytesPerSecond: 10_000})
		data := content(1, 3<<20)
		b.remote.WriteFile("a.bin", data)
		id := b.start(transfer.StartFileTransferInput{RetrieveFilePaths: []string{"a.bin"}, LocalDirectoryPath: "in"})
		time.Sleep(150 * time.Second)
		require.NoError(t, b.pause(id))
		time.Sleep(3 * time.Second)
		r := b.row(id)
		require.Equal(t, store.Paused, r.State)
		require.EqualValues(t, 1<<20, r.BytesTransferred)
		_, err := b.client.ResumeTransfer(t.Context(), &transfer.ControlInput{TransferID: id})
		require.NoError(t, err)
		time.Sleep(30 * time.Second)
		began := time.Now()
		require.NoError(t, b.client.Shutdown(t.Context()))
		require.LessOrEqual(t, time.Since(began), 3*time.Second)
		require.Equal(t, store.Interrupted, b.row(id).State)
		require.EqualValues(t, 1<<20, b.row(id).BytesTransferred)
		r2 := b.goOn(id, func(c *transfer.Config) { c.WindowSize, c.MemoryBudget = 1<<20, 4<<20 })
		require.Equal(t, transfer.TransferTableStatusCompleted, r2.StatusCode, r2.FailureMessage)
		got, err := b.local.ReadFile("in/a.bin")
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, got))
	})
}

// No more files are taken up than the limit allows, and no fewer.
func TestFilesPerSecondAreKept(t *testing.T) {
	t.Parallel()
	for name, limits := range map[string][2]float64{"connector": {20, 0}, "node": {0, 20}, "both": {20, 50}, "slow": {0.5, 0}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				perSecond := limits[0]
				if perSecond == 0 {
					perSecond = limits[1]
				}
				n := int(30 * perSecond)
				b := setupLimited(t, 1000, transfer.Limits{FilesPerSecond: limits[0]}, func(c *transfer.Config) {
					c.Limits.FilesPerSecond = limits[1]
				})
				m := b.meter()
				paths := make([]string, n)
				for i := range paths {
					paths[i] = fmt.Sprint("f", i)
					b.local.WriteFile(paths[i], []byte{1})
				}
				began := time.Now()
				b.run2(transfer.StartFileTransferInput{SendFilePaths: paths})
				require.InEpsilon(t, 30, time.Since(began).Seconds(), 0.1)
				for from := 0; from+10 <= 28; from += 2 {
					require.InEpsilon(t, perSecond, m.between(from, from+10), 0.05)
				}
			})
		})
	}
}

func TestLimitsOfAConnectorAreData(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := setupDynamic(t)
		berlin, err := time.LoadLocation("Europe/Berlin")
		require.NoError(t, err)
		limits := transfer.Limits{BytesPerSecond: 1000, FilesPerSecond: 2.5, Open: []transfer.TimeWindow{
			{Days: []time.Weekday{time.Monday, time.Sunday}, From: "08:00", To: "18:30", Location: berlin}, {From: "00:00", To: "00:00"},
		}}
		id := d.create(transfer.CreateConnectorInput{Limits: &limits})
		out, err := d.client.DescribeConnector(t.Context(), &transfer.DescribeConnectorInput{ConnectorID: id})
		require.NoError(t, err)
		require.Equal(t, limits, *out.Connector.Limits)

		took := func() time.Duration {
			began := time.Now()
			require.Equal(t, 1, d.wait(d.send(d.client, id, "slow")).Completed)
			return time.Since(began)
		}
		require.InDelta(t, 2.5, took().Seconds(), 0.3)
		_, err = d.client.UpdateConnector(t.Context(), &transfer.UpdateConnectorInput{ConnectorID: id, Limits: &transfer.Limits{BytesPerSecond: 2000}})
		require.NoError(t, err)
		require.InDelta(t, 1.25, took().Seconds(), 0.3, "with the next file")
		_, err = d.client.UpdateConnector(t.Context(), &transfer.UpdateConnectorInput{ConnectorID: id, Limits: &transfer.Limits{}})
		require.NoError(t, err)
		require.Less(t, took(), time.Second/2)
		out, err = d.client.DescribeConnector(t.Context(), &transfer.DescribeConnectorInput{ConnectorID: id})
		require.NoError(t, err)
		require.Nil(t, out.Connector.Limits)
		synctest.Wait()
	})
}

func TestWrongLimitsAreRefused(t *testing.T) {
	t.Parallel()
	wrong := transfer.Limits{BytesPerSecond: 999, FilesPerSecond: -1, Open: []transfer.TimeWindow{
		{Days: []time.Weekday{7}, From: "8:00", To: "24:00", Location: time.Local},
	}}
	fields := []string{"BytesPerSecond is 999", "FilesPerSecond is -1", "Open[0].Days[0] is 7", `Open[0].From is "8:00"`, `Open[0].To is "24:00"`}
	_, err := transfer.New(transfer.Config{
		Limits:     wrong,
		Connectors: map[string]transfer.Connector{"acme": transfertest.NewConnector(nil, transfertest.ConnectorOptions{Limits: &wrong})},
		Rules: map[string]transfer.Rule{
			"r": {Limits: wrong, Priority: 2}, "s": {Limits: transfer.Limits{FilesPerSecond: 1}},
		},
	})
	for _, where := range []string{"Limits.", `Connectors["acme"].Limits.`, `Rules["r"].Limits.`} {
		for _, field := range fields {
			require.ErrorContains(t, err, "transfer: Config."+where+field)
		}
	}
	require.ErrorContains(t, err, `Rules["r"].Priority is 2`)
	require.ErrorContains(t, err, `Rules["s"].Limits.FilesPerSecond is 1 (a rule cannot have it`)

	d := setupDynamic(t)
	_, err = d.client.CreateConnector(t.Context(), &transfer.CreateConnectorInput{URL: "test://x", Limits: &wrong})
	var invalid *transfer.InvalidRequestException
	require.ErrorAs(t, err, &invalid)
	var names []string
	for _, f := range invalid.Fields {
		names = append(names, f.Name)
	}
	for _, name := range []string{"Limits.BytesPerSecond", "Limits.FilesPerSecond", "Limits.Open[0].From", "Limits.Open[0].To", "Limits.Open[0].Days[0]", "Limits.Open[0].Location"} {
		require.Contains(t, names, name)
	}
}

func TestPriorities(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setupLimited(t, 1000, transfer.Limits{FilesPerSecond: 1})
		var order []string
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpCreate, Times: -1, Do: func(c transfertest.Call) { order = append(order, c.Path) }})
		var ids []string
		for i, p := range []store.Priority{store.Normal, store.Low, store.Low, store.Normal, store.High} {
			b.local.WriteFile(fmt.Sprint(i), []byte{1})
			ids = append(ids, b.start(transfer.StartFileTransferInput{SendFilePaths: []string{fmt.Sprint(i)}, Priority: p}))
			require.Equal(t, p, b.row(ids[i]).Priority)
			synctest.Wait()
		}
		for _, id := range ids {
			_, err := b.client.Wait(t.Context(), id)
			require.NoError(t, err)
		}
		synctest.Wait()
		require.Equal(t, []string{"0", "4", "3", "1", "2"}, order, "the first was taken up at once")

		out, err := b.client.RetryTransfer(t.Context(), &transfer.RetryTransferInput{TransferID: ids[4], Whole: true})
		require.NoError(t, err)
		_, err = b.client.Wait(t.Context(), out.Transfers[0].TransferID)
		require.NoError(t, err)
		require.Equal(t, store.High, b.row(out.Transfers[0].TransferID).Priority)
		_, err = b.client.StartFileTransfer(t.Context(), &transfer.StartFileTransferInput{ConnectorID: "acme", SendFilePaths: []string{"1"}, Priority: 2})
		require.ErrorContains(t, err, `Priority "2" is not a priority (use store.Low, store.Normal or store.High)`)
	})
}
