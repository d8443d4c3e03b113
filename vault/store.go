package vault

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/tokenizer"
	"github.com/cardvault/cardvault/vault/audit"
)

// Store keeps sealed rows and audit entries. It sees neither PANs nor keys in
// clear.
//
// Reads return committed state, at least as new as every Commit that returned
// before the read began, on any replica. A read that finds nothing returns
// ErrNoRow, or leaves the row out where it returns many. Any other error means
// that the store could not answer. Tenants are told apart by name; a tenant that
// was never written to has no rows.
//
// Methods are safe for concurrent use.
type Store interface {
	// CardsByToken returns the tokens that exist with their cards, in any order.
	CardsByToken(ctx context.Context, tenant string, tokens []tokenizer.ID) ([]TokenRow, error)
	// Card returns a card, deleted ones included.
	Card(ctx context.Context, tenant string, id uuid.UUID) (CardRow, error)
	// ListCards returns up to limit cards with ids above after, in order of id,
	// without the deleted ones.
	ListCards(ctx context.Context, tenant string, after uuid.UUID, limit int) ([]CardRow, error)
	// ListTokens returns the tokens of a card, the standing one first, then by time
	// of creation.
	ListTokens(ctx context.Context, tenant string, card uuid.UUID) ([]TokenRow, error)

	// BINRange returns a range of the tenant by its name.
	BINRange(ctx context.Context, tenant, name string) (BINRangeRow, error)
	// ListBINRanges returns the tenant's ranges in order of name.
	ListBINRanges(ctx context.Context, tenant string) ([]BINRangeRow, error)
	// Blocks returns the blocks of a range that the replica has numbers left in.
	Blocks(ctx context.Context, replica uuid.UUID, rangeNumber int32) ([]Block, error)

	// Requests returns what earlier writes with these request ids answered.
	Requests(ctx context.Context, tenant string, ids []uuid.UUID) ([]RequestRow, error)

	// ActiveKey returns the one active key version of a scope.
	ActiveKey(ctx context.Context, tenant, purpose, subject string) (KeyRow, error)
	// Key returns a key version of the tenant.
	Key(ctx context.Context, tenant string, id uuid.UUID) (KeyRow, error)
	// ListKeys returns up to limit key versions of all tenants above the position, in
	// order of position.
	ListKeys(ctx context.Context, after KeyPosition, limit int) ([]KeyListRow, error)
	// CountKeys groups the key versions of all tenants, in any order.
	CountKeys(ctx context.Context) ([]KeyCount, error)
	// EndingKeys returns up to limit active key versions of the purpose that were
	// created at or before a time or have at least so many uses, the oldest first.
	EndingKeys(ctx context.Context, purpose string, created time.Time, uses int64, limit int) ([]KeyListRow, error)
	// CountKeyRows counts the cards and ranges of the tenants by the key that they
	// name, in any order. It reads them all, for so long at most: after that the
	// database has stopped, and the error is context.DeadlineExceeded.
	CountKeyRows(ctx context.Context, tenants []string, within time.Duration) ([]KeyRowCount, error)
	// ReserveKeyUses adds n to a key's uses, or returns ErrLimit and adds nothing
	// where that would pass limit. Durable before it returns.
	ReserveKeyUses(ctx context.Context, tenant string, id uuid.UUID, n, limit int64) error

	// ListEntries returns up to limit entries of a tenant from the position on, in
	// order of position.
	ListEntries(ctx context.Context, tenant string, from EntryPosition, limit int) ([]audit.Record, error)
	// Entry returns the tenant's entry with this number in a replica's chain.
	Entry(ctx context.Context, tenant string, replica uuid.UUID, number int64) (audit.Record, error)
	// Head returns the last entry of a replica's chain.
	Head(ctx context.Context, replica uuid.UUID) (audit.Record, error)

	// Commit runs fn in one transaction and makes durable, together, what fn wrote
	// through tx and the records it returns; nothing of either where it fails. fn
	// runs again from the start where the transaction has to be repeated, so it
	// keeps no state from one run to the next, and calls no method of the Store. An
	// error of fn is returned as it is.
	//
	// A write without an audit entry cannot be expressed: Tx exists in here alone,
	// and without records Commit writes nothing and returns ErrNoRecords.
	//
	// ErrUnknownOutcome: the connection broke while committing. Head tells, once
	// the store answers again. ErrTaken: the chain already has a record of one of
	// these numbers; nothing was written.
	Commit(ctx context.Context, fn func(ctx context.Context, tx Tx) ([]audit.Record, error)) error
}

