package transfer

import (
	"fmt"
	"maps"
	"path"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/seed62b9dc43/transfer/store"
)

// maxTasks is how many tasks a chain may have.
const maxTasks = 100

// checkRules reports each wrong field of Config.Rules.
func (c Config) checkRules(wrong func(is bool, format string, args ...any)) {
	for _, name := range slices.Sorted(maps.Keys(c.Rules)) {
		wrong(!validText(name, 1, maxNameLength), "Rules has the name %q (use 1 to %d characters of one line)", name, maxNameLength)
		c.Rules[name].check(fmt.Sprintf("Rules[%q]", name), wrong)
	}
}

// check reports each wrong field as "<where>.<field> is …".
func (r Rule) check(where string, wrong func(is bool, format string, args ...any)) {
	d := r.Direction
	wrong(d != 0 && d != store.Send && d != store.Retrieve, "%s.Direction is %d (use store.Send or store.Retrieve, or 0 for both)", where, d)
	checkDirectory(where+".SourceDirectory", r.SourceDirectory, wrong)
	checkDirectory(where+".TargetDirectory", r.TargetDirectory, wrong)
	wrong(!r.Overwrite.valid(), "%s.Overwrite is %q (use REPLACE, FAIL or SKIP)", where, r.Overwrite)
	wrong(!r.Verify.valid(), "%s.Verify is %q (use SIZE or READ_BACK)", where, r.Verify)
	wrong(!r.Ledger.valid(), "%s.Ledger is %q (use SKIP, RESEND or FAIL, or leave it empty)", where, r.Ledger)
	wrong(!validPriority(r.Priority), "%s.Priority is %d (use store.Low, store.Normal or store.High)", where, r.Priority)
	r.Limits.check(where+".Limits", wrong)
	wrong(r.Limits.FilesPerSecond != 0, "%s.Limits.FilesPerSecond is %v (a rule cannot have it: give it to the connector, or to Config.Limits)", where, r.Limits.FilesPerSecond)
	r.checkTransforms(where, wrong)
	r.checkTasks(where+".Before", store.PhaseBefore, r.Before, wrong)
	r.checkTasks(where+".After", store.PhaseAfter, r.After, wrong)
	r.checkTasks(where+".OnError", store.PhaseErrors, r.OnError, wrong)
}

func checkDirectory(where, dir string, wrong func(is bool, format string, args ...any)) {
	wrong(!validText(dir, 0, maxPathLength), "%s is %q (use up to %d characters of one line)", where, shorten(dir, maxShownValue), maxPathLength)
	wrong(climbs(dir), "%s is %q (use one without ..)", where, shorten(dir, maxShownValue))
}

// checkedTask is a task that can tell before it runs that it never will, in chains of this phase of files that go in this
// direction (0: both).
type checkedTask interface {
	check(phase store.Phase, d store.Direction) error
}

func (r Rule) checkTasks(where string, phase store.Phase, tasks []Task, wrong func(is bool, format string, args ...any)) {
	wrong(len(tasks) > maxTasks, "%s has %d tasks (use up to %d)", where, len(tasks), maxTasks)
	for i, t := range tasks {
		missing := t == nil || reflect.ValueOf(t).Kind() == reflect.Pointer && reflect.ValueOf(t).IsNil()
		wrong(missing, "%s[%d] is nil (make one with Call, or take it out)", where, i)
		if missing {
			continue
		}
		wrong(!validText(t.Name(), 1, maxNameLength), "%s[%d] has the name %q (use 1 to %d characters of one line)", where, i, shorten(t.Name(), maxShownValue), maxNameLength)
		if c, ok := t.(checkedTask); ok {
			if err := c.check(phase, r.Direction); err != nil {
				wrong(true, "%s[%d], %q, %v", where, i, shorten(t.Name(), maxShownValue), err)
			}
		}
	}
}

// climbs reports whether a path goes up somewhere.
func climbs(name string) bool { return slices.Contains(strings.Split(name, "/"), "..") }

// ruled is a request with what its rule says.
type ruled struct {
	StartFileTransferInput
	rule *Rule // nil: none
}

// underRule returns in with what is empty in it filled from the rule that it names, if that is one of Config.Rules, and
// notes what contradicts. A name that is none of them is a label.
func (c *Client) underRule(in *StartFileTransferInput, p *problems) *ruled {
	r := &ruled{StartFileTransferInput: *in}
	rule, ok := c.cfg.Rules[in.RuleName]
	if !ok {
		return r
	}
	r.rule = &rule
	fill(&r.Overwrite, rule.Overwrite)
	fill(&r.Verify, rule.Verify)
	fill(&r.Ledger, rule.Ledger)
	r.FailIfChanged = r.FailIfChanged || rule.FailIfChanged
	rule.direct(p, in.SendFilePaths, store.Send, "SendFilePaths")
	rule.direct(p, in.RetrieveFilePaths, store.Retrieve, "RetrieveFilePaths")
	if len(in.SendFilePaths) > 0 {
		r.RemoteDirectoryPath = rule.place(p, "RemoteDirectoryPath", in.RemoteDirectoryPath)
	}
	if len(in.RetrieveFilePaths) > 0 {
		r.LocalDirectoryPath = rule.place(p, "LocalDirectoryPath", in.LocalDirectoryPath)
	}
	return r
}

