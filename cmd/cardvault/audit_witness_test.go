package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardvault/cardvault/crypto/devca"
	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/witness"
)

// witnessedLog is a log of one entry.
type witnessedLog struct {
	signer note.Signer
	key    note.Verifier
	vkey   string
}

func newWitnessedLog(t *testing.T, origin string) witnessedLog {
	t.Helper()
	skey, vkey, err := note.GenerateKey(rand.Reader, origin)
	mustWitness(t, err)
	l := witnessedLog{vkey: vkey}
	l.signer, err = note.NewSigner(skey)
	mustWitness(t, err)
	l.key, err = note.NewVerifier(vkey)
	mustWitness(t, err)
	return l
}

func mustWitness(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// cosign asks a witness by the policy that it printed.
func (l witnessedLog) cosign(t *testing.T, policy string, entry string, cas *x509.CertPool) error {
	t.Helper()
	p, err := witness.ParsePolicy([]byte(policy))
	mustWitness(t, err)
	client, err := witness.NewClient(witness.ClientConfig{
		Policy: p, CAs: cas, Timeout: 10 * time.Second, Log: slog.New(slog.DiscardHandler),
		Keys: func(context.Context) ([]note.Verifier, error) { return []note.Verifier{l.key}, nil },
	})
	mustWitness(t, err)
	defer client.Close()
	c := audit.Checkpoint{Origin: l.key.Name(), Size: 1, Root: audit.LeafHash([]byte(entry))}
	signed, err := note.Sign(&note.Note{Text: c.Text()}, l.signer)
	mustWitness(t, err)
	_, err = client.Cosign(t.Context(), signed, 1, func(int64) (tlog.TreeProof, error) { return nil, nil })
	return err
}

// witnessCommand is the command as it stands under audit, whose other flags it shares.
func witnessCommand(args ...string) (cmd *cobra.Command, stdout, stderr *bytes.Buffer) {
	c := &connection{}
	root := &cobra.Command{Use: "audit", SilenceErrors: true, SilenceUsage: true}
	c.register(root)
	root.AddCommand(auditWitness())
	markRan(root)
	stdout, stderr = new(bytes.Buffer), new(bytes.Buffer)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetArgs(append([]string{"witness"}, args...))
	return root, stdout, stderr
}

// startWitness runs the command until stop, which returns its error and its log. The
// policy is what it printed, once it serves.
func startWitness(t *testing.T, args ...string) (policy string, stop func() (string, error)) {
	t.Helper()
	cmd, _, stderr := witnessCommand(args...)
	r, w := io.Pipe()
	cmd.SetOut(w)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		err := cmd.ExecuteContext(ctx)
		done <- errors.Join(err, w.CloseWithError(io.EOF))
	}()
	lines := bufio.NewReader(r)
	for range 3 {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("it did not start: %v", <-done)
		}
		policy += line
	}
	return policy, func() (string, error) {
		cancel()
		err := <-done
		return stderr.String(), err
	}
}

func TestWitnessCommand(t *testing.T) {
	dir := t.TempDir()
	key, state := filepath.Join(dir, "key"), filepath.Join(dir, "state")
	l, other := newWitnessedLog(t, "cards.example.com/audit"), newWitnessedLog(t, "other.example/log")
	keys := filepath.Join(dir, "other.pub")
	mustWitness(t, os.WriteFile(keys, []byte("# the keys of the other log\n"+other.vkey+"\n"), 0o600))
	args := []string{"--key", key, "--state", state, "--log", l.vkey, "--log", "@" + keys, "--listen", "127.0.0.1:0"}

	policy, stop := startWitness(t, append(args, "--name", "witness.example/cards")...)
	mustWitness(t, l.cosign(t, policy, "first", nil))
	mustWitness(t, other.cosign(t, policy, "another", nil))
	logged, err := stop()
	mustWitness(t, err)
	for line := range strings.Lines(logged) {
		if !json.Valid([]byte(line)) {
			t.Errorf("logged %q", line)
		}
	}
	// The second start needs no name, and remembers: a log that begins with another
	// entry is found out.
	policy, stop = startWitness(t, args...)
	if err := l.cosign(t, policy, "forged", nil); !errors.Is(err, witness.ErrForked) {
		t.Errorf("after a restart: %v", err)
	}
	mustWitness(t, l.cosign(t, policy, "first", nil))
	logged, err = stop()
	mustWitness(t, err)
	if !strings.Contains(logged, "a checkpoint that does not extend the last one") || !strings.Contains(logged, `"stopped"`) {
		t.Errorf("logged:\n%s", logged)
	}
}

