//go:build !linux

package sftpx

import "net"

// quickAck is for systems that can be asked not to delay acknowledgements.
func quickAck(net.Conn) {}
