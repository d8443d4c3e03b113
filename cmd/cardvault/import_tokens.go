package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// tokenFile is where an import writes which line became which token, as CSV.
// Without a file it writes nothing.
type tokenFile struct {
	f   *os.File
	end int64
}

const tokenFileHeader = "line,card_id,token\n" //nolint:gosec // names of columns

// openTokenFile makes the file, or continues the one that the state speaks of: what
// stands in it beyond the state's end was never acknowledged and is written anew.
// A file with tokens is only ever cut where the state says that they are its own.
func openTokenFile(path string, state *importState) (*tokenFile, error) {
	if path == "" {
		return &tokenFile{}, nil
	}
	f, err := os.OpenFile(filepath.Clean(path), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, failed("give another place with --tokens", "token file: %w", err)
	}
	t := &tokenFile{f: f, end: state.TokensEnd}
	if err := t.begin(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if state.TokensEnd == 0 {
		if err := state.Acknowledge(importDone{TokensEnd: t.end}); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return t, nil
}

// begin checks that the file is a token file, or empty, before it cuts anything.
func (t *tokenFile) begin() error {
	start := make([]byte, len(tokenFileHeader))
	n, err := t.f.ReadAt(start, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return failed("", "token file: %w", err)
	}
	info, err := t.f.Stat()
	if err != nil {
		return failed("", "token file: %w", err)
	}
	if !bytes.HasPrefix([]byte(tokenFileHeader), start[:n]) || info.Size() < t.end {
		return failed("give another place with --tokens, or the file of the first run", "%s is not the token file of this import", t.f.Name())
	}
	if t.end > 0 {
		return t.f.Truncate(t.end)
	}
	if info.Size() > int64(len(tokenFileHeader)) {
		return failed("give another place with --tokens", "%s holds the tokens of another import", t.f.Name())
	}
	return t.write([]byte(tokenFileHeader))
}

// Append writes the tokens of a batch and returns the file's length once they are
// durable.
func (t *tokenFile) Append(outcomes []outcome) (int64, error) {
	if t.f == nil {
		return 0, nil
	}
	var text bytes.Buffer
	for _, o := range outcomes {
		if o.refused == "" {
			fmt.Fprintf(&text, "%d,%s,%s\n", o.line, o.card, o.token)
		}
	}
	err := t.write(text.Bytes())
	return t.end, err
}

func (t *tokenFile) write(text []byte) error {
	if _, err := t.f.WriteAt(text, t.end); err != nil {
		return failed("make room for it, then run the same command again", "token file: %w", err)
	}
	if err := t.f.Sync(); err != nil {
		return failed("make room for it, then run the same command again", "token file: %w", err)
	}
	t.end += int64(len(text))
	return nil
}

// Close releases the file.
func (t *tokenFile) Close() error {
	if t.f == nil {
		return nil
	}
	return t.f.Close()
}
