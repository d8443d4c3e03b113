package vault_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/tokenizer"
	"github.com/cardvault/cardvault/tokenizer/pan"
	"github.com/cardvault/cardvault/vault"
)

func TestIssueOpensToAValidPANOfTheRange(t *testing.T) {
	v, _ := newVault(t)
	for _, r := range issue(t, v, 3) {
		number, err := reveal(t, v, r.Token)
		if err != nil {
			t.Fatal(err)
		}
		p, err := pan.Parse(number)
		if err != nil {
			t.Fatal("an issued number is no PAN")
		}
		if !strings.HasPrefix(number, "99990000001") || p.LastFour() != r.Card.LastFour {
			t.Error("the number is not of the range, or not the card's")
		}
		if r.Card.State != vault.CardActive || r.Card.Origin != vault.Issued || r.Card.BINRange != "demo" {
			t.Errorf("card %+v", r.Card)
		}
	}
}

func TestIssueRepeatedReturnsTheFirstAnswerAndBurnsNothing(t *testing.T) {
	v, _ := newVault(t)
	req := []vault.IssueRequest{{RequestID: newRequestID(), BINRange: "demo"}}
	first, err := v.IssueCards(t.Context(), caller("issuer"), req)
	if err != nil || first[0].Err != nil {
		t.Fatal(err, first[0].Err)
	}
	for range 3 {
		again, err := v.IssueCards(t.Context(), caller("issuer"), req)
		if err != nil || again[0].Err != nil {
			t.Fatal(err, again[0].Err)
		}
		if again[0].Card != first[0].Card || again[0].Token != first[0].Token {
			t.Errorf("again %+v, first %+v", again[0], first[0])
		}
	}
	if got := demoRange(t, v).Issued; got != 1 {
		t.Errorf("%d numbers used, want 1", got)
	}
}

func TestIssueRepeatedAfterThePauseStillReturnsTheFirstAnswer(t *testing.T) {
	v, _ := newVault(t)
	req := []vault.IssueRequest{{RequestID: newRequestID(), BINRange: "demo"}}
	first, err := v.IssueCards(t.Context(), caller("issuer"), req)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := v.PauseBINRange(t.Context(), caller("security"), "", "demo"); err != nil {
		t.Fatal(err)
	}
	again, err := v.IssueCards(t.Context(), caller("issuer"), req)
	if err != nil || again[0].Token != first[0].Token {
		t.Fatal(err, again[0].Err)
	}
	fresh, err := v.IssueCards(t.Context(), caller("issuer"), []vault.IssueRequest{{BINRange: "demo"}})
	if err != nil || !errors.Is(fresh[0].Err, vault.ErrBINRangePaused) {
		t.Fatal(err, fresh[0].Err)
	}
}

func TestIssueOneRequestIDTwiceInABatchIsOneCard(t *testing.T) {
	v, _ := newVault(t)
	req := vault.IssueRequest{RequestID: newRequestID(), BINRange: "demo"}
	other := req
	other.Expiry = expiry()
	results, err := v.IssueCards(t.Context(), caller("issuer"), []vault.IssueRequest{req, req, other})
	if err != nil {
		t.Fatal(err)
	}
	if results[0].Err != nil || results[1].Err != nil || results[0].Card.ID != results[1].Card.ID {
		t.Errorf("results %+v", results)
	}
	if !errors.Is(results[2].Err, vault.ErrRequestIDReused) {
		t.Errorf("another request under the same id: %v", results[2].Err)
	}
	if got := demoRange(t, v).Issued; got != 1 {
		t.Errorf("%d numbers used, want 1", got)
	}
}

