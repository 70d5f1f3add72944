package sftpx

import "github.com/seed62b9dc43/transfer"

var _ transfer.Pooled = (*Connector)(nil)

// Connections says how many connections there are just now: those that files are on, and those that wait for some. What is
// being made is not counted.
func (c *Connector) Connections() (used, idle int) {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	for _, s := range c.pool.sessions {
		if s.users > 0 || s.guests > 0 {
			used++
		} else {
			idle++
		}
	}
	return used, idle
}
