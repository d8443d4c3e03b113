package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/note"

	"github.com/cardvault/cardvault/crypto/localkek"
	"github.com/cardvault/cardvault/crypto/localsigner"
	"github.com/cardvault/cardvault/vault"
	"github.com/cardvault/cardvault/vault/access"
	"github.com/cardvault/cardvault/vault/archive"
	"github.com/cardvault/cardvault/vault/audit"
	"github.com/cardvault/cardvault/vault/ledger"
	"github.com/cardvault/cardvault/vault/postgres"
	"github.com/cardvault/cardvault/vault/vaulttest/pgtest"
)

const (
	rounds = 5
	round  = 2 * time.Second
	// callers wait for their entries at once, as in a busy replica.
	callers = 256
	origin  = "bench.cardvault.example/audit"
)

// site is a replica on PostgreSQL, with keys in files: no figure here waits for a KEK.
type site struct {
	dsn    string
	store  *postgres.Store
	signer *localsigner.Signer
	vault  *vault.Vault
}

func newSite(b *testing.B) *site {
	b.Helper()
	s := &site{dsn: pgtest.DSN(b)}
	must := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	_, _, err := postgres.Migrate(b.Context(), s.dsn)
	must(err)
	s.store, err = postgres.Open(b.Context(), postgres.Config{ConnString: s.dsn, MaxConns: 8})
	must(err)
	b.Cleanup(func() { _ = s.store.Close() })
	kek, err := localkek.Create(filepath.Join(b.TempDir(), "kek"))
	must(err)
	s.signer, err = localsigner.Create(filepath.Join(b.TempDir(), "signer"), origin)
	must(err)
	policy, err := access.Parse("demo.cedar", access.DemoPolicy())
	must(err)
	s.vault, err = vault.New(b.Context(), vault.Config{
		Store: s.store, KEK: kek, KeyMaxAge: time.Hour, DataCryptoperiod: 365 * 24 * time.Hour,
		Ledger: ledger.Config{Store: s.store, Signer: s.signer, Origin: origin},
		Policy: policy, Clock: time.Now, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	must(err)
	b.Cleanup(func() { _ = s.vault.Close(context.Background()) })
	return s
}

func tenantCaller() vault.Caller {
	return vault.Caller{SPIFFE: "spiffe://bench.test/tenant/acme/payments", Tenant: "acme", Name: "payments", CertSerial: "0a1b"}
}

func staffCaller() vault.Caller {
	return vault.Caller{SPIFFE: "spiffe://bench.test/staff/auditor", Name: "auditor", CertSerial: "0a1c", Staff: true}
}

// record commits one audit entry and returns once it is durable.
func (s *site) record(ctx context.Context) error {
	err := s.vault.Refuse(ctx, tenantCaller(), access.GetCard, vault.ErrCardID)
	if errors.Is(err, vault.ErrCardID) {
		return nil
	}
	return err
}

// rate runs do by n callers for a round and returns how often a second it was done.
func rate(b *testing.B, n int, do func(ctx context.Context) error) float64 {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), round)
	defer cancel()
	var done atomic.Int64
	var wg sync.WaitGroup
	begin := time.Now()
	for range n {
		wg.Go(func() {
			for ctx.Err() == nil {
				switch err := do(ctx); {
				case err == nil:
					done.Add(1)
				case ctx.Err() == nil:
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return float64(done.Load()) / time.Since(begin).Seconds()
}

// inserts is the baseline: one durable row by one statement, with a body as long as an
// entry's, into a table with an entry's indexes.
func inserts(b *testing.B, dsn string, conns int32) func(context.Context) error {
	b.Helper()
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		b.Fatal(err)
	}
	config.MaxConns = conns
	pool, err := pgxpool.NewWithConfig(b.Context(), config)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	_, err = pool.Exec(b.Context(), `CREATE TABLE IF NOT EXISTS single (number int8, replica uuid, time int8, tenant int4, body bytea, PRIMARY KEY (replica, number));
CREATE INDEX IF NOT EXISTS single_time ON single (tenant, time, replica, number)`)
	if err != nil {
		b.Fatal(err)
	}
	body := make([]byte, 420)
	var number atomic.Int64
	number.Store(time.Now().UnixNano())
	return func(ctx context.Context) error {
		_, err := pool.Exec(ctx, `INSERT INTO single VALUES ($1, '6f1d0d0e-5a3b-4c7e-9d2a-0b1c2d3e4f50', $1, 1, $2)`, number.Add(1), body)
		return err
	}
}

// BenchmarkAuditCommit is durable audit entries a second, with 256 callers who wait for
// theirs, against rows that are inserted one by one.
func BenchmarkAuditCommit(b *testing.B) {
	s := newSite(b)
	one, many := inserts(b, s.dsn, 1), inserts(b, s.dsn, 64)
	for b.Loop() {
		var entries, ofOne, ofMany, perOne, perMany []float64
		for range rounds {
			ones, manys, all := rate(b, 1, one), rate(b, 64, many), rate(b, callers, s.record)
			entries, ofOne, ofMany = append(entries, all), append(ofOne, ones), append(ofMany, manys)
			perOne, perMany = append(perOne, all/ones), append(perMany, all/manys)
		}
		row("audit entries committed, 256 waiting callers", fmt.Sprintf("%.0f/s", median(entries)), "")
		row("  single-row durable inserts, one connection", fmt.Sprintf("%.0f/s", median(ofOne)), fmt.Sprintf("%.1f ×", median(perOne)))
		row("  single-row durable inserts, 64 connections", fmt.Sprintf("%.0f/s", median(ofMany)), fmt.Sprintf("%.1f ×", median(perMany)))
		b.ReportMetric(median(entries), "entries/s")
		b.ReportMetric(median(perOne), "x-single")
		b.ReportMetric(median(perMany), "x-64-conns")
	}
}

// BenchmarkAuditCheckpoint is the time from the commit of an entry to the publication
// of a signed checkpoint that covers it, under load.
func BenchmarkAuditCheckpoint(b *testing.B) {
	s := newSite(b)
	for b.Loop() {
		for _, load := range []int{1, callers} {
			lags := s.lags(b, load)
			p50, p99 := lags[len(lags)/2], lags[len(lags)*99/100]
			row(fmt.Sprintf("commit to signed checkpoint, %d callers: p50, p99", load), p50.Round(time.Millisecond).String(), p99.Round(time.Millisecond).String())
			b.ReportMetric(float64(p99.Milliseconds()), fmt.Sprintf("p99-ms-%d", load))
		}
	}
}

// lags returns the time that each entry of a few seconds of load waited for its
// checkpoint, shortest first.
func (s *site) lags(b *testing.B, load int) []time.Duration {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	start := s.size(b)
	done := make(chan struct{})
	var lags []time.Duration
	go func() {
		defer close(done)
		batches, _, err := s.vault.ReadLog(ctx, staffCaller(), vault.LogQuery{Start: start, Follow: true})
		if err != nil {
			b.Error(err)
			return
		}
		for batch, err := range batches {
			if err != nil {
				return // the end of the round
			}
			now := time.Now()
			for _, entry := range batch.Entries {
				if e, err := audit.Parse(entry.Body); err == nil {
					lags = append(lags, now.Sub(e.Time))
				}
			}
		}
	}()
	for range 3 {
		rate(b, load, s.record)
	}
	time.Sleep(time.Second) // for the last ones
	cancel()
	<-done
	if len(lags) == 0 {
		b.Fatal("no entry was covered")
	}
	slices.Sort(lags)
	return lags
}

func (s *site) size(b *testing.B) int64 {
	b.Helper()
	head, err := s.store.LogHead(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	return head.Size
}

// BenchmarkAuditVerify is the speed of the offline verification, on one core and on
// all.
func BenchmarkAuditVerify(b *testing.B) {
	s := newSite(b)
	rate(b, callers, s.record)
	dir, keys := s.export(b)
	b.ResetTimer()
	for b.Loop() {
		for _, cores := range []int{1, runtime.NumCPU()} {
			before := runtime.GOMAXPROCS(cores)
			begin := time.Now()
			report, err := archive.Verify(b.Context(), os.DirFS(dir), archive.Options{Keys: keys})
			took := time.Since(begin)
			runtime.GOMAXPROCS(before)
			if err != nil || !report.Good() {
				b.Fatal(report.Findings, err)
			}
			speed := float64(report.Size) / took.Seconds()
			row(fmt.Sprintf("offline verification of %d entries, %d cores", report.Size, cores), fmt.Sprintf("%.0f/s", speed), "")
			b.ReportMetric(speed, fmt.Sprintf("entries/s-%d", cores))
		}
	}
}

// export writes the log to a folder, as far as a checkpoint covers it.
func (s *site) export(b *testing.B) (string, []note.Verifier) {
	b.Helper()
	dir := b.TempDir()
	keys, err := s.signer.Keys(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	folder, err := archive.Open(dir, s.signer.VerifierKey())
	if err != nil {
		b.Fatal(err)
	}
	batches, _, err := s.vault.ReadLog(b.Context(), staffCaller(), vault.LogQuery{})
	if err != nil {
		b.Fatal(err)
	}
	for batch, err := range batches {
		if err := cmp.Or(err, folder.Append(batch)); err != nil {
			b.Fatal(err)
		}
	}
	if err := folder.Close(); err != nil {
		b.Fatal(err)
	}
	return dir, keys
}

func median(values []float64) float64 {
	slices.SortFunc(values, cmp.Compare[float64])
	return values[len(values)/2]
}

func row(what, figure, ratio string) { fmt.Printf("| %-58s | %10s | %8s |\n", what, figure, ratio) }
