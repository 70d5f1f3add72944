package s3x

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/rclone/gofakes3"
	"github.com/rclone/gofakes3/s3mem"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
)

const streamWindow = 4 << 20

// wireObject is an object on a wire. Its byte at off is that of contentAt.
type wireObject struct {
	size   int64
	breaks func(request int) int64 // after how many bytes the body of a request ends too early; nil or 0: it does not
	header http.Header             // of each answer, besides

	mu     sync.Mutex // guards the fields below
	ranges []string   // that were asked for
	bodies int        // that are open
}

// contentAt fills p with the bytes from off on.
func contentAt(p []byte, off int64) {
	for i := range p {
		p[i] = byte((off + int64(i)) >> 9)
	}
}

func (o *wireObject) Do(r *http.Request) (*http.Response, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var from, to int64
	if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to); err != nil {
		return nil, err
	}
	to = min(to, o.size-1)
	o.ranges = append(o.ranges, fmt.Sprintf("%d-%d", from, to))
	body := &wireBody{object: o, ctx: r.Context(), next: from, end: to + 1, fail: to + 2}
	if o.breaks != nil && o.breaks(len(o.ranges)) > 0 {
		body.fail = from + o.breaks(len(o.ranges))
	}
	o.bodies++
	header := http.Header{
		"Content-Range":  {fmt.Sprintf("bytes %d-%d/%d", from, to, o.size)},
		"Content-Length": {strconv.FormatInt(to+1-from, 10)},
		"Etag":           {`"e"`},
	}
	for k, v := range o.header {
		header[k] = v
	}
	return &http.Response{StatusCode: http.StatusPartialContent, Header: header, ContentLength: to + 1 - from, Body: body}, nil
}

func (o *wireObject) asked() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]string(nil), o.ranges...)
}

type wireBody struct {
	object          *wireObject
	ctx             context.Context
	next, end, fail int64
}

func (b *wireBody) Read(p []byte) (int, error) {
	switch {
	case b.ctx.Err() != nil:
		return 0, b.ctx.Err()
	case b.next == b.end:
		return 0, io.EOF
	case b.next == b.fail:
		return 0, io.ErrUnexpectedEOF
	}
	p = p[:min(int64(len(p)), b.end-b.next, b.fail-b.next)]
	contentAt(p, b.next)
	b.next += int64(len(p))
	return len(p), nil
}

func (b *wireBody) Close() error {
	b.object.mu.Lock()
	defer b.object.mu.Unlock()
	b.object.bodies--
	return nil
}

// requireWindow reads window i of the object and compares its bytes.
func (o *wireObject) requireWindow(t *testing.T, f transfer.Source, i int64) {
	t.Helper()
	off := i * streamWindow
	got, want := make([]byte, min(streamWindow, o.size-off)), make([]byte, min(streamWindow, o.size-off))
	require.NoError(t, f.ReadWindow(t.Context(), got, off))
	contentAt(want, off)
	require.True(t, bytes.Equal(want, got), "window %d", i)
}

// onWire calls test with the object opened on a wire that takes no time, and sees that all bodies are closed in the end.
func (o *wireObject) onWire(t *testing.T, test func(t *testing.T, s *Storage, f transfer.Source)) {
	synctest.Test(t, func(t *testing.T) {
		s := storageOnWire(t, o.Do, Options{})
		s.fast.Store(true)
		f, err := s.Open(t.Context(), "a")
		require.NoError(t, err)
		test(t, s, f)
		require.NoError(t, f.Close())
		synctest.Wait()
		require.Zero(t, o.bodies)
	})
}

