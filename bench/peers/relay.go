//go:build linux

package main

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

const (
	chunkSize   = 64 << 10
	queueChunks = 16 << 10 // of one direction: 1 GiB; what is under way is bounded by the windows of SSH
	writeChunks = 32       // that leave in one system call
	packetSize  = 1448     // of payload, on an Ethernet: what is lost at once
	lossSeed    = 1448
)

// distance is how far away the server is.
type distance struct {
	roundTrip time.Duration
	loss      float64 // the share of packets that get lost; what that costs is in relay.lost
}

// relay makes a server distant: it passes on what comes half a round trip later, in both directions, and as fast as it
// comes. The end of a stream travels like bytes.
type relay struct {
	distance
	target   string
	listener net.Listener
	cancel   context.CancelFunc
	running  sync.WaitGroup
}

// startRelay listens on a free loopback port until close.
func startRelay(ctx context.Context, target string, d distance) (*relay, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	r := &relay{distance: d, target: target, listener: listener, cancel: cancel}
	r.running.Go(func() { r.accept(ctx) })
	return r, nil
}

func (r *relay) addr() string { return r.listener.Addr().String() }

// close cuts all connections and returns when they are gone.
func (r *relay) close() {
	r.cancel()
	_ = r.listener.Close()
	r.running.Wait()
}

func (r *relay) accept(ctx context.Context) {
	for number := uint64(0); ; number++ {
		client, err := r.listener.Accept()
		if err != nil {
			return
		}
		r.running.Go(func() { r.serve(ctx, client.(*net.TCPConn), number) })
	}
}

// serve passes on one connection. The server hears of it after half a round trip, and the client could send its first
// byte only after a whole one, when it has heard from the server.
func (r *relay) serve(ctx context.Context, client *net.TCPConn, number uint64) {
	defer func() { _ = client.Close() }()
	accepted := time.Now()
	if !sleepUntil(ctx, accepted.Add(r.roundTrip/2)) {
		return
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", r.target)
	if err != nil {
		return
	}
	server := conn.(*net.TCPConn)
	defer func() { _ = server.Close() }()
	stop := context.AfterFunc(ctx, func() { _, _ = client.Close(), server.Close() })
	defer stop()
	var directions sync.WaitGroup
	there := r.newLine(client, server, 2*number)
	there.notBefore = accepted.Add(r.roundTrip * 3 / 2)
	back := r.newLine(server, client, 2*number+1)
	directions.Go(func() { there.run(ctx) })
	directions.Go(func() { back.run(ctx) })
	directions.Wait()
}

// line is one direction of a connection.
type line struct {
	distance
	from, to  *net.TCPConn
	notBefore time.Time
	random    *rand.Rand
	queue     chan chunk
	free      chan []byte
}

// chunk is what came in one read, and when it is to leave.
type chunk struct {
	bytes []byte
	due   time.Time
}

func (r *relay) newLine(from, to *net.TCPConn, number uint64) *line {
	_, _ = from.SetNoDelay(true), to.SetNoDelay(true)
	return &line{
		distance: r.distance, from: from, to: to, random: rand.New(rand.NewPCG(lossSeed, number)),
		queue: make(chan chunk, queueChunks), free: make(chan []byte, 4*writeChunks),
	}
}

// run returns when both ends of the line are done.
func (l *line) run(ctx context.Context) {
	var reader sync.WaitGroup
	reader.Go(func() { l.read(ctx) })
	l.write(ctx)
	reader.Wait()
}

func (l *line) read(ctx context.Context) {
	defer close(l.queue)
	last := l.notBefore
	for {
		buf := l.buffer()
		n, err := l.from.Read(buf)
		if n > 0 {
			last = l.due(n, last)
			select {
			case l.queue <- chunk{bytes: buf[:n], due: last}:
			case <-ctx.Done():
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// due is when n bytes that come now arrive, given when those before them do.
func (l *line) due(n int, last time.Time) time.Time {
	due := time.Now().Add(l.roundTrip / 2)
	if l.lost(n) {
		due = due.Add(l.roundTrip)
	}
	if due.Before(last) {
		return last
	}
	return due
}

// lost says whether one of the packets that carry n bytes is lost. It is sent again and arrives a round trip later, as
// with TCP's fast retransmit, and holds up all behind it. TCP would also slow down, which depends on its congestion control
// and is left out.
func (l *line) lost(n int) bool {
	if l.loss == 0 {
		return false
	}
	packets := math.Ceil(float64(n) / packetSize)
	return l.random.Float64() > math.Pow(1-l.loss, packets)
}

func (l *line) buffer() []byte {
	select {
	case buf := <-l.free:
		return buf[:chunkSize]
	default:
		return make([]byte, chunkSize)
	}
}

// write sends each chunk when it is due, and what is due by then with it.
func (l *line) write(ctx context.Context) {
	var batch net.Buffers
	next, ok := <-l.queue
	for ok {
		if !sleepUntil(ctx, next.due) {
			break
		}
		now := time.Now()
		batch = batch[:0]
		for ok && len(batch) < writeChunks && !next.due.After(now) {
			batch = append(batch, next.bytes)
			next, ok = l.poll(now)
		}
		if err := l.send(batch); err != nil {
			_ = l.from.Close() // ends read
			break
		}
		if ok && next.bytes == nil {
			next, ok = <-l.queue
		}
	}
	if ctx.Err() == nil {
		_ = l.to.CloseWrite()
	}
	for range l.queue { // until read has ended
	}
}

// poll returns the next chunk if there is one; one without bytes says that there is none yet.
func (l *line) poll(now time.Time) (next chunk, ok bool) {
	select {
	case next, ok = <-l.queue:
		return next, ok
	default:
		return chunk{due: now.Add(time.Hour)}, true
	}
}

// send writes the buffers and frees them.
func (l *line) send(batch net.Buffers) error {
	buffers := append(make(net.Buffers, 0, writeChunks), batch...)
	if _, err := buffers.WriteTo(l.to); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	for _, buf := range batch {
		select {
		case l.free <- buf:
		default:
		}
	}
	return nil
}

// sleepUntil returns at due, or false when ctx ends.
func sleepUntil(ctx context.Context, due time.Time) bool {
	wait := time.Until(due)
	if wait <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