// Tx is the writing half of a Store, inside Commit. A method that takes many rows
// costs one round trip for all of them; with none it does nothing.
type Tx interface {
	// ClaimRequests records the rows' request ids with what they are going to
	// answer, and returns the rows that stood there before instead.
	ClaimRequests(ctx context.Context, tenant string, rows []RequestRow) (taken []RequestRow, err error)
	// ReleaseRequests forgets request ids claimed in this transaction.
	ReleaseRequests(ctx context.Context, tenant string, ids []uuid.UUID) error
	// AmendRequests replaces what claimed requests answer.
	AmendRequests(ctx context.Context, tenant string, rows []RequestRow) error

	// TakeBlock gives the replica one more block of a range's counter to issue from.
	// It carves up to size new numbers while there are any, and after that takes half
	// (at least one) of the largest block that another replica has left, whether
	// that replica lives or not: the former holder learns of it when an AdvanceBlock
	// fails. It never returns a block that the replica has already. ErrNoRow: there
	// are no new numbers and no other replica has any left.
	TakeBlock(ctx context.Context, replica uuid.UUID, rangeNumber int32, size int64) (Block, error)
	// AdvanceBlock moves a block from where it was taken or last advanced to next.
	// False: the block is not this replica's up to next, or is at another Next;
	// nothing was moved.
	AdvanceBlock(ctx context.Context, block Block, next int64) (bool, error)
	// PassNumbers adds n to a range's Gone: numbers that became no card.
	PassNumbers(ctx context.Context, rangeNumber int32, n int64) error
	// InsertCards adds the cards whose (tenant, fingerprint) is new and returns the
	// rows that stood there before instead, deleted ones included. Of two new rows
	// with one fingerprint the first is added, and returned. ErrTaken: another card
	// has the id or the standing token of a new row.
	InsertCards(ctx context.Context, tenant string, rows []CardRow) (taken []CardRow, err error)
	// ReviveCard fills a tombstone anew, as an active card, and reports whether it
	// still was one. Origin and range stay; an issued card leaves its range's Gone.
	ReviveCard(ctx context.Context, tenant string, row CardRow) (bool, error)
	// SetStandingToken gives a card without a standing token that one, and returns
	// the card's row as it then is.
	SetStandingToken(ctx context.Context, tenant string, card uuid.UUID, token tokenizer.ID, tag int64) (CardRow, error)
	// UpdateCard sets state and expiry where both are still as in was; false: they
	// are not. Closing an issued card adds one to its range's Gone.
	UpdateCard(ctx context.Context, tenant string, was, now CardRow) (bool, error)
	// DeleteCard turns a card into its tombstone: no ciphertext, no key, no last four,
	// no tokens. It adds one to its range's Gone where the card was not closed before.
	// False: there is no card, or it was deleted before.
	DeleteCard(ctx context.Context, tenant string, card uuid.UUID) (bool, error)

	// PlainTokens returns the extra tokens of the cards that neither expire nor are
	// single-use nor bound: those that tokenizing again returns again.
	PlainTokens(ctx context.Context, tenant string, cards []uuid.UUID) ([]TokenRow, error)
	// InsertTokens adds extra tokens, each named once, and returns those that were
	// taken. One of a deleted card is not added and not returned, as if it had been
	// added before the card was deleted.
	InsertTokens(ctx context.Context, tenant string, rows []TokenRow) (taken []tokenizer.ID, err error)
	// UseTokens marks single-use tokens as used and returns those that were there
	// and unused.
	UseTokens(ctx context.Context, tenant string, tokens []tokenizer.ID, at time.Time) (used []tokenizer.ID, err error)
	// DeleteToken ends a token, standing or extra. False: there is none.
	DeleteToken(ctx context.Context, tenant string, token tokenizer.ID) (bool, error)

	// InsertBINRange adds a range and gives it its number. ErrOverlap: it shares a
	// number with another range of any tenant. ErrTaken: the tenant has one of this name.
	InsertBINRange(ctx context.Context, tenant string, row BINRangeRow) (number int32, err error)
	// SetBINRangeState changes a range's state where it still is from; false: it is not.
	SetBINRangeState(ctx context.Context, tenant, name string, from, to BINRangeState) (bool, error)

	// SealChain says where the chain of the transaction's records ends after them. It
	// is written with the records; nothing fails before. Records behind every tail do
	// not come into the log. A tail that is not further than the one before changes
	// nothing.
	SealChain(tail audit.Tail)

	// InsertKey makes row the active version of its scope in place of after (zero:
	// of none), which becomes retiring. False: another replica was first.
	InsertKey(ctx context.Context, row KeyRow, after uuid.UUID) (bool, error)
}

// What a Store answers besides rows.
var (
	ErrNoRow          = errors.New("no such row")
	ErrNoRecords      = errors.New("a commit without audit records")
	ErrUnknownOutcome = errors.New("commit outcome unknown")
	ErrTaken          = errors.New("already taken")
	ErrOverlap        = errors.New("overlaps another BIN range")
	ErrLimit          = errors.New("limit reached")
)

