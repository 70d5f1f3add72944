//go:build unix

package transfer_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
)

// BenchmarkStream moves a file through memory, as it is and changed on its way.
func BenchmarkStream(b *testing.B) {
	text := make([]byte, 64<<20)
	for i := range text {
		text[i] = "0123456789abcdef;\n"[i*i%18]
	}
	for name, all := range map[string][]transfer.Transform{
		"as it is": nil, "gzip 1": {transfer.Gzip(1)}, "gzip 6": {transfer.Gzip(6)}, "unchanged stream": {change{}},
	} {
		for _, size := range []int{4 << 10, 64 << 20} {
			b.Run(fmt.Sprint(name, ", ", size>>10, " KiB"), func(b *testing.B) {
				local, partner := transfer.NewMemory(), transfer.NewMemory()
				local.WriteFile("a", text[:size])
				client, err := transfer.New(transfer.Config{
					Storage: local, Connectors: map[string]transfer.Connector{"acme": neighbour{Storage: partner}},
					Rules: map[string]transfer.Rule{"flow": {Transforms: all}},
				})
				require.NoError(b, err)
				require.NoError(b, client.Start(context.Background()))
				defer func() { require.NoError(b, client.Shutdown(context.Background())) }()
				b.SetBytes(int64(size))
				for b.Loop() {
					out, err := client.StartFileTransfer(b.Context(), &transfer.StartFileTransferInput{ConnectorID: "acme", SendFilePaths: []string{"a"}, RuleName: "flow"})
					require.NoError(b, err)
					summary, err := client.Wait(b.Context(), out.TransferID)
					require.NoError(b, err)
					require.Zero(b, summary.Failed)
				}
			})
		}
	}
}
