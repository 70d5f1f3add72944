//go:build linux

// Command peers measures this library beside the programs that its users would type instead: rclone, OpenSSH's sftp and
// lftp. All of them move the same files between the same servers in turns, and each result is compared with its source
// byte for byte. README.md in the folder above says how, and how to read the table.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/seed62b9dc43/transfer/bench/internal/report"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == oursName {
		os.Exit(runOurs(os.Args[2:]))
	}
	log.SetFlags(0)
	// a closed pipe or terminal must not leave servers behind either
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	m, err := parse(os.Args[1:])
	if err == nil {
		err = m.run(ctx)
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		stop()
		log.Fatal(err)
	}
}

// section is the part of the page that this program writes.
const section = "peers"

// measurement is what one run does.
type measurement struct {
	rows     []row
	repeat   int
	scale    float64
	folder   string // parent of all data
	output   string // page to write to, or empty
	profiles profiles
	lock     string
	keep     bool
	list     bool
	command  string // as it was called
	log      *log.Logger
	began    time.Time
	more     string // flags for rclone
	bed      *bed
	runs     int // so far
}

// parse reads the command line.
func parse(args []string) (*measurement, error) {
	m := &measurement{log: log.New(os.Stderr, "", 0), began: time.Now(), command: strings.Join(append([]string{"go run ./bench/peers"}, args...), " ")}
	flags := flag.NewFlagSet("peers", flag.ContinueOnError)
	pattern := flags.String("rows", "", "only rows whose names match this regular `expression` (see -list)")
	against := flags.String("against", "", "only opponents whose names match this regular `expression`, such as rclone or ^rclone$")
	flags.IntVar(&m.repeat, "repeat", 3, "how `often` ours and each peer do each row")
	flags.Float64Var(&m.scale, "scale", 1, "`factor` for sizes and numbers of files, for a quick look")
	flags.StringVar(&m.folder, "dir", "", "`folder` for all data (default: /dev/shm if it has room, else the temporary one)")
	flags.StringVar(&m.output, "o", "", "`file` to write the table to, between its markers, such as docs/performance.md (default: standard output)")
	flags.StringVar(&m.profiles.cpu, "cpuprofile", "", "`folder` for CPU profiles of ours, one for each row")
	flags.StringVar(&m.profiles.memory, "memprofile", "", "`folder` for allocation profiles of ours, one for each row; they slow it down")
	flags.StringVar(&m.more, "rclone", "", "more `flags` for rclone's best, to look for better ones")
	flags.StringVar(&m.lock, "lock", "", "`file` to lock while a pair is measured, for machines with several who measure")
	flags.BoolVar(&m.keep, "keep", false, "keep the data")
	flags.BoolVar(&m.list, "list", false, "list the rows' names and end")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	var err error
	m.rows, err = chooseRows(*pattern, *against, m.scale)
	return m, errors.Join(err, m.validate())
}

func (m *measurement) validate() error {
	if m.repeat < 1 {
		return fmt.Errorf("-repeat is %d (try 1 or more)", m.repeat)
	}
	if m.scale <= 0 || m.scale > 4 {
		return fmt.Errorf("-scale is %g (try more than 0 and up to 4)", m.scale)
	}
	if m.output != "" {
		return report.CheckSections(m.output, []string{section})
	}
	return nil
}

// run measures and writes the table.
func (m *measurement) run(ctx context.Context) (err error) {
	if m.list {
		return m.printList()
	}
	programs, err := findPrograms(m.rows)
	if err != nil {
		return err
	}
	if err := m.profiles.make(); err != nil {
		return err
	}
	if m.bed, err = newBed(ctx, m.parent(), programs, m.rows); err != nil {
		return err
	}
	m.bed.rcloneFlags = strings.Fields(m.more)
	defer func() { err = errors.Join(err, m.bed.close(m.keep)) }()
	results, err := m.measureRows(ctx)
	text := m.heading() + page(results)
	if err != nil && len(results) > 0 {
		fmt.Println(text) // what is complete; the page keeps its whole table
	}
	if err != nil {
		return err
	}
	return m.write(text)
}

// measureRows returns the rows that are complete, also when it fails.
func (m *measurement) measureRows(ctx context.Context) ([]result, error) {
	var results []result
	for _, r := range m.rows {
		of, err := m.measureRow(ctx, r)
		if err != nil {
			return results, err
		}
		results = append(results, of...)
	}
	return results, nil
}

func (m *measurement) printList() error {
	for _, r := range m.rows {
		fmt.Printf("%-24s", r.key)
		for i, o := range r.opponents {
			fmt.Print(strings.Repeat(", ", min(i, 1)), o.client.name)
		}
		fmt.Println()
	}
	return nil
}

// parent is the folder for all data: memory where there is some to spare.
func (m *measurement) parent() string {
	const shm, room = "/dev/shm", 8 * gib
	if m.folder != "" {
		return m.folder
	}
	var stat syscall.Statfs_t
	if err := syscall.Statfs(shm, &stat); err == nil && int64(stat.Bavail)*stat.Bsize >= room {
		return shm
	}
	return os.TempDir()
}

// heading says which command printed what follows, when, where and with what.
func (m *measurement) heading() string {
	return fmt.Sprintf("`%s`, %s, on %s:\n\n", m.command, m.began.UTC().Format(time.DateOnly), m.bed.paths.versions())
}

// progress says what was done, and after how long.
func (m *measurement) progress(format string, args ...any) {
	m.log.Printf("%6.0f s  %s", time.Since(m.began).Seconds(), fmt.Sprintf(format, args...))
}

// write puts the text into the page, or prints it.
func (m *measurement) write(text string) error {
	if m.output != "" {
		return report.ReplaceSection(m.output, section, "\n"+text+"\n")
	}
	_, err := fmt.Print(text)
	return err
}
