package watch

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
)

// Delivery says how the files of a Selection are transferred. Its fields are those of transfer.StartFileTransferInput.
type Delivery struct {
	// RuleName is the rule of the transfers, one of the Client's Config.Rules. What is empty here and in the Selection is as
	// it says. Default: none.
	RuleName string

	// TargetDirectory is where the files go: at the partner with store.Send, in our storage with store.Retrieve. A file
	// of a sub-directory goes to the directory of the same name below it, which a rule has to make where the other side
	// does not do so by itself (transfer.MakeTargetDirectory). Required with store.Retrieve, unless the rule has one.
	TargetDirectory string

	// Flatten puts all files into TargetDirectory itself. Those of one name meet there: Overwrite says what happens then.
	Flatten bool

	// Metadata is kept with each transfer.
	Metadata map[string]string

	// Overwrite, Verify and FailIfChanged are those of each transfer.
	Overwrite     transfer.Overwrite
	Verify        transfer.Verify
	FailIfChanged bool

	// Ledger says what becomes of a file that was transferred before, in the same version, whoever asked for it. With
	// LedgerSkip and LedgerSkipContent it is not started at all, as far as size and time tell; the engine decides about the others.
	Ledger transfer.LedgerPolicy
}

// check reports each wrong field.
func (d Delivery) check(wrong wrongFunc) {
	wrong(!validText(d.RuleName, 0, maxNameLength), "RuleName is %q (use up to %d characters of one line)", shorten(d.RuleName), maxNameLength)
	overwrites := []transfer.Overwrite{"", transfer.OverwriteReplace, transfer.OverwriteFail, transfer.OverwriteSkip}
	wrong(!slices.Contains(overwrites, d.Overwrite), "Overwrite is %q (use REPLACE, FAIL or SKIP)", shorten(string(d.Overwrite)))
	verifies := []transfer.Verify{"", transfer.VerifySize, transfer.VerifyReadBack}
	wrong(!slices.Contains(verifies, d.Verify), "Verify is %q (use SIZE or READ_BACK)", shorten(string(d.Verify)))
	ledgers := []transfer.LedgerPolicy{"", transfer.LedgerSkip, transfer.LedgerSkipContent, transfer.LedgerResend, transfer.LedgerFail}
	wrong(!slices.Contains(ledgers, d.Ledger), "Ledger is %q (use SKIP, SKIP_CONTENT, RESEND or FAIL)", shorten(string(d.Ledger)))
	wrong(len(d.Metadata) > maxMetadata, "Metadata has %d entries, more than %d", len(d.Metadata), maxMetadata)
	for key, value := range d.Metadata {
		right := validText(key, 1, maxMetadataKey) && utf8.ValidString(value) && !strings.ContainsRune(value, 0) && utf8.RuneCountInString(value) <= maxMetadataValue
		wrong(!right, "Metadata[%q] is wrong (use keys of 1 to %d characters of one line, and values of up to %d)", shorten(key), maxMetadataKey, maxMetadataValue)
	}
}

// Limits of Metadata are those of a request.
const (
	maxMetadata      = 50
	maxMetadataKey   = 128 // characters
	maxMetadataValue = 1024
)

// flow is a Selection with its Delivery and what their rule says.
type flow struct {
	Selection
	Delivery
	listed string // the directory as it is listed
	named  string // the directory as requests name it: below the rule's SourceDirectory
	ledger transfer.LedgerPolicy
	target string
	naming func(base string) string // the base name at the target of that of a source
}

// newFlow returns a flow, or reports each wrong field. rule finds a rule by its name.
func newFlow(s Selection, d Delivery, rule func(string) (transfer.Rule, bool), wrong wrongFunc) flow {
	r, known := rule(d.RuleName)
	f := flow{Selection: s.withDefaults(), Delivery: d, ledger: d.Ledger, target: d.TargetDirectory, naming: r.TargetName}
	if f.Direction == 0 {
		f.Direction = r.Direction
	}
	if f.ledger == "" {
		f.ledger = r.Ledger
	}
	if f.target == "" {
		f.target = r.TargetDirectory
	}
	f.listed, f.named = f.Directory, f.Directory
	if r.SourceDirectory != "" {
		f.confine(r.SourceDirectory, wrong)
	}
	f.Selection.check(wrong)
	d.check(wrong)
	f.Patterns, f.Exclude = expandAll(f.Patterns), expandAll(f.Exclude)
	wrong(d.RuleName != "" && !known && validText(d.RuleName, 0, maxNameLength), "RuleName is %q, which is none of the Client's Config.Rules (add it there; a mere label goes into Metadata)", shorten(d.RuleName))
	wrong(r.Direction != 0 && f.Direction != r.Direction, "Direction is %s, but rule %q has %s (leave it out)", directionName(f.Direction), d.RuleName, directionName(r.Direction))
	wrong(r.TargetDirectory != "" && !isWithin(f.target, r.TargetDirectory), "TargetDirectory is %q, but rule %q has %q (leave it empty, or name one below it)", shorten(f.target), d.RuleName, r.TargetDirectory)
	wrong(f.Direction == store.Retrieve && f.target == "", "TargetDirectory is empty (say where the files go)")
	wrong(!validText(f.target, 0, maxPathLength), "TargetDirectory is %q (use up to %d characters of one line)", shorten(f.target), maxPathLength)
	return f
}

