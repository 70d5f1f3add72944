package sftpx

import "github.com/seed62b9dc43/transfer"

// Lanes returns how many lanes a file of this package moves on.
func Lanes(moved any) int {
	var f *file
	switch moved := moved.(type) {
	case transfer.Source:
		f = moved.(*source).file
	case transfer.Sink:
		f = moved.(*sink).file
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, at := range f.seats {
		if !at.gone {
			n++
		}
	}
	return n
}
