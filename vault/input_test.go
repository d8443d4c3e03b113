package vault_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cardvault/cardvault/crypto/secret"
	"github.com/cardvault/cardvault/vault"
)

// TestBadInput is the table of what a caller can get wrong: one clear refusal with
// a stable reason, nothing stored, and nothing of the value in the error.
func TestBadInput(t *testing.T) {
	v, _ := newVault(t)
	good := func() vault.TokenizeRequest {
		return vault.TokenizeRequest{PAN: secret.New([]byte(foreignPAN)), Expiry: expiry()}
	}
	with := func(edit func(*vault.TokenizeRequest)) func() error {
		return func() error {
			req := good()
			edit(&req)
			return tryTokenize(t, v, req).Err
		}
	}
	number := func(text string) func() error {
		return with(func(r *vault.TokenizeRequest) { r.PAN = secret.New([]byte(text)) })
	}
	issueWith := func(edit func(*vault.IssueRequest)) func() error {
		return func() error {
			req := vault.IssueRequest{BINRange: "demo"}
			edit(&req)
			results, err := v.IssueCards(t.Context(), caller("issuer"), []vault.IssueRequest{req})
			if err != nil {
				return err
			}
			return results[0].Err
		}
	}
	open := func(edit func(*vault.DetokenizeRequest)) func() error {
		return func() error {
			req := vault.DetokenizeRequest{Tokens: []string{"tok_x"}, Purpose: "settlement", View: vault.Full}
			edit(&req)
			results, err := v.DetokenizeCards(t.Context(), caller("payments"), req)
			if err != nil {
				return err
			}
			return results[0].Err
		}
	}
	create := func(edit func(*vault.BINRangeSpec)) func() error {
		return func() error {
			sp := spec("another", "99990000002")
			edit(&sp)
			_, _, err := v.CreateBINRange(t.Context(), caller("security"), "", sp)
			return err
		}
	}
	getCard := func(id string) func() error {
		return func() error {
			_, _, err := v.GetCard(t.Context(), caller("issuer"), id)
			return err
		}
	}
	track1, track2 := "%B4111111111111111^DOE/J^9012101123?", ";4111111111111111=9012101123?"

	for name, c := range map[string]struct {
		do   func() error
		want *vault.Error
		leak string
	}{
		"pan non-ascii digits":  {number("４111111111111111"), vault.ErrPANDigit, "111111111111"},
		"pan spaces":            {number("4111 1111 1111 1111"), vault.ErrPANDigit, "1111 1111"},
		"pan short":             {number("41111111111"), vault.ErrPANLength, "41111111111"},
		"pan long":              {number("41111111111111111111"), vault.ErrPANLength, "4111"},
		"pan empty":             {number(""), vault.ErrPANLength, "PAN("},
		"pan check digit":       {number("4111111111111112"), vault.ErrPANCheckDigit, "4111111111111112"},
		"pan is track 1":        {number(track1), vault.ErrTrackData, "4111"},
		"pan is track 2":        {number(track2), vault.ErrTrackData, "4111"},
		"pan is a code":         {number("737"), vault.ErrVerificationCode, "737"},
		"expiry missing":        {with(func(r *vault.TokenizeRequest) { r.Expiry = nil }), vault.ErrExpiry, "nil"},
		"expiry month 13":       {with(func(r *vault.TokenizeRequest) { r.Expiry.Month = 13 }), vault.ErrExpiry, "13"},
		"request id a code":     {with(func(r *vault.TokenizeRequest) { r.RequestID = "7371" }), vault.ErrVerificationCode, "7371"},
		"request id a pan":      {with(func(r *vault.TokenizeRequest) { r.RequestID = foreignPAN }), vault.ErrCardData, "4111"},
		"request id no uuid":    {with(func(r *vault.TokenizeRequest) { r.RequestID = "again" }), vault.ErrRequestID, "again"},
		"request id upper case": {with(func(r *vault.TokenizeRequest) { r.RequestID = strings.ToUpper(newRequestID()) }), vault.ErrRequestID, "again"},
		"keep_last_four opaque": {with(func(r *vault.TokenizeRequest) { r.Token.KeepLastFour = true }), vault.ErrTokenOptions, "true"},
		"ttl negative":          {with(func(r *vault.TokenizeRequest) { r.Token.TTL = -time.Hour }), vault.ErrTokenOptions, "-1h"},
		"principal a pan":       {with(func(r *vault.TokenizeRequest) { r.Token.Principals = []string{foreignPAN} }), vault.ErrCardData, "4111"},
		"token format unknown":  {with(func(r *vault.TokenizeRequest) { r.Token.Format = 9 }), vault.ErrTokenOptions, "9"},
		"bin unregistered":      {issueWith(func(r *vault.IssueRequest) { r.BINRange = "nobody" }), vault.ErrBINRangeNotFound, "nobody"},
		"bin a pan":             {issueWith(func(r *vault.IssueRequest) { r.BINRange = foreignPAN }), vault.ErrCardData, "4111"},
		"bin hides a pan":       {issueWith(func(r *vault.IssueRequest) { r.BINRange = "a" + foreignPAN }), vault.ErrBINRangeID, "4111"},
		"issue expiry past":     {issueWith(func(r *vault.IssueRequest) { r.Expiry = &vault.Month{Year: 2001, Month: 1} }), vault.ErrExpiryPast, "2001"},
		"purpose missing":       {open(func(r *vault.DetokenizeRequest) { r.Purpose = "" }), vault.ErrPurpose, "\"\""},
		"purpose a code":        {open(func(r *vault.DetokenizeRequest) { r.Purpose = "737" }), vault.ErrVerificationCode, "737"},
		"purpose track data":    {open(func(r *vault.DetokenizeRequest) { r.Purpose = track2 }), vault.ErrTrackData, "4111"},
		"purpose free text":     {open(func(r *vault.DetokenizeRequest) { r.Purpose = "because I say so" }), vault.ErrPurpose, "because"},
		"view missing":          {open(func(r *vault.DetokenizeRequest) { r.View = 0 }), vault.ErrView, "0"},
		"view unknown":          {open(func(r *vault.DetokenizeRequest) { r.View = 9 }), vault.ErrView, "9"},
		"token malformed":       {open(func(*vault.DetokenizeRequest) {}), vault.ErrTokenMalformed, "tok_x"},
		"token a pan":           {open(func(r *vault.DetokenizeRequest) { r.Tokens = []string{foreignPAN} }), vault.ErrCardData, "4111"},
		"batch empty":           {open(func(r *vault.DetokenizeRequest) { r.Tokens = nil }), vault.ErrBatchSize, "nil"},
		"batch too large":       {open(func(r *vault.DetokenizeRequest) { r.Tokens = make([]string, 1001) }), vault.ErrBatchSize, "1001"},
		"range overlaps":        {create(func(r *vault.BINRangeSpec) { r.Prefix = "9999000000" }), vault.ErrBINRangeOverlap, "9999000000"},
		"range exists":          {create(func(r *vault.BINRangeSpec) { r.ID = "demo" }), vault.ErrBINRangeExists, "demo"},
		"range prefix letters":  {create(func(r *vault.BINRangeSpec) { r.Prefix = "9999x000001" }), vault.ErrBINRangeInvalid, "9999x"},
		"range length":          {create(func(r *vault.BINRangeSpec) { r.PANLength = 20 }), vault.ErrBINRangeInvalid, "20x"},
		"range validity":        {create(func(r *vault.BINRangeSpec) { r.ValidityMonths = 0 }), vault.ErrBINRangeInvalid, "0x"},
		"range interval upside": {create(func(r *vault.BINRangeSpec) { r.First, r.Last = "0005", "0001" }), vault.ErrBINRangeInvalid, "0005"},
		"range id upper case":   {create(func(r *vault.BINRangeSpec) { r.ID = "Demo" }), vault.ErrBINRangeID, "Demo"},
		"card id malformed":     {getCard("x"), vault.ErrCardID, "x\""},
		"card id unknown":       {getCard(newRequestID()), vault.ErrCardNotFound, "-4"},
		"card id a pan":         {getCard(foreignPAN), vault.ErrCardData, "4111"},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.do()
			var refusal *vault.Error
			if !errors.As(err, &refusal) || refusal.Reason != c.want.Reason {
				t.Fatalf("answer %v, want %s", err, c.want.Reason)
			}
			if strings.Contains(err.Error(), c.leak) {
				t.Errorf("the error %q repeats the value", err)
			}
		})
	}
	cards, _, _, err := v.ListCards(t.Context(), caller("issuer"), 0, "")
	if err != nil || len(cards) != 0 {
		t.Errorf("%d cards stored, %v", len(cards), err)
	}
	if got := demoRange(t, v); got.Issued != 0 {
		t.Errorf("%d numbers used", got.Issued)
	}
	for _, e := range checkChains(t, v) {
		if strings.Contains(string(e.Encode()), "4111") || strings.Contains(string(e.Encode()), "737\"") {
			t.Error("an audit entry repeats a refused value")
		}
	}
}

// TestZeroCallerMayDoNothing is P8.
func TestZeroCallerMayDoNothing(t *testing.T) {
	v, _ := newVault(t)
	for _, c := range []vault.Caller{
		{},
		{Tenant: "demo"},
		{Name: "security"},
		{SPIFFE: caller("security").SPIFFE},
		{Staff: true},
		{Staff: true, Name: "security"},
		{Staff: true, Name: "security", Tenant: "demo"},
	} {
		if _, _, err := v.ListBINRanges(t.Context(), c); !errors.Is(err, vault.ErrDenied) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if err := v.SetPolicy(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if _, _, err := v.ListBINRanges(t.Context(), caller("security")); !errors.Is(err, vault.ErrDenied) {
		t.Error(err)
	}
}
