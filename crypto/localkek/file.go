package localkek

import (
	"fmt"

	"github.com/cardvault/cardvault/crypto/envelope"
	"github.com/cardvault/cardvault/crypto/keyfile"
	"github.com/cardvault/cardvault/crypto/secret"
)

// header is the first line of the file, for whoever finds it.
const header = "cardvault local KEK v1, NOT FOR PRODUCTION\n"

// Create makes a new KEK in a new file that only its owner can read. The file and
// its place in the folder are durable when it returns. If there is a file already
// it is left as it is, and the error is fs.ErrExist: to overwrite a KEK would
// lose every key that it wrapped.
func Create(path string) (*KEK, error) {
	raw := secret.Random(envelope.KeySize)
	if err := keyfile.Create(path, header, raw); err != nil {
		return nil, fmt.Errorf("localkek: %w", err)
	}
	return newKEK(raw)
}

// Open reads the KEK in a file that Create made. The error is keyfile.ErrExposed if
// others than its owner may read the file, and fs.ErrNotExist if there is none.
func Open(path string) (*KEK, error) {
	raw, err := keyfile.Open(path, header, envelope.KeySize)
	if err != nil {
		return nil, fmt.Errorf("localkek: %w", err)
	}
	return newKEK(raw)
}
