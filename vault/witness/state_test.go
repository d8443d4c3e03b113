package witness_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	formats "github.com/transparency-dev/formats/note"

	"github.com/cardvault/cardvault/vault/witness"
)

func TestRestart(t *testing.T) {
	l := newTree(t, origin, 20)
	s := newSite(t, l)
	s.accept(t, l.request(t, 0, 7))
	shown := s.monitor(origin).Body.String()
	s.restart(t)
	if got := s.monitor(origin).Body.String(); got != shown {
		t.Errorf("after a restart it shows %s", got)
	}
	if got := s.post(l.request(t, 0, 7)); got.Body.String() != "7\n" {
		t.Errorf("after a restart: %d %q", got.Code, got.Body)
	}
	if got := s.post(l.fork(t).request(t, 7, 20)).Code; got != 422 {
		t.Errorf("a fork after a restart: %d", got)
	}
	s.accept(t, l.request(t, 7, 20))
}

func TestOneProcess(t *testing.T) {
	s := newSite(t, newTree(t, origin, 1))
	if _, err := witness.OpenState(s.stateFile, s.key, nil); !errors.Is(err, witness.ErrInUse) {
		t.Errorf("a state in use: %v", err)
	}
	// Replacing the file does not free it.
	l := newTree(t, "b.example/log", 1)
	s.logs = append(s.logs, l.key)
	s.restart(t)
	s.accept(t, l.request(t, 0, 1))
	if _, err := witness.OpenState(s.stateFile, s.key, nil); !errors.Is(err, witness.ErrInUse) {
		t.Errorf("a state in use that was written: %v", err)
	}
	must(t, s.state.Close())
	again, err := witness.OpenState(s.stateFile, s.key, nil)
	must(t, err)
	must(t, again.Close())
}

// TestDamagedState: no byte of the file can change, go or come unseen.
func TestDamagedState(t *testing.T) {
	a, b := newTree(t, "a.example/log", 20), newTree(t, "b.example/log", 30)
	s := newSite(t, a, b)
	s.accept(t, a.request(t, 0, 20))
	s.accept(t, b.request(t, 0, 10))
	must(t, s.state.Close())
	good, err := os.ReadFile(s.stateFile)
	must(t, err)

	refused := func(what string, i int, content []byte) {
		t.Helper()
		must(t, os.WriteFile(s.stateFile, content, 0o600))
		state, err := witness.OpenState(s.stateFile, s.key, s.logs)
		if !errors.Is(err, witness.ErrState) {
			t.Errorf("%s %d: %v", what, i, err)
		}
		if err == nil {
			must(t, state.Close())
		}
	}
	for i := range good {
		flipped := bytes.Clone(good)
		flipped[i] ^= 1
		refused("flipped byte", i, flipped)
		refused("without byte", i, append(bytes.Clone(good[:i]), good[i+1:]...))
		refused("cut at byte", i, good[:i])
	}
	refused("twice", 0, append(bytes.Clone(good), good...))
	refused("a blank more", 0, append(bytes.Clone(good), '\n'))
	must(t, os.WriteFile(s.stateFile, good, 0o600))
	s.start(t)
}

// stateFile is the form of the file, as whoever edits it would know it.
type stateFile struct {
	Format      string   `json:"format"`
	Witness     string   `json:"witness"`
	Checkpoints []string `json:"checkpoints"`
	More        string   `json:"more,omitempty"`
	SHA256      string   `json:"sha256"`
}

func (f stateFile) sealed(t testing.TB) []byte {
	t.Helper()
	f.SHA256 = ""
	sum := sha256.Sum256(f.encode(t))
	f.SHA256 = hex.EncodeToString(sum[:])
	return f.encode(t)
}

func (f stateFile) encode(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "\t")
	must(t, e.Encode(f))
	return b.Bytes()
}

// TestForgedState: to edit a state takes the witness's key.
func TestForgedState(t *testing.T) {
	l := newTree(t, origin, 20)
	s := newSite(t, l)
	s.accept(t, l.request(t, 0, 7))
	must(t, s.state.Close())
	good, err := os.ReadFile(s.stateFile)
	must(t, err)

	other, err := witness.NewKey(witnessName)
	must(t, err)
	if _, err := witness.OpenState(s.stateFile, other, nil); !errors.Is(err, witness.ErrState) || !strings.Contains(err.Error(), s.key.VerifierKey()) {
		t.Errorf("the state of another key of the same name: %v", err)
	}
	for name, edit := range map[string]func(f *stateFile, shown string){
		"untouched":    func(*stateFile, string) {},
		"not cosigned": func(f *stateFile, _ string) { f.Checkpoints[0] = string(l.checkpoint(t, 3)) },
		"twice":        func(f *stateFile, shown string) { f.Checkpoints = []string{shown, shown} },
		"a field more": func(f *stateFile, _ string) { f.More = "x" },
		"size changed": func(f *stateFile, shown string) { f.Checkpoints[0] = strings.Replace(shown, "\n7\n", "\n6\n", 1) },
		"a bad signature of the log": func(f *stateFile, shown string) {
			i := strings.Index(shown, "— "+origin+" ") + len("— "+origin+" ") + 20
			bad := []byte(shown)
			bad[i] = map[bool]byte{true: 'B', false: 'A'}[bad[i] == 'A']
			f.Checkpoints[0] = string(bad)
		},
	} {
		var f stateFile
		must(t, json.Unmarshal(good, &f))
		edit(&f, f.Checkpoints[0])
		content := f.sealed(t)
		must(t, os.WriteFile(s.stateFile, content, 0o600))
		if name == "untouched" {
			if !bytes.Equal(content, good) {
				t.Fatal("the test does not write as the witness does")
			}
			continue
		}
		if state, err := witness.OpenState(s.stateFile, s.key, s.logs); !errors.Is(err, witness.ErrState) {
			t.Errorf("%s: %v", name, err)
			if err == nil {
				must(t, state.Close())
			}
		}
	}
}

