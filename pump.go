package transfer

import (
	"bytes"
	"io"
)

// chunkSize is how much a Transform takes in at once, in bytes.
const chunkSize = 32 << 10

// ReadThrough returns what a writer makes of content: for a [Transform] over a compressor or a cipher, which are writers
// as a rule. wrap returns the writer, whose output goes to w. It is closed at the end of the content, and only then. There
// is no goroutine behind it; in memory is what the writer makes of 32 KiB.
func ReadThrough(content io.Reader, wrap func(w io.Writer) (io.WriteCloser, error)) (io.ReadCloser, error) {
	p := &pump{}
	w, err := wrap(&p.made)
	if err != nil {
		return nil, err
	}
	chunk := make([]byte, chunkSize)
	p.step = func() error {
		n, err := content.Read(chunk)
		if n > 0 {
			if _, err := w.Write(chunk[:n]); err != nil {
				return err
			}
		}
		if err != io.EOF {
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
		return io.EOF
	}
	return p, nil
}

// pump is a Reader of what its steps make.
type pump struct {
	step func() error // writes to made; io.EOF after the last step
	made bytes.Buffer
	end  error
}

func (p *pump) Read(b []byte) (int, error) {
	for p.made.Len() == 0 {
		switch {
		case p.end != nil:
			return 0, p.end
		case len(b) == 0:
			return 0, nil
		}
		p.end = p.step()
	}
	return p.made.Read(b)
}

func (p *pump) Close() error { return nil }
