package audit

import "github.com/google/uuid"

// Tail is the end of a replica's chain as the replica sealed it. A chain's hashes
// can be computed by anybody; the seal cannot, so that whoever can write to the
// database alone can neither begin a chain nor add to one.
type Tail struct {
	Replica uuid.UUID
	// Number and Head of the last entry. Head is its leaf hash.
	Number int64
	Head   Hash
	// Seal is a keyed hash of the three above. Key is the replica's own key for it,
	// wrapped by a KEK of this kind. The tails of chains from before there were seals
	// have none of the three, and no Head.
	Seal    Hash
	KEKKind string
	Key     []byte
}
