package sftpx

import (
	"net"
	"syscall"
)

// quickAck has what the server sends acknowledged at once. Servers hold small packets back until then (Nagle's algorithm;
// OpenSSH turns it off only after the login), which costs 40 ms of a handshake. The kernel forgets it soon.
func quickAck(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		if raw, err := tcp.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1) })
		}
	}
}
