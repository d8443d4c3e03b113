package e2e

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cardvault/cardvault/vault/audit"
)

// scanRecord reads a row as it is stored: an edited column has to show.
func scanRecord(row pgx.CollectableRow) (audit.Record, error) {
	var (
		r    audit.Record
		time int64
	)
	err := row.Scan((*[16]byte)(&r.Replica), &r.Number, &time, &r.Tenant, &r.Body)
	r.Time = atMicro(time)
	return r, err
}

func atMicro(micro int64) time.Time { return time.UnixMicro(micro).UTC() }

// verified returns the entries of one replica's records, all of which must chain.
func verified(t testing.TB, records []audit.Record) []audit.Entry {
	t.Helper()
	chain, err := audit.VerifyChain(func(yield func(audit.Record, error) bool) {
		for _, r := range records {
			if !yield(r, nil) {
				return
			}
		}
	})
	if err != nil {
		t.Error(err)
	}
	if got := chain.Len(); got != int64(len(records)) {
		t.Errorf("the chain has %d entries of %d", got, len(records))
	}
	entries := make([]audit.Entry, len(records))
	for i, r := range records {
		if entries[i], err = r.Entry(); err != nil {
			t.Error(err)
		}
	}
	return entries
}
