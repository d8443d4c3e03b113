package ship

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// FilesConfig is where files go.
type FilesConfig struct {
	Folder string
	// Format is a name of Encoders.
	Format string
	// MaxBytes is where a file is full. A line is never divided, so the last may go
	// beyond where it is alone in its file.
	MaxBytes int64
}

// Files writes entries to files, one line each. Delivered means on the disk.
//
// A file begins when the one before is full, and with the first entry of a day in
// UTC. Its name says its first index and that day, so that names sort as entries
// do:
//
//	audit-0000000000001234-20260131.jsonl
//
// A file holds consecutive entries, so that what stands in a folder is known by the
// newest name and its number of lines. Entries that a crash kept from being
// acknowledged, but not from being written, are therefore found and not written
// again. A line that a crash cut off is removed.
type Files struct {
	cfg    FilesConfig
	encode Encoder
	suffix string

	file *os.File // nil: to be opened
	day  string
	// next is the index of the first entry that no file holds.
	next int64
	// good is how long the file is on the disk; size counts what is written to it.
	good, size int64
	// torn: behind good stands what may not be on the disk.
	torn bool
	out  []byte // lines to be written
}

// NewFiles makes the folder.
func NewFiles(cfg FilesConfig) (*Files, error) {
	encode, ok := Encoders()[cfg.Format]
	if !ok {
		return nil, errors.New("files: unknown format")
	}
	if err := os.MkdirAll(cfg.Folder, 0o750); err != nil {
		return nil, fmt.Errorf("files: %w", err)
	}
	suffix := map[string]string{"jsonl": ".jsonl", "ocsf": ".ocsf.jsonl", "cef": ".cef"}[cfg.Format]
	return &Files{cfg: cfg, encode: encode, suffix: suffix}, nil
}

// Deliver appends events and returns when they are on the disk.
func (s *Files) Deliver(_ context.Context, events []Event) error {
	if err := s.ready(); err != nil {
		return fmt.Errorf("files: %w", err)
	}
	if err := s.append(events); err != nil {
		s.torn = true
		return fmt.Errorf("files: %w", errors.Join(err, s.ready()))
	}
	return nil
}

// ready opens the newest file, or undoes a delivery that failed: what it wrote may
// be on the disk or not, and after an fsync that failed nobody can tell.
func (s *Files) ready() error {
	if s.torn && s.file != nil {
		if err := s.file.Truncate(s.good); err != nil {
			return err
		}
		if err := s.Close(); err != nil {
			return err
		}
	}
	s.torn = false
	if s.file != nil {
		return nil
	}
	return s.open()
}

// append writes the events that no file holds.
func (s *Files) append(events []Event) error {
	s.out = s.out[:0]
	events, err := s.skip(events)
	if err != nil {
		return err
	}
	var line []byte
	for i := range events {
		e := &events[i]
		line = append(s.encode(line[:0], e), '\n')
		if err := s.rotate(e, int64(len(line))); err != nil {
			return err
		}
		s.out = append(s.out, line...)
		s.size += int64(len(line))
		s.next = e.Index + 1
	}
	return s.flush()
}

// skip returns the events that no file holds.
func (s *Files) skip(events []Event) (_ []Event, err error) {
	if s.file == nil || len(events) == 0 || events[0].Index >= s.next {
		return events, nil
	}
	names, err := s.names()
	if err != nil {
		return nil, err
	}
	held, err := newReplay(s.cfg.Folder, s.suffix, names, events[0].Index)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, held.Close()) }()
	for len(events) > 0 && events[0].Index < s.next {
		if err := held.check(s.encode(nil, &events[0])); err != nil {
			return nil, err
		}
		events = events[1:]
	}
	return events, nil
}

// rotate begins another file where there is none, or where the entry does not
// belong into the open one.
func (s *Files) rotate(e *Event, length int64) error {
	day := s.day
	if !e.Dropped() {
		day = max(day, e.Entry.Time.UTC().Format("20060102"))
	}
	fits := s.size == 0 || s.size+length <= s.cfg.MaxBytes
	if s.file != nil && fits && day == s.day && e.Index == s.next {
		return nil
	}
	if s.file != nil {
		if err := errors.Join(s.flush(), s.Close()); err != nil {
			return err
		}
	}
	return s.create(fileName{e.Index, day})
}

func (s *Files) create(name fileName) error {
	path := filepath.Join(s.cfg.Folder, name.String()+s.suffix)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o640) //nolint:gosec // collectors read it by their group
	if err != nil {
		return err
	}
	s.file, s.day, s.good, s.size = f, name.day, 0, 0
	// The name is durable before any line counts as delivered.
	return syncFolder(s.cfg.Folder)
}

// flush writes the lines and waits until they are on the disk.
func (s *Files) flush() error {
	if s.file == nil || len(s.out) == 0 {
		return nil
	}
	if _, err := s.file.Write(s.out); err != nil {
		return err
	}
	if err := s.file.Sync(); err != nil {
		return err
	}
	s.good, s.out = s.size, s.out[:0]
	return nil
}

// Close closes the open file. What Deliver acknowledged is on the disk already.
func (s *Files) Close() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return err
}
