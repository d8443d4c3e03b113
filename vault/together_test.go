package vault_test

import (
	"testing"

	"github.com/cardvault/cardvault/crypto/secret"
	"github.com/cardvault/cardvault/vault"
)

// TestTokenizeOnePANTwiceInABatch is as if the items had come one after the other:
// each gets a token of the kind that it asked for, and equal items the same one.
func TestTokenizeOnePANTwiceInABatch(t *testing.T) {
	digits := vault.TokenOptions{Format: vault.DigitToken}
	kept := vault.TokenOptions{Format: vault.DigitToken, KeepLastFour: true}
	for name, before := range map[string][]vault.TokenOptions{
		"new":              nil,
		"known":            {{}},
		"known, no token":  {{SingleUse: true}},
		"known by digits":  {digits},
		"known in 3 forms": {digits, kept, {}},
	} {
		t.Run(name, func(t *testing.T) {
			v, _ := newVault(t)
			for _, o := range before {
				tokenize(t, v, foreignPAN, o)
			}
			asked := []vault.TokenOptions{{}, digits, kept, digits, {}, kept}
			reqs := make([]vault.TokenizeRequest, len(asked))
			for i, o := range asked {
				reqs[i] = vault.TokenizeRequest{PAN: secret.New([]byte(foreignPAN)), Expiry: expiry(), Token: o}
			}
			got, err := v.TokenizeCards(t.Context(), caller("issuer"), reqs)
			if err != nil {
				t.Fatal(err)
			}
			kinds := map[string]bool{}
			for i, r := range got {
				if r.Err != nil {
					t.Fatal(r.Err)
				}
				kinds[r.Token] = true
				if again := tokenize(t, v, foreignPAN, asked[i]); again.Token != r.Token {
					t.Errorf("item %d: %d and %d characters, another token than afterwards", i, len(r.Token), len(again.Token))
				}
			}
			if len(kinds) != 3 {
				t.Errorf("%d tokens, want 3", len(kinds))
			}
			tokens, _, err := v.ListTokens(t.Context(), caller("issuer"), got[0].Card.ID.String())
			if err != nil {
				t.Fatal(err)
			}
			want := 3
			if name == "known, no token" {
				want++
			}
			if len(tokens) != want {
				t.Errorf("the card has %d tokens, want %d", len(tokens), want)
			}
		})
	}
}
