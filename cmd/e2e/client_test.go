package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	cardvaultv1 "github.com/cardvault/cardvault/proto/cardvault/v1"
)

const (
	full     = cardvaultv1.View_VIEW_FULL
	lastFour = cardvaultv1.View_VIEW_LAST_FOUR
)

// client is a connection to one replica as one principal.
type client struct {
	*transcript
	conn   *grpc.ClientConn
	cards  cardvaultv1.CardServiceClient
	tokens cardvaultv1.TokenServiceClient
	ranges cardvaultv1.BinRangeServiceClient
	audit  cardvaultv1.AuditServiceClient
}

// as connects as a principal.
func (r *replica) as(t testing.TB, principal string) *client {
	t.Helper()
	conn, err := grpc.NewClient(r.addr, grpc.WithTransportCredentials(credentials.NewTLS(r.site.tls(t, principal))))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &client{
		transcript: r.site.transcript, conn: conn,
		cards: cardvaultv1.NewCardServiceClient(conn), tokens: cardvaultv1.NewTokenServiceClient(conn),
		ranges: cardvaultv1.NewBinRangeServiceClient(conn), audit: cardvaultv1.NewAuditServiceClient(conn),
	}
}

// tls is a principal's side of mutual TLS.
func (s *site) tls(t testing.TB, principal string) *tls.Config {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(s.path(principal+".pem"), s.path(principal+".key"))
	if err != nil {
		t.Fatal(err)
	}
	config := s.tlsWithout(t)
	config.Certificates = []tls.Certificate{pair}
	return config
}

// tlsWithout is the side of a client that has no certificate.
func (s *site) tlsWithout(t testing.TB) *tls.Config {
	t.Helper()
	authority, err := os.ReadFile(s.path("ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12, ServerName: "localhost", NextProtos: []string{"h2"}}
}

// reason is the stable reason of an error, for the caller to switch on: empty where there is no error, and the name of
// the code where the error is not the vault's.
func reason(err error) string {
	if err == nil {
		return ""
	}
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetDomain() == "cardvault" {
			return info.GetReason()
		}
	}
	return status.Code(err).String()
}

// want fails the test unless err has the reason.
func want(t testing.TB, what string, err error, wanted string) {
	t.Helper()
	if got := reason(err); got != wanted {
		t.Errorf("%s: %q, want %q: %v", what, got, wanted, err)
	}
}

// createRange registers a range of 16-digit PANs.
func (c *client) createRange(t testing.TB, id, prefix string) {
	t.Helper()
	_, err := c.ranges.CreateBinRange(t.Context(), &cardvaultv1.CreateBinRangeRequest{
		RequestId: uuid.NewString(),
		BinRange:  &cardvaultv1.BinRange{Id: id, Prefix: prefix, PanLength: 16, ValidityMonths: 36},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// issue issues a card from the range that most stories have.
func (c *client) issue(t testing.TB) *cardvaultv1.IssueCardResponse {
	t.Helper()
	card, err := c.tryIssue(t, "debit")
	if err != nil {
		t.Fatal(err)
	}
	return card
}

func (c *client) tryIssue(t testing.TB, binRange string) (*cardvaultv1.IssueCardResponse, error) {
	t.Helper()
	return c.cards.IssueCard(t.Context(), &cardvaultv1.IssueCardRequest{RequestId: uuid.NewString(), BinRange: binRange})
}

// tokenize takes a PAN in.
func (c *client) tokenize(t testing.TB, pan string, options *cardvaultv1.TokenOptions) *cardvaultv1.TokenizeCardResponse {
	t.Helper()
	c.saw(pan)
	card, err := c.cards.TokenizeCard(t.Context(), &cardvaultv1.TokenizeCardRequest{
		RequestId: uuid.NewString(), Pan: pan, Expiry: inTwoYears(), Token: options,
	})
	if err != nil {
		t.Fatal(err)
	}
	return card
}

func inTwoYears() *cardvaultv1.Expiry {
	return &cardvaultv1.Expiry{Year: int32(time.Now().Year() + 2), Month: 12}
}

// reveal asks for a whole PAN, for settlement.
func (c *client) reveal(ctx context.Context, token string) (string, error) {
	shown, err := c.cards.DetokenizeCard(ctx, &cardvaultv1.DetokenizeCardRequest{Token: token, Purpose: "settlement", View: full})
	if shown.GetPan() != "" {
		c.saw(shown.GetPan())
	}
	return shown.GetPan(), err
}

// mustReveal returns the PAN of a token that has to open.
func (c *client) mustReveal(t testing.TB, token string) string {
	t.Helper()
	pan, err := c.reveal(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	if !valid(pan) {
		t.Fatal("what a token opened to is no PAN")
	}
	return pan
}

var errOtherPAN = errors.New("a token opened to another PAN")

// opensTo returns nil where a token opens to a PAN.
func (c *client) opensTo(ctx context.Context, token, pan string) error {
	got, err := c.reveal(ctx, token)
	if err == nil && got != pan {
		return errOtherPAN
	}
	return err
}
