package sftpx

import (
	"cmp"
	"context"
	"encoding/binary"
	"regexp"
	"strconv"
	"sync/atomic"
)

// packets is how much one READ or WRITE of a session carries.
type packets struct {
	size    atomic.Int64
	full    atomic.Bool // the server has answered a READ of size in full
	carried atomic.Bool // the server has taken a WRITE larger than safePacket
}

func (s *session) packetSize() int { return int(s.packets.size.Load()) }

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

// takesLargePackets reports whether server is an OpenSSH that takes 255 KiB (limits@openssh.com, since 8.5).
func takesLargePackets(server string) bool {
	m := openSSH.FindStringSubmatch(server)
	if m == nil {
		return false
	}
	major, _ := strconv.Atoi(m[1])
	minor, _ := strconv.Atoi(m[2])
	return major > 8 || major == 8 && minor >= 5
}

// askLimits asks a server that has limits@openssh.com how much a READ and a WRITE may carry (OpenSSH's PROTOCOL file,
// section 4.8). The first files need not wait for the answer.
func (s *session) askLimits() {
	if s.c.cfg.MaxPacket != 0 || !s.limited() {
		return
	}
	answer, err := s.first.ask(fxpExtended, func(b []byte) []byte { return appendString(b, "limits@openssh.com") })
	if err != nil {
		return // the session has ended
	}
	s.helpers.Go(func() {
		if a := <-answer; a.err == nil && a.kind == fxpExtendedReply && len(a.body) >= 24 {
			s.allow(binary.BigEndian.Uint64(a.body[8:]), binary.BigEndian.Uint64(a.body[16:]))
		}
	})
}

// allow adapts the size to what the server says to take. 0 is no limit.
func (s *session) allow(read, write uint64) {
	size := uint64(largePacket)
	for _, most := range []uint64{read, write} {
		if most > 0 {
			size = min(size, most)
		}
	}
	if learned := s.c.learnedPacket.Load(); learned > 0 {
		size = min(size, uint64(learned))
	}
	s.packets.size.Store(int64(max(size, smallPacket)))
}

// triesLarge reports whether the server has yet to show that it takes packets of this size.
func (s *session) triesLarge(write bool) bool {
	if write {
		return !s.packets.carried.Load()
	}
	return !s.packets.full.Load()
}

// judgeLarge notes what became of a window of large packets: a server that hangs up on the first one, twice, does not
// take them.
func (s *session) judgeLarge(ctx context.Context, err error, n int) {
	switch {
	case n <= safePacket || s.packetSize() <= safePacket:
	case err == nil:
		s.c.lostLarge.Store(0)
	case !s.packets.carried.Load() && s.broken() != nil && ctx.Err() == nil && s.c.lostLarge.Add(1) >= 2:
		s.c.learn(safePacket)
	}
}

// shrinkTo makes this session, and all later ones, use smaller packets. Very small ones are used only if the server
// insists.
func (s *session) shrinkTo(size int) {
	if s.packetSize() > smallPacket {
		size = max(size, smallPacket)
	}
	if size >= s.packetSize() {
		return
	}
	s.packets.size.Store(int64(size))
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