// isWithin reports whether dir is parent, or below it.
func isWithin(dir, parent string) bool {
	dir, parent = path.Clean(dir), path.Clean(parent)
	return dir == parent || !leavesDirectory(dir) && strings.HasPrefix(dir, strings.TrimSuffix(parent, "/")+"/")
}

func directionName(d store.Direction) string {
	switch d {
	case store.Send:
		return "store.Send"
	case store.Retrieve:
		return "store.Retrieve"
	}
	return fmt.Sprint(uint8(d))
}

// confine has the flow look below the SourceDirectory of its rule.
func (f *flow) confine(source string, wrong wrongFunc) {
	below := path.Clean("/" + f.Directory)
	wrong(leavesDirectory(f.Directory), "Directory is %q, which leaves SourceDirectory %q of rule %q (use a path below it)", shorten(f.Directory), source, f.RuleName)
	f.named = "." + below
	f.listed = path.Join(source, below)
	f.Directory = f.listed
}

func leavesDirectory(dir string) bool {
	if strings.HasPrefix(dir, "/") {
		return true
	}
	clean := path.Clean(dir)
	return clean == ".." || strings.HasPrefix(clean, "../")
}

// path is a file's path as it is listed, and in the ledger.
func (f *flow) path(rel string) string { return path.Join(f.listed, rel) }

// requested is a file's path as a request names it.
func (f *flow) requested(rel string) string { return path.Join(f.named, rel) }

// targetOf is the directory that a file goes to.
func (f *flow) targetOf(rel string) string {
	if f.Flatten || parent(rel) == "" {
		return f.target
	}
	return path.Join(f.target, parent(rel))
}

// usable says why what was given out cannot be asked for, or "".
func (f *flow) usable(e *entry) string {
	rel := e.rel
	if why := hostile(rel); why != "" {
		return why
	}
	if f.named != f.listed && strings.Contains(rel, `\`) {
		return "has a backslash, which some servers take for a slash"
	}
	longest := max(utf8.RuneCountInString(f.path(rel)), utf8.RuneCountInString(path.Join(f.targetOf(rel), f.naming(path.Base(rel)))))
	if longest > maxPathLength || e.unnamed {
		return fmt.Sprintf("makes a path of more than %d characters", maxPathLength)
	}
	return ""
}

// asksLedger reports whether files that the ledger knows are not started at all.
func (f *flow) asksLedger() bool {
	return f.ledger == transfer.LedgerSkip || f.ledger == transfer.LedgerSkipContent
}

// request returns the request for files that go to one directory, without them.
func (f *flow) request(target string) transfer.StartFileTransferInput {
	in := transfer.StartFileTransferInput{
		ConnectorID: f.ConnectorID, RuleName: f.RuleName, Metadata: f.Metadata,
		Overwrite: f.Overwrite, Verify: f.Verify, FailIfChanged: f.FailIfChanged, Ledger: f.Delivery.Ledger,
	}
	if f.Direction == store.Send {
		in.RemoteDirectoryPath = target
	} else {
		in.LocalDirectoryPath = target
	}
	return in
}

// problems collects wrong fields.
type problems struct{ errs []error }

func (p *problems) wrong(is bool, format string, args ...any) {
	if is {
		p.errs = append(p.errs, fmt.Errorf(format, args...))
	}
}

// in returns a wrongFunc for the fields of a part.
func (p *problems) in(part string) wrongFunc {
	return func(is bool, format string, args ...any) { p.wrong(is, part+"."+format, args...) }
}

func (p *problems) err() error { return errors.Join(p.errs...) }
