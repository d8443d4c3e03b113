package ledger

import (
	"bytes"
	"sync"

	"github.com/cardvault/cardvault/vault/audit"
)

// view is what readers see: the newest checkpoint that this replica verified.
type view struct {
	mu   sync.Mutex
	seen shown
}

type shown struct {
	signed     []byte
	checkpoint audit.Checkpoint
	// first is the index of the first entry that was not dropped.
	first int64
	// looked: the store was looked at.
	looked bool
	// changed is closed when there is another checkpoint, or none will come.
	changed chan struct{}
}

func newView() *view { return &view{seen: shown{changed: make(chan struct{})}} }

func (v *view) now() shown {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.seen
}

func (v *view) show(signed []byte, c audit.Checkpoint, first int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	news := !bytes.Equal(v.seen.signed, signed)
	v.seen.signed, v.seen.checkpoint, v.seen.first, v.seen.looked = signed, c, first, true
	if news {
		close(v.seen.changed)
		v.seen.changed = make(chan struct{})
	}
}

// wake wakes those who wait for a checkpoint.
func (v *view) wake() {
	v.mu.Lock()
	defer v.mu.Unlock()
	close(v.seen.changed)
	v.seen.changed = make(chan struct{})
}
