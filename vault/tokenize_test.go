package vault_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cardvault/cardvault/crypto/secret"
	"github.com/cardvault/cardvault/tokenizer/pan"
	"github.com/cardvault/cardvault/vault"
)

func TestTokenizeTwiceIsOneCardAndOneToken(t *testing.T) {
	v, _ := newVault(t)
	first := tokenize(t, v, foreignPAN, vault.TokenOptions{})
	again := tokenize(t, v, foreignPAN, vault.TokenOptions{})
	if first.Existing || !again.Existing || first.Card != again.Card || first.Token != again.Token {
		t.Errorf("first %+v, again %+v", first, again)
	}
	digits := vault.TokenOptions{Format: vault.DigitToken, KeepLastFour: true}
	one, two := tokenize(t, v, foreignPAN, digits), tokenize(t, v, foreignPAN, digits)
	if one.Token != two.Token || !strings.HasSuffix(one.Token, "1111") || len(one.Token) != 16 {
		t.Errorf("digit tokens differ or do not keep the last four")
	}
	if _, err := pan.Parse(one.Token); err == nil {
		t.Error("a digit token is a valid PAN")
	}
	limited := vault.TokenOptions{TTL: time.Hour}
	one, two = tokenize(t, v, foreignPAN, limited), tokenize(t, v, foreignPAN, limited)
	if one.Token == two.Token {
		t.Error("two tokens with a TTL are the same")
	}
}

// TestTokenizeConcurrentlyIsOneCard has two replicas race with the same PANs.
func TestTokenizeConcurrentlyIsOneCard(t *testing.T) {
	v, s := newVault(t)
	other := s.replica(t, s.store)
	numbers := []string{foreignPAN, "5555555555554444", "378282246310005", "6011111111111117"}
	var mu sync.Mutex
	cards := map[string]map[string]bool{}
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			var reqs []vault.TokenizeRequest
			for j := range numbers {
				number := numbers[(i+j)%len(numbers)]
				reqs = append(reqs, vault.TokenizeRequest{PAN: secret.New([]byte(number)), Expiry: expiry()})
			}
			results, err := []*vault.Vault{v, other}[i%2].TokenizeCards(t.Context(), caller("issuer"), reqs)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			for j, r := range results {
				number := numbers[(i+j)%len(numbers)]
				if cards[number] == nil {
					cards[number] = map[string]bool{}
				}
				cards[number][r.Card.ID.String()+r.Token] = true
			}
		})
	}
	wg.Wait()
	for _, ids := range cards {
		if len(ids) != 1 {
			t.Errorf("one PAN has %d cards", len(ids))
		}
	}
}

func TestTenantsShareNothing(t *testing.T) {
	v, _ := newVault(t)
	mine := tokenize(t, v, foreignPAN, vault.TokenOptions{})
	createOther(t, v)
	theirs, err := v.TokenizeCards(t.Context(), callerOf("other", "issuer"), []vault.TokenizeRequest{
		{PAN: secret.New([]byte(foreignPAN)), Expiry: expiry()},
	})
	if err != nil || theirs[0].Card.ID == mine.Card.ID || theirs[0].Token == mine.Token {
		t.Error("two tenants share a card", err)
	}
	if _, _, err := v.GetCard(t.Context(), callerOf("other", "issuer"), mine.Card.ID.String()); !errors.Is(err, vault.ErrCardNotFound) {
		t.Error(err)
	}
}

