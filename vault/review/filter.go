package review

import (
	"time"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/vault/audit"
)

// Filter picks entries that say exactly what it says. A field without a value
// says nothing, and the zero Filter picks every entry.
type Filter struct {
	// Since and Until bound the time: at or after the one, before the other.
	Since, Until time.Time
	// Principal is a whole SPIFFE id.
	Principal string
	Card      uuid.UUID
	Action    string
	// Decision is "allow" or "deny".
	Decision string
}

// Match reports whether the filter picks e.
func (f Filter) Match(e audit.Entry) bool {
	return Period{f.Since, f.Until}.Has(e.Time) &&
		(f.Principal == "" || f.Principal == e.Principal) &&
		(f.Card == uuid.Nil || f.Card == e.Card) &&
		(f.Action == "" || f.Action == e.Action) &&
		(f.Decision == "" || f.Decision == e.Decision.String())
}
