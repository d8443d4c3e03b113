package vault_test

import (
	"context"
	"errors"
	"testing"

	"github.com/cardvault/cardvault/crypto/secret"
	"github.com/cardvault/cardvault/vault"
)

// TestCallerWhoGivesUp has callers leave while the store hangs: they get no PAN and no
// card, what they asked for is done and recorded all the same, and the next call is
// served. The race detector sees whether a caller looks at what the journal writes.
func TestCallerWhoGivesUp(t *testing.T) {
	s := newSite(t)
	store := &slowStore{Store: s.store}
	v := s.replica(t, store)
	createRange(t, v, spec("demo", "99990000001"))
	token := tokenize(t, v, foreignPAN, vault.TokenOptions{}).Token
	issue(t, v, 1)
	requestID := newRequestID()

	for name, call := range map[string]func(ctx context.Context) error{
		"detokenize": func(ctx context.Context) error {
			results, err := v.DetokenizeCards(ctx, caller("payments"), vault.DetokenizeRequest{
				Tokens: []string{token}, Purpose: "settlement", View: vault.Full,
			})
			if len(results) > 0 {
				t.Error("a PAN left before its entry was durable")
			}
			return err
		},
		"issue": func(ctx context.Context) error {
			results, err := v.IssueCards(ctx, caller("issuer"), []vault.IssueRequest{{BINRange: "demo", RequestID: requestID}})
			if len(results) > 0 {
				t.Error("a card was acknowledged before it was durable")
			}
			return err
		},
		"tokenize": func(ctx context.Context) error {
			_, err := v.TokenizeCards(ctx, caller("issuer"), []vault.TokenizeRequest{
				{PAN: secret.New([]byte(foreignPAN)), Expiry: expiry()},
			})
			return err
		},
		"refusal": func(ctx context.Context) error {
			_, err := v.DetokenizeCards(ctx, caller("support"), vault.DetokenizeRequest{
				Tokens: []string{token}, Purpose: "support", View: vault.Full,
			})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			entered, leave := store.hold()
			go func() {
				<-entered
				cancel()
			}()
			if err := call(ctx); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			close(leave)
		})
	}

	again, err := v.IssueCards(t.Context(), caller("issuer"), []vault.IssueRequest{{BINRange: "demo", RequestID: requestID}})
	if err != nil || again[0].Err != nil {
		t.Fatal(err, again)
	}
	if got := demoRange(t, v).Issued; got != 2 {
		t.Errorf("%d numbers used, want 2", got)
	}
	for action, n := range map[string]int{"DetokenizeCard": 2, "IssueCard": 3, "TokenizeCard": 2} {
		if got := len(entriesOf(t, v, action)); got != n {
			t.Errorf("%s: %d entries, want %d", action, got, n)
		}
	}
}
