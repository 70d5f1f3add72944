package testenv

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// OpenSSL returns the path of the openssl program. t is skipped where there is none (see RequireVariable).
func OpenSSL(t testing.TB) string {
	t.Helper()
	program, err := exec.LookPath("openssl")
	if err != nil {
		missing(t, "openssl", "apt-get install openssl")
	}
	return program
}

// Java returns the path of a java program that runs a single source file, which needs the compiler of a JDK. t is
// skipped where there is none (see RequireVariable).
func Java(t testing.TB) string {
	t.Helper()
	compiler, err := exec.LookPath("javac")
	if err == nil {
		compiler, err = filepath.EvalSymlinks(compiler)
	}
	if err != nil {
		missing(t, "javac", "apt-get install default-jdk-headless")
	}
	return filepath.Join(filepath.Dir(compiler), "java")
}

// BouncyCastle returns a class path with Bouncy Castle's provider, utilities and CMS, as Debian installs them. t is
// skipped where one is missing (see RequireVariable).
func BouncyCastle(t testing.TB) string {
	t.Helper()
	var jars []string
	for _, name := range []string{"bcprov", "bcutil", "bcpkix"} {
		jar := filepath.Join("/usr/share/java", name+".jar")
		if _, err := os.Stat(jar); err != nil {
			missing(t, name+".jar", "apt-get install lib"+name+"-java")
		}
		jars = append(jars, jar)
	}
	return strings.Join(jars, string(filepath.ListSeparator))
}
