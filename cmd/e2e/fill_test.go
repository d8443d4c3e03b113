package e2e

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	cardvaultv1 "github.com/cardvault/cardvault/proto/cardvault/v1"
	"github.com/cardvault/cardvault/vault/audit"
)

const (
	// smallPrefix leaves four free digits of sixteen: 10,000 numbers.
	smallPrefix = "90000000000"
	allNumbers  = 10_000
	crashes     = 8
	issuersAt   = 6
	issueBatch  = 25
)

// TestRangeIsFilledToTheLastThroughCrashes has three replicas issue all numbers of a range together, while one after
// the other is killed with calls under way and started again, and sessions with the database break. Every number is
// issued once, to somebody who was told so, and everything stands in the audit log (P1, P2, P3).
func TestRangeIsFilledToTheLastThroughCrashes(t *testing.T) {
	t.Parallel()
	s := newMigratedSite(t)
	f := newFleet(t, s, 3)
	f.replicas[0].as(t, "security").createRange(t, "small", smallPrefix)

	tokens := f.fill(t)
	if len(tokens) != allNumbers {
		t.Fatalf("%d requests were answered, want %d", len(tokens), allNumbers)
	}
	for i := range f.replicas {
		_, err := f.issuer(i).tryIssue(t, "small")
		want(t, "one card more", err, "BIN_RANGE_EXHAUSTED")
	}
	full, err := f.replicas[0].as(t, "security").ranges.GetBinRange(t.Context(), &cardvaultv1.GetBinRangeRequest{Id: "small"})
	if err != nil {
		t.Fatal(err)
	}
	if r := full.GetBinRange(); r.GetIssued() != allNumbers || r.GetCapacity() != allNumbers || r.GetFill() != 1 || r.GetLive() != allNumbers {
		t.Errorf("the range says %d of %d numbers are issued, %d live", r.GetIssued(), r.GetCapacity(), r.GetLive())
	}
	f.checkPANs(t, slices.Collect(maps.Values(tokens)))
	f.checkEntries(t)
}

// fill issues every number and returns the token that each request id was answered with.
func (f *fleet) fill(t *testing.T) map[string]string {
	t.Helper()
	var (
		mu       sync.Mutex
		tokens   = map[string]string{}
		answered atomic.Int64
		progress = make(chan struct{}, 1)
		batches  = make(chan []*cardvaultv1.IssueCardRequest)
	)
	bound, cancel := context.WithTimeout(t.Context(), 4*patience)
	defer cancel()
	g, ctx := errgroup.WithContext(bound)
	g.Go(func() error { return hand(ctx, batches) })
	for worker := range issuersAt {
		g.Go(func() error {
			for batch := range batches {
				got, refusal := f.issueAll(ctx, worker, batch, func(n int) {
					answered.Add(int64(n))
					select {
					case progress <- struct{}{}:
					default:
					}
				})
				if refusal != "" {
					t.Errorf("a card was refused before the range was full: %s", refusal)
					return context.Canceled
				}
				mu.Lock()
				maps.Copy(tokens, got)
				mu.Unlock()
			}
			return nil
		})
	}
	// Crashes come evenly, and one when nearly all is issued: then most of what is left is in blocks of the dead.
	for crash := range crashes {
		threshold := int64(allNumbers * (crash + 1) * 97 / 100 / crashes)
		for answered.Load() < threshold && ctx.Err() == nil {
			select {
			case <-progress:
			case <-ctx.Done():
			}
		}
		f.cut(t)
		f.crash(t)
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	return tokens
}

// hand cuts all requests into batches.
func hand(ctx context.Context, batches chan<- []*cardvaultv1.IssueCardRequest) error {
	defer close(batches)
	for range allNumbers / issueBatch {
		batch := make([]*cardvaultv1.IssueCardRequest, issueBatch)
		for i := range batch {
			batch[i] = &cardvaultv1.IssueCardRequest{RequestId: uuid.NewString(), BinRange: "small"}
		}
		select {
		case batches <- batch:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// checkPANs opens every card: the PANs are all numbers of the range, each once.
func (f *fleet) checkPANs(t *testing.T, tokens []string) {
	t.Helper()
	pans := map[string]bool{}
	at := 0
	for some := range slices.Chunk(tokens, 1000) {
		at++
		answers, err := f.payments(at).cards.BatchDetokenizeCards(t.Context(), &cardvaultv1.BatchDetokenizeCardsRequest{
			Tokens: some, Purpose: "settlement", View: full,
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, result := range answers.GetResults() {
			pan := result.GetResponse().GetPan()
			if !valid(pan) || len(pan) != 16 || !strings.HasPrefix(pan, smallPrefix) {
				t.Fatalf("an issued card opens to no PAN of the range: %s", result.GetError().GetReason())
			}
			pans[pan] = true
		}
	}
	if len(pans) != allNumbers {
		t.Errorf("%d different PANs, want %d", len(pans), allNumbers)
	}
	f.site.saw(slices.Collect(maps.Keys(pans))...)
}

// checkEntries verifies every replica's chain, and finds every card's issue in them once.
func (f *fleet) checkEntries(t *testing.T) {
	t.Helper()
	chains := f.site.chains(t)
	if len(chains) != f.runs {
		t.Errorf("%d chains of %d runs of a server", len(chains), f.runs)
	}
	issued := map[uuid.UUID]bool{}
	for _, entries := range chains {
		if entries[0].Action != "StartReplica" {
			t.Errorf("a chain begins with %s", entries[0].Action)
		}
		for _, e := range entries {
			if e.Action == "IssueCard" && e.Result == "OK" && e.Decision == audit.Allow {
				issued[e.Card] = true
			}
		}
	}
	if len(issued) != allNumbers {
		t.Errorf("the audit log knows of %d issued cards, want %d", len(issued), allNumbers)
	}
	if n := f.site.count(t, "SELECT count(*) FROM cards"); n != allNumbers {
		t.Errorf("%d cards are stored, want %d", n, allNumbers)
	}
}
