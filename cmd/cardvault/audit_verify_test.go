package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardvault/cardvault/vault/archive"
	"github.com/cardvault/cardvault/vault/audit"
)

// verifiedLog is a log of a few entries, and its key.
type verifiedLog struct {
	signer note.Signer
	vkey   string
	bodies [][]byte
}

func newVerifiedLog(t *testing.T, entries ...audit.Entry) verifiedLog {
	t.Helper()
	skey, vkey, err := note.GenerateKey(nil, "cards.example.com/audit")
	if err != nil {
		t.Fatal(err)
	}
	l := verifiedLog{vkey: vkey}
	if l.signer, err = note.NewSigner(skey); err != nil {
		t.Fatal(err)
	}
	chain, now := audit.NewChain([16]byte{1}), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i, e := range entries {
		var r audit.Record
		chain, r = chain.Append(e, now.Add(time.Duration(i)*time.Second))
		l.bodies = append(l.bodies, r.Body)
	}
	return l
}

func (l verifiedLog) batch(t *testing.T, from, to int) audit.Batch {
	t.Helper()
	b := audit.Batch{Checkpoint: l.checkpoint(t, to)}
	for i, body := range l.bodies[from:to] {
		b.Entries = append(b.Entries, audit.LogEntry{Index: int64(from + i), Body: body})
	}
	return b
}

func (l verifiedLog) checkpoint(t *testing.T, size int) []byte {
	t.Helper()
	var hashes []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			out[i] = hashes[x]
		}
		return out, nil
	})
	for i, body := range l.bodies[:size] {
		more, err := tlog.StoredHashes(int64(i), body, reader)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, more...)
	}
	root, err := tlog.TreeHash(int64(size), reader)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := note.Sign(&note.Note{Text: audit.Checkpoint{Origin: l.signer.Name(), Size: int64(size), Root: root}.Text()}, l.signer)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func (l verifiedLog) export(t *testing.T, to int) string {
	t.Helper()
	dir := t.TempDir()
	a, err := archive.Open(dir, l.vkey)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(a.Append(l.batch(t, 0, to)), a.Close()); err != nil {
		t.Fatal(err)
	}
	return dir
}

