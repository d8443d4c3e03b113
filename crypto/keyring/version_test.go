package keyring

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

// Every stored key is bound to these bytes: a change makes them all unusable.
func TestBindingIsForEver(t *testing.T) {
	v := Version{ID: ID{0xab, 15: 0xcd}, Scope: Scope{Purpose: PurposeRange, Tenant: "acme", Subject: "r1"}}
	want := "0180" + hex.EncodeToString([]byte("cardvault/key/v1")) +
		"0128" + hex.EncodeToString([]byte("range")) +
		"0120" + hex.EncodeToString([]byte("acme")) +
		"0110" + hex.EncodeToString([]byte("r1")) +
		"0180" + "ab" + strings.Repeat("00", 14) + "cd"
	if got := hex.EncodeToString(v.binding()); got != want {
		t.Errorf("binding = %s, want %s", got, want)
	}
	if data, fp := PurposeData.String(), PurposeFingerprint.String(); data != "data" || fp != "fingerprint" {
		t.Errorf("purposes are bound as %q and %q", data, fp)
	}
}

func TestZeroValuesAreInvalid(t *testing.T) {
	if s := fmt.Sprint(Purpose(0), Purpose(9), State(0), State(9)); s != "invalid invalid invalid invalid" {
		t.Errorf("print as %s", s)
	}
	if State(0).opens() || StateDestroyed.opens() || State(9).opens() {
		t.Error("a state that is none opens")
	}
}

func TestNewID(t *testing.T) {
	seen := make(map[ID]bool)
	for range 1000 {
		id := NewID()
		// RFC 9562 §5.4: version 4 in the high nibble of octet 6, variant 10 in octet 8.
		if id[6]>>4 != 4 || id[8]>>6 != 2 {
			t.Fatalf("%s is no random UUID", id)
		}
		seen[id] = true
	}
	if len(seen) != 1000 {
		t.Errorf("%d ids of 1000 differ", len(seen))
	}
	if got := (ID{0: 0x12, 15: 0xef}).String(); got != "12000000-0000-0000-0000-0000000000ef" {
		t.Errorf("prints as %s", got)
	}
}
