package transfer_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const module = "github.com/seed62b9dc43/transfer"

// TestImports holds what a program that imports a package of ours gets with it: the root compiles no SSH, no AWS, no
// SQL and no HTTP, and nothing that is not a test brings package testing and its flags.
func TestImports(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		pkg  string
		only []string // besides the standard library and the package itself; nil for no limit
		not  []string
	}{
		{pkg: ".", only: []string{module + "/store", "golang.org/x"}, not: []string{"golang.org/x/crypto/ssh", "net/http", "testing"}},
		{pkg: "./store", only: []string{}, not: []string{"testing"}},
		{pkg: "./store/sqlitestore", not: []string{module + "/sftpx", module + "/s3x", "github.com/jackc/pgx", "testing"}},
		{pkg: "./store/pgstore", not: []string{module + "/sftpx", module + "/s3x", "modernc.org/sqlite", "testing"}},
		{pkg: "./sftpx", not: []string{module + "/s3x", "github.com/aws", "testing"}},
		{pkg: "./s3x", not: []string{module + "/sftpx", "github.com/pkg/sftp", "golang.org/x/crypto/ssh", "testing"}},
		{pkg: "./awsapi", only: []string{module, "golang.org/x"}, not: []string{module + "/waarpapi", module + "/as2x", module + "/sftpx", module + "/s3x", "golang.org/x/crypto/ssh", "testing"}},
		{pkg: "./waarpapi", only: []string{module, module + "/store", "golang.org/x"}, not: []string{module + "/sftpx", module + "/s3x", "golang.org/x/crypto/ssh", "testing"}},
		{pkg: "./as2x", not: []string{module + "/sftpx", module + "/s3x", "github.com/pkg/sftp", "golang.org/x/crypto/ssh", "github.com/aws", "testing"}},
		{pkg: "./as2x/internal/cms", only: []string{}, not: []string{"testing"}},
		{pkg: "./otelx", only: []string{module, module + "/store", "golang.org/x", "go.opentelemetry.io", "github.com/cespare/xxhash", "github.com/go-logr"}, not: []string{module + "/sftpx", module + "/s3x", "go.opentelemetry.io/otel/sdk", "go.opentelemetry.io/otel/exporters", "golang.org/x/crypto/ssh", "testing"}},
		{pkg: "./webhook", only: []string{module, "golang.org/x"}, not: []string{module + "/awsapi", module + "/waarpapi", module + "/as2x", module + "/sftpx", module + "/s3x", "testing"}},
		{pkg: "./watch", only: []string{module, module + "/store", "github.com/adhocore/gronx", "github.com/bmatcuk/doublestar", "golang.org/x"}, not: []string{module + "/sftpx", module + "/s3x", "golang.org/x/crypto/ssh", "net/http", "testing"}},
		{pkg: "./pgpx", only: []string{module, module + "/store", "golang.org/x", "github.com/ProtonMail/go-crypto", "github.com/cloudflare/circl"}, not: []string{module + "/as2x", module + "/sftpx", module + "/s3x", "golang.org/x/crypto/ssh", "net/http", "testing"}},
		{pkg: "./transfertest", not: []string{module + "/sftpx", module + "/s3x", "testing"}},
	} {
		t.Run(test.pkg, func(t *testing.T) {
			t.Parallel()
			readSources(t, test.pkg)
			itself := strings.TrimSuffix(module+"/"+strings.TrimPrefix(test.pkg, "./"), "/.")
			deps := goList(t, "-deps", "-f", "{{.Standard}} {{.ImportPath}}", test.pkg)
			require.Contains(t, deps, "false "+itself)
			for _, dep := range deps {
				standard, path, _ := strings.Cut(dep, " ")
				allowed := test.only == nil || standard == "true" || path == itself || within(path, test.only)
				require.True(t, allowed && !within(path, test.not), "%s imports %s", test.pkg, path)
			}
		})
	}
}

// within reports whether path is one of parents or below one.
func within(path string, parents []string) bool {
	return slices.ContainsFunc(parents, func(p string) bool { return path == p || strings.HasPrefix(path, p+"/") })
}

// readSources reads what `go list` is going to read, because go test's cache only sees what the test reads itself.
func readSources(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	for _, f := range files {
		_, err := os.ReadFile(f)
		require.NoError(t, err)
	}
}

func goList(t *testing.T, args ...string) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", append([]string{"list"}, args...)...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}