func keep(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// runVerify runs the command, and returns its output and how it ends.
func runVerify(t *testing.T, args ...string) (string, *exitError) {
	t.Helper()
	cmd := auditVerify()
	markRan(cmd)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetArgs(args)
	if err := cmd.ExecuteContext(t.Context()); err != nil {
		return out.String(), asExit(err)
	}
	return out.String(), &exitError{}
}

func someEntries(n int) []audit.Entry {
	entries := make([]audit.Entry, n)
	for i := range entries {
		entries[i] = audit.Entry{Action: "GetCard", Principal: "spiffe://cardvault.test/tenant/demo/issuer", Decision: audit.Allow}
	}
	return entries
}

func TestVerifyCommandEndsByClass(t *testing.T) {
	l := newVerifiedLog(t, someEntries(300)...)
	other := newVerifiedLog(t, someEntries(300)...)
	other.signer, other.vkey = l.signer, l.vkey
	other.bodies[0] = bytes.Replace(other.bodies[0], []byte("GetCard"), []byte("Nothing"), 1)
	carded := newVerifiedLog(t, audit.Entry{Purpose: "4111111111111111"})
	edit := func(name string, change func([]byte) []byte) func(string) {
		return func(dir string) {
			path := filepath.Join(dir, filepath.FromSlash(name))
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, change(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	flipLast := func(b []byte) []byte { b[len(b)-3] ^= 1; return b }
	policy := "witness w https://w.example\nquorum w\n"
	_, wkey, err := note.GenerateKey(nil, "w.example")
	if err != nil {
		t.Fatal(err)
	}
	policy = strings.Replace(policy, "witness w ", "witness w "+wkey+" ", 1)
	for name, tc := range map[string]struct {
		log    verifiedLog
		change func(dir string)
		args   []string
		code   exitCode
		reason string
	}{
		"nothing":       {l, nil, nil, exitOK, ""},
		"since":         {l, nil, []string{"--since", keep(t, "c", l.checkpoint(t, 200))}, exitOK, ""},
		"signature":     {l, edit("checkpoint", flipLast), nil, exitLogSignature, "LOG_NOT_SIGNED"},
		"tree":          {l, edit("tile/1/000.p/1", flipLast), nil, exitLogTree, "LOG_TREE_BROKEN"},
		"missing":       {l, func(dir string) { _ = os.Remove(filepath.Join(dir, "tile", "0", "000")) }, nil, exitLogTree, "LOG_TREE_BROKEN"},
		"entry":         {l, edit("tile/entries/000", flipLast), nil, exitLogEntry, "LOG_ENTRIES_WRONG"},
		"card data":     {carded, nil, nil, exitLogCardData, "CARD_DATA"},
		"fork":          {l, nil, []string{"--since", keep(t, "c", other.checkpoint(t, 200))}, exitLogInconsistent, "LOG_INCONSISTENT"},
		"no such":       {l, func(dir string) { _ = os.RemoveAll(dir) }, nil, exitUsage, ""},
		"no checkpoint": {l, nil, []string{"--since", keep(t, "c", []byte("?"))}, exitUsage, ""},
		"not witnessed": {l, nil, []string{"--policy", keep(t, "p", []byte(policy))}, exitLogWitness, "LOG_NOT_WITNESSED"},
		"no policy":     {l, nil, []string{"--policy", keep(t, "p", []byte("quorum none\n"))}, exitUsage, ""},
		"no skew":       {l, nil, []string{"--max-skew", "0s"}, exitUsage, ""},
		"two keys":      {l, nil, []string{"--log-key", l.vkey}, exitUsage, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := tc.log.export(t, len(tc.log.bodies))
			if tc.change != nil {
				tc.change(dir)
			}
			for _, output := range []string{outputTable, outputJSON} {
				out, end := runVerify(t, append([]string{dir, "--key", tc.log.vkey, "--output", output}, tc.args...)...)
				if end.code != tc.code || end.reason != tc.reason {
					t.Fatalf("%s: got %d %s: %v, want %d %s", output, end.code, end.reason, end.err, tc.code, tc.reason)
				}
				if tc.code == exitUsage {
					continue
				}
				if output == outputJSON {
					var r verified
					if err := json.Unmarshal([]byte(out), &r); err != nil || r.Size != int64(len(tc.log.bodies)) {
						t.Errorf("%v in %s", err, out)
					}
				} else if good := strings.Contains(out, "Nothing is wrong."); good != (tc.code == exitOK) {
					t.Errorf("it says:\n%s", out)
				}
				if strings.Contains(out, "4111") {
					t.Error("it repeats what it found")
				}
			}
		})
	}
}

// The lowest code wins where there are several kinds of finding, and the line says
// that there is more.
func TestVerifyVerdictOfSeveral(t *testing.T) {
	r := &archive.Report{Counts: map[archive.Class]int64{archive.ClassCardData: 2, archive.ClassTree: 1, archive.ClassExtra: 5, archive.ClassWitness: 1}}
	end := asExit(verifyVerdict(r))
	if end.code != exitLogTree || !strings.HasSuffix(end.Error(), "and there are 3 findings of other kinds") {
		t.Errorf("got %d: %v", end.code, end)
	}
}

// Every class that Verify has leads to an exit code, and to the help.
func TestVerifyKindsKnowEveryClass(t *testing.T) {
	help := auditVerify().Long
	seen := map[archive.Class]bool{}
	last := exitCode(0)
	for _, kind := range verifyKinds() {
		if kind.code <= last || kind.next == "" || kind.reason == "" {
			t.Errorf("kind %d after %d", kind.code, last)
		}
		last = kind.code
		for _, class := range kind.classes {
			seen[class] = true
			if !strings.Contains(help, string(class)) {
				t.Errorf("the help does not know %s", class)
			}
		}
	}
	for _, class := range []archive.Class{
		archive.ClassSignature, archive.ClassWitness, archive.ClassInconsistent, archive.ClassTree, archive.ClassBundle, archive.ClassMissing,
		archive.ClassExtra, archive.ClassEntry, archive.ClassChain, archive.ClassTime, archive.ClassCardData,
	} {
		if !seen[class] {
			t.Errorf("%s has no exit code", class)
		}
	}
}
