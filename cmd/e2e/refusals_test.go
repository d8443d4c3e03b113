package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	cardvaultv1 "github.com/cardvault/cardvault/proto/cardvault/v1"
	"github.com/cardvault/cardvault/tokenizer"
)

// TestBadInputIsRefusedWithAReason sends what clients get wrong. Each answer has a reason to switch on, each refusal its
// audit entry, and nothing is stored.
func TestBadInputIsRefusedWithAReason(t *testing.T) {
	t.Parallel()
	s := newMigratedSite(t)
	r := s.serve(t)
	r.as(t, "security").createRange(t, "debit", "90000000")
	r.as(t, "security").createRange(t, "paused", "91000000")
	if _, err := r.as(t, "security").ranges.PauseBinRange(t.Context(), &cardvaultv1.PauseBinRangeRequest{RequestId: uuid.NewString(), Id: "paused"}); err != nil {
		t.Fatal(err)
	}
	token := r.as(t, "issuer").issue(t).GetToken()
	c := &clumsy{issuer: r.as(t, "issuer"), payments: r.as(t, "payments"), security: r.as(t, "security"), token: token}
	before := s.count(t, "SELECT count(*) FROM cards") + s.count(t, "SELECT count(*) FROM tokens") + s.count(t, "SELECT count(*) FROM bin_ranges")
	refusals := map[string]int{}
	for _, mistake := range c.mistakes() {
		err := mistake.call(t.Context())
		want(t, mistake.what, err, mistake.reason)
		refusals[mistake.reason]++
	}
	// Beyond 4 MiB gRPC stops reading and answers by itself.
	want(t, "a huge message", c.opening(strings.Repeat("x", 5<<20), "settlement", full)(t.Context()), codes.ResourceExhausted.String())
	if after := s.count(t, "SELECT count(*) FROM cards") + s.count(t, "SELECT count(*) FROM tokens") + s.count(t, "SELECT count(*) FROM bin_ranges"); after != before {
		t.Errorf("%d rows after %d", after, before)
	}
	for _, entries := range s.chains(t) {
		for _, e := range entries {
			refusals[e.Result]--
		}
	}
	for reason, n := range refusals {
		if n > 0 {
			t.Errorf("%d refusals as %s have no audit entry", n, reason)
		}
	}
}

// mistake is a call that must be refused.
type mistake struct {
	what   string
	call   func(context.Context) error
	reason string
}

// clumsy are clients that get everything wrong.
type clumsy struct {
	issuer, payments, security *client
	token                      string
}

func (c *clumsy) mistakes() []mistake {
	pan := wellKnown[0]
	thousandAndOne := make([]*cardvaultv1.IssueCardRequest, 1001)
	for i := range thousandAndOne {
		thousandAndOne[i] = &cardvaultv1.IssueCardRequest{RequestId: uuid.NewString(), BinRange: "debit"}
	}
	return []mistake{
		{"no digits", c.tokenizing(""), "PAN_LENGTH"},
		{"11 digits", c.tokenizing("42424242424"), "PAN_LENGTH"},
		{"20 digits", c.tokenizing(pan + "4242"), "PAN_LENGTH"},
		{"wrong check digit", c.tokenizing(mistyped(pan)), "PAN_CHECK_DIGIT"},
		{"spaces", c.tokenizing("4242 4242 4242 424x"), "PAN_DIGIT"},
		{"digits of another script", c.tokenizing(strings.Map(func(r rune) rune { return r - '0' + '٠' }, "1234")), "PAN_DIGIT"},
		{"a verification code", c.tokenizing("123"), "CARD_VERIFICATION_CODE"},
		{"track data", c.tokenizing(";" + pan + "=30121010000000000000?"), "TRACK_DATA"},
		{"a code for a purpose", c.opening(c.token, "123", full), "CARD_VERIFICATION_CODE"},
		{"a PAN for a token", c.opening(pan, "settlement", full), "CARD_DATA"},
		{"no purpose", c.opening(c.token, "", full), "PURPOSE_REQUIRED"},
		{"no view", c.opening(c.token, "settlement", 0), "VIEW_REQUIRED"},
		{"unknown view", c.opening(c.token, "settlement", 77), "VIEW_REQUIRED"},
		{"malformed token", c.opening(c.token[:len(c.token)-1]+"!", "settlement", full), "TOKEN_MALFORMED"},
		{"unknown token", c.opening(tokenizer.NewOpaque().String(), "settlement", full), "TOKEN_NOT_FOUND"},
		{"unregistered range", c.issuing("credit"), "BIN_RANGE_NOT_FOUND"},
		{"paused range", c.issuing("paused"), "BIN_RANGE_PAUSED"},
		{"overlapping range", c.registering("other", "900000001"), "BIN_RANGE_OVERLAP"},
		{"a range of an id that is there", c.registering("debit", "97000000"), "BIN_RANGE_EXISTS"},
		{"a short prefix", c.registering("other", "97"), "BIN_RANGE_INVALID"},
		{"a batch of 1001", func(ctx context.Context) error {
			_, err := c.issuer.cards.BatchIssueCards(ctx, &cardvaultv1.BatchIssueCardsRequest{Requests: thousandAndOne})
			return err
		}, "BATCH_SIZE"},
		{"a large message", c.opening(strings.Repeat("x", 5<<10), "settlement", full), "REQUEST_TOO_LARGE"},
	}
}

