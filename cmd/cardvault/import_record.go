package main

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"time"

	"github.com/google/uuid"
)

// importHead is the first line of the file.
type importHead struct {
	// Run is random; the request ids are made from it.
	Run uuid.UUID `json:"run"`
	// Size and Modified are what the input looked like; zero for a stream.
	Size     int64     `json:"size"`
	Modified time.Time `json:"modified"`
	// Tokens says that a token file is being written.
	Tokens bool `json:"tokens"`
}

// importDone is every further line of the file, and, added up, the whole import.
type importDone struct {
	// Through is the last line that is dealt with.
	Through   int64         `json:"through"`
	Accepted  int64         `json:"accepted"`
	Duplicate int64         `json:"duplicate"`
	Refused   []refusedLine `json:"refused,omitempty"`
	// TokensEnd is the length of the token file.
	TokensEnd int64 `json:"tokens_end,omitempty"`
}

// refusedLine names a line by its number alone.
type refusedLine struct {
	Line   int64  `json:"line"`
	Reason string `json:"reason"`
}

// add takes in what one batch came to.
func (d *importDone) add(batch importDone) {
	d.Through, d.TokensEnd = batch.Through, batch.TokensEnd
	d.Accepted += batch.Accepted
	d.Duplicate += batch.Duplicate
	d.Refused = append(d.Refused, batch.Refused...)
}

// requestID is the same for a line in every try of a run: random bits of the run
// and the line's number, hashed, as a UUID version 8 (RFC 9562 §5.8). The PAN has
// no part in it.
func (s *importState) requestID(line int64) string {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(s.Run[:], uint64(line))) //nolint:gosec // lines are counted from 1
	id := uuid.UUID(sum[:16])
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return id.String()
}

// inputHead describes an input; a stream has neither size nor time.
func inputHead(f *os.File) (importHead, error) {
	info, err := f.Stat()
	if err != nil {
		return importHead{}, fmt.Errorf("input: %w", err)
	}
	if !info.Mode().IsRegular() {
		return importHead{}, nil
	}
	return importHead{Size: info.Size(), Modified: info.ModTime().UTC()}, nil
}