// TestDeletedCardComesBackUnderItsOldID tokenizes a PAN whose card was deleted.
func TestDeletedCardComesBackUnderItsOldID(t *testing.T) {
	v, _ := newVault(t)
	first := tokenize(t, v, foreignPAN, vault.TokenOptions{})
	if _, err := v.DeleteCard(t.Context(), caller("issuer"), "", first.Card.ID.String()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := v.GetCard(t.Context(), caller("issuer"), first.Card.ID.String()); !errors.Is(err, vault.ErrCardNotFound) {
		t.Error(err)
	}
	again := tokenize(t, v, foreignPAN, vault.TokenOptions{})
	if again.Existing || again.Card.ID != first.Card.ID || again.Token == first.Token {
		t.Errorf("again %+v", again)
	}
	if _, err := reveal(t, v, first.Token); !errors.Is(err, vault.ErrTokenNotFound) {
		t.Error("the old token works:", err)
	}
	if number, err := reveal(t, v, again.Token); err != nil || number != foreignPAN {
		t.Error("the new token does not work:", err)
	}
}

func TestRequestIDOfAnotherRequestIsRefused(t *testing.T) {
	v, _ := newVault(t)
	req := vault.TokenizeRequest{RequestID: newRequestID(), PAN: secret.New([]byte(foreignPAN)), Expiry: expiry()}
	first := tryTokenize(t, v, req)
	if again := tryTokenize(t, v, req); again.Err != nil || again.Card != first.Card || again.Existing != first.Existing {
		t.Errorf("again %+v", again)
	}
	req.PAN = secret.New([]byte("5555555555554444"))
	if r := tryTokenize(t, v, req); !errors.Is(r.Err, vault.ErrRequestIDReused) {
		t.Error(r.Err)
	}
}

// TestLifecycle walks a card through its life; each step repeated with its request
// id gives the first answer, without it the refusal.
func TestLifecycle(t *testing.T) {
	v, _ := newVault(t)
	id := issue(t, v, 1)[0].Card.ID
	type step = func(requestID string) (vault.Card, vault.Receipt, error)
	do := func(f func(v *vault.Vault, requestID, id string) (vault.Card, vault.Receipt, error)) step {
		return func(requestID string) (vault.Card, vault.Receipt, error) { return f(v, requestID, id.String()) }
	}
	ctx, c := t.Context(), caller("issuer")
	suspend := do(func(v *vault.Vault, r, id string) (vault.Card, vault.Receipt, error) {
		return v.SuspendCard(ctx, c, r, id)
	})
	resume := do(func(v *vault.Vault, r, id string) (vault.Card, vault.Receipt, error) {
		return v.ResumeCard(ctx, c, r, id)
	})
	renew := do(func(v *vault.Vault, r, id string) (vault.Card, vault.Receipt, error) {
		return v.RenewCard(ctx, c, r, id, expiry())
	})
	closing := do(func(v *vault.Vault, r, id string) (vault.Card, vault.Receipt, error) {
		return v.CloseCard(ctx, c, r, id)
	})
	for i, s := range []struct {
		do    step
		state vault.CardState
		twice error
	}{
		{suspend, vault.CardSuspended, vault.ErrCardSuspended},
		{resume, vault.CardActive, vault.ErrCardActive},
		{renew, vault.CardActive, vault.ErrExpiryEarlier},
		{closing, vault.CardClosed, vault.ErrCardClosed},
	} {
		requestID := newRequestID()
		for range 2 {
			card, receipt, err := s.do(requestID)
			if err != nil || card.State != s.state || receipt.Replica == uuid.Nil {
				t.Fatalf("step %d: %v %+v", i, err, card)
			}
		}
		if _, _, err := s.do(""); !errors.Is(err, s.twice) {
			t.Errorf("step %d again: %v, want %v", i, err, s.twice)
		}
	}
	if got := demoRange(t, v); got.Issued != 1 || got.Live != 0 {
		t.Errorf("%d issued, %d live", got.Issued, got.Live)
	}
	requestID := newRequestID()
	for range 2 {
		if _, err := v.DeleteCard(ctx, c, requestID, id.String()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTokensOfACard(t *testing.T) {
	v, _ := newVault(t)
	card := issue(t, v, 1)[0]
	o := vault.TokenOptions{Format: vault.DigitToken, TTL: time.Hour, SingleUse: true, Principals: []string{"payments"}}
	requestID := newRequestID()
	made, _, err := v.CreateToken(t.Context(), caller("issuer"), requestID, card.Card.ID.String(), o)
	if err != nil {
		t.Fatal(err)
	}
	again, _, err := v.CreateToken(t.Context(), caller("issuer"), requestID, card.Card.ID.String(), o)
	if err != nil || again.Token != made.Token {
		t.Error(err, "the repetition made another token")
	}
	tokens, _, err := v.ListTokens(t.Context(), caller("issuer"), card.Card.ID.String())
	if err != nil || len(tokens) != 2 || tokens[0].Token != card.Token || tokens[1].Token != made.Token {
		t.Fatal(err, len(tokens))
	}
	got := tokens[1].Options
	if got.Format != o.Format || got.TTL != o.TTL || !got.SingleUse || len(got.Principals) != 1 {
		t.Errorf("options %+v", got)
	}
	if _, err := v.RevokeToken(t.Context(), caller("issuer"), "", made.Token); err != nil {
		t.Fatal(err)
	}
	if _, err := v.RevokeToken(t.Context(), caller("issuer"), "", made.Token); !errors.Is(err, vault.ErrTokenNotFound) {
		t.Error(err)
	}
	if _, err := v.RevokeToken(t.Context(), caller("issuer"), "", card.Token); err != nil {
		t.Fatal(err)
	}
	fresh, _, err := v.CreateToken(t.Context(), caller("issuer"), "", card.Card.ID.String(), vault.TokenOptions{})
	if err != nil || fresh.Token == card.Token {
		t.Error(err, "a revoked token came back")
	}
}
