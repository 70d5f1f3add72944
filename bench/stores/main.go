// Command stores measures the stores side by side and prints Markdown tables: pages and counts out of many rows, against
// full scans of the same rows, files per second through their whole life, and bytes per row. README.md in the folder
// above says how to read them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/seed62b9dc43/transfer/bench/internal/report"
)

func main() {
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b, output, err := parse(os.Args[1:])
	if err == nil && output != "" {
		err = report.CheckSections(output, b.sections)
	}
	if err == nil {
		err = b.run(ctx, func(section, text string) error { return write(output, section, text) })
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		stop()
		log.Fatal(err)
	}
}

// bench is what one run measures.
type bench struct {
	kinds    []kind
	sections []string
	rows     int // of pages, counts and sizes
	files    int // of lives
	repeat   int // how often pages and counts are read
	scan     bool
	folder   string // for the databases; "" for the system's temporary one
	command  string // as it was called
	log      *log.Logger
	began    time.Time
	openers  []opener // one for each of kinds
	wrong    int      // answers that differ from a scan's
}

// sections of the output.
var sections = []string{"pages", "counts", "life", "sizes"}

// parse reads the command line. output is the file to write to, or empty.
func parse(args []string) (b *bench, output string, err error) {
	b = &bench{log: log.New(os.Stderr, "", 0), began: time.Now(), command: strings.Join(append([]string{"go run ./bench/stores"}, args...), " ")}
	flags := flag.NewFlagSet("stores", flag.ContinueOnError)
	flags.IntVar(&b.rows, "rows", 1_000_000, "`number` of rows for pages, counts and sizes")
	flags.IntVar(&b.files, "files", 100_000, "`number` of files that are moved through their whole life")
	flags.IntVar(&b.repeat, "repeat", 15, "how `often` each page and count is read; the median is printed")
	flags.BoolVar(&b.scan, "scan", true, "compare pages and counts with full scans, in time and in what they return")
	flags.StringVar(&b.folder, "dir", "", "`folder` for the databases (default: a temporary one)")
	flags.StringVar(&output, "o", "", "`file` to write the tables to, between its markers, such as docs/performance.md (default: standard output)")
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.name
	}
	stores := flags.String("stores", strings.Join(names, ","), "which stores, a `list`; sqlite-full and postgres-fsync are measured in lives only")
	parts := flags.String("sections", strings.Join(sections, ","), "which tables, a `list`")
	if err := flags.Parse(args); err != nil {
		return nil, "", err
	}
	return b, output, errors.Join(b.choose(*stores, *parts), b.validate())
}

func (b *bench) validate() error {
	for _, f := range []struct {
		name  string
		value int
	}{{"rows", b.rows}, {"files", b.files}, {"repeat", b.repeat}} {
		if f.value < 1 {
			return fmt.Errorf("-%s is %d (try 1 or more)", f.name, f.value)
		}
	}
	return nil
}

// choose reads the lists of stores and sections. The stores are in the order of kinds.
func (b *bench) choose(stores, parts string) error {
	chosen := strings.Split(stores, ",")
	for _, name := range chosen {
		if !slices.ContainsFunc(kinds, func(k kind) bool { return k.name == name }) {
			return fmt.Errorf("-stores has %q (try some of memory, sqlite, sqlite-full, postgres, postgres-fsync)", name)
		}
	}
	b.kinds = slices.DeleteFunc(slices.Clone(kinds), func(k kind) bool { return !slices.Contains(chosen, k.name) })
	b.sections = strings.Split(parts, ",")
	for _, section := range b.sections {
		if !slices.Contains(sections, section) {
			return fmt.Errorf("-sections has %q (try some of %s)", section, strings.Join(sections, ", "))
		}
	}
	return nil
}

// run measures and hands over each section when it is complete.
func (b *bench) run(ctx context.Context, write func(section, text string) error) (err error) {
	if b.folder, err = os.MkdirTemp(b.folder, "bench"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.folder)) }()
	if err := os.Chmod(b.folder, 0o755); err != nil { // the database server may run as somebody else
		return err
	}
	defer func() { err = errors.Join(err, b.closeOpeners()) }()
	for _, k := range b.kinds {
		o, err := k.start(ctx, b.folder)
		if err != nil {
			return fmt.Errorf("start %s: %w", k.name, err)
		}
		b.openers = append(b.openers, o)
	}
	if slices.Contains(b.sections, "life") {
		if err := b.writeLife(ctx, write); err != nil {
			return err
		}
	}
	if slices.Equal(b.sections, []string{"life"}) {
		return nil
	}
	if err := b.writeReads(ctx, write); err != nil {
		return err
	}
	if b.wrong > 0 {
		return fmt.Errorf("%d answers differ from a full scan's", b.wrong)
	}
	return nil
}

func (b *bench) closeOpeners() error {
	var errs []error
	for _, o := range b.openers {
		errs = append(errs, o.close())
	}
	return errors.Join(errs...)
}

func (b *bench) writeLife(ctx context.Context, write func(section, text string) error) error {
	cases, err := b.measureLife(ctx)
	if err != nil {
		return fmt.Errorf("life: %w", err)
	}
	return write("life", b.heading()+lifeTable(b.kinds, cases).String())
}

// writeReads measures what needs rows.
func (b *bench) writeReads(ctx context.Context, write func(section, text string) error) (err error) {
	stores, err := b.loadAll(ctx)
	defer func() {
		for _, s := range stores {
			err = errors.Join(err, s.free())
		}
	}()
	if err != nil {
		return err
	}
	if slices.Contains(b.sections, "sizes") {
		if err := write("sizes", b.heading()+sizesTable(stores, b.rows).String()); err != nil {
			return err
		}
	}
	if slices.Contains(b.sections, "counts") {
		cases, err := b.measureCounts(ctx, stores)
		if err != nil {
			return err
		}
		if err := write("counts", b.heading()+countsTable(stores, cases, int64(b.rows)).String()); err != nil {
			return err
		}
	}
	if !slices.Contains(b.sections, "pages") {
		return nil
	}
	cases, err := b.measurePages(ctx, stores)
	if err != nil {
		return err
	}
	return write("pages", b.heading()+pagesSummary(stores, cases).String()+"\n"+pagesTable(stores, cases).String())
}

// heading says which command printed what follows, when and where.
func (b *bench) heading() string {
	return fmt.Sprintf("`%s`, %s, on %s:\n\n", b.command, b.began.UTC().Format(time.DateOnly), machine())
}

// differ reports an answer that is wrong. The run goes on and fails at its end.
func (b *bench) differ(format string, args ...any) {
	b.wrong++
	b.progress("WRONG: "+format, args...)
}

// progress says what was done, and after how long.
func (b *bench) progress(format string, args ...any) {
	b.log.Printf("%6.0f s  %s", time.Since(b.began).Seconds(), fmt.Sprintf(format, args...))
}

// write puts a section into the file, or prints it.
func write(output, section, text string) error {
	if output != "" {
		return report.ReplaceSection(output, section, "\n"+text+"\n")
	}
	_, err := fmt.Printf("## %s\n\n%s\n", section, text)
	return err
}