// direct refuses paths that the rule is not for.
func (r *Rule) direct(p *problems, paths []string, d store.Direction, field string) {
	if len(paths) == 0 {
		return
	}
	if r.Direction != 0 && r.Direction != d {
		p.add(field, "", "go against the rule's direction (use another rule, or leave them empty)")
		return
	}
	if r.SourceDirectory == "" {
		return
	}
	for i, file := range paths {
		source, ok := r.source(file)
		switch name := fmt.Sprintf("%s[%d]", field, i); {
		case !ok:
			p.add(name, file, "leaves the rule's directory, %q (name the file relative to it, without ..)", shorten(r.SourceDirectory, maxShownValue))
		case utf8.RuneCountInString(source) > maxPathLength:
			p.add(name, file, "is a path of more than %d characters in the rule's directory", maxPathLength)
		}
	}
}

// source is the path of a file as a request names it: relative to the rule's directory, or absolutely and below it.
func (r *Rule) source(file string) (name string, ok bool) {
	switch dir := r.SourceDirectory; {
	case dir == "":
		return file, true
	case climbs(file), strings.Contains(file, `\`): // some servers take that for a slash
		return "", false
	case !path.IsAbs(file):
		return path.Join(dir, file), true
	default:
		name = path.Clean(file)
		return name, path.IsAbs(dir) && isBelow(dir, name)
	}
}

// place is the directory that a request's files go to: the rule's, or one below it.
func (r *Rule) place(p *problems, field, dir string) string {
	switch {
	case dir == "":
		return r.TargetDirectory
	case r.TargetDirectory == "", path.Clean(dir) == path.Clean(r.TargetDirectory):
	case climbs(dir) || !isBelow(r.TargetDirectory, path.Clean(dir)):
		p.add(field, dir, "is not the rule's, %q, or one below it (leave it empty)", shorten(r.TargetDirectory, maxShownValue))
	}
	return dir
}

// isBelow reports whether name, which is clean, is below dir.
func isBelow(dir, name string) bool {
	return strings.HasPrefix(name, strings.TrimSuffix(path.Clean(dir), "/")+"/")
}

// sourcePath is where the file is that a request names.
func (in *ruled) sourcePath(file string) string {
	if in.rule == nil {
		return file
	}
	name, _ := in.rule.source(file) // checked
	return name
}

// targetPath is where it goes.
func (in *ruled) targetPath(dir, file string) string {
	if in.BundleName != "" { // in the bundle
		return path.Join(dir, path.Base(file))
	}
	return in.targetName(dir, path.Base(file))
}

// targetName is where a file of this base name goes.
func (in *ruled) targetName(dir, base string) string {
	if in.rule != nil {
		base = in.rule.TargetName(base)
	}
	return path.Join(dir, base)
}

// priority is that of the request's files: its own, or that of its rule.
func (in *ruled) priority() store.Priority {
	if in.rule == nil || in.Priority != store.Normal {
		return in.Priority
	}
	return in.rule.Priority
}

// spec is what the engine keeps of the request.
func (in *ruled) spec() spec {
	s := spec{Overwrite: in.Overwrite, Verify: in.Verify, FailIfChanged: in.FailIfChanged, Ledger: in.Ledger, Headers: in.CustomHTTPHeaders}
	s.Ruled = in.rule != nil
	if in.BundleName != "" {
		for _, file := range in.SendFilePaths {
			s.Bundle = append(s.Bundle, in.sourcePath(file))
		}
	}
	return s
}

// RuleNotFound is the cause of files whose transfer names a rule that this node does not have (Config.Rules). They wait for
// a node that has it.
const RuleNotFound Code = "RULE_NOT_FOUND"

// ruleOf returns the rule of a file, or nil where it has none.
func (e *engine) ruleOf(f *store.File, s *spec) (*Rule, error) {
	if !s.Ruled {
		return nil, nil
	}
	if r, ok := e.cfg.Rules[f.RuleName]; ok {
		return &r, nil
	}
	return nil, stepError{stepQueue, &Error{Op: "find rule", Path: f.RuleName, Code: RuleNotFound,
		Err: fmt.Errorf("this node has no rule %q (Config.Rules)", f.RuleName)}}
}
