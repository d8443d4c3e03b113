package vault_test

import (
	"errors"
	"testing"
	"time"

	"github.com/cardvault/cardvault/crypto/secret"
	"github.com/cardvault/cardvault/vault"
)

// TestRepeatedAfterTheExpiryStillReturnsTheFirstAnswer: a call that was done stays
// done, also where it could not be asked for any more.
func TestRepeatedAfterTheExpiryStillReturnsTheFirstAnswer(t *testing.T) {
	v, s := newVault(t)
	now := s.clock.Now().UTC()
	month := &vault.Month{Year: now.Year(), Month: int(now.Month())}
	req := []vault.IssueRequest{{RequestID: newRequestID(), BINRange: "demo", Expiry: month}}
	first, err := v.IssueCards(t.Context(), caller("issuer"), req)
	if err != nil || first[0].Err != nil {
		t.Fatal(err, first)
	}
	s.clock.Advance(32 * 24 * time.Hour)
	again, err := v.IssueCards(t.Context(), caller("issuer"), req)
	if err != nil || again[0].Err != nil || again[0].Token != first[0].Token {
		t.Fatal(err, again)
	}
	req[0].RequestID = newRequestID()
	if fresh, err := v.IssueCards(t.Context(), caller("issuer"), req); err != nil || !errors.Is(fresh[0].Err, vault.ErrExpiryPast) {
		t.Error(err, fresh)
	}
}

// TestRepeatedBesideAnother: in one commit with another request of the same id, each
// is answered as if they had come one after the other.
func TestRepeatedBesideAnother(t *testing.T) {
	v, _ := newVault(t)
	request := func(id, number string) vault.TokenizeRequest {
		return vault.TokenizeRequest{RequestID: id, PAN: secret.New([]byte(number)), Expiry: expiry()}
	}
	ask := func(reqs ...vault.TokenizeRequest) []vault.TokenizeResult {
		results, err := v.TokenizeCards(t.Context(), caller("issuer"), reqs)
		if err != nil {
			t.Fatal(err)
		}
		return results
	}
	id := newRequestID()
	done := ask(request(id, foreignPAN))[0]
	got := ask(request(id, "5555555555554444"), request(id, foreignPAN), request(id, foreignPAN))
	if !errors.Is(got[0].Err, vault.ErrRequestIDReused) {
		t.Error("another request:", got[0].Err)
	}
	for _, again := range got[1:] {
		if again.Err != nil || again.Token != done.Token || again.Card != done.Card {
			t.Errorf("the repetition: %v", again.Err)
		}
	}
}

// TestRefusedBesideAnother: a request that is refused leaves its id to the next one.
func TestRefusedBesideAnother(t *testing.T) {
	v, _ := newVault(t)
	tiny := spec("tiny", "99990000000002")
	tiny.First, tiny.Last = "0", "0"
	createRange(t, v, tiny)
	id := newRequestID()
	results, err := v.IssueCards(t.Context(), caller("issuer"), []vault.IssueRequest{
		{BINRange: "tiny"}, {BINRange: "tiny", RequestID: id}, {BINRange: "demo", RequestID: id},
	})
	if err != nil {
		t.Fatal(err)
	}
	if results[0].Err != nil || !errors.Is(results[1].Err, vault.ErrBINRangeExhausted) {
		t.Errorf("results %+v", results)
	}
	if results[2].Err != nil && !errors.Is(results[2].Err, vault.ErrRequestIDReused) {
		t.Error(results[2].Err)
	}
	after, err := v.IssueCards(t.Context(), caller("issuer"), []vault.IssueRequest{{BINRange: "demo", RequestID: id}})
	if err != nil || after[0].Err != nil {
		t.Error(err, after)
	}
}
