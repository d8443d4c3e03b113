// Package signertest states what every signer of checkpoints keeps, as tests that
// each of them runs.
package signertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	flog "github.com/transparency-dev/formats/log"
	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"github.com/cardvault/cardvault/crypto/keyring"
)

// Signer signs checkpoints of one log.
type Signer interface {
	Sign(ctx context.Context, text string) ([]byte, error)
	Keys(ctx context.Context) ([]note.Verifier, error)
	FreshKeys(ctx context.Context) ([]note.Verifier, error)
}

// Text returns a checkpoint of the log, before it is signed.
func Text(origin string, size uint64) string {
	return string(flog.Checkpoint{Origin: origin, Size: size, Hash: bytes.Repeat([]byte{byte(size)}, 32)}.Marshal())
}

// Run checks the contract on a signer of the log's checkpoints.
func Run(t *testing.T, s Signer, origin string) {
	t.Helper()
	c := contract{s, origin}
	t.Run("signed checkpoints verify", c.verify)
	t.Run("keys are of the log", c.keys)
	t.Run("other texts are denied", c.deny)
	t.Run("an ended context", c.end)
}

type contract struct {
	Signer
	origin string
}

// verify opens what is signed by the key as others are given it, in two
// implementations.
func (c contract) verify(t *testing.T) {
	for _, size := range []uint64{0, 1, 1 << 40} {
		text := Text(c.origin, size)
		signed, err := c.Sign(t.Context(), text)
		if err != nil {
			t.Fatal(err)
		}
		for _, parse := range []func(string) (note.Verifier, error){note.NewVerifier, fnote.NewVerifier} {
			key, err := parse(fmt.Sprint(c.newest(t)))
			if err != nil {
				t.Fatal(err)
			}
			read, rest, n, err := flog.ParseCheckpoint(signed, c.origin, key)
			if err != nil || read.Size != size || len(rest) != 0 || n.Text != text {
				t.Errorf("%q: %+v, %v", signed, read, err)
			}
		}
	}
}

func (c contract) newest(t *testing.T) note.Verifier {
	t.Helper()
	keys, err := c.Keys(t.Context())
	if err != nil || len(keys) == 0 {
		t.Fatalf("%d keys, %v", len(keys), err)
	}
	return keys[0]
}

func (c contract) keys(t *testing.T) {
	if name := c.newest(t).Name(); name != c.origin {
		t.Errorf("name %q, want %q", name, c.origin)
	}
	fresh, err := c.FreshKeys(t.Context())
	if err != nil || len(fresh) == 0 || fmt.Sprint(fresh[0]) != fmt.Sprint(c.newest(t)) {
		t.Errorf("fresh keys %v, %v", fresh, err)
	}
}

// deny shows that the key cannot be had to sign anything but checkpoints of its log.
func (c contract) deny(t *testing.T) {
	text := Text(c.origin, 1)
	for _, other := range []string{"", "\n", "hello\n", Text(c.origin+"2", 1), text + "more\n", strings.TrimSuffix(text, "\n"), text + text} {
		if signed, err := c.Sign(t.Context(), other); !errors.Is(err, keyring.ErrDenied) || signed != nil {
			t.Errorf("%q: %q, %v", other, signed, err)
		}
	}
}

func (c contract) end(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.Sign(ctx, Text(c.origin, 1))
	if !errors.Is(err, context.Canceled) || errors.Is(err, keyring.ErrDenied) || errors.Is(err, keyring.ErrUnavailable) {
		t.Errorf("Sign: %v", err)
	}
}
