package sftpx

import (
	"cmp"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/pkg/sftp"
)

const (
	// leastInFlight is how many requests of one file are under way at least; pkg/sftp's default.
	leastInFlight = 64
	// bytesInFlight is what they carry together at least: the window of an x/crypto/ssh channel.
	bytesInFlight = 2 << 20
	mostInFlight  = 1024
)

// packets is how much one READ or WRITE of a session carries. pkg/sftp reads the size without a lock, so it changes only
// while no window moves.
type packets struct {
	sync.RWMutex // read-held while a window moves; guards size
	size         int

	full    atomic.Bool // the server has answered a READ of size in full
	carried atomic.Bool // the server has taken a WRITE larger than safePacket
}

// packetOptions makes pkg/sftp use packets of size bytes, and enough of them.
func packetOptions(size int) []sftp.ClientOption {
	inFlight := min(max(leastInFlight, bytesInFlight/size), mostInFlight)
	return []sftp.ClientOption{sftp.MaxPacketUnchecked(size), sftp.MaxConcurrentRequestsPerFile(inFlight)}
}

// packetFor is how much to begin with: what the configuration or the server says, or what was learned before.
func (c *Connector) packetFor(server string) int {
	size := cmp.Or(c.cfg.MaxPacket, safePacket)
	if c.cfg.MaxPacket == 0 && takesLargePackets(server) {
		size = largePacket
	}
	if learned := int(c.learnedPacket.Load()); learned > 0 {
		size = min(size, learned)
	}
	return size
}

var openSSH = regexp.MustCompile(`^SSH-2\.0-OpenSSH_(\d{1,3})\.(\d{1,3})`)

// takesLargePackets reports whether server is an OpenSSH that announces a limit of 255 KiB (limits@openssh.com, since
// 8.5). pkg/sftp cannot ask for the limit.
func takesLargePackets(server string) bool {
	m := openSSH.FindStringSubmatch(server)
	if m == nil {
		return false
	}
	major, _ := strconv.Atoi(m[1])
	minor, _ := strconv.Atoi(m[2])
	return major > 8 || major == 8 && minor >= 5
}

// shrinkTo makes this session, and all later ones, use smaller packets. It waits until no window moves. Very small ones
// are used only if the server insists.
func (s *session) shrinkTo(size int) {
	s.packets.Lock()
	defer s.packets.Unlock()
	if s.packets.size > smallPacket {
		size = max(size, smallPacket)
	}
	if size >= s.packets.size {
		return
	}
	for _, option := range packetOptions(size) {
		_ = option(s.client) // sets a field
	}
	s.packets.size = size
	s.packets.full.Store(false)
	s.c.learn(size)
	s.c.log.Debug("sftp server takes smaller packets", "server", s.c.url, "bytes", size)
}

// learn notes for later sessions that packets must not be larger than size.
func (c *Connector) learn(size int) {
	for {
		old := c.learnedPacket.Load()
		if old > 0 && old <= int64(size) || c.learnedPacket.CompareAndSwap(old, int64(size)) {
			return
		}
	}
}
