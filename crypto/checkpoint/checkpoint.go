// Package checkpoint makes signed checkpoints of a log out of signatures by its
// Ed25519 keys, wherever those are kept: C2SP tlog-checkpoint, as a signed-note with
// the log's origin as the name of its keys.
//
// A key of a log signs nothing but checkpoints of that log, and a signature that does
// not verify never leaves: what signed may be another key than was announced.
package checkpoint

import (
	"crypto/ed25519"
	"errors"
	"fmt"

	"github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"
)

var (
	// ErrText is returned by Sign if the text is no checkpoint of the keys' log.
	ErrText = errors.New("text is not a checkpoint of this log")
	// ErrSignature is returned by Sign if a signature does not verify.
	ErrSignature = errors.New("signature does not verify")
)

// Key is a key of a log: its public half, and the log's origin as its name.
type Key struct {
	note.Verifier
	encoded string
}

// NewKey returns the key of the log of that origin. The origin must be a key name of
// signed-note: UTF-8 without white space and plus.
func NewKey(origin string, public ed25519.PublicKey) (Key, error) {
	encoded, err := note.NewEd25519VerifierKey(origin, public)
	if err != nil {
		return Key{}, err
	}
	verifier, err := note.NewVerifier(encoded)
	if err != nil {
		return Key{}, fmt.Errorf("origin must be UTF-8 without white space and plus: %w", err)
	}
	return Key{Verifier: verifier, encoded: encoded}, nil
}

// String returns the key as verifiers are given it: <origin>+<hash>+<base64> of
// signed-note, "Verifier keys".
func (k Key) String() string { return k.encoded }

// Sign returns the text with a signature line of each key in turn. The text is three
// lines, as tlog-checkpoint has them. sign returns the signature of msg by key.
// Errors are ErrText, ErrSignature, and those of sign.
func Sign(text string, sign func(key Key, msg []byte) ([]byte, error), keys ...Key) ([]byte, error) {
	signers := make([]note.Signer, 0, len(keys))
	for _, key := range keys {
		if !isCheckpoint(text, key.Name()) {
			return nil, ErrText
		}
		signers = append(signers, signer{key, sign})
	}
	return note.Sign(&note.Note{Text: text}, signers...)
}

// isCheckpoint reports whether text is a checkpoint of the log, without extension
// lines and in the one form that its numbers have.
func isCheckpoint(text, origin string) bool {
	var c log.Checkpoint
	_, err := c.Unmarshal([]byte(text))
	return err == nil && c.Origin == origin && len(c.Hash) == 32 && string(c.Marshal()) == text
}

// signer is a Key that signs.
type signer struct {
	Key
	sign func(Key, []byte) ([]byte, error)
}

// Sign implements note.Signer.
func (s signer) Sign(msg []byte) ([]byte, error) {
	signature, err := s.sign(s.Key, msg)
	if err != nil {
		return nil, err
	}
	if !s.Verify(msg, signature) {
		return nil, ErrSignature
	}
	return signature, nil
}
