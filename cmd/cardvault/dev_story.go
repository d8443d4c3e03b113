package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cardvault/cardvault/crypto/devca"
	cardvaultv1 "github.com/cardvault/cardvault/proto/cardvault/v1"
	"github.com/cardvault/cardvault/tokenizer/pan"
	"github.com/cardvault/cardvault/vault/audit"
)

const (
	// demoRange starts with 9, where no card network issues: its PANs are nobody's.
	demoRange  = "demo"
	demoPrefix = "90000000"
	// foreignPAN is a number that Stripe publishes for testing.
	foreignPAN = "4242424242424242"
	// storyTimeout bounds the whole demonstration.
	storyTimeout = time.Minute
)

// story is the demonstration. It talks to the server as any client does, over
// mutual TLS, checks every answer, and says what it did, what came back and what
// that shows. Each step that is not as it should be ends it with an error.
type story struct {
	out    io.Writer
	folder *devFolder
	addr   string

	step  int
	conns []*grpc.ClientConn
	begin time.Time
	cards []*cardvaultv1.IssueCardResponse
	// settled is where the audit entry of the whole number stands.
	settled *cardvaultv1.Receipt
}

// tell goes through the steps.
func (s *story) tell(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, storyTimeout)
	defer cancel()
	defer func() {
		for _, conn := range s.conns {
			err = errors.Join(err, conn.Close())
		}
	}()
	s.begin = time.Now().Truncate(time.Microsecond) // as entries have it
	s.greet()
	for _, step := range []func(context.Context) error{
		s.registerRange, s.yesterday, s.issue, s.tokenize, s.settle, s.lastFour, s.overreach, s.stranger, s.readLog, s.proveLog,
	} {
		if err := step(ctx); err != nil {
			told := asExit(err)
			return &exitError{
				code: exitFailed, reason: told.reason, next: "see " + s.folder.path(devLog),
				err: fmt.Errorf("the demonstration's step %d is not as it should be: %w", s.step, told.err),
			}
		}
	}
	return nil
}

// registerRange makes the range, or finds it where a former start did.
func (s *story) registerRange(ctx context.Context) error {
	s.title("security registers a BIN range: the numbers that cards are issued from")
	conn, err := s.as("security")
	if err != nil {
		return err
	}
	ranges := cardvaultv1.NewBinRangeServiceClient(conn)
	s.asks("CreateBinRange %s: 16 digits that start with %s (no card network issues under 9)", demoRange, demoPrefix)
	answer, err := ranges.CreateBinRange(ctx, &cardvaultv1.CreateBinRangeRequest{
		RequestId: uuid.NewString(),
		BinRange:  &cardvaultv1.BinRange{Id: demoRange, Prefix: demoPrefix, PanLength: 16, ValidityMonths: 36},
	})
	if err == nil {
		s.gets("a range of %d numbers", answer.GetBinRange().GetCapacity())
		s.shows("the vault draws PANs from it in a secret order, each one once, to the last")
		return nil
	}
	if fromStatus(err).reason != "BIN_RANGE_EXISTS" {
		return err
	}
	known, err := ranges.GetBinRange(ctx, &cardvaultv1.GetBinRangeRequest{Id: demoRange})
	if err != nil {
		return err
	}
	s.gets("%s: it is there from before, with %d of %d numbers used", "BIN_RANGE_EXISTS", known.GetBinRange().GetIssued(), known.GetBinRange().GetCapacity())
	s.shows("ranges never overlap, and a number that is used stays used")
	return nil
}

// yesterday opens a token of a former start.
func (s *story) yesterday(ctx context.Context) error {
	token := remembered(s.folder.dir, devToken)
	if token == "" {
		return nil
	}
	s.title("support looks at a card of the last start")
	last, err := s.detokenizeLastFour(ctx, token)
	if err != nil {
		return err
	}
	s.gets("•••• %s", last)
	s.shows("cards, tokens and keys outlive the process: yesterday's tokens still work")
	return nil
}

