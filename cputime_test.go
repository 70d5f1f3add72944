//go:build unix

package transfer_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// cpuTime is what this process has taken of the CPUs so far, by itself and in the kernel.
func cpuTime(t testing.TB) time.Duration {
	t.Helper()
	var use syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &use))
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// reportCPU reports the CPU time since before for each of n files.
func reportCPU(b *testing.B, before time.Duration, n int, unit string) {
	b.Helper()
	b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/1000/float64(n), unit)
}
