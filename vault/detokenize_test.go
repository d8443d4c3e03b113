package vault_test

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cardvault/cardvault/tokenizer"
	"github.com/cardvault/cardvault/vault"
)

func TestViewsShowWhatTheySay(t *testing.T) {
	v, _ := newVault(t)
	token := tokenize(t, v, foreignPAN, vault.TokenOptions{}).Token
	full, err := reveal(t, v, token)
	if err != nil || full != foreignPAN {
		t.Error("FULL is not the PAN", err)
	}
	results, err := v.DetokenizeCards(t.Context(), caller("support"), vault.DetokenizeRequest{
		Tokens: []string{token}, Purpose: "support", View: vault.LastFour,
	})
	if err != nil || results[0].Shown != "1111" || !results[0].PAN.IsZero() {
		t.Errorf("LAST_FOUR: %v %+v", err, results)
	}
	_, err = v.DetokenizeCards(t.Context(), caller("support"), vault.DetokenizeRequest{
		Tokens: []string{token}, Purpose: "support", View: vault.Full,
	})
	if !errors.Is(err, vault.ErrDenied) {
		t.Errorf("support asks for FULL: %v", err)
	}
}

// TestTokensOfNobodyAnswerAlike is P6: unknown, foreign, deleted and expired
// tokens cannot be told apart, and neither can those of other principals.
func TestTokensOfNobodyAnswerAlike(t *testing.T) {
	v, s := newVault(t)
	unknown := tokenizer.NewOpaque().String()
	deleted := issue(t, v, 1)[0]
	if _, err := v.DeleteCard(t.Context(), caller("issuer"), "", deleted.Card.ID.String()); err != nil {
		t.Fatal(err)
	}
	expired := tokenize(t, v, foreignPAN, vault.TokenOptions{TTL: time.Minute}).Token
	bound := tokenize(t, v, foreignPAN, vault.TokenOptions{Principals: []string{"fraud"}}).Token
	revoked := tokenize(t, v, "5555555555554444", vault.TokenOptions{}).Token
	if _, err := v.RevokeToken(t.Context(), caller("issuer"), "", revoked); err != nil {
		t.Fatal(err)
	}
	own := issue(t, v, 1)[0].Token
	s.clock.Advance(2 * time.Minute)

	foreigner := callerOf("other", "payments")
	for name, ask := range map[string]struct {
		caller vault.Caller
		token  string
	}{
		"unknown": {caller("payments"), unknown},
		"deleted": {caller("payments"), deleted.Token},
		"expired": {caller("payments"), expired},
		"bound":   {caller("payments"), bound},
		"revoked": {caller("payments"), revoked},
		"foreign": {foreigner, own},
	} {
		results, err := v.DetokenizeCards(t.Context(), ask.caller, vault.DetokenizeRequest{
			Tokens: []string{ask.token}, Purpose: "settlement", View: vault.Full,
		})
		if err != nil {
			t.Fatal(name, err)
		}
		var refusal *vault.Error
		if !errors.As(results[0].Err, &refusal) || *refusal != *vault.ErrTokenNotFound {
			t.Errorf("%s: %v", name, results[0].Err)
		}
		if r := results[0]; !r.PAN.IsZero() || r.Shown != "" || r.Expiry != 0 || r.CardID != [16]byte{} {
			t.Errorf("%s: the answer tells something", name)
		}
	}
}

func TestSingleUseTokenIsUsedOnce(t *testing.T) {
	v, s := newVault(t)
	other := s.replica(t, s.store)
	token := tokenize(t, v, foreignPAN, vault.TokenOptions{SingleUse: true}).Token
	var opened atomic.Int32
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			replica := []*vault.Vault{v, other}[i%2]
			results, err := replica.DetokenizeCards(t.Context(), caller("payments"), vault.DetokenizeRequest{
				Tokens: []string{token, token}, Purpose: "settlement", View: vault.Full,
			})
			if err != nil {
				t.Error(err)
				return
			}
			for _, r := range results {
				switch {
				case r.Err == nil:
					opened.Add(1)
				case !errors.Is(r.Err, vault.ErrTokenUsed):
					t.Error(r.Err)
				}
			}
		})
	}
	wg.Wait()
	if got := opened.Load(); got != 1 {
		t.Errorf("opened %d times", got)
	}
}

// TestSuspendedStopsAtOnceOnEveryReplica has one replica suspend and another
// answer.
func TestSuspendedStopsAtOnceOnEveryReplica(t *testing.T) {
	v, s := newVault(t)
	other := s.replica(t, s.store)
	card := issue(t, v, 1)[0]
	id := card.Card.ID.String()
	for range 5 {
		if _, _, err := v.SuspendCard(t.Context(), caller("issuer"), "", id); err != nil {
			t.Fatal(err)
		}
		if _, err := reveal(t, other, card.Token); !errors.Is(err, vault.ErrCardSuspended) {
			t.Fatal("suspended:", err)
		}
		if _, _, err := other.ResumeCard(t.Context(), caller("issuer"), "", id); err != nil {
			t.Fatal(err)
		}
		if _, err := reveal(t, v, card.Token); err != nil {
			t.Fatal("resumed:", err)
		}
	}
	if _, _, err := v.CloseCard(t.Context(), caller("issuer"), "", id); err != nil {
		t.Fatal(err)
	}
	if _, err := reveal(t, other, card.Token); !errors.Is(err, vault.ErrCardClosed) {
		t.Error("closed:", err)
	}
}

// TestBatchItemsFailAlone mixes good and bad tokens.
func TestBatchItemsFailAlone(t *testing.T) {
	v, _ := newVault(t)
	good := tokenize(t, v, foreignPAN, vault.TokenOptions{}).Token
	results, err := v.DetokenizeCards(t.Context(), caller("payments"), vault.DetokenizeRequest{
		Tokens:  []string{good, "tok_x", tokenizer.NewOpaque().String(), foreignPAN, good},
		Purpose: "settlement", View: vault.Full,
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []error{nil, vault.ErrTokenMalformed, vault.ErrTokenNotFound, vault.ErrCardData, nil} {
		if !errors.Is(results[i].Err, want) {
			t.Errorf("item %d: %v, want %v", i, results[i].Err, want)
		}
	}
}

// TestEveryAnswerHasItsEntry is P3 for all outcomes of a detokenize.
func TestEveryAnswerHasItsEntry(t *testing.T) {
	v, _ := newVault(t)
	card := tokenize(t, v, foreignPAN, vault.TokenOptions{})
	if _, err := reveal(t, v, card.Token); err != nil {
		t.Fatal(err)
	}
	_, _ = reveal(t, v, "tok_x")
	_, _ = v.DetokenizeCards(t.Context(), caller("support"), vault.DetokenizeRequest{
		Tokens: []string{card.Token}, Purpose: "support", View: vault.Full,
	})
	_, _ = v.DetokenizeCards(t.Context(), caller("payments"), vault.DetokenizeRequest{Tokens: []string{card.Token}})

	var got []string
	for _, e := range checkChains(t, v) {
		if e.Action == "DetokenizeCard" {
			got = append(got, strings.Join([]string{e.Decision.String(), e.Policy, e.Purpose, e.View, e.Result}, " "))
			if e.Result == "OK" && e.Card != card.Card.ID {
				t.Error("the entry names another card")
			}
		}
	}
	want := []string{
		"allow payments-settlement settlement FULL OK",
		"allow payments-settlement settlement FULL TOKEN_MALFORMED",
		"deny full-pan-for-settlement-only support FULL PERMISSION_DENIED",
		"deny    PURPOSE_REQUIRED",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("entries\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