// issue makes three cards in one call.
func (s *story) issue(ctx context.Context) error {
	s.title("issuer issues three cards")
	conn, err := s.as("issuer")
	if err != nil {
		return err
	}
	batch := &cardvaultv1.BatchIssueCardsRequest{}
	for range 3 {
		batch.Requests = append(batch.Requests, &cardvaultv1.IssueCardRequest{RequestId: uuid.NewString(), BinRange: demoRange})
	}
	s.asks("BatchIssueCards, three times from %s", demoRange)
	answer, err := cardvaultv1.NewCardServiceClient(conn).BatchIssueCards(ctx, batch)
	if err != nil {
		return err
	}
	for _, result := range answer.GetResults() {
		card := result.GetResponse()
		if card == nil {
			return fmt.Errorf("a card was refused: %s", result.GetError().GetReason())
		}
		s.cards = append(s.cards, card)
		s.gets("%s  •••• %s, expires %s", card.GetToken(), card.GetCard().GetLastFour(), month(card.GetCard().GetExpiry()))
	}
	if len(s.cards) != 3 {
		return fmt.Errorf("%d cards, want 3", len(s.cards))
	}
	s.shows("the issuer gets tokens to keep; the numbers stay inside, each sealed for its own row")
	return s.folder.remember(devToken, s.cards[0].GetToken())
}

// tokenize takes a PAN in, twice.
func (s *story) tokenize(ctx context.Context) error {
	s.title("issuer brings in a card from elsewhere")
	conn, err := s.as("issuer")
	if err != nil {
		return err
	}
	s.asks("TokenizeCard of a published test number ending in %s, twice", foreignPAN[12:])
	var tokens []string
	for i := range 2 {
		answer, err := cardvaultv1.NewCardServiceClient(conn).TokenizeCard(ctx, &cardvaultv1.TokenizeCardRequest{
			RequestId: uuid.NewString(), Pan: foreignPAN,
			Expiry: &cardvaultv1.Expiry{Year: int32(s.begin.Year() + 2), Month: 12}, //nolint:gosec // a year
		})
		if err != nil {
			return err
		}
		if before := remembered(s.folder.dir, devForeign); (before != "" || i > 0) && !answer.GetExisting() || before != "" && before != answer.GetToken() {
			return errors.New("it got another token than before")
		}
		tokens = append(tokens, answer.GetToken())
	}
	if tokens[0] != tokens[1] {
		return errors.New("the same number got two tokens")
	}
	s.gets("%s, both times", tokens[0])
	s.shows("one number is one card with one token, found by a keyed hash; nobody can look it up without the key")
	return s.folder.remember(devForeign, tokens[0])
}

// settle gets a whole PAN for the one purpose that may have it.
func (s *story) settle(ctx context.Context) error {
	s.title("payments settles a purchase and needs the whole number")
	conn, err := s.as("payments")
	if err != nil {
		return err
	}
	card := s.cards[0]
	s.asks("DetokenizeCard %s, purpose settlement, view FULL", card.GetToken())
	answer, err := cardvaultv1.NewCardServiceClient(conn).DetokenizeCard(ctx, &cardvaultv1.DetokenizeCardRequest{
		Token: card.GetToken(), Purpose: "settlement", View: cardvaultv1.View_VIEW_FULL,
	})
	if err != nil {
		return err
	}
	number, err := pan.Parse(answer.GetPan())
	switch {
	case err != nil:
		return err
	case !strings.HasPrefix(answer.GetPan(), demoPrefix) || number.LastFour() != card.GetCard().GetLastFour():
		return errors.New("it is the number of another card")
	case answer.GetCardId() != card.GetCard().GetId():
		return errors.New("the answer names another card")
	}
	s.settled = answer.GetReceipt()
	s.gets("%s, expires %s", answer.GetPan(), month(answer.GetExpiry()))
	s.shows("its policy permits this principal this view for this purpose; the audit entry was on disk before the answer left")
	return nil
}

// lastFour is what support may see.
func (s *story) lastFour(ctx context.Context) error {
	s.title("support has a customer on the phone")
	last, err := s.detokenizeLastFour(ctx, s.cards[0].GetToken())
	if err != nil {
		return err
	}
	if last != s.cards[0].GetCard().GetLastFour() {
		return errors.New("they are another card's")
	}
	s.gets("•••• %s", last)
	s.shows("a caller gets as much of the number as its work needs, and no more leaves the vault")
	return nil
}

func (s *story) detokenizeLastFour(ctx context.Context, token string) (string, error) {
	conn, err := s.as("support")
	if err != nil {
		return "", err
	}
	s.asks("DetokenizeCard %s, purpose support, view LAST_FOUR", token)
	answer, err := cardvaultv1.NewCardServiceClient(conn).DetokenizeCard(ctx, &cardvaultv1.DetokenizeCardRequest{
		Token: token, Purpose: "support", View: cardvaultv1.View_VIEW_LAST_FOUR,
	})
	if err == nil && (len(answer.GetLastFour()) != 4 || answer.GetPan() != "" || answer.GetMaskedPan() != "") {
		err = errors.New("they are not four digits")
	}
	return answer.GetLastFour(), err
}

