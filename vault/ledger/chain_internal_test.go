package ledger

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/vault/audit"
)

// TestLinkFollows what audit.Chain appends, and nothing else.
func TestLinkFollows(t *testing.T) {
	now := time.Date(2026, time.March, 14, 15, 9, 26, 0, time.UTC)
	id := uuid.New()
	chain, first := audit.NewChain(id).Append(audit.Entry{Action: "Test"}, now)
	_, second := chain.Append(audit.Entry{Action: "Test"}, now)
	at := link{replica: id, next: 1, prev: audit.LeafHash(first.Body), last: now}
	behind, err := at.follow(second)
	if err != nil || behind != (link{replica: id, next: 2, prev: audit.LeafHash(second.Body), last: now}) {
		t.Fatalf("%+v, %v", behind, err)
	}
	for want, other := range map[error]link{
		audit.ErrReplica: {replica: uuid.New(), next: 1, prev: at.prev},
		audit.ErrNumber:  {replica: id, next: 2, prev: at.prev},
		audit.ErrPrev:    {replica: id, next: 1, prev: audit.Hash{1}},
		audit.ErrTime:    {replica: id, next: 1, prev: at.prev, last: now.Add(time.Microsecond)},
	} {
		_, err := other.follow(second)
		broken, is := errors.AsType[*audit.ChainError](err)
		if !is || !errors.Is(err, want) || broken.Number != other.next || broken.Replica != other.replica {
			t.Errorf("%v, want %v", err, want)
		}
	}
	second.Tenant = "acme"
	if _, err := at.follow(second); !errors.Is(err, audit.ErrColumn) {
		t.Errorf("a column that differs: %v", err)
	}
}