// TestStream reads windows in order.
func TestStream(t *testing.T) {
	const size = firstLength + 2*streamLength + 100
	whole := []string{"0-8388607", "8388608-75497471", "75497472-142606335", "142606336-142606435"}
	for _, c := range []struct {
		name   string
		breaks map[int]int64
		ranges []string
	}{
		{"whole", nil, whole},
		{"breaks off within a window", map[int]int64{2: 2*streamWindow + 1}, []string{
			whole[0], whole[1], "16777217-20971519", "20971520-88080383", "88080384-142606435",
		}},
		{"cut while nobody reads it", map[int]int64{2: 2 * streamWindow}, []string{
			whole[0], whole[1], "16777216-20971519", "20971520-88080383", "88080384-142606435",
		}},
		{"cut at once", map[int]int64{1: 1}, append([]string{whole[0], "1-4194303", "4194304-71303167"}, "71303168-138412031", "138412032-142606435")},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := &wireObject{size: size, breaks: func(request int) int64 { return c.breaks[request] }}
			o.onWire(t, func(t *testing.T, _ *Storage, f transfer.Source) {
				start := time.Now()
				for i := range int64(size/streamWindow + 1) {
					o.requireWindow(t, f, i)
				}
				require.Equal(t, c.ranges, o.asked())
				require.Zero(t, time.Since(start), "nobody waits before a broken stream goes on")
			})
		})
	}
}

// TestStreamEndsWithinWindow has windows that do not end where the first answer does.
func TestStreamEndsWithinWindow(t *testing.T) {
	const window = 5 << 20
	o := &wireObject{size: 4 * window}
	o.onWire(t, func(t *testing.T, _ *Storage, f transfer.Source) {
		got, want := make([]byte, window), make([]byte, window)
		for off := int64(0); off < o.size; off += window {
			require.NoError(t, f.ReadWindow(t.Context(), got, off))
			contentAt(want, off)
			require.True(t, bytes.Equal(want, got), "at %d", off)
		}
		require.Equal(t, []string{"0-8388607", "8388608-10485759", "10485760-20971519"}, o.asked())
	})
}

// TestStreamAtOnce reads windows in order, several at once, so that they overtake each other now and then.
func TestStreamAtOnce(t *testing.T) {
	t.Parallel()
	const size = firstLength + 2*streamLength + 100
	o := &wireObject{size: size, breaks: func(request int) int64 { return int64(request%3) * 9e6 }}
	s := storageOnWire(t, o.Do, Options{})
	f := open(t, s, "a")
	var next atomic.Int64
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := next.Add(1) - 1; i <= size/streamWindow; i = next.Add(1) - 1 {
				o.requireWindow(t, f, i)
			}
		})
	}
	all.Wait()
}

// TestStreamOutOfOrder asks for a window before those in front of it, which never come.
func TestStreamOutOfOrder(t *testing.T) {
	o := &wireObject{size: firstLength + streamLength}
	o.onWire(t, func(t *testing.T, _ *Storage, f transfer.Source) {
		start := time.Now()
		for _, i := range []int64{1, 0, 9, 3, 17} {
			o.requireWindow(t, f, i)
		}
		require.Equal(t, gapPatience, time.Since(start), "once they did not come in order, nobody waits for them any more")
	})
}

// TestStreamOvertaken asks for a window a moment before the one in front of it, which is what happens when windows are read
// at once.
func TestStreamOvertaken(t *testing.T) {
	o := &wireObject{size: firstLength}
	o.onWire(t, func(t *testing.T, _ *Storage, f transfer.Source) {
		var second sync.WaitGroup
		second.Go(func() { o.requireWindow(t, f, 1) })
		synctest.Wait()
		o.requireWindow(t, f, 0)
		second.Wait()
		require.Equal(t, []string{"0-8388607"}, o.asked())
	})
}

// TestStreamWaitEnds ends the wait for the window in front.
func TestStreamWaitEnds(t *testing.T) {
	o := &wireObject{size: firstLength}
	o.onWire(t, func(t *testing.T, _ *Storage, f transfer.Source) {
		ctx, cancel := context.WithTimeout(t.Context(), gapPatience/2)
		defer cancel()
		err := f.ReadWindow(ctx, make([]byte, streamWindow), streamWindow)
		requireCode(t, transfer.OperationTimeout, err, "")
		o.requireWindow(t, f, 0)
		o.requireWindow(t, f, 1)
		require.Equal(t, []string{"0-8388607"}, o.asked())
	})
}

