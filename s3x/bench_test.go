package s3x

import (
	"crypto/sha256"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
)

const benchWindow = 8 << 20

func BenchmarkReadWindow(b *testing.B) {
	s := real(b)
	s.window = benchWindow
	s.write(b, "a", random(benchWindow))
	source, err := s.storage(b, Options{}).Open(b.Context(), "a")
	require.NoError(b, err)
	p := make([]byte, benchWindow)
	b.SetBytes(benchWindow)
	b.ReportAllocs()
	for b.Loop() {
		require.NoError(b, source.ReadWindow(b.Context(), p, 0))
	}
}

func BenchmarkWriteWindow(b *testing.B) {
	for name, o := range map[string]Options{
		"signed": {}, "unsigned": {Payload: PayloadUnsigned},
		"CRC32, unsigned":     {Payload: PayloadUnsigned, Checksum: ChecksumCRC32},
		"CRC64NVME, unsigned": {Payload: PayloadUnsigned, Checksum: ChecksumCRC64NVME},
	} {
		b.Run(name, func(b *testing.B) {
			s := real(b)
			s.window = benchWindow
			p := random(benchWindow)
			sink, err := s.storage(b, o).Create(b.Context(), "a", transfer.CreateOptions{Size: benchWindow * 4, WindowSize: benchWindow})
			require.NoError(b, err)
			b.SetBytes(benchWindow)
			b.ReportAllocs()
			off := int64(0)
			for b.Loop() {
				require.NoError(b, sink.WriteWindow(b.Context(), p, off))
				off = (off + benchWindow) % (benchWindow * 4)
			}
			require.NoError(b, sink.Abort(b.Context()))
		})
	}
}

func BenchmarkSmallPut(b *testing.B) {
	s := real(b)
	storage, p := s.storage(b, Options{}), random(4<<10)
	sum := sha256.Sum256(p)
	b.ReportAllocs()
	for b.Loop() {
		sink, err := storage.Create(b.Context(), "a", transfer.CreateOptions{Size: int64(len(p)), WindowSize: benchWindow})
		require.NoError(b, err)
		require.NoError(b, sink.WriteWindow(b.Context(), p, 0))
		require.NoError(b, sink.Commit(b.Context(), sum))
		require.NoError(b, sink.Close())
	}
}

func BenchmarkChecksum(b *testing.B) {
	p := random(benchWindow)
	for _, c := range []Checksum{ChecksumCRC64NVME, ChecksumCRC32} {
		b.Run(string(c), func(b *testing.B) {
			b.SetBytes(benchWindow)
			b.ReportAllocs()
			for b.Loop() {
				c.sum(p)
			}
		})
	}
}