// TestForgottenLog: a log that the witness no longer serves is not forgotten.
func TestForgottenLog(t *testing.T) {
	a, b := newTree(t, "a.example/log", 20), newTree(t, "b.example/log", 30)
	s := newSite(t, a, b)
	s.accept(t, a.request(t, 0, 20))
	s.accept(t, b.request(t, 0, 10))
	both := s.logs
	s.logs = both[1:]
	s.restart(t)
	if got := s.post(a.request(t, 20, 20)).Code; got != 404 {
		t.Errorf("a log that is not served: %d", got)
	}
	s.accept(t, b.request(t, 10, 30))
	s.logs = both
	s.restart(t)
	if got := s.post(a.request(t, 0, 5)); got.Body.String() != "20\n" {
		t.Errorf("served again: %d %q", got.Code, got.Body)
	}
}

func TestStateFailures(t *testing.T) {
	l := newTree(t, origin, 20)
	s := newSite(t, l)
	must(t, s.state.Close())
	if _, err := witness.OpenState(filepath.Join(t.TempDir(), "none"), s.key, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := witness.OpenState(filepath.Join(t.TempDir(), "no", "folder"), s.key, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}

func TestCreate(t *testing.T) {
	dir := t.TempDir()
	key, state := filepath.Join(dir, "key"), filepath.Join(dir, "state")
	for _, name := range []string{"", "two words", "a+b", "a\nb", "no\u00a0break", "\xff"} {
		if err := witness.Create(key, state, name); !errors.Is(err, witness.ErrName) {
			t.Errorf("name %q: %v", name, err)
		}
	}
	must(t, witness.Create(key, state, witnessName))
	if runtime.GOOS != "windows" {
		for _, path := range []string{key, state} {
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v %v", path, info, err)
			}
		}
	}
	if err := witness.Create(key, state, witnessName); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over a key: %v", err)
	}
	// A Create that ended before it had a key.
	must(t, os.Remove(key))
	must(t, witness.Create(key, state, witnessName))

	l := newTree(t, origin, 2)
	s := &site{keyFile: key, stateFile: state}
	s.logs, s.logged = append(s.logs, l.key), new(bytes.Buffer)
	s.now = s.now.AddDate(2026, 0, 0)
	s.start(t)
	if err := witness.Create(filepath.Join(dir, "key2"), state, witnessName); !errors.Is(err, witness.ErrInUse) {
		t.Errorf("over a state in use: %v", err)
	}
	s.accept(t, l.request(t, 0, 2))
	must(t, s.state.Close())
	must(t, os.Remove(key))
	if err := witness.Create(key, state, witnessName); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over a state that remembers: %v", err)
	}
	must(t, os.WriteFile(state, []byte("{}"), 0o600))
	if err := witness.Create(key, state, witnessName); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over another file: %v", err)
	}
}

func TestReadKey(t *testing.T) {
	s := newSite(t, newTree(t, origin, 1))
	text := s.key.Text()
	signer, err := formats.NewSignerForCosignatureV1(strings.TrimSpace(text))
	must(t, err)
	if signer.KeyHash() != s.verifier(t).KeyHash() || signer.Name() != witnessName {
		t.Error("another implementation reads another key")
	}
	for name, content := range map[string]string{
		"empty":            "",
		"a verifier key":   s.key.VerifierKey() + "\n",
		"no newline":       strings.TrimSpace(text),
		"two":              text + text,
		"another name":     strings.Replace(text, witnessName, "witness.example/w2", 1),
		"another id":       strings.Replace(text, "w1+", "w1+0", 1),
		"not base64":       strings.Replace(text, "+B", "+*", 1),
		"longer than keys": text + strings.Repeat("\n", 5000),
	} {
		must(t, os.WriteFile(s.keyFile, []byte(content), 0o600))
		if _, err := witness.ReadKey(s.keyFile); err == nil || content != "" && strings.Contains(err.Error(), text[40:60]) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := witness.ReadKey(t.TempDir()); err == nil {
		t.Error("a folder is taken")
	}
	if _, err := witness.ReadKey(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if runtime.GOOS != "windows" {
		must(t, os.WriteFile(s.keyFile, []byte(text), 0o600))
		must(t, os.Chmod(s.keyFile, 0o640))
		if _, err := witness.ReadKey(s.keyFile); !errors.Is(err, witness.ErrExposed) {
			t.Errorf("exposed: %v", err)
		}
	}
}
