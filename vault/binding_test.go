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
