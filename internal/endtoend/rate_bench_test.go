package endtoend

import (
	"context"
	"fmt"
	"net"
	"os"
	"path"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/internal/testenv"
	"github.com/seed62b9dc43/transfer/sftpx"
)

// measured counts the bytes that go and come on a connection.
type measured struct {
	net.Conn
	moved *atomic.Int64
}

func (m measured) Read(p []byte) (int, error) {
	n, err := m.Conn.Read(p)
	m.moved.Add(int64(n))
	return n, err
}

func (m measured) Write(p []byte) (int, error) {
	n, err := m.Conn.Write(p)
	m.moved.Add(int64(n))
	return n, err
}

// rateSpan is for how long the rate is measured.
const rateSpan = 10 * time.Second

// BenchmarkRate limits a connector to so many bytes a second, moves four files to or from sshd, and counts for ten seconds
// what really goes over its connections: content, and what SSH and SFTP add, which is about 0.2 %.
//
//	go test -run '^$' -bench Rate -benchtime 1x ./internal/endtoend
func BenchmarkRate(b *testing.B) {
	for _, perSecond := range []int64{100_000, 5_000_000, 50_000_000} {
		for _, send := range []bool{true, false} {
			b.Run(fmt.Sprintf("limit=%d/send=%v", perSecond, send), func(b *testing.B) {
				for b.Loop() {
					got := measureRate(b, perSecond, send)
					b.ReportMetric(got, "B/s")
					b.ReportMetric(100*(got/float64(perSecond)-1), "%off")
				}
			})
		}
	}
}

func measureRate(b *testing.B, perSecond int64, send bool) float64 {
	b.Helper()
	var moved atomic.Int64
	server := testenv.SSHD(b)
	connector, err := sftpx.New(sftpx.Config{
		Addr: server.Addr, User: server.User, HostKeys: server.HostKeys, Auth: []sftpx.Auth{sftpx.PublicKey(server.Signer)},
		Limits: &transfer.Limits{BytesPerSecond: perSecond},
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			return measured{conn, &moved}, err
		},
	})
	require.NoError(b, err)
	defer func() { require.NoError(b, connector.Close()) }()
	ours := b.TempDir()
	storage, err := transfer.Dir(ours)
	require.NoError(b, err)
	client, err := transfer.New(transfer.Config{Storage: storage, Connectors: map[string]transfer.Connector{"acme": connector}})
	require.NoError(b, err)
	require.NoError(b, client.Start(context.WithoutCancel(b.Context())))
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = client.Shutdown(ctx) // which cuts files off that would take longer
	}()

	in := transfer.StartFileTransferInput{ConnectorID: "acme"}
	size := perSecond * int64(rateSpan/time.Second) // of each of four: more than is moved
	for i := range 4 {
		name := fmt.Sprint("file", i)
		if send {
			require.NoError(b, os.WriteFile(filepath.Join(ours, name), nil, 0o600))
			require.NoError(b, os.Truncate(filepath.Join(ours, name), size))
			in.SendFilePaths, in.RemoteDirectoryPath = append(in.SendFilePaths, name), server.Dir
		} else {
			require.NoError(b, os.WriteFile(filepath.Join(server.Dir, name), nil, 0o600))
			require.NoError(b, os.Truncate(filepath.Join(server.Dir, name), size))
			in.RetrieveFilePaths, in.LocalDirectoryPath = append(in.RetrieveFilePaths, path.Join(server.Dir, name)), "in"
		}
	}
	_, err = client.StartFileTransfer(b.Context(), &in)
	require.NoError(b, err)
	for moved.Load() < perSecond { // it runs
		time.Sleep(10 * time.Millisecond)
	}
	before, began := moved.Load(), time.Now()
	time.Sleep(rateSpan)
	return float64(moved.Load()-before) / time.Since(began).Seconds()
}