func (c *clumsy) tokenizing(pan string) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := c.issuer.cards.TokenizeCard(ctx, &cardvaultv1.TokenizeCardRequest{RequestId: uuid.NewString(), Pan: pan, Expiry: inTwoYears()})
		return err
	}
}

func (c *clumsy) opening(token, purpose string, view cardvaultv1.View) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := c.payments.cards.DetokenizeCard(ctx, &cardvaultv1.DetokenizeCardRequest{Token: token, Purpose: purpose, View: view})
		return err
	}
}

func (c *clumsy) issuing(binRange string) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := c.issuer.cards.IssueCard(ctx, &cardvaultv1.IssueCardRequest{RequestId: uuid.NewString(), BinRange: binRange})
		return err
	}
}

func (c *clumsy) registering(id, prefix string) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := c.security.ranges.CreateBinRange(ctx, &cardvaultv1.CreateBinRangeRequest{
			RequestId: uuid.NewString(), BinRange: &cardvaultv1.BinRange{Id: id, Prefix: prefix, PanLength: 16, ValidityMonths: 12},
		})
		return err
	}
}

// TestTokensThatOpenNothingAnswerAlike is P6 over the wire: unknown, foreign, deleted, revoked and expired tokens, and
// those of other principals, cannot be told apart by code, reason, message or details.
func TestTokensThatOpenNothingAnswerAlike(t *testing.T) {
	t.Parallel()
	s := newMigratedSite(t)
	r := s.serve(t)
	issuer, payments := r.as(t, "issuer"), r.as(t, "payments")
	deleted := issuer.tokenize(t, wellKnown[0], nil)
	if _, err := issuer.cards.DeleteCard(t.Context(), &cardvaultv1.DeleteCardRequest{RequestId: uuid.NewString(), Id: deleted.GetCard().GetId()}); err != nil {
		t.Fatal(err)
	}
	revoked := issuer.tokenize(t, wellKnown[1], nil)
	if _, err := issuer.tokens.RevokeToken(t.Context(), &cardvaultv1.RevokeTokenRequest{RequestId: uuid.NewString(), Token: revoked.GetToken()}); err != nil {
		t.Fatal(err)
	}
	expiring := issuer.tokenize(t, wellKnown[2], &cardvaultv1.TokenOptions{Ttl: durationpb.New(time.Second)}).GetToken()
	until(t, "an expiring token", "TOKEN_NOT_FOUND", func() error { return payments.opensTo(t.Context(), expiring, wellKnown[2]) })

	answers := map[string]string{}
	for what, token := range map[string]string{
		"unknown": tokenizer.NewOpaque().String(),
		"foreign": r.as(t, foreign+"-issuer").tokenize(t, wellKnown[3], nil).GetToken(),
		"deleted": deleted.GetToken(), "revoked": revoked.GetToken(), "expired": expiring,
		"bound": issuer.tokenize(t, wellKnown[4], &cardvaultv1.TokenOptions{Principals: []string{"settler"}}).GetToken(),
	} {
		_, err := payments.reveal(t.Context(), token)
		want(t, what, err, "TOKEN_NOT_FOUND")
		answers[status.Convert(err).Proto().String()] = what
	}
	if len(answers) != 1 {
		t.Errorf("tokens can be told apart: %v", answers)
	}
}

// TestOneBadItemFailsNoOther sends a batch in which some items are wrong.
func TestOneBadItemFailsNoOther(t *testing.T) {
	t.Parallel()
	s := newMigratedSite(t)
	r := s.serve(t)
	issuer := r.as(t, "issuer")
	numbers := []string{wellKnown[0], mistyped(wellKnown[0]), wellKnown[1], "12", ";" + wellKnown[0] + "=3012?", wellKnown[2]}
	reasons := []string{"", "PAN_CHECK_DIGIT", "", "PAN_LENGTH", "TRACK_DATA", ""}
	batch := &cardvaultv1.BatchTokenizeCardsRequest{}
	for _, number := range numbers {
		batch.Requests = append(batch.Requests, &cardvaultv1.TokenizeCardRequest{RequestId: uuid.NewString(), Pan: number, Expiry: inTwoYears()})
	}
	answers, err := issuer.cards.BatchTokenizeCards(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	for i, result := range answers.GetResults() {
		if got := result.GetError().GetReason(); got != reasons[i] || (result.GetResponse().GetToken() == "") != (got != "") {
			t.Errorf("item %d: %q, want %q", i, got, reasons[i])
		}
	}
	if n := s.count(t, "SELECT count(*) FROM cards"); n != 3 {
		t.Errorf("%d cards, want 3", n)
	}
}
