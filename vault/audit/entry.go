package audit

import (
	"time"

	"github.com/google/uuid"
)

// Decision is what policy said. The zero Decision denies.
type Decision int8

// The decisions. Any other value is taken as Deny.
const (
	Deny Decision = iota
	Allow
)

// String returns the decision's name in a body.
func (d Decision) String() string {
	if d == Allow {
		return "allow"
	}
	return "deny"
}

// Entry is one recorded operation. Strings are names and ids, never what a
// caller wrote freely; the zero value of a field means that the operation had no
// such thing.
type Entry struct {
	// Replica whose chain this is an entry of.
	Replica uuid.UUID
	// Number in the chain, from 0 without gaps.
	Number int64
	// Prev is the leaf hash of the entry before; zero in number 0.
	Prev Hash
	// Time is in UTC and whole microseconds, and never before the entry before.
	Time time.Time

	// Principal is the caller's SPIFFE id; empty for the server itself.
	Principal string
	// CertSerial is the serial number of the caller's certificate, hexadecimal.
	CertSerial string
	Tenant     string
	// Action is the name of the RPC or of the server's own act.
	Action   string
	Decision Decision
	// Policy is the @id of the policy that decided; empty where none matched.
	Policy  string
	Purpose string
	// View is LAST_FOUR, MASKED or FULL.
	View string

	Card     uuid.UUID
	Key      uuid.UUID
	BINRange string
	// RequestID is the caller's name for a write that it may repeat.
	RequestID uuid.UUID
	// Result is "OK", or the reason of the error that was answered.
	Result string
	// Count of the items that a listing returned.
	Count int
	// Index of the log that the operation is about.
	Index int64
	// Digest is the SHA-256 of the policy file that was put in force.
	Digest Hash
}
