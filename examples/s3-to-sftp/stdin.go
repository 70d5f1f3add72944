package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// readPaths reads the paths from stdin, one in a line, until that ends, or with an error until ctx ends.
func (o *options) readPaths(ctx context.Context, stdin io.Reader, stderr io.Writer) error {
	if isTerminal(stdin) {
		fmt.Fprintln(stderr, "s3-to-sftp: reading paths from standard input, one in a line")
	}
	type result struct {
		paths []string
		err   error
	}
	read := make(chan result, 1)
	go func() { // a read cannot be interrupted: this one then ends with the program
		paths, err := scanPaths(stdin)
		read <- result{paths, err}
	}()
	select {
	case r := <-read:
		if o.paths = r.paths; r.err != nil {
			return r.err
		}
		return o.checkPaths()
	case <-ctx.Done():
		return errors.New("interrupted while reading paths")
	}
}

func scanPaths(r io.Reader) (paths []string, err error) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if line := strings.TrimSuffix(lines.Text(), "\r"); strings.TrimSpace(line) != "" {
			paths = append(paths, line)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read paths: %w", err)
	}
	if len(paths) == 0 {
		return nil, usageError{errors.New("no paths given, neither as arguments nor on the standard input")}
	}
	return paths, nil
}

// isTerminal reports whether a person sits at stream.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