func TestWitnessCommandTLS(t *testing.T) {
	dir := t.TempDir()
	ca, err := devca.Create(dir, time.Now)
	mustWitness(t, err)
	pair, err := ca.Server("127.0.0.1")
	mustWitness(t, err)
	cert, certKey := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "cert-key.pem")
	mustWitness(t, os.WriteFile(cert, pair.Cert, 0o600))
	mustWitness(t, os.WriteFile(certKey, pair.Key.Reveal(), 0o600))
	l := newWitnessedLog(t, "cards.example.com/audit")
	policy, stop := startWitness(t, "--name", "w", "--key", filepath.Join(dir, "key"), "--state", filepath.Join(dir, "state"),
		"--log", l.vkey, "--listen", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", certKey)
	if !strings.Contains(policy, " https://127.0.0.1:") {
		t.Errorf("policy:\n%s", policy)
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(ca.Cert())
	mustWitness(t, l.cosign(t, policy, "first", trusted))
	if err := l.cosign(t, policy, "first", nil); !errors.Is(err, witness.ErrNoQuorum) {
		t.Errorf("without the CA: %v", err)
	}
	_, err = stop()
	mustWitness(t, err)
}

// TestWitnessCommandRefuses: each refusal has its exit code and says what to do.
func TestWitnessCommandRefuses(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	l := newWitnessedLog(t, "cards.example.com/audit")
	for _, name := range []string{"a", "b", "exposed", "lost"} {
		mustWitness(t, witness.Create(in(name+".key"), in(name+".state"), "witness.example/"+name))
	}
	mustWitness(t, os.Chmod(in("exposed.key"), 0o644))
	mustWitness(t, os.Remove(in("lost.state")))
	mustWitness(t, os.WriteFile(in("damaged.state"), []byte("{}"), 0o600))
	key, err := witness.ReadKey(in("b.key"))
	mustWitness(t, err)
	held, err := witness.OpenState(in("b.state"), key, nil)
	mustWitness(t, err)
	defer func() { mustWitness(t, held.Close()) }()

	with := func(name string, more ...string) []string {
		return append([]string{"--key", in(name + ".key"), "--state", in(name + ".state"), "--log", l.vkey, "--listen", "127.0.0.1:0"}, more...)
	}
	for name, c := range map[string]struct {
		args []string
		code exitCode
		next string
	}{
		"no flags":           {nil, exitUsage, ""},
		"no key":             {with("none"), exitUsage, "--name"},
		"a bad name":         {with("none", "--name", "two words"), exitUsage, "--name"},
		"another name":       {with("a", "--name", "witness.example/b"), exitUsage, "--name"},
		"exposed key":        {with("exposed"), exitFailed, "chmod 600"},
		"state lost":         {with("lost"), exitFailed, "make a new witness"},
		"state in use":       {with("b"), exitFailed, "end the other"},
		"damaged state":      {with("a", "--state", in("damaged.state")), exitFailed, "belong together"},
		"another's state":    {with("a", "--key", in("b.key"), "--state", in("a.state")), exitFailed, "belong together"},
		"key of a state":     {with("none", "--name", "w", "--state", in("damaged.state")), exitFailed, "--state"},
		"state is no key":    {with("a", "--key", in("a.state")), exitFailed, "--key"},
		"no log file":        {with("a", "--log", "@"+in("none")), exitUsage, "--log"},
		"no log key":         {with("a", "--log", "x"), exitUsage, "--log"},
		"a log twice":        {with("a", "--log", l.vkey), exitUsage, "--log"},
		"half of TLS":        {with("a", "--tls-cert", in("a.key")), exitUsage, ""},
		"TLS of no files":    {with("a", "--tls-cert", in("none"), "--tls-key", in("none")), exitUsage, "--tls-cert"},
		"TLS of other files": {with("a", "--tls-cert", in("a.key"), "--tls-key", in("a.key")), exitUsage, "--tls-cert"},
		"no address":         {with("a", "--listen", "nowhere"), exitFailed, "address"},
		"an argument":        {with("a", "more"), exitUsage, ""},
	} {
		cmd, stdout, _ := witnessCommand(c.args...)
		err := cmd.ExecuteContext(t.Context())
		if err == nil {
			t.Errorf("%s: taken", name)
			continue
		}
		told := asExit(err)
		if told.code != c.code || !strings.Contains(told.next, c.next) || stdout.Len() > 0 {
			t.Errorf("%s: exit code %d, %s; printed %q", name, told.code, told.line(), stdout)
		}
		if _, err := os.Stat(in("none.key")); !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("%s: it made a key", name)
		}
	}
}
