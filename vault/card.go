package vault

import (
	"time"

	"github.com/google/uuid"
)

// Card is what may be shown of a card. It holds no PAN.
type Card struct {
	ID       uuid.UUID
	State    CardState
	Origin   Origin
	Expiry   Expiry
	LastFour string
	// BINRange is the id of the range it was issued from; empty where it was tokenized.
	BINRange string
	Created  time.Time
}

// CardState is where a card is in its life. The zero state is no card.
type CardState int16

// The life of a card: active and suspended change into each other; closed and
// deleted are for good.
const (
	CardActive CardState = iota + 1
	CardSuspended
	CardClosed
	// CardDeleted has no ciphertext and no token; its row keeps the fingerprint, so
	// that the number is never issued again.
	CardDeleted
)

// Origin is where a card's PAN comes from. The zero origin is invalid.
type Origin int16

// The origins of a card.
const (
	Issued Origin = iota + 1
	Tokenized
)

// View is how much of a PAN is asked for. The zero View shows nothing.
type View int

// The views of a PAN, each showing more.
const (
	LastFour View = iota + 1
	Masked
	Full
)

// String returns the view's name in policies and audit entries.
func (v View) String() string {
	switch v {
	case LastFour:
		return "LAST_FOUR"
	case Masked:
		return "MASKED"
	case Full:
		return "FULL"
	default:
		return ""
	}
}