// CardRow is a sealed card.
type CardRow struct {
	ID          uuid.UUID
	Fingerprint uuid.UUID // first 128 bits of an HMAC; no UUID version
	Key         uuid.UUID // the data key version that sealed it
	Sealed      []byte    // nil in a tombstone
	// StandingToken is the zero ID where the card has none.
	StandingToken tokenizer.ID
	// StandingTag is the tag of StandingToken, as TokenRow.Tag.
	StandingTag int64
	State       CardState
	Origin      Origin
	Expiry      Expiry
	LastFour    int16
	// RangeNumber is 0 and BINRange empty where the card was tokenized. Stores keep
	// the number and return both.
	RangeNumber int32
	BINRange    string
	Created     time.Time // microseconds
}

// TokenRow is a token with its card.
type TokenRow struct {
	Token tokenizer.ID
	// Tag is a keyed hash of token, card and options: a row edited by hand has a
	// wrong one.
	Tag  int64
	Card CardRow
	// Standing tokens have no options; what follows is zero.
	Standing     bool
	KeepLastFour bool
	Expires      time.Time // zero: never
	SingleUse    bool
	UsedAt       time.Time // zero: not yet
	Principals   []string  // empty: any
	Created      time.Time
}

// BINRangeRow is a registered range.
type BINRangeRow struct {
	// Number is unique in the deployment and never used again.
	Number int32
	Name   string
	// Key is the version of the range's key. Numbers come from this key or not at all.
	Key uuid.UUID
	// Tag is a keyed hash of what the range was registered as: a row edited by hand
	// has a wrong one.
	Tag    int64
	Prefix string
	Length int16 // digits of a PAN
	// First and Last are the inclusive sub-interval of free digits.
	First, Last    int64
	Reserved       []Interval
	ValidityMonths int16
	State          BINRangeState
	Created        time.Time
	// Carved numbers were given to blocks; Left of them are not used yet.
	Carved, Left int64
	// Gone counts the used numbers that are no live card: passed over, closed,
	// deleted.
	Gone int64
}

// Span returns the range's first and last PAN without check digit, as numbers: two
// ranges of one Length overlap where their spans do. It refuses a prefix that is
// not of ASCII digits or leaves no room for free digits.
func (r BINRangeRow) Span() (low, high int64, err error) {
	free := int(r.Length) - 1 - len(r.Prefix)
	if free < 1 || r.Length > 19 {
		return 0, 0, fmt.Errorf("prefix: %d digits do not fit a PAN of %d", len(r.Prefix), r.Length)
	}
	for _, digit := range []byte(r.Prefix) {
		if digit < '0' || digit > '9' {
			return 0, 0, errors.New("prefix: want ASCII digits")
		}
		low = low*10 + int64(digit-'0')
	}
	for range free {
		low *= 10
	}
	return low + r.First, low + r.Last, nil
}

// Interval is an inclusive interval of free digits.
type Interval struct{ First, Last int64 }

// BINRangeState says whether a range issues. The zero state does not.
type BINRangeState int16

// The states of a range.
const (
	RangeActive BINRangeState = iota + 1
	RangePaused
	RangeStopped
)

// Block is a run of a range's counter that one replica issues from: Next up to,
// not including, End.
type Block struct {
	Replica     uuid.UUID
	RangeNumber int32
	Start       int64 // names the block within its range
	Next, End   int64
}

// RequestRow remembers what a write answered.
type RequestRow struct {
	ID uuid.UUID
	// Digest of the whole request and its caller: another request with the same id
	// is refused.
	Digest [16]byte
	Card   uuid.UUID
	Token  tokenizer.ID
	// Existing: the card stood there before.
	Existing bool
	Created  time.Time
}

// KeyRow is a wrapped key version.
type KeyRow struct {
	ID                       uuid.UUID
	Tenant, Purpose, Subject string
	State                    string
	KEKKind, KEKVersion      string
	Wrapped                  []byte
	Uses                     int64
	Created                  time.Time
}

// KeyListRow is a key version without its wrapped bytes, which no list is to have.
type KeyListRow struct {
	ID                       uuid.UUID
	Tenant, Purpose, Subject string
	State                    string
	KEKKind, KEKVersion      string
	Uses                     int64
	Created                  time.Time
}

// KeyPosition orders key versions: by the bytes of the tenant's name, then by id.
type KeyPosition struct {
	Tenant string
	ID     uuid.UUID
}

// KeyCount is how many key versions have all of this in common.
type KeyCount struct {
	Purpose, State      string
	KEKKind, KEKVersion string
	Keys                int64
	// Oldest is when the first of them was created.
	Oldest time.Time
	// MostUses is what the most used of them has.
	MostUses int64
}

// KeyRowCount is how many rows of a tenant name a key.
type KeyRowCount struct {
	Tenant string
	// Key is the zero UUID where the rows are deleted cards.
	Key uuid.UUID
	// Cards has the deleted ones in it.
	Cards, Ranges int64
}

// EntryPosition orders a tenant's entries: by time, then replica, then number.
type EntryPosition struct {
	Time    time.Time
	Replica uuid.UUID
	Number  int64
}
