package audit

import (
	"errors"
	"fmt"
	"strings"

	"github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"
)

// Checkpoint is the head of a log: how many entries there are, and the root of
// their Merkle tree (C2SP tlog-checkpoint). Signed, it is what everything else is
// proven by.
type Checkpoint struct {
	// Origin names the log, such as cards.example.com/audit.
	Origin string
	Size   int64
	Root   Hash
}

// Text returns what is signed: three lines. It has no extension lines.
func (c Checkpoint) Text() string {
	return string(log.Checkpoint{Origin: c.Origin, Size: uint64(c.Size), Hash: c.Root[:]}.Marshal()) //nolint:gosec // sizes count from 0
}

// Why a checkpoint is refused.
var (
	// ErrCheckpoint: it is no signed checkpoint of the log.
	ErrCheckpoint = errors.New("malformed checkpoint")
	// ErrOrigin: it is a checkpoint of another log.
	ErrOrigin = errors.New("checkpoint of another log")
	// ErrUnsigned: no signature by a key of the log, or one that does not verify.
	ErrUnsigned = errors.New("checkpoint without a good signature of the log")
)

// ParseCheckpoint reads the text of a checkpoint. It accepts exactly what Text
// returns.
func ParseCheckpoint(text string) (Checkpoint, error) {
	var c log.Checkpoint
	if _, err := c.Unmarshal([]byte(text)); err != nil || len(c.Hash) != len(Hash{}) || c.Size >= 1<<62 {
		return Checkpoint{}, ErrCheckpoint
	}
	parsed := Checkpoint{Origin: c.Origin, Size: int64(c.Size), Root: Hash(c.Hash)}
	if parsed.Text() != text {
		return Checkpoint{}, ErrCheckpoint
	}
	return parsed, nil
}

// OpenCheckpoint reads a signed checkpoint and verifies it. All keys are of one
// log and bear its origin as their name: one good signature of them is wanted,
// and a bad one by any of them is refused. Signatures by others, such as
// witnesses, are not looked at; see the signed-note of C2SP, "Signatures".
func OpenCheckpoint(signed []byte, keys ...note.Verifier) (Checkpoint, error) {
	n, err := note.Open(signed, note.VerifierList(keys...))
	var unverified *note.UnverifiedNoteError
	var invalid *note.InvalidSignatureError
	switch {
	case errors.As(err, &unverified), errors.As(err, &invalid):
		return Checkpoint{}, ErrUnsigned
	case err != nil:
		return Checkpoint{}, ErrCheckpoint
	}
	c, err := ParseCheckpoint(n.Text)
	if err != nil {
		return Checkpoint{}, err
	}
	if c.Origin != n.Sigs[0].Name {
		return Checkpoint{}, ErrOrigin
	}
	return c, nil
}

// ParseKeys reads verifier keys (C2SP signed-note, "Verifier keys") from text, one
// a line; empty lines and those that begin with # say nothing. All must be of one
// log, and there must be one.
func ParseKeys(text string) ([]note.Verifier, error) {
	var keys []note.Verifier
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, err := note.NewVerifier(line)
		if err != nil {
			return nil, fmt.Errorf("verifier key: %w", err)
		}
		if len(keys) > 0 && keys[0].Name() != key.Name() {
			return nil, errors.New("verifier key: keys of two logs")
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("verifier key: there is none")
	}
	return keys, nil
}
