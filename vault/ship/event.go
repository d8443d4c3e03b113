package ship

import (
	"context"
	"fmt"

	"github.com/cardvault/cardvault/vault/audit"
)

// Event is a verified entry on its way to a sink.
type Event struct {
	Index int64
	// Body is the entry as it was hashed: one line of canonical JSON. It is nil where
	// the retention policy dropped it before it was read; Entry is zero then.
	Body  []byte
	Leaf  audit.Hash
	Entry audit.Entry
}

// Dropped reports whether all that is left of the entry is its hash.
func (e *Event) Dropped() bool { return e.Body == nil }

// newEvent reads an entry. A body that is none of an entry of this program's
// version is refused: half of it would be lost in translation.
func newEvent(e audit.LogEntry) (Event, error) {
	event := Event{Index: e.Index, Body: e.Body, Leaf: e.Hash()}
	if e.Body == nil {
		return event, nil
	}
	var err error
	if event.Entry, err = audit.Parse(e.Body); err != nil {
		return Event{}, fmt.Errorf("%w: entry %d: %w", ErrForged, e.Index, err)
	}
	return event, nil
}

// Sink is where entries go. Deliver returns nil once all of them are where the
// sink's documentation says that delivered entries are; after an error it is
// called again with the same entries, and perhaps more behind them. A Sink is
// used by one goroutine at a time.
type Sink interface {
	Deliver(ctx context.Context, events []Event) error
	Close() error
}

// Encoder appends an event in one format, as one line without its end. It is a
// pure function: an event has the same line every time.
type Encoder func(dst []byte, e *Event) []byte

// Encoders returns the formats by name.
func Encoders() map[string]Encoder {
	return map[string]Encoder{"jsonl": AppendJSON, "ocsf": AppendOCSF, "cef": AppendCEF}
}
