package ledger

import (
	"context"

	"golang.org/x/mod/sumdb/note"
)

// Keys are the public keys of a log. Their name is its origin.
type Keys interface {
	// Keys returns the keys that checkpoints of this log may be signed with, those of
	// the past included.
	Keys(ctx context.Context) ([]note.Verifier, error)
	// FreshKeys is Keys as of now: Keys may not know yet which key another replica
	// signs with.
	FreshKeys(ctx context.Context) ([]note.Verifier, error)
}

// Signer signs checkpoints with the log's Ed25519 key, wherever that is kept. Methods
// are safe for concurrent use.
type Signer interface {
	Keys
	// Sign returns the text as a signed note. While one key replaces another it has
	// two signature lines.
	Sign(ctx context.Context, text string) ([]byte, error)
}
