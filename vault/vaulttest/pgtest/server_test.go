package pgtest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// installation makes a folder bin/ of a made-up PostgreSQL.
func installation(t *testing.T, dir string, mode os.FileMode) string {
	t.Helper()
	bin := filepath.Join(dir, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"initdb", "pg_ctl"} {
		if err := os.WriteFile(filepath.Join(bin, name), nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	return bin
}

func TestFindServer(t *testing.T) {
	t.Parallel()
	installed, elsewhere := t.TempDir(), t.TempDir()
	installation(t, filepath.Join(installed, "9"), 0o755)
	newest := installation(t, filepath.Join(installed, "17"), 0o755)
	installation(t, filepath.Join(installed, "18"), 0o644) // not executable
	inPath := installation(t, elsewhere, 0o755)

	for name, tc := range map[string]struct {
		path []string
		want string
	}{
		"PATH first":           {path: []string{"/nonexistent", inPath}, want: inPath},
		"then newest, not 9":   {want: newest},
		"a folder without any": {path: []string{installed}, want: newest},
	} {
		got, err := findServer(tc.path, installed+"/*/bin")
		if err != nil || got.bin != tc.want {
			t.Errorf("%s: %s, %v, want %s", name, got.bin, err, tc.want)
		}
	}
}

func TestNoServerNamesTheNextStep(t *testing.T) {
	t.Parallel()
	_, err := findServer(nil, t.TempDir()+"/*/bin")
	if !errors.Is(err, errNoServer) || !strings.Contains(err.Error(), "make setup") {
		t.Errorf("err = %v", err)
	}
}

// A server that cannot be had is a failed test, not a skipped one.
func TestNoServerFailsTheTest(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run=^TestDSNIsASchemaOfItsOwn$")
	cmd.Env = append(os.Environ(), EnvURL+"=postgres://127.0.0.1:1/nothing-listens-here")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "--- FAIL: TestDSNIsASchemaOfItsOwn") {
		t.Errorf("%v\n%s", err, out)
	}
}
