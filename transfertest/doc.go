// Package transfertest helps to test programs that move files, without a network and without a partner.
//
//   - [StartSFTP] runs a real SFTP server inside the test: SSH over a loopback socket, files in memory or in a
//     directory, and everything that goes wrong with partners' servers on request ([SFTPFaults], [SFTPRule]).
//   - [NewStorage] wraps a transfer.Storage and lets chosen calls fail, wait or never return ([Rule]); it counts
//     calls and knows what was not closed.
//   - [NewConnector] is a partner without any network: its Remote is a Storage.
//   - [WrapConn] makes any net.Conn slow, frozen, half open, or cut at a chosen byte, and its packets small.
//
// A test that wants to see every failure once counts with [FailNth]: it fails the first call, then the second, and so on
// until there is none left to fail. Its example shows the loop.
//
// Everything here is safe for concurrent use and can be changed while it runs. Nothing here is for production: the
// server's keys are made at start, and what it stores in memory is gone with it.
package transfertest

// TB is the part of testing.TB that this package uses. Package testing itself is not imported, so that programs may
// start a server too.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}
