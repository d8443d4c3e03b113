package transittest

import (
	"context"
	"errors"
	"net/http"
	"os/exec"
	"path/filepath"
	"testing"

	vaultapi "github.com/hashicorp/vault/api"
)

// runDevvault runs the binary with flags of the test's own, and stops it at the end of the test.
func runDevvault(t *testing.T, dir string, flags ...string) *Server {
	t.Helper()
	s := &Server{binary: binary(t), dir: dir}
	// The end of its input stops it, after the test's context has ended.
	ctx := context.WithoutCancel(t.Context())
	cmd := exec.CommandContext(ctx, s.binary, append(flags, "-dir", dir, "-stop-on-eof")...)
	line, err := s.run(cmd)
	if err != nil {
		t.Fatalf("%v\n%s", err, s.log())
	}
	t.Cleanup(func() {
		if err := errors.Join(s.stdin.Close(), cmd.Wait()); err != nil {
			t.Error(err)
		}
	})
	s.Address, s.CAFile, s.RootToken, s.unsealKey = line.Address, line.CA, line.RootToken, line.UnsealKey
	return s
}

func TestDevModeOverInmemStorageTakesARootToken(t *testing.T) {
	dir := t.TempDir()
	s := runDevvault(t, dir, "-dev", "-root-token", "a-root-token")
	if s.RootToken != "a-root-token" {
		t.Errorf("root token = %q", s.RootToken)
	}
	s.EnableTransit(t, "transit")
	if kept, err := filepath.Glob(filepath.Join(dir, "data")); err != nil || kept != nil {
		t.Errorf("inmem storage left %v, %v", kept, err)
	}
}

func TestWithoutDevModeStorageIsServedSealed(t *testing.T) {
	before := Start(t)
	before.EnableTransit(t, "transit")
	before.Stop(t)

	s := runDevvault(t, before.dir, "-storage", "file")
	if s.RootToken != "" || s.unsealKey != "" {
		t.Error("the ready line gives the credentials away")
	}
	s.RootToken, s.unsealKey = before.RootToken, before.unsealKey
	_, err := s.Client(t).Sys().ListMountsWithContext(t.Context())
	var answer *vaultapi.ResponseError
	if !errors.As(err, &answer) || answer.StatusCode != http.StatusServiceUnavailable {
		t.Fatalf("error = %v; want status 503", err)
	}
	s.Unseal(t)
	mounts, err := s.Client(t).Sys().ListMountsWithContext(t.Context())
	if err != nil || mounts["transit/"] == nil {
		t.Fatalf("mounts = %v, %v; want transit/", mounts, err)
	}
}
