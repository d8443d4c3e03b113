package witness

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/note"

	"github.com/cardvault/cardvault/vault/audit"
)

// State is a witness's memory: the last checkpoint of each log that it cosigned, in
// one file. It holds them with the log's signatures and its own, so that a file that
// was damaged or edited does not verify. It is safe for concurrent use.
type State struct {
	disk disk
	path string
	lock *os.File
	key  string

	// mu makes one step of comparing and replacing.
	mu     sync.Mutex
	latest map[string]signed
}

var (
	// ErrInUse is returned by OpenState if another process has the state.
	ErrInUse = errors.New("another process uses the state")
	// ErrState is returned by OpenState if the file is not the state of this witness,
	// or is damaged.
	ErrState = errors.New("not the whole state of this witness")
)

// stateFile is the form of the file: JSON, as encodeState writes it.
type stateFile struct {
	Format      string   `json:"format"`
	Witness     string   `json:"witness"`
	Checkpoints []string `json:"checkpoints"`
	// SHA256 is of the whole file, with this empty. Whoever can edit the file can
	// compute it: against them stands the signature in each checkpoint.
	SHA256 string `json:"sha256"`
}

const stateFormat = "cardvault witness state v1"

// OpenState takes the state in a file for this process until Close. All of it is
// verified: with the witness's key, and with those of logs as far as there are any.
// The error is fs.ErrNotExist if there is no file, ErrInUse, or ErrState.
func OpenState(path string, key *Key, logs []note.Verifier) (*State, error) {
	held, err := lock(path)
	if err != nil {
		return nil, fmt.Errorf("state file %s: %w", path, err)
	}
	s, err := openState(hardDisk{}, path, key, logs)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("state file %s: %w", path, err), held.Close())
	}
	s.lock = held
	return s, nil
}

func openState(d disk, path string, key *Key, logs []note.Verifier) (*State, error) {
	content, err := d.read(path)
	if err != nil {
		return nil, err
	}
	s := &State{disk: d, path: path, key: key.VerifierKey()}
	s.latest, err = decodeState(content, key, logs)
	return s, err
}

func decodeState(content []byte, key *Key, logs []note.Verifier) (map[string]signed, error) {
	var f stateFile
	if err := json.Unmarshal(content, &f); err != nil || f.Format != stateFormat || !f.intact() {
		return nil, ErrState
	}
	if f.Witness != key.VerifierKey() {
		return nil, fmt.Errorf("%w: it is that of the key %s", ErrState, f.Witness)
	}
	own, err := key.Verifier()
	if err != nil {
		return nil, err
	}
	latest := make(map[string]signed, len(f.Checkpoints))
	for _, text := range f.Checkpoints {
		c, err := openStored(text, own, logs)
		if err != nil {
			return nil, fmt.Errorf("%w: checkpoint %d: %w", ErrState, len(latest)+1, err)
		}
		latest[c.Origin] = c
	}
	// What it says is exactly what would be written: nothing is there twice, and
	// nothing is there that was not read.
	if again, err := encodeState(f.Witness, latest); err != nil || !bytes.Equal(again, content) {
		return nil, ErrState
	}
	return latest, nil
}

// openStored verifies a checkpoint that this witness has cosigned.
func openStored(text string, own note.Verifier, logs []note.Verifier) (signed, error) {
	if _, err := openCheckpoint([]byte(text), own); err != nil {
		return signed{}, err
	}
	keys := append(keysOf(logs, originOf([]byte(text))), own)
	if _, err := openCheckpoint([]byte(text), keys...); err != nil {
		return signed{}, err
	}
	// The log's own lines stay as they are, by a key of the past or not.
	body, lines, _ := strings.Cut(text, "\n\n")
	c, err := parseText(body + "\n")
	return signed{Checkpoint: c, text: body + "\n", lines: slices.Collect(strings.Lines(lines))}, err
}

// keysOf returns those keys that a log of this origin signs with.
func keysOf(logs []note.Verifier, origin string) []note.Verifier {
	var keys []note.Verifier
	for _, key := range logs {
		if key.Name() == origin {
			keys = append(keys, key)
		}
	}
	return keys
}

func encodeState(key string, latest map[string]signed) ([]byte, error) {
	f := stateFile{Format: stateFormat, Witness: key, Checkpoints: []string{}}
	for _, origin := range slices.Sorted(maps.Keys(latest)) {
		f.Checkpoints = append(f.Checkpoints, string(latest[origin].note()))
	}
	content, err := f.encode()
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(content)
	f.SHA256 = hex.EncodeToString(sum[:])
	return f.encode()
}

func (f stateFile) encode() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "\t")
	err := e.Encode(f)
	return b.Bytes(), err
}

// intact reports whether the file is as it was written.
func (f stateFile) intact() bool {
	claimed := f.SHA256
	f.SHA256 = ""
	content, err := f.encode()
	sum := sha256.Sum256(content)
	return err == nil && claimed == hex.EncodeToString(sum[:])
}

// Latest returns the last checkpoint of a log that the witness cosigned, with the
// signatures of both; false: there is none.
func (s *State) Latest(origin string) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.latest[origin]
	return c.note(), ok
}

// advance replaces the last checkpoint of a log by the one that next returns for it,
// durably; a log without one has the zero Checkpoint. Nobody else comes between next
// and the file. Where next fails, nothing changes. Where writing fails, nothing
// changes as far as anyone is told: the file may hold the new checkpoint already, of
// which no cosignature has left.
func (s *State) advance(origin string, next func(latest audit.Checkpoint) (signed, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := next(s.latest[origin].Checkpoint)
	if err != nil {
		return err
	}
	grown := maps.Clone(s.latest)
	grown[origin] = c
	if err := s.write(grown); err != nil {
		return err
	}
	s.latest = grown
	return nil
}

func (s *State) write(latest map[string]signed) error {
	content, err := encodeState(s.key, latest)
	if err != nil {
		return err
	}
	return replace(s.disk, s.path, content)
}

// Close gives the state to other processes. It must be the last call.
func (s *State) Close() error { return s.lock.Close() }
