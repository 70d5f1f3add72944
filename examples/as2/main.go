// As2 exchanges files over AS2. One process receives, another sends:
//
//	as2 keys partner                      # writes partner.key and partner.crt
//	as2 keys us                           # writes us.key and us.crt
//	as2 receive -id PARTNER -key partner -from US -from-cert us.crt -listen 127.0.0.1:4080 -dir inbox
//	as2 send -id US -key us -to PARTNER -to-cert partner.crt -url http://127.0.0.1:4080/ orders.edi
//
// Messages are compressed, signed and encrypted. The sender prints a line for each file once the partner's signed receipt
// (MDN) was verified, and writes the receipt to the folder processed beside the file (failed, if it did not work). With
// -mdn-url the receipt comes later, to a port of the sender's own (-mdn-listen).
//
// The exit status is 0 if all files arrived, 1 if one did not, and 2 if the command was used wrongly. The receiver ends with
// an interrupt.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

// Exit statuses.
const (
	exitArrived = 0
	exitFailed  = 1
	exitUsage   = 2
)

// memoryLimit keeps the whole process below 64 MiB, whatever the size of a file.
const memoryLimit = 40 << 20

func main() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second interrupt ends the program the hard way
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// errFailed says that a file did not arrive; why was printed.
var errFailed = errors.New("not all files arrived")

// usageError is a mistake in how the program was called.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// run is the program; it returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	err := error(usageError{errors.New("which command? (as2 keys NAME, as2 receive …, as2 send …)")})
	if len(args) > 0 {
		switch args[0] {
		case "keys":
			err = keys(args[1:])
		case "receive":
			err = receive(ctx, args[1:], stdout, stderr)
		case "send":
			err = send(ctx, args[1:], stdout, stderr)
		}
	}
	var usage usageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitArrived
	case errors.As(err, &usage):
		fmt.Fprintln(stderr, "as2:", err)
		return exitUsage
	}
	fmt.Fprintln(stderr, "as2:", err)
	return exitFailed
}
