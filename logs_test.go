package transfer_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// logged is a message that a package logs.
type logged struct {
	pkg, level, message string
	keys                []string // as far as they are written there
}

// TestLogMessagesAreInTheManual compares what is logged with the tables in docs/operations.md, section 12.
func TestLogMessagesAreInTheManual(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("docs", "operations.md"))
	require.NoError(t, err)
	_, manual, found := strings.Cut(string(text), "\n## 12. Log\n")
	require.True(t, found)
	manual, _, _ = strings.Cut(manual, "\n## ")
	packages, rows := []string{"."}, 0
	entries, err := os.ReadDir(".")
	require.NoError(t, err)
	for _, e := range entries {
		if e.IsDir() && !slices.Contains([]string{"examples", "internal", "bench"}, e.Name()) {
			packages = append(packages, e.Name())
		}
	}
	known := make(map[string]bool)
	for _, dir := range packages {
		for _, l := range loggedBy(t, dir) {
			start := fmt.Sprintf("| %s | %s | ", l.message, l.level)
			_, row, listed := strings.Cut(manual, "\n"+start)
			require.True(t, listed, "docs/operations.md, section 12, shall list of %s: %s%s | … |", l.pkg, start, strings.Join(l.keys, ", "))
			row, _, _ = strings.Cut(row, " |")
			row = strings.NewReplacer("outcome keys", "file keys, source, target, bytes", "file keys", "file, transfer, connector, attempt").Replace(row)
			for _, key := range l.keys {
				require.Contains(t, strings.Split(row, ", "), key, "keys of %q in docs/operations.md", l.message)
			}
			if !known[start] {
				known[start] = true
				rows++
			}
		}
	}
	listed := 0
	for line := range strings.Lines(manual) {
		if cells := strings.Split(line, " | "); len(cells) == 4 && slices.Contains([]string{"DEBUG", "INFO", "WARN", "ERROR"}, cells[1]) {
			listed++
		}
	}
	require.Equal(t, rows, listed, "messages in the manual that nobody logs any more")
}

var levels = map[string]string{"Debug": "DEBUG", "Info": "INFO", "Warn": "WARN", "Error": "ERROR"}

// loggedBy returns what the files of a folder log. Tests are left aside.
func loggedBy(t *testing.T, dir string) (all []logged) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if l, ok := loggedIn(call); ok {
					require.NotEmpty(t, l.message, "%s logs a message that is made up", name)
					l.pkg = dir
					all = append(all, l)
				}
			}
			return true
		})
	}
	return all
}

// loggedIn reads a call of a method of a logger, such as c.cfg.Logger.Info("…", "key", value).
func loggedIn(call *ast.CallExpr) (l logged, ok bool) {
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return l, false
	}
	name, withContext := strings.CutSuffix(method.Sel.Name, "Context")
	args := call.Args
	if withContext && len(args) > 0 {
		args = args[1:]
	}
	l.level = levels[name]
	if l.level == "" || len(args) == 0 || !isLogger(method.X) {
		return l, false
	}
	l.message, _ = literal(args[0]) // nothing else can be looked for
	for _, arg := range args[1:] {
		l.keys = append(l.keys, keysIn(arg)...)
	}
	return l, true
}

func isLogger(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.SelectorExpr:
		return x.Sel.Name == "Logger" || x.Sel.Name == "log"
	case *ast.Ident:
		return x.Name == "log" || x.Name == "logger"
	}
	return false
}

// keysIn returns the text of a literal, or those in a call that makes up attributes.
func keysIn(x ast.Expr) (keys []string) {
	if key, ok := literal(x); ok {
		return []string{key}
	}
	call, ok := x.(*ast.CallExpr)
	if !ok || call.Ellipsis != token.NoPos {
		return nil
	}
	name := ""
	switch fun := call.Fun.(type) {
	case *ast.Ident:
		name = fun.Name
	case *ast.SelectorExpr:
		name = fun.Sel.Name
	}
	if name != "append" && name != "attrs" {
		return nil
	}
	for _, arg := range call.Args {
		keys = append(keys, keysIn(arg)...)
	}
	return keys
}

func literal(x ast.Expr) (string, bool) {
	lit, ok := x.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(lit.Value)
	return text, err == nil
}
