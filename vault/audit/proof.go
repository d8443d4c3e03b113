package audit

import (
	"errors"

	"github.com/transparency-dev/formats/proof"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Proof says that an entry stands at an index of a log, to anyone who holds the
// log's public key and the entry's body. As text it is a C2SP tlog-proof.
type Proof struct {
	Index  int64
	Hashes tlog.RecordProof
	// Checkpoint is signed.
	Checkpoint []byte
}

// Text returns the proof in the format of c2sp.org/tlog-proof@v1.
func (p Proof) Text() []byte {
	hashes := make([][len(Hash{})]byte, len(p.Hashes))
	for i, h := range p.Hashes {
		hashes[i] = h
	}
	return proof.TLogProof{Index: uint64(p.Index), Hashes: hashes, Checkpoint: p.Checkpoint}.Marshal() //nolint:gosec // indexes count from 0
}

// Why a proof is refused, besides the errors of OpenCheckpoint.
var (
	// ErrProof: the text is no proof.
	ErrProof = errors.New("malformed proof")
	// ErrNotProven: the proof is of another entry, index or tree.
	ErrNotProven = errors.New("the proof does not hold")
)

// ParseProof reads what Text returns. It verifies nothing.
func ParseProof(text []byte) (Proof, error) {
	var t proof.TLogProof
	if err := t.Unmarshal(text); err != nil || t.Index >= 1<<62 {
		return Proof{}, ErrProof
	}
	p := Proof{Index: int64(t.Index), Checkpoint: t.Checkpoint}
	for _, h := range t.Hashes {
		p.Hashes = append(p.Hashes, h)
	}
	return p, nil
}

// Verify checks that the entry with this body is in the log, and returns the
// checkpoint that says so.
func (p Proof) Verify(body []byte, keys ...note.Verifier) (Checkpoint, error) {
	c, err := OpenCheckpoint(p.Checkpoint, keys...)
	if err != nil {
		return Checkpoint{}, err
	}
	if p.Index < 0 || p.Index >= c.Size || tlog.CheckRecord(p.Hashes, c.Size, c.Root, p.Index, LeafHash(body)) != nil {
		return Checkpoint{}, ErrNotProven
	}
	return c, nil
}
