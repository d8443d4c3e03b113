// Package envelope seals records under a data key, and opens them again in the
// place they were sealed for and nowhere else.
//
// A sealed record is
//
//	12-byte random IV ‖ ciphertext ‖ 16-byte tag
//
// by AES-256-GCM (NIST SP 800-38D, RFC 5116 §5.2) from Tink. It is 28 bytes
// longer than what it seals and carries no header: which key sealed it stands in
// the row beside it, and the associated data binds it to that row. Associated
// data is made by [Bind], with a label that names its use and version.
//
// Invariants:
//
//   - Opening has one error, [ErrOpen], so that an answer never tells why.
//   - IVs are random, so the uses of a key must be counted and bounded well below
//     2^32 (SP 800-38D §8.3). Package keyring keeps that count.
package envelope

import (
	"errors"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/aead/aesgcm"
	"github.com/tink-crypto/tink-go/v2/insecuresecretdataaccess"
	"github.com/tink-crypto/tink-go/v2/secretdata"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/cardvault/cardvault/crypto/secret"
)

// Sizes of a key and of what sealing adds, in bytes.
const (
	KeySize  = 32
	Overhead = ivSize + tagSize

	ivSize  = 12
	tagSize = 16
)

// ErrOpen is returned by Open if the record was sealed under another key or with
// other associated data, or was altered or cut since. It does not tell which.
var ErrOpen = errors.New("envelope: sealed record does not open")

var (
	errKeySize = fmt.Errorf("envelope: key is not %d bytes", KeySize)
	errNoKey   = errors.New("envelope: no key")
)

// Key seals and opens records. It is safe for concurrent use. The zero value has
// no key: it seals and opens nothing.
type Key struct {
	// aead stands behind an interface, which fmt prints as an address.
	aead tink.AEAD
}

// NewKey makes a Key of the KeySize bytes of raw. It keeps no reference to raw,
// which the caller may wipe; Tink's own copies cannot be wiped.
func NewKey(raw secret.Bytes) (*Key, error) {
	if raw.Len() != KeySize {
		return nil, errKeySize
	}
	// VariantNoPrefix: the key id stands in the row and, by Bind, in the associated
	// data; a prefix would repeat it in every record.
	params, err := aesgcm.NewParameters(aesgcm.ParametersOpts{
		KeySizeInBytes: KeySize,
		IVSizeInBytes:  ivSize,
		TagSizeInBytes: tagSize,
		Variant:        aesgcm.VariantNoPrefix,
	})
	if err != nil {
		return nil, fmt.Errorf("envelope: %w", err)
	}
	key, err := aesgcm.NewKey(secretdata.NewBytesFromData(raw.Reveal(), insecuresecretdataaccess.Token{}), 0, params)
	if err != nil {
		return nil, fmt.Errorf("envelope: %w", err)
	}
	aead, err := aesgcm.NewAEAD(key)
	if err != nil {
		return nil, fmt.Errorf("envelope: %w", err)
	}
	return &Key{aead: aead}, nil
}

// Seal encrypts plaintext and binds it to aad, which must be given to Open again.
// Each call is one use of the key.
func (k *Key) Seal(plaintext, aad []byte) ([]byte, error) {
	if k == nil || k.aead == nil {
		return nil, errNoKey
	}
	sealed, err := k.aead.Encrypt(plaintext, aad)
	if err != nil {
		return nil, fmt.Errorf("envelope: seal: %w", err)
	}
	return sealed, nil
}

// Open returns what Seal was given with the same aad, and [ErrOpen] otherwise.
func (k *Key) Open(sealed, aad []byte) ([]byte, error) {
	if k == nil || k.aead == nil {
		return nil, ErrOpen
	}
	plaintext, err := k.aead.Decrypt(sealed, aad)
	if err != nil {
		return nil, ErrOpen // no cause: one answer for every failure
	}
	return plaintext, nil
}
