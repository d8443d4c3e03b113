// Package localsigner signs the checkpoints of a log with an Ed25519 key in a file.
// It is NOT FOR PRODUCTION: whoever can read the file can sign another history. It
// lets a laptop have an audit log without a server for keys.
package localsigner

import (
	"context"
	"crypto/ed25519"
	"fmt"

	"golang.org/x/mod/sumdb/note"

	"github.com/cardvault/cardvault/crypto/checkpoint"
	"github.com/cardvault/cardvault/crypto/keyfile"
	"github.com/cardvault/cardvault/crypto/keyring"
	"github.com/cardvault/cardvault/crypto/secret"
)

// header is the first line of the file, for whoever finds it.
const header = "cardvault local signer v1, NOT FOR PRODUCTION\n"

// Signer signs checkpoints with the key of its file. Methods are safe for concurrent
// use.
type Signer struct {
	key  checkpoint.Key
	seed secret.Bytes
}

// Create makes a new key in a new file, for the log of that origin. What holds of
// the file, and the errors, are keyfile.Create's.
func Create(path, origin string) (*Signer, error) {
	signer, err := newSigner(origin, secret.Random(ed25519.SeedSize))
	if err != nil {
		return nil, err
	}
	if err := keyfile.Create(path, header, signer.seed); err != nil {
		return nil, fmt.Errorf("localsigner: %w", err)
	}
	return signer, nil
}

// Open reads the key in a file that Create made. Of another origin it is another key.
// The errors are keyfile.Open's.
func Open(path, origin string) (*Signer, error) {
	seed, err := keyfile.Open(path, header, ed25519.SeedSize)
	if err != nil {
		return nil, fmt.Errorf("localsigner: %w", err)
	}
	return newSigner(origin, seed)
}

func newSigner(origin string, seed secret.Bytes) (*Signer, error) {
	key, err := checkpoint.NewKey(origin, ed25519.PublicKey(private(seed)[ed25519.SeedSize:]))
	if err != nil {
		return nil, fmt.Errorf("localsigner: %w", err)
	}
	return &Signer{key: key, seed: seed}, nil
}

// private returns the key of a seed: the seed, and the public key (RFC 8032 §5.1.5,
// in Go's form).
func private(seed secret.Bytes) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(seed.Reveal()) }

// VerifierKey returns the key as verifiers are given it (C2SP signed-note, "Verifier
// keys").
func (s *Signer) VerifierKey() string { return s.key.String() }

// Sign returns the text, which must be a checkpoint of the log, as a signed note. The
// error is keyring.ErrDenied or that of the context.
func (s *Signer) Sign(ctx context.Context, text string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("localsigner: %w", err)
	}
	signed, err := checkpoint.Sign(text, func(_ checkpoint.Key, msg []byte) ([]byte, error) {
		return ed25519.Sign(private(s.seed), msg), nil
	}, s.key)
	if err != nil {
		return nil, fmt.Errorf("localsigner: %w: %w", keyring.ErrDenied, err)
	}
	return signed, nil
}

// Keys returns the one key, a fmt.Stringer whose text is VerifierKey. A local key is
// not rotated.
func (s *Signer) Keys(context.Context) ([]note.Verifier, error) {
	return []note.Verifier{s.key}, nil
}

// FreshKeys is Keys.
func (s *Signer) FreshKeys(ctx context.Context) ([]note.Verifier, error) { return s.Keys(ctx) }