// TestIssueFillsARangeToTheLast has several replicas issue from one range while
// each is abandoned now and then in the middle of a commit: P2.
func TestIssueFillsARangeToTheLast(t *testing.T) {
	s := newSite(t)
	first := s.replica(t, s.store)
	createRange(t, first, spec("demo", "99990000001"))

	var mu sync.Mutex
	tokens := map[string]bool{}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for fillUntilKilled(t, s, &mu, tokens) {
			}
		})
	}
	wg.Wait()

	seen := numbersOf(t, s, first)
	for number := range seen {
		if _, err := pan.Parse(number); err != nil {
			t.Fatal("a card holds no valid PAN")
		}
	}
	if len(seen) != 10_000 {
		t.Errorf("%d distinct PANs, want 10000", len(seen))
	}
	if got := demoRange(t, first); got.Issued != 10_000 || got.Live != 10_000 {
		t.Errorf("range says %d issued, %d live", got.Issued, got.Live)
	}
	known := 0
	for token := range tokens {
		parsed, err := tokenizer.Parse(token)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := s.store.CardsByToken(t.Context(), "demo", []tokenizer.ID{parsed.ID()})
		if err != nil {
			t.Fatal(err)
		}
		known += len(rows)
	}
	if known != len(tokens) {
		t.Errorf("%d of %d acknowledged cards are there", known, len(tokens))
	}
}

// fillUntilKilled issues from a replica of its own until the range is exhausted
// (false) or the replica dies in a commit (true).
func fillUntilKilled(t *testing.T, s *site, mu *sync.Mutex, tokens map[string]bool) bool {
	t.Helper()
	dying := &mortalStore{Store: s.store, commits: 12}
	v := s.replica(t, dying)
	for {
		reqs := make([]vault.IssueRequest, 64)
		for i := range reqs {
			reqs[i].BINRange = "demo"
		}
		results, err := v.IssueCards(t.Context(), caller("issuer"), reqs)
		if err != nil {
			return true
		}
		for _, r := range results {
			switch {
			case errors.Is(r.Err, vault.ErrBINRangeExhausted):
				return false
			case r.Err != nil:
				t.Error(r.Err)
				return false
			}
			mu.Lock()
			tokens[r.Token] = true
			mu.Unlock()
		}
	}
}

// numbersOf opens every card of the tenant by its standing token.
func numbersOf(t *testing.T, s *site, v *vault.Vault) map[string]bool {
	t.Helper()
	numbers := map[string]bool{}
	for after := uuid.Nil; ; {
		rows, err := s.store.ListCards(t.Context(), "demo", after, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) == 0 {
			return numbers
		}
		tokens := make([]string, len(rows))
		for i, row := range rows {
			tokens[i] = tokenizer.FromID(row.StandingToken).String()
		}
		results, err := v.DetokenizeCards(t.Context(), caller("payments"), vault.DetokenizeRequest{
			Tokens: tokens, Purpose: "settlement", View: vault.Full,
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			if r.Err != nil {
				t.Fatal(r.Err)
			}
			numbers[r.PAN.Reveal()] = true
		}
		after = rows[len(rows)-1].ID
	}
}

func demoRange(t *testing.T, v *vault.Vault) vault.BINRange {
	t.Helper()
	r, _, err := v.GetBINRange(t.Context(), caller("security"), "demo")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestIssuePassesOverWhatIsReservedAndWhatCameFromElsewhere(t *testing.T) {
	s := newSite(t)
	v := s.replica(t, s.store)
	small := spec("demo", "99990000000001") // ten numbers
	small.Reserved = []vault.TextInterval{{First: "3", Last: "5"}}
	createRange(t, v, small)
	tokenize(t, v, numberOf("999900000000017"), vault.TokenOptions{})
	tokenize(t, v, numberOf("999900000000018"), vault.TokenOptions{})

	results, err := v.IssueCards(t.Context(), caller("issuer"), requests(10))
	if err != nil {
		t.Fatal(err)
	}
	var issued, refused int
	for _, r := range results {
		switch {
		case r.Err == nil:
			issued++
		case errors.Is(r.Err, vault.ErrBINRangeExhausted):
			refused++
		default:
			t.Error(r.Err)
		}
	}
	if issued != 5 || refused != 5 {
		t.Errorf("%d issued, %d refused, want 5 and 5", issued, refused)
	}
	if got := demoRange(t, v); got.Issued != 10 || got.Live != 5 {
		t.Errorf("%d used, %d live, want 10 and 5", got.Issued, got.Live)
	}
}

func requests(n int) []vault.IssueRequest {
	reqs := make([]vault.IssueRequest, n)
	for i := range reqs {
		reqs[i].BINRange = "demo"
	}
	return reqs
}

// numberOf appends the check digit.
func numberOf(payload string) string {
	for d := range 10 {
		if p, err := pan.Parse(payload + string(rune('0'+d))); err == nil {
			return p.Reveal()
		}
	}
	return ""
}
