package postgres_test

import (
	"testing"

	"github.com/cardvault/cardvault/vault/postgres"
	"github.com/cardvault/cardvault/vault/vaulttest/pgtest"
)

func BenchmarkCommitSealed(b *testing.B) {
	w := newWriter(open(b, migrated(b, pgtest.DSN(b))))
	for b.Loop() {
		w.seal(b, 1)
	}
}

// A step of the sequencer: a thousand entries.
func BenchmarkExtendLog(b *testing.B) {
	store := open(b, migrated(b, pgtest.DSN(b)))
	w, head := newWriter(store), lead(b, store)
	for b.Loop() {
		b.StopTimer()
		w.seal(b, 1000)
		b.StartTimer()
		if err := store.ExtendLog(b.Context(), head.Term, w.step(head.Size, 1000)); err != nil {
			b.Fatal(err)
		}
		head.Size += 1000
	}
}

// logged makes a log of runs of ten entries.
func logged(b *testing.B, store *postgres.Store, entries int64) {
	b.Helper()
	w, head := newWriter(store), lead(b, store)
	for head.Size < entries {
		w.seal(b, 10)
		if err := store.ExtendLog(b.Context(), head.Term, w.step(head.Size, 10)); err != nil {
			b.Fatal(err)
		}
		head.Size += 10
	}
}

// A batch for a reader of the log.
func BenchmarkListLog(b *testing.B) {
	store := open(b, migrated(b, pgtest.DSN(b)))
	const entries = 20_000
	logged(b, store, entries)
	at := int64(0)
	for b.Loop() {
		got, err := store.ListLog(b.Context(), at, 1000)
		if err != nil || len(got) != 1000 {
			b.Fatal(len(got), err)
		}
		at = (at + 1000) % entries
	}
}

// What a sequencer asks four times a second, when servers were started so often.
func BenchmarkListGrown(b *testing.B) {
	dsn := migrated(b, pgtest.DSN(b))
	store := open(b, dsn)
	if _, err := connect(b, dsn).Exec(b.Context(), `
		INSERT INTO audit_chains SELECT 1, gen_random_uuid(), sha256('1'), sha256('2'), 'transit', '`+"\\x"+`00'
		FROM generate_series(1, 10000);
		INSERT INTO log_chains SELECT 2, replica, head FROM audit_chains`); err != nil {
		b.Fatal(err)
	}
	newWriter(store).seal(b, 1)
	for b.Loop() {
		if got, err := store.ListGrown(b.Context(), 100); err != nil || len(got) != 1 {
			b.Fatal(len(got), err)
		}
	}
}
