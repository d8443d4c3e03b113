package witness

import (
	"errors"
	"fmt"
	"maps"
	"os"
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
