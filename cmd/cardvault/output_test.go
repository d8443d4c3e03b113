package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	cardvaultv1 "github.com/cardvault/cardvault/proto/cardvault/v1"
)

// The JSON of a message is one line with the same keys every time.
func TestDocument(t *testing.T) {
	var out bytes.Buffer
	p, err := newPrinter(&out, outputJSON)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.show(&cardvaultv1.GetCardResponse{Card: &cardvaultv1.Card{LastFour: "4242"}}, nil); err != nil {
		t.Fatal(err)
	}
	want := `{"card":{"id":"","state":"STATE_UNSPECIFIED","expiry":null,"lastFour":"4242","origin":"ORIGIN_UNSPECIFIED","binRange":"","createTime":null},"receipt":null}` + "\n"
	if out.String() != want {
		t.Errorf("got  %s\nwant %s", out.String(), want)
	}
}

func TestTable(t *testing.T) {
	var out bytes.Buffer
	p, err := newPrinter(&out, outputTable)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.show(nil, table.Row{"NAME", "B"}, table.Row{"x", "long"}, table.Row{"longer", ""}); err != nil {
		t.Fatal(err)
	}
	if want := "NAME    B\nx       long\nlonger\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestPercent(t *testing.T) {
	for share, want := range map[float64]string{
		0: "0.00 %", 1e-7: "<0.01 %", 0.5: "50.00 %", 0.123456: "12.35 %", 0.9999999: "99.99 %", 1: "100 %",
	} {
		if got := percent(share); got != want {
			t.Errorf("%g: got %q, want %q", share, got, want)
		}
	}
}

func TestParseExpiry(t *testing.T) {
	for text, want := range map[string]string{
		"2030-12": "2030-12", "12/30": "2030-12", "01/00": "2000-01", "2099-01": "2099-01", "2030-13": "2030-13", "": "",
		"30-12": "bad", "2030/12": "bad", "1/30": "bad", "2030-1": "bad", "12/2030": "bad", "+030-12": "bad", "12-2030": "bad", " 2030-12": "bad", "202a-12": "bad",
	} {
		e, err := parseExpiry(text)
		got := month(e)
		if err != nil {
			got = "bad"
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestParseSince(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for text, want := range map[string]string{
		"": "", "1h": "2026-01-02T02:04:05Z", "2026-01-01T00:00:00+01:00": "2025-12-31T23:00:00Z", "0s": "2026-01-02T03:04:05Z",
		"-1h": "bad", "yesterday": "bad", "2026-01-01": "bad",
	} {
		at, err := parseSince(text, now)
		got := instant(at)
		if err != nil {
			got = "bad"
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestReadPAN(t *testing.T) {
	for text, want := range map[string]string{
		testPAN: testPAN, testPAN + "\n": testPAN, testPAN + "\r\n": testPAN, " " + testPAN: " " + testPAN,
		"": "bad", "\n": "bad", testPAN + "\n" + testPAN + "\n": "bad", strings.Repeat("4", maxPANLine+1): "bad",
	} {
		got, err := readPAN(strings.NewReader(text), nil)
		if err != nil {
			got = "bad"
			if strings.Contains(asExit(err).line(), testPAN) {
				t.Error("the PAN is repeated")
			}
		}
		if got != want {
			t.Errorf("%.20q: got %.20q, want %.20q", text, got, want)
		}
	}
}
