package archive

import (
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/cardvault/cardvault/vault/audit"
)

func TestCardDataIsFoundInEveryField(t *testing.T) {
	for _, number := range []string{
		"4111111111111111", "for 4111 1111 1111 1111", "3782-822463-10005", "６２０５５０００００００００００００４", ";4111111111111111=2512?",
	} {
		for want, e := range map[string]audit.Entry{
			"principal":          {Principal: "spiffe://cardvault.test/" + number},
			"tenant":             {Tenant: number},
			"action":             {Action: number},
			"policy":             {Policy: number},
			"purpose":            {Purpose: number},
			"view":               {View: number},
			"bin_range":          {BINRange: number},
			"result":             {Result: number},
			"certificate_serial": {CertSerial: "x " + number},
		} {
			if got := cardData(&e); got != want {
				t.Errorf("%s in %s: found in %q", number, want, got)
			}
		}
	}
	for want, e := range map[string]audit.Entry{
		"count": {Count: 4111111111111111},
		"index": {Index: 4111111111111111},
	} {
		if got := cardData(&e); got != want {
			t.Errorf("%s: found in %q", want, got)
		}
	}
}

// Ids, hashes, serial numbers and times are no card data, whatever digits they have.
func TestCardDataRaisesNoFalseAlarm(t *testing.T) {
	digits := rapid.StringMatching(`[0-9]{16,40}`)
	bytesOf := func(n int) *rapid.Generator[[]byte] { return rapid.SliceOfN(rapid.Byte(), n, n) }
	rapid.Check(t, func(t *rapid.T) {
		e := audit.Entry{
			Principal:  "spiffe://cardvault.test/tenant/demo/" + uuid.UUID(bytesOf(16).Draw(t, "principal")).String(),
			CertSerial: digits.Draw(t, "serial"),
			Card:       uuid.UUID(bytesOf(16).Draw(t, "card")),
			Key:        uuid.UUID{0x41, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11},
			RequestID:  uuid.UUID(bytesOf(16).Draw(t, "request")),
			Prev:       audit.Hash(bytesOf(32).Draw(t, "prev")),
			Digest:     audit.Hash(bytesOf(32).Draw(t, "digest")),
			Purpose:    "2026-01-02T03:04:05.000000Z 20260102030405 411111******1111 +4915112345678",
			Number:     4111111111111111,
			Count:      rapid.IntRange(0, 100_000).Draw(t, "count"),
			Index:      rapid.Int64Range(0, 1e11).Draw(t, "index"),
		}
		if got := cardData(&e); got != "" {
			t.Fatalf("found in %s of %s", got, e.Encode())
		}
	})
}