// TestStreamFarBehind goes on in the middle of an object: what Open brought along is given up.
func TestStreamFarBehind(t *testing.T) {
	o := &wireObject{size: firstLength + 3*streamLength}
	o.onWire(t, func(t *testing.T, _ *Storage, f transfer.Source) {
		o.requireWindow(t, f, (firstLength+streamLength)/streamWindow)
		require.Len(t, f.(*source).streams.open, 1)
	})
}

// TestStreamOfSlowServer sees that windows are read at once, with a request each, where one connection gives little.
func TestStreamOfSlowServer(t *testing.T) {
	o := &wireObject{size: firstLength + 3*streamWindow}
	o.onWire(t, func(t *testing.T, s *Storage, f transfer.Source) {
		s.noteSpeed(fastServer, 1001*time.Millisecond, nil)
		for i := range int64(5) {
			o.requireWindow(t, f, i)
			s.noteSpeed(fastServer, 1001*time.Millisecond, nil)
		}
		require.Equal(t, []string{"0-8388607", "8388608-12582911", "12582912-16777215", "16777216-20971519"}, o.asked())
		s.noteSpeed(tellingBytes-1, time.Nanosecond, nil)
		require.False(t, s.fast.Load(), "too little to tell")
		s.noteSpeed(fastServer, time.Second, nil)
		require.True(t, s.fast.Load())
		s.noteSpeed(1, time.Nanosecond, io.ErrUnexpectedEOF)
		require.False(t, s.fast.Load())
	})
}

// TestStreamDamaged has a checksum that is compared only after an earlier window was handed out.
func TestStreamDamaged(t *testing.T) {
	o := &wireObject{size: 2 * streamWindow, header: http.Header{"X-Amz-Checksum-Crc32": {*ChecksumCRC32.sum([]byte("else"))}}}
	synctest.Test(t, func(t *testing.T) {
		s := storageOnWire(t, o.Do, Options{Compat: CompatAWS})
		s.call = append(s.call, func(o *s3.Options) { o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenSupported })
		f, err := s.Open(t.Context(), "a")
		require.NoError(t, err)
		o.requireWindow(t, f, 0)
		err = f.ReadWindow(t.Context(), make([]byte, streamWindow), streamWindow)
		requireCode(t, transfer.IntegrityError, err, "body of 4194304 bytes at 4194304")
		require.NoError(t, f.Close())
	})
}

// TestStreamRefused begins a stream of an object that was replaced.
func TestStreamRefused(t *testing.T) {
	o := &wireObject{size: firstLength + streamLength}
	synctest.Test(t, func(t *testing.T) {
		s := storageOnWire(t, func(r *http.Request) (*http.Response, error) {
			if r.Header.Get("If-Match") == `"e"` {
				return says(412, "PreconditionFailed", "")(r)
			}
			return o.Do(r)
		}, Options{})
		s.fast.Store(true)
		f, err := s.Open(t.Context(), "a")
		require.NoError(t, err)
		err = f.ReadWindow(t.Context(), make([]byte, streamWindow), firstLength)
		requireCode(t, transfer.SourceChanged, err, "replaced or deleted")
		require.NoError(t, f.Close())
	})
}

// TestOpenKeepsConnection opens small objects and reads none: what came along is read to its end, so that the connection
// serves the next one.
func TestOpenKeepsConnection(t *testing.T) {
	t.Parallel()
	var connections atomic.Int32
	listener := httptest.NewUnstartedServer(gofakes3.New(s3mem.New()).Server())
	listener.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	listener.Start()
	s := serve(t, listener)
	s.write(t, "a", random(drainLength))
	before := connections.Load()
	for range 5 {
		f, err := s.storage(t, Options{}).Open(t.Context(), "a")
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	require.Equal(t, before, connections.Load())
}
