package as2x

import (
	"bufio"
	"io"
)

// newBuffered saves handing small pieces through a pipe.
func newBuffered(w io.Writer) *bufio.Writer { return bufio.NewWriterSize(w, 64<<10) }

// onlyWriter hides a ReadFrom, so that io.CopyBuffer uses its buffer.
type onlyWriter struct{ io.Writer }
