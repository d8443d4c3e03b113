package e2e

import (
	"context"
	"crypto/rand"
	"math/big"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	cardvaultv1 "github.com/cardvault/cardvault/proto/cardvault/v1"
)

// fleet is the replicas of one installation.
type fleet struct {
	site     *site
	replicas []*replica
	// clients of each replica, by principal. They are replaced when a replica is.
	issuers, payers []atomic.Pointer[client]
	runs            int
}

// newFleet starts n replicas.
func newFleet(t testing.TB, s *site, n int) *fleet {
	t.Helper()
	f := &fleet{
		site: s, replicas: make([]*replica, n),
		issuers: make([]atomic.Pointer[client], n), payers: make([]atomic.Pointer[client], n),
	}
	for i := range n {
		f.start(t, i)
	}
	return f
}

func (f *fleet) start(t testing.TB, i int) {
	t.Helper()
	f.replicas[i] = f.site.serve(t)
	f.runs++
	f.issuers[i].Store(f.replicas[i].as(t, "issuer"))
	f.payers[i].Store(f.replicas[i].as(t, "payments"))
}

// crash kills a replica, whichever, and starts another in its place.
func (f *fleet) crash(t testing.TB) {
	t.Helper()
	i, err := rand.Int(rand.Reader, big.NewInt(int64(len(f.replicas))))
	if err != nil {
		t.Fatal(err)
	}
	f.replicas[i.Int64()].kill(t)
	f.start(t, int(i.Int64()))
}

// cut ends every session with the database, wherever it is: some commits then have an outcome that nobody was told.
func (f *fleet) cut(t testing.TB) {
	t.Helper()
	n := f.site.count(t, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
		WHERE datname = current_database() AND usename = 'cardvault_app'`)
	if n == 0 {
		t.Error("no replica had a session")
	}
}

// issuer is the issuer as it calls the n-th replica, counted round.
func (f *fleet) issuer(n int) *client { return f.issuers[n%len(f.issuers)].Load() }

// payments is the same for payments.
func (f *fleet) payments(n int) *client { return f.payers[n%len(f.payers)].Load() }

// issueAll issues a card for every request, at whichever replica answers, repeating what has no answer. It returns the
// tokens by request id, or the reason of a refusal.
func (f *fleet) issueAll(ctx context.Context, at int, requests []*cardvaultv1.IssueCardRequest, took func(n int)) (map[string]string, string) {
	tokens := map[string]string{}
	for ; len(requests) > 0; at++ {
		asking, cancel := context.WithTimeout(ctx, 5*time.Second)
		answers, err := f.issuer(at).cards.BatchIssueCards(asking, &cardvaultv1.BatchIssueCardsRequest{Requests: requests})
		cancel()
		if ctx.Err() != nil {
			return tokens, ctx.Err().Error()
		}
		if err != nil {
			continue // this replica was killed: ask the next
		}
		var open []*cardvaultv1.IssueCardRequest
		for i, result := range answers.GetResults() {
			refusal := result.GetError()
			switch {
			case refusal == nil:
				tokens[requests[i].GetRequestId()] = result.GetResponse().GetToken()
			case codes.Code(refusal.GetCode()) == codes.Unavailable:
				open = append(open, requests[i])
			default:
				return tokens, refusal.GetReason()
			}
		}
		took(len(requests) - len(open))
		requests = open
	}
	return tokens, ""
}
