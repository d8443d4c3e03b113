package vault

import (
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/cardvault/cardvault/vault/audit"
)

// entryFilter reports whether an entry is wanted. An entry that does not say what
// it was written to say is an error: an answer with a hole that nobody mentions is
// worse than none.
type entryFilter func(audit.Record) (bool, error)

func everyEntry(audit.Record) (bool, error) { return true, nil }

// filter reads what the query asks entries to say, and how many to read at once for
// a page. Each text has the grammar of what it is compared with.
func (q EntryQuery) filter(size int) (passes entryFilter, chunk int, err error) {
	if q.Principal == "" && q.CardID == "" && q.Action == "" && q.Decision == "" {
		return everyEntry, size + 1, nil // one more says whether there is a next page
	}
	if err := q.checkTexts(); err != nil {
		return nil, 0, err
	}
	var card uuid.UUID
	if q.CardID != "" {
		if card, err = parseID("card_id", q.CardID, ErrCardID); err != nil {
			return nil, 0, err
		}
	}
	return func(r audit.Record) (bool, error) {
		e, err := r.Entry()
		if err != nil {
			return false, fmt.Errorf("audit entry %d of replica %s: %w", r.Number, r.Replica, err)
		}
		return (q.Principal == "" || e.Principal == q.Principal) &&
			(q.CardID == "" || e.Card == card) &&
			(q.Action == "" || e.Action == q.Action) &&
			(q.Decision == "" || e.Decision.String() == q.Decision), nil
	}, maxBatch, nil
}

func (q EntryQuery) checkTexts() error {
	if _, err := spiffeid.FromString(q.Principal); err != nil && q.Principal != "" {
		return field("principal", q.Principal, ErrEntryFilter)
	}
	if len(q.Action) > maxPurpose || strings.Trim(strings.ToLower(q.Action), lowercase) != "" {
		return field("action", q.Action, ErrEntryFilter)
	}
	switch q.Decision {
	case "", audit.Allow.String(), audit.Deny.String():
		return nil
	default:
		return field("decision", q.Decision, ErrEntryFilter)
	}
}
