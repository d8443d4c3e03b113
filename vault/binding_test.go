package vault_test

import (
	"errors"
	"testing"

	"github.com/cardvault/cardvault/crypto/secret"
	"github.com/cardvault/cardvault/vault"
)

// swapFingerprints makes each of the two cards be found by the other's PAN. Done
// twice it leaves no trace.
const swapFingerprints = `
	CREATE TEMP TABLE was AS SELECT id, fingerprint FROM cards;
	UPDATE cards SET fingerprint = randomblob(16);
	UPDATE cards SET fingerprint = (SELECT w.fingerprint FROM was w WHERE w.id <> cards.id)`

// TestSwappedFingerprintsGiveNoOthersToken is P5 on the way in: whoever swaps
// fingerprints for a moment gets no token of the one card for the PAN of the other.
func TestSwappedFingerprintsGiveNoOthersToken(t *testing.T) {
	for name, o := range map[string]vault.TokenOptions{
		"standing token": {},
		"plain digits":   {Format: vault.DigitToken},
		"single use":     {SingleUse: true},
	} {
		t.Run(name, func(t *testing.T) {
			v, s := newVault(t)
			tokenize(t, v, foreignPAN, o)
			tokenize(t, v, "5555555555554444", o)
			s.edit(t, swapFingerprints)
			r := tryTokenize(t, v, vault.TokenizeRequest{PAN: secret.New([]byte(foreignPAN)), Expiry: expiry(), Token: o})
			s.edit(t, swapFingerprints)
			if r.Err != nil {
				if !errors.Is(r.Err, vault.ErrIntegrity) {
					t.Error(r.Err)
				}
				return
			}
			if number, err := reveal(t, v, r.Token); number != "" || !errors.Is(err, vault.ErrIntegrity) {
				t.Errorf("the token opens another PAN: %v", err)
			}
		})
	}
}

// TestSwappedFingerprintsGiveNoFurtherToken is the same for a token that is made
// after the PAN of a card that stands there.
func TestSwappedFingerprintsGiveNoFurtherToken(t *testing.T) {
	v, s := newVault(t)
	card := tokenize(t, v, foreignPAN, vault.TokenOptions{}).Card
	tokenize(t, v, "5555555555554444", vault.TokenOptions{})
	s.edit(t, swapFingerprints)
	o := vault.TokenOptions{Format: vault.DigitToken, KeepLastFour: true}
	if made, _, err := v.CreateToken(t.Context(), caller("issuer"), "", card.ID.String(), o); made.Token != "" || !errors.Is(err, vault.ErrIntegrity) {
		t.Errorf("answer %v", err)
	}
}

// TestEditedRangeIssuesNothing: whoever narrows a range to one number, or moves it
// to another's BIN, would choose the PANs that are issued.
func TestEditedRangeIssuesNothing(t *testing.T) {
	for name, statements := range map[string]string{
		"narrowed":   `UPDATE bin_ranges SET first = 42, last = 42`,
		"moved":      `UPDATE bin_ranges SET prefix = '99990000002'`,
		"longer":     `UPDATE bin_ranges SET length = 17`,
		"unreserved": `UPDATE bin_ranges SET reserved = ''`,
		"reserved":   `UPDATE bin_ranges SET reserved = '[{"First":1,"Last":9999}]'`,
		"malformed":  `UPDATE bin_ranges SET prefix = 'x'`,
		"validity":   `UPDATE bin_ranges SET validity_months = 240`,
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			v := s.replica(t, s.store)
			sp := spec("demo", "99990000001")
			sp.Reserved = []vault.TextInterval{{First: "0000", Last: "0009"}}
			createRange(t, v, sp)
			createRange(t, v, spec("sound", "99990000003"))
			s.edit(t, statements+` WHERE name = 'demo'`)
			results, err := v.IssueCards(t.Context(), caller("issuer"), []vault.IssueRequest{{BINRange: "demo"}, {BINRange: "sound"}})
			if err != nil {
				t.Fatal(err)
			}
			if !errors.Is(results[0].Err, vault.ErrIntegrity) {
				t.Errorf("edited range: %v", results[0].Err)
			}
			if results[1].Err != nil {
				t.Errorf("another range of the batch: %v", results[1].Err)
			}
		})
	}
}