// overreach is support asking for more.
func (s *story) overreach(ctx context.Context) error {
	s.title("support asks for the whole number")
	conn, err := s.as("support")
	if err != nil {
		return err
	}
	s.asks("DetokenizeCard %s, purpose settlement, view FULL", s.cards[0].GetToken())
	answer, err := cardvaultv1.NewCardServiceClient(conn).DetokenizeCard(ctx, &cardvaultv1.DetokenizeCardRequest{
		Token: s.cards[0].GetToken(), Purpose: "settlement", View: cardvaultv1.View_VIEW_FULL,
	})
	if answer.GetNumber() != nil || status.Code(err) != codes.PermissionDenied {
		return errors.Join(errors.New("it was not refused"), err)
	}
	s.gets("refused: %s", fromStatus(err).reason)
	s.shows("what policy does not permit is denied, and the refusal is recorded too")
	return nil
}

// stranger has no certificate.
func (s *story) stranger(ctx context.Context) error {
	s.title("somebody without a certificate tries")
	roots, err := readCertPool(s.folder.path(devca.CertFile))
	if err != nil {
		return err
	}
	conn, err := dialTLS(s.addr, &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots})
	if err != nil {
		return err
	}
	s.conns = append(s.conns, conn)
	s.asks("GetCard, on a connection without a client certificate")
	_, err = cardvaultv1.NewCardServiceClient(conn).GetCard(ctx, &cardvaultv1.GetCardRequest{Id: s.cards[0].GetCard().GetId()})
	if status.Code(err) != codes.Unavailable {
		return errors.Join(errors.New("it was not turned away"), err)
	}
	why := "the connection was closed"
	if alert, ok := tlsAlert(status.Convert(err)); ok {
		why = alert
	}
	s.gets("no connection: %s", why)
	s.shows("nobody is heard before the vault knows who it is")
	return nil
}

// readLog finds what happened in the audit log.
func (s *story) readLog(ctx context.Context) error {
	s.title("auditor reads what happened")
	conn, err := s.as("auditor")
	if err != nil {
		return err
	}
	s.asks("ListEntries since this start")
	answer, err := cardvaultv1.NewAuditServiceClient(conn).ListEntries(ctx, &cardvaultv1.ListEntriesRequest{
		PageSize: 1000, StartTime: timestamppb.New(s.begin),
	})
	if err != nil {
		return err
	}
	denied := 0
	for _, e := range answer.GetEntries() {
		name := filepath.Base(e.GetPrincipal())
		if e.GetAction() == "DetokenizeCard" {
			s.gets("%s  %-8s  %s  %-5s  %s for %s", instant(e.GetTime()), name, e.GetAction(), e.GetDecision(), e.GetView(), e.GetPurpose())
		}
		if e.GetDecision() == "deny" && name == "support" {
			denied++
		}
	}
	if denied != 1 {
		return fmt.Errorf("%d refusals of support are recorded, want 1", denied)
	}
	s.gets("and %d entries in all", len(answer.GetEntries()))
	s.shows("every operation left an entry, chained to the one before by its hash; none holds a number or a token")
	return nil
}

// proveLog has the entry of the whole number proven, and believes nobody.
func (s *story) proveLog(ctx context.Context) error {
	s.title("auditor has it proven that payments got the number")
	conn, err := s.as("auditor")
	if err != nil {
		return err
	}
	keys, err := audit.ParseKeys(remembered(s.folder.dir, devVerifier))
	if err != nil {
		return err
	}
	s.asks("GetInclusionProof of entry %s, from the receipt of step %d", place(s.settled), s.step-5)
	client := &session{conn: conn, timeout: storyTimeout}
	at := entryPlace{receipt: s.settled}
	answer, err := client.awaitProof(ctx, at, func() {})
	if err != nil {
		return err
	}
	proven, err := proveAnswer(answer, at, keys)
	if err != nil {
		return err
	}
	s.gets("entry %d of %d, with a proof of %d hashes and a signed checkpoint", proven.proof.Index, proven.checkpoint.Size, len(proven.proof.Hashes))
	s.shows("the log's public key is all it takes to verify that; a log that is edited, cut or forked cannot prove it")
	return nil
}

// as connects as a demo principal, with the files that anybody would use.
func (s *story) as(name string) (*grpc.ClientConn, error) {
	c := connection{as: name, dir: s.folder.dir}
	conn, err := c.dial()
	if err == nil {
		s.conns = append(s.conns, conn)
	}
	return conn, err
}
