package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/google/uuid"
)

// importState remembers how far an import has come, in a file beside the input:
// one line that says which input, then one line for each batch that the server
// acknowledged. A batch whose line is missing, because the process ended before,
// is sent again with the same request ids, and the server answers what it answered
// the first time. So nothing is lost, and nothing is done or counted twice.
//
// It holds line numbers and reasons; nothing in it can be traced to a PAN. A
// digest of the input could be: it would confirm a guess of the numbers in it.
type importState struct {
	f *os.File // nil: remembered in memory alone
	importHead
	importDone
}

// openImportState opens or makes the state of an input. An empty path keeps it in
// memory.
func openImportState(path string, input importHead) (*importState, error) {
	var err error
	if input.Run, err = uuid.NewRandom(); err != nil {
		return nil, failed("", "make a run id: %w", err)
	}
	if path == "" {
		return &importState{importHead: input}, nil
	}
	f, err := os.OpenFile(filepath.Clean(path), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, failed("give another place with --state", "state file: %w", err)
	}
	s := &importState{f: f}
	if err := s.load(input); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return s, nil
}

func (s *importState) load(input importHead) error {
	if err := lockFile(s.f); err != nil {
		return failed("wait for the other import to end", "state file %s: %w", s.f.Name(), err)
	}
	known, end, err := s.replay()
	if err != nil {
		return err
	}
	// What a crash cut off was never acted upon.
	if err := s.f.Truncate(end); err != nil {
		return failed("", "state file: %w", err)
	}
	if !known {
		s.importHead = input
		return s.append(input)
	}
	if s.Size != input.Size || !s.Modified.Equal(input.Modified) {
		return failed("put the former input back, or remove "+s.f.Name()+" to begin anew: lines taken in before then count as duplicates",
			"the input has changed since its import began")
	}
	if s.Tokens != input.Tokens {
		return failed("give --tokens as in the first run, or remove "+s.f.Name()+" to begin anew",
			"--tokens is not as it was when the import began")
	}
	return nil
}

// replay reads what the file says, and where its last whole line ends.
func (s *importState) replay() (known bool, end int64, err error) {
	r := bufio.NewReader(s.f)
	for {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return known, end, nil
		}
		if err != nil {
			return false, 0, failed("", "state file: %w", err)
		}
		if err := s.take(line, known); err != nil {
			return false, 0, failed("give the right one with --state, or remove it to begin anew",
				"%s is not the state of an import: %w", s.f.Name(), err)
		}
		known, end = true, end+int64(len(line))
	}
}

func (s *importState) take(line []byte, known bool) error {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if !known {
		return d.Decode(&s.importHead)
	}
	var done importDone
	if err := d.Decode(&done); err != nil {
		return err
	}
	s.importDone.add(done)
	return nil
}

// Acknowledge makes a batch durable: it is never sent again.
func (s *importState) Acknowledge(batch importDone) error {
	if err := s.append(batch); err != nil {
		return err
	}
	s.importDone.add(batch)
	return nil
}

func (s *importState) append(line any) error {
	if s.f == nil {
		return nil
	}
	text, err := json.Marshal(line)
	if err != nil {
		return failed("", "state file: %w", err)
	}
	if _, err = s.f.Seek(0, io.SeekEnd); err == nil {
		_, err = s.f.Write(append(text, '\n'))
	}
	if err = errors.Join(err, s.f.Sync()); err != nil {
		return failed("make room for it, then run the same command again", "state file: %w", err)
	}
	return nil
}

// Finish removes the state of an import that is complete.
func (s *importState) Finish() error {
	if s.f == nil {
		return nil
	}
	return os.Remove(s.f.Name())
}

// Close releases the file.
func (s *importState) Close() error {
	if s.f == nil {
		return nil
	}
	return s.f.Close()
}
