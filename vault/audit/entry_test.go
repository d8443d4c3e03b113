package audit_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"github.com/cardvault/cardvault/vault/audit"
)

// anyEntry draws entries as a chain makes them, and text that JSON has to escape.
func anyEntry() *rapid.Generator[audit.Entry] {
	bytesOf := func(n int) *rapid.Generator[[]byte] { return rapid.SliceOfN(rapid.Byte(), n, n) }
	id := rapid.OneOf(rapid.Just(uuid.Nil), rapid.Map(bytesOf(16), func(b []byte) uuid.UUID { return uuid.UUID(b) }))
	hash := rapid.OneOf(rapid.Just(audit.Hash{}), rapid.Map(bytesOf(32), func(b []byte) audit.Hash { return audit.Hash(b) }))
	first := time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	last := time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro() - 1
	text := rapid.OneOf(
		rapid.Just(""),
		rapid.StringMatching(`[a-z0-9_./:-]{1,64}`),
		rapid.StringOfN(rapid.RuneFrom([]rune("a\"\\/\b\t\n\v\f\r\x00\x1b\x7f<>&\u0085\u2028é字😀\uFFFD")), 0, 20, 80),
	)
	return rapid.Custom(func(t *rapid.T) audit.Entry {
		return audit.Entry{
			Replica:    id.Draw(t, "replica"),
			Number:     rapid.Int64().Draw(t, "number"),
			Prev:       hash.Draw(t, "prev"),
			Time:       time.UnixMicro(rapid.Int64Range(first, last).Draw(t, "time")).UTC(),
			Principal:  text.Draw(t, "principal"),
			CertSerial: text.Draw(t, "serial"),
			Tenant:     text.Draw(t, "tenant"),
			Action:     text.Draw(t, "action"),
			Decision:   rapid.SampledFrom([]audit.Decision{audit.Deny, audit.Allow}).Draw(t, "decision"),
			Policy:     text.Draw(t, "policy"),
			Purpose:    text.Draw(t, "purpose"),
			View:       text.Draw(t, "view"),
			Card:       id.Draw(t, "card"),
			Key:        id.Draw(t, "key"),
			BINRange:   text.Draw(t, "range"),
			RequestID:  id.Draw(t, "request"),
			Result:     text.Draw(t, "result"),
			Count:      rapid.Int().Draw(t, "count"),
			Index:      rapid.Int64().Draw(t, "index"),
			Digest:     hash.Draw(t, "digest"),
		}
	})
}

func TestParseReadsWhatEncodeWrote(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := anyEntry().Draw(t, "entry")
		body := want.Encode()

		got, err := audit.Parse(body)
		if err != nil {
			t.Fatalf("Parse(%s): %v", body, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("entry changed (-want +got):\n%s", diff)
		}
	})
}

func TestEqualBodiesOnlyForEqualEntries(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyEntry().Draw(t, "a"), anyEntry().Draw(t, "b")
		if bytes.Equal(a.Encode(), b.Encode()) != cmp.Equal(a, b) {
			t.Fatalf("bodies of %v and %v", a, b)
		}
	})
}

// TestBodyIsOneBoundedLine throws what no caller can send at every string.
func TestBodyIsOneBoundedLine(t *testing.T) {
	hostile := rapid.OneOf(
		rapid.Just(strings.Repeat("\x00", 20_000)),
		rapid.Just(strings.Repeat("\xff\n", 5_000)),
		rapid.Just(strings.Repeat("字", 3_000)),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 3000), func(b []byte) string { return string(b) }),
	)
	rapid.Check(t, func(t *rapid.T) {
		e := anyEntry().Draw(t, "entry")
		for _, s := range []*string{
			&e.Principal, &e.CertSerial, &e.Tenant, &e.Action, &e.Policy, &e.Purpose, &e.View, &e.BINRange, &e.Result,
		} {
			*s = hostile.Draw(t, "text")
		}
		body := e.Encode()

		if len(body) > audit.MaxBody {
			t.Errorf("body of %d bytes", len(body))
		}
		if i := bytes.IndexFunc(body, func(r rune) bool { return r < ' ' }); i >= 0 {
			t.Errorf("control character at %d", i)
		}
		if _, err := audit.Parse(body); err != nil {
			t.Errorf("Parse: %v", err)
		}
	})
}

func TestEncodeCutsToWholeCharacters(t *testing.T) {
	e := audit.Entry{
		Time:      time.Unix(0, 0),
		Principal: strings.Repeat("x", 2047) + "é",
		Tenant:    strings.Repeat("x", 255) + "é",
		Action:    strings.Repeat("x", 256),
		Purpose:   "a\xffb",
	}
	got, err := audit.Parse(e.Encode())
	if err != nil {
		t.Fatal(err)
	}
	want := audit.Entry{
		Time:      time.Unix(0, 0).UTC(),
		Principal: strings.Repeat("x", 2047),
		Tenant:    strings.Repeat("x", 255),
		Action:    strings.Repeat("x", 256),
		Purpose:   "a\uFFFDb",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEncodeTakesTimesToUTCMicroseconds(t *testing.T) {
	e := audit.Entry{Time: time.Date(2026, 1, 2, 3, 4, 5, 123456789, time.FixedZone("", 3600))}
	got, err := audit.Parse(e.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if want := time.Date(2026, 1, 2, 2, 4, 5, 123456000, time.UTC); got.Time != want {
		t.Errorf("time %v, want %v", got.Time, want)
	}
}

func TestUnknownDecisionDenies(t *testing.T) {
	for d := range audit.Decision(127) {
		if want := d == audit.Allow; (d.String() == "allow") != want {
			t.Errorf("Decision(%d) is %q", d, d)
		}
	}
}

// TestLeafHash compares with the transparency log library of the Go project.
func TestLeafHash(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.SliceOfN(rapid.Byte(), 0, 4096).Draw(t, "body")
		if got, want := audit.LeafHash(body), audit.Hash(tlog.RecordHash(body)); got != want {
			t.Fatalf("LeafHash is %v, want %v", got, want)
		}
	})
}
