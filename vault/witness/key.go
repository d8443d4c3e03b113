package witness

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	formats "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"github.com/cardvault/cardvault/crypto/secret"
)

// cosignatureV1 is the signature type of timestamped Ed25519 checkpoint
// cosignatures (C2SP signed-note, "Signature types").
const cosignatureV1 = 0x04

// Key is what a witness signs with: a name, and an Ed25519 key that signs nothing
// but cosignatures. It is safe for concurrent use, and prints without its secret.
type Key struct {
	name string
	id   uint32
	seed secret.Bytes
}

var (
	// ErrName is returned by NewKey if the name cannot be that of a key.
	ErrName = errors.New("a witness's name is not empty and has neither spaces nor plus signs")

	errKey = errors.New("not the key of a witness")
)

// NewKey makes a key. The name should be a URL without a scheme, such as
// witness.example/w1; there need not be anything at that address.
func NewKey(name string) (*Key, error) {
	return newKey(name, secret.Random(ed25519.SeedSize))
}

// ParseKey reads what Text returns. Errors quote nothing of it.
func ParseKey(text string) (*Key, error) {
	fields := strings.Split(strings.TrimSuffix(text, "\n"), "+")
	if len(fields) < 5 {
		return nil, errKey
	}
	// Base64 has plus signs as well.
	raw, err := base64.StdEncoding.Strict().DecodeString(strings.Join(fields[4:], "+"))
	if err != nil || len(raw) != 1+ed25519.SeedSize || raw[0] != cosignatureV1 {
		return nil, errKey
	}
	k, err := newKey(fields[2], secret.New(raw[1:]))
	if err != nil || k.Text() != text {
		return nil, errKey
	}
	return k, nil
}

func newKey(name string, seed secret.Bytes) (*Key, error) {
	// C2SP signed-note, "Format": "Key names MUST be non-empty and MUST NOT contain
	// any Unicode spaces or plus (U+002B) characters."
	bad := func(r rune) bool { return r == '+' || unicode.IsSpace(r) || unicode.IsControl(r) }
	if name == "" || !utf8.ValidString(name) || strings.ContainsFunc(name, bad) {
		return nil, ErrName
	}
	k := &Key{name: name, seed: seed}
	// C2SP tlog-cosignature, "Format": "The key ID for Ed25519 cosignatures MUST be
	// computed as SHA-256(<name> || "\n" || 0x04 || 32-byte Ed25519 cosigner public
	// key)[:4]".
	sum := sha256.Sum256(append([]byte(name+"\n"), k.public()...))
	k.id = binary.BigEndian.Uint32(sum[:])
	return k, nil
}

// Text returns the key as one line, in the form that Go's sumdb/note has for
// private keys, with the type of a cosignature. It is secret.
func (k *Key) Text() string {
	typed := append([]byte{cosignatureV1}, k.seed.Reveal()...)
	defer clear(typed)
	return fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s\n", k.name, k.id, base64.StdEncoding.EncodeToString(typed))
}

// Name returns the witness's name.
func (k *Key) Name() string { return k.name }

// VerifierKey returns the public key as others are configured with it (C2SP
// signed-note, "Verifier keys").
func (k *Key) VerifierKey() string {
	return fmt.Sprintf("%s+%08x+%s", k.name, k.id, base64.StdEncoding.EncodeToString(k.public()))
}

// Verifier verifies the key's cosignatures.
func (k *Key) Verifier() (note.Verifier, error) {
	return formats.NewVerifierForCosignatureV1(k.VerifierKey())
}

// Cosign returns the signature line that says: as of now, this checkpoint is of the
// largest tree that the witness has seen of its log, and all of them agree. Text
// is the whole text of the checkpoint.
func (k *Key) Cosign(text string, now time.Time) (string, error) {
	at := now.Unix()
	// C2SP tlog-witness: "The cosignature MUST NOT omit the timestamp, i.e. the
	// timestamp MUST NOT be zero."
	if at <= 0 {
		return "", errors.New("the clock is before 1970")
	}
	// C2SP tlog-cosignature, "Ed25519 signed message": "two newline (U+000A)
	// terminated lines (one header line and one timestamp line) followed by the whole
	// note body of the cosigned checkpoint".
	message := fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", at, text)
	// "Per the signed note format, a note signature line is
	// — <key name> base64(32-bit key ID || signature)",
	// where the signature is u64 timestamp and opaque ed25519_signature[64], in
	// big-endian order.
	signature := binary.BigEndian.AppendUint32(nil, k.id)
	signature = binary.BigEndian.AppendUint64(signature, uint64(at))
	signature = append(signature, ed25519.Sign(k.private(), message)...)
	return "— " + k.name + " " + base64.StdEncoding.EncodeToString(signature) + "\n", nil
}

func (k *Key) private() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(k.seed.Reveal()) }

// public returns the public key with its type before it.
func (k *Key) public() []byte {
	return append([]byte{cosignatureV1}, k.private()[ed25519.PrivateKeySize-ed25519.PublicKeySize:]...)
}
