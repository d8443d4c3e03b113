package checkpoint_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"

	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"github.com/cardvault/cardvault/crypto/checkpoint"
)

const (
	origin = "cards.example.com/audit"
	good   = origin + "\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
)

// pair is a key with its private half.
type pair struct {
	checkpoint.Key
	private ed25519.PrivateKey
}

func newPair(t *testing.T) pair {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := checkpoint.NewKey(origin, public)
	if err != nil {
		t.Fatal(err)
	}
	return pair{key, private}
}

func (p pair) sign(_ checkpoint.Key, msg []byte) ([]byte, error) {
	return ed25519.Sign(p.private, msg), nil
}

func TestSignedTextVerifies(t *testing.T) {
	p := newPair(t)
	signed, err := checkpoint.Sign(good, p.sign, p.Key)
	if err != nil {
		t.Fatal(err)
	}
	// The key that is given to others verifies, in two implementations.
	for name, parse := range map[string]func(string) (note.Verifier, error){"x/mod": note.NewVerifier, "formats": fnote.NewVerifier} {
		verifier, err := parse(p.String())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		n, err := note.Open(signed, note.VerifierList(verifier))
		if err != nil || n.Text != good || len(n.Sigs) != 1 || n.Sigs[0].Name != origin {
			t.Errorf("%s: %+v, %v", name, n, err)
		}
	}
}

func TestEachKeyHasALine(t *testing.T) {
	one, other := newPair(t), newPair(t)
	sign := func(key checkpoint.Key, msg []byte) ([]byte, error) {
		if key.KeyHash() == one.KeyHash() {
			return one.sign(key, msg)
		}
		return other.sign(key, msg)
	}
	signed, err := checkpoint.Sign(good, sign, one.Key, other.Key)
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open(signed, note.VerifierList(one, other))
	if err != nil || len(n.Sigs) != 2 || n.Sigs[0].Hash != one.KeyHash() || n.Sigs[1].Hash != other.KeyHash() {
		t.Errorf("%+v, %v", n, err)
	}
	if lines := bytes.Count(signed, []byte("\n— ")); lines != 2 {
		t.Errorf("%d signature lines", lines)
	}
}

// A key signs checkpoints of its own log in their one form, and nothing else.
func TestOtherTextsAreNotEvenSent(t *testing.T) {
	p := newPair(t)
	sign := func(checkpoint.Key, []byte) ([]byte, error) {
		t.Error("was asked for a signature")
		return nil, nil
	}
	for name, text := range map[string]string{
		"nothing":          "",
		"another log":      "cards.example.org/audit" + strings.TrimPrefix(good, origin),
		"a longer origin":  "x" + good,
		"no size":          strings.Replace(good, "7\n", "\n", 1),
		"a zero before":    strings.Replace(good, "7\n", "07\n", 1),
		"a negative size":  strings.Replace(good, "7\n", "-7\n", 1),
		"no line break":    strings.TrimSuffix(good, "\n"),
		"a short root":     strings.Replace(good, "AAAA", "", 1),
		"a stray bit":      strings.Replace(good, "AAA=", "AAB=", 1),
		"an extension":     good + "more\n",
		"a control":        strings.Replace(good, "audit", "audit\r", 1),
		"a line before":    "\n" + good,
		"a signature line": good + "\n— " + origin + " AAAAAAAA\n",
	} {
		if signed, err := checkpoint.Sign(text, sign, p.Key); !errors.Is(err, checkpoint.ErrText) || signed != nil {
			t.Errorf("%s: %q, %v", name, signed, err)
		}
	}
}

func TestWrongSignaturesDoNotLeave(t *testing.T) {
	p, stranger := newPair(t), newPair(t)
	flipped := func(key checkpoint.Key, msg []byte) ([]byte, error) {
		signature, err := p.sign(key, msg)
		signature[9] ^= 1
		return signature, err
	}
	empty := func(checkpoint.Key, []byte) ([]byte, error) { return nil, nil }
	for name, sign := range map[string]func(checkpoint.Key, []byte) ([]byte, error){"another key": stranger.sign, "flipped": flipped, "empty": empty} {
		if signed, err := checkpoint.Sign(good, sign, p.Key); !errors.Is(err, checkpoint.ErrSignature) || signed != nil {
			t.Errorf("%s: %q, %v", name, signed, err)
		}
	}
	down := errors.New("down")
	if _, err := checkpoint.Sign(good, func(checkpoint.Key, []byte) ([]byte, error) { return nil, down }, p.Key); !errors.Is(err, down) {
		t.Errorf("the error of sign: %v", err)
	}
}

func TestOriginsThatAreNoNames(t *testing.T) {
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, origin := range []string{"", "a b", "a\n", "a+b", "a\u00a0b", "\xff"} {
		if key, err := checkpoint.NewKey(origin, public); err == nil {
			t.Errorf("%q: %s", origin, key)
		}
	}
	if _, err := checkpoint.NewKey(origin, public[1:]); err == nil {
		t.Error("a key of 31 bytes")
	}
}
